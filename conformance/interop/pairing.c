/* SPDX-License-Identifier: MIT */
/* Two endpoints of the socket backend and their life; see interop.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "document/entry.h"
#include "files.h"
#include "interop/interop.h"

#define STALL_MS 400 /* of the harness itself, from which on a missed limit tells nothing */
#define IDLE_MS  1   /* one backend is waited for while the other has nothing */

static uint64_t now_of(const struct vpc_pairing *pairing)
{
    struct vpc_backend *backend = pairing->ends[VPC_HOST_SIDE].backend;

    return backend->ops->now(backend);
}

bool vpc_pairing_fail(struct vpc_pairing *pairing, const char *format, ...)
{
    char text[600];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    vpc_trace_add(pairing->trace, "failed: %s", text);
    if (pairing->why == NULL)
        pairing->why = vpc_copy(text);
    return false;
}

/* What holds up whoever is waited for, the caller's; NULL: nothing that we know of. */
static char *hindrance(struct vpc_pairing *pairing)
{
    uint64_t most = pairing->stalled > STALL_MS ? pairing->stalled : 0;

    for (int side = VPC_HOST_SIDE; side <= VPC_GUEST_SIDE; side++) {
        uint64_t waited = conform_load_excuse(&pairing->ends[side].load);

        most = waited > most ? waited : most;
    }
    if (most)
        return vpc_format("the machine held up the pairing for %llu ms", (unsigned long long)most);
    return NULL;
}

bool vpc_pairing_late(struct vpc_pairing *pairing, const char *format, ...)
{
    char text[600], *why = pairing->why ? NULL : hindrance(pairing);
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    pairing->excused |= why != NULL;
    vpc_pairing_fail(pairing, why ? "%s (%s)" : "%s%s", why ? why : "", text);
    free(why);
    return false;
}

void vpc_pairing_excuse(struct vpc_pairing *pairing)
{
    char *why = pairing->excused ? NULL : conform_witness_excuse(&pairing->witness, pairing->why);
    char *failed = pairing->why;

    if (why == NULL)
        return;
    pairing->excused = true;
    pairing->why = vpc_format("%s (%s)", why, failed ? failed : "nothing");
    free(failed);
    free(why);
}

/* ---- an endpoint ------------------------------------------------------------------------------------------------------ */

static bool troubled(struct vpc_pairing *pairing, char *error)
{
    if (pairing->trouble == NULL)
        pairing->trouble = error;
    else
        free(error);
    return pairing->trouble == NULL;
}

static bool begin_endpoint(struct vpc_pairing *pairing, const struct vpc_pairing_config *config,
                           enum conform_side side)
{
    struct conform_endpoint *end = &pairing->ends[side];
    struct vpc_backend_config backend = {.vm = VPC_SUBJECT_VM,
                                         .tag = VPC_SUBJECT_TAG,
                                         .descriptors = VPC_INTEROP_DESCRIPTORS,
                                         .build = config->build,
                                         .sandbox = config->sandbox,
                                         .seed = config->seed,
                                         .sink = vpc_endpoint_seen,
                                         .user = end};
    char *error = NULL;

    end->pairing = pairing;
    end->side = side;
    end->implementation = side == VPC_HOST_SIDE ? config->host : config->guest;
    end->role = side == VPC_HOST_SIDE ? VPC_FROM_HOST : VPC_FROM_GUEST;
    end->dir = vpc_format("%s/%c", config->dir, side == VPC_HOST_SIDE ? 'h' : 'g');
    vpc_decoder_begin(&end->decoder, pairing->table, end->role);
    vpc_monitor_begin(&end->monitor, pairing->table, end->role);
    backend.implementation = end->implementation;
    backend.dir = end->dir;
    if (mkdir(end->dir, 0700) != 0)
        return troubled(pairing, vpc_format("%s: %s", end->dir, strerror(errno)));
    end->backend = vpc_backend_socket.create(&backend, &error);
    if (end->backend)
        end->backend->ops->bus_listen(end->backend, true, &error);
    if (error == NULL && side == VPC_GUEST_SIDE)
        end->backend->ops->tcp_mode(end->backend, VPC_INTEROP_PORT, VPC_TCP_LISTENING, &error);
    return error == NULL || troubled(pairing, error);
}

bool vpc_endpoint_start(struct conform_endpoint *end)
{
    char *error = NULL;

    vpc_trace_add(end->pairing->trace, "%s: started", end->implementation->name);
    end->stopped = false;
    if (!end->backend->ops->start(end->backend, &error))
        return troubled(end->pairing, error);
    conform_load_begin(&end->load, end->backend);
    return true;
}

void vpc_endpoint_kill(struct conform_endpoint *end)
{
    if (end->backend == NULL)
        return;
    vpc_trace_add(end->pairing->trace, "%s: killed", end->implementation->name);
    if (end->decoder.session)
        end->pairing->old_session = end->decoder.session;
    end->backend->ops->kill(end->backend);
    if (end->side == VPC_HOST_SIDE)
        end->pairing->client = 0;
}

/* ---- both ------------------------------------------------------------------------------------------------------------- */

bool vpc_pairing_begin(struct vpc_pairing *pairing, const struct vpc_pairing_config *config)
{
    char *path = vpc_format("%s/bus.pcapng", config->out);
    uint64_t epoch_ms = (uint64_t)time(NULL) * 1000;

    *pairing = (struct vpc_pairing){
        .table = config->table,
        .split = config->split,
        .random = {(unsigned short)config->seed, (unsigned short)(config->seed >> 16)},
        .trace = vpc_trace_begin(),
        .catalogue = vpc_catalogue_load()};
    conform_witness_begin(&pairing->witness, config->dir);
    pairing->record = vpc_record_open(path, config->table, VPC_FROM_HOST, "interop", epoch_ms);
    if (pairing->record == NULL)
        troubled(pairing, vpc_format("%s: %s", path, strerror(errno)));
    free(path);
    if (pairing->trouble || !begin_endpoint(pairing, config, VPC_HOST_SIDE) ||
        !begin_endpoint(pairing, config, VPC_GUEST_SIDE))
        return false;
    pairing->trace->start = pairing->trace->now = now_of(pairing);
    return true;
}

static void write_trace(struct vpc_pairing *pairing, const char *out)
{
    char *path = vpc_format("%s/trace.txt", out);
    FILE *file = vpc_file_create(path);
    bool good = file != NULL;

    if (file)
        vpc_trace_write(pairing->trace, file, SIZE_MAX);
    good = good && !ferror(file);
    if ((file && fclose(file) != 0) || !good)
        troubled(pairing, vpc_format("%s: can not be written: %s", path, strerror(errno)));
    free(path);
}

void vpc_pairing_write(struct vpc_pairing *pairing, const char *out)
{
    int error = vpc_record_close(pairing->record);

    if (error)
        troubled(pairing,
                 vpc_format("%s/bus.pcapng: can not be written: %s", out, strerror(error)));
    pairing->record = NULL;
    write_trace(pairing, out);
}

void vpc_pairing_end(struct vpc_pairing *pairing)
{
    for (int side = VPC_HOST_SIDE; side <= VPC_GUEST_SIDE; side++) {
        struct conform_endpoint *end = &pairing->ends[side];

        if (end->backend)
            end->backend->ops->destroy(end->backend);
        if (end->pairing) {
            vpc_decoder_end(&end->decoder);
            vpc_monitor_end(&end->monitor);
        }
        free(end->dir);
        end->backend = NULL;
    }
    vpc_forget_talkers(pairing);
    vpc_trace_end(pairing->trace);
    json_decref(pairing->catalogue);
    json_decref(pairing->answer);
    free(pairing->why);
    free(pairing->trouble);
}

static void turn(struct vpc_pairing *pairing)
{
    uint64_t started = now_of(pairing), took;
    bool idle = !pairing->saw;

    pairing->saw = false;
    vpc_relay_pace(pairing);
    for (int side = VPC_HOST_SIDE; side <= VPC_GUEST_SIDE; side++) {
        struct vpc_backend *backend = pairing->ends[side].backend;

        pairing->trace->now = now_of(pairing);
        backend->ops->step(backend, pairing->trace->now + (idle ? IDLE_MS : 0));
        conform_load_look(&pairing->ends[side].load);
    }
    took = now_of(pairing) - started;
    pairing->stalled = took > pairing->stalled ? took : pairing->stalled;
}

void vpc_pairing_give(struct vpc_pairing *pairing, uint64_t ms)
{
    pairing->given_ms = ms;
    pairing->deadline = now_of(pairing) + ms;
    pairing->stalled = 0;
    for (int side = VPC_HOST_SIDE; side <= VPC_GUEST_SIDE; side++)
        conform_load_begin(&pairing->ends[side].load, pairing->ends[side].backend);
}

bool vpc_pairing_in_time(struct vpc_pairing *pairing)
{
    turn(pairing);
    return now_of(pairing) < pairing->deadline;
}

void vpc_pairing_clear(struct vpc_pairing *pairing)
{
    for (int side = VPC_HOST_SIDE; side <= VPC_GUEST_SIDE; side++)
        vpc_endpoint_kill(&pairing->ends[side]);
    vpc_forget_talkers(pairing);
    for (int side = VPC_HOST_SIDE; side <= VPC_GUEST_SIDE; side++) {
        struct conform_endpoint *end = &pairing->ends[side];

        vpc_monitor_end(&end->monitor);
        vpc_monitor_begin(&end->monitor, pairing->table, end->role);
    }
    free(pairing->why);
    pairing->why = NULL;
    pairing->excused = false;
}

static bool breached(struct vpc_pairing *pairing)
{
    for (int side = VPC_HOST_SIDE; side <= VPC_GUEST_SIDE; side++) {
        const struct conform_endpoint *end = &pairing->ends[side];

        if (end->monitor.breach.requirement)
            vpc_pairing_fail(pairing, "%s breaks %s: %s", end->implementation->name,
                             end->monitor.breach.requirement, end->monitor.breach.text);
    }
    return pairing->why != NULL || pairing->trouble != NULL;
}

bool vpc_pairing_until(struct vpc_pairing *pairing, vpc_done_fn *done, const void *user,
                       const char *what)
{
    while (!breached(pairing)) {
        if (done(pairing, user))
            return true;
        if (now_of(pairing) >= pairing->deadline)
            return vpc_pairing_late(pairing, "no %s within %g s", what,
                                    (double)pairing->given_ms / 1000);
        turn(pairing);
    }
    return false;
}
