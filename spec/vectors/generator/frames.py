# SPDX-License-Identifier: MIT
"""Single frames: those that frames.rl has (valid), and those that it or the seal rules out (invalid)."""

import wire
from wire import Frame, MESSAGES, SIZES, u64

HOST_EPOCH = 0x0123456789ABCDEF
GUEST_EPOCH = 0xFEDCBA9876543210
SESSION = wire.session_id(HOST_EPOCH, GUEST_EPOCH)

TEXT32 = "abcdefghijklmnopqrstuvwxyz-01234"      # 32 characters
CHANNEL = 1

# What stands in a field when another one is at its bounds: a frame that means something.
USUAL = {
    "HELLO": dict(role=1, version_min=256, version_max=256, max_pairs=16, epoch=HOST_EPOCH, echo=GUEST_EPOCH,
                  heartbeat_ms=1000, tag="CHASSIS-1", name="vectors 1.0"),
    "READY": dict(ready=1),
    "HEARTBEAT": dict(count=1),
    "GOODBYE": dict(cause=0),
    "EVENT": dict(event=1022, time=1789000000000, h2g=1, g2h=2, port=6174, level=1, errno=111, cause="Connection refused"),
    "OPEN": dict(reverse_channel=2, port=6174, connect_ms=10000, limit=262144),
    "OPENED": dict(limit=262144),
    "REFUSED": dict(errno=111),
    "DATA": dict(offset=0, payload=b"Hello World!"),
    "CREDIT": dict(limit=262144),
    "FIN": dict(offset=12),
    "RESET": dict(errno=104),
    "RELEASED": dict(offset=12),
}


def usual(message, channel=None, **changed):
    """The usual frame of a message, with some of its fields changed."""
    if channel is None:
        channel = 0 if MESSAGES[message]["scope"] == "session" else CHANNEL
    special = {key: changed.pop(key) for key in ("seal", "body", "header") if key in changed}
    return Frame(message, channel, SESSION, 1, **special, **dict(USUAL[message], **changed))


def hello_of(role, **changed):
    """A HELLO as the side `role` sends it in the session of this file."""
    own, other = (HOST_EPOCH, GUEST_EPOCH) if role == "host" else (GUEST_EPOCH, HOST_EPOCH)
    fields = dict(role=1 if role == "host" else 2, epoch=own, echo=other)
    return usual("HELLO", **dict(fields, **changed))


def senders(message):
    return MESSAGES[message]["from"]


# ---- valid -----------------------------------------------------------------------------------------------------------

# Written out: name, frame, doc, requirements.  The last of a row says whether a sender may send it at all.
NAMED = [
    ("hello-from-host", hello_of("host"), "A host's HELLO that echoes the guest's epoch.", "FRM-1 FRM-6", True),
    ("hello-from-guest", hello_of("guest"), "A guest's HELLO that echoes the host's epoch.", "FRM-1 FRM-6", True),
    ("hello-smallest", hello_of("host", version_min=0, version_max=0, max_pairs=0, epoch=1, echo=0, heartbeat_ms=0,
                                tag="", name=""), "Everything in it at its least.", "SES-2", True),
    ("hello-largest", hello_of("guest", version_min=0xFFFF, version_max=0xFFFF, max_pairs=0xFFFF, epoch=wire.MASK,
                               echo=wire.MASK, heartbeat_ms=0xFFFFFFFF, tag="~" * 32, name=" " * 32),
     "Everything in it at its most; texts of the last and of the first printable character.", "FRM-1", True),
    ("hello-unknown-features", hello_of("guest", features=0x80000001),
     "Bits of features that nobody knows: received, not looked at.", "MSG-2", False),
    ("hello-reserved0", hello_of("guest", reserved0=b"\xff"), "The reserved octet is not zero.", "FRM-11", False),
    ("hello-reserved1", hello_of("guest", reserved1=bytes(range(1, 33))), "Reserved octets are not zero.", "FRM-11", False),
    ("hello-reserved1-imitates", hello_of("host", reserved1=wire.PAD * 16 + wire.MAGIC + b"\1"),
     "Reserved octets look like the end of a preamble and the beginning of a HELLO.", "FRM-11", False),
    ("ready-reserved", usual("READY", reserved0=b"\x16\xb5\x56"), "Reserved octets are not zero.", "FRM-11", False),
    ("event-reserved", usual("EVENT", reserved0=b"\xff"), "The reserved octet is not zero.", "FRM-11", False),
    ("event-texts-full", usual("EVENT", cause="~" * 32, detail=" " * 32), "Both texts at their longest.", "FRM-2 LOG-6", True),
    ("open-reserved", usual("OPEN", reserved0=b"\xff\xff"), "Reserved octets are not zero.", "FRM-11", False),
    ("data-one", usual("DATA", payload=b"\0"), "The shortest DATA: length 9.", "FRM-2", True),
    ("data-two", usual("DATA", payload=b"\0\1"), "length 10.", "FRM-2", True),
    ("data-247", usual("DATA", payload=b"x" * 247), "length 255, the most of one octet.", "FRM-1 FRM-2", True),
    ("data-248", usual("DATA", payload=b"x" * 248), "length 256, the least of two octets.", "FRM-1 FRM-2", True),
    ("data-249", usual("DATA", payload=b"x" * 249), "length 257.", "FRM-1 FRM-2", True),
    ("data-65527", usual("DATA", payload=b"x" * 65527), "length 65535, the most of two octets.", "FRM-1 FRM-2", True),
    ("data-65528", usual("DATA", payload=b"x" * 65528), "The longest frame: length 65536.", "FRM-2", True),
    ("data-all-octets", usual("DATA", payload=bytes(range(256))), "A payload of every octet.", "FRM-5", True),
    ("data-imitates-padding", usual("DATA", payload=wire.PAD * 200), "A payload of padding.", "FRM-7", True),
    ("data-imitates-hello", usual("DATA", payload=wire.PAD * 64 + hello_of("host").octets()),
     "A payload that is the end of a preamble and a HELLO, seal and all.", "FRM-5 FRM-10", True),
    ("data-imitates-frame", usual("DATA", payload=usual("RESET").sealed(0, 0).octets()),
     "A payload that is a RESET but for its seal.", "FRM-5", True),
    ("open-no-port", usual("OPEN", port=0), "A frame; the guest's answer is REFUSED with EINVAL.", "CHN-5", False),
]

TEXTS = [("1", "x"), ("31", TEXT32[:31]), ("32", TEXT32), ("blank", " "), ("tilde", "~"), ("all-blank", " " * 32)]


def bounds(field):
    """The values at the bounds of an integer: those that are valid, those that can be written and are not."""
    top = (1 << 8 * SIZES[field["type"]]) - 1
    low, high = field.get("min", 0), field.get("max", top)
    valid = sorted({v for v in (0, 1, 2, low, low + 1, high - 1, high, top >> 1, (top >> 1) + 1) if low <= v <= high})
    invalid = sorted({v for v in (0, low - 1, high + 1, top) if 0 <= v <= top and not low <= v <= high})
    return valid, invalid


def integers(message):
    return [f for f in MESSAGES[message]["fields"] if f["type"] in ("u8", "u16", "u32", "u64")]


def with_value(message, field, value):
    """Changes one field; a HELLO's version range stays a range, so that only grammar and seal decide."""
    more = {}
    if field == "version_min":
        more = {"version_max": max(value, 256)}
    if field == "version_max":
        more = {"version_min": min(value, 256)}
    return usual(message, **{field: value}, **more)


def valid_frames():
    for name, frame, doc, requirements, send in NAMED:
        yield name, frame, doc, requirements, send
    for message in MESSAGES:
        name = message.lower()
        if message != "HELLO":
            yield "%s-usual" % name, usual(message), MESSAGES[message]["doc"], "FRM-2 FRM-4", True
            yield ("%s-last-number" % name, usual(message).sealed(wire.MASK, wire.MASK),
                   "Session id and number at their most.", "FRM-4", True)
        if MESSAGES[message]["scope"] == "channel":
            for value in (1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
                yield "%s-channel-%x" % (name, value), usual(message, channel=value), "channel %d." % value, "FRM-3", True
        for field in integers(message):
            for value in bounds(field)[0]:
                never = field["name"] == "features" and value != 0 or field["name"] == "port" and value == 0
                yield ("%s-%s-%x" % (name, field["name"], value), with_value(message, field["name"], value),
                       "%s %d." % (field["name"], value), "FRM-1", not never)
    for field in ("tag", "name"):
        for name, text in TEXTS:
            yield "hello-%s-%s" % (field, name), usual("HELLO", **{field: text}), "%s is %r." % (field, text), "FRM-2", True


def valid():
    for name, frame, doc, requirements, send in valid_frames():
        who = senders(frame.message)
        if frame.message == "HELLO":
            who = ["host"] if frame.value("role") == 1 else ["guest"]
        yield dict(id=name, doc=doc, requirements=requirements.split(), senders=who, send=send, **own_receiver(frame),
                   octets=wire.items(frame.octets()), **wire.shown(frame))


def own_receiver(frame):
    """The receiver that takes the frame, where it is not the file's."""
    if frame.message == "HELLO" or (frame.session, frame.number) == (SESSION, 1):
        return {}
    return {"receiver": {"session": u64(frame.session), "number": u64(frame.number)}}


# ---- invalid ----------------------------------------------------------------------------------------------------------



def at_field(message, name):
    """Where a field of the body begins in the frame."""
    at = wire.HEADER
    for field in MESSAGES[message]["fields"]:
        if field["name"] == name:
            return at
        at += SIZES[field["type"]]
    raise KeyError(name)


def broken_headers():
    for name, magic, at in (("first", b"\0\x56", 0), ("first-ff", b"\xff\x56", 0), ("second", b"\xb5\x57", 1),
                            ("second-pad", b"\xb5\x16", 1), ("twice", b"\xb5\xb5", 1), ("swapped", b"\x56\xb5", 0)):
        yield "magic-" + name, usual("HEARTBEAT", header={"magic": magic}), at, "The magic is %s." % magic.hex(), "FRM-9"
    for number in (0, 6, 15, 24, 0x80, 0xB5, 0xFF):
        yield ("type-%02x" % number, usual("HEARTBEAT", header={"type": number}), 2,
               "No message has the type %d." % number, "FRM-9")
    for message in MESSAGES:
        name = message.lower()
        for flags in (1, 0x80, 0xFF):
            yield "%s-flags-%02x" % (name, flags), usual(message, header={"flags": flags}), 3, "flags are %d." % flags, "FRM-3"
        if MESSAGES[message]["scope"] == "session":
            for channel, at in ((1, 4), (0x0100, 5), (0x010000, 6), (0x01000000, 7), (0xFFFFFFFF, 4)):
                yield ("%s-channel-%x" % (name, channel), usual(message, channel=channel), at,
                       "A message of the session with channel %d." % channel, "FRM-3")
        else:
            yield "%s-channel-0" % name, usual(message, channel=0), 7, "A message of a channel with channel 0.", "FRM-3"


def first_difference(value, right):
    """The octet of a length at which it can not be the right one any more."""
    return next(i for i in range(4) if value.to_bytes(4, "little")[i] != right.to_bytes(4, "little")[i])


def broken_lengths():
    for message in MESSAGES:
        name, body = message.lower(), usual(message).body()
        if message == "DATA":
            continue
        right = len(body)
        for length in sorted({0, 1, right - 1, right + 1, right + 256, 65536, 0xFFFFFFFF} - {right}):
            short = body[:length] if length < right else body + bytes(min(length, 300) - right)
            yield ("%s-length-%x" % (name, length), usual(message, body=short, header={"length": length}),
                   8 + first_difference(length, right), "length is %d, not %d." % (length, right), "FRM-2")
    # A DATA of 0 to 8 octets is ruled out when the second octet of its length shows that no more will come.
    for length, at in ((0, 10), (1, 9), (7, 9), (8, 9), (65537, 9), (65536 + 255, 10), (65536 + 256, 10), (131072, 10),
                       (0x01000008, 9), (0x01000009, 11), (0x01010000, 11), (0x80000000, 10), (0xFFFFFFFF, 10)):
        body = usual("DATA").body().ljust(min(length, 300), b"x")[:min(length, 300)]
        yield ("data-length-%x" % length, usual("DATA", body=body, header={"length": length}), at,
               "length is %d, not 9 to 65536." % length, "FRM-2")


def broken_fields():
    for message in MESSAGES:
        for field in integers(message):
            size = SIZES[field["type"]]
            for value in bounds(field)[1]:
                # zero of several octets is ruled out by the last of them
                at = at_field(message, field["name"]) + (size - 1 if value == 0 else 0)
                yield ("%s-%s-%x" % (message.lower(), field["name"], value), usual(message, **{field["name"]: value}), at,
                       "%s is %d." % (field["name"], value), "FRM-9")
    for field in ("tag", "name"):
        at = at_field("HELLO", field)
        for name, text, where in (
                ("control", b"a\x1fb", 1), ("delete", b"ab\x7f", 2), ("high", b"\x80", 0), ("ff", b"abc\xff", 3),
                ("newline", b"tag\n", 3), ("escape", b"\x1b[2J", 0), ("after-zero", b"ab\0c", 3), ("hole", b"\0a", 1),
                ("last", b"x" * 31 + b"\x1f", 31), ("after-zero-last", b"x" * 30 + b"\0x", 31)):
            yield ("hello-%s-%s" % (field, name), usual("HELLO", **{field: text}), at + where,
                   "%s is not printable ASCII filled up with zeros." % field, "FRM-9")


def wrong_ways():
    for message in MESSAGES:
        for who in ("host", "guest"):
            if who not in senders(message):
                frame = usual(message)
                yield "%s-from-%s" % (message.lower(), who), frame, 2, "A %s does not send %s." % (who, message), "FRM-12", who


def seal(session, number):
    return wire.integer(session, 8) + wire.integer(number, 8)


def broken_seals():
    for message in MESSAGES:
        name, frame = message.lower(), usual(message)
        last = len(frame.octets()) - 1
        if message == "HELLO":
            continue
        for what, session, number, why in (
                ("session-0", 0, 1, "session id 0"), ("session-more", SESSION + 1 & wire.MASK, 1, "a session id one too high"),
                ("session-other", wire.session_id(HOST_EPOCH + 1, GUEST_EPOCH), 1, "the id of another session"),
                ("session-top", SESSION ^ 1 << 63, 1, "one bit of the session id wrong"),
                ("number-0", SESSION, 0, "number 0"), ("number-2", SESSION, 2, "a number that leaves one out"),
                ("number-high", SESSION, 1 | 1 << 32, "a number right in its low half only"),
                ("number-last", SESSION, wire.MASK, "the last number")):
            yield "%s-seal-%s" % (name, what), usual(message, seal=seal(session, number)), last, "The seal has %s." % why, "FRM-4 FRM-9"
    whole = hello_of("host").octets()
    right = int.from_bytes(whole[-8:], "little")
    inverse = right ^ 0xFFFFFFFF
    for what, session, number, why in (
            ("session-1", 1, right, "session id 1"), ("session", SESSION, right, "the session's id"),
            ("zero", 0, 0, "0 for the CRC"), ("inverse", 0, inverse, "a CRC without the final XOR"),
            ("high", 0, right | 1 << 32, "a CRC right in its low half only"),
            ("big-endian", 0, int.from_bytes(right.to_bytes(4, "little"), "big"), "the CRC's octets in reverse"),
            ("body-only", 0, wire.crc32c(whole[12:140]), "the CRC of the body alone"),
            ("from-type", 0, wire.crc32c(whole[2:140]), "the CRC of what follows the magic"),
            ("with-session", 0, wire.crc32c(whole[:148]), "a CRC over the session id too")):
        yield ("hello-seal-" + what, hello_of("host", seal=seal(session, number)), len(whole) - 1, "The seal has %s." % why, "FRM-6 FRM-9")
    for at, bit in ((12, 0x03), (20, 1), (27, 0x80), (28, 1), (36, 1), (40, 1), (44, 1), (76, 1), (108, 1), (139, 0x80)):
        octets = bytearray(whole)
        octets[at] ^= bit
        frame = hello_of("host", body=bytes(octets[12:140]), seal=whole[140:])
        yield "hello-flipped-%d" % at, frame, len(whole) - 1, "Octet %d was changed on its way, the CRC is the old one." % at, "FRM-6 FRM-9"


def invalid():
    for group in (broken_headers, broken_lengths, broken_fields, broken_seals, wrong_ways):
        for row in group():
            name, frame, at, doc, requirements = row[:5]
            who = list(row[5:]) or (["host"] if frame.message == "HELLO" else senders(frame.message))
            yield dict(id=name, doc=doc, requirements=requirements.split(), senders=who, message=frame.message,
                       octets=wire.items(frame.octets()), fault="seal" if group is broken_seals else "octets", at=at,
                       event="framing_lost", log="FRAMING_LOST")


def passed_over():
    """Frames that are right, and are to be passed over (MSG-1)."""
    for name, frame, who, doc in (
            ("hello-own-role-to-guest", usual("HELLO", role=2), "host", "A guest endpoint hears a HELLO of its own role."),
            ("hello-own-role-to-host", usual("HELLO", role=1), "guest", "A host endpoint hears a HELLO of its own role."),
            ("hello-range-empty", hello_of("host", version_min=257, version_max=256), "host",
             "The lowest version is one higher than the highest."),
            ("hello-range-wide", hello_of("guest", version_min=0xFFFF, version_max=0), "guest",
             "The lowest version is the highest number, the highest 0.")):
        yield dict(id=name, doc=doc, requirements=["MSG-1"], senders=[who], octets=wire.items(frame.octets()), **wire.shown(frame))


def conventions():
    """What the receiver of these files is in."""
    return {"host_epoch": u64(HOST_EPOCH), "guest_epoch": u64(GUEST_EPOCH), "session": u64(SESSION), "number": u64(1)}
