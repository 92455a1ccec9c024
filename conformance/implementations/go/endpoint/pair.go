// SPDX-License-Identifier: MIT

package endpoint

import (
	"vpcbus/channel"
	"vpcbus/session"
	"vpcbus/wire"
)

// Pair is one communication channel: its two channels, and the local stream of this side.
type Pair struct {
	h2g, g2h uint32
	port     uint16
	portText string // host: as it was given
	pipe     string // host: the name as it was given
	stream   uint32
	send     *channel.Sender
	recv     *channel.Receiver

	opened   bool // CHANNEL_OPENED was logged
	attached bool // the local stream is there
	finished bool // the local program has finished writing
	stopped  bool // it was told to end, or its endpoint was
	gone     bool // the local program is wholly gone, or counts as such
	detached bool // the local stream was given up
	over     bool // both channels are released, and that was logged
	progress int64
	answerBy int64 // host: of OPEN; guest: of the connect
	openBy   int64 // host: of the pipe
	cause    string
	errno    uint32
	start    *request // host: the call that waits
	stop     *request // host: the stop that waits
	answer   *wire.Message
	path     string // host: where the pipe server is
	nameless bool   // host: its pipe's name is free (API-13)
}

// aborted tells whether the pair ends by an error.
func (p *Pair) aborted() bool { return p.cause != "" }

// runningDown tells whether the end of the pair has begun.
func (p *Pair) runningDown() bool {
	return p.finished || p.gone || p.aborted() || p.send.State() > channel.Open || p.recv.State() > channel.Open
}

// closing tells whether the drain limit counts (CLS-8): the client is gone, or both ends have begun to close.
func (p *Pair) closing() bool {
	return p.opened && !p.aborted() && !p.over && (p.gone || p.ownEnd() && p.recv.State() > channel.Open)
}

// ownEnd tells whether this side's end has begun to close (CLS-13): by the local program, or by a peer that reads no more.
func (p *Pair) ownEnd() bool { return p.finished || p.send.Over() }

func (p *Pair) due() bool { return p.answer != nil || p.send.Due() || p.recv.Due() }

// control makes the pair's next control message.  What opens it or answers its OPEN goes first (CHN-9).
func (p *Pair) control() *wire.Message {
	if m := p.answer; m != nil {
		p.answer = nil
		return m
	}
	if m := p.send.Control(); m != nil {
		return m
	}
	return p.recv.Control()
}

// abort ends both channels by an error (CLS-5), for the first cause that there is.
func (e *Endpoint) abort(p *Pair, cause string, errno uint32) {
	if p.cause == "" {
		p.cause, p.errno = cause, errno
	}
	p.answerBy, p.openBy = never, never // its end is no longer theirs to bring (CLS-10)
	if errno == 0 {
		errno = errnoReset
	}
	p.send.Reset(errno)
	p.recv.Reset(errno)
	e.detach(p, Abort)
}

func (e *Endpoint) detach(p *Pair, how ActionKind) {
	if !p.detached {
		p.detached = true
		e.act(Action{Kind: how, Stream: p.stream})
	}
}

// advance does what the state of a pair asks for, after anything happened to it.
func (e *Endpoint) advance(p *Pair) {
	if p.gone {
		p.recv.Discard()
	}
	if p.recv.Drained() && (p.attached || p.gone) {
		if !p.gone {
			e.act(Action{Kind: Shutdown, Stream: p.stream})
		}
		p.recv.Finish()
	}
	if p.gone && p.finished && p.send.State() == channel.Released && !p.recv.Over() {
		p.recv.Reset(0) // CLS-6
	}
	e.side.freeName(p)
	if !p.over && p.send.State() == channel.Released && p.recv.State() == channel.Released {
		e.finish(p)
	}
	if p.over && !p.due() {
		e.forget(p)
	}
}

// finish ends a pair whose channels are both released (CLS-9).
func (e *Endpoint) finish(p *Pair) {
	p.over = true
	e.detach(p, Close)
	e.side.pairOver(p)
	if p.opened {
		e.logClosed(p)
	}
	e.act(Action{Kind: Forget, Stream: p.stream})
	delete(e.byStream, p.stream)
}

func (e *Endpoint) logClosed(p *Pair) {
	cause, level := p.cause, warning
	if cause == "" {
		cause, level = "closed", info
		if p.stopped {
			cause = "stopped"
		}
	}
	fields := e.pairFields(p, Fields{"cause": cause, "sent": p.send.Sent(), "received": p.recv.Received()})
	if p.errno != 0 {
		fields["errno"] = p.errno
	}
	e.logAt(idClosed, level, fields)
	e.broadcast("CHANNEL_CLOSED", fields)
	e.side.closed(p)
}

func (e *Endpoint) logOpened(p *Pair) {
	p.opened = true
	e.stats.opened++
	p.progress = e.now
	if e.stopBy != never {
		e.finishWriting(p) // it opened while the endpoint stops (SES-17)
	}
	e.log(idOpened, e.pairFields(p, nil))
	e.broadcast("CHANNEL_OPENED", e.pairFields(p, nil))
}

// forget gives the rest of a pair back: nothing of it waits to be sent.
func (e *Endpoint) forget(p *Pair) {
	delete(e.byID, p.h2g)
	delete(e.byID, p.g2h)
	for i, other := range e.pairs {
		if other == p {
			e.pairs = append(e.pairs[:i:i], e.pairs[i+1:]...)
			return
		}
	}
}

// inUse is how many pairs hold a place.
func (e *Endpoint) inUse() (n int) {
	for _, p := range e.pairs {
		if !p.over {
			n++
		}
	}
	return n
}

func (e *Endpoint) addPair(p *Pair) {
	e.pairs = append(e.pairs, p)
	e.byID[p.h2g], e.byID[p.g2h] = p, p
	e.byStream[p.stream] = p
	for _, id := range [...]uint32{p.h2g, p.g2h} {
		if id > e.highestID {
			e.highestID = id
		}
	}
}

// lose releases every pair of a session that ended for this cause, and tells how many there were (SES-11).
func (e *Endpoint) lose(cause string) (count int) {
	pairs := e.pairs
	for _, p := range pairs {
		p.answer = nil
		if p.over {
			continue
		}
		count++
		if p.cause == "" && cause == session.CauseStopped {
			p.stopped = true
		} else if p.cause == "" {
			p.cause = "session lost"
		}
		p.send.Lost()
		p.recv.Lost()
		e.detach(p, Abort)
		e.finish(p)
	}
	e.pairs, e.turn = nil, 0
	e.byID = map[uint32]*Pair{}
	e.highestID = 0
	return count
}

// ---- timers ----

func (e *Endpoint) pairDeadline(p *Pair) int64 {
	at := least(p.answerBy, p.openBy)
	if p.closing() {
		at = least(at, p.progress+e.options.Drain)
	}
	return at
}

func (e *Endpoint) clockPair(p *Pair) {
	if p.over || e.now < e.pairDeadline(p) {
		return
	}
	switch {
	case e.now >= p.answerBy:
		p.answerBy = never
		e.side.unanswered(p)
	case e.now >= p.openBy:
		p.openBy = never
		e.log(idPipeUnused, e.pairFields(p, Fields{"cause": "nobody opened the pipe within pipe_open_ms"}))
		e.abort(p, "pipe unused", errnoTimeout)
	default:
		e.log(idDrain, e.pairFields(p, Fields{"cause": "no progress within drain_ms"}))
		e.abort(p, "drain timeout", errnoTimeout)
	}
	e.advance(p)
}
