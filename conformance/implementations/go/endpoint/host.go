// SPDX-License-Identifier: MIT

package endpoint

import (
	"vpcbus/channel"
	"vpcbus/session"
	"vpcbus/wire"
)

const readyPerSecond = 16

// Host is a host endpoint.
type Host struct {
	*Endpoint
	ending    bool // it is stopping
	peerReady bool // the guest's last READY
	ready     bool // as it was last told
	readyAt   []int64
	nextID    uint32
	names     map[string]*Pair // by the key of their pipe
	relay     relay

	// Left tells whether the client of a stream has closed, told by now or not; nil: it is not looked.
	Left func(stream uint32) bool
}

// NewHost makes one whose transport is down.
func NewHost(config Config) *Host {
	h := &Host{Endpoint: newEndpoint(wire.Host, config), names: map[string]*Pair{}}
	h.side = h
	h.begin()
	return h
}

func (h *Host) sessionUp() { h.nextID = 1 }

func (h *Host) sessionLost(cause string) {
	h.peerReady = false
	h.readyAt = nil
	h.flushRelay()
	h.tellReady("the session ended: " + cause)
}

func (h *Host) frameDone() { h.tellReady("the guest endpoint takes no channels any more") }

func (h *Host) late() { h.tellReady("heartbeats are late") }

func (h *Host) clock() {
	if h.relay.left > 0 && h.now >= h.relay.begun+relaySecond {
		h.flushRelay()
	}
}

func (h *Host) deadline() int64 {
	if h.relay.left > 0 {
		return h.relay.begun + relaySecond
	}
	return never
}

func (h *Host) nextControl() *wire.Message { return nil }

func (h *Host) stopping() {
	h.ending = true
	h.tellReady("the host endpoint stops")
}

func (h *Host) unsaid() bool { return false }

func (h *Host) logged(uint32, int, Fields) {}

// tellReady logs and announces a change of readiness (RDY-1).
func (h *Host) tellReady(why string) {
	ready := h.session.State() == session.Up && h.peerReady && !h.ending && !h.session.Late()
	if ready == h.ready {
		return
	}
	h.ready = ready
	id, event, fields := uint32(idNotReady), "CHANNEL_NOT_READY", Fields{"tag": h.config.Tag, "cause": why}
	if ready {
		id, event, fields = idReady, "CHANNEL_READY", Fields{"tag": h.config.Tag}
	}
	h.act(Action{Kind: ReadyEvent, Set: ready, Name: `Local\` + h.config.Tag + "_ChannelReady"})
	h.log(id, fields)
	h.broadcast(event, fields)
}

func (h *Host) level() (level, missing string) {
	switch {
	case h.ready:
		return "ready", ""
	case h.session.Late():
		return "components", "the guest endpoint is not heard: heartbeats are late"
	}
	return "components", "the guest endpoint does not take channels"
}

// ---- messages ----

func (h *Host) receive(m *wire.Message) *session.Violation {
	switch m.Type {
	case wire.Ready:
		return h.receiveReady(m)
	case wire.Event:
		h.receiveEvent(m)
		return nil
	}
	p := h.byID[m.Channel]
	if p == nil {
		return h.strayed(m)
	}
	if m.Channel != p.h2g {
		return &session.Violation{Rule: "CHN-3"}
	}
	p.progress = h.now
	if m.Type == wire.Opened {
		return h.receiveOpened(p, m)
	}
	return h.receiveRefused(p, m)
}

// receiveReady bounds how often the guest may say so (SES-18).
func (h *Host) receiveReady(m *wire.Message) *session.Violation {
	if len(h.readyAt) == readyPerSecond {
		if h.now-h.readyAt[0] < 1000 {
			return &session.Violation{Rule: "SES-18"}
		}
		h.readyAt = h.readyAt[1:]
	}
	h.readyAt = append(h.readyAt, h.now)
	h.peerReady = m.Ready == 1
	return nil
}

func (h *Host) receiveOpened(p *Pair, m *wire.Message) *session.Violation {
	if s := p.send.State(); s != channel.Opening && s != channel.Aborting || p.recv.Opened() == channel.Illegal {
		return illegal(p, m)
	}
	p.send.SetLimit(m.Limit)
	p.send.Opened()
	p.answerBy = never
	if p.start != nil {
		h.opened(p)
	}
	h.advance(p)
	return nil
}

func (h *Host) receiveRefused(p *Pair, m *wire.Message) *session.Violation {
	if s := p.send.State(); s != channel.Opening && s != channel.Aborting || p.recv.Refused() == channel.Illegal {
		return illegal(p, m)
	}
	p.send.Refused()
	errno := uint32(m.Errno)
	res, known := refusalResults[errno]
	if !known {
		res = eException
	}
	if p.start != nil {
		h.startFailed(p, res, "the guest refused: "+errnoText(errno), errno)
	}
	h.detach(p, Abort)
	h.advance(p)
	return nil
}

func (h *Host) peerReset(p *Pair, _ bool, errno uint32) {
	if errno == 0 {
		errno = errnoReset
	}
	if p.start != nil {
		h.startFailed(p, eException, "the guest reset the channel", errno)
	}
	h.abort(p, "reset by guest", errno)
}

// unanswered: the guest has not answered an OPEN in time (CHN-8).
func (h *Host) unanswered(p *Pair) {
	if p.start != nil {
		h.startFailed(p, eTimeout, "the guest did not answer", errnoTimeout)
	}
	h.abort(p, "drain timeout", errnoTimeout)
}

// ---- the pipe ----

// attached: a client opened the pipe.
func (h *Host) attached(p *Pair, errno uint32) {
	if errno != 0 || p.attached {
		return
	}
	p.attached = true
	p.openBy = never
	h.log(idPipeOpened, h.pairFields(p, nil))
}

// gone: without an error the client is gone, and what it wrote is drained first (CLS-6); else its stream is broken (CLS-5).
func (h *Host) gone(p *Pair, errno uint32) {
	if errno != 0 {
		h.abort(p, "local program", errno)
		return
	}
	p.gone = true
}

func (h *Host) pairOver(p *Pair) {
	if p.start != nil {
		res, why := eNotReady, "the session ended"
		if h.session.State() == session.Down {
			res = eNotRunning
		}
		h.startFailed(p, res, why, 0)
	}
	h.giveName(p)
}

// freeName gives a name back when its client is gone, or when no byte can flow to it or from it any more (API-13).
func (h *Host) freeName(p *Pair) {
	if p.nameless || !p.opened || !(p.gone || p.detached || p.finished && p.recv.Over()) {
		return
	}
	h.giveName(p)
	h.act(Action{Kind: FreeName, Stream: p.stream})
}

// giveName takes care of a pair that has the name since.
func (h *Host) giveName(p *Pair) {
	p.nameless = true
	if h.names[wire.PipeKey(p.pipe)] == p {
		delete(h.names, wire.PipeKey(p.pipe))
	}
}

// nameInUse looks, before it says that a name is in use, whether the client is still there (API-13).
func (h *Host) nameInUse(pipe string) bool {
	p := h.names[wire.PipeKey(pipe)]
	if p != nil && p.opened && h.Left != nil && h.Left(p.stream) {
		h.StreamGone(p.stream, 0)
		p = h.names[wire.PipeKey(pipe)]
	}
	return p != nil
}

// named is the pair that has the name or, if none has it, the last of those that had it.
func (h *Host) named(pipe string) *Pair {
	last := h.names[wire.PipeKey(pipe)]
	if last != nil {
		return last
	}
	for _, p := range h.byStream {
		if !p.over && wire.PipeKey(p.pipe) == wire.PipeKey(pipe) && (last == nil || p.stream > last.stream) {
			last = p
		}
	}
	return last
}

func (h *Host) closed(p *Pair) {
	if p.stop != nil {
		h.answer(p.stop, Fields{})
		p.stop = nil
	}
}
