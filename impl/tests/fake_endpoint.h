/* SPDX-License-Identifier: MIT */
/*
 * An endpoint that makes no decision of its own: a test says what it wants (actions, room, output),
 * and reads what the shell told it.  What a test gives a stream is told by WAKE.  It follows spec/vpc_endpoint.h, so what it checks of its
 * caller are the ABI's own rules.
 */
#ifndef VPC_FAKE_ENDPOINT_H
#define VPC_FAKE_ENDPOINT_H

#include <stdbool.h>

#include "vpc_endpoint.h"

enum {
    FAKE_STREAMS = 8,
    FAKE_CAPACITY = 1 << 20,
};

struct fake_stream {
    int listening; /* -1: not said; else the error of stream_listening() */
    int opened;    /* -1: not said; else the error of stream_opened() */
    int gone;      /* -1: not said; else the error of stream_gone() */
    int eofs;
    char path[128];
    size_t room;          /* what stream_room() says; the test sets it */
    unsigned char *input; /* what the local program wrote */
    size_t input_size;
    size_t output_size; /* octets of value `number` that still wait to be written */
    size_t output_sent;
    bool room_known, output_known; /* the shell knows that there is some */
};

struct fake_endpoint {
    struct fake_stream streams[FAKE_STREAMS + 1]; /* by number */
    int ups, downs;
    unsigned char *bus_input;
    size_t bus_input_size;
    bool bus_echo;        /* what comes from the bus goes back */
    size_t bus_output_at; /* of bus_input, while it echoes */
    int clients_opened, clients_closed;
    int lines;
    uint32_t last_client;
    char last_line[128];
    size_t reply_size;  /* each line is answered with so many octets; 0: not */
    bool auto_shutdown; /* stream_eof() is answered with SHUTDOWN */
    bool stop_at_once;  /* stop() is answered with STOPPED */
    uint64_t now, deadline;
    vpc_action queue[256];
    unsigned queue_head, queue_tail;
};

extern const vpc_endpoint_abi fake_abi;
/* The one that the shell made last. */
extern struct fake_endpoint *fake;

/* Queues an action for the shell; text must stay valid. */
void fake_act(uint32_t kind, uint32_t stream, uint32_t client, uint32_t value, const char *text);

#endif
