# SPDX-License-Identifier: MIT
"""The ways to a server that are compared: each has what it takes on both sides, and an address for bench-client."""
import getpass
import os
import re
import shutil
import socket
import subprocess
import time

from processes import Client, Failure, Sample, look, look_all, processor_of_all, until

TITLES = {
    "raw": "raw port", "relay": "bare relay", "socat": "socat at both ends", "hostfwd": "QEMU hostfwd", "ssh": "ssh -L",
    "vsock": "vsock", "vpcbus": "VPCBus",
}
GUEST_PORT = 7000
VM = "bench"


class Peer:
    """One way; where it is missing the reason stands in why."""

    def __init__(self, name):
        self.name, self.why = name, ""
        self.address = None   # of its one connection
        self.many = None      # of any number of them, where it has that
        self.host = []        # its processes on the host
        self.guest = ()       # names of its processes in the guest, or processes where there is none
        self.settle = 0       # seconds until its far side has noticed that the near side is there
        self.client = self.second = None

    def missing(self, why):
        self.why = why
        return self

    def connect(self, processes, program):
        if self.why:
            return
        self.client = Client(processes, program, "client-" + self.name)
        try:
            self.client.ask("open " + self.address)
            time.sleep(self.settle)
            self.client.ask("turns 64 64 100")
        except Failure as failure:
            self.fail(str(failure))

    def fail(self, why):
        """Nothing more is asked of it: whoever does not answer in time would hold up all the others."""
        self.why = "failed: " + why
        for client in (self.client, self.second):
            if client:
                client.stop()
        self.client = self.second = None


def sbin(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def max_pairs(host_program):
    """The highest number of channels that an endpoint takes, as it says itself."""
    said = subprocess.run([host_program, "--vm", VM, "--bus", "/nowhere", "--option", "max_pairs=99999999"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20).stderr
    found = re.search(r"max_pairs must be a number from \d+ to (\d+)", said)
    return int(found[1]) if found else 16


def has_memory_transport(host_program):
    """Whether --bus takes memory that is shared with the guest."""
    said = subprocess.run([host_program, "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=20).stdout
    return re.search(r"\b(shm|memory|ivshmem):", said) is not None


class Scene:
    """A server, and the ways to it.  self.peers has them by name."""

    name = ""
    order = ()
    most_pairs = 1 << 20

    def __init__(self, options, processes, folder):
        self.options, self.processes, self.folder = options, processes, folder
        self.build = options.build
        self.program = os.path.join(options.build, "bench/bench-client")
        self.pairs = min(max_pairs(self.host_program), self.most_pairs)
        self.peers = {}
        self.qemu = None

    @property
    def host_program(self):
        return os.path.join(self.build, "vpc-host")

    def path(self, name):
        return os.path.join(self.folder, name)

    def pair_options(self):
        return ["--option", "max_pairs=%d" % self.pairs]

    def start_host(self, bus, name=VM):
        """The host endpoint, and the beginning of an address."""
        runtime = self.path("runtime")
        host = self.processes.start("vpc-host-" + name, [
            self.host_program, "--vm", name, "--bus", bus, "--runtime-dir", runtime, "--tag", name, *self.pair_options()])
        command = [os.path.join(self.build, "vpcctl"), "wait-ready", name, "--runtime-dir", runtime, "--timeout", "60"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)
        if done.returncode != 0:
            raise Failure("VPCBus is not ready: %s %s" % (done.stderr.strip(), self.processes.said(host)))
        return host, "vpc:%s:%s:" % (runtime, name)

    def begin_all(self):
        """A way that can not be begun does not keep the others from being measured."""
        for name in self.order:
            self.peers[name] = Peer(name)
            try:
                getattr(self, name)(self.peers[name])
            except Failure as failure:
                self.alive()
                self.peers[name].missing("failed: %s" % failure)
            self.peers[name].connect(self.processes, self.program)

    def measured(self):
        """All are begun, as a port without a host keeps the guest busy; some may be left out of what is measured."""
        return [peer for name, peer in self.peers.items() if name in (self.options.way or self.peers)]

    def second(self, peer):
        """Another client beside the one that is measured."""
        if peer.second is None:
            peer.second = Client(self.processes, self.program, "second-" + peer.name)
            peer.second.ask("open " + peer.many)
        return peer.second

    def host_sample(self, peer):
        return look_all(process.pid for process in peer.host)

    def qemu_ns(self):
        return processor_of_all(self.qemu.pid) if self.qemu else 0

    def alive(self):
        pass


class Socket(Scene):
    """Without QEMU: two halves of each way, joined by a Unix socket."""

    name = "socket"
    order = ("relay", "socat", "ssh", "vpcbus")

    def start(self):
        server = self.processes.start("server", [self.guest_program("bench-server"), "0"], stdout=subprocess.PIPE)
        self.port = int(server.stdout.readline() or 0)
        if not self.port:
            raise Failure("bench-server: " + self.processes.said(server))
        self.begin_all()

    def guest_program(self, name):
        return os.path.join(self.build, "guest", name)

    def relay(self, peer):
        program = self.guest_program("bench-relay")
        far = self.processes.start("relay-far", [program, "listen:" + self.path("relay.bus"), "tcp:%d" % self.port])
        near = self.processes.start("relay", [program, "listen:" + self.path("relay"), "unix:" + self.path("relay.bus")])
        peer.host, peer.guest, peer.address = [near], [far], "unix:" + self.path("relay")
        until("the relay listens", lambda: os.path.exists(self.path("relay")))
        return peer

    def socat(self, peer):
        program = shutil.which("socat")
        if not program:
            return peer.missing("not here: socat is not installed")
        bus, near = self.path("socat.bus"), self.path("socat")
        far = self.processes.start("socat-far", [program, "-b", "65536", "UNIX-LISTEN:" + bus,
                                                 "TCP:127.0.0.1:%d,nodelay" % self.port])
        until("socat listens", lambda: os.path.exists(bus))
        close = self.processes.start("socat", [program, "-b", "65536", "UNIX-LISTEN:" + near, "UNIX-CONNECT:" + bus])
        until("socat listens", lambda: os.path.exists(near))
        peer.host, peer.guest, peer.address = [close], [far], "unix:" + near
        return peer

    def ssh(self, peer):
        program, server = shutil.which("ssh"), sbin("sshd")
        if not program or not server:
            return peer.missing("not here: %s is not installed" % ("openssh-server" if program else "openssh-client"))
        port = free_port()
        try:
            keys = Keys(self.folder, getpass.getuser())
            keys.write_config(self.path("sshd_config"), self.path("host_key"), self.path("user_key.pub"),
                              "ListenAddress 127.0.0.1:%d\n" % port)
            if os.geteuid() == 0:
                os.makedirs("/run/sshd", exist_ok=True)
            far = self.processes.start("sshd", [server, "-D", "-e", "-f", self.path("sshd_config")])
            near = keys.forward(self, port, self.port)
        except (Failure, OSError) as failure:
            return peer.missing("not here: %s" % failure)
        peer.host, peer.guest = [near], [far]
        peer.address = peer.many = "unix:" + self.path("ssh")
        return peer

    def vpcbus(self, peer):
        return self.endpoints(peer, VM)

    def endpoints(self, peer, name):
        bus = self.path(name + ".bus")
        guest = self.processes.start("vpc-guest-" + name, [
            os.path.join(self.build, "vpc-guest"), "--bus", "listen:" + bus, "--runtime-dir", self.path("guest-" + name), "--tag",
            name, *self.pair_options()])
        host, address = self.start_host(bus, name)
        peer.host, peer.guest = [host], [guest]
        peer.address = peer.many = "%s%d" % (address, self.port)
        return peer

    def guest_sample(self, peer):
        # sshd serves by children of its own.
        return look_all(one for process in peer.guest for one in (process.pid, *children(process.pid)))


def children(pid):
    found = []
    try:
        for thread in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, thread)) as file:
                for child in map(int, file.read().split()):
                    found += [child, *children(child)]
    except OSError:
        pass
    return found


class Keys:
    """Keys of ssh that are made for this run and go with its folder."""

    def __init__(self, folder, user):
        self.folder, self.user = folder, user
        for name in ("host_key", "user_key"):
            path = os.path.join(folder, name)
            if not os.path.exists(path):
                done = subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path],
                                      stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
                if done.returncode != 0:
                    raise Failure("ssh-keygen: " + done.stderr.strip())

    @staticmethod
    def write_config(path, host_key, authorized, more=""):
        with open(path, "w") as file:
            file.write("HostKey %s\nAuthorizedKeysFile %s\nPidFile none\nStrictModes no\nUsePAM no\nUseDNS no\n"
                       "PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
                       "MaxSessions 100\nMaxStartups 100\n%s" % (host_key, authorized, more))

    def forward(self, scene, port, to):
        """ssh from a Unix socket of the folder through the server at port; it is tried until the server is there."""
        path = os.path.join(self.folder, "ssh")
        command = ["ssh", "-N", "-F", "none", "-p", str(port), "-i", os.path.join(self.folder, "user_key"), "-o",
                   "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o",
                   "ExitOnForwardFailure=yes", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=20", "-o", "IdentitiesOnly=yes",
                   "-L", "%s:127.0.0.1:%d" % (path, to), "%s@127.0.0.1" % self.user]
        for _ in range(10):
            near = scene.processes.start("ssh", command)
            until("ssh forwards, or ends", lambda: os.path.exists(path) or near.poll() is not None)
            if near.poll() is None:
                return near
            scene.processes.stop(near)
            until("", lambda: True, every=0)
        raise Failure("ssh: " + scene.processes.said(near))


class Qemu(Scene):
    """One guest; the ports of all ways are on one virtio-serial device."""

    name = "qemu"
    most_pairs = 1024   # the endpoint reserves the windows of all of them, and the guest has little memory
    order = ("raw", "relay", "socat", "hostfwd", "ssh", "vsock", "vpcbus")

    def start(self):
        self.forwards = {"hostfwd": free_port(), "ssh": free_port()}
        self.socat_program, self.sshd = shutil.which("socat"), sbin("sshd") if shutil.which("ssh") else None
        if self.sshd:
            self.keys = Keys(self.folder, "root")
        self.make_image()
        self.start_machine()
        self.begin_all()

    def overlays(self):
        there = {os.path.join(self.build, "vpc-guest"): "/usr/bin/vpc-guest:755",
                 os.path.join(self.build, "guest/bench-server"): "/usr/bin/bench-server:755",
                 os.path.join(self.build, "guest/bench-relay"): "/usr/bin/bench-relay:755",
                 os.path.join(self.options.root, "tools/bench/guest-boot"): "/etc/vpc/boot:755",
                 self.path("bench-options"): "/etc/vpc/bench-options:644"}
        if self.socat_program:
            there.update(with_libraries(self.socat_program, "/usr/bin/socat:755"))
        if self.sshd:
            there.update(with_libraries(self.sshd, "/usr/sbin/sshd:755"))
            there.update({self.path("host_key"): "/etc/ssh/host_key:600", self.path("user_key.pub"): "/etc/ssh/user_key:644",
                          self.path("sshd_config"): "/etc/ssh/bench_config:644", self.path("passwd"): "/etc/passwd:644"})
        return ["%s:%s" % pair for pair in there.items()]

    def make_image(self):
        with open(self.path("bench-options"), "w") as file:
            file.write(" ".join(self.pair_options()) + "\n")
        if self.sshd:
            Keys.write_config(self.path("sshd_config"), "/etc/ssh/host_key", "/etc/ssh/user_key")
            with open(self.path("passwd"), "w") as file:
                file.write("root:*:0:0:root:/root:/bin/sh\nsshd:*:100:65534::/run/sshd:/bin/false\n")
        command = [os.path.join(self.options.root, "tools/guest-image"), "--dir", os.path.join(self.build, "guest")]
        for overlay in self.overlays():
            command += ["--overlay", overlay]
        command += ["--module", "virtio_net", "-o", self.path("initrd")]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise Failure("tools/guest-image: " + done.stderr.strip()[-300:])

    def start_machine(self):
        command = [os.path.join(self.options.root, "tools/vm"), VM, "--tag", VM, "--memory", "512",
                   "--kernel", os.path.join(self.build, "guest/vmlinuz"), "--initrd", self.path("initrd"),
                   "--bus", self.path("bus"), "--console", self.path("console")]
        for name in ("raw", "relay", "socat", "ask"):
            command += ["--port", "bench.%s:%s" % (name, self.path(name + ".port"))]
        for name, port in self.forwards.items():
            command += ["--forward", "%d:%d" % (port, GUEST_PORT if name == "hostfwd" else 22)]
        self.qemu = self.processes.start("qemu", command)
        until("the guest is up", self.is_up, limit=180, every=0.1)
        self.asked = socket.socket(socket.AF_UNIX)
        self.asked.settimeout(60)
        self.asked.connect(self.path("ask.port"))

    def alive(self):
        if self.qemu.poll() is not None:
            raise Failure("QEMU ended: " + self.processes.said(self.qemu))

    def is_up(self):
        self.alive()
        try:
            with open(self.path("console"), errors="replace") as file:
                return "bench guest: up" in file.read()
        except FileNotFoundError:
            return False

    def raw(self, peer):
        peer.address, peer.guest = "unix:" + self.path("raw.port"), ()
        return peer

    def relay(self, peer):
        near = self.processes.start("relay", [os.path.join(self.build, "guest/bench-relay"), "listen:" + self.path("relay"),
                                              "unix:" + self.path("relay.port")])
        until("the relay listens", lambda: os.path.exists(self.path("relay")))
        peer.host, peer.guest, peer.address = [near], ("bench-relay",), "unix:" + self.path("relay")
        return peer

    def socat(self, peer):
        if not self.socat_program:
            return peer.missing("not here: socat is not installed")
        near = self.processes.start("socat", [self.socat_program, "-b", "65536", "UNIX-LISTEN:" + self.path("socat"),
                                              "UNIX-CONNECT:" + self.path("socat.port")])
        until("socat listens", lambda: os.path.exists(self.path("socat")))
        peer.host, peer.guest, peer.address, peer.settle = [near], ("socat",), "unix:" + self.path("socat"), 2
        return peer

    def hostfwd(self, peer):
        peer.address = peer.many = "tcp:%d" % self.forwards["hostfwd"]
        return peer

    def ssh(self, peer):
        if not self.sshd:
            return peer.missing("not here: openssh-server is not installed")
        try:
            near = self.keys.forward(self, self.forwards["ssh"], GUEST_PORT)
        except Failure as failure:
            return peer.missing("not here: %s" % failure)
        peer.host, peer.guest = [near], ("sshd",)
        peer.address = peer.many = "unix:" + self.path("ssh")
        return peer

    def vsock(self, peer):
        if not os.path.exists("/dev/vhost-vsock"):
            return peer.missing("not here: this machine has no /dev/vhost-vsock")
        return peer.missing("not here: not measured yet, though this machine has /dev/vhost-vsock")

    def vpcbus(self, peer):
        host, address = self.start_host(self.path("bus"))
        peer.host, peer.guest = [host], ("vpc-guest",)
        peer.address = peer.many = "%s%d" % (address, GUEST_PORT)
        return peer

    def ask_guest(self, name):
        self.asked.sendall(name.encode() + b"\n")
        said = b""
        while not said.endswith(b"end\n"):
            octets = self.asked.recv(65536)
            if not octets:
                raise Failure("the guest does not answer")
            said += octets
        total = Sample()
        for line in said.decode().splitlines()[:-1]:
            words = line.split()
            if len(words) == 4:
                total += Sample(*map(int, words[1:]))
        return total

    def guest_sample(self, peer):
        total = Sample()
        for name in peer.guest:
            total += self.ask_guest(name)
        return total


def with_libraries(program, to):
    """A program and what ldd says that it needs, each where it belongs."""
    found = {os.path.realpath(program): to}
    said = subprocess.run(["ldd", program], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20).stdout
    for line in said.splitlines():
        path = re.search(r"(?:=> )?(/\S+) \(0x", line)
        if path:
            found[os.path.realpath(path[1])] = path[1]
    return found
