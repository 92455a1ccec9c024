# SPDX-License-Identifier: MIT
"""Frames of VPCBus (VPCBUS.md, sections 4 and 5), as a guest endpoint sends and receives them."""
import struct

HELLO, READY, HEARTBEAT, GOODBYE, EVENT = 1, 2, 3, 4, 5
OPEN, OPENED, REFUSED, DATA, CREDIT, FIN, RESET, RELEASED = 16, 17, 18, 19, 20, 21, 22, 23
NAMES = {1: "HELLO", 3: "HEARTBEAT", 4: "GOODBYE", 16: "OPEN", 19: "DATA", 20: "CREDIT", 21: "FIN", 22: "RESET", 23: "RELEASED"}

PAD = b"\x16"
PREAMBLE = PAD * 131129
LENGTHS = {HELLO: 128, HEARTBEAT: 8, GOODBYE: 4, OPEN: 20, DATA: None, CREDIT: 8, FIN: 8, RESET: 4, RELEASED: 8}   # from a host
OF_SESSION = (HELLO, HEARTBEAT, GOODBYE)
HEADER, SEAL = 12, 16
WHOLE_HELLO = HEADER + 128 + SEAL
MASK = (1 << 64) - 1


def crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


TABLE = crc_table()


def crc32c(octets):
    value = 0xFFFFFFFF
    for octet in octets:
        value = TABLE[(value ^ octet) & 255] ^ value >> 8
    return value ^ 0xFFFFFFFF


def mix(x):
    x ^= x >> 30
    x = x * 0xBF58476D1CE4E5B9 & MASK
    x ^= x >> 27
    x = x * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def session_id(host_epoch, guest_epoch):
    return mix(mix(host_epoch) + guest_epoch & MASK)


def frame(kind, channel, body, session, number):
    return struct.pack("<2sBBII", b"\xb5\x56", kind, 0, channel, len(body)) + body + struct.pack("<QQ", session, number)


def hello(role, versions, max_pairs, epoch, echo, heartbeat_ms, tag, name):
    body = struct.pack("<BBHHHQQII32s32s32x", role, 0, *versions, max_pairs, epoch, echo, 0, heartbeat_ms,
                       tag.encode("ascii"), name.encode("ascii"))
    whole = frame(HELLO, 0, body, 0, 0)
    return whole[:-8] + struct.pack("<Q", crc32c(whole[:-SEAL]))


class Hello:
    def __init__(self, body):
        (self.role, self.version_min, self.version_max, self.max_pairs, self.epoch, self.echo, _, self.heartbeat_ms, tag,
         name) = struct.unpack("<BxHHHQQII32s32s", body[:96])
        self.tag, self.name = (text.rstrip(b"\0").decode("ascii") for text in (tag, name))


def text_fault(octets):
    """The place of the first octet that can not stand in a text32, or None."""
    end = octets.find(b"\0")
    for at, octet in enumerate(octets):
        if (end < 0 or at < end) and not 0x20 <= octet <= 0x7E or 0 <= end < at and octet:
            return at
    return None


def hello_fault(octets):
    """Of what may be the beginning of a HELLO: the place of the first octet that can not stand there, or None."""
    start = b"\xb5\x56\x01\0\0\0\0\0\x80\0\0\0"
    for at, octet in enumerate(octets[:HEADER]):
        if octet != start[at]:
            return at
    if len(octets) > HEADER and octets[HEADER] not in (1, 2):
        return HEADER
    if len(octets) >= 28 and octets[20:28] == bytes(8):
        return 27
    for place in (44, 76):
        fault = text_fault(octets[place:place + 32])
        if fault is not None:
            return place + fault
    return None


def header_fault(octets):
    """The same of a frame in a session: True when one of its octets can not stand there."""
    if octets[:2] != b"\xb5\x56"[:len(octets)]:
        return True
    if len(octets) < 3:
        return False
    kind = octets[2]
    if kind not in LENGTHS or (len(octets) > 3 and octets[3]):
        return True
    channel = octets[4:8]
    if any(channel) if kind in OF_SESSION else len(channel) == 4 and not any(channel):
        return True
    length = octets[8:12]
    if LENGTHS[kind] is not None:
        return length != struct.pack("<I", LENGTHS[kind])[:len(length)]
    return len(length) == 4 and not 9 <= struct.unpack("<I", length)[0] <= 65536


class Receiver:
    """Cuts the stream into frames. next() gives (kind, channel, body), None when octets are missing, or "lost"."""

    def __init__(self):
        self.octets = bytearray()
        self.session = None     # its id; None: it hunts
        self.number = 0

    def add(self, octets):
        self.octets += octets

    def begin(self, session):
        self.session, self.number = session, 0

    def end(self):
        self.session = None

    def next(self):
        return self.hunt() if self.session is None else self.take()

    def hunt(self):
        while True:
            run = self.octets.find(PAD * 16)
            if run < 0:
                kept = len(self.octets) - len(self.octets.rstrip(PAD))
                del self.octets[:len(self.octets) - kept]
                return None
            rest = bytes(self.octets[run + 16:].lstrip(PAD)[:WHOLE_HELLO])
            behind = len(self.octets) - len(self.octets[run + 16:].lstrip(PAD))
            fault = hello_fault(rest)
            if fault is not None:
                del self.octets[:behind + fault]
                continue
            if len(rest) < WHOLE_HELLO:
                del self.octets[:behind - 16]
                return None
            del self.octets[:behind + WHOLE_HELLO]
            if struct.unpack("<QQ", rest[-SEAL:]) == (0, crc32c(rest[:-SEAL])):
                return HELLO, 0, rest[HEADER:-SEAL]

    def take(self):
        padding = len(self.octets) - len(self.octets.lstrip(PAD))
        del self.octets[:padding]
        head = bytes(self.octets[:HEADER])
        if header_fault(head):
            return "lost"
        if len(head) < HEADER:
            return None
        kind, channel, length = head[2], *struct.unpack("<II", head[4:])
        body = bytes(self.octets[HEADER:HEADER + length])
        if kind == HELLO and hello_fault(head + body) is not None or kind == OPEN and len(body) >= 4 and not any(body[:4]):
            return "lost"
        seal = bytes(self.octets[HEADER + length:HEADER + length + SEAL])
        session = 0 if kind == HELLO else self.session
        if len(seal) >= 8 and struct.unpack("<Q", seal[:8])[0] != session:
            return "lost"
        if len(seal) < SEAL:
            return None
        number = crc32c(head + body) if kind == HELLO else self.number + 1
        if struct.unpack("<Q", seal[8:])[0] != number:
            return "lost"
        del self.octets[:HEADER + length + SEAL]
        self.number += kind != HELLO
        return kind, channel, body
