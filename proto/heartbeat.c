/* SPDX-License-Identifier: MIT */
/*
 * How steadily the peer is heard (RDY-5).  The time of a session is cut into slots of twice the heartbeat that the peer
 * promised; a bit for each of the last ones says whether a sealed frame came in it.  Bit 0 is the slot of the last frame.
 */
#include "internal.h"

#define SLOTS            30u
#define HEARTBEAT_MIN_MS 10u /* the option's range (section 10), whatever the peer said */
#define HEARTBEAT_MAX_MS 60000u

static uint64_t current_slot(const vpc_session *session)
{
    uint32_t period = session->peer.heartbeat_ms;

    if (period < HEARTBEAT_MIN_MS)
        period = HEARTBEAT_MIN_MS;
    if (period > HEARTBEAT_MAX_MS)
        period = HEARTBEAT_MAX_MS;
    return (session->now - session->began) / (2 * (uint64_t)period);
}

/* The bits with the current slot at bit 0: those that passed since the last frame are not heard. */
static uint32_t heard_slots(const vpc_session *session, uint64_t slot)
{
    uint64_t passed = slot - session->slot;

    return passed > SLOTS ? 0 : session->slots_heard << passed;
}

void vpc_heartbeat_heard(vpc_session *session)
{
    uint64_t slot = current_slot(session);

    session->slots_heard = heard_slots(session, slot) | 1;
    session->slot = slot;
}

unsigned vpc_session_heartbeat(const vpc_session *session)
{
    unsigned whole = SLOTS, heard = 0;
    uint64_t slot = current_slot(session);
    uint32_t slots = heard_slots(session, slot);

    if (!vpc_in_session(session))
        return 0;
    if (slot < SLOTS)
        whole = (unsigned)slot;
    if (whole == 0)
        return 100;
    for (unsigned i = 1; i <= whole; i++)
        heard += slots >> i & 1;
    return heard * 100 / whole;
}
