/* SPDX-License-Identifier: MIT */
/*
 * Control lines into an endpoint behind its ABI, in any state of it.
 *
 * Input   one octet: the role and settings; then lines.  A line that begins with '@' makes something happen: each further
 *         octet of it is a letter of the table below.  Any other line is said by a control client.
 * Goal    Every line that is said is answered at most once, with one line of JSON; actions are bounded; every stream ends.
 */
#include "input.h"
#include "vpc_endpoint.h"
#include "vpcbus.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#define ABI         vpc_endpoint_abi_v1
#define STREAMS     8u
#define MAX_ACTIONS 200u /* of one call, for 4 pairs and 3 clients */

enum stream_state { FREE, LISTENING, CONNECTING, LIVE };

struct run {
    vpc_endpoint *ep;
    uint32_t role, client;
    uint64_t now, epoch, peer_epoch, number, drawn;
    uint32_t streams[STREAMS];
    enum stream_state states[STREAMS];
    unsigned said, answered;
};

static void require(int condition)
{
    if (!condition)
        abort();
}

static uint64_t draw(void *user)
{
    struct run *run = user;

    return run->epoch = 100 + run->drawn++;
}

/* ---- actions --------------------------------------------------------------------------------------------------------- */

static void add_stream(struct run *run, uint32_t id, enum stream_state state)
{
    unsigned i = 0;

    while (i < STREAMS && run->states[i] != FREE)
        i++;
    require(i < STREAMS);
    run->streams[i] = id;
    run->states[i] = state;
}

static void end_stream(struct run *run, uint32_t id)
{
    unsigned i = 0;

    while (i < STREAMS && (run->states[i] == FREE || run->streams[i] != id))
        i++;
    require(i < STREAMS); /* it ended before, or never began */
    run->states[i] = FREE;
}

/* One JSON object on one line. */
static void check_line(const vpc_action *action)
{
    json_t *object;

    require(action->text != NULL && strlen(action->text) == action->text_len);
    require(strchr(action->text, '\n') == NULL);
    object = json_loads(action->text, 0, NULL);
    require(json_is_object(object));
    json_decref(object);
}

static void on_action(struct run *run, const vpc_action *action)
{
    switch (action->kind) {
    case VPC_ACTION_LISTEN:
        add_stream(run, action->stream, LISTENING);
        break;
    case VPC_ACTION_CONNECT:
        add_stream(run, action->stream, CONNECTING);
        break;
    case VPC_ACTION_UNLISTEN:
    case VPC_ACTION_CLOSE:
    case VPC_ACTION_ABORT:
        end_stream(run, action->stream);
        break;
    case VPC_ACTION_HANGUP:
        ABI.stream_eof(run->ep, action->stream);
        break;
    case VPC_ACTION_REPLY:
        run->answered++;
        check_line(action);
        break;
    case VPC_ACTION_BROADCAST:
    case VPC_ACTION_LOG:
        check_line(action);
        break;
    default:
        break;
    }
}

static void take(struct run *run)
{
    vpc_action action;
    const void *octets;
    size_t n;
    unsigned count = 0;

    do {
        while (ABI.next_action(run->ep, &action)) {
            require(count++ < MAX_ACTIONS);
            on_action(run, &action);
        }
        n = ABI.bus_output(run->ep, &octets);
        if (n > 0)
            ABI.bus_sent(run->ep, n);
    } while (n > 0);
    while (ABI.next_action(run->ep, &action))
        on_action(run, &action);
}

/* ---- the peer -------------------------------------------------------------------------------------------------------- */

static void feed(struct run *run, const uint8_t *octets, size_t n)
{
    ABI.bus_input(run->ep, fuzz_at_edge(octets, n), n);
    take(run);
}

static void feed_frame(struct run *run, vpc_frame frame)
{
    bool host = run->role == VPC_ROLE_HOST;
    uint8_t octets[VPC_SMALL_FRAME_MAX];

    frame.seal_session = host ? vpc_session_id(run->epoch, run->peer_epoch)
                              : vpc_session_id(run->peer_epoch, run->epoch);
    frame.seal_number = ++run->number;
    frame.payload = (const uint8_t *)"payload";
    feed(run, octets, vpc_encode(&frame, octets));
}

static void greet(struct run *run)
{
    uint8_t octets[16 + VPC_SMALL_FRAME_MAX];
    vpc_frame hello = {
        .type = VPC_HELLO,
        .role = run->role == VPC_ROLE_HOST ? VPC_GUEST : VPC_HOST,
        .version_min = VPC_VERSION_1_0,
        .version_max = VPC_VERSION_1_0,
        .max_pairs = 3,
        .epoch = ++run->peer_epoch,
        .echo = run->epoch,
        .tag = "TAG",
        .name = "fuzz",
    };

    memset(octets, VPC_PAD, 16);
    run->number = 0;
    feed(run, octets, 16 + vpc_encode(&hello, octets + 16));
    if (run->role == VPC_ROLE_HOST)
        feed_frame(run, (vpc_frame){.type = VPC_READY, .ready = 1});
}

static void open_pair(struct run *run)
{
    uint32_t id = (uint32_t)run->number * 2 + 1;

    feed_frame(run, (vpc_frame){.type = VPC_OPEN,
                                .channel = id,
                                .reverse_channel = id + 1,
                                .port = 80,
                                .connect_ms = 100,
                                .limit = 64});
}

/* ---- what happens ---------------------------------------------------------------------------------------------------- */

static void on_stream(struct run *run, char letter)
{
    for (unsigned i = 0; i < STREAMS; i++) {
        uint32_t id = run->streams[i];

        if (run->states[i] == FREE)
            continue;
        if (letter == 'l' && run->states[i] == LISTENING) {
            run->states[i] = LIVE;
            ABI.stream_listening(run->ep, id, 0, "/run/p");
        } else if (letter == 'L' && run->states[i] == LISTENING) {
            run->states[i] = FREE; /* what failed to begin has no end */
            ABI.stream_listening(run->ep, id, EADDRINUSE, "");
        } else if (letter == 'o' && run->states[i] != LISTENING) { /* which has no client yet */
            run->states[i] = LIVE;
            ABI.stream_opened(run->ep, id, 0);
        } else if (letter == 'O' && run->states[i] == CONNECTING) {
            run->states[i] = FREE;
            ABI.stream_opened(run->ep, id, ECONNREFUSED);
        } else if (letter == 'e')
            ABI.stream_eof(run->ep, id);
        else if (letter == 'g' || letter == 'G')
            ABI.stream_gone(run->ep, id, letter == 'g' ? 0 : ECONNRESET);
        take(run);
    }
}

static void answer_pairs(struct run *run, uint8_t type)
{
    for (uint32_t id = 1; id < 6; id += 2)
        feed_frame(run, (vpc_frame){.type = type,
                                    .channel = type == VPC_FIN ? id + 1 : id,
                                    .limit = 64,
                                    .error = 111});
}

static void happen(struct run *run, char letter)
{
    switch (letter) {
    case 'u':
        ABI.bus_up(run->ep);
        break;
    case 'd':
        ABI.bus_down(run->ep);
        break;
    case 'h':
        ABI.bus_up(run->ep);
        greet(run);
        break;
    case 'p':
        open_pair(run);
        break;
    case 'a':
        answer_pairs(run, VPC_OPENED);
        break;
    case 'r':
        answer_pairs(run, VPC_REFUSED);
        break;
    case 'f':
        answer_pairs(run, VPC_FIN);
        break;
    case 'x':
        ABI.control_close(run->ep, run->client);
        break;
    case 'n':
        run->client = run->client % 3 + 1;
        ABI.control_open(run->ep, run->client);
        run->said++;
        break;
    case 't':
        ABI.clock(run->ep, run->now += 400);
        break;
    case 'T':
        ABI.clock(run->ep, run->now += 40000);
        break;
    case 's':
        ABI.stop(run->ep, 500);
        break;
    default:
        on_stream(run, letter);
        break;
    }
    take(run);
}

static void line(struct run *run, const uint8_t *octets, size_t n)
{
    if (n > 0 && octets[0] == '@') {
        for (size_t i = 1; i < n && i < 40; i++)
            happen(run, (char)octets[i]);
        return;
    }
    run->said++;
    ABI.control_line(run->ep, run->client, (const char *)fuzz_at_edge(octets, n), n);
    take(run);
    require(run->answered <= run->said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run run = {.client = 1, .now = 1000};
    vpc_endpoint_config config = {.vm = "vm", .tag = "", .random = draw, .user = &run};
    const uint8_t *at = data + 1, *end = data + size;

    if (size < 1 || size > FUZZ_LARGEST)
        return 0;
    config.role = run.role = data[0] & 1 ? VPC_ROLE_HOST : VPC_ROLE_GUEST;
    config.options = data[0] & 2 ? "{\"max_pairs\": 4, \"window\": 64}"
                                 : "{\"max_pairs\": 2, \"window\": 7, \"peer_limit_ms\": 0}";
    run.ep = ABI.create(&config, run.now);
    require(run.ep != NULL);
    happen(&run, 'n');
    while (at < end) {
        const uint8_t *cut = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((cut != NULL ? cut : end) - at);

        line(&run, at, n);
        at += n + (cut != NULL);
    }
    happen(&run, 'd');
    happen(&run, 'l'); /* whoever was asked to listen says so in the end */
    for (unsigned i = 0; i < STREAMS; i++)
        require(run.states[i] == FREE);
    ABI.destroy(run.ep);
    return 0;
}
