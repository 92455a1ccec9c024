/* SPDX-License-Identifier: MIT */
/* See prepare.h. */
#include "verdicts/prepare.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verdicts/attempt.h"

struct preparation {
    const struct vpc_suite *suite;
    const struct vpc_backend_ops *backend;
    const struct vpc_implementation *implementation;
    const char *dir;
};

/* Says "+" and what was made, or "-" and why not. */
static void prepare_in_child(void *user, int fd)
{
    const struct preparation *preparation = user;
    const struct vpc_suite *suite = preparation->suite;
    struct vpc_backend_config config = {
        .implementation = preparation->implementation,
        .vm = VPC_SUBJECT_VM,
        .tag = VPC_SUBJECT_TAG,
        .dir = preparation->dir,
        .build = suite->build,
        .guest_dir = suite->guest_dir,
        .launcher = suite->launcher,
    };
    char *initrd = NULL, *error = NULL;
    bool good = preparation->backend->prepare(&config, suite->guest_image, &initrd, &error);

    dprintf(fd, "%s%s", good ? "+" : "-", good ? initrd : error);
    free(initrd);
    free(error);
}

static void prepare_one(struct vpc_suite *suite, struct vpc_jobs *jobs,
                        const struct vpc_backend_ops *backend,
                        const struct vpc_implementation *implementation,
                        struct vpc_prepared *prepared)
{
    struct vpc_folder folder;
    struct preparation preparation = {suite, backend, implementation, NULL};
    struct vpc_job_result result = {0};
    char *said = NULL;

    if (!vpc_folder_begin(&folder, &prepared->error))
        return;
    preparation.dir = folder.path;
    if (vpc_jobs_start(jobs, prepare_in_child, &preparation) && vpc_jobs_next(jobs, &result) &&
        vpc_job_has_spoken(&result) && vpc_buffer_size(&result.text) > 0)
        said =
            vpc_copy_n((const char *)vpc_buffer_head(&result.text), vpc_buffer_size(&result.text));
    if (said && *said == '+')
        prepared->initrd = vpc_copy(said + 1);
    else if (said)
        prepared->error = vpc_copy(said + 1);
    else
        prepared->error =
            vpc_format("%s can not be prepared for %s: %s", implementation->path, backend->name,
                       vpc_jobs_interrupted(jobs) ? "interrupted" : strerror(errno));
    vpc_folder_end(&folder);
    vpc_buffer_free(&result.text);
    free(said);
}

bool vpc_can_run(const struct vpc_implementation *implementation,
                 const struct vpc_backend_ops *backend)
{
    bool host = implementation->role == VPC_FROM_HOST;

    if (backend->bit == VPC_INPROC)
        return implementation->object != NULL;
    if (backend->bit == VPC_SOCKET || host)
        return implementation->command != NULL;
    return implementation->guest_command != NULL;
}

void vpc_prepare(struct vpc_suite *suite, struct vpc_jobs *jobs)
{
    if (suite->prepared)
        return;
    suite->prepared = vpc_alloc((suite->implementation_count + 1) * sizeof(struct vpc_prepared));
    for (size_t b = 0; b < suite->backend_count; b++)
        for (size_t i = 0; suite->backends[b]->prepare && i < suite->implementation_count; i++)
            if (vpc_can_run(suite->implementations[i], suite->backends[b]))
                prepare_one(suite, jobs, suite->backends[b], suite->implementations[i],
                            &suite->prepared[i]);
}

void vpc_prepare_forget(struct vpc_suite *suite)
{
    for (size_t i = 0; suite->prepared && i < suite->implementation_count; i++) {
        free(suite->prepared[i].initrd);
        free(suite->prepared[i].error);
    }
    free(suite->prepared);
}
