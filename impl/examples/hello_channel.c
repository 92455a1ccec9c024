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
    END_LIMIT_MS = 15000, /* a channel may drain for a while */
};

static int failed(const char *what, vpc_hresult result)
{
    fprintf(stderr, "hello_channel: %s: %s (0x%08X)\n", what, vpc_hresult_name(result), result);
    return 1;
}

/* The channel can be started when the event of the virtual machine's tag is set. */
static vpc_hresult wait_until_ready(const char *name)
{
    vpc_progress progress;
    vpc_hresult result = vpc_wait_channel_ready(NULL, name, READY_LIMIT_MS, &progress, NULL, NULL);

    if (result != VPC_S_OK)
        fprintf(stderr, "hello_channel: %s is not ready: %s\n", name, progress.missing);
    return result;
}

/* Says the greeting, finishes writing, and prints the answer to its end. */
static int talk(int fd)
{
    static const char greeting[] = "Hello World!\n";
    char answer[4096];
    ssize_t n;

    /* MSG_NOSIGNAL: a channel that has ended is an error here, not the end of this program. */
    if (send(fd, greeting, sizeof(greeting) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(greeting) - 1) {
        perror("hello_channel: the greeting was not sent");
        return 1;
    }
    shutdown(fd, SHUT_WR);
    while ((n = read(fd, answer, sizeof(answer))) > 0)
        fwrite(answer, 1, (size_t)n, stdout);
    if (n < 0)
        perror("hello_channel: the answer was not read");
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("hello_channel: the answer was not printed");
        return 1;
    }
    return n < 0;
}

static vpc_hresult start_channel(vpc_virtual_machine *vm, vpc_channel_info *channel)
{
    char tag[VPC_TAG_SIZE];

    if (vpc_chassis_asset_tag(vm, tag) == VPC_S_OK)
        printf("The virtual machine has the chassis asset tag %s.\n", tag);
    vpc_hresult result = vpc_start_communication_channel(vm, VPC_ENDPOINT_NAMED_PIPE, PIPE,
                                                         VPC_ENDPOINT_TCPIP, PORT, channel);
    if (result == VPC_S_OK)
        printf("%s is joined with port %u in the guest, over the channels %u and %u.\n", PIPE,
               channel->port, channel->h2g, channel->g2h);
    else
        fprintf(stderr, "hello_channel: %s\n", vpc_last_error(vm));
    return result;
}

/* The end of the file does not say that the whole answer has come: the channel's end does. */
static int ended_well(vpc_virtual_machine *vm, const vpc_channel_info *channel)
{
    vpc_channel_ending ending;

    if (vpc_wait_channel_end(vm, channel, END_LIMIT_MS, &ending) != VPC_S_OK)
        fprintf(stderr, "hello_channel: how it ended is not known: %s\n", vpc_last_error(vm));
    else if (!ending.in_order)
        fprintf(stderr, "hello_channel: the channel was broken off: %s\n", ending.cause);
    return ending.in_order ? 0 : 1;
}

static int use_channel(vpc_virtual_machine *vm)
{
    vpc_channel_info channel;
    int fd;

    /* 4. The pipe here is joined with the server's port there; 5. and 6. happen in the guest. */
    vpc_hresult result = start_channel(vm, &channel);
    if (result != VPC_S_OK)
        return failed("StartCommunicationChannel", result);

    /* 7. The pipe has one client: this program. */
    int error = vpc_pipe_connect(NULL, PIPE, &fd);
    if (error) {
        fprintf(stderr, "hello_channel: %s: %s\n", PIPE, strerror(error));
        return 1;
    }
    int status = talk(fd);

    /* 8. This ends the communication channel. */
    close(fd);
    return status ? status : ended_well(vm, &channel);
}

int main(int argc, char **argv)
{
    vpc_virtual_machine *vm;

    if (argc != 2)
        return fputs("usage: hello_channel VM\n", stderr) < 0 ? 1 : 2;

    /* 1. A server listens in the guest.  2. and 3. The virtual machine is found by its name, and its
     * ready event by its tag; the library does both, also before they are there. */
    vpc_hresult result = wait_until_ready(argv[1]);
    if (result != VPC_S_OK)
        return failed("the ready event", result);
    result = vpc_find_virtual_machine(NULL, argv[1], &vm);
    if (result != VPC_S_OK)
        return failed("the virtual machine", result);
    int status = use_channel(vm);
    vpc_release_virtual_machine(vm);
    return status;
}
