/* SPDX-License-Identifier: MIT */
#include "script/script_forms.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- the words in which steps.def is written -------------------------------------------------------------------------- */

#define MANY          100000
#define LOCAL         ""
#define KEYS(...)     ((const char *const[]){__VA_ARGS__, NULL})
#define NO_KEYS       ((const char *const[]){NULL})
#define ANY_KEYS      NULL
#define DATA_KEYS     "text", "bytes", "pattern", "from"
#define HELLO_KEYS    "version_min", "version_max", "max_pairs", "tag", "name", "heartbeat_ms"
#define HEADER_KEYS   "header.magic", "header.type", "header.flags", "header.length"
#define FRAME_KEYS    "channel", "preamble", "cut", "frame", HEADER_KEYS, "seal.session", "seal.number"
#define HOLDS         VPC_HOLDS
#define SILENCE       (VPC_HOLDS | VPC_SILENCE)
#define TAKES_MESSAGE VPC_TAKES_MESSAGE
#define ASKS_BYTES    VPC_ASKS_BYTES

#define FORM(kind, op, name, who, direction, verb, min, max, words, keys, flags, check, meaning)   \
    {kind, who, direction, verb, VPC_OP_##op, min, max, words, keys, flags, meaning},

static const struct vpc_form forms[] = {
#define VPC_SETTING(...) FORM(VPC_KIND_SETTING, __VA_ARGS__)
#define VPC_BLOCK(...)   FORM(VPC_KIND_BLOCK, __VA_ARGS__)
#define VPC_STEP(...)    FORM(VPC_KIND_STEP, __VA_ARGS__)
#include "script/steps.def"
};

/* ---- results --------------------------------------------------------------------------------------------------------- */

struct result {
    const char *name;
    uint32_t value;
};

/* Section 8 of VPCBUS.md. */
static const struct result results[] = {
    {"S_OK", 0x00000000},
    {"E_INVALIDARG", 0x80070057},
    {"E_POINTER", 0x80004003},
    {"DISP_E_EXCEPTION", 0x80020009},
    {"ERROR_INVALID_HANDLE", 0x80070006},
    {"ERROR_OUTOFMEMORY", 0x8007000e},
    {"ERROR_NOT_READY", 0x80070015},
    {"ERROR_ALREADY_EXISTS", 0x800700b7},
    {"ERROR_PIPE_BUSY", 0x800700e7},
    {"ERROR_MAX_SESSIONS_REACHED", 0x80070161},
    {"ERROR_REVISION_MISMATCH", 0x8007051a},
    {"VM_E_VM_NOT_RUNNING", 0xa0040206},
    {"VM_E_VM_RUNNING_OR_SAVED", 0xa004020b},
    {"ERROR_CONNECTION_REFUSED", 0x800704c9},
    {"ERROR_TIMEOUT", 0x800705b4},
};

bool vpc_result_value(const char *name, uint32_t *value)
{
    for (size_t i = 0; i < COUNT(results); i++) {
        *value = results[i].value;
        if (strcmp(results[i].name, name) == 0)
            return true;
    }
    return false;
}

/* ---- looking -------------------------------------------------------------------------------------------------------------- */

static bool is_local(const char *who)
{
    return strcmp(who, "pipe") == 0 || strcmp(who, "tcp") == 0;
}

bool vpc_form_is_of(const struct vpc_form *form, const char *who)
{
    return strcmp(form->who, who) == 0 || (!*form->who && is_local(who));
}

const struct vpc_form *vpc_form_at(size_t index)
{
    return index < COUNT(forms) ? &forms[index] : NULL;
}

const struct vpc_form *vpc_form_of(const struct vpc_line *line)
{
    const char *first =
        line->arg_count && !line->args[0].key && !line->args[0].quoted ? line->args[0].value : "";

    for (size_t i = 0; i < COUNT(forms); i++)
        if (vpc_form_is_of(&forms[i], line->who) && forms[i].direction == line->direction &&
            (forms[i].verb == NULL || strcmp(forms[i].verb, first) == 0))
            return &forms[i];
    return NULL;
}

bool vpc_form_takes(const struct vpc_form *form, const char *key)
{
    if (form->keys == NULL)
        return true;
    for (size_t i = 0; form->keys[i]; i++)
        if (strcmp(form->keys[i], key) == 0)
            return true;
    return false;
}

/* ---- for people ----------------------------------------------------------------------------------------------------------- */

static void add_word(struct vpc_buffer *list, const char *word)
{
    if (vpc_buffer_size(list))
        vpc_buffer_add(list, ", ", 2);
    vpc_buffer_add(list, word, strlen(word));
}

static char *end_list(struct vpc_buffer *list)
{
    vpc_buffer_add(list, "", 1);
    return (char *)list->data;
}

char *vpc_form_keys(const struct vpc_form *form)
{
    struct vpc_buffer list = {0};

    for (size_t i = 0; form->keys && form->keys[i]; i++)
        add_word(&list, form->keys[i]);
    return end_list(&list);
}

static bool is_first(size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (forms[i].kind == forms[index].kind && strcmp(forms[i].who, forms[index].who) == 0)
            return false;
    return *forms[index].who != '\0';
}

static char *words_of(enum vpc_form_kind kind)
{
    struct vpc_buffer list = {0};

    for (size_t i = 0; i < COUNT(forms); i++)
        if (forms[i].kind == kind && is_first(i))
            add_word(&list, forms[i].who);
    return end_list(&list);
}

char *vpc_form_first_words(void)
{
    char *steps = words_of(VPC_KIND_STEP), *blocks = words_of(VPC_KIND_BLOCK),
         *settings = words_of(VPC_KIND_SETTING);
    char *all = vpc_format("a step: %s, a block: %s, or a setting: %s", steps, blocks, settings);

    free(steps);
    free(blocks);
    free(settings);
    return all;
}

static bool known_who(const char *who)
{
    for (size_t i = 0; i < COUNT(forms); i++)
        if (strcmp(forms[i].who, who) == 0)
            return true;
    return false;
}

char *vpc_form_expected(const struct vpc_line *line, int *column)
{
    struct vpc_buffer list = {0};
    char *verbs, *expected;

    *column = 1;
    if (!known_who(line->who))
        return vpc_form_first_words();
    for (size_t i = 0; i < COUNT(forms); i++)
        if (vpc_form_is_of(&forms[i], line->who) && forms[i].direction == line->direction &&
            forms[i].verb)
            add_word(&list, forms[i].verb);
    verbs = end_list(&list);
    *column = line->arg_count ? line->args[0].column : (int)strlen(line->who) + 1;
    expected = *verbs ? vpc_format("one of: %s", verbs) : vpc_copy("> or <");
    free(verbs);
    return expected;
}
