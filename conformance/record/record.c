/* SPDX-License-Identifier: MIT */
/*
 * Octets in, packets out.
 *
 * Each direction has a cutter, which sees the octets as they went, in whatever pieces.  It knows what a frame may look like
 * (the codec's vpc_octets_fit()) and nothing of sessions: a frame with a wrong seal is a frame here.
 */
#include "record/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/codec.h"
#include "record/pcapng.h"

#define PADS_SHOWN 16
#define OTHER_MAX  65536

struct cutter {
    struct vpc_buffer pending;
    size_t pads; /* of a run that goes on */
};

struct vpc_record {
    char *path;
    char *description;
    const struct vpc_table *table;
    enum vpc_role_bit subject;
    uint64_t epoch_ms, now_ms;
    int fd;
    int error;
    struct cutter cutters[2]; /* of what the subject receives, of what it sends */
};

static void begin_file(struct vpc_record *record)
{
    const char *end = record->subject == VPC_FROM_HOST ? "vpcbus-guest" : "vpcbus-host";

    record->fd =
        open(record->path,
             O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    record->error = record->fd < 0
                        ? errno
                        : vpc_pcapng_begin(record->fd, "vpc-conform", end, record->description);
}

struct vpc_record *vpc_record_open(const char *path, const struct vpc_table *table,
                                   enum vpc_role_bit subject, const char *description,
                                   uint64_t epoch_ms)
{
    struct vpc_record *record = vpc_alloc(sizeof(*record));
    int error;

    *record = (struct vpc_record){.path = vpc_copy(path),
                                  .description = vpc_copy(description),
                                  .table = table,
                                  .subject = subject,
                                  .epoch_ms = epoch_ms};
    begin_file(record);
    if (record->fd >= 0 && record->error == 0)
        return record;
    error = record->error;
    vpc_record_close(record);
    errno = error;
    return NULL;
}

static void next_file(struct vpc_record *record)
{
    char *old = vpc_format("%s.old", record->path);

    if (close(record->fd) != 0 || rename(record->path, old) != 0)
        record->error = errno;
    record->fd = -1;
    free(old);
    if (record->error == 0) /* else it would begin upon what was to stay */
        begin_file(record);
}

static void emit(struct vpc_record *record, bool sent_by_subject, const uint8_t *octets,
                 size_t size, size_t original, const char *comment)
{
    struct conform_packet packet = {
        .ns = (record->epoch_ms + record->now_ms) * 1000000,
        .direction = sent_by_subject ? 1 : 2,
        .octets = octets,
        .size = size,
        .original = original,
        .comment = comment,
    };
    off_t end;

    if (record->error)
        return;
    end = lseek(record->fd, 0, SEEK_END);
    if (end < 0)
        record->error = errno;
    else if (end > VPC_RECORD_MAX)
        next_file(record);
    if (record->error == 0)
        record->error = vpc_pcapng_packet(record->fd, &packet);
}

/* ---- cutting ------------------------------------------------------------------------------------------------------ */

static void emit_pads(struct vpc_record *record, struct cutter *cutter)
{
    uint8_t shown[PADS_SHOWN];
    size_t size = cutter->pads < PADS_SHOWN ? cutter->pads : PADS_SHOWN;

    if (cutter->pads == 0)
        return;
    memset(shown, record->table->pad, sizeof(shown));
    emit(record, cutter == &record->cutters[1], shown, size, cutter->pads, NULL);
    cutter->pads = 0;
}

static void emit_front(struct vpc_record *record, struct cutter *cutter, size_t n,
                       const char *comment)
{
    emit(record, cutter == &record->cutters[1], vpc_buffer_head(&cutter->pending), n, n, comment);
    vpc_buffer_drop(&cutter->pending, n);
}

static void take_pads(struct vpc_record *record, struct cutter *cutter)
{
    cutter->pads += vpc_buffer_drop_run(&cutter->pending, record->table->pad);
    if (vpc_buffer_size(&cutter->pending) > 0)
        emit_pads(record, cutter);
}

/* Octets that are no frame: up to the next that may begin one, or padding. */
static size_t other_size(const struct vpc_record *record, const uint8_t *in, size_t n, size_t from)
{
    size_t at = from ? from : 1;

    while (at < n && at < OTHER_MAX && in[at] != record->table->pad &&
           in[at] != record->table->magic[0])
        at++;
    return at;
}

static size_t frame_size(const uint8_t *in)
{
    uint32_t length =
        in[8] | (uint32_t)in[9] << 8 | (uint32_t)in[10] << 16 | (uint32_t)in[11] << 24;

    return CONFORM_HEADER_SIZE + (size_t)length + CONFORM_SEAL_SIZE;
}

static void cut(struct vpc_record *record, struct cutter *cutter, enum vpc_role_bit from)
{
    for (;;) {
        const uint8_t *in;
        size_t n, fit;

        take_pads(record, cutter);
        in = vpc_buffer_head(&cutter->pending);
        n = vpc_buffer_size(&cutter->pending);
        if (n == 0)
            return;
        fit = vpc_octets_fit(record->table, from, in, n);
        if (fit < n)
            emit_front(record, cutter, other_size(record, in, n, fit), "no frame");
        else if (n >= CONFORM_HEADER_SIZE && n >= frame_size(in))
            emit_front(record, cutter, frame_size(in), NULL);
        else
            return;
    }
}

void vpc_record_octets(struct vpc_record *record, enum vpc_role_bit from, const void *octets,
                       size_t n, uint64_t now_ms)
{
    struct cutter *cutter;

    if (record == NULL)
        return;
    cutter = &record->cutters[from == record->subject];
    record->now_ms = now_ms;
    cutter->pads += vpc_buffer_add_behind_run(&cutter->pending, octets, n, record->table->pad);
    cut(record, cutter, from);
}

void vpc_record_cut(struct vpc_record *record)
{
    for (int i = 0; record && i < 2; i++) {
        struct cutter *cutter = &record->cutters[i];

        emit_pads(record, cutter);
        if (vpc_buffer_size(&cutter->pending) > 0)
            emit_front(record, cutter, vpc_buffer_size(&cutter->pending),
                       "no frame: the transport ended in it");
    }
}

int vpc_record_close(struct vpc_record *record)
{
    int error;

    if (record == NULL)
        return 0;
    vpc_record_cut(record);
    error = record->error;
    if (record->fd >= 0 && close(record->fd) != 0 && error == 0)
        error = errno;
    for (int i = 0; i < 2; i++)
        vpc_buffer_free(&record->cutters[i].pending);
    free(record->path);
    free(record->description);
    free(record);
    return error;
}
