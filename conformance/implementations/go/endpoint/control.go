// SPDX-License-Identifier: MIT

package endpoint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"vpcbus/session"
	"vpcbus/wire"
)

// request is one line of a control client that was understood.
type request struct {
	client    uint32
	id        json.RawMessage
	arguments map[string]json.RawMessage
}

// command carries a request out; it answers now or later.
type command func(r *request)

// ControlOpen greets a client (CTL-1).
func (e *Endpoint) ControlOpen(client uint32) {
	e.act(Action{Kind: Reply, Client: client, Text: encode(Fields{"VPCBus": Fields{"version": Version,
		"role": e.role.String(), "vm": e.config.VM, "implementation": Implementation}})})
}

// ControlLine takes a line without its newline.
func (e *Endpoint) ControlLine(client uint32, line []byte) {
	r := &request{client: client}
	name, err := r.parse(line)
	if err != nil {
		e.fail(r, genericError, err.Error(), nil)
		return
	}
	if do := e.commands(name); do != nil {
		do(r)
		return
	}
	e.fail(r, genericError, fmt.Sprintf("there is no command %q", name), nil)
}

// ControlTooLong answers a line that is longer than 65536 octets (CTL-3).
func (e *Endpoint) ControlTooLong(client uint32) {
	e.fail(&request{client: client}, genericError, "the line is longer than 65536 octets", nil)
}

func (r *request) parse(line []byte) (name string, err error) {
	var object map[string]json.RawMessage
	if !utf8.Valid(line) {
		return "", fmt.Errorf("the line is not UTF-8")
	}
	if err := json.Unmarshal(line, &object); err != nil || object == nil {
		return "", fmt.Errorf("the line is no JSON object")
	}
	r.id = object["id"]
	r.arguments = object
	if name, ok, err := r.text("execute"); err != nil || !ok {
		return "", fmt.Errorf("execute: the name of a command is expected")
	} else if arguments := object["arguments"]; missing(arguments) {
		r.arguments = nil
		return name, nil
	} else if err := json.Unmarshal(arguments, &r.arguments); err != nil {
		return "", fmt.Errorf("arguments: a JSON object is expected")
	} else {
		return name, nil
	}
}

func missing(value json.RawMessage) bool { return value == nil || bytes.Equal(value, []byte("null")) }

// text is an argument of type string; ok tells whether it is there.
func (r *request) text(name string) (value string, ok bool, err error) {
	raw := r.arguments[name]
	if missing(raw) {
		return "", false, nil
	}
	if json.Unmarshal(raw, &value) != nil {
		return "", false, fmt.Errorf("%s: a string is expected", name)
	}
	if strings.ContainsRune(value, utf8.RuneError) && loneSurrogate(raw) {
		return "", false, fmt.Errorf("%s: an escape is half of a character", name)
	}
	return value, true, nil
}

// loneSurrogate tells whether the text of a JSON string has U+FFFD only because the decoder put it there.
func loneSurrogate(raw []byte) bool {
	lower := bytes.ToLower(raw)
	return bytes.Contains(lower, []byte(`\ud`)) && !bytes.ContainsRune(raw, utf8.RuneError) &&
		!bytes.Contains(lower, []byte(`\ufffd`))
}

// number is an argument of type number.
func (r *request) number(name string, standard int64) (value int64, err error) {
	raw := r.arguments[name]
	if missing(raw) {
		return standard, nil
	}
	if json.Unmarshal(raw, &value) != nil {
		return 0, fmt.Errorf("%s: an integer is expected", name)
	}
	return value, nil
}

func (e *Endpoint) answer(r *request, value Fields) { e.reply(r, "return", value) }

func (e *Endpoint) fail(r *request, res result, desc string, more Fields) {
	fields := Fields{"class": res.name, "hresult": hresult(res), "desc": desc}
	for name, value := range more {
		fields[name] = value
	}
	e.reply(r, "error", fields)
}

func (e *Endpoint) reply(r *request, kind string, value Fields) {
	message := Fields{kind: value}
	if r.id != nil {
		message["id"] = r.id
	}
	e.act(Action{Kind: Reply, Client: r.client, Text: encode(message)})
}

func (e *Endpoint) broadcast(event string, data Fields) {
	data["vm"] = e.config.VM
	e.act(Action{Kind: Broadcast,
		Text: encode(Fields{"event": event, "data": data, "time": e.config.WallClock()})})
}

func hresult(res result) string { return fmt.Sprintf("0x%08X", res.value) }

// ---- the commands of both endpoints ----

func (e *Endpoint) commands(name string) command {
	switch name {
	case "query-vm":
		return e.queryVM
	case "query-devices":
		return e.queryDevices
	case "query-stats":
		return e.queryStats
	}
	return e.side.commands()[name]
}

func (e *Endpoint) queryVM(r *request) {
	level, why := e.levelOf()
	version := ""
	if v := e.session.Version(); v != 0 {
		version = versionText(v)
	}
	e.answer(r, Fields{"vm": e.config.VM, "tag": e.config.Tag, "level": level, "missing": why,
		"peer": e.peer, "version": version, "heartbeat": e.percent()})
}

// levelOf is the level of RDY-4, and what keeps it from being ready.
func (e *Endpoint) levelOf() (level, missing string) {
	switch e.session.State() {
	case session.Down, session.Stopped:
		return "down", "the transport is down: the other side does not run"
	case session.Mismatched:
		return "running", "the other side has no version in common"
	case session.Up:
		return e.side.level()
	}
	return "running", "the other side has not greeted yet"
}

func (e *Endpoint) queryDevices(r *request) {
	devices := []Fields{}
	for _, p := range e.pairs {
		if p.over {
			continue
		}
		sending := e.device(p, p.send.ID, p.send.State().String(), p.send.Sent(), p.send.Left())
		receiving := e.device(p, p.recv.ID, p.recv.State().String(), p.recv.Received(), p.recv.Left())
		devices = append(devices, sending, receiving)
	}
	e.answer(r, Fields{"devices": devices})
}

func (e *Endpoint) device(p *Pair, id uint32, state string, count, credit uint64) Fields {
	direction := "h2g"
	if id == p.g2h {
		direction = "g2h"
	}
	fields := Fields{"class": "VPCBus", "name": "Virtual PC Integration Device", "instance": id,
		"direction": direction, "state": state, "port": p.port, "bytes": count, "credit": bounded(credit)}
	if e.role == wire.Host {
		fields["pipe"] = p.pipe
	}
	return fields
}

func (e *Endpoint) queryStats(r *request) {
	e.answer(r, Fields{"sessions": e.stats.sessions, "pairs_open": e.inUse(),
		"pairs_opened": e.stats.opened, "pairs_failed": e.stats.failed})
}

func versionText(v uint64) string { return fmt.Sprintf("%d.%d", v>>8, v&0xff) }

func rangeText(min, max uint64) string { return versionText(min) + "-" + versionText(max) }
