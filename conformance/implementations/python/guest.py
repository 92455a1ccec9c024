#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
A guest endpoint of VPCBus, from VPCBUS.md alone, to show how an implementation in an interpreted language is judged.

    guest.py --bus unix:SOCKET|PORT --log FILE --vm NAME --tag TAG [--option NAME=VALUE]...

It has a bus, an event log and no control socket. One poll() waits for all; nothing blocks.
"""
import collections
import errno
import json
import os
import select
import signal
import socket
import struct
import sys
import time

import wire
from pair import IDS, Pair

NAME = "Python guest 1.0"
LEVELS = ("info", "warning", "error")
EVENTS = {
    1000: ("ENDPOINT_STARTED", 0, "The endpoint started."),
    1001: ("ENDPOINT_STOPPED", 0, "The endpoint stopped."),
    1002: ("TRANSPORT_UP", 0, "The byte stream to the other side is there."),
    1003: ("TRANSPORT_DOWN", 1, "The byte stream to the other side ended."),
    1010: ("SESSION_UP", 0, "A session with the other side began."),
    1011: ("SESSION_LOST", 1, "The session ended; every channel in it was aborted."),
    1012: ("REVISION_MISMATCH", 2, "Host and guest speak no common version."),
    1013: ("FRAMING_LOST", 1, "Octets arrived that are no frame, or a seal does not fit."),
    1014: ("PROTOCOL_VIOLATION", 2, "The other side broke the protocol."),
    1015: ("HEARTBEAT_LATE", 1, "Nothing was heard from the other side for too long."),
    1016: ("HEARTBEAT_RESUMED", 0, "The other side is heard again."),
    1020: ("CHANNEL_OPENED", 0, "A communication channel is open."),
    1021: ("CHANNEL_CLOSED", 0, "A communication channel is closed and both of its channels are released."),
    1022: ("CONNECT_FAILED", 1, "The connection to the server in the guest failed."),
    1026: ("DRAIN_TIMEOUT", 1, "A channel did not drain within its time limit and was aborted."),
    1032: ("EVENTS_SUPPRESSED", 1, "Entries of one id were left out, so that the log is not flooded."),
}
OPTIONS = {     # default, lowest, highest
    "hello_interval_ms": (1000, 10, 60000), "heartbeat_ms": (1000, 10, 60000), "heartbeat_late_ms": (3000, 20, 600000),
    "peer_limit_ms": (30000, 50, 3600000), "backoff_max_ms": (5000, 0, 60000), "connect_ms": (10000, 10, 600000),
    "drain_ms": (10000, 10, 600000), "pipe_open_ms": (30000, 10, 600000), "max_pairs": (16, 1, 16384),
    "window": (262144, 1, 16777216), "version_min": (256, 1, 65535), "version_max": (256, 1, 65535),
}
OUTPUT_MAX = 65536      # octets that wait for the bus before more is made
LOOK_MS = 100           # at a port without a host, or for a socket that is not there
STOP_MS = 2000          # for pairs to drain
LINGER_MS = 10000
EVENTS_KEPT, EVENTS_A_SECOND = 64, 32
FLOOD, FLOOD_MS = 100, 10000


def version_text(version):
    return "%d.%d" % divmod(version, 256)


class Bus:
    """The virtio-serial port, or a Unix socket. It is there while a host is connected."""

    def __init__(self, where):
        self.path = where[5:] if where.startswith("unix:") else None
        self.port = where
        self.stream = None      # a descriptor
        self.up = False

    def open(self):
        try:
            if self.path:
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.connect(self.path)
                self.socket.setblocking(False)
                self.stream = self.socket.fileno()
            else:
                self.stream = os.open(self.device(), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self.stream = None
        return self.stream is not None

    def device(self):
        """The port's device: by the link, or by its name, where that is missing or leads nowhere (TRN-6)."""
        folder = "/sys/class/virtio-ports"
        for device in [] if os.path.exists(self.port) else os.listdir(folder):
            with open(folder + "/" + device + "/name", encoding="utf-8") as name:
                if "/dev/virtio-ports/" + name.read().strip() == self.port:
                    return "/dev/" + device
        return self.port

    def unplugged(self):
        """Whether the port was taken out of the machine: reading nothing from it tells."""
        try:
            os.read(self.stream, 0)
        except OSError as error:
            return error.errno == errno.ENODEV
        return False

    def look(self):
        """Whether a host is there now: a port says POLLHUP while there is none."""
        if self.stream is not None and not self.path and self.unplugged():
            os.close(self.stream)
            self.stream = None
        if self.stream is None and not self.open():
            return False
        poll = select.poll()
        poll.register(self.stream, 0)
        return not any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll(0))

    def drop(self):
        if self.path and self.stream is not None:
            self.socket.close()
            self.stream = None
        self.up = False


class Guest:
    def __init__(self, bus, log, vm, tag, options, ports):
        self.bus, self.log_file, self.vm, self.tag, self.options, self.ports = Bus(bus), log, vm, tag, options, ports
        self.receiver = wire.Receiver()
        self.out = bytearray()
        self.session = None
        self.stopping = self.goodbye = False
        self.pairs, self.control, self.events, self.lingering, self.floods = [], collections.deque(), collections.deque(), [], {}
        self.lost = 0
        self.look_at = self.hello_at = self.retry_at = None
        self.stop_at = None
        self.now = 0
        self.forget_peer()

    # ---- the log ----

    def log(self, event, fields, level=None):
        flood = self.floods.setdefault(event, [self.now, 0, 0])
        if flood[1] >= FLOOD and event != 1032:
            flood[2] += 1
            return
        flood[1] += 1
        name, usual, message = EVENTS[event]
        level = usual if level is None else level
        entry = {"time": int(time.time() * 1000), "id": event, "name": name, "level": LEVELS[level], "source": "guest",
                 "vm": self.vm, "message": message}
        entry.update({key: min(value, 2 ** 63 - 1) if isinstance(value, int) else value for key, value in fields.items()})
        os.write(self.log_file, (json.dumps(entry) + "\n").encode())
        self.events.append((entry, level))
        if len(self.events) > EVENTS_KEPT:
            self.events.popleft()
            self.lost += 1

    def end_floods(self, everything=False):
        for event, (begun, _, left_out) in list(self.floods.items()):
            if everything or self.now >= begun + FLOOD_MS:
                del self.floods[event]
                if left_out:
                    self.log(1032, {"event_id": event, "count": left_out})

    def send_events(self):
        while self.session and self.events and len(self.out) < OUTPUT_MAX:
            if self.event_times and self.now >= self.event_times[0] + 1000:
                self.event_times.popleft()
                continue
            if len(self.event_times) >= EVENTS_A_SECOND:
                return
            self.event_times.append(self.now)
            self.write(wire.EVENT, 0, self.event_body(*self.events.popleft()))

    def event_body(self, entry, level):
        def text(value):
            return "".join(c if " " <= c <= "~" else "?" for c in str(value))[:32].encode("ascii")
        get = entry.get
        detail = next((entry[name] for name in ("implementation", "peer_versions", "frame", "event_id") if name in entry), "")
        value = next((entry[name] for name in ("silent_ms", "pairs", "count") if name in entry), 0)
        lost, self.lost = self.lost, 0
        return struct.pack("<IIQIIHBxIQQQ32s32s", entry["id"], lost, entry["time"], get("h2g", 0), get("g2h", 0), get("port", 0),
                           level, get("errno", 0), get("sent", 0), get("received", 0), value, text(get("cause", "")), text(detail))

    # ---- output ----

    def send(self, kind, channel, body):
        self.control.append((kind, channel, body))

    def drop(self, kind, channel):
        self.control = collections.deque(one for one in self.control if one[:2] != (kind, channel))

    def write(self, kind, channel, body):
        self.sent_number += 1
        self.out += wire.frame(kind, channel, body, self.session, self.sent_number)
        self.sent_at = self.now

    def fill(self):
        """Control messages first, in their order; then DATA and FIN, each channel in its turn."""
        if self.hello_due and len(self.out) < OUTPUT_MAX and (self.bus.up or self.out):
            self.hello_due = False
            self.out += wire.PREAMBLE + wire.hello(2, (self.options["version_min"], self.options["version_max"]),
                                                   self.options["max_pairs"], self.epoch, self.heard, self.options["heartbeat_ms"],
                                                   self.tag, NAME)
            self.told = self.heard
            self.hello_at = self.now + self.options["hello_interval_ms"]
        while self.session and self.control and len(self.out) < OUTPUT_MAX:
            self.write(*self.control.popleft())
        if self.session and not self.control:
            self.send_events()
        ready = [one for one in self.pairs if one.has_data()]
        while self.session and ready and not self.control and len(self.out) < OUTPUT_MAX:
            one = min(ready, key=lambda pair: pair.turn)
            self.turns += 1
            one.turn = self.turns
            kind, body = one.next_data()
            self.write(kind, one.g2h, body)
            if not one.has_data():
                ready.remove(one)

    def flush(self):
        while self.out and self.bus.up:
            try:
                n = os.write(self.bus.stream, self.out[:65536])
            except BlockingIOError:
                return
            except OSError:
                self.transport_down()
                return
            del self.out[:n]
            self.fill()

    # ---- transport and attempts ----

    def forget_peer(self):
        self.epoch = self.heard = self.told = 0
        self.hello_due = False
        self.short_sessions, self.sessions = 0, 0
        self.mismatch = None

    def transport_up(self):
        self.bus.up = True
        self.log(1002, {})
        self.forget_peer()
        self.receiver = wire.Receiver()
        self.attempt()

    def transport_down(self):
        if not self.bus.up:
            return
        self.bus.drop()
        if not self.stopping or self.session:
            self.log(1003, {"cause": "the host is gone"})
        self.end_session("transport down", again=False)
        self.out.clear()
        self.hello_due = False
        self.hello_at = self.retry_at = None
        self.look_at = self.now + LOOK_MS

    def attempt(self):
        """A new epoch, and a HELLO with it."""
        self.retry_at = None
        while True:
            self.epoch = int.from_bytes(os.urandom(8), "little")
            if self.epoch:
                break
        self.hello_due = True

    # ---- sessions ----

    def begin_session(self, hello):
        self.peer = hello
        if self.told != hello.epoch:
            self.hello_due = True
            self.fill()
        self.session = wire.session_id(hello.epoch, self.epoch)
        self.receiver.begin(self.session)
        self.sent_number = self.beats = self.highest = self.turns = 0
        self.begun = self.heard_at = self.sent_at = self.now
        self.late = False
        self.mismatch = None
        self.hello_at = None
        self.event_times = collections.deque()
        version = min(self.options["version_max"], hello.version_max)
        self.log(1010, {"version": version_text(version), "peer": hello.name, "tag": hello.tag})
        if not self.stopping:
            self.send(wire.READY, 0, b"\1\0\0\0")

    def end_session(self, cause, again=True):
        if self.session is None:
            return
        count = len(self.pairs)
        for one in self.pairs:
            one.session_lost("stopped" if cause == "stopped" else "session lost")
        self.pairs.clear()
        self.control.clear()
        self.session = None
        self.receiver.end()
        self.log(1011, {"cause": cause, "pairs": count}, 0 if cause == "stopped" else 1)
        if again:
            self.back_off(self.now - self.begun)

    def back_off(self, lasted):
        self.sessions += 1
        self.short_sessions = self.short_sessions + 1 if self.sessions > 1 and lasted < 1000 else 0
        wait = min(100 << min(self.short_sessions - 1, 16), self.options["backoff_max_ms"]) if self.short_sessions else 0
        if wait:
            self.retry_at = self.now + wait
        else:
            self.attempt()

    def violation(self, why, kind, channel):
        self.log(1014, {"cause": why, "frame": wire.NAMES[kind], "channel": channel})
        self.write(wire.GOODBYE, 0, b"\1\0\0\0")
        self.end_session("protocol violation")

    def common(self, hello):
        return hello.version_min <= self.options["version_max"] and self.options["version_min"] <= hello.version_max

    def take_hello(self, hello):
        if hello.role != 1 or hello.version_min > hello.version_max:
            return
        known = self.heard
        self.heard = hello.epoch
        if self.session:
            self.hello_in_session(hello)
        elif self.retry_at is not None:
            return                                  # it waits before it starts again
        elif hello.echo != self.epoch:
            self.hello_due = True
        elif self.common(hello):
            self.begin_session(hello)
        else:
            self.report_mismatch(hello, known)

    def report_mismatch(self, hello, known):
        ranges = (hello.version_min, hello.version_max, hello.epoch)
        if self.mismatch != ranges:
            mine = self.options["version_min"], self.options["version_max"]
            self.log(1012, {"local_versions": "-".join(map(version_text, mine)),
                            "peer_versions": "-".join(map(version_text, ranges[:2])), "peer": hello.name})
        self.mismatch = ranges
        if self.told != hello.epoch or known != hello.epoch:
            self.hello_due = True

    def hello_in_session(self, hello):
        if hello.epoch != self.peer.epoch:
            self.end_session("peer restarted")
        elif self.late or self.now >= self.heard_at + self.options["heartbeat_late_ms"]:
            self.end_session("peer restarted")
        elif hello.echo != self.epoch:
            self.hello_due = True
        elif not self.common(hello):
            self.end_session("peer restarted")

    # ---- input ----

    def take_frames(self):
        while self.bus.up:
            got = self.receiver.next()
            if got is None:
                return
            if got == "lost":
                self.log(1013, {"cause": "octets that are no frame of the session"})
                self.end_session("framing lost")
                continue
            kind, channel, body = got
            if kind == wire.HELLO:
                self.take_hello(wire.Hello(body))
                continue
            self.heard_at = self.now
            if self.late:
                self.late = False
                self.log(1016, {})
            self.take(kind, channel, body)

    def take(self, kind, channel, body):
        if kind == wire.GOODBYE:
            self.end_session("peer saw a violation" if body == b"\1\0\0\0" else "goodbye")
        elif kind == wire.OPEN:
            self.take_open(channel, *struct.unpack("<IHxxIQ", body))
        elif kind != wire.HEARTBEAT:
            one = next((one for one in self.pairs if channel in (one.h2g, one.g2h) and
                        (one.r if channel == one.h2g else one.s) != "released"), None)
            why = None
            if one:
                why = one.take(kind, channel, body)
            elif channel > self.highest:
                why = "on an id that was never opened"
            elif kind != wire.RESET:
                why = "on a released id"
            if why:
                self.violation(why, kind, channel)

    def take_open(self, h2g, g2h, port, connect_ms, limit):
        if h2g == g2h or min(h2g, g2h) <= self.highest:
            self.violation("ids that are not new", wire.OPEN, h2g)
            return
        self.highest = max(h2g, g2h)
        number = 11 if self.stopping else 105 if len(self.pairs) >= self.options["max_pairs"] else 22 if port == 0 else 0
        allowed = any(low <= port <= high for low, high in self.ports)
        if number == 0 and allowed:
            one = Pair(self, h2g, g2h, port, limit)
            one.turn = self.turns
            self.pairs.append(one)
            one.connect(connect_ms)
            return
        refused = sum(1 for waits in self.control if waits[0] == wire.REFUSED)
        if refused >= max(64, self.options["max_pairs"]):
            self.violation("more OPENs than it takes pairs", wire.OPEN, h2g)
            return
        self.send(wire.REFUSED, h2g, IDS.pack(number or 13))
        if number == 0:
            self.log(1022, {"port": port, "h2g": h2g, "g2h": g2h, "errno": 13, "cause": os.strerror(13)})

    def forget(self, pair):
        if pair in self.pairs:
            self.pairs.remove(pair)

    def linger(self, stream):
        """The program may still read; what it writes is discarded."""
        try:
            stream.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.lingering.append((stream, self.now + LINGER_MS))

    # ---- time ----

    def deadlines(self):
        """Pairs of a time and what is then to be done."""
        if not self.bus.up:
            yield self.look_at, self.look
        elif self.session is None:
            yield self.retry_at, self.attempt
            yield self.hello_at if self.retry_at is None else None, self.repeat_hello
        else:
            yield self.sent_at + self.options["heartbeat_ms"], self.beat
            yield None if self.late else self.heard_at + self.options["heartbeat_late_ms"], self.say_late
            limit = self.options["peer_limit_ms"]
            yield self.heard_at + limit if limit else None, lambda: self.end_session("peer silent")
            if self.events and self.event_times:
                yield self.event_times[0] + 1000, lambda: None
            for one in list(self.pairs):
                yield one.deadline_of(), one.late
        for one in list(self.lingering):
            yield one[1], lambda one=one: self.end_linger(one)
        yield self.stop_at, self.stop
        if self.floods:
            yield min(begun for begun, _, _ in self.floods.values()) + FLOOD_MS, self.end_floods

    def end_linger(self, one):
        one[0].close()
        self.lingering.remove(one)

    def look(self):
        if self.bus.look():
            self.look_at = None
            self.transport_up()
        else:
            self.look_at = self.now + LOOK_MS

    def repeat_hello(self):
        self.hello_at = self.now + self.options["hello_interval_ms"]
        self.hello_due = True

    def beat(self):
        if any(one[0] == wire.HEARTBEAT for one in self.control) or len(self.out) >= OUTPUT_MAX:
            self.sent_at = self.now
            return
        self.beats += 1
        self.send(wire.HEARTBEAT, 0, struct.pack("<Q", self.beats))
        self.sent_at = self.now

    def say_late(self):
        self.late = True
        self.log(1015, {"silent_ms": self.now - self.heard_at})

    def run_clock(self):
        for at, act in list(self.deadlines()):
            if at is not None and self.now >= at:
                act()

    # ---- stopping ----

    def begin_stop(self, *_):
        if self.stopping:
            return
        self.stopping = True
        self.stop_at = self.now + STOP_MS if self.session and self.pairs else self.now
        if self.session:
            self.send(wire.READY, 0, bytes(4))
        for one in list(self.pairs):
            if one.opened:
                one.finish()

    def stop(self):
        self.end_floods(everything=True)
        if self.session:
            self.fill()
            while self.control and len(self.out) < 2 * OUTPUT_MAX:
                self.write(*self.control.popleft())
            self.write(wire.GOODBYE, 0, bytes(4))
            self.end_session("stopped", again=False)
        self.log(1001, {"cause": "it was told to stop"})
        end = time.monotonic() + 1
        while self.out and self.bus.up and time.monotonic() < end:
            before = len(self.out)
            self.flush_rest()
            if len(self.out) == before:
                time.sleep(0.01)
        sys.exit(0)

    def flush_rest(self):
        try:
            del self.out[:os.write(self.bus.stream, self.out[:65536])]
        except BlockingIOError:
            pass
        except OSError:
            self.out.clear()

    # ---- the loop ----

    def watched(self):
        """What poll() waits for: descriptor, events, what is then done."""
        if self.bus.up:
            yield self.bus.stream, select.POLLIN | (select.POLLOUT if self.out else 0), self.serve_bus
        for one in self.pairs:
            reads, writes = one.wants()
            if (reads or writes or one.may_break()) and one.socket.fileno() >= 0:
                yield (one.socket.fileno(), (select.POLLIN if reads else 0) | (select.POLLOUT if writes else 0),
                       lambda events, one=one: self.serve_pair(one, events))
        for one in self.lingering:
            yield one[0].fileno(), select.POLLIN, lambda events, one=one: self.serve_linger(one)

    def serve_bus(self, events):
        if events & select.POLLOUT:
            self.flush()
        if not self.bus.up or not events & ~select.POLLOUT:
            return
        try:
            octets = os.read(self.bus.stream, 65536)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if octets:
            self.receiver.add(octets)
            self.take_frames()
        else:
            self.transport_down()

    def serve_pair(self, one, events):
        if one.socket.fileno() < 0:
            return
        if not one.opened:
            one.connected()
            return
        reads, _ = one.wants()
        if one.undelivered and events & (select.POLLOUT | select.POLLERR | select.POLLHUP):
            one.deliver()
        if reads and events & (select.POLLIN | select.POLLERR | select.POLLHUP) and one.socket.fileno() >= 0:
            one.read()
        elif events & (select.POLLERR | select.POLLHUP) and not reads and one.socket.fileno() >= 0:
            one.broke(one.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or 104)

    def serve_linger(self, one):
        try:
            if one[0].recv(65536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.end_linger(one)

    def turn(self):
        poll, acts = select.poll(), {}
        for descriptor, events, act in self.watched():
            poll.register(descriptor, events)
            acts[descriptor] = act
        times = [at for at, _ in self.deadlines() if at is not None]
        ready = poll.poll(max(0, min(times) - self.now) if times else 1000)
        self.now = int(time.monotonic() * 1000)
        for descriptor, events in ready:
            acts[descriptor](events)
        self.run_clock()
        self.fill()
        self.flush()
        if self.stopping and not self.pairs and not self.control:
            self.stop()

    def run(self):
        self.now = int(time.monotonic() * 1000)
        signals, wake = socket.socketpair()
        for end in (signals, wake):
            end.setblocking(False)
        signal.set_wakeup_fd(wake.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.begin_stop)
        self.log(1000, {"implementation": NAME, "version": "1.0"})
        self.look_at = self.now
        while True:
            self.turn()


def ports_of(text):
    ranges = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        ends = int(low), int(high if dash else low)
        if not (low.isdigit() and (high.isdigit() or not dash)) or not 1 <= ends[0] <= ends[1] <= 65535:
            raise ValueError(text)
        ranges.append(ends)
    return ranges


def main():
    given, options = {}, {name: one[0] for name, one in OPTIONS.items()}
    ports = [(1, 65535)]
    words = sys.argv[1:]
    try:
        for key, value in zip(words[::2], words[1::2], strict=True):
            if key != "--option":
                given[key] = value
                continue
            name, _, value = value.partition("=")
            if name == "allow_ports":
                ports = ports_of(value)
                continue
            _, low, high = OPTIONS[name]
            options[name] = int(value)
            off = name == "peer_limit_ms" and value == "0"
            if not value.isdigit() or not (off or low <= options[name] <= high):
                raise ValueError(name)
        if options["version_min"] > options["version_max"]:
            raise ValueError("version_min")
        log = os.open(given["--log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        guest = Guest(given["--bus"], log, given["--vm"], given["--tag"], options, ports)
    except (KeyError, ValueError) as error:
        sys.exit("guest.py: a missing or unknown option, or one outside of its range: %s" % error)
    guest.run()


main()
