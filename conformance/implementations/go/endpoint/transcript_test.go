// SPDX-License-Identifier: MIT

package endpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"testing"

	"vpcbus/vectors"
	"vpcbus/wire"
)

// step is one of a transcript: something local, octets received, or what must be sent.
type step struct {
	At            int64
	Local         string
	Epoch         vectors.Number
	Send, Receive vectors.Items
	Order         string
	Log           []struct{ Name, Cause string }
	Channel, H2G  uint32
	Octets        vectors.Items
	Pipe, Result  string
	Port, Connect uint16
	Errno         uint32
	Stream        string
	Version       uint64
}

// player plays a transcript to an endpoint.
type player struct {
	t      *testing.T
	id     string
	ep     *Endpoint
	host   *Host
	guest  *Guest
	epochs []uint64
	piece  int
	sent   [][]byte
	logged []string
	events uint64 // that were left out in this session
	did    map[ActionKind]Action
	answer string
}

func TestTranscripts(t *testing.T) {
	_, list := vectors.Load(t, "transcripts")
	for _, v := range list {
		for _, piece := range []int{1 << 30, 11} {
			play(t, v, piece)
		}
	}
}

func play(t *testing.T, v vectors.Vector, piece int) {
	p := &player{t: t, id: fmt.Sprintf("%s in pieces of %d", v.ID, piece), piece: piece}
	steps := make([]step, len(v.Steps))
	wanted := []string{"ENDPOINT_STARTED "}
	for i, raw := range v.Steps {
		if err := json.Unmarshal(raw, &steps[i]); err != nil {
			t.Fatalf("%s: step %d: %v", v.ID, i, err)
		}
		if steps[i].Epoch != 0 {
			p.epochs = append(p.epochs, uint64(steps[i].Epoch))
		}
		for _, entry := range steps[i].Log {
			wanted = append(wanted, entry.Name+" "+entry.Cause)
		}
	}
	p.start(v)
	for i := range steps {
		p.step(i, &steps[i])
	}
	if len(p.sent) != 0 {
		t.Errorf("%s: %d frames more than there should be, first %x", p.id, len(p.sent), p.sent[0])
	}
	p.compareLog(wanted)
}

func (p *player) compareLog(wanted []string) {
	for i, want := range wanted {
		if i >= len(p.logged) || !strings.HasPrefix(p.logged[i], want) {
			p.t.Errorf("%s: the log is %q, not %q", p.id, p.logged, wanted)
			return
		}
	}
	if len(p.logged) != len(wanted) {
		p.t.Errorf("%s: the log is %q, not %q", p.id, p.logged, wanted)
	}
}

func (p *player) start(v vectors.Vector) {
	var settings []string
	for name, value := range v.Endpoint {
		if number, ok := value.(float64); ok {
			settings = append(settings, fmt.Sprintf("%s=%.0f", name, number))
		}
	}
	options, err := ParseOptions(v.Role, settings)
	if err != nil {
		p.t.Fatalf("%s: %v", p.id, err)
	}
	config := Config{VM: "vm", Tag: v.Endpoint["tag"].(string), Options: options,
		Random: p.random, WallClock: func() int64 { return 0 }}
	if v.Role == "host" {
		p.host = NewHost(config)
		p.ep = p.host.Endpoint
	} else {
		p.guest = NewGuest(config)
		p.ep = p.guest.Endpoint
	}
	p.ep.session.Rename(v.Endpoint["name"].(string))
}

func (p *player) random() uint64 {
	if len(p.epochs) == 0 {
		p.t.Errorf("%s: an epoch is drawn that should not be", p.id)
		return 1
	}
	epoch := p.epochs[0]
	p.epochs = p.epochs[1:]
	return epoch
}

func (p *player) step(i int, s *step) {
	where := fmt.Sprintf("%s, step %d", p.id, i)
	p.ep.Clock(s.At)
	p.did = map[ActionKind]Action{}
	switch {
	case s.Local != "":
		p.local(where, s)
	case s.Receive != nil:
		octets := s.Receive.Octets(p.t)
		for len(octets) > 0 {
			n := p.piece
			if n > len(octets) {
				n = len(octets)
			}
			p.ep.BusInput(octets[:n])
			octets = octets[n:]
		}
	}
	p.collect()
	if s.Send != nil {
		p.compareSent(where, s)
	}
	if s.Result != "" && p.answer != s.Result {
		p.t.Errorf("%s: the answer is %q, not %q", where, p.answer, s.Result)
	}
	if s.Connect != 0 && p.did[Connect].Port != s.Connect {
		p.t.Errorf("%s: it does not connect to %d", where, s.Connect)
	}
	if _, aborted := p.did[Abort]; s.Stream == "aborted" && !aborted {
		p.t.Errorf("%s: the stream is not aborted", where)
	}
}

// stream is the local stream of a channel.
func (p *player) stream(channel uint32) uint32 {
	if pair := p.ep.byID[channel]; pair != nil {
		return pair.stream
	}
	return 0
}

func (p *player) local(where string, s *step) {
	ep := p.ep
	switch s.Local {
	case "transport_up":
		ep.BusUp()
	case "transport_down":
		ep.BusDown("it ended")
	case "stop":
		ep.session.Stop()
	case "ready", "not_ready":
		p.guest.SetReady(s.Local == "ready")
	case "clock", "read_end": // an end of file is given to the program as soon as all was read
	case "query":
		if ep.session.Version() != s.Version {
			p.t.Errorf("%s: version %d", where, ep.session.Version())
		}
	case "start":
		ep.ControlLine(1, encode(Fields{"execute": "start", "arguments": Fields{"host-name": s.Pipe,
			"guest-name": fmt.Sprint(s.Port)}}))
	case "pipe_opened", "connected":
		ep.StreamOpened(p.stream(s.H2G), 0)
	case "connect_failed":
		ep.StreamOpened(p.stream(s.H2G), s.Errno)
	case "broken":
		ep.StreamGone(p.stream(s.H2G), s.Errno)
	case "write":
		ep.StreamInput(p.stream(s.Channel), s.Octets.Octets(p.t))
	case "finish":
		ep.StreamEOF(p.stream(s.Channel))
	case "read":
		p.read(where, s)
	default:
		p.t.Fatalf("%s: unknown: %s", where, s.Local)
	}
}

func (p *player) read(where string, s *step) {
	want := s.Octets.Octets(p.t)
	stream := p.stream(s.Channel)
	if got := p.ep.StreamOutput(stream, len(want)); !bytes.Equal(got, want) {
		p.t.Errorf("%s: the program reads %x, not %x", where, got, want)
	}
	p.ep.StreamSent(stream, len(want))
}

// collect carries out what the endpoint wants, and takes what it sends.
func (p *player) collect() {
	for actions := p.ep.Actions(); len(actions) > 0; actions = p.ep.Actions() {
		for _, a := range actions {
			p.did[a.Kind] = a
			p.carryOut(a)
		}
	}
	for frame := p.ep.BusOutput(); frame != nil; frame = p.ep.BusOutput() {
		if !p.leaveOut(frame) {
			p.sent = append(p.sent, frame)
		}
	}
}

// leaveOut tells whether a frame is an EVENT, which the transcripts leave out, and numbers the others as if there were none.
func (p *player) leaveOut(frame []byte) bool {
	if len(frame) >= wire.Preamble {
		return false
	}
	number := frame[len(frame)-8:]
	at := binary.LittleEndian.Uint64(number)
	if at == 1 {
		p.events = 0
	}
	if wire.Type(frame[2]) == wire.Event {
		p.events++
		return true
	}
	binary.LittleEndian.PutUint64(number, at-p.events)
	return false
}

func (p *player) carryOut(a Action) {
	var text struct {
		Name, Cause string
		Return      *struct{ Hresult string }
		Error       *struct{ Class string }
	}
	if a.Text != nil && json.Unmarshal(a.Text, &text) != nil {
		p.t.Fatalf("%s: no JSON: %s", p.id, a.Text)
	}
	switch a.Kind {
	case Listen:
		p.host.Listening(a.Stream, 0, "/pipe")
	case Log:
		p.logged = append(p.logged, text.Name+" "+text.Cause)
	case Reply:
		p.answer = sOK.name
		if text.Error != nil {
			p.answer = text.Error.Class
		}
	}
}

func (p *player) compareSent(where string, s *step) {
	want := split(s.Send.Octets(p.t))
	got := p.sent
	p.sent = nil
	any := s.Order == "any"
	a, b := p.comparable(want, !any), p.comparable(got, !any)
	if any {
		sort.Strings(a)
		sort.Strings(b)
	}
	if fmt.Sprint(a) != fmt.Sprint(b) {
		p.t.Errorf("%s: sent %v, not %v", where, b, a)
	}
}

// split cuts octets into frames, each with the padding before it.
func split(octets []byte) (frames [][]byte) {
	for len(octets) > 0 {
		at := 0
		for octets[at] == wire.Pad {
			at++
		}
		end := at + wire.HeaderSize + int(binary.LittleEndian.Uint32(octets[at+8:])) + wire.SealSize
		frames = append(frames, octets[:end])
		octets = octets[end:]
	}
	return frames
}

// comparable are frames as texts, with or without the numbers in their seals.
func (p *player) comparable(frames [][]byte, numbers bool) (texts []string) {
	for _, frame := range frames {
		body := bytes.TrimLeft(frame, "\x16")
		padding := len(frame) - len(body)
		if !numbers && wire.Type(body[2]) != wire.Hello {
			body = body[:len(body)-8]
		}
		texts = append(texts, fmt.Sprintf("%d+%s", padding, hex.EncodeToString(body)))
	}
	return texts
}
