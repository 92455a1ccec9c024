// SPDX-License-Identifier: MIT

package wire

import (
	"bytes"
	"encoding/json"
	"testing"

	"vpcbus/vectors"
)

func roleOf(name string) Role {
	if name == "host" {
		return Host
	}
	return Guest
}

// receive feeds octets in pieces of so many; it stops at the first loss.
func receive(r *Receiver, octets []byte, piece int) (found []*Message, ends []int, lost int) {
	for at := 0; at < len(octets); {
		n := piece
		if n > len(octets)-at {
			n = len(octets) - at
		}
		taken, m, why := r.Next(octets[at : at+n])
		at += taken
		if why != "" {
			return found, ends, at - 1
		}
		if m != nil {
			found, ends = append(found, m), append(ends, at)
		}
	}
	return found, ends, -1
}

var pieces = []int{1, 7, 1 << 30}

func compare(t *testing.T, id string, m *Message, want vectors.Frame) {
	t.Helper()
	l := layouts[m.Type]
	if l.name != want.Message || m.Channel != want.Channel ||
		m.SealSession != uint64(want.Seal.Session) || m.SealNumber != uint64(want.Seal.Number) {
		t.Errorf("%s: %s on %d, seal %x %x", id, l.name, m.Channel, m.SealSession, m.SealNumber)
	}
	for _, f := range l.fields {
		compareField(t, id, m, f, want.Fields[f.name])
	}
	if m.Type == Data {
		var items vectors.Items
		if err := json.Unmarshal(want.Fields["payload"], &items); err != nil || !bytes.Equal(m.Payload, items.Octets(t)) {
			t.Errorf("%s: payload differs (%v)", id, err)
		}
	}
}

func compareField(t *testing.T, id string, m *Message, f field, raw json.RawMessage) {
	t.Helper()
	switch {
	case f.num != nil:
		var want vectors.Number
		if err := json.Unmarshal(raw, &want); err != nil || *f.num(m) != uint64(want) {
			t.Errorf("%s: %s is %d (%v)", id, f.name, *f.num(m), err)
		}
	case f.text != nil:
		var want string
		if err := json.Unmarshal(raw, &want); err != nil || *f.text(m) != want {
			t.Errorf("%s: %s is %q (%v)", id, f.name, *f.text(m), err)
		}
	}
}

func inSession(state vectors.Receiver, sender string) *Receiver {
	r := NewReceiver(roleOf(sender))
	r.Enter(uint64(state.Session))
	r.number = uint64(state.Number)
	return r
}

// Valid frames are received, and made again octet by octet.
func TestValidFrames(t *testing.T) {
	state, list := vectors.Load(t, "frames-valid")
	for _, v := range list {
		octets := v.Octets.Octets(t)
		for _, sender := range v.Senders {
			for _, piece := range pieces {
				r := inSession(state, sender)
				if v.Receiver != nil {
					r = inSession(*v.Receiver, sender)
				}
				found, _, lost := receive(r, octets, piece)
				if len(found) != 1 || lost >= 0 {
					t.Errorf("%s in pieces of %d: %d found, lost at %d", v.ID, piece, len(found), lost)
					continue
				}
				compare(t, v.ID, found[0], v.Frame)
				if v.Send {
					sendAgain(t, v.ID, found[0], octets)
				}
			}
		}
	}
}

func sendAgain(t *testing.T, id string, m *Message, octets []byte) {
	t.Helper()
	octets = bytes.TrimLeft(octets, "\x16")
	frame := Encode(m, m.SealSession, m.SealNumber)
	if m.Type == Hello {
		frame = EncodeHello(m, 0)
	}
	if !bytes.Equal(frame, octets) {
		t.Errorf("%s: it is not made as it was received", id)
	}
}

// Framing is lost at the octet that can not stand there, whatever the pieces.
func TestInvalidFrames(t *testing.T) {
	state, list := vectors.Load(t, "frames-invalid")
	for _, v := range list {
		for _, sender := range v.Senders {
			for _, piece := range pieces {
				found, _, lost := receive(inSession(state, sender), v.Octets.Octets(t), piece)
				if lost != v.At {
					t.Errorf("%s from %s in pieces of %d: lost at %d, not %d; %d found", v.ID, sender, piece, lost, v.At, len(found))
				}
			}
		}
	}
}

func TestHunt(t *testing.T) {
	_, list := vectors.Load(t, "hunt")
	for _, v := range list {
		octets := v.Octets.Octets(t)
		for _, piece := range pieces {
			found, ends, lost := receive(NewReceiver(Guest), octets, piece)
			if len(found) != len(v.Found) || lost >= 0 {
				t.Errorf("%s in pieces of %d: %d found, not %d", v.ID, piece, len(found), len(v.Found))
				continue
			}
			for i, m := range found {
				compare(t, v.ID, m, v.Found[i])
				if ends[i] != v.Found[i].End {
					t.Errorf("%s: ends at %d", v.ID, ends[i])
				}
			}
		}
	}
}

func TestAnswers(t *testing.T) {
	_, list := vectors.Load(t, "answers")
	for _, v := range list {
		switch v.Kind {
		case "crc32c":
			if sum := CRC32C(v.Octets.Octets(t)); sum != uint32(v.CRC32C) {
				t.Errorf("%s: %08x", v.ID, sum)
			}
		case "session":
			if id := SessionID(uint64(v.HostEpoch), uint64(v.GuestEpoch)); id != uint64(v.Session) {
				t.Errorf("%s: %016x", v.ID, id)
			}
		default:
			t.Errorf("%s: unknown kind %s", v.ID, v.Kind)
		}
	}
}

func TestNames(t *testing.T) {
	_, list := vectors.Load(t, "names")
	for _, v := range list {
		name := string(v.Octets.Octets(t))
		switch v.Kind {
		case "pipe":
			if ValidPipe(name) != v.Valid {
				t.Errorf("%s: valid is not %v", v.ID, v.Valid)
			}
		case "port":
			if port := ParsePort(name); (port != 0) != v.Valid || int(port) != v.Port {
				t.Errorf("%s: port %d", v.ID, port)
			}
		case "same":
			if (PipeKey(name) == PipeKey(string(v.Other.Octets(t)))) != v.Same {
				t.Errorf("%s: same is not %v", v.ID, v.Same)
			}
		default:
			t.Errorf("%s: unknown kind %s", v.ID, v.Kind)
		}
	}
}

func TestPortList(t *testing.T) {
	for text, valid := range map[string]bool{"80": true, "80,6000-6999": true, "1-65535": true, "0": false, "80,": false,
		"90-80": false, "65536": false, "http": false, "": false, "1-2-3": false, "080": false} {
		if _, ok := ParsePortList(text); ok != valid {
			t.Errorf("%q: valid is not %v", text, valid)
		}
	}
}
