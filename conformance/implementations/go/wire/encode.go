// SPDX-License-Identifier: MIT

package wire

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CRC32C is the sum of FRM-6.
func CRC32C(octets []byte) uint32 { return crc32.Checksum(octets, castagnoli) }

// SessionID combines the two epochs of a session (SES-5).
func SessionID(host, guest uint64) uint64 { return mix(mix(host) + guest) }

func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xBF58476D1CE4E5B9
	x ^= x >> 27
	x *= 0x94D049BB133111EB
	return x ^ x>>31
}

// Encode is the sealed frame of m (FRM-2, FRM-4).  Not for HELLO.
func Encode(m *Message, session, number uint64) []byte {
	frame := encodeBody(m, 0)
	frame = binary.LittleEndian.AppendUint64(frame, session)
	return binary.LittleEndian.AppendUint64(frame, number)
}

// EncodeHello is a HELLO behind so many octets of padding (FRM-6, FRM-8).
func EncodeHello(m *Message, preamble int) []byte {
	frame := encodeBody(m, preamble)
	sum := CRC32C(frame[preamble:])
	frame = binary.LittleEndian.AppendUint64(frame, 0)
	return binary.LittleEndian.AppendUint64(frame, uint64(sum))
}

func encodeBody(m *Message, preamble int) []byte {
	l := layouts[m.Type]
	length := l.length + len(m.Payload)
	if m.Type != Data {
		length = l.length
	}
	frame := make([]byte, 0, preamble+HeaderSize+length+SealSize)
	frame = append(frame, bytes.Repeat([]byte{Pad}, preamble)...)
	frame = append(frame, 0xB5, 0x56, byte(m.Type), 0)
	frame = binary.LittleEndian.AppendUint32(frame, m.Channel)
	frame = binary.LittleEndian.AppendUint32(frame, uint32(length))
	for i := range l.fields {
		frame = appendField(frame, &l.fields[i], m)
	}
	if m.Type == Data {
		frame = append(frame, m.Payload...)
	}
	return frame
}

func appendField(frame []byte, f *field, m *Message) []byte {
	octets := make([]byte, f.size)
	switch {
	case f.num != nil:
		value := *f.num(m)
		for i := range octets {
			octets[i] = byte(value >> (8 * uint(i)))
		}
	case f.text != nil:
		copy(octets, Printable(*f.text(m)))
	}
	return append(frame, octets...)
}

// Printable is the text as a text32 can hold it: what is not printable ASCII becomes '?', and 32 characters are kept.
func Printable(s string) string {
	out := make([]byte, 0, textSize)
	for _, r := range s {
		if len(out) == textSize {
			break
		}
		if r < 0x20 || r > 0x7e {
			r = '?'
		}
		out = append(out, byte(r))
	}
	return string(out)
}
