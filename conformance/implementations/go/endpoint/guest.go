// SPDX-License-Identifier: MIT

package endpoint

import (
	"strconv"

	"vpcbus/channel"
	"vpcbus/session"
	"vpcbus/wire"
)

const (
	eventsPerSecond = 32
	eventsWaiting   = 256
)

// Guest is a guest endpoint.
type Guest struct {
	*Endpoint
	ready    bool
	readyDue bool
	events   []*wire.Message // that wait to be sent
	lost     uint64          // given up since the last one sent
	sentAt   []int64         // of the EVENTs of the last second
}

// NewGuest makes one, ready to take channels, whose transport is down.
func NewGuest(config Config) *Guest {
	g := &Guest{Endpoint: newEndpoint(wire.Guest, config), ready: true}
	g.side = g
	g.begin()
	return g
}

// SetReady tells whether it takes channels.
func (g *Guest) SetReady(ready bool) {
	if g.ready != ready {
		g.ready = ready
		g.readyDue = g.session.State() == session.Up
	}
}

func (g *Guest) sessionUp() { g.readyDue = g.ready }

func (g *Guest) sessionLost(string) { g.readyDue = false }

func (g *Guest) commands() map[string]command { return nil }

func (g *Guest) frameDone() {}

func (g *Guest) late() {}

func (g *Guest) stopping() { g.SetReady(false) }

func (g *Guest) unsaid() bool { return g.readyDue }

func (g *Guest) pairOver(*Pair) {}

func (g *Guest) freeName(*Pair) {}

func (g *Guest) closed(*Pair) {}

func (g *Guest) clock() {}

func (g *Guest) level() (level, missing string) {
	switch {
	case g.session.Late():
		return "components", "the host endpoint is not heard: heartbeats are late"
	case g.ready:
		return "ready", ""
	}
	return "components", "this endpoint takes no channels"
}

func (g *Guest) nextControl() *wire.Message {
	if g.readyDue {
		g.readyDue = false
		m := &wire.Message{Type: wire.Ready}
		if g.ready {
			m.Ready = 1
		}
		return m
	}
	return g.nextEvent()
}

// ---- channels ----

func (g *Guest) receive(m *wire.Message) *session.Violation {
	reverse := uint32(m.ReverseChannel)
	if m.Channel == reverse || m.Channel <= g.highestID || reverse <= g.highestID {
		return &session.Violation{Rule: "CHN-1"}
	}
	g.lastStream++
	p := &Pair{h2g: m.Channel, g2h: reverse, port: uint16(m.Port), stream: g.lastStream,
		send: channel.NewSender(reverse, m.Limit), recv: channel.NewReceiver(m.Channel, uint64(g.options.Window)),
		answerBy: never, openBy: never}
	errno := g.judge(p)
	g.addPair(p)
	if errno != 0 {
		g.refuse(p, errno)
		return nil
	}
	p.answerBy = g.now + int64(m.ConnectMS)
	g.act(Action{Kind: Connect, Stream: p.stream, Port: p.port})
	return nil
}

// judge tells why an OPEN is refused at once, or 0 (CHN-5, CHN-10).
func (g *Guest) judge(p *Pair) uint32 {
	switch {
	case !g.ready:
		return errnoAgain
	case g.inUse() >= int(g.options.MaxPairs):
		return errnoNoBufs
	case p.port == 0:
		return errnoInvalid
	case !g.options.allows(p.port):
		g.logConnect(p, errnoAccess)
		return errnoAccess
	}
	return 0
}

func (g *Guest) logConnect(p *Pair, errno uint32) {
	g.stats.failed++
	g.log(idConnect, g.pairFields(p, Fields{"errno": errno, "cause": errnoText(errno)}))
}

func (g *Guest) refuse(p *Pair, errno uint32) {
	p.answerBy = never
	p.send.Refused()
	p.recv.Refused()
	p.answer = &wire.Message{Type: wire.Refused, Channel: p.h2g, Errno: uint64(errno)}
	g.detach(p, Abort)
	g.advance(p)
}

// attached takes the end of a connect.
func (g *Guest) attached(p *Pair, errno uint32) {
	if p.attached {
		return
	}
	p.answerBy = never
	if errno != 0 {
		g.logConnect(p, errno)
		g.refuse(p, errno)
		return
	}
	p.attached = true
	p.send.Opened()
	p.recv.Opened()
	p.answer = &wire.Message{Type: wire.Opened, Channel: p.h2g, Limit: p.recv.Limit()}
	g.logOpened(p)
}

func (g *Guest) unanswered(p *Pair) {
	g.logConnect(p, errnoTimeout)
	g.refuse(p, errnoTimeout)
}

// peerReset ends a pair that the host aborts.  One that is not open yet is refused, unless the host-to-guest channel was
// reset: then there is no answer any more, and the other channel is reset instead (CHN-9).
func (g *Guest) peerReset(p *Pair, sender bool, errno uint32) {
	switch {
	case p.opened:
		if !sender && p.answer != nil {
			p.answer = nil
		}
		g.abort(p, "reset by host", errno)
	case sender:
		g.refuse(p, errno)
	default:
		p.answerBy = never
		g.abort(p, "reset by host", errno)
	}
}

// gone: a program that has finished, and was told of the end, may leave; else its stream is broken (CLS-5).
func (g *Guest) gone(p *Pair, errno uint32) {
	if p.finished && p.recv.State() == channel.Released {
		return
	}
	if errno == 0 {
		errno = errnoReset
	}
	g.abort(p, "local program", errno)
}

// ---- the log goes to the host (LOG-6) ----

func (g *Guest) logged(id uint32, level int, entry Fields) {
	if id >= idsNotSent {
		return
	}
	if len(g.events) == eventsWaiting {
		g.lost += 1 + g.events[0].Lost
		g.events = g.events[1:]
	}
	g.events = append(g.events, eventOf(id, level, entry))
}

func eventOf(id uint32, level int, entry Fields) *wire.Message {
	k := catalog[id]
	m := &wire.Message{Type: wire.Event, Event: uint64(id), Level: uint64(level)}
	for name, field := range map[string]*uint64{"time": &m.Time, "h2g": &m.H2G, "g2h": &m.G2H, "port": &m.Port,
		"errno": &m.Errno, "sent": &m.Sent, "received": &m.Received, k.value: &m.Value} {
		*field = unsigned(entry[name])
	}
	m.CauseText, _ = entry["cause"].(string)
	switch detail := entry[k.detail].(type) {
	case string:
		m.Detail = detail
	case uint32:
		m.Detail = strconv.FormatUint(uint64(detail), 10)
	}
	return m
}

func unsigned(value interface{}) uint64 {
	switch v := value.(type) {
	case int:
		return uint64(v)
	case int64:
		return uint64(v)
	case uint16:
		return uint64(v)
	case uint32:
		return uint64(v)
	case uint64:
		return v
	}
	return 0
}

func (g *Guest) nextEvent() *wire.Message {
	if len(g.events) == 0 || g.eventAt() > g.now {
		return nil
	}
	if len(g.sentAt) == eventsPerSecond {
		g.sentAt = g.sentAt[1:]
	}
	g.sentAt = append(g.sentAt, g.now)
	m := g.events[0]
	g.events = g.events[1:]
	m.Lost, g.lost = g.lost, 0
	return m
}

// eventAt is when the next EVENT may be sent.
func (g *Guest) eventAt() int64 {
	if len(g.sentAt) < eventsPerSecond {
		return 0
	}
	return g.sentAt[0] + 1000
}

// deadline: an entry that waits for its second to be over; one that waits for the bus needs no clock.
func (g *Guest) deadline() int64 {
	if len(g.events) == 0 || g.session.State() != session.Up || g.eventAt() <= g.now {
		return never
	}
	return g.eventAt()
}
