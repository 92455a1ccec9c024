#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Many machines on one host: so many host endpoints at once, each with a guest endpoint of its own at the other end of its bus.

Each must become ready, carry a conversation with a server, and be gone without a trace when it is told to stop.  All conversations are at
the same time.  What it prints is how long that took and what it cost.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time

from machine import Breach, Host, ended, until

OCTETS = 1 << 20


class Guest:
    """The guest endpoint of a host endpoint that listens for it: no machine is between them."""

    def __init__(self, build, directory, host):
        self.build, self.directory, self.host = build, directory, host
        self.process = None

    async def start(self):
        with open(f"{self.directory}/guests.err", "ab") as errors:
            self.process = await asyncio.create_subprocess_exec(
                f"{self.build}/vpc-guest", "--vm", self.host.name, "--bus", self.host.bus.removeprefix("listen:"), "--runtime-dir",
                f"{self.directory}/guest-{self.host.name}", stdin=asyncio.subprocess.DEVNULL, stderr=errors)


async def echo(reader, writer):
    try:
        while octets := await reader.read(65536):
            writer.write(octets)
            await writer.drain()
        writer.write_eof()
    finally:
        writer.close()


def kib_of(pid):
    """Of the process's memory its share, as the kernel counts it."""
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))


def family(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return [pid] + [int(child) for child in children.read().split()]


class Crowd:
    def __init__(self, options, directory):
        self.options, self.directory = options, directory
        self.hosts = [Host(options.build, directory, f"vm{i}", f"listen:{directory}/bus{i}") for i in range(options.machines)]
        self.guests = [Guest(options.build, directory, host) for host in self.hosts]

    async def start(self):
        await asyncio.gather(*(host.start() for host in self.hosts))
        await asyncio.gather(*(guest.start() for guest in self.guests))
        await asyncio.gather(*(until(f"{host.name} is ready", host.is_ready) for host in self.hosts))

    async def converse(self, host, port):
        answer = await host.ask("start", host_name=f"\\\\.\\pipe\\crowd-{host.name}", guest_name=str(port))
        if "error" in answer:
            raise Breach(f"{host.name}: the start failed: {answer['error']['class']}")
        reader, writer = await asyncio.open_unix_connection(answer["return"]["path"])
        octets = os.urandom(self.options.octets)

        async def send():
            writer.write(octets)
            await writer.drain()
            writer.write_eof()
        sender = asyncio.create_task(send())
        back = await reader.read(-1)
        await sender
        writer.close()
        if back != octets:
            raise Breach(f"{host.name}: of {len(octets)} octets {len(back)} came back, or others")

    async def stop(self):
        running = [one for one in self.hosts + self.guests if one.process is not None]
        for one in running:
            if one.process.returncode is None:
                one.process.send_signal(signal.SIGTERM)
        statuses = await asyncio.gather(*(ended(one.process) for one in running))
        if any(statuses):
            raise Breach(f"of {len(statuses)} endpoints {sum(map(bool, statuses))} did not stop well")

    def left(self):
        """Sockets and locks below the directory."""
        names = []
        for folder, _, files in os.walk(self.directory):
            names += [f"{folder}/{name}" for name in files if name.endswith((".sock", ".lock")) or name.startswith("bus")]
        return names

    async def run(self):
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        begun = time.monotonic()
        try:
            await self.start()
            ready = time.monotonic()
            pids = [pid for host in self.hosts for pid in family(host.process.pid)]
            kib = sum(map(kib_of, pids))
            await asyncio.gather(*(self.converse(host, port) for host in self.hosts))
            said = time.monotonic()
        finally:
            await self.stop()
            server.close()
        if self.left():
            raise Breach(f"files are left: {' '.join(self.left()[:8])}")
        return (f"{len(self.hosts)} machines: all ready after {ready - begun:.1f} s, the host's endpoints {kib >> 10} MiB in all; "
                f"{self.options.octets >> 10} KiB to each and back, all at once, {said - ready:.1f} s; all stopped, nothing left")


def main():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser = argparse.ArgumentParser(prog="tools/soak/crowd.py", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--machines", type=int, default=200, metavar="N", help="how many (default 200)")
    parser.add_argument("--octets", type=int, default=OCTETS, metavar="N", help="to each and back (default 1 MiB)")
    parser.add_argument("--build", default=f"{root}/build", metavar="DIR", help="where the programs are (default build)")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    directory = tempfile.mkdtemp(prefix="vpccrowd.")
    try:
        print(asyncio.run(Crowd(options, directory).run()))
        return 0
    except Breach as breach:
        print(f"tools/soak/crowd.py: {breach}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
