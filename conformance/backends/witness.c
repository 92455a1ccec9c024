/* SPDX-License-Identifier: MIT */
/* See witness.h. */
#include "backends/witness.h"

#include <fts.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/machine.h"
#include "files.h"
#include "memory.h"

enum {
    TAIL = 4096, /* octets of the end of a subject's output and log that are read */
    DEPTH = 2,   /* of the folders in which they are */
};

/* ---- what the subjects say ---------------------------------------------------------------------------------------------- */

/* In the words of strerror(), of errno.h, and of the languages that have their own. */
static const struct {
    const char *words;
    enum conform_need need;
} complaints[] = {
    {"No space left on device", CONFORM_ROOM},
    {"no space left on device", CONFORM_ROOM},
    {"ENOSPC", CONFORM_ROOM},
    {"Disk quota exceeded", CONFORM_ROOM},
    {"EDQUOT", CONFORM_ROOM},
    {"Too many open files", CONFORM_FILES},
    {"too many open files", CONFORM_FILES},
    {"EMFILE", CONFORM_FILES},
    {"ENFILE", CONFORM_FILES},
    {"Cannot allocate memory", CONFORM_MEMORY},
    {"cannot allocate memory", CONFORM_MEMORY},
    {"ut of memory", CONFORM_MEMORY},
    {"ENOMEM", CONFORM_MEMORY},
    {"bad_alloc", CONFORM_MEMORY},
    {"MemoryError", CONFORM_MEMORY},
    {"Resource temporarily unavailable", CONFORM_PROCESSES},
    {"resource temporarily unavailable", CONFORM_PROCESSES},
    {"an't start new thread", CONFORM_PROCESSES},
};

static char *answer_to(const char *said, const char *folder)
{
    char *lack = NULL;

    for (size_t i = 0; i < sizeof(complaints) / sizeof(complaints[0]) && lack == NULL; i++)
        if (strstr(said, complaints[i].words))
            lack = vpc_machine_lacks(complaints[i].need, folder);
    return lack;
}

/* The end of a file, zeroes apart: whoever wrote it is a stranger. */
static void read_tail(const char *path, char *tail)
{
    int fd = vpc_file_open_stranger(path);
    ssize_t n = 0;

    if (fd >= 0 && (lseek(fd, -(TAIL - 1), SEEK_END) >= 0 || lseek(fd, 0, SEEK_SET) == 0))
        n = read(fd, tail, TAIL - 1);
    n = n > 0 ? n : 0;
    tail[n] = '\0';
    for (ssize_t i = 0; i < n; i++)
        if (tail[i] == '\0')
            tail[i] = ' ';
    if (fd >= 0)
        close(fd);
}

/* subject.out, subject-other.log, and so on. */
static bool is_of_subject(const FTSENT *entry)
{
    return entry->fts_info == FTS_F && strncmp(entry->fts_name, "subject", 7) == 0;
}

static char *complaint(const char *folder)
{
    char *const paths[] = {(char *)(uintptr_t)folder, NULL};
    FTS *tree = fts_open(paths, FTS_NOCHDIR | FTS_PHYSICAL | FTS_COMFOLLOW, NULL);
    FTSENT *entry;
    char tail[TAIL], *lack = NULL;

    while (tree && lack == NULL && (entry = fts_read(tree)) != NULL) {
        if (entry->fts_level >= DEPTH && entry->fts_info == FTS_D &&
            fts_set(tree, entry, FTS_SKIP) != 0)
            break;
        if (!is_of_subject(entry))
            continue;
        read_tail(entry->fts_accpath, tail);
        lack = answer_to(tail, folder);
    }
    if (tree)
        fts_close(tree);
    return lack;
}

/* ---- what the kernel did ------------------------------------------------------------------------------------------------ */

uint64_t conform_kills_in(const char *path)
{
    return vpc_machine_number(path, "oom_kill ");
}

static uint64_t kills(void)
{
    return conform_kills_in("/proc/vmstat");
}

/* SIGKILL is not ours when a run tells of it; nor is it the subject's when the kernel has killed somebody meanwhile. */
static char *killed(const struct conform_witness *witness, const char *got)
{
    uint64_t now = kills();

    if (got == NULL || strstr(got, "signal 9 ") == NULL)
        return NULL;
    if (witness->kills == UINT64_MAX || now == UINT64_MAX || now <= witness->kills)
        return NULL;
    return vpc_copy("the kernel killed a process for want of memory: end other programs, or give "
                    "fewer --jobs");
}

void conform_witness_begin(struct conform_witness *witness, const char *folder)
{
    *witness = (struct conform_witness){folder, kills()};
}

char *conform_witness_excuse(const struct conform_witness *witness, const char *got)
{
    char *why = vpc_machine_excuse(witness->folder);

    if (why == NULL)
        why = killed(witness, got);
    if (why == NULL)
        why = complaint(witness->folder);
    return why;
}
