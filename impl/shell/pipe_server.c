/* SPDX-License-Identifier: MIT */
/* The server of one pipe: it listens for one client (API-12), and its name is taken until
 * that client is gone (API-13). */
#include <errno.h>
#include <string.h>

#include "runtime_dir.h"
#include "shell_internal.h"

/* A second client must be refused: nobody listens any more, and who sits in the backlog is reset.
 */
static void on_client(struct vpc_listener *listener, int fd)
{
    vpc_listener_mute(listener);
    vpc_stream_start(listener->owner, fd);
}

static int listen_for(struct vpc_stream *stream, const char *name, const char *path)
{
    struct vpc_listener *listener = &stream->listener;
    int fd, error = vpc_opener_pipe(stream->shell->asked, stream->number, name, &fd);

    if (error)
        return error;
    listener->on_client = on_client;
    listener->group = stream->shell->config.group;
    listener->pipe = stream->number;
    listener->is_pipe = true;
    error = vpc_listener_adopt(listener, fd, path);
    if (error)
        vpc_listener_close(listener);
    return error;
}

void vpc_pipe_listen(struct vpc_shell *shell, uint32_t number, const char *name)
{
    struct vpc_pipe_paths paths = {.is_brief = false};
    struct vpc_stream *stream = vpc_stream_new(shell, number, true);
    int error = stream != NULL ? vpc_pipe_paths(shell->config.runtime_dir, name, &paths) : ENOMEM;
    const char *path = paths.is_brief ? paths.brief : paths.plain;

    if (!error)
        error = listen_for(stream, name, path);
    if (error && stream != NULL)
        vpc_stream_fail(stream, error);
    else
        shell->abi->stream_listening(shell->ep, number, error, error ? "" : path);
}
