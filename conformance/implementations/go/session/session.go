// SPDX-License-Identifier: MIT

// Package session is one end of a session (VPCBUS.md, section 6) without input and output: time, octets and the coming and
// going of the transport go in, frames come out, and an Owner hears what happened.
//
// Frames are made when they are asked for and handed over whole.  So whatever waits to be sent waits as a fact (a HELLO is
// due, a HEARTBEAT is due), not as octets, and no more than one frame is ever under way when a session ends.
package session

import "vpcbus/wire"

// State of a session, as lifecycle.rl names them; `ready` is the owner's matter.
type State uint8

// The states.
const (
	Down State = iota
	Hunting
	Mismatched
	Up
	BackingOff
	Stopped
)

// Never is the deadline of who waits for nothing.
const Never = int64(1<<63 - 1)

// Causes of a session's end, as the event log names them.
const (
	CauseTransport = "transport down"
	CauseRestarted = "peer restarted"
	CauseFraming   = "framing lost"
	CauseViolation = "protocol violation"
	CauseSilent    = "peer silent"
	CauseGoodbye   = "goodbye"
	CausePeerSaw   = "peer saw a violation"
	CauseStopped   = "stopped"
)

const (
	goodbyeStop      = 0
	goodbyeViolation = 1
	shortSession     = 1000 // ms: a session that lasts less makes the wait longer
	firstBackoff     = 100
)

// Config of a session; times are in milliseconds.
type Config struct {
	Role                               wire.Role
	VersionMin, VersionMax, MaxPairs   uint64
	HelloInterval, Heartbeat, Late     int64
	PeerLimit /* 0: off */, BackoffMax int64
	Name                               string
	Tag                                func() string
	Random                             func() uint64
}

// Violation is what the peer did against the protocol (SES-14).
type Violation struct{ Rule string }

// Owner is what uses a session.  Its calls come from within the session's own.
type Owner interface {
	SessionUp(peer *wire.Message)
	SessionLost(cause string)
	Mismatch(peer *wire.Message)
	FramingLost(why string)
	Late(silent int64)
	Resumed()
	// Receive takes a message of a channel, a READY or an EVENT.
	Receive(m *wire.Message) *Violation
	Violated(m *wire.Message, v *Violation)
	// FrameDone comes after each sealed frame that left the session up.
	FrameDone()
	// NextControl and NextData make the message to be sent next, if there is one (FLW-6).
	NextControl() *wire.Message
	NextData() *wire.Message
}

// Session is one end of it.
type Session struct {
	config Config
	owner  Owner
	state  State
	now    int64
	rx     *wire.Receiver

	epoch, peerEpoch, id uint64
	echo                 uint64 // epoch of the peer's last valid HELLO on this connection
	saidEcho             uint64 // echo of the last HELLO sent with this epoch
	number, beats        uint64

	helloDue, beatDue bool
	farewell          []byte // the frame that ended the last session
	retryAt           int64
	begun, heard      int64
	said              int64
	late              bool
	short             uint // sessions in a row after which the wait grows
	version           uint64
	Slots             Slots
}

// New makes one whose transport is down.
func New(config Config, owner Owner) *Session {
	return &Session{config: config, owner: owner, retryAt: Never, rx: wire.NewReceiver(config.Role.Other())}
}

// State is the state.
func (s *Session) State() State { return s.state }

// Late tells whether the peer was not heard for heartbeat_late.
func (s *Session) Late() bool { return s.late }

// Version of the session, or 0.
func (s *Session) Version() uint64 {
	if s.state != Up {
		return 0
	}
	return s.version
}

// TransportUp begins the first attempt of a connection (SES-1).
func (s *Session) TransportUp() {
	if s.state == Down {
		s.echo, s.short = 0, 0
		s.startAttempt()
	}
}

// TransportDown ends the session with its transport (TRN-3).
func (s *Session) TransportDown() {
	if s.state == Stopped || s.state == Down {
		return
	}
	was := s.enter(Down)
	s.helloDue, s.beatDue, s.farewell = false, false, nil
	s.retryAt = Never
	if was == Up {
		s.owner.SessionLost(CauseTransport)
	}
}

// Stop says GOODBYE, if there is a session, and ends all (SES-17).
func (s *Session) Stop() {
	was := s.enter(Stopped)
	s.helloDue, s.beatDue = false, false
	if was == Up {
		s.sayGoodbye(goodbyeStop)
		s.owner.SessionLost(CauseStopped)
	}
}

// enter is the one setter of the state.
func (s *Session) enter(state State) (was State) {
	was, s.state = s.state, state
	s.late = false
	return was
}

func (s *Session) startAttempt() {
	s.epoch = 0
	for s.epoch == 0 {
		s.epoch = s.config.Random()
	}
	s.saidEcho = 0
	s.enter(Hunting)
	s.rx.Hunt()
	s.sayHello()
}

func (s *Session) sayHello() {
	s.helloDue = true
	if s.state != Up {
		s.retryAt = s.now + s.config.HelloInterval
	}
}

func (s *Session) sayGoodbye(cause uint64) {
	s.farewell = s.seal(&wire.Message{Type: wire.Goodbye, Cause: cause})
}

// end leaves a session by itself and starts again, after a wait (SES-9, SES-10).
func (s *Session) end(cause string) {
	lasted := s.now - s.begun
	s.enter(BackingOff)
	s.rx.Hunt()
	s.helloDue, s.beatDue = false, false
	s.owner.SessionLost(cause)
	if lasted >= shortSession {
		s.short = 0
	}
	s.retryAt = s.now + s.backoff()
	s.short++
	if s.retryAt <= s.now {
		s.startAttempt()
	}
}

func (s *Session) backoff() int64 {
	if s.short == 0 {
		return 0
	}
	wait := int64(firstBackoff)
	for i := uint(1); i < s.short && wait < s.config.BackoffMax; i++ {
		wait *= 2
	}
	if wait > s.config.BackoffMax {
		wait = s.config.BackoffMax
	}
	return wait
}

// Input takes octets of the peer.
func (s *Session) Input(octets []byte) {
	for len(octets) > 0 && s.state != Down && s.state != Stopped {
		n, m, lost := s.rx.Next(octets)
		octets = octets[n:]
		switch {
		case lost != "":
			s.owner.FramingLost(lost)
			s.end(CauseFraming)
		case m != nil && m.Type == wire.Hello:
			s.hello(m)
		case m != nil:
			s.sealed(m)
		}
	}
}

// hello judges a HELLO with a right seal.
func (s *Session) hello(m *wire.Message) {
	if m.Role == uint64(s.config.Role) || m.VersionMin > m.VersionMax {
		return // MSG-1
	}
	s.echo = m.Epoch
	switch s.state {
	case Hunting, Mismatched:
		s.helloHunted(m)
	case Up:
		s.helloInSession(m)
	}
}

func (s *Session) helloHunted(m *wire.Message) {
	switch {
	case m.Echo != s.epoch:
		s.sayHello()
	case s.common(m) == 0:
		if s.state == Hunting {
			s.enter(Mismatched)
			s.owner.Mismatch(m)
		}
	default:
		s.begin(m)
	}
}

func (s *Session) helloInSession(m *wire.Message) {
	switch {
	case m.Epoch != s.peerEpoch || s.late:
		s.end(CauseRestarted)
	case m.Echo != s.epoch:
		s.sayHello()
	case s.common(m) == 0:
		s.end(CauseRestarted)
	}
}

// common is the highest version of both ranges, or 0 (SES-6).
func (s *Session) common(m *wire.Message) uint64 {
	version := s.config.VersionMax
	if m.VersionMax < version {
		version = m.VersionMax
	}
	if version < s.config.VersionMin || version < m.VersionMin {
		return 0
	}
	return version
}

func (s *Session) begin(m *wire.Message) {
	s.peerEpoch, s.version = m.Epoch, s.common(m)
	if s.config.Role == wire.Host {
		s.id = wire.SessionID(s.epoch, m.Epoch)
	} else {
		s.id = wire.SessionID(m.Epoch, s.epoch)
	}
	s.number, s.beats = 0, 0
	s.begun, s.heard, s.said = s.now, s.now, s.now
	s.retryAt = Never
	s.enter(Up)
	s.rx.Enter(s.id)
	s.Slots.Begin(s.now, m.HeartbeatMS)
	s.helloDue = s.helloDue || s.saidEcho != m.Epoch // SES-4
	s.owner.SessionUp(m)
}

// sealed takes a frame of the session.
func (s *Session) sealed(m *wire.Message) {
	s.heard = s.now
	s.Slots.Heard(s.now)
	if s.late {
		s.late = false
		s.owner.Resumed()
	}
	switch m.Type {
	case wire.Heartbeat:
	case wire.Goodbye:
		cause := CauseGoodbye
		if m.Cause == goodbyeViolation {
			cause = CausePeerSaw
		}
		s.end(cause)
		return
	default:
		if v := s.owner.Receive(m); v != nil {
			s.violated(m, v)
			return
		}
	}
	s.owner.FrameDone()
}

func (s *Session) violated(m *wire.Message, v *Violation) {
	s.sayGoodbye(goodbyeViolation)
	s.owner.Violated(m, v)
	s.end(CauseViolation)
}

// Rename sets the name that HELLO says.
func (s *Session) Rename(name string) { s.config.Name = name }
