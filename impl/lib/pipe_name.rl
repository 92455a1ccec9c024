/* SPDX-License-Identifier: MIT */
/*
 * From a pipe's name to its Unix socket's name, the port's check, and where a forward listens: the grammar of spec/names.rl
 * with actions.
 *
 * A pipe name holds up to 247 characters of nearly any kind, and a socket's path 107 octets.  So letters are folded to
 * lower case (names differ by more than case), everything but [a-z0-9._-] becomes %XX, and what is still too long
 * keeps its first octets, for people, and the hash of the whole.  '~' is not in the plain set: no two kinds collide.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "file_name.h"
#include "forward_listen.h"
#include "port_list.h"
#include "vpc.h"

enum {
    CHARACTERS_MAX = 256,
};

%%{
    machine vpc_pipe_name;
    action name_octet { folded[n++] = (*p >= 'A' && *p <= 'Z') ? (char)(*p + 32) : (char)*p; }
    include "names.rl";
    write data noerror noentry;
}%%

static size_t characters(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* Writes the folded NAME of \\.\pipe\NAME; false when the name is not valid. */
static bool fold(const char *pipe, char folded[VPC_PIPE_SIZE])
{
    const unsigned char *p = (const unsigned char *)pipe;
    const unsigned char *pe = p + strnlen(pipe, VPC_PIPE_SIZE);
    size_t n = 0;
    int cs;
    if (pe - p >= (ptrdiff_t)VPC_PIPE_SIZE || characters(pipe) > CHARACTERS_MAX)
        return false;
    %% write init;
    %% write exec;
    folded[n] = '\0';
    return cs >= vpc_pipe_name_first_final;
}

int vpc_pipe_file(const char *pipe, char *buf, size_t size)
{
    char folded[VPC_PIPE_SIZE];
    char name[VPC_FILE_NAME_SIZE];
    if (!fold(pipe, folded))
        return EINVAL;
    vpc_file_name(folded, name);
    return snprintf(buf, size, "%s.sock", name) < (int)size ? 0 : ENAMETOOLONG;
}

%%{
    machine vpc_port_name;
    action port_digit { port = port * 10 + (unsigned)(*p - '0'); }
    include "names.rl";
    write data noerror noentry;
}%%

unsigned vpc_port(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    const unsigned char *pe = p + strnlen(text, 6);
    unsigned port = 0;
    int cs;
    %% write init;
    %% write exec;
    return cs >= vpc_port_name_first_final ? port : 0;
}

%%{
    machine vpc_port_list;
    action port_digit { number = number * 10 + (unsigned)(*p - '0'); }
    action range_from { from = number; number = 0; }
    action range_to {
        good = good && (from == 0 || from <= number);
        if (good)
            vpc_ports_add(ports, from ? from : number, number);
        from = number = 0;
    }
    include "names.rl";
    write data noerror noentry;
}%%

static void vpc_ports_add(struct vpc_ports *ports, unsigned from, unsigned to)
{
    for (unsigned port = from; port <= to; port++)
        ports->bits[port / 8] |= (uint8_t)(1u << port % 8);
}

bool vpc_ports_parse(struct vpc_ports *ports, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    const unsigned char *pe = p + strlen(text), *eof = pe;
    unsigned number = 0, from = 0;
    bool good = true;
    int cs;
    *ports = (struct vpc_ports){0};
    %% write init;
    %% write exec;
    return good && cs >= vpc_port_list_first_final;
}

bool vpc_ports_have(const struct vpc_ports *ports, unsigned port)
{
    return port <= UINT16_MAX && (ports->bits[port / 8] >> port % 8 & 1);
}

%%{
    machine vpc_forward_listen;
    action port_digit { number = number * 10 + (unsigned)(*p - '0'); }
    include "names.rl";
    write data noerror noentry;
}%%

static enum vpc_listen_kind kind_of(char first)
{
    switch (first) {
    case '/':
        return VPC_LISTEN_PATH;
    case '[':
        return VPC_LISTEN_IPV6;
    case '1':
        return VPC_LISTEN_IPV4;
    default:
        return VPC_LISTEN_NAME;
    }
}

enum vpc_listen_kind vpc_forward_listen(const char *text, unsigned *port)
{
    const unsigned char *p = (const unsigned char *)text;
    const unsigned char *pe = p + strnlen(text, VPC_PATH_SIZE);
    unsigned number = 0;
    int cs;
    if (pe - p >= (ptrdiff_t)VPC_PATH_SIZE)
        return VPC_LISTEN_WRONG;
    %% write init;
    %% write exec;
    *port = number;
    return cs >= vpc_forward_listen_first_final ? kind_of(*text) : VPC_LISTEN_WRONG;
}
