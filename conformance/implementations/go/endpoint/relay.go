// SPDX-License-Identifier: MIT

package endpoint

import (
	"strconv"

	"vpcbus/wire"
)

const (
	relaySecond  = 1000
	relayEntries = 64
)

// relay bounds what a guest can write into the host's log (LOG-8).
type relay struct {
	begun   int64
	started bool
	written int
	left    uint64
}

func (h *Host) receiveEvent(m *wire.Message) {
	r := &h.relay
	if !r.started || h.now >= r.begun+relaySecond {
		h.flushRelay()
		*r = relay{begun: h.now, started: true}
	}
	if r.written >= relayEntries {
		r.left += 1 + m.Lost
		return
	}
	r.written++
	if m.Lost != 0 {
		h.log(idEventsLost, Fields{"count": m.Lost, "cause": "not sent"})
	}
	h.writeRelayed(m)
}

func (h *Host) flushRelay() {
	left := h.relay.left
	h.relay.left = 0
	if left > 0 {
		h.log(idEventsLost, Fields{"count": left, "cause": "too many at once"})
	}
}

// writeRelayed writes an entry of the guest's log to this one (LOG-7).
func (h *Host) writeRelayed(m *wire.Message) {
	id := uint32(m.Event)
	k := catalog[id]
	values := Fields{}
	if k == nil || !k.guest {
		id, k = idGuestEvent, catalog[idGuestEvent]
		values["event_id"] = m.Event
		values["detail"] = m.Detail
	} else if k.detail == "event_id" && m.Detail != "" {
		values["event_id"], _ = strconv.ParseUint(m.Detail, 10, 64)
	} else if k.detail != "" {
		values[k.detail] = m.Detail
	}
	for name, value := range map[string]uint64{"h2g": m.H2G, "g2h": m.G2H, "port": m.Port, "errno": m.Errno} {
		if value != 0 {
			values[name] = value
		}
	}
	values["sent"], values["received"], values["cause"] = m.Sent, m.Received, m.CauseText
	if k.value != "" {
		values[k.value] = m.Value
	}
	h.write(h.entry(id, int(m.Level), "guest", h.relayedFields(k, m, values)))
}

// relayedFields keeps what the catalogue names, and no empty texts.
func (h *Host) relayedFields(k *kind, m *wire.Message, values Fields) Fields {
	fields := Fields{"guest_time": m.Time}
	for name, value := range values {
		if text, isText := value.(string); k.has(name) && !(isText && text == "") {
			fields[name] = value
		}
	}
	if p := h.byID[uint32(m.H2G)]; p != nil && !p.over && p.h2g == uint32(m.H2G) {
		fields["pipe"] = p.pipe
	}
	return fields
}
