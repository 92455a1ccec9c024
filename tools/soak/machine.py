# SPDX-License-Identifier: MIT
"""The soak's things: a virtual machine (tools/vm), a host endpoint, and what the system says of a process."""

import asyncio
import json
import os
import signal
import time

TICKS = os.sysconf("SC_CLK_TCK")
LIMIT_S = 90  # for everything that is expected to happen at all; generous, since the machine may be busy


class Breach(Exception):
    """Something happened that must not, or did not happen that must."""


async def until(what, condition, limit=LIMIT_S, every=0.1):
    end = time.monotonic() + limit
    while True:
        value = await condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Breach(f"within {limit} s it did not happen: {what}")
        await asyncio.sleep(every)


async def ended(process, limit=LIMIT_S):
    try:
        return await asyncio.wait_for(process.wait(), limit)
    except asyncio.TimeoutError:
        process.kill()
        raise Breach(f"process {process.pid} does not end within {limit} s") from None


class Lines:
    """A socket of JSON lines: QMP, or an endpoint's control socket.  Events are passed over."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, path):
        lines = cls(*await asyncio.open_unix_connection(path, limit=1 << 20))
        await lines.read()  # the greeting
        return lines

    async def read(self):
        line = await asyncio.wait_for(self.reader.readline(), LIMIT_S)
        if not line:
            raise ConnectionError("the other side has gone")
        return json.loads(line)

    async def ask(self, command, **arguments):
        request = {"execute": command, "arguments": {k.replace("_", "-"): v for k, v in arguments.items()}}
        self.writer.write(json.dumps(request).encode() + b"\n")
        while True:
            answer = await self.read()
            if "return" in answer or "error" in answer:
                return answer

    def close(self):
        self.writer.close()


class Machine:
    """The virtual machine.  Its state can be saved to files and restored from them."""

    def __init__(self, root, build, directory):
        self.root, self.build, self.directory = root, build, directory
        self.process = self.qmp = None
        self.console = f"{directory}/console"
        self.starts = 0

    async def start(self, state=None):
        self.starts += 1
        self.console = f"{self.directory}/console.{self.starts}"
        command = [
            f"{self.root}/tools/vm", "--name", "soak", "--tag", "VPCBUS-SOAK", "--reboot",
            "--kernel", f"{self.build}/guest/vmlinuz", "--initrd", f"{self.directory}/initrd",
            "--bus", f"{self.directory}/bus", "--qmp", f"{self.directory}/qmp", "--qmp", f"{self.directory}/qmp-host",
            "--console", self.console,
        ]
        if state:
            command.append("--incoming")
        errors = open(f"{self.directory}/qemu.err", "ab")
        self.process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL, stderr=errors)
        errors.close()
        self.qmp = await until("QEMU answers", self.greet)
        if state:
            await self.do("migrate-incoming", uri=f"exec:cat {state}")
            await until("the state is restored", self.status_is("running", "paused", "prelaunch"))
            await self.do("cont")

    async def greet(self):
        if self.process.returncode is not None:
            raise Breach(f"QEMU ended with {self.process.returncode}")
        try:
            qmp = await Lines.open(f"{self.directory}/qmp")
        except (OSError, ConnectionError):
            return None
        await qmp.ask("qmp_capabilities")
        return qmp

    async def do(self, command, **arguments):
        answer = await self.qmp.ask(command, **arguments)
        if "error" in answer:
            raise Breach(f"QEMU refuses {command}: {answer['error']['desc']}")
        return answer["return"]

    def status_is(self, *states):
        async def look():
            return (await self.do("query-status"))["status"] in states
        return look

    async def save(self, path):
        """The machine stands still while it is written, and goes on."""
        async def written():
            status = (await self.do("query-migrate")).get("status")
            if status == "failed":
                raise Breach("QEMU can not save the machine")
            return status == "completed"
        await self.do("stop")
        await self.do("migrate-set-parameters", max_bandwidth=1 << 33)
        await self.do("migrate", uri=f"exec:cat >{path}")
        await until("the state is saved", written)
        await self.do("cont")

    async def stop(self):
        if self.process is None or self.process.returncode is not None:
            return
        self.process.terminate()
        await ended(self.process)
        self.qmp.close()

    def breaches(self):
        found = []
        for number in range(1, self.starts + 1):
            try:
                with open(f"{self.directory}/console.{number}", errors="replace") as console:
                    found += [line.strip() for line in console
                              if "BREACH" in line or "ended by its sandbox" in line]
            except FileNotFoundError:
                pass
        return found


class Host:
    """The host endpoint of the machine."""

    def __init__(self, build, directory, name="soak", bus=None, monitor=None):
        self.build, self.directory, self.name = build, directory, name
        self.monitor = ["--qmp", monitor] if monitor else []
        self.bus = bus or f"{directory}/bus"
        self.runtime = f"{directory}/runtime"
        self.trace = f"{directory}/{name}.pcapng"
        self.process = None
        self.starts = 0

    @property
    def control(self):
        return f"{self.runtime}/vms/{self.name}.sock"

    async def start(self):
        self.starts += 1
        errors = open(f"{self.directory}/host.err", "ab")
        self.process = await asyncio.create_subprocess_exec(
            f"{self.build}/vpc-host", "--vm", self.name, "--bus", self.bus, "--runtime-dir", self.runtime,
            "--trace", self.trace, "--trace-limit", "16", *self.monitor, stdin=asyncio.subprocess.DEVNULL, stderr=errors)
        errors.close()

    async def end(self, number):
        """Ends it with the signal; SIGTERM must end well."""
        self.process.send_signal(number)
        status = await ended(self.process)
        if number == signal.SIGTERM and status != 0:
            raise Breach(f"the host endpoint was told to stop and ended with {status}")

    def gone(self):
        return self.process.returncode is not None

    async def ask(self, command, **arguments):
        lines = await Lines.open(self.control)
        try:
            return await lines.ask(command, **arguments)
        finally:
            lines.close()

    async def query(self, command):
        try:
            return (await self.ask(command)).get("return", {})
        except (OSError, ConnectionError):
            return {}

    async def sessions(self):
        return (await self.query("query-stats")).get("sessions", 0)

    async def is_ready(self):
        return (await self.query("query-vm")).get("level") == "ready"

    def pipes(self):
        """What there is of pipes, with their locks."""
        try:
            return sorted(os.listdir(f"{self.runtime}/pipes"))
        except FileNotFoundError:
            return []

    def measure(self):
        """Descriptors, resident KiB, ticks."""
        base = f"/proc/{self.process.pid}"
        with open(f"{base}/status") as status:
            rss = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        with open(f"{base}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return len(os.listdir(f"{base}/fd")), rss, int(fields[11]) + int(fields[12])
