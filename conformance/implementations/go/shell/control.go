// SPDX-License-Identifier: MIT

package shell

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	maxLine    = 65536
	maxWaiting = 1 << 20 // octets that wait for a client before it is disconnected (CTL-5)
)

// controlServer is the control socket.
type controlServer struct {
	loop     *Loop
	listener net.Listener
	clients  map[uint32]*client
	watch    *watch
	last     uint32
}

func newControlServer(l *Loop, path string) (*controlServer, error) {
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, fmt.Errorf("control socket %s: another endpoint serves it", path)
	}
	os.Remove(path) // of one that was killed
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	s := &controlServer{loop: l, listener: listener, clients: map[uint32]*client{}}
	s.watch, err = newWatch(func(id uint32, _ syscall.Errno) {
		l.post(func() {
			if c := s.clients[id]; c != nil {
				s.hungUp(c)
			}
		})
	})
	return s, err
}

func (s *controlServer) run() {
	for {
		conn, err := s.loop.accepted(s.listener)
		if err == nil {
			s.serve(conn)
			continue
		}
		select {
		case <-s.loop.done:
			return
		case <-time.After(lookInterval):
		}
	}
}

func (s *controlServer) serve(conn net.Conn) {
	c := &client{conn: conn}
	c.wake.L = &c.lock
	opened := make(chan struct{})
	if !s.loop.post(func() {
		s.last++
		c.id = s.last
		s.clients[c.id] = c
		s.loop.ep.ControlOpen(c.id)
		close(opened)
	}) {
		return
	}
	<-opened
	s.watch.add(c.id, conn.(*net.UnixConn))
	go c.write()
	go s.read(c)
}

func (s *controlServer) read(c *client) {
	lines := bufio.NewScanner(c.conn)
	lines.Buffer(make([]byte, 4096), maxLine+1)
	for lines.Scan() {
		line := append([]byte(nil), lines.Bytes()...)
		if !s.loop.post(func() { s.loop.ep.ControlLine(c.id, line) }) {
			return
		}
	}
	tooLong := lines.Err() == bufio.ErrTooLong
	s.loop.post(func() {
		if tooLong {
			s.loop.ep.ControlTooLong(c.id)
			s.loop.settle()
		}
		c.finished = true
		if tooLong || c.gone {
			s.forget(c, tooLong)
		}
	})
}

// hungUp: the client is wholly gone.  One that has only finished writing still reads its answers and events; of one that is
// gone the lines that it left are read first.
func (s *controlServer) hungUp(c *client) {
	c.gone = true
	if c.finished {
		s.forget(c, false)
	}
}

func (s *controlServer) forget(c *client, flush bool) {
	delete(s.clients, c.id)
	c.end(flush)
}

func (s *controlServer) reply(id uint32, text []byte) {
	if c := s.clients[id]; c != nil {
		c.send(text)
	}
}

func (s *controlServer) broadcast(text []byte) {
	for _, c := range s.clients {
		c.send(text)
	}
}

func (s *controlServer) close() {
	s.listener.Close()
	for _, c := range s.clients {
		c.end(true)
	}
	for _, c := range s.clients {
		c.flushed(time.Second)
	}
}

// client is one connection; what is sent to it waits here, so that nobody waits for it.
type client struct {
	id       uint32
	gone     bool // the loop's: wholly
	finished bool // the loop's: nothing more is to be read from it
	conn     net.Conn
	lock     sync.Mutex
	wake     sync.Cond
	waiting  []byte
	ending   bool // no more comes
	ended    bool // the writer has done its work
}

func (c *client) send(text []byte) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.ending {
		return
	}
	if len(c.waiting)+len(text) >= maxWaiting {
		c.waiting, c.ending = nil, true
		c.conn.Close()
	} else {
		c.waiting = append(append(c.waiting, text...), '\n')
	}
	c.wake.Signal()
}

// end closes the connection, after what waits if that is wanted.
func (c *client) end(flush bool) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.ending = true
	if !flush {
		c.waiting = nil
		c.conn.Close()
	}
	c.wake.Signal()
}

func (c *client) write() {
	for {
		c.lock.Lock()
		for len(c.waiting) == 0 && !c.ending {
			c.wake.Wait()
		}
		octets := c.waiting
		c.waiting = nil
		over := len(octets) == 0
		c.ended = over
		c.lock.Unlock()
		if over {
			break
		}
		if _, err := c.conn.Write(octets); err != nil {
			c.conn.Close() // the reader sees it too
			c.fail()
			return
		}
	}
	c.linger()
}

func (c *client) fail() {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.waiting, c.ending, c.ended = nil, true, true
}

// linger lets the client read all that was sent: a socket that is closed with unread octets in it would not.
func (c *client) linger() {
	if half, ok := c.conn.(*net.UnixConn); ok && half.CloseWrite() == nil {
		half.SetReadDeadline(time.Now().Add(time.Second))
		io.Copy(io.Discard, half)
	}
	c.conn.Close()
}

// flushed waits until all is written.
func (c *client) flushed(limit time.Duration) {
	for until := time.Now().Add(limit); time.Now().Before(until); time.Sleep(time.Millisecond) {
		c.lock.Lock()
		ended := c.ended
		c.lock.Unlock()
		if ended {
			return
		}
	}
}
