// SPDX-License-Identifier: MIT

package endpoint

import (
	"encoding/json"
	"math"

	"vpcbus/wire"
)

// Fields of an entry, an event or an answer.
type Fields map[string]interface{}

const (
	floodEntries = 100 // of one id ...
	floodTime    = 10000
)

// flood counts the entries of one id (LOG-9).
type flood struct {
	begun          int64
	written, quiet int
}

// log writes an entry of this endpoint's own.
func (e *Endpoint) log(id uint32, fields Fields) { e.logAt(id, catalog[id].level, fields) }

func (e *Endpoint) logAt(id uint32, level int, fields Fields) {
	if e.floods(id) {
		return
	}
	entry := e.entry(id, level, e.role.String(), fields)
	e.write(entry)
	e.side.logged(id, level, entry)
}

// entry makes the object of LOG-1.
func (e *Endpoint) entry(id uint32, level int, source string, fields Fields) Fields {
	k := catalog[id]
	entry := Fields{"time": e.config.WallClock(), "id": id, "name": k.name, "level": levels[level],
		"source": source, "vm": e.config.VM, "message": k.message}
	for name, value := range fields {
		entry[name] = bounded(value)
	}
	return entry
}

// bounded is the number as JSON shall show it (LOG-1).
func bounded(value interface{}) interface{} {
	if n, ok := value.(uint64); ok && n > math.MaxInt64 {
		return int64(math.MaxInt64)
	}
	return value
}

func (e *Endpoint) write(entry Fields) {
	e.act(Action{Kind: Log, Text: encode(entry)})
	e.broadcast("EVENT_LOGGED", entry)
}

func (e *Endpoint) floods(id uint32) bool {
	if id == idStartFailed || id == idPipeFailed || id == idEventsLost || id == idSuppressed {
		return false
	}
	f := e.floodOf[id]
	if f == nil {
		f = &flood{begun: e.now}
		e.floodOf[id] = f
	}
	if f.written >= floodEntries {
		f.quiet++
		return true
	}
	f.written++
	return false
}

// clockLog ends the floods that are over; all of them when the endpoint stops.
func (e *Endpoint) clockLog(all bool) {
	for id, f := range e.floodOf {
		if !all && e.now < f.begun+floodTime {
			continue
		}
		delete(e.floodOf, id)
		if f.quiet > 0 {
			e.log(idSuppressed, Fields{"event_id": id, "count": f.quiet})
		}
	}
}

func (e *Endpoint) logDeadline() int64 {
	at := never
	for _, f := range e.floodOf {
		at = least(at, f.begun+floodTime)
	}
	return at
}

func encode(value interface{}) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // only maps of texts and numbers come here
	}
	return text
}

// pairFields are those of every entry about a pair (LOG-2).
func (e *Endpoint) pairFields(p *Pair, more Fields) Fields {
	fields := Fields{"port": p.port}
	if p.h2g != 0 {
		fields["h2g"], fields["g2h"] = p.h2g, p.g2h
	}
	if e.role == wire.Host {
		fields["pipe"] = p.pipe
	}
	for name, value := range more {
		fields[name] = value
	}
	return fields
}
