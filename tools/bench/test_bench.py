#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tests of tools/bench: its arithmetic, its goals, and a quick run without QEMU that has every row.

    tools/bench/test_bench.py [BUILD]
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

import costs
import parts
import peers
import processes
import report
import stats

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else "build")
LIMIT_S = 120


class Arithmetic(unittest.TestCase):
    def test_quantiles_are_values_that_were_measured(self):
        self.assertEqual(stats.quantile([3, 1, 2], 0.5), 2)
        self.assertEqual(stats.quantile([1, 2, 3, 4], 0.5), 2)
        self.assertEqual(stats.quantile(range(1, 101), 0.99), 99)
        self.assertEqual(stats.quantile(range(1, 1001), 0.999), 999)
        self.assertEqual(stats.quantile([7], 0.999), 7)
        self.assertEqual(stats.quantile([1, 2], 1), 2)
        self.assertEqual(stats.quantile([1, 2], 0), 1)
        with self.assertRaises(ValueError):
            stats.quantile([], 0.5)

    def test_quantiles_of_which_only_the_longest_values_are_known(self):
        for count in (1000, 1500, 3000):
            self.assertEqual(stats.quantile_of_longest(count, range(count - 20, count + 1), 0.999),
                             stats.quantile(range(1, count + 1), 0.999), count)
        self.assertIsNone(stats.quantile_of_longest(100000, [1, 2, 3], 0.999))

    def test_median(self):
        self.assertEqual(stats.median([5, 1, 3]), 3)
        self.assertEqual(stats.median([4, 1, 3, 2]), 2.5)
        with self.assertRaises(ValueError):
            stats.median([])

    def test_a_ratio_is_of_what_was_measured_in_the_same_round(self):
        self.assertEqual(stats.ratios([2, None, 9], [1, 5, 3]), [2, 3])
        self.assertEqual(stats.ratios([2, 4], [0, 2]), [2])
        self.assertEqual(stats.ratios([2], []), [])

    def test_a_slow_round_does_not_change_the_ratio(self):
        table = stats.Table()
        for mine, other in ((100, 50), (10, 5), (100, 50)):
            table.add("s", "up", 1, "vpcbus", "", mine)
            table.add("s", "up", 1, "relay", "", other)
        self.assertEqual(table.ratio(("s", "up", 1, "vpcbus"), ("s", "up", 1, "relay")), (2, 2, 2))

    def test_numbers_are_as_long_as_they_say_something(self):
        self.assertEqual([report.number(value) for value in (12345.6, 123.4, 12.34, 1.234, 0.01234, 0, None)],
                         ["12346", "123", "12.3", "1.23", "0.0123", "0", "-"])


class Goals(unittest.TestCase):
    @staticmethod
    def table(up, relay):
        table = stats.Table()
        table.add("qemu", "up", 65536, "vpcbus", "MB/s", up)
        if relay:
            table.add("qemu", "up", 65536, "relay", "MB/s", relay)
        else:
            table.note("qemu", "up", 65536, "relay", "MB/s", "not here: no relay")
        return table

    def first(self, up, relay):
        return stats.goals(self.table(up, relay))[0]

    def test_reached_missed_and_not_measured(self):
        self.assertEqual(self.first(10, 10).word, "reached")
        self.assertEqual(self.first(9, 10).word, "missed")
        self.assertEqual((self.first(9, 0).word, self.first(9, 0).measured), ("not measured", "relay: not here: no relay"))

    def test_no_transport_of_memory(self):
        memory = [goal for goal in stats.goals(stats.Table()) if "shared memory" in goal.text]
        self.assertEqual({goal.measured for goal in memory}, {"no such transport yet"})
        self.assertEqual(len(memory), 4)

    @staticmethod
    def with_channels(top, start):
        table = stats.Table()
        for size, took in ((1, 10), (top, start)):
            table.add("channels", "start", size, "vpcbus", "us", took)
            table.add("channels", "start beside one alone", size, "vpcbus", "us", 10)
            table.add("channels", "wake-ups, host", size, "vpcbus", "1/s", 2 if size == 1 else 2.5)
        return {goal.text: goal for goal in stats.goals(table)}

    def test_a_goal_with_fewer_channels_than_it_speaks_of_is_missed(self):
        text = "start beside 10000 open channels: at most 1.2 times as beside one"
        self.assertEqual(self.with_channels(10000, 11)[text].word, "reached")
        self.assertEqual(self.with_channels(10000, 13)[text].word, "missed")
        self.assertEqual(self.with_channels(1000, 10)[text].word, "missed")

    def test_the_heartbeat_is_no_wakeup_of_idle_channels(self):
        self.assertEqual(self.with_channels(10000, 10)["10000 idle channels do not wake the host"].word, "reached")


class Costs(unittest.TestCase):
    def test_more_is_bad_and_less_is_told(self):
        for found, good, word in ((100, True, ""), (104, True, ""), (106, False, "MORE"), (94, True, "less")):
            lines, is_good = costs.judge({"a": found}, {"a": 100})
            self.assertEqual((is_good, word in lines[0]), (good, True), found)
        self.assertFalse(costs.judge({"b": 1}, {"a": 1})[1])

    def test_the_tools_tell_their_sums(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "out")
            for read, text in ((costs.instructions, "==1== Events    : Ir\n==1== Collected : 1234\n"),
                               (costs.calls, " 90.00      1200        10 write\n------ ---\n100.00      1234        12 total\n"),
                               (costs.calls, "100.00      1234           total\n")):
                with open(path, "w") as file:
                    file.write(text)
                self.assertEqual(read(path), 1234, text)
            with open(path, "w") as file:
                file.write("nothing\n")
            self.assertIsNone(costs.instructions(path))


class OneWayFails(peers.Socket):
    order = ("relay", "socat", "vpcbus")

    def socat(self, peer):
        raise processes.Failure("no reason")


class Failing(unittest.TestCase):
    def test_a_way_that_can_not_be_begun_leaves_the_others(self):
        with tempfile.TemporaryDirectory() as folder:
            started = processes.Processes(folder)
            try:
                scene = OneWayFails(argparse.Namespace(build=BUILD, way=None), started, folder)
                scene.start()
                table = stats.Table()
                parts.Rounds(scene, table, parts.Pace(True), lambda *said: None).each(
                    0, "up", [("up", 64, "MB/s")], lambda peer: [peer.client.ask("up 64 10")["octets"]])
            finally:
                started.end()
        self.assertEqual({name: peer.why for name, peer in scene.peers.items()},
                         {"relay": "", "socat": "failed: no reason", "vpcbus": ""})
        self.assertGreater(table.median("socket", "up", 64, "vpcbus"), 0)
        self.assertEqual(table.why_not(("socket", "up", 64, "socat")), "socat: failed: no reason")


class HostsLine(unittest.TestCase):
    def test_500_by_a_line(self):
        table = stats.Table()
        for count in (1, 5, 9):
            table.add("hosts", "resident", count, "vpcbus", "KiB", 100 + 10 * count)
        found = report.hosts_of(table)["resident"]
        self.assertEqual((found["each"], found["of_500"], found["middle_by_line"], found["middle_measured"]), (10, 5100, 150, 150))


class Run(unittest.TestCase):
    """The tool as people call it, quick and without QEMU."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.json = os.path.join(cls.folder.name, "bench.json")
        cls.before = set(os.listdir(tempfile.gettempdir()))
        cls.done = subprocess.run([os.path.join(HERE, "bench.py"), "--build", BUILD, "--no-qemu", "--quick", "--json", cls.json],
                                 stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S)
        with open(cls.json) as file:
            cls.result = json.load(file)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_it_ends_well(self):
        self.assertEqual((self.done.returncode, self.result["failures"]), (0, {}), self.done.stderr)

    def test_it_leaves_nothing(self):
        left = [name for name in set(os.listdir(tempfile.gettempdir())) - self.before if name.startswith("vpcbench.")]
        self.assertEqual(left, [])

    def test_every_row_is_there(self):
        rows = {(row["scene"], row["quantity"], row["size"], row["peer"]) for row in self.result["rows"]}
        self.assertEqual([row[:4] for row in parts.expected(parts.Socket) if row[:4] not in rows], [])
        for what in ("start", "event", "end", "senders", "wake-ups, host", "octets per channel, guest"):
            self.assertIn(("channels", what, 10, "vpcbus"), rows)
        self.assertIn(("hosts", "resident", 5, "vpcbus"), rows)

    def test_a_row_has_values_or_a_reason(self):
        for row in self.result["rows"]:
            self.assertTrue(row["note"] or (row["values"] and row["median"] is not None), row)

    def test_ours_and_the_relay_have_values(self):
        for peer in ("vpcbus", "relay"):
            for what in ("up", "down", "both", "turn p50"):
                self.assertTrue(any(row["median"] for row in self.result["rows"] if row["scene"] == "socket" and
                                    (row["quantity"], row["peer"]) == (what, peer)), (what, peer))

    def test_every_goal_has_a_result(self):
        self.assertEqual({goal["result"] for goal in self.result["goals"]} - {"reached", "missed", "not measured"}, set())
        self.assertEqual(len(self.result["goals"]), len(stats.goals(stats.Table())))

    def test_page_and_markdown(self):
        self.assertIn("<svg", report.page(self.result))
        self.assertIn("| VPCBus |", report.markdown(self.result))
        self.assertIn("Goals", self.done.stdout)


class Signal(unittest.TestCase):
    def test_a_signal_ends_it_with_all_that_it_started(self):
        with tempfile.TemporaryDirectory() as folder:
            run = subprocess.Popen([os.path.join(HERE, "bench.py"), "--build", BUILD, "--no-qemu", "--only", "socket", "--json",
                                    os.path.join(folder, "bench.json")], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env={**os.environ, "TMPDIR": folder})
            end = time.monotonic() + LIMIT_S
            while not self.children(run.pid) and time.monotonic() < end:
                time.sleep(0.05)
            started = self.children(run.pid)
            self.assertTrue(started)
            run.terminate()
            self.assertEqual(run.wait(LIMIT_S), 128 + 15)
            self.assertEqual(os.listdir(folder), [])
            while any(os.path.exists("/proc/%d" % pid) for pid in started) and time.monotonic() < end:
                time.sleep(0.05)
            self.assertEqual([pid for pid in started if os.path.exists("/proc/%d" % pid)], [])

    @staticmethod
    def children(pid):
        try:
            with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
                return [int(word) for word in file.read().split()]
        except OSError:
            return []


if __name__ == "__main__":
    unittest.main()
