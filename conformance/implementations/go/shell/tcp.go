// SPDX-License-Identifier: MIT

package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

	"vpcbus/endpoint"
)

// Connections makes the TCP connections of a guest endpoint.
type Connections struct{ connecting map[uint32]context.CancelFunc }

// NewConnections makes none yet.
func NewConnections() *Connections {
	return &Connections{connecting: map[uint32]context.CancelFunc{}}
}

func (c *Connections) carryOut(s *streams, a endpoint.Action) {
	switch a.Kind {
	case endpoint.Connect:
		c.connect(s, a.Stream, a.Port)
	case endpoint.Close, endpoint.Abort:
		if cancel := c.connecting[a.Stream]; cancel != nil {
			cancel()
			delete(c.connecting, a.Stream)
		}
	}
}

// connect: the endpoint gives up by Abort, which cancels.
func (c *Connections) connect(s *streams, id uint32, port uint16) {
	ctx, cancel := context.WithCancel(context.Background())
	c.connecting[id] = cancel
	go func() {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		posted := s.loop.post(func() { c.connected(s, id, conn, err) })
		if !posted && conn != nil {
			conn.Close()
		}
		cancel()
	}()
}

func (c *Connections) connected(s *streams, id uint32, conn net.Conn, err error) {
	given := c.connecting[id] == nil
	delete(c.connecting, id)
	switch {
	case err != nil && !given:
		s.loop.ep.StreamOpened(id, uint32(errnoOf(err)))
	case err == nil && given:
		c.discard(conn.(*net.TCPConn), true)
	case err == nil:
		s.attach(id, conn.(*net.TCPConn))
	}
}

// lost: an error breaks the stream; a hang-up without one is the end of both directions, which the reader sees too.
func (c *Connections) lost(s *streams, id uint32, errno syscall.Errno) {
	if errno != 0 {
		s.loop.ep.StreamGone(id, uint32(errno))
	}
}

func (c *Connections) unreadable(s *streams, id uint32, errno syscall.Errno) { c.lost(s, id, errno) }

// discard ends a connection: by FIN, or by a reset (CLS-7).
func (c *Connections) discard(conn halfConn, abort bool) {
	if tcp, ok := conn.(*net.TCPConn); ok && abort {
		tcp.SetLinger(0)
		conn.Close()
		return
	}
	go linger(conn)
}

const (
	lingerLook  = 20 * time.Millisecond
	lingerLimit = 10 * time.Second // without progress
)

// linger closes when the program's side has acknowledged all that was sent to it and nothing of its own waits to be read: a
// close with octets unread is a reset, which would take them away, or the end behind them.
func linger(conn halfConn) {
	defer conn.Close()
	conn.CloseWrite()
	octets := make([]byte, pieceSize)
	left, until := unacknowledged(conn), time.Now().Add(lingerLimit)
	for time.Now().Before(until) {
		conn.SetReadDeadline(time.Now().Add(lingerLook))
		_, err := conn.Read(octets)
		now := unacknowledged(conn)
		switch {
		case err == nil:
		case err != io.EOF && !errors.Is(err, os.ErrDeadlineExceeded), now == 0:
			return
		case err == io.EOF:
			time.Sleep(lingerLook)
		}
		if now < left {
			left, until = now, time.Now().Add(lingerLimit)
		}
	}
}

// unacknowledged is how many octets the other side has not taken, its end of the stream included.
func unacknowledged(conn halfConn) (n int) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	raw.Control(func(fd uintptr) {
		var left int32
		syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&left))) // SIOCOUTQ is the same
		n = int(left)
	})
	return n
}
