/* SPDX-License-Identifier: MIT */
/*
 * The file of a trace, as spec/TRACE.md describes it: pcapng, each block written by one call and nothing kept
 * back, so that whoever reads along sees whole packets, and nothing is lost when the program ends.
 *
 * Conventions: functions return 0 or an errno; a failed file stays open until it is closed.  Strings given at
 * opening are the caller's and must live as long as the file.
 */
#ifndef VPC_PCAPNG_H
#define VPC_PCAPNG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vpc.h"

enum vpc_packet_direction {
    VPC_PACKET_NEITHER = 0,
    VPC_PACKET_INBOUND = 1,
    VPC_PACKET_OUTBOUND = 2,
};

struct vpc_packet {
    enum vpc_packet_direction direction;
    uint64_t time_ns;    /* since 1970 */
    const void *octets;  /* what is kept of it */
    size_t kept;         /* octets of that */
    size_t whole;        /* octets that there were */
    const char *comment; /* NULL: none */
    size_t comment_len;  /* octets, without a NUL; what is beyond VPC_COMMENT_MAX is left out */
};

enum {
    VPC_COMMENT_MAX = 32768,
};

struct vpc_opener;

struct vpc_pcapng {
    int fd;                         /* -1: closed */
    const struct vpc_opener *asked; /* who opens it, and turns it over */
    char path[VPC_FILE_SIZE];       /* for messages */
    const char *program, *interface, *description;
    uint64_t limit; /* octets; 0: none */
    off_t size;
};

/* Opens the file, or makes it with mode 0600, and begins a section.  A file that is there already is
 * continued: EEXIST when it is something else than pcapng, or no regular file. */
int vpc_pcapng_open(struct vpc_pcapng *file);
/* Whether an open file may be written to: 0, EEXIST, or an errno. */
int vpc_pcapng_look(int fd);
void vpc_pcapng_close(struct vpc_pcapng *file);

/*
 * Writes one packet.  When the file would grow over its limit it is renamed to PATH.1 first, in place of an
 * older one, and a new file begins.  What was written of a packet that does not fit on the disk is taken
 * back.
 */
int vpc_pcapng_write(struct vpc_pcapng *file, const struct vpc_packet *packet);

#endif
