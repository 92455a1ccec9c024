/* SPDX-License-Identifier: MIT */
/* The values of steps in a run: what a variable has, what matches, what sets it. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "document/embedded.h"
#include "run/run.h"

static struct vpc_table *table;
static struct vpc_spec *spec;
static struct vpc_run run;
static struct vpc_run_config config;
static struct vpc_script *script;

static void set_up(void)
{
    char *error = NULL;

    table = vpc_table_load(vpc_embedded_messages, &error);
    spec = vpc_spec_load(vpc_embedded_document);
    run = (struct vpc_run){.config = &config};
    run.progress = &run.own;
}

static void tear_down(void)
{
    if (script)
        vpc_run_forget(&run);
    if (script)
        vpc_script_free(script);
    vpc_table_free(table);
    vpc_spec_free(spec);
}

TestSuite(values, .init = set_up, .fini = tear_down, .timeout = 10);

/* A run of these steps, the first of which is performed. */
static void begin(const char *steps)
{
    char *error = NULL;
    char *text = vpc_format("# Values of steps.\ncovers FRM-3\nsubject host\n%s", steps);

    script = vpc_script_parse("values.vpcs", text, table, spec, &error);
    cr_assert_not_null(script, "%s", error);
    config.script = script;
    run.variables = vpc_alloc(script->variable_count * sizeof(*run.variables));
    run.own.step = script->steps;
    free(text);
}

static const struct vpc_arg *arg(size_t step, size_t index)
{
    return &script->steps[step].args[index];
}

static bool matches(const char *object)
{
    json_t *json = json_loads(object, 0, NULL);
    bool good;

    cr_assert_not_null(json, "%s", object);
    good = vpc_json_matches(&run, json, 1);
    json_decref(json);
    return good;
}

Test(values, what_nearly_matches_sets_no_variable)
{
    uint64_t value;

    begin("log < 1021 h2g=$id cause=closed\nbus > fin channel=$id offset=$id+5\n");
    cr_expect_not(matches("{\"h2g\": 5, \"cause\": \"reset\"}"));
    cr_expect_not(vpc_known(&run, arg(0, 1)), "it was set by an entry that the step does not take");
    cr_expect(matches("{\"h2g\": 7, \"cause\": \"closed\"}"));
    cr_expect(vpc_number_of(&run, arg(1, 1), &value) && value == 7);
    cr_expect(vpc_number_of(&run, arg(1, 2), &value) && value == 12);
    cr_expect_not(matches("{\"h2g\": 8, \"cause\": \"closed\"}"));
}

Test(values, a_sum_compares_and_sets_nothing)
{
    begin("log < 1021 h2g=$id g2h=$id-1\n");
    cr_expect_not(matches("{\"h2g\": 5, \"g2h\": 4}"), "a sum of nothing is nothing");
    vpc_set_variable(&run, arg(0, 1)->variable, 5);
    cr_expect(matches("{\"h2g\": 5, \"g2h\": 4}"));
    cr_expect_not(matches("{\"h2g\": 5, \"g2h\": 5}"));
}

Test(values, types_count)
{
    begin("log < 1021 sent=7 cause=\"7\" port=null vm=true h2g=* g2h=absent id!=7\n");
    cr_expect(matches(
        "{\"sent\": 7, \"cause\": \"7\", \"port\": null, \"vm\": true, \"h2g\": [], \"id\": 8}"));
    cr_expect_not(matches(
        "{\"sent\": 7, \"cause\": 7, \"port\": null, \"vm\": true, \"h2g\": [], \"id\": 8}"));
    cr_expect_not(matches(
        "{\"sent\": 7, \"cause\": \"7\", \"port\": 0, \"vm\": true, \"h2g\": [], \"id\": 8}"));
    cr_expect_not(matches(
        "{\"sent\": 7, \"cause\": \"7\", \"port\": null, \"vm\": 1, \"h2g\": [], \"id\": 8}"));
    cr_expect_not(
        matches("{\"sent\": 7, \"cause\": \"7\", \"port\": null, \"vm\": true, \"id\": 8}"));
    cr_expect_not(matches("{\"sent\": 7, \"cause\": \"7\", \"port\": null, \"vm\": true, \"h2g\": "
                          "1, \"g2h\": 1, \"id\": 8}"));
    cr_expect_not(matches(
        "{\"sent\": 7, \"cause\": \"7\", \"port\": null, \"vm\": true, \"h2g\": 1, \"id\": 7}"));
}

Test(values, a_variable_keeps_the_type_that_set_it)
{
    json_t *json;
    char *text;

    begin("log < 1021 port=$port id=$id\nlog < 1021 port=$port id=$id\n");
    cr_expect(matches("{\"port\": \"6174\", \"id\": 3}"));
    json = vpc_json_of(&run, arg(1, 1));
    cr_expect(json_is_string(json));
    json_decref(json);
    text = vpc_text_of(&run, arg(1, 2));
    cr_expect_str_eq(text, "3");
    free(text);
    cr_expect_not(matches("{\"port\": 6174, \"id\": 3}"));
}

Test(values, a_number_of_64_bits_is_kept)
{
    uint64_t value;

    begin("session\nbus < hello epoch=$subject_epoch+1\n");
    vpc_set_variable(&run, VPC_VARIABLE_SUBJECT_EPOCH, UINT64_MAX - 1);
    cr_expect(vpc_number_of(&run, arg(1, 1), &value) && value == UINT64_MAX);
}

/* What the pattern's octets are, whatever parts of them are asked for: sender and judge may cut them differently. */
Test(values, a_pattern_is_the_same_in_every_part)
{
    struct vpc_buffer all = {0}, part = {0};

    begin("bus > data channel=1 bytes=40 pattern=7\n");
    cr_assert(vpc_bytes_of(&run, &all));
    cr_assert_eq(all.end, 40);
    vpc_run_forget(&run);
    vpc_script_free(script);
    for (size_t from = 0; from < 9; from++) {
        char *step = vpc_format("bus > data channel=1 bytes=13 pattern=7 from=%zu\n", from);

        begin(step);
        cr_assert(vpc_bytes_of(&run, &part));
        cr_expect_arr_eq(part.data, all.data + from, 13, "from %zu", from);
        vpc_buffer_free(&part);
        vpc_run_forget(&run);
        vpc_script_free(script);
        free(step);
    }
    script = NULL;
    vpc_buffer_free(&all);
}

Test(values, the_first_other_octet)
{
    enum { SIZE = 3 * 4096 + 5 };
    uint8_t *one = vpc_alloc(SIZE), *other = vpc_alloc(SIZE);
    static const size_t places[] = {0, 1, 4095, 4096, 8191, 3 * 4096, SIZE - 1};

    cr_expect_eq(vpc_first_other(one, other, SIZE), SIZE);
    cr_expect_eq(vpc_first_other(one, other, 0), 0);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        other[places[i]] = 1;
        cr_expect_eq(vpc_first_other(one, other, SIZE), places[i]);
        cr_expect_eq(vpc_first_other(one, other, places[i]), places[i]);
        other[places[i]] = 0;
    }
    free(one);
    free(other);
}
