// SPDX-License-Identifier: MIT

// Package channel is the two ends of a one-way channel (VPCBUS.md, section 7; vpc_sending_channel and vpc_receiving_channel
// of lifecycle.rl), without input and output.  Messages that wait to be sent wait as facts; Control and Data make them.
package channel

import "vpcbus/wire"

// State of an end.
type State uint8

// The states; Closing is of a sending end, Draining of a receiving end.
const (
	Opening State = iota
	Open
	Closing
	Draining
	Aborting
	Released
)

var stateNames = [...]string{"opening", "open", "closing", "draining", "aborting", "released"}

func (s State) String() string { return stateNames[s] }

// Verdict is what a received message is to an end.
type Verdict uint8

// The verdicts: it fits; it is illegal in the end's state, which ends the session (SES-14); it breaks the channel (FLW-4).
const (
	Fits Verdict = iota
	Illegal
	Broken
)

// end is what both ends have in common.
type end struct {
	ID          uint32
	state       State
	resetDue    bool
	resetErrno  uint32
	releasedDue bool
}

// State is the state.
func (e *end) State() State { return e.state }

// Over tells whether nothing flows through the channel any more.
func (e *end) Over() bool { return e.state == Aborting || e.state == Released }

// Due tells whether a control message waits.
func (e *end) Due() bool { return e.resetDue || e.releasedDue }

// Reset aborts the channel (CLS-4).
func (e *end) Reset(errno uint32) {
	if e.Over() {
		return
	}
	e.state = Aborting
	e.resetDue, e.resetErrno = true, errno
}

// PeerReset takes a RESET, which is legal always, and tells whether it says something new.
func (e *end) PeerReset() (news bool) {
	switch e.state {
	case Released:
		return false
	case Aborting:
		e.releasedDue = true
		return false
	}
	e.state = Released
	e.releasedDue = true
	return true
}

// Opened takes or notes the answer to OPEN.
func (e *end) Opened() Verdict {
	switch e.state {
	case Opening:
		e.state = Open
	case Aborting, Released:
	default:
		return Illegal
	}
	return Fits
}

// Refused takes or notes it; REFUSED is the last word on both channels, so what else waits is dropped.
func (e *end) Refused() Verdict {
	switch e.state {
	case Opening, Aborting, Released:
		e.release()
		return Fits
	}
	return Illegal
}

// Lost releases the channel with its session.
func (e *end) Lost() { e.release() }

func (e *end) release() {
	e.state = Released
	e.resetDue, e.releasedDue = false, false
}

// peerReleased releases the channel by the peer's last word.  A RESET that still waits is dropped (CLS-4), but not the
// RELEASED that answers the peer's own RESET, which crossed ours: the peer waits for it.
func (e *end) peerReleased() Verdict {
	e.state = Released
	e.resetDue = false
	return Fits
}

// control makes RESET or RELEASED.  RESET goes first: a RESET behind a RELEASED would find a released id, where it is passed
// over (CHN-2), and no RELEASED would answer it.
func (e *end) control(offset uint64) *wire.Message {
	switch {
	case e.resetDue:
		e.resetDue = false
		return &wire.Message{Type: wire.Reset, Channel: e.ID, Errno: uint64(e.resetErrno)}
	case e.releasedDue:
		e.releasedDue = false
		return &wire.Message{Type: wire.Released, Channel: e.ID, Offset: offset}
	}
	return nil
}

// Sender is the sending end.
type Sender struct {
	end
	limit, sent uint64
	waiting     buffer
	finishing   bool // the local program has finished writing
}

// NewSender makes one that opens, with the credit that it has from the start.
func NewSender(id uint32, limit uint64) *Sender {
	return &Sender{end: end{ID: id}, limit: limit}
}

// Sent is how many bytes went onto the bus.
func (s *Sender) Sent() uint64 { return s.sent }

// Limit is the peer's credit.
func (s *Sender) Limit() uint64 { return s.limit }

// Left is how many bytes the peer's credit still allows.
func (s *Sender) Left() uint64 { return s.limit - s.sent }

// Waiting is how many bytes wait for credit or for their turn.
func (s *Sender) Waiting() int { return s.waiting.n }

// SetLimit is the credit that came with OPENED.
func (s *Sender) SetLimit(limit uint64) { s.limit = limit }

// Write takes bytes of the local program; they are dropped when nobody wants them any more.
func (s *Sender) Write(octets []byte) {
	if !s.Over() {
		s.waiting.append(octets)
	}
}

// Finish notes that no byte follows (CLS-1).
func (s *Sender) Finish() { s.finishing = true }

// Reset aborts the channel.
func (s *Sender) Reset(errno uint32) {
	s.end.Reset(errno)
	s.waiting.clear()
}

// PeerReset takes a RESET of the receiving end.
func (s *Sender) PeerReset() (news bool) {
	news = s.end.PeerReset()
	s.waiting.clear()
	return news
}

// Credit takes a CREDIT.
func (s *Sender) Credit(limit uint64) Verdict {
	switch s.state {
	case Open, Closing:
		if limit < s.limit {
			return Broken
		}
		s.limit = limit
	case Aborting:
	default:
		return Illegal
	}
	return Fits
}

// PeerReleased takes a RELEASED.
func (s *Sender) PeerReleased() Verdict {
	if s.state != Closing && s.state != Aborting {
		return Illegal
	}
	return s.peerReleased()
}

// Control makes the control message that waits, or nil.
func (s *Sender) Control() *wire.Message { return s.control(s.sent) }

// Data makes the next DATA or FIN, or nil.
func (s *Sender) Data() *wire.Message {
	if s.state != Open {
		return nil
	}
	if n := s.sendable(); n > 0 {
		m := &wire.Message{Type: wire.Data, Channel: s.ID, Offset: s.sent, Payload: s.waiting.take(n)}
		s.sent += uint64(len(m.Payload))
		return m
	}
	if s.finishing && s.waiting.n == 0 {
		s.state = Closing
		return &wire.Message{Type: wire.Fin, Channel: s.ID, Offset: s.sent}
	}
	return nil
}

func (s *Sender) sendable() int {
	n := s.waiting.n
	if n > wire.MaxPayload {
		n = wire.MaxPayload
	}
	if left := s.Left(); uint64(n) > left {
		n = int(left)
	}
	return n
}

// Receiver is the receiving end.
type Receiver struct {
	end
	window, limit       uint64
	received, delivered uint64
	waiting             buffer
	underWay            int // bytes taken by Take, not yet delivered
}

// NewReceiver makes one that opens and has granted its window.
func NewReceiver(id uint32, window uint64) *Receiver {
	return &Receiver{end: end{ID: id}, window: window, limit: window}
}

// Received is how many bytes came off the bus.
func (r *Receiver) Received() uint64 { return r.received }

// Limit is the credit as last granted.
func (r *Receiver) Limit() uint64 { return r.limit }

// Left is how many bytes the peer may still send.
func (r *Receiver) Left() uint64 { return r.limit - r.received }

// Data takes a DATA.
func (r *Receiver) Data(offset uint64, payload []byte) Verdict {
	switch r.state {
	case Open:
		if offset != r.received || uint64(len(payload)) > r.limit-r.received {
			return Broken
		}
		r.received += uint64(len(payload))
		r.waiting.append(payload)
	case Aborting:
	default:
		return Illegal
	}
	return Fits
}

// Fin takes a FIN.
func (r *Receiver) Fin(offset uint64) Verdict {
	switch r.state {
	case Open:
		if offset != r.received {
			return Broken
		}
		r.state = Draining
	case Aborting:
	default:
		return Illegal
	}
	return Fits
}

// Reset aborts the channel.
func (r *Receiver) Reset(errno uint32) {
	r.end.Reset(errno)
	r.waiting.clear()
}

// PeerReset takes a RESET of the sending end.
func (r *Receiver) PeerReset() (news bool) {
	news = r.end.PeerReset()
	r.waiting.clear()
	return news
}

// PeerReleased takes a RELEASED, the answer to a RESET.
func (r *Receiver) PeerReleased() Verdict {
	if r.state != Aborting {
		return Illegal
	}
	return r.peerReleased()
}

// Take hands over at most n bytes for the local program; Delivered tells how many of them it got.
func (r *Receiver) Take(n int) []byte {
	octets := r.waiting.take(n)
	r.underWay += len(octets)
	return octets
}

// Delivered notes bytes that the local program got.
func (r *Receiver) Delivered(n int) {
	r.delivered += uint64(n)
	r.underWay -= n
}

// Discard delivers all that waits to nobody: the local program is gone.
func (r *Receiver) Discard() {
	r.delivered += uint64(r.waiting.n)
	r.waiting.clear()
}

// Drained tells whether FIN came and every byte before it was delivered.
func (r *Receiver) Drained() bool {
	return r.state == Draining && r.waiting.n == 0 && r.underWay == 0
}

// Finish is the last word of a receiving end that delivered every byte and the end (CLS-3).
func (r *Receiver) Finish() {
	r.state = Released
	r.releasedDue = true
}

// creditDue tells whether half of the window was delivered since the last limit (FLW-3).  A draining end gives credit for
// all that it delivers but the last: it is the progress that the other end sees (CLS-12).
func (r *Receiver) creditDue() bool {
	gain := r.delivered + r.window - r.limit
	if r.state == Draining {
		return gain > 0 && !r.Drained()
	}
	return r.state == Open && gain > 0 && gain >= (r.window+1)/2
}

// Due tells whether a control message waits.
func (r *Receiver) Due() bool { return r.end.Due() || r.creditDue() }

// Control makes the control message that waits, or nil.
func (r *Receiver) Control() *wire.Message {
	if m := r.control(r.delivered); m != nil {
		return m
	}
	if !r.creditDue() {
		return nil
	}
	r.limit = r.delivered + r.window
	return &wire.Message{Type: wire.Credit, Channel: r.ID, Limit: r.limit}
}
