/* SPDX-License-Identifier: MIT */
/*
 * A named manual-reset event between processes.
 *
 * The event is a small file, mapped by all who use it: its first word is 1 when the event is set,
 * and a futex.  The word is read and written as a file all the same, and the map is for the futex
 * alone: somebody may cut the file short, and a look at the map would be SIGBUS then.  Behind the
 * word is the name of the owner's virtual machine, for people.  Record locks (of an open file, which
 * the kernel drops with the process) say the rest:
 *
 *   octet 0   "claim"  the right to be the owner
 *   octet 1   "alive"  the word is the owner's; a lock of a descriptor of its own, which may be
 *                      another process's than "claim" (vpc_event_hand_over())
 *   octet 2   "given"  the right of an endpoint whose tag was given (RDY-7): who has a guest's word
 *                      alone does not own the event meanwhile, or gives it up
 *   octet 3   "used"   shared by all who have the file open; the one who removes it has it alone
 *
 * A killed owner leaves the word as it was.  Its successor must not make a stale 1 look alive, so
 * it takes "claim", clears the word, and only then takes "alive".  A reader looks at the word, at
 * "alive", and at the word again: a 1 before and after a lock that was seen held was written by a
 * living owner.
 *
 * A waiter may have the file mapped, and must see the next owner.  So it stays when everybody has
 * gone, but for the file of a tag that only a guest said: guests may say any number of them.  Its
 * owner removes it when it gives it up while nobody else has it open.  Who opens it at this moment
 * waits for "used", sees that the path names another file, and opens that one.  No waiter ever has a
 * removed file.  What one that was killed has left, the next endpoint of its machine removes likewise.
 *
 * If it was removed or replaced (by what cleans /tmp), its owner makes it anew when it next sets or
 * resets the event; a host endpoint does that every two seconds.
 *
 * In a directory of another user's, who lets a group in, the members are visitors: they may read the
 * file, but make none and own nothing.  A visitor looks at what the path names, anew each time.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "file_name.h"
#include "local_socket.h"
#include "named_event.h"
#include "runtime_dir.h"
#include "trust.h"

enum {
    LOCK_CLAIM = 0,
    LOCK_ALIVE = 1,
    LOCK_GIVEN = 2,
    LOCK_USED = 3,
    NAME_AT = 4, /* the owner's, up to the file's end or a NUL */
    EVENT_FILE_SIZE = 64,
    OPEN_TRIES = 16, /* each needs another who removes the file just then */
    SLICE_MS = 200,  /* a lock that changes hands wakes nobody: look again this often */
};

struct vpc_event {
    int fd;
    bool visitor; /* nothing of it is open: see visit() */
    uid_t host;   /* whose the file must be then */
    bool owner, given;
    int alive;          /* has the lock that says that the owner lives; -1: somebody else has it */
    const gid_t *group; /* whose members may look; NULL: nobody */
    char vm[VPC_EVENT_OWNER_SIZE];
    void *map; /* of the word, for the futex: never looked at */
    char path[];
};

static struct flock one_octet(off_t at, short type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
}

/* By another. */
static bool is_locked(const vpc_event *event, off_t at)
{
    struct flock lock = one_octet(at, F_WRLCK);

    return fcntl(event->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static bool owner_lives(const vpc_event *event)
{
    return event->owner || is_locked(event, LOCK_ALIVE);
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
    syscall(SYS_futex, event->map, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Of a file that was cut short: 0. */
static uint32_t get_word(const vpc_event *event)
{
    uint32_t word = 0;

    return pread(event->fd, &word, sizeof(word), 0) == (ssize_t)sizeof(word) ? word : 0;
}

/* 0, or an errno. */
static int put_word(const vpc_event *event, bool set)
{
    uint32_t word = set;

    if (get_word(event) == word)
        return 0;
    ssize_t n = pwrite(event->fd, &word, sizeof(word), 0);
    if (n != (ssize_t)sizeof(word))
        return n < 0 ? errno : ENOSPC;
    wake_all(event);
    return 0;
}

int vpc_event_name(const char *tag, char *buf, size_t size)
{
    return snprintf(buf, size, "Local\\%s_ChannelReady", tag) < (int)size ? 0 : ENAMETOOLONG;
}

/* Who could write to the file could say that the event is set. */
static int share_file(int file, const struct stat *st, const gid_t *group)
{
    if (group == NULL || (st->st_gid == *group && (st->st_mode & 077) == 040))
        return 0;
    return fchown(file, (uid_t)-1, *group) == 0 && fchmod(file, 0640) == 0 ? 0 : errno;
}

/* Opens the file at its full size; two who make it at the same time do the same. */
static int open_file(const char *path, const gid_t *group, int *fd)
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
    else
        error = share_file(file, &st, group);
    if (error)
        close(file);
    else
        *fd = file;
    return error;
}

static int map_file(int fd, int rights, void **map)
{
    *map = mmap(NULL, EVENT_FILE_SIZE, rights, MAP_SHARED, fd, 0);
    return *map == MAP_FAILED ? errno : 0;
}

static bool was_replaced(int fd, const char *path)
{
    struct stat have, want;

    return fstat(fd, &have) != 0 || lstat(path, &want) != 0 || have.st_ino != want.st_ino ||
           have.st_dev != want.st_dev;
}

/* The file that the path names, and that nobody removes while it is open. */
static int open_used_file(const char *path, const gid_t *group, int *fd)
{
    for (int i = 0; i < OPEN_TRIES; i++) {
        struct flock used = one_octet(LOCK_USED, F_RDLCK);
        int error = open_file(path, group, fd);

        if (error)
            return error;
        if (fcntl(*fd, F_OFD_SETLKW, &used) == 0 && !was_replaced(*fd, path))
            return 0;
        close(*fd);
    }
    return EAGAIN;
}

static int open_and_map(const char *path, const gid_t *group, int *fd, void **map)
{
    int error = open_used_file(path, group, fd);

    if (error)
        return error;
    error = map_file(*fd, PROT_READ | PROT_WRITE, map);
    if (error)
        close(*fd);
    return error;
}

static void unmap_and_close(const vpc_event *event)
{
    munmap(event->map, EVENT_FILE_SIZE);
    close(event->fd);
}

static vpc_event *make_event(const char *root, const char *name)
{
    char file[VPC_FILE_NAME_SIZE];

    vpc_file_name(name, file);
    size_t size = strlen(root) + sizeof("/events/") + strlen(file);
    vpc_event *made = calloc(1, sizeof(*made) + size);
    if (made == NULL)
        return NULL;
    made->fd = made->alive = -1;
    snprintf(made->path, size, "%s/events/%s", root, file);
    return made;
}

/* ---- a visitor's view ---------------------------------------------------------------------------- */

/* The file of an event of another user's, to be read; it may not be there yet. */
static bool visit(const vpc_event *event, vpc_event *view)
{
    struct flock used = one_octet(LOCK_USED, F_RDLCK);
    struct stat st;

    view->fd = open(event->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (view->fd < 0)
        return false;
    if (fstat(view->fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == event->host &&
        fcntl(view->fd, F_OFD_SETLKW, &used) == 0 && map_file(view->fd, PROT_READ, &view->map) == 0)
        return true;
    close(view->fd);
    return false;
}

/* Whose the directory is: *host.  0: it may be visited. */
static int may_visit(const char *root, uid_t *host)
{
    char path[VPC_FILE_SIZE + 16];
    struct vpc_trust trust;
    struct stat st;
    int error = vpc_trust_folder(&trust, root, "events");

    snprintf(path, sizeof(path), "%s/events", root);
    if (!error && stat(path, &st) != 0)
        error = errno;
    if (!error)
        *host = st.st_uid;
    return error;
}

static bool is_of_another(const char *root)
{
    struct stat st;

    return stat(root, &st) == 0 ? st.st_uid != geteuid() : errno == EACCES;
}

/* ---- the calls ------------------------------------------------------------------------------------- */

static int open_event(const char *root, const gid_t *group, vpc_event *event)
{
    event->visitor = is_of_another(root);
    if (event->visitor)
        return may_visit(root, &event->host);
    event->group = group;
    int error = vpc_runtime_dir_make_for(root, group);
    return error ? error : open_and_map(event->path, group, &event->fd, &event->map);
}

int vpc_event_open_for(const char *dir, const char *name, const gid_t *group, vpc_event **event)
{
    char root[VPC_FILE_SIZE];
    int error = vpc_runtime_dir(dir, root, sizeof(root));

    if (error)
        return error;
    vpc_event *made = make_event(root, name);
    if (made == NULL)
        return ENOMEM;
    error = open_event(root, group, made);
    if (error)
        free(made);
    else
        *event = made;
    return error;
}

int vpc_event_open(const char *dir, const char *name, vpc_event **event)
{
    return vpc_event_open_for(dir, name, NULL, event);
}

void vpc_event_close(vpc_event *event)
{
    if (event == NULL)
        return;
    if (event->owner)
        put_word(event, false);
    if (event->alive >= 0)
        close(event->alive);
    if (!event->visitor)
        unmap_and_close(event);
    free(event);
}

/* The word of a guest alone gives way to a tag that was given. */
static int take_given(const vpc_event *event)
{
    if (event->given)
        return take_lock(event, LOCK_GIVEN);
    return is_locked(event, LOCK_GIVEN) ? EBUSY : 0;
}

static int put_name(const vpc_event *event)
{
    ssize_t n = pwrite(event->fd, event->vm, sizeof(event->vm), NAME_AT);

    return n == (ssize_t)sizeof(event->vm) ? 0 : n < 0 ? errno : ENOSPC;
}

int vpc_event_claim(vpc_event *event, const char *vm, bool given)
{
    snprintf(event->vm, sizeof(event->vm), "%s", vm);
    event->given = given;
    if (!event->owner)
        return vpc_event_own(event);
    int error = take_given(event);
    return error == EBUSY && !given ? ECANCELED : error;
}

void vpc_event_owner(const vpc_event *event, char name[VPC_EVENT_OWNER_SIZE])
{
    ssize_t n = pread(event->fd, name, VPC_EVENT_OWNER_SIZE - 1, NAME_AT);

    name[n < 0 ? 0 : n] = '\0';
    for (char *c = name; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

void vpc_event_give_up(vpc_event *event)
{
    if (event != NULL && event->owner && !event->given) {
        struct flock alone = one_octet(LOCK_USED, F_WRLCK);

        put_word(event, false);
        if (fcntl(event->fd, F_OFD_SETLK, &alone) == 0 && !was_replaced(event->fd, event->path))
            unlink(event->path);
    }
    vpc_event_close(event);
}

/* One that was never owned has no name in it. */
static void clear_event(vpc_event *event, const char *vm)
{
    char owner[VPC_EVENT_OWNER_SIZE];
    struct flock alone = one_octet(LOCK_USED, F_WRLCK);
    struct stat st;

    event->fd = open(event->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (event->fd < 0)
        return;
    bool ours = fstat(event->fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid();
    vpc_event_owner(event, owner);
    ours = ours && *owner && strncmp(owner, vm, sizeof(owner) - 1) == 0;
    if (ours && fcntl(event->fd, F_OFD_SETLK, &alone) == 0 && !was_replaced(event->fd, event->path))
        unlink(event->path);
    close(event->fd);
}

void vpc_events_clear(const char *root, const char *vm)
{
    char folder[VPC_FILE_SIZE + sizeof("/events")];

    snprintf(folder, sizeof(folder), "%s/events", root);
    DIR *events = opendir(folder);
    for (struct dirent *entry; events != NULL && (entry = readdir(events)) != NULL;) {
        size_t size = strlen(folder) + strlen(entry->d_name) + 2;
        vpc_event *event = calloc(1, sizeof(*event) + size);

        if (event == NULL)
            break;
        snprintf(event->path, size, "%s/%s", folder, entry->d_name);
        clear_event(event, vm);
        free(event);
    }
    if (events != NULL)
        closedir(events);
}

/* A lock of its own open file, so that it can be another process that lives. */
static int come_alive(vpc_event *event)
{
    struct flock lock = one_octet(LOCK_ALIVE, F_WRLCK);
    int fd = open(event->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW), error = 0;

    if (fd < 0)
        return errno;
    if (was_replaced(event->fd, event->path) || was_replaced(fd, event->path))
        error = EAGAIN;
    else if (fcntl(fd, F_OFD_SETLK, &lock) != 0)
        error = errno == EAGAIN || errno == EACCES ? EBUSY : errno;
    if (error)
        close(fd);
    else
        event->alive = fd;
    return error;
}

int vpc_event_hand_over(vpc_event *event)
{
    int fd = event->alive;

    event->alive = -1;
    return fd;
}

int vpc_event_own(vpc_event *event)
{
    if (event->owner)
        return 0;
    int error = event->visitor ? EPERM : take_given(event);
    if (!error)
        error = take_lock(event, LOCK_CLAIM);
    if (!error)
        error = put_word(event, false);
    if (!error)
        error = put_name(event);
    if (!error)
        error = come_alive(event);
    event->owner = !error;
    return error;
}

/* Owns the file that the path names now, and leaves the old one as it is. */
static int own_anew(vpc_event *event)
{
    size_t size = strlen(event->path) + 1;
    vpc_event *next = calloc(1, sizeof(*next) + size);

    if (next == NULL)
        return ENOMEM;
    next->given = event->given;
    next->fd = next->alive = -1;
    memcpy(next->vm, event->vm, sizeof(next->vm));
    memcpy(next->path, event->path, size);
    int error = open_and_map(next->path, event->group, &next->fd, &next->map);
    if (!error && (error = vpc_event_own(next)) != 0)
        unmap_and_close(next);
    if (!error) {
        put_word(event, false);
        if (event->alive >= 0)
            close(event->alive);
        unmap_and_close(event);
        event->fd = next->fd;
        event->map = next->map;
        event->alive = next->alive;
    }
    free(next);
    return error;
}

int vpc_event_set(vpc_event *event, bool set)
{
    if (!event->owner)
        return EPERM;
    int error = was_replaced(event->fd, event->path) ? own_anew(event) : 0;
    return error ? error : put_word(event, set);
}

static bool is_set(const vpc_event *event)
{
    return get_word(event) == 1 && owner_lives(event) && get_word(event) == 1;
}

bool vpc_event_is_set(const vpc_event *event)
{
    vpc_event view = {.fd = -1};

    if (!event->visitor)
        return is_set(event);
    bool set = visit(event, &view) && is_set(&view);
    if (view.map != NULL)
        unmap_and_close(&view);
    return set;
}

/* Sleeps until the event may be set, at most so long.  Any return is a reason to look again: a wake, a changed word, the
 * end, a signal; but a map without a file behind it can't be waited at. */
static void doze(const vpc_event *event, uint32_t seen, const struct timespec *slice)
{
    if (event == NULL ||
        (syscall(SYS_futex, event->map, FUTEX_WAIT, seen, slice, NULL, 0) != 0 && errno == EFAULT))
        nanosleep(slice, NULL);
}

/* One slice of a wait; whether the event is set. */
static bool wait_a_slice(const vpc_event *event, int64_t left)
{
    if (left > SLICE_MS)
        left = SLICE_MS;
    struct timespec slice = {.tv_sec = 0, .tv_nsec = left > 0 ? left * 1000000 : 0};
    uint32_t seen = event != NULL ? get_word(event) : 0;

    if (event != NULL && is_set(event))
        return true;
    if (left > 0)
        doze(event, seen, &slice);
    return false;
}

int vpc_event_wait(const vpc_event *event, int64_t limit_ms)
{
    int64_t end = vpc_end_of(limit_ms), left;
    bool set;

    do {
        vpc_event view = {.fd = -1};
        const vpc_event *seen = !event->visitor ? event : visit(event, &view) ? &view : NULL;

        left = end - vpc_now_ms();
        set = wait_a_slice(seen, left);
        if (seen == &view)
            unmap_and_close(&view);
    } while (!set && left > 0);
    return set ? 0 : ETIMEDOUT;
}
