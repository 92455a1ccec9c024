// SPDX-License-Identifier: MIT

package shell

import (
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// readyEvent is the ready event as other processes see it (RDY-1 to RDY-3): a lock on a file that is named by the event.
// While the lock is held the event is set; the system takes it from an endpoint that dies.
type readyEvent struct {
	folder string
	held   *os.File
}

// NewReadyEvent keeps events in the folder `events` of the runtime directory; "" keeps none.
func NewReadyEvent(runtime string) *readyEvent {
	if runtime == "" {
		return &readyEvent{}
	}
	return &readyEvent{folder: filepath.Join(runtime, "events")}
}

func eventPath(folder, name string) string { return filepath.Join(folder, short(name)) }

var wholeFile = syscall.Flock_t{Type: syscall.F_WRLCK}

func (r *readyEvent) set(name string, set bool) error {
	if r.held != nil {
		r.held.Close()
		r.held = nil
	}
	if r.folder == "" || !set {
		return nil
	}
	return r.hold(name)
}

func (r *readyEvent) hold(name string) error {
	if err := os.MkdirAll(r.folder, 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(eventPath(r.folder, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	lock := wholeFile
	if err := syscall.FcntlFlock(file.Fd(), syscall.F_SETLK, &lock); err != nil {
		file.Close()
		return err
	}
	r.held = file
	return nil
}

// WaitReady waits until the event of a tag is set; false when the time is over before.
func WaitReady(runtime, tag string, limit time.Duration) bool {
	path := eventPath(filepath.Join(runtime, "events"), `Local\`+tag+"_ChannelReady")
	for until := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		if isHeld(path) {
			return true
		}
		if !time.Now().Before(until) {
			return false
		}
	}
}

func isHeld(path string) bool {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer file.Close()
	lock := wholeFile
	return syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, &lock) == nil && lock.Type != syscall.F_UNLCK
}
