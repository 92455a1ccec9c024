/* SPDX-License-Identifier: MIT */
/*
 * In the guest: a backend of CUPS, whose jobs come out on the host of the virtual machine.
 *
 * A job stays in the spool of CUPS until the host has said that it kept it.  Without a host this waits, then tells CUPS
 * to try the same job again, so that none is lost and their order stays.  vpc-printd lends it the host's connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "handover.h"
#include "print.h"
#include "uri.h"

/* What a backend's exit status tells CUPS: backend(7). */
enum {
    CUPS_BACKEND_OK = 0,
    CUPS_BACKEND_FAILED = 1,
    CUPS_BACKEND_CANCEL = 5,
    CUPS_BACKEND_RETRY_CURRENT = 7,
};

enum {
    WAIT_S = 60,
    AGAIN_S = 30, /* after the host could not keep a job */
};

struct job {
    uint64_t number, copies, which;
    char queue[PRINT_TEXT_MAX + 1], user[PRINT_TEXT_MAX + 1], title[PRINT_TEXT_MAX + 1];
    int input;
    uint64_t size, digest;
};

/* CUPS shows these lines, and keeps the state in its list of what the printer is doing. */
static void tell(const char *line)
{
    fprintf(stderr, "%s\n", line);
}

/* ---- the job ------------------------------------------------------------------------------------------- */

/* As much as there is room for, without controls. */
static void set_text(char out[PRINT_TEXT_MAX + 1], const char *text)
{
    size_t n = 0;

    for (; text[n] != '\0' && n < PRINT_TEXT_MAX; n++)
        out[n] = (unsigned char)text[n] < 0x20 || text[n] == 0x7f ? ' ' : text[n];
    out[n] = '\0';
}

/* CUPS gives each job a UUID, which it keeps over all tries; a number may come again, after its spool was emptied. */
static uint64_t which_job(const char *options)
{
    const char *uuid = strstr(options, "job-uuid=");

    return uuid == NULL
               ? 0
               : print_digest(PRINT_DIGEST_START, uuid, strcspn(uuid, " ")) & PRINT_DIGEST_MASK;
}

/* argv: job-id user title copies options [file]; of standard input CUPS itself makes the copies. */
static bool take_job(struct job *job, int argc, char **argv)
{
    const char *queue = getenv("PRINTER");

    job->number = strtoull(argv[1], NULL, 10) & PRINT_DIGEST_MASK;
    job->copies = argc == 7 ? strtoull(argv[4], NULL, 10) & UINT16_MAX : 1;
    job->which = which_job(argv[5]);
    job->digest = PRINT_DIGEST_START;
    set_text(job->queue, queue != NULL ? queue : "");
    set_text(job->user, argv[2]);
    set_text(job->title, argv[3]);
    job->input = argc == 7 ? open(argv[6], O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (job->input < 0)
        fprintf(stderr, "ERROR: %s: %s\n", argv[6], strerror(errno));
    return job->input >= 0;
}

static int say(int host, char letter, const uint64_t *numbers, const void *data, size_t size)
{
    return talk_say(host, &print_jobs, letter, numbers, data, size, PRINT_LIMIT_MS);
}

static int say_text(int host, char letter, const char *text)
{
    return say(host, letter, NULL, text, strlen(text));
}

static int say_head(int host, const struct job *job)
{
    if (say(host, 'j', (uint64_t[]){job->number, job->copies, job->which}, NULL, 0) != 0 ||
        say_text(host, 'q', job->queue) != 0 || say_text(host, 'u', job->user) != 0)
        return -1;
    return say_text(host, 't', job->title);
}

/* The status of CUPS, or -1: all was said. */
static int say_data(int host, struct job *job)
{
    static char octets[TALK_DATA_MAX];
    ssize_t n;

    while ((n = read(job->input, octets, sizeof(octets))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            fprintf(stderr, "ERROR: the job can not be read: %s\n", strerror(errno));
            return CUPS_BACKEND_FAILED;
        }
        job->size += (uint64_t)n;
        job->digest = print_digest(job->digest, octets, (size_t)n);
        if (say(host, 'd', NULL, octets, (size_t)n) != 0)
            return CUPS_BACKEND_RETRY_CURRENT;
    }
    return -1;
}

/* ---- the host ------------------------------------------------------------------------------------------ */

static int connect_to(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Tells vpc-printd that the host's connection, if it has lent it, is between two jobs. */
static void give_back(int daemon)
{
    char ready = PRINT_READY;

    if (send(daemon, &ready, 1, MSG_NOSIGNAL) != 1)
        tell("DEBUG: vpc-printd has gone");
    close(daemon);
}

/* The place in vpc-printd's row; it may be started later than CUPS. */
static int line_up(const char *path, int64_t end)
{
    int fd;

    while ((fd = connect_to(path)) < 0 && talk_now_ms() < end)
        poll(NULL, 0, 500);
    return fd;
}

static int await_host(int daemon, int64_t end)
{
    struct pollfd p = {.fd = daemon, .events = POLLIN};
    int64_t left = end - talk_now_ms();

    return left > 0 && poll(&p, 1, (int)left) > 0 ? handover_take(daemon) : -1;
}

static int kept(const struct job *job)
{
    fprintf(stderr, "INFO: the host has the job %llu\n", (unsigned long long)job->number);
    return CUPS_BACKEND_OK;
}

/* A file that is larger than the host takes will be so the next time, too. */
static int not_kept(uint64_t error, unsigned wait_s)
{
    fprintf(stderr, "ERROR: the host can not keep the job: %s\n",
            strerror(error < 4096 ? (int)error : EIO));
    if (error == EFBIG)
        return CUPS_BACKEND_CANCEL;
    sleep(wait_s < AGAIN_S ? wait_s : AGAIN_S);
    return CUPS_BACKEND_RETRY_CURRENT;
}

static int hear_answer(int daemon, int host, const struct job *job, unsigned wait_s)
{
    static struct talk talk;
    const struct talk_message *answer = &talk.message;

    talk_begin(&talk, host, &print_answer);
    if (talk_next(&talk, PRINT_LIMIT_MS) != 1 ||
        (answer->kind == 'k' && answer->numbers[0] != job->number))
        return CUPS_BACKEND_RETRY_CURRENT;
    give_back(daemon);
    return answer->kind == 'k' ? kept(job) : not_kept(answer->numbers[0], wait_s);
}

static int print(int daemon, int host, struct job *job, unsigned wait_s)
{
    int status = say_head(host, job) == 0 ? say_data(host, job) : CUPS_BACKEND_RETRY_CURRENT;

    if (status >= 0)
        return status;
    uint64_t end[] = {job->size, job->digest & PRINT_DIGEST_MASK};
    return say(host, 'e', end, NULL, 0) == 0 ? hear_answer(daemon, host, job, wait_s)
                                             : CUPS_BACKEND_RETRY_CURRENT;
}

static int print_on_host(struct job *job, const struct uri *uri)
{
    int64_t end = talk_now_ms() + (int64_t)uri->wait_s * 1000;

    tell("STATE: +connecting-to-device");
    tell("INFO: waiting for the host");
    int daemon = line_up(uri->path[1] != '\0' ? uri->path : PRINT_SOCKET, end);
    if (daemon < 0) {
        tell("ERROR: vpc-printd does not run");
        return CUPS_BACKEND_RETRY_CURRENT;
    }
    int host = await_host(daemon, end);
    if (host < 0) {
        give_back(daemon); /* it may be lent at this very moment */
        tell("INFO: the host is away");
        sleep(1);
        return CUPS_BACKEND_RETRY_CURRENT;
    }
    tell("STATE: -connecting-to-device");
    tell("INFO: sending the job to the host");
    int status = print(daemon, host, job, uri->wait_s);
    if (status == CUPS_BACKEND_RETRY_CURRENT)
        tell("INFO: the job was not kept, and is tried again");
    sleep(status == CUPS_BACKEND_RETRY_CURRENT); /* CUPS does so at once */
    return status;
}

int main(int argc, char **argv)
{
    static struct job job;
    struct uri uri = {.wait_s = WAIT_S};
    const char *device = getenv("DEVICE_URI");

    if (argc == 1) {
        puts("direct vpcbus:/ \"Unknown\" \"Host of this virtual machine\"");
        return fflush(stdout) == 0 ? CUPS_BACKEND_OK : CUPS_BACKEND_FAILED;
    }
    if (argc != 6 && argc != 7) {
        tell("usage: vpcbus job-id user title copies options [file]");
        return CUPS_BACKEND_FAILED;
    }
    if (device == NULL || !uri_read(&uri, device)) {
        tell("ERROR: the device is none: vpcbus:/ or vpcbus:/PATH?wait=SECONDS");
        return CUPS_BACKEND_FAILED;
    }
    signal(SIGPIPE, SIG_IGN);
    return take_job(&job, argc, argv) ? print_on_host(&job, &uri) : CUPS_BACKEND_FAILED;
}
