#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the endpoints' shells cost, in numbers that do not depend on how fast the machine is: instructions for each frame
(callgrind), system calls for each round trip and megabyte (strace), on a bus that is a socket.

    tools/bench/costs.py [--build BUILD] [--renew]

Everything runs on one processor, and every block is answered before the next one goes.  Each number is the difference of two runs,
so that what starting and stopping cost is not in it.  It fails when a number is above costs.json by more than a twentieth; when it is
below by more it says that the file can be renewed.  --renew writes the file anew.
"""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from processes import Client, Failure, Processes, until

HERE = os.path.dirname(os.path.abspath(__file__))
BASELINE = os.path.join(HERE, "costs.json")
VM = "costs"
MEBIBYTE, BLOCK = 1 << 20, 65536
TURNS, BLOCKS = 1500, 192   # so many that what starting costs by chance is little beside them
FRAMES_OF_TURN = 2        # a DATA there and one back
# What is done beside what both runs do, and how much of it that is in the units of its numbers.
LOADS = {
    "turn": ("lockstep 64 64 %d", TURNS, TURNS),
    "up": ("lockstep 65536 1 %d", BLOCKS, BLOCKS * BLOCK / MEBIBYTE),
    "down": ("lockstep 1 65536 %d", BLOCKS, BLOCKS * BLOCK / MEBIBYTE),
}
TOLERANCE = 0.05


class Stopped(Exception):
    """A signal told this program to end."""


def instructions(path):
    """callgrind tells its sum when a process has ended: that of an endpoint, not of its second one, which opened the bus once."""
    with open(path, errors="replace") as file:
        found = re.findall(r"Collected : (\d+)", file.read())
    return max(map(int, found)) if found else None


def calls(path):
    with open(path, errors="replace") as file:
        found = re.search(r"^\s*100\.00\s+(\d+)\s+(?:\d+\s+)?total$", file.read(), re.M)
    return int(found[1]) if found else None


def wrapped(tool, out):
    """The words before an endpoint's own, and whether it can keep its sandbox: valgrind calls what that forbids."""
    if tool == "instructions":
        return ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--log-file=" + out], ["--no-sandbox"]
    return ["strace", "-f", "-c", "-U", "time,calls,errors,name", "-o", out], []


class Pair:
    """Both endpoints under a tool, a server and a client."""

    def __init__(self, options, tool, folder):
        self.tool, self.folder = tool, folder
        self.processes = Processes(folder)
        self.outs = {side: os.path.join(folder, side + ".out") for side in ("host", "guest")}
        self.build = options.build

    def start(self):
        build, bus, runtime = self.build, os.path.join(self.folder, "bus"), os.path.join(self.folder, "runtime")
        server = self.processes.start("server", [os.path.join(build, "guest/bench-server"), "0"], stdout=subprocess.PIPE)
        port = int(server.stdout.readline())
        self.ends = []
        for side, words in (("guest", ["--bus", "listen:" + bus, "--runtime-dir", os.path.join(self.folder, "guest")]),
                            ("host", ["--vm", VM, "--bus", bus, "--runtime-dir", runtime])):
            before, after = wrapped(self.tool, self.outs[side])
            # Heartbeats are a matter of time, which is not measured.
            # A host endpoint that finds no bus looks again, which would count.
            if side == "host":
                until("the guest endpoint listens", lambda: os.path.exists(bus))
            self.ends.append(self.processes.start(side, [*before, os.path.join(build, "vpc-" + side), *words, "--option",
                                                         "heartbeat_ms=60000", "--option", "heartbeat_late_ms=600000",
                                                         "--option", "peer_limit_ms=0", "--tag", VM, *after]))
        subprocess.run([os.path.join(build, "vpcctl"), "wait-ready", VM, "--runtime-dir", runtime, "--timeout", "60"],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=90, check=True)
        self.client = Client(self.processes, os.path.join(build, "bench/bench-client"), "client")
        self.client.ask("open vpc:%s:%s:%d" % (runtime, VM, port))

    def stop(self):
        """By the endpoints' own signal: under strace it goes to the child."""
        self.client.stop()
        for end in reversed(self.ends):
            for pid in subjects(end.pid, self.tool):
                os.kill(pid, signal.SIGTERM)
        until("both endpoints end", lambda: all(end.poll() is not None for end in self.ends))
        read = instructions if self.tool == "instructions" else calls
        found = {side: read(out) for side, out in self.outs.items()}
        if None in found.values():
            raise Failure("%s does not tell its sum: %s" % (self.tool, self.processes.said(self.ends[0])))
        return found


def subjects(pid, tool):
    if tool == "instructions":
        return [pid]
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return [int(word) for word in file.read().split()]


def run(options, tool, load):
    """What both endpoints took in all."""
    folder = tempfile.mkdtemp(prefix="vpcbench.")
    pair = Pair(options, tool, folder)
    try:
        pair.start()
        for name, (command, _, _) in LOADS.items():
            pair.client.ask(command % 8)
        if load:
            command, count, _ = LOADS[load]
            pair.client.ask(command % count)
        return pair.stop()
    finally:
        pair.processes.end()
        shutil.rmtree(folder, ignore_errors=True)


def measure(options, tools):
    """Numbers by name."""
    numbers = {}
    for tool in tools:
        base = run(options, tool, None)
        for load, (_, _, units) in LOADS.items():
            if tool == "instructions" and load == "down":
                continue  # as many as the other way, with the sides exchanged
            loaded = run(options, tool, load)
            for side in ("host", "guest"):
                numbers[name_of(tool, side, load)] = (loaded[side] - base[side]) / units / \
                    (FRAMES_OF_TURN if (tool, load) == ("instructions", "turn") else 1)
    return numbers


def name_of(tool, side, load):
    if (tool, load) == ("instructions", "turn"):
        return "instructions, %s, frame of 64 octets" % side
    what = {"turn": "round trip", "up": "MiB to the guest", "down": "MiB from the guest"}[load]
    return "%s, %s, %s" % ("system calls" if tool == "calls" else tool, side, what)


def tools_here():
    """Those that are there and may be used: a container may forbid to trace."""
    here = []
    if shutil.which("valgrind"):
        here.append("instructions")
    if shutil.which("strace") and subprocess.run(["strace", "-o", "/dev/null", "true"], stdin=subprocess.DEVNULL,
                                                 stderr=subprocess.DEVNULL, timeout=20).returncode == 0:
        here.append("calls")
    return here


def judge(numbers, baseline):
    """Lines for people, and whether it is good."""
    lines, good, lower = [], True, False
    for name, found in numbers.items():
        known = baseline.get(name)
        if known is None:
            lines.append("%-50s %10.1f  not in the baseline" % (name, found))
            good = False
            continue
        above = found > known * (1 + TOLERANCE)
        below = found < known * (1 - TOLERANCE)
        lines.append("%-50s %10.1f  baseline %10.1f%s" % (name, found, known, "  MORE" if above else "  less" if below else ""))
        good, lower = good and not above, lower or below
    if not good:
        lines.append("costs: it costs more than before; if that is meant: make costs-renew")
    elif lower:
        lines.append("costs: it costs less than before: make costs-renew keeps it so")
    return lines, good


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--renew", action="store_true", help="write the baseline anew")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    return options


def stop(number, frame):
    raise Stopped(number)


def main():
    options = arguments()
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, stop)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    tools = tools_here()
    for tool, program in (("instructions", "valgrind"), ("calls", "strace")):
        if tool not in tools:
            print("costs: no %s here, or it may not trace: its numbers are not checked" % program, file=sys.stderr)
    try:
        return check(options, tools)
    except (Failure, subprocess.SubprocessError) as failure:
        print("costs: %s" % failure, file=sys.stderr)
        return 1
    except Stopped as stopped:
        return 128 + stopped.args[0]


def check(options, tools):
    numbers = measure(options, tools)
    if options.renew:
        if len(tools) < 2:
            raise Failure("the baseline needs both valgrind and strace")
        with open(BASELINE, "w") as file:
            json.dump({name: float("%.4g" % found) for name, found in numbers.items()}, file, indent=1)
            file.write("\n")
    with open(BASELINE) as file:
        baseline = json.load(file)
    lines, good = judge(numbers, baseline)
    if not good:
        # What disturbs only adds: the lower of two counts.
        again = measure(options, tools)
        lines, good = judge({name: min(found, again[name]) for name, found in numbers.items()}, baseline)
    print("\n".join(lines))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
