/* SPDX-License-Identifier: MIT */
/*
 * What an endpoint does to the system around it, and must not be able to do itself: it asks for each act.
 *
 * An errand says no more than what is wanted.  Where a socket is, which bus there is, who its machine is: all that the acts
 * know from the start.  They run in a process of their own (opener.h), or, where there is none, in that of who asks.
 * They read nothing that comes over the bus.
 */
#ifndef VPC_SHELL_ACTS_H
#define VPC_SHELL_ACTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bus_address.h"
#include "bus_turn.h"
#include "core/index.h"
#include "kept_files.h"
#include "named_socket.h"
#include "port_list.h"
#include "vpc.h"

enum vpc_wish {
    VPC_WISH_CONFINE =
        1,        /* all that is to be opened once is open: who acts goes into its sandbox */
    VPC_WISH_BUS, /* the bus (bus_dial.h), or, of one to listen at, a socket that listens */
    /* Whether the server has accepted it: EAGAIN: not yet; with a `number` also EBUSY: it serves another, whose name is the
     * answer's text */
    VPC_WISH_TURN,
    VPC_WISH_CONTROL,  /* the control socket, which listens */
    VPC_WISH_PIPE,     /* a socket that listens for the pipe `text`, to be known as `number` */
    VPC_WISH_FORWARD,  /* the same for the forward that listens where `text` says */
    VPC_WISH_END_PIPE, /* removes what was made for `number` */
    /* Owns the ready event `text`, and sets it: `number` is of enum vpc_event_bit.  A descriptor says that we live. */
    VPC_WISH_EVENT,
    VPC_WISH_END_EVENT, /* gives it up */
    VPC_WISH_CONNECT,   /* a connection to the port `number` of 127.0.0.1 */
    VPC_WISH_FILE,      /* the file `number` of enum vpc_kept, to write behind what is in it */
    VPC_WISH_READ_FILE, /* the same to read, as it was opened last */
    VPC_WISH_TURN_FILE, /* the same to write, after its turning over */
    VPC_WISH_FILE_NAME, /* how it is called, for people */
    VPC_WISH_RELOAD,    /* reads the settings anew, and tells what changed */
    VPC_WISH_JOURNAL,   /* a socket that is connected to the journal */
    VPC_WISH_MANAGER,   /* the same to the service manager */
    VPC_WISH_END,       /* behind the last */
};

enum vpc_event_bit {
    VPC_EVENT_IS_SET = 1,
    VPC_EVENT_IS_GIVEN = 2, /* its tag: not said by a guest (RDY-7) */
    VPC_EVENT_BITS = 3,
};

/* One size for all.  What a wish does not use is zero, the text to its last octet. */
struct vpc_errand {
    uint32_t wish; /* enum vpc_wish */
    uint32_t number;
    char text[VPC_PIPE_SIZE];
};

struct vpc_answer {
    int32_t error; /* an errno; with 0 and EINPROGRESS comes a descriptor, if the wish is for one */
    uint32_t verbose;                /* of RELOAD */
    uint64_t log_limit, trace_limit; /* the same */
    /* Of FILE_NAME, cut to fit; with EBUSY of EVENT whose it is, of TURN who is served. */
    char text[VPC_PIPE_SIZE];
};

#define VPC_EVENT_NAME_SIZE 96u

/* What they know from the start; the strings must live as long as they. */
struct vpc_acts_config {
    const char *program, *vm; /* for messages; what is made belongs to the machine */
    uint32_t role;            /* enum vpc_role */
    struct vpc_bus_address bus;
    const char *runtime_dir;            /* NULL: no pipes */
    const gid_t *group;                 /* whose members may be clients; NULL: nobody */
    const char *control_path;           /* NULL: no control socket */
    const char *journal, *manager;      /* their sockets; NULL: none */
    const char *const *forward_folders; /* for forwards at paths; NULL behind the last */
    struct vpc_changing changing;
    const char *config_path; /* what reload() reads; NULL: nothing */
    /* Sets *changing as it shall be from now on; false: the settings are wrong, and it said so.  NULL: they stay. */
    bool (*reload)(void *user, struct vpc_changing *changing);
    void *reload_user;
    const char *allow_ports; /* to which a guest may connect (port_list.h); NULL: all */
    unsigned descriptors;    /* so many may be needed at once */
};

struct vpc_acts {
    struct vpc_acts_config config;
    struct vpc_named_socket bus, control;
    struct vpc_turn turn; /* of the last connection to the bus */
    struct vpc_index pipes;
    vpc_event *event; /* NULL: none */
    char event_name[VPC_EVENT_NAME_SIZE];
    struct vpc_ports ports;
    struct vpc_kept_file files[VPC_KEPT_FILES];
};

/* Clears away what a killed endpoint of this machine left.  0, or ENOMEM: to be closed all the same. */
int vpc_acts_open(struct vpc_acts *acts, const struct vpc_acts_config *config);

/* Whether it is an errand at all, n octets long. */
bool vpc_errand_is_legal(const struct vpc_errand *errand, size_t n, uint32_t role);

/* Whether it asks for a descriptor, or may be given one. */
enum vpc_gift {
    VPC_GIFT_NONE,
    VPC_GIFT_ONE,
    VPC_GIFT_PERHAPS,
};
enum vpc_gift vpc_errand_gives(const struct vpc_errand *errand);

/* Does what a legal errand says (VPC_WISH_CONFINE: nothing).  *fd is -1, or the asker's to have. */
void vpc_acts_do(struct vpc_acts *acts, const struct vpc_errand *errand, struct vpc_answer *answer,
                 int *fd);

/* Removes all that was made. */
void vpc_acts_close(struct vpc_acts *acts);

#endif
