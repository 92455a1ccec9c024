# SPDX-License-Identifier: MIT
"""The processes of a run, each of which ends with it, and what the system says of them."""
import ctypes
import json
import os
import selectors
import signal
import subprocess
import time

LIMIT_S = 60      # for what is expected to happen at all; generous, since the machine may be busy
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Failure(Exception):
    """Something could not be measured; the text is for people."""


def until(what, condition, limit=LIMIT_S, every=0.02):
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure("within %d s it did not happen: %s" % (limit, what))
        time.sleep(every)


def end_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


class Processes:
    """Those that were started; end() ends them, and nobody else."""

    def __init__(self, folder):
        self.folder = folder
        self.running = []

    def start(self, name, command, **how):
        """Its errors go to NAME.err in the folder."""
        errors = open(os.path.join(self.folder, name + ".err"), "ab")
        # A signal between its start and its place in the list would leave it behind.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        try:
            process = subprocess.Popen(command, **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **how},
                                       stderr=errors, preexec_fn=end_with_parent)
            process.bench_name = name
            self.running.append(process)
        except OSError as error:
            raise Failure("%s: %s" % (command[0], error)) from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            errors.close()
        return process

    def said(self, process):
        """What it said last on standard error."""
        with open(os.path.join(self.folder, process.bench_name + ".err"), errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
        return lines[-1] if lines else "it ended with %s" % process.poll()

    def stop(self, *processes, sign=signal.SIGTERM):
        for process in processes:
            if process.poll() is None:
                process.send_signal(sign)
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
            for stream in (process.stdin, process.stdout):
                if stream:
                    stream.close()
            self.running.remove(process)

    def end(self):
        self.stop(*reversed(self.running), sign=signal.SIGKILL)


class Client:
    """A bench-client; see client.c for what it is asked."""

    def __init__(self, processes, program, name):
        self.processes = processes
        self.process = processes.start(name, [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.line = b""

    def begin(self, command):
        try:
            self.process.stdin.write(command.encode() + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise Failure("bench-client: %s" % error) from None

    def result(self, limit=LIMIT_S):
        end = time.monotonic() + limit
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self.line:
                if not selector.select(max(0, end - time.monotonic())):
                    raise Failure("no answer within %d s" % limit)
                octets = os.read(self.process.stdout.fileno(), 65536)
                if not octets:
                    raise Failure("bench-client ended")
                self.line += octets
        line, _, self.line = self.line.partition(b"\n")
        answer = json.loads(line)
        if "error" in answer:
            raise Failure(answer["error"])
        return answer

    def ask(self, command, limit=LIMIT_S):
        self.begin(command)
        return self.result(limit)

    def stop(self):
        self.processes.stop(self.process, sign=signal.SIGKILL)


class Sample:
    """Processor nanoseconds, resident KiB and wake-ups of some processes."""

    def __init__(self, ns=0, rss=0, woken=0):
        self.ns, self.rss, self.woken = ns, rss, woken

    def __add__(self, other):
        return Sample(self.ns + other.ns, self.rss + other.rss, self.woken + other.woken)

    def since(self, before):
        return Sample(self.ns - before.ns, self.rss - before.rss, self.woken - before.woken)


def processor_ns(pid):
    """Nanoseconds, where the kernel counts them; else ticks."""
    try:
        with open("/proc/%d/schedstat" % pid) as file:
            ns = int(file.read().split()[0])
        if ns:
            return ns
    except OSError:
        pass
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 10**9 // os.sysconf("SC_CLK_TCK")


def processor_of_all(pid):
    """Of all its threads."""
    return sum(processor_ns(int(thread)) for thread in os.listdir("/proc/%d/task" % pid))


def fields(path, *names):
    """Of lines such as "VmRSS: 1234 kB"; those that are not there are left out."""
    try:
        with open(path) as file:
            return {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in file) if name in names}
    except OSError:
        return {}


def look(pid):
    status = fields("/proc/%d/status" % pid, "VmRSS", "voluntary_ctxt_switches")
    # VmRSS is behind by what a thread has not told yet; the other may be forbidden.
    rss = fields("/proc/%d/smaps_rollup" % pid, "Rss").get("Rss", status.get("VmRSS", 0))
    return Sample(processor_ns(pid), rss, status.get("voluntary_ctxt_switches", 0))


def look_all(pids):
    total = Sample()
    for pid in pids:
        total += look(pid)
    return total


def proportional_kib(pid):
    """Its share of the memory that it uses, where that can be read."""
    return fields("/proc/%d/smaps_rollup" % pid, "Pss").get("Pss")
