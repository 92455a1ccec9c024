/*
 * QEMU's control protocol, as much as the harness needs: a command with its answer, and events.
 *
 * Conventions. A command waits for its answer, until a deadline: milliseconds of
 * CLOCK_MONOTONIC, as vpc_qmp_now gives them, whatever else comes until then. Events that come
 * meanwhile are kept, the last VPC_QMP_EVENTS_MAX of them. On failure vpc_qmp_error has the words. No pointer
 * may be NULL unless it says so.
 */
#ifndef VPC_CONFORMANCE_QMP_H
#define VPC_CONFORMANCE_QMP_H

#include <jansson.h>
#include <stdint.h>

#define VPC_QMP_EVENTS_MAX 1024

struct vpc_qmp;

int64_t vpc_qmp_now(void);

/* Takes over fd, a connected stream; NULL with errno if there is no memory (fd is closed). */
struct vpc_qmp *vpc_qmp_new(int fd);
void vpc_qmp_free(struct vpc_qmp *qmp); /* NULL is allowed */
int vpc_qmp_fd(const struct vpc_qmp *qmp);
const char *vpc_qmp_error(const struct vpc_qmp *qmp);

/* Hears the greeting and leaves the negotiation mode. 0, or -1. */
int vpc_qmp_begin(struct vpc_qmp *qmp, int64_t deadline);

/*
 * Runs a command. Takes over arguments (NULL: none). 0, with the answer in *result for the caller
 * to json_decref (NULL: not wanted); -1 if it failed or the deadline has passed.
 */
int vpc_qmp_command(struct vpc_qmp *qmp, const char *command, json_t *arguments, json_t **result,
                    int64_t deadline);

/*
 * The next event, for the caller to json_decref: 1; 0 if there is none now, or none among very
 * much that was read; -1 at the end.
 */
int vpc_qmp_next(struct vpc_qmp *qmp, json_t **event);
/* Waits for the event of that name; those before it are kept. 0, or -1. */
int vpc_qmp_await(struct vpc_qmp *qmp, const char *name, int64_t deadline);

#endif
