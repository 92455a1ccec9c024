/* SPDX-License-Identifier: MIT */
/*
 * The monitor's judgement of sessions and numbers; channels of lifecycle.rl are in monitor_channel.c.
 *
 * Limits: the monitor does not see when the subject read what the tester sent.  Where the order of two frames that cross
 * matters it takes every order for possible, and calls a breach only what no order explains.
 */
#include "testers/monitor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testers/monitor_channel.h"

void vpc_monitor_breach(struct vpc_monitor *monitor, const char *requirement, const char *format,
                        ...)
{
    va_list args;

    if (monitor->breach.requirement)
        return;
    monitor->breach.requirement = requirement;
    va_start(args, format);
    vsnprintf(monitor->breach.text, sizeof(monitor->breach.text), format, args);
    va_end(args);
}

static bool holds(const uint64_t *list, size_t count, uint64_t value)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == value)
            return true;
    return false;
}

static void append(uint64_t **list, size_t *count, uint64_t value)
{
    if (holds(*list, *count, value))
        return;
    *list = vpc_grow_by_one(*list, *count, sizeof(**list));
    (*list)[(*count)++] = value;
}

void vpc_monitor_begin(struct vpc_monitor *monitor, const struct vpc_table *table,
                       enum vpc_role_bit subject)
{
    *monitor = (struct vpc_monitor){.table = table, .subject = subject, .ready = -1};
    vpc_decoder_begin(&monitor->tester, table,
                      subject == VPC_FROM_HOST ? VPC_FROM_GUEST : VPC_FROM_HOST);
}

void vpc_monitor_end(struct vpc_monitor *monitor)
{
    vpc_monitor_forget_channels(monitor);
    vpc_decoder_end(&monitor->tester);
    free(monitor->epochs);
    free(monitor->tester_epochs);
}

static void end_session(struct vpc_monitor *monitor)
{
    vpc_monitor_forget_channels(monitor);
    monitor->session = 0;
    monitor->goodbye = false;
    monitor->ready = -1;
    monitor->highest_id = 0;
}

void vpc_monitor_bus(struct vpc_monitor *monitor, bool up)
{
    end_session(monitor);
    monitor->fresh = true;
    monitor->cut = false;
    monitor->tester_epoch_count = 0;
    if (up) {
        enum vpc_role_bit from = monitor->tester.from;

        vpc_decoder_end(&monitor->tester);
        vpc_decoder_begin(&monitor->tester, monitor->table, from);
    }
}

/* ---- the tester's side ---------------------------------------------------------------------------------------------- */

static uint64_t field(const struct conform_frame *frame, const char *name)
{
    uint64_t value = 0;

    vpc_frame_get(frame, name, &value);
    return value;
}

static void tester_hello(struct vpc_monitor *monitor, const struct conform_frame *frame)
{
    append(&monitor->tester_epochs, &monitor->tester_epoch_count, field(frame, "epoch"));
    monitor->tester_epoch = field(frame, "epoch");
    monitor->tester_echoed = field(frame, "echo");
    monitor->echoed |= monitor->tester_echoed == monitor->epoch;
    monitor->max_pairs[1] = field(frame, "max_pairs");
}

/* The subject passes it over (MSG-1). */
static bool passed_over(const struct vpc_monitor *monitor, const struct conform_frame *hello)
{
    return field(hello, "role") == (uint64_t)monitor->subject ||
           field(hello, "version_min") > field(hello, "version_max");
}

/* The subject answers it, and the session goes on (SES-7): it comes from who has not heard the subject yet. */
static bool deaf(const struct vpc_monitor *monitor, const struct conform_frame *hello)
{
    return field(hello, "epoch") == monitor->tester_epoch && field(hello, "echo") != monitor->epoch;
}

/* For a decoder a HELLO tells the session of what follows.  Of a tester that need not be so: before is how it stood. */
static void on_tester_hello(struct vpc_monitor *monitor, const struct conform_frame *hello,
                            const struct vpc_decoder *before)
{
    if (passed_over(monitor, hello) || deaf(monitor, hello)) {
        monitor->tester.session = before->session;
        monitor->tester.next_number = before->next_number;
    }
    if (!passed_over(monitor, hello))
        tester_hello(monitor, hello);
}

void vpc_monitor_sent(struct vpc_monitor *monitor, const void *octets, size_t n)
{
    struct conform_frame frame;
    struct vpc_bad_octets bad;
    struct vpc_decoder before;
    enum vpc_decoded got;

    vpc_decoder_add(&monitor->tester, octets, n);
    while (before = monitor->tester,
           (got = vpc_decoder_next(&monitor->tester, &frame, &bad)) != VPC_DECODED_NONE) {
        if (got == VPC_DECODED_BAD)
            continue;
        if (strcmp(frame.message->name, "HELLO") == 0)
            on_tester_hello(monitor, &frame, &before);
        else if (!frame.message->of_session && monitor->tester.session == monitor->session)
            vpc_monitor_channel_sent(monitor, &frame);
        vpc_frame_clear(&frame);
    }
}

/* ---- the subject's side ----------------------------------------------------------------------------------------------- */

/* Of 64 random bits half are never those of another epoch, unless somebody draws fewer, counts, or goes by a clock. */
static bool shares_half(const uint64_t *list, size_t count, uint64_t epoch)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] >> 32 == epoch >> 32 || (uint32_t)list[i] == (uint32_t)epoch)
            return true;
    return false;
}

static void check_epoch(struct vpc_monitor *monitor, uint64_t epoch)
{
    if (epoch == monitor->epoch && !monitor->fresh)
        return;
    if (holds(monitor->epochs, monitor->epoch_count, epoch))
        vpc_monitor_breach(monitor, "SES-1", "the epoch %016llx of an earlier attempt came again",
                           (unsigned long long)epoch);
    /* Of 64 random bits one half is all zero once in two thousand million times. */
    if (epoch >> 32 == 0 || (uint32_t)epoch == 0)
        vpc_monitor_breach(monitor, "SES-1", "the epoch %016llx was not drawn from 64 random bits",
                           (unsigned long long)epoch);
    else if (shares_half(monitor->epochs, monitor->epoch_count, epoch))
        vpc_monitor_breach(monitor, "SES-1", "half of the epoch %016llx is that of an earlier one",
                           (unsigned long long)epoch);
    append(&monitor->epochs, &monitor->epoch_count, epoch);
    monitor->epoch = epoch;
    monitor->echoed = monitor->tester_echoed == epoch;
    monitor->fresh = false;
    end_session(monitor);
}

static void on_hello(struct vpc_monitor *monitor, const struct conform_frame *frame)
{
    uint64_t echo = field(frame, "echo"), session;

    if (frame->pads < monitor->table->preamble_min && !monitor->late_reader)
        vpc_monitor_breach(monitor, "FRM-8", "a HELLO after %zu octets of padding, %zu are due",
                           frame->pads, monitor->table->preamble_min);
    monitor->late_reader = false; /* what came before it is all that can be missing */
    if (field(frame, "role") != (uint64_t)monitor->subject)
        vpc_monitor_breach(monitor, "MSG-1", "a HELLO with role %llu",
                           (unsigned long long)field(frame, "role"));
    if (field(frame, "features") != 0)
        vpc_monitor_breach(monitor, "MSG-2", "a HELLO with features set that 1.0 does not have");
    check_epoch(monitor, field(frame, "epoch"));
    if (echo != 0 && !holds(monitor->tester_epochs, monitor->tester_epoch_count, echo))
        vpc_monitor_breach(monitor, "SES-2", "echo %016llx is no epoch that was sent to it",
                           (unsigned long long)echo);
    if (echo == 0 && monitor->session != 0)
        vpc_monitor_breach(monitor, "SES-2", "echo 0 behind an epoch that was heard");
    monitor->cut = false;
    monitor->max_pairs[0] = field(frame, "max_pairs");
    session = echo == 0                           ? 0
              : monitor->subject == VPC_FROM_HOST ? conform_session_id(monitor->epoch, echo)
                                                  : conform_session_id(echo, monitor->epoch);
    if (session != monitor->session)
        end_session(monitor);
    monitor->session = session;
}

static void on_ready(struct vpc_monitor *monitor, const struct conform_frame *frame)
{
    int ready = (int)field(frame, "ready");

    if (ready == monitor->ready)
        vpc_monitor_breach(monitor, "SES-12", "READY %d twice in a session", ready);
    monitor->ready = ready;
}

void vpc_monitor_frame(struct vpc_monitor *monitor, const struct conform_frame *frame)
{
    if (!vpc_frame_reserved_zero(frame))
        vpc_monitor_breach(monitor, "FRM-11", "%s with a reserved field that is not zero",
                           frame->message->name);
    if (strcmp(frame->message->name, "HELLO") == 0) {
        on_hello(monitor, frame);
        return;
    }
    if (monitor->cut)
        vpc_monitor_breach(monitor, "FRM-9", "%s after octets that are no frame",
                           frame->message->name);
    if (!monitor->echoed)
        vpc_monitor_breach(monitor, "SES-4", "%s without a HELLO that echoes the epoch",
                           frame->message->name);
    if (monitor->goodbye)
        vpc_monitor_breach(monitor, "SES-17", "%s after GOODBYE", frame->message->name);
    if (strcmp(frame->message->name, "GOODBYE") == 0)
        monitor->goodbye = true;
    else if (strcmp(frame->message->name, "READY") == 0)
        on_ready(monitor, frame);
    else if (!frame->message->of_session)
        vpc_monitor_channel_frame(monitor, frame);
}

void vpc_monitor_bad(struct vpc_monitor *monitor, const struct vpc_bad_octets *bad)
{
    if (!bad->may_be_cut)
        vpc_monitor_breach(monitor, bad->requirement, "%s", bad->why);
    monitor->cut = true;
}

void vpc_monitor_close(struct vpc_monitor *monitor)
{
    if (monitor->cut)
        vpc_monitor_breach(monitor, "FRM-2", "octets that are no frame, and no HELLO after them");
}
