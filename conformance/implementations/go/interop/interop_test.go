// SPDX-License-Identifier: MIT

// Package interop runs host and guest endpoints of several implementations against each other, over a relay between two
// Unix sockets.  VPC_BUILD names the folder of the programs; without it there is nothing to run.
package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const patience = 30 * time.Second

// hosts and guests are command lines; %B is the build folder, %D a folder of the run's own.
var hosts = map[string]struct{ command, control string }{
	"go":        {"%B/go/vpc-host-go --vm vm --bus %D/host.bus --runtime-dir %D --log %D/host.log", "%D/control.sock"},
	"reference": {"%B/vpc-host --vm vm --bus %D/host.bus --runtime-dir %D --log %D/host.log", "%D/vms/vm.sock"},
}

var guests = map[string]string{
	"go":        "%B/go/vpc-guest-go --bus unix:%D/guest.bus --control %D/guest.sock --log %D/guest.log --tag TAG --vm vm",
	"reference": "%B/vpc-guest --bus unix:%D/guest.bus --control %D/guest.sock --log %D/guest.log --tag TAG --vm vm",
}

func TestInterop(t *testing.T) {
	build := os.Getenv("VPC_BUILD")
	if build == "" {
		t.Skip("VPC_BUILD is not set")
	}
	for hostName, host := range hosts {
		for guestName, guest := range guests {
			host, guest := host, guest
			t.Run(hostName+" and "+guestName, func(t *testing.T) {
				folder := t.TempDir()
				os.Chmod(folder, 0o700)
				place := strings.NewReplacer("%B", build, "%D", folder)
				run(t, place, place.Replace(host.command), place.Replace(host.control), place.Replace(guest))
			})
		}
	}
}

func run(t *testing.T, place *strings.Replacer, host, control, guest string) {
	relay(t, place.Replace("%D/host.bus"), place.Replace("%D/guest.bus"))
	hostProgram := launch(t, host)
	guestProgram := launch(t, guest)
	client := dialControl(t, control)
	client.awaitReady(t)

	echo := serve(t, func(conn net.Conn) { io.Copy(conn, conn) })
	transfer(t, client.start(t, "echo", echo), 5000000)
	none := client.call(t, "start", `"host-name": "\\\\.\\pipe\\none", "guest-name": "1"`)
	if none.Error.Class != "ERROR_CONNECTION_REFUSED" {
		t.Errorf("a port where nobody listens: %+v", none)
	}
	lastWords(t, client)
	expectEnd(t, client.start(t, "broken", serve(t, resetAfterOne)))
	awaitLog(t, place.Replace("%D/host.log"), `"CHANNEL_CLOSED"`, `"closed"`)
	awaitLog(t, place.Replace("%D/guest.log"), `"CHANNEL_CLOSED"`, `"closed"`)
	awaitLog(t, place.Replace("%D/host.log"), `"CHANNEL_CLOSED"`, `"reset by guest"`)
	stop(t, guestProgram)
	awaitLog(t, place.Replace("%D/host.log"), `"SESSION_LOST"`, `"goodbye"`)
	launch(t, guest)
	client.awaitReady(t)
	transfer(t, client.start(t, "echo", echo), 100)
	stop(t, hostProgram)
}

// ---- the transport ----

func relay(t *testing.T, paths ...string) {
	var listeners [2]net.Listener
	for i, path := range paths {
		listener, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		listeners[i] = listener
	}
	go func() {
		for {
			a, err := listeners[0].Accept()
			if err != nil {
				return
			}
			join(a, listeners[1])
		}
	}()
}

// join joins one connection of the host with one guest after the other, as QEMU does.
func join(host net.Conn, guests net.Listener) {
	defer host.Close()
	for {
		guest, err := guests.Accept()
		if err != nil {
			return
		}
		ended := make(chan bool, 1)
		go func() {
			_, err := io.Copy(guest, host)
			guest.Close()
			ended <- err == nil
		}()
		io.Copy(host, guest)
		host.SetReadDeadline(time.Now())
		guest.Close()
		if hostEnded := <-ended; hostEnded {
			return
		}
		host.SetReadDeadline(time.Time{})
	}
}

// ---- the programs ----

func launch(t *testing.T, command string) *exec.Cmd {
	words := strings.Fields(command)
	program := exec.Command(words[0], words[1:]...)
	program.Stderr = os.Stderr
	if err := program.Start(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if program.ProcessState == nil {
			program.Process.Kill()
			program.Wait()
		}
	})
	return program
}

func stop(t *testing.T, program *exec.Cmd) {
	program.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(patience, func() { program.Process.Kill() })
	defer timer.Stop()
	if err := program.Wait(); err != nil {
		t.Errorf("%s: %v", program.Path, err)
	}
}

func awaitLog(t *testing.T, path string, words ...string) {
	t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		text, _ := os.ReadFile(path)
		for _, line := range bytes.Split(text, []byte("\n")) {
			found := 0
			for _, word := range words {
				if bytes.Contains(line, []byte(word)) {
					found++
				}
			}
			if found == len(words) {
				return
			}
		}
	}
	t.Errorf("%s: no entry with %q", filepath.Base(path), words)
}

// ---- the control socket ----

type message struct {
	Return struct{ Path, Level string }
	Error  struct{ Class string }
	ID     int
}

type controlClient struct {
	conn net.Conn
	in   *bufio.Scanner
	last int
}

func dialControl(t *testing.T, path string) *controlClient {
	for until := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("unix", path)
		if err == nil {
			t.Cleanup(func() { conn.Close() })
			return &controlClient{conn: conn, in: bufio.NewScanner(conn)}
		}
		if time.Now().After(until) {
			t.Fatal(err)
		}
	}
}

func (c *controlClient) await(t *testing.T, is func(message) bool) message {
	t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(patience))
	for c.in.Scan() {
		var m message
		if err := json.Unmarshal(c.in.Bytes(), &m); err != nil {
			t.Fatalf("%v: %s", err, c.in.Bytes())
		}
		if is(m) {
			return m
		}
	}
	t.Fatalf("the control socket ended: %v", c.in.Err())
	return message{}
}

func (c *controlClient) call(t *testing.T, command, arguments string) message {
	t.Helper()
	c.last++
	fmt.Fprintf(c.conn, `{"execute": %q, "arguments": {%s}, "id": %d}`+"\n", command, arguments, c.last)
	return c.await(t, func(m message) bool { return m.ID == c.last })
}

func (c *controlClient) awaitReady(t *testing.T) {
	t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if c.call(t, "query-vm", "").Return.Level == "ready" {
			return
		}
	}
	t.Fatal("the guest is never ready")
}

func (c *controlClient) start(t *testing.T, pipe string, port int) net.Conn {
	t.Helper()
	m := c.call(t, "start", fmt.Sprintf(`"host-name": "\\\\.\\pipe\\%s", "guest-name": "%d"`, pipe, port))
	conn, err := net.Dial("unix", m.Return.Path)
	if err != nil {
		t.Fatalf("start: %+v: %v", m, err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// ---- the local programs ----

func serve(t *testing.T, each func(net.Conn)) (port int) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				each(conn)
				conn.Close()
			}()
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

// resetAfterOne is a server that resets its connection when it was sent anything.
func resetAfterOne(conn net.Conn) {
	conn.Read(make([]byte, 1))
	conn.(*net.TCPConn).SetLinger(0)
}

func expectEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.Write([]byte{'x'})
	if rest, err := io.ReadAll(conn); len(rest) != 0 || err != nil {
		t.Errorf("a server that resets: %d octets, %v", len(rest), err)
	}
}

// lastWords: a client that leaves with octets unread is heard to its last octet.
func lastWords(t *testing.T, client *controlClient) {
	t.Helper()
	const n = 3000000
	heard := make(chan int64, 1)
	port := serve(t, func(conn net.Conn) {
		conn.Write(make([]byte, 100000))
		count, _ := io.Copy(io.Discard, conn)
		heard <- count
	})
	conn := client.start(t, "last", port)
	conn.Read(make([]byte, 1))
	if _, err := conn.Write(make([]byte, n)); err != nil {
		t.Error(err)
	}
	conn.Close()
	select {
	case count := <-heard:
		if count != n {
			t.Errorf("%d of %d last octets were heard", count, n)
		}
	case <-time.After(patience):
		t.Error("the server never sees the end")
	}
}

// transfer sends octets, finishes writing, and wants the same octets and an end back.
func transfer(t *testing.T, conn net.Conn, n int) {
	t.Helper()
	octets := make([]byte, n)
	rand.New(rand.NewSource(1)).Read(octets)
	go func() {
		conn.Write(octets)
		conn.(*net.UnixConn).CloseWrite()
	}()
	if back, err := io.ReadAll(conn); err != nil || !bytes.Equal(back, octets) {
		t.Errorf("%d octets sent, %d came back (%v)", n, len(back), err)
	}
	conn.Close()
}
