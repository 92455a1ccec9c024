# SPDX-License-Identifier: MIT
"""The words in which the transcripts are written: one endpoint, what happens to it, and what it must do."""

import wire
from lifecycle import Machine
from wire import Frame, items, shown, u64

HOST_EPOCHS = [0xA000000000000001, 0xA000000000000002, 0xA000000000000003]
GUEST_EPOCHS = [0xB000000000000001, 0xB000000000000002, 0xB000000000000003]

ENDPOINT = dict(version_min=256, version_max=256, max_pairs=16, window=64, tag="CHASSIS-1", name="vectors 1.0",
                hello_interval_ms=1000, heartbeat_ms=1000, heartbeat_late_ms=3000, peer_limit_ms=30000, connect_ms=10000,
                drain_ms=10000, pipe_open_ms=30000)
PEER = dict(version_min=256, version_max=256, max_pairs=16, heartbeat_ms=1000, tag="CHASSIS-1", name="peer 1.0")


def word(message):
    """A function that makes frames of a message of the session (no channel) or of a channel."""
    def make(*channel, **fields):
        return Frame(message, *channel, **fields)
    return make


READY, HEARTBEAT, GOODBYE = word("READY"), word("HEARTBEAT"), word("GOODBYE")
OPEN, OPENED, REFUSED = word("OPEN"), word("OPENED"), word("REFUSED")
DATA, CREDIT, FIN, RESET, RELEASED = word("DATA"), word("CREDIT"), word("FIN"), word("RESET"), word("RELEASED")


class Transcript:
    """role: the endpoint under test.  Its peer is the other one, played by whoever uses the transcript."""

    def __init__(self, name, role, doc, requirements, **options):
        self.name, self.role, self.doc, self.requirements = name, role, doc, requirements.split()
        self.endpoint = dict(ENDPOINT, **options)
        self.peer = dict(PEER)
        self.now = 0
        self.steps = []
        self.session = Machine("session")
        self.channels = {}
        self.epochs = list(HOST_EPOCHS if role == "host" else GUEST_EPOCHS)
        self.peer_epochs = list(GUEST_EPOCHS if role == "host" else HOST_EPOCHS)
        self.drawn = 0
        self.id = 0
        self.sent = self.received = 0

    @property
    def epoch(self):
        """The endpoint's epoch of the attempt that runs."""
        return self.epochs[self.drawn - 1]

    # ---- steps --------------------------------------------------------------------------------------------------

    def step(self, causes="", log="", **step):
        at = step.pop("at", self.now)
        assert at >= self.now
        self.now = at
        row = dict(at=at, **step)
        if causes:
            row["causes"] = [self.cause(one) for one in causes.split()]
        if log:
            row["log"] = [dict(zip(("name", "cause"), entry.strip().split(":"))) for entry in log.split(",")]
        self.steps.append(row)

    def cause(self, text):
        """`EVENT` of the session, or `CHANNEL:EVENT`."""
        channel, _, event = text.rpartition(":")
        machine = self.channels[int(channel)] if channel else self.session
        actions = machine.event(event)
        if "start_attempt" in actions:
            self.drawn += 1
        out = {"machine": machine.kind, "event": event, "state": machine.state}
        if channel:
            out["channel"] = int(channel)
        if actions:
            out["actions"] = actions
        return out

    def local(self, what, **more):
        """Something on the endpoint's own side."""
        self.step(local=what, **more)

    def time(self, at, **more):
        """Time passes."""
        self.step(at=at, local="clock", **more)

    def hello(self, own, epoch, echo, **changed):
        side = self.endpoint if own else self.peer
        role = 1 if (self.role == "host") == own else 2
        fields = dict(role=role, epoch=epoch, echo=echo)
        for field in ("version_min", "version_max", "max_pairs", "heartbeat_ms", "tag", "name"):
            fields[field] = side[field]
        return Frame("HELLO", **dict(fields, **changed))

    def send(self, *frames):
        """What the endpoint must have sent by now, and has not sent before."""
        octets, views = [], []
        for frame in frames:
            if frame.message == "HELLO":
                octets.append({"pad_at_least": wire.PREAMBLE_MIN})
            else:
                self.sent += 1
                frame = frame.sealed(self.id, self.sent)
            octets += items(frame.octets())
            views.append(shown(frame))
        self.step(send=octets, frames=views)

    def receive(self, *pieces, **more):
        """What comes from the peer: frames, sealed here, and octets as they are."""
        octets, views = b"", []
        for piece in pieces:
            if isinstance(piece, bytes):
                octets += piece
                continue
            if piece.message == "HELLO":
                octets += wire.PAD * wire.PREAMBLE_MIN
            elif not piece.session:
                self.received += 1
                piece = piece.sealed(self.id, self.received)
            octets += piece.octets()
            views.append(shown(piece))
        self.step(receive=items(octets), frames=views, **more)

    # ---- what many of them begin with -------------------------------------------------------------------------------

    def begin_session(self, peer_epoch):
        """Both epochs are known from here on."""
        epochs = (self.epoch, peer_epoch) if self.role == "host" else (peer_epoch, self.epoch)
        self.id = wire.session_id(*epochs)
        self.sent = self.received = 0

    def transport(self):
        self.local("transport_up", epoch=u64(self.epochs[0]), causes="transport_up", log="TRANSPORT_UP")
        self.send(self.hello(True, self.epoch, 0))

    def handshake(self):
        """From nothing to ready."""
        peer = self.peer_epochs[0]
        if self.role == "guest":
            self.local("ready", causes="local_ready")
        self.transport()
        if self.role == "host":
            self.begin_session(peer)
            self.receive(self.hello(False, peer, self.epoch), causes="hello_echo", log="SESSION_UP")
            self.send(self.hello(True, self.epoch, peer))
            self.receive(READY(ready=1), causes="rcv_ready", log="CHANNEL_READY")
        else:
            self.receive(self.hello(False, peer, 0), causes="hello_stranger")
            self.send(self.hello(True, self.epoch, peer))
            self.begin_session(peer)
            self.receive(self.hello(False, peer, self.epoch), causes="hello_echo local_ready", log="SESSION_UP")
            self.send(READY(ready=1))

    def channel(self, h2g, g2h):
        sending, receiving = (h2g, g2h) if self.role == "host" else (g2h, h2g)
        self.channels[sending] = Machine("sending_channel")
        self.channels[receiving] = Machine("receiving_channel")

    def opening(self, h2g=1, g2h=2, port=6174, peer_window=64):
        """As far as OPEN, which waits for its answer."""
        self.channel(h2g, g2h)
        both = "%d:{0} %d:{0}" % (h2g, g2h)
        if self.role == "host":
            self.local("start", pipe="\\\\.\\pipe\\vectors", port=port, h2g=h2g, g2h=g2h, causes=both.format("snd_open"))
            self.send(OPEN(h2g, reverse_channel=g2h, port=port, connect_ms=self.endpoint["connect_ms"],
                           limit=self.endpoint["window"]))
        else:
            self.receive(OPEN(h2g, reverse_channel=g2h, port=port, connect_ms=10000, limit=peer_window),
                         causes="rcv_channel " + both.format("rcv_open"), connect=port)

    def opened(self, h2g=1, g2h=2, port=6174, peer_window=64):
        """A pair that is open, and its pipe too."""
        self.opening(h2g, g2h, port, peer_window)
        both = "%d:{0} %d:{0}" % (h2g, g2h)
        if self.role == "host":
            self.receive(OPENED(h2g, limit=peer_window), causes="rcv_channel " + both.format("rcv_opened"),
                         log="CHANNEL_OPENED", result="S_OK")
            self.local("pipe_opened", h2g=h2g, log="PIPE_CONNECTED")
        else:
            self.local("connected", h2g=h2g, causes=both.format("snd_opened"), log="CHANNEL_OPENED")
            self.send(OPENED(h2g, limit=self.endpoint["window"]))

    def write(self, channel, octets, sent=None, **more):
        """The local program writes; what the credit allows goes out."""
        offset = more.pop("offset", 0)
        sent = len(octets) if sent is None else sent
        self.local("write", channel=channel, octets=items(octets), causes="%d:snd_data" % channel if sent else "", **more)
        if sent:
            self.send(DATA(channel, offset=offset, payload=octets[:sent]))

    def data(self, channel, octets, offset=0, **more):
        """DATA from the peer."""
        self.receive(DATA(channel, offset=offset, payload=octets), causes="rcv_channel %d:rcv_data" % channel, **more)

    def read(self, channel, octets, **more):
        """The local program takes what came."""
        self.local("read", channel=channel, octets=items(octets), **more)

    def value(self):
        return dict(id=self.name, role=self.role, doc=self.doc, requirements=self.requirements, endpoint=self.endpoint,
                    steps=self.steps)
