/* SPDX-License-Identifier: MIT */
/* See load.h. */
#include "backends/load.h"

#include <poll.h>
#include <unistd.h>

#include "clock.h"

#define ENOUGH_MS     2000 /* of a processor: who is late then is late by itself */
#define LOOK_AGAIN_MS 10
#define LOOK_MS       100 /* from one look in between to the next */

/* What is gone since takes its time with it. */
static uint64_t since(uint64_t now, uint64_t then)
{
    return now > then ? now - then : 0;
}

static bool share_of_backend(void *watched, struct vpc_share *share)
{
    struct vpc_backend *backend = watched;

    return backend->ops->share(backend, share);
}

static bool share_of_process(void *watched, struct vpc_share *share)
{
    const struct vpc_process *process = watched;

    return vpc_process_tree_share(process->pid, share);
}

static void begin(struct conform_load *load, conform_share_fn *share, void *watched)
{
    *load = (struct conform_load){.share = share, .watched = watched, .since = vpc_real_ms()};
    if (share == NULL)
        return;
    if (!share(watched, &load->first))
        load->first = (struct vpc_share){0};
    load->last = load->first;
    load->looked = load->since;
    if (!vpc_process_share(getpid(), &load->own))
        load->own = (struct vpc_share){0};
}

void conform_load_begin(struct conform_load *load, struct vpc_backend *backend)
{
    begin(load, backend && backend->ops->share ? share_of_backend : NULL, backend);
}

void conform_load_begin_process(struct conform_load *load, const struct vpc_process *process)
{
    begin(load, share_of_process, (void *)(uintptr_t)process);
}

/* Between two looks, in microseconds: who was ready at both, and did not run, has waited all the time. */
static uint64_t waited_between(const struct vpc_share *then, const struct vpc_share *now,
                               uint64_t passed)
{
    uint64_t used = since(now->used, then->used), waited = since(now->waited, then->waited);

    if (then->waits && now->waits)
        waited = since(passed, used);
    return waited < passed ? waited : passed;
}

void conform_load_look(struct conform_load *load)
{
    uint64_t now = vpc_real_ms();
    struct vpc_share share;

    if (load->share == NULL || now - load->looked < LOOK_MS)
        return;
    if (!load->share(load->watched, &share))
        share = (struct vpc_share){0};
    load->seen += waited_between(&load->last, &share, (now - load->looked) * 1000);
    load->last = share;
    load->looked = now;
}

/* How long it had to wait, in microseconds; whoever uses half of a processor stands in its own way. */
static uint64_t waited(const struct conform_load *load, uint64_t passed)
{
    struct vpc_share share, later;
    uint64_t used, told;

    if (!load->share(load->watched, &share))
        return 0;
    used = since(share.used, load->first.used);
    if (used * 2 >= passed)
        return 0;
    poll(NULL, 0, share.waits ? LOOK_AGAIN_MS : 0);
    later = share;
    if (share.waits && load->share(load->watched, &later) && later.waits &&
        later.used == share.used)
        return passed - used;
    told =
        since(later.waited, load->first.waited); /* it has run in between: now the kernel tells */
    return told > load->seen ? told : load->seen;
}

/* Of so much time, in microseconds, so much was waited: in milliseconds, if that is an excuse. */
static uint64_t weigh(uint64_t passed, uint64_t waited)
{
    waited = waited < passed ? waited : passed;
    return waited * 4 >= passed && passed - waited < ENOUGH_MS * 1000 ? waited / 1000 : 0;
}

uint64_t conform_load_excuse(const struct conform_load *load)
{
    uint64_t passed = (vpc_real_ms() - load->since) * 1000, its, ours;
    struct vpc_share own;

    if (load->share == NULL)
        return 0;
    its = waited(load, passed);
    ours = vpc_process_share(getpid(), &own) ? since(own.waited, load->own.waited) : 0;
    return weigh(passed, ours > its ? ours : its);
}

bool conform_load_spins(const struct conform_load *load)
{
    uint64_t passed = (vpc_real_ms() - load->since) * 1000;
    struct vpc_share share;

    return load->share && load->share(load->watched, &share) &&
           (since(share.used, load->first.used) + since(share.waited, load->first.waited)) * 10 >=
               passed * 9;
}

uint64_t conform_load_excuse_since(conform_share_fn *share, void *watched, uint64_t since)
{
    const struct conform_load load = {.share = share, .watched = watched, .since = since};
    uint64_t passed = (vpc_real_ms() - since) * 1000;

    /* How long the harness had to wait in all its life says nothing of this time. */
    return weigh(passed, waited(&load, passed));
}
