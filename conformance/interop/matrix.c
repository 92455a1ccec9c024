/* SPDX-License-Identifier: MIT */
/* Every host with every guest, each pairing in a process of its own; see interop.h. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/process.h"
#include "backends/sandbox.h"
#include "clean.h"
#include "files.h"
#include "interop/interop.h"
#include "report/report.h"
#include "verdicts/attempt.h"

#define LIMIT_MS   30000         /* of a conversation */
#define PAIRING_MS (20u * 60000) /* of all of them: far more than they may take */

/* ---- what a conversation came to ---------------------------------------------------------------------------------------- */

static bool inconclusive(const json_t *conversation)
{
    return json_is_true(json_object_get(conversation, "inconclusive"));
}

/* The first of which an endpoint is to blame, else the first that tells nothing. */
static const json_t *first_failing(const json_t *pairing)
{
    const json_t *one, *doubtful = NULL;
    size_t i;

    json_array_foreach(json_object_get(pairing, "conversations"), i, one)
    {
        if (json_is_true(json_object_get(one, "passed")))
            continue;
        if (!inconclusive(one))
            return one;
        doubtful = doubtful ? doubtful : one;
    }
    return doubtful;
}

/* ---- running ---------------------------------------------------------------------------------------------------------- */

struct cell {
    struct vpc_pairing_config config;
    struct vpc_folder folder;
    char *out;
    json_t *result;
};

static json_t *troubled(const struct cell *cell, const char *why)
{
    return json_pack("{s:o, s:o, s:[], s:o}", "host", vpc_json_text(cell->config.host->name),
                     "guest", vpc_json_text(cell->config.guest->name), "conversations", "trouble",
                     vpc_json_text(why));
}

static void hold_in_child(void *user, int fd)
{
    const struct cell *cell = user;
    int error = conform_sandbox_enter(cell->config.sandbox, &cell->folder);
    json_t *result = error ? troubled(cell, strerror(error)) : vpc_pairing_hold_all(&cell->config);

    if (json_dumpfd(result, fd, JSON_COMPACT) != 0)
        _exit(VPC_EXIT_HARNESS);
    json_decref(result);
}

/* Texts of strangers become the name of a folder. */
static char *folder_name(const char *host, const char *guest)
{
    char *name = vpc_format("%s--%s", host, guest);

    for (char *at = name; *at; at++)
        *at = isalnum((unsigned char)*at) ? (char)tolower((unsigned char)*at) : '-';
    return name;
}

/* Of several splits each has its own. */
static char *folder_of(const struct vpc_suite *suite, const struct cell *cell)
{
    char *name = folder_name(cell->config.host->name, cell->config.guest->name);
    char *path = vpc_format("%s/%s%s%s", suite->out, name, suite->split_count > 1 ? ".split-" : "",
                            suite->split_count > 1 ? vpc_split_name(cell->config.split) : "");

    free(name);
    return path;
}

static bool make_folders(struct cell *cell, const struct vpc_suite *suite)
{
    char *why = NULL;

    cell->out = folder_of(suite, cell);
    if ((mkdir(suite->out, 0777) != 0 && errno != EEXIST) ||
        (mkdir(cell->out, 0777) != 0 && errno != EEXIST))
        why = vpc_format("%s: can not be made: %s", cell->out, strerror(errno));
    else if (vpc_folder_begin(&cell->folder, &why))
        cell->config.dir = cell->config.out = cell->folder.path;
    if (why)
        cell->result = troubled(cell, why);
    free(why);
    return cell->result == NULL;
}

/* Whoever holds the pairing in a sandbox may write nowhere else than in its folder. */
static void keep(struct cell *cell, const char *name)
{
    char *from = vpc_format("%s/%s", cell->folder.path, name);
    char *to = vpc_format("%s/%s", cell->out, name), *why;

    if (!vpc_file_copy(from, to, UINT64_MAX)) {
        why = vpc_format("%s: can not be written: %s", to, strerror(errno));
        json_decref(cell->result);
        cell->result = troubled(cell, why);
        free(why);
    }
    free(from);
    free(to);
}

static char *how_it_ended(const struct vpc_job_result *end)
{
    if (end->too_long)
        return vpc_format("the pairing said more than %u octets", VPC_JOB_TEXT_MAX);
    if (end->held_up)
        return vpc_format("the machine held up the pairing for %llu ms, which did not come to its "
                          "end within %u s",
                          (unsigned long long)end->held_up, PAIRING_MS / 1000);
    return end->in_time ? vpc_process_status(end->status)
                        : vpc_copy("the pairing took far too long");
}

static void finish(const struct vpc_job_result *end)
{
    struct cell *cell = end->user;

    if (vpc_job_has_spoken(end))
        cell->result = json_loadb((const char *)vpc_buffer_head(&end->text),
                                  vpc_buffer_size(&end->text), 0, NULL);
    if (cell->result == NULL) {
        char *how = how_it_ended(end);

        cell->result = troubled(cell, how);
        free(how);
    }
    keep(cell, "trace.txt");
    keep(cell, "bus.pcapng");
    if (isatty(STDERR_FILENO)) {
        fputs("held: ", stderr);
        vpc_write_clean(cell->config.host->name, stderr);
        fputs(", ", stderr);
        vpc_write_clean(cell->config.guest->name, stderr);
        fputc('\n', stderr);
    }
}

static void next(struct vpc_jobs *jobs)
{
    struct vpc_job_result end = {0};

    if (vpc_jobs_next(jobs, &end))
        finish(&end);
    vpc_buffer_free(&end.text);
}

static void begin(struct vpc_jobs *jobs, struct cell *cell, const struct vpc_suite *suite)
{
    if (vpc_jobs_interrupted(jobs) || !make_folders(cell, suite))
        return;
    if (!vpc_jobs_start(jobs, hold_in_child, cell))
        cell->result = troubled(cell, strerror(errno));
}

static void await(struct vpc_jobs *jobs, const struct cell *cell)
{
    while (cell->config.dir && !cell->result && !vpc_jobs_interrupted(jobs))
        next(jobs);
}

static bool tells_nothing(const struct cell *cell)
{
    const json_t *failing = cell->result ? first_failing(cell->result) : NULL;

    return failing && inconclusive(failing);
}

/* What a busy machine held up is held once more when nothing else of ours runs; what it comes to then, it stays. */
static void hold_again(struct vpc_jobs *jobs, struct cell *cell, const struct vpc_suite *suite)
{
    json_decref(cell->result);
    cell->result = NULL;
    vpc_folder_end(&cell->folder);
    cell->folder = (struct vpc_folder){0};
    free(cell->out);
    begin(jobs, cell, suite);
    await(jobs, cell);
}

/* The signal that ended it, or 0. */
static int run_cells(const struct vpc_suite *suite, struct cell *cells, size_t count)
{
    size_t at_once = suite->jobs ? suite->jobs : 1;
    struct vpc_jobs *jobs = vpc_jobs_begin(at_once, PAIRING_MS);
    int signal;

    for (size_t i = 0; i < count && !vpc_jobs_interrupted(jobs); i++) {
        while (vpc_jobs_full(jobs) && !vpc_jobs_interrupted(jobs))
            next(jobs);
        begin(jobs, &cells[i], suite);
    }
    for (size_t i = 0; i < count; i++)
        await(jobs, &cells[i]);
    for (size_t i = 0; i < count; i++)
        if (tells_nothing(&cells[i]))
            hold_again(jobs, &cells[i], suite);
    signal = vpc_jobs_interrupted(jobs);
    vpc_jobs_end(jobs);
    return signal;
}

/* The cells of each host with each guest, cut so; how many. */
static size_t fill_cells(const struct vpc_suite *suite, enum vpc_split split, struct cell *cells)
{
    size_t count = 0, n = suite->implementation_count;

    for (size_t h = 0; h < n; h++)
        for (size_t g = 0; g < n; g++)
            if (suite->implementations[h]->role == VPC_FROM_HOST &&
                suite->implementations[g]->role == VPC_FROM_GUEST)
                cells[count++].config = (struct vpc_pairing_config){
                    .table = suite->table,
                    .host = suite->implementations[h],
                    .guest = suite->implementations[g],
                    .split = split,
                    .seed = suite->seed,
                    .limit_ms = suite->limit_ms ? (uint64_t)suite->limit_ms : LIMIT_MS,
                    .sandbox = suite->sandbox,
                    .build = suite->build};
    return count;
}

static json_t *names_of(const struct vpc_suite *suite, int role)
{
    json_t *names = json_array();

    for (size_t i = 0; i < suite->implementation_count; i++)
        if (suite->implementations[i]->role == role)
            json_array_append_new(names, vpc_json_text(suite->implementations[i]->name));
    return names;
}

json_t *vpc_interop_run(struct vpc_suite *suite)
{
    size_t n = suite->implementation_count, count = 0;
    struct cell *cells = vpc_alloc((n * n * VPC_SPLITS + 1) * sizeof(*cells));
    json_t *pairings = json_array();

    if (suite->split_count == 0)
        suite->splits[suite->split_count++] = VPC_SPLIT_WHOLE;
    for (size_t i = 0; i < suite->split_count; i++)
        count += fill_cells(suite, suite->splits[i], cells + count);
    suite->interrupted = run_cells(suite, cells, count);
    for (size_t i = 0; i < count; i++) {
        json_t *result = cells[i].result ? cells[i].result : troubled(&cells[i], "not run");

        json_object_set_new(result, "split", json_string(vpc_split_name(cells[i].config.split)));
        json_array_append_new(pairings, result);
        vpc_folder_end(&cells[i].folder);
        free(cells[i].out);
    }
    free(cells);
    return json_pack("{s:o, s:o, s:o}", "hosts", names_of(suite, VPC_FROM_HOST), "guests",
                     names_of(suite, VPC_FROM_GUEST), "pairings", pairings);
}

/* ---- the matrix ------------------------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static size_t passed_of(const json_t *pairing)
{
    const json_t *one;
    size_t i, count = 0;

    json_array_foreach(json_object_get(pairing, "conversations"), i, one) count +=
        json_is_true(json_object_get(one, "passed"));
    return count;
}

static void write_cell(const json_t *pairing, int width, FILE *out)
{
    char text[64] = "-";
    const json_t *failing = first_failing(pairing);
    size_t of = json_array_size(json_object_get(pairing, "conversations"));

    if (json_is_null(json_object_get(pairing, "trouble")))
        snprintf(text, sizeof(text), "%zu/%zu%s", passed_of(pairing), of,
                 !failing                ? ""
                 : inconclusive(failing) ? " ?"
                                         : " !");
    fprintf(out, "  %-*s", width, text);
}

static void write_name(const char *name, int width, FILE *out)
{
    vpc_write_clean(name, out);
    fprintf(out, "%*s", width - (int)strlen(name), "");
}

static int width_of(const json_t *name, int least)
{
    return (int)json_string_length(name) > least ? (int)json_string_length(name) : least;
}

static int widest(const json_t *names, int least)
{
    const json_t *name;
    size_t i;

    json_array_foreach(names, i, name) least = width_of(name, least);
    return least;
}

static void write_failure(const json_t *pairing, FILE *out)
{
    const json_t *failing = first_failing(pairing);
    const char *trouble = json_string_value(json_object_get(pairing, "trouble"));

    if (!failing && !trouble)
        return;
    vpc_write_clean(text_of(pairing, "host"), out);
    fputs(", ", out);
    vpc_write_clean(text_of(pairing, "guest"), out);
    fprintf(out, ", split %s: %s: %s", text_of(pairing, "split"),
            trouble ? "harness error" : text_of(failing, "name"),
            !trouble && inconclusive(failing) ? "inconclusive: " : "");
    vpc_write_clean(trouble ? trouble : text_of(failing, "why"), out);
    fputc('\n', out);
}

/* The pairings from the one at `first` on, row by row. */
static void write_matrix(const json_t *matrix, size_t first, FILE *out)
{
    const json_t *hosts = json_object_get(matrix, "hosts"),
                 *guests = json_object_get(matrix, "guests"),
                 *pairings = json_object_get(matrix, "pairings"), *one;
    int left = widest(hosts, 4);
    size_t h, g;

    fprintf(out, "%-*s", left, "");
    json_array_foreach(guests, g, one)
    {
        fputs("  ", out);
        write_name(json_string_value(one), width_of(one, 9), out);
    }
    fputc('\n', out);
    json_array_foreach(hosts, h, one)
    {
        write_name(json_string_value(one), left, out);
        for (g = 0; g < json_array_size(guests); g++)
            write_cell(json_array_get(pairings, first++), width_of(json_array_get(guests, g), 9),
                       out);
        fputc('\n', out);
    }
}

void vpc_interop_write(const json_t *matrix, FILE *out)
{
    const json_t *pairings = json_object_get(matrix, "pairings"), *one;
    size_t size = json_array_size(json_object_get(matrix, "hosts")) *
                  json_array_size(json_object_get(matrix, "guests")),
           i;

    for (i = 0; i < json_array_size(pairings); i += size) {
        if (json_array_size(pairings) > size)
            fprintf(out, "%ssplit %s\n", i ? "\n" : "",
                    text_of(json_array_get(pairings, i), "split"));
        write_matrix(matrix, i, out);
    }
    json_array_foreach(pairings, i, one) write_failure(one, out);
}

int vpc_interop_exit(const json_t *matrix)
{
    const json_t *one, *failing;
    size_t i;
    int code = VPC_EXIT_PASS;

    json_array_foreach(json_object_get(matrix, "pairings"), i, one)
    {
        if (!json_is_null(json_object_get(one, "trouble")))
            return VPC_EXIT_HARNESS;
        failing = first_failing(one);
        if (failing && !inconclusive(failing))
            code = VPC_EXIT_FAIL;
        else if (failing && code == VPC_EXIT_PASS)
            code = VPC_EXIT_INCONCLUSIVE;
    }
    return code;
}
