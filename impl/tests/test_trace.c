/* SPDX-License-Identifier: MIT */
/* The trace: how the stream is cut, what stands in the file, its limit, and its failures. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shell_rig.h"
#include "trace_cut.h"
#include "trace_reader.h"

/* ---- cutting --------------------------------------------------------------------------------------- */

static char said[4096]; /* "padding 3, frame 36, " */
static struct vpc_cut cut;

static void say(void *user, enum vpc_cut_kind kind, const uint8_t *octets, uint64_t size)
{
    static const char *const names[] = {"frame", "padding", "other"};

    (void)user;
    cr_assert(size > 0);
    cr_assert_eq(octets[0] == VPC_PAD, kind == VPC_CUT_PADDING);
    snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s %ju, ", names[kind],
             (uintmax_t)size);
}

static void begin_cut(void)
{
    said[0] = '\0';
    cut.on_piece = say;
    vpc_cut_begin(&cut, VPC_HOST);
}

static size_t heartbeat(uint8_t *out)
{
    return vpc_encode(&(vpc_frame){.type = VPC_HEARTBEAT, .count = 1, .seal_number = 1}, out);
}

/* Padding, a heartbeat, noise (among it what begins like a frame), DATA, padding. */
static size_t a_stream(uint8_t *out)
{
    size_t n = 0;

    memset(out, VPC_PAD, 5);
    n += 5;
    n += heartbeat(out + n);
    memcpy(out + n, "noise \xB5\x56\x99 \xB5", 11);
    n += 11;
    n += vpc_encode(&(vpc_frame){.type = VPC_DATA,
                                 .channel = 1,
                                 .payload = (const uint8_t *)"\x16\xB5\x56",
                                 .payload_len = 3},
                    out + n);
    memset(out + n, VPC_PAD, 7);
    return n + 7;
}

Test(trace_cut, the_same_pieces_however_the_stream_is_divided, .timeout = 20)
{
    uint8_t stream[256];
    size_t n = a_stream(stream);

    for (size_t first = 0; first <= n; first++) {
        begin_cut();
        vpc_cut_octets(&cut, stream, first);
        vpc_cut_octets(&cut, stream + first, n - first);
        vpc_cut_flush(&cut);
        cr_assert_str_eq(said, "padding 5, frame 36, other 11, frame 39, padding 7, ");
    }
    begin_cut();
    for (size_t i = 0; i < n; i++)
        vpc_cut_octets(&cut, stream + i, 1);
    vpc_cut_end(&cut);
    cr_assert_str_eq(said, "padding 5, frame 36, other 11, frame 39, padding 7, ");
}

Test(trace_cut, a_frame_that_only_the_other_side_may_send_is_none, .timeout = 20)
{
    uint8_t ready[64];
    size_t n = vpc_encode(&(vpc_frame){.type = VPC_READY, .ready = 1}, ready);

    begin_cut();
    vpc_cut_octets(&cut, ready, n);
    vpc_cut_end(&cut);
    cr_assert_str_eq(said, "other 32, ");
}

Test(trace_cut, a_frame_that_is_cut_off_is_none, .timeout = 20)
{
    uint8_t frame[64];
    size_t n = heartbeat(frame);

    begin_cut();
    vpc_cut_octets(&cut, frame, n - 1);
    vpc_cut_flush(&cut);
    cr_assert_str_eq(said, "", "a frame under way goes on");
    vpc_cut_end(&cut);
    vpc_cut_octets(&cut, frame, n);
    cr_assert_str_eq(said, "other 35, frame 36, ");
}

Test(trace_cut, noise_without_end_is_said_in_pieces, .timeout = 20)
{
    static uint8_t noise[100000];

    memset(noise, 'n', sizeof(noise));
    begin_cut();
    for (int i = 0; i < 4; i++)
        vpc_cut_octets(&cut, noise, sizeof(noise));
    vpc_cut_end(&cut);
    cr_assert_str_eq(said, "other 65564, other 65564, other 65564, other 65564, other 65564, "
                           "other 65564, other 6616, ");
}

/* ---- the file ---------------------------------------------------------------------------------------- */

static char trace_path[96];

static void begin_file(void)
{
    scratch_begin();
    snprintf(trace_path, sizeof(trace_path), "%s/trace", scratch);
    snprintf(rig_bus, sizeof(rig_bus), "%s/bus", scratch);
}

static void open_shell(uint64_t limit)
{
    static char bus[128];

    snprintf(bus, sizeof(bus), "listen:%s", rig_bus);
    rig_trace_path = trace_path;
    rig_trace_limit = limit;
    rig_begin_with(bus, &fake_abi);
}

TestSuite(trace, .timeout = 20, .init = begin_file, .fini = rig_end);

static void put(int fd, const void *octets, size_t n)
{
    size_t have = fake->bus_input_size;

    cr_assert_eq(write(fd, octets, n), (ssize_t)n);
    RIG_UNTIL(fake->bus_input_size == have + n);
}

static const struct traced_packet *packet_of(const struct traced *t, size_t i,
                                             enum traced_kind kind, uint32_t direction)
{
    cr_assert_lt(i, t->count);
    cr_assert_eq(traced_kind(&t->packet[i]), kind, "packet %zu", i);
    cr_assert_eq(t->packet[i].direction, direction);
    return &t->packet[i];
}

Test(trace, frames_padding_noise_and_entries_both_ways)
{
    uint8_t stream[256];
    size_t n = heartbeat(stream);

    open_shell(0);
    int fd = rig_connect(rig_bus);
    RIG_UNTIL(fake->ups == 1);
    put(fd, stream, n);
    fake_act(VPC_ACTION_LOG, 0, 0, 0, "{\"id\":1}");
    RIG_UNTIL(access(rig_log, F_OK) == 0);
    rig_turn_for(20);
    put(fd, "\x16\x16\x16??", 5);
    fake->bus_echo = true;
    RIG_UNTIL(fake->bus_output_at == n + 5);
    close(fd);
    RIG_UNTIL(fake->downs == 1);
    vpc_shell_close(rig);
    rig = NULL;

    struct traced *t = traced_read(trace_path);
    cr_assert_str_eq(t->interface, "vpcbus-host");
    cr_assert_str_eq(t->description, "VM vm");
    const struct traced_packet *frame = packet_of(t, 0, TRACED_FRAME, 1);
    cr_assert_eq(frame->kept, n);
    cr_assert_arr_eq(frame->octets, stream, n);
    cr_assert_str_eq(packet_of(t, 1, TRACED_ENTRY, 0)->comment, "{\"id\":1}");
    cr_assert_eq(packet_of(t, 2, TRACED_PADDING, 1)->whole, 3u);
    packet_of(t, 3, TRACED_FRAME, 2);
    packet_of(t, 4, TRACED_PADDING, 2);
    /* These were under way when the bus ended. */
    cr_assert_eq(packet_of(t, 5, TRACED_OTHER, 1)->whole, 2u);
    cr_assert_eq(packet_of(t, 6, TRACED_OTHER, 2)->whole, 2u);
    cr_assert_eq(t->count, 7u);
    for (size_t i = 1; i < t->count; i++)
        cr_assert_geq(t->packet[i].time_ns, t->packet[i - 1].time_ns);
    traced_free(t);
}

Test(trace, a_full_file_is_turned_over_and_a_restart_goes_on_in_it)
{
    char old[128];
    struct stat st;
    uint8_t frame[64];
    size_t n = heartbeat(frame);

    snprintf(old, sizeof(old), "%s.1", trace_path);
    open_shell(4096);
    int fd = rig_connect(rig_bus);
    RIG_UNTIL(fake->ups == 1);
    for (int i = 0; i < 100; i++)
        put(fd, frame, n);
    close(fd);
    vpc_shell_close(rig);
    open_shell(4096);
    vpc_shell_close(rig);
    rig = NULL;
    cr_assert_eq(stat(old, &st), 0);
    cr_assert_leq(st.st_size, 4096);
    cr_assert_eq(st.st_mode & 0777, 0600u);
    struct traced *before = traced_read(old), *now = traced_read(trace_path);
    cr_assert_eq(now->sections, 2u);
    cr_assert_gt(before->count + now->count, 20u);
    cr_assert_lt(before->count + now->count, 100u);
    traced_free(before);
    traced_free(now);
}

static void refuse_to_trace_into(const char *path)
{
    struct vpc_shell *shell = NULL;
    struct vpc_shell_config config = {
        .abi = &fake_abi,
        .program = "test",
        .role = VPC_ROLE_HOST,
        .vm = "vm",
        .tag = "",
        .options = "{}",
        .bus = rig_bus,
        .runtime_dir = scratch,
        .control_path = "unused",
        .trace_path = path,
    };

    cr_assert_eq(vpc_shell_open(&config, &shell), EEXIST);
}

Test(trace, another_file_is_not_spoilt)
{
    char text[16] = "";
    int fd = open(trace_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    cr_assert_eq(write(fd, "a diary", 7), 7);
    refuse_to_trace_into(trace_path);
    cr_assert_eq(pread(fd, text, sizeof(text), 0), 7);
    cr_assert_str_eq(text, "a diary");
    close(fd);
    refuse_to_trace_into(scratch);
    refuse_to_trace_into("/dev/null");
}

static unsigned trace_failures(void)
{
    static char entries[8192];
    FILE *file = fopen(rig_log, "re");
    unsigned found = 0;

    cr_assert_not_null(file);
    entries[fread(entries, 1, sizeof(entries) - 1, file)] = '\0';
    fclose(file);
    for (const char *at = entries; ((at = strstr(at, "\"id\":1044")) != NULL); at++)
        found++;
    return found;
}

Test(trace, a_disk_that_is_full_ends_the_trace_and_nothing_else)
{
    uint8_t frame[64];
    size_t n = heartbeat(frame);
    struct rlimit limit;

    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 700;
    signal(SIGXFSZ, SIG_IGN);
    open_shell(0);
    int fd = rig_connect(rig_bus);
    RIG_UNTIL(fake->ups == 1);
    setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; i < 100; i++)
        put(fd, frame, n);
    struct traced *t = traced_read(trace_path);
    cr_assert_gt(t->count, 1u);
    cr_assert_lt(t->count, 10u);
    traced_free(t);
    cr_assert_eq(trace_failures(), 1u, "told once");
    /* There is room again. */
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    vpc_shell_reload(rig);
    put(fd, frame, n);
    t = traced_read(trace_path);
    cr_assert_eq(t->sections, 2u);
    traced_free(t);
    /* A reload that finds no file to write is told too. */
    cr_assert_eq(unlink(trace_path), 0);
    cr_assert_eq(mkdir(trace_path, 0700), 0);
    vpc_shell_reload(rig);
    cr_assert_eq(trace_failures(), 2u);
    cr_assert_eq(rmdir(trace_path), 0);
    close(fd);
}

Test(trace, a_reload_makes_new_files_after_a_rotation)
{
    char moved[128];
    uint8_t frame[64];
    size_t n = heartbeat(frame);

    snprintf(moved, sizeof(moved), "%s.moved", trace_path);
    open_shell(0);
    int fd = rig_connect(rig_bus);
    RIG_UNTIL(fake->ups == 1);
    put(fd, frame, n);
    cr_assert_eq(rename(trace_path, moved), 0);
    put(fd, frame, n - 4); /* a frame is under way over the change */
    vpc_shell_reload(rig);
    put(fd, frame + n - 4, 4);
    struct traced *before = traced_read(moved), *now = traced_read(trace_path);
    cr_assert_eq(before->count, 1u);
    cr_assert_eq(now->count, 1u);
    packet_of(now, 0, TRACED_FRAME, 1);
    traced_free(before);
    traced_free(now);
    close(fd);
}
