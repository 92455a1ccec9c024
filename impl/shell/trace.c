/* SPDX-License-Identifier: MIT */
/*
 * The trace (spec/TRACE.md): what went over the bus, and the log's entries between it.  It never touches the endpoint; when its
 * file fails it ends, and the endpoint goes on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pcapng.h"
#include "shell_internal.h"
#include "trace_cut.h"

struct vpc_trace {
    struct vpc_shell *shell;
    struct vpc_pcapng file;
    char description[64];
    struct vpc_cut cuts[2]; /* by enum vpc_packet_direction - 1 */
};

static uint64_t time_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void vpc_trace_failed(struct vpc_shell *shell, const char *path, int error)
{
    vpc_shell_log(
        shell, VPC_LOG_TRACE_FAILED,
        json_pack("{s:s, s:i, s:s}", "file", path, "errno", error, "cause", strerror(error)));
}

static void write_packet(struct vpc_trace *trace, struct vpc_packet packet)
{
    if (trace->file.fd < 0)
        return;
    packet.time_ns = time_ns();
    int error = vpc_pcapng_write(&trace->file, &packet);
    if (!error)
        return;
    vpc_shell_note(trace->shell,
                   "the trace %s can not be written, it ends: %s (SIGHUP begins again)",
                   trace->file.path, strerror(error));
    vpc_pcapng_close(&trace->file); /* first: the entry is not for the trace */
    vpc_trace_failed(trace->shell, trace->file.path, error);
}

static void on_piece(struct vpc_trace *trace, enum vpc_packet_direction direction,
                     enum vpc_cut_kind kind, const uint8_t *octets, uint64_t size)
{
    static const char no_frame[] = "no frame";
    struct vpc_packet packet = {.direction = direction, .octets = octets};

    packet.whole = size < UINT32_MAX ? (size_t)size : UINT32_MAX;
    packet.kept = packet.whole;
    if (kind == VPC_CUT_PADDING && packet.kept > VPC_CUT_PADDING_KEPT)
        packet.kept = VPC_CUT_PADDING_KEPT;
    if (kind == VPC_CUT_OTHER) {
        packet.comment = no_frame;
        packet.comment_len = sizeof(no_frame) - 1;
    }
    write_packet(trace, packet);
}

static void on_inbound(void *user, enum vpc_cut_kind kind, const uint8_t *octets, uint64_t size)
{
    on_piece(user, VPC_PACKET_INBOUND, kind, octets, size);
}

static void on_outbound(void *user, enum vpc_cut_kind kind, const uint8_t *octets, uint64_t size)
{
    on_piece(user, VPC_PACKET_OUTBOUND, kind, octets, size);
}

static struct vpc_trace *make(struct vpc_shell *shell)
{
    bool host = shell->config.role == VPC_ROLE_HOST;
    struct vpc_trace *trace = calloc(1, sizeof(*trace));

    if (trace == NULL)
        return NULL;
    trace->shell = shell;
    trace->file = (struct vpc_pcapng){
        .fd = -1,
        .asked = shell->asked,
        .program = shell->config.program,
        .interface = host ? "vpcbus-host" : "vpcbus-guest",
        .description = trace->description,
    };
    snprintf(trace->description, sizeof(trace->description), "VM %s", shell->config.vm);
    struct vpc_cut *in = &trace->cuts[VPC_PACKET_INBOUND - 1],
                   *out = &trace->cuts[VPC_PACKET_OUTBOUND - 1];
    in->on_piece = on_inbound;
    out->on_piece = on_outbound;
    in->user = out->user = trace;
    vpc_cut_begin(in, host ? VPC_GUEST : VPC_HOST);
    vpc_cut_begin(out, host ? VPC_HOST : VPC_GUEST);
    return trace;
}

int vpc_trace_open(struct vpc_shell *shell)
{
    const char *path = shell->config.trace_path;

    if (path == NULL || !*path) {
        vpc_trace_close(shell);
        return 0;
    }
    if (shell->trace == NULL && (shell->trace = make(shell)) == NULL)
        return ENOMEM;
    struct vpc_trace *trace = shell->trace;
    struct vpc_pcapng next = trace->file;
    if (snprintf(next.path, sizeof(next.path), "%s", path) >= (int)sizeof(next.path))
        return ENAMETOOLONG;
    next.limit = shell->config.trace_limit;
    int error = vpc_pcapng_open(&next);
    if (error && trace->file.fd < 0)
        vpc_trace_close(shell);
    if (error)
        return error;
    /* What went by before now belongs into the file before. */
    for (int i = 0; i < 2; i++)
        vpc_cut_flush(&trace->cuts[i]);
    vpc_pcapng_close(&trace->file);
    trace->file = next;
    return 0;
}

void vpc_trace_close(struct vpc_shell *shell)
{
    if (shell->trace == NULL)
        return;
    vpc_trace_down(shell);
    vpc_pcapng_close(&shell->trace->file);
    free(shell->trace);
    shell->trace = NULL;
}

void vpc_trace_octets(struct vpc_shell *shell, bool outbound, const void *octets, size_t n)
{
    if (shell->trace != NULL)
        vpc_cut_octets(&shell->trace->cuts[outbound ? 1 : 0], octets, n);
}

void vpc_trace_down(struct vpc_shell *shell)
{
    for (int i = 0; shell->trace != NULL && i < 2; i++)
        vpc_cut_end(&shell->trace->cuts[i]);
}

void vpc_trace_entry(struct vpc_shell *shell, const char *text, size_t n)
{
    struct vpc_trace *trace = shell->trace;

    if (trace == NULL)
        return;
    for (int i = 0; i < 2; i++)
        vpc_cut_flush(&trace->cuts[i]);
    write_packet(trace, (struct vpc_packet){.comment = text, .comment_len = n});
}
