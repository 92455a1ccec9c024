/* SPDX-License-Identifier: MIT */
/*
 * See field_coverage.h.
 *
 * First a survey: each scenario runs once, unaltered, and notes which fields occur in it and how long it
 * took. Then a trial for each field and change: a child process runs the scenarios in which it can occur,
 * the short ones first, and ends with the first that fails. What is known of the survey stands in memory
 * that the children share.
 */
#include "verdicts/field_coverage.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "alter/alter.h"
#include "backends/folder.h"
#include "files.h"
#include "verdicts/jobs.h"

#define TRIAL_LIMIT_MS 120000

struct surveyed {
    uint32_t ms;
    bool passes;
};

struct campaign {
    struct vpc_suite *suite;
    const struct vpc_implementation *implementation;
    struct vpc_fields *fields;
    struct surveyed *scripts; /* shared with children, as is: */
    unsigned char *seen;      /* of each script, of each field, a bit for each change */
    size_t shared_size;
    size_t *order; /* of the scripts: the short ones first */
    bool *occurs;  /* of each field: for one of the implementations */
    char *reasons; /* the file's text */
    FILE *out;
    size_t gaps, trials, noticed;
};

/* A trial, or a share of the survey.  Its runs have one folder, one after another. */
struct work {
    struct campaign *campaign;
    struct vpc_folder folder;
    size_t field;
    enum vpc_change change;
    size_t share, shares;
};

/* ---- one run
 * ------------------------------------------------------------------------------------------------------
 * */

static unsigned char *seen_by(const struct campaign *campaign, size_t script)
{
    return campaign->seen + script * campaign->fields->count;
}

static bool judges(const struct campaign *campaign, const struct vpc_script *script)
{
    if (script->role != campaign->implementation->role || !(script->backends & VPC_INPROC))
        return false;
    for (size_t i = 0; i < script->need_count; i++)
        if (!vpc_implementation_has(campaign->implementation, script->needs[i]))
            return false;
    return true;
}

static void run_altered(const struct work *work, size_t script, unsigned char *seen,
                        struct vpc_result *result)
{
    const struct campaign *campaign = work->campaign;
    const struct vpc_suite *suite = campaign->suite;
    struct vpc_altering altering = {.fields = campaign->fields,
                                    .table = suite->table,
                                    .spec = suite->spec,
                                    .field = work->field,
                                    .change = work->change,
                                    .seen = seen};
    volatile int in_subject = 0;
    struct vpc_run_config config = {
        .script = suite->scripts[script],
        .table = suite->table,
        .spec = suite->spec,
        .implementation = campaign->implementation,
        .backend = &vpc_backend_inproc,
        .split = VPC_SPLIT_WHOLE,
        .seed = suite->seed,
        .dir = work->folder.path,
        .build = suite->build,
        .in_subject = &in_subject,
        .altering = &altering,
    };

    vpc_run(&config, result, NULL);
    vpc_altering_end(&altering);
}

/* ---- the survey
 * --------------------------------------------------------------------------------------------------- */

static void survey_share(void *user, int fd)
{
    const struct work *work = user;
    const struct campaign *campaign = work->campaign;

    for (size_t i = work->share; i < campaign->suite->script_count; i += work->shares) {
        struct vpc_result result;

        if (!judges(campaign, campaign->suite->scripts[i]))
            continue;
        run_altered(work, i, seen_by(campaign, i), &result);
        campaign->scripts[i] = (struct surveyed){(uint32_t)result.ms, result.verdict == VPC_PASS};
        vpc_result_clear(&result);
    }
    dprintf(fd, "{}");
}

static int shorter(const void *a, const void *b, void *user)
{
    const struct campaign *campaign = user;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    uint32_t first = campaign->scripts[x].ms, second = campaign->scripts[y].ms;

    return first != second ? (first < second ? -1 : 1) : (x < y ? -1 : x > y);
}

/* Starts one; false: *error, and it is the caller's as before. */
static bool start(struct vpc_jobs *jobs, vpc_job_fn *fn, struct work *work, char **error)
{
    if (!vpc_folder_begin(&work->folder, error))
        return false;
    if (vpc_jobs_start(jobs, fn, work))
        return true;
    *error = vpc_format("a child can not be started: %s", strerror(errno));
    vpc_folder_end(&work->folder);
    return false;
}

/* False when a share did not end well: *error. */
static bool survey(struct campaign *campaign, char **error)
{
    struct vpc_suite *suite = campaign->suite;
    size_t shares = suite->jobs ? suite->jobs : 1;
    struct vpc_jobs *jobs = vpc_jobs_begin(shares, 10 * TRIAL_LIMIT_MS);
    struct work *works = vpc_alloc(shares * sizeof(*works));
    struct vpc_job_result end;
    bool good = true;

    for (size_t i = 0; i < shares && good; i++) {
        works[i] = (struct work){
            .campaign = campaign, .field = campaign->fields->count, .share = i, .shares = shares};
        good = start(jobs, survey_share, &works[i], error);
    }
    while (vpc_jobs_next(jobs, &end)) {
        good &= vpc_job_has_spoken(&end) && vpc_buffer_size(&end.text) > 0;
        vpc_buffer_free(&end.text);
        vpc_folder_end(&((struct work *)end.user)->folder);
    }
    suite->interrupted = vpc_jobs_interrupted(jobs);
    vpc_jobs_end(jobs);
    free(works);
    for (size_t i = 0; i < suite->script_count; i++)
        campaign->order[i] = i;
    qsort_r(campaign->order, suite->script_count, sizeof(size_t), shorter, campaign);
    if (!good && *error == NULL)
        *error = vpc_format("%s: the scenarios can not be surveyed: a child ended early",
                            campaign->implementation->path);
    return good;
}

/* ---- trials
 * -------------------------------------------------------------------------------------------------------
 * */

static bool can_notice(const struct campaign *campaign, size_t script, size_t field,
                       enum vpc_change change)
{
    return campaign->scripts[script].passes && seen_by(campaign, script)[field] & 1u << change;
}

static bool possible(const struct campaign *campaign, size_t field, enum vpc_change change)
{
    for (size_t i = 0; i < campaign->suite->script_count; i++)
        if (can_notice(campaign, i, field, change))
            return true;
    return false;
}

static void try_scenarios(void *user, int fd)
{
    const struct work *work = user;
    const struct campaign *campaign = work->campaign;
    bool noticed = false;

    for (size_t i = 0; i < campaign->suite->script_count && !noticed; i++) {
        size_t script = campaign->order[i];
        struct vpc_result result;

        if (!can_notice(campaign, script, work->field, work->change))
            continue;
        run_altered(work, script, NULL, &result);
        noticed = result.verdict == VPC_FAIL;
        if (noticed)
            dprintf(fd, "%s %s", campaign->suite->scripts[script]->name,
                    result.requirement ? result.requirement : "");
        vpc_result_clear(&result);
    }
    if (!noticed)
        dprintf(fd, "-");
}

/* Takes the word off the line if it stands first there. */
static bool take_word(const char **line, const char *word)
{
    size_t n = strlen(word);

    if (strncmp(*line, word, n) != 0 || (*line)[n] != ' ')
        return false;
    *line += n + 1;
    return true;
}

static const char *role_name(const struct vpc_field_at *field)
{
    return field->role == VPC_FROM_HOST ? "host" : "guest";
}

/*
 * `[ROLE] PLACE OF.FIELD CHANGE reason`, * for any OF, FIELD or CHANGE: the reason if it is about this, else
 * NULL.
 */
static const char *reason_in(const char *line, const struct vpc_field_at *field, const char *change,
                             bool *exact)
{
    char *name = vpc_format("%s.%s", field->of, field->name);
    char *any = vpc_format("*.%s", field->name), *all = vpc_format("%s.*", field->of);
    bool fits;

    *exact = true;
    take_word(&line, role_name(field));
    fits = take_word(&line, vpc_place_name(field->place));
    if (fits && !take_word(&line, name)) {
        *exact = false;
        fits = take_word(&line, any) || take_word(&line, all);
    }
    if (fits && !take_word(&line, change)) {
        *exact = false;
        fits = take_word(&line, "*");
    }
    free(name);
    free(any);
    free(all);
    return fits ? line : NULL;
}

/* The reason that the list has, or NULL; it ends with its line.  *exact: for this field and change alone. */
static const char *reason_of(const struct campaign *campaign, const struct vpc_field_at *field,
                             const char *change, bool *exact)
{
    const char *line = campaign->reasons, *found = NULL;

    for (; line && *line && !found; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        found = reason_in(line, field, change, exact);
    return found;
}

/* by: the scenario that noticed and its requirements, "-" when none did, "" when the trial did not end by
 * itself. */
static void write_row(struct campaign *campaign, const struct work *work, const char *by)
{
    const struct vpc_field_at *field = &campaign->fields->list[work->field];
    const char *change = vpc_change_name(work->change);
    bool noticed = *by && strcmp(by, "-") != 0, exact;
    const char *reason = reason_of(campaign, field, change, &exact);
    char *name = vpc_format("%s.%s", field->of, field->name);
    bool stale = noticed && reason && exact;

    campaign->trials++;
    campaign->noticed += noticed;
    fprintf(campaign->out, "%-5s %-8s %-36s %-10s ", role_name(field), vpc_place_name(field->place),
            name, change);
    if (noticed)
        fprintf(campaign->out, stale ? "GAP: listed as unnoticed, and noticed: %s\n" : "%s\n", by);
    else if (*by == '\0')
        fputs("GAP: the harness crashed or hung\n", campaign->out);
    else if (reason)
        fprintf(campaign->out, "- (%.*s)\n", (int)strcspn(reason, "\n"), reason);
    else
        fputs("GAP: no scenario notices it\n", campaign->out);
    campaign->gaps += stale || (!noticed && (*by == '\0' || !reason));
    free(name);
}

static void take_trial(struct campaign *campaign, struct vpc_jobs *jobs)
{
    struct vpc_job_result end = {0};
    struct work *work;

    if (!vpc_jobs_next(jobs, &end))
        return;
    work = end.user;
    vpc_buffer_fill(&end.text, 0, 1);
    write_row(campaign, work,
              vpc_job_has_spoken(&end) ? (const char *)vpc_buffer_head(&end.text) : "");
    vpc_buffer_free(&end.text);
    vpc_folder_end(&work->folder);
    free(work);
}

static void show_progress(const struct campaign *campaign, size_t field)
{
    if (campaign->suite->progress)
        fprintf(stderr, "\r\033[K%s: field %zu of %zu, %zu trials, %zu noticed",
                campaign->implementation->name, field + 1, campaign->fields->count,
                campaign->trials, campaign->noticed);
}

/* Starts a trial for each change of the field that can be; waits while too many are under way. */
static void start_trials(struct campaign *campaign, struct vpc_jobs *jobs, size_t field,
                         char **error)
{
    for (int change = 0; change < VPC_CHANGE_COUNT && *error == NULL; change++) {
        struct work *work;

        if (!possible(campaign, field, (enum vpc_change)change))
            continue;
        campaign->occurs[field] = true;
        work = vpc_alloc(sizeof(*work));
        *work =
            (struct work){.campaign = campaign, .field = field, .change = (enum vpc_change)change};
        while (vpc_jobs_full(jobs))
            take_trial(campaign, jobs);
        if (!start(jobs, try_scenarios, work, error))
            free(work);
    }
}

static void run_trials(struct campaign *campaign, char **error)
{
    struct vpc_suite *suite = campaign->suite;
    struct vpc_jobs *jobs = vpc_jobs_begin(suite->jobs ? suite->jobs : 1, TRIAL_LIMIT_MS);

    for (size_t field = 0;
         field < campaign->fields->count && !*error && !vpc_jobs_interrupted(jobs); field++) {
        show_progress(campaign, field);
        start_trials(campaign, jobs, field, error);
    }
    while (vpc_jobs_running(jobs) > 0)
        take_trial(campaign, jobs);
    if (suite->progress)
        fputs("\r\033[K", stderr);
    suite->interrupted = vpc_jobs_interrupted(jobs);
    vpc_jobs_end(jobs);
}

/* ---- the whole
 * ---------------------------------------------------------------------------------------------------- */

static void judge_implementation(struct campaign *campaign, char **error)
{
    size_t count = campaign->suite->script_count;
    void *shared;

    campaign->shared_size = count * (sizeof(struct surveyed) + campaign->fields->count) + 1;
    shared = mmap(NULL, campaign->shared_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                  -1, 0);
    if (shared == MAP_FAILED) {
        *error = vpc_format("no memory for the survey: %s", strerror(errno));
        return;
    }
    campaign->scripts = shared;
    campaign->seen = (unsigned char *)(campaign->scripts + count);
    campaign->order = vpc_alloc((count + 1) * sizeof(size_t));
    if (survey(campaign, error) && !campaign->suite->interrupted)
        run_trials(campaign, error);
    free(campaign->order);
    munmap(shared, campaign->shared_size);
}

/* Of each field that no implementation showed in any scenario; those of the two roles are one. */
static void write_never(struct campaign *campaign)
{
    const struct vpc_fields *fields = campaign->fields;

    for (size_t i = 0; i < fields->count; i++) {
        const struct vpc_field_at *field = &fields->list[i];
        enum vpc_role_bit peer = field->role == VPC_FROM_HOST ? VPC_FROM_GUEST : VPC_FROM_HOST;
        size_t other = vpc_fields_find(fields, field->place, peer, field->of, field->name);
        const char *reason;
        bool exact;

        if (campaign->occurs[i] ||
            (other < fields->count && (campaign->occurs[other] || other < i)))
            continue;
        reason = reason_of(campaign, field, "never", &exact);
        if (!reason)
            fprintf(campaign->out, "%s %s.%s: GAP: it occurs in no scenario\n",
                    vpc_place_name(field->place), field->of, field->name);
        campaign->gaps += !reason;
    }
}

size_t vpc_field_coverage(struct vpc_suite *suite, const char *reasons, FILE *out, char **error)
{
    struct campaign campaign = {.suite = suite, .out = out, .reasons = vpc_file_read(reasons)};

    if (campaign.reasons == NULL && errno != ENOENT)
        *error = vpc_format("%s: can not be read: %s", reasons, vpc_file_words(errno));
    campaign.fields = vpc_fields_load(suite->table, suite->spec);
    campaign.occurs = vpc_alloc(campaign.fields->count + 1);
    for (size_t i = 0; i < suite->implementation_count && !*error && !suite->interrupted; i++) {
        campaign.implementation = suite->implementations[i];
        judge_implementation(&campaign, error);
    }
    if (!*error && !suite->interrupted) {
        write_never(&campaign);
        fprintf(out, "\n%zu of %zu alterations are noticed; %zu gaps\n", campaign.noticed,
                campaign.trials, campaign.gaps);
    }
    vpc_fields_free(campaign.fields);
    free(campaign.occurs);
    free(campaign.reasons);
    return *error ? SIZE_MAX : campaign.gaps;
}
