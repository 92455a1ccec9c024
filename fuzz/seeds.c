/* SPDX-License-Identifier: MIT */
/* Writes the first inputs of the target `frame`: one of each message, in each language; and a hunt. */
#include "vpcbus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void write_seed(const char *directory, const char *name, unsigned language,
                       const uint8_t *octets, size_t n)
{
    char path[4096];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s-%u", directory, name, language);
    file = fopen(path, "wbe");
    if (file == NULL || fputc((int)(language | 5u << 2), file) == EOF ||
        fwrite(octets, 1, n, file) != n || fclose(file) != 0) {
        perror(path);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static const uint8_t types[] = {VPC_HELLO,  VPC_READY,  VPC_HEARTBEAT, VPC_GOODBYE,
                                    VPC_OPEN,   VPC_OPENED, VPC_REFUSED,   VPC_DATA,
                                    VPC_CREDIT, VPC_FIN,    VPC_RESET,     VPC_RELEASED};

    if (argc != 2) {
        fprintf(stderr, "usage: seeds DIRECTORY\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof(types); i++) {
        vpc_frame frame = {.type = types[i],
                           .role = VPC_HOST,
                           .epoch = 1,
                           .reverse_channel = 2,
                           .tag = "T",
                           .name = "n",
                           .payload = (const uint8_t *)"payload",
                           .payload_len = 7,
                           .seal_session = 1,
                           .seal_number = 1};
        uint8_t octets[16 + VPC_SMALL_FRAME_MAX];
        size_t n;

        frame.channel = types[i] >= VPC_OPEN;
        memset(octets, VPC_PAD, 16);
        n = vpc_encode(&frame, octets + 16);
        for (unsigned language = 1; language <= 2; language++)
            write_seed(argv[1], vpc_message_name(types[i]), language, octets + 16, n);
        if (types[i] == VPC_HELLO)
            write_seed(argv[1], "hunt", 0, octets, 16 + n);
    }
    return 0;
}
