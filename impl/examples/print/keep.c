/* SPDX-License-Identifier: MIT */
/*
 * A job is a file without a name until all of it is on the disk, so nobody sees half of one, and nothing is left of one
 * that was cut off.  First it gets its name, then it is remembered, then the guest is told: whatever stops in between,
 * it is not lost.  If it comes again, the guest did not hear the answer; its name or the memory shows that it is here.
 */
#include "keep.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY     ".vpc-print.last"
#define MEMORY_NEW ".vpc-print.new"

enum {
    NAMES_MAX = 100, /* of jobs that have one number and one title */
    MEMORY_SIZE = KEEP_QUEUES_MAX * 128,
    TITLE_MAX = 64,
};

/* ---- the memory: messages, as on the wire ---------------------------------------------------------------- */

static const struct talk_kind memory_kinds[] = {
    {'l', "last", 4, TALK_PLAIN, 0},
    {0, NULL, 0, TALK_PLAIN, 0},
};

static bool any_order(int *state, char letter)
{
    *state = letter;
    return true;
}

static const struct talk_grammar memory = {memory_kinds, any_order};

static int read_memory(struct keep *keep)
{
    static struct talk talk;
    unsigned char octets[MEMORY_SIZE];
    int fd = openat(keep->dir, MEMORY, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, octets, sizeof(octets)) : -1;
    size_t used;

    if (fd < 0)
        return errno == ENOENT ? 0 : errno;
    close(fd);
    talk_begin(&talk, -1, &memory);
    for (ssize_t at = 0; at < n && keep->count < KEEP_QUEUES_MAX; at += (ssize_t)used) {
        const uint64_t *numbers = talk.message.numbers;

        if (talk_take(&talk, octets + at, (size_t)(n - at), &used) != TALK_WHOLE)
            return EINVAL;
        keep->last[keep->count++] = (struct last){numbers[0], numbers[1], numbers[2], numbers[3]};
    }
    return n < 0 ? EIO : 0;
}

static int write_memory(const struct keep *keep)
{
    unsigned char octets[MEMORY_SIZE + TALK_MESSAGE_MAX];
    size_t n = 0;

    for (unsigned i = 0; i < keep->count; i++) {
        const struct last *last = &keep->last[i];

        n += talk_form(&memory, 'l',
                       (uint64_t[]){last->queue, last->number, last->size, last->digest}, NULL, 0,
                       octets + n);
    }
    int fd = openat(keep->dir, MEMORY_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write(fd, octets, n) == (ssize_t)n && fsync(fd) == 0;
    int error = good ? 0 : errno;

    if (fd >= 0)
        close(fd);
    if (good && (renameat(keep->dir, MEMORY_NEW, keep->dir, MEMORY) != 0 || fsync(keep->dir) != 0))
        error = errno;
    return error;
}

static uint64_t queue_of(const struct keep *keep, const struct job *job)
{
    uint64_t digest = print_digest(PRINT_DIGEST_START, keep->vm, strlen(keep->vm) + 1);

    return print_digest(digest, job->queue, strlen(job->queue)) & PRINT_DIGEST_MASK;
}

static struct last last_of(const struct keep *keep, const struct job *job)
{
    uint64_t digest = print_digest(job->digest, &job->which, sizeof(job->which));

    return (struct last){queue_of(keep, job), job->number, job->size, digest & PRINT_DIGEST_MASK};
}

static bool was_kept(const struct keep *keep, const struct job *job)
{
    struct last this = last_of(keep, job);

    for (unsigned i = 0; i < keep->count; i++)
        if (memcmp(&keep->last[i], &this, sizeof(this)) == 0)
            return true;
    return false;
}

/* The oldest is forgotten when there are too many queues. */
static void remember(struct keep *keep, const struct job *job)
{
    struct last this = last_of(keep, job);
    unsigned i = 0;

    while (i < keep->count && keep->last[i].queue != this.queue)
        i++;
    if (i == keep->count && keep->count < KEEP_QUEUES_MAX)
        keep->count++;
    if (i == KEEP_QUEUES_MAX)
        i--;
    memmove(keep->last + 1, keep->last, i * sizeof(this));
    keep->last[0] = this;
}

/* ---- a job ------------------------------------------------------------------------------------------------- */

int keep_open(struct keep *keep)
{
    keep->dir = open(keep->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (keep->dir < 0)
        return errno;
    if (flock(keep->dir, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? EBUSY : errno;
    return read_memory(keep);
}

void keep_begin(const struct keep *keep, struct job *job)
{
    job->size = 0;
    job->digest = PRINT_DIGEST_START;
    job->again = false;
    job->name[0] = '\0';
    job->file = openat(keep->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    job->error = job->file < 0 ? errno : 0;
}

void keep_add(const struct keep *keep, struct job *job, const void *data, size_t size)
{
    const char *at = data;

    job->size += size;
    job->digest = print_digest(job->digest, data, size);
    if (job->error == 0 && job->size > keep->most)
        job->error = EFBIG;
    while (job->error == 0 && size > 0) {
        ssize_t n = write(job->file, at, size);

        if (n < 0 && errno != EINTR)
            job->error = errno;
        if (n > 0) {
            at += n;
            size -= (size_t)n;
        }
    }
}

static void put_safe(char *out, const char *text, size_t most)
{
    size_t n = 0;

    for (; text[n] != '\0' && n < most; n++) {
        bool plain = (text[n] >= 'a' && text[n] <= 'z') || (text[n] >= 'A' && text[n] <= 'Z') ||
                     (text[n] >= '0' && text[n] <= '9') || text[n] == '-';

        out[n] = text[n] == '.' && n > 0 ? '.' : plain ? text[n] : '_';
    }
    out[n] = '\0';
}

static const char *suffix(int file)
{
    char start[4] = "";

    if (pread(file, start, sizeof(start), 0) < 2)
        return "prn";
    return memcmp(start, "%PDF", 4) == 0 ? "pdf" : memcmp(start, "%!", 2) == 0 ? "ps" : "prn";
}

/* Whether a file that is there has the same octets. */
static bool is_the_same(const struct keep *keep, const struct job *job)
{
    unsigned char octets[TALK_DATA_MAX];
    uint64_t digest = PRINT_DIGEST_START, size = 0;
    int fd = openat(keep->dir, job->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = -1;

    while (fd >= 0 && (n = read(fd, octets, sizeof(octets))) > 0) {
        digest = print_digest(digest, octets, (size_t)n);
        size += (uint64_t)n;
    }
    if (fd >= 0)
        close(fd);
    return n == 0 && size == job->size && digest == job->digest;
}

static int name_it(const struct keep *keep, struct job *job)
{
    char safe_vm[TITLE_MAX + 1], safe_queue[TITLE_MAX + 1], safe_title[TITLE_MAX + 1], file[64],
        more[8] = "";

    put_safe(safe_vm, keep->vm, TITLE_MAX);
    put_safe(safe_queue, job->queue, TITLE_MAX);
    put_safe(safe_title, job->title, TITLE_MAX);
    snprintf(file, sizeof(file), "/proc/self/fd/%d", job->file);
    for (int i = 1; i <= NAMES_MAX; i++) {
        snprintf(job->name, sizeof(job->name), "%s-%s-%05llu-%s%s.%s", safe_vm, safe_queue,
                 (unsigned long long)job->number, safe_title, more, suffix(job->file));
        if (linkat(AT_FDCWD, file, keep->dir, job->name, AT_SYMLINK_FOLLOW) == 0)
            return fsync(keep->dir) == 0 ? 0 : errno;
        if (errno != EEXIST)
            return errno;
        job->again = is_the_same(keep, job);
        if (job->again)
            return 0;
        snprintf(more, sizeof(more), "-%d", i + 1);
    }
    return EEXIST;
}

/* lp reads the job at its standard input; what it says is seen on standard error. */
static void become_lp(const struct keep *keep, const struct job *job)
{
    char copies[24];

    snprintf(copies, sizeof(copies), "%llu",
             (unsigned long long)(job->copies > 0 ? job->copies : 1));
    if (lseek(job->file, 0, SEEK_SET) == 0 && dup2(job->file, STDIN_FILENO) == 0 &&
        dup2(STDERR_FILENO, STDOUT_FILENO) == STDOUT_FILENO)
        execlp("lp", "lp", "-d", keep->lp, "-n", copies, "-t", job->title, (char *)NULL);
    perror("vpc-print: lp");
    _exit(127);
}

static int give_to_lp(const struct keep *keep, struct job *job)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0)
        become_lp(keep, job);
    if (pid < 0)
        return errno;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    snprintf(job->name, sizeof(job->name), "%s", keep->lp);
    return status == 0 ? 0 : EIO;
}

void keep_end(struct keep *keep, struct job *job)
{
    if (job->error == 0 && was_kept(keep, job))
        job->again = true;
    else if (job->error == 0) {
        if (fsync(job->file) != 0)
            job->error = errno;
        if (job->error == 0)
            job->error = keep->lp != NULL ? give_to_lp(keep, job) : name_it(keep, job);
        if (job->error == 0) {
            remember(keep, job);
            job->error = write_memory(keep);
        }
    }
    keep_forget(job);
}

void keep_forget(struct job *job)
{
    if (job->file >= 0)
        close(job->file);
    job->file = -1;
}
