# SPDX-License-Identifier: MIT
"""What befalls the soak's conversations, and what each must leave behind."""

import asyncio
import os
import signal
import time

from machine import LIMIT_S, TICKS, Breach, Host, until
from talks import ASK_PORT, NOT_NOW

IDLE_MS = 4000
ABSENT_TICKS = IDLE_MS * TICKS // 1000 // 20  # it looks for a host ten times a second
SAME_NAME = 100
STRANGERS = 100
CRASHES, CRASH_GAP_S = 20, 0.3
LONG_PAUSE_S = 40
SLOW_GUEST = 2  # its seconds are longer than ours where others use the machine


class Storms:
    def __init__(self, world):
        self.world = world
        self.gentle = (  # may cost no octet
            ("pause", 3, self.pause), ("long pause", 1, self.long_pause), ("save", 1, self.save), ("reload", 2, self.reload), ("burst", 2, self.burst),
            ("one name", 2, self.one_name), ("strangers", 2, self.strangers), ("second host", 1, self.second_host),
        )
        self.rough = (
            ("host killed", 1, lambda: self.host_dies(signal.SIGKILL)),
            ("host stopped", 1, lambda: self.host_dies(signal.SIGTERM)),
            ("guest killed", 3, lambda: self.guest_dies(signal.SIGKILL)),
            ("guest stopped", 2, lambda: self.guest_dies(signal.SIGTERM)),
            ("host crash loop", 1, self.host_crash_loop), ("guest crash loop", 1, self.guest_crash_loop),
            ("restore", 3, self.restore), ("reset", 2, self.reset), ("unplug", 2, self.unplug),
            ("host absent", 1, self.absent),
        )

    def next(self, calm):
        """The name of one, and what does it."""
        rows = self.gentle if calm else self.gentle + self.rough
        name, _, act = self.world.plan.choices(rows, [weight for _, weight, _ in rows])[0]
        return name, act

    async def pause(self):
        async def act():
            await self.world.machine.do("stop")
            await asyncio.sleep(self.world.plan.uniform(0.2, 6))
            await self.world.machine.do("cont")
        await self.world.still(act)

    async def long_pause(self):
        """Longer than a session outlives without the monitor's word (peer_limit)."""
        async def act():
            await self.world.machine.do("stop")
            await asyncio.sleep(LONG_PAUSE_S)
            await self.world.machine.do("cont")
        await self.world.still(act)

    async def save(self):
        path = f"{self.world.directory}/state.{len(self.world.states)}"
        await self.world.still(lambda: self.world.machine.save(path))
        self.world.states.append(path)
        if len(self.world.states) > 3:
            os.truncate(self.world.states[-4], 0)

    async def reload(self):
        log = f"{self.world.host.runtime}/log/soak.jsonl"
        os.replace(log, f"{log}.1")
        self.world.host.process.send_signal(signal.SIGHUP)

        async def made():
            return os.path.exists(log)
        await until("SIGHUP makes a new log", made)

    async def burst(self):
        await asyncio.gather(*(self.world.talk() for _ in range(20)))

    async def one_name(self):
        """Starts under one name, each as soon as the one before is closed here."""
        done, mark = 0, self.world.mark()
        while done < SAME_NAME and not self.world.disturbed(mark):
            try:
                path = await self.world.open_pair("one-name", ASK_PORT)
            except ConnectionError as error:
                if str(error) not in NOT_NOW:
                    raise Breach(f"start {done} of the same name: {error}") from None
                await asyncio.sleep(0.1)
                continue
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"get 0\n")
            if not await asyncio.wait_for(reader.readline(), LIMIT_S):
                raise Breach(f"start {done} of the same name: its answer is missing")
            writer.close()
            await writer.wait_closed()
            done += 1

    async def strangers(self):
        """More clients than there is room for sit at the control socket, each with half a line."""
        sitting = []
        try:
            for _ in range(STRANGERS):
                sitting.append(await asyncio.open_unix_connection(self.world.host.control))
                sitting[-1][1].write(b'{"execute": "query-')
            await asyncio.gather(*(self.world.talk() for _ in range(10)))
        finally:
            for _, writer in sitting:
                writer.close()

    async def second_host(self):
        """Another host endpoint wants the bus that ours has."""
        other = Host(self.world.options.build, self.world.directory, "other")
        await other.start()
        await asyncio.gather(*(self.world.talk() for _ in range(5)))
        await other.end(signal.SIGTERM)

    async def host_dies(self, number):
        async def act():
            await self.world.host.end(number)
            await asyncio.sleep(self.world.plan.uniform(0, 2))
            await self.world.host.start()
            return 0
        await self.world.lossy(act)

    async def host_crash_loop(self):
        async def act():
            for _ in range(CRASHES):
                await self.world.host.end(signal.SIGKILL)
                await self.world.host.start()
                await asyncio.sleep(CRASH_GAP_S)
            return 0
        await self.world.lossy(act)

    async def guest_dies(self, number):
        await self.tell_guest(f"kill {number} {self.world.plan.randrange(400)} 1 0")

    async def guest_crash_loop(self):
        """Its start script waits a second before each new start, so that some of the kills meet nobody."""
        await self.tell_guest(f"kill {int(signal.SIGKILL)} 0 {2 * CRASHES} {int(CRASH_GAP_S * 1000)}", 2 * CRASHES * CRASH_GAP_S)

    async def tell_guest(self, line, lasts=0):
        """It may take so many seconds; before, nothing counts as recovered."""
        if await self.world.ask_guest("stat") is None:
            return

        async def act():
            before = await self.world.host.sessions()
            path = await self.world.open_pair(f"kill{self.world.epoch}", ASK_PORT)
            _, writer = await asyncio.open_unix_connection(path)
            writer.write(f"{line}\n".encode())
            await writer.drain()
            await asyncio.sleep(0.5)
            writer.close()
            await asyncio.sleep(lasts * SLOW_GUEST)
            return before
        await self.world.lossy(act)

    async def unplug(self):
        async def gone():
            ports = await self.world.machine.do("qom-list", path="/machine/peripheral")
            return all(port["name"] != "bus-port" for port in ports)

        async def act():
            before = await self.world.host.sessions()
            await self.world.machine.do("device_del", id="bus-port")
            await until("the port is gone", gone)
            await asyncio.sleep(self.world.plan.uniform(0, 2))
            await self.world.machine.do("device_add", driver="virtserialport", id="bus-port", chardev="bus",
                                        name="org.vpcbus.0")
            return before
        await self.world.lossy(act)

    async def restore(self):
        if not self.world.states:
            await self.save()
        path = self.world.plan.choice(self.world.states[-3:])

        async def act():
            before = await self.world.host.sessions()
            await self.world.machine.stop()
            await self.world.machine.start(path)
            return before
        await self.world.lossy(act)

    async def reset(self):
        async def act():
            before = await self.world.host.sessions()
            await self.world.machine.do("system_reset")
            begun = time.monotonic()
            while await self.world.host.is_ready() and time.monotonic() - begun < LIMIT_S:
                pass
            self.world.reset_ms.append(round((time.monotonic() - begun) * 1000))
            return before
        await self.world.lossy(act)
        self.world.states.clear()  # of another boot: they would do, but the guest's memory of conversations is gone anyway

    async def absent(self):
        """The host endpoint stays away for a while: the guest's must not spin."""
        await self.world.ask_guest(f"watch 1000 {IDLE_MS}")

        async def act():
            await self.world.host.end(signal.SIGKILL)
            await asyncio.sleep(1.5 + IDLE_MS / 1000)
            await self.world.host.start()
            return 0
        await self.world.lossy(act)
        answer = await self.world.ask_guest("watched")
        if answer and int(answer[0]) >= 0:
            self.world.absent_ticks.append(int(answer[0]))
            if int(answer[0]) > ABSENT_TICKS:
                self.world.breach(f"without a host the guest endpoint used {answer[0]} ticks in {IDLE_MS} ms")

