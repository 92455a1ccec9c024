# SPDX-License-Identifier: MIT
"""What a receiver without a session finds in a stream, and where (FRM-10)."""

import random

import wire
from frames import hello_of, usual
from wire import MAGIC, PAD

HELLO = hello_of("guest")
H = HELLO.octets()


def changed(octets, at, value):
    out = bytearray(octets)
    out[at] = value
    return bytes(out)


def noise(n, seed):
    """The same octets on every machine, without one that begins a frame or pads."""
    source = random.Random(seed)
    return bytes(source.choice([o for o in range(256) if o not in (0xB5, 0x16)]) for _ in range(n))


def false(n=None, **changes):
    """The first n octets of a HELLO that is wrong somewhere."""
    return hello_of("guest", **changes).octets()[:n]


# Each row: name, doc, requirements, pieces.  A piece that is a Frame is to be found where it stands.
P = PAD
FULL = P * wire.PREAMBLE_MIN
CASES = [
    ("empty", "Nothing.", "FRM-10", []),
    ("padding-only", "Padding, and nothing behind it.", "FRM-10", [P * 300]),
    ("preamble", "The shortest preamble of a sender, and HELLO.", "FRM-8 FRM-10", [FULL, HELLO]),
    ("preamble-longer", "A preamble of 131136 octets.", "FRM-8 FRM-10", [P * 131136, HELLO]),
    ("preamble-twice", "HELLO is repeated, each with its preamble.", "SES-3 FRM-10", [FULL, HELLO, FULL, HELLO]),
    ("pad-0", "A HELLO without padding.", "FRM-10", [H]),
    ("pad-1", "One octet of padding.", "FRM-10", [P, H]),
    ("pad-15", "One octet of padding too few.", "FRM-10", [P * 15, H]),
    ("pad-16", "The least that a receiver wants.", "FRM-10", [P * 16, HELLO]),
    ("pad-17", "One more.", "FRM-10", [P * 17, HELLO]),
    ("pad-broken", "Thirty octets of padding, but never 16 in a row.", "FRM-10", [P * 15, b"\0", P * 15, H]),
    ("pad-broken-then-16", "A short run, another octet, a run that is long enough.", "FRM-10", [P * 15, b"\0", P * 16, HELLO]),
    ("noise-between", "An octet between padding and HELLO.", "FRM-10", [P * 64, b"\0", H]),
    ("second-without-padding", "Two HELLOs in a row: the second follows no padding.", "FRM-10", [P * 16, HELLO, H]),
    ("second-with-15", "The second HELLO follows 15 octets of padding.", "FRM-10", [P * 16, HELLO, P * 15, H]),
    ("second-with-16", "The second HELLO follows 16 octets of padding.", "FRM-10", [P * 16, HELLO, P * 16, HELLO]),
    ("noise", "A thousand octets of noise before.", "FRM-10", [noise(1000, 1), P * 16, HELLO]),
    ("noise-after", "Noise behind the HELLO, and another HELLO.", "FRM-10", [P * 20, HELLO, noise(500, 2), P * 16, HELLO]),
    ("text", "What a guest's console may say.", "FRM-10", [b"login: root\r\n", P * 16, HELLO]),
    ("magic-only", "Magic in the noise.", "FRM-10", [MAGIC * 30, P * 16, HELLO]),
    ("magic-after-padding", "Padding, magic, and then no HELLO.", "FRM-10", [P * 16, MAGIC, b"\0", P * 16, HELLO]),
    ("half-magic", "Padding, half the magic, the whole HELLO: it does not follow padding.", "FRM-10", [P * 16, MAGIC[:1], H]),
    ("half-magic-then-padding", "Padding, half the magic, 16 octets of padding.", "FRM-10", [P * 16, MAGIC[:1], P * 16, HELLO]),
    ("half-magic-then-15", "The padding before the half magic does not count.", "FRM-10", [P * 16, MAGIC[:1], P * 15, H]),
    ("other-message", "Padding and a sealed HEARTBEAT.", "FRM-10", [P * 16, usual("HEARTBEAT").octets(), P * 16, HELLO]),
    ("frames", "A stream of frames, without a preamble.", "FRM-10",
     [usual(name).octets() for name in ("READY", "OPENED", "DATA", "FIN")] + [P * 16, HELLO]),
    ("tail-of-frame", "The receiver begins in the middle of a DATA.", "FRM-8 FRM-10",
     [usual("DATA", payload=b"d" * 400).octets()[123:], P * 16, HELLO]),
    ("cut-hello", "A HELLO that was cut, then a new preamble.", "FRM-8 FRM-10", [P * 16, H[:77], FULL, HELLO]),
    ("cut-in-seal", "A HELLO that was cut in its seal: 15 octets of the preamble fill it.", "FRM-8 FRM-10", [P * 16, H[:-15], P * 31, HELLO]),
    ("cut-before-last", "Only the last octet of the HELLO is missing; padding takes its place.", "FRM-8 FRM-10", [P * 16, H[:-1], P * 17, HELLO]),
    ("cut-padding-eaten", "The cut HELLO takes one octet of the padding; 15 are left.", "FRM-10", [P * 16, H[:-1], P * 16, H]),
    ("wrong-crc", "A HELLO with one bit changed.", "FRM-6 FRM-10", [P * 16, changed(H, 40, H[40] ^ 1), P * 16, HELLO]),
    ("wrong-seal-session", "A HELLO whose seal has a session id.", "FRM-6 FRM-10", [P * 16, changed(H, 140, 1), P * 16, HELLO]),
    ("wrong-crc-high", "A CRC with something in the high half of its number.", "FRM-6 FRM-10", [P * 16, changed(H, 152, 1), P * 16, HELLO]),
    ("false-type", "A READY's type in a HELLO.", "FRM-10", [P * 16, changed(H, 2, 2), P * 16, HELLO]),
    ("false-flags", "Flags that are not zero.", "FRM-10", [P * 16, false(header={"flags": 1}), P * 16, HELLO]),
    ("false-channel", "A HELLO on a channel.", "FRM-10", [P * 16, false(channel=7), P * 16, HELLO]),
    ("false-length", "A HELLO of another length.", "FRM-10", [P * 16, false(header={"length": 127}), P * 16, HELLO]),
    ("false-role", "A role that there is not, with a right CRC.", "FRM-10", [P * 16, usual("HELLO", role=3).octets(), P * 16, HELLO]),
    ("false-epoch", "Epoch 0, with a right CRC.", "FRM-10", [P * 16, false(epoch=0), P * 16, HELLO]),
    ("false-tag", "A tag with a control character, with a right CRC.", "FRM-10", [P * 16, false(tag=b"a\nb"), P * 16, HELLO]),
    ("false-name", "A name with text behind its end, with a right CRC.", "FRM-10", [P * 16, false(name=b"a\0b"), P * 16, HELLO]),
    ("false-then-at-once", "The octet that does not fit begins the next run of padding.", "FRM-10", [P * 16, false(3), P * 16, HELLO]),
    ("false-then-15", "One octet too few after a false beginning.", "FRM-10", [P * 16, false(3), P * 15, H]),
    ("inside-data", "A whole preamble and HELLO that an application wrote: a hunt does find it; it echoes no epoch that is in use "
     "(SES-4 keeps it from beginning a session).", "FRM-10 SES-4",
     [usual("DATA", payload=FULL[:300]).octets()[:320], hello_of("guest", echo=0x6666666666666666)]),
    ("many-false", "A hundred false HELLOs, each with padding.", "FRM-10", [(P * 16 + changed(H, 30, 7)) * 100, P * 16, HELLO]),
    ("reserved", "Reserved octets look like padding and a HELLO's beginning.", "FRM-10 FRM-11",
     [P * 16, hello_of("guest", reserved1=P * 24 + H[:8])]),
    ("unknown-features", "Bits of features that nobody knows.", "MSG-2 FRM-10", [P * 16, hello_of("guest", features=0xFFFFFFFF)]),
    ("inside-false", "A HELLO whose padding and first octets a false one took for its reserved octets and its seal.", "FRM-10",
     [P * 16, H[:108], P * 32, H, P * 16, HELLO]),
    ("inside-false-type", "A false beginning ends at its type; the HELLO behind it has padding of its own.", "FRM-10",
     [P * 16, MAGIC, b"\7", P * 16, HELLO]),
]


# A HELLO is cut behind its first n octets and a new preamble follows.  How many octets of the preamble the cut HELLO takes
# before one does not fit: reserved octets, integers and the seal take any, channel and length are fixed, a text takes none.
CUTS = [(n, 0) for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)] \
    + [(n, 44 - n) for n in (13, 14, 19, 20, 21, 28, 43)] \
    + [(n, 0) for n in (44, 45, 53, 75, 76, 77, 87, 107)] \
    + [(n, 156 - n) for n in (108, 109, 139, 140, 148, 155)]


def cuts():
    for n, taken in CUTS:
        yield ("cut-at-%d" % n, "The first %d octets of a HELLO take %d octets of the padding; 16 are left." % (n, taken), "FRM-10",
               [P * 16, H[:n], P * (taken + 16), HELLO])
        yield ("cut-at-%d-short" % n, "The first %d octets of a HELLO take %d octets of the padding; 15 are left." % (n, taken), "FRM-10",
               [P * 16, H[:n], P * (taken + 15), H])


def vectors():
    for name, doc, requirements, pieces in CASES + list(cuts()):
        octets, found = b"", []
        for piece in pieces:
            if isinstance(piece, (bytes, bytearray)):
                octets += piece
            else:
                found.append(dict(at=len(octets), end=len(octets) + len(piece.octets()), **wire.shown(piece)))
                octets += piece.octets()
        yield dict(id=name, doc=doc, requirements=requirements.split(), octets=wire.items(octets), found=found)
