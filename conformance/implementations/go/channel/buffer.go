// SPDX-License-Identifier: MIT

package channel

const chunkSize = 32 << 10

// buffer is a queue of bytes.  It copies into chunks, so that what it costs follows the bytes that wait, however small the
// pieces were in which they came.
type buffer struct {
	chunks [][]byte
	n      int
}

func (b *buffer) append(octets []byte) {
	b.n += len(octets)
	for len(octets) > 0 {
		last := len(b.chunks) - 1
		if last < 0 || len(b.chunks[last]) == cap(b.chunks[last]) {
			b.chunks = append(b.chunks, make([]byte, 0, b.room(len(octets))))
			last++
		}
		chunk := b.chunks[last]
		n := cap(chunk) - len(chunk)
		if n > len(octets) {
			n = len(octets)
		}
		b.chunks[last] = append(chunk, octets[:n]...)
		octets = octets[n:]
	}
}

// room is the size of a new chunk: small for a queue that holds little.
func (b *buffer) room(n int) int {
	if len(b.chunks) == 0 && n <= 512 {
		return 1024
	}
	return chunkSize
}

// take hands over at most n bytes, of more than one chunk if need be.
func (b *buffer) take(n int) []byte {
	if n > b.n {
		n = b.n
	}
	if n == 0 {
		return nil
	}
	out := make([]byte, 0, n)
	for len(out) < n {
		piece := b.chunks[0]
		if want := n - len(out); len(piece) > want {
			b.chunks[0] = piece[want:]
			out = append(out, piece[:want]...)
			break
		}
		out = append(out, piece...)
		b.chunks[0] = nil
		b.chunks = b.chunks[1:]
	}
	b.n -= n
	return out
}

func (b *buffer) clear() { *b = buffer{} }
