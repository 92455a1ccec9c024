/* SPDX-License-Identifier: MIT */
/* The steps about the subject as a whole, and about time. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "run/run.h"

enum vpc_outcome vpc_step_wait(struct vpc_run *run, const struct vpc_step *step)
{
    (void)run;
    (void)step;
    return VPC_PENDING;
}

static void note_killed(struct vpc_run *run)
{
    run->killed = true;
    for (struct conform_client *client = run->clients; client; client = client->next)
        client->eof = true;
    run->event_client = 0;
}

enum vpc_outcome vpc_step_kill(struct vpc_run *run, const struct vpc_step *step)
{
    (void)step;
    vpc_trace_add(run->trace, "kill subject");
    run->ops->kill(run->backend);
    note_killed(run);
    return VPC_DONE;
}

enum vpc_outcome vpc_step_restart(struct vpc_run *run, const struct vpc_step *step)
{
    char *error = NULL;
    enum vpc_outcome outcome = VPC_DONE;

    if (!run->killed)
        vpc_step_kill(run, step);
    run->killed = run->stopped = false;
    run->entry_time = run->event_time = 0;
    for (struct conform_client *client = run->clients; client; client = client->next)
        client->over = true; /* they were the one's of before */
    vpc_trace_add(run->trace, "start subject");
    if (!run->ops->start(run->backend, &error))
        outcome = vpc_say(run, VPC_BROKEN, "%s", error);
    else if (!vpc_run_connect(run))
        outcome = VPC_WRONG;
    free(error);
    return outcome;
}

enum vpc_outcome vpc_step_start(struct vpc_run *run, const struct vpc_step *step)
{
    if (!run->killed)
        return vpc_say(run, VPC_BROKEN, "the subject runs already");
    return vpc_step_restart(run, step);
}

enum vpc_outcome vpc_step_stop(struct vpc_run *run, const struct vpc_step *step)
{
    bool interrupt = step->arg_count == 2;

    if (interrupt && !run->ops->real_time)
        return vpc_say(run, VPC_BROKEN, "only a process has signals: backends socket qemu");
    run->killed = true; /* its end is no crash */
    vpc_trace_add(run->trace, interrupt ? "stop subject SIGINT" : "stop subject");
    run->ops->stop(run->backend, interrupt ? SIGINT : SIGTERM);
    return VPC_DONE;
}

enum vpc_outcome vpc_step_stopped(struct vpc_run *run, const struct vpc_step *step)
{
    (void)step;
    return run->stopped ? VPC_DONE : vpc_say(run, VPC_PENDING, "it still runs");
}

/* ---- time ----------------------------------------------------------------------------------------------------------- */

#define LOOKS_A_SECOND 10 /* TRN-4 */
#define LOOK_WORTH     4  /* an endpoint does more at a look than the one who measures it */
/* of one processor, in percent: far below a loop, far above a few timers */
#define IDLE_SHARE 10

static enum vpc_outcome busy_of(struct vpc_run *run, uint64_t *us)
{
    char *error = NULL;
    enum vpc_outcome outcome = VPC_DONE;

    if (!run->ops->busy(run->backend, us, &error))
        outcome = vpc_say(run, VPC_BROKEN, "%s", error);
    free(error);
    return outcome;
}

/* The bus goes down and is there again. */
static bool listen_anew(struct vpc_run *run)
{
    char *error = NULL;

    if (run->ops->bus_listen(run->backend, false, &error) &&
        run->ops->bus_listen(run->backend, true, &error))
        return true;
    vpc_say(run, VPC_BROKEN, "%s", error ? error : "the bus can not go down and up");
    free(error);
    return false;
}

/* TRN-4: each time that it comes is a look at the bus; it looks no more often when it finds no host. */
enum vpc_outcome vpc_step_looks(struct vpc_run *run, const struct vpc_step *step)
{
    struct conform_progress *progress = run->progress;
    uint64_t passed = progress->limit - progress->start;

    (void)step;
    if (!run->ops->real_time || run->ops->late_reader)
        return vpc_say(run, VPC_BROKEN, "nobody looks for a host here: backends socket");
    progress->looks += run->bus_up && !progress->first;
    if ((run->bus_up || progress->first) && !listen_anew(run))
        return VPC_BROKEN;
    if (vpc_now(run) < progress->limit || progress->looks <= passed / 100 + 1)
        return VPC_PENDING;
    return vpc_say(run, VPC_WRONG, "it came %llu times in %llu ms",
                   (unsigned long long)progress->looks, (unsigned long long)passed);
}

/*
 * In an emulator the looks that TRN-4 allows may take more than the share: what they take is measured there, and then.  Who
 * does not look but goes round in a loop takes half of a processor on any machine; where so few looks take as much nobody can
 * tell one from the other.
 */
static enum vpc_outcome judge_looks(struct vpc_run *run, uint64_t used, uint64_t passed)
{
    uint64_t looks = passed / (1000000 / LOOKS_A_SECOND) + 1, cost, allowed;
    char *error = NULL;
    enum vpc_outcome outcome = VPC_BROKEN;

    if (!run->ops->look_cost(run->backend, &cost, &error)) {
        vpc_say(run, VPC_BROKEN, "%s", error);
        free(error);
        return outcome;
    }
    allowed = looks * cost * LOOK_WORTH;
    vpc_trace_add(run->trace, "a program that is woken takes %llu us here",
                  (unsigned long long)cost);
    if (used <= allowed && allowed * 2 <= passed)
        return VPC_DONE;
    if (used <= allowed)
        run->starved = used / 1000;
    return vpc_say(run, VPC_WRONG,
                   "it used %llu ms of processor time in %llu ms, where %llu looks take %llu ms",
                   (unsigned long long)used / 1000, (unsigned long long)passed / 1000,
                   (unsigned long long)looks, (unsigned long long)(looks * cost) / 1000);
}

/* Holds; its last call, when its time is over, judges. */
enum vpc_outcome vpc_step_idle(struct vpc_run *run, const struct vpc_step *step)
{
    const struct vpc_arg *arg = step->keyed[VPC_KEY_SHARE];
    uint64_t share = IDLE_SHARE, now = vpc_now(run), busy, used, passed;

    if (arg && !vpc_number_of(run, arg, &share))
        return VPC_BROKEN;
    if (run->progress->first)
        return busy_of(run, &run->progress->busy_mark) == VPC_DONE ? VPC_PENDING : VPC_BROKEN;
    if (now < run->progress->limit)
        return VPC_PENDING;
    if (busy_of(run, &busy) != VPC_DONE)
        return VPC_BROKEN;
    used = busy - run->progress->busy_mark;
    passed = (now - run->progress->start) * 1000;
    vpc_trace_add(run->trace, "the subject used %llu ms of %llu ms",
                  (unsigned long long)used / 1000, (unsigned long long)passed / 1000);
    if (used * 100 <= passed * share)
        return VPC_DONE;
    if (run->ops->look_cost)
        return judge_looks(run, used, passed);
    return vpc_say(run, VPC_WRONG, "it used %llu ms of processor time in %llu ms",
                   (unsigned long long)used / 1000, (unsigned long long)passed / 1000);
}

static enum vpc_outcome set_clock(struct vpc_run *run, bool goes)
{
    if (run->ops->clock == NULL)
        return vpc_say(run, VPC_BROKEN, "real time can not be stopped: backends inproc");
    run->ops->clock(run->backend, goes);
    return VPC_DONE;
}

enum vpc_outcome vpc_step_clock_stop(struct vpc_run *run, const struct vpc_step *step)
{
    (void)step;
    return set_clock(run, false);
}

enum vpc_outcome vpc_step_clock_go(struct vpc_run *run, const struct vpc_step *step)
{
    (void)step;
    return set_clock(run, true);
}

/* ---- the virtual machine -------------------------------------------------------------------------------------------- */

static enum vpc_vm_action vm_action(const struct vpc_step *step)
{
    int action = 0;

    while (strcmp(step->args[0].value, vpc_vm_words[action]) != 0)
        action++;
    return (enum vpc_vm_action)action;
}

static void keep_peer(struct vpc_run *run)
{
    vpc_tester_kept_free(run->kept);
    run->kept = vpc_tester_keep(&run->tester);
}

static void forget_peer(struct vpc_run *run)
{
    vpc_tester_kept_free(run->kept);
    run->kept = NULL;
}

/* A virtual machine that stands still reads nothing and says nothing. */
static void pause_peer(struct vpc_run *run, bool paused)
{
    if (paused) {
        run->paused_heartbeat = run->tester.auto_heartbeat;
        run->tester.auto_heartbeat = false;
    } else {
        run->tester.auto_heartbeat = run->paused_heartbeat;
    }
    if (run->ops->vm == NULL)
        run->ops->bus_read(run->backend, !paused);
}

/* The machine of a host's peer, where there is one: the end of its transport is the end of its machine. */
static bool act_on_machine(struct vpc_run *run, enum vpc_vm_action action, char **error)
{
    if (action == VPC_KILL_VM)
        return run->ops->bus_listen(run->backend, false, error);
    return run->ops->vm == NULL || run->ops->vm(run->backend, action, error);
}

static enum vpc_outcome act_as_peer(struct vpc_run *run, enum vpc_vm_action action, char **error)
{
    if ((action == VPC_SAVE_VM || action == VPC_RESTORE_VM) && !run->bus_up)
        return vpc_say(run, VPC_BROKEN, "there is no virtual machine: write \"session\" before");
    if (action == VPC_UNPLUG_VM || action == VPC_PLUG_VM)
        return vpc_say(run, VPC_BROKEN, "a host endpoint has no port: subject guest");
    if (action == VPC_RESTORE_VM && run->kept == NULL)
        return vpc_say(run, VPC_BROKEN, "it was not saved: write \"vm save\" before");
    if (action >= VPC_SHUT_DOWN_VM && run->ops->machine == NULL)
        return vpc_say(run, VPC_BROKEN, "QEMU itself tells here: backends inproc socket");
    if (action == VPC_PAUSE_VM || action == VPC_RESUME_VM)
        pause_peer(run, action == VPC_PAUSE_VM);
    if (!act_on_machine(run, action, error))
        return vpc_say(run, VPC_BROKEN, "%s", *error);
    if (run->ops->machine && vpc_script_needs(run->config->script, VPC_MACHINE_EVENTS))
        run->ops->machine(run->backend, action);
    if (action == VPC_SAVE_VM)
        keep_peer(run);
    else if (action == VPC_RESTORE_VM)
        vpc_tester_go_back(&run->tester, run->kept);
    else if (action == VPC_KILL_VM)
        forget_peer(run);
    return VPC_DONE;
}

/* A guest endpoint is gone with a reset, as if it was killed. */
static enum vpc_outcome act_on_subject(struct vpc_run *run, enum vpc_vm_action action, char **error)
{
    if (run->ops->vm == NULL)
        return vpc_say(run, VPC_BROKEN, "there is no virtual machine: backends qemu");
    if (action == VPC_RESET_VM || action == VPC_KILL_VM)
        note_killed(run);
    if (!run->ops->vm(run->backend, action, error))
        return vpc_say(run, VPC_BROKEN, "%s", *error);
    if (action == VPC_RESTORE_VM) {
        run->monitor.epoch_count = 0; /* it may draw again what it drew after it was saved */
        run->restored = true;
    }
    return VPC_DONE;
}

enum vpc_outcome vpc_step_vm(struct vpc_run *run, const struct vpc_step *step)
{
    enum vpc_vm_action action = vm_action(step);
    char *error = NULL;
    enum vpc_outcome outcome = run->tester.role == VPC_FROM_GUEST
                                   ? act_as_peer(run, action, &error)
                                   : act_on_subject(run, action, &error);

    free(error);
    return outcome;
}

enum vpc_outcome vpc_step_refuses(struct vpc_run *run, const struct vpc_step *step)
{
    char *error = NULL;
    enum vpc_outcome outcome = VPC_DONE;

    for (size_t i = 0; i < step->arg_count && outcome == VPC_DONE; i++) {
        bool refused = false;

        if (!run->ops->refuses(run->backend, &step->args[i], &refused, &error))
            outcome = vpc_say(run, VPC_BROKEN, "%s", error);
        else if (!refused)
            outcome = vpc_say(run, VPC_WRONG, "it starts with %s=%s", step->args[i].key,
                              step->args[i].value);
    }
    free(error);
    return outcome;
}
