/* SPDX-License-Identifier: MIT */
/*
 * What the harness and the process that holds a shared object say to each other.
 *
 * A stream socket; each side is the same program, so numbers go as they stand in memory.  The harness asks,
 * and waits for the answer before it asks again: a header, then `size` octets.  An answer tells, beside its
 * value, all that the caller of the ABI looks at next; so an endpoint that is at rest costs one question,
 * whatever the caller looks at.
 *
 *   question   BUS_INPUT: how often there are `number` sizes (uint32_t), then the octets of all pieces.  CREATE: the role
 *              in `number`, then vm, tag and options, each with its NUL.  The rest: a line, a path, octets.
 *   answer     actions, octets (of the bus if it shows the bus, else of the stream that was asked for), then hints.
 *
 * Actions come as many at once as there are, but none behind a LISTEN: its caller answers that one before it
 * takes the next.  What is left of the octets for the bus that an earlier answer showed is not said again:
 * both sides keep it.
 */
#ifndef VPC_CONFORM_OBJECT_WIRE_H
#define VPC_CONFORM_OBJECT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/vpc_endpoint.h"

/* In the order of the ABI.  LOAD is answered without having been asked: the object is there, or the octets
   say why not. */
#define VPC_OBJECT_CALLS(X)                                                                        \
    X(LOAD, load)                                                                                  \
    X(CREATE, create)                                                                              \
    X(DESTROY, destroy)                                                                            \
    X(CLOCK, clock)                                                                                \
    X(DEADLINE, deadline)                                                                          \
    X(BUS_UP, bus_up)                                                                              \
    X(BUS_DOWN, bus_down)                                                                          \
    X(BUS_INPUT, bus_input)                                                                        \
    X(BUS_OUTPUT, bus_output)                                                                      \
    X(BUS_SENT, bus_sent)                                                                          \
    X(CONTROL_OPEN, control_open)                                                                  \
    X(CONTROL_LINE, control_line)                                                                  \
    X(CONTROL_CLOSE, control_close)                                                                \
    X(STREAM_LISTENING, stream_listening)                                                          \
    X(STREAM_OPENED, stream_opened)                                                                \
    X(STREAM_ROOM, stream_room)                                                                    \
    X(STREAM_INPUT, stream_input)                                                                  \
    X(STREAM_EOF, stream_eof)                                                                      \
    X(STREAM_GONE, stream_gone)                                                                    \
    X(STREAM_OUTPUT, stream_output)                                                                \
    X(STREAM_SENT, stream_sent)                                                                    \
    X(NEXT_ACTION, next_action)                                                                    \
    X(STOP, stop)                                                                                  \
    X(MACHINE, machine)

enum vpc_object_call {
#define VPC_OBJECT_CALL(name, function) VPC_OBJECT_##name,
    VPC_OBJECT_CALLS(VPC_OBJECT_CALL)
#undef VPC_OBJECT_CALL
        VPC_OBJECT_CALL_COUNT
};

#define VPC_OBJECT_ENDPOINTS   2           /* the one that is judged, and one that must not start */
#define VPC_OBJECT_ASK_MAX     (8u << 20)  /* octets of a question, without its header */
#define VPC_OBJECT_TEXT_MAX    (1u << 20)  /* of an action's text */
#define VPC_OBJECT_ACTIONS     (64u << 10) /* octets of actions after which no other is taken */
#define VPC_OBJECT_ACTIONS_MAX (VPC_OBJECT_ACTIONS + VPC_OBJECT_TEXT_MAX + 64) /* in one answer */
#define VPC_OBJECT_OCTETS_MAX  (256u << 10) /* of output that is shown at once */
#define VPC_OBJECT_HINTS_MAX   16384u       /* streams that are looked at */
#define VPC_OBJECT_AHEAD       (16u << 10)  /* octets that either side reads at once, or more */

struct vpc_object_ask {
    uint32_t size;
    uint16_t call;     /* enum vpc_object_call */
    uint16_t endpoint; /* below VPC_OBJECT_ENDPOINTS */
    uint32_t number;   /* the stream, client, or how many pieces */
    int32_t error;
    uint64_t value; /* time, limit, how many octets were sent */
};

/* Of a stream that is open: how much it has to write, and how much it would take. */
struct vpc_object_hint {
    uint32_t stream;
    uint32_t output;
    uint64_t room;
};

#define VPC_OBJECT_NO_KIND UINT32_MAX /* of an action that next_action() did not tell of by 1 */

/* Its text stands behind it, with a NUL. */
struct vpc_object_action {
    uint32_t kind, stream, client, value; /* as in vpc_action */
    uint64_t limit_ms;
    uint32_t text_size; /* without the NUL */
};

struct vpc_object_answer {
    uint32_t size;
    uint16_t call;  /* that is answered */
    uint8_t looked; /* there is no other action, and bus, hints and deadline stand here */
    /* it has for the bus the first `kept` octets of what was shown and not sent, then the octets */
    uint8_t shows_bus;
    uint64_t value; /* what the call gave; BUS_INPUT: how many pieces were taken */
    uint64_t deadline;
    uint32_t actions_size, octets_size, hint_count, kept;
};

#endif
