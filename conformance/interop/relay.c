/* SPDX-License-Identifier: MIT */
/*
 * The stream between two endpoints, as QEMU would carry it.
 *
 * Octets go on in their order, in pieces as the split says.  While one endpoint is not there the other is not read: what it
 * sent waits, as behind a port that nobody has opened, and meets the next process, which must find its way in it.  When the
 * host's connection ends the guest's transport ends with it; a guest that is gone leaves the host's connection alone.
 */
#include <stdlib.h>
#include <string.h>

#include "document/entry.h"
#include "interop/interop.h"

#define WAITING_MAX (256u << 10) /* of octets that the other has not taken */

static struct conform_endpoint *other_of(const struct conform_endpoint *end)
{
    return &end->pairing->ends[1 - end->side];
}

/* ---- octets ----------------------------------------------------------------------------------------------------------- */

static void pass_on(struct conform_endpoint *to, const char *octets, size_t n)
{
    for (size_t done = 0, part; done < n && to->up; done += part) {
        part = vpc_split_piece(to->pairing->split, true, (uint64_t)nrand48(to->pairing->random),
                               done, n - done);
        to->backend->ops->bus_send(to->backend, octets + done, part);
    }
}

static void judge(struct conform_endpoint *end, const char *octets, size_t n)
{
    struct conform_frame frame;
    struct vpc_bad_octets bad;
    enum vpc_decoded got;

    vpc_decoder_add(&end->decoder, octets, n);
    while ((got = vpc_decoder_next(&end->decoder, &frame, &bad)) != VPC_DECODED_NONE) {
        char *text = got == VPC_DECODED_FRAME ? vpc_frame_text(&frame) : vpc_copy(bad.why);

        vpc_trace_add(end->pairing->trace, "%s: %s", end->implementation->name, text);
        free(text);
        if (got == VPC_DECODED_BAD) {
            vpc_monitor_bad(&end->monitor, &bad);
            continue;
        }
        vpc_monitor_frame(&end->monitor, &frame);
        vpc_frame_clear(&frame);
    }
}

static void on_octets(struct conform_endpoint *end, const struct vpc_seen *seen)
{
    struct vpc_pairing *pairing = end->pairing;
    struct conform_endpoint *to = other_of(end);

    vpc_record_octets(pairing->record, end->role, seen->text, seen->size,
                      pairing->trace->now - pairing->trace->start);
    judge(end, seen->text, seen->size);
    if (!to->up)
        return;
    vpc_monitor_sent(&to->monitor, seen->text, seen->size);
    pass_on(to, seen->text, seen->size);
}

void vpc_relay_pace(struct vpc_pairing *pairing)
{
    for (int side = VPC_HOST_SIDE; side <= VPC_GUEST_SIDE; side++) {
        struct conform_endpoint *end = &pairing->ends[side], *to = other_of(end);

        end->backend->ops->bus_read(
            end->backend, to->up && to->backend->ops->bus_unsent(to->backend) < WAITING_MAX);
    }
}

/* ---- connections ------------------------------------------------------------------------------------------------------ */

static void end_transport(struct conform_endpoint *guest)
{
    struct vpc_backend *backend = guest->backend;
    char *error = NULL;

    backend->ops->bus_listen(backend, false, &error);
    if (!backend->ops->bus_listen(backend, true, &error) && guest->pairing->trouble == NULL)
        guest->pairing->trouble = error;
    else
        free(error);
}

static void on_bus(struct conform_endpoint *end, const struct vpc_seen *seen)
{
    struct conform_endpoint *to = other_of(end);
    bool up = seen->kind == VPC_SEEN_BUS_UP;

    vpc_trace_add(end->pairing->trace, "%s: bus %s", end->implementation->name, up ? "up" : "down");
    end->up = up;
    vpc_decoder_end(&end->decoder);
    vpc_decoder_begin(&end->decoder, end->pairing->table, end->role);
    vpc_monitor_bus(&end->monitor, up);
    vpc_record_cut(end->pairing->record);
    if (!up && end->side == VPC_HOST_SIDE && to->backend)
        end_transport(to);
    vpc_relay_pace(end->pairing);
}

/* ---- lines ------------------------------------------------------------------------------------------------------------ */

static json_t *parse(struct conform_endpoint *end, const struct vpc_seen *seen, const char *what)
{
    json_t *json = json_loadb(seen->text, seen->size, JSON_REJECT_DUPLICATES, NULL);

    vpc_trace_add(end->pairing->trace, "%s: %s: %.*s", end->implementation->name, what,
                  (int)seen->size, seen->text);
    if (json_is_object(json))
        return json;
    json_decref(json);
    vpc_pairing_fail(end->pairing, "%s: a line of its %s is no JSON object: %.*s",
                     end->implementation->name, what, (int)(seen->size > 100 ? 100 : seen->size),
                     seen->text);
    return NULL;
}

static void on_answer(struct conform_endpoint *end, const struct vpc_seen *seen)
{
    json_t *json = parse(end, seen, "control socket");

    if (json && json_integer_value(json_object_get(json, "id")) == end->pairing->last_id) {
        json_decref(end->pairing->answer);
        end->pairing->answer = json;
    } else {
        json_decref(json);
    }
}

static void on_log(struct conform_endpoint *end, const struct vpc_seen *seen)
{
    struct vpc_breach *breach = &end->monitor.breach;
    json_t *json = parse(end, seen, "log");

    if (json && breach->requirement == NULL)
        breach->requirement = vpc_entry_breach(end->pairing->catalogue, json, end->role,
                                               VPC_SUBJECT_VM, breach->text, sizeof(breach->text));
    json_decref(json);
}

/* ---- programs --------------------------------------------------------------------------------------------------------- */

static struct vpc_talker *talker_of(struct conform_endpoint *end, int id)
{
    struct vpc_talker *talker = end->pairing->talkers;

    while (talker && (talker->id != id || talker->side != end->side))
        talker = talker->next;
    return talker;
}

static void on_local(struct conform_endpoint *end, const struct vpc_seen *seen)
{
    struct vpc_talker *talker = talker_of(end, seen->id);

    if (seen->kind == VPC_SEEN_LOCAL_OPENED) {
        talker = vpc_alloc(sizeof(*talker));
        talker->side = end->side;
        talker->id = seen->id;
        talker->next = end->pairing->talkers;
        end->pairing->talkers = talker;
    } else if (talker && seen->kind == VPC_SEEN_LOCAL_OCTETS) {
        vpc_buffer_add(&talker->in, seen->text, seen->size);
    } else if (talker) {
        talker->ended = true;
    }
}

/* ---- what was seen ---------------------------------------------------------------------------------------------------- */

static void on_control_eof(struct conform_endpoint *end, const struct vpc_seen *seen)
{
    (void)seen;
    end->pairing->client = 0;
}

static void on_stopped(struct conform_endpoint *end, const struct vpc_seen *seen)
{
    (void)seen;
    end->stopped = true;
}

static void on_crashed(struct conform_endpoint *end, const struct vpc_seen *seen)
{
    vpc_pairing_fail(end->pairing, "%s ended: %s", end->implementation->name, seen->text);
}

static void on_broken(struct conform_endpoint *end, const struct vpc_seen *seen)
{
    if (end->pairing->trouble == NULL)
        end->pairing->trouble = vpc_copy(seen->text);
}

/* Those of which there is none here say nothing. */
static void (*const handlers[])(struct conform_endpoint *end, const struct vpc_seen *seen) = {
    [VPC_SEEN_BUS_UP] = on_bus,
    [VPC_SEEN_BUS_DOWN] = on_bus,
    [VPC_SEEN_BUS_OCTETS] = on_octets,
    [VPC_SEEN_CONTROL_LINE] = on_answer,
    [VPC_SEEN_CONTROL_EOF] = on_control_eof,
    [VPC_SEEN_LOCAL_OPENED] = on_local,
    [VPC_SEEN_LOCAL_OCTETS] = on_local,
    [VPC_SEEN_LOCAL_EOF] = on_local,
    [VPC_SEEN_LOCAL_RESET] = on_local,
    [VPC_SEEN_LOG] = on_log,
    [VPC_SEEN_STOPPED] = on_stopped,
    [VPC_SEEN_CRASHED] = on_crashed,
    [VPC_SEEN_BROKEN] = on_broken,
};

void vpc_endpoint_seen(void *user, const struct vpc_seen *seen)
{
    struct conform_endpoint *end = user;

    end->pairing->saw = true;
    if (handlers[seen->kind])
        handlers[seen->kind](end, seen);
}
