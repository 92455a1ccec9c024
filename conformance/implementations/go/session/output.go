// SPDX-License-Identifier: MIT

package session

import "vpcbus/wire"

// Output makes the frame to be sent next and hands it over, or nil.
func (s *Session) Output() []byte {
	switch {
	case s.farewell != nil:
		frame := s.farewell
		s.farewell = nil
		return frame
	case s.helloDue:
		return s.helloFrame()
	case s.state != Up:
		return nil
	case s.beatDue:
		s.beatDue = false
		s.beats++
		return s.seal(&wire.Message{Type: wire.Heartbeat, Count: s.beats})
	}
	m := s.owner.NextControl()
	if m == nil {
		m = s.owner.NextData()
	}
	if m == nil {
		return nil
	}
	return s.seal(m)
}

func (s *Session) helloFrame() []byte {
	s.helloDue = false
	s.saidEcho = s.echo
	s.said = s.now
	return wire.EncodeHello(&wire.Message{Type: wire.Hello, Role: uint64(s.config.Role),
		VersionMin: s.config.VersionMin, VersionMax: s.config.VersionMax, MaxPairs: s.config.MaxPairs,
		Epoch: s.epoch, Echo: s.echo, HeartbeatMS: uint64(s.config.Heartbeat),
		Tag: s.config.Tag(), Name: s.config.Name}, wire.Preamble)
}

func (s *Session) seal(m *wire.Message) []byte {
	s.number++
	s.said = s.now
	return wire.Encode(m, s.id, s.number)
}

// Clock tells the time and does what is due.
func (s *Session) Clock(now int64) {
	s.now = now
	switch s.state {
	case Hunting, Mismatched:
		if now >= s.retryAt {
			s.sayHello()
		}
	case BackingOff:
		if now >= s.retryAt {
			s.startAttempt()
		}
	case Up:
		s.clockUp()
	}
}

func (s *Session) clockUp() {
	if s.now-s.said >= s.config.Heartbeat {
		s.beatDue = true
	}
	silent := s.now - s.heard
	if !s.late && silent >= s.config.Late {
		s.late = true
		s.owner.Late(silent)
	}
	if s.config.PeerLimit > 0 && silent >= s.config.PeerLimit {
		s.end(CauseSilent)
	}
}

// Deadline is when Clock must be called at the latest.
func (s *Session) Deadline() int64 {
	if s.state != Up {
		return s.retryAt
	}
	at := Never
	if !s.beatDue {
		at = least(at, s.said+s.config.Heartbeat)
	}
	if !s.late {
		at = least(at, s.heard+s.config.Late)
	}
	if s.config.PeerLimit > 0 {
		at = least(at, s.heard+s.config.PeerLimit)
	}
	return at
}

func least(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}

const slotCount = 30

// Slots is how steadily the peer is heard (RDY-5).
type Slots struct {
	begun, width int64
	whole        int64 // slots that are over
	ring         [slotCount]bool
	current      bool
}

// Begin starts the first slot, of a peer that promised a frame each so many milliseconds.
func (t *Slots) Begin(now int64, heartbeat uint64) {
	if heartbeat < 10 {
		heartbeat = 10
	} else if heartbeat > 60000 {
		heartbeat = 60000
	}
	*t = Slots{begun: now, width: 2 * int64(heartbeat)}
}

// Heard notes a sealed frame.
func (t *Slots) Heard(now int64) {
	t.advance(now)
	t.current = true
}

func (t *Slots) advance(now int64) {
	index := (now - t.begun) / t.width
	if index-t.whole > slotCount {
		t.ring, t.current = [slotCount]bool{}, false
		t.whole = index - slotCount
	}
	for ; t.whole < index; t.whole++ {
		t.ring[t.whole%slotCount] = t.current
		t.current = false
	}
}

// Percent is the share of the last whole slots in which something was heard.
func (t *Slots) Percent(now int64) int {
	t.advance(now)
	count, heard := int(least(t.whole, slotCount)), 0
	if count == 0 {
		return 100
	}
	for i := 0; i < count; i++ {
		if t.ring[(t.whole-1-int64(i))%slotCount] {
			heard++
		}
	}
	return 100 * heard / count
}
