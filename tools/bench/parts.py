# SPDX-License-Identifier: MIT
"""What is measured, by parts; each fills the table, and a way that fails has its reason there instead of a value."""
import os
import subprocess
import time

import stats
from peers import VM, Peer, Qemu, Socket
from processes import Client, Failure, look, proportional_kib, until

BULK = 65536
SIZES = (64, 1024, 16384, 1048576)
TURN_SIZES = (1024, 65536, 1048576)
LEVELS = (1, 10, 100, 1000, 10000)
LEVELS_IN_GUEST = (1, 100, 1000)
LEVELS_QUICK = (1, 10, 100)
DESCRIPTORS_OF_CHANNEL = 2  # of the host endpoint: the client, and the lock of the pipe's name
SENDER_BLOCK, SENDER_BLOCK_LEAST = 16384, 1024
TRIAL = 1 << 20    # octets that tell how many are sent in the time there is
FILL_MS = 60000    # that many milliseconds for the channels of a level
SAMPLE_TURNS, SAMPLES_MS = 3, 1000   # in so many turns of so many milliseconds at most
SENDERS_MOST = 1000
QUIET_S = 15
P999_LEAST = 1000   # round trips without which a p99.9 says nothing


class Pace:
    """How long each thing is measured, in milliseconds."""

    def __init__(self, quick):
        self.stream, self.size, self.turn, self.beside, self.starts = \
            (80, 40, 60, 150, 60) if quick else (500, 250, 600, 1200, 500)
        self.levels = LEVELS_QUICK if quick else LEVELS
        self.guest_levels = LEVELS_QUICK if quick else LEVELS_IN_GUEST
        self.senders, self.idle, self.samples = (150, 500, 5) if quick else (1500, 4000, 51)


def rate(answer):
    return answer["octets"] * 1000 / answer["ns"]


def us(ns):
    return ns / 1000


class Rounds:
    """The quantities of one scene, by turns: each peer after the other, and the first one is another one in each round."""

    def __init__(self, scene, table, pace, say):
        self.scene, self.table, self.pace, self.say = scene, table, pace, say
        self.kept = {}   # round trips of all rounds: how many, and the longest

    def each(self, number, what, rows, measure):
        """rows: (quantity, size, unit) of what measure gives for a peer, in the same order."""
        peers = self.scene.measured()
        peers = peers[number % len(peers):] + peers[:number % len(peers)]
        for peer in peers:
            self.say("%s: %s, %s" % (self.scene.name, what, peer.name))
            try:
                if peer.why:
                    raise Failure(peer.why)
                values = measure(peer)
            except Failure as failure:
                self.scene.alive()
                if not peer.why and not str(failure).startswith("has "):
                    peer.fail(str(failure))
                for row in rows:
                    self.table.note(self.scene.name, row[0], row[1], peer.name, row[2], peer.why or str(failure))
                continue
            for row, value in zip(rows, values):
                if value is None:
                    self.table.note(self.scene.name, row[0], row[1], peer.name, row[2], "too few, or nothing to count")
                else:
                    self.table.add(self.scene.name, row[0], row[1], peer.name, row[2], value)

    def costs(self, peer, ask):
        """What it moved, and the processor seconds that a gigabyte takes on each side."""
        before = self.scene.host_sample(peer), self.scene.guest_sample(peer), self.scene.qemu_ns()
        answer = peer.client.ask(ask)
        qemu = self.scene.qemu_ns() - before[2]
        host, guest = (after.since(old).ns for after, old in
                       ((self.scene.host_sample(peer), before[0]), (self.scene.guest_sample(peer), before[1])))
        of_gigabyte = [ns / answer["octets"] for ns in (host, guest, qemu)]
        return [rate(answer), of_gigabyte[0] if peer.host else None, of_gigabyte[1] if peer.guest else None,
                of_gigabyte[2] if self.scene.qemu else None]

    def turn(self, peer, ask, what=None):
        """p50 and p99; what is too rare for one round is kept for all of them."""
        found = peer.client.ask(ask)["turn"]
        if what:
            kept = self.kept.setdefault((what, peer.name), [0, []])
            kept[0] += found["count"]
            kept[1] += found["longest"]
        return [us(found["p50"]), us(found["p99"])]

    def rare(self):
        """The p99.9 of all rounds together."""
        for what in ("turn", "beside"):
            for peer in self.scene.measured():
                row = (self.scene.name, what + " p99.9", 64, peer.name, "us")
                count, longest = self.kept.get((what, peer.name), (0, []))
                if count < P999_LEAST:
                    self.table.note(*row, peer.why or "%d round trips only" % count)
                else:
                    self.table.add(*row, us(stats.quantile_of_longest(count, longest, 0.999)))

    def beside(self, peer):
        if not peer.many:
            raise Failure("has one connection only")
        bulk = self.scene.second(peer)
        bulk.begin("both %d %d" % (BULK, self.pace.beside + 300))
        time.sleep(0.15)
        try:
            return self.turn(peer, "turns 64 64 %d" % self.pace.beside, "beside")
        finally:
            bulk.result()

    def starts(self, peer):
        if not peer.many:
            raise Failure("has one connection only")
        found = peer.client.ask("starts %s %d" % (peer.many, self.pace.starts))
        return [us(found["start"]["p50"]), found["start"]["count"] * 1e9 / found["ns"]]

    def round(self, number):
        pace = self.pace
        for what in ("up", "down"):
            self.each(number, what, [(what, BULK, "MB/s"), *(("%s, processor of the %s" % (what, side), BULK, "s/GB")
                                                             for side in ("host", "guest", "QEMU"))],
                      lambda peer, what=what: self.costs(peer, "%s %d %d" % (what, BULK, pace.stream)))
        self.each(number, "both", [("both", BULK, "MB/s")],
                  lambda peer: [rate(peer.client.ask("both %d %d" % (BULK, pace.stream)))])
        for size in SIZES:
            self.each(number, "up by %d" % size, [("up", size, "MB/s")],
                      lambda peer, size=size: [rate(peer.client.ask("up %d %d" % (size, pace.size)))])
        self.each(number, "round trips", [("turn " + share, 64, "us") for share in ("p50", "p99")],
                  lambda peer: self.turn(peer, "turns 64 64 %d" % pace.turn, "turn"))
        for size in TURN_SIZES:
            self.each(number, "round trips of %d" % size, [("turn p50", size, "us")],
                      lambda peer, size=size: self.turn(peer, "turns %d %d %d" % (size, size, pace.size))[:1])
        self.each(number, "round trips beside a stream", [("beside " + share, 64, "us") for share in ("p50", "p99")],
                  self.beside)
        self.each(number, "starts", [("first octet p50", 1, "us"), ("starts and ends", 1, "1/s")], self.starts)

    def resident(self):
        for peer in self.scene.measured():
            for side, there, sample in (("host", peer.host, self.scene.host_sample), ("guest", peer.guest, self.scene.guest_sample)):
                row = (self.scene.name, "resident, " + side, 1, peer.name, "KiB")
                if peer.why or not there:
                    self.table.note(*row, peer.why or "has no process there")
                else:
                    self.table.add(*row, sample(peer).rss)


def compare(scene, table, pace, rounds, say):
    """The part of one scene."""
    say("%s: starting" % scene.name, True)
    scene.start()
    by_turns = Rounds(scene, table, pace, say)
    by_turns.resident()
    for number in range(rounds):
        say("%s: round %d of %d" % (scene.name, number + 1, rounds), True)
        by_turns.round(number)
    by_turns.rare()
    if scene.name == "qemu":
        channels(scene, table, pace, say, "channels in QEMU", pace.guest_levels, 1)


# ---- many channels --------------------------------------------------------------------------------------------

def descriptors():
    """How many channels this process's limit of descriptors allows a program that holds one for each, and some more."""
    import resource
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


class Channels:
    """Of VPCBus alone: what changes with the number of channels that are open.

    Beside the endpoints with many channels are others that have one, where there is room for them: what is compared is measured by
    turns."""

    def __init__(self, scene, table, pace, say, name, rounds):
        self.scene, self.table, self.pace, self.say, self.name, self.rounds = scene, table, pace, say, name, rounds
        self.peer = scene.peers["vpcbus"]
        if self.peer.why:
            raise Failure(self.peer.why)
        self.client = Client(scene.processes, scene.program, "channels")
        self.lone, self.count = None, 0
        if scene.name == "socket":
            self.lone_peer = scene.endpoints(Peer("vpcbus"), "alone")
            self.lone = Client(scene.processes, scene.program, "alone")
            self.lone.ask("fill %s 1 %d" % (self.lone_peer.many, FILL_MS))
            self.direct = Client(scene.processes, scene.program, "direct")

    def add(self, quantity, size, unit, value):
        self.table.add(self.name, quantity, size, "vpcbus", unit, value)

    def samples(self):
        return {"host": self.scene.host_sample(self.peer), "guest": self.scene.guest_sample(self.peer)}

    def level(self, count, memory):
        self.say("%s: %d open" % (self.name, count), True)
        took = self.client.ask("fill %s %d %d" % (self.peer.many, count, FILL_MS), FILL_MS / 1000 + 60)
        if count > 1:
            self.add("starts at once", count, "1/s", count * 1e9 / took["ns"])
        ways = [(self.client, self.peer, "")] + ([(self.lone, self.lone_peer, " beside one alone")] if self.lone else [])
        for _ in range(SAMPLE_TURNS * self.rounds):
            for client, peer, where in ways:
                found = client.ask("sample %s %d %d" % (peer.many, max(self.pace.samples // SAMPLE_TURNS, 1), SAMPLES_MS), 120)
                for what in ("start", "event", "end"):
                    self.add(what + where, count, "us", us(found[what]["p50"]))
        return self.idle(count, memory)

    def idle(self, count, before_these):
        """Memory is told as what the channels since the last level have added to it."""
        self.wait_until_quiet()
        before = self.samples()
        time.sleep(self.pace.idle / 1000)
        after = self.samples()
        for side in ("host", "guest"):
            self.add("wake-ups, " + side, count, "1/s", (after[side].woken - before[side].woken) * 1000 / self.pace.idle)
            self.add("idle processor, " + side, count, "ms/s", (after[side].ns - before[side].ns) / 1e3 / self.pace.idle)
            self.add("resident, " + side, count, "KiB", after[side].rss)
            if count > 1:
                self.add("octets per channel, " + side, count, "octets",
                         (after[side].rss - before_these[side].rss) * 1024 / (count - self.count))
        self.add("descriptors, host", count, "", sum(len(os.listdir("/proc/%d/fd" % process.pid)) for process in self.peer.host))
        self.count = count
        return after

    def wait_until_quiet(self):
        """What starts and ends leave behind, such as events that are told at their own pace, is done with."""
        end = time.monotonic() + QUIET_S
        before = self.samples()
        while time.monotonic() < end:
            time.sleep(self.pace.idle / 4000)
            now = self.samples()
            if all(now[side].woken - before[side].woken <= 3 * self.pace.idle / 4000 + 1 for side in now):
                return
            before = now

    def send(self, client, count, octets):
        """Each sends its share, at least one block."""
        share = max(octets / count, SENDER_BLOCK_LEAST)
        block = min(SENDER_BLOCK, int(share))
        found = client.ask("senders %d %d %d" % (count, block, round(share / block)), 60)
        return rate(found), found["first"] / found["ns"]

    def senders(self, counts):
        """One sender and many by turns, since only their ratio counts."""
        for count in counts:
            self.say("%s: %d senders" % (self.name, count), True)
            if self.lone:
                self.direct.ask("fill tcp:%d %d %d" % (self.scene.port, count, FILL_MS))
            # A share that fits into the buffers would tell how they are filled, not how evenly they are emptied.
            trial, _ = self.send(self.client, count, TRIAL if not self.lone else max(TRIAL * 16, count * TRIAL // 16))
            octets = min(trial * 1000 * self.pace.senders, 1 << 30)
            for _ in range(self.rounds):
                if self.lone:
                    self.add("one sender alone", count, "MB/s", self.send(self.lone, 1, octets)[0])
                    self.add("senders by TCP", count, "MB/s", self.send(self.direct, count, octets)[0])
                sum_of_all, evenness = self.send(self.client, count, octets)
                self.add("senders", count, "MB/s", sum_of_all)
                self.add("slowest/fastest", count, "", evenness)

    def all(self, counts):
        """Senders come last, since their buffers stay."""
        memory, done = self.samples(), []
        try:
            for count in counts:
                memory = self.level(count, memory)
                done.append(count)
        except Failure as failure:
            self.say("%s: %s" % (self.name, failure), True)
            self.table.note(self.name, "start", count, "vpcbus", "us", str(failure))
            self.scene.alive()
        try:
            self.senders([count for count in done if count <= SENDERS_MOST])
        except Failure as failure:
            self.say("%s: %s" % (self.name, failure), True)
            self.table.note(self.name, "senders", done[-1], "vpcbus", "MB/s", str(failure))
            self.scene.alive()


def reachable(scene, levels):
    """The numbers of channels that are tried: as many as the endpoint takes beside those that are measured, and as there are
    descriptors for."""
    limit = min(scene.pairs - 3, (descriptors() - 100) // DESCRIPTORS_OF_CHANNEL)
    counts = [count for count in levels if count <= limit]
    nearly = limit // 100 * 100
    return counts + ([nearly] if counts[-1] < nearly < levels[-1] else [])


def channels(scene, table, pace, say, name, levels, rounds):
    counts = reachable(scene, levels)
    if counts[-1] < levels[-1]:
        table.note(name, "start", levels[-1], "vpcbus", "us", "max_pairs is %d at most, and a process has %d descriptors" %
                   (scene.pairs, descriptors()))
    measured = Channels(scene, table, pace, say, name, rounds)
    try:
        measured.all(counts)
    finally:
        measured.client.stop()
        if measured.lone:
            measured.lone.stop()
            measured.direct.stop()


# ---- many hosts -------------------------------------------------------------------------------------------------

def hosts(options, processes, folder, table, pace, say):
    """As many host endpoints as a machine would have for its virtual machines, each with a guest endpoint: idle."""
    count, found = (5 if options.quick else options.hosts), []
    say("hosts: %d pairs of endpoints" % count, True)
    for i in range(count):
        bus, runtime = os.path.join(folder, "h%d" % i), os.path.join(folder, "hosts")
        guest = processes.start("hosts-guest", [os.path.join(options.build, "vpc-guest"), "--bus", "listen:" + bus, "--runtime-dir",
                                                os.path.join(folder, "hosts-guest%d" % i), "--tag", "T%d" % i])
        host = processes.start("hosts-host", [os.path.join(options.build, "vpc-host"), "--vm", "%s%d" % (VM, i), "--bus", bus,
                                              "--runtime-dir", runtime, "--tag", "T%d" % i])
        found.append((host, guest))
    ready(options, processes, found, os.path.join(folder, "hosts"))
    time.sleep(1)
    pids = [host.pid for host, _ in found]
    before = [look(pid) for pid in pids]
    time.sleep(pace.idle / 1000)
    after = [look(pid) for pid in pids]
    for number in sorted({1, count // 2, count}):
        some = range(number)
        add = lambda quantity, unit, value, number=number: table.add("hosts", quantity, number, "vpcbus", unit, value)
        add("resident", "KiB", sum(after[i].rss for i in some))
        shares = [proportional_kib(pids[i]) for i in some]
        if None not in shares:
            add("resident, shared counted once", "KiB", sum(shares))
        add("wake-ups", "1/s", sum(after[i].woken - before[i].woken for i in some) * 1000 / pace.idle)
        add("idle processor", "ms/s", sum(after[i].ns - before[i].ns for i in some) / 1e3 / pace.idle)
        add("descriptors", "", sum(len(os.listdir("/proc/%d/fd" % pids[i])) for i in some))
    processes.stop(*(process for pair in found for process in pair), sign=9)


def ready(options, processes, found, runtime):
    for i, (host, _) in enumerate(found):
        done = subprocess.run([os.path.join(options.build, "vpcctl"), "wait-ready", "%s%d" % (VM, i), "--runtime-dir", runtime,
                               "--timeout", "60"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)
        if done.returncode != 0:
            raise Failure("host endpoint %d is not ready: %s %s" % (i, done.stderr.strip(), processes.said(host)))


def predict(table, number, quantity):
    """What so many hosts come to by a line through one and the most that were measured; and the same for the middle, to be
    compared with what it was."""
    sizes = sorted(size for scene, what, size, _ in table.rows if scene == "hosts" and what == quantity)
    if len(sizes) < 2:
        return None
    first, last = (table.median("hosts", quantity, size, "vpcbus") for size in (sizes[0], sizes[-1]))
    return first + (last - first) * (number - sizes[0]) / (sizes[-1] - sizes[0])


def expected(scene, ways=None):
    """The quantities that a scene has, with their sizes and units: each peer, or those of `ways`, has a row of each."""
    rows = []
    for what in ("up", "down"):
        rows += [(what, BULK, "MB/s"), *(("%s, processor of the %s" % (what, side), BULK, "s/GB")
                                         for side in ("host", "guest", "QEMU"))]
    rows += [("both", BULK, "MB/s"), *(("up", size, "MB/s") for size in SIZES)]
    rows += [("%s %s" % (what, share), 64, "us") for what in ("turn", "beside") for share in ("p50", "p99", "p99.9")]
    rows += [("turn p50", size, "us") for size in TURN_SIZES]
    rows += [("first octet p50", 1, "us"), ("starts and ends", 1, "1/s")]
    rows += [("resident, " + side, 1, "KiB") for side in ("host", "guest")]
    return [(scene.name, what, size, peer, unit) for what, size, unit in rows for peer in scene.order if peer in (ways or scene.order)]


SCENES = {"qemu": Qemu, "socket": Socket}
