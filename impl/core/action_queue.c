/* SPDX-License-Identifier: MIT */
/*
 * The queue of actions.  A text lives until the next action is taken.
 *
 * An entry of the log or an answer can be lost when there is no memory; a CLOSE can not, or a stream
 * would stay for ever.  So there are places put aside, more than one call can need: for each relay,
 * when it is taken, CONNECT or HANGUP, SHUTDOWN, FREE_NAME and one end; for each forward ACCEPT, the
 * UNLISTEN of it and of the forward, and the ABORT of a client; READY, STOPPED.
 */
#include "endpoint.h"

#include <stdlib.h>
#include <string.h>

#define SPARE_PER_PAIR 4u
#define SPARE_OTHER    24u
#define SPARE_TEXT     64u /* octets: the ready event's name */

struct action_node {
    struct action_node *next;
    vpc_action action;
    bool spare;
    char text[];
};

bool vpc_reserve_actions(vpc_endpoint *ep, unsigned relays)
{
    for (; ep->spares < SPARE_PER_PAIR * relays + SPARE_OTHER; ep->spares++) {
        struct action_node *node = malloc(sizeof(*node) + SPARE_TEXT);

        if (node == NULL)
            return false;
        *node = (struct action_node){.next = ep->spare, .spare = true};
        ep->spare = node;
    }
    return true;
}

void vpc_unreserve_actions(vpc_endpoint *ep, unsigned relays)
{
    for (; ep->spares > SPARE_PER_PAIR * relays + SPARE_OTHER && ep->spare != NULL; ep->spares--) {
        struct action_node *node = ep->spare;

        ep->spare = node->next;
        free(node);
    }
}

static bool may_be_lost(uint32_t kind)
{
    return kind == VPC_ACTION_LISTEN || kind == VPC_ACTION_FORWARD || kind == VPC_ACTION_LOOK ||
           kind == VPC_ACTION_LOG || kind == VPC_ACTION_REPLY || kind == VPC_ACTION_BROADCAST;
}

static struct action_node *make_node(vpc_endpoint *ep, uint32_t kind, size_t n)
{
    struct action_node *node = malloc(sizeof(*node) + n);

    if (node != NULL) {
        node->spare = false;
    } else if (!may_be_lost(kind) && n <= SPARE_TEXT && ep->spare != NULL) {
        node = ep->spare;
        ep->spare = node->next;
    }
    return node;
}

static void free_node(vpc_endpoint *ep, struct action_node *node)
{
    if (node == NULL || !node->spare) {
        free(node);
        return;
    }
    node->next = ep->spare;
    ep->spare = node;
}

bool vpc_act(vpc_endpoint *ep, vpc_action action, const char *text)
{
    size_t n = text != NULL ? strlen(text) : 0;
    struct action_node *node;

    if (ep->stopped)
        return true; /* nothing comes after STOPPED */
    node = make_node(ep, action.kind, n + 1);
    if (node == NULL)
        return false;
    node->next = NULL;
    node->action = action;
    if (text != NULL) {
        memcpy(node->text, text, n + 1);
        node->action.text = node->text;
        node->action.text_len = n;
    }
    if (ep->last != NULL)
        ep->last->next = node;
    else
        ep->first = node;
    ep->last = node;
    return true;
}

int vpc_take_action(vpc_endpoint *ep, vpc_action *action)
{
    free_node(ep, ep->taken);
    ep->taken = ep->first;
    if (ep->taken == NULL)
        return 0;
    ep->first = ep->taken->next;
    if (ep->first == NULL)
        ep->last = NULL;
    *action = ep->taken->action;
    return 1;
}

void vpc_drop_actions(vpc_endpoint *ep)
{
    vpc_action action;

    while (vpc_take_action(ep, &action))
        ;
    while (ep->spare != NULL) {
        struct action_node *node = ep->spare;

        ep->spare = node->next;
        free(node);
    }
}

/* json_dumps() does not see each failure of its buffer to grow, and leaves octets out; here there is one request for
 * memory. */
static char *text_of(const json_t *object)
{
    size_t n = json_dumpb(object, NULL, 0, JSON_COMPACT);
    char *text = n > 0 ? malloc(n + 1) : NULL;

    if (text == NULL)
        return NULL;
    json_dumpb(object, text, n, JSON_COMPACT);
    text[n] = '\0';
    return text;
}

void vpc_act_json(vpc_endpoint *ep, uint32_t kind, uint32_t client, json_t *object)
{
    char *text = text_of(object);

    if (text != NULL)
        vpc_act(ep, (vpc_action){.kind = kind, .client = client}, text);
    free(text);
    json_decref(object);
}
