/* SPDX-License-Identifier: MIT */
/* Control groups of runs, where this user may make some; else each test says that there are none. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/group.h"
#include "memory.h"

static char *groups;
static struct conform_group group;

static void set_up(void)
{
    groups = conform_groups_begin();
    conform_group_begin(&group, groups);
    if (groups == NULL)
        fprintf(stderr, "test_group: skipped: no control group of version 2 with memory and pids "
                        "can be made here\n");
}

static void tear_down(void)
{
    conform_group_end(&group);
    if (groups)
        cr_expect_eq(access(groups, F_OK), 0);
    if (groups)
        cr_expect_eq(rmdir(groups), 0, "something is left in %s: %s", groups, strerror(errno));
    free(groups);
}

TestSuite(group, .init = set_up, .fini = tear_down, .timeout = 60);

/* What a process in the group comes to, as waitpid gives it. */
static int in_group(void (*fn)(void))
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        if (conform_group_enter(group.procs) != 0)
            _exit(99);
        fn();
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

/* They stay: the end of the group is theirs. */
static void fork_until_refused(void)
{
    int count = 0;

    for (pid_t pid; (pid = fork()) >= 0 && count <= VPC_GROUP_PROCESSES; count++)
        while (pid == 0)
            pause();
    _exit(errno == EAGAIN && count == VPC_GROUP_PROCESSES - 1 ? 0 : 1);
}

static void touch_64_mib(void)
{
    size_t size = 64 << 20;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (size_t at = 0; memory != MAP_FAILED && at < size; at += 4096)
        memory[at] = 1;
}

static void bound_memory(const char *octets)
{
    char *path = vpc_format("%s/memory.max", group.path);
    FILE *file = fopen(path, "we");

    cr_assert(file && fputs(octets, file) >= 0 && fclose(file) == 0);
    free(path);
}

Test(group, processes_are_bounded_together_and_end_with_it)
{
    if (groups)
        cr_expect_eq(in_group(fork_until_refused), 0);
}

Test(group, memory_is_bounded_and_who_used_it_up_is_known)
{
    int status;

    if (groups == NULL)
        return;
    cr_expect_eq(in_group(touch_64_mib), 0);
    cr_expect_not(conform_group_was_full(&group));
    bound_memory("16777216");
    status = in_group(touch_64_mib);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    cr_expect(conform_group_was_full(&group));
}

Test(group, without_any_there_is_none)
{
    struct conform_group none;

    conform_group_begin(&none, NULL);
    cr_expect_null(none.path);
    cr_expect_eq(none.procs, 0);
    cr_expect_not(conform_group_was_full(&none));
    conform_group_end(&none);
    conform_group_begin(&none, "/tmp"); /* which is no group */
    cr_expect_null(none.path);
    cr_expect_eq(none.procs, 0);
}
