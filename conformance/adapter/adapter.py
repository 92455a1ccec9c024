#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
An adapter for vpc-conform, to begin yours with: it speaks for a host endpoint that has a control socket and whose pipes are
Unix sockets.  Replace what is marked; README.md beside it says what each of the three forms must do.

    adapter.py CONTROL-SOCKET probe
    adapter.py CONTROL-SOCKET control
    adapter.py CONTROL-SOCKET pipe NAME PATH
"""
import json
import select
import socket
import sys
import time

WAIT_S = 10         # for an implementation that is only starting
FEATURES = "control events"     # yours: what your implementation supports (its PICS)


def open_control(path):
    """Yours: a connection to whatever takes StartCommunicationChannel and the other requests."""
    for _ in range(WAIT_S * 50):
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
            return connection
        except OSError:
            connection.close()
            time.sleep(0.02)
    sys.exit("adapter.py: %s takes no connection" % path)


def open_pipe(name, path):
    """Yours: opens the pipe NAME as a host program would.  PATH is what `start` answered as `path`, or empty."""
    del name
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    return connection


class Direction:
    """Octets on their way from one socket to the other, and the end behind them."""

    def __init__(self, source, target):
        self.source, self.target, self.waits, self.ended, self.passed_on = source, target, b"", False, False

    def take(self):
        try:
            octets = self.source.recv(4096)
        except OSError:
            octets = b""
        self.waits, self.ended = octets, not octets

    def give(self):
        try:
            self.waits = self.waits[self.target.send(self.waits):]
            return True
        except OSError:
            return False

    def pass_end_on(self):
        self.passed_on = True
        try:
            self.target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def copy(harness, other):
    """Both ways, each with its own end, until both ended or one side is wholly gone."""
    out, back = Direction(harness, other), Direction(other, harness)
    while not (out.passed_on and back.passed_on):
        poll = select.poll()
        for one, mine, theirs in ((harness, out, back), (other, back, out)):
            wanted = (0 if mine.waits or mine.ended else select.POLLIN) | (select.POLLOUT if theirs.waits else 0)
            if wanted & select.POLLOUT or not mine.waits:      # a hang-up is for later, as long as octets from before it are on their way
                poll.register(one, wanted)
        for fd, events in poll.poll():
            mine, theirs = (out, back) if fd == harness.fileno() else (back, out)
            if events & select.POLLOUT and not theirs.give():
                return
            if events & select.POLLIN:
                mine.take()
            elif events & (select.POLLHUP | select.POLLERR):
                if fd == harness.fileno() or mine.ended:
                    return          # that side closed the connection, and all that it wrote is passed on
                mine.ended = True
        for one in (out, back):
            if one.ended and not one.waits and not one.passed_on:
                one.pass_end_on()


def main():
    control, form = sys.argv[1], sys.argv[2]
    harness = socket.socket(fileno=1)
    harness.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)   # a reader that stops is felt by the implementation
    if form == "probe":
        harness.sendall(json.dumps({"adapter": 1, "features": FEATURES}).encode() + b"\n")
    elif form == "control":
        copy(harness, open_control(control))
    elif form == "pipe":
        try:
            pipe = open_pipe(sys.argv[3], sys.argv[4])
        except OSError:
            harness.sendall(b"refused\n")
            return
        harness.sendall(b"open\n")
        copy(harness, pipe)


main()
