/* The codec of the puppet protocol: see puppet.h. */
#include "puppet/puppet.h"

#include <string.h>

/* What may come from where, and with how much payload. */
static const struct {
    const char *name;
    unsigned from;
    uint32_t min, max;
} types[VPC_PUPPET_TYPES] = {
#define HARNESS VPC_PUPPET_FROM_HARNESS
#define PUPPET  VPC_PUPPET_FROM_PUPPET
#define ANY     VPC_PUPPET_PAYLOAD_MAX
    [VPC_PUPPET_PING] = {"PING", HARNESS, 0, 0},
    [VPC_PUPPET_ENTROPY] = {"ENTROPY", HARNESS, 1, 512},
    [VPC_PUPPET_CLOCK] = {"CLOCK", HARNESS, 8, 8},
    [VPC_PUPPET_RESET_ALL] = {"RESET_ALL", HARNESS, 0, 0},
    [VPC_PUPPET_RUN] = {"RUN", HARNESS, 2, ANY},
    [VPC_PUPPET_KILL] = {"KILL", HARNESS, 4, 4},
    [VPC_PUPPET_OPEN] = {"OPEN", HARNESS, 2, 4096},
    [VPC_PUPPET_LISTEN] = {"LISTEN", HARNESS, 12, 12},
    [VPC_PUPPET_READ] = {"READ", HARNESS, 2, 4096},
    [VPC_PUPPET_FOLLOW] = {"FOLLOW", HARNESS, 2, 4096},
    [VPC_PUPPET_WRITE] = {"WRITE", HARNESS, 6, 4096},
    [VPC_PUPPET_PAUSE] = {"PAUSE", HARNESS, 0, 0},
    [VPC_PUPPET_RESUME] = {"RESUME", HARNESS, 0, 0},
    [VPC_PUPPET_DATA] = {"DATA", HARNESS | PUPPET, 1, ANY},
    [VPC_PUPPET_WINDOW_MORE] = {"WINDOW", HARNESS | PUPPET, 4, 4},
    [VPC_PUPPET_FIN] = {"FIN", HARNESS | PUPPET, 0, 0},
    [VPC_PUPPET_RESET] = {"RESET", HARNESS | PUPPET, 0, 0},
    [VPC_PUPPET_CLOSE] = {"CLOSE", HARNESS, 0, 0},
    [VPC_PUPPET_FINISH] = {"FINISH", HARNESS, 0, 0},
    [VPC_PUPPET_PONG] = {"PONG", PUPPET, 4, 4},
    [VPC_PUPPET_DONE] = {"DONE", PUPPET, 0, 0},
    [VPC_PUPPET_OPENED] = {"OPENED", PUPPET, 4, 4},
    [VPC_PUPPET_FAILED] = {"FAILED", PUPPET, 5, 512},
    [VPC_PUPPET_EXITED] = {"EXITED", PUPPET, 8, 8},
    [VPC_PUPPET_ACCEPTANCE] = {"ACCEPTED", PUPPET, 8, 8},
    [VPC_PUPPET_LINK] = {"LINK", PUPPET, 4, 4},
    [VPC_PUPPET_CLOSED] = {"CLOSED", PUPPET, 0, 0},
#undef HARNESS
#undef PUPPET
#undef ANY
};

const char *vpc_puppet_type_name(unsigned type)
{
    return type < VPC_PUPPET_TYPES && types[type].name ? types[type].name : "?";
}

void vpc_puppet_put32(uint8_t out[4], uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> 8 * i);
}

uint32_t vpc_puppet_get32(const uint8_t in[4])
{
    return in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

void vpc_puppet_put_header(uint8_t out[VPC_PUPPET_HEADER], enum vpc_puppet_type type,
                           uint32_t handle, size_t size)
{
    vpc_puppet_put32(out, (uint32_t)size);
    vpc_puppet_put32(out + 4, type);
    vpc_puppet_put32(out + 8, handle);
}

void vpc_puppet_decoder_reset(struct vpc_puppet_decoder *decoder, enum vpc_puppet_side from)
{
    decoder->from = from;
    decoder->have = 0;
}

static bool header_is_good(const struct vpc_puppet_decoder *decoder)
{
    uint32_t size = vpc_puppet_get32(decoder->bytes);
    /* Read with the zero field: a type of two bytes, and above it nothing. */
    uint32_t type = vpc_puppet_get32(decoder->bytes + 4);

    return type < VPC_PUPPET_TYPES && (types[type].from & decoder->from) &&
           size >= types[type].min && size <= types[type].max;
}

/* Takes bytes until `want` are held; true if they are. */
static bool fill(struct vpc_puppet_decoder *decoder, size_t want, const uint8_t *bytes, size_t size,
                 size_t *used)
{
    size_t take = want - decoder->have;

    if (take > size - *used)
        take = size - *used;
    if (take)
        memcpy(decoder->bytes + decoder->have, bytes + *used, take);
    decoder->have += take;
    *used += take;
    return decoder->have == want;
}

enum vpc_puppet_fed vpc_puppet_feed(struct vpc_puppet_decoder *decoder, const uint8_t *bytes,
                                    size_t size, size_t *used, struct vpc_puppet_frame *frame)
{
    *used = 0;
    if (decoder->have < VPC_PUPPET_HEADER && !fill(decoder, VPC_PUPPET_HEADER, bytes, size, used))
        return VPC_PUPPET_MORE;
    if (!header_is_good(decoder))
        return VPC_PUPPET_BAD;

    size_t payload = vpc_puppet_get32(decoder->bytes);
    if (!fill(decoder, VPC_PUPPET_HEADER + payload, bytes, size, used))
        return VPC_PUPPET_MORE;
    frame->type = vpc_puppet_get32(decoder->bytes + 4);
    frame->handle = vpc_puppet_get32(decoder->bytes + 8);
    frame->payload = decoder->bytes + VPC_PUPPET_HEADER;
    frame->size = payload;
    decoder->have = 0;
    return VPC_PUPPET_FRAME;
}

const char *vpc_puppet_string(const struct vpc_puppet_frame *frame, size_t *at)
{
    const char *string = (const char *)frame->payload + *at;

    if (*at >= frame->size || !memchr(string, 0, frame->size - *at))
        return NULL;
    *at += strlen(string) + 1;
    return string;
}
