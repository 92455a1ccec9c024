/* SPDX-License-Identifier: MIT */
/* Entries of the event log about what only the shell sees (LOG-1): id, name, level and message come from the
 * catalogue, as the endpoint's own do. */
#include <stdlib.h>
#include <string.h>

#include "shell_internal.h"

static const struct vpc_log_kind kinds[] = {VPC_LOG_KINDS};

static json_t *make_entry(const vpc_shell *shell, enum vpc_log_id id, json_t *fields)
{
    const struct vpc_log_kind *kind = kinds;
    while (kind->id != (int)id)
        kind++;
    json_t *entry =
        json_pack("{s:I, s:i, s:s, s:s, s:s, s:s, s:s}", "time", (json_int_t)shell->loop.now, "id",
                  kind->id, "name", kind->name, "level", kind->level, "source",
                  shell->config.role == VPC_ROLE_HOST ? "host" : "guest", "vm", shell->config.vm,
                  "message", kind->message);
    if (entry && fields)
        json_object_update(entry, fields);
    json_decref(fields);
    return entry;
}

void vpc_shell_log(vpc_shell *shell, enum vpc_log_id id, json_t *fields)
{
    json_t *entry = make_entry(shell, id, fields);
    json_t *event = json_pack("{s:s, s:O, s:I}", "event", "EVENT_LOGGED", "data", entry, "time",
                              (json_int_t)shell->loop.now);
    char *line = json_dumps(entry, JSON_COMPACT);
    char *broadcast = json_dumps(event, JSON_COMPACT);
    if (line)
        vpc_log_write(shell, line, strlen(line));
    if (broadcast)
        vpc_control_broadcast(&shell->control, broadcast, strlen(broadcast));
    free(line);
    free(broadcast);
    json_decref(entry);
    json_decref(event);
}
