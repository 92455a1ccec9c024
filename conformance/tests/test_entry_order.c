/* SPDX-License-Identifier: MIT */
/* The order of entries, which is judged in every run (LOG-3). */
#include <criterion/criterion.h>

#include "document/entry_order.h"

TestSuite(log_order, .timeout = 20);

/* Entries by id; +1000 for one about a pair.  Gives how many were taken before the first breach. */
static size_t orderly(const int *ids, size_t n)
{
    struct vpc_log_order order = {0};
    char text[200];

    for (size_t i = 0; i < n; i++) {
        json_t *entry = json_pack("{s:i, s:s}", "id", ids[i] % 1000 + 1000, "name", "NAME");
        const char *breach;

        if (ids[i] >= 2000)
            json_object_set_new(entry, "h2g", json_integer(1));
        breach = vpc_log_order_breach(&order, entry, text, sizeof(text));
        json_decref(entry);
        if (breach)
            return i;
    }
    return n;
}

#define ORDERLY(...)                                                                               \
    orderly((const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

Test(log_order, entries_stand_where_they_may)
{
    cr_expect_eq(ORDERLY(1000, 1002, 1010, 1005, 2020, 2021, 1003, 1011, 1006, 1002, 1001), 11);
    cr_expect_eq(ORDERLY(1000, 1002, 1010, 2020, 1000, 1002), 6, "killed and started again");
    cr_expect_eq(ORDERLY(1000, 1004, 1015), 3, "a start that failed without a pair");
    cr_expect_eq(ORDERLY(1002), 0, "before ENDPOINT_STARTED");
    cr_expect_eq(ORDERLY(1000, 1001, 1003), 2, "after ENDPOINT_STOPPED");
    cr_expect_eq(ORDERLY(1000, 1003), 1, "a transport that was not up");
    cr_expect_eq(ORDERLY(1000, 1002, 1002), 2, "up twice");
    cr_expect_eq(ORDERLY(1000, 1010), 1, "a session without a transport");
    cr_expect_eq(ORDERLY(1000, 1002, 1010, 1011, 1011), 4, "lost twice");
    cr_expect_eq(ORDERLY(1000, 1002, 1010, 2020, 1011, 2021), 5, "a pair of no session");
    cr_expect_eq(ORDERLY(1000, 1002, 1005), 2, "ready without a session");
    cr_expect_eq(ORDERLY(1000, 1006), 1, "not ready twice");
}

Test(log_order, what_may_be_left_out_has_no_order)
{
    int ids[210] = {1000, 1002};

    for (size_t i = 2; i < 210; i++)
        ids[i] = i % 2 ? 1011 : 1010;
    cr_expect_eq(orderly(ids, 209), 209);
    ids[209] = 1010; /* the one between was left out (LOG-9) */
    cr_expect_eq(orderly(ids, 210), 210);
}
