# SPDX-License-Identifier: MIT
"""The octets of VPCBus, written from VPCBUS.md and messages.json alone.

A frame is a Frame: a message's name, what its header and its fields say, and its seal.  Nothing is checked here on
purpose: most of what this module writes shall be wrong in one place.
"""

import json
import os

SPEC = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
MASK = (1 << 64) - 1

with open(os.path.join(SPEC, "messages.json"), encoding="utf-8") as _file:
    TABLE = json.load(_file)

MESSAGES = {message["name"]: message for message in TABLE["messages"]}
SIZES = {name: entry["size"] for name, entry in TABLE["types"].items()}
PAD = bytes([TABLE["frame"]["pad"]])
MAGIC = bytes(TABLE["frame"]["magic"])
MAX_BODY = TABLE["frame"]["max_body"]
PREAMBLE_MIN = TABLE["frame"]["preamble_min"]
HEADER = 12
SEAL = 16


def crc32c(octets):
    """FRM-6: Castagnoli's polynomial 1EDC6F41h, reflected; one bit at a time, since nothing here has to be fast."""
    crc = 0xFFFFFFFF
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def mix(x):
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def session_id(host_epoch, guest_epoch):
    """SES-5."""
    return mix((mix(host_epoch) + guest_epoch) & MASK)


# ---- self-check against answers that others have published ---------------------------------------------------------

# Check value of CRC-32C: the catalogue of parametrised CRC algorithms; the others: RFC 3720, appendix B.4.
assert crc32c(b"123456789") == 0xE3069283
assert crc32c(bytes(32)) == 0x8A9136AA
assert crc32c(bytes([255] * 32)) == 0x62A8AB43
assert crc32c(bytes(range(32))) == 0x46DD794E
# mix() is the output function of splitmix64: the first two numbers of the seed 1234567.
assert mix(1234567 + 0x9E3779B97F4A7C15 & MASK) == 6457827717110365317
assert mix(1234567 + 2 * 0x9E3779B97F4A7C15 & MASK) == 3203168211198807973


# ---- frames ----------------------------------------------------------------------------------------------------------

def integer(value, size):
    return value.to_bytes(size, "little")


def field_octets(field, value):
    """One field of a body.  A text or a reserved field may be given as octets, to write what a sender never would."""
    size = SIZES[field["type"]]
    if isinstance(value, (bytes, bytearray)):
        return bytes(value) if size is None else bytes(value).ljust(size, b"\0")
    if field["type"] == "text32":
        return value.encode("ascii").ljust(size, b"\0")
    return integer(value, size)


def zero_of(field):
    if field["type"] == "octets":
        return b""
    if field["type"].startswith("zero"):
        return bytes(SIZES[field["type"]])
    return "" if field["type"] == "text32" else 0


class Frame:
    """fields: by name, those that are left out are zero.  header: `magic`, `type`, `flags`, `length` when they shall lie."""

    def __init__(self, message, channel=0, session=0, number=0, seal=None, body=None, header=None, **fields):
        self.message = message
        self.channel = channel
        self.session = session
        self.number = number
        self.seal = seal            # octets, when the seal shall not be what the text says
        self.body_octets = body     # octets, when the body shall not be what the fields say
        self.header = header or {}
        self.fields = fields
        known = {field["name"] for field in MESSAGES[message]["fields"]}
        assert set(fields) <= known, (message, set(fields) - known)

    def value(self, name):
        field = next(f for f in MESSAGES[self.message]["fields"] if f["name"] == name)
        return self.fields.get(name, zero_of(field))

    def body(self):
        if self.body_octets is not None:
            return self.body_octets
        return b"".join(field_octets(field, self.value(field["name"])) for field in MESSAGES[self.message]["fields"])

    def header_octets(self):
        lie = self.header
        return (lie.get("magic", MAGIC)
                + integer(lie.get("type", MESSAGES[self.message]["type"]), 1)
                + integer(lie.get("flags", 0), 1)
                + integer(self.channel, 4)
                + integer(lie.get("length", len(self.body())), 4))

    def seal_octets(self):
        if self.seal is not None:
            return self.seal
        if self.message == "HELLO":
            return integer(0, 8) + integer(crc32c(self.header_octets() + self.body()), 8)
        return integer(self.session, 8) + integer(self.number, 8)

    def octets(self):
        return self.header_octets() + self.body() + self.seal_octets()

    def sealed(self, session, number):
        """The same frame as the number-th of a session."""
        return Frame(self.message, self.channel, session, number, self.seal, self.body_octets, self.header, **self.fields)


# ---- how the files say it --------------------------------------------------------------------------------------------

RUN_MIN = 64    # so many equal octets in a row are written as a run


def items(octets):
    """Octets as the files have them: a list of hex texts and of runs."""
    out, start, at = [], 0, 0
    while at < len(octets):
        octet = octets[at:at + 1]
        end = len(octets) - len(octets[at:].lstrip(octet))
        if end - at >= RUN_MIN:
            if at > start:
                out.append(octets[start:at].hex())
            out.append({"octet": octet.hex(), "times": end - at})
            start = end
        at = end
    if len(octets) > start:
        out.append(octets[start:].hex())
    return out


def u64(value):
    """64 bits do not survive every JSON reader as a number."""
    return "0x%016x" % value


def shown_fields(frame):
    """Every field but the reserved ones, as the files have them."""
    out = {}
    for field in MESSAGES[frame.message]["fields"]:
        value = frame.value(field["name"])
        if field["type"].startswith("zero"):
            continue
        if field["type"] == "octets":
            value = items(value)
        elif field["type"] == "u64":
            value = u64(value)
        elif isinstance(value, bytes):
            value = value.rstrip(b"\0").decode("ascii")
        out[field["name"]] = value
    return out


def shown(frame):
    """A whole frame: what its header, body and seal say."""
    out = {"message": frame.message, "channel": frame.channel, "fields": shown_fields(frame)}
    seal = frame.seal_octets()
    out["seal"] = {"session": u64(int.from_bytes(seal[:8], "little")), "number": u64(int.from_bytes(seal[8:], "little"))}
    return out
