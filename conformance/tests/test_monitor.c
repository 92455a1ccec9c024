/* SPDX-License-Identifier: MIT */
/* The monitor between a tester that is a host and a subject that is a guest, of which the octets are made here. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "document/embedded.h"
#include "document/table.h"
#include "memory.h"
#include "testers/monitor.h"

#define TESTER  UINT64_C(0x1111111122222222)
#define SUBJECT UINT64_C(0x3333333344444444)
#define OTHER   UINT64_C(0x5555555566666666)

TestSuite(monitor, .timeout = 10);

struct stage {
    struct vpc_table *table;
    struct vpc_monitor monitor;
    uint64_t sent, said; /* sealed frames of the tester, of the subject */
};

static struct conform_frame make(const struct stage *stage, const char *name, uint32_t channel)
{
    struct conform_frame frame;

    vpc_frame_begin(&frame, stage->table, vpc_table_by_name(stage->table, name));
    frame.channel = channel;
    frame.session = conform_session_id(TESTER, SUBJECT);
    return frame;
}

static struct conform_frame hello(const struct stage *stage, enum vpc_role_bit role, uint64_t epoch,
                                  uint64_t echo)
{
    struct conform_frame frame = make(stage, "HELLO", 0);

    vpc_frame_set(&frame, "role", role);
    vpc_frame_set(&frame, "version_min", 256);
    vpc_frame_set(&frame, "version_max", 256);
    vpc_frame_set(&frame, "epoch", epoch);
    vpc_frame_set(&frame, "echo", echo);
    return frame;
}

/* The tester sends it. */
static void send(struct stage *stage, struct conform_frame frame)
{
    struct vpc_buffer octets = {0};
    bool greets = strcmp(frame.message->name, "HELLO") == 0;

    if (greets)
        vpc_buffer_fill(&octets, stage->table->pad, stage->table->preamble_min);
    frame.session = greets ? 0 : frame.session;
    frame.number = greets ? vpc_frame_crc(&frame) : ++stage->sent;
    vpc_frame_encode(&frame, &octets);
    vpc_monitor_sent(&stage->monitor, vpc_buffer_head(&octets), vpc_buffer_size(&octets));
    vpc_buffer_free(&octets);
    vpc_frame_clear(&frame);
}

/* The subject says it. */
static void say(struct stage *stage, struct conform_frame frame)
{
    frame.pads = stage->table->preamble_min;
    vpc_monitor_frame(&stage->monitor, &frame);
    vpc_frame_clear(&frame);
}

/* Both are in a session, and channels 1 and 2 are open. */
static void begin(struct stage *stage)
{
    struct conform_frame frame;
    char *error = NULL;

    *stage = (struct stage){.table = vpc_table_load(vpc_embedded_messages, &error)};
    cr_assert_not_null(stage->table, "%s", error);
    vpc_monitor_begin(&stage->monitor, stage->table, VPC_FROM_GUEST);
    vpc_monitor_bus(&stage->monitor, true);
    send(stage, hello(stage, VPC_FROM_HOST, TESTER, 0));
    say(stage, hello(stage, VPC_FROM_GUEST, SUBJECT, TESTER));
    send(stage, hello(stage, VPC_FROM_HOST, TESTER, SUBJECT));
    frame = make(stage, "OPEN", 1);
    vpc_frame_set(&frame, "reverse_channel", 2);
    vpc_frame_set(&frame, "port", 6174);
    send(stage, frame);
    say(stage, make(stage, "OPENED", 1));
    cr_assert_null(stage->monitor.breach.requirement, "%s", stage->monitor.breach.text);
}

static void end(struct stage *stage)
{
    vpc_monitor_end(&stage->monitor);
    vpc_table_free(stage->table);
}

/* Behind that HELLO of the tester the subject answers a RESET of it, or (reset: false) one that never was. */
static const char *breach_behind(enum vpc_role_bit role, uint64_t epoch, uint64_t echo, bool reset)
{
    static char requirement[16];
    struct stage stage;
    const char *breach;

    begin(&stage);
    send(&stage, hello(&stage, role, epoch, echo));
    if (reset)
        send(&stage, make(&stage, "RESET", 1));
    say(&stage, make(&stage, "RELEASED", 1));
    breach = stage.monitor.breach.requirement;
    strcpy(requirement, breach ? breach : "none");
    end(&stage);
    return requirement;
}

/* SES-7: such a HELLO is answered, and the session goes on with what is in it. */
Test(monitor, a_hello_that_does_not_echo_ends_no_session)
{
    cr_expect_str_eq(breach_behind(VPC_FROM_HOST, TESTER, 0, true), "none");
    cr_expect_str_eq(breach_behind(VPC_FROM_HOST, TESTER, OTHER, true), "none");
    cr_expect_str_eq(breach_behind(VPC_FROM_HOST, TESTER, SUBJECT, true), "none");
    cr_expect_str_eq(breach_behind(VPC_FROM_HOST, TESTER, 0, false), "CHN-3");
}

/* MSG-1: it is passed over, whatever it says. */
Test(monitor, a_hello_of_the_wrong_role_ends_no_session)
{
    cr_expect_str_eq(breach_behind(VPC_FROM_GUEST, OTHER, 0, true), "none");
    cr_expect_str_eq(breach_behind(VPC_FROM_GUEST, OTHER, SUBJECT, true), "none");
}

/* SES-8: what is sealed for the session behind it is not in the session any more. */
Test(monitor, a_hello_of_another_epoch_does)
{
    cr_expect_str_eq(breach_behind(VPC_FROM_HOST, OTHER, SUBJECT, true), "CHN-3");
}

Test(monitor, who_has_heard_an_epoch_does_not_forget_it)
{
    struct stage stage;

    begin(&stage);
    say(&stage, hello(&stage, VPC_FROM_GUEST, SUBJECT, TESTER));
    cr_expect_null(stage.monitor.breach.requirement, "%s", stage.monitor.breach.text);
    say(&stage, hello(&stage, VPC_FROM_GUEST, SUBJECT, 0));
    cr_expect_str_eq(stage.monitor.breach.requirement, "SES-2");
    end(&stage);
}

/* A HELLO that is passed over (MSG-1) was not heard: its epoch is none to echo (SES-2). */
Test(monitor, nobody_echoes_a_hello_of_the_wrong_role)
{
    struct stage stage;

    begin(&stage);
    send(&stage, hello(&stage, VPC_FROM_GUEST, OTHER, SUBJECT));
    say(&stage, hello(&stage, VPC_FROM_GUEST, SUBJECT, OTHER));
    cr_expect_str_eq(stage.monitor.breach.requirement, "SES-2");
    end(&stage);
}
