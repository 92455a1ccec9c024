// SPDX-License-Identifier: MIT

package channel

import (
	"bytes"
	"testing"

	"vpcbus/wire"
)

func open(limit, window uint64) (*Sender, *Receiver) {
	s, r := NewSender(1, limit), NewReceiver(2, window)
	s.Opened()
	r.Opened()
	return s, r
}

func expect(t *testing.T, m *wire.Message, want wire.Type) {
	t.Helper()
	if m == nil && want == 0 {
		return
	}
	if m == nil || m.Type != want {
		t.Fatalf("%v is made, not %v", m, want)
	}
}

// Bytes go as far as the credit, FIN needs none, and RELEASED is the end (FLW-1, CLS-1).
func TestSender(t *testing.T) {
	s, _ := open(5, 0)
	s.Write([]byte("hello world"))
	m := s.Data()
	expect(t, m, wire.Data)
	if string(m.Payload) != "hello" {
		t.Errorf("%q is sent with a credit of 5", m.Payload)
	}
	s.Finish()
	expect(t, s.Data(), 0)
	if s.Credit(4) != Broken || s.Credit(11) != Fits {
		t.Error("a lower limit is no fault, or a higher one is")
	}
	expect(t, s.Data(), wire.Data)
	expect(t, s.Data(), wire.Fin)
	expect(t, s.Data(), 0)
	if s.PeerReleased() != Fits || s.State() != Released || s.PeerReleased() != Illegal {
		t.Error("RELEASED does not release once")
	}
}

// Credit comes at half of the window, and no sooner (FLW-3); FLW-4 is seen.
func TestReceiver(t *testing.T) {
	_, r := open(0, 8)
	if r.Data(1, []byte("x")) != Broken || r.Data(0, make([]byte, 9)) != Broken || r.Data(0, []byte("12345678")) != Fits {
		t.Error("a wrong offset or a passed limit is no fault, or a full window is")
	}
	if r.Data(8, []byte("9")) != Broken {
		t.Error("a byte behind the limit is no fault")
	}
	r.Delivered(len(r.Take(3)))
	expect(t, r.Control(), 0)
	r.Delivered(len(r.Take(1)))
	m := r.Control()
	expect(t, m, wire.Credit)
	if m.Limit != 12 {
		t.Errorf("the limit is %d", m.Limit)
	}
	if r.Fin(7) != Broken || r.Fin(8) != Fits || r.Drained() {
		t.Error("FIN is not judged by its offset")
	}
	r.Delivered(len(r.Take(1)))
	expect(t, r.Control(), wire.Credit) // CLS-12: less than half is told too
	taken := r.Take(100)
	if len(taken) != 3 || r.Drained() {
		t.Error("it is drained while bytes are under way")
	}
	r.Delivered(len(taken))
	if !r.Drained() {
		t.Error("it is not drained")
	}
	expect(t, r.Control(), 0) // RELEASED tells it
	r.Finish()
	expect(t, r.Control(), wire.Released)
}

// Of two RESETs that cross each is answered, also when the answer to the own one comes first; one that waits when RELEASED
// comes is dropped (CLS-4).
func TestResetsCross(t *testing.T) {
	s, r := open(0, 8)
	s.Reset(104)
	expect(t, s.Control(), wire.Reset)
	s.PeerReset()
	if s.PeerReleased() != Fits {
		t.Error("RELEASED is illegal")
	}
	expect(t, s.Control(), wire.Released)
	expect(t, s.Control(), 0)

	r.Reset(104)
	r.PeerReset()
	expect(t, r.Control(), wire.Reset) // before RELEASED: on a released id nobody would answer it
	expect(t, r.Control(), wire.Released)
	if r.State() != Aborting || r.PeerReleased() != Fits {
		t.Error("the end is released before its RESET was answered")
	}

	s, _ = open(0, 0)
	s.Finish()
	expect(t, s.Data(), wire.Fin)
	s.Reset(110)
	s.PeerReleased()
	expect(t, s.Control(), 0)
}

func TestBuffer(t *testing.T) {
	var b buffer
	var want []byte
	for i := 0; i < 3000; i++ {
		piece := bytes.Repeat([]byte{byte(i)}, i%100)
		b.append(piece)
		want = append(want, piece...)
	}
	if len(b.chunks) > len(want)/chunkSize+2 {
		t.Errorf("%d chunks for %d bytes", len(b.chunks), len(want))
	}
	var got []byte
	for n := 1; b.n > 0; n = n*3%70001 + 1 {
		got = append(got, b.take(n)...)
	}
	if !bytes.Equal(got, want) {
		t.Error("other bytes came out than went in")
	}
}
