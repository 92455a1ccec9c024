/* SPDX-License-Identifier: MIT */
/* See pcapng.h; the format is draft-ietf-opsawg-pcapng. */
#include "record/pcapng.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"

enum { SECTION = 0x0a0d0d0a, INTERFACE = 1, PACKET = 6 };
enum { BYTE_ORDER_MAGIC = 0x1a2b3c4d, LINKTYPE_USER0 = 147 };
enum {
    OPT_END = 0,
    OPT_COMMENT = 1,
    SHB_USERAPPL = 4,
    IF_NAME = 2,
    IF_DESCRIPTION = 3,
    IF_TSRESOL = 9,
    EPB_FLAGS = 2
};

static void add16(struct vpc_buffer *out, uint16_t value)
{
    vpc_buffer_add(out, &value, sizeof(value));
}

static void add32(struct vpc_buffer *out, uint32_t value)
{
    vpc_buffer_add(out, &value, sizeof(value));
}

static void add_padded(struct vpc_buffer *out, const void *octets, size_t n)
{
    vpc_buffer_add(out, octets, n);
    vpc_buffer_fill(out, 0, (4 - n % 4) % 4);
}

static void add_option(struct vpc_buffer *out, uint16_t code, const void *value, size_t n)
{
    add16(out, code);
    add16(out, (uint16_t)n);
    add_padded(out, value, n);
}

static void add_text(struct vpc_buffer *out, uint16_t code, const char *text)
{
    add_option(out, code, text, strnlen(text, UINT16_MAX));
}

static void begin_block(struct vpc_buffer *out, uint32_t type)
{
    add32(out, type);
    add32(out, 0);
}

/* Sets the length, at both ends, writes the block and frees it. */
static int write_block(int fd, struct vpc_buffer *out)
{
    uint32_t length = (uint32_t)vpc_buffer_size(out) + 4;
    int error = 0;

    add32(out, length);
    memcpy(out->data + 4, &length, sizeof(length));
    while (vpc_buffer_size(out) > 0 && error == 0) {
        ssize_t n = write(fd, vpc_buffer_head(out), vpc_buffer_size(out));

        if (n >= 0)
            vpc_buffer_drop(out, (size_t)n);
        else if (errno != EINTR)
            error = errno;
    }
    vpc_buffer_free(out);
    return error;
}

int vpc_pcapng_begin(int fd, const char *writer, const char *interface, const char *description)
{
    struct vpc_buffer out = {0};
    const uint8_t nanoseconds = 9;
    int error;

    begin_block(&out, SECTION);
    add32(&out, BYTE_ORDER_MAGIC);
    add16(&out, 1);
    add16(&out, 0);
    vpc_buffer_fill(&out, 0xff, 8); /* the section's length is not known */
    add_text(&out, SHB_USERAPPL, writer);
    add_option(&out, OPT_END, NULL, 0);
    error = write_block(fd, &out);
    if (error)
        return error;
    begin_block(&out, INTERFACE);
    add16(&out, LINKTYPE_USER0);
    add16(&out, 0);
    add32(&out, 0);
    add_text(&out, IF_NAME, interface);
    add_text(&out, IF_DESCRIPTION, description);
    add_option(&out, IF_TSRESOL, &nanoseconds, 1);
    add_option(&out, OPT_END, NULL, 0);
    return write_block(fd, &out);
}

int vpc_pcapng_packet(int fd, const struct conform_packet *packet)
{
    struct vpc_buffer out = {0};
    uint32_t flags = (uint32_t)packet->direction;

    begin_block(&out, PACKET);
    add32(&out, 0);
    add32(&out, (uint32_t)(packet->ns >> 32));
    add32(&out, (uint32_t)packet->ns);
    add32(&out, (uint32_t)packet->size);
    add32(&out, (uint32_t)packet->original);
    add_padded(&out, packet->octets, packet->size);
    if (packet->comment)
        add_text(&out, OPT_COMMENT, packet->comment);
    add_option(&out, EPB_FLAGS, &flags, sizeof(flags));
    add_option(&out, OPT_END, NULL, 0);
    return write_block(fd, &out);
}
