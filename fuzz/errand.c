/* SPDX-License-Identifier: MIT */
/*
 * What an endpoint that was taken over may ask of its opener.
 *
 * Input   errands.  An octet, its high bit: a message as it is, of any length; else the wish, a number, a text's length and
 *         the text, each in its place.  Those of a host are carried out, in a folder that is there for it alone.
 * Goal    What is no errand is never carried out.  What is one makes files in that folder alone, in those parts of it that
 *         are meant for them, and at the end of the endpoint its sockets and locks are gone.
 */
#include "acts.h"
#include "input.h"
#include "vpc_endpoint.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char root[64], control[96], log_path[96], trace_path[96], nobody[96];

static void require(int condition)
{
    if (!condition)
        abort();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void clear(void)
{
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void begin(void)
{
    if (*root)
        return;
    snprintf(root, sizeof(root), "/tmp/fuzz-errand.XXXXXX");
    require(mkdtemp(root) != NULL && vpc_runtime_dir_make(root) == 0);
    snprintf(control, sizeof(control), "%s/vms/vm.sock", root);
    snprintf(log_path, sizeof(log_path), "%s/log/vm.jsonl", root);
    snprintf(trace_path, sizeof(trace_path), "%s/log/vm.pcapng", root);
    snprintf(nobody, sizeof(nobody), "%s/nobody", root);
    atexit(clear);
}

static unsigned files_in(const char *folder)
{
    char path[128];
    unsigned n = 0;

    snprintf(path, sizeof(path), "%s/%s", root, folder);
    DIR *dir = opendir(path);
    require(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* The next message to *errand; how long it is. */
static size_t next(struct fuzz_input *input, struct vpc_errand *errand)
{
    const uint8_t *octets;
    unsigned first = fuzz_octet(input);
    size_t n;

    memset(errand, 0, sizeof(*errand));
    if (first & 0x80) {
        n = fuzz_octets(input, sizeof(*errand), &octets);
        memcpy(errand, octets, n);
        return n - n % (1 + (first & 3));
    }
    errand->wish = first;
    errand->number = (uint32_t)fuzz_number(input);
    n = fuzz_octets(input, fuzz_octet(input) * 4u, &octets);
    memcpy(errand->text, octets, n);
    return sizeof(*errand);
}

static void carry_out(struct vpc_acts *acts, const struct vpc_errand *errand)
{
    struct vpc_answer answer;
    int fd;

    vpc_acts_do(acts, errand, &answer, &fd);
    require(answer.error >= 0 && memchr(answer.text, '\0', sizeof(answer.text)) != NULL);
    int good = answer.error == 0 || answer.error == EINPROGRESS;
    require(fd < 0 || (good && vpc_errand_gives(errand) != VPC_GIFT_NONE));
    if (fd >= 0)
        close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, data + size};
    struct vpc_acts acts;
    struct vpc_errand errand;

    begin();
    const struct vpc_acts_config config = {
        .program = "fuzz",
        .vm = "vm",
        .role = VPC_ROLE_HOST,
        .bus = {.kind = VPC_BUS_CONNECT, .path = nobody},
        .runtime_dir = root,
        .control_path = control,
        .journal = nobody,
        .manager = nobody,
        .changing = {.log_path = log_path, .trace_path = trace_path},
    };
    require(vpc_acts_open(&acts, &config) == 0);
    while (input.at < input.end) {
        size_t n = next(&input, &errand);

        vpc_errand_is_legal(&errand, n, VPC_ROLE_GUEST);
        if (vpc_errand_is_legal(&errand, n, VPC_ROLE_HOST))
            carry_out(&acts, &errand);
    }
    vpc_acts_close(&acts);
    require(files_in("pipes") == 0 && files_in("vms") == 0 && files_in("log") <= 6);
    require(files_in("") == 4);
    return 0;
}
