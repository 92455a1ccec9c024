# SPDX-License-Identifier: MIT
"""The machines of lifecycle.rl, read from its text: what a transcript calls an event must be a transition there."""

import os
import re

import wire

_STATE = re.compile(r"(\w+): \( \((.*?)\) >~in_(\w+) \)", re.S)
_ARM = re.compile(r"^\s*\|?\s*(\(.*\)|\w+)\s*((?:@\w+\s*)*)->\s*(\w+)\s*$")


def _machines():
    with open(os.path.join(wire.SPEC, "lifecycle.rl"), encoding="utf-8") as file:
        text = re.sub(r"#.*", "", file.read())
    machines = {}
    for block in re.split(r"\bmachine vpc_", text)[1:]:
        name, states = block[:block.index(";")], {}
        for state, arms, named in _STATE.findall(block):
            assert state == named, (state, named)
            states[state] = {}
            for line in filter(str.strip, arms.splitlines()):
                arm = _ARM.match(line)
                assert arm, line
                for event in arm.group(1).strip("() ").split("|"):
                    states[state][event.strip()] = (arm.group(3), [a.strip() for a in arm.group(2).split("@") if a.strip()])
        if states:
            machines[name] = states
    return machines


MACHINES = _machines()
FIRST = {"session": "down", "sending_channel": "idle", "receiving_channel": "idle"}
assert set(MACHINES) == set(FIRST)


class Machine:
    def __init__(self, kind):
        self.kind = kind
        self.state = FIRST[kind]

    def event(self, name):
        arms = MACHINES[self.kind][self.state]
        if name not in arms and "any" not in arms:
            raise AssertionError("%s: no transition for %s in %s" % (self.kind, name, self.state))
        self.state, actions = arms.get(name) or arms["any"]
        return actions
