/* SPDX-License-Identifier: MIT */
/* Entries of the event log about what only the shell sees (LOG-1): id, name, level and message come from the
 * catalogue, as the endpoint's own do. */
#include <stdlib.h>
#include <string.h>

#include "shell_internal.h"

void vpc_shell_log(struct vpc_shell *shell, enum vpc_log_id id, json_t *fields)
{
    const struct vpc_log_kind *kind = vpc_log_kind_of(id);
    const char *source = shell->config.role == VPC_ROLE_HOST ? "host" : "guest";
    json_t *entry =
        vpc_log_entry_make(kind, kind->level, source, shell->config.vm, shell->loop.now, fields);
    json_t *event = json_pack("{s:s, s:O, s:I}", "event", "EVENT_LOGGED", "data", entry, "time",
                              (json_int_t)shell->loop.now);
    char *line = json_dumps(entry, JSON_COMPACT);
    char *broadcast = json_dumps(event, JSON_COMPACT);

    if (line != NULL)
        vpc_log_write(shell, line, strlen(line));
    if (broadcast != NULL)
        vpc_control_server_broadcast(&shell->control, broadcast, strlen(broadcast));
    free(line);
    free(broadcast);
    json_decref(entry);
    json_decref(event);
}
