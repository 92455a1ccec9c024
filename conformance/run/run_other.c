/* SPDX-License-Identifier: MIT */
/*
 * Another virtual machine of the same user, whose host endpoint has a pipe (API-6).
 *
 * In-process the backend says that the name is in use.  With processes it is a second run, of a script that stands here,
 * of the same implementation on sockets beside the first: it stays as it is when its steps are done, until the first run ends.
 * The first is not served meanwhile; that takes some tenths of a second.
 */
#include <stdlib.h>
#include <string.h>

#include "run/run.h"

struct vpc_other {
    struct vpc_run_config config;
    struct vpc_script *script;
    struct vpc_run run;
    struct vpc_result result;
};

static const char text[] = "# Another virtual machine has a pipe.\n"
                           "covers API-6\n"
                           "subject host\n"
                           "session tag=OTHER\n"
                           "api > start pipe=\"%s\" port=6174\n"
                           "bus < open channel=$h2g\n"
                           "bus > opened channel=$h2g\n"
                           "api < S_OK\n";

/* A name as a script's text has it. */
static char *quoted(const char *name)
{
    struct vpc_buffer out = {0};

    for (; *name; name++) {
        char *octet = vpc_format("\\x%02x", (unsigned char)*name);

        vpc_buffer_add(&out, octet, strlen(octet));
        free(octet);
    }
    vpc_buffer_add(&out, "", 1);
    return (char *)out.data;
}

static struct vpc_script *script_of(struct vpc_run *run, const char *pipe, char **error)
{
    char *name = quoted(pipe), *script_text = vpc_format(text, name);
    struct vpc_script *script = vpc_script_parse("another virtual machine", script_text,
                                                 run->config->table, run->config->spec, error);

    free(script_text);
    free(name);
    return script;
}

void vpc_other_end(struct vpc_other *other)
{
    if (other == NULL)
        return;
    vpc_run_close(&other->run);
    vpc_result_clear(&other->result);
    vpc_script_free(other->script);
    free(other);
}

static enum vpc_outcome begin_other(struct vpc_run *run, struct vpc_other *other)
{
    char *error = NULL;
    enum vpc_outcome outcome = VPC_DONE;

    if (!vpc_run_open(&other->run, &other->config, &error)) {
        outcome = vpc_say(run, error ? VPC_BROKEN : VPC_WRONG, "another virtual machine: %s",
                          error ? error : other->run.got);
        run->starved = other->run.starved;
    } else {
        vpc_run_steps(&other->run, &other->result);
    }
    if (outcome == VPC_DONE && other->result.verdict != VPC_PASS)
        outcome = vpc_say(run, other->result.verdict == VPC_FAIL ? VPC_WRONG : VPC_BROKEN,
                          "another virtual machine: %s: %s", other->result.step, other->result.got);
    free(error);
    return outcome;
}

static enum vpc_outcome take_beside(struct vpc_run *run, const char *pipe)
{
    struct vpc_other *other;
    char *error = NULL;
    struct vpc_script *script = script_of(run, pipe, &error);
    enum vpc_outcome outcome;

    if (script == NULL || run->other) {
        outcome = vpc_say(run, VPC_BROKEN, "%s",
                          script ? "another virtual machine has a pipe already" : error);
        if (script)
            vpc_script_free(script);
        free(error);
        return outcome;
    }
    run->other = other = vpc_alloc(sizeof(*other));
    other->script = script;
    other->config = *run->config;
    other->config.script = script;
    other->config.backend = &vpc_backend_socket;
    other->config.vm = VPC_OTHER_VM;
    other->config.beside = "-other";
    other->config.line = NULL;
    return begin_other(run, other);
}

enum vpc_outcome vpc_step_pipe_taken(struct vpc_run *run, const struct vpc_step *step)
{
    char *name = vpc_pipe_name(step->args[0].value);
    enum vpc_outcome outcome = VPC_DONE;

    vpc_trace_add(run->trace, "another virtual machine has the pipe %s", name);
    if (run->ops->pipe_taken)
        run->ops->pipe_taken(run->backend, name);
    else
        outcome = take_beside(run, name);
    free(name);
    return outcome;
}
