# SPDX-License-Identifier: MIT
"""Transcripts of sessions: how they begin, and how they end (VPCBUS.md, section 6)."""

import wire
from script import GOODBYE, HEARTBEAT, READY, REFUSED, Transcript
from wire import u64

EAGAIN = 11


def lost(t, cause, event, log="", closed="", before=(), peer_epoch=None, echo=None, receive=(), pairs=0, **more):
    """A session ends and the next attempt begins at once (SES-10): HELLO with a fresh epoch."""
    entries = [e for e in (log, closed, "SESSION_LOST:" + cause) if e]
    if t.role == "host":
        entries.append("CHANNEL_NOT_READY")
    ended = " ".join("%d:session_lost" % c for c in sorted(t.channels) if t.channels[c].state != "released")
    t.receive(*receive, causes=(event + " " + ended + " retry").replace("  ", " "), log=", ".join(entries),
              epoch=u64(t.epochs[t.drawn]), **more)
    t.channels.clear()
    t.send(*before, t.hello(True, t.epoch, t.peer_epochs[0] if echo is None else echo))


def again(t, peer_epoch):
    """The peer answers the new attempt: a session, and READY."""
    t.begin_session(peer_epoch)
    echo = t.hello(False, peer_epoch, t.epoch)
    heard = t.steps[-1]["frames"][-1]["fields"]["echo"] == u64(peer_epoch)
    if t.role == "host":
        t.receive(echo, causes="hello_echo", log="SESSION_UP")
        if not heard:
            t.send(t.hello(True, t.epoch, peer_epoch))
        t.receive(READY(ready=1), causes="rcv_ready", log="CHANNEL_READY")
        return
    t.receive(echo, causes="hello_echo local_ready", log="SESSION_UP")
    t.send(*([] if heard else [t.hello(True, t.epoch, peer_epoch)]), READY(ready=1))


def handshake(role):
    t = Transcript(role + "-handshake", role, "From the transport's coming up to ready.",
                   "SES-1 SES-2 SES-3 SES-4 SES-5 SES-12 FRM-4 FRM-6 FRM-8")
    t.handshake()
    return t


def handshake_late(role):
    """Nobody is there at first."""
    t = Transcript(role + "-handshake-late", role, "HELLO is repeated until somebody answers; the peer is new and heard nothing.",
                   "SES-2 SES-3 SES-4", hello_interval_ms=500)
    if role == "guest":
        t.local("ready", causes="local_ready")
    t.transport()
    for now in (500, 1000):
        t.time(now, causes="retry")
        t.send(t.hello(True, t.epoch, 0))
    peer = t.peer_epochs[0]
    t.receive(t.hello(False, peer, 0), at=1200, causes="hello_stranger")
    t.send(t.hello(True, t.epoch, peer))
    t.begin_session(peer)
    if role == "host":
        t.receive(t.hello(False, peer, t.epoch), causes="hello_echo", log="SESSION_UP")
        t.receive(READY(ready=1), causes="rcv_ready", log="CHANNEL_READY")
    else:
        t.receive(t.hello(False, peer, t.epoch), causes="hello_echo local_ready", log="SESSION_UP")
        t.send(READY(ready=1))
    return t


def hello_again(role):
    """The deaf peer has sent no sealed frame yet: one that is in a session echoes (SES-2)."""
    t = Transcript(role + "-hello-again", role, "In a session a repeated HELLO is passed over. One that does not echo is answered: the peer "
                   "was restored to a moment before it heard of the session.", "SES-2 SES-4 SES-7 FRM-7 FRM-8")
    peer = t.peer_epochs[0]
    if role == "host":
        t.transport()
        t.begin_session(peer)
        t.receive(t.hello(False, peer, t.epoch), causes="hello_echo", log="SESSION_UP")
        t.send(t.hello(True, t.epoch, peer))
    else:
        t.handshake()
    t.receive(t.hello(False, peer, t.epoch), causes="hello_echo")
    t.receive(t.hello(False, peer, 0), causes="hello_deaf")
    t.send(t.hello(True, t.epoch, peer))
    t.receive(t.hello(False, peer, t.epoch), causes="hello_echo")
    if role == "host":
        t.receive(READY(ready=1), causes="rcv_ready", log="CHANNEL_READY")
    t.receive(wire.PAD * 3, HEARTBEAT(count=1), wire.PAD, causes="rcv_heartbeat")
    return t


def mismatch(role):
    t = Transcript(role + "-mismatch", role, "The ranges of versions have nothing in common; then the peer is replaced by one that fits.",
                   "SES-6 MSG-2 API-4")
    if role == "guest":
        t.local("ready", causes="local_ready")
    t.transport()
    old, new = t.peer_epochs[:2]
    t.receive(t.hello(False, old, 0, version_min=512, version_max=515), causes="hello_stranger")
    t.send(t.hello(True, t.epoch, old))
    t.receive(t.hello(False, old, t.epoch, version_min=512, version_max=515), causes="hello_mismatch", log="REVISION_MISMATCH")
    t.time(1000, causes="retry")
    t.send(t.hello(True, t.epoch, old))
    t.receive(t.hello(False, new, 0), at=1100, causes="hello_stranger")
    t.send(t.hello(True, t.epoch, new))
    t.begin_session(new)
    if role == "host":
        t.receive(t.hello(False, new, t.epoch), causes="hello_echo", log="SESSION_UP")
        t.receive(READY(ready=1), causes="rcv_ready", log="CHANNEL_READY")
    else:
        t.receive(t.hello(False, new, t.epoch), causes="hello_echo local_ready", log="SESSION_UP")
        t.send(READY(ready=1))
    return t


def versions(role):
    t = Transcript(role + "-highest-version", role, "Ranges 256 to 259 and 257 to 512: the session's version is 259.", "SES-6",
                   version_min=256, version_max=259)
    t.peer.update(version_min=257, version_max=512)
    t.handshake()
    t.local("query", version=259)
    return t


def without_echo(role):
    t = Transcript(role + "-wrong-echo", role, "A HELLO that echoes another epoch, and one of the endpoint's own role, begin nothing.",
                   "SES-4 MSG-1")
    t.transport()
    peer = t.peer_epochs[0]
    own_role = 1 if role == "host" else 2
    t.receive(t.hello(False, peer, t.epoch + 1), causes="hello_stranger")
    t.send(t.hello(True, t.epoch, peer))
    t.receive(t.hello(False, t.peer_epochs[1], t.epoch, role=own_role))
    t.receive(t.hello(False, t.peer_epochs[1], t.epoch, version_min=257, version_max=256))
    t.time(999)
    t.time(1000, causes="retry")
    t.send(t.hello(True, t.epoch, peer))
    return t


def restart(role):
    t = Transcript(role + "-peer-restarts", role, "The peer restarts in the middle of a frame: its preamble shows it, and nothing of the "
                   "cut frame is taken.", "SES-8 SES-9 SES-11 FRM-5 FRM-8")
    t.handshake()
    new = t.peer_epochs[1]
    channel_frame = HEARTBEAT(count=1).sealed(t.id, t.received + 1)
    cut = channel_frame.octets()[:15]
    # The preamble fills the frame; its seal is padding, which no session id is.
    lost(t, "framing lost", "framing_lost", log="FRAMING_LOST", receive=(cut, wire.PAD * wire.PREAMBLE_MIN))
    t.receive(wire.PAD * 100, causes="")
    t.receive(t.hello(False, new, 0), causes="hello_stranger")
    t.send(t.hello(True, t.epoch, new))
    again(t, new)
    return t


def restart_between(role):
    t = Transcript(role + "-peer-restarts-between-frames", role, "The peer restarts between two frames: its HELLO has another epoch. "
                   "A pair that was open is gone.", "SES-2 SES-8 SES-10 SES-11 CLS-11")
    t.handshake()
    t.opened()
    new = t.peer_epochs[1]
    lost(t, "peer restarted", "hello_stranger", closed="CHANNEL_CLOSED:session lost", echo=new,
         receive=(t.hello(False, new, 0),), stream="aborted")
    again(t, new)
    return t


def framing(role):
    t = Transcript(role + "-framing-lost", role, "An octet that no frame begins with. The endpoint starts again by itself.",
                   "FRM-9 SES-9 SES-10 SES-1 SES-2")
    t.handshake()
    lost(t, "framing lost", "framing_lost", log="FRAMING_LOST", receive=(b"\0",))
    again(t, t.peer_epochs[1])
    return t


def replay(role):
    t = Transcript(role + "-frame-twice", role, "A frame comes twice: the second has a number that was used.", "FRM-4 FRM-9 SES-9")
    t.handshake()
    t.receive(HEARTBEAT(count=1), causes="rcv_heartbeat")
    twice = HEARTBEAT(count=1).sealed(t.id, t.received).octets()
    lost(t, "framing lost", "framing_lost", log="FRAMING_LOST", receive=(twice,))
    return t


def hole(role):
    t = Transcript(role + "-frame-missing", role, "A frame was lost on the way: the next has a number that is too high.", "FRM-4 FRM-9 SES-9")
    t.handshake()
    late = HEARTBEAT(count=2).sealed(t.id, t.received + 2).octets()
    lost(t, "framing lost", "framing_lost", log="FRAMING_LOST", receive=(late,))
    return t


def wrong_way(role):
    own = "OPEN" if role == "host" else "READY"
    t = Transcript(role + "-wrong-direction", role, "The peer sends a message of the other direction: %s." % own, "FRM-12 SES-9")
    t.handshake()
    if role == "host":
        octets = wire.Frame("OPEN", 1, t.id, t.received + 1, reverse_channel=2, port=80, connect_ms=10).octets()
    else:
        octets = READY(ready=1).sealed(t.id, t.received + 1).octets()
    lost(t, "framing lost", "framing_lost", log="FRAMING_LOST", receive=(octets,))
    return t


def violation(name, role, doc, requirements, frame):
    t = Transcript(role + "-" + name, role, doc, requirements)
    t.handshake()
    lost(t, "protocol violation", "violation", log="PROTOCOL_VIOLATION", receive=(frame,), before=(GOODBYE(cause=1),))
    again(t, t.peer_epochs[1])
    return t


def goodbye(role, cause, why):
    t = Transcript("%s-goodbye-%d" % (role, cause), role, "The peer says GOODBYE with cause %d." % cause, "SES-17 SES-10")
    t.handshake()
    lost(t, why, "rcv_goodbye", receive=(GOODBYE(cause=cause),))
    again(t, t.peer_epochs[1])
    return t


def stop(role):
    t = Transcript(role + "-stop", role, "The endpoint is stopped: GOODBYE is its last frame.", "SES-17")
    t.handshake()
    log = "SESSION_LOST:stopped" + (", CHANNEL_NOT_READY" if role == "host" else "")
    t.local("stop", causes="local_stop", log=log)
    t.send(GOODBYE(cause=0))
    return t


def transport_down(role):
    t = Transcript(role + "-transport-down", role, "The transport ends and comes back: a fresh epoch, and no echo of before.",
                   "TRN-3 SES-1 SES-2 SES-11")
    t.handshake()
    log = "TRANSPORT_DOWN, SESSION_LOST:transport down" + (", CHANNEL_NOT_READY" if role == "host" else "")
    t.local("transport_down", causes="transport_down", log=log)
    t.local("transport_up", at=1000, epoch=u64(t.epochs[1]), causes="transport_up", log="TRANSPORT_UP")
    t.send(t.hello(True, t.epoch, 0))
    return t


def heartbeat(role):
    t = Transcript(role + "-heartbeat", role, "Nothing to say: a HEARTBEAT after each second; then the peer is silent, and is heard again.",
                   "SES-13 SES-15 RDY-1")
    t.handshake()
    for number in (1, 2):
        t.time(1000 * number - 1)
        t.time(1000 * number)
        t.send(HEARTBEAT(count=number))
    t.time(2999)
    t.time(3000, causes="heartbeat_late", log="HEARTBEAT_LATE" + (", CHANNEL_NOT_READY" if role == "host" else ""))
    t.send(HEARTBEAT(count=3))
    t.receive(HEARTBEAT(count=1), at=3500, causes="rcv_heartbeat heartbeat_resumed",
              log="HEARTBEAT_RESUMED" + (", CHANNEL_READY" if role == "host" else ""))
    return t


def late_hello(role):
    t = Transcript(role + "-hello-while-late", role, "While the peer is late its HELLO says that it is in no session: the endpoint starts again.",
                   "SES-7 SES-8 SES-15", heartbeat_ms=60000, hello_interval_ms=60000)
    t.handshake()
    peer = t.peer_epochs[0]
    t.receive(t.hello(False, peer, t.epoch), at=2999, causes="hello_echo")
    t.time(3000, causes="heartbeat_late", log="HEARTBEAT_LATE" + (", CHANNEL_NOT_READY" if role == "host" else ""))
    t.receive(t.hello(False, peer, t.epoch), causes="hello_stranger retry", log="SESSION_LOST:peer restarted", epoch=u64(t.epochs[1]))
    t.send(t.hello(True, t.epoch, peer))
    again(t, peer)
    return t


def silent(role):
    t = Transcript(role + "-peer-silent", role, "The peer is silent for longer than its limit.", "SES-16 SES-15",
                   heartbeat_ms=60000, hello_interval_ms=60000, heartbeat_late_ms=2000, peer_limit_ms=5000)
    t.handshake()
    t.time(2000, causes="heartbeat_late", log="HEARTBEAT_LATE" + (", CHANNEL_NOT_READY" if role == "host" else ""))
    t.time(4999)
    t.time(5000, causes="peer_silent retry", log="SESSION_LOST:peer silent", epoch=u64(t.epochs[1]))
    t.send(t.hello(True, t.epoch, t.peer_epochs[0]))
    return t


def not_ready():
    t = Transcript("host-not-ready-again", "host", "The guest withdraws its READY, and gives it again.", "SES-12 RDY-1")
    t.handshake()
    t.receive(READY(ready=0), causes="rcv_not_ready", log="CHANNEL_NOT_READY")
    t.local("start", pipe="\\\\.\\pipe\\vectors", port=6174, result="ERROR_NOT_READY", log="START_FAILED")
    t.receive(READY(ready=1), causes="rcv_ready", log="CHANNEL_READY")
    return t


def withdraws():
    t = Transcript("guest-not-ready-again", "guest", "The guest takes no channels for a while: an OPEN is refused with EAGAIN.",
                   "SES-12 CHN-5")
    t.handshake()
    t.local("not_ready", causes="local_not_ready")
    t.send(READY(ready=0))
    t.channel(1, 2)
    t.receive(wire.Frame("OPEN", 1, reverse_channel=2, port=6174, connect_ms=10000, limit=64),
              causes="rcv_channel 1:rcv_open 2:rcv_open 1:snd_refused 2:snd_refused")
    t.send(REFUSED(1, errno=EAGAIN))
    t.local("ready", causes="local_ready")
    t.send(READY(ready=1))
    return t
