/* SPDX-License-Identifier: MIT */
/* What is generated: that it is whole, that it can be read, and that chance can be repeated. */
#include <criterion/criterion.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "document/embedded.h"
#include "generate/generate.h"
#include "memory.h"
#include "script/script.h"
#include "testers/monitor.h"

static struct vpc_table *table;
static struct vpc_spec *spec;
static char dir[64];

static void set_up(void)
{
    char *error = NULL;

    table = vpc_table_load(vpc_embedded_messages, &error);
    spec = vpc_spec_load(vpc_embedded_document);
    strcpy(dir, "/tmp/vpc-generate-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

typedef void visit_fn(const char *path, void *user);

static void each_file(visit_fn *visit, void *user, bool remove_all)
{
    char *const paths[] = {dir, NULL};
    FTS *tree = fts_open(paths, FTS_NOCHDIR | FTS_PHYSICAL, NULL);
    FTSENT *entry;

    while ((entry = fts_read(tree)) != NULL) {
        if (entry->fts_info == FTS_F && visit)
            visit(entry->fts_path, user);
        if (remove_all && entry->fts_info != FTS_D)
            remove(entry->fts_path);
    }
    fts_close(tree);
}

static void tear_down(void)
{
    each_file(NULL, NULL, true);
    vpc_table_free(table);
    vpc_spec_free(spec);
}

TestSuite(generate, .init = set_up, .fini = tear_down, .timeout = 60);

static size_t generate(uint64_t seed)
{
    char *error = NULL;
    size_t count = 0;

    cr_assert(vpc_generate(table, dir, seed, &count, &error), "%s", error);
    return count;
}

static char *text_of(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t room = 0;

    cr_assert_not_null(file);
    cr_assert_gt(getdelim(&text, &room, '\0', file), 0);
    fclose(file);
    return text;
}

static void read_one(const char *path, void *user)
{
    char *error = NULL;
    struct vpc_script *script = vpc_script_load(path, table, spec, &error);

    cr_assert_not_null(script, "%s", error);
    vpc_script_free(script);
    ++*(size_t *)user;
}

Test(generate, each_can_be_read_and_has_a_name_of_its_own)
{
    size_t count = generate(1), seen = 0;

    cr_assert_geq(count, 250);
    each_file(read_one, &seen, false);
    cr_assert_eq(seen, count);
}

static void mix_one(const char *path, void *user)
{
    char *text = text_of(path);

    for (const char *at = text; *at; at++)
        *(uint64_t *)user = *(uint64_t *)user * 31 + (unsigned char)*at;
    free(text);
}

static uint64_t sum_of(uint64_t seed)
{
    uint64_t sum = 0;

    each_file(NULL, NULL, true);
    cr_assert_eq(access(dir, F_OK), -1);
    generate(seed);
    each_file(mix_one, &sum, false);
    return sum;
}

Test(generate, the_same_seed_gives_the_same_files)
{
    uint64_t first = sum_of(7);

    cr_expect_eq(sum_of(7), first);
    cr_expect_neq(sum_of(8), first);
}

Test(generate, a_folder_that_can_not_be_made_is_said)
{
    char *error = NULL;
    size_t count;

    cr_assert_not(vpc_generate(table, "/dev/null/here", 1, &count, &error));
    cr_expect_not_null(strstr(error, "/dev/null/here"), "%s", error);
    free(error);
}

/* ---- the machines ---------------------------------------------------------------------------------------------------- */

static void collect(const char *path, void *user)
{
    char *text = text_of(path), *line = strstr(text, "# lifecycle.rl: ");

    if (line)
        vpc_buffer_add(user, line, strcspn(line, "\n") + 1);
    free(text);
}

static const char *const messages[] = {"open",   "opened", "refused", "data",
                                       "credit", "fin",    "reset",   "released"};

#define MAX_STATES 16

/* Every state that events lead to, with its name. */
static size_t states_of(bool sending, int states[MAX_STATES], const char *state_names[MAX_STATES])
{
    size_t count = 1;

    states[0] = vpc_channel_start(sending);
    state_names[0] = "idle";
    for (size_t i = 0; i < count; i++) {
        for (unsigned event = 32; event < 66; event++) {
            const char *name;
            unsigned actions;
            int next = vpc_channel_step(sending, states[i], (unsigned char)event, &actions, &name);
            bool known = next < 0;

            for (size_t k = 0; k < count; k++)
                known |= strcmp(state_names[k], name) == 0;
            if (!known) {
                states[count] = next;
                state_names[count++] = name;
            }
        }
    }
    return count;
}

/* Each message that either peer can send, legal or not, in each state of either end. */
Test(generate, no_message_in_no_state_is_left_out)
{
    struct vpc_buffer found = {0};
    int states[MAX_STATES];
    const char *state_names[MAX_STATES];

    generate(1);
    each_file(collect, &found, false);
    vpc_buffer_add(&found, "", 1);
    for (int sending = 0; sending < 2; sending++) {
        size_t count = states_of(sending, states, state_names);

        cr_assert_eq(count, 6);
        for (size_t s = 0; s < count; s++) {
            for (size_t m = 0; m < 8; m++) {
                char *line =
                    vpc_format("vpc_%s_channel %s, %s\n", sending ? "sending" : "receiving",
                               state_names[s], messages[m]);

                cr_expect((m == 0 && strcmp(state_names[s], "idle") == 0) ||
                              strstr((char *)found.data, line),
                          "%s", line);
                free(line);
            }
        }
    }
    vpc_buffer_free(&found);
}

Test(generate, a_broken_guard_in_each_state_that_knows_one)
{
    struct vpc_buffer found = {0};
    int states[MAX_STATES];
    const char *state_names[MAX_STATES], *next;
    unsigned actions;

    generate(1);
    each_file(collect, &found, false);
    vpc_buffer_add(&found, "", 1);
    for (int sending = 0; sending < 2; sending++) {
        size_t count = states_of(sending, states, state_names);

        for (size_t s = 0; s < count; s++) {
            char *line = vpc_format("vpc_%s_channel %s, bad_guard\n",
                                    sending ? "sending" : "receiving", state_names[s]);

            cr_expect((vpc_channel_step(sending, states[s], 64, &actions, &next) >= 0) ==
                          (strstr((char *)found.data, line) != NULL),
                      "%s", line);
            free(line);
        }
    }
    vpc_buffer_free(&found);
}

/* The numbers of generate.h are those of lifecycle.rl: an event beyond the last is known to no state but the end. */
Test(generate, the_session_machine_has_no_event_that_is_not_known_here)
{
    unsigned char road[] = {VPC_TRANSPORT_UP, VPC_HELLO_ECHO, VPC_RCV_READY};
    int state = vpc_session_start();
    const char *name = "down";
    unsigned actions;

    for (size_t i = 0; i <= sizeof(road); i++) {
        for (unsigned char event = VPC_SESSION_EVENTS; event < 32; event++)
            cr_expect_lt(vpc_session_step(state, event, &actions, &name), 0, "%u", event);
        if (i < sizeof(road))
            state = vpc_session_step(state, road[i], &actions, &name);
    }
    cr_expect_str_eq(name, "");
    cr_expect_geq(vpc_session_step(state, VPC_RCV_EVENT, &actions, &name), 0);
    cr_expect_str_eq(name, "ready");
}

/* Each legal transition of a session has a scenario, or a reason why not; those that a reason names are there. */
Test(generate, what_is_left_out_has_a_reason)
{
    char *text = NULL;
    size_t size, legal, left_out;
    FILE *out = open_memstream(&text, &size);

    cr_expect(vpc_gen_session_left_out(out, &legal, &left_out), "an event has no reason");
    fclose(out);
    cr_expect_gt(legal, left_out);
    cr_expect_not_null(strstr(text, "local_not_ready"));
    for (const char *at = text; (at = strstr(at, "by hand: ")) != NULL;) {
        char *name, *command;

        at += strlen("by hand: ");
        name = vpc_copy_n(at, strcspn(at, ";\n"));
        command = vpc_format("find '%s' -name '%s.vpcs' | grep -q .", VPC_SCENARIOS, name);
        cr_expect_eq(system(command), 0, "there is no scenario %s", name);
        free(name);
        free(command);
    }
    free(text);
}
