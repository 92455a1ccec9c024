/* SPDX-License-Identifier: MIT */
/*
 * One run of one scenario on one backend.
 *
 * Ownership: the config's parts are the caller's and outlive the run; the result is the caller's to clear.
 */
#ifndef VPC_CONFORM_RUN_H
#define VPC_CONFORM_RUN_H

#include <jansson.h>

#include "backends/backend.h"
#include "backends/load.h"
#include "document/entry_order.h"
#include "document/entry_relay.h"
#include "record/record.h"
#include "script/script.h"
#include "testers/monitor.h"
#include "testers/tester.h"
#include "testers/trace.h"
#include "verdict.h"

/* How what the harness sends on the bus is cut into pieces. */
enum vpc_split { VPC_SPLIT_WHOLE, VPC_SPLIT_ONE, VPC_SPLIT_RANDOM, VPC_SPLIT_LARGEST };

/*
 * How many of the octets that are left of a burst go in one piece; left is at least 1, and random is used by
 * the split of that name.  In real time the middle of a burst goes faster: some 100,000 writes, a system call
 * each, would hold up the harness.
 */
size_t vpc_split_piece(enum vpc_split split, bool real_time, uint64_t random, size_t sent,
                       size_t left);

struct vpc_run_config {
    const struct vpc_script *script;
    const struct vpc_table *table;
    const struct vpc_spec *spec;
    const struct vpc_implementation *implementation;
    const struct vpc_backend_ops *backend;
    enum vpc_split split;
    uint64_t seed;
    unsigned sandbox; /* parts that this process has entered (backends/sandbox.h) */
    int group;        /* of the run's processes (backends/group.h), or 0 */
    const char *dir;  /* as the subject is told */
    /* another path to it, which stays right whatever a subject puts in its place; or NULL */
    const char *own;
    const char *build;
    const char *guest_dir;
    const char *launcher; /* of virtual machines */
    const char *initrd;
    const char *vm;     /* of the subject; NULL: VPC_SUBJECT_VM */
    const char *beside; /* of a run that goes on beside another one in the same dir; else NULL */
    volatile int *in_subject;
    volatile int *line; /* of the step that goes on, for whoever outlives the run; or NULL */
    struct vpc_altering *altering; /* a field that is wrong (alter/alter.h), or NULL */
};

/* How the subject's virtual machine is called in this run. */
const char *vpc_vm_of(const struct vpc_run_config *config);
/* Runs it and fills *result; the whole trace goes to trace_file when it is not NULL. */
void vpc_run(const struct vpc_run_config *config, struct vpc_result *result, FILE *trace_file);
/* What a failure of the step is against: its own requirement, else all that the script covers; freed by the
   caller. */
char *vpc_requirements_of(const struct vpc_script *script, const struct vpc_step *step);

/* ---- what the files of the run share ------------------------------------------------------------------- */

enum vpc_outcome {
    VPC_DONE,
    VPC_PENDING, /* not yet; called again when something was seen */
    VPC_WRONG,   /* it will never be right: run->got says why */
    VPC_BROKEN,  /* the harness or the machine: run->got says why */
};

/* One JSON object that came: an answer, event or log entry. */
struct vpc_item {
    struct vpc_item *next;
    int client;  /* of an answer or an event; 0: all */
    int request; /* the number of the line that an answer is to; 0: a greeting */
    json_t *json;
    bool used;
    bool first; /* an event that came by the client whose events count without a label */
};

/* In the order in which they came. */
struct vpc_items {
    struct vpc_item *first, *last;
};

struct vpc_conn {
    struct vpc_conn *next;
    int id;
    char *label; /* NULL: accepted and not named yet */
    uint16_t port;
    struct vpc_buffer in;
    bool eof, reset, closed;
    bool eof_asked; /* for, by a step */
};

/* A line of a control client that was not answered yet. */
struct vpc_request {
    struct vpc_request *next;
    int number;
    json_t *id;    /* NULL: it has none */
    char *command; /* NULL: the line has none */
    bool object;   /* the line is a JSON object: without an id the answer has none */
};

struct conform_client {
    struct conform_client *next;
    char *label;
    int id;
    int requests; /* lines that it wrote; the number of the last */
    struct vpc_request *waiting;
    struct vpc_buffer part; /* of a line that is not whole yet */
    bool eof;
    bool reset;      /* and not ended in order */
    bool over;       /* the script knows of its end, so that nothing more is asked of it */
    bool told_to_go; /* by an error before its end */
};

/* What a variable of the script has: a number, a JSON value, both or nothing yet. */
struct vpc_variable {
    bool is_number;
    uint64_t number;
    json_t *json; /* NULL: a number of the bus */
};

/* Where a pipe is that an answer told of. */
struct conform_pipe_path {
    struct conform_pipe_path *next;
    char *name; /* in full */
    char *path;
};

/* How far a step has come: each has its own, so that several can be tried beside each other. */
struct conform_progress {
    const struct vpc_step *step;
    bool first;             /* its function is called for the first time */
    uint64_t start, limit;  /* it begins and ends, at the latest */
    int phase;              /* of a step with several parts */
    size_t announced;       /* for `session`: announcements before it */
    uint64_t sent_mark;     /* for `session`: its last HELLO */
    uint64_t busy_mark;     /* the subject's processor time when it began, in microseconds */
    uint64_t looks;         /* for `looks`: how often it came to the bus */
    struct vpc_buffer want; /* the bytes that it expects, made when it begins */
    size_t compared;        /* of them, with what came */
};

struct vpc_run {
    const struct vpc_run_config *config;
    const struct vpc_backend_ops *ops;
    struct vpc_backend *backend;
    struct conform_trace *trace;
    struct vpc_record *record; /* of the bus, or NULL */
    struct vpc_monitor monitor;
    struct vpc_tester tester;
    struct vpc_buffer spare; /* the memory of the last burst, for the next */
    struct vpc_items answers, events, logs;
    size_t told_octets;          /* of those, with what each takes besides */
    const struct vpc_item *told; /* the last entry of logs that an event told */
    struct vpc_log_order log_order;
    struct vpc_log_relay log_relay; /* of a guest */
    json_t *answer;                 /* the last that a step took */
    struct vpc_conn *conns;
    struct conform_client *clients;
    struct vpc_variable *variables; /* as many as the script has */
    struct conform_pipe_path *paths;
    int next_id;
    int event_client; /* whose events count: each client gets them all */
    int ready;        /* the ready event: -1 unknown */
    char *ready_name;
    /* until then it may be on its way to the bus; 0: it was there since its start */
    uint64_t comes_by;
    bool bus_up, stopped, killed;
    bool restored;                     /* the subject's machine: it may take the time for another */
    uint64_t entry_time, event_time;   /* of the last that it told in this life */
    bool paused_heartbeat;             /* what auto heartbeat was when the VM was paused */
    struct vpc_tester_kept *kept;      /* the peer when its VM was saved, or NULL */
    struct vpc_waiter *waiters;        /* run_waiter.c */
    struct vpc_other *other;           /* run_other.c */
    char *crash;                       /* how the subject ended without being told to */
    char *broken;                      /* what of the harness or the machine failed in mid-run */
    char *got;                         /* what stands in the way of the step */
    struct conform_progress own;       /* of a step that stands in no block */
    struct conform_progress *progress; /* of the step that is called */
    const struct vpc_step *lenient;    /* the first non-strict alternative that was taken */
    uint64_t longest_stall;
    struct conform_load load; /* of the machine, since this step began */
    /* for so long, ms, when the step that is wrong says so itself; else 0 */
    uint64_t starved;
    /* by how much it woke too late at most, in this step and in the one before */
    uint64_t overslept, overslept_before;
};

/* run.c: a step begins, is called once, and the run goes on to the next thing seen.  What progress held is
   freed by the next step that begins with it, or by vpc_progress_clear(). */
void vpc_run_begin(struct vpc_run *run, struct conform_progress *progress,
                   const struct vpc_step *step);
enum vpc_outcome vpc_run_call(struct vpc_run *run, struct conform_progress *progress);
void vpc_progress_clear(struct conform_progress *progress);
void vpc_run_pump(struct vpc_run *run, uint64_t until);
bool vpc_run_dead(const struct vpc_run *run);
/* Whether a step of this kind is right when its time is over and nothing was wrong. */
bool vpc_run_holds(const struct vpc_step *step);

/* run.c: a run in parts.  False: *error is the harness's fault, else run->got the subject's. */
bool vpc_run_open(struct vpc_run *run, const struct vpc_run_config *config, char **error);
void vpc_run_steps(struct vpc_run *run, struct vpc_result *result);
void vpc_run_close(struct vpc_run *run);

/* What is wrong in every run, whatever a step asks for; the first counts. */
void vpc_run_breach(struct vpc_run *run, const char *requirement, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* run_time.c: a time that the subject told of `what`, now, after *last, which then is it; last may be NULL:
   it tells of something that may be as old as the run. */
void vpc_judge_time(struct vpc_run *run, const char *requirement, const char *what,
                    const json_t *time, uint64_t *last);
/* The tester's on_frame: an EVENT tells the time of its entry, which may have waited (LOG-6). */
void vpc_judge_frame_time(void *user, const struct conform_frame *frame);

/* run_other.c: ends what another virtual machine was begun for. */
void vpc_other_end(struct vpc_other *other);

/* run_block.c: the block that begins with the step at *at, which is then the next to be performed. */
enum vpc_outcome vpc_run_either(struct vpc_run *run, size_t *at);
enum vpc_outcome vpc_run_unordered(struct vpc_run *run, size_t *at);

/* Sets run->got and returns the outcome. */
enum vpc_outcome vpc_say(struct vpc_run *run, enum vpc_outcome outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same, of a JSON value. */
enum vpc_outcome vpc_say_json(struct vpc_run *run, enum vpc_outcome outcome, const json_t *json);
/* Gives what the tester wants to send to the backend, cut as asked. */
void vpc_run_flush(struct vpc_run *run);
#define VPC_PIPE_PREFIX "\\\\.\\pipe\\"
/* Where a pipe of that full name is, as an answer told; "" if none has. */
const char *conform_pipe_path(const struct vpc_run *run, const char *name);
void vpc_set_pipe_path(struct vpc_run *run, const char *name, const char *path);
/* The full name of a pipe that a script may write without its prefix; freed by the caller. */
char *vpc_pipe_name(const char *value);
/* Whether the value is there: a variable may have none yet. */
bool vpc_known(const struct vpc_run *run, const struct vpc_arg *arg);
void vpc_set_variable(struct vpc_run *run, size_t variable, uint64_t value);
/* The same, of a JSON value, which keeps its type. */
void vpc_set_json_variable(struct vpc_run *run, size_t variable, const json_t *json);
/* What an argument stands for in JSON: 42 is a number, "42" a text, null is null, a variable what it was set
   by.  The caller's, who does not change it; NULL when a variable has no value yet.  Of a step that takes any
   NAME. */
json_t *vpc_json_of(const struct vpc_run *run, const struct vpc_arg *arg);
/* The value as text, the caller's; NULL with run->got set when it has none. */
char *vpc_text_of(struct vpc_run *run, const struct vpc_arg *arg);
/* The value as a number; false with run->got set if it is none. */
bool vpc_number_of(struct vpc_run *run, const struct vpc_arg *arg, uint64_t *value);
/* Whether a JSON object has what the arguments from the first'th on ask for. */
bool vpc_json_matches(struct vpc_run *run, const json_t *object, size_t first);
/* The bytes that text=, bytes= and pattern= describe; freed by the caller. */
bool vpc_bytes_of(struct vpc_run *run, struct vpc_buffer *bytes);
/* The same, if it is not more than that. */
bool vpc_amount_of(struct vpc_run *run, const struct vpc_arg *arg, uint64_t most, uint64_t *value);
/* How many octets a pause still reads, `bytes=`, else 0; `can` tells whether the backend can be told.  False:
   run->got says why not. */
bool vpc_octets_left(struct vpc_run *run, const struct vpc_step *step, bool can, size_t *octets);
/* Fills run->progress->want when the step begins; false: run->got says why not. */
bool vpc_want(struct vpc_run *run);
/* The place of the first octet in which the two, of n octets each, differ; n if there is none. */
size_t vpc_first_other(const uint8_t *a, const uint8_t *b, size_t n);
/* Text of octets for messages, shortened. */
char *vpc_show(const void *octets, size_t n);
uint64_t vpc_now(struct vpc_run *run);
/* A step begins with a control client of that label, a new one or the one that is there.  One that gives something wants a
   connection that lasts; one that asks may ask of one that has ended meanwhile. */
struct conform_client *vpc_client_of(struct vpc_run *run, const char *label, bool gives);
/* A line of the client has gone out; NULL: it is no JSON. */
void vpc_client_asks(struct conform_client *client, const json_t *line);
/* In milliseconds, with this run's timers. */
uint64_t vpc_span_of(const struct vpc_run *run, const struct vpc_span *span);
void vpc_waiters_forget(struct vpc_run *run);
/* Waits until a started subject can be talked to; false: run->got says why. */
bool vpc_run_connect(struct vpc_run *run);
void vpc_on_seen(void *user, const struct vpc_seen *seen);
void vpc_run_forget(struct vpc_run *run);

typedef enum vpc_outcome vpc_step_fn(struct vpc_run *run, const struct vpc_step *step);

#define VPC_STEP(op, name, ...) vpc_step_fn vpc_step_##name;
#include "script/steps.def"

#endif
