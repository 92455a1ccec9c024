/* SPDX-License-Identifier: MIT */
/*
 * On the host: runs a command in a virtual machine, as if it ran here: standard input, output and error, signals, exit
 * status.  In the guest vpc-rund decides what may run.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../talk/channel.h"
#include "run.h"

enum {
    EXIT_NOT_RUN = 125,
    EXIT_NOT_EXECUTABLE = 126,
    EXIT_NOT_FOUND = 127,
    EXIT_SIGNAL = 128,
    GO_ON = -1, /* no exit status */
    LIMIT_MS = 60000,
    SLICE = 4096, /* a pipe that may be written takes so much at once */
    OUTPUT_SIZE = 4 * TALK_MESSAGE_MAX,
};

enum place {
    AT_GUEST,
    AT_SIGNALS,
    AT_IN,
    AT_OUT,
    PLACES,
};

struct run {
    const char *vm;
    struct talk talk;
    int signals;
    bool input_ends; /* nothing more is read of standard input */
    uint64_t room;   /* what the guest takes of it */
    int show_on;     /* where the last message is to be shown, or -1 */
    size_t shown;
    size_t output_at, output_end;
    unsigned char output[OUTPUT_SIZE]; /* to the guest */
};

static int complain(const struct run *r, const char *what)
{
    fprintf(stderr, "vpc-run: %s: %s\n", r->vm, what);
    return EXIT_NOT_RUN;
}

/* ---- to the guest -------------------------------------------------------------------------------- */

static bool output_fits(const struct run *r)
{
    return sizeof(r->output) - r->output_end >= 2 * TALK_MESSAGE_MAX;
}

static void say(struct run *r, char letter, uint64_t number, const void *data, size_t size)
{
    if (sizeof(r->output) - r->output_end >= TALK_MESSAGE_MAX)
        r->output_end +=
            talk_form(&run_request, letter, &number, data, size, r->output + r->output_end);
}

static bool flush(struct run *r)
{
    ssize_t n = send(r->talk.fd, r->output + r->output_at, r->output_end - r->output_at,
                     MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    r->output_at += (size_t)n;
    if (r->output_at == r->output_end)
        r->output_at = r->output_end = 0;
    else if (r->output_at > sizeof(r->output) / 2) {
        memmove(r->output, r->output + r->output_at, r->output_end - r->output_at);
        r->output_end -= r->output_at;
        r->output_at = 0;
    }
    return true;
}

static void take_input(struct run *r)
{
    char octets[TALK_DATA_MAX];
    size_t most = r->room < sizeof(octets) ? (size_t)r->room : sizeof(octets);
    ssize_t n = read(STDIN_FILENO, octets, most);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n > 0) {
        say(r, 'i', 0, octets, (size_t)n);
        r->room -= (uint64_t)n;
    } else {
        say(r, 'z', 0, NULL, 0);
        r->input_ends = true;
    }
}

static void take_signals(struct run *r)
{
    struct signalfd_siginfo info;

    while (output_fits(r) && read(r->signals, &info, sizeof(info)) == sizeof(info))
        say(r, 's', info.ssi_signo, NULL, 0);
}

/* ---- from the guest -------------------------------------------------------------------------------- */

/* A part of what the command wrote; who reads here no more is what SIGPIPE tells a command. */
static void show(struct run *r)
{
    const struct talk_message *message = &r->talk.message;
    size_t n = message->size - r->shown < SLICE ? message->size - r->shown : SLICE;
    ssize_t written = write(r->show_on, message->data + r->shown, n);

    if (written < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (written < 0)
        say(r, 's', SIGPIPE, NULL, 0);
    r->shown = written < 0 ? message->size : r->shown + (size_t)written;
    if (r->shown == message->size)
        r->show_on = -1;
}

static int failed(const struct run *r, uint64_t error)
{
    complain(r, error < 4096 ? strerror((int)error) : "it can not be run");
    return error == ENOENT || error == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

static int refused(const struct run *r, const struct talk_message *message)
{
    fprintf(stderr, "vpc-run: %s: refused: ", r->vm);
    talk_print(stderr, message->data, message->size);
    fputc('\n', stderr);
    return EXIT_NOT_RUN;
}

/* An exit status, or GO_ON. */
static int take(struct run *r, const struct talk_message *message)
{
    switch (message->kind) {
    case 'h':
        return message->numbers[0] == RUN_VERSION
                   ? GO_ON
                   : complain(r, "its vpc-rund is of another version");
    case 'r':
        return refused(r, message);
    case 'f':
        return failed(r, message->numbers[0]);
    case 'm':
        r->room =
            message->numbers[0] <= RUN_ROOM - r->room ? r->room + message->numbers[0] : RUN_ROOM;
        return GO_ON;
    case 'c':
        r->input_ends = true;
        return GO_ON;
    case 'x':
        return (int)(message->numbers[0] & 0xff);
    case 'k':
        return EXIT_SIGNAL + (int)(message->numbers[0] & 0x7f);
    default:
        r->show_on = message->kind == 'o'   ? STDOUT_FILENO
                     : message->kind == 'e' ? STDERR_FILENO
                                            : -1;
        r->shown = 0;
        return GO_ON;
    }
}

/* Up to a message that must be shown first. */
static int take_messages(struct run *r)
{
    int have = 0, status = GO_ON;

    while (status == GO_ON && r->show_on < 0 && (have = talk_have(&r->talk)) == 1)
        status = take(r, &r->talk.message);
    return have < 0 ? complain(r, "the guest said what it may not") : status;
}

static int hear_guest(struct run *r)
{
    int read = talk_read(&r->talk);

    if (read > 0)
        return take_messages(r);
    if (read < 0 && errno == EAGAIN)
        return GO_ON;
    return complain(r, "the channel ended before the command did");
}

/* ---- what happens -------------------------------------------------------------------------------- */

static int await(struct run *r)
{
    bool input = !r->input_ends && r->room > 0 && output_fits(r);
    struct pollfd p[PLACES] = {
        [AT_GUEST] = {.fd = r->talk.fd,
                      .events = (short)((r->show_on < 0 ? POLLIN : 0) |
                                        (r->output_end > r->output_at ? POLLOUT : 0))},
        [AT_SIGNALS] = {.fd = r->signals, .events = POLLIN},
        [AT_IN] = {.fd = input ? STDIN_FILENO : -1, .events = POLLIN},
        [AT_OUT] = {.fd = r->show_on, .events = POLLOUT},
    };

    if (p[AT_GUEST].events == 0)
        p[AT_GUEST].fd = -1; /* its end waits, too, until what it said is shown */
    if (poll(p, PLACES, -1) < 0)
        return errno == EINTR ? GO_ON : complain(r, strerror(errno));
    if (p[AT_SIGNALS].revents)
        take_signals(r);
    if (p[AT_IN].revents)
        take_input(r);
    if (p[AT_OUT].revents)
        show(r);
    if (r->show_on < 0 && p[AT_OUT].revents)
        return take_messages(r);
    return p[AT_GUEST].revents & ~POLLOUT && r->show_on < 0 ? hear_guest(r) : GO_ON;
}

static int join(struct run *r)
{
    int status = take_messages(r);

    while (status == GO_ON) {
        if (r->output_end > r->output_at && !flush(r))
            r->output_at = r->output_end =
                0; /* it has gone; what it said last may be there still */
        status = await(r);
    }
    return status;
}

/* The guest's first word; whom it does not take it tells nothing. */
static int greet(struct run *r)
{
    int heard = talk_next(&r->talk, RUN_LIMIT_MS);

    if (heard == 1)
        return take(r, &r->talk.message);
    if (heard == 0 || errno == ECONNRESET)
        return complain(r, "vpc-rund takes no more commands, or none of vpc-guest's user");
    return complain(r, errno == EPROTO ? "no vpc-rund listens there" : strerror(errno));
}

/* From here on signals are the command's. */
static int take_over_signals(void)
{
    static const int all[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        sigaddset(&set, all[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool ask(const struct run *r, const char *user, char *const *words)
{
    int fd = r->talk.fd;
    int result = talk_say(fd, &run_request, 'u', NULL, user, strlen(user), RUN_LIMIT_MS);

    for (; *words != NULL && result == 0; words++)
        result = talk_say(fd, &run_request, 'w', NULL, *words, strlen(*words), RUN_LIMIT_MS);
    return result == 0 && talk_say(fd, &run_request, 'g', NULL, NULL, 0, RUN_LIMIT_MS) == 0;
}

static int run(const struct channel_goal *goal, const char *user, char *const *words)
{
    static struct run r = {.show_on = -1};
    char why[CHANNEL_WHY_SIZE];
    int fd = channel_open(goal, why);

    r.vm = goal->vm;
    if (fd < 0)
        return complain(&r, why);
    talk_begin(&r.talk, fd, &run_answer);
    int status = greet(&r);
    if (status == GO_ON && !ask(&r, user, words))
        status = complain(&r, strerror(errno));
    r.signals = status == GO_ON ? take_over_signals() : -1;
    if (status == GO_ON)
        status = join(&r);
    close(fd);
    return status;
}

/* ---- the command line -------------------------------------------------------------------------------- */

static int usage(int status)
{
    fputs("usage: vpc-run [OPTION]... VM [--] COMMAND [ARGUMENT]...\n"
          "Runs a command in a virtual machine in which vpc-rund runs and allows it.\n"
          "  --user USER        who runs it in the guest; without: whom the first rule that allows "
          "it names\n"
          "  --timeout SECONDS  how long to wait for the guest (60)\n"
          "  --port PORT        of vpc-rund (" RUN_PORT ")\n"
          "  --runtime-dir DIR  of the host endpoint\n"
          "Exit status: that of the command, 128 and its signal's number; 125: it was not run or "
          "its end is not\n"
          "known, 126: it can not be executed, 127: it is not there.\n",
          status == 0 ? stdout : stderr);
    return status;
}

/* The command line would not fit into what the guest takes. */
static bool too_much(const char *user, char *const *words)
{
    unsigned count = 0;

    for (; words[count] != NULL; count++)
        if (count == RUN_WORDS_MAX || strlen(words[count]) > RUN_WORD_MAX)
            return true;
    for (const char *at = user; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return true;
    return strlen(user) > RUN_USER_MAX;
}

static bool take_seconds(const char *text, int64_t *ms)
{
    char *end;
    unsigned long seconds = strtoul(text, &end, 10);

    *ms = (int64_t)seconds * 1000;
    return *text >= '0' && *text <= '9' && *end == '\0' && seconds <= 86400 * 365;
}

struct arguments {
    struct channel_goal goal;
    const char *user;
    char *const *words;
};

static bool take_option(struct arguments *given, int option, const char *value)
{
    switch (option) {
    case 'u':
        given->user = value;
        return true;
    case 'p':
        given->goal.port = value;
        return true;
    case 'r':
        given->goal.runtime_dir = value;
        return true;
    case 't':
        return take_seconds(value, &given->goal.limit_ms);
    default:
        return false;
    }
}

/* Options come first: what stands behind VM is the command's. */
static int take_arguments(struct arguments *given, int argc, char **argv)
{
    static const struct option options[] = {
        {"user", required_argument, NULL, 'u'}, {"timeout", required_argument, NULL, 't'},
        {"port", required_argument, NULL, 'p'}, {"runtime-dir", required_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},       {0}};
    int option;

    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (option == 'h')
            return usage(0);
        if (!take_option(given, option, optarg))
            return usage(EXIT_NOT_RUN);
    }
    if (optind == argc)
        return usage(EXIT_NOT_RUN);
    given->goal.vm = argv[optind++];
    optind += optind < argc && strcmp(argv[optind], "--") == 0;
    given->words = argv + optind;
    if (optind == argc)
        return usage(EXIT_NOT_RUN);
    if (!too_much(given->user, given->words))
        return GO_ON;
    fputs("vpc-run: the user, the command or its arguments are too long, or too many\n", stderr);
    return EXIT_NOT_RUN;
}

int main(int argc, char **argv)
{
    struct arguments given = {
        .goal = {.program = "vpc-run", .port = RUN_PORT, .limit_ms = LIMIT_MS},
        .user = "",
    };

    if (talk_version("vpc-run", argc, argv))
        return 0;
    int status = take_arguments(&given, argc, argv);

    return status != GO_ON ? status : run(&given.goal, given.user, given.words);
}
