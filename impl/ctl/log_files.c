/* SPDX-License-Identifier: MIT */
/*
 * What is turned over while it is read: the file that we have open is read to its end, whatever its name is by then, before
 * the next one is looked for.  The next is PATH.1, when that was not read yet (ours was turned over twice), else PATH.  Whether
 * PATH.1 is still one of those that were read is looked at again after PATH was opened, so none is passed over between the two.
 */
#include "log_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    OPEN_TRIES = 100, /* each needs a log that is turned over just then */
};

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

static bool are_same(FILE *a, FILE *b)
{
    struct stat st, other;

    return a != NULL && b != NULL && fstat(fileno(a), &st) == 0 && fstat(fileno(b), &other) == 0 &&
           is_same(&st, &other);
}

/* The file of this name, unless it was read or is being read; NULL with errno 0 then. */
static FILE *open_other(const struct ctl_log_file *file, const char *path)
{
    FILE *opened = fopen(path, "re");

    if (opened == NULL || (!are_same(opened, file->now) && !are_same(opened, file->before)))
        return opened;
    fclose(opened);
    errno = 0;
    return NULL;
}

/* What is to be read behind the one that is open, or first of all; NULL with errno. */
static FILE *open_next(const struct ctl_log_file *file)
{
    char older[sizeof(file->path) + 2];

    snprintf(older, sizeof(older), "%s.1", file->path);
    for (int i = 0; i < OPEN_TRIES; i++) {
        FILE *next = open_other(file, older);
        if (next != NULL)
            return next;
        FILE *newest = open_other(file, file->path);
        int error = errno;
        next = open_other(file, older);
        if (next == NULL) {
            errno = error;
            return newest;
        }
        fclose(next);
        if (newest != NULL)
            fclose(newest);
    }
    errno = EAGAIN;
    return NULL;
}

/* To the file behind this one; 0, or why there is none. */
static int go_on(struct ctl_log_file *file)
{
    FILE *next = open_next(file);

    if (next == NULL)
        return errno ? errno : ENOENT;
    if (file->before != NULL)
        fclose(file->before);
    file->before = file->now;
    file->now = next;
    file->was_opened = true;
    return 0;
}

/* Another file has the name; one that has none yet is seen when it is there. */
static bool was_replaced(const struct ctl_log_file *file)
{
    struct stat ours, named;

    return fstat(fileno(file->now), &ours) == 0 && stat(file->path, &named) == 0 &&
           !is_same(&ours, &named);
}

static void begin_again_if_cut(const struct ctl_log_file *file)
{
    struct stat ours;

    if (fstat(fileno(file->now), &ours) == 0 && ours.st_size < ftell(file->now))
        rewind(file->now);
}

static uint64_t time_of(const struct ctl_log_file *file)
{
    static const char member[] = "\"time\":";
    const char *at = strstr(file->line, member);

    return at != NULL ? strtoull(at + sizeof(member) - 1, NULL, 10) : file->time;
}

/* A line without its newline is still being written: it stays. */
static bool read_line(struct ctl_log_file *file)
{
    begin_again_if_cut(file);
    long start = ftell(file->now);
    ssize_t n = getline(&file->line, &file->room, file->now);

    if (n > 0 && file->line[n - 1] == '\n') {
        file->line[n - 1] = '\0';
        file->size = (size_t)n;
        file->time = time_of(file);
        return true;
    }
    clearerr(file->now);
    if (n > 0)
        fseek(file->now, start, SEEK_SET);
    return false;
}

/* Has an entry wait, if there is one. */
static void fetch(struct ctl_log_file *file)
{
    if (file->size > 0 || (file->now == NULL && go_on(file) != 0))
        return;
    while (!read_line(file)) {
        /* Written before it was replaced, and behind our last look. */
        if (!was_replaced(file) || read_line(file) || go_on(file) != 0)
            return;
    }
}

void ctl_log_begin(struct ctl_log *log, const char *path)
{
    char target[VPC_FILE_SIZE];
    ssize_t n = readlink(path, target, sizeof(target) - 1);

    *log = (struct ctl_log){0};
    if (n > 0 && target[0] == '/')
        target[n] = '\0';
    else
        snprintf(target, sizeof(target), "%s", path);
    snprintf(log->files[0].path, sizeof(log->files[0].path), "%s", target);
    snprintf(log->files[1].path, sizeof(log->files[1].path), "%s.guest", target);
}

void ctl_log_end(struct ctl_log *log)
{
    for (size_t i = 0; i < 2; i++) {
        if (log->files[i].now != NULL)
            fclose(log->files[i].now);
        if (log->files[i].before != NULL)
            fclose(log->files[i].before);
        free(log->files[i].line);
    }
}

int ctl_log_open(struct ctl_log *log)
{
    return log->files[0].now != NULL ? 0 : go_on(&log->files[0]);
}

const char *ctl_log_next(struct ctl_log *log, size_t *n)
{
    struct ctl_log_file *first = NULL;

    for (size_t i = 0; i < 2; i++) {
        struct ctl_log_file *file = &log->files[i];

        fetch(file);
        if (file->size > 0 && (first == NULL || file->time < first->time))
            first = file;
    }
    if (first == NULL)
        return NULL;
    *n = first->size - 1;
    first->size = 0;
    return first->line;
}
