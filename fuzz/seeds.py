#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes a target's first inputs: of the vectors, the scenarios, and seeds.txt.  usage: seeds.py TARGET DIRECTORY"""
import glob
import hashlib
import json
import os
import struct
import sys

LARGEST = 2048
LANGUAGES = {"host": 1, "guest": 2}


def vectors(name):
    with open(f"spec/vectors/{name}.json", encoding="utf-8") as file:
        return json.load(file)["vectors"]


def octets(parts):
    """The octets of a vector's notation: hexadecimal, or a repeated octet."""
    out = bytearray()
    for part in parts:
        if isinstance(part, str):
            out += bytes.fromhex(part)
        elif "times" in part:
            out += bytes.fromhex(part["octet"]) * min(part["times"], LARGEST)
        else:
            out += bytes.fromhex("16") * 16  # a preamble, of which a hunt needs no more
    return bytes(out)


def frame():
    for name in ("frames-valid", "frames-invalid", "frames-passed-over"):
        for vector in vectors(name):
            for sender in vector["senders"]:
                yield bytes([LANGUAGES[sender] | 5 << 2]) + octets(vector["octets"])
    for vector in vectors("hunt"):
        yield bytes([3 << 2]) + octets(vector["octets"])


def session():
    """A greeting, then each valid frame as a step that puts its body into a frame (operation 6); a pair with DATA."""
    data = bytes([3, 6, 1, 20])
    yield bytes([1, 2, 1, 13, 8, 0, 3, 4, 0, 64]) + data  # the host opens, OPENED comes (operations 13, 3)
    yield bytes([2, 2, 1, 3, 15, 0, 64, 8, 0, 3, 6, 0, 20]) + data  # OPEN comes, the guest answers at once
    for vector in vectors("frames-valid"):
        data = octets(vector["octets"])
        body = data[12:-16]
        if len(data) > 28 and len(body) < 256:
            for role in (0, 1):
                yield bytes([role, 9, 0, 2, 0, 6, data[2], data[4], len(body)]) + body


def pair():
    """Both ends greet; a pair is opened, answered, used and ended; then one fault."""
    step = struct.Struct("<BBH").pack
    settle = step(8, 0, 65535) + step(8, 1, 65535)
    use = (step(0, 0, 0) + settle + step(16, 1, 0) + settle + step(16, 0x00, 0x4000) + settle
           + step(16, 0x51, 0x4000) + settle)
    for fault in range(10, 16):
        for who in (0, 1, 2, 3):
            yield bytes([0xFF]) + settle * 2 + use + step(fault, who, 20) + settle + use


def script():
    for path in glob.glob("conformance/scenarios/*/*/*.vpcs"):
        with open(path, "rb") as file:
            yield file.read()


def harness():
    """A short scenario, then deeds of the subject: none, one of each kind, and again and again."""
    for number, data in enumerate(script()):
        yield data + bytes(1) + (bytes([number % 9, number // 9 % 256, 2, 0, 1]) * (number % 4) if number % 4 else b"")


def control():
    with open("fuzz/seeds.txt", encoding="utf-8") as file:
        text = "".join(line for line in file if not line.startswith("#"))
    for part in text.split("---\n"):
        yield part.encode()


def errand():
    """Each wish alone, and some in the order of a life: control socket, log, event, pipe, their ends."""
    def one(wish, number=0, text=b""):
        text += b"\0" * (-len(text) % 4)
        return bytes([wish, 1, number, len(text) // 4]) + text
    pipe, event = b"\\\\.\\pipe\\a", b"Local\\T_ChannelReady"
    for wish in range(18):
        yield one(wish) + one(wish, 1) + one(wish, 2, pipe) + one(wish, 3, event)
    yield (one(3) + one(9) + one(11) + one(10) + one(9, 2) + one(6, 3, event) + one(4, 7, pipe) + one(4, 8, pipe)
           + one(5, 7) + one(7) + one(12, 1) + one(13) + one(14) + one(15))
    yield bytes([0x80]) + struct.pack("<II", 2, 0) + bytes(1024)


def pipe_name():
    for vector in vectors("names"):
        yield octets(vector["octets"])


def talk():
    """One whole talk of each grammar; rules and devices."""
    talks = ["every 5\ndisk :1\n/file :4\n/etcgo\n",
             "hello 1\nload 0 7 100\ndisk 0 4096 1024\nfile 1 1\nfailed 0 13\nend\nload 1 2 3\nend\n",
             "user :3\nappword :8\n/bin/catword :0\ngo\nin :3\nabcsignal 2\neof\nsignal 15\n",
             "hello 1\nstarted\nroom 65536\nout :2\nhierr :1\nnclosed\nexited 3\n",
             "hello 1\njob 7 2 5\nqueue :2\nlpuser :1\nutitle :1\ntdata :4\n%PDFend 4 99\n", "kept 7\nnot 28\n",
             "# c\nallow nobody /bin/df\n allow app /bin/app a *\n", "vpcbus:/run/x?wait=60",
             "hello 1\nrefused :2\nno", "hello 1\nfailed 2\n", "hello 1\nstarted\nkilled 9\n"]
    for number, text in enumerate(talks):
        for which in range(7):
            yield bytes([which, number]) + text.encode()


def main():
    target, directory = sys.argv[1:]
    os.makedirs(directory, exist_ok=True)
    for data in {"frame": frame, "session": session, "pair": pair, "script": script, "harness": harness,
                 "control": control, "pipe_name": pipe_name, "errand": errand,
                 "talk": talk}[target]():
        if 0 < len(data) <= LARGEST:
            path = os.path.join(directory, hashlib.sha1(data).hexdigest())
            with open(path, "wb") as file:
                file.write(data)
    os.utime(directory)


main()
