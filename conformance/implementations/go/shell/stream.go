// SPDX-License-Identifier: MIT

package shell

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"vpcbus/endpoint"
)

const pieceSize = 64 << 10

// maker makes the local streams of one role: pipe servers and their clients, or TCP connections.
type maker interface {
	carryOut(s *streams, a endpoint.Action)
	lost(s *streams, id uint32, errno syscall.Errno)       // the other end is gone, or can't be written to
	unreadable(s *streams, id uint32, errno syscall.Errno) // it can't be read from
	discard(conn halfConn, abort bool)
}

// halfConn is a connection of which each direction can end by itself.
type halfConn interface {
	net.Conn
	syscall.Conn
	CloseRead() error
	CloseWrite() error
}

// streams are the local streams of an endpoint, by their numbers.
type streams struct {
	loop  *Loop
	maker maker
	open  map[uint32]*stream
	watch *watch
}

// stream is one local connection.  Its reader has one piece that waits for room, its writer one that waits for the program.
type stream struct {
	id     uint32
	conn   halfConn
	done   chan struct{}
	more   chan struct{}
	parked bool
	pieces chan []byte
	busy   bool
}

func newStreams(l *Loop, m maker) (*streams, error) {
	s := &streams{loop: l, maker: m, open: map[uint32]*stream{}}
	var err error
	s.watch, err = newWatch(func(id uint32, errno syscall.Errno) {
		l.post(func() {
			if s.open[id] != nil {
				m.lost(s, id, errno)
			}
		})
	})
	return s, err
}

// attach begins to use a connection.
func (s *streams) attach(id uint32, conn halfConn) {
	st := &stream{id: id, conn: conn, done: make(chan struct{}), more: make(chan struct{}, 1), pieces: make(chan []byte, 1)}
	s.open[id] = st
	s.loop.ep.StreamOpened(id, 0)
	s.watch.add(id, conn)
	go s.read(st)
	go s.write(st)
}

func (s *streams) carryOut(a endpoint.Action) {
	st := s.open[a.Stream]
	switch {
	case st == nil:
		s.maker.carryOut(s, a)
		return
	case a.Kind == endpoint.Shutdown:
		st.conn.CloseWrite()
	case a.Kind == endpoint.Hangup:
		st.conn.CloseWrite()
		st.conn.CloseRead()
	case a.Kind == endpoint.FreeName:
		s.maker.carryOut(s, a)
	case a.Kind == endpoint.Close, a.Kind == endpoint.Abort:
		delete(s.open, a.Stream)
		close(st.done)
		close(st.pieces)
		s.maker.discard(st.conn, a.Kind == endpoint.Abort)
		s.maker.carryOut(s, a)
	}
}

// left looks whether the other end of a stream has closed, which the watch may not have told yet.
func (s *streams) left(id uint32) bool {
	st := s.open[id]
	if st == nil {
		return false
	}
	raw, err := st.conn.SyscallConn()
	if err != nil {
		return false
	}
	hungUp := false
	raw.Control(func(fd uintptr) { hungUp = hasHungUp(int(fd)) })
	return hungUp
}

// pump gives each stream what there is for it.
func (s *streams) pump() {
	for id, st := range s.open {
		if !st.busy {
			if piece := s.loop.ep.StreamOutput(id, pieceSize); piece != nil {
				st.busy = true
				st.pieces <- piece
			}
		}
		if st.parked && s.loop.ep.StreamRoom(id) {
			st.parked = false
			st.more <- struct{}{}
		}
	}
}

func (s *streams) read(st *stream) {
	octets := make([]byte, pieceSize)
	for {
		n, err := st.conn.Read(octets)
		if !s.loop.post(func() { s.came(st, octets[:n], err) }) || err != nil {
			return
		}
		select {
		case <-st.more:
		case <-st.done:
			return
		}
	}
}

func (s *streams) came(st *stream, octets []byte, err error) {
	if s.open[st.id] != st {
		return
	}
	st.parked = true
	if len(octets) > 0 {
		s.loop.ep.StreamInput(st.id, octets)
	}
	switch {
	case errors.Is(err, io.EOF):
		s.loop.ep.StreamEOF(st.id)
	case err != nil:
		s.maker.unreadable(s, st.id, errnoOf(err))
	}
}

// write hands pieces to the program, and tells of each part that it took.
func (s *streams) write(st *stream) {
	raw, err := st.conn.SyscallConn()
	for piece := range st.pieces {
		for len(piece) > 0 {
			n := 0
			if err == nil {
				n, err = writeSome(raw, piece)
			}
			if err != nil {
				n = len(piece) // nobody will get them
			}
			piece = piece[n:]
			failed, last := err, len(piece) == 0
			if !s.loop.post(func() { s.sent(st, n, last, failed) }) {
				return
			}
		}
	}
}

// writeSome waits until one write takes anything.
func writeSome(raw syscall.RawConn, octets []byte) (n int, err error) {
	failed := raw.Write(func(fd uintptr) bool {
		for {
			n, err = syscall.Write(int(fd), octets)
			if err != syscall.EINTR {
				return err != syscall.EAGAIN
			}
		}
	})
	if failed != nil {
		return 0, failed
	}
	return n, err
}

func (s *streams) sent(st *stream, n int, last bool, err error) {
	if s.open[st.id] != st {
		return
	}
	st.busy = !last
	if err != nil {
		s.maker.lost(s, st.id, errnoOf(err))
	}
	s.loop.ep.StreamSent(st.id, n)
}

// accepted waits for one client, however short the system is meanwhile, which is told once (CTL-7).
func (l *Loop) accepted(listener net.Listener) (net.Conn, error) {
	for told := false; ; {
		conn, err := listener.Accept()
		if err == nil || !isShort(errnoOf(err)) {
			return conn, err
		}
		if !told {
			told = l.post(func() { l.ep.ResourcesShort(listener.Addr().String(), uint32(errnoOf(err))) })
		}
		select {
		case <-l.done:
			return nil, err
		case <-time.After(lookInterval):
		}
	}
}

func isShort(errno syscall.Errno) bool {
	switch errno {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
		return true
	}
	return false
}

func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return syscall.ECONNRESET
}
