/* SPDX-License-Identifier: MIT */
/* The limit of open files of an endpoint that may have many pairs. */
#include "programs.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(open_files, .timeout = 20, .init = scratch_begin, .fini = scratch_end);

/* The soft limit that a host endpoint for 1000 pairs gives itself, when it is started with these. */
static unsigned long limit_of_a_host(rlim_t soft, rlim_t hard)
{
    struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
    char bus[128], control[128];

    snprintf(bus, sizeof(bus), "%s/no-bus", scratch);
    snprintf(control, sizeof(control), "%s/vms/many.sock", scratch);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    pid_t host = program_run(-1, -1,
                             (const char *[]){"vpc-host", "--bus", bus, "--runtime-dir", scratch,
                                              "--vm", "many", "--option", "max_pairs=1000", NULL});
    int64_t end = scratch_now_ms() + PROGRAM_LIMIT_MS;
    while (access(control, F_OK) != 0) {
        cr_assert_lt(scratch_now_ms(), end, "the endpoint does not start");
        scratch_sleep_ms(5);
    }
    cr_assert_eq(prlimit(host, RLIMIT_NOFILE, NULL, &limit), 0);
    kill(host, SIGTERM);
    cr_assert_eq(program_ended(host), 0);
    return limit.rlim_cur;
}

Test(open_files, the_soft_limit_is_raised_to_what_the_pairs_need)
{
    cr_assert_eq(limit_of_a_host(128, 8000), 256u + 4 * 1000);
}

Test(open_files, the_hard_limit_is_as_far_as_it_goes)
{
    cr_assert_eq(limit_of_a_host(128, 500), 500u);
}

Test(open_files, a_limit_that_is_enough_stays)
{
    cr_assert_eq(limit_of_a_host(5000, 8000), 5000u);
}
