/* SPDX-License-Identifier: MIT */
/*
 * The sockets of forwards (FWD-1): they listen from start-forward to stop-forward, and let a client in when the endpoint
 * has said which stream it will be (ACCEPT).  Until then it stays in the backlog.
 *
 * A Unix socket is for those who may open a pipe.  A port of the loopback address is for every program of this machine:
 * TCP does not tell whose it is.
 */
#include "forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward_listen.h"
#include "runtime_dir.h"
#include "shell_internal.h"

struct vpc_forward_socket {
    uint32_t number;
    uint32_t next; /* the stream that its next client is; 0: none is let in */
    bool port;     /* a port, and no Unix socket */
    struct vpc_listener listener;
    struct vpc_link all;
};

#define FORWARD_AT(link) VPC_LIST_ENTRY(link, struct vpc_forward_socket, all)

static struct vpc_forward_socket *find(struct vpc_shell *shell, uint32_t number)
{
    for (struct vpc_link *l = shell->forwards.next; l != &shell->forwards; l = l->next)
        if (FORWARD_AT(l)->number == number)
            return FORWARD_AT(l);
    return NULL;
}

static void let_in(struct vpc_forward_socket *forward, uint32_t stream)
{
    forward->next = stream;
    vpc_timer_clear(&forward->listener.shell->loop, &forward->listener.backoff);
    vpc_listener_pause(&forward->listener, stream == 0);
}

/* ---- clients ----------------------------------------------------------------------------------- */

static bool everybody(struct vpc_listener *listener, int fd)
{
    (void)listener, (void)fd;
    return true;
}

static void on_client(struct vpc_listener *listener, int fd)
{
    struct vpc_forward_socket *forward = listener->owner;
    struct vpc_stream *stream = vpc_stream_new(listener->shell, forward->next, !forward->port);

    if (stream == NULL) { /* it is gone, and the next one has its turn */
        vpc_listener_turn_away(fd, NULL);
        return;
    }
    let_in(forward, 0);
    vpc_stream_start(stream, fd);
}

/* ---- the socket -------------------------------------------------------------------------------- */

/* "127.0.0.1:PORT" or "[::1]:PORT", with the port that it is. */
static int name_port(int fd, enum vpc_listen_kind kind, char *name, size_t size)
{
    struct sockaddr_storage at = {0};
    socklen_t length = sizeof(at);

    if (getsockname(fd, (struct sockaddr *)&at, &length) != 0)
        return errno;
    if (kind == VPC_LISTEN_IPV4)
        snprintf(name, size, "127.0.0.1:%u",
                 ntohs(((const struct sockaddr_in *)(const void *)&at)->sin_port));
    else
        snprintf(name, size, "[::1]:%u",
                 ntohs(((const struct sockaddr_in6 *)(const void *)&at)->sin6_port));
    return 0;
}

static int name_socket(struct vpc_shell *shell, const char *listen, enum vpc_listen_kind kind,
                       char *name, size_t size)
{
    struct vpc_pipe_paths paths;
    int error = 0;

    snprintf(name, size, "%s", listen);
    if (kind == VPC_LISTEN_NAME)
        error = vpc_forward_paths(shell->config.runtime_dir, listen, &paths);
    if (!error && kind == VPC_LISTEN_NAME)
        snprintf(name, size, "%s", paths.is_brief ? paths.brief : paths.plain);
    return error;
}

static int open_socket(struct vpc_forward_socket *forward, const char *listen, char *name,
                       size_t size)
{
    struct vpc_listener *listener = &forward->listener;
    struct vpc_shell *shell = listener->shell;
    unsigned port;
    enum vpc_listen_kind kind = vpc_forward_listen(listen, &port);
    int fd, error = vpc_opener_forward(shell->asked, forward->number, listen, &fd);

    if (error)
        return error;
    forward->port = kind == VPC_LISTEN_IPV4 || kind == VPC_LISTEN_IPV6;
    if (forward->port)
        listener->welcomes = everybody;
    listener->group = shell->config.group;
    listener->pipe = forward->number;
    listener->is_pipe = true;
    error = forward->port ? name_port(fd, kind, name, size)
                          : name_socket(shell, listen, kind, name, size);
    int adopted = vpc_listener_adopt(listener, fd, error ? listen : name);
    return error ? error : adopted;
}

static void close_socket(struct vpc_forward_socket *forward)
{
    vpc_listener_close(&forward->listener);
    vpc_list_remove(&forward->all);
    free(forward);
}

void vpc_forward_open(struct vpc_shell *shell, uint32_t number, const char *listen)
{
    struct vpc_forward_socket *forward = calloc(1, sizeof(*forward));
    char name[VPC_FILE_SIZE] = "";
    int error = ENOMEM;

    if (forward != NULL) {
        forward->number = number;
        vpc_listener_init(&forward->listener, shell, on_client, forward);
        vpc_list_append(&shell->forwards, &forward->all);
        error = open_socket(forward, listen, name, sizeof(name));
        if (error)
            close_socket(forward);
        else
            let_in(forward, 0);
    }
    shell->abi->stream_listening(shell->ep, number, error, error ? "" : name);
}

void vpc_forward_accept(struct vpc_shell *shell, uint32_t number, uint32_t stream)
{
    struct vpc_forward_socket *forward = find(shell, number);

    if (forward != NULL)
        let_in(forward, stream);
}

bool vpc_forward_close(struct vpc_shell *shell, uint32_t number)
{
    for (struct vpc_link *l = shell->forwards.next; l != &shell->forwards; l = l->next) {
        struct vpc_forward_socket *forward = FORWARD_AT(l);

        if (forward->number == number)
            close_socket(forward);
        else if (forward->next == number)
            let_in(forward, 0);
        else
            continue;
        return true;
    }
    return false;
}

void vpc_forwards_close(struct vpc_shell *shell)
{
    while (!vpc_list_empty(&shell->forwards))
        close_socket(FORWARD_AT(shell->forwards.next));
}

/* ---- those that the endpoint is started with ------------------------------------------------------ */

/* The number of a control client that there is not: the shell itself. */
#define OWN_CLIENT UINT32_MAX

bool vpc_forward_answered(struct vpc_shell *shell, uint32_t client, const char *text, size_t n)
{
    if (client != OWN_CLIENT)
        return false;
    json_t *answer = json_loadb(text, n, 0, NULL);
    const json_t *error = json_object_get(answer, "error");
    const char *desc = json_string_value(json_object_get(error, "desc"));

    if (error != NULL) {
        vpc_shell_note(shell, "the forward %s can not be made: %s", shell->forward_asked,
                       desc != NULL ? desc : "no reason given");
        shell->forward_error = EINVAL;
    }
    json_decref(answer);
    return true;
}

static void start_one(struct vpc_shell *shell, const char *listen, const json_t *settings)
{
    json_t *arguments = json_is_object(settings)
                            ? json_copy((json_t *)(uintptr_t)settings)
                            : json_pack("{s:O}", "port", (json_t *)(uintptr_t)settings);
    json_object_set_new(arguments, "listen", json_string(listen));
    json_t *request = json_pack("{s:s, s:o}", "execute", "start-forward", "arguments", arguments);
    char *line = json_dumps(request, JSON_COMPACT);

    shell->forward_asked = listen;
    if (line != NULL)
        shell->abi->control_line(shell->ep, OWN_CLIENT, line, strlen(line));
    vpc_carry_out(shell);
    free(line);
    json_decref(request);
}

int vpc_forwards_start(struct vpc_shell *shell, const char *forwards)
{
    json_t *all = forwards != NULL ? json_loads(forwards, 0, NULL) : NULL, *settings;
    const char *listen;

    shell->forward_error = 0;
    json_object_foreach(all, listen, settings)
    {
        if (!shell->forward_error)
            start_one(shell, listen, settings);
    }
    json_decref(all);
    shell->forward_asked = NULL;
    return shell->forward_error;
}
