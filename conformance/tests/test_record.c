/* SPDX-License-Identifier: MIT */
/* The record of the bus, read back as spec/TRACE.md describes it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/codec.h"
#include "document/embedded.h"
#include "record/record.h"

static struct vpc_table *table;
static char dir[] = "/tmp/vpc-record-XXXXXX";

static void set_up(void)
{
    char *error = NULL;

    table = vpc_table_load(vpc_embedded_messages, &error);
    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(chdir(dir), 0);
}

static void tear_down(void)
{
    unlink("t");
    unlink("t.old");
    rmdir(dir);
    vpc_table_free(table);
}

TestSuite(record, .init = set_up, .fini = tear_down, .timeout = 30);

/* ---- a small reader ----------------------------------------------------------------------------------------------- */

struct file {
    uint8_t *octets;
    size_t size, at;
};

static struct file load(const char *path)
{
    struct vpc_buffer text = {0};
    FILE *in = fopen(path, "re");
    char part[4096];
    size_t n;

    cr_assert_not_null(in);
    while ((n = fread(part, 1, sizeof(part), in)) > 0)
        vpc_buffer_add(&text, part, n);
    fclose(in);
    return (struct file){text.data, text.end, 0};
}

static uint32_t word(const struct file *file, size_t at)
{
    uint32_t value;

    cr_assert_leq(at + 4, file->size);
    memcpy(&value, file->octets + at, 4);
    return value;
}

/* The next block's type and place; its two lengths must agree.  False at the end of the file. */
static bool next_block(struct file *file, uint32_t *type, size_t *at)
{
    uint32_t length;

    if (file->at == file->size)
        return false;
    *type = word(file, file->at);
    *at = file->at;
    length = word(file, file->at + 4);
    cr_assert_eq(length % 4, 0);
    cr_assert_eq(word(file, file->at + length - 4), length);
    file->at += length;
    return true;
}

/* Writes of each packet its direction, captured and original size and first octet, as "2:16/131129:16 ". */
static char *packets(const char *path)
{
    struct file file = load(path);
    char *all = vpc_copy("");
    uint32_t type;
    size_t at;

    while (next_block(&file, &type, &at)) {
        uint32_t captured = type == 6 ? word(&file, at + 20) : 0;
        size_t options = at + 28 + (captured + 3) / 4 * 4;
        bool comment = type == 6 && (word(&file, options) & 0xffff) == 1;
        char *more;

        if (type != 6)
            continue;
        if (comment)
            options += 4 + ((word(&file, options) >> 16) + 3) / 4 * 4;
        cr_assert_eq(word(&file, options), 2 | 4 << 16, "epb_flags");
        more = vpc_format("%s%u:%u/%u:%02x%s ", all, word(&file, options + 4), captured,
                          word(&file, at + 24), file.octets[at + 28], comment ? "!" : "");
        free(all);
        all = more;
    }
    free(file.octets);
    return all;
}

static void expect(const char *wanted)
{
    char *got = packets("t");

    cr_expect_str_eq(got, wanted);
    free(got);
}

/* ---- what goes by ------------------------------------------------------------------------------------------------- */

static struct vpc_record *open_record(enum vpc_role_bit subject)
{
    struct vpc_record *record = vpc_record_open("t", table, subject, "a test", 1700000000000);

    cr_assert_not_null(record);
    return record;
}

static void add_frame(struct vpc_buffer *out, const char *name, uint32_t channel)
{
    struct conform_frame frame;

    vpc_frame_begin(&frame, table, vpc_table_by_name(table, name));
    frame.channel = channel;
    if (strcmp(name, "DATA") == 0)
        vpc_frame_set_payload(&frame, "\x16\xb5\x50", 3);
    vpc_frame_encode(&frame, out);
    vpc_frame_clear(&frame);
}

/* In pieces of so many octets. */
static void give(struct vpc_record *record, enum vpc_role_bit from, struct vpc_buffer *octets,
                 size_t piece)
{
    while (vpc_buffer_size(octets) > 0) {
        size_t n = vpc_buffer_size(octets) < piece ? vpc_buffer_size(octets) : piece;

        vpc_record_octets(record, from, vpc_buffer_head(octets), n, 5);
        vpc_buffer_drop(octets, n);
    }
    vpc_buffer_free(octets);
}

Test(record, packets_do_not_depend_on_the_pieces)
{
    static const size_t pieces[] = {1, 7, 100000};

    for (size_t i = 0; i < 3; i++) {
        struct vpc_record *record = open_record(VPC_FROM_HOST);
        struct vpc_buffer out = {0};

        vpc_buffer_fill(&out, table->pad, 40);
        add_frame(&out, "READY", 0);
        add_frame(&out, "DATA", 2);
        give(record, VPC_FROM_GUEST, &out, pieces[i]);
        vpc_buffer_add(&out, "noise", 5);
        add_frame(&out, "DATA", 1);
        vpc_buffer_fill(&out, table->pad, 3);
        give(record, VPC_FROM_HOST, &out, pieces[i]);
        cr_expect_eq(vpc_record_close(record), 0);
        if (i > 0) /* in pieces of one octet each octet of noise is on its own */
            expect("2:16/40:16 2:32/32:b5 2:39/39:b5 1:5/5:6e! 1:39/39:b5 1:3/3:16 ");
        else
            expect("2:16/40:16 2:32/32:b5 2:39/39:b5 1:1/1:6e! 1:1/1:6f! 1:1/1:69! 1:1/1:73! "
                   "1:1/1:65! 1:39/39:b5 1:3/3:16 ");
    }
}

Test(record, the_header_tells_whose_view_it_is)
{
    struct file file;
    uint32_t type;
    size_t at;

    cr_expect_eq(vpc_record_close(open_record(VPC_FROM_GUEST)), 0);
    file = load("t");
    cr_assert(next_block(&file, &type, &at));
    cr_expect_eq(type, 0x0a0d0d0a);
    cr_expect_eq(word(&file, at + 8), 0x1a2b3c4d);
    cr_assert(next_block(&file, &type, &at));
    cr_expect_eq(type, 1);
    cr_expect_eq(word(&file, at + 8), 147);
    cr_expect_eq(word(&file, at + 12), 0, "snap length");
    cr_expect_eq(word(&file, at + 16), 2 | 11 << 16, "if_name");
    cr_expect_eq(memcmp(file.octets + at + 20, "vpcbus-host", 11), 0);
    cr_expect_not(next_block(&file, &type, &at));
    free(file.octets);
}

Test(record, times_are_nanoseconds_of_the_last_octet)
{
    struct vpc_record *record = open_record(VPC_FROM_HOST);
    struct vpc_buffer out = {0};
    struct file file;
    uint32_t type;
    size_t at = 0;

    add_frame(&out, "READY", 0);
    vpc_record_octets(record, VPC_FROM_GUEST, out.data, 10, 1);
    vpc_record_octets(record, VPC_FROM_GUEST, out.data + 10, out.end - 10, 1234);
    cr_expect_eq(vpc_record_close(record), 0);
    file = load("t");
    for (int i = 0; i < 3; i++)
        cr_assert(next_block(&file, &type, &at));
    cr_expect_eq((uint64_t)word(&file, at + 12) << 32 | word(&file, at + 16),
                 1700000001234 * 1000000);
    vpc_buffer_free(&out);
    free(file.octets);
}

Test(record, what_the_transport_cut_is_no_frame)
{
    struct vpc_record *record = open_record(VPC_FROM_HOST);
    struct vpc_buffer out = {0};

    add_frame(&out, "READY", 0);
    out.end -= 4;
    give(record, VPC_FROM_GUEST, &out, 100);
    vpc_record_cut(record);
    add_frame(&out, "READY", 0);
    give(record, VPC_FROM_GUEST, &out, 100);
    cr_expect_eq(vpc_record_close(record), 0);
    expect("2:28/28:b5! 2:32/32:b5 ");
}

Test(record, a_flood_keeps_its_end_and_the_disk_its_room)
{
    struct vpc_record *record = open_record(VPC_FROM_GUEST);
    uint8_t noise[60000];
    struct stat now, old;

    memset(noise, 'x', sizeof(noise));
    for (size_t i = 0; i < 3 * VPC_RECORD_MAX / sizeof(noise); i++)
        vpc_record_octets(record, VPC_FROM_GUEST, noise, sizeof(noise), i);
    cr_expect_eq(vpc_record_close(record), 0);
    cr_assert_eq(stat("t", &now), 0);
    cr_assert_eq(stat("t.old", &old), 0);
    cr_expect_leq(now.st_size + old.st_size, 2 * VPC_RECORD_MAX + 2 * 66000);
}

Test(record, a_full_disk_is_told)
{
    struct vpc_record *record = vpc_record_open("/dev/full", table, VPC_FROM_HOST, "", 0);

    cr_expect_null(record);
    cr_expect_eq(errno, ENOSPC);
    cr_expect_eq(vpc_record_close(NULL), 0);
    vpc_record_octets(NULL, VPC_FROM_HOST, "x", 1, 0);
}
