# SPDX-License-Identifier: MIT
"""Conversations with tools/soak/server.c, and what may become of them."""

import asyncio
import random
import socket

from machine import LIMIT_S, Breach

DATA_PORT, ASK_PORT = 6174, 6175
WORDS, STRIDE, HEAD = 131071, 7919, 64
TABLE = WORDS * 8
CHUNK = 65536
NOT_NOW = ("ERROR_MAX_SESSIONS_REACHED", "ERROR_PIPE_BUSY")


def make_table():
    state, mask, out = 0, (1 << 64) - 1, bytearray()
    for _ in range(WORDS):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        out += (z ^ z >> 31).to_bytes(8, "little")
    return bytes(out) + bytes(out[:CHUNK])


OCTETS = make_table()


def octets_at(number, down, position, n):
    at = (number * STRIDE + (TABLE // 2 if down else 0) + position) % TABLE
    return OCTETS[at:at + n]


class Talk:
    """One conversation: the plan of it is a function of seed and number."""

    def __init__(self, world, number, kind=None):
        plan = random.Random(f"{world.seed}/{number}")
        big = plan.random() < 0.08
        self.world, self.number, self.plan = world, number, plan
        self.up = plan.randrange(1, 3 << 20 if big else 1 << 17)
        self.down = plan.randrange(0, 3 << 20 if big else 1 << 17)
        # h, w, r, x: the server's way; c: the client closes when it has written; a: it does so in the middle
        self.kind = kind or plan.choices("hwrxca", (40, 20, 6, 6, 16, 12))[0]
        self.mode = self.kind if self.kind in "hwrx" else "h"
        self.slow_server = plan.choice((0, 0, 0, 0, 2, 10)) if not big else 0
        self.slow_client = plan.choice((0, 0, 0, 0, 0.002, 0.01)) if not big else 0
        self.stall = plan.choice((0, 0, 0, 0, 0, 2.0))
        self.cut = plan.randrange(self.up) if self.kind == "a" else self.up
        self.sent = self.received = 0
        self.ended = ""
        self.disturbed_at_start = world.mark()

    def __str__(self):
        return (f"conversation {self.number} ({self.kind}, {self.up} up, {self.down} down, server {self.slow_server} ms, "
                f"client {self.slow_client} s, stall {self.stall} s): {self.sent} sent, {self.received} received, "
                f"{self.ended or 'not ended'}")

    def disturbed(self):
        return self.world.disturbed(self.disturbed_at_start)

    def fail(self, what):
        raise Breach(f"{self}: {what}")

    async def run(self):
        """Returns what became of it: complete, prefix, refused."""
        try:
            path = await self.world.open_pair(f"soak{self.number}", DATA_PORT)
        except ConnectionError as error:
            if self.disturbed() or str(error) in NOT_NOW or self.world.startled(self.disturbed_at_start):
                return "refused"
            self.fail(f"the start failed: {error}")
        except OSError as error:
            if self.disturbed():
                return "refused"
            self.fail(f"the control socket: {error}")
        try:
            await self.converse(path)
        except (OSError, ConnectionError) as error:
            self.ended = str(error)
            if not self.disturbed() and self.kind not in "rx":
                self.fail(f"the pipe broke: {error}")
        return await self.judge()

    async def converse(self, path):
        loop = asyncio.get_running_loop()
        pipe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        pipe.setblocking(False)
        try:
            await loop.sock_connect(pipe, path)
            sides = [asyncio.create_task(self.send(loop, pipe))]
            if self.kind not in "ca":
                sides.append(asyncio.create_task(self.receive(loop, pipe)))
            results = await asyncio.gather(*sides, return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result
        finally:
            pipe.close()

    async def timed(self, awaitable, what):
        try:
            return await asyncio.wait_for(awaitable, LIMIT_S)
        except asyncio.TimeoutError:
            raise Breach(f"{self}: {what} hangs") from None

    async def send(self, loop, pipe):
        head = f"SOAK {self.number} {self.up} {self.down} {self.mode} {self.slow_server}".ljust(HEAD).encode()
        await self.timed(loop.sock_sendall(pipe, head), "writing")
        try:
            while self.sent < self.cut:
                n = min(self.plan.randrange(1, CHUNK), self.cut - self.sent)
                await self.timed(loop.sock_sendall(pipe, octets_at(self.number, False, self.sent, n)), "writing")
                self.sent += n
        except (BrokenPipeError, ConnectionResetError):
            if not self.disturbed() and self.kind not in "rx":
                raise
        if self.kind not in "ca":
            try:
                pipe.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # the other side was faster

    async def receive(self, loop, pipe):
        await asyncio.sleep(self.stall)
        size = 4096 if self.slow_client else CHUNK
        while True:
            octets = await self.timed(loop.sock_recv(pipe, size), "reading")
            if not octets:
                self.ended = "end of file"
                return
            if self.received + len(octets) > self.down or \
                    octets != octets_at(self.number, True, self.received, len(octets)):
                raise Breach(f"{self}: wrong octets arrived")
            self.received += len(octets)
            if self.slow_client:
                await asyncio.sleep(self.slow_client)

    async def judge(self):
        if self.disturbed() or self.kind in "rx":
            return "prefix"
        if self.kind in "hw" and self.received != self.down:
            self.fail("octets are missing at the client")
        server = await self.world.result_of(self)
        if server is None:
            return "prefix"
        state, received, _, wrong, error = server
        if int(wrong) or int(received) != self.cut:
            self.fail(f"the server received {received} of {self.cut} octets (errno {error})")
        if self.kind in "hw" and int(error):
            self.fail(f"the server's connection broke: errno {error}")
        return "complete"
