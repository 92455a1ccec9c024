/* SPDX-License-Identifier: MIT */
/* The harness's programs at both sides of a pairing: a control client, pipe clients, a server in the guest. */
#include <stdlib.h>
#include <string.h>

#include "interop/interop.h"

static struct vpc_backend *at(struct vpc_pairing *pairing, enum conform_side side)
{
    return pairing->ends[side].backend;
}

/* ---- the control client ----------------------------------------------------------------------------------------------- */

static bool connected(struct vpc_pairing *pairing, const void *user)
{
    struct vpc_backend *host = at(pairing, VPC_HOST_SIDE);

    (void)user;
    if (pairing->client == 0 && host->ops->control_open(host, pairing->last_id + 1))
        pairing->client = ++pairing->last_id;
    return pairing->client != 0;
}

static bool answered(struct vpc_pairing *pairing, const void *user)
{
    (void)user;
    return pairing->answer != NULL;
}

bool vpc_request(struct vpc_pairing *pairing, const char *command, json_t *arguments)
{
    struct vpc_backend *host = at(pairing, VPC_HOST_SIDE);
    bool good = vpc_pairing_until(pairing, connected, NULL, "control socket of the host");
    json_t *request = json_pack("{s:s, s:o, s:i}", "execute", command, "arguments", arguments, "id",
                                ++pairing->last_id);
    char *line = json_dumps(request, JSON_COMPACT), *what = vpc_format("answer to %s", command);

    json_decref(pairing->answer);
    pairing->answer = NULL;
    if (good) {
        vpc_trace_add(pairing->trace, "to the host: %s", line);
        host->ops->control_line(host, pairing->client, line, strlen(line));
        good = vpc_pairing_until(pairing, answered, NULL, what);
    }
    json_decref(request);
    free(line);
    free(what);
    return good;
}

/* ---- readiness -------------------------------------------------------------------------------------------------------- */

static bool in_session(struct vpc_pairing *pairing, const void *user)
{
    uint64_t session = pairing->ends[VPC_HOST_SIDE].decoder.session;

    (void)user;
    return session && session == pairing->ends[VPC_GUEST_SIDE].decoder.session &&
           session != pairing->old_session;
}

bool vpc_wait_ready(struct vpc_pairing *pairing)
{
    const char *level = "";

    if (!vpc_pairing_until(pairing, connected, NULL, "control socket of the host") ||
        !vpc_pairing_until(pairing, in_session, NULL, "session of both"))
        return false;
    while (strcmp(level, "ready") != 0) {
        if (!vpc_pairing_in_time(pairing))
            return vpc_pairing_late(pairing, "query-vm says \"%s\", never \"ready\"", level);
        if (!vpc_request(pairing, "query-vm", json_object()))
            return false;
        level =
            json_string_value(json_object_get(json_object_get(pairing->answer, "return"), "level"));
        if (level == NULL)
            return vpc_pairing_fail(pairing, "query-vm returns no level");
    }
    pairing->old_session = 0;
    return true;
}

static bool no_pairs(struct vpc_pairing *pairing)
{
    const json_t *devices = json_object_get(json_object_get(pairing->answer, "return"), "devices");

    return json_is_array(devices) && json_array_size(devices) == 0;
}

bool vpc_wait_no_pairs(struct vpc_pairing *pairing)
{
    do {
        if (!vpc_request(pairing, "query-devices", json_object()))
            return false;
        if (no_pairs(pairing))
            return true;
    } while (vpc_pairing_in_time(pairing));
    return vpc_pairing_late(pairing, "query-devices still lists devices of pairs that are over");
}

/* ---- channels --------------------------------------------------------------------------------------------------------- */

bool vpc_start_channel(struct vpc_pairing *pairing, struct conform_pair *pair, uint16_t port,
                       const char *name)
{
    struct vpc_backend *guest = at(pairing, VPC_GUEST_SIDE);
    char *number = vpc_format("%u", guest->ops->real_port(guest, port));
    bool good;

    *pair = (struct conform_pair){
        .pipe = name ? vpc_copy(name) : vpc_format("\\\\.\\pipe\\interop%d", ++pairing->last_id)};
    good = vpc_request(pairing, "start",
                       json_pack("{s:i, s:s, s:i, s:s}", "host-type", 0, "host-name", pair->pipe,
                                 "guest-type", 1, "guest-name", number));
    free(number);
    return good;
}

static struct vpc_talker *untaken(struct vpc_pairing *pairing)
{
    struct vpc_talker *found = NULL;

    for (struct vpc_talker *one = pairing->talkers; one; one = one->next)
        if (!one->taken && one->side == VPC_GUEST_SIDE)
            found = one;
    return found;
}

static bool server_there(struct vpc_pairing *pairing, const void *user)
{
    (void)user;
    return untaken(pairing) != NULL;
}

static bool open_client(struct vpc_pairing *pairing, struct conform_pair *pair, const char *path)
{
    struct vpc_backend *host = at(pairing, VPC_HOST_SIDE);
    struct vpc_talker *client = vpc_alloc(sizeof(*client));
    int failed;

    client->side = VPC_HOST_SIDE;
    client->id = ++pairing->last_id;
    client->taken = true;
    client->next = pairing->talkers;
    pairing->talkers = pair->client = client;
    failed = host->ops->pipe_open(host, client->id, pair->pipe, path);
    if (failed)
        vpc_pairing_fail(pairing, "%s can not be opened at \"%s\": %s", pair->pipe, path,
                         strerror(failed));
    return failed == 0;
}

bool vpc_open_pair(struct vpc_pairing *pairing, struct conform_pair *pair, const char *name)
{
    const json_t *result;
    const char *path;

    if (!vpc_start_channel(pairing, pair, VPC_INTEROP_PORT, name))
        return false;
    result = json_object_get(pairing->answer, "return");
    path = json_string_value(json_object_get(result, "path"));
    if (path == NULL) {
        char *text = json_dumps(pairing->answer, JSON_COMPACT);

        vpc_pairing_fail(pairing, "start of a channel is answered with %s", text);
        free(text);
        return false;
    }
    if (!open_client(pairing, pair, path) ||
        !vpc_pairing_until(pairing, server_there, NULL, "connection at the guest's server"))
        return false;
    pair->server = untaken(pairing);
    pair->server->taken = true;
    return true;
}

void vpc_pair_free(struct conform_pair *pair)
{
    free(pair->pipe);
    pair->pipe = NULL;
}

/* ---- talk ------------------------------------------------------------------------------------------------------------- */

void vpc_say_octets(struct vpc_pairing *pairing, const struct vpc_talker *talker,
                    const void *octets, size_t n)
{
    struct vpc_backend *backend = at(pairing, talker->side);

    backend->ops->local_send(backend, talker->id, octets, n);
}

void vpc_say_end(struct vpc_pairing *pairing, const struct vpc_talker *talker)
{
    struct vpc_backend *backend = at(pairing, talker->side);

    backend->ops->local_shutdown(backend, talker->id);
}

void vpc_let_read(struct vpc_pairing *pairing, const struct vpc_talker *talker, bool on)
{
    struct vpc_backend *backend = at(pairing, talker->side);

    backend->ops->local_read(backend, talker->id, on);
}

void conform_cut(struct vpc_pairing *pairing, struct vpc_talker *talker)
{
    struct vpc_backend *backend = at(pairing, talker->side);

    backend->ops->local_abort(backend, talker->id);
    talker->closed = true;
}

void vpc_hang_up(struct vpc_pairing *pairing, struct vpc_talker *talker)
{
    struct vpc_backend *backend = at(pairing, talker->side);

    backend->ops->local_close(backend, talker->id);
    talker->closed = true;
}

static const char *who(const struct vpc_talker *talker)
{
    return talker->side == VPC_HOST_SIDE ? "the pipe's client" : "the guest's server";
}

struct hearing {
    struct vpc_talker *talker;
    size_t n;
};

static bool heard(struct vpc_pairing *pairing, const void *user)
{
    const struct hearing *hearing = user;

    (void)pairing;
    return hearing->talker->ended || vpc_buffer_size(&hearing->talker->in) >= hearing->n;
}

bool vpc_hear(struct vpc_pairing *pairing, struct vpc_talker *talker, const void *octets, size_t n)
{
    struct hearing hearing = {talker, n};
    char *what = vpc_format("%zu octets at %s", n, who(talker));
    bool good = vpc_pairing_until(pairing, heard, &hearing, what);
    size_t size = vpc_buffer_size(&talker->in), same = 0;

    free(what);
    if (!good)
        return false;
    while (same < n && same < size &&
           ((const uint8_t *)octets)[same] == vpc_buffer_head(&talker->in)[same])
        same++;
    if (same == n) {
        vpc_buffer_drop(&talker->in, n);
        return true;
    }
    if (same == size)
        return vpc_pairing_fail(pairing, "%s reads the end after %zu of %zu octets", who(talker),
                                size, n);
    return vpc_pairing_fail(pairing,
                            "%s reads octet %zu of %zu as %02x, it is %02x (CRC-32C of all: "
                            "%08x, not %08x)",
                            who(talker), same + 1, n, vpc_buffer_head(&talker->in)[same],
                            ((const uint8_t *)octets)[same],
                            conform_crc32c(vpc_buffer_head(&talker->in), size < n ? size : n),
                            conform_crc32c(octets, n));
}

static bool end_heard(struct vpc_pairing *pairing, const void *user)
{
    (void)pairing;
    return ((const struct vpc_talker *)user)->ended;
}

bool vpc_wait_end(struct vpc_pairing *pairing, struct vpc_talker *talker)
{
    char *what = vpc_format("end at %s", who(talker));
    bool good = vpc_pairing_until(pairing, end_heard, talker, what);

    free(what);
    return good;
}

bool vpc_hear_end(struct vpc_pairing *pairing, struct vpc_talker *talker)
{
    if (!vpc_wait_end(pairing, talker))
        return false;
    if (vpc_buffer_size(&talker->in) > 0)
        return vpc_pairing_fail(pairing, "%s reads %zu octets that nobody wrote", who(talker),
                                vpc_buffer_size(&talker->in));
    return true;
}

void vpc_forget_talkers(struct vpc_pairing *pairing)
{
    while (pairing->talkers) {
        struct vpc_talker *one = pairing->talkers;

        if (!one->closed && at(pairing, one->side))
            conform_cut(pairing, one);
        pairing->talkers = one->next;
        vpc_buffer_free(&one->in);
        free(one);
    }
}
