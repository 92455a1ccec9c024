/* SPDX-License-Identifier: MIT */
/*
 * The tester as it was: what a peer goes back to when its virtual machine is restored.
 *
 * That is its numbers, random ones too (struct vpc_peer), and its channels.  What does not go back is what the tester is as a
 * judge: the decoder, which must stay where the subject's stream is, and the frames that steps have not taken.
 */
#include <stdlib.h>

#include "testers/tester.h"

struct vpc_tester_kept {
    struct vpc_peer peer;
    struct vpc_channel *channels[VPC_CHANNEL_LISTS];
};

static struct vpc_channel *copy_list(const struct vpc_channel *from)
{
    struct vpc_channel *first = NULL, **last = &first;

    for (; from; from = from->next) {
        struct vpc_channel *channel = vpc_alloc(sizeof(*channel));

        *channel = *from;
        channel->next = NULL;
        channel->waiting = (struct vpc_buffer){0};
        vpc_buffer_add(&channel->waiting, vpc_buffer_head(&from->waiting),
                       vpc_buffer_size(&from->waiting));
        *last = channel;
        last = &channel->next;
    }
    return first;
}

static void copy_channels(struct vpc_channel **to, struct vpc_channel *const *from)
{
    for (size_t i = 0; i < VPC_CHANNEL_LISTS; i++)
        to[i] = copy_list(from[i]);
}

struct vpc_tester_kept *vpc_tester_keep(const struct vpc_tester *tester)
{
    struct vpc_tester_kept *kept = vpc_alloc(sizeof(*kept));

    kept->peer = tester->peer;
    copy_channels(kept->channels, tester->channels);
    return kept;
}

void vpc_tester_go_back(struct vpc_tester *tester, const struct vpc_tester_kept *kept)
{
    vpc_channels_free(tester->channels);
    copy_channels(tester->channels, kept->channels);
    tester->peer = kept->peer;
}

void vpc_tester_kept_free(struct vpc_tester_kept *kept)
{
    if (kept)
        vpc_channels_free(kept->channels);
    free(kept);
}
