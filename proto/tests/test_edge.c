/* SPDX-License-Identifier: MIT */
/*
 * The decoder never looks outside its input: the octets lie directly before a page that can't be read, then directly
 * behind one, and a look beyond them ends the test program.
 */
#include "vpcbus.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROOM (4u << 20) /* a multiple of the page size */

/* Memory between two pages that can't be read. */
struct fenced {
    uint8_t *start, *end;
    size_t page;
};

static struct fenced fenced;
static uint8_t stream[3 * VPC_FRAME_MAX];
static size_t stream_len;

static void set_up(void)
{
    uint8_t *all;

    fenced.page = (size_t)sysconf(_SC_PAGESIZE);
    all = mmap(NULL, ROOM + 2 * fenced.page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(all, MAP_FAILED);
    fenced.start = all + fenced.page;
    fenced.end = fenced.start + ROOM;
    cr_assert_eq(mprotect(fenced.start, ROOM, PROT_READ | PROT_WRITE), 0);
}

static void tear_down(void)
{
    munmap(fenced.start - fenced.page, ROOM + 2 * fenced.page);
}

TestSuite(edge, .init = set_up, .fini = tear_down, .timeout = 60);

static void add(vpc_frame frame)
{
    frame.seal_session = 1;
    frame.seal_number = 1;
    stream_len += vpc_encode(&frame, stream + stream_len);
}

/* Padding, a HELLO, and every message that `sender` may send. */
static void make_stream(enum vpc_side sender, uint32_t payload_len)
{
    static const uint8_t host[] = {VPC_OPEN},
                         guest[] = {VPC_READY, VPC_EVENT, VPC_OPENED, VPC_REFUSED},
                         both[] = {VPC_HEARTBEAT, VPC_CREDIT,   VPC_FIN,
                                   VPC_RESET,     VPC_RELEASED, VPC_GOODBYE};
    static const uint8_t payload[VPC_PAYLOAD_MAX];

    memset(stream, VPC_PAD, 40);
    stream_len = 40;
    add((vpc_frame){.type = VPC_HELLO,
                    .role = (uint8_t)sender,
                    .version_min = VPC_VERSION_1_0,
                    .version_max = VPC_VERSION_1_0,
                    .epoch = 1,
                    .tag = "TAG",
                    .name = "edge"});
    for (size_t i = 0; i < sizeof(both); i++)
        add((vpc_frame){.type = both[i], .channel = both[i] >= VPC_OPEN});
    for (size_t i = 0; sender == VPC_HOST && i < sizeof(host); i++)
        add((vpc_frame){.type = host[i], .channel = 1, .reverse_channel = 2});
    for (size_t i = 0; sender == VPC_GUEST && i < sizeof(guest); i++)
        add((vpc_frame){.type = guest[i], .channel = guest[i] >= VPC_OPEN, .event = 1});
    add((vpc_frame){
        .type = VPC_DATA, .channel = 1, .payload = payload, .payload_len = payload_len});
}

/* Parses octets at `at` to the end of the input; how many frames there were. */
static unsigned parse(vpc_parser *parser, const uint8_t *at, size_t n)
{
    const uint8_t *p = at;
    volatile uint8_t seen = 0;
    unsigned frames = 0;

    while (p < at + n) {
        enum vpc_parse_result result = vpc_parse(parser, &p, at + n);

        cr_assert_leq(p, at + n);
        if (result != VPC_PARSE_FRAME)
            break;
        frames++;
        for (size_t i = 0; parser->frame.type == VPC_DATA && i < parser->frame.payload_len; i++)
            seen ^= parser->frame.payload[i];
        (void)seen;
    }
    return frames;
}

static unsigned parse_from(enum vpc_side sender, bool hunts, const uint8_t *at, size_t n)
{
    static vpc_parser parser;

    if (hunts)
        vpc_parser_hunt(&parser);
    else
        vpc_parser_follow(&parser, sender);
    return parse(&parser, at, n);
}

/* Every length of the stream, at both edges. */
static void try_lengths(enum vpc_side sender, bool hunts)
{
    unsigned frames = 0;

    for (size_t n = 1; n <= stream_len; n++) {
        uint8_t *last = memcpy(fenced.end - n, stream, n);
        unsigned before = frames;

        frames = parse_from(sender, hunts, last, n);
        memcpy(fenced.start, stream, n);
        cr_assert_eq(parse_from(sender, hunts, fenced.start, n), frames);
        cr_assert(frames == before || frames == before + 1, "%zu octets: %u frames", n, frames);
    }
    cr_assert_eq(frames, hunts ? 1 : sender == VPC_HOST ? 9 : 12);
}

Test(edge, every_length_of_every_message)
{
    for (int sender = VPC_HOST; sender <= VPC_GUEST; sender++) {
        make_stream((enum vpc_side)sender, 33);
        try_lengths((enum vpc_side)sender, false);
    }
}

Test(edge, the_last_octet_is_wrong)
{
    for (int sender = VPC_HOST; sender <= VPC_GUEST; sender++) {
        make_stream((enum vpc_side)sender, 33);
        for (size_t n = 1; n <= stream_len; n++)
            for (unsigned octet = 0; octet < 256; octet += 17) {
                memcpy(fenced.end - n, stream, n);
                fenced.end[-1] = (uint8_t)octet;
                parse_from((enum vpc_side)sender, false, fenced.end - n, n);
                parse_from((enum vpc_side)sender, true, fenced.end - n, n);
            }
    }
}

/* The hunt stops behind one HELLO; then the test ends it, as a session does. */
Test(edge, every_length_of_a_hunt)
{
    make_stream(VPC_GUEST, 33);
    stream_len = 40 + VPC_HEADER_SIZE + 128 + VPC_SEAL_SIZE;
    try_lengths(VPC_GUEST, true);
}

Test(edge, the_largest_payload)
{
    make_stream(VPC_HOST, VPC_PAYLOAD_MAX);
    for (size_t n = stream_len; n > stream_len - VPC_FRAME_MAX; n -= n > 97 ? 97 : n) {
        memcpy(fenced.end - n, stream, n);
        cr_assert_eq(parse_from(VPC_HOST, false, fenced.end - n, n), n == stream_len ? 9 : 8);
    }
}

/* Two pieces, each at the edge: what the parser keeps of the first it does not look up there again. */
Test(edge, every_split)
{
    static vpc_parser parser;

    make_stream(VPC_GUEST, 33);
    for (size_t n = 1; n < stream_len; n++) {
        unsigned frames;

        vpc_parser_follow(&parser, VPC_GUEST);
        memcpy(fenced.end - n, stream, n);
        frames = parse(&parser, fenced.end - n, n);
        memset(fenced.end - n, 0xEE, n);
        memcpy(fenced.end - (stream_len - n), stream + n, stream_len - n);
        frames += parse(&parser, fenced.end - (stream_len - n), stream_len - n);
        cr_assert_eq(frames, 12, "split at %zu", n);
    }
}
