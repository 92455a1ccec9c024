/* SPDX-License-Identifier: MIT */
/* The files of the event log: how large they become, whose entries stay in them, and what a full disk or another's hand
 * does to them.  An entry has a number, in `time`, by which it is found again. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/log_files.h"
#include "log_entry.h"
#include "log_share.h"
#include "shell_rig.h"

enum {
    LIMIT = 8192,
    FILES = 4,
};

static const char *const ends[FILES] = {"", ".1", ".guest", ".guest.1"};
static char bus[128];
static int number;

static void open_log(void)
{
    rig_log_limit = LIMIT;
    rig_begin_with(bus, &fake_abi);
}

static void begin(void)
{
    scratch_begin();
    snprintf(rig_bus, sizeof(rig_bus), "%s/bus", scratch);
    snprintf(bus, sizeof(bus), "listen:%s", rig_bus);
    open_log();
}

TestSuite(log_file, .timeout = 60, .init = begin, .fini = rig_end);

static const char *path_of(int file)
{
    static char path[FILES][128];

    snprintf(path[file], sizeof(path[file]), "%s%s", rig_log, ends[file]);
    return path[file];
}

static long size_of(int file)
{
    struct stat st;

    return stat(path_of(file), &st) == 0 ? (long)st.st_size : -1;
}

static void entry(enum vpc_log_id id, const char *source)
{
    static char text[256];

    snprintf(
        text, sizeof(text),
        "{\"time\":%d,\"id\":%d,\"name\":\"N\",\"level\":\"info\",\"source\":\"%s\",\"vm\":\"v\","
        "\"message\":\"Something that is about as long as most.\",\"cause\":\"\\\"id\\\":1004\"}",
        ++number, (int)id, source);
    fake_act(VPC_ACTION_LOG, 0, 0, 0, text);
    vpc_shell_turn(rig, 0);
    for (int i = 0; i < FILES; i++)
        cr_assert_leq(size_of(i), LIMIT, "%s grows over the limit", path_of(i));
}

static int own(void)
{
    entry(VPC_LOG_CHANNEL_OPENED, "host");
    return number;
}

static int caused(void)
{
    entry(VPC_LOG_CHANNEL_READY, "host");
    return number;
}

static int said(void)
{
    entry(VPC_LOG_CHANNEL_OPENED, "guest");
    return number;
}

/* How often the entry stands in the file. */
static int times_in(int file, int wanted)
{
    char line[512];
    int times = 0, at;
    FILE *log = fopen(path_of(file), "re");

    while (log != NULL && fgets(line, sizeof(line), log) != NULL)
        times += sscanf(line, "{\"time\":%d,", &at) == 1 && at == wanted;
    if (log != NULL)
        fclose(log);
    return times;
}

static int times(int wanted)
{
    int n = 0;

    for (int i = 0; i < FILES; i++)
        n += times_in(i, wanted);
    return n;
}

static void fill(int (*with)(void), unsigned octets)
{
    for (unsigned n = 0; n < octets; n += 150)
        with();
}

/* ---- size -------------------------------------------------------------------------------------- */

Test(log_file, of_two_files_the_newest_entries_are_kept_whole)
{
    fill(own, 10 * LIMIT);
    int oldest = number;
    while (oldest > 1 && times(oldest - 1) == 1)
        oldest--;
    cr_assert_gt(size_of(0) + size_of(1), LIMIT);
    cr_assert_lt(oldest, number - LIMIT / 200, "a whole file and more");
    cr_assert_eq(times(oldest - 1), 0);
    cr_assert_eq(size_of(2), -1, "no guest has caused anything");
}

Test(log_file, without_a_limit_there_is_one_file)
{
    vpc_shell_close(rig);
    rig_log_limit = 0;
    rig_begin_with(bus, &fake_abi);
    for (int i = 0; i < 3 * LIMIT / 150; i++) {
        char text[160];

        snprintf(text, sizeof(text),
                 "{\"time\":%d,\"id\":1020,\"source\":\"guest\",\"x\":\"%0100d\"}", ++number, 0);
        fake_act(VPC_ACTION_LOG, 0, 0, 0, text);
        vpc_shell_turn(rig, 0);
    }
    cr_assert_gt(size_of(0), 2 * LIMIT);
    cr_assert_eq(size_of(1), -1);
    cr_assert_eq(size_of(2), -1);
}

Test(log_file, what_is_too_large_is_cut_to_its_newest_entries)
{
    rig_log_limit = 0;
    for (int i = 0; i < 2; i++) {
        vpc_shell_close(rig);
        FILE *log = fopen(path_of(i), "we");
        for (int n = 0; n < 1000; n++)
            fprintf(log, "{\"time\":%d,\"id\":1020,\"x\":\"%0*d\"}\n", ++number, 10 + n % 50, 0);
        fclose(log);
        open_log();
        cr_assert_leq(size_of(i), LIMIT);
        cr_assert_gt(size_of(i), LIMIT - 100);
        cr_assert_eq(times_in(i, number), 1);
        cr_assert_eq(times_in(i, number - 50), 1);
        cr_assert_eq(times_in(i, number - 900), 0);
    }
    own();
    cr_assert_eq(times(number), 1);
}

Test(log_file, what_is_no_log_is_not_cut)
{
    vpc_shell_close(rig);
    FILE *log = fopen(path_of(1), "we");
    for (int n = 0; n < LIMIT; n++)
        fputs("novel", log);
    fclose(log);
    open_log();
    cr_assert_eq(size_of(1), 5 * LIMIT);
    cr_assert_eq(unlink(path_of(1)), 0);
}

/* ---- whose entries stay -------------------------------------------------------------------------- */

/* A machine's life, then `flood` for so long that a log without shares would have lost all of it. */
static void survives(int (*flood)(void))
{
    int owns[8], ready = caused();
    for (int i = 0; i < 8; i++) {
        owns[i] = own();
        fill(flood, 5 * LIMIT);
        if (i == 3)
            vpc_shell_reload(rig);
        if (i == 5) {
            vpc_shell_close(rig);
            open_log();
        }
    }
    int last = number;
    for (int i = 0; i < 8; i++)
        cr_assert_eq(times(owns[i]), 1, "the host's entry %d is gone", i);
    if (flood == said)
        cr_assert_eq(times(ready), 1, "the guest's words push out its sessions");
    cr_assert_eq(times(last), 1, "the newest are kept too");
    cr_assert_eq(times_in(2, last), 1);
}

Test(log_file, a_guests_words_push_out_none_of_the_hosts)
{
    survives(said);
}

Test(log_file, what_a_guest_causes_pushes_out_none_of_the_hosts)
{
    survives(caused);
}

Test(log_file, in_quiet_times_there_is_one_file_in_order)
{
    for (int i = 0; i < 5; i++) {
        own();
        said();
        caused();
    }
    cr_assert_eq(size_of(2), -1);
    for (int i = 1; i <= number; i++)
        cr_assert_eq(times_in(0, i), 1);
}

/* Of each file that is full a quarter, at least, is the host's own. */
Test(log_file, the_hosts_own_keep_a_quarter_under_a_flood_of_everything)
{
    static int owns[400];
    int count = 0, kept = 0;
    while (count < 400) {
        fill(said, 1500);
        fill(caused, 1500);
        owns[count++] = own();
    }
    while (kept < count && times(owns[count - 1 - kept]) == 1)
        kept++;
    cr_assert_geq(kept, LIMIT / 4 / 200, "%d are kept", kept);
}

Test(log_file, whose_entry_it_is)
{
    static const struct {
        const char *text;
        enum vpc_log_share share;
    } entries[] = {
        {"{\"id\":1000,\"source\":\"host\"}", VPC_LOG_OWN},
        {"{\"id\":1010,\"source\":\"host\"}", VPC_LOG_CAUSED},
        {"{\"id\": 1010, \"source\": \"host\"}", VPC_LOG_CAUSED},
        {"{\"id\":1020,\"source\":\"guest\"}", VPC_LOG_SAID},
        {"{\"source\": \"guest\", \"id\": 1010}", VPC_LOG_SAID},
        {"{\"id\":1032,\"source\":\"host\",\"event_id\":1010}", VPC_LOG_CAUSED},
        {"{\"id\":1032,\"source\":\"host\",\"event_id\":1004}", VPC_LOG_OWN},
        {"{\"id\":1004,\"source\":\"host\",\"cause\":\"\\\"source\\\":\\\"guest\\\"\"}",
         VPC_LOG_OWN},
        {"{\"id\":1043,\"source\":\"host\"}", VPC_LOG_CAUSED},
        {"{\"id\":1056,\"source\":\"host\"}", VPC_LOG_CAUSED},
        {"{\"id\":1055,\"source\":\"host\"}", VPC_LOG_OWN},
        {"{\"id\":", VPC_LOG_OWN},
        {"", VPC_LOG_OWN},
        {"\"source\":\"gues", VPC_LOG_OWN},
    };

    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
        cr_assert_eq(vpc_log_share_of(entries[i].text, strlen(entries[i].text)), entries[i].share,
                     "%s", entries[i].text);
}

/* The requirement's first sentences, up to its cases. */
static char *sentences_of(const char *requirement)
{
    static char text[1 << 20];
    FILE *document = fopen(VPC_VECTORS "/../VPCBUS.md", "re");

    cr_assert_not_null(document);
    text[fread(text, 1, sizeof(text) - 1, document)] = '\0';
    fclose(document);
    char *at = strstr(text, requirement);
    cr_assert_not_null(at);
    *strstr(at, "  1. ") = '\0';
    return at;
}

/* EVENTS_SUPPRESSED is of the share that it speaks of. */
Test(log_file, the_ids_that_a_guest_causes_are_those_of_the_specification)
{
    const char *sentences = sentences_of("- **LOG-12**");
    char text[64], name[64];

    for (size_t i = 0; i < VPC_LOG_KIND_COUNT; i++) {
        const struct vpc_log_kind *kind = vpc_log_kind_at(i);
        int n = snprintf(text, sizeof(text), "{\"id\":%d,\"source\":\"host\"}", kind->id);

        snprintf(name, sizeof(name), "%s,", kind->name);
        cr_assert_eq(vpc_log_share_of(text, (size_t)n) == VPC_LOG_CAUSED,
                     strstr(sentences, name) != NULL, "%s", kind->name);
    }
}

/* ---- who reads along ------------------------------------------------------------------------------- */

/* All that is there: each entry once, in order. */
static int read_on(struct ctl_log *log, int last)
{
    const char *line;
    size_t n;

    while ((line = ctl_log_next(log, &n)) != NULL) {
        int at = 0;

        cr_assert_eq(strlen(line), n);
        cr_assert_eq(sscanf(line, "{\"time\":%d,", &at), 1, "%s", line);
        cr_assert_eq(at, last + 1, "%d came behind %d", at, last);
        last = at;
    }
    return last;
}

Test(log_file, a_reader_gets_each_entry_once_and_in_order)
{
    static int (*const kinds[])(void) = {own, said, said, caused, said};
    struct ctl_log log;
    int last = 0;

    ctl_log_begin(&log, rig_log);
    for (int i = 0; i < 3000; i++) {
        kinds[i % 5]();
        /* No oftener than each file is turned over twice. */
        if (i % (1 + i % 90) == 0)
            last = read_on(&log, last);
        cr_assert_eq(ctl_log_open(&log), 0);
    }
    cr_assert_eq(read_on(&log, last), number);
    ctl_log_end(&log);
}

Test(log_file, a_reader_that_comes_late_gets_what_is_kept_in_order)
{
    struct ctl_log log;
    const char *line;
    size_t n;
    int last = 0, at, count = 0;

    for (int i = 0; i < 500; i++) {
        own();
        said();
        said();
    }
    ctl_log_begin(&log, rig_log);
    cr_assert_eq(ctl_log_open(&log), 0);
    for (; (line = ctl_log_next(&log, &n)) != NULL; count++) {
        cr_assert_eq(sscanf(line, "{\"time\":%d,", &at), 1);
        cr_assert_gt(at, last);
        last = at;
    }
    cr_assert_eq(last, number);
    cr_assert_gt(count, 3 * LIMIT / 200);
    ctl_log_end(&log);
}

Test(log_file, a_file_that_is_moved_to_another_name_is_not_read_twice)
{
    struct ctl_log log;
    char aside[160];

    snprintf(aside, sizeof(aside), "%s-2026", rig_log);
    fill(own, 2 * LIMIT);
    while (size_of(0) > LIMIT / 2)
        own();
    ctl_log_begin(&log, rig_log);
    cr_assert_eq(ctl_log_open(&log), 0);
    size_t n;
    while (ctl_log_next(&log, &n) != NULL)
        ;
    int last = number;
    own();
    cr_assert_eq(rename(rig_log, aside), 0);
    vpc_shell_reload(rig);
    own();
    cr_assert_eq(read_on(&log, last), number);
    ctl_log_end(&log);
}

/* ---- a full disk, and another's hand -------------------------------------------------------------- */

static void limit_files(rlim_t size)
{
    struct rlimit limit;

    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(log_file, a_full_disk_loses_entries_until_there_is_room)
{
    signal(SIGXFSZ, SIG_IGN);
    int before = own();
    limit_files(1000);
    fill(own, 4000);
    int lost = number;
    limit_files(RLIM_INFINITY);
    int after = own();
    cr_assert_eq(times(before), 1);
    cr_assert_eq(times(lost), 0);
    cr_assert_eq(times(after), 1);
    fill(own, 3 * LIMIT);
    cr_assert_eq(times(number), 1);
}

/* The log becomes what there is now under its name. */
static void open_anew(void)
{
    vpc_shell_reload(rig);
    vpc_shell_turn(rig, 0);
}

/* It would wait for ever. */
Test(log_file, a_pipe_that_nobody_reads_loses_entries_until_there_is_room)
{
    char away[65536];

    cr_assert_eq(unlink(rig_log), 0);
    cr_assert_eq(mkfifo(rig_log, 0600), 0);
    int reader = open(rig_log, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    open_anew();
    fill(own, 4 * sizeof(away));
    while (read(reader, away, sizeof(away)) > 0)
        ;
    own();
    ssize_t n = read(reader, away, sizeof(away));
    cr_assert_gt(n, 0, "the newest is there again");
    close(reader);
}

/* What is in it, to count the shares, is without end. */
Test(log_file, a_device_can_be_the_log)
{
    static const char *const devices[] = {"/dev/zero", "/dev/full", "/dev/null"};

    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
        cr_assert_eq(unlink(rig_log), 0);
        cr_assert_eq(symlink(devices[i], rig_log), 0);
        open_anew();
        own();
    }
}

Test(log_file, what_somebody_else_has_rotated_is_not_turned_over)
{
    int first = own();
    char aside[160];
    snprintf(aside, sizeof(aside), "%s-aside", rig_log);
    cr_assert_eq(rename(rig_log, aside), 0);
    fill(own, LIMIT / 2); /* to the file of before */
    cr_assert_eq(size_of(0), -1);
    fill(own, LIMIT); /* which is full, and has no name that we know */
    cr_assert_gt(size_of(0), 0);
    cr_assert_eq(size_of(1), -1);
    cr_assert_eq(times(first), 0);
    cr_assert_eq(times(number), 1);
}

/* As if it was killed between the two. */
Test(log_file, a_turn_that_was_broken_off_is_finished_by_the_next_start)
{
    fill(own, LIMIT / 2);
    int last = number;
    vpc_shell_close(rig);
    cr_assert_eq(rename(path_of(0), path_of(1)), 0);
    open_log();
    own();
    cr_assert_eq(times_in(1, last), 1);
    cr_assert_eq(times_in(0, number), 1);
    fill(own, 3 * LIMIT);
    cr_assert_eq(times(number), 1);
}

Test(log_file, a_removed_file_is_made_anew)
{
    own();
    cr_assert_eq(unlink(rig_log), 0);
    fill(own, 2 * LIMIT);
    cr_assert_eq(times(number), 1);
}

Test(log_file, a_turn_that_fails_keeps_to_the_limit)
{
    fill(own, LIMIT - 400);
    cr_assert_eq(mkdir(path_of(1), 0700), 0);
    fill(own, LIMIT);
    cr_assert_eq(times(number), 0);
    cr_assert_leq(size_of(0), LIMIT);
    cr_assert_eq(rmdir(path_of(1)), 0);
    own();
    cr_assert_eq(times_in(0, number), 1);
    cr_assert_gt(size_of(1), LIMIT / 2);
}
