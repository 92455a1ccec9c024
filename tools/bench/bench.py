#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures VPCBus beside other ways into a guest, all of them by turns in one run.

The parts: qemu (a guest and all ways to it), socket (the same without QEMU), channels (from 1 to 10,000 at once), hosts (many host
endpoints on one machine).  What is missing on this machine has a row that says so.  README.md tells what each row means.
"""
import argparse
import datetime
import json
import os
import platform
import resource
import shutil
import signal
import sys
import tempfile
import time

import parts
import peers
import report
import stats
from processes import Failure, Processes

PARTS = ("qemu", "socket", "channels", "hosts")
SAY_EVERY_S = 2


class Stopped(Exception):
    """A signal told this program to end."""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part (may be repeated)")
    parser.add_argument("--way", action="append", metavar="WAY",
                        help="of the ways that are compared this one (may be repeated): relay, vpcbus, hostfwd, ...")
    parser.add_argument("--rounds", type=int, help="how often each thing is measured (5, quick 1)")
    parser.add_argument("--quick", action="store_true", help="a short look: figures for nobody, but every row")
    parser.add_argument("--no-qemu", action="store_true", help="everything but the part qemu")
    parser.add_argument("--hosts", type=int, default=50, help="host endpoints of the part hosts (50)")
    parser.add_argument("--json", metavar="FILE", help="default: bench/bench.json in the build folder")
    parser.add_argument("--gate", action="store_true", help="end with 1 if a goal was missed")
    options = parser.parse_args()
    options.root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    options.build = os.path.abspath(options.build)
    if options.rounds is None:
        options.rounds = 1 if options.quick else 5
    if options.rounds < 1 or options.hosts < 2:
        parser.error("--rounds is at least 1, --hosts at least 2")
    unknown = set(options.way or ()) - {way for scene in parts.SCENES.values() for way in scene.order}
    if unknown:
        parser.error("--way: there is no %s" % ", ".join(sorted(unknown)))
    options.parts = [part for part in PARTS if part in (options.only or PARTS) and not (part == "qemu" and options.no_qemu)]
    return options


class Progress:
    """What goes on, on standard error: each step that is asked to be shown, and every two seconds what is measured just now."""

    def __init__(self):
        self.begun = self.shown = time.monotonic()

    def say(self, text, always=False):
        now = time.monotonic()
        if always or now - self.shown >= SAY_EVERY_S:
            print("bench: %4.0f s  %s" % (now - self.begun, text), file=sys.stderr, flush=True)
            self.shown = now


def raise_descriptors():
    """Of everything that is started: thousands of channels take thousands of descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (65536, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(limit, soft), max(limit, hard)))
            return
        except (ValueError, OSError):
            pass


def machine():
    model = ""
    try:
        with open("/proc/cpuinfo") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "")
    except OSError:
        pass
    return {"processor": model, "cores": os.cpu_count(), "kernel": platform.release(), "load": round(os.getloadavg()[0], 2)}


def run_scene(name, options, table, pace, say, folder):
    """A scene's processes end with it, and so does its folder."""
    inside = os.path.join(folder, name)
    os.mkdir(inside)
    processes = Processes(inside)
    try:
        if name == "hosts":
            parts.hosts(options, processes, inside, table, pace, say)
            return
        scene = parts.SCENES["socket" if name == "channels" else name](options, processes, inside)
        if name == "channels":
            scene.order = ("vpcbus",)
            scene.start()
            parts.channels(scene, table, pace, say, name, pace.levels, min(options.rounds, 3))
        else:
            parts.compare(scene, table, pace, options.rounds, say)
    finally:
        processes.end()


def fill_rows(options, table, failures):
    """A row for all that could have been measured, also where a part failed as a whole."""
    for name, scene in parts.SCENES.items():
        if name in options.parts:
            for row in parts.expected(scene, options.way):
                if row[:4] not in table.rows:
                    table.note(*row, failures.get(name, "not measured"))


def measure(options, table, folder):
    progress = Progress()
    failures = {}
    for name in options.parts:
        try:
            run_scene(name, options, table, parts.Pace(options.quick), progress.say, folder)
        except Failure as failure:
            failures[name] = str(failure)
            progress.say("%s: %s" % (name, failure), True)
        except Exception as error:  # what is measured already is not thrown away
            if isinstance(error, Stopped):
                raise
            failures[name] = "%s: %s" % (type(error).__name__, error)
            progress.say("%s: %s" % (name, failures[name]), True)
    fill_rows(options, table, failures)
    return failures, time.monotonic() - progress.begun


def stop(number, frame):
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    raise Stopped(number)


def write(path, text):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)


def main():
    options = arguments()
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, stop)
    raise_descriptors()
    table, at = stats.Table(), machine()
    folder = tempfile.mkdtemp(prefix="vpcbench.")
    try:
        failures, seconds = measure(options, table, folder)
    except Stopped as stopped:
        print("bench: stopped", file=sys.stderr)
        return 128 + stopped.args[0]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    goals = stats.goals(table, peers.has_memory_transport(os.path.join(options.build, "vpc-host")))
    result = {"when": datetime.datetime.now().strftime("%Y-%m-%d %H:%M"), "machine": at, "seconds": round(seconds),
              "rounds": options.rounds, "quick": options.quick, "parts": options.parts, "failures": failures,
              "rows": table.json(), "goals": [goal.json() for goal in goals],
              "hosts": report.hosts_of(table)}
    write(options.json or os.path.join(options.build, "bench/bench.json"), json.dumps(result, indent=1) + "\n")
    write(os.path.join(options.build, "bench/bench.md"), report.markdown(result))
    write(os.path.join(options.build, "bench/index.html"), report.page(result))
    write(os.path.join(options.build, "bench/bench.svg"), report.picture(result))
    print(report.plain(result), end="")
    missed = [goal for goal in goals if goal.met is False]
    return 1 if failures or (options.gate and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
