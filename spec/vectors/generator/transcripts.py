# SPDX-License-Identifier: MIT
"""Sessions: what one endpoint does and sends, and what it gets (VPCBUS.md, sections 6 and 7)."""

import wire
from script import (CREDIT, DATA, FIN, GOODBYE, HEARTBEAT, OPENED, READY, REFUSED, RELEASED, RESET, Transcript)
from wire import MASK, u64

EAGAIN, EINVAL, EPROTO, ECONNRESET, ENOBUFS, ETIMEDOUT, ECONNREFUSED = 11, 22, 71, 104, 105, 110, 111
BOTH = ("host", "guest")
TEXT = b"Hello World!"
ANSWER = b"Hello host"


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


# ---- sessions --------------------------------------------------------------------------------------------------------

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
    t = Transcript(role + "-hello-again", role, "In a session a repeated HELLO is passed over; one that does not echo is answered.",
                   "SES-7 FRM-7 FRM-8")
    t.handshake()
    peer = t.peer_epochs[0]
    t.receive(t.hello(False, peer, t.epoch), causes="hello_echo")
    t.receive(t.hello(False, peer, 0), causes="hello_deaf")
    t.send(t.hello(True, t.epoch, peer))
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
    if role == "host":
        t.receive(HEARTBEAT(count=1), at=3500, causes="rcv_heartbeat heartbeat_resumed", log="HEARTBEAT_RESUMED, CHANNEL_READY")
    else:
        t.receive(HEARTBEAT(count=1), at=3500, causes="rcv_heartbeat", log="HEARTBEAT_RESUMED")
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


# ---- pairs -----------------------------------------------------------------------------------------------------------

def mine(t):
    """The channel on which the endpoint sends, and the one on which it receives."""
    return (1, 2) if t.role == "host" else (2, 1)


def finish(t, count, **more):
    """The local program has finished writing."""
    out, _ = mine(t)
    t.local("finish", channel=out, causes="%d:snd_fin" % out, **more)
    t.send(FIN(out, offset=count))


def end(t, count, **more):
    """The peer's FIN: the local program reads the end, and RELEASED says that it had every byte."""
    _, into = mine(t)
    t.receive(FIN(into, offset=count), causes="rcv_channel %d:rcv_fin" % into)
    t.local("read_end", channel=into, causes="%d:snd_released" % into, **more)
    t.send(RELEASED(into, offset=count))


def hello_world(role):
    t = Transcript(role + "-hello-world", role, "The article's scene: a greeting one way, an answer the other way, and both ends close.",
                   "CHN-4 FLW-1 FLW-2 CLS-1 CLS-2 CLS-3 CLS-9 API-9 API-12 FRM-4")
    t.handshake()
    t.opened()
    out, into = mine(t)
    first, second = (TEXT, ANSWER) if role == "host" else (ANSWER, TEXT)
    if role == "host":
        t.write(out, first)
    t.data(into, second)
    t.read(into, second)
    if role == "guest":
        t.write(out, first)
    finish(t, len(first))
    t.receive(RELEASED(out, offset=len(first)), causes="rcv_channel %d:rcv_released" % out)
    end(t, len(second), log="CHANNEL_CLOSED:closed", stream="closed")
    return t


def half_close_here(role):
    t = Transcript(role + "-half-close-here", role, "The local program finishes writing first; the other direction goes on until its own FIN.",
                   "CLS-1 CLS-2 CLS-3 CLS-9")
    t.handshake()
    t.opened()
    out, into = mine(t)
    t.write(out, b"request")
    finish(t, 7)
    t.data(into, b"re")
    t.receive(RELEASED(out, offset=7), causes="rcv_channel %d:rcv_released" % out)
    t.data(into, b"ply", offset=2)
    t.read(into, b"reply")
    end(t, 5, log="CHANNEL_CLOSED:closed", stream="closed")
    return t


def half_close_there(role):
    t = Transcript(role + "-half-close-there", role, "The peer's FIN comes first; the local program reads the end and still writes.",
                   "CLS-2 CLS-3 CLS-9")
    t.handshake()
    t.opened()
    out, into = mine(t)
    t.data(into, b"request")
    t.read(into, b"request")
    end(t, 7)
    t.write(out, b"re")
    t.write(out, b"ply", offset=2)
    finish(t, 5)
    t.receive(RELEASED(out, offset=5), causes="rcv_channel %d:rcv_released" % out, log="CHANNEL_CLOSED:closed", stream="closed")
    return t


def empty(role):
    t = Transcript(role + "-no-bytes", role, "Both ends close without a byte: FIN and RELEASED with offset 0.", "CLS-1 CLS-3 FLW-4")
    t.handshake()
    t.opened(peer_window=0)
    out, _ = mine(t)
    finish(t, 0)
    t.receive(RELEASED(out, offset=0), causes="rcv_channel %d:rcv_released" % out)
    end(t, 0, log="CHANNEL_CLOSED:closed", stream="closed")
    return t


def fin_with_bytes_waiting(role):
    t = Transcript(role + "-last-bytes", role, "FIN comes while bytes wait for a slow local program: they are delivered before the end.",
                   "CLS-3 FLW-7")
    t.handshake()
    t.opened()
    _, into = mine(t)
    t.data(into, b"last bytes")
    t.receive(FIN(into, offset=10), causes="rcv_channel %d:rcv_fin" % into)
    t.read(into, b"last bytes")
    t.local("read_end", channel=into, causes="%d:snd_released" % into)
    t.send(RELEASED(into, offset=10))
    return t


def reset_here(role):
    t = Transcript(role + "-local-stream-breaks", role, "The local program is gone with an error: both channels are reset.",
                   "CLS-4 CLS-5 CLS-9")
    t.handshake()
    t.opened()
    out, into = mine(t)
    t.write(out, b"abc")
    t.local("broken", h2g=1, errno=ECONNRESET, causes="1:snd_reset 2:snd_reset")
    t.send(RESET(1, errno=ECONNRESET), RESET(2, errno=ECONNRESET))
    # what was on its way is passed over
    t.data(into, b"too late")
    t.receive(RELEASED(1, offset=3 if role == "host" else 8), causes="rcv_channel 1:rcv_released")
    t.receive(RELEASED(2, offset=8 if role == "host" else 3), causes="rcv_channel 2:rcv_released",
              log="CHANNEL_CLOSED:local program")
    return t


def reset_there(role):
    peer = "guest" if role == "host" else "host"
    t = Transcript(role + "-reset-there", role, "The peer resets both channels; RESET is answered, and crosses the endpoint's own.",
                   "CLS-4 CLS-5 CLS-7 CLS-9")
    t.handshake()
    t.opened()
    out, into = mine(t)
    t.write(out, b"abc")
    t.data(into, b"defgh")
    t.read(into, b"defgh")
    t.receive(RESET(out, errno=ECONNRESET), causes="rcv_channel %d:rcv_reset %d:snd_reset" % (out, into), stream="aborted")
    t.send(RELEASED(out, offset=3), RESET(into, errno=ECONNRESET))
    t.receive(RESET(into, errno=ECONNRESET), causes="rcv_channel %d:rcv_reset" % into)
    t.send(RELEASED(into, offset=5))
    t.receive(RELEASED(into, offset=5), causes="rcv_channel %d:rcv_released" % into, log="CHANNEL_CLOSED:reset by " + peer)
    return t


def nobody_reads(role):
    t = Transcript(role + "-nobody-reads", role, "RESET with error number 0 ends one direction only: the peer's program does not read "
                   "any more, and may still write.", "CLS-4 CLS-5 CLS-6")
    t.handshake()
    t.opened()
    out, into = mine(t)
    t.receive(RESET(out, errno=0), causes="rcv_channel %d:rcv_reset" % out)
    t.send(RELEASED(out, offset=0))
    t.data(into, b"more")
    t.read(into, b"more")
    end(t, 4, log="CHANNEL_CLOSED", stream="closed")
    return t


def reset_released(role):
    t = Transcript(role + "-reset-of-released", role, "A RESET on a released id is passed over; any other message is a violation.",
                   "CHN-2 CLS-4 SES-14")
    t.handshake()
    t.opened(peer_window=0)
    out, _ = mine(t)
    finish(t, 0)
    t.receive(RELEASED(out, offset=0), causes="rcv_channel %d:rcv_released" % out)
    end(t, 0, log="CHANNEL_CLOSED:closed", stream="closed")
    t.receive(RESET(1, errno=ECONNRESET), RESET(2, errno=0), causes="rcv_channel 1:rcv_reset rcv_channel 2:rcv_reset")
    lost(t, "protocol violation", "violation", log="PROTOCOL_VIOLATION", receive=(RELEASED(1, offset=0),), before=(GOODBYE(cause=1),))
    return t


def credit_out(role):
    t = Transcript(role + "-credit-to-send", role, "The endpoint sends as far as the peer's limit, and no farther; FIN needs no credit.",
                   "FLW-1 FLW-2 CLS-1")
    t.handshake()
    t.opened(peer_window=5)
    out, _ = mine(t)
    t.write(out, b"abcdefghijkl", sent=5)
    t.receive(CREDIT(out, limit=5), causes="rcv_channel %d:rcv_credit" % out)
    t.receive(CREDIT(out, limit=6), causes="rcv_channel {0}:rcv_credit {0}:snd_data".format(out))
    t.send(DATA(out, offset=5, payload=b"f"))
    t.receive(CREDIT(out, limit=12), causes="rcv_channel {0}:rcv_credit {0}:snd_data".format(out))
    t.send(DATA(out, offset=6, payload=b"ghijkl"))
    finish(t, 12)
    return t


def credit_in(role):
    t = Transcript(role + "-credit-to-receive", role, "A window of 16: no CREDIT before 8 bytes were delivered, one when they were.",
                   "FLW-1 FLW-3", window=16)
    t.handshake()
    t.opened()
    _, into = mine(t)
    t.data(into, b"0123456789abcdef")
    t.read(into, b"01234567")
    t.send(CREDIT(into, limit=24))
    t.read(into, b"89abcdef")
    t.send(CREDIT(into, limit=32))
    t.data(into, b"ghijklmnopqrstuv", offset=16)
    t.read(into, b"ghijklmnopqrstuv")
    t.send(CREDIT(into, limit=48))
    t.data(into, b"w", offset=32)
    t.read(into, b"w")
    return t


def credit_huge(role):
    t = Transcript(role + "-credit-largest", role, "The highest limit there is.", "FLW-1")
    t.handshake()
    t.opened(peer_window=MASK)
    out, _ = mine(t)
    t.write(out, b"abc")
    t.receive(CREDIT(out, limit=MASK), causes="rcv_channel %d:rcv_credit" % out)
    return t


def broken(name, role, doc, frame, window=16, peer_window=64, read=b"", before=b""):
    """A frame that breaks its channel: the pair is reset with EPROTO, the session goes on (FLW-4)."""
    t = Transcript(role + "-" + name, role, doc, "FLW-4 CHN-6", window=window)
    t.handshake()
    t.opened(peer_window=peer_window)
    out, into = mine(t)
    if before:
        t.data(into, before)
        t.read(into, before)
    piece = frame(out, into)
    guilty = piece.channel
    other = 3 - guilty
    t.receive(piece, causes="rcv_channel %d:bad_guard %d:snd_reset" % (guilty, other), log="PROTOCOL_VIOLATION", stream="aborted")
    t.send(RESET(1, errno=EPROTO), RESET(2, errno=EPROTO))
    first, second = (0, len(before)) if role == "host" else (len(before), 0)
    t.receive(RELEASED(1, offset=first), RELEASED(2, offset=second),
              causes="rcv_channel 1:rcv_released rcv_channel 2:rcv_released", log="CHANNEL_CLOSED:protocol violation")
    t.receive(HEARTBEAT(count=1), causes="rcv_heartbeat")
    return t


def refused():
    t = Transcript("host-refused", "host", "The guest's program does not listen: REFUSED. The next OPEN has higher ids.",
                   "CHN-1 CHN-4 CHN-6 API-9 API-11")
    t.handshake()
    t.opening()
    t.receive(REFUSED(1, errno=ECONNREFUSED), causes="rcv_channel 1:rcv_refused 2:rcv_refused", log="START_FAILED",
              result="ERROR_CONNECTION_REFUSED")
    t.opening(3, 4)
    t.receive(REFUSED(3, errno=ETIMEDOUT), causes="rcv_channel 3:rcv_refused 4:rcv_refused", log="START_FAILED", result="ERROR_TIMEOUT")
    t.opening(5, 6)
    t.receive(REFUSED(5, errno=EAGAIN), causes="rcv_channel 5:rcv_refused 6:rcv_refused", log="START_FAILED", result="DISP_E_EXCEPTION")
    return t


def refuses():
    t = Transcript("guest-refused", "guest", "The guest's program does not listen; then it does not accept; then the port is 0.",
                   "CHN-4 CHN-5 CHN-6")
    t.handshake()
    t.opening()
    t.local("connect_failed", h2g=1, errno=ECONNREFUSED, causes="1:snd_refused 2:snd_refused", log="CONNECT_FAILED")
    t.send(REFUSED(1, errno=ECONNREFUSED))
    t.opening(3, 4)
    t.local("connect_failed", h2g=3, errno=ETIMEDOUT, causes="3:snd_refused 4:snd_refused", log="CONNECT_FAILED")
    t.send(REFUSED(3, errno=ETIMEDOUT))
    t.channel(5, 6)
    t.receive(wire.Frame("OPEN", 5, reverse_channel=6, port=0, connect_ms=10000, limit=64),
              causes="rcv_channel 5:rcv_open 6:rcv_open 5:snd_refused 6:snd_refused")
    t.send(REFUSED(5, errno=EINVAL))
    return t


def no_room():
    t = Transcript("guest-no-room", "guest", "A guest that holds one pair refuses the second with ENOBUFS.", "CHN-5 CHN-6", max_pairs=1)
    t.handshake()
    t.opened()
    t.channel(7, 9)
    t.receive(wire.Frame("OPEN", 7, reverse_channel=9, port=80, connect_ms=10000, limit=64),
              causes="rcv_channel 7:rcv_open 9:rcv_open 7:snd_refused 9:snd_refused")
    t.send(REFUSED(7, errno=ENOBUFS))
    return t


def high_ids():
    t = Transcript("guest-highest-ids", "guest", "The highest ids, the reverse channel lower than the other.", "CHN-1 CHN-4")
    t.handshake()
    t.opened(h2g=0xFFFFFFFF, g2h=0xFFFFFFFE, port=65535)
    return t


def stray(channel):
    """A violation of CHN-2: each message of a channel, on an id that was never opened."""
    return {
        "host": [("opened", OPENED(channel, limit=64)), ("refused", REFUSED(channel, errno=ECONNREFUSED))],
        "guest": [],
        "both": [("data", DATA(channel, payload=b"x")), ("credit", CREDIT(channel, limit=1)), ("fin", FIN(channel)),
                 ("reset", RESET(channel)), ("released", RELEASED(channel))],
    }


def open_frame(h2g, g2h):
    return wire.Frame("OPEN", h2g, reverse_channel=g2h, port=6174, connect_ms=10000, limit=64)


def second_open(name, doc, h2g, g2h):
    """A violation of CHN-1 while a pair 5, 6 is opening."""
    t = Transcript("guest-" + name, "guest", doc, "CHN-1 SES-14")
    t.handshake()
    t.opening(5, 6)
    lost(t, "protocol violation", "violation", log="PROTOCOL_VIOLATION", receive=(open_frame(h2g, g2h),),
         before=(GOODBYE(cause=1),))
    return t


def wrong_end(role, name, frame):
    """A violation of CHN-3 on an open pair."""
    t = Transcript("%s-wrong-end-%s" % (role, name), role, "%s from the end that does not send it." % name.upper(), "CHN-3 SES-14")
    t.handshake()
    t.opened()
    out, into = mine(t)
    lost(t, "protocol violation", "violation", log="PROTOCOL_VIOLATION", closed="CHANNEL_CLOSED:protocol violation",
         receive=(frame(out, into),), before=(GOODBYE(cause=1),), stream="aborted")
    return t


def limits(role):
    """What breaks a channel (FLW-4), and what is just within it."""
    yield broken("data-past-limit", role, "One byte more than the window of 16.", lambda out, into: DATA(into, payload=b"x" * 17))
    yield broken("data-after-limit", role, "The first byte behind the limit: 16 were sent, 7 of them delivered, no credit given.",
                 lambda out, into: DATA(into, offset=7, payload=b"x" * 10), before=b"1234567")
    yield broken("data-gap", role, "An offset one too high.", lambda out, into: DATA(into, offset=1, payload=b"x"))
    yield broken("data-again", role, "An offset one too low.", lambda out, into: DATA(into, offset=2, payload=b"x"), before=b"abc")
    yield broken("data-last-offset", role, "Offset and length pass 2^64.", lambda out, into: DATA(into, offset=MASK, payload=b"xx"))
    yield broken("fin-early", role, "A FIN that says less than was sent.", lambda out, into: FIN(into, offset=2), before=b"abc")
    yield broken("fin-late", role, "A FIN that says more than was sent.", lambda out, into: FIN(into, offset=4), before=b"abc")
    yield broken("credit-lower", role, "A limit one lower than before.", lambda out, into: CREDIT(out, limit=63))
    yield broken("credit-0", role, "A limit of 0 after one of 64.", lambda out, into: CREDIT(out, limit=0))


def transcripts():
    for role in BOTH:
        for make in (handshake, handshake_late, hello_again, mismatch, versions, without_echo, restart, restart_between, framing,
                     replay, hole, wrong_way, stop, transport_down, heartbeat, silent, hello_world, half_close_here,
                     half_close_there, empty, fin_with_bytes_waiting, reset_here, reset_there, nobody_reads, reset_released,
                     credit_out, credit_in, credit_huge):
            yield make(role)
        yield goodbye(role, 0, "goodbye")
        yield goodbye(role, 1, "peer saw a violation")
        for name, frame in stray(9)["both"] + stray(9)[role]:
            yield violation("stray-" + name, role, "%s on an id that was never opened." % name.upper(), "CHN-2 SES-14", frame)
        for name, frame in (("data", lambda out, into: DATA(out, payload=b"x")), ("fin", lambda out, into: FIN(out)),
                            ("credit", lambda out, into: CREDIT(into, limit=100))):
            yield wrong_end(role, name, frame)
        yield from limits(role)
    yield from (not_ready(), refused(), withdraws(), refuses(), no_room(), high_ids())
    yield violation("open-same-ids", "guest", "Both ids of an OPEN are the same.", "CHN-1 SES-14", open_frame(3, 3))
    yield second_open("open-id-again", "An id is used again.", 5, 7)
    yield second_open("open-reverse-again", "The reverse id is used again.", 7, 6)
    yield second_open("open-lower", "Ids that are lower than those before.", 3, 4)
    yield second_open("open-one-lower", "One of the ids is lower than those before.", 7, 4)


def vectors():
    return (t.value() for t in transcripts())
