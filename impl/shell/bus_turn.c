/* SPDX-License-Identifier: MIT */
#include "bus_turn.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>

enum {
    ANSWER_SIZE = 32768, /* octets of one part of an answer; the kernel sends no longer ones */
};

struct question {
    struct nlmsghdr header;
    struct unix_diag_req request;
};

/* Its messages, aligned as they must be. */
union answer {
    struct nlmsghdr header;
    char octets[ANSWER_SIZE];
};

/* What the kernel says of one socket. */
struct found {
    uint32_t inode;
    const char *name; /* without an end; NULL: it has none */
    size_t name_size;
    bool has_peer;
    uint32_t peer; /* its inode; 0: it was not accepted */
};

void vpc_turn_open(struct vpc_turn *turn)
{
    *turn = (struct vpc_turn){
        .diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG)};
}

void vpc_turn_close(struct vpc_turn *turn)
{
    if (turn->diag >= 0)
        close(turn->diag);
    turn->diag = -1;
}

void vpc_turn_of(struct vpc_turn *turn, int connection)
{
    socklen_t size = sizeof(turn->server);
    struct stat found;

    turn->inode = 0;
    turn->server = (struct sockaddr_un){0};
    if (fstat(connection, &found) == 0 &&
        getpeername(connection, (struct sockaddr *)&turn->server, &size) == 0)
        turn->inode = (uint32_t)found.st_ino;
}

/* inode 0: all that are connected. */
static bool ask(int diag, uint32_t inode)
{
    struct question question = {
        .header = {.nlmsg_len = sizeof(question),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | (inode == 0 ? NLM_F_DUMP : 0)},
        .request = {.sdiag_family = AF_UNIX,
                    .udiag_states = UINT32_MAX,
                    .udiag_ino = inode,
                    .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER,
                    .udiag_cookie = {UINT32_MAX, UINT32_MAX}}};

    return write(diag, &question, sizeof(question)) == (ssize_t)sizeof(question);
}

static void read_attribute(struct found *found, const struct rtattr *attribute)
{
    if (attribute->rta_type == UNIX_DIAG_NAME) {
        found->name = RTA_DATA(attribute);
        found->name_size = RTA_PAYLOAD(attribute);
    } else if (attribute->rta_type == UNIX_DIAG_PEER &&
               RTA_PAYLOAD(attribute) == sizeof(found->peer)) {
        found->has_peer = true;
        memcpy(&found->peer, RTA_DATA(attribute), sizeof(found->peer));
    }
}

static bool read_one(const struct nlmsghdr *header, struct found *found)
{
    const struct unix_diag_msg *message = NLMSG_DATA(header);
    int left = (int)header->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*message));

    if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY || left < 0)
        return false;
    *found = (struct found){.inode = message->udiag_ino};
    for (const struct rtattr *attribute = (const void *)(message + 1); RTA_OK(attribute, left);
         attribute = RTA_NEXT(attribute, left))
        read_attribute(found, attribute);
    return true;
}

/* Each one of the answer to take(); true: there is another part. */
static bool read_part(int diag, void (*take)(void *user, const struct found *found), void *user)
{
    union answer answer;
    ssize_t n = recv(diag, &answer, sizeof(answer), 0);
    unsigned left = n > 0 ? (unsigned)n : 0;
    bool more = false;

    for (const struct nlmsghdr *header = &answer.header; NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
        struct found found;

        more = (header->nlmsg_flags & NLM_F_MULTI) && header->nlmsg_type != NLMSG_DONE;
        if (read_one(header, &found))
            take(user, &found);
    }
    return more;
}

static void keep_one(void *user, const struct found *found)
{
    *(struct found *)user = *found;
}

/* The name does not outlive the question. */
static bool look_up(int diag, uint32_t inode, struct found *found)
{
    *found = (struct found){0};
    if (inode == 0 || !ask(diag, inode))
        return false;
    read_part(diag, keep_one, found);
    return found->inode == inode;
}

bool vpc_turn_waits(const struct vpc_turn *turn)
{
    struct found found;

    return turn->diag >= 0 && look_up(turn->diag, turn->inode, &found) && found.has_peer &&
           found.peer == 0;
}

/* ---- who it is ------------------------------------------------------------------------------------------------ */

struct search {
    const char *server;
    size_t server_size;
    uint32_t client; /* whom it serves; 0: nobody was found */
};

/* Those that the server made by accepting have its name. */
static void find_client(void *user, const struct found *found)
{
    struct search *search = user;

    if (found->peer != 0 && found->name != NULL && found->name_size >= search->server_size &&
        memcmp(found->name, search->server, search->server_size) == 0)
        search->client = found->peer;
}

/* Of the abstract namespace: a NUL, then the name. */
static void copy_name(void *user, const struct found *found)
{
    size_t n = found->name != NULL && found->name_size > 1 ? found->name_size - 1 : 0;

    if (n > 0 && n <= VPC_LABEL_MAX && found->name[0] == '\0')
        memcpy(user, found->name + 1, n);
}

bool vpc_turn_holder(const struct vpc_turn *turn, char *holder)
{
    struct search search = {.server = turn->server.sun_path,
                            .server_size =
                                strnlen(turn->server.sun_path, sizeof(turn->server.sun_path))};

    memset(holder, 0, VPC_LABEL_MAX + 1);
    if (turn->diag < 0 || search.server_size == 0 || !ask(turn->diag, 0))
        return false;
    while (read_part(turn->diag, find_client, &search))
        ;
    if (search.client != 0 && ask(turn->diag, search.client))
        read_part(turn->diag, copy_name, holder);
    return search.client != 0;
}
