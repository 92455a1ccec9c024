#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The soak: many conversations with a virtual machine for a long time, and everything that can befall them.

The first third of the time is calm, nothing may lose an octet; there leaks show best: pauses, long ones too, saves and reloads, starts of one
name again and again, strangers at the control socket, a second host endpoint that wants the bus.  Then come kills of either endpoint, one or many
in a row, restores (of the last state and of old ones), resets of the machine, its port taken out and put in, and absences of the host endpoint.

What must hold: octets arrive in order, those of the right conversation, and all of them when nothing was killed and both ends closed in order;
nothing hangs; both endpoints come back after everything; between the storms all pairs are released, no descriptor or file is left, memory does
not grow, and both endpoints are idle.

The same seed makes the same plan; how it meets with the machine's time is never the same.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from machine import LIMIT_S, TICKS, Breach, Host, Machine, until
from storms import ABSENT_TICKS, IDLE_MS, Storms
from talks import ASK_PORT, Talk

WORKERS = 8
QUIET_EVERY_S = 60
IDLE_TICKS = 1 + IDLE_MS * TICKS // 1000 // 100   # one per cent, and what the question costs
GROWTH_KIB = 2048  # a heap in pieces takes what is free between them as it comes


class World:
    def __init__(self, options, directory):
        self.options, self.seed = options, options.seed
        self.plan = random.Random(f"{options.seed}/storms")
        self.machine = Machine(options.root, options.build, directory)
        self.host = Host(options.build, directory, monitor=f"{directory}/qmp-host")
        self.directory = directory
        self.begun = time.monotonic()
        self.epoch = self.startle = 0    # how often octets could be lost; how often time stood still
        self.storm = self.startling = False
        self.quiet = asyncio.Event()     # set: new conversations may begin
        self.numbers = 0
        self.live = {}
        self.counts = {"complete": 0, "prefix": 0, "refused": 0}
        self.octets = 0
        self.storms = {}
        self.measures = []               # (who, pid, conversations, descriptors, KiB, idle ticks)
        self.absent_ticks = []
        self.reset_ms = []
        self.breaches = []
        self.states = []
        self.asking = asyncio.Lock()
        self.asker = None
        self.asker_name = ""

    # ---- what conversations need of the world

    def mark(self):
        return None if self.storm else (self.epoch, self.startle)

    def disturbed(self, mark):
        return self.storm or mark is None or mark[0] != self.epoch

    def startled(self, mark):
        return self.startling or mark is None or mark[1] != self.startle

    async def open_pair(self, name, port):
        answer = await self.host.ask("start", host_name=f"\\\\.\\pipe\\{name}", guest_name=str(port))
        if "error" in answer:
            raise ConnectionError(answer["error"]["class"])
        return answer["return"]["path"]

    async def ask_guest(self, question):
        """One line to the guest's program and its answer; None when the connection broke."""
        async with self.asking:
            try:
                if self.asker is None:
                    self.asker_name = f"ask{self.epoch}.{self.startle}.{self.numbers}"
                    path = await self.open_pair(self.asker_name, ASK_PORT)
                    self.asker = await asyncio.open_unix_connection(path)
                reader, writer = self.asker
                writer.write(question.encode() + b"\n")
                line = await asyncio.wait_for(reader.readline(), LIMIT_S)
                if line:
                    return line.decode().split()
            except (OSError, ConnectionError, asyncio.TimeoutError):
                pass
            self.drop_asker()
            return None

    def drop_asker(self):
        if self.asker:
            self.asker[1].close()
        self.asker = None

    async def result_of(self, talk):
        """What the guest's program says of the conversation when it has ended there; None: a storm came between."""
        async def done():
            if talk.disturbed():
                return "storm"
            answer = await self.ask_guest(f"get {talk.number}")
            return answer if answer and answer[0] == "done" else None
        try:
            answer = await until(f"{talk} ends in the guest", done, every=0.2)
        except Breach:
            if talk.disturbed():
                return None
            raise
        return None if answer == "storm" else answer

    # ---- conversations

    async def talk(self, kind=None):
        self.numbers += 1
        talk = Talk(self, self.numbers, kind)
        self.live[talk.number] = talk
        try:
            what = await talk.run()
            self.counts[what] += 1
            if what == "refused":
                await asyncio.sleep(0.5)
        except Breach as breach:
            self.breach(breach)
        finally:
            self.octets += talk.sent + talk.received
            del self.live[talk.number]

    async def worker(self):
        while True:
            await self.quiet.wait()
            await self.talk()
            await asyncio.sleep(0.05)

    def breach(self, what):
        self.breaches.append(str(what))
        self.say(f"BREACH: {what}", keep=True)

    # ---- storms

    async def recover(self, sessions):
        async def back():
            return await self.host.sessions() > sessions and await self.host.is_ready()
        await until("the channel is ready again", back)
        self.epoch += 1
        self.storm = False

    async def lossy(self, act):
        """Something that may cost octets: act() returns how many sessions there were before the one that must come."""
        self.storm = True
        self.epoch += 1
        self.drop_asker()
        await self.recover(await act())

    async def still(self, act):
        """Something that costs time only."""
        self.startling = True
        self.startle += 1
        await act()
        await until("the channel is ready again", self.host.is_ready)
        self.startle += 1
        self.startling = False

    async def weather(self):
        storms = Storms(self)
        last_quiet = time.monotonic()
        await self.quiet_point()
        while self.elapsed() < self.options.time:
            await asyncio.sleep(self.plan.uniform(1, 8))
            name, act = storms.next(self.elapsed() < self.options.time / 3)
            self.storms[name] = self.storms.get(name, 0) + 1
            self.say(name)
            await act()
            if time.monotonic() - last_quiet > QUIET_EVERY_S:
                await self.quiet_point()
                last_quiet = time.monotonic()
        await self.quiet_point()

    # ---- quiet points

    async def quiet_point(self):
        self.quiet.clear()

        async def silent():
            if self.live:
                return False
            # The one that asks is left, if there is one.
            return (await self.host.query("query-stats")).get("pairs_open", 9) <= (1 if self.asker else 0)
        await until("all pairs are released", silent, limit=3 * LIMIT_S)
        left = [name for name in self.host.pipes() if not self.asker or not name.startswith(f"{self.asker_name}.sock")]
        if left:
            self.breach(f"no pair has a pipe server, and these files are left of some: {' '.join(left[:8])}")

        async def asked():
            return await self.ask_guest(f"watch 500 {IDLE_MS}")
        await until("the guest's program answers", asked)
        await asyncio.sleep(0.5)
        _, _, before = self.host.measure()
        await asyncio.sleep(IDLE_MS / 1000)
        descriptors, rss, after = self.host.measure()
        self.measured("host", self.host.process.pid, descriptors, rss, after - before)

        async def watched():
            answer = await self.ask_guest("watched")
            return answer if answer and answer[0] != "-1" else None
        idle = await until("the guest was watched", watched)
        answer = await until("the guest's program answers", lambda: self.ask_guest("stat"))
        if len(answer) == 4:
            self.measured("guest", f"{answer[0]}.{self.machine.starts}", int(answer[1]), int(answer[2]), int(idle[0]))
        else:
            self.breach(f"the guest endpoint does not run: {answer}")
        self.quiet.set()

    def measured(self, who, pid, descriptors, rss, idle):
        same = [m for m in self.measures if m[:2] == (who, pid)]
        self.measures.append((who, pid, self.numbers, descriptors, rss, idle))
        self.say(f"quiet: {who} {descriptors} descriptors, {rss} KiB, {idle} ticks in {IDLE_MS} ms")
        if idle > IDLE_TICKS:
            self.breach(f"the {who} endpoint used {idle} ticks in {IDLE_MS} ms of silence")
        if same and descriptors != same[0][3]:
            self.breach(f"the {who} endpoint had {same[0][3]} descriptors, and now {descriptors}")
        # The first time not every buffer was used yet.
        if len(same) > 1 and rss - same[1][4] > GROWTH_KIB:
            self.breach(f"the {who} endpoint grew from {same[1][4]} KiB to {rss} KiB")

    # ---- the run

    def elapsed(self):
        return time.monotonic() - self.begun

    def say(self, what, keep=False):
        counts = self.counts
        line = (f"soak {self.elapsed():5.0f}/{self.options.time} s  {sum(counts.values())} conversations, "
                f"{self.octets >> 20} MiB, {len(self.live)} open, {len(self.breaches)} breaches  {what}")
        if sys.stderr.isatty():
            print(f"\r\033[K{line}", end="\n" if keep else "", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    async def progress(self):
        while True:
            await asyncio.sleep(10)
            self.say("")

    def make_image(self):
        root, build = self.options.root, self.options.build
        overlays = (
            f"{build}/vpc-guest:/usr/bin/vpc-guest:755", f"{build}/guest/soak-server:/usr/bin/soak-server:755",
            f"{root}/tools/service/vpc-guest.init:/etc/vpc/vpc-guest.init:755", f"{root}/tools/soak/boot:/etc/vpc/boot:755",
        )
        command = [f"{root}/tools/guest-image", "--dir", f"{build}/guest", "-o", f"{self.directory}/initrd"]
        for overlay in overlays:
            command += ["--overlay", overlay]
        subprocess.run(command, check=True)

    async def run(self):
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        self.make_image()
        await self.machine.start()
        await self.host.start()
        tasks = []
        try:
            await until("the channel is ready", self.host.is_ready)
            self.begun = time.monotonic()
            tasks = [asyncio.create_task(self.worker()) for _ in range(WORKERS)]
            tasks.append(asyncio.create_task(self.progress()))
            await self.weather()
        except Breach as breach:
            self.breach(breach)
        except asyncio.CancelledError:
            self.breach("told to stop before its time")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.drop_asker()
            await self.finish()

    async def finish(self):
        try:
            if self.host.gone():
                self.breach(f"the host endpoint ended by itself: {self.host.process.returncode}")
            else:
                await self.host.end(signal.SIGTERM)
            await self.machine.stop()
        except Breach as breach:
            self.breach(breach)
        for line in self.machine.breaches():
            self.breach(f"in the guest: {line}")

    def summary(self):
        def span(who, column):
            values = [m[column] for m in self.measures if m[0] == who]
            return f"{min(values)} to {max(values)}" if values else "not measured"
        rows = [
            ("seed, time", f"{self.seed}, {self.elapsed():.0f} s"),
            ("conversations", ", ".join(f"{n} {what}" for what, n in self.counts.items())),
            ("octets", f"{self.octets >> 20} MiB"),
            ("storms", ", ".join(f"{n} {what}" for what, n in sorted(self.storms.items())) or "none"),
            ("quiet points", str(len([m for m in self.measures if m[0] == "host"]))),
        ]
        for who in ("host", "guest"):
            rows += [
                (f"{who} descriptors", span(who, 3)),
                (f"{who} memory", f"{span(who, 4)} KiB"),
                (f"{who} when idle", f"{span(who, 5)} ticks in {IDLE_MS} ms (at most {IDLE_TICKS})"),
            ]
        rows.append(("guest without a host", f"{self.absent_ticks} ticks in {IDLE_MS} ms (at most {ABSENT_TICKS})"))
        if self.reset_ms:
            rows.append(("reset seen after", f"{min(self.reset_ms)} to {max(self.reset_ms)} ms"))
        rows.append(("breaches", str(len(self.breaches))))
        return "\n".join(f"{name:22} {value}" for name, value in rows)

    def result(self):
        return {"seed": self.seed, "seconds": round(self.elapsed()), "conversations": self.counts, "octets": self.octets,
                "storms": self.storms, "measures": self.measures, "absent_ticks": self.absent_ticks, "reset_ms": self.reset_ms,
                "breaches": self.breaches}


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.dirname(os.path.dirname(here))
    parser = argparse.ArgumentParser(prog="tools/soak/soak.py", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--time", type=int, default=60, metavar="S", help="how long, in seconds (default 60)")
    parser.add_argument("--seed", type=int, default=1, help="of the plan (default 1)")
    parser.add_argument("--build", default=f"{root}/build", metavar="DIR", help="where the programs are (default build)")
    parser.add_argument("--keep", metavar="DIR", help="where console, log and trace stay when something was wrong")
    parser.add_argument("--json", action="store_true", help="the result as JSON")
    options = parser.parse_args()
    options.root, options.build = root, os.path.abspath(options.build)
    directory = tempfile.mkdtemp(prefix="vpcsoak.")
    try:
        world = World(options, directory)
        asyncio.run(world.run())
        if not world.counts["complete"]:
            world.breach("no conversation was complete")
        print(json.dumps(world.result()) if options.json else world.summary())
        if world.breaches and options.keep:
            shutil.rmtree(options.keep, ignore_errors=True)
            shutil.copytree(directory, options.keep, ignore=shutil.ignore_patterns("state.*", "initrd", "*.sock", "bus", "qmp", "pipes"))
            print(f"what is left of it is in {options.keep}", file=sys.stderr)
        return 1 if world.breaches else 0
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
