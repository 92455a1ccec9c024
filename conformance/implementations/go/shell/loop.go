// SPDX-License-Identifier: MIT

// Package shell does the input and output of an endpoint.  One goroutine, the loop, owns the endpoint; every connection has
// goroutines that wait for the system and post to the loop what came of it.  Each of them has at most one piece under way,
// so that whoever is slow holds up itself alone.
package shell

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"vpcbus/endpoint"
)

const (
	drainTime    = 5 * time.Second // for open pairs, when the endpoint is stopped
	farewellTime = 2 * time.Second // for GOODBYE
)

// Loop runs one endpoint.
type Loop struct {
	ep      *endpoint.Endpoint
	posts   chan func()
	done    chan struct{}
	begun   time.Time
	log     *os.File
	bus     *bus
	control *controlServer
	streams *streams
	ready   *readyEvent
	stopped bool      // the endpoint has
	until   time.Time // when a farewell that was not taken is given up; zero: not stopping
}

// Settings are what both programs are started with.
type Settings struct {
	Bus, Control, Log string
}

// NewLoop opens the files and sockets of an endpoint.  local makes its local streams.
func NewLoop(ep *endpoint.Endpoint, s Settings, local maker, ready *readyEvent) (*Loop, error) {
	l := &Loop{ep: ep, posts: make(chan func()), done: make(chan struct{}), begun: time.Now(), ready: ready}
	var err error
	if l.log, err = os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, fmt.Errorf("the event log can not be opened: %w", err)
	}
	if l.control, err = newControlServer(l, s.Control); err != nil {
		return nil, err
	}
	if l.streams, err = newStreams(l, local); err != nil {
		return nil, err
	}
	l.bus = newBus(l, s.Bus)
	return l, nil
}

// post gives the loop something to do, and tells whether it still does anything.
func (l *Loop) post(f func()) bool {
	select {
	case l.posts <- f:
		return true
	case <-l.done:
		return false
	}
}

func (l *Loop) now() int64 { return time.Since(l.begun).Milliseconds() }

// Run serves until SIGTERM or SIGINT and the farewell.
func (l *Loop) Run() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go l.bus.run()
	go l.control.run()
	go l.control.watch.run()
	go l.streams.watch.run()
	timer := time.NewTimer(0)
	for !l.finished() {
		l.settle()
		timer.Reset(l.patience())
		select {
		case f := <-l.posts:
			l.ep.Clock(l.now())
			f()
		case <-timer.C:
			l.ep.Clock(l.now())
		case <-signals:
			l.ep.Clock(l.now())
			l.stop()
		}
		if !timer.Stop() {
			select {
			case <-timer.C:
			default:
			}
		}
	}
	l.settle()
	close(l.done)
	l.bus.close()
	l.control.close()
	l.ready.set("", false)
}

// patience is how long the loop may wait.
func (l *Loop) patience() time.Duration {
	at, longest := l.ep.Deadline(), time.Hour
	if !l.until.IsZero() {
		longest = time.Until(l.until)
	}
	if wait := at - l.now(); wait < longest.Milliseconds() {
		return time.Until(l.begun.Add(time.Duration(at) * time.Millisecond))
	}
	return longest
}

func (l *Loop) stop() {
	if l.until.IsZero() {
		l.until = time.Now().Add(drainTime + farewellTime)
		l.ep.Stop(drainTime.Milliseconds())
	} else {
		l.until = time.Now()
	}
}

func (l *Loop) finished() bool {
	if l.until.IsZero() {
		return false
	}
	l.settle()
	return l.stopped && l.bus.idle() || !time.Now().Before(l.until)
}

// settle carries out what the endpoint wants, until it wants nothing more.
func (l *Loop) settle() {
	for {
		l.bus.pump()
		l.streams.pump()
		actions := l.ep.Actions()
		if len(actions) == 0 {
			return
		}
		for _, a := range actions {
			l.carryOut(a)
		}
	}
}

func (l *Loop) carryOut(a endpoint.Action) {
	switch a.Kind {
	case endpoint.Log:
		if _, err := l.log.Write(append(a.Text, '\n')); err != nil {
			fmt.Fprintf(os.Stderr, "the event log can not be written: %v\n", err)
		}
	case endpoint.Reply:
		l.control.reply(a.Client, a.Text)
	case endpoint.Broadcast:
		l.control.broadcast(a.Text)
	case endpoint.Stopped:
		l.stopped = true
	case endpoint.ReadyEvent:
		if err := l.ready.set(a.Name, a.Set); err != nil {
			l.ep.ReadyFailed(a.Name, uint32(errnoOf(err)))
		}
	default:
		l.streams.carryOut(a)
	}
}

// Random is 64 bits that nobody can guess.
func Random() uint64 {
	var octets [8]byte
	if _, err := rand.Read(octets[:]); err != nil {
		panic(err) // an endpoint without random numbers can not greet
	}
	return binary.LittleEndian.Uint64(octets[:])
}

// WallClock is the time of day in milliseconds.
func WallClock() int64 { return time.Now().UnixMilli() }
