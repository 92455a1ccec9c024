/* SPDX-License-Identifier: MIT */
/*
 * The start sequence of a communication channel, as a program on the host does it.  In the guest a
 * server must listen on TCP port 6174; this program sends it a greeting and prints what it answers.
 *
 *     hello_channel VM
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vpc.h"

#define PIPE "\\\\.\\pipe\\mynamedpipe"
#define PORT "6174"

enum {
    READY_LIMIT_MS = 60000,
};

static int failed(const char *what, vpc_hresult result)
{
    fprintf(stderr, "hello_channel: %s: %s (0x%08X)\n", what, vpc_hresult_name(result), result);
    return 1;
}

/* The channel can be started when the event of the virtual machine's tag is set. */
static vpc_hresult wait_until_ready(const char *name)
{
    enum vpc_level level;
    vpc_hresult result = vpc_wait_channel_ready(NULL, name, READY_LIMIT_MS, &level);
    if (result != VPC_S_OK)
        fprintf(stderr, "hello_channel: %s is not ready: %s\n", name, vpc_level_missing(level));
    return result;
}

/* Says the greeting, finishes writing, and prints the answer to its end. */
static int talk(int fd)
{
    static const char greeting[] = "Hello World!\n";
    char answer[4096];
    ssize_t n;
    if (write(fd, greeting, sizeof(greeting) - 1) != (ssize_t)sizeof(greeting) - 1)
        return 1;
    shutdown(fd, SHUT_WR);
    while ((n = read(fd, answer, sizeof(answer))) > 0)
        fwrite(answer, 1, (size_t)n, stdout);
    return n < 0;
}

int main(int argc, char **argv)
{
    vpc_virtual_machine *vm;
    vpc_channel_info channel;
    char tag[VPC_TAG_SIZE];
    int fd;
    if (argc != 2)
        return fputs("usage: hello_channel VM\n", stderr) < 0 ? 1 : 2;

    /* The virtual machine, its tag, and the ready event that bears the tag's name. */
    vpc_hresult result = wait_until_ready(argv[1]);
    if (result == VPC_S_OK)
        result = vpc_find_virtual_machine(NULL, argv[1], &vm);
    if (result != VPC_S_OK)
        return failed(argv[1], result);
    if (vpc_chassis_asset_tag(vm, tag) == VPC_S_OK)
        printf("The virtual machine %s has the chassis asset tag %s.\n", argv[1], tag);

    /* The pipe here, the server's port there. */
    result = vpc_start_communication_channel(vm, VPC_ENDPOINT_NAMED_PIPE, PIPE, VPC_ENDPOINT_TCPIP,
                                             PORT, &channel);
    if (result != VPC_S_OK) {
        fprintf(stderr, "hello_channel: %s\n", vpc_last_error(vm));
        vpc_release_virtual_machine(vm);
        return failed("StartCommunicationChannel", result);
    }
    printf("%s is joined with port %u in the guest, over the channels %u and %u.\n", PIPE,
           channel.port, channel.h2g, channel.g2h);
    vpc_release_virtual_machine(vm);

    /* The pipe has one client: this one.  Closing it ends the communication channel. */
    int error = vpc_pipe_connect(NULL, PIPE, &fd);
    if (error) {
        fprintf(stderr, "hello_channel: %s: %s\n", PIPE, strerror(error));
        return 1;
    }
    int status = talk(fd);
    close(fd);
    return status;
}
