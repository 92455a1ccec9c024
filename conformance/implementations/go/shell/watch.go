// SPDX-License-Identifier: MIT

package shell

import (
	"fmt"
	"syscall"
)

// watch tells when the other end of a local stream is wholly gone, also while nobody reads from it or writes to it.
type watch struct {
	epoll int
	tell  func(id uint32, errno syscall.Errno)
}

func newWatch(tell func(id uint32, errno syscall.Errno)) (*watch, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &watch{epoll: epoll, tell: tell}, nil
}

// add watches a connection until it is closed; it asks for no event, so that only hang-ups and errors come, each once.
func (w *watch) add(id uint32, conn syscall.Conn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		event := syscall.EpollEvent{Events: syscall.EPOLLONESHOT, Fd: int32(fd), Pad: int32(id)}
		syscall.EpollCtl(w.epoll, syscall.EPOLL_CTL_ADD, int(fd), &event)
	})
}

func (w *watch) run() {
	events := make([]syscall.EpollEvent, 16)
	for {
		n, err := syscall.EpollWait(w.epoll, events, -1)
		if err != nil && err != syscall.EINTR {
			return
		}
		for i := 0; i < n; i++ {
			// To ask the socket for its error would take it away from the reader, who would see an orderly end.
			errno := syscall.Errno(0)
			if events[i].Events&syscall.EPOLLERR != 0 {
				errno = syscall.ECONNRESET
			}
			w.tell(uint32(events[i].Pad), errno)
		}
	}
}

// hasHungUp asks for no event, so that only a hang-up or an error shows.
func hasHungUp(fd int) bool {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	defer syscall.Close(epoll)
	if syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Fd: int32(fd)}) != nil {
		return false
	}
	n, err := syscall.EpollWait(epoll, make([]syscall.EpollEvent, 1), 0)
	return err == nil && n > 0
}
