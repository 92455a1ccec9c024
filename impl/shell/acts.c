/* SPDX-License-Identifier: MIT */
#include "acts.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bus_dial.h"
#include "forward_listen.h"
#include "list.h"
#include "local_socket.h"
#include "named_event.h"
#include "runtime_dir.h"
#include "vpc_endpoint.h"

enum {
    HOST = 1u << VPC_ROLE_HOST,
    GUEST = 1u << VPC_ROLE_GUEST,
    BOTH = HOST | GUEST,
    CONTROL_BACKLOG = 64,
    FORWARD_BACKLOG = 1024, /* those who wait for a pair; the system may allow fewer */
    GOING_LIMIT_MS = 2000,  /* how long an opener may take to remove all that its endpoint had */
    GOING_LOOK_MS = 2,
    PIPES_MIN = 64, /* in the index, if nobody says how many there will be */
};

struct pipe {
    struct vpc_named_socket socket;
    uint32_t number;
    struct vpc_entry entry;
};

/* ---- pipes ----------------------------------------------------------------------------------------------- */

static struct pipe *find_pipe(const struct vpc_acts *acts, uint32_t number)
{
    struct vpc_entry *entry = vpc_index_first(&acts->pipes, number);

    while (entry != NULL && VPC_LIST_ENTRY(entry, struct pipe, entry)->number != number)
        entry = entry->next;
    return entry != NULL ? VPC_LIST_ENTRY(entry, struct pipe, entry) : NULL;
}

static void end_pipe(struct pipe *pipe)
{
    vpc_entry_remove(&pipe->entry);
    vpc_named_socket_close(&pipe->socket);
    free(pipe);
}

static int open_pipe(struct vpc_acts *acts, const char *name, struct pipe *pipe, int *fd)
{
    struct vpc_pipe_paths paths;
    int error = vpc_pipe_paths(acts->config.runtime_dir, name, &paths);

    if (error)
        return error;
    return vpc_named_socket_open(&pipe->socket,
                                 &(struct vpc_named_socket_options){
                                     .name = paths.plain,
                                     .path = paths.is_brief ? paths.brief : paths.plain,
                                     .owner = acts->config.vm,
                                     .group = acts->config.group,
                                     .backlog = 1,
                                 },
                                 fd);
}

typedef int open_fn(struct vpc_acts *acts, const char *text, struct pipe *pipe, int *fd);

static int open_as(struct vpc_acts *acts, const struct vpc_errand *errand, open_fn *open, int *fd)
{
    if (acts->config.runtime_dir == NULL || find_pipe(acts, errand->number) != NULL)
        return EINVAL;
    struct pipe *pipe = calloc(1, sizeof(*pipe));
    if (pipe == NULL)
        return ENOMEM;
    pipe->number = errand->number;
    pipe->socket.lock = -1;
    int error = open(acts, errand->text, pipe, fd);
    if (error)
        free(pipe);
    else
        vpc_index_add(&acts->pipes, pipe->number, &pipe->entry);
    return error;
}

static int do_pipe(struct vpc_acts *acts, const struct vpc_errand *errand,
                   struct vpc_answer *answer, int *fd)
{
    (void)answer;
    return open_as(acts, errand, open_pipe, fd);
}

/* ---- forwards ---------------------------------------------------------------------------------------------- */

static int listen_at_port(enum vpc_listen_kind kind, unsigned port, int *fd)
{
    const struct sockaddr_in v4 = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                                    .sin6_port = htons((uint16_t)port),
                                    .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool old = kind == VPC_LISTEN_IPV4;
    const int on = 1;
    int made = socket(old ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (made < 0)
        return errno;
    setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on,
               sizeof(on)); /* those of connections that ended */
    setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* its clients have it too */
    if (bind(made, old ? (const void *)&v4 : (const void *)&v6, old ? sizeof(v4) : sizeof(v6)) !=
            0 ||
        listen(made, FORWARD_BACKLOG) != 0) {
        int error = errno;

        close(made);
        return error;
    }
    *fd = made;
    return 0;
}

static int open_forward(struct vpc_acts *acts, const char *text, struct pipe *pipe, int *fd)
{
    struct vpc_pipe_paths paths;
    struct vpc_named_socket_options options = {.path = text,
                                               .owner = acts->config.vm,
                                               .group = acts->config.group,
                                               .backlog = FORWARD_BACKLOG};
    unsigned port;
    enum vpc_listen_kind kind = vpc_forward_listen(text, &port);

    if (kind == VPC_LISTEN_WRONG)
        return EINVAL;
    if (kind == VPC_LISTEN_IPV4 || kind == VPC_LISTEN_IPV6)
        return listen_at_port(kind, port, fd);
    if (kind == VPC_LISTEN_NAME) {
        int error = vpc_forward_paths(acts->config.runtime_dir, text, &paths);

        if (error)
            return error;
        options.name = paths.plain;
        options.path = paths.is_brief ? paths.brief : paths.plain;
    }
    return vpc_named_socket_open(&pipe->socket, &options, fd);
}

static int do_forward(struct vpc_acts *acts, const struct vpc_errand *errand,
                      struct vpc_answer *answer, int *fd)
{
    (void)answer;
    return open_as(acts, errand, open_forward, fd);
}

static int do_end_pipe(struct vpc_acts *acts, const struct vpc_errand *errand,
                       struct vpc_answer *answer, int *fd)
{
    struct pipe *pipe = find_pipe(acts, errand->number);

    (void)answer, (void)fd;
    if (pipe == NULL)
        return ENOENT;
    end_pipe(pipe);
    return 0;
}

/* ---- the control socket, the bus --------------------------------------------------------------------------- */

static int listen_once(struct vpc_named_socket *named,
                       const struct vpc_named_socket_options *options, int *fd)
{
    if (options->path == NULL || named->lock >= 0)
        return EINVAL;
    return vpc_named_socket_open(named, options, fd);
}

/* An endpoint that was killed listens no more, and its opener, which has the name, is about to go. */
static bool is_about_to_go(const char *path)
{
    int fd, error = vpc_connect(path, 0, &fd);

    if (!error)
        close(fd);
    return error == ECONNREFUSED || error == ENOENT;
}

static int do_control(struct vpc_acts *acts, const struct vpc_errand *errand,
                      struct vpc_answer *answer, int *fd)
{
    const struct vpc_named_socket_options options = {
        .path = acts->config.control_path,
        .owner = acts->config.vm,
        .group = acts->config.group,
        .backlog = CONTROL_BACKLOG,
    };
    int64_t end = vpc_end_of(GOING_LIMIT_MS);
    int error;

    (void)errand, (void)answer;
    while ((error = listen_once(&acts->control, &options, fd)) == EADDRINUSE &&
           is_about_to_go(options.path) && vpc_now_ms() < end)
        poll(NULL, 0, GOING_LOOK_MS);
    return error;
}

static int do_bus(struct vpc_acts *acts, const struct vpc_errand *errand, struct vpc_answer *answer,
                  int *fd)
{
    const struct vpc_bus_address *bus = &acts->config.bus;
    const struct vpc_named_socket_options options = {
        .path = bus->path, .owner = acts->config.vm, .backlog = 1};

    (void)errand, (void)answer;
    if (bus->kind == VPC_BUS_LISTEN)
        return listen_once(&acts->bus, &options, fd);
    int error = vpc_bus_dial(bus, fd);
    if (!error && bus->kind == VPC_BUS_CONNECT)
        vpc_turn_of(&acts->turn, *fd);
    return error;
}

static int do_turn(struct vpc_acts *acts, const struct vpc_errand *errand,
                   struct vpc_answer *answer, int *fd)
{
    (void)fd;
    if (!vpc_turn_waits(&acts->turn))
        return 0;
    return errand->number && vpc_turn_holder(&acts->turn, answer->text) ? EBUSY : EAGAIN;
}

/* ---- the ready event --------------------------------------------------------------------------------------- */

/* The event of some tag, and no other file. */
static bool is_event_name(const char *name)
{
    static const char begin[] = "Local\\", end[] = "_ChannelReady";
    const size_t around = sizeof(begin) + sizeof(end) - 2, n = strlen(name);

    if (n < around || n - around >= VPC_TAG_SIZE || strncmp(name, begin, sizeof(begin) - 1) != 0 ||
        strcmp(name + n - (sizeof(end) - 1), end) != 0)
        return false;
    for (const char *c = name; *c; c++)
        if (*c < ' ' || *c > '~')
            return false;
    return true;
}

static void give_up_event(struct vpc_acts *acts)
{
    vpc_event_give_up(acts->event);
    acts->event = NULL;
}

static int open_event(struct vpc_acts *acts, const char *name)
{
    if (acts->event != NULL && strcmp(acts->event_name, name) != 0)
        give_up_event(acts);
    if (acts->event != NULL)
        return 0;
    snprintf(acts->event_name, sizeof(acts->event_name), "%s", name);
    return vpc_event_open_for(acts->config.runtime_dir, name, acts->config.group, &acts->event);
}

static int do_event(struct vpc_acts *acts, const struct vpc_errand *errand,
                    struct vpc_answer *answer, int *fd)
{
    if (acts->config.runtime_dir == NULL || !is_event_name(errand->text) ||
        (errand->number & ~(uint32_t)VPC_EVENT_BITS))
        return EINVAL;
    int error = open_event(acts, errand->text);
    if (!error)
        error = vpc_event_claim(acts->event, acts->config.vm, errand->number & VPC_EVENT_IS_GIVEN);
    if (error == EBUSY)
        vpc_event_owner(acts->event, answer->text);
    if (!error)
        error = vpc_event_set(acts->event, errand->number & VPC_EVENT_IS_SET);
    if (!error)
        *fd = vpc_event_hand_over(acts->event);
    return error;
}

static int do_end_event(struct vpc_acts *acts, const struct vpc_errand *errand,
                        struct vpc_answer *answer, int *fd)
{
    (void)errand, (void)answer, (void)fd;
    give_up_event(acts);
    return 0;
}

/* ---- a guest's servers --------------------------------------------------------------------------------------- */

static int connect_to(unsigned port, int *fd)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int made = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = 0;

    if (made < 0)
        return errno;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(made, (const struct sockaddr *)&at, sizeof(at)) != 0)
        error = errno;
    if (error && error != EINPROGRESS)
        close(made);
    else
        *fd = made;
    return error;
}

static int do_connect(struct vpc_acts *acts, const struct vpc_errand *errand,
                      struct vpc_answer *answer, int *fd)
{
    (void)answer;
    if (errand->number < 1 || errand->number > UINT16_MAX)
        return EINVAL;
    if (acts->config.allow_ports != NULL && !vpc_ports_have(&acts->ports, errand->number))
        return EACCES;
    return connect_to(errand->number, fd);
}

/* ---- files --------------------------------------------------------------------------------------------------- */

static int do_file(struct vpc_acts *acts, const struct vpc_errand *errand,
                   struct vpc_answer *answer, int *fd)
{
    (void)answer;
    if (errand->number >= VPC_KEPT_FILES)
        return EINVAL;
    return vpc_kept_open(acts->files, &acts->config.changing, errand->number, fd);
}

static int do_read_file(struct vpc_acts *acts, const struct vpc_errand *errand,
                        struct vpc_answer *answer, int *fd)
{
    (void)answer;
    if (errand->number >= VPC_KEPT_FILES)
        return EINVAL;
    return vpc_kept_read(&acts->files[errand->number], fd);
}

static int do_turn_file(struct vpc_acts *acts, const struct vpc_errand *errand,
                        struct vpc_answer *answer, int *fd)
{
    (void)answer;
    if (errand->number >= VPC_KEPT_FILES)
        return EINVAL;
    return vpc_kept_turn_over(&acts->files[errand->number], errand->number, fd);
}

static int do_file_name(struct vpc_acts *acts, const struct vpc_errand *errand,
                        struct vpc_answer *answer, int *fd)
{
    const struct vpc_changing *changing = &acts->config.changing;
    const char *path = errand->number == VPC_KEPT_TRACE ? changing->trace_path : changing->log_path;

    (void)fd;
    snprintf(answer->text, sizeof(answer->text), "%s", path != NULL ? path : "");
    return errand->number >= VPC_KEPT_FILES ? EINVAL : 0;
}

static int do_reload(struct vpc_acts *acts, const struct vpc_errand *errand,
                     struct vpc_answer *answer, int *fd)
{
    struct vpc_acts_config *config = &acts->config;

    (void)errand, (void)fd;
    if (config->reload != NULL && !config->reload(config->reload_user, &config->changing))
        return EINVAL;
    answer->verbose = config->changing.verbose;
    answer->log_limit = config->changing.log_limit;
    answer->trace_limit = config->changing.trace_limit;
    return 0;
}

/* ---- the journal, the service manager ------------------------------------------------------------------------- */

/* `path` is absolute, or `@` and an abstract name. */
static int address_of(const char *path, struct sockaddr_un *address, socklen_t *size)
{
    size_t n = path != NULL ? strlen(path) : 0;

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (n == 0)
        return ENOENT;
    if (*path != '/' && *path != '@')
        return EAFNOSUPPORT;
    if (n >= sizeof(address->sun_path))
        return ENAMETOOLONG;
    memcpy(address->sun_path, path, n);
    if (*path == '@')
        address->sun_path[0] = '\0';
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    return 0;
}

static int dial_datagrams(const char *path, int *fd)
{
    struct sockaddr_un address;
    socklen_t size;
    int error = address_of(path, &address, &size);

    if (error)
        return error;
    int made = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0)
        return errno;
    if (connect(made, (const struct sockaddr *)&address, size) != 0) {
        error = errno;
        close(made);
    } else {
        *fd = made;
    }
    return error;
}

static int do_journal(struct vpc_acts *acts, const struct vpc_errand *errand,
                      struct vpc_answer *answer, int *fd)
{
    (void)errand, (void)answer;
    return dial_datagrams(acts->config.journal, fd);
}

static int do_manager(struct vpc_acts *acts, const struct vpc_errand *errand,
                      struct vpc_answer *answer, int *fd)
{
    (void)errand, (void)answer;
    return dial_datagrams(acts->config.manager, fd);
}

static int do_nothing(struct vpc_acts *acts, const struct vpc_errand *errand,
                      struct vpc_answer *answer, int *fd)
{
    (void)acts, (void)errand, (void)answer, (void)fd;
    return 0;
}

/* ---- all of them ------------------------------------------------------------------------------------------- */

static const struct act {
    unsigned roles;
    bool has_number, has_text;
    enum vpc_gift gives;
    int (*run)(struct vpc_acts *acts, const struct vpc_errand *errand, struct vpc_answer *answer,
               int *fd);
} rows[VPC_WISH_END] = {
    [VPC_WISH_CONFINE] = {BOTH, false, false, VPC_GIFT_NONE, do_nothing},
    [VPC_WISH_BUS] = {BOTH, false, false, VPC_GIFT_ONE, do_bus},
    [VPC_WISH_TURN] = {BOTH, true, false, VPC_GIFT_NONE, do_turn},
    [VPC_WISH_CONTROL] = {BOTH, false, false, VPC_GIFT_ONE, do_control},
    [VPC_WISH_PIPE] = {HOST, true, true, VPC_GIFT_ONE, do_pipe},
    [VPC_WISH_FORWARD] = {HOST, true, true, VPC_GIFT_ONE, do_forward},
    [VPC_WISH_END_PIPE] = {HOST, true, false, VPC_GIFT_NONE, do_end_pipe},
    [VPC_WISH_EVENT] = {HOST, true, true, VPC_GIFT_PERHAPS, do_event},
    [VPC_WISH_END_EVENT] = {HOST, false, false, VPC_GIFT_NONE, do_end_event},
    [VPC_WISH_CONNECT] = {GUEST, true, false, VPC_GIFT_ONE, do_connect},
    [VPC_WISH_FILE] = {BOTH, true, false, VPC_GIFT_ONE, do_file},
    [VPC_WISH_READ_FILE] = {BOTH, true, false, VPC_GIFT_ONE, do_read_file},
    [VPC_WISH_TURN_FILE] = {BOTH, true, false, VPC_GIFT_ONE, do_turn_file},
    [VPC_WISH_FILE_NAME] = {BOTH, true, false, VPC_GIFT_NONE, do_file_name},
    [VPC_WISH_RELOAD] = {BOTH, false, false, VPC_GIFT_NONE, do_reload},
    [VPC_WISH_JOURNAL] = {BOTH, false, false, VPC_GIFT_ONE, do_journal},
    [VPC_WISH_MANAGER] = {BOTH, false, false, VPC_GIFT_ONE, do_manager},
};

/* Text, with its end, and zeros behind it. */
static bool is_text(const struct vpc_errand *errand, bool wanted)
{
    size_t n = wanted ? strnlen(errand->text, sizeof(errand->text)) : 0;

    if (n == sizeof(errand->text))
        return false;
    for (; n < sizeof(errand->text); n++)
        if (errand->text[n] != '\0')
            return false;
    return true;
}

bool vpc_errand_is_legal(const struct vpc_errand *errand, size_t n, uint32_t role)
{
    if (n != sizeof(*errand) || errand->wish >= VPC_WISH_END)
        return false;
    const struct act *act = &rows[errand->wish];

    return (act->roles & (1u << role)) && (act->has_number || errand->number == 0) &&
           is_text(errand, act->has_text);
}

enum vpc_gift vpc_errand_gives(const struct vpc_errand *errand)
{
    return rows[errand->wish].gives;
}

void vpc_acts_do(struct vpc_acts *acts, const struct vpc_errand *errand, struct vpc_answer *answer,
                 int *fd)
{
    *fd = -1;
    *answer = (struct vpc_answer){.error = 0};
    answer->error = rows[errand->wish].run(acts, errand, answer, fd);
}

int vpc_acts_open(struct vpc_acts *acts, const struct vpc_acts_config *config)
{
    unsigned room = config->descriptors < PIPES_MIN ? PIPES_MIN : config->descriptors;

    *acts =
        (struct vpc_acts){.config = *config, .bus.lock = -1, .control.lock = -1, .turn.diag = -1};
    if (config->bus.kind == VPC_BUS_CONNECT)
        vpc_turn_open(&acts->turn);
    if (!vpc_index_init(&acts->pipes, room))
        return ENOMEM;
    if (config->allow_ports != NULL && !vpc_ports_parse(&acts->ports, config->allow_ports))
        memset(&acts->ports, 0, sizeof(acts->ports)); /* the endpoint itself refuses them */
    if (config->runtime_dir != NULL && config->role == VPC_ROLE_HOST) {
        vpc_named_sockets_clear(config->runtime_dir, config->vm);
        vpc_events_clear(config->runtime_dir, config->vm);
    }
    return 0;
}

void vpc_acts_close(struct vpc_acts *acts)
{
    for (uint32_t i = 0; acts->pipes.buckets != NULL && i <= acts->pipes.mask; i++)
        while (acts->pipes.buckets[i] != NULL)
            end_pipe(VPC_LIST_ENTRY(acts->pipes.buckets[i], struct pipe, entry));
    free(acts->pipes.buckets);
    acts->pipes.buckets = NULL;
    give_up_event(acts);
    vpc_turn_close(&acts->turn);
    vpc_named_socket_close(&acts->bus);
    vpc_named_socket_close(
        &acts->control); /* the last: who waits for its name has the others then */
}
