/* SPDX-License-Identifier: MIT */
/*
 * The order of an endpoint's own entries (LOG-3): what must come before what, in every run.
 *
 * An endpoint may leave out entries of an id that comes too often (LOG-9), and what is left out has no place in an order.  So
 * nothing is judged once an id has come that often.
 */
#include "document/entry_order.h"

#include <stdio.h>
#include <string.h>

enum {
    ENDPOINT_STARTED = 1000,
    ENDPOINT_STOPPED = 1001,
    TRANSPORT_UP = 1002,
    TRANSPORT_DOWN = 1003,
    CHANNEL_READY = 1005,
    CHANNEL_NOT_READY = 1006,
    SESSION_UP = 1010,
    SESSION_LOST = 1011,
    LEFT_OUT_AFTER = 100, /* entries of one id */
};

/* What an entry says of a thing that begins and ends. */
static const struct turn {
    int id;
    enum vpc_log_thing thing;
    bool begins;
    enum vpc_log_thing within; /* what must be on for it to begin; itself: nothing */
    const char *fault;         /* when that is off */
} turns[] = {
    {TRANSPORT_UP, VPC_LOG_TRANSPORT, true, VPC_LOG_TRANSPORT, NULL},
    {TRANSPORT_DOWN, VPC_LOG_TRANSPORT, false, VPC_LOG_TRANSPORT, NULL},
    {SESSION_UP, VPC_LOG_SESSION, true, VPC_LOG_TRANSPORT, "without a transport"},
    {SESSION_LOST, VPC_LOG_SESSION, false, VPC_LOG_SESSION, NULL},
    {CHANNEL_READY, VPC_LOG_READINESS, true, VPC_LOG_SESSION, "without a session"},
    {CHANNEL_NOT_READY, VPC_LOG_READINESS, false, VPC_LOG_READINESS, NULL},
};

static const struct turn *turn_of(json_int_t id)
{
    for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++)
        if (turns[i].id == id)
            return &turns[i];
    return NULL;
}

static bool too_often(struct vpc_log_order *order, json_int_t id)
{
    size_t i = (size_t)id % (sizeof(order->count) / sizeof(order->count[0]));

    if (++order->count[i] >= LEFT_OUT_AFTER)
        order->spent = true;
    return order->spent;
}

/* The beginning and the end of the log of one life; false: there is more to look at. */
static bool judge_life(struct vpc_log_order *order, json_int_t id, const char **fault)
{
    if (id == ENDPOINT_STARTED) {
        *order = (struct vpc_log_order){.started = true};
        return true;
    }
    if (!order->started)
        *fault = "before ENDPOINT_STARTED";
    else if (order->stopped)
        *fault = "after ENDPOINT_STOPPED";
    order->stopped |= id == ENDPOINT_STOPPED;
    return *fault != NULL || order->stopped;
}

static void judge_turn(struct vpc_log_order *order, const struct turn *turn, const char **fault)
{
    bool *on = &order->on[turn->thing];

    if (*on == turn->begins)
        *fault = turn->begins ? "of what has begun already" : "of what has not begun";
    else if (turn->fault && !order->on[turn->within])
        *fault = turn->fault;
    *on = turn->begins;
}

const char *vpc_log_order_breach(struct vpc_log_order *order, const json_t *entry, char *text,
                                 size_t size)
{
    json_int_t id = json_integer_value(json_object_get(entry, "id"));
    const struct turn *turn = turn_of(id);
    const char *fault = NULL;

    if (json_object_get(entry, "guest_time")) /* it came by EVENT */
        return NULL;
    if (!judge_life(order, id, &fault)) {
        if (too_often(order, id))
            return NULL;
        if (turn)
            judge_turn(order, turn, &fault);
        else if (json_object_get(entry, "h2g") && !order->on[VPC_LOG_SESSION])
            fault = "about a pair, outside of a session";
    }
    if (fault == NULL)
        return NULL;
    snprintf(text, size, "an entry %s %s", json_string_value(json_object_get(entry, "name")),
             fault);
    return "LOG-3";
}
