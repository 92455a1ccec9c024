/* SPDX-License-Identifier: MIT */
/* The queue of actions.  A text lives until the next action is taken. */
#include "endpoint.h"

#include <stdlib.h>
#include <string.h>

struct action_node {
    struct action_node *next;
    vpc_action action;
    char text[];
};

void vpc_act(vpc_endpoint *ep, vpc_action action, const char *text)
{
    size_t n = text != NULL ? strlen(text) : 0;
    struct action_node *node = malloc(sizeof(*node) + n + 1);

    if (node == NULL)
        return;
    *node = (struct action_node){.action = action};
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
}

int vpc_take_action(vpc_endpoint *ep, vpc_action *action)
{
    free(ep->taken);
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
}

void vpc_act_json(vpc_endpoint *ep, uint32_t kind, uint32_t client, json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);

    if (text != NULL)
        vpc_act(ep, (vpc_action){.kind = kind, .client = client}, text);
    free(text);
    json_decref(object);
}
