#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""guide.py FILE: runs the console blocks of a page, a shell for each block, in the working directory, and compares what
they print.  Numbers, with their units, and times may differ."""
import re
import subprocess
import sys


def alike(text):
    """The text with all numbers and blanks alike."""
    text = re.sub(r"\d[\d.:TZ-]*[BKMGT]?", "N", text)
    return [" ".join(line.split()) for line in text.splitlines()]


with open(sys.argv[1], encoding="utf-8") as file:
    blocks = re.findall(r"^```console\n(.*?)^```", file.read(), re.M | re.S)
for block in blocks:
    lines = block.splitlines()
    commands = [line[2:] for line in lines if line.startswith("$ ")]
    wanted = "\n".join(line for line in lines if not line.startswith("$ "))
    shown = subprocess.run(["bash", "-c", "\n".join(commands)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=120).stdout
    if alike(shown) != alike(wanted):
        sys.exit(f"{sys.argv[1]}: {commands} print\n{shown}and not\n{wanted}")
print(f"{sys.argv[1]}: {len(blocks)} scenes print what they should")
