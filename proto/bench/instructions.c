/* SPDX-License-Identifier: MIT */
/*
 * Instructions for each frame: this program runs one case under callgrind, with some frames and with twice as many; the
 * difference is free of what starting costs, and no other work on the machine changes it.
 */
#include "rig.h"
#include "streams.h"
#include "suites.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t discard_frames(uint32_t payload, size_t piece, void (*read)(void *),
                               unsigned long frames)
{
    struct stream stream = stream_make(payload);
    struct reading reading = {.stream = stream,
                              .piece = piece,
                              .parser = must_allocate(sizeof(vpc_parser)),
                              .hand = must_allocate(sizeof(hand_decoder))};

    for (unsigned long done = 0; done < frames; done += stream.frames)
        read(&reading);
    free(reading.parser);
    free(reading.hand);
    free(stream.octets);
    return reading.sum;
}

static void send_chunks(uint32_t payload, unsigned long frames)
{
    struct rig rig;

    rig_up(&rig, &(struct rig_plan){.pairs = 1, .buffer = 65536, .chunk = payload});
    for (unsigned long done = 0; done < frames; done++)
        rig_first_pair(&rig);
    rig_down(&rig);
}

/* By each of 10,000 pairs in turn, to be compared with one pair that does the same. */
static void send_in_turn(struct rig_plan plan, unsigned long frames)
{
    struct rig rig;

    rig_up(&rig, &plan);
    for (unsigned long done = 0; done < frames; done++)
        rig_pair_in_turn(&rig);
    rig_down(&rig);
}

static void one_pair(uint32_t payload, unsigned long frames)
{
    send_in_turn((struct rig_plan){.pairs = 1, .buffer = 256, .chunk = payload}, frames);
}

static void many_pairs(uint32_t payload, unsigned long frames)
{
    send_in_turn((struct rig_plan){.pairs = 10000, .buffer = 256, .chunk = payload}, frames);
}

static void encode_frames(uint32_t payload, unsigned long frames)
{
    uint8_t *out = must_allocate(VPC_FRAME_MAX), *content = must_allocate(VPC_PAYLOAD_MAX);
    vpc_frame frame = {.type = payload == EMPTY ? VPC_HEARTBEAT : VPC_DATA,
                       .channel = payload == EMPTY ? 0 : 1,
                       .payload = content,
                       .payload_len = payload};

    for (unsigned long done = 0; done < frames; done++)
        vpc_encode(&frame, out);
    free(out);
    free(content);
}

static const struct {
    const char *name;
    uint32_t payload;
    size_t piece;
    void (*read)(void *); /* one of the two is there */
    void (*work)(uint32_t, unsigned long);
} cases[] = {
    {"decode-empty", EMPTY, WHOLE, read_by_grammar, NULL},
    {"decode-empty-by-hand", EMPTY, WHOLE, read_by_hand, NULL},
    {"decode-4096", 4096, WHOLE, read_by_grammar, NULL},
    {"decode-4096-by-hand", 4096, WHOLE, read_by_hand, NULL},
    {"decode-4096-split-1400", 4096, 1400, read_by_grammar, NULL},
    {"decode-4096-split-1400-by-hand", 4096, 1400, read_by_hand, NULL},
    {"encode-empty", EMPTY, WHOLE, NULL, encode_frames},
    {"encode-4096", 4096, WHOLE, NULL, encode_frames},
    {"session-64", 64, WHOLE, NULL, send_chunks},
    {"session-4096", 4096, WHOLE, NULL, send_chunks},
    {"pairs-1", 64, WHOLE, NULL, one_pair},
    {"pairs-10000-in-turn", 64, WHOLE, NULL, many_pairs},
};

bool suite_run_case(const char *name, unsigned long frames)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strcmp(cases[i].name, name) != 0)
            continue;
        if (cases[i].read != NULL)
            discard_frames(cases[i].payload, cases[i].piece, cases[i].read, frames);
        else
            cases[i].work(cases[i].payload, frames);
        return true;
    }
    return false;
}

/* Instructions of the whole program, or a negative number. */
static double count(const char *self, const char *name, unsigned long frames)
{
    char command[4096 + 256], line[256];
    double collected = -1;
    FILE *pipe;

    snprintf(command, sizeof(command),
             "valgrind --tool=callgrind --callgrind-out-file=/dev/null '%s' --run %s %lu 2>&1",
             self, name, frames);
    pipe = popen(command, "re");
    if (pipe == NULL)
        return -1;
    while (fgets(line, sizeof(line), pipe) != NULL) {
        const char *at = strstr(line, "Collected :");

        if (at != NULL)
            collected = strtod(at + strlen("Collected :"), NULL);
    }
    return pclose(pipe) == 0 ? collected : -1;
}

json_t *suite_instructions(void)
{
    char self[4096] = "";
    json_t *rows = json_array();

    if (readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0 || strchr(self, '\'') != NULL)
        return rows;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        /* A reader takes whole streams; credit goes out with every second of the pairs' frames. */
        struct stream stream = stream_make(cases[i].payload);
        unsigned long frames =
            cases[i].read != NULL ? stream.frames * (stream.frames < 1000 ? 20u : 2u) : 20000;
        double once = count(self, cases[i].name, frames);
        double twice = once < 0 ? once : count(self, cases[i].name, frames * 2);

        free(stream.octets);
        if (twice < 0)
            break;
        json_array_append_new(rows, json_pack("{s:s, s:f}", "case", cases[i].name, "instructions",
                                              (twice - once) / (double)frames));
    }
    return rows;
}
