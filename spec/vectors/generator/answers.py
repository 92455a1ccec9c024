# SPDX-License-Identifier: MIT
"""Known answers.  Those that others have published stand here as they published them."""

import wire
from wire import MASK, items, u64

# RFC 3720, appendix B.4, an iSCSI Read (10) command.
READ_PDU = bytes.fromhex("01c000000000000000000000000000001400000000000400000000140000001828000000000000000200000000000000")

CRC = [
    ("check", b"123456789", 0xE3069283, "The check value of CRC-32C."),
    ("zeros", bytes(32), 0x8A9136AA, "RFC 3720, appendix B.4."),
    ("ones", bytes([255] * 32), 0x62A8AB43, "RFC 3720, appendix B.4."),
    ("up", bytes(range(32)), 0x46DD794E, "RFC 3720, appendix B.4."),
    ("down", bytes(range(31, -1, -1)), 0x113FDB5C, "RFC 3720, appendix B.4."),
    ("read", READ_PDU, 0xD9963A56, "RFC 3720, appendix B.4."),
    ("empty", b"", 0, "Nothing."),
    ("one-zero", b"\0", None, "One octet of zero."),
    ("one-ones", b"\xff", None, "One octet of ones."),
    ("pad", wire.PAD, None, "One octet of padding."),
    ("pads", wire.PAD * 140, None, "As many octets of padding as a HELLO sums."),
    ("all", bytes(range(256)), None, "Every octet."),
]

EPOCHS = [
    (0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 1), (MASK, 0), (0, MASK), (MASK, MASK), (MASK, 1), (1, MASK), (1 << 63, 1 << 63),
    (1 << 63, 1), (0x0123456789ABCDEF, 0xFEDCBA9876543210), (0xFEDCBA9876543210, 0x0123456789ABCDEF),
    (0x9E3779B97F4A7C15, 0), (0xA000000000000001, 0xB000000000000001), (0xA000000000000002, 0xB000000000000001),
    (0xA000000000000001, 0xB000000000000002),
]


def vectors():
    for name, octets, published, doc in CRC:
        value = wire.crc32c(octets)
        assert published in (None, value), name
        yield dict(id="crc32c-" + name, kind="crc32c", doc=doc, octets=items(octets), crc32c="0x%08x" % value)
    for number, (host, guest) in enumerate(EPOCHS, 1):
        yield dict(id="session-%02d" % number, kind="session", host_epoch=u64(host), guest_epoch=u64(guest),
                   session=u64(wire.session_id(host, guest)))
