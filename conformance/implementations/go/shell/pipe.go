// SPDX-License-Identifier: MIT

package shell

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"vpcbus/endpoint"
	"vpcbus/wire"
)

// Pipes makes the pipe servers of a host endpoint: Unix sockets in a folder.  A name is reserved by a lock on a file of the
// same folder, which all host endpoints of that folder share and the system gives back when one of them dies.
type Pipes struct {
	Host    *endpoint.Host
	folder  string
	vm      string
	servers map[uint32]*pipeServer
}

type pipeServer struct {
	lock     *os.File
	fd       int // bound, without clients yet; -1: none
	path     string
	listener *net.UnixListener
	came     chan *net.UnixConn // the client, or nil: none came; once for each wait
	waits    bool               // it is still to be taken from there
}

// NewPipes uses the folder `pipes` of the runtime directory.
func NewPipes(runtime, vm string) (*Pipes, error) {
	folder := filepath.Join(runtime, "pipes")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("the folder of the pipes can not be made: %w", err)
	}
	return &Pipes{folder: folder, vm: short(vm), servers: map[uint32]*pipeServer{}}, nil
}

func short(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:12])
}

func (p *Pipes) carryOut(s *streams, a endpoint.Action) {
	server := p.servers[a.Stream]
	switch {
	case a.Kind == endpoint.Listen:
		p.Host.Left = func(id uint32) bool {
			p.look(s, id)
			return s.left(id)
		}
		path, err := p.listen(a.Stream, a.Name)
		errno := uint32(0)
		if err != nil {
			errno = uint32(errnoOf(err))
		}
		p.Host.Listening(a.Stream, errno, path)
	case server == nil:
	case a.Kind == endpoint.Accept:
		p.accept(s, a.Stream, server)
	case a.Kind == endpoint.Close, a.Kind == endpoint.Abort:
		server.close()
	case a.Kind == endpoint.Forget, a.Kind == endpoint.FreeName:
		server.close()
		server.lock.Close()
		delete(p.servers, a.Stream)
	}
}

// listen reserves the name and makes the socket; it takes no client yet (API-12).
func (p *Pipes) listen(id uint32, name string) (path string, err error) {
	lock, err := os.OpenFile(filepath.Join(p.folder, short(wire.PipeKey(name))+".name"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	if err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return "", syscall.EADDRINUSE
	}
	server := &pipeServer{lock: lock, fd: -1, path: filepath.Join(p.folder, fmt.Sprintf("%s.%d", p.vm, id))}
	p.servers[id] = server
	os.Remove(server.path) // of one that was killed
	server.fd, err = syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	return server.path, syscall.Bind(server.fd, &syscall.SockaddrUnix{Name: server.path})
}

// accept takes one client.  The backlog holds one, and with the client the pipe server is gone, so that a second is refused.
func (p *Pipes) accept(s *streams, id uint32, server *pipeServer) {
	if err := syscall.Listen(server.fd, 0); err != nil {
		return // pipe_open ends the pair
	}
	file := os.NewFile(uintptr(server.fd), server.path)
	server.fd = -1
	listener, err := net.FileListener(file)
	file.Close()
	if err != nil {
		return
	}
	server.listener = listener.(*net.UnixListener)
	p.wait(s, id, server)
}

func (p *Pipes) wait(s *streams, id uint32, server *pipeServer) {
	listener, came := server.listener, make(chan *net.UnixConn, 1)
	server.came, server.waits = came, true
	go func() {
		conn, _ := s.loop.accepted(listener)
		client, _ := conn.(*net.UnixConn)
		came <- client
		s.loop.post(func() {
			if server.waits && server.came == came {
				server.waits = false
				p.take(s, id, server, <-came)
			}
		})
	}()
}

func (p *Pipes) take(s *streams, id uint32, server *pipeServer, conn *net.UnixConn) {
	switch {
	case conn == nil:
	case p.servers[id] != server || server.listener == nil:
		conn.Close()
	default:
		server.close()
		s.attach(id, conn)
	}
}

// look takes a client that waits at a pipe server, though nobody has told of it yet.
func (p *Pipes) look(s *streams, id uint32) {
	server := p.servers[id]
	if server == nil || server.listener == nil || !server.waits {
		return
	}
	server.listener.SetDeadline(time.Unix(1, 0))
	select {
	case conn := <-server.came:
		server.waits = false
		if conn == nil {
			conn = pending(server.listener)
		}
		p.take(s, id, server, conn)
	case <-time.After(lookInterval): // it is short of descriptors
	}
	if server.listener != nil {
		server.listener.SetDeadline(time.Time{})
	}
	if server.listener != nil && !server.waits {
		p.wait(s, id, server)
	}
}

// pending is a client that waits now, or nil.
func pending(listener *net.UnixListener) *net.UnixConn {
	raw, err := listener.SyscallConn()
	if err != nil {
		return nil
	}
	client := -1
	raw.Control(func(fd uintptr) {
		client, _, err = syscall.Accept4(int(fd), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
	})
	if err != nil || client < 0 {
		return nil
	}
	file := os.NewFile(uintptr(client), "client")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil
	}
	return conn.(*net.UnixConn)
}

func (server *pipeServer) close() {
	if server.fd >= 0 {
		syscall.Close(server.fd)
		server.fd = -1
	}
	if server.listener != nil {
		server.listener.Close()
		server.listener = nil
	}
	if server.path != "" {
		os.Remove(server.path)
		server.path = ""
	}
}

// lost: a pipe does not break.  An error says that its client left without having read all, and is gone; what it wrote is
// still to be read.
func (p *Pipes) lost(s *streams, id uint32, _ syscall.Errno) { s.loop.ep.StreamGone(id, 0) }

// unreadable: the error comes behind all that the client wrote.
func (p *Pipes) unreadable(s *streams, id uint32, _ syscall.Errno) {
	s.loop.ep.StreamEOF(id)
	s.loop.ep.StreamGone(id, 0)
}

// discard ends a client's connection: it reads the end of the file, which an unread octet of its own would turn into an
// error.
func (p *Pipes) discard(conn halfConn, _ bool) {
	conn.CloseWrite()
	conn.CloseRead()
	go func() {
		conn.SetReadDeadline(time.Now().Add(time.Second))
		io.Copy(io.Discard, conn)
		conn.Close()
	}()
}
