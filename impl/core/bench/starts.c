/* SPDX-License-Identifier: MIT */
/*
 * What a start costs beside pairs that are there already: N - 1 pairs at rest, then many times one more that is started, says
 * a word each way, and ends.
 *
 *   starts [N [TIMES]]     prints microseconds for each of them
 */
#include "core/tests/crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void one_more(struct crowd *crowd)
{
    crowd_start(crowd, 1, 0);
    crowd_open(crowd);
    crowd_say(crowd, &crowd->host, &crowd->guest);
    crowd_say(crowd, &crowd->guest, &crowd->host);
    crowd_finish(crowd);
}

int main(int argc, char **argv)
{
    unsigned pairs = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    unsigned times = argc > 2 ? (unsigned)atoi(argv[2]) : 5000;
    double began, at_rest;
    struct crowd crowd;

    crowd_begin(&crowd, pairs, "");
    began = seconds();
    for (unsigned i = 1; i < pairs; i++) {
        crowd_start(&crowd, 1, i);
        crowd_open(&crowd);
    }
    at_rest = seconds();
    for (unsigned i = 0; i < times; i++)
        one_more(&crowd);
    if (crowd.host.closed != times || crowd.guest.closed != times)
        abort();
    printf("%u pairs: %.2f s to start those at rest; %.1f us for one more, from its start to its "
           "end\n",
           pairs, at_rest - began, (seconds() - at_rest) * 1e6 / times);
    crowd_end(&crowd);
    return fflush(stdout) != 0;
}
