/* SPDX-License-Identifier: MIT */
/* One entry of a host's event log against the catalogue (LOG-1, LOG-2, LOG-7). */
#include <criterion/criterion.h>
#include <string.h>

#include "document/entry.h"

TestSuite(entry, .timeout = 20);

#define COMMON(id, name, message)                                                                  \
    "{\"time\": 1, \"id\": " #id ", \"name\": \"" name "\", \"level\": \"info\", \"vm\": \"vm\", " \
    "\"message\": \"" message "\", "
#define OPENED  COMMON(1020, "CHANNEL_OPENED", "A communication channel is open.")
#define OF_HOST "\"source\": \"host\", \"pipe\": \"p\", \"h2g\": 1, \"g2h\": 2, "
#define FAILED  COMMON(1004, "START_FAILED", "!") "\"source\": \"host\", "
#define RELAYED "\"source\": \"guest\", \"guest_time\": 7, \"h2g\": 1, "

static const struct {
    const char *entry, *breach;
} entries[] = {
    {OPENED OF_HOST "\"port\": 80}", NULL},
    {OPENED OF_HOST "\"port\": \"80\"}", "LOG-1"},
    {OPENED OF_HOST "\"port\": 80.0}", "LOG-1"},
    {OPENED OF_HOST "\"port\": true}", "LOG-1"},
    {OPENED "\"source\": \"host\", \"pipe\": 1, \"port\": 80}", "LOG-1"},
    {OPENED "\"source\": \"host\", \"pipe\": null, \"port\": 80}", "LOG-1"},
    {OPENED OF_HOST "\"port\": 80, \"errno\": 1}", "LOG-1"},
    {OPENED "\"source\": \"host\", \"pipe\": \"p\"}", "LOG-2"},
    {FAILED "\"port\": \"no port\", \"cause\": \"x\"}", NULL},
    {FAILED "\"port\": 80, \"cause\": \"x\"}", NULL},
    {FAILED "\"port\": null, \"cause\": \"x\"}", "LOG-1"},
    {FAILED "\"cause\": 1}", "LOG-1"},
    {COMMON(1020, "CHANNEL_OPENED", "!") OF_HOST "\"port\": 80}", NULL},
    {OPENED RELAYED "\"g2h\": 2}", NULL},
    {OPENED RELAYED "\"g2h\": \"2\"}", "LOG-1"},
    {COMMON(1020, "CHANNEL_OPENED", "!") RELAYED "\"g2h\": 2}", "LOG-7"},
};

Test(entry, is_as_the_catalogue_says)
{
    json_t *catalogue = vpc_catalogue_load();

    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        json_t *entry = json_loads(entries[i].entry, 0, NULL);
        char text[200] = "";
        const char *breach =
            vpc_entry_breach(catalogue, entry, VPC_FROM_HOST, "vm", text, sizeof(text));

        cr_expect_str_eq(breach ? breach : "none", entries[i].breach ? entries[i].breach : "none",
                         "%s: %s", entries[i].entry, text);
        json_decref(entry);
    }
    json_decref(catalogue);
}
