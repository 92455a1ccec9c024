# SPDX-License-Identifier: MIT
"""All transcripts: what one endpoint does and sends, and what it gets."""

from pairs import (credit_huge, credit_in, credit_out, empty, fin_with_bytes_waiting, half_close_here,
                   half_close_there, hello_world, high_ids, limits, no_room, nobody_reads, open_frame,
                   refused, refuses, reset_here, reset_released, reset_there, second_open, stray, wrong_end)
from script import CREDIT, DATA, FIN
from sessions import (framing, goodbye, handshake, handshake_late, heartbeat, hello_again, hole,
                      late_hello, mismatch, not_ready, replay, restart, restart_between, silent, stop, transport_down,
                      versions, violation, withdraws, without_echo, wrong_way)


def transcripts():
    for role in ("host", "guest"):
        for make in (handshake, handshake_late, hello_again, mismatch, versions, without_echo, restart, restart_between, framing,
                     replay, hole, wrong_way, stop, transport_down, heartbeat, late_hello, silent, hello_world, half_close_here,
                     half_close_there, empty, fin_with_bytes_waiting, reset_here, reset_there, nobody_reads, reset_released,
                     credit_out, credit_in, credit_huge):
            yield make(role)
        yield goodbye(role, 0, "goodbye")
        yield goodbye(role, 1, "peer saw a violation")
        for name, frame in stray(9)["both"] + stray(9)[role]:
            yield violation("stray-" + name, role, "%s on an id that was never opened." % name.upper(), "CHN-2 SES-14", frame)
        for name, frame in (("data", lambda out, into: DATA(out, payload=b"x")), ("fin", lambda out, into: FIN(out)),
                            ("credit", lambda out, into: CREDIT(into, limit=100))):
            yield wrong_end(role, name, frame)
        yield from limits(role)
    yield from (not_ready(), refused(), withdraws(), refuses(), no_room(), high_ids())
    yield violation("open-same-ids", "guest", "Both ids of an OPEN are the same.", "CHN-1 SES-14", open_frame(3, 3))
    yield second_open("open-id-again", "An id is used again.", 5, 7)
    yield second_open("open-reverse-again", "The reverse id is used again.", 7, 6)
    yield second_open("open-lower", "Ids that are lower than those before.", 3, 4)
    yield second_open("open-one-lower", "One of the ids is lower than those before.", 7, 4)


def vectors():
    return (t.value() for t in transcripts())
