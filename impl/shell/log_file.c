/* SPDX-License-Identifier: MIT */
/* The event log: JSON lines, each appended by one write, so that several writers and a reader never
 * see half a line.  On a full disk a line may be cut all the same; the next one begins behind a newline of its own. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "file_flags.h"
#include "log_line.h"
#include "shell_internal.h"

int vpc_log_open(struct vpc_log *log, const char *path, bool verbose)
{
    *log = (struct vpc_log){.fd = -1, .verbose = verbose};
    if (path == NULL)
        return 0;
    log->fd = open(path, VPC_LOG_FLAGS, 0600);
    return log->fd < 0 ? errno : 0;
}

int vpc_log_reopen(struct vpc_log *log, const char *path, bool verbose)
{
    struct vpc_log next;
    int error = vpc_log_open(&next, path, verbose);

    if (error)
        return error;
    vpc_log_close(log);
    *log = next;
    return 0;
}

void vpc_log_close(struct vpc_log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}

static void append(struct vpc_shell *shell, const char *text, size_t n)
{
    char newline = '\n';
    size_t torn = shell->log.torn, size = torn + n + 1;
    struct iovec line[] = {{.iov_base = &newline, .iov_len = torn},
                           {.iov_base = (void *)(uintptr_t)text, .iov_len = n},
                           {.iov_base = &newline, .iov_len = 1}};
    ssize_t w;

    do
        w = writev(shell->log.fd, line, 3);
    while (w < 0 && errno == EINTR);
    bool failed = w != (ssize_t)size;
    if (w > 0)
        shell->log.torn = failed && (size_t)w > torn;
    if (failed && !shell->log.failed)
        vpc_shell_note(shell, "the event log %s can not be written: %s", shell->config.log_path,
                       w < 0 ? strerror(errno) : "the disk is full");
    shell->log.failed = failed;
}

void vpc_log_write(struct vpc_shell *shell, const char *text, size_t n)
{
    vpc_trace_entry(shell, text, n);
    if (shell->log.fd >= 0)
        append(shell, text, n);
    vpc_journal_write(&shell->journal, text, n);
    if (shell->log.verbose)
        vpc_log_line_print(stderr, text, n, isatty(STDERR_FILENO));
}
