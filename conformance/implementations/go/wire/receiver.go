// SPDX-License-Identifier: MIT

package wire

import "encoding/binary"

// Receiver finds messages in a stream of octets, in pieces of any size.  It hunts for a HELLO, or it is in a session, where
// every octet must be the next of a frame.
//
// A frame is judged octet by octet as frames.rl does, so that framing is lost at the first octet that can not stand where
// it does; nothing of a frame is shown before its seal was checked (FRM-5).
type Receiver struct {
	sender  Role // of what is received
	session uint64
	number  uint64 // of the next sealed frame
	hunting bool
	pads    int // in a row, while hunting and between frames
	frame   []byte
	layout  *layout
	length  int // of the body, from the header
}

// NewReceiver makes one that hunts for what this role sends.
func NewReceiver(sender Role) *Receiver {
	r := &Receiver{sender: sender}
	r.Hunt()
	return r
}

// Hunt begins to look for a HELLO.
func (r *Receiver) Hunt() {
	r.hunting, r.pads = true, 0
	r.restart()
}

// Enter begins a session: the next sealed frame has the number 1.
func (r *Receiver) Enter(session uint64) {
	r.hunting, r.session, r.number = false, session, 1
	r.restart()
}

func (r *Receiver) restart() {
	r.frame, r.layout, r.length = nil, nil, 0
}

// Next takes octets until a message is whole, framing is lost, or none are left.  It returns how many it took; lost tells
// what was wrong.  After a loss the caller makes it hunt; the octet that did not fit is among those taken.
func (r *Receiver) Next(octets []byte) (taken int, m *Message, lost string) {
	for taken < len(octets) {
		if n := r.bulk(octets[taken:]); n > 0 {
			taken += n
		} else if why := r.octet(octets[taken]); why != "" {
			return taken + 1, nil, why
		} else {
			taken++
		}
		if r.layout != nil && len(r.frame) == HeaderSize+r.length+SealSize {
			if m, lost = r.finish(); m != nil || lost != "" {
				return taken, m, lost
			}
		}
	}
	return taken, nil, ""
}

// bulk takes the octets that no rule looks at one by one: of a payload and of a seal.
func (r *Receiver) bulk(octets []byte) int {
	have := len(r.frame)
	if have < HeaderSize+8 || r.layout == nil {
		return 0
	}
	end := HeaderSize + r.length + SealSize
	if r.layout != layouts[Data] && have < HeaderSize+r.length {
		return 0
	}
	n := end - have
	if n > len(octets) {
		n = len(octets)
	}
	r.frame = append(r.frame, octets[:n]...)
	return n
}

func (r *Receiver) octet(b byte) (lost string) {
	if len(r.frame) == 0 {
		return r.between(b)
	}
	if why := r.fits(len(r.frame), b); why != "" {
		if !r.hunting {
			return why
		}
		r.restart()
		r.pads = 0
		return r.between(b)
	}
	r.frame = append(r.frame, b)
	return ""
}

// between judges an octet that is in no frame.
func (r *Receiver) between(b byte) (lost string) {
	switch {
	case b == Pad:
		r.pads++
	case b == 0xB5 && (!r.hunting || r.pads >= huntedPad):
		r.pads = 0
		r.frame = append(make([]byte, 0, 256), b)
	case r.hunting:
		r.pads = 0
	default:
		return "an octet that begins no frame"
	}
	return ""
}

// fits tells whether the octet can stand at this place of a frame, and why not.
func (r *Receiver) fits(at int, b byte) (why string) {
	switch {
	case at < HeaderSize:
		return r.fitsHeader(at, b)
	case at < HeaderSize+r.length:
		return r.fitsBody(at-HeaderSize, b)
	}
	return ""
}

func (r *Receiver) fitsHeader(at int, b byte) (why string) {
	switch {
	case at == 1 && b != 0x56:
		return "no magic"
	case at == 2:
		l := layouts[b]
		if l == nil || !l.sentBy(r.sender) || r.hunting && Type(b) != Hello {
			return "no type of this direction"
		}
		r.layout, r.length = l, l.length
	case at == 3 && b != 0:
		return "flags are not zero"
	case at >= 4 && at < 8 && !r.layout.channel && b != 0:
		return "a message of the session names a channel"
	case at == 7 && r.layout.channel && b == 0 && binary.LittleEndian.Uint32(append(r.frame[4:7:7], b)) == 0:
		return "a message of a channel names none"
	case at >= 8:
		return r.fitsLength(at-8, b)
	}
	return ""
}

// fitsLength judges one octet of length; of DATA it is 9 to 65536, and the grammar knows as soon as its octets can.
func (r *Receiver) fitsLength(at int, b byte) (why string) {
	if r.layout != layouts[Data] {
		if b != byte(r.layout.length>>(8*uint(at))) {
			return "a wrong length"
		}
		return ""
	}
	low, largest := 0, false
	for i := 0; i < at && i < 2; i++ {
		low |= int(r.frame[8+i]) << (8 * uint(i))
	}
	largest = low == 0
	switch {
	case at == 1 && b == 0 && low > 0 && low < 9, at == 3 && b != 0:
		return "a wrong length"
	case at == 2 && (largest && b != 1 || !largest && b != 0):
		return "a wrong length"
	case at == 2:
		r.length = low | int(b)<<16
	}
	return ""
}

func (r *Receiver) fitsBody(at int, b byte) (why string) {
	i := r.layout.at[at]
	f, first := &r.layout.fields[i], r.layout.offset[i]
	switch {
	case f.text != nil:
		ended := at > first && r.frame[HeaderSize+at-1] == 0
		if b != 0 && (ended || b < 0x20 || b > 0x7e) {
			return "a text that is none: " + f.name
		}
	case f.num != nil && at == first+f.size-1:
		value := uint64(b) << (8 * uint(f.size-1))
		for n := 0; n < f.size-1; n++ {
			value |= uint64(r.frame[HeaderSize+first+n]) << (8 * uint(n))
		}
		if value < f.min || value > f.max {
			return "a value that is none: " + f.name
		}
	}
	return ""
}

// finish checks the seal of a whole frame and decodes it.
func (r *Receiver) finish() (m *Message, lost string) {
	frame, l := r.frame, r.layout
	seal := frame[len(frame)-SealSize:]
	session, number := binary.LittleEndian.Uint64(seal), binary.LittleEndian.Uint64(seal[8:])
	r.restart()
	if why := r.checkSeal(frame, session, number); why != "" {
		if r.hunting {
			return nil, ""
		}
		return nil, why
	}
	m = &Message{Type: Type(frame[2]), Channel: binary.LittleEndian.Uint32(frame[4:]),
		SealSession: session, SealNumber: number}
	body := frame[HeaderSize : len(frame)-SealSize]
	for i := range l.fields {
		decodeField(m, &l.fields[i], body[l.offset[i]:])
	}
	m.Payload = body[l.length:]
	return m, ""
}

func (r *Receiver) checkSeal(frame []byte, session, number uint64) (why string) {
	if Type(frame[2]) == Hello {
		if session != 0 || number != uint64(CRC32C(frame[:len(frame)-SealSize])) {
			return "the seal of a HELLO does not fit"
		}
		return ""
	}
	if session != r.session {
		return "a seal of another session"
	}
	if number != r.number {
		return "a seal with another number"
	}
	r.number++
	return ""
}

func decodeField(m *Message, f *field, octets []byte) {
	switch {
	case f.num != nil:
		value := uint64(0)
		for i := f.size - 1; i >= 0; i-- {
			value = value<<8 | uint64(octets[i])
		}
		*f.num(m) = value
	case f.text != nil:
		n := 0
		for n < textSize && octets[n] != 0 {
			n++
		}
		*f.text(m) = string(octets[:n])
	}
}
