/* SPDX-License-Identifier: MIT */
#include "channel.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "talk.h"
#include "vpc.h"

enum {
    FIRST_PAUSE_MS = 100,
    LONGEST_PAUSE_MS = 5000,
    START_LIMIT_MS = 60000,
    PIPE_SIZE = 128,
};

static void pause_ms(int64_t ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&pause, NULL);
}

/* Results after which the same call may do better a little later. */
static bool passes(const struct channel_goal *goal, vpc_hresult result)
{
    switch (result) {
    case VPC_ERROR_NOT_READY:
    case VPC_ERROR_PIPE_BUSY:
    case VPC_ERROR_ALREADY_EXISTS:
    case VPC_ERROR_MAX_SESSIONS_REACHED:
    case VPC_ERROR_FILE_NOT_FOUND:
    case VPC_ERROR_INVALID_HANDLE:
    case VPC_VM_E_VM_NOT_RUNNING:
        return true;
    case VPC_ERROR_CONNECTION_REFUSED:
        return goal->patient;
    default:
        return false;
    }
}

static vpc_hresult start(const struct channel_goal *goal, const char *pipe, int64_t limit_ms,
                         char *why)
{
    vpc_virtual_machine *vm;
    vpc_hresult result = vpc_find_virtual_machine(goal->runtime_dir, goal->vm, &vm);

    if (result != VPC_S_OK) {
        snprintf(why, CHANNEL_WHY_SIZE, "no host endpoint: %s", vpc_hresult_name(result));
        return result;
    }
    vpc_set_time_limit(vm, limit_ms < START_LIMIT_MS ? limit_ms : START_LIMIT_MS);
    result = vpc_start_communication_channel(vm, VPC_ENDPOINT_NAMED_PIPE, pipe, VPC_ENDPOINT_TCPIP,
                                             goal->port, NULL);
    if (result == VPC_ERROR_CONNECTION_REFUSED)
        snprintf(why, CHANNEL_WHY_SIZE, "nothing listens on port %s of the guest's 127.0.0.1",
                 goal->port);
    else if (result != VPC_S_OK)
        snprintf(why, CHANNEL_WHY_SIZE, "no channel to port %s: %s: %s", goal->port,
                 vpc_hresult_name(result), vpc_last_error(vm));
    vpc_release_virtual_machine(vm);
    return result;
}

static vpc_hresult once(const struct channel_goal *goal, const char *pipe, int64_t end, char *why)
{
    vpc_progress progress;
    int64_t left = end - talk_now_ms();

    if (left < 0)
        left = 0;
    vpc_hresult result =
        vpc_wait_channel_ready(goal->runtime_dir, goal->vm, left, &progress, NULL, NULL);
    if (result != VPC_S_OK) {
        snprintf(why, CHANNEL_WHY_SIZE, "not ready: %s",
                 result == VPC_ERROR_TIMEOUT ? progress.missing : vpc_hresult_name(result));
        return result;
    }
    left = end - talk_now_ms();
    return start(goal, pipe, left > 1000 ? left : 1000, why);
}

int channel_open(const struct channel_goal *goal, char why[CHANNEL_WHY_SIZE])
{
    int64_t end = talk_now_ms() + goal->limit_ms, wait = FIRST_PAUSE_MS;
    char pipe[PIPE_SIZE];
    vpc_hresult result;
    int fd;

    /* A name of this call alone: the pipe of the last one may still run down. */
    snprintf(pipe, sizeof(pipe), "\\\\.\\pipe\\%s-%d-%llx", goal->program, (int)getpid(),
             (unsigned long long)talk_now_ms());
    while ((result = once(goal, pipe, end, why)) != VPC_S_OK) {
        if (!passes(goal, result) || talk_now_ms() + wait > end)
            return -1;
        pause_ms(wait);
        wait = wait * 2 < LONGEST_PAUSE_MS ? wait * 2 : LONGEST_PAUSE_MS;
    }
    int error = vpc_pipe_connect(goal->runtime_dir, pipe, &fd);
    if (error == 0)
        return fd;
    snprintf(why, CHANNEL_WHY_SIZE, "the pipe %s can not be opened: %s", pipe, strerror(error));
    return -1;
}
