/* SPDX-License-Identifier: MIT */
/* See alter.h. */
#include "alter/alter.h"

#include <stdlib.h>
#include <string.h>

#include "alter/alter_internal.h"

const char *vpc_change_name(enum vpc_change change)
{
    static const char *const names[VPC_CHANGE_COUNT] = {
        [VPC_MORE] = "+1",           [VPC_LESS] = "-1",     [VPC_SECONDS] = "in-seconds",
        [VPC_OTHER] = "other",       [VPC_EMPTY] = "empty", [VPC_RETYPED] = "retyped",
        [VPC_LEFT_OUT] = "left-out",
    };

    return names[change];
}

const struct vpc_field_at *vpc_altered_field(const struct vpc_altering *altering,
                                             enum vpc_place place)
{
    const struct vpc_field_at *at =
        altering->field < altering->fields->count ? &altering->fields->list[altering->field] : NULL;

    return at && at->place == place && at->role == altering->role ? at : NULL;
}

/* ---- what the subject says
 * ---------------------------------------------------------------------------------------- */

static void tell(struct vpc_altering *altering, const struct vpc_seen *seen, const void *text,
                 size_t n)
{
    struct vpc_seen other = *seen;

    other.text = text;
    other.size = n;
    altering->sink(altering->user, &other);
}

static void tell_octets(struct vpc_altering *altering, const struct vpc_seen *seen)
{
    struct vpc_buffer out = {0};

    vpc_alter_octets(altering, VPC_SAID_FRAME, seen->text, seen->size, &out);
    if (vpc_buffer_size(&out) > 0)
        tell(altering, seen, vpc_buffer_head(&out), vpc_buffer_size(&out));
    vpc_buffer_free(&out);
}

static void tell_line(struct vpc_altering *altering, const struct vpc_seen *seen, char *altered)
{
    if (altered)
        tell(altering, seen, altered, strlen(altered));
    else
        altering->sink(altering->user, seen);
    free(altered);
}

static void on_seen(void *user, const struct vpc_seen *seen)
{
    struct vpc_altering *altering = user;

    switch (seen->kind) {
    case VPC_SEEN_BUS_OCTETS:
        tell_octets(altering, seen);
        return;
    case VPC_SEEN_LOG:
        tell_line(altering, seen, vpc_alter_entry(altering, seen->text, seen->size));
        return;
    case VPC_SEEN_CONTROL_LINE:
        tell_line(altering, seen, vpc_alter_said_line(altering, seen->id, seen->text, seen->size));
        return;
    case VPC_SEEN_BUS_UP:
    case VPC_SEEN_BUS_GAP:
        vpc_alter_begin_bus(altering);
        break;
    default:
        break;
    }
    altering->sink(altering->user, seen);
}

/* ---- what it hears
 * ------------------------------------------------------------------------------------------------ */

static void send_altered(struct vpc_backend *backend, const void *octets, size_t n)
{
    struct vpc_altering *altering = backend->altering;
    struct vpc_buffer out = {0};

    vpc_alter_octets(altering, VPC_HEARD_FRAME, octets, n, &out);
    if (vpc_buffer_size(&out) > 0)
        altering->inner->bus_send(backend, vpc_buffer_head(&out), vpc_buffer_size(&out));
    vpc_buffer_free(&out);
}

static void ask_altered(struct vpc_backend *backend, int client, const char *line, size_t n)
{
    struct vpc_altering *altering = backend->altering;
    char *altered = vpc_alter_request(altering, client, line, n);

    altering->inner->control_line(backend, client, altered ? altered : line,
                                  altered ? strlen(altered) : n);
    free(altered);
}

/* ---- settings
 * -----------------------------------------------------------------------------------------------------
 * */

static void note_setting(struct vpc_altering *altering, const char *name)
{
    size_t field =
        vpc_fields_find(altering->fields, VPC_HEARD_SETTING, altering->role, "setting", name);

    if (altering->seen && field < altering->fields->count)
        altering->seen[field] |= 1u << VPC_MORE | 1u << VPC_LESS;
}

static bool is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == '\0';
}

static char *shifted(const char *value, enum vpc_change change)
{
    long long number = atoll(value);

    return vpc_format("%lld", change == VPC_LESS ? number - 1 : number + 1);
}

/* A setting that is given is heard wrong; one that is not has another default. */
static void alter_settings(struct vpc_altering *altering, const struct vpc_backend_config *config)
{
    const struct vpc_field_at *at = vpc_altered_field(altering, VPC_HEARD_SETTING);
    const struct vpc_setting *known = at ? vpc_spec_setting(altering->spec, at->name) : NULL;
    bool given = false;

    altering->settings = vpc_alloc((config->option_count + 1) * sizeof(*altering->settings));
    for (size_t i = 0; i < config->option_count; i++) {
        struct vpc_arg *one = &altering->settings[i];

        *one = config->options[i];
        note_setting(altering, one->key);
        one->value = at && strcmp(at->name, one->key) == 0 && is_number(one->value)
                         ? shifted(one->value, altering->change)
                         : vpc_copy(one->value);
        given |= at && strcmp(at->name, one->key) == 0;
    }
    altering->setting_count = config->option_count;
    if (known == NULL || given)
        return;
    altering->settings[altering->setting_count++] =
        (struct vpc_arg){.key = known->name,
                         .value = vpc_format("%lld", (long long)known->value +
                                                         (altering->change == VPC_LESS ? -1 : 1))};
}

static bool refuses_altered(struct vpc_backend *backend, const struct vpc_arg *option,
                            bool *refused, char **error)
{
    struct vpc_altering *altering = backend->altering;
    const struct vpc_field_at *at = vpc_altered_field(altering, VPC_HEARD_SETTING);
    struct vpc_arg other = *option;
    char *value = NULL;
    bool good;

    if (at && strcmp(at->name, option->key) == 0 && is_number(option->value))
        other.value = value = shifted(option->value, altering->change);
    good = altering->inner->refuses(backend, &other, refused, error);
    free(value);
    return good;
}

/* ---- the whole
 * ---------------------------------------------------------------------------------------------------- */

struct vpc_backend *vpc_altered_create(struct vpc_altering *altering,
                                       const struct vpc_backend_ops *ops,
                                       const struct vpc_backend_config *config, char **error)
{
    struct vpc_backend_config other = *config;
    struct vpc_backend *backend;

    altering->role = (enum vpc_role_bit)config->implementation->role;
    altering->sink = config->sink;
    altering->user = config->user;
    altering->commands = json_object();
    for (size_t i = 0; altering->seen && i < altering->spec->setting_count; i++)
        note_setting(altering, altering->spec->settings[i].name);
    alter_settings(altering, config);
    vpc_alter_begin_bus(altering);
    other.sink = on_seen;
    other.user = altering;
    other.options = altering->settings;
    other.option_count = altering->setting_count;
    backend = ops->create(&other, error);
    if (backend == NULL)
        return NULL;
    altering->inner = backend->ops;
    altering->ops = *backend->ops;
    altering->ops.bus_send = send_altered;
    altering->ops.control_line = ask_altered;
    altering->ops.refuses = refuses_altered;
    backend->altering = altering;
    backend->ops = &altering->ops;
    return backend;
}

void vpc_altering_end(struct vpc_altering *altering)
{
    for (size_t i = 0; i < altering->setting_count; i++)
        free(altering->settings[i].value);
    free(altering->settings);
    vpc_alter_end_bus(altering);
    json_decref(altering->commands);
    altering->settings = NULL;
    altering->setting_count = 0;
    altering->commands = NULL;
}
