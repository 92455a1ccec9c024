#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures a forward beside QEMU's hostfwd: what programs with many connections do, both ways by turns in one run.

The workloads: 50 times (connect, ask, read an answer) one after another, as a browser or curl; 50 connections that ask and are
answered at once, as redis-benchmark -c 50; 50 downloads at once.  The server is bench-server in a guest under QEMU.
"""
import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import bench
import peers
from processes import Failure, Processes

CLIENTS = 50
ASKED, PAGE = 100, 10000           # octets of a request and of a page
TURNS, TURN_ASKED, TURN_ANSWERED = 40, 40, 5   # of each connection; about what SET and its answer are
DOWNLOAD = 1 << 20
LIMIT_S = 120
SETTLE_S = 0.5   # until the guest has all connections


class Way:
    def __init__(self, name, port):
        self.name, self.port = name, port
        self.found = {}
        self.failed = 0    # clients whose connection was reset

    def connect(self):
        one = socket.create_connection(("127.0.0.1", self.port), LIMIT_S)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return one


def head(asked, answered):
    return (b"X %d %d 0" % (asked, answered)).ljust(32)


def block(size, last):
    return bytes([1 if last else 0]) + b"\xa5" * (size - 1)


def read(one, size):
    while size > 0:
        octets = one.recv(min(size, 1 << 16))
        if not octets:
            raise Failure("a connection ended early")
        size -= len(octets)


def fetch(one, size):
    with one:
        one.sendall(head(ASKED, size) + block(ASKED, True))
        read(one, size)


def one_after_another(way):
    """Connections a second."""
    begin = time.monotonic()
    for _ in range(CLIENTS):
        fetch(way.connect(), PAGE)
    return CLIENTS / (time.monotonic() - begin)


def at_once(way, work):
    """Seconds until so many threads, each with a connection that is there already, are done."""
    failures = []

    def run(one):
        try:
            work(one)
        except (OSError, Failure) as failure:
            failures.append(failure)
    threads = [threading.Thread(target=run, args=(way.connect(),)) for _ in range(CLIENTS)]
    time.sleep(SETTLE_S)
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    way.failed += len(failures)
    if len(failures) == CLIENTS:
        raise Failure("each client failed: %s" % failures[0])
    return (time.monotonic() - begin) * CLIENTS / (CLIENTS - len(failures))


def ask_and_answer(way):
    """Requests a second of all connections together."""
    def work(one):
        with one:
            one.sendall(head(TURN_ASKED, TURN_ANSWERED))
            for turn in range(TURNS):
                one.sendall(block(TURN_ASKED, turn == TURNS - 1))
                read(one, TURN_ANSWERED)
    return CLIENTS * TURNS / at_once(way, work)


def downloads(way):
    """MB a second of all together."""
    return CLIENTS * DOWNLOAD / 1e6 / at_once(way, lambda one: fetch(one, DOWNLOAD))


WORKLOADS = (("50 x (connect, GET), one after another", "1/s", one_after_another),
             ("50 connections, ask and answer", "1/s", ask_and_answer),
             ("50 downloads of 1 MiB at once", "MB/s", downloads))


class Guest(peers.Qemu):
    """The guest of make bench, with two of its ways."""

    order = ("hostfwd", "vpcbus")

    def forward(self):
        """The port of a forward."""
        self.start()
        for name in self.order:
            if self.peers[name].why:
                raise Failure("%s: %s" % (name, self.peers[name].why))
            self.peers[name].client.stop()
        command = [os.path.join(self.build, "vpcctl"), "--runtime-dir", self.path("runtime"), "forward", peers.VM,
                   "127.0.0.1:0", str(peers.GUEST_PORT)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise Failure("vpcctl forward: " + done.stderr.strip())
        return int(done.stdout.strip().rsplit(":", 1)[1])


def measure(ways, rounds):
    for number in range(rounds):
        for name, _, work in WORKLOADS:
            for way in ways if number % 2 == 0 else reversed(ways):
                print("bench: round %d: %s, %s" % (number + 1, name, way.name), file=sys.stderr)
                way.found.setdefault(name, []).append(work(way))


def tell(ways):
    first, second = ways
    print("| | %s | %s | ratio of each round: median, lowest to highest |\n| --- | --- | --- | --- |" % (first.name, second.name))
    for name, unit, _ in WORKLOADS:
        ratios = [b / a for a, b in zip(first.found[name], second.found[name])]
        print("| %s, %s | %.3g | %.3g | %.2f [%.2f to %.2f] |" % (
            name, unit, statistics.median(first.found[name]), statistics.median(second.found[name]),
            statistics.median(ratios), min(ratios), max(ratios)))
    print("\nclients that were reset: %s" % ", ".join("%s %d" % (way.name, way.failed) for way in ways))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    options.root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    options.build, options.way = os.path.abspath(options.build), None
    bench.raise_descriptors()
    folder = tempfile.mkdtemp(prefix="vpcbench.")
    processes = Processes(folder)
    try:
        scene = Guest(options, processes, folder)
        port = scene.forward()
        ways = [Way("QEMU hostfwd", scene.forwards["hostfwd"]), Way("VPCBus, a forward", port)]
        measure(ways, options.rounds)
    except Failure as failure:
        print("bench: %s" % failure, file=sys.stderr)
        return 1
    finally:
        processes.end()
        shutil.rmtree(folder, ignore_errors=True)
    tell(ways)
    return 0


if __name__ == "__main__":
    sys.exit(main())
