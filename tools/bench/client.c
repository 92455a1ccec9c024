/* SPDX-License-Identifier: MIT */
/*
 * bench-client: measures streams to a bench-server (see wire.h), as its standard input tells, one command a line; each is
 * answered by one line of JSON, {"error": TEXT} when it failed.  Times are in nanoseconds.
 *
 * An ADDRESS is unix:PATH, tcp:PORT on 127.0.0.1, or vpc:DIR:VM:PORT, which starts a communication channel for each
 * connection in the runtime directory DIR.
 *
 *   open ADDRESS               the connection that the next ones use
 *   turns IN OUT MS            one block of IN octets and its answer of OUT octets, again and again
 *   lockstep IN OUT COUNT      the same, COUNT times
 *   up BLOCK MS, down BLOCK MS, both BLOCK MS
 *   starts ADDRESS MS          connections that are opened, used for one octet, and closed
 *   fill ADDRESS COUNT MS      as many idle connections, kept, unless they take longer
 *   sample ADDRESS COUNT MS    one connection beside those, COUNT times if there is time: its start, an octet and its answer,
 *                              its end
 *   senders SENDERS BLOCK COUNT  so many of those that are kept send COUNT blocks each, all at once; "first" is when the server
 *                              had all of the first, "ns" when it had all of the last
 *   empty                      closes them
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vpc.h"
#include "wire.h"

enum {
    LIMIT_S = 30, /* for anything that does not go on */
    EVENTS = 64,
    SAMPLES_MAX = 1 << 20,
    TURN_BLOCKS = 1, /* of one of many senders before the others have their turn */
    LINE_MAX_SIZE = 512,
    LONGEST = 100, /* samples that are told one by one, for percentiles of several runs together */
};

/* One connection, and what it takes to end it. */
struct link {
    int fd;        /* -1: none */
    char pipe[32]; /* of a communication channel */
    uint64_t octets;
    uint32_t at; /* in the block that goes */
    bool last;
};

static struct link main_link = {.fd = -1};
static struct link *links;
static unsigned link_count;
static vpc_virtual_machine *machine;
static char machine_name[LINE_MAX_SIZE];
static unsigned names;
static uint64_t *samples;
static uint8_t blocks[2][BENCH_BLOCK_MAX], octets[BENCH_BLOCK_MAX];
static char error[LINE_MAX_SIZE];

static bool failed(const char *format, ...) __attribute__((format(printf, 1, 2)));
static bool failed(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(error, sizeof(error), format, arguments);
    va_end(arguments);
    return false;
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t after_ms(unsigned ms)
{
    return now_ns() + (uint64_t)ms * 1000000;
}

/* ---- connections ------------------------------------------------------------------------------ */

static bool connected(struct link *link, int fd, const struct sockaddr *address, socklen_t size)
{
    const struct timeval limit = {.tv_sec = LIMIT_S};
    int yes = 1;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, address, size) != 0) {
        close(fd);
        return failed("connect: %s", strerror(errno));
    }
    if (address->sa_family == AF_INET)
        setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &yes, sizeof(yes));
    link->fd = fd;
    return true;
}

static bool open_unix(struct link *link, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    return connected(link, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                     (const struct sockaddr *)&address, sizeof(address));
}

static bool open_tcp(struct link *link, const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    return connected(link, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                     (const struct sockaddr *)&address, sizeof(address));
}

/* The connection to the endpoint is kept for the next channel of the same command. */
static bool find_machine(const char *dir, const char *vm)
{
    vpc_hresult result;

    if (machine != NULL && strcmp(machine_name, vm) == 0)
        return true;
    vpc_release_virtual_machine(machine);
    machine = NULL;
    result = vpc_find_virtual_machine(dir, vm, &machine);
    if (result != VPC_S_OK)
        return failed("no host endpoint for %s: %s", vm, vpc_hresult_name(result));
    snprintf(machine_name, sizeof(machine_name), "%s", vm);
    vpc_set_time_limit(machine, LIMIT_S * 1000);
    return true;
}

static bool open_channel(struct link *link, const char *words)
{
    char dir[LINE_MAX_SIZE], vm[64], port[8];
    vpc_channel_info channel;
    vpc_hresult result;

    if (sscanf(words, "%[^:]:%63[^:]:%7s", dir, vm, port) != 3)
        return failed("vpc:%s: it is vpc:DIR:VM:PORT", words);
    if (!find_machine(dir, vm))
        return false;
    snprintf(link->pipe, sizeof(link->pipe), "\\\\.\\pipe\\b%d.%u", (int)getpid(), names++);
    result = vpc_start_communication_channel(machine, VPC_ENDPOINT_NAMED_PIPE, link->pipe,
                                             VPC_ENDPOINT_TCPIP, port, &channel);
    if (result != VPC_S_OK)
        return failed("start: %s %s", vpc_hresult_name(result), vpc_last_error(machine));
    return open_unix(link, channel.path);
}

static bool link_open(struct link *link, const char *address)
{
    *link = (struct link){.fd = -1};
    if (strncmp(address, "vpc:", 4) == 0)
        return open_channel(link, address + 4);
    if (strncmp(address, "tcp:", 4) == 0)
        return open_tcp(link, address + 4);
    if (strncmp(address, "unix:", 5) == 0)
        return open_unix(link, address + 5);
    return failed("%s is no address", address);
}

static void link_close(struct link *link)
{
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
}

/* Until it has ended, where there is somebody who says when. */
static bool link_end(struct link *link)
{
    vpc_hresult result = VPC_S_OK;

    if (link->pipe[0] != '\0')
        result = vpc_stop_communication_channel(machine, link->pipe);
    link_close(link);
    return result == VPC_S_OK ||
           failed("stop: %s %s", vpc_hresult_name(result), vpc_last_error(machine));
}

/* ---- octets ------------------------------------------------------------------------------------- */

static bool send_all(int fd, const void *from, size_t n)
{
    for (const uint8_t *at = from; n > 0;) {
        ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return failed("send: %s", strerror(errno));
        at += sent;
        n -= (size_t)sent;
    }
    return true;
}

static bool read_all(int fd, size_t n)
{
    while (n > 0) {
        ssize_t got = recv(fd, octets, n < sizeof(octets) ? n : sizeof(octets), 0);

        if (got <= 0)
            return failed("receive: %s", got == 0 ? "it has ended" : strerror(errno));
        n -= (size_t)got;
    }
    return true;
}

static bool send_head(int fd, char op, unsigned in, unsigned out, unsigned ms)
{
    char head[BENCH_HEAD + 1];

    if (in < 1 || in > BENCH_BLOCK_MAX || out < 1 || out > BENCH_BLOCK_MAX)
        return failed("a block has 1 to %d octets", BENCH_BLOCK_MAX);
    memset(head, ' ', sizeof(head));
    head[snprintf(head, sizeof(head), "%c %u %u %u", op, in, out, ms % 10000000)] = ' ';
    return send_all(fd, head, BENCH_HEAD);
}

static int by_size(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* The smallest sample that at least this share of them does not exceed. */
static uint64_t quantile(unsigned count, double share)
{
    unsigned rank = (unsigned)(share * count + 0.999999);

    return samples[rank < 1 ? 0 : rank - 1];
}

static void print_samples(const char *name, unsigned count)
{
    qsort(samples, count, sizeof(samples[0]), by_size);
    printf("\"%s\": {\"count\": %u, \"p50\": %ju, \"p99\": %ju, \"longest\": [", name, count,
           (uintmax_t)quantile(count, 0.5), (uintmax_t)quantile(count, 0.99));
    for (unsigned i = count > LONGEST ? count - LONGEST : 0; i < count; i++)
        printf("%ju%s", (uintmax_t)samples[i], i + 1 < count ? ", " : "]}");
}

static bool turn(int fd, bool last, unsigned in, unsigned out)
{
    return send_all(fd, blocks[last ? BENCH_LAST : BENCH_MORE], in) && read_all(fd, out);
}

/* The first turns are not counted: they find everything asleep. */
static bool turns(unsigned in, unsigned out, uint64_t until, unsigned count)
{
    unsigned done = 0;
    bool last = false;

    if (!send_head(main_link.fd, 'X', in, out, 0) || !turn(main_link.fd, false, in, out))
        return false;
    while (!last) {
        uint64_t begun = now_ns();

        last = done + 1 == count || done + 1 == SAMPLES_MAX || (until != 0 && begun >= until);
        if (!turn(main_link.fd, last, in, out))
            return false;
        samples[done++] = now_ns() - begun;
    }
    printf("{");
    print_samples("turn", done);
    printf("}\n");
    return true;
}

static bool stream_up(unsigned block, unsigned ms)
{
    uint64_t begun = now_ns(), until = after_ms(ms), sent = 0;
    bool last = false;

    if (!send_head(main_link.fd, 'U', block, 1, 0))
        return false;
    for (; !last; sent += block) {
        last = now_ns() >= until;
        if (!send_all(main_link.fd, blocks[last ? BENCH_LAST : BENCH_MORE], block))
            return false;
    }
    if (!read_all(main_link.fd, 1))
        return false;
    printf("{\"octets\": %ju, \"ns\": %ju}\n", (uintmax_t)sent, (uintmax_t)(now_ns() - begun));
    return true;
}

/* Blocks that come. */
struct coming {
    uint32_t block, at; /* the place in one of them */
    bool last, done;
    uint64_t octets;
    size_t more; /* octets after the last one */
};

static void count(struct coming *coming, size_t n)
{
    for (size_t at = 0, part; at < n && !coming->done; at += part) {
        part = coming->block - coming->at < n - at ? coming->block - coming->at : n - at;
        if (coming->at == 0)
            coming->last = octets[at] == BENCH_LAST;
        coming->at += (uint32_t)part;
        coming->octets += part;
        if (coming->at < coming->block)
            continue;
        coming->at = 0;
        coming->done = coming->last;
        coming->more = coming->done ? n - at - part : 0;
    }
}

static bool take(int fd, struct coming *coming)
{
    ssize_t n = recv(fd, octets, sizeof(octets), 0);

    if (n <= 0)
        return failed("receive: %s", n == 0 ? "it has ended" : strerror(errno));
    count(coming, (size_t)n);
    return true;
}

static bool print_stream(uint64_t sum, uint64_t begun)
{
    printf("{\"octets\": %ju, \"ns\": %ju}\n", (uintmax_t)sum, (uintmax_t)(now_ns() - begun));
    return true;
}

static bool stream_down(unsigned block, unsigned ms)
{
    struct coming coming = {.block = block};
    uint64_t begun = now_ns();

    if (!send_head(main_link.fd, 'D', 1, block, ms))
        return false;
    while (!coming.done)
        if (!take(main_link.fd, &coming))
            return false;
    return print_stream(coming.octets, begun);
}

/* ---- several directions and connections at once -------------------------------------------------- */

/* One write of a block or what is left of it; false only for errors. */
static bool give(struct link *link, uint32_t block, uint64_t until, bool *full)
{
    if (link->at == 0)
        link->last = now_ns() >= until;
    ssize_t n = send(link->fd, blocks[link->last ? BENCH_LAST : BENCH_MORE] + link->at,
                     block - link->at, MSG_NOSIGNAL | MSG_DONTWAIT);

    *full = n < 0 && errno == EAGAIN;
    if (n < 0)
        return *full || failed("send: %s", strerror(errno));
    link->at += (uint32_t)n;
    link->octets += (uint64_t)n;
    if (link->at == block)
        link->at = 0;
    return true;
}

static void begin_giving(struct link *link)
{
    link->octets = link->at = 0;
    link->last = false;
}

static bool all_given(const struct link *link)
{
    return link->last && link->at == 0;
}

static bool watch(int epoll, int how, struct link *link, uint32_t interest)
{
    struct epoll_event event = {.events = interest, .data.ptr = link};

    return epoll_ctl(epoll, how, link->fd, &event) == 0 || failed("epoll: %s", strerror(errno));
}

static bool both_turn(int epoll, uint32_t events, struct coming *coming, uint64_t until)
{
    bool full;

    if (events & EPOLLIN && !take(main_link.fd, coming))
        return false;
    if (!(events & EPOLLOUT) || all_given(&main_link))
        return true;
    if (!give(&main_link, coming->block, until, &full))
        return false;
    return !all_given(&main_link) || watch(epoll, EPOLL_CTL_MOD, &main_link, EPOLLIN);
}

static bool both_ways(int epoll, struct coming *coming, unsigned ms)
{
    struct epoll_event event;
    uint64_t until = after_ms(ms);

    begin_giving(&main_link);
    if (!send_head(main_link.fd, 'B', coming->block, coming->block, ms) ||
        !watch(epoll, EPOLL_CTL_ADD, &main_link, EPOLLIN | EPOLLOUT))
        return false;
    while (!coming->done || !all_given(&main_link)) {
        /* Its last block may be there while ours still goes: nothing more comes until then. */
        if (epoll_wait(epoll, &event, 1, LIMIT_S * 1000) != 1)
            return failed("nothing goes on");
        if (!both_turn(epoll, event.events, coming, until))
            return false;
    }
    return coming->more > 0 || read_all(main_link.fd, 1);
}

static bool stream_both(unsigned block, unsigned ms)
{
    struct coming coming = {.block = block};
    uint64_t begun = now_ns();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    bool good = both_ways(epoll, &coming, ms);

    close(epoll);
    return good && print_stream(coming.octets + main_link.octets, begun);
}

/* Sends a share of what is left of a quota; the answer to its last block tells when the server has it all. */
static bool send_turn(int epoll, struct link *link, uint32_t block, unsigned count)
{
    bool full = false;

    for (unsigned i = 0; i < TURN_BLOCKS && !full && !all_given(link); i++)
        if (!give(link, block, link->octets / block + 1 >= count ? 0 : UINT64_MAX, &full))
            return false;
    return !all_given(link) || watch(epoll, EPOLL_CTL_MOD, link, EPOLLIN);
}

static bool send_by_all(int epoll, unsigned senders, uint32_t block, unsigned count,
                        uint64_t *first)
{
    struct epoll_event events[EVENTS];
    uint64_t begun = now_ns();
    unsigned left = senders;

    for (unsigned i = 0; i < senders; i++)
        if (!watch(epoll, EPOLL_CTL_ADD, &links[i], EPOLLOUT))
            return false;
    while (left > 0) {
        int n = epoll_wait(epoll, events, EVENTS, LIMIT_S * 1000);

        if (n <= 0)
            return failed("nothing goes on: %u of %u are not through", left, senders);
        for (int i = 0; i < n; i++) {
            struct link *link = events[i].data.ptr;

            if (!all_given(link)) {
                if (!send_turn(epoll, link, block, count))
                    return false;
                continue;
            }
            if (!read_all(link->fd, 1) || !watch(epoll, EPOLL_CTL_DEL, link, 0))
                return false;
            *first = left == senders ? now_ns() - begun : *first;
            left--;
        }
    }
    printf("{\"octets\": %ju, \"ns\": %ju, \"first\": %ju}\n", (uintmax_t)senders * block * count,
           (uintmax_t)(now_ns() - begun), (uintmax_t)*first);
    return true;
}

static bool send_quotas(unsigned senders, unsigned block, unsigned count)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    bool good = senders > 0 && senders <= link_count && count > 0;
    uint64_t first = 0;

    if (!good)
        failed("there are %u connections", link_count);
    for (unsigned i = 0; good && i < senders; i++) {
        begin_giving(&links[i]);
        good = send_head(links[i].fd, 'U', block, 1, 0);
    }
    good = good && send_by_all(epoll, senders, block, count, &first);
    close(epoll);
    return good;
}

/* ---- starts and ends ------------------------------------------------------------------------------------ */

/* In one piece: what a program says first, and hears. */
static bool one_octet(struct link *link)
{
    char head[BENCH_HEAD + 1];

    memset(head, ' ', sizeof(head));
    memcpy(head, "X 1 1 0", 7);
    head[BENCH_HEAD] = BENCH_LAST;
    return send_all(link->fd, head, sizeof(head)) && read_all(link->fd, 1);
}

static bool starts(const char *address, unsigned ms)
{
    uint64_t begun = now_ns(), until = after_ms(ms);
    struct link link;
    unsigned done = 0;

    while (done < SAMPLES_MAX && now_ns() < until) {
        uint64_t at = now_ns();

        if (!link_open(&link, address) || !one_octet(&link))
            return false;
        samples[done++] = now_ns() - at;
        if (!link_end(&link))
            return false;
    }
    printf("{\"ns\": %ju, ", (uintmax_t)(now_ns() - begun));
    print_samples("start", done);
    printf("}\n");
    return true;
}

static bool fill(const char *address, unsigned count, unsigned ms)
{
    uint64_t begun = now_ns(), until = after_ms(ms);
    struct link *grown = realloc(links, (link_count + count + 1) * sizeof(*links));

    if (grown == NULL)
        return failed("no memory");
    links = grown;
    for (; link_count < count; link_count++) {
        if (now_ns() > until)
            return failed("only %u were open after %u ms", link_count, ms);
        if (!link_open(&links[link_count], address))
            return false;
    }
    printf("{\"open\": %u, \"ns\": %ju}\n", link_count, (uintmax_t)(now_ns() - begun));
    return true;
}

static bool sample_once(const char *address, uint64_t took[3])
{
    struct link link;
    uint64_t begun = now_ns(), opened, turned;

    if (!link_open(&link, address))
        return false;
    opened = now_ns();
    /* The first octet may be what brings the server to accept. */
    if (!one_octet(&link))
        return false;
    turned = now_ns();
    if (!one_octet(&link))
        return false;
    took[1] = now_ns() - turned;
    turned = now_ns();
    if (!link_end(&link))
        return false;
    took[2] = now_ns() - turned;
    took[0] = opened - begun;
    return true;
}

static bool sample(const char *address, unsigned most, unsigned ms)
{
    static const char *const names_of[] = {"start", "event", "end"};
    uint64_t(*took)[3] = calloc(most > 0 ? most : 1, sizeof(*took)), until = after_ms(ms);
    bool good = took != NULL && most > 0 && most < SAMPLES_MAX;
    unsigned count = 0;

    for (; good && count < most && (count == 0 || now_ns() < until); count++)
        good = sample_once(address, took[count]);
    for (unsigned what = 0; good && what < 3; what++) {
        for (unsigned i = 0; i < count; i++)
            samples[i] = took[i][what];
        printf("%s", what == 0 ? "{" : ", ");
        print_samples(names_of[what], count);
    }
    printf(good ? "}\n" : "");
    free(took);
    return good;
}

static bool empty(void)
{
    for (unsigned i = 0; i < link_count; i++)
        link_close(&links[i]);
    link_count = 0;
    printf("{}\n");
    return true;
}

/* ---- commands ----------------------------------------------------------------------------------------------- */

static bool open_main(const char *address)
{
    link_close(&main_link);
    if (!link_open(&main_link, address))
        return false;
    printf("{}\n");
    return true;
}

static bool obey(const char *line)
{
    char address[LINE_MAX_SIZE];
    unsigned a, b, c;

    if (sscanf(line, "open %s", address) == 1)
        return open_main(address);
    if (sscanf(line, "turns %u %u %u", &a, &b, &c) == 3)
        return turns(a, b, after_ms(c), 0);
    if (sscanf(line, "lockstep %u %u %u", &a, &b, &c) == 3)
        return turns(a, b, 0, c);
    if (sscanf(line, "up %u %u", &a, &b) == 2)
        return stream_up(a, b);
    if (sscanf(line, "down %u %u", &a, &b) == 2)
        return stream_down(a, b);
    if (sscanf(line, "both %u %u", &a, &b) == 2)
        return stream_both(a, b);
    if (sscanf(line, "starts %s %u", address, &a) == 2)
        return starts(address, a);
    if (sscanf(line, "fill %s %u %u", address, &a, &b) == 3)
        return fill(address, a, b);
    if (sscanf(line, "sample %s %u %u", address, &a, &b) == 3)
        return sample(address, a, b);
    if (sscanf(line, "senders %u %u %u", &a, &b, &c) == 3)
        return send_quotas(a, b, c);
    if (strncmp(line, "empty", 5) == 0)
        return empty();
    return failed("no such command");
}

static void prepare(void)
{
    bench_prepare(blocks);
    samples = calloc(SAMPLES_MAX, sizeof(*samples));
    if (samples == NULL)
        abort();
}

int main(void)
{
    char line[LINE_MAX_SIZE];

    prepare();
    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (!obey(line))
            printf("{\"error\": \"%s\"}\n", error);
        fflush(stdout);
        /* A client of the control socket that is there is told every event, which costs the endpoint. */
        vpc_release_virtual_machine(machine);
        machine = NULL;
    }
    return ferror(stdout) != 0;
}
