# SPDX-License-Identifier: MIT
"""A pair of channels in the guest, and the program at its end (VPCBUS.md, section 7)."""
import errno
import os
import socket
import struct

import wire

READ_AT_ONCE = 65528
IDS = struct.Struct("<I")
BROKEN = {"reset by host", "local program", "protocol violation", "drain timeout", "session lost"}


class Pair:
    """`r` is the state of the channel on which it receives (h2g), `s` of that on which it sends (g2h)."""

    def __init__(self, guest, h2g, g2h, port, limit):
        self.guest, self.h2g, self.g2h, self.port = guest, h2g, g2h, port
        self.r = self.s = "opening"
        self.limit, self.sent, self.waits = limit, 0, b""        # of g2h: credit, octets sent, octets that wait
        self.window = guest.options["window"]
        self.received, self.delivered, self.granted = 0, 0, self.window
        self.undelivered = bytearray()
        self.credit_at = 0                                       # what was delivered when the last limit was said
        self.finished = self.peer_finished = self.shut = self.opened = self.deaf = False
        self.cause, self.errno = "closed", 0
        self.progress = guest.now
        self.socket = None

    # ---- the program ----

    def connect(self, limit_ms):
        self.deadline = self.guest.now + limit_ms
        try:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            self.refuse(error.errno)
            return
        failed = self.socket.connect_ex(("127.0.0.1", self.port))
        if failed not in (0, errno.EINPROGRESS):
            self.refuse(failed)

    def refuse(self, number, log=True):
        if self.socket is not None:
            self.socket.close()
        self.guest.drop(wire.RELEASED, self.g2h)
        self.guest.send(wire.REFUSED, self.h2g, IDS.pack(number))
        if log:
            self.guest.log(1022, dict(self.fields(), errno=number, cause=os.strerror(number)))
        self.r = self.s = "released"
        self.guest.forget(self)

    def connected(self):
        failed = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            self.refuse(failed)
            return
        self.opened = True
        self.r = "open"
        self.s = "open" if self.s == "opening" else self.s
        self.progress = self.guest.now
        self.guest.send(wire.OPENED, self.h2g, struct.pack("<Q", self.window))
        self.guest.log(1020, self.fields())
        if self.guest.stopping:
            self.finish()

    def fields(self):
        return {"port": self.port, "h2g": self.h2g, "g2h": self.g2h}

    def wants(self):
        """Reading and writing, as poll() is asked for them."""
        if not self.opened:
            return False, True
        reads = self.deaf or self.s == "open" and not self.finished and len(self.waits) < READ_AT_ONCE
        return reads, bool(self.undelivered)

    def may_break(self):
        """While it is not wholly over a reset shows, also when nothing is wanted of it."""
        return self.opened and self.r in ("open", "draining")

    def read(self):
        try:
            octets = self.socket.recv(READ_AT_ONCE)
        except BlockingIOError:
            return False
        except OSError as error:
            self.broke(error.errno)
            return False
        if not octets:
            self.finished, self.deaf = True, False
            self.progress = self.guest.now      # the time to drain begins when both ends have begun to close
        elif not self.deaf:
            self.waits += octets
        return bool(octets)

    def broke(self, number):
        if self.s == "released" and self.r == "released":
            return
        self.abort("local program", number)

    def finish(self):
        """What the program has written is still sent, then FIN: the endpoint is being stopped."""
        while self.s == "open" and not self.finished and self.read():
            pass
        self.finished = True

    def deliver(self):
        while self.undelivered:
            try:
                n = self.socket.send(self.undelivered[:65536])
            except BlockingIOError:
                break
            except OSError as error:
                self.broke(error.errno)
                return
            del self.undelivered[:n]
            self.delivered += n
            self.progress = self.guest.now
        if self.r in ("open", "draining"):
            self.give_credit()
        if self.r == "draining" and not self.undelivered:
            self.end_of_stream()

    def give_credit(self):
        due = self.delivered > self.credit_at if self.r == "draining" else 2 * (self.delivered - self.credit_at) >= self.window
        if not due or (self.r == "draining" and not self.undelivered):
            return
        self.credit_at, self.granted = self.delivered, self.delivered + self.window
        self.guest.drop(wire.CREDIT, self.h2g)
        self.guest.send(wire.CREDIT, self.h2g, struct.pack("<Q", self.granted))

    def end_of_stream(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.broke(error.errno)
            return
        self.r = "released"
        self.guest.drop(wire.CREDIT, self.h2g)
        self.guest.send(wire.RELEASED, self.h2g, struct.pack("<Q", self.delivered))
        self.look_at_end()

    # ---- what is sent ----

    def has_data(self):
        return self.s == "open" and (self.sent < self.limit if self.waits else self.finished)

    def next_data(self):
        self.progress = self.guest.now
        if self.waits:
            n = min(self.limit - self.sent, READ_AT_ONCE)
            octets, self.waits = self.waits[:n], self.waits[n:]
            offset, self.sent = self.sent, self.sent + len(octets)
            return wire.DATA, struct.pack("<Q", offset) + octets
        self.s = "closing"
        return wire.FIN, struct.pack("<Q", self.sent)

    def reset(self, end, number):
        state = getattr(self, end)
        if state in ("aborting", "released"):
            return
        setattr(self, end, "aborting")
        channel = self.h2g if end == "r" else self.g2h
        self.guest.drop(wire.CREDIT, channel)
        self.guest.send(wire.RESET, channel, IDS.pack(number))

    def abort(self, cause, number):
        """The whole pair ends by an error; the program sees a reset."""
        if self.cause == "closed":
            self.cause, self.errno = cause, number
        self.waits, self.deaf = b"", False
        self.undelivered.clear()
        self.close(abort=True)
        self.reset("r", number)
        self.reset("s", number)
        self.look_at_end()

    def close(self, abort):
        if self.socket.fileno() < 0:
            return
        if abort:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.socket.close()
        else:
            self.guest.linger(self.socket)

    def look_at_end(self):
        if self.r != "released" or self.s != "released":
            return
        self.close(abort=False)
        self.guest.forget(self)
        if self.opened:
            self.log_end()

    def log_end(self):
        more = {"cause": self.cause, "sent": self.sent, "received": self.received}
        if self.errno:
            more["errno"] = self.errno
        self.guest.log(1021, dict(self.fields(), **more), 1 if self.cause in BROKEN else 0)

    def session_lost(self, cause):
        self.close(abort=True)
        if self.opened:
            self.cause = cause if self.cause == "closed" else self.cause
            self.log_end()

    # ---- what is received; a text is why it is a violation ----

    def take(self, kind, channel, body):
        end = "r" if channel == self.h2g else "s"
        state = getattr(self, end)
        value = struct.unpack("<Q", body[:8])[0] if len(body) >= 8 else IDS.unpack(body)[0]
        if kind != wire.CREDIT or value > self.limit:
            self.progress = self.guest.now          # CLS-8: a limit that stays as it is tells of no reading
        if kind == wire.RESET:
            self.take_reset(end, state, value)
        elif kind == wire.RELEASED and state in ("aborting", "closing"):
            setattr(self, end, "released")
            self.guest.drop(wire.RESET, channel)
            self.look_at_end()
        elif kind == wire.CREDIT and end == "s" and state in ("open", "closing"):
            if value < self.limit:
                self.protocol("CREDIT below the last limit", kind, channel)
            self.limit = value
        elif end == "r" and state == "open" and kind in (wire.DATA, wire.FIN):
            self.take_octets(kind, channel, value, body[8:])
        elif not (state == "aborting" and kind in ((wire.DATA, wire.FIN) if end == "r" else (wire.CREDIT,))):
            return "illegal in this state of its channel"
        return None

    def take_octets(self, kind, channel, offset, octets):
        if offset != self.received:
            self.protocol("another offset", kind, channel)
        elif self.received + len(octets) > self.granted:
            self.protocol("beyond the limit", kind, channel)
        elif kind == wire.DATA:
            self.received += len(octets)
            self.undelivered += octets
            self.deliver()
        else:
            self.r, self.peer_finished = "draining", True
            self.deliver()

    def protocol(self, why, kind, channel):
        self.guest.log(1014, dict(self.fields(), cause=why, frame=wire.NAMES[kind], channel=channel))
        self.abort("protocol violation", errno.EPROTO)

    def take_reset(self, end, state, number):
        channel, other = (self.h2g, "s") if end == "r" else (self.g2h, "r")
        offset = self.delivered if end == "r" else self.sent
        if not self.opened and end == "s" and number:
            self.refuse(number, log=False)
            return
        self.guest.drop(wire.CREDIT, channel)
        if end == "s":
            self.waits = b""
        self.guest.send(wire.RELEASED, channel, struct.pack("<Q", offset))
        if state == "aborting":
            return
        setattr(self, end, "released")
        if end == "s" and number == 0:
            self.deaf = self.opened and not self.finished       # what it writes has no reader any more
            self.finished = True
            self.look_at_end()
            return
        number = number or errno.ECONNRESET
        if self.cause == "closed":
            self.cause, self.errno = "reset by host", number
        self.waits, self.deaf = b"", False
        self.undelivered.clear()
        self.close(abort=True)
        self.reset(other, number)
        self.look_at_end()

    # ---- time ----

    def deadline_of(self):
        if not self.opened:
            return self.deadline
        closing = (self.finished or self.s == "released") and (self.peer_finished or self.r == "released")
        return self.progress + self.guest.options["drain_ms"] if closing and "aborting" not in (self.r, self.s) else None

    def late(self):
        if not self.opened:
            self.refuse(errno.ETIMEDOUT)
            return
        self.guest.log(1026, dict(self.fields(), cause="no progress while closing"))
        self.abort("drain timeout", errno.ETIMEDOUT)
