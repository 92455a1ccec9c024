// SPDX-License-Identifier: MIT

// Package endpoint is a host or guest endpoint of VPCBus without input and output: time, octets, control lines and what
// local streams do go in; octets, log entries, answers and actions come out.  A shell around it does the rest.
//
// After each call the shell takes all actions, then whatever output it has room for.
package endpoint

import (
	"vpcbus/channel"
	"vpcbus/session"
	"vpcbus/wire"
)

// Implementation is the name in HELLO and in the log.
const (
	Implementation = "VPCBus in Go"
	Version        = "1.0"
)

const never = session.Never

// What a local program has written waits here until the peer takes it.
const sendBuffer = 128 << 10

// ActionKind is what the shell shall do.
type ActionKind uint8

// The actions.  Close, Abort and Hangup leave the pipe's name reserved; FreeName and Forget give it back.
const (
	Listen     ActionKind = iota // host: make the pipe server Name for Stream, without clients yet; answer with Listening
	Accept                       // host: the pipe can be opened now
	Connect                      // guest: connect to 127.0.0.1:Port; answer with StreamOpened
	Shutdown                     // all output of Stream was delivered: end this direction
	Hangup                       // host: as if the client had closed: nothing more of it but what it wrote already
	Close                        // close Stream in an orderly way
	Abort                        // abort it: a TCP reset, never a FIN
	Forget                       // nothing more about Stream follows
	Reply                        // send the line Text to Client
	Broadcast                    // send it to every client
	Log                          // append it to the event log
	Stopped                      // nothing more comes but the last frames of BusOutput
	ReadyEvent                   // host: the ready event Name is Set, or not
	FreeName                     // host: the pipe server of Stream ends, and its name is free (API-13); the connection stays
)

// Action is one of them.
type Action struct {
	Kind   ActionKind
	Stream uint32
	Client uint32
	Port   uint16
	Set    bool
	Name   string
	Text   []byte
}

// Config of an endpoint.
type Config struct {
	VM, Tag   string
	Options   Options
	Random    func() uint64
	WallClock func() int64 // milliseconds
}

// side is what host and guest do differently.
type side interface {
	sessionUp()
	sessionLost(cause string)
	receive(m *wire.Message) *session.Violation // READY, EVENT, OPEN, OPENED, REFUSED
	peerReset(p *Pair, sender bool, errno uint32)
	frameDone()
	late()
	nextControl() *wire.Message
	commands() map[string]command
	stopping()
	unsaid() bool
	level() (level, missing string)
	pairOver(p *Pair)
	freeName(p *Pair)
	closed(p *Pair)
	unanswered(p *Pair)
	gone(p *Pair, errno uint32)
	attached(p *Pair, errno uint32)
	logged(id uint32, level int, entry Fields)
	clock()
	deadline() int64
}

// Endpoint is a host or guest endpoint.
type Endpoint struct {
	role    wire.Role
	config  Config
	options *Options
	now     int64
	session *session.Session
	side    side
	actions []Action
	floodOf map[uint32]*flood

	pairs      []*Pair
	byID       map[uint32]*Pair
	byStream   map[uint32]*Pair
	highestID  uint32 // of the session
	lastStream uint32
	turn       int   // whose DATA is next
	stopBy     int64 // when a stop waits no longer; never: not stopping

	peer      string
	peerPairs int64
	tagHeard  bool // host: the tag is the one of the last HELLO
	heartbeat int  // percent, as last told
	stats     struct{ sessions, opened, failed int }
}

func newEndpoint(role wire.Role, config Config) *Endpoint {
	e := &Endpoint{role: role, stopBy: never, config: config, floodOf: map[uint32]*flood{},
		byID: map[uint32]*Pair{}, byStream: map[uint32]*Pair{}}
	e.options = &e.config.Options
	o := e.options
	e.session = session.New(session.Config{Role: role, VersionMin: uint64(o.VersionMin),
		VersionMax: uint64(o.VersionMax), MaxPairs: uint64(o.MaxPairs), HelloInterval: o.HelloInterval,
		Heartbeat: o.Heartbeat, Late: o.Late, PeerLimit: o.PeerLimit, BackoffMax: o.BackoffMax,
		Name: Implementation + " " + Version, Tag: e.ownTag,
		Random: config.Random}, (*owner)(e))
	return e
}

// ownTag is what a HELLO tells: no guest is told what one has told us (MSG-3).
func (e *Endpoint) ownTag() string {
	if e.tagHeard {
		return ""
	}
	return e.config.Tag
}

func (e *Endpoint) begin() *Endpoint {
	e.log(idStarted, Fields{"implementation": Implementation, "version": Version})
	return e
}

func (e *Endpoint) act(a Action) { e.actions = append(e.actions, a) }

// Actions takes what there is to do.
func (e *Endpoint) Actions() []Action {
	e.clockStop()
	actions := e.actions
	e.actions = nil
	return actions
}

// ---- time ----

// Clock tells the time, in milliseconds that never run backwards, and does what is due.
func (e *Endpoint) Clock(now int64) {
	e.now = now
	e.session.Clock(now)
	for _, p := range e.pairs {
		e.clockPair(p)
	}
	e.side.clock()
	e.clockLog(false)
	e.clockStop()
}

// Deadline is when Clock must be called at the latest.
func (e *Endpoint) Deadline() int64 {
	at := least(least(e.session.Deadline(), e.side.deadline()), e.logDeadline())
	if e.session.State() != session.Stopped {
		at = least(at, e.stopBy)
	}
	for _, p := range e.pairs {
		if !p.over {
			at = least(at, e.pairDeadline(p))
		}
	}
	return at
}

func least(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}

// ---- the bus ----

// BusUp and BusDown tell of the transport.
func (e *Endpoint) BusUp() {
	e.log(idTransportUp, nil)
	e.session.TransportUp()
}

// BusDown tells why the transport ended.
func (e *Endpoint) BusDown(why string) {
	e.log(idTransport, Fields{"cause": why})
	e.session.TransportDown()
}

// BusInput takes octets of the peer.
func (e *Endpoint) BusInput(octets []byte) { e.session.Input(octets) }

// BusOutput hands over the next frame to send, or nil.
func (e *Endpoint) BusOutput() []byte { return e.session.Output() }

// BusWanted tells whether input is wanted.  Answers that wait because the peer does not read are bounded by not reading
// what asks for more of them (FLW-5).
func (e *Endpoint) BusWanted() bool { return len(e.pairs) < 4*int(e.options.MaxPairs)+1024 }

// ResourcesShort tells that a client of the socket has to wait (CTL-7).
func (e *Endpoint) ResourcesShort(socket string, errno uint32) {
	e.log(idShort, Fields{"socket": socket, "errno": errno, "cause": errnoText(errno)})
}

// ReadyFailed tells that other processes do not see the ready event as it should be.
func (e *Endpoint) ReadyFailed(event string, errno uint32) {
	e.log(idReadyFailed, Fields{"event": event, "errno": errno, "cause": errnoText(errno)})
}

// Stop ends everything: no more channels are taken, the local programs count as having finished, and when every pair has
// drained, or after so many milliseconds, GOODBYE is the last frame of BusOutput.  Stopped tells of that.
func (e *Endpoint) Stop(limit int64) {
	e.stopBy = e.now + limit
	e.side.stopping()
	for _, p := range e.pairs {
		if p.opened && !p.over && !p.aborted() && !p.finished {
			e.finishWriting(p)
			e.advance(p)
		}
	}
	e.clockStop()
}

// clockStop ends a stop that waits for nothing any more.
func (e *Endpoint) clockStop() {
	state := e.session.State()
	waits := e.now < e.stopBy && state == session.Up && (len(e.pairs) > 0 || e.side.unsaid())
	if e.stopBy == never || state == session.Stopped || waits {
		return
	}
	e.session.Stop()
	e.clockLog(true)
	e.log(idStopped, Fields{"cause": "told to stop"})
	e.act(Action{Kind: Stopped})
}

// ---- local streams ----

// StreamOpened tells that a client opened the pipe, or whether the connect succeeded.
func (e *Endpoint) StreamOpened(stream, errno uint32) {
	if p := e.byStream[stream]; p != nil && !p.detached {
		e.side.attached(p, errno)
		e.advance(p)
	}
}

// StreamRoom tells whether StreamInput is wanted.
func (e *Endpoint) StreamRoom(stream uint32) bool {
	p := e.byStream[stream]
	return p == nil || p.send.Over() || p.send.Waiting() < sendBuffer
}

// StreamInput takes octets of the local program.
func (e *Endpoint) StreamInput(stream uint32, octets []byte) {
	if p := e.byStream[stream]; p != nil {
		p.send.Write(octets)
	}
}

// StreamEOF tells that the local program has finished writing.
func (e *Endpoint) StreamEOF(stream uint32) {
	if p := e.byStream[stream]; p != nil && !p.finished {
		e.finishWriting(p)
		e.advance(p)
	}
}

func (e *Endpoint) finishWriting(p *Pair) {
	p.finished = true
	p.progress = e.now
	p.send.Finish()
}

// StreamGone tells that the local program is wholly gone, with an errno or 0.
func (e *Endpoint) StreamGone(stream, errno uint32) {
	if p := e.byStream[stream]; p != nil && !p.detached && !p.gone {
		p.progress = e.now
		e.side.gone(p, errno)
		e.advance(p)
	}
}

// StreamOutput hands over octets for the local program, at most n.
func (e *Endpoint) StreamOutput(stream uint32, n int) []byte {
	p := e.byStream[stream]
	if p == nil || p.detached || p.gone || !p.attached {
		return nil
	}
	return p.recv.Take(n)
}

// StreamSent tells how many of them it got; those that nobody will get count too.
func (e *Endpoint) StreamSent(stream uint32, n int) {
	if p := e.byStream[stream]; p != nil {
		p.recv.Delivered(n)
		p.progress = e.now
		e.advance(p)
	}
}

// ---- what the session says ----

// owner is the endpoint as its session sees it.
type owner Endpoint

func (o *owner) SessionUp(peer *wire.Message) {
	e := (*Endpoint)(o)
	e.peer, e.peerPairs = peer.Name, int64(peer.MaxPairs)
	e.stats.sessions++
	if e.role == wire.Host && (e.config.Tag == "" || e.tagHeard) {
		e.config.Tag, e.tagHeard = peer.Tag, true // API-15
	}
	e.log(idSessionUp, Fields{"version": versionText(e.session.Version()), "peer": peer.Name, "tag": peer.Tag})
	e.side.sessionUp()
	e.tellHeartbeat()
}

func (o *owner) SessionLost(cause string) {
	e := (*Endpoint)(o)
	if cause == session.CauseTransport {
		e.peer = ""
	}
	pairs := e.lose(cause)
	level := warning
	if cause == session.CauseStopped {
		level = info
	}
	e.logAt(idSessionLost, level, Fields{"cause": cause, "pairs": pairs})
	e.side.sessionLost(cause)
	e.tellHeartbeat()
}

func (o *owner) Mismatch(peer *wire.Message) {
	e := (*Endpoint)(o)
	e.peer = peer.Name
	e.log(idMismatch, Fields{"local_versions": rangeText(uint64(e.options.VersionMin), uint64(e.options.VersionMax)),
		"peer_versions": rangeText(peer.VersionMin, peer.VersionMax), "peer": peer.Name})
}

func (o *owner) FramingLost(why string) { (*Endpoint)(o).log(idFraming, Fields{"cause": why}) }

func (o *owner) Late(silent int64) {
	e := (*Endpoint)(o)
	e.log(idLate, Fields{"silent_ms": silent})
	e.side.late()
	e.tellHeartbeat()
}

func (o *owner) Resumed() { (*Endpoint)(o).log(idResumed, nil) }

func (o *owner) FrameDone() {
	e := (*Endpoint)(o)
	e.side.frameDone()
	e.tellHeartbeat()
}

func (o *owner) Violated(m *wire.Message, v *session.Violation) {
	e := (*Endpoint)(o)
	fields := Fields{}
	if p := e.byID[m.Channel]; p != nil {
		fields = e.pairFields(p, nil)
	}
	if m.Channel != 0 {
		fields["channel"] = m.Channel
	}
	fields["cause"], fields["frame"] = v.Rule, m.Type.String()
	e.log(idViolation, fields)
}

func (o *owner) NextControl() *wire.Message {
	e := (*Endpoint)(o)
	if m := e.side.nextControl(); m != nil {
		return m
	}
	for _, p := range e.pairs {
		if m := p.control(); m != nil {
			p.progress = e.now
			if p.over && !p.due() {
				e.forget(p)
			}
			return m
		}
	}
	return nil
}

// NextData lets pairs take turns, one frame each (FLW-6).
func (o *owner) NextData() *wire.Message {
	e := (*Endpoint)(o)
	for i := range e.pairs {
		at := (e.turn + i) % len(e.pairs)
		p := e.pairs[at]
		if m := p.send.Data(); m != nil {
			e.turn = at + 1
			p.progress = e.now
			return m
		}
	}
	return nil
}

func (o *owner) Receive(m *wire.Message) *session.Violation {
	e := (*Endpoint)(o)
	switch m.Type {
	case wire.Ready, wire.Event, wire.Open, wire.Opened, wire.Refused:
		return e.side.receive(m)
	}
	p := e.byID[m.Channel]
	if p == nil {
		return e.strayed(m)
	}
	if m.Type != wire.Credit || m.Channel != p.send.ID || m.Limit > p.send.Limit() { // CLS-8
		p.progress = e.now
	}
	switch verdict := e.toEnd(p, m); verdict {
	case channel.Illegal:
		return illegal(p, m)
	case channel.Broken:
		e.log(idViolation, e.pairFields(p, Fields{"cause": "FLW-4", "frame": m.Type.String(), "channel": m.Channel}))
		e.abort(p, "protocol violation", errnoProto)
	}
	e.advance(p)
	return nil
}

// strayed judges a message of a channel that this endpoint knows nothing of any more, or never knew (CHN-2).
func (e *Endpoint) strayed(m *wire.Message) *session.Violation {
	if m.Type == wire.Reset && m.Channel <= e.highestID {
		return nil
	}
	return &session.Violation{Rule: "CHN-2"}
}

func illegal(p *Pair, m *wire.Message) *session.Violation {
	sender := m.Channel == p.send.ID
	switch {
	case sender && p.send.State() == channel.Released, !sender && p.recv.State() == channel.Released:
		return &session.Violation{Rule: "CHN-2"}
	case sender && (m.Type == wire.Data || m.Type == wire.Fin), !sender && m.Type == wire.Credit:
		return &session.Violation{Rule: "CHN-3"}
	}
	return &session.Violation{Rule: "SES-14"}
}

// toEnd gives a message to the end that its id and type name.
func (e *Endpoint) toEnd(p *Pair, m *wire.Message) channel.Verdict {
	sender := m.Channel == p.send.ID
	switch {
	case m.Type == wire.Reset:
		e.peerReset(p, sender, uint32(m.Errno))
		return channel.Fits
	case m.Type == wire.Released && sender:
		return p.send.PeerReleased()
	case m.Type == wire.Released:
		return p.recv.PeerReleased()
	case m.Type == wire.Credit && sender:
		return p.send.Credit(m.Limit)
	case m.Type == wire.Data && !sender:
		return p.recv.Data(m.Offset, m.Payload)
	case m.Type == wire.Fin && !sender:
		return p.recv.Fin(m.Offset)
	}
	return channel.Illegal
}

// peerReset takes a RESET.  With 0 from the receiving end it ends one direction only: nobody reads there any more.
func (e *Endpoint) peerReset(p *Pair, sender bool, errno uint32) {
	news := false
	if sender {
		news = p.send.PeerReset()
	} else {
		news = p.recv.PeerReset()
	}
	if news && (!sender || errno != 0) {
		e.side.peerReset(p, sender, errno)
	}
}

func (e *Endpoint) tellHeartbeat() {
	percent := e.percent()
	if percent != e.heartbeat {
		e.heartbeat = percent
		e.broadcast("HEARTBEAT", Fields{"heartbeat": percent})
	}
}

func (e *Endpoint) percent() int {
	if e.session.State() != session.Up {
		return 0
	}
	return e.session.Slots.Percent(e.now)
}
