/* SPDX-License-Identifier: MIT */
#include "pcapng.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "opener.h"

/* pcapng: types of blocks, options. */
enum {
    SECTION_HEADER = 0x0A0D0D0A,
    ORDER_MAGIC = 0x1A2B3C4D,
    INTERFACE = 1,
    ENHANCED_PACKET = 6,
    OPT_END = 0,
    OPT_COMMENT = 1,
    OPT_SHB_USERAPPL = 4,
    OPT_IF_NAME = 2,
    OPT_IF_DESCRIPTION = 3,
    OPT_IF_TSRESOL = 9,
    OPT_EPB_FLAGS = 2,
    LINKTYPE_USER0 = 147,
    NANOSECONDS = 9,
    TEXT_MAX = 256,
};

/* A block under way: its pieces, and how many octets they are. */
struct block {
    struct iovec piece[16];
    int pieces;
    uint32_t size;
    uint32_t head[2]; /* type, length */
    uint32_t option[5];
    int options;
};

static const char zeros[4];

static void add(struct block *b, const void *octets, size_t n)
{
    if (n == 0)
        return;
    b->piece[b->pieces++] = (struct iovec){.iov_base = (void *)(uintptr_t)octets, .iov_len = n};
    b->size += (uint32_t)n;
}

/* Filled up to a multiple of four, as everything in the file is. */
static void add_filled(struct block *b, const void *octets, size_t n)
{
    add(b, octets, n);
    add(b, zeros, -n & 3);
}

static void begin(struct block *b, uint32_t type)
{
    *b = (struct block){.head = {type}};
    add(b, b->head, sizeof(b->head));
}

static void add_option(struct block *b, uint16_t code, const void *octets, size_t n)
{
    uint16_t head[2] = {code, (uint16_t)n};
    uint32_t *at = &b->option[b->options++];

    memcpy(at, head, sizeof(head));
    add(b, at, sizeof(*at));
    add_filled(b, octets, n);
}

static void finish(struct block *b)
{
    add_option(b, OPT_END, NULL, 0);
    add(b, &b->head[1], sizeof(b->head[1]));
    b->head[1] = b->size;
}

/* Writes the whole block, or nothing of it. */
static int put(struct vpc_pcapng *file, const struct block *b)
{
    ssize_t w;

    do
        w = writev(file->fd, b->piece, b->pieces);
    while (w < 0 && errno == EINTR);
    if (w == (ssize_t)b->size) {
        file->size += w;
        return 0;
    }
    int error = w < 0 ? errno : ENOSPC;
    if (w > 0 && ftruncate(file->fd, file->size) != 0)
        error = errno;
    return error;
}

static int begin_section(struct vpc_pcapng *file)
{
    struct {
        uint32_t order;
        uint16_t major, minor;
        uint64_t length;
    } section = {ORDER_MAGIC, 1, 0, UINT64_MAX};
    struct {
        uint16_t link, reserved;
        uint32_t snap;
    } interface = {LINKTYPE_USER0, 0, 0};
    uint8_t resolution = NANOSECONDS;
    struct block b;

    begin(&b, SECTION_HEADER);
    add(&b, &section, sizeof(section));
    add_option(&b, OPT_SHB_USERAPPL, file->program, strnlen(file->program, TEXT_MAX));
    finish(&b);
    int error = put(file, &b);
    if (error)
        return error;
    begin(&b, INTERFACE);
    add(&b, &interface, sizeof(interface));
    add_option(&b, OPT_IF_NAME, file->interface, strnlen(file->interface, TEXT_MAX));
    add_option(&b, OPT_IF_DESCRIPTION, file->description, strnlen(file->description, TEXT_MAX));
    add_option(&b, OPT_IF_TSRESOL, &resolution, sizeof(resolution));
    finish(&b);
    return put(file, &b);
}

int vpc_pcapng_look(int fd)
{
    struct stat st;
    uint32_t first = 0;

    if (fstat(fd, &st) != 0)
        return errno;
    if (!S_ISREG(st.st_mode))
        return EEXIST;
    if (st.st_size == 0)
        return 0;
    if (pread(fd, &first, sizeof(first), 0) != (ssize_t)sizeof(first) || first != SECTION_HEADER)
        return EEXIST;
    return 0;
}

static int open_as(struct vpc_pcapng *file, enum vpc_wish wish)
{
    int error = vpc_opener_file(file->asked, wish, VPC_KEPT_TRACE, &file->fd);

    if (error)
        return error;
    file->size = lseek(file->fd, 0, SEEK_END);
    error = file->size < 0 ? errno : begin_section(file);
    if (error)
        vpc_pcapng_close(file);
    return error;
}

int vpc_pcapng_open(struct vpc_pcapng *file)
{
    return open_as(file, VPC_WISH_FILE);
}

void vpc_pcapng_close(struct vpc_pcapng *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

/* The file that is full becomes PATH.1. */
static int turn_over(struct vpc_pcapng *file)
{
    vpc_pcapng_close(file);
    return open_as(file, VPC_WISH_TURN_FILE);
}

int vpc_pcapng_write(struct vpc_pcapng *file, const struct vpc_packet *packet)
{
    uint32_t flags = packet->direction;
    uint32_t head[5] = {
        0, /* the one interface */
        (uint32_t)(packet->time_ns >> 32),
        (uint32_t)packet->time_ns,
        (uint32_t)packet->kept,
        (uint32_t)packet->whole,
    };
    size_t comment_len =
        packet->comment_len < VPC_COMMENT_MAX ? packet->comment_len : VPC_COMMENT_MAX;
    struct block b;

    begin(&b, ENHANCED_PACKET);
    add(&b, head, sizeof(head));
    add_filled(&b, packet->octets, packet->kept);
    add_option(&b, OPT_EPB_FLAGS, &flags, sizeof(flags));
    if (packet->comment != NULL)
        add_option(&b, OPT_COMMENT, packet->comment, comment_len);
    finish(&b);
    if (file->limit && (uint64_t)file->size + b.size > file->limit) {
        int error = turn_over(file);

        if (error)
            return error;
    }
    return put(file, &b);
}
