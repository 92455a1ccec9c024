/* SPDX-License-Identifier: MIT */
/*
 * The control socket (CTL-1 to CTL-5, CTL-9): lines from clients to the endpoint, lines from the endpoint
 * to clients.
 *
 * Nothing a client does may hold up the endpoint or cost unbounded memory: there are at most so many
 * clients as the configuration says, each holds at most one line of input and OUTPUT_MAX octets of
 * output (who lets more wait is disconnected), and after LINES_PER_TURN lines the other descriptors
 * have their turn.  When there is no place for a newcomer the one that has asked nothing for the
 * longest time makes way.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "generic_error.h"
#include "group.h"
#include "shell_internal.h"

enum {
    CLIENTS_MAX = 64,      /* where the configuration does not say it */
    LINE_LIMIT_MS = 10000, /* in which a line that has begun must be finished */
    OUTPUT_MAX = 1 << 20,
    LINES_PER_TURN = 64,
    LEAVE_MS = 2000, /* who was sent away may so long finish writing and read its last line */
    IN_SIZE = VPC_CONTROL_LINE_MAX + 1,
};

#define ERROR_LINE(text)                                                                           \
    "{\"error\": {\"class\": \"GenericError\", \"hresult\": \"" VPC_GENERIC_HRESULT                \
    "\", \"desc\": \"" text "\"}}"

static void set_output(struct vpc_client *client, size_t size)
{
    client->shell->control.with_output += (unsigned)(size > 0) - (unsigned)(client->out_size > 0);
    client->out_size = size;
}

static void doom(struct vpc_client *client)
{
    struct vpc_control_server *control = &client->shell->control;

    if (client->doomed)
        return;
    client->doomed = true;
    set_output(client, 0);
    vpc_entry_remove(&client->entry);
    vpc_list_remove(&client->flush);
    vpc_list_remove(&client->more);
    vpc_list_remove(&client->all);
    vpc_list_append(&control->doomed, &client->all);
    control->here--;
    vpc_timer_clear(&client->shell->loop, &client->leave);
    vpc_timer_clear(&client->shell->loop, &client->unfinished);
    vpc_socket_read_off(client->watch.fd);
    vpc_watch_close(&client->shell->loop, &client->watch);
}

/* It is looked at before the turn ends: it has output, or wants another thing of epoll. */
static void offer(struct vpc_client *client)
{
    if (!client->doomed)
        vpc_list_append(&client->shell->control.flush, &client->flush);
}

static bool reserve(struct vpc_client *client, size_t n)
{
    size_t need = client->out_size + n;

    if (need <= client->out_capacity)
        return true;
    size_t capacity = client->out_capacity ? client->out_capacity : 4096;
    while (capacity < need)
        capacity *= 2;
    char *out = realloc(client->out, capacity);
    if (out == NULL)
        return false;
    client->out = out;
    client->out_capacity = capacity;
    return true;
}

static void queue_line(struct vpc_client *client, const char *text, size_t n)
{
    if (client->doomed || client->leaving)
        return;
    if (client->out_size + n + 1 > OUTPUT_MAX || !reserve(client, n + 1)) {
        doom(client);
        return;
    }
    memcpy(client->out + client->out_size, text, n);
    client->out[client->out_size + n] = '\n';
    set_output(client, client->out_size + n + 1);
    offer(client);
}

static bool reads(const struct vpc_client *client)
{
    return !client->in_eof && (client->leaving || client->in_size < IN_SIZE);
}

/* Its last line is sent: it reads that, then the end.  What it still writes is read away until it has finished, since a
 * socket that is closed with unread octets resets its peer. */
static void see_off(struct vpc_client *client)
{
    shutdown(client->watch.fd, SHUT_WR);
    if (client->in_eof)
        doom(client);
}

/* Sends what its socket takes; how much that was. */
static size_t send_output(struct vpc_client *client)
{
    size_t sent = 0;
    bool blocked = false;

    while (!client->doomed && !blocked && sent < client->out_size) {
        size_t left = client->out_size - sent;
        ssize_t n = send(client->watch.fd, client->out + sent, left, MSG_NOSIGNAL);

        if (n > 0)
            sent += (size_t)n;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            doom(client);
        else
            blocked = n < 0 ? errno == EAGAIN : (size_t)n < left;
    }
    return sent;
}

static void flush_client(struct vpc_client *client)
{
    vpc_list_remove(&client->flush);
    size_t sent = send_output(client);
    client->shell->control.sent += sent;
    if (client->doomed)
        return;
    set_output(client, client->out_size - sent);
    if (sent > 0) /* there may be no memory yet */
        memmove(client->out, client->out + sent, client->out_size);
    if (client->leaving && client->out_size == 0)
        see_off(client);
    if (!client->doomed)
        vpc_watch_set(&client->shell->loop, &client->watch,
                      (reads(client) ? EPOLLIN : 0) | (client->out_size ? EPOLLOUT : 0));
}

static void on_leave(struct vpc_timer *timer)
{
    doom(timer->owner);
}

/* Its last line; what it still sends is not looked at. */
static void send_away(struct vpc_client *client, const char *line)
{
    struct vpc_loop *loop = &client->shell->loop;

    queue_line(client, line, strlen(line));
    if (client->doomed)
        return;
    client->leaving = true;
    client->in_size = 0;
    offer(client);
    client->leave = (struct vpc_timer){.on_due = on_leave, .owner = client};
    vpc_timer_set(loop, &client->leave, loop->now + LEAVE_MS);
}

/* Gives one line to the endpoint; false when there is none. */
static bool take_line(struct vpc_client *client)
{
    struct vpc_shell *shell = client->shell;
    char *end = client->in_size ? memchr(client->in, '\n', client->in_size) : NULL;

    if (client->doomed || client->leaving)
        return false;
    if (end == NULL) {
        if (client->in_size == IN_SIZE)
            send_away(client, ERROR_LINE("a line is longer than 65536 octets"));
        return false;
    }
    size_t n = (size_t)(end - client->in);
    shell->abi->control_line(shell->ep, client->number, client->in, n);
    client->in_size -= n + 1;
    memmove(client->in, end + 1, client->in_size);
    client->asked_at = shell->loop.now;
    client->has_asked = true;
    vpc_shell_exchange(shell);
    return true;
}

static void on_unfinished(struct vpc_timer *timer)
{
    struct vpc_client *client = timer->owner;

    client->in_line = false;
    send_away(client, ERROR_LINE("a line was not finished within 10 seconds"));
}

/* A line that has begun has so long to its end. */
static void time_line(struct vpc_client *client, bool anew)
{
    struct vpc_loop *loop = &client->shell->loop;
    bool in_line = !client->doomed && !client->leaving && client->in_size > 0;

    if (!in_line)
        vpc_timer_clear(loop, &client->unfinished);
    else if (anew || !client->in_line)
        vpc_timer_set(loop, &client->unfinished, loop->now + LINE_LIMIT_MS);
    client->in_line = in_line;
}

static void take_lines(struct vpc_client *client)
{
    struct vpc_control_server *control = &client->shell->control;
    struct vpc_loop *loop = &client->shell->loop;
    int lines = 0;

    while (lines < LINES_PER_TURN && take_line(client))
        lines++;
    time_line(client, lines > 0);
    if (lines < LINES_PER_TURN || client->doomed)
        return;
    vpc_list_append(&control->more, &client->more);
    vpc_timer_set(loop, &control->more_lines, loop->now);
}

static void read_client(struct vpc_client *client)
{
    ssize_t n = read(client->watch.fd, client->in + client->in_size, IN_SIZE - client->in_size);

    if (n > 0)
        client->in_size += client->leaving ? 0 : (size_t)n;
    else if (n == 0)
        client->in_eof = true; /* it may still read its answers: EPOLLHUP tells when it has gone */
    else if (errno != EAGAIN && errno != EINTR)
        doom(client);
}

static void on_ready(struct vpc_watch *watch, uint32_t events)
{
    struct vpc_client *client = watch->owner;

    if ((events & EPOLLIN) && reads(client)) {
        read_client(client);
        take_lines(client);
    } else if (events & (EPOLLHUP | EPOLLERR)) {
        doom(client);
    }
    offer(client);
    vpc_shell_exchange(client->shell);
}

/* The lines that had to wait for their turn; who has still more of them waits again. */
static void on_more(struct vpc_timer *timer)
{
    struct vpc_shell *shell = timer->owner;
    struct vpc_link *more = &shell->control.more, now;

    if (vpc_list_empty(more))
        return;
    now = *more; /* the whole list, with another head */
    now.next->prev = now.prev->next = &now;
    vpc_list_init(more);
    while (!vpc_list_empty(&now)) {
        struct vpc_client *client = VPC_LIST_ENTRY(now.next, struct vpc_client, more);

        vpc_list_remove(&client->more);
        take_lines(client);
        offer(client);
    }
}

static struct vpc_client *new_client(struct vpc_shell *shell, int fd)
{
    struct vpc_client *client = calloc(1, sizeof(*client));
    char *in = malloc(IN_SIZE);

    if (client == NULL || in == NULL) {
        free(client);
        free(in);
        close(fd);
        return NULL;
    }
    client->shell = shell;
    client->in = in;
    client->watch = (struct vpc_watch){.fd = fd, .on_ready = on_ready, .owner = client};
    client->unfinished = (struct vpc_timer){.on_due = on_unfinished, .owner = client};
    client->asked_at = shell->loop.now;
    return client;
}

/* Whether a is the one to go: who is on his way out or never asked before all others, then who asked last. */
static bool goes_before(const struct vpc_client *a, const struct vpc_client *b)
{
    bool a_stays = a->has_asked && !a->leaving, b_stays = b->has_asked && !b->leaving;

    return a_stays != b_stays ? b_stays : a->asked_at < b->asked_at;
}

/* Nobody needs to be polite for long to one that holds a place and asks nothing. */
static void make_way(struct vpc_control_server *control)
{
    static const char why[] = ERROR_LINE(
        "another client has the place of this one, which asked nothing for the longest time") "\n";
    struct vpc_client *idlest = NULL;

    for (struct vpc_link *l = control->all.next; l != &control->all; l = l->next) {
        struct vpc_client *client = VPC_LIST_ENTRY(l, struct vpc_client, all);

        if (idlest == NULL || goes_before(client, idlest))
            idlest = client;
    }
    if (idlest == NULL)
        return;
    if (!idlest->leaving)
        send(idlest->watch.fd, why, sizeof(why) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    doom(idlest);
}

static unsigned clients_max(const struct vpc_shell *shell)
{
    return shell->config.clients ? shell->config.clients : CLIENTS_MAX;
}

static void on_client(struct vpc_listener *listener, int fd)
{
    struct vpc_shell *shell = listener->shell;
    struct vpc_control_server *control = &shell->control;

    if (control->here >= clients_max(shell))
        make_way(control);
    struct vpc_client *client = new_client(shell, fd);
    if (client == NULL)
        return;
    uint32_t number = ++control->last_number ? control->last_number : ++control->last_number;
    client->number = number;
    vpc_index_add(&control->by_number, number, &client->entry);
    vpc_list_append(&control->all, &client->all);
    offer(client);
    control->here++;
    shell->abi->control_open(shell->ep, number);
    vpc_shell_exchange(shell);
}

void vpc_control_server_init(struct vpc_control_server *control)
{
    vpc_list_init(&control->all);
    vpc_list_init(&control->doomed);
    vpc_list_init(&control->told);
    vpc_list_init(&control->flush);
    vpc_list_init(&control->more);
    control->listener.watch.fd = -1;
}

/* Whose it is, and what to do. */
static void write_refusal(struct vpc_control_server *control, const gid_t *group)
{
    char name[VPC_GROUP_TEXT_SIZE] = "";

    if (group != NULL)
        vpc_group_text(*group, name);
    snprintf(control->refusal, sizeof(control->refusal),
             ERROR_LINE("this endpoint belongs to another user (%u)%s%s: run the program as that "
                        "user%s") "\n",
             (unsigned)geteuid(), *name ? " and the group " : "", name,
             *name ? ", or become a member of that group and log in anew"
                   : ", or have the endpoint let a group in (--group)");
}

int vpc_control_server_open(struct vpc_control_server *control, struct vpc_shell *shell,
                            const char *path)
{
    control->more_lines = (struct vpc_timer){.on_due = on_more, .owner = shell};
    vpc_listener_init(&control->listener, shell, on_client, control);
    control->listener.group = shell->config.group;
    write_refusal(control, shell->config.group);
    control->listener.refusal = control->refusal;
    if (!vpc_index_init(&control->by_number, clients_max(shell)))
        return ENOMEM;
    int fd, error = vpc_opener_wish(shell->asked, VPC_WISH_CONTROL, &fd);
    return error ? error : vpc_listener_adopt(&control->listener, fd, path);
}

void vpc_control_server_reply(struct vpc_control_server *control, uint32_t number, const char *text,
                              size_t n)
{
    struct vpc_entry *entry = vpc_index_first(&control->by_number, number);

    while (entry != NULL && VPC_LIST_ENTRY(entry, struct vpc_client, entry)->number != number)
        entry = entry->next;
    if (entry != NULL)
        queue_line(VPC_LIST_ENTRY(entry, struct vpc_client, entry), text, n);
}

void vpc_control_server_broadcast(struct vpc_control_server *control, const char *text, size_t n)
{
    for (struct vpc_link *l = control->all.next, *next; l != &control->all; l = next) {
        next = l->next; /* who does not read is doomed by it */
        queue_line(VPC_LIST_ENTRY(l, struct vpc_client, all), text, n);
    }
}

void vpc_control_server_flush(struct vpc_control_server *control)
{
    while (!vpc_list_empty(&control->flush))
        flush_client(VPC_LIST_ENTRY(control->flush.next, struct vpc_client, flush));
}

static void free_client(struct vpc_client *client)
{
    vpc_list_remove(&client->all);
    free(client->in);
    free(client->out);
    free(client);
}

bool vpc_control_server_reap(struct vpc_control_server *control)
{
    if (vpc_list_empty(&control->doomed))
        return false;
    struct vpc_client *client = VPC_LIST_ENTRY(control->doomed.next, struct vpc_client, all);
    vpc_list_remove(&client->all);
    vpc_list_append(&control->told, &client->all);
    client->shell->abi->control_close(client->shell->ep, client->number);
    vpc_carry_out(client->shell);
    return true;
}

void vpc_control_server_bury(struct vpc_control_server *control)
{
    while (!vpc_list_empty(&control->told))
        free_client(VPC_LIST_ENTRY(control->told.next, struct vpc_client, all));
}

void vpc_control_server_close(struct vpc_control_server *control)
{
    while (!vpc_list_empty(&control->all))
        doom(VPC_LIST_ENTRY(control->all.next, struct vpc_client, all));
    while (!vpc_list_empty(&control->doomed))
        free_client(VPC_LIST_ENTRY(control->doomed.next, struct vpc_client, all));
    vpc_control_server_bury(control);
    free(control->by_number.buckets);
    vpc_listener_close(&control->listener);
}
