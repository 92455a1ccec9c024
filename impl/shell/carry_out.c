/* SPDX-License-Identifier: MIT */
/* The endpoint's actions, each carried out by the part that it is about. */
#include "forward.h"
#include "shell_internal.h"

static void do_listen(struct vpc_shell *shell, const vpc_action *action)
{
    vpc_pipe_listen(shell, action->stream, action->text);
}

static void do_connect(struct vpc_shell *shell, const vpc_action *action)
{
    vpc_tcp_connect(shell, action->stream, action->value, action->limit_ms);
}

/* One that has ended may still be spoken of, in an action that was made before. */
static void tell_stream(struct vpc_shell *shell, const vpc_action *action,
                        void (*tell)(struct vpc_stream *stream))
{
    struct vpc_stream *stream = vpc_stream_find(shell, action->stream);

    if (stream != NULL)
        tell(stream);
}

static void do_shutdown(struct vpc_shell *shell, const vpc_action *action)
{
    tell_stream(shell, action, vpc_stream_shutdown);
}

static void do_close(struct vpc_shell *shell, const vpc_action *action)
{
    tell_stream(shell, action, vpc_stream_close);
}

static void do_abort(struct vpc_shell *shell, const vpc_action *action)
{
    tell_stream(shell, action, vpc_stream_abort);
}

static void do_hangup(struct vpc_shell *shell, const vpc_action *action)
{
    tell_stream(shell, action, vpc_stream_hang_up);
}

/* What it finds is told before anything else is carried out: the endpoint decides then. */
static void do_look(struct vpc_shell *shell, const vpc_action *action)
{
    shell->looking = true;
    tell_stream(shell, action, vpc_stream_look_now);
    shell->looking = false;
}

static void do_free_name(struct vpc_shell *shell, const vpc_action *action)
{
    tell_stream(shell, action, vpc_stream_free_name);
}

static void do_wake(struct vpc_shell *shell, const vpc_action *action)
{
    tell_stream(shell, action, vpc_stream_wake);
}

static void do_unlisten(struct vpc_shell *shell, const vpc_action *action)
{
    if (!vpc_forward_close(shell, action->stream))
        tell_stream(shell, action, vpc_stream_close);
}

static void do_forward(struct vpc_shell *shell, const vpc_action *action)
{
    vpc_forward_open(shell, action->stream, action->text);
}

static void do_accept(struct vpc_shell *shell, const vpc_action *action)
{
    vpc_forward_accept(shell, action->value, action->stream);
}

static void do_reply(struct vpc_shell *shell, const vpc_action *action)
{
    if (vpc_forward_answered(shell, action->client, action->text, action->text_len))
        return;
    vpc_control_server_reply(&shell->control, action->client, action->text, action->text_len);
}

static void do_broadcast(struct vpc_shell *shell, const vpc_action *action)
{
    vpc_control_server_broadcast(&shell->control, action->text, action->text_len);
}

static void do_log(struct vpc_shell *shell, const vpc_action *action)
{
    vpc_log_write(shell, action->text, action->text_len);
}

static void do_ready(struct vpc_shell *shell, const vpc_action *action)
{
    vpc_ready_set(shell, action->text, action->value != 0, action->client != 0);
}

static void do_stopped(struct vpc_shell *shell, const vpc_action *action)
{
    (void)action;
    shell->stopped = true;
}

static void (*const handlers[])(struct vpc_shell *shell, const vpc_action *action) = {
    [VPC_ACTION_LISTEN] = do_listen,
    [VPC_ACTION_UNLISTEN] = do_unlisten,
    [VPC_ACTION_CONNECT] = do_connect,
    [VPC_ACTION_SHUTDOWN] = do_shutdown,
    [VPC_ACTION_CLOSE] = do_close,
    [VPC_ACTION_ABORT] = do_abort,
    [VPC_ACTION_REPLY] = do_reply,
    [VPC_ACTION_BROADCAST] = do_broadcast,
    [VPC_ACTION_LOG] = do_log,
    [VPC_ACTION_READY] = do_ready,
    [VPC_ACTION_STOPPED] = do_stopped,
    [VPC_ACTION_HANGUP] = do_hangup,
    [VPC_ACTION_WAKE] = do_wake,
    [VPC_ACTION_LOOK] = do_look,
    [VPC_ACTION_FREE_NAME] = do_free_name,
    [VPC_ACTION_FORWARD] = do_forward,
    [VPC_ACTION_ACCEPT] = do_accept,
};

bool vpc_carry_out(struct vpc_shell *shell)
{
    vpc_action action;
    bool any = false;

    while (!shell->looking && shell->abi->next_action(shell->ep, &action)) {
        any = true;
        if (action.kind < sizeof(handlers) / sizeof(handlers[0]) && handlers[action.kind] != NULL)
            handlers[action.kind](shell, &action);
    }
    return any;
}
