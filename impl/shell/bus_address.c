/* SPDX-License-Identifier: MIT */
#include "bus_address.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

static const char vsock_form[] = "it is vsock:CID:PORT, both numbers in decimal";
static const char vsock_listen_form[] =
    "it is vsock-listen:PORT or vsock-listen:CID:PORT, both numbers in decimal";
static const char reserved[] = "CID and PORT are 0 to 4294967294";

enum number {
    NUMBER_GOOD,
    NUMBER_NONE,
    NUMBER_TOO_LARGE,
};

/* Digits alone, and no zero before others: there is one way to write a number.  *at is put behind it. */
static enum number take_number(const char **at, uint32_t *number)
{
    const char *begin = *at;
    uint64_t value = 0;

    for (; **at >= '0' && **at <= '9'; ++*at)
        if (value <= UINT32_MAX)
            value = value * 10 + (uint64_t)(**at - '0');
    if (*at == begin || (*begin == '0' && *at - begin > 1))
        return NUMBER_NONE;
    *number = (uint32_t)value;
    return value < UINT32_MAX ? NUMBER_GOOD : NUMBER_TOO_LARGE; /* the highest means "any" */
}

/* One number, or two with a colon between them; how many, 0: what is wrong is put to *wrong. */
static int take_numbers(const char *text, uint32_t numbers[2], const char *form, const char **wrong)
{
    for (int count = 0; count < 2; text++) {
        enum number got = take_number(&text, &numbers[count]);

        *wrong = got == NUMBER_TOO_LARGE ? reserved : form;
        if (got != NUMBER_GOOD)
            return 0;
        count++;
        if (!*text)
            return count;
        if (*text != ':')
            return 0;
    }
    *wrong = form; /* a third */
    return 0;
}

static const char *parse_vsock(const char *text, struct vpc_bus_address *address)
{
    uint32_t numbers[2];
    const char *wrong;
    int count = take_numbers(text, numbers, vsock_form, &wrong);

    if (count != 2)
        return count == 0 ? wrong : vsock_form;
    address->kind = VPC_BUS_VSOCK;
    address->cid = numbers[0];
    address->port = numbers[1];
    return NULL;
}

static const char *parse_vsock_listen(const char *text, struct vpc_bus_address *address)
{
    uint32_t numbers[2];
    const char *wrong;
    int count = take_numbers(text, numbers, vsock_listen_form, &wrong);

    if (count == 0)
        return wrong;
    address->kind = VPC_BUS_VSOCK_LISTEN;
    address->cid = count == 2 ? numbers[0] : VPC_CID_ANY;
    address->port = numbers[count - 1];
    return NULL;
}

static const char *parse_path(struct vpc_bus_address *address, enum vpc_bus_kind kind,
                              const char *path)
{
    address->kind = kind;
    address->path = path;
    return *path ? NULL : "its path is empty";
}

/* Whether text begins with the word; *rest is what follows. */
static bool begins(const char *text, const char *word, const char **rest)
{
    size_t n = strlen(word);

    *rest = text + n;
    return strncmp(text, word, n) == 0;
}

const char *vpc_bus_address_parse(const char *text, struct vpc_bus_address *address)
{
    struct stat st;
    const char *rest;

    *address = (struct vpc_bus_address){.path = text, .cid = VPC_CID_ANY};
    if (begins(text, "unix:", &rest))
        return parse_path(address, VPC_BUS_CONNECT, rest);
    if (begins(text, "listen:", &rest))
        return parse_path(address, VPC_BUS_LISTEN, rest);
    if (begins(text, "vsock:", &rest))
        return parse_vsock(rest, address);
    if (begins(text, "vsock-listen:", &rest))
        return parse_vsock_listen(rest, address);
    if (strncmp(text, "/dev/", 5) == 0 || (stat(text, &st) == 0 && S_ISCHR(st.st_mode)))
        return parse_path(address, VPC_BUS_PORT, text);
    return parse_path(address, VPC_BUS_CONNECT, text);
}
