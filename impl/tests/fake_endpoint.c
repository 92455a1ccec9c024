/* SPDX-License-Identifier: MIT */
#include "fake_endpoint.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_endpoint *fake;
static unsigned char pattern[FAKE_STREAMS + 1][4096];
static char reply_text[1 << 18];

static struct fake_endpoint *self(const vpc_endpoint *ep)
{
    return (struct fake_endpoint *)(uintptr_t)ep;
}

static struct fake_stream *stream_of(const vpc_endpoint *ep, uint32_t number)
{
    cr_assert(number >= 1 && number <= FAKE_STREAMS, "the shell named the stream %u", number);
    return &self(ep)->streams[number];
}

void fake_act(uint32_t kind, uint32_t stream, uint32_t client, uint32_t value, const char *text)
{
    cr_assert_lt(fake->queue_tail - fake->queue_head, 256u);
    fake->queue[fake->queue_tail++ % 256] = (vpc_action){
        .kind = kind,
        .stream = stream,
        .client = client,
        .value = value,
        .limit_ms = 300,
        .text = text,
        .text_len = text != NULL ? strlen(text) : 0,
    };
}

static vpc_endpoint *fake_create(const vpc_endpoint_config *config, uint64_t now_ms)
{
    (void)now_ms;
    if (strcmp(config->options, "{}") != 0) {
        errno = EINVAL;
        return NULL;
    }
    fake = calloc(1, sizeof(*fake));
    fake->bus_input = malloc(FAKE_CAPACITY);
    fake->deadline = VPC_NEVER;
    fake->stop_at_once = true;
    for (int i = 0; i <= FAKE_STREAMS; i++) {
        struct fake_stream *s = &fake->streams[i];

        s->listening = s->opened = s->gone = -1;
        s->input = malloc(FAKE_CAPACITY);
        memset(pattern[i], i, sizeof(pattern[i]));
    }
    memset(reply_text, 'r', sizeof(reply_text) - 1);
    return (vpc_endpoint *)fake;
}

static void fake_destroy(vpc_endpoint *ep)
{
    if (ep == NULL)
        return;
    for (int i = 0; i <= FAKE_STREAMS; i++)
        free(self(ep)->streams[i].input);
    free(self(ep)->bus_input);
    free(ep);
}

static void fake_clock(vpc_endpoint *ep, uint64_t now_ms)
{
    cr_assert_geq(now_ms, self(ep)->now, "the clock ran backwards");
    self(ep)->now = now_ms;
    if (now_ms >= self(ep)->deadline)
        self(ep)->deadline = VPC_NEVER;
}

static uint64_t fake_deadline(const vpc_endpoint *ep)
{
    return self(ep)->deadline;
}

static void fake_bus_up(vpc_endpoint *ep)
{
    self(ep)->ups++;
    cr_assert_eq(self(ep)->ups, self(ep)->downs + 1);
}

static void fake_bus_down(vpc_endpoint *ep)
{
    self(ep)->downs++;
    cr_assert_eq(self(ep)->ups, self(ep)->downs);
    self(ep)->bus_input_size = self(ep)->bus_output_at = 0;
}

static void fake_bus_input(vpc_endpoint *ep, const void *octets, size_t n)
{
    cr_assert_leq(self(ep)->bus_input_size + n, (size_t)FAKE_CAPACITY);
    memcpy(self(ep)->bus_input + self(ep)->bus_input_size, octets, n);
    self(ep)->bus_input_size += n;
}

static size_t fake_bus_output(vpc_endpoint *ep, const void **octets)
{
    struct fake_endpoint *f = self(ep);

    *octets = f->bus_input + f->bus_output_at;
    return f->bus_echo ? f->bus_input_size - f->bus_output_at : 0;
}

static void fake_bus_sent(vpc_endpoint *ep, size_t n)
{
    self(ep)->bus_output_at += n;
    cr_assert_leq(self(ep)->bus_output_at, self(ep)->bus_input_size);
}

static void fake_control_open(vpc_endpoint *ep, uint32_t client)
{
    cr_assert_neq(client, 0u);
    self(ep)->clients_opened++;
    self(ep)->last_client = client;
    fake_act(VPC_ACTION_REPLY, 0, client, 0, "{\"VPCBus\": {}}");
}

static void fake_control_line(vpc_endpoint *ep, uint32_t client, const char *line, size_t n)
{
    struct fake_endpoint *f = self(ep);

    cr_assert_leq(n, (size_t)VPC_CONTROL_LINE_MAX);
    f->lines++;
    snprintf(f->last_line, sizeof(f->last_line), "%.*s", (int)n, line);
    if (f->reply_size)
        fake_act(VPC_ACTION_REPLY, 0, client, 0,
                 reply_text + sizeof(reply_text) - 1 - f->reply_size);
}

static void fake_control_close(vpc_endpoint *ep, uint32_t client)
{
    (void)client;
    self(ep)->clients_closed++;
}

static void fake_listening(vpc_endpoint *ep, uint32_t number, int error, const char *path)
{
    struct fake_stream *s = stream_of(ep, number);

    s->listening = error;
    snprintf(s->path, sizeof(s->path), "%s", path);
}

static void fake_opened(vpc_endpoint *ep, uint32_t number, int error)
{
    cr_assert_eq(stream_of(ep, number)->opened, -1);
    stream_of(ep, number)->opened = error;
}

static size_t fake_room(const vpc_endpoint *ep, uint32_t number)
{
    struct fake_stream *s = stream_of(ep, number);

    s->room_known = s->room > 0;
    return s->room;
}

static size_t fake_stream_input(vpc_endpoint *ep, uint32_t number, const void *octets, size_t n)
{
    struct fake_stream *s = stream_of(ep, number);

    cr_assert_eq(s->eofs, 0, "octets after the end of writing");
    cr_assert_leq(n, s->room, "more octets than there is room for");
    cr_assert_leq(s->input_size + n, (size_t)FAKE_CAPACITY);
    memcpy(s->input + s->input_size, octets, n);
    s->input_size += n;
    s->room -= n;
    s->room_known &= s->room > 0;
    return n;
}

static void fake_eof(vpc_endpoint *ep, uint32_t number)
{
    struct fake_stream *s = stream_of(ep, number);

    cr_assert_eq(s->eofs++, 0);
    if (self(ep)->auto_shutdown)
        fake_act(VPC_ACTION_SHUTDOWN, number, 0, 0, NULL);
}

static void fake_gone(vpc_endpoint *ep, uint32_t number, int error)
{
    struct fake_stream *s = stream_of(ep, number);

    cr_assert_eq(s->gone, -1);
    cr_assert(error != 0 || s->eofs == 1 || s->room == 0,
              "gone without an error before the end of writing, though there is room");
    s->gone = error;
}

static size_t fake_stream_output(vpc_endpoint *ep, uint32_t number, const void **octets)
{
    struct fake_stream *s = stream_of(ep, number);

    *octets = pattern[number];
    s->output_known = s->output_size > 0;
    return s->output_size < sizeof(pattern[0]) ? s->output_size : sizeof(pattern[0]);
}

static void fake_stream_sent(vpc_endpoint *ep, uint32_t number, size_t n)
{
    struct fake_stream *s = stream_of(ep, number);

    cr_assert_leq(n, s->output_size);
    s->output_size -= n;
    s->output_sent += n;
    s->output_known &= s->output_size > 0;
}

/* A stream that has output or room of which the shell does not know; 0: none. */
static uint32_t next_awake(struct fake_endpoint *f)
{
    for (uint32_t i = 1; i <= FAKE_STREAMS; i++) {
        struct fake_stream *s = &f->streams[i];
        bool awake = (s->room > 0 && !s->room_known) || (s->output_size > 0 && !s->output_known);

        s->room_known = s->room > 0;
        s->output_known = s->output_size > 0;
        if (awake)
            return i;
    }
    return 0;
}

static int fake_next_action(vpc_endpoint *ep, vpc_action *action)
{
    struct fake_endpoint *f = self(ep);

    if (f->queue_head == f->queue_tail) {
        *action = (vpc_action){.kind = VPC_ACTION_WAKE, .stream = next_awake(f)};
        return action->stream != 0;
    }
    *action = f->queue[f->queue_head++ % 256];
    return 1;
}

static void fake_stop(vpc_endpoint *ep, uint64_t limit_ms)
{
    (void)limit_ms;
    if (self(ep)->stop_at_once)
        fake_act(VPC_ACTION_STOPPED, 0, 0, 0, NULL);
}

const vpc_endpoint_abi fake_abi = {
    .abi_version = VPC_ENDPOINT_ABI_VERSION,
    .create = fake_create,
    .destroy = fake_destroy,
    .clock = fake_clock,
    .deadline = fake_deadline,
    .bus_up = fake_bus_up,
    .bus_down = fake_bus_down,
    .bus_input = fake_bus_input,
    .bus_output = fake_bus_output,
    .bus_sent = fake_bus_sent,
    .control_open = fake_control_open,
    .control_line = fake_control_line,
    .control_close = fake_control_close,
    .stream_listening = fake_listening,
    .stream_opened = fake_opened,
    .stream_room = fake_room,
    .stream_input = fake_stream_input,
    .stream_eof = fake_eof,
    .stream_gone = fake_gone,
    .stream_output = fake_stream_output,
    .stream_sent = fake_stream_sent,
    .next_action = fake_next_action,
    .stop = fake_stop,
};
