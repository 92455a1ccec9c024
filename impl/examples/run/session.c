/* SPDX-License-Identifier: MIT */
/*
 * The host may send no more standard input than it was given room for, so signals never wait behind octets that the
 * command does not read.  What the command writes waits in its pipe while the host does not read.
 */
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    OUTPUT_SIZE = 4 * TALK_MESSAGE_MAX,
    ROOM_STEP = RUN_ROOM / 4,
    GRACE_MS = 5000,
};

enum place {
    AT_HOST,
    AT_SIGNALS,
    AT_IN,
    AT_OUT,
    AT_ERR,
    PLACES,
};

struct session {
    struct talk *talk;
    struct command command;
    int signals;
    bool host_gone, input_ends, ended;
    int status;               /* of waitpid(), once it has ended */
    int64_t stop_at, kill_at; /* INT64_MAX: never */
    uint64_t room,
        owed; /* of standard input: what the host may send, what it was not told of yet */
    size_t input_at, input_end, output_at, output_end;
    unsigned char input[RUN_ROOM], output[OUTPUT_SIZE];
};

/* ---- to the host -------------------------------------------------------------------------------- */

static bool output_fits(const struct session *s)
{
    return s->host_gone || sizeof(s->output) - s->output_end >= 2 * TALK_MESSAGE_MAX;
}

/* A message more, for which output_fits(); one of no body always does. */
static void say(struct session *s, char letter, uint64_t number, const void *data, size_t size)
{
    if (!s->host_gone && sizeof(s->output) - s->output_end >= TALK_MESSAGE_MAX)
        s->output_end +=
            talk_form(&run_answer, letter, &number, data, size, s->output + s->output_end);
}

static void flush(struct session *s)
{
    ssize_t n = send(s->talk->fd, s->output + s->output_at, s->output_end - s->output_at,
                     MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0)
        s->host_gone = s->host_gone || (errno != EAGAIN && errno != EINTR);
    else
        s->output_at += (size_t)n;
    if (s->output_at == s->output_end)
        s->output_at = s->output_end = 0;
    else if (s->output_at > sizeof(s->output) / 2) {
        memmove(s->output, s->output + s->output_at, s->output_end - s->output_at);
        s->output_end -= s->output_at;
        s->output_at = 0;
    }
}

/* What the command wrote; at its end, or when it closed, the descriptor is given up.  False: nothing is there. */
static bool take_output(struct session *s, int *fd, char letter)
{
    unsigned char octets[TALK_DATA_MAX];
    ssize_t n = read(*fd, octets, sizeof(octets));

    if (n > 0)
        say(s, letter, 0, octets, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        close(*fd);
        *fd = -1;
    }
    return n > 0;
}

/* ---- to the command -------------------------------------------------------------------------------- */

static void close_input(struct session *s)
{
    if (s->command.in >= 0)
        close(s->command.in);
    s->command.in = -1;
    s->input_at = s->input_end = 0;
}

static void give_room(struct session *s)
{
    if (s->owed < ROOM_STEP || s->command.in < 0)
        return;
    say(s, 'm', s->owed, NULL, 0);
    s->room += s->owed;
    s->owed = 0;
}

static void pass_input(struct session *s)
{
    ssize_t n = write(s->command.in, s->input + s->input_at, s->input_end - s->input_at);

    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        close_input(s);
        say(s, 'c', 0, NULL, 0);
        return;
    }
    if (n > 0) {
        s->input_at += (size_t)n;
        s->owed += (uint64_t)n;
    }
    if (s->input_at == s->input_end) {
        s->input_at = s->input_end = 0;
        if (s->input_ends)
            close_input(s);
    }
    give_room(s);
}

/* False: more than there is room for.  Of a command that reads no more, it is nothing to anybody. */
static bool keep_input(struct session *s, const struct talk_message *message)
{
    if (message->size > s->room)
        return false;
    s->room -= message->size;
    if (s->command.in < 0)
        return true;
    if (s->input_at > 0) {
        memmove(s->input, s->input + s->input_at, s->input_end - s->input_at);
        s->input_end -= s->input_at;
        s->input_at = 0;
    }
    memcpy(s->input + s->input_end, message->data, message->size);
    s->input_end += message->size;
    return true;
}

static void signal_group(const struct session *s, int number)
{
    if (!s->ended)
        kill(-s->command.pid, number);
}

/* The signals that a host may send: those that ask a program for something, not those of its own faults. */
static bool pass_signal(const struct session *s, uint64_t number)
{
    static const int passed[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGKILL,
                                 SIGUSR1, SIGUSR2, SIGPIPE, SIGTERM};

    for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
        if (number == (uint64_t)passed[i]) {
            signal_group(s, passed[i]);
            return true;
        }
    return false;
}

static void stop_command(struct session *s)
{
    if (s->kill_at != INT64_MAX)
        return;
    s->stop_at = INT64_MAX;
    s->kill_at = talk_now_ms() + GRACE_MS;
    signal_group(s, SIGTERM);
}

/* ---- what happens -------------------------------------------------------------------------------- */

static bool take_message(struct session *s, const struct talk_message *message)
{
    switch (message->kind) {
    case 'i':
        return keep_input(s, message);
    case 's':
        return pass_signal(s, message->numbers[0]);
    default:
        s->input_ends = true;
        return true;
    }
}

/* All that was read already; false when the host says what it may not. */
static bool take_messages(struct session *s)
{
    int have;

    while ((have = talk_have(s->talk)) == 1)
        if (!take_message(s, &s->talk->message))
            return false;
    return have == 0;
}

static void hear_host(struct session *s)
{
    int read = talk_read(s->talk);

    if (read > 0 ? take_messages(s) : read < 0 && errno == EAGAIN)
        return;
    s->host_gone = true;
    stop_command(s);
}

static void hear_signals(struct session *s)
{
    struct signalfd_siginfo info;

    while (read(s->signals, &info, sizeof(info)) == sizeof(info))
        if (info.ssi_signo == SIGTERM)
            stop_command(s);
    if (!s->ended && waitpid(s->command.pid, &s->status, WNOHANG) == s->command.pid)
        s->ended = true;
}

static void watch_clock(struct session *s)
{
    int64_t now = talk_now_ms();

    if (now >= s->stop_at)
        stop_command(s);
    if (now >= s->kill_at) {
        signal_group(s, SIGKILL);
        s->kill_at = INT64_MAX - 1;
    }
}

static int wait_ms(const struct session *s)
{
    int64_t next = s->stop_at < s->kill_at ? s->stop_at : s->kill_at, now = talk_now_ms();

    if (next >= INT64_MAX - 1)
        return -1;
    return next <= now ? 0 : next - now > 60000 ? 60000 : (int)(next - now);
}

static void await(struct session *s)
{
    bool fits = output_fits(s), input = s->input_end > s->input_at || s->input_ends;
    struct pollfd p[PLACES] = {
        [AT_HOST] = {.fd = s->host_gone ? -1 : s->talk->fd,
                     .events = (short)(POLLIN | (s->output_end > s->output_at ? POLLOUT : 0))},
        [AT_SIGNALS] = {.fd = s->signals, .events = POLLIN},
        [AT_IN] = {.fd = input ? s->command.in : -1, .events = POLLOUT},
        [AT_OUT] = {.fd = fits ? s->command.out : -1, .events = POLLIN},
        [AT_ERR] = {.fd = fits ? s->command.err : -1, .events = POLLIN},
    };

    if (poll(p, PLACES, wait_ms(s)) <= 0)
        return;
    if (p[AT_HOST].revents & ~POLLOUT)
        hear_host(s);
    if (p[AT_SIGNALS].revents)
        hear_signals(s);
    if (p[AT_IN].revents && s->command.in >= 0)
        pass_input(s);
    if (p[AT_OUT].revents)
        take_output(s, &s->command.out, 'o');
    if (p[AT_ERR].revents)
        take_output(s, &s->command.err, 'e');
}

/* The command has ended: what it wrote is in its pipes, whoever else may hold them.  SIGTERM ends this process now. */
static void take_rest(struct session *s)
{
    struct pollfd p = {.fd = s->talk->fd, .events = POLLOUT};
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (bool more = true; more && !s->host_gone;) {
        if (output_fits(s))
            more = (s->command.out >= 0 && take_output(s, &s->command.out, 'o')) |
                   (s->command.err >= 0 && take_output(s, &s->command.err, 'e'));
        else if (poll(&p, 1, -1) < 0)
            continue;
        flush(s);
    }
    if (WIFSIGNALED(s->status))
        say(s, 'k', (uint64_t)WTERMSIG(s->status), NULL, 0);
    else
        say(s, 'x', (uint64_t)WEXITSTATUS(s->status), NULL, 0);
    while (!s->host_gone && s->output_end > s->output_at && poll(&p, 1, -1) >= 0)
        flush(s);
}

static int block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

void session_run(struct talk *talk, const struct command *command, int64_t limit_ms)
{
    static struct session s;

    s.talk = talk;
    s.command = *command;
    s.stop_at = limit_ms > 0 ? talk_now_ms() + limit_ms : INT64_MAX;
    s.kill_at = INT64_MAX;
    s.owed = sizeof(s.input);
    s.signals = block_signals();
    say(&s, 's', 0, NULL, 0);
    give_room(&s);
    if (!take_messages(&s)) {
        s.host_gone = true;
        stop_command(&s);
    }
    hear_signals(&s); /* it may have ended before its signal was waited for */
    while (!s.ended) {
        watch_clock(&s);
        flush(&s);
        await(&s);
    }
    take_rest(&s);
}
