/* The puppet over a Unix socket, without a VM: what each request does. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "puppet/puppet_client.h"

struct stage {
    char dir[64];
    pid_t pid;
    struct vpc_puppet *puppet;
};

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
              listen(fd, 1) == 0);
    return fd;
}

static struct vpc_puppet_event next_event(struct stage *stage)
{
    struct vpc_puppet_event event;
    int got;

    while ((got = vpc_puppet_next(stage->puppet, &event)) == 0) {
        struct pollfd line = {.fd = vpc_puppet_fd(stage->puppet), .events = POLLIN};

        if (vpc_puppet_wants_write(stage->puppet))
            line.events |= POLLOUT;
        cr_assert_gt(poll(&line, 1, 10000), 0, "nothing comes from the puppet");
    }
    cr_assert_eq(got, 1, "the line to the puppet: %s", strerror(errno));
    return event;
}

static struct vpc_puppet_event expect(struct stage *stage, enum vpc_puppet_type type,
                                      uint32_t handle)
{
    struct vpc_puppet_event event = next_event(stage);

    cr_assert(event.type == type && event.handle == handle, "%s for %x, not %s for %x (%u %s)",
              vpc_puppet_type_name(event.type), event.handle, vpc_puppet_type_name(type), handle,
              event.value, event.text ? event.text : "");
    return event;
}

static struct stage set_stage(void)
{
    struct stage stage = {.dir = "/tmp/vpc-test.XXXXXX"};
    char path[80];

    cr_assert_not_null(mkdtemp(stage.dir));
    snprintf(path, sizeof(path), "%s/line", stage.dir);
    int server = listen_at(path);
    stage.pid = fork();
    if (stage.pid == 0) {
        execl(VPC_PUPPET_PROGRAM, "vpc-puppet", "--socket", path, NULL);
        _exit(127);
    }
    struct pollfd ready = {.fd = server, .events = POLLIN};
    cr_assert_gt(poll(&ready, 1, 10000), 0, "%s does not connect", VPC_PUPPET_PROGRAM);
    int fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_geq(fd, 0);
    close(server);
    stage.puppet = vpc_puppet_new(fd);
    cr_assert_not_null(stage.puppet);
    cr_assert_eq(expect(&stage, VPC_PUPPET_PONG, 0).value, VPC_PUPPET_VERSION);
    return stage;
}

/* The puppet ends with its line, and leaves no child. */
static void strike_stage(struct stage *stage)
{
    char command[96];
    int status;

    vpc_puppet_free(stage->puppet);
    cr_assert_eq(waitpid(stage->pid, &status, 0), stage->pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "puppet: status %x", status);
    snprintf(command, sizeof(command), "rm -rf %s", stage->dir);
    cr_assert_eq(system(command), 0);
}

/* Gathers DATA of the handle up to its FIN; a string. */
static char *gather(struct stage *stage, uint32_t handle)
{
    char *text = calloc(1, 1);
    size_t size = 0;

    for (;;) {
        struct vpc_puppet_event event = next_event(stage);

        cr_assert_eq(event.handle, handle);
        if (event.type == VPC_PUPPET_FIN)
            return text;
        cr_assert_eq(event.type, VPC_PUPPET_DATA, "%s", vpc_puppet_type_name(event.type));
        text = realloc(text, size + event.size + 1);
        memcpy(text + size, event.data, event.size);
        size += event.size;
        text[size] = 0;
    }
}

static int connect_to(uint32_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

Test(puppet, ping, .timeout = 20)
{
    struct stage stage = set_stage();
    uint32_t handle = vpc_puppet_ping(stage.puppet);

    cr_assert_eq(expect(&stage, VPC_PUPPET_PONG, handle).value, VPC_PUPPET_VERSION);
    strike_stage(&stage);
}

Test(puppet, runs_a_command, .timeout = 20)
{
    struct stage stage = set_stage();
    const char *argv[] = {"sh", "-c", "echo out; echo err >&2; exit 3", NULL};
    uint32_t handle = vpc_puppet_run(stage.puppet, argv);

    cr_assert_gt(expect(&stage, VPC_PUPPET_OPENED, handle).value, 0);
    size_t bytes = 0;
    bool fin = false, exited = false, closed = false;
    while (!closed) {
        struct vpc_puppet_event event = next_event(&stage);

        cr_assert_eq(event.handle, handle);
        bytes += event.size;
        fin |= event.type == VPC_PUPPET_FIN;
        closed = event.type == VPC_PUPPET_CLOSED;
        if (event.type == VPC_PUPPET_EXITED) {
            exited = true;
            cr_assert_eq(event.value, 3);
            cr_assert_eq(event.value2, 0);
        }
    }
    cr_assert(fin && exited);
    cr_assert_eq(bytes, strlen("out\nerr\n"));
    strike_stage(&stage);
}

Test(puppet, no_such_command, .timeout = 20)
{
    struct stage stage = set_stage();
    const char *argv[] = {"/nonexistent/program", NULL};
    uint32_t handle = vpc_puppet_run(stage.puppet, argv);
    struct vpc_puppet_event event = expect(&stage, VPC_PUPPET_FAILED, handle);

    cr_assert_eq(event.value, ENOENT);
    cr_assert_str_eq(event.text, "/nonexistent/program");
    strike_stage(&stage);
}

Test(puppet, kills_a_command, .timeout = 20)
{
    struct stage stage = set_stage();
    const char *argv[] = {"sleep", "600", NULL};
    uint32_t handle = vpc_puppet_run(stage.puppet, argv);

    expect(&stage, VPC_PUPPET_OPENED, handle);
    cr_assert_eq(vpc_puppet_kill(stage.puppet, handle, SIGTERM), 0);
    bool closed = false, killed = false;
    while (!closed) {
        struct vpc_puppet_event event = next_event(&stage);

        killed |= event.type == VPC_PUPPET_EXITED && event.value2 == SIGTERM;
        closed = event.type == VPC_PUPPET_CLOSED;
    }
    cr_assert(killed);
    cr_assert_eq(vpc_puppet_kill(stage.puppet, handle, SIGTERM), -1);
    cr_assert_eq(errno, EBADF);
    strike_stage(&stage);
}

/* Opens a listener and a connection to it; the client's descriptor. */
static int meet(struct stage *stage, bool paused, uint32_t *listener, uint32_t *connection)
{
    *listener = vpc_puppet_listen(stage->puppet, 0, 4096, paused ? VPC_PUPPET_LISTEN_PAUSED : 0);
    int client = connect_to(expect(stage, VPC_PUPPET_OPENED, *listener).value);

    *connection = expect(stage, VPC_PUPPET_ACCEPTANCE, *listener).value;
    cr_assert(*connection & VPC_PUPPET_ACCEPTED);
    return client;
}

Test(puppet, tcp_half_close_both_ways, .timeout = 20)
{
    struct stage stage = set_stage();
    uint32_t listener, connection;
    int client = meet(&stage, false, &listener, &connection);
    char bytes[16];

    cr_assert_eq(send(client, "question", 8, 0), 8);
    shutdown(client, SHUT_WR);
    char *text = gather(&stage, connection);
    cr_assert_str_eq(text, "question");
    free(text);
    cr_assert_eq(vpc_puppet_send(stage.puppet, connection, "answer", 6), 6);
    cr_assert_eq(vpc_puppet_fin(stage.puppet, connection), 0);
    expect(&stage, VPC_PUPPET_CLOSED, connection);
    cr_assert_eq(recv(client, bytes, sizeof(bytes), MSG_WAITALL), 6);
    cr_assert_arr_eq(bytes, "answer", 6);
    close(client);
    strike_stage(&stage);
}

Test(puppet, tcp_reset_both_ways, .timeout = 20)
{
    struct stage stage = set_stage();
    struct linger abort = {.l_onoff = 1};
    uint32_t listener, connection;
    int client = meet(&stage, false, &listener, &connection);
    char byte;

    setsockopt(client, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
    close(client);
    expect(&stage, VPC_PUPPET_RESET, connection);
    expect(&stage, VPC_PUPPET_CLOSED, connection);

    client = meet(&stage, false, &listener, &connection);
    cr_assert_eq(vpc_puppet_reset(stage.puppet, connection), 0);
    expect(&stage, VPC_PUPPET_CLOSED, connection);
    cr_assert_eq(recv(client, &byte, 1, 0), -1);
    cr_assert_eq(errno, ECONNRESET);
    close(client);
    strike_stage(&stage);
}

/* All that was sent arrives before the end, though its reader is slower than the harness. */
Test(puppet, finish_comes_after_what_was_sent, .timeout = 20)
{
    struct stage stage = set_stage();
    uint32_t listener, connection;
    int client = meet(&stage, false, &listener, &connection);
    static uint8_t block[VPC_PUPPET_WINDOW];
    char back[4096];
    size_t got = 0;
    ssize_t more;

    cr_assert_eq(vpc_puppet_send(stage.puppet, connection, block, sizeof(block)), sizeof(block));
    cr_assert_eq(vpc_puppet_finish(stage.puppet, connection), 0);
    uint32_t ping = vpc_puppet_ping(stage.puppet);
    bool answered = false, closed = false;
    while (!answered || !closed) {
        struct vpc_puppet_event event = next_event(&stage);

        answered |= event.type == VPC_PUPPET_PONG && event.handle == ping;
        closed |= event.type == VPC_PUPPET_CLOSED && event.handle == connection;
    }
    while ((more = recv(client, back, sizeof(back), 0)) > 0)
        got += (size_t)more;
    cr_assert_eq(more, 0, "%s", strerror(errno));
    cr_assert_eq(got, sizeof(block));
    close(client);
    strike_stage(&stage);
}

/* A connect to a deaf listener is neither taken nor refused. */
Test(puppet, deaf_listener, .timeout = 20)
{
    struct stage stage = set_stage();
    uint32_t listener = vpc_puppet_listen(stage.puppet, 0, 0, VPC_PUPPET_LISTEN_DEAF);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    address.sin_port = htons((uint16_t)expect(&stage, VPC_PUPPET_OPENED, listener).value);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), -1);
    cr_assert_eq(errno, EINPROGRESS);
    struct pollfd end = {.fd = fd, .events = POLLOUT};
    cr_assert_eq(poll(&end, 1, 300), 0, "the connect was answered");
    close(fd);
    strike_stage(&stage);
}

/* Far more than every window and buffer: paused, nothing comes; resumed, all of it does. */
Test(puppet, slow_reader, .timeout = 30)
{
    enum { TOTAL = 1 << 20 };
    struct stage stage = set_stage();
    uint32_t listener, connection;
    int client = meet(&stage, true, &listener, &connection);
    static uint8_t block[TOTAL];
    size_t sent = 0, got = 0;

    for (size_t i = 0; i < TOTAL; i++)
        block[i] = (uint8_t)(i * 7 + i / 251);
    fcntl(client, F_SETFL, O_NONBLOCK);
    cr_assert_gt(send(client, block, 1, 0), 0);
    sent = 1;
    /* Nothing of it may come before this answer, which was asked for later. */
    uint32_t ping = vpc_puppet_ping(stage.puppet);
    expect(&stage, VPC_PUPPET_PONG, ping);
    cr_assert_eq(vpc_puppet_resume(stage.puppet, connection), 0);
    while (got < TOTAL) {
        ssize_t put = sent < TOTAL ? send(client, block + sent, TOTAL - sent, 0) : 0;

        sent += put > 0 ? (size_t)put : 0;
        struct vpc_puppet_event event = expect(&stage, VPC_PUPPET_DATA, connection);
        cr_assert_arr_eq(event.data, block + got, event.size);
        got += event.size;
    }
    close(client);
    strike_stage(&stage);
}

/* The window stops a sender whose bytes go nowhere, and lets it go on when they do. */
Test(puppet, window_toward_the_puppet, .timeout = 30)
{
    enum { TOTAL = 1 << 23 };
    struct stage stage = set_stage();
    uint32_t listener, connection;
    int client = meet(&stage, false, &listener, &connection);
    uint8_t *block = malloc(TOTAL), *back = malloc(TOTAL);
    size_t sent = 0, got = 0;

    for (size_t i = 0; i < TOTAL; i++)
        block[i] = (uint8_t)(i * 5 + i / 509);
    cr_assert_eq(vpc_puppet_send(stage.puppet, connection, block, TOTAL), VPC_PUPPET_WINDOW);
    sent = VPC_PUPPET_WINDOW;
    while (sent < TOTAL) {
        struct pollfd fds[] = {{.fd = client, .events = POLLIN},
                               {.fd = vpc_puppet_fd(stage.puppet), .events = POLLIN}};
        struct vpc_puppet_event event;

        if (vpc_puppet_wants_write(stage.puppet))
            fds[1].events |= POLLOUT;
        cr_assert_gt(poll(fds, 2, 10000), 0, "stalled at %zu of %d", sent, TOTAL);
        if (fds[0].revents)
            got += (size_t)recv(client, back + got, TOTAL - got, 0);
        while (vpc_puppet_next(stage.puppet, &event) == 1) {
            cr_assert_eq(event.type, VPC_PUPPET_WINDOW_MORE);
            sent += (size_t)vpc_puppet_send(stage.puppet, connection, block + sent, TOTAL - sent);
        }
    }
    cr_assert_eq(vpc_puppet_fin(stage.puppet, connection), 0);
    struct vpc_puppet_event event;
    cr_assert_eq(vpc_puppet_next(stage.puppet, &event), 0);
    while (got < TOTAL) {
        ssize_t more = recv(client, back + got, TOTAL - got, 0);

        cr_assert_gt(more, 0);
        got += (size_t)more;
        while (vpc_puppet_next(stage.puppet, &event) == 1)
            ;
    }
    cr_assert_eq(memcmp(block, back, TOTAL), 0);
    free(block);
    free(back);
    close(client);
    strike_stage(&stage);
}

Test(puppet, writes_reads_follows, .timeout = 20)
{
    struct stage stage = set_stage();
    char path[96];
    struct stat status;

    snprintf(path, sizeof(path), "%s/file", stage.dir);
    uint32_t follower = vpc_puppet_follow(stage.puppet, path);
    expect(&stage, VPC_PUPPET_OPENED, follower);

    uint32_t writer = vpc_puppet_write(stage.puppet, path, 0640);
    expect(&stage, VPC_PUPPET_OPENED, writer);
    cr_assert_eq(vpc_puppet_send(stage.puppet, writer, "line 1\n", 7), 7);
    cr_assert_eq(vpc_puppet_fin(stage.puppet, writer), 0);
    bool closed = false, followed = false;
    while (!closed || !followed) {
        struct vpc_puppet_event event = next_event(&stage);

        closed |= event.type == VPC_PUPPET_CLOSED && event.handle == writer;
        if (event.type == VPC_PUPPET_DATA) {
            cr_assert_eq(event.handle, follower);
            cr_assert_eq(event.size, 7);
            followed = true;
        }
    }
    cr_assert_eq(stat(path, &status), 0);
    cr_assert_eq(status.st_mode & 07777, 0640);

    FILE *file = fopen(path, "a");
    fputs("line 2\n", file);
    fclose(file);
    struct vpc_puppet_event event = expect(&stage, VPC_PUPPET_DATA, follower);
    cr_assert_eq(event.size, 7);
    cr_assert_arr_eq(event.data, "line 2\n", 7);

    uint32_t reader = vpc_puppet_read(stage.puppet, path);
    expect(&stage, VPC_PUPPET_OPENED, reader);
    char *text = gather(&stage, reader);
    cr_assert_str_eq(text, "line 1\nline 2\n");
    free(text);
    expect(&stage, VPC_PUPPET_CLOSED, reader);
    reader = vpc_puppet_read(stage.puppet, "/nonexistent/file");
    cr_assert_eq(expect(&stage, VPC_PUPPET_FAILED, reader).value, ENOENT);
    strike_stage(&stage);
}

/* From now on it gets no more. */
static void leave_no_descriptor(const struct stage *stage)
{
    struct rlimit limit = {0, 1024};

    cr_assert_eq(prlimit(stage->pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

/* A connection that the system has accepted for it would wait for ever, and the subject be blamed. */
Test(puppet, without_descriptors_it_says_so_and_accepts_nothing, .timeout = 20)
{
    struct stage stage = set_stage();
    uint32_t listener = vpc_puppet_listen(stage.puppet, 0, 0, 0);
    uint32_t port = expect(&stage, VPC_PUPPET_OPENED, listener).value;
    struct vpc_puppet_event event;

    leave_no_descriptor(&stage);
    int fd = connect_to(port);
    event = expect(&stage, VPC_PUPPET_FAILED, listener);
    cr_expect_eq(event.value, EMFILE);
    cr_expect_str_eq(event.text, "accept a connection");
    close(fd);
    strike_stage(&stage);
}

/* A log that comes, and can not be opened. */
Test(puppet, without_descriptors_it_says_so_and_follows_nothing, .timeout = 20)
{
    struct stage stage = set_stage();
    char path[96];

    snprintf(path, sizeof(path), "%s/file", stage.dir);
    uint32_t follower = vpc_puppet_follow(stage.puppet, path);
    expect(&stage, VPC_PUPPET_OPENED, follower);
    leave_no_descriptor(&stage);
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    fclose(file);
    cr_expect_eq(expect(&stage, VPC_PUPPET_FAILED, follower).value, EMFILE);
    follower = vpc_puppet_follow(stage.puppet, path);
    cr_expect_eq(expect(&stage, VPC_PUPPET_FAILED, follower).value, EMFILE);
    strike_stage(&stage);
}

Test(puppet, raw_bytes_through_a_socket, .timeout = 20)
{
    struct stage stage = set_stage();
    char path[96], bytes[8];

    snprintf(path, sizeof(path), "%s/bus", stage.dir);
    int server = listen_at(path);
    uint32_t bus = vpc_puppet_open(stage.puppet, path);
    expect(&stage, VPC_PUPPET_OPENED, bus);
    int host = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_geq(host, 0);
    cr_assert_eq(vpc_puppet_send(stage.puppet, bus, "up", 2), 2);
    struct vpc_puppet_event event;
    cr_assert_eq(vpc_puppet_next(stage.puppet, &event), 0);
    cr_assert_eq(recv(host, bytes, 2, MSG_WAITALL), 2);
    cr_assert_eq(send(host, "down", 4, 0), 4);
    event = expect(&stage, VPC_PUPPET_DATA, bus);
    cr_assert_eq(event.size, 4);
    cr_assert_eq(vpc_puppet_close(stage.puppet, bus), 0);
    expect(&stage, VPC_PUPPET_CLOSED, bus);
    cr_assert_eq(recv(host, bytes, 1, 0), 0);
    close(host);
    close(server);
    strike_stage(&stage);
}

/* A grandchild that left its group, a listener, a connection: all gone, and nothing told of it. */
Test(puppet, reset_all_is_pristine, .timeout = 20)
{
    struct stage stage = set_stage();
    const char *argv[] = {"sh", "-c", "setsid sleep 600 & echo $!; exit 0", NULL};
    uint32_t listener, connection;
    int client = meet(&stage, false, &listener, &connection);
    uint32_t command = vpc_puppet_run(stage.puppet, argv);
    pid_t grandchild = 0;
    bool exited = false;

    while (!grandchild || !exited) {
        struct vpc_puppet_event event = next_event(&stage);

        cr_assert_eq(event.handle, command);
        exited |= event.type == VPC_PUPPET_EXITED;
        if (event.type == VPC_PUPPET_DATA)
            grandchild = atoi((const char *)event.data);
    }
    cr_assert_eq(kill(grandchild, 0), 0);
    uint32_t reset = vpc_puppet_reset_all(stage.puppet);
    expect(&stage, VPC_PUPPET_DONE, reset);
    cr_assert_eq(kill(grandchild, 0), -1);
    cr_assert_eq(errno, ESRCH);
    char byte;
    cr_assert_leq(recv(client, &byte, 1, 0), 0);
    cr_assert_eq(vpc_puppet_close(stage.puppet, listener), -1);
    uint32_t ping = vpc_puppet_ping(stage.puppet);
    expect(&stage, VPC_PUPPET_PONG, ping);
    close(client);
    strike_stage(&stage);
}

/* Garbage on its line ends the puppet; no crash. */
Test(puppet, garbage_ends_it, .timeout = 20)
{
    struct stage stage = set_stage();
    uint8_t garbage[64];
    struct vpc_puppet_event event;
    int got;

    memset(garbage, 0xff, sizeof(garbage));
    cr_assert_eq(send(vpc_puppet_fd(stage.puppet), garbage, sizeof(garbage), 0), sizeof(garbage));
    while ((got = vpc_puppet_next(stage.puppet, &event)) == 0) {
        struct pollfd line = {.fd = vpc_puppet_fd(stage.puppet), .events = POLLIN};

        cr_assert_gt(poll(&line, 1, 10000), 0);
    }
    cr_assert_eq(got, -1);
    strike_stage(&stage);
}
