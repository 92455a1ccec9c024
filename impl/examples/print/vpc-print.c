/* SPDX-License-Identifier: MIT */
/*
 * On the host: takes the print jobs of a virtual machine in which vpc-printd runs, one after the other, and puts them
 * into a folder or gives them to lp.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../talk/channel.h"
#include "keep.h"

enum {
    EXIT_USAGE = 2,
    EXIT_AWAY = 3,
    GO_ON = -1, /* no exit status */
    HELLO_LIMIT_MS = 5000,
    LOST = -2, /* none either: the guest has gone */
};

#define FOR_EVER_MS  ((int64_t)86400 * 365 * 10 * 1000)
#define MOST_DEFAULT ((uint64_t)1 << 30)

struct print {
    struct channel_goal goal;
    struct keep keep;
    unsigned long count; /* of jobs, 0: no end */
    struct talk talk;
    struct job job;
};

/* ---- jobs ------------------------------------------------------------------------------------------------ */

static void print_text(const char *before, const char *text)
{
    fputs(before, stdout);
    talk_print(stdout, text, strlen(text));
}

static void report(const struct print *p)
{
    const struct job *job = &p->job;

    printf("%s: job %llu", p->keep.vm, (unsigned long long)job->number);
    print_text(" of ", job->user);
    print_text(" on ", job->queue);
    print_text(": \"", job->title);
    printf("\", %llu octets, %llu %s: ", (unsigned long long)job->size,
           (unsigned long long)job->copies, job->copies == 1 ? "copy" : "copies");
    if (job->error != 0)
        printf("not kept: %s\n", strerror(job->error));
    else
        printf("%s%s\n", job->again ? "was kept already " : "", job->name);
    fflush(stdout);
}

/* The whole job came, or it is not what it should be; then the channel is worth nothing. */
static int end_job(struct print *p, const uint64_t *numbers)
{
    struct job *job = &p->job;

    if (numbers[0] != job->size || numbers[1] != (job->digest & PRINT_DIGEST_MASK))
        return LOST;
    keep_end(&p->keep, job);
    report(p);
    uint64_t answer = job->error == 0 ? job->number : (uint64_t)job->error;
    if (talk_say(p->talk.fd, &print_answer, job->error == 0 ? 'k' : 'n', &answer, NULL, 0,
                 PRINT_LIMIT_MS) != 0)
        return LOST;
    return job->error == 0 && p->count > 0 && --p->count == 0 ? 0 : GO_ON;
}

static void set_text(char text[PRINT_TEXT_MAX + 1], const struct talk_message *message)
{
    memcpy(text, message->data, message->size + 1);
}

static int hear_hello(const struct print *p, uint64_t version)
{
    bool good = version == PRINT_VERSION;

    fprintf(stderr, "vpc-print: %s: %s\n", p->keep.vm,
            good ? "waiting for jobs" : "its vpc-printd is of another version");
    return good ? GO_ON : EXIT_AWAY;
}

static int take(struct print *p, const struct talk_message *message)
{
    switch (message->kind) {
    case 'h':
        return hear_hello(p, message->numbers[0]);
    case 'j':
        p->job.number = message->numbers[0];
        p->job.copies = message->numbers[1];
        p->job.which = message->numbers[2];
        return GO_ON;
    case 'q':
        set_text(p->job.queue, message);
        return GO_ON;
    case 'u':
        set_text(p->job.user, message);
        return GO_ON;
    case 't':
        set_text(p->job.title, message);
        keep_begin(&p->keep, &p->job);
        return GO_ON;
    case 'd':
        keep_add(&p->keep, &p->job, message->data, message->size);
        return GO_ON;
    default:
        return end_job(p, message->numbers);
    }
}

/* Between jobs the guest may be silent for days; within one it is at work. */
static int session(struct print *p, int fd)
{
    int status = GO_ON, heard;

    talk_begin(&p->talk, fd, &print_jobs);
    heard = talk_next(&p->talk, HELLO_LIMIT_MS);
    if (heard < 0 && errno == ETIMEDOUT) {
        fprintf(stderr, "vpc-print: %s: another one is served there, and goes first\n", p->keep.vm);
        heard = talk_next(&p->talk, TALK_FOREVER);
    }
    while (heard == 1 && (status = take(p, &p->talk.message)) == GO_ON)
        heard = talk_next(&p->talk, TALK_FOREVER);
    keep_forget(&p->job);
    if (heard < 0 && errno == EPROTO)
        fprintf(stderr, "vpc-print: %s: the guest said what is no job, or a part of one\n",
                p->keep.vm);
    return status == GO_ON ? LOST : status;
}

static int print(struct print *p)
{
    char why[CHANNEL_WHY_SIZE];

    p->job.file = -1;
    for (;;) {
        int fd = channel_open(&p->goal, why);

        if (fd < 0) {
            fprintf(stderr, "vpc-print: %s: %s\n", p->keep.vm, why);
            return EXIT_AWAY;
        }
        int status = session(p, fd);
        close(fd);
        if (status != LOST)
            return status;
        fprintf(stderr, "vpc-print: %s: the guest has gone\n", p->keep.vm);
        sleep(1); /* one that ends each channel at once is not asked at once again */
    }
}

/* ---- the command line -------------------------------------------------------------------------------------- */

static int usage(int status)
{
    fputs("usage: vpc-print VM --folder DIR [OPTION]...\n"
          "Takes the print jobs of a virtual machine in which vpc-printd runs.\n"
          "  --folder DIR       where the jobs are put\n"
          "  --lp QUEUE         give each to lp instead; DIR is for what is remembered\n"
          "  --max-size OCTETS  of a job (1073741824); a longer one is cancelled\n"
          "  --count N          end with status 0 after N jobs\n"
          "  --timeout SECONDS  how long the guest may be away (for ever)\n"
          "  --port PORT        of vpc-printd (" PRINT_PORT ")\n"
          "  --runtime-dir DIR  of the host endpoint\n",
          status == 0 ? stdout : stderr);
    return status;
}

static bool whole_number(const char *text, uint64_t most, uint64_t *number)
{
    char *end;

    *number = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && *number > 0 && *number <= most;
}

static bool take_option(struct print *p, int option, const char *value)
{
    uint64_t number = 0;

    switch (option) {
    case 'f':
        p->keep.folder = value;
        return true;
    case 'l':
        p->keep.lp = value;
        return true;
    case 'm':
        return whole_number(value, INT64_MAX, &p->keep.most);
    case 'c':
        return whole_number(value, UINT32_MAX, &number) && (p->count = number, true);
    case 't':
        return whole_number(value, 86400 * 365, &number) &&
               (p->goal.limit_ms = (int64_t)number * 1000, true);
    case 'p':
        p->goal.port = value;
        return true;
    case 'r':
        p->goal.runtime_dir = value;
        return true;
    default:
        return false;
    }
}

static int take_arguments(struct print *p, int argc, char **argv)
{
    static const struct option options[] = {{"folder", required_argument, NULL, 'f'},
                                            {"lp", required_argument, NULL, 'l'},
                                            {"max-size", required_argument, NULL, 'm'},
                                            {"count", required_argument, NULL, 'c'},
                                            {"timeout", required_argument, NULL, 't'},
                                            {"port", required_argument, NULL, 'p'},
                                            {"runtime-dir", required_argument, NULL, 'r'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h')
            return usage(0);
        if (!take_option(p, option, optarg))
            return usage(EXIT_USAGE);
    }
    if (optind + 1 != argc || p->keep.folder == NULL)
        return usage(EXIT_USAGE);
    p->goal.vm = p->keep.vm = argv[optind];
    return GO_ON;
}

int main(int argc, char **argv)
{
    static struct print p = {
        .goal = {.program = "vpc-print",
                 .port = PRINT_PORT,
                 .limit_ms = FOR_EVER_MS,
                 .patient = true},
        .keep = {.most = MOST_DEFAULT},
    };

    if (talk_version("vpc-print", argc, argv))
        return 0;
    int status = take_arguments(&p, argc, argv);

    if (status != GO_ON)
        return status;
    int error = keep_open(&p.keep);
    if (error != 0) {
        fprintf(stderr, "vpc-print: the folder %s: %s\n", p.keep.folder,
                error == EBUSY ? "another vpc-print uses it" : strerror(error));
        return EXIT_USAGE;
    }
    return print(&p);
}
