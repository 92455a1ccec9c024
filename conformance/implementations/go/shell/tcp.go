// SPDX-License-Identifier: MIT

package shell

import (
	"context"
	"fmt"
	"net"
	"syscall"

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
	}
	conn.Close()
}
