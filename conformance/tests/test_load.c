/* SPDX-License-Identifier: MIT */
/* Who was held up, who spins: told from what a process has had of the processors. */
#include <criterion/criterion.h>
#include <signal.h>
#include <sys/wait.h>
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

/* The looks are a second apart. */
static void look_after(struct conform_load *load, struct vpc_share *share, struct vpc_share now)
{
    *share = now;
    load->looked = vpc_real_ms() - 1000;
    conform_load_look(load);
}

Test(load, who_was_seen_to_wait_is_excused_when_he_is_gone)
{
    struct vpc_share share;
    struct conform_load load = of(&share, 0, 0);

    for (int i = 0; i < 6; i++)
        look_after(&load, &share, (struct vpc_share){.used = 1000, .waits = true});
    look_after(&load, &share, (struct vpc_share){0});
    cr_expect_geq(load.seen, 5000000);
    cr_expect_gt(conform_load_excuse(&load), 4000);
}

Test(load, who_runs_or_sleeps_is_not_seen_to_wait)
{
    struct vpc_share share;
    struct conform_load load = of(&share, 0, 0);

    for (uint64_t i = 0; i < 5; i++)
        look_after(&load, &share, (struct vpc_share){.used = i * 2000000, .waits = true});
    look_after(&load, &share, (struct vpc_share){.used = 9000000});
    for (int i = 0; i < 5; i++)
        look_after(&load, &share, (struct vpc_share){.used = 9000000, .waits = i % 2 == 1});
    cr_expect_lt(load.seen, 100000);
    load.looked = vpc_real_ms();
    share.waits = true;
    conform_load_look(&load);
    cr_expect_not(load.last.waits, "it looks ten times in a second, not more");
}

/* A script that waits for its child. */
static void spin_behind_a_sleeper(void)
{
    if (fork() == 0)
        while (true)
            ;
    while (true)
        pause();
}

Test(load, a_share_is_that_of_all_that_was_started)
{
    struct vpc_share alone, tree;
    pid_t pid = fork();

    if (pid == 0) {
        setpgid(0, 0);
        spin_behind_a_sleeper();
    }
    do
        cr_assert(vpc_process_tree_share(pid, &tree));
    while (tree.used + tree.waited < 500000);
    cr_expect(vpc_process_share(pid, &alone));
    cr_expect_lt(alone.used, 400000);
    kill(-pid, SIGKILL);
    waitpid(pid, NULL, 0);
    cr_expect_not(vpc_process_tree_share(pid, &tree));
    cr_expect_not(vpc_process_tree_share(0, &tree));
}

Test(load, nobody_is_watched)
{
    struct conform_load load = {.since = vpc_real_ms() - 5000};

    cr_expect_not(conform_load_spins(&load));
    cr_expect_eq(conform_load_excuse(&load), 0);
}
