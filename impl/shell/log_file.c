/* SPDX-License-Identifier: MIT */
/*
 * The event log: JSON lines, each appended by one write, so that several writers and a reader never see half a line.  On a
 * full disk a line may be cut all the same; the next one begins behind a newline of its own.
 *
 * With a limit there are four files at most, none larger than it.  FILE is renamed to FILE.1 when it is full, in place of an
 * older one.  A host's FILE takes of what a guest causes no more than its shares (log_share.h); what is beyond goes to
 * FILE.guest, which is turned over likewise.  So a guest, however much it causes, pushes out its own entries alone, and in
 * quiet times there is one file with everything in its order.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "file_flags.h"
#include "log_line.h"
#include "shell_internal.h"

enum {
    LINE_ROOM = 16384,     /* octets; no entry is longer */
    NOTE_AGAIN_MS = 60000, /* a disk that is full now and then is told of this often at most */
};

/* ---- one file ---------------------------------------------------------------------------------- */

static int open_as(struct vpc_log *log, struct vpc_log_file *file, enum vpc_wish wish)
{
    enum vpc_kept which = file == &log->files[0] ? VPC_KEPT_LOG : VPC_KEPT_GUEST_LOG;

    file->torn = false;
    return vpc_opener_file(log->asked, wish, which, &file->fd);
}

static void close_file(struct vpc_log_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

/* The file that is full becomes PATH.1; when that fails it stays in use. */
static int turn_over(struct vpc_log *log, struct vpc_log_file *file)
{
    int full = file->fd;
    bool torn = file->torn;
    int error = open_as(log, file, VPC_WISH_TURN_FILE);

    if (error) {
        file->fd = full;
        file->torn = torn;
    } else {
        close(full);
    }
    return error;
}

/* Writes the line, or tells why not; *size is what it takes in the file. */
static int append(struct vpc_log_file *file, const char *text, size_t n, size_t *size)
{
    char newline = '\n';
    size_t torn = file->torn;
    struct iovec line[] = {{.iov_base = &newline, .iov_len = torn},
                           {.iov_base = (void *)(uintptr_t)text, .iov_len = n},
                           {.iov_base = &newline, .iov_len = 1}};
    ssize_t w;

    *size = torn + n + 1;
    do
        w = writev(file->fd, line, 3);
    while (w < 0 && errno == EINTR);
    if (w == (ssize_t)*size) {
        file->torn = false;
        return 0;
    }
    if (w > 0)
        file->torn = (size_t)w > torn;
    return w < 0 ? errno : ENOSPC;
}

/* ---- files that are larger than the limit ------------------------------------------------------ */

/* Moves what stands from `from` on to the beginning, and cuts the file behind it. */
static int move_to_front(int fd, off_t from)
{
    char part[LINE_ROOM];
    off_t to = 0;
    ssize_t n;

    while ((n = pread(fd, part, sizeof(part), from + to)) > 0) {
        if (pwrite(fd, part, (size_t)n, to) != n)
            return errno ? errno : EIO;
        to += n;
    }
    return n < 0 || ftruncate(fd, to) != 0 ? errno : 0;
}

/* Where the first line begins whose place is `from` or behind it. */
static off_t line_behind(int fd, off_t from)
{
    char part[LINE_ROOM];
    ssize_t n = pread(fd, part, sizeof(part), from - 1);
    const char *end = n > 0 ? memchr(part, '\n', (size_t)n) : NULL;

    return end != NULL ? from + (end - part) : from;
}

/* A slip of the pen must not spoil anything else. */
static bool is_log(int fd)
{
    char first;

    return pread(fd, &first, 1, 0) == 1 && (first == '{' || first == '\n');
}

/* Needs no room on the disk; if it is broken off, the next try finds the newest lines still at the end. */
static int shorten(const char *path, uint64_t limit)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), error = 0;

    if (fd < 0)
        return errno == ENOENT ? 0 : errno;
    if (fstat(fd, &st) != 0)
        error = errno;
    else if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > limit && is_log(fd))
        error = move_to_front(fd, line_behind(fd, st.st_size - (off_t)limit));
    close(fd);
    return error;
}

/* ---- the shares of FILE ------------------------------------------------------------------------ */

/* The whole lines of n octets; how many octets they are. */
static size_t count_lines(struct vpc_log *log, const char *text, size_t n)
{
    size_t at = 0;
    const char *end;

    while ((end = memchr(text + at, '\n', n - at)) != NULL) {
        size_t size = (size_t)(end - (text + at)) + 1;

        log->used[vpc_log_share_of(text + at, size)] += size;
        at += size;
    }
    return at;
}

/* What is in FILE already; one that can't be read counts as empty. */
static void count_shares(struct vpc_log *log)
{
    memset(log->used, 0, sizeof(log->used));
    if (!log->shared)
        return;
    char part[LINE_ROOM];
    size_t have = 0, taken;
    ssize_t n;
    int fd;
    vpc_opener_file(log->asked, VPC_WISH_READ_FILE, VPC_KEPT_LOG, &fd);
    while (fd >= 0 && (n = read(fd, part + have, sizeof(part) - have)) > 0) {
        have += (size_t)n;
        taken = count_lines(log, part, have);
        if (taken == 0 && have == sizeof(part))
            taken = have; /* no line of ours */
        have -= taken;
        memmove(part, part + taken, have);
    }
    if (fd >= 0)
        close(fd);
}

int vpc_log_shorten(struct vpc_log *log)
{
    static const char *const ends[] = {"", ".1", ".guest", ".guest.1"};
    char path[sizeof(log->path) + sizeof(".guest.1")];
    int error = 0;

    for (size_t i = 0; log->limit && i < sizeof(ends) / sizeof(ends[0]); i++) {
        snprintf(path, sizeof(path), "%s%s", log->path, ends[i]);
        int failed = shorten(path, log->limit);
        error = failed ? failed : error;
    }
    count_shares(log);
    return error;
}

/* ---- the log ----------------------------------------------------------------------------------- */

void vpc_log_init(struct vpc_log *log)
{
    *log = (struct vpc_log){.files = {{.fd = -1}, {.fd = -1}}};
}

int vpc_log_open(struct vpc_log *log, const struct vpc_shell *shell)
{
    const struct vpc_shell_config *config = &shell->config;

    vpc_log_init(log);
    log->verbose = config->verbose;
    log->asked = shell->asked;
    if (config->log_path == NULL)
        return 0;
    snprintf(log->path, sizeof(log->path), "%s", config->log_path);
    int error = open_as(log, &log->files[0], VPC_WISH_FILE);
    if (error)
        return error;
    /* A pipe or a device is no file that could be turned over. */
    if (lseek(log->files[0].fd, 0, SEEK_END) >= 0)
        log->limit = config->log_limit;
    log->shared = log->limit && config->role == VPC_ROLE_HOST;
    count_shares(log);
    return 0;
}

int vpc_log_reopen(struct vpc_log *log, const struct vpc_shell *shell)
{
    struct vpc_log next;
    int error = vpc_log_open(&next, shell);

    if (error)
        return error;
    next.failed = log->failed;
    next.lost = log->lost;
    next.note_at = log->note_at;
    vpc_log_close(log);
    *log = next;
    return 0;
}

void vpc_log_close(struct vpc_log *log)
{
    close_file(&log->files[0]);
    close_file(&log->files[1]);
}

static bool is_full(const struct vpc_log *log, const struct vpc_log_file *file, size_t n)
{
    off_t size = log->limit ? lseek(file->fd, 0, SEEK_END) : 0;

    return size > 0 && (uint64_t)size + n + 1 > log->limit;
}

static int write_to(struct vpc_log *log, struct vpc_log_file *file, const char *text, size_t n,
                    size_t *size)
{
    int error = file->fd < 0 ? open_as(log, file, VPC_WISH_FILE) : 0;

    if (!error && is_full(log, file, n)) {
        error = turn_over(log, file);
        if (!error && file == &log->files[0])
            count_shares(log);
    }
    return error ? error : append(file, text, n, size);
}

static int write_entry(struct vpc_log *log, enum vpc_log_share share, const char *text, size_t n)
{
    size_t size = 0;

    if (log->shared && log->used[share] + n + 1 > vpc_log_share_limit(share, log->limit) &&
        share != VPC_LOG_OWN)
        return write_to(log, &log->files[1], text, n, &size);
    int error = write_to(log, &log->files[0], text, n, &size);
    if (!error)
        log->used[share] += size;
    return error;
}

/* Told once, and when it can be written again. */
static void tell(struct vpc_shell *shell, int error)
{
    struct vpc_log *log = &shell->log;
    const char *path = log->path;

    log->lost += error != 0;
    if (!error && log->told)
        vpc_shell_note(shell, "the event log %s can be written again; %llu of its entries are lost",
                       path, (unsigned long long)log->lost);
    if (error && !log->failed && shell->loop.now >= log->note_at) {
        vpc_shell_note(shell, "the event log %s can not be written: %s", path, strerror(error));
        log->note_at = shell->loop.now + NOTE_AGAIN_MS;
        log->told = true;
    }
    log->failed = error != 0;
    if (!error) {
        log->told = false;
        log->lost = 0;
    }
}

void vpc_log_write(struct vpc_shell *shell, const char *text, size_t n)
{
    enum vpc_log_share share =
        shell->config.role == VPC_ROLE_HOST ? vpc_log_share_of(text, n) : VPC_LOG_OWN;

    vpc_trace_entry(shell, text, n);
    if (shell->log.files[0].fd >= 0)
        tell(shell, write_entry(&shell->log, share, text, n));
    if (share == VPC_LOG_OWN)
        vpc_journal_write(&shell->journal, text, n);
    else
        vpc_journal_write_caused(&shell->journal, text, n, shell->loop.now);
    if (shell->log.verbose && vpc_shell_is_heard())
        vpc_log_line_print(stderr, text, n, isatty(STDERR_FILENO));
}
