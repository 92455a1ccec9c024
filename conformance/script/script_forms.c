/* SPDX-License-Identifier: MIT */
#include "script/script_forms.h"

#include <stdio.h>
#include <string.h>

#include "memory.h"

#define DATA_KEYS "text bytes pattern from"

#define MANY 100000

const char *const vpc_vm_words[] = {"pause", "resume", "reset", "kill", "save", "restore", NULL};

static const struct vpc_form forms[] = {
    {"covers", 0, NULL, VPC_OP_COVERS, 1, MANY, "requirement ids such as FRM-3", ""},
    {"subject", 0, "idle", VPC_OP_IDLE, 0, 0, "", "share"},
    {"subject", 0, NULL, VPC_OP_SUBJECT_ROLE, 1, 2, "host or guest, then not-started or nothing",
     ""},
    {"needs", 0, NULL, VPC_OP_NEEDS, 1, MANY, "features of the implementation", ""},
    {"backends", 0, NULL, VPC_OP_BACKENDS, 1, 3, "inproc, socket or qemu, then because=\"...\"",
     "because"},
    {"descriptors", 0, NULL, VPC_OP_DESCRIPTORS, 1, 1, "how many, from 16 to 1000", ""},
    {"option", 0, NULL, VPC_OP_OPTION, 0, 0, "NAME=VALUE", "*"},
    {"repeat", 0, NULL, VPC_OP_REPEAT, 1, 1, "how often, at most 1000", "counter from step"},
    {"either", 0, NULL, VPC_OP_EITHER, 0, 1, "nothing, or non-strict", ""},
    {"or", 0, NULL, VPC_OP_OR, 0, 1, "nothing, or non-strict", ""},
    {"unordered", 0, NULL, VPC_OP_UNORDERED, 0, 0, "", ""},
    {"end", 0, NULL, VPC_OP_END, 0, 0, "", ""},
    {"session", 0, NULL, VPC_OP_SESSION, 0, 1, "nothing, or not-ready",
     "version_min version_max max_pairs tag name heartbeat_ms"},
    {"auto", 0, NULL, VPC_OP_AUTO, 2, 4, "on or off, then heartbeat, credit or released", ""},
    {"wait", 0, NULL, VPC_OP_WAIT, 1, 1, "a duration", ""},
    {"kill", 0, NULL, VPC_OP_KILL, 1, 1, "subject", ""},
    {"start", 0, NULL, VPC_OP_START, 1, 1, "subject", ""},
    {"restart", 0, NULL, VPC_OP_RESTART, 1, 1, "subject", ""},
    {"stop", 0, NULL, VPC_OP_STOP, 1, 1, "subject", ""},
    {"stopped", 0, NULL, VPC_OP_STOPPED, 1, 1, "subject", ""},
    {"refuses", 0, NULL, VPC_OP_REFUSES, 0, 0, "NAME=VALUE", "*"},
    {"clock", 0, "stop", VPC_OP_CLOCK_STOP, 0, 0, "", ""},
    {"clock", 0, "go", VPC_OP_CLOCK_GO, 0, 0, "", ""},
    {"vm", 0, NULL, VPC_OP_VM, 1, 1, VPC_VM_EXPECTED, ""},
    {"waiter", 0, "wait", VPC_OP_WAITER_WAIT, 1, 1, "a duration", ""},
    {"waiter", '<', "ready", VPC_OP_WAITER_READY, 0, 0, "", ""},
    {"waiter", '<', "timeout", VPC_OP_WAITER_TIMEOUT, 0, 0, "", ""},
    {"waiter", 0, "none", VPC_OP_WAITER_NONE, 1, 1, "ready", ""},
    {"bus", 0, "up", VPC_OP_BUS_UP, 0, 0, "", ""},
    {"bus", 0, "down", VPC_OP_BUS_DOWN, 0, 0, "", ""},
    {"bus", 0, "silent", VPC_OP_BUS_SILENT, 0, 0, "", ""},
    {"bus", 0, "pause", VPC_OP_BUS_PAUSE, 0, 0, "", ""},
    {"bus", 0, "resume", VPC_OP_BUS_RESUME, 0, 0, "", ""},
    {"bus", 0, "none", VPC_OP_BUS_NONE, 1, 1, "a message", "channel"},
    {"bus", '>', "raw", VPC_OP_BUS_RAW, 1, MANY, "octets in hexadecimal or \"text\"", ""},
    {"bus", '>', "pad", VPC_OP_BUS_PAD, 1, 1, "how many octets", ""},
    {"bus", '>', NULL, VPC_OP_BUS_SEND, 1, 1, "a message",
     DATA_KEYS " channel preamble cut frame header.magic header.type header.flags header.length "
               "seal.session seal.number"},
    {"bus", '<', NULL, VPC_OP_BUS_EXPECT, 1, 2, "a message, or hello repeated",
     DATA_KEYS " channel preamble behind"},
    {"api", '>', "raw", VPC_OP_API_RAW, 0, 1, "a line in quotes", "bytes"},
    {"api", '>', "part", VPC_OP_API_PART, 1, 1, "a part of a line in quotes", ""},
    {"api", 0, "shutdown", VPC_OP_API_SHUTDOWN, 0, 0, "", ""},
    {"api", 0, "close", VPC_OP_API_CLOSE, 0, 0, "", ""},
    {"api", 0, "pause", VPC_OP_API_PAUSE, 0, 0, "", ""},
    {"api", 0, "resume", VPC_OP_API_RESUME, 0, 0, "", ""},
    {"api", '>', NULL, VPC_OP_API_SEND, 1, 1, "a command", "*"},
    {"api", '<', "device", VPC_OP_API_DEVICE, 0, 0, "", "*"},
    {"api", '<', "no-device", VPC_OP_API_NO_DEVICE, 0, 0, "", "*"},
    {"api", '<', "return", VPC_OP_API_RETURN, 0, 0, "", "*"},
    {"api", '<', "error", VPC_OP_API_ERROR, 0, 0, "", "*"},
    {"api", 0, "none", VPC_OP_API_NONE, 0, 0, "", ""},
    {"api", '<', "greeting", VPC_OP_API_GREETING, 0, 0, "", "*"},
    {"api", '<', "eof", VPC_OP_API_EOF, 0, 0, "", ""},
    {"api", '<', NULL, VPC_OP_API_EXPECT, 1, 1, "a result such as S_OK", "*"},
    {"event", 0, "none", VPC_OP_EVENT_NONE, 1, 1, "an event's name", "*"},
    {"event", '<', NULL, VPC_OP_EVENT_EXPECT, 1, 1, "an event's name", "*"},
    {"log", 0, "none", VPC_OP_LOG_NONE, 1, 1, "an id", "*"},
    {"log", '<', NULL, VPC_OP_LOG_EXPECT, 1, 1, "an id", "*"},
    {"ready", '<', "set", VPC_OP_READY_SET, 0, 0, "", "name"},
    {"ready", '<', "reset", VPC_OP_READY_RESET, 0, 0, "", "name"},
    {"pipe", 0, "open", VPC_OP_PIPE_OPEN, 1, 1, "a pipe name", ""},
    {"pipe", 0, "refused", VPC_OP_PIPE_REFUSED, 1, 1, "a pipe name", ""},
    {"pipe", 0, "deny", VPC_OP_PIPE_DENY, 0, 0, "", ""},
    {"tcp", 0, "listen", VPC_OP_TCP_LISTEN, 1, 1, "a port", ""},
    {"tcp", 0, "unlisten", VPC_OP_TCP_UNLISTEN, 1, 1, "a port", ""},
    {"tcp", 0, "deaf", VPC_OP_TCP_DEAF, 1, 1, "a port", ""},
    {"tcp", 0, "accepted", VPC_OP_TCP_ACCEPTED, 0, 1, "a port", ""},
    {"tcp", 0, "none", VPC_OP_TCP_NONE, 1, 1, "accepted", ""},
};

/* What pipe and tcp have in common. */
static const struct vpc_form local_forms[] = {
    {"", '<', "eof", VPC_OP_LOCAL_EOF, 0, 1, "clean, or nothing", ""},
    {"", '<', "reset", VPC_OP_LOCAL_RESET_SEEN, 0, 0, "", ""},
    {"", '>', NULL, VPC_OP_LOCAL_SEND, 0, 1, "\"text\", or bytes= and pattern=", DATA_KEYS},
    {"", '<', NULL, VPC_OP_LOCAL_EXPECT, 0, 1, "\"text\", bytes= and pattern=, eof or reset",
     DATA_KEYS},
    {"", 0, "silent", VPC_OP_LOCAL_SILENT, 0, 0, "", ""},
    {"", 0, "shutdown", VPC_OP_LOCAL_SHUTDOWN, 0, 0, "", ""},
    {"", 0, "close", VPC_OP_LOCAL_CLOSE, 0, 0, "", ""},
    {"", 0, "abort", VPC_OP_LOCAL_ABORT, 0, 0, "", ""},
    {"", 0, "pause", VPC_OP_LOCAL_PAUSE, 0, 0, "", ""},
    {"", 0, "resume", VPC_OP_LOCAL_RESUME, 0, 0, "", ""},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct vpc_form *search(const struct vpc_form *table, size_t count, const char *who,
                                     const struct vpc_line *line)
{
    const char *first =
        line->arg_count && !line->args[0].key && !line->args[0].quoted ? line->args[0].value : "";

    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].who, who) == 0 && table[i].direction == line->direction &&
            (table[i].verb == NULL || strcmp(table[i].verb, first) == 0))
            return &table[i];
    return NULL;
}

const struct vpc_form *vpc_form_at(size_t index)
{
    if (index < COUNT(forms))
        return &forms[index];
    index -= COUNT(forms);
    return index < COUNT(local_forms) ? &local_forms[index] : NULL;
}

static bool is_local(const char *who)
{
    return strcmp(who, "pipe") == 0 || strcmp(who, "tcp") == 0;
}

const struct vpc_form *vpc_form_of(const struct vpc_line *line)
{
    const struct vpc_form *form = search(forms, COUNT(forms), line->who, line);

    if (form == NULL && is_local(line->who))
        form = search(local_forms, COUNT(local_forms), "", line);
    return form;
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
    char verbs[256] = "";
    size_t used = 0;
    bool local = is_local(line->who);

    *column = 1;
    if (!known_who(line->who))
        return vpc_copy(VPC_SCRIPT_WORDS);
    for (size_t i = 0; i < COUNT(forms) + COUNT(local_forms) && used < sizeof(verbs); i++) {
        const struct vpc_form *form = i < COUNT(forms) ? &forms[i] : &local_forms[i - COUNT(forms)];

        if ((strcmp(form->who, line->who) == 0 || (local && !*form->who)) &&
            form->direction == line->direction && form->verb)
            used += (size_t)snprintf(verbs + used, sizeof(verbs) - used, "%s%s", used ? ", " : "",
                                     form->verb);
    }
    *column = line->arg_count ? line->args[0].column : (int)strlen(line->who) + 1;
    return vpc_format(used ? "one of: %s" : "> or <%s", verbs);
}
