/* SPDX-License-Identifier: MIT */
/* The settings of section 10: names, defaults and ranges stand in one table. */
#include "endpoint.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct setting {
    const char *name;
    size_t at;
    uint32_t fallback, min, max;
    bool zero;     /* 0 is allowed too and means off */
    uint32_t role; /* whose it is; 0: both */
} settings[] = {
#define SETTING_OF(role, name, fallback, min, max, zero)                                           \
    {                                                                                              \
#name, offsetof(struct vpc_options, name), fallback, min, max, zero, role                  \
    }
#define SETTING(name, fallback, min, max, zero) SETTING_OF(0, name, fallback, min, max, zero)
    SETTING(hello_interval_ms, 1000, 10, 60000, false),
    SETTING(heartbeat_ms, 1000, 10, 60000, false),
    SETTING(heartbeat_late_ms, 3000, 20, 600000, false),
    SETTING(peer_limit_ms, 30000, 50, 3600000, true),
    SETTING(backoff_max_ms, 5000, 0, 60000, true),
    SETTING(connect_ms, 10000, 10, 600000, false),
    SETTING(drain_ms, 10000, 10, 600000, false),
    SETTING(pipe_open_ms, 30000, 10, 600000, false),
    SETTING(max_pairs, 16, 1, 16384, false),
    SETTING(window, 262144, 1, 16777216, false),
    SETTING(version_min, VPC_VERSION_1_0, 1, 65535, false),
    SETTING(version_max, VPC_VERSION_1_0, 1, 65535, false),
    SETTING_OF(VPC_ROLE_HOST, fault, 0, 0, 4095, false),
#undef SETTING
#undef SETTING_OF
};

static uint32_t *place(struct vpc_options *options, const struct setting *setting)
{
    return (uint32_t *)(void *)((char *)options + setting->at);
}

static const struct setting *find_setting(const char *name)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    return NULL;
}

/* allow_ports: text, or the number of one port. */
static bool set_ports(struct vpc_options *options, const json_t *value, char *error, size_t size)
{
    char number[24] = "";
    const char *text = json_is_string(value) ? json_string_value(value) : number;

    if (json_is_integer(value))
        snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
    if (vpc_ports_parse(&options->allow_ports, text))
        return true;
    snprintf(error, size, "option allow_ports must be ports and ranges such as 80,6000-6999");
    return false;
}

/* An option that would do nothing is refused: who sets it relies on it. */
static bool of_the_other_role(uint32_t role, uint32_t whose, const char *name, char *error,
                              size_t size)
{
    if (whose == 0 || whose == role)
        return false;
    snprintf(error, size, "option %s is for a %s endpoint only", name,
             whose == VPC_ROLE_HOST ? "host" : "guest");
    return true;
}

static bool set(struct vpc_options *options, uint32_t role, const char *name, const json_t *value,
                char *error, size_t size)
{
    const struct setting *setting = find_setting(name);
    json_int_t n = json_is_integer(value) ? json_integer_value(value) : -1;

    if (strcmp(name, "allow_ports") == 0)
        return !of_the_other_role(role, VPC_ROLE_GUEST, name, error, size) &&
               set_ports(options, value, error, size);
    if (setting == NULL) {
        snprintf(error, size, "there is no option '%s'", name);
        return false;
    }
    if (of_the_other_role(role, setting->role, name, error, size))
        return false;
    if ((n < setting->min || n > setting->max) && !(n == 0 && setting->zero)) {
        snprintf(error, size, "option %s must be a number from %u to %u%s", name, setting->min,
                 setting->max, setting->zero && setting->min > 0 ? ", or 0" : "");
        return false;
    }
    *place(options, setting) = (uint32_t)n;
    return true;
}

bool vpc_options_parse(struct vpc_options *options, uint32_t role, const char *json, char *error,
                       size_t size)
{
    json_error_t where;
    json_t *object = json_loads(json, JSON_REJECT_DUPLICATES, &where), *value;
    const char *name;
    bool good = json_is_object(object);

    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        *place(options, &settings[i]) = settings[i].fallback;
    vpc_ports_parse(&options->allow_ports, "1-65535");
    if (!good)
        snprintf(error, size, "the options are no JSON object: %s",
                 object == NULL ? where.text : json);
    json_object_foreach(object, name, value) good =
        good && set(options, role, name, value, error, size);
    if (good && options->version_min > options->version_max) {
        snprintf(error, size, "option version_min must not be higher than version_max");
        good = false;
    }
    json_decref(object);
    return good;
}
