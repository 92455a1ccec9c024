// SPDX-License-Identifier: MIT

package shell

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// A look at the transport at most ten times a second (TRN-4).
const lookInterval = 110 * time.Millisecond

// How long a reader may take to come to the end of a transport that takes nothing any more.
const readTheRest = time.Second

// bus is the transport: it is looked for, used until it ends, and looked for again.
type bus struct {
	loop   *Loop
	target string
	conn   io.ReadWriteCloser // nil: the transport is down
	frames chan []byte        // for the writer of conn
	busy   bool               // the writer has a frame
	mute   bool               // nobody takes frames any more
	more   chan struct{}      // lets the reader read on
	parked bool               // the reader waits for that
}

func newBus(l *Loop, target string) *bus { return &bus{loop: l, target: target} }

// run is the goroutine that connects and reads.
func (b *bus) run() {
	for {
		conn, err := b.dial()
		if err == nil {
			b.serve(conn)
			conn.Close()
		}
		select {
		case <-b.loop.done:
			return
		case <-time.After(lookInterval):
		}
	}
}

func (b *bus) dial() (io.ReadWriteCloser, error) {
	if strings.HasPrefix(b.target, "unix:") {
		return net.Dial("unix", strings.TrimPrefix(b.target, "unix:"))
	}
	return openPort(b.target, b.loop.done)
}

func (b *bus) serve(conn io.ReadWriteCloser) {
	more, frames := make(chan struct{}, 1), make(chan []byte, 1)
	if !b.loop.post(func() {
		b.conn, b.more, b.frames, b.busy, b.mute, b.parked = conn, more, frames, false, false, false
		b.loop.ep.BusUp()
	}) {
		return
	}
	go b.write(conn, frames)
	why := b.read(conn, more)
	b.loop.post(func() {
		b.conn = nil
		close(frames)
		if !b.loop.stopped {
			b.loop.ep.BusDown(why)
		}
	})
}

func (b *bus) read(conn io.Reader, more chan struct{}) (why string) {
	octets := make([]byte, 64<<10)
	for {
		n, err := conn.Read(octets)
		if n > 0 && !b.loop.post(func() {
			b.loop.ep.BusInput(octets[:n])
			b.parked = true
		}) {
			return ""
		}
		switch {
		case errors.Is(err, io.EOF):
			return "the other side closed the byte stream"
		case err != nil:
			return err.Error()
		}
		select {
		case <-more:
		case <-b.loop.done:
			return ""
		}
	}
}

// write ends with the first error.  What the other side said before it went is still to be read, so the transport stays
// until the reader has come to its end; a reader that does not come there is cut off.
func (b *bus) write(conn io.WriteCloser, frames chan []byte) {
	for frame := range frames {
		_, err := conn.Write(frame)
		b.loop.post(func() {
			if b.frames == frames {
				b.busy, b.mute = false, err != nil
			}
		})
		if err != nil {
			time.AfterFunc(readTheRest, func() { conn.Close() })
			return
		}
	}
}

// pump gives the writer the next frame, and the reader leave to read on.
func (b *bus) pump() {
	if b.conn == nil {
		return
	}
	for b.mute && b.loop.ep.BusOutput() != nil {
	}
	if !b.busy && !b.mute {
		if frame := b.loop.ep.BusOutput(); frame != nil {
			b.busy = true
			b.frames <- frame
		}
	}
	if b.parked && b.loop.ep.BusWanted() {
		b.parked = false
		b.more <- struct{}{}
	}
}

// idle tells whether nothing waits to be sent.
func (b *bus) idle() bool { return b.conn == nil || !b.busy }

func (b *bus) close() {
	if b.conn != nil {
		b.conn.Close()
	}
}

// openPort opens a virtio-serial port once a host is connected to it.  The port is closed and opened anew for each host, so
// that whoever waits for it wakes up when the host goes.
func openPort(path string, done chan struct{}) (io.ReadWriteCloser, error) {
	const how = syscall.O_RDWR | syscall.O_NONBLOCK | syscall.O_CLOEXEC
	fd, err := syscall.Open(path, how, 0)
	if device := portNamed(path); err != nil && device != "" {
		fd, err = syscall.Open(device, how, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for hungUp(fd) {
		if unplugged(fd) {
			syscall.Close(fd)
			return nil, fmt.Errorf("%s: %w", path, syscall.ENODEV)
		}
		select {
		case <-done:
			syscall.Close(fd)
			return nil, io.EOF
		case <-time.After(lookInterval):
		}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// portNamed finds the device of a port by its name, where the link below /dev/virtio-ports is missing or stale (TRN-6).
func portNamed(path string) string {
	name := strings.TrimPrefix(path, "/dev/virtio-ports/")
	files, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
	for _, file := range files {
		if text, err := os.ReadFile(file); name != path && err == nil && strings.TrimSpace(string(text)) == name {
			return "/dev/" + filepath.Base(filepath.Dir(file))
		}
	}
	return ""
}

// unplugged tells whether the port was taken out of the machine.
func unplugged(fd int) bool {
	_, _, errno := syscall.Syscall(syscall.SYS_READ, uintptr(fd), 0, 0)
	return errno == syscall.ENODEV
}

// hungUp tells whether no host is connected to the port.
func hungUp(fd int) bool {
	const pollHup = 0x10
	poll := struct {
		fd              int32
		events, revents int16
	}{fd: int32(fd)}
	_, _, errno := syscall.Syscall(syscall.SYS_POLL, uintptr(unsafe.Pointer(&poll)), 1, 0)
	return errno != 0 || poll.revents&pollHup != 0
}
