# SPDX-License-Identifier: MIT
"""Transcripts of pairs and their channels (VPCBUS.md, section 7)."""

import wire
from script import CREDIT, DATA, FIN, GOODBYE, HEARTBEAT, OPENED, REFUSED, RELEASED, RESET, Transcript
from sessions import lost
from wire import MASK

EAGAIN, EINVAL, EPROTO, ECONNRESET, ENOBUFS, ETIMEDOUT, ECONNREFUSED = 11, 22, 71, 104, 105, 110, 111
TEXT = b"Hello World!"
ANSWER = b"Hello host"


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
    lost(t, "protocol violation", "violation", log="PROTOCOL_VIOLATION", closed="CHANNEL_CLOSED:session lost",
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
