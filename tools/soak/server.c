/* SPDX-License-Identifier: MIT */
/*
 * The soak's programs in the guest: one that talks on port 6174, one that answers questions on port 6175.
 *
 * A connection to the first begins with 64 octets of text, "SOAK ID UP DOWN MODE SLOW": the conversation's number, how many octets
 * come and go, how it goes, and for how many milliseconds this side sleeps after each read.  The octets are a function of number,
 * direction and position, so that one that is lost, doubled or another conversation's is seen where it arrives.
 *
 *   MODE  h  both directions at once, each ends when its octets are sent
 *         w  the answer begins when the question has ended
 *         r  this side breaks off, with a TCP reset
 *         x  this side closes when it has sent its octets, whatever still comes
 *
 * What is wrong is said on standard output, with the word BREACH in front.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    DATA_PORT = 6174,
    ASK_PORT = 6175,
    HEAD = 64,
    WORDS = 131071,
    TABLE = WORDS * 8, /* octets; drive.py makes the same */
    CHUNK = 65536,
    RESULTS = 65536, /* conversations that are remembered */
    STRIDE = 7919,
};

static uint8_t table[TABLE + CHUNK];

static void make_table(void)
{
    uint64_t state = 0;
    for (size_t i = 0; i < WORDS; i++) {
        uint64_t z = state += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        z ^= z >> 31;
        memcpy(table + i * 8, &z, 8);
    }
    memcpy(table + TABLE, table, CHUNK);
}

static const uint8_t *stream_at(uint64_t id, bool down, uint64_t position)
{
    return table + (id * STRIDE + (down ? TABLE / 2 : 0) + position) % TABLE;
}

/* ---- conversations ---------------------------------------------------------------------------------- */

typedef struct result {
    uint64_t id; /* 0: none */
    uint64_t received, sent;
    bool done, wrong;
    int error; /* how reading ended: 0 in order */
} result;

static result results[RESULTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

typedef struct talk {
    int fd;
    unsigned long long id, up, down;
    char mode;
    unsigned slow;
    uint64_t received, sent;
    bool eof, shut, wrong;
    int error;
} talk;

static void breach(const talk *t, const char *what)
{
    printf("BREACH conversation %llu: %s after %ju octets in, %ju out\n", t->id, what,
           (uintmax_t)t->received, (uintmax_t)t->sent);
    fflush(stdout);
}

static void note(const talk *t, bool done)
{
    pthread_mutex_lock(&lock);
    results[t->id % RESULTS] = (result){
        .id = t->id,
        .received = t->received,
        .sent = t->sent,
        .done = done,
        .wrong = t->wrong,
        .error = t->error,
    };
    pthread_mutex_unlock(&lock);
}

static void check(talk *t, const uint8_t *octets, size_t n)
{
    if (!t->wrong &&
        (t->received + n > t->up || memcmp(octets, stream_at(t->id, false, t->received), n) != 0)) {
        breach(t, "wrong octets");
        t->wrong = true;
    }
    t->received += n;
}

static void take(talk *t)
{
    uint8_t octets[CHUNK];
    ssize_t n = recv(t->fd, octets, t->slow ? 4096 : sizeof(octets), MSG_DONTWAIT);
    if (n > 0)
        check(t, octets, (size_t)n);
    if (n == 0)
        t->eof = true;
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        t->error = errno;
    if (n > 0 && t->slow)
        usleep(t->slow * 1000);
}

static void give(talk *t)
{
    uint64_t left = t->down - t->sent;
    size_t n = left < CHUNK ? (size_t)left : CHUNK;
    ssize_t w = send(t->fd, stream_at(t->id, true, t->sent), n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (w > 0)
        t->sent += (uint64_t)w;
    /* Nobody reads any more; what still comes is read to its end. */
    if (w < 0 && errno != EAGAIN && errno != EINTR)
        t->shut = true;
}

static bool may_give(const talk *t)
{
    return !t->shut && (t->mode != 'w' || t->eof);
}

static void converse(talk *t)
{
    while (!t->error && !(t->eof && t->shut)) {
        struct pollfd p = {.fd = t->fd};
        p.events = (short)((t->eof ? 0 : POLLIN) | (may_give(t) ? POLLOUT : 0));
        poll(&p, 1, 1000);
        if (p.revents & (POLLIN | POLLERR | POLLHUP))
            take(t);
        if (!t->error && may_give(t) && p.revents & POLLOUT)
            give(t);
        if (may_give(t) && t->sent == t->down) {
            if (t->mode == 'x' || t->mode == 'r')
                return;
            t->shut = true;
            shutdown(t->fd, SHUT_WR);
        }
        note(t, false);
    }
}

static bool read_head(talk *t)
{
    char head[HEAD + 1];
    size_t have = 0;
    while (have < HEAD) {
        ssize_t n = read(t->fd, head + have, HEAD - have);
        if (n <= 0)
            return false; /* it ended before: that may be */
        have += (size_t)n;
    }
    head[HEAD] = '\0';
    if (sscanf(head, "SOAK %llu %llu %llu %c %u", &t->id, &t->up, &t->down, &t->mode, &t->slow) ==
        5)
        return true;
    breach(t, "it begins with something else");
    return false;
}

static void *data_client(void *fd)
{
    const struct linger reset = {.l_onoff = 1};
    talk t = {.fd = (int)(intptr_t)fd};
    if (read_head(&t)) {
        note(&t, false);
        converse(&t);
        note(&t, true);
        if (t.mode == 'r')
            setsockopt(t.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    }
    close(t.fd);
    return NULL;
}

/* ---- questions -------------------------------------------------------------------------------------------- */

/* The endpoint's process: of those whose name is vpc-guest the first, which made the other, the opener of its bus. */
static int endpoint(void)
{
    FILE *pipe = popen("pidof vpc-guest", "re");
    int first = 0, pid;

    if (pipe) {
        while (fscanf(pipe, "%d", &pid) == 1)
            first = first == 0 || pid < first ? pid : first;
        pclose(pipe);
    }
    return first;
}

static long ticks(int pid)
{
    char path[64];
    long user = -1, system = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    if (fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user,
               &system) != 2)
        user = -1;
    fclose(file);
    return user < 0 ? -1 : user + system;
}

static void answer_get(FILE *client, unsigned long long id)
{
    pthread_mutex_lock(&lock);
    result r = results[id % RESULTS];
    pthread_mutex_unlock(&lock);
    if (r.id != id)
        fprintf(client, "unknown\n");
    else
        fprintf(client, "%s %ju %ju %d %d\n", r.done ? "done" : "open", (uintmax_t)r.received,
                (uintmax_t)r.sent, r.wrong, r.error);
}

/* Descriptors, resident KiB, ticks of the endpoint. */
static void answer_stat(FILE *client)
{
    char command[160], line[64] = "";
    int pid = endpoint();
    snprintf(command, sizeof(command),
             "echo $(ls /proc/%d/fd | wc -l) $(sed -n 's/VmRSS:[^0-9]*\\([0-9]*\\).*/\\1/p' "
             "/proc/%d/status)",
             pid, pid);
    FILE *pipe = popen(command, "re");
    if (pipe) {
        if (!fgets(line, sizeof(line), pipe))
            line[0] = '\0';
        pclose(pipe);
    }
    line[strcspn(line, "\n")] = '\0';
    fprintf(client, "%d %s %ld\n", pid, line, ticks(pid));
}

static long idle_ticks = -1;

typedef struct window {
    unsigned before_ms, length_ms;
} window;

static void *watch_idle(void *argument)
{
    window w = *(window *)argument;
    free(argument);
    usleep(w.before_ms * 1000);
    int pid = endpoint();
    long first = ticks(pid);
    usleep(w.length_ms * 1000);
    long last = ticks(pid);
    pthread_mutex_lock(&lock);
    idle_ticks = first < 0 || last < 0 ? -2 : last - first;
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void begin_watch(FILE *client, window w)
{
    pthread_t thread;
    window *own = malloc(sizeof(*own));
    idle_ticks = -1;
    if (own) {
        *own = w;
        pthread_create(&thread, NULL, watch_idle, own);
        pthread_detach(thread);
    }
    fprintf(client, "ok\n");
}

typedef struct blows {
    unsigned signal, after_ms, times, gap_ms;
} blows;

static void strike(blows b)
{
    usleep(b.after_ms * 1000);
    for (unsigned i = 0; i < b.times; i++) {
        int pid = endpoint();
        if (pid > 0)
            kill(pid, (int)b.signal);
        usleep(b.gap_ms * 1000);
    }
}

static void answer(FILE *client, const char *line)
{
    unsigned long long id;
    blows b;
    window w;
    if (sscanf(line, "get %llu", &id) == 1) {
        answer_get(client, id);
    } else if (strncmp(line, "stat", 4) == 0) {
        answer_stat(client);
    } else if (sscanf(line, "kill %u %u %u %u", &b.signal, &b.after_ms, &b.times, &b.gap_ms) == 4) {
        fprintf(client, "ok\n");
        fflush(client);
        strike(b);
    } else if (sscanf(line, "watch %u %u", &w.before_ms, &w.length_ms) == 2) {
        begin_watch(client, w);
    } else if (strncmp(line, "watched", 7) == 0) {
        pthread_mutex_lock(&lock);
        fprintf(client, "%ld\n", idle_ticks);
        pthread_mutex_unlock(&lock);
    } else {
        fprintf(client, "what?\n");
    }
    fflush(client);
}

static void *ask_client(void *fd)
{
    char line[128];
    FILE *client = fdopen((int)(intptr_t)fd, "r+");
    if (!client)
        return NULL;
    setvbuf(client, NULL, _IONBF, 0);
    while (fgets(line, sizeof(line), client))
        answer(client, line);
    fclose(client);
    return NULL;
}

/* ---- servers --------------------------------------------------------------------------------------------------- */

typedef struct server {
    int port;
    void *(*client)(void *fd);
} server;

static void *serve(void *argument)
{
    const server *s = argument;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    pthread_attr_t small;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 || listen(fd, 64) != 0) {
        perror("soak-server");
        exit(1);
    }
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 * 1024);
    for (;;) {
        pthread_t thread;
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0 || pthread_create(&thread, &small, s->client, (void *)(intptr_t)client) != 0)
            continue;
        pthread_detach(thread);
    }
}

int main(void)
{
    static const server data = {DATA_PORT, data_client}, ask = {ASK_PORT, ask_client};
    pthread_t thread;
    signal(SIGPIPE, SIG_IGN);
    make_table();
    pthread_create(&thread, NULL, serve, (void *)(uintptr_t)&ask);
    serve((void *)(uintptr_t)&data);
}
