/* SPDX-License-Identifier: MIT */
/*
 * The transcripts of spec/vectors against a session, and its frames that are not to be taken.
 *
 * Goal    A session that is given what a transcript says sends octet for octet what the transcript says, in the states and
 *         with the events that it says, however its input is cut.
 * How     A session is one block of the caller's memory: the block as it was before each step is kept, and each split of
 *         a step's input starts from there and runs to the end of the transcript.
 */
#include "play.h"

#include <criterion/criterion.h>

#define LIMIT    .timeout = 240
#define NO_SPLIT SIZE_MAX

#define ASSERT(condition, player, step, split, what)                                               \
    cr_assert(condition, "%s, step %zu, split at %zd: %s", (player)->id, step, (ssize_t)(split),   \
              what)

static json_t *file;

static json_t *vectors(const char *name)
{
    file = vec_open(VPC_VECTORS, name);
    return json_object_get(file, "vectors");
}

static void close_file(void)
{
    json_decref(file);
    file = NULL;
}

/* ---- the endpoint ------------------------------------------------------------------------------------------------------ */

static uint64_t next_epoch(void *user)
{
    struct player *player = user;

    cr_assert_lt(player->play.next_epoch, player->epoch_count, "%s: an epoch too many", player->id);
    return player->epochs[player->play.next_epoch++];
}

static void forget(struct play *play, const vpc_pair *pair)
{
    for (unsigned i = 0; i < play->channel_count; i++)
        if (play->channels[i].pair == pair)
            play->channels[i].pair = NULL;
}

static void on_event(void *user, const vpc_session_event *event)
{
    struct player *player = user;
    struct play *play = &player->play;

    play->count[event->kind]++;
    if (event->kind == VPC_EV_SESSION_UP)
        play->version = event->value;
    if (event->kind == VPC_EV_SESSION_DOWN)
        snprintf(play->down_text, sizeof(play->down_text), "%s", event->text);
    if (event->kind == VPC_EV_PAIR_REQUEST) {
        play->requested = event->pair;
        play->port = vpc_pair_port(event->pair);
    }
    if (event->kind == VPC_EV_PAIR_RESET && event->value != 0)
        vpc_pair_reset(event->pair,
                       (uint32_t)event->value); /* CLS-5, which the library leaves to its user */
    if (event->kind == VPC_EV_PAIR_RELEASED)
        forget(play, event->pair);
}

static void configure(struct player *player, const json_t *endpoint)
{
    vpc_session_config *config = &player->config;

    *config = (vpc_session_config){
        .role = strcmp(player->role, "host") == 0 ? VPC_HOST : VPC_GUEST,
        .version_min = (uint16_t)vec_number(endpoint, "version_min"),
        .version_max = (uint16_t)vec_number(endpoint, "version_max"),
        .max_pairs = (uint16_t)vec_number(endpoint, "max_pairs"),
        .window = (uint32_t)vec_number(endpoint, "window"),
        .send_buffer = 256,
        .hello_interval_ms = (uint32_t)vec_number(endpoint, "hello_interval_ms"),
        .heartbeat_ms = (uint32_t)vec_number(endpoint, "heartbeat_ms"),
        .heartbeat_late_ms = (uint32_t)vec_number(endpoint, "heartbeat_late_ms"),
        .peer_limit_ms = (uint32_t)vec_number(endpoint, "peer_limit_ms"),
        .backoff_max_ms = 5000,
        .random = next_epoch,
        .on_event = on_event,
        .user = player,
    };
    snprintf(config->tag, sizeof(config->tag), "%s", vec_text(endpoint, "tag"));
    snprintf(config->name, sizeof(config->name), "%s", vec_text(endpoint, "name"));
}

/* ---- what a step must show --------------------------------------------------------------------------------------- */
static void do_receive(struct player *player, const struct vec_octets *octets, size_t split)
{
    size_t first = split < octets->n ? split : octets->n;

    vpc_session_input(player->play.session, octets->octets, first);
    if (first < octets->n)
        vpc_session_input(player->play.session, octets->octets + first, octets->n - first);
}

/* Enters the channels of a pair that begins with this step. */
static void note_channel(struct player *player, const json_t *cause)
{
    struct play *play = &player->play;
    struct channel *channel = &play->channels[play->channel_count];
    vpc_channel_status sending, receiving;

    cr_assert_lt(play->channel_count, CHANNELS);
    *channel = (struct channel){.id = (uint32_t)vec_number(cause, "channel"),
                                .sending = vec_text(cause, "machine")[0] == 's',
                                .pair = play->opened != NULL ? play->opened : play->requested};
    play->channel_count++;
    if (channel->pair == NULL)
        return; /* refused at once */
    vpc_pair_channels(channel->pair, &sending, &receiving);
    cr_assert_eq(channel->sending ? sending.id : receiving.id, channel->id, "%s: the id",
                 player->id);
}

/* What the causes of a step make of the states. */
static void note_causes(struct player *player, const json_t *step)
{
    const json_t *cause;
    size_t i;

    json_array_foreach(json_object_get(step, "causes"), i, cause)
    {
        const char *event = vec_text(cause, "event"), *state = vec_text(cause, "state");

        if (json_object_get(cause, "channel") == NULL) {
            player->play.state = state;
            continue;
        }
        if (strcmp(event, "rcv_open") == 0 || strcmp(event, "snd_open") == 0)
            note_channel(player, cause);
        play_channel(player, vec_number(cause, "channel"))->state = state;
    }
}

static void expect_state(struct player *player, size_t at, size_t split, const char *got,
                         const char *want)
{
    cr_assert(strcmp(got, want) == 0, "%s, step %zu, split at %zd: %s, not %s", player->id, at,
              (ssize_t)split, got, want);
}

static void expect_states(struct player *player, size_t at, size_t split)
{
    struct play *play = &player->play;

    expect_state(player, at, split, vpc_session_state_name(vpc_session_state(play->session)),
                 play->state);
    for (unsigned i = 0; i < play->channel_count; i++) {
        const struct channel *channel = &play->channels[i];
        enum vpc_channel_state state = VPC_CHANNEL_RELEASED; /* of a pair that is gone */

        if (channel->pair != NULL)
            state = channel->sending ? vpc_pair_sending_state(channel->pair)
                                     : vpc_pair_receiving_state(channel->pair);
        expect_state(player, at, split, vpc_channel_state_name(state), channel->state);
    }
}

/* The entries of the log that the library has an event for, of its own. */
static const struct {
    const char *log;
    enum vpc_event_kind kind;
} logged[] = {
    {"SESSION_UP", VPC_EV_SESSION_UP},        {"SESSION_LOST", VPC_EV_SESSION_DOWN},
    {"REVISION_MISMATCH", VPC_EV_MISMATCH},   {"FRAMING_LOST", VPC_EV_FRAMING_LOST},
    {"PROTOCOL_VIOLATION", VPC_EV_VIOLATION}, {"CHANNEL_READY", VPC_EV_READY},
    {"CHANNEL_NOT_READY", VPC_EV_NOT_READY},  {"HEARTBEAT_LATE", VPC_EV_LATE},
    {"HEARTBEAT_RESUMED", VPC_EV_RESUMED},
};

static void expect_log(struct player *player, const json_t *step, size_t at, size_t split)
{
    unsigned want[KINDS] = {0};
    const json_t *entry;
    size_t i;

    json_array_foreach(json_object_get(step, "log"), i, entry)
    {
        for (size_t k = 0; k < sizeof(logged) / sizeof(logged[0]); k++)
            if (strcmp(logged[k].log, vec_text(entry, "name")) == 0)
                want[logged[k].kind]++;
        if (strcmp(vec_text(entry, "name"), "SESSION_LOST") == 0)
            ASSERT(strcmp(player->play.down_text, vec_text(entry, "cause")) == 0, player, at, split,
                   player->play.down_text);
    }
    for (size_t k = 0; k < sizeof(logged) / sizeof(logged[0]); k++)
        cr_assert_eq(player->play.count[logged[k].kind], want[logged[k].kind],
                     "%s, step %zu, split at %zd: %u times %s, not %u", player->id, at,
                     (ssize_t)split, player->play.count[logged[k].kind], logged[k].log,
                     want[logged[k].kind]);
    cr_assert_eq(player->play.count[VPC_EV_PAIR_REQUEST], json_object_get(step, "connect") != NULL,
                 "%s", player->id);
    if (json_object_get(step, "connect") != NULL)
        cr_assert_eq(player->play.port, vec_number(step, "connect"), "%s", player->id);
    cr_assert_eq(player->play.count[VPC_EV_PAIR_OPENED],
                 strcmp(vec_text(step, "result"), "S_OK") == 0 ? 1 : 0, "%s", player->id);
}

/* Takes octets of the output until there are n; false when it ends before. */
static bool take(struct player *player, uint8_t *out, size_t n)
{
    while (n > 0) {
        const void *octets;
        size_t here = vpc_session_output(player->play.session, &octets);

        if (here == 0)
            return false;
        if (here > n)
            here = n;
        memcpy(out, octets, here);
        vpc_session_sent(player->play.session, here);
        out += here;
        n -= here;
    }
    return true;
}

static size_t take_padding(struct player *player)
{
    size_t pads = 0;

    for (;;) {
        const void *octets;
        size_t n = vpc_session_output(player->play.session, &octets), here = 0;

        while (here < n && ((const uint8_t *)octets)[here] == VPC_PAD)
            here++;
        vpc_session_sent(player->play.session, here);
        pads += here;
        if (here == 0 || here < n)
            return pads;
    }
}

static void expect_octets(struct player *player, const json_t *item, size_t at, size_t split)
{
    json_t *list = json_pack("[O]", item);
    struct vec_octets want = vec_octets(list, 1);
    uint8_t *got = calloc(1, want.n + 1);

    ASSERT(take(player, got, want.n), player, at, split, "too few octets are sent");
    for (size_t i = 0; i < want.n; i++)
        cr_assert_eq(got[i], want.octets[i],
                     "%s, step %zu, split at %zd: octet %zu is %02x, not %02x", player->id, at,
                     (ssize_t)split, i, got[i], want.octets[i]);
    free(got);
    vec_octets_free(&want);
    json_decref(list);
}

/* Takes one frame of the output, whatever it is; returns its size, 0 when there is none. */
static size_t take_frame(struct player *player, uint8_t out[VPC_SMALL_FRAME_MAX])
{
    size_t n;

    if (!take(player, out, VPC_HEADER_SIZE))
        return 0;
    n = out[8] + (size_t)VPC_SEAL_SIZE;
    cr_assert_leq(VPC_HEADER_SIZE + n, VPC_SMALL_FRAME_MAX, "%s", player->id);
    return take(player, out + VPC_HEADER_SIZE, n) ? VPC_HEADER_SIZE + n : 0;
}

/* Whether an item is this frame, but for its number. */
static bool same_frame(json_t *item, const uint8_t *frame, size_t n)
{
    json_t *list = json_pack("[O]", item);
    struct vec_octets want = vec_octets(list, 1);
    bool same = want.n == n && memcmp(frame, want.octets, n - 8) == 0;

    vec_octets_free(&want);
    json_decref(list);
    return same;
}

/* Frames of different channels come in any order; each has the number of its place (FRM-4). */
static void expect_any_order(struct player *player, const json_t *step, size_t at, size_t split)
{
    json_t *left = json_copy(json_object_get(step, "send"));
    const json_t *frame;
    size_t i, k;

    json_array_foreach(json_object_get(step, "frames"), i, frame)
    {
        uint64_t number = vec_number(json_object_get(frame, "seal"), "number");
        uint8_t got[VPC_SMALL_FRAME_MAX];
        size_t n = take_frame(player, got);

        ASSERT(n > 0 && got[n - 8] == number, player, at, split,
               "a frame is missing or has a wrong number");
        for (k = 0; k < json_array_size(left); k++)
            if (same_frame(json_array_get(left, k), got, n))
                break;
        ASSERT(json_array_remove(left, k) == 0, player, at, split,
               "a frame that is none of the transcript's");
    }
    json_decref(left);
}

static void expect_send(struct player *player, const json_t *step, size_t at, size_t split)
{
    const json_t *send = json_object_get(step, "send"), *item;
    size_t i;

    if (json_object_get(step, "order") != NULL) {
        expect_any_order(player, step, at, split);
        return;
    }
    json_array_foreach(send, i, item)
    {
        size_t least = vec_number(item, "pad_at_least");

        if (least > 0)
            ASSERT(take_padding(player) >= least, player, at, split, "the preamble is too short");
        else
            expect_octets(player, item, at, split);
    }
}

static void expect_silence(struct player *player, size_t at, size_t split)
{
    const void *octets;

    ASSERT(vpc_session_output(player->play.session, &octets) == 0, player, at, split,
           "more is sent than the transcript says");
}

/* ---- playing -------------------------------------------------------------------------------------------------------------- */

static void play_step(struct player *player, size_t at, size_t split)
{
    const json_t *step = json_array_get(player->steps, at);
    const json_t *next = json_array_get(player->steps, at + 1),
                 *send = json_object_get(step, "send");

    memset(player->play.count, 0, sizeof(player->play.count));
    player->play.requested = player->play.opened = NULL;
    if (send != NULL) {
        expect_send(player, step, at, split);
    } else {
        vpc_session_clock(player->play.session, vec_number(step, "at"));
        if (json_object_get(step, "receive") != NULL)
            do_receive(player, &player->octets[at], split);
        else
            play_local(player, step, &player->octets[at]);
        vpc_session_clock(player->play.session, vec_number(step, "at"));
    }
    note_causes(player, step);
    expect_log(player, step, at, split);
    if (json_object_get(next, "send") != NULL)
        return; /* a channel's state may follow what is sent */
    expect_silence(player, at, split);
    expect_states(player, at, split);
}

static void keep(struct player *player, size_t at)
{
    player->kept[at].play = player->play;
    memcpy(player->kept[at].memory, player->memory, player->size);
}

static void restore(struct player *player, size_t at)
{
    player->play = player->kept[at].play;
    memcpy(player->memory, player->kept[at].memory, player->size);
}

static void play_from(struct player *player, size_t from, size_t split)
{
    for (size_t at = from; at < json_array_size(player->steps); at++) {
        if (split == NO_SPLIT)
            keep(player, at);
        play_step(player, at, at == from ? split : NO_SPLIT);
    }
    expect_silence(player, json_array_size(player->steps), split);
}

static void begin(struct player *player, const json_t *transcript)
{
    const json_t *step;
    size_t i;

    memset(player, 0, sizeof(*player));
    player->id = vec_text(transcript, "id");
    player->role = vec_text(transcript, "role");
    player->steps = json_object_get(transcript, "steps");
    cr_assert_leq(json_array_size(player->steps), STEPS_MAX, "%s", player->id);
    configure(player, json_object_get(transcript, "endpoint"));
    player->size = vpc_session_size(&player->config);
    player->memory = malloc(player->size);
    cr_assert_not_null(player->memory);
    json_array_foreach(player->steps, i, step)
    {
        const json_t *items = json_object_get(step, "receive");

        player->octets[i] = vec_octets(items != NULL ? items : json_object_get(step, "octets"), i);
        player->kept[i].memory = malloc(player->size);
        cr_assert_not_null(player->kept[i].memory);
        if (json_object_get(step, "epoch") != NULL)
            player->epochs[player->epoch_count++] = vec_number(step, "epoch");
    }
    player->play.session = vpc_session_init(player->memory, &player->config, 0);
    player->play.state = "down";
}

static void end(struct player *player)
{
    for (size_t i = 0; i < json_array_size(player->steps); i++) {
        vec_octets_free(&player->octets[i]);
        free(player->kept[i].memory);
    }
    free(player->memory);
}

static void play(struct player *player, const json_t *transcript)
{
    begin(player, transcript);
    play_from(player, 0, NO_SPLIT);
    for (size_t at = 0; at < json_array_size(player->steps); at++) {
        const struct vec_octets *octets = &player->octets[at];

        if (json_object_get(json_array_get(player->steps, at), "receive") == NULL)
            continue;
        for (size_t i = 0; i < octets->split_count; i++) {
            restore(player, at);
            play_from(player, at, octets->splits[i]);
        }
    }
    end(player);
}

static void play_all(const char *role)
{
    static struct player player;
    const json_t *transcript;
    const json_t *list = vectors("transcripts");
    size_t i;

    json_array_foreach(list, i, transcript) if (strcmp(vec_text(transcript, "role"), role) == 0)
        play(&player, transcript);
}

Test(transcripts, host, LIMIT, .fini = close_file)
{
    play_all("host");
}

Test(transcripts, guest, LIMIT, .fini = close_file)
{
    play_all("guest");
}
