# SPDX-License-Identifier: MIT
"""The two names of StartCommunicationChannel (API-1, names.rl)."""

PREFIX = b"\\\\.\\pipe\\"          # 9 characters
ROOM = 256 - len(PREFIX)

EURO = "\u20ac".encode()            # three octets, one character
CLEF = "\U0001d11e".encode()        # four octets, one character

PIPES = [
    ("article", PREFIX + b"mynamedpipe", "The name of the article.", True),
    ("one", PREFIX + b"a", "One character.", True),
    ("longest", PREFIX + b"a" * ROOM, "256 characters in all.", True),
    ("one-too-long", PREFIX + b"a" * (ROOM + 1), "257 characters in all.", False),
    ("far-too-long", PREFIX + b"a" * 70000, "Far too long.", False),
    ("prefix-upper", b"\\\\.\\PIPE\\a", "The case of the prefix does not matter.", True),
    ("prefix-mixed", b"\\\\.\\pIpE\\a", "The case of the prefix does not matter.", True),
    ("blank", PREFIX + b" ", "A blank.", True),
    ("tilde", PREFIX + b"~", "The last printable character of ASCII.", True),
    ("exclamation", PREFIX + b"!", "The first that is seen.", True),
    ("all-ascii", PREFIX + bytes(o for o in range(0x20, 0x7F) if o != 0x5C), "Every printable character but the backslash.", True),
    ("slash", PREFIX + b"a/b", "A slash is no backslash.", True),
    ("dot", PREFIX + b".", "A dot.", True),
    ("dots", PREFIX + b"../../etc/passwd", "Dots and slashes are characters like others.", True),
    ("two-octets-least", PREFIX + b"\xc2\x80", "U+0080.", True),
    ("two-octets-most", PREFIX + b"\xdf\xbf", "U+07FF.", True),
    ("three-octets", PREFIX + EURO, "U+20AC.", True),
    ("three-octets-most", PREFIX + b"\xef\xbf\xbf", "U+FFFF.", True),
    ("four-octets", PREFIX + CLEF, "U+1D11E.", True),
    ("longest-of-three-octets", PREFIX + EURO * ROOM, "256 characters in all, more octets: characters count.", True),
    ("one-too-long-of-three-octets", PREFIX + EURO * (ROOM + 1), "257 characters in all.", False),
    ("longest-of-four-octets", PREFIX + CLEF * ROOM, "256 characters in all, 997 octets.", True),
    ("empty", b"", "Nothing.", False),
    ("prefix-only", PREFIX, "No name behind the prefix.", False),
    ("no-prefix", b"mynamedpipe", "No prefix.", False),
    ("half-prefix", b"\\\\.\\pipe", "The prefix without its last backslash.", False),
    ("one-backslash", b"\\.\\pipe\\a", "The prefix begins with two backslashes.", False),
    ("slashes", b"//./pipe/a", "Slashes are no backslashes.", False),
    ("server", b"\\\\server\\pipe\\a", "A pipe of another machine.", False),
    ("other-word", b"\\\\.\\pope\\a", "Another word in the prefix.", False),
    ("blank-before", b" " + PREFIX + b"a", "A blank before.", False),
    ("backslash", PREFIX + b"a\\b", "A backslash in the name.", False),
    ("backslash-last", PREFIX + b"a\\", "A backslash at the end.", False),
    ("nul", PREFIX + b"a\0b", "A control character: NUL.", False),
    ("newline", PREFIX + b"a\n", "A control character: newline.", False),
    ("unit-separator", PREFIX + b"\x1f", "The last control character.", False),
    ("delete", PREFIX + b"a\x7f", "DEL.", False),
    ("lone-tail", PREFIX + b"\x80", "Not UTF-8: a tail without a head.", False),
    ("overlong-two", PREFIX + b"\xc0\xaf", "Not UTF-8: an overlong slash.", False),
    ("overlong-c1", PREFIX + b"\xc1\x9c", "Not UTF-8: an overlong backslash.", False),
    ("cut-two", PREFIX + b"\xc2", "Not UTF-8: a head without its tail.", False),
    ("cut-three", PREFIX + b"\xe2\x82", "Not UTF-8: one tail is missing.", False),
    ("cut-four", PREFIX + b"\xf0\x9d\x84", "Not UTF-8: one tail is missing.", False),
    ("head-f5", PREFIX + b"\xf5\x80\x80\x80", "Not UTF-8: a head that is none.", False),
    ("head-ff", PREFIX + b"\xff", "Not UTF-8: a head that is none.", False),
    ("overlong-three", PREFIX + b"\xe0\x81\x9c", "Not UTF-8: an overlong backslash of three octets.", False),
    ("overlong-three-last", PREFIX + b"\xe0\x9f\xbf", "Not UTF-8: the last overlong form of three octets.", False),
    ("three-octets-least", PREFIX + b"\xe0\xa0\x80", "U+0800.", True),
    ("before-surrogates", PREFIX + b"\xed\x9f\xbf", "U+D7FF.", True),
    ("surrogate", PREFIX + b"\xed\xa0\x80", "Not UTF-8: a surrogate.", False),
    ("surrogate-last", PREFIX + b"\xed\xbf\xbf", "Not UTF-8: the last surrogate.", False),
    ("behind-surrogates", PREFIX + b"\xee\x80\x80", "U+E000.", True),
    ("overlong-four", PREFIX + b"\xf0\x80\x81\x9c", "Not UTF-8: an overlong backslash of four octets.", False),
    ("overlong-four-last", PREFIX + b"\xf0\x8f\xbf\xbf", "Not UTF-8: the last overlong form of four octets.", False),
    ("four-octets-least", PREFIX + b"\xf0\x90\x80\x80", "U+10000.", True),
    ("four-octets-most", PREFIX + b"\xf4\x8f\xbf\xbf", "U+10FFFF.", True),
    ("above-unicode", PREFIX + b"\xf4\x90\x80\x80", "Not UTF-8: U+110000.", False),
]

# Two names, and whether they are the same name (API-1: the case of ASCII letters does not matter, of others it does).
SAME = [
    ("case", PREFIX + b"MyPipe", PREFIX + b"mypIPE", True),
    ("prefix-case", PREFIX + b"a", b"\\\\.\\PIPE\\a", True),
    ("other", PREFIX + b"a", PREFIX + b"b", False),
    ("longer", PREFIX + b"a", PREFIX + b"aa", False),
    ("brackets", PREFIX + b"[", PREFIX + b"{", False),
    ("at-and-backtick", PREFIX + b"@", PREFIX + b"`", False),
    ("umlaut", PREFIX + "\u00c4".encode(), PREFIX + "\u00e4".encode(), False),
]

PORTS = [
    ("1", True), ("9", True), ("10", True), ("99", True), ("100", True), ("999", True), ("1000", True), ("6174", True),
    ("9999", True), ("10000", True), ("59999", True), ("60000", True), ("64999", True), ("65499", True), ("65529", True),
    ("65530", True), ("65534", True), ("65535", True),
    ("", False), ("0", False), ("65536", False), ("65540", False), ("65600", False), ("66000", False), ("70000", False),
    ("99999", False), ("100000", False), ("4294967297", False), ("18446744073709551617", False), ("01", False), ("00080", False),
    ("+80", False), ("-1", False), (" 80", False), ("80 ", False), ("80\n", False), ("8 0", False), ("0x50", False), ("8e1", False),
    ("80.0", False), ("http", False), ("80\0", False), ("\u0668\u0660", False),
]


def vectors():
    from wire import items
    for name, octets, doc, good in PIPES:
        yield dict(id="pipe-" + name, kind="pipe", doc=doc, octets=items(octets), valid=good)
    for name, one, other, same in SAME:
        yield dict(id="same-" + name, kind="same", octets=items(one), other=items(other), same=same)
    for number, (text, good) in enumerate(PORTS, 1):
        row = dict(id="port-%02d" % number, kind="port", octets=items(text.encode()), valid=good)
        if good:
            row["port"] = int(text)
        yield row
