/* SPDX-License-Identifier: MIT */
/* Who was held up, who spins: told from what a process has had of the processors. */
#include <criterion/criterion.h>
#include <unistd.h>

#include "backends/load.h"
#include "clock.h"

TestSuite(load, .timeout = 20);

static bool share_of(void *watched, struct vpc_share *share)
{
    *share = *(const struct vpc_share *)watched;
    return true;
}

/* Of the last five seconds, in milliseconds. */
static struct conform_load of(struct vpc_share *share, uint64_t used, uint64_t waited)
{
    struct conform_load load = {.share = share_of, .watched = share, .since = vpc_real_ms() - 5000};

    *share = (struct vpc_share){.used = used * 1000, .waited = waited * 1000};
    cr_assert(vpc_process_share(getpid(), &load.own));
    return load;
}

Test(load, who_is_ready_all_the_time_spins)
{
    struct vpc_share share;
    struct conform_load load = of(&share, 600, 4400);

    cr_expect(conform_load_spins(&load));
    cr_expect_gt(conform_load_excuse(&load), 4000, "so far it may have had too little");
    load = of(&share, 5000, 0);
    cr_expect(conform_load_spins(&load));
    cr_expect_eq(conform_load_excuse(&load), 0, "it stands in its own way");
}

Test(load, who_sleeps_does_not_spin)
{
    struct vpc_share share;
    struct conform_load load = of(&share, 100, 4000);

    cr_expect_not(conform_load_spins(&load));
    cr_expect_gt(conform_load_excuse(&load), 3000);
    load = of(&share, 0, 0);
    cr_expect_not(conform_load_spins(&load));
    cr_expect_eq(conform_load_excuse(&load), 0);
}

Test(load, who_had_two_seconds_is_late_by_himself)
{
    struct vpc_share share;
    struct conform_load load = of(&share, 2100, 2900);

    cr_expect(conform_load_spins(&load));
    cr_expect_eq(conform_load_excuse(&load), 0);
}

Test(load, nobody_is_watched)
{
    struct conform_load load = {.since = vpc_real_ms() - 5000};

    cr_expect_not(conform_load_spins(&load));
    cr_expect_eq(conform_load_excuse(&load), 0);
}
