// SPDX-License-Identifier: MIT

package endpoint

import (
	"strconv"

	"vpcbus/channel"
	"vpcbus/session"
	"vpcbus/wire"
)

const (
	namedPipe = 0
	tcpIP     = 1
)

func (h *Host) commands() map[string]command {
	return map[string]command{"start": h.startCommand, "stop": h.stopCommand, "set-tag": h.setTagCommand}
}

// call is a StartCommunicationChannel as it was asked for.
type call struct {
	hostType, guestType   int64
	hostName, guestName   string
	hasHost, hasGuestName bool
}

func parseCall(r *request) (c call, err error) {
	if c.hostType, err = r.number("host-type", namedPipe); err != nil {
		return c, err
	}
	if c.guestType, err = r.number("guest-type", tcpIP); err != nil {
		return c, err
	}
	if c.hostName, c.hasHost, err = r.text("host-name"); err != nil {
		return c, err
	}
	c.guestName, c.hasGuestName, err = r.text("guest-name")
	return c, err
}

// startCommand is StartCommunicationChannel; its checks are in the order of API-8.
func (h *Host) startCommand(r *request) {
	c, err := parseCall(r)
	if err != nil {
		h.fail(r, genericError, err.Error(), nil)
		return
	}
	h.lastStream++
	p := &Pair{pipe: c.hostName, port: wire.ParsePort(c.guestName), portText: c.guestName, stream: h.lastStream, start: r,
		answerBy: never, openBy: never}
	if res, why := h.judge(c, p); res != sOK {
		h.startFailed(p, res, why, 0)
		return
	}
	h.names[wire.PipeKey(p.pipe)] = p
	h.byStream[p.stream] = p
	p.send, p.recv = channel.NewSender(0, 0), channel.NewReceiver(0, 0)
	if fault := uint32(h.options.Fault); fault != 0 {
		h.Listening(p.stream, fault, "")
		return
	}
	h.act(Action{Kind: Listen, Stream: p.stream, Name: p.pipe})
}

func (h *Host) judge(c call, p *Pair) (res result, why string) {
	switch {
	case c.hostType != namedPipe || c.guestType != tcpIP:
		return eInvalidArg, "the endpoint types are not named pipe and TCP/IP"
	case !c.hasHost || !wire.ValidPipe(c.hostName):
		return ePointer, "the host endpoint's name is no pipe name"
	case !c.hasGuestName || p.port == 0:
		return ePointer, "the guest endpoint's name is no port"
	case h.session.State() == session.Down || h.session.State() == session.Stopped:
		return eNotRunning, "the virtual machine is not running"
	case h.session.State() == session.Mismatched:
		return eMismatch, "host and guest have no version in common"
	case !h.ready:
		_, missing := h.levelOf()
		return eNotReady, missing
	case h.nameInUse(p.pipe):
		return eAlreadyExists, "the pipe name is in use"
	}
	return sOK, ""
}

// Listening answers Listen: an errno, or 0 and where the pipe server is.
func (h *Host) Listening(stream, errno uint32, path string) {
	p := h.byStream[stream]
	if p == nil {
		return
	}
	res, why := h.judgePipe(errno)
	if res != sOK {
		h.giveName(p)
		delete(h.byStream, stream)
		h.act(Action{Kind: Abort, Stream: stream})
		h.act(Action{Kind: Forget, Stream: stream})
		if errno != 0 && res != eAlreadyExists && res != eMaxSessions && res != ePipeBusy {
			h.log(idPipeFailed, h.pairFields(p, Fields{"errno": errno, "cause": errnoText(errno)}))
			h.startFailed(p, res, why, errno)
			return
		}
		h.startFailed(p, res, why, 0)
		return
	}
	h.open(p, path)
}

// judgePipe goes on with the checks where the pipe server's making comes in (API-6, API-7, API-16).
func (h *Host) judgePipe(errno uint32) (res result, why string) {
	if errno == errnoInUse {
		return eAlreadyExists, "the pipe name is in use by another virtual machine"
	}
	if res := h.room(); res != sOK {
		return res, "every pair is in use"
	}
	if errno == 0 {
		return sOK, ""
	}
	if res, known := pipeFailResults[errno]; known {
		return res, "the pipe server can not be made: " + errnoText(errno)
	}
	return eException, "the pipe server can not be made: " + errnoText(errno)
}

func (h *Host) room() result {
	most := least(h.options.MaxPairs, h.peerPairs)
	if int64(h.inUse()) < most {
		return sOK
	}
	for _, p := range h.pairs {
		if !p.over && p.runningDown() {
			return ePipeBusy
		}
	}
	return eMaxSessions
}

// open sends OPEN (CHN-1).
func (h *Host) open(p *Pair, path string) {
	p.path = path
	p.h2g, p.g2h = h.nextID, h.nextID+1
	h.nextID += 2
	p.send = channel.NewSender(p.h2g, 0)
	p.recv = channel.NewReceiver(p.g2h, uint64(h.options.Window))
	h.addPair(p)
	p.answerBy = h.now + h.options.Connect + h.options.Late
	p.answer = &wire.Message{Type: wire.Open, Channel: p.h2g, ReverseChannel: uint64(p.g2h), Port: uint64(p.port),
		ConnectMS: uint64(h.options.Connect), Limit: p.recv.Limit()}
}

// opened answers the call with S_OK (API-9).
func (h *Host) opened(p *Pair) {
	h.act(Action{Kind: Accept, Stream: p.stream})
	p.openBy = h.now + h.options.PipeOpen
	h.logOpened(p)
	h.answer(p.start, Fields{"hresult": hresult(sOK), "pipe": p.pipe, "path": p.path, "port": p.port,
		"h2g": p.h2g, "g2h": p.g2h})
	p.start = nil
}

// startFailed logs and answers (API-11, LOG-4).
func (h *Host) startFailed(p *Pair, res result, why string, errno uint32) {
	h.stats.failed++
	fields := h.pairFields(p, Fields{"result": res.name, "hresult": hresult(res), "cause": why})
	if p.port == 0 {
		delete(fields, "port")
	}
	if p.port == 0 && p.portText != "" {
		fields["port"] = p.portText
	}
	if p.pipe == "" {
		delete(fields, "pipe")
	}
	var more Fields
	if errno != 0 {
		fields["errno"] = errno
		more = Fields{"errno": errno}
	}
	r := p.start
	p.start = nil
	h.log(idStartFailed, fields)
	h.fail(r, res, why, more)
}

// stopCommand ends a pair as if its client had gone (API-14).
func (h *Host) stopCommand(r *request) {
	name, ok, err := r.text("pipe")
	if err != nil {
		h.fail(r, genericError, err.Error(), nil)
		return
	}
	p := h.named(name)
	if !ok || p == nil || !p.opened || p.stop != nil {
		h.fail(r, ePointer, "no open pair has the pipe "+strconv.Quote(name), nil)
		return
	}
	p.stop = r
	h.stopPair(p)
	h.advance(p)
}

// stopPair ends a pair as if its client had gone.
func (h *Host) stopPair(p *Pair) {
	p.stopped = true
	p.gone = true
	p.openBy = never
	p.progress = h.now
	if p.attached {
		h.act(Action{Kind: Hangup, Stream: p.stream})
	} else {
		h.detach(p, Close)
		h.finishWriting(p)
	}
}

func (h *Host) setTagCommand(r *request) {
	tag, ok, err := r.text("tag")
	switch {
	case err != nil:
		h.fail(r, genericError, err.Error(), nil)
	case !ok:
		h.fail(r, ePointer, "the tag is missing", nil)
	case !ValidTag(tag):
		h.fail(r, eInvalidArg, "a tag is 1 to 32 printable characters of ASCII", nil)
	case h.session.State() != session.Down:
		h.fail(r, eRunning, "the virtual machine is running", nil)
	default:
		h.config.Tag, h.tagHeard = tag, false
		h.answer(r, Fields{"tag": tag})
	}
}

// ValidTag tells whether a text is a chassis asset tag.
func ValidTag(tag string) bool { return tag != "" && wire.Printable(tag) == tag }
