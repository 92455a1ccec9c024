/* SPDX-License-Identifier: MIT */
/* A shell around the fake endpoint, turned by the test itself: no threads, no other process. */
#ifndef VPC_SHELL_RIG_H
#define VPC_SHELL_RIG_H

#include "fake_endpoint.h"
#include "scratch.h"
#include "shell.h"

extern struct vpc_shell *rig;
extern char rig_bus[96];     /* the bus socket's path */
extern char rig_control[96]; /* the control socket's path */
extern char rig_log[96];     /* the event log's path */
extern const char *rig_trace_path;
extern const char *rig_monitor; /* for rig_begin_with(): the monitor's socket, NULL: none */
/* What the endpoint was told of its machine, a digit each, and how many octets of the bus it had by the last. */
extern char rig_told[64];
extern size_t rig_octets_before;
extern uint64_t rig_trace_limit, rig_log_limit; /* all for rig_begin_with() */
/* The changes of state of all streams, "from>to" with a blank between them. */
extern char rig_states[1024];

void rig_begin(void); /* .init: bus "listen:" */
void rig_begin_with(
    const char *bus,
    const vpc_endpoint_abi *abi); /* the same with another bus; after scratch_begin() */
void rig_end(void);               /* .fini */

/* Turns the shell until the condition holds; fails the test after 5 s. */
#define RIG_UNTIL(condition)                                                                       \
    do {                                                                                           \
        int64_t rig_limit_ = scratch_now_ms() + 5000;                                              \
        while (!(condition)) {                                                                     \
            cr_assert_lt(scratch_now_ms(), rig_limit_, "never came true: %s", #condition);         \
            cr_assert_eq(vpc_shell_turn(rig, 20), 0);                                              \
        }                                                                                          \
    } while (0)

/* Turns the shell for so long; how many turns it made. */
uint64_t rig_turn_for(int ms);
/* A non-blocking connected Unix socket, or -1 with errno. */
int rig_connect(const char *path);
/* Makes the pipe server `name` for the stream and connects to it. */
int rig_pipe(uint32_t stream, const char *name);
/* A listening socket on 127.0.0.1 with a free port to *port. */
int rig_tcp_server(unsigned *port, int backlog);
/* Reads all there is now, at most size octets: how many, or -1 with errno. */
long rig_read(int fd, void *buf, size_t size);

#endif
