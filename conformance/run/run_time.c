/* SPDX-License-Identifier: MIT */
/*
 * The times that a subject tells, beside the harness's own clock: of entries and EVENTs (LOG-1), of events (CTL-4).
 *
 * In-process the subject knows the time to the millisecond.  A process reads a clock of its own, writes when it comes to it, and
 * is read when the harness comes to it; a machine that was restored is somewhere in the past.  So a process is wrong only by
 * what no slow machine explains: other units, another beginning, a time that runs backwards.
 */
#include <string.h>
#include <time.h>

#include "run/run.h"

#define APART_MS 30000

static uint64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* oldest: what is told may be as old as the run. */
static const char *fault_of(struct vpc_run *run, uint64_t time, bool oldest)
{
    uint64_t now, age = oldest ? vpc_now(run) - run->trace->start : 0;

    if (run->ops->told == NULL) {
        now = wall_ms();
        age += APART_MS;
        return time > now + APART_MS || time + age < now
                   ? "is not in milliseconds since 1970-01-01 00:00:00 UTC"
                   : NULL;
    }
    now = run->ops->told(run->backend);
    return time > now || time + age < now ? "is not the time of clock()" : NULL;
}

void vpc_judge_time(struct vpc_run *run, const char *requirement, const char *what,
                    const json_t *time, uint64_t *last)
{
    uint64_t ms = json_is_integer(time) && json_integer_value(time) >= 0
                      ? (uint64_t)json_integer_value(time)
                      : UINT64_MAX;
    const char *fault = run->restored ? NULL : fault_of(run, ms, last == NULL);

    if (fault == NULL && last && ms < *last && !run->restored)
        fault = "is before that of the one before";
    if (last)
        *last = ms;
    if (fault)
        vpc_run_breach(run, requirement, "the time of %s, %llu, %s", what, (unsigned long long)ms,
                       fault);
}

void vpc_judge_frame_time(void *user, const struct conform_frame *frame)
{
    uint64_t ms = 0;
    json_t *time;

    if (strcmp(frame->message->name, "EVENT") != 0)
        return;
    vpc_frame_get(frame, "time", &ms);
    time = json_integer((json_int_t)ms);
    vpc_judge_time(user, "LOG-1", "an EVENT", time, NULL);
    json_decref(time);
}
