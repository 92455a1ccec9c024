/* SPDX-License-Identifier: MIT */
/* bench-proto: how fast the codec and a session are, as ratios that another machine can be compared by. */
#include "goals.h"
#include "streams.h"
#include "suites.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "bench-proto [--json] [--ms N] [--no-instructions]\n"
    "bench-proto --run CASE FRAMES\n"
    "  --json             print the results as JSON\n"
    "  --ms N             milliseconds for each contender in each round (2)\n"
    "  --no-instructions  do not count instructions under callgrind\n"
    "  --run              do only the work of one case, for callgrind to count\n";

struct options {
    bool json, instructions, run;
    double ms;
};

static bool parse_options(struct options *options, int argc, char **argv)
{
    static const struct option longs[] = {
        {"json", no_argument, NULL, 'j'},
        {"ms", required_argument, NULL, 'm'},
        {"no-instructions", no_argument, NULL, 'n'},
        {"run", no_argument, NULL, 'r'},
        {0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 'j':
            options->json = true;
            break;
        case 'm':
            options->ms = strtod(optarg, NULL);
            break;
        case 'n':
            options->instructions = false;
            break;
        case 'r':
            options->run = true;
            break;
        default:
            return false;
        }
    }
    return options->ms > 0 && argc - optind == (options->run ? 2 : 0);
}

static void add(json_t *results, const char *name, json_t *rows)
{
    json_object_set_new(results, name, rows);
}

static void progress(const char *what)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\rbench-proto: %-30s", what);
}

static json_t *measure(const struct options *options)
{
    json_t *results = json_object();

    progress("both decoders agree?");
    streams_verify();
    progress("decode");
    add(results, "decode", suite_decode(options->ms));
    progress("encode");
    add(results, "encode", suite_encode(options->ms));
    progress("session");
    add(results, "session", suite_session(options->ms));
    progress("channels");
    add(results, "channels", suite_channels(options->ms));
    progress("instructions");
    if (options->instructions)
        add(results, "instructions", suite_instructions());
    add(results, "goals", goals_of(results));
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%-44s\r", "");
    return results;
}

int main(int argc, char **argv)
{
    struct options options = {.instructions = true, .ms = 2};
    json_t *results;

    if (!parse_options(&options, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    if (options.run) {
        if (suite_run_case(argv[optind], strtoul(argv[optind + 1], NULL, 10)))
            return 0;
        fprintf(stderr, "bench-proto: no case %s\n", argv[optind]);
        return 2;
    }
    results = measure(&options);
    if (options.json)
        json_dumpf(results, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(5));
    else
        report_print(results);
    if (options.instructions && json_array_size(json_object_get(results, "instructions")) == 0)
        fprintf(stderr, "bench-proto: no instructions were counted: is valgrind installed?\n");
    json_decref(results);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    fputs("bench-proto: standard output can not be written\n", stderr);
    return 1;
}
