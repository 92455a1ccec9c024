# SPDX-License-Identifier: MIT
"""Annotated hex dumps for people: the appendix of VPCBUS.md and the worked example of the README."""

import frames
import wire
from wire import MESSAGES, SIZES, TABLE

PER_LINE = 8


def rows(octets, at, what):
    """One field: its first octets with what it says, the others below.  A field of zeros is shortened."""
    if len(octets) > PER_LINE and not any(octets):
        yield "%04x  %-25s %s" % (at, "00 * %d" % len(octets), what)
        return
    for start in range(0, len(octets), PER_LINE):
        part = octets[start:start + PER_LINE]
        yield ("%04x  %-25s %s" % (at + start, part.hex(" "), what if start == 0 else "")).rstrip()


def said(field, octets):
    if field["type"] == "text32":
        return '"%s"' % octets.rstrip(b"\0").decode("ascii")
    if field["type"] == "octets":
        return '"%s"' % octets.decode("ascii")
    if field["type"].startswith("zero"):
        return ""
    value = int.from_bytes(octets, "little")
    return "%016x" % value if field["name"] in ("epoch", "echo", "session") else str(value)


def dump(frame):
    octets, at = frame.octets(), 0
    body = MESSAGES[frame.message]["fields"]
    for part, fields in (("header", TABLE["frame"]["header"]), ("body", body), ("seal", TABLE["frame"]["seal"])):
        for field in fields:
            size = SIZES[field["type"]]
            if size is None:
                size = len(octets) - wire.SEAL - at
            field_octets = octets[at:at + size]
            value = said(field, field_octets)
            if field["name"] == "magic":
                value = ""
            if field["name"] == "type":
                value += " " + frame.message
            if part == "seal" and frame.message == "HELLO" and field["name"] == "number":
                value = "CRC-32C %08x" % int.from_bytes(field_octets, "little")
            yield from rows(field_octets, at, ("%-16s %s" % (field["name"], value)).rstrip())
            at += size
    assert at == len(octets)


def block(title, frame):
    return ["**%s**" % title, "", "```"] + list(dump(frame)) + ["```", ""]


def numbered(message, number, **changed):
    return frames.usual(message, **changed).sealed(frames.SESSION, number)


SHOWN = [
    ("The host's HELLO", frames.hello_of("host")),
    ("The guest's HELLO", frames.hello_of("guest")),
    ("READY, the guest's frame 1", numbered("READY", 1)),
    ("OPEN, the host's frame 1", numbered("OPEN", 1)),
    ("OPENED, the guest's frame 2", numbered("OPENED", 2)),
    ("DATA, the host's frame 2", numbered("DATA", 2)),
    ("CREDIT, the guest's frame 3", numbered("CREDIT", 3, limit=393216)),
    ("FIN, the host's frame 3", numbered("FIN", 3)),
    ("RELEASED, the guest's frame 4", numbered("RELEASED", 4)),
    ("RESET, the guest's frame 5, on the other channel", numbered("RESET", 5, channel=2)),
    ("REFUSED, the guest's frame 6, an answer to an OPEN of channels 3 and 4", numbered("REFUSED", 6, channel=3)),
    ("HEARTBEAT, the host's frame 4", numbered("HEARTBEAT", 4)),
    ("EVENT, the guest's frame 7: its connection was refused", numbered("EVENT", 7, h2g=3, g2h=4)),
    ("GOODBYE, the host's last frame", numbered("GOODBYE", 5)),
]


def appendix():
    out = []
    for title, frame in SHOWN:
        out += block(title, frame)
    return "\n".join(out)


def example():
    return "\n".join(block("`data-usual` of frames-valid.json", frames.usual("DATA")))


def replaced(text, name, content):
    """The text with what stands between the markers of this name replaced."""
    begin, end = "<!-- dumps: %s -->\n" % name, "<!-- end of dumps -->\n"
    head, found, rest = text.partition(begin)
    assert found, "no marker " + begin
    tail = rest[rest.index(end):]
    return head + begin + content + tail
