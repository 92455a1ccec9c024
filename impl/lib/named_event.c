/* SPDX-License-Identifier: MIT */
/*
 * A named manual-reset event between processes.
 *
 * The event is a small file, mapped by all who use it: its first word is 1 when the event is set,
 * and a futex.  Two record locks of its owner (locks of an open file, which the kernel drops with
 * the process) say the rest:
 *
 *   octet 0   "claim"  the right to be the owner
 *   octet 1   "alive"  the word is the owner's
 *
 * A killed owner leaves the word as it was.  Its successor must not make a stale 1 look alive, so
 * it takes "claim", clears the word, and only then takes "alive".  A reader looks at the word, at
 * "alive", and at the word again: a 1 before and after a lock that was seen held was written by a
 * living owner.
 *
 * The file stays when everybody has gone: a waiter may have it mapped, and must see the next owner.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "file_name.h"
#include "local_socket.h"
#include "vpc.h"

enum {
    LOCK_CLAIM = 0,
    LOCK_ALIVE = 1,
    EVENT_FILE_SIZE = 64,
    SLICE_MS = 200, /* a lock that changes hands wakes nobody: look again this often */
};

struct vpc_event {
    int fd;
    bool owner;
    _Atomic uint32_t *word;
};

static struct flock one_octet(off_t at, short type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
}

static bool owner_lives(const vpc_event *event)
{
    struct flock lock = one_octet(LOCK_ALIVE, F_WRLCK);
    return event->owner || (fcntl(event->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK);
}

static int take_lock(const vpc_event *event, off_t at)
{
    struct flock lock = one_octet(at, F_WRLCK);
    if (fcntl(event->fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES ? EBUSY : errno;
}

static void wake_all(const vpc_event *event)
{
    syscall(SYS_futex, event->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void put_word(const vpc_event *event, bool set)
{
    atomic_store(event->word, set ? 1u : 0u);
    wake_all(event);
}

int vpc_event_name(const char *tag, char *buf, size_t size)
{
    return snprintf(buf, size, "Local\\%s_ChannelReady", tag) < (int)size ? 0 : ENAMETOOLONG;
}

/* Opens the file at its full size; two who make it at the same time do the same. */
static int open_file(const char *path, int *fd)
{
    struct stat st;
    int error = 0;
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        return errno;
    if (fstat(file, &st) != 0)
        error = errno;
    else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
        error = EPERM;
    else if (st.st_size < EVENT_FILE_SIZE && ftruncate(file, EVENT_FILE_SIZE) != 0)
        error = errno;
    if (error)
        close(file);
    else
        *fd = file;
    return error;
}

static int map_file(int fd, vpc_event **event)
{
    vpc_event *made = calloc(1, sizeof(*made));
    void *map = mmap(NULL, EVENT_FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (!made || map == MAP_FAILED) {
        int error = made ? errno : ENOMEM;
        if (map != MAP_FAILED)
            munmap(map, EVENT_FILE_SIZE);
        free(made);
        return error;
    }
    made->fd = fd;
    made->word = map;
    *event = made;
    return 0;
}

int vpc_event_open(const char *dir, const char *name, vpc_event **event)
{
    char root[VPC_FILE_SIZE], file[VPC_FILE_NAME_SIZE], path[VPC_FILE_SIZE + 80];
    int fd = -1;
    int error = vpc_runtime_dir_make(dir);
    if (!error)
        error = vpc_runtime_dir(dir, root, sizeof(root));
    if (error)
        return error;
    vpc_file_name(name, file);
    snprintf(path, sizeof(path), "%s/events/%s", root, file);
    error = open_file(path, &fd);
    if (error)
        return error;
    error = map_file(fd, event);
    if (error)
        close(fd);
    return error;
}

void vpc_event_close(vpc_event *event)
{
    if (!event)
        return;
    if (event->owner)
        put_word(event, false);
    munmap(event->word, EVENT_FILE_SIZE);
    close(event->fd);
    free(event);
}

int vpc_event_own(vpc_event *event)
{
    if (event->owner)
        return 0;
    int error = take_lock(event, LOCK_CLAIM);
    if (error)
        return error;
    put_word(event, false);
    error = take_lock(event, LOCK_ALIVE);
    event->owner = !error;
    return error;
}

int vpc_event_set(vpc_event *event, bool set)
{
    if (!event->owner)
        return EPERM;
    put_word(event, set);
    return 0;
}

bool vpc_event_is_set(const vpc_event *event)
{
    return atomic_load(event->word) == 1 && owner_lives(event) && atomic_load(event->word) == 1;
}

int vpc_event_wait(const vpc_event *event, int64_t limit_ms)
{
    int64_t end = vpc_end_of(limit_ms);
    for (;;) {
        uint32_t seen = atomic_load(event->word);
        if (vpc_event_is_set(event))
            return 0;
        int64_t left = end - vpc_now_ms();
        if (left <= 0)
            return ETIMEDOUT;
        if (left > SLICE_MS)
            left = SLICE_MS;
        struct timespec slice = {.tv_sec = 0, .tv_nsec = left * 1000000};
        /* Any return is a reason to look again: a wake, a changed word, the slice's end, a signal.
         */
        syscall(SYS_futex, event->word, FUTEX_WAIT, seen, &slice, NULL, 0);
    }
}
