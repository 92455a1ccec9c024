/* SPDX-License-Identifier: MIT */
#include "log_entry.h"

static const struct vpc_log_kind kinds[VPC_LOG_KIND_COUNT] = {VPC_LOG_KINDS};

const struct vpc_log_kind *vpc_log_kind_of(uint32_t id)
{
    for (size_t i = 0; i < VPC_LOG_KIND_COUNT; i++)
        if ((uint32_t)kinds[i].id == id)
            return &kinds[i];
    return NULL;
}

size_t vpc_log_kind_index(const struct vpc_log_kind *kind)
{
    return (size_t)(kind - kinds);
}

const struct vpc_log_kind *vpc_log_kind_at(size_t index)
{
    return &kinds[index];
}

json_t *vpc_log_entry_make(const struct vpc_log_kind *kind, const char *level, const char *source,
                           const char *vm, uint64_t now_ms, json_t *fields)
{
    json_t *entry = json_pack("{s:I, s:i, s:s, s:s, s:s, s:s, s:s}", "time", (json_int_t)now_ms,
                              "id", kind->id, "name", kind->name, "level", level, "source", source,
                              "vm", vm, "message", kind->message);

    if (entry != NULL && fields != NULL)
        json_object_update(entry, fields);
    json_decref(fields);
    return entry;
}
