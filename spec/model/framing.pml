/* SPDX-License-Identifier: MIT */
/*
 * Framing and start: two endpoints, a byte stream each way, and an adversary.
 *
 * Goal     Whatever the adversary did, both endpoints reach `ready` in one session after its last fault; what an endpoint
 *          accepts in a session is a prefix of what the other sent in that session; imitations never count.
 * Stream   A queue of symbols, each standing for a run of octets with a weight.  A frame is F1 (header), a body, FS (seal);
 *          a HELLO is H1 (header and body) and H2 (its CRC, which fits only the H1 with the same fields).  PAD and BODY are
 *          runs: their weight can be cut.  A receiver inside a frame counts weights, whatever the symbols are.
 * States   Session transitions come from spec/lifecycle.rl (step_session, generated); what the text decides (guards,
 *          classification, timers, what is sent) is written here as VPCBUS.md has it.
 * Limits   FAULTS faults, SENDS payloads of each side (HOST_SENDS of the host; PLAIN: none imitates anything), EARLY timers that fire although something moves, RETRIES
 *          repetitions of a HELLO in an attempt.  Every run is finite: "in the end" is "in each final state".
 *
 * Variants (-D), each without one mechanism: NO_PREAMBLE, NO_SEAL, NO_NUMBER, NO_ECHO, NO_FRESH_EPOCH, NO_SELF_START,
 * NO_LATE_HELLO.  LOSS_AFTER_ROLLBACK lifts the one restriction of the adversary (see README.md).
 */
#include "lifecycle.pml"

#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef SENDS
#define SENDS 1
#endif
#ifndef HOST_SENDS
#define HOST_SENDS SENDS
#endif
#ifndef EARLY
#define EARLY 0
#endif
#ifndef RETRIES
#define RETRIES 2
#endif
#ifndef ROLLED
#define ROLLED 1 /* which side can be rolled back: 0 the host, 1 the guest */
#endif
#ifndef MAX_NUMBER
#define MAX_NUMBER (12 * (1 + FAULTS)) /* sealed frames of a session, at the most: a damaged frame takes ten heartbeats to be over */
#endif
#ifndef MAX_EPOCH
#define MAX_EPOCH 7 /* attempts of a side, at the most */
#endif

#define HOST  0
#define GUEST 1
#define FAKE  15 /* what an application guesses: never a drawn epoch */

/* symbols */
#define PAD  1
#define H1   2
#define H2   3
#define F1   4
#define BODY 5
#define FS   6

#define BODY_WEIGHT 20                  /* of the longest body */
#define IMITATION   3                   /* weight of a body of three symbols */
#define LONGEST     (BODY_WEIGHT + 2)
#ifdef NO_PREAMBLE
#define PREAMBLE    1                   /* the 16 octets that a hunter wants, no more */
#else
#define PREAMBLE    (2 * LONGEST + 1)
#endif

/* what a sealed frame carries */
#define IS_DATA  0
#define IS_READY 1
#define IS_BEAT  2

#define CAPACITY 10

/* kind, weight (F1: weight of the body to come; FS: what it carries), two epochs (of the seal, or epoch and echo of a
 * HELLO), number, ghost: 0 not of a frame; else 1 + (timeline of the sender) * 4 + timeline of its frame before */
chan wire[2] = [CAPACITY] of { byte, byte, byte, byte, byte, byte };

/* what a parser is in */
#define HUNT_NOTHING 0
#define HUNT_PADDED  1
#define HUNT_HELLO   2
#define BETWEEN      3
#define IN_HELLO     4
#define IN_FRAME     5

typedef Endpoint {
    byte st, epoch, peer, echoed, speer, sh, sg, sent, recv, drawn, tries;
    bit late, hello, ready_waits, peer_ready;
    byte ps, miss, ha, hb, hn, hg; /* the parser; ha to hg: fields of the H1 or F1 under way */
    bit mixed;                     /* ghost: the frame under way is made of more than one */
    byte tlast, rlast;             /* ghost: timeline of the last frame sent, of the last accepted */
}

#define COPY(to, from)                                                                                                 \
    to.st = from.st; to.epoch = from.epoch; to.peer = from.peer; to.echoed = from.echoed; to.speer = from.speer;       \
    to.sh = from.sh; to.sg = from.sg; to.sent = from.sent; to.recv = from.recv; to.drawn = from.drawn;                 \
    to.tries = from.tries; to.late = from.late; to.hello = from.hello; to.ready_waits = from.ready_waits;              \
    to.peer_ready = from.peer_ready; to.ps = from.ps; to.miss = from.miss; to.ha = from.ha; to.hb = from.hb;           \
    to.hn = from.hn; to.hg = from.hg; to.mixed = from.mixed; to.tlast = from.tlast; to.rlast = from.rlast

Endpoint E[2];
Endpoint saved;       /* the snapshot of ROLLED */
bit has_saved;
byte timeline[2];     /* ghost: how often the side was rolled back, 3 at the most */
byte faults = FAULTS; /* left */
byte sends[2];        /* payloads left */
byte early = EARLY;
bit over;             /* the adversary is done */

/* scratch of d_steps, zero between them */
short did;
byte k, w, a, b, n, g, ev, follows, i, mode;

#ifdef NO_FRESH_EPOCH /* what is drawn is always the same: only the ghosts tell two epochs of a side apart */
#define SAME(e, f) ((e) == (f) || ((e) != 0 && (f) != 0 && (e) != FAKE && (f) != FAKE))
#else
#define SAME(e, f) ((e) == (f))
#endif

#define in_session(s) (E[s].st == SESSION_UP || E[s].st == SESSION_READY)
#define hunting(s)    (E[s].st == SESSION_HUNTING)
#define sends_to(s)   (E[s].sent == E[1 - s].recv) /* its next frame has the number that is expected */
#define same_session  (SAME(E[HOST].sh, E[GUEST].sh) && SAME(E[HOST].sg, E[GUEST].sg))
#define agreed        (in_session(HOST) && in_session(GUEST) && same_session && sends_to(HOST) && sends_to(GUEST))
#define goal          (agreed && E[HOST].st == SESSION_READY && E[GUEST].st == SESSION_READY && quiet)
#define waits(s)      (E[s].hello || E[s].ready_waits || E[s].st == SESSION_BACKING_OFF)
#define quiet         (len(wire[HOST]) == 0 && len(wire[GUEST]) == 0 && !waits(HOST) && !waits(GUEST))

/* ---- the actions of the grammar ---------------------------------------------------------------------------------- */

inline start_attempt(s)
{
    E[s].drawn++;
    assert(E[s].drawn <= MAX_EPOCH); /* the adversary's faults cost a bounded number of attempts */
    E[s].epoch = E[s].drawn;
    E[s].echoed = 0;
    E[s].tries = 0;
    E[s].ps = HUNT_NOTHING;
    E[s].hello = 1
}

inline begin_session(s)
{
    assert(E[s].peer != FAKE); /* an imitated HELLO never begins a session */
    E[s].sh = (s == HOST -> E[s].epoch : E[s].peer);
    E[s].sg = (s == HOST -> E[s].peer : E[s].epoch);
    E[s].speer = E[s].peer;
    E[s].sent = 0;
    E[s].recv = 0;
    E[s].tlast = 0;
    E[s].rlast = 0;
    E[s].late = 0;
    E[s].peer_ready = 0;
    E[s].hello = E[s].hello || E[s].echoed != E[s].peer;
    E[s].ps = BETWEEN;
    printf("%d is in session (%d, %d)\n", s, E[s].sh, E[s].sg)
}

inline end_session(s)
{
    printf("%d ends its session (event %d)\n", s, ev);
#if FAULTS + EARLY == 0
    assert(false); /* without a fault the first session lasts */
#endif
    E[s].hello = 0;
    E[s].ready_waits = 0;
    E[s].late = 0;
    E[s].ps = HUNT_NOTHING
}

/* Steps the session of s with the event ev, if there is one, then with `follows`. */
inline run_events(s)
{
    do
    :: ev != 0 ->
        step_session(E[s].st, ev);
        assert(did != ILLEGAL);
        if
        :: did & SESSION_DO_END_SESSION -> end_session(s)
        :: did & SESSION_DO_START_ATTEMPT -> start_attempt(s)
        :: did & SESSION_DO_SEND_HELLO -> E[s].hello = 1
        :: did & SESSION_DO_REPORT_LATE -> E[s].late = 1;
#ifdef NEVER_LATE
            assert(false)
#endif
        :: did & SESSION_DO_BEGIN_SESSION -> begin_session(s);
            follows = (s == GUEST -> EV_LOCAL_READY : 0)
        :: did & SESSION_DO_ANNOUNCE_READY -> E[s].ready_waits = 1
        :: else
        fi;
        ev = follows;
        follows = 0
    :: else -> break
    od;
    did = 0
}

inline step(s, e)
{
    ev = e;
    run_events(s)
}

/* ---- what arrives ------------------------------------------------------------------------------------------------- */

/* a valid HELLO: epoch a, echo b (SES-3, SES-4, SES-7, SES-8) */
inline receive_hello(s)
{
    assert(a == E[s].ha && b == E[s].hb); /* it is whole */
    E[s].peer = a;
#ifdef NO_ECHO
#define ECHOES 1
#else
#define ECHOES SAME(b, E[s].epoch)
#endif
#ifdef NO_LATE_HELLO
#define BEGINS_ANEW 0
#else
#define BEGINS_ANEW E[s].late
#endif
    if
    :: in_session(s) && (!SAME(a, E[s].speer) || BEGINS_ANEW) -> ev = EV_HELLO_STRANGER
    :: in_session(s) && SAME(a, E[s].speer) && !BEGINS_ANEW && !ECHOES -> ev = EV_HELLO_DEAF
    :: !in_session(s) && !ECHOES -> ev = EV_HELLO_STRANGER
    :: else -> ev = EV_HELLO_ECHO
    fi;
    E[s].ps = (in_session(s) -> BETWEEN : HUNT_NOTHING)
}

inline lose_framing(s)
{
    E[s].ps = HUNT_NOTHING;
    ev = EV_FRAMING_LOST
}

/* a whole frame: seal (a, b) number n, ghost g */
inline receive_frame(s)
{
    if
#ifdef NO_SEAL
    :: 0
#else
    :: !SAME(a, E[s].sh) || !SAME(b, E[s].sg) -> lose_framing(s)
#ifndef NO_NUMBER
    :: SAME(a, E[s].sh) && SAME(b, E[s].sg) && n != E[s].recv + 1 -> lose_framing(s)
#endif
#endif
    :: else ->
        assert(a == E[s].sh && b == E[s].sg);               /* nothing crosses sessions, no imitation is accepted */
        assert(!E[s].mixed && n == E[s].recv + 1);          /* whole, and the next one */
        assert((g - 1) % 4 == E[s].rlast);                  /* and its sender sent it after the one accepted before */
        E[s].recv = n;
        E[s].rlast = (g - 1) / 4;
        E[s].ps = BETWEEN;
        printf("%d accepts frame %d of session (%d, %d)\n", s, n, a, b);
        if
        :: w == IS_READY -> E[s].peer_ready = 1; ev = EV_RCV_READY
        :: w == IS_BEAT -> ev = EV_RCV_HEARTBEAT
        :: w == IS_DATA -> ev = EV_RCV_CHANNEL
        fi;
        if
        :: E[s].late && (s == GUEST || E[s].peer_ready) -> follows = ev; ev = EV_HEARTBEAT_RESUMED
        :: else
        fi;
        E[s].late = 0
    fi
}

/* one symbol that does not belong to a frame under way, in a session */
inline parse_between(s)
{
    if
    :: k == PAD
    :: k == H1 -> E[s].ps = IN_HELLO; E[s].ha = a; E[s].hb = b
    :: k == F1 -> E[s].ps = IN_FRAME; E[s].miss = w + 1;
        E[s].ha = a; E[s].hb = b; E[s].hn = n; E[s].hg = g; E[s].mixed = 0
    :: else -> lose_framing(s)
    fi
}

inline parse_in_frame(s)
{
    i = (k == PAD || k == BODY -> w : 1);
    E[s].mixed = E[s].mixed || n != E[s].hn || g != E[s].hg ||
                 (k == BODY && a != FAKE && (a != E[s].ha || b != E[s].hb));
    if
    :: i < E[s].miss -> E[s].miss = E[s].miss - i
    :: i == E[s].miss && k == FS -> E[s].ha = 0; E[s].hb = 0; E[s].hn = 0; E[s].hg = 0; E[s].miss = 0; receive_frame(s)
#ifdef NO_SEAL
    :: i >= E[s].miss && k != FS -> assert(false) /* any octets pass for a seal: a payload that was not sent */
#else
    :: i >= E[s].miss && k != FS ->
        i = i - E[s].miss;
        lose_framing(s);
        E[s].ps = (k == PAD && i > 0 -> HUNT_PADDED : HUNT_NOTHING) /* what is left of a run of padding counts */
#endif
    fi
}

inline parse_hunting(s)
{
    if
    :: k == PAD -> E[s].ps = (E[s].ps == HUNT_HELLO && w == 1 -> HUNT_NOTHING : HUNT_PADDED)
    :: k == H1 && E[s].ps == HUNT_PADDED -> E[s].ps = HUNT_HELLO; E[s].ha = a; E[s].hb = b
    :: k == H2 && E[s].ps == HUNT_HELLO && a == E[s].ha && b == E[s].hb -> receive_hello(s)
    :: else -> E[s].ps = HUNT_NOTHING
    fi;
    if
    :: E[s].ps == HUNT_HELLO
    :: else -> E[s].ha = 0; E[s].hb = 0
    fi
}

inline receive(s)
{
    wire[1 - s]?k, w, a, b, n, g;
    if
    :: E[s].ps <= HUNT_HELLO -> parse_hunting(s)
    :: E[s].ps == BETWEEN -> parse_between(s)
    :: E[s].ps == IN_HELLO && k == H2 && a == E[s].ha && b == E[s].hb ->
        receive_hello(s); E[s].ha = 0; E[s].hb = 0
    :: E[s].ps == IN_HELLO && !(k == H2 && a == E[s].ha && b == E[s].hb) ->
        E[s].ha = 0; E[s].hb = 0; lose_framing(s)
    :: E[s].ps == IN_FRAME -> parse_in_frame(s)
    fi;
    if
    :: E[s].ps == IN_FRAME
    :: else -> E[s].miss = 0; E[s].hn = 0; E[s].hg = 0; E[s].mixed = 0
    fi;
    run_events(s);
    k = 0; w = 0; a = 0; b = 0; n = 0; g = 0; i = 0
}

/* ---- what is sent --------------------------------------------------------------------------------------------------- */

inline send_hello(s)
{
    printf("%d > HELLO epoch=%d echo=%d\n", s, E[s].epoch, E[s].peer);
    wire[s]!PAD, PREAMBLE, 0, 0, 0, 0;
    wire[s]!H1, 0, E[s].epoch, E[s].peer, 0, 0;
    wire[s]!H2, 0, E[s].epoch, E[s].peer, 0, 0;
    E[s].echoed = E[s].peer;
    E[s].hello = 0
}

#define seal_of(s) E[s].sh, E[s].sg, E[s].sent, g

/* begins a sealed frame of the timeline t: F1 with the weight of its body */
inline open_frame(s, weight, t)
{
    E[s].sent++;
    assert(E[s].sent < MAX_NUMBER);
    g = 1 + (t) * 4 + E[s].tlast;
    E[s].tlast = t;
    wire[s]!F1, weight, seal_of(s)
}

inline close_frame(s, what)
{
    wire[s]!FS, what, seal_of(s);
    g = 0
}

inline send_small(s, what)
{
    /* READY and HEARTBEAT are the same octets in every timeline */
    open_frame(s, 0, 0);
    printf("%d > READY or HEARTBEAT %d of session (%d, %d)\n", s, E[s].sent, E[s].sh, E[s].sg);
    close_frame(s, what)
}

inline send_long(s)
{
    open_frame(s, BODY_WEIGHT, timeline[s]);
    printf("%d > DATA %d of session (%d, %d), the longest\n", s, E[s].sent, E[s].sh, E[s].sg);
    wire[s]!BODY, BODY_WEIGHT, seal_of(s);
    close_frame(s, IS_DATA)
}

inline send_imitated_hello(s)
{
    open_frame(s, IMITATION, timeline[s]);
    printf("%d > DATA %d of session (%d, %d): its payload imitates padding and HELLO\n", s, E[s].sent, E[s].sh, E[s].sg);
    wire[s]!PAD, 1, 0, 0, E[s].sent, g;
    wire[s]!H1, 0, FAKE, FAKE, E[s].sent, g;
    wire[s]!H2, 0, FAKE, FAKE, E[s].sent, g;
    close_frame(s, IS_DATA)
}

inline send_imitated_frame(s)
{
    open_frame(s, IMITATION, timeline[s]);
    printf("%d > DATA %d of session (%d, %d): its payload imitates a frame\n", s, E[s].sent, E[s].sh, E[s].sg);
    wire[s]!F1, 1, FAKE, FAKE, E[s].sent, g;
    wire[s]!BODY, 1, FAKE, FAKE, E[s].sent, g;
    wire[s]!FS, IS_DATA, FAKE, FAKE, E[s].sent, g;
    close_frame(s, IS_DATA)
}

#define room(s, m)   (len(wire[s]) + (m) <= CAPACITY)
#define can_send(s)  (in_session(s) && !E[s].hello && !E[s].ready_waits && sends[s] > 0 && !over)

/* ---- an endpoint ------------------------------------------------------------------------------------------------------ */

#define peer_silent_to(s) (in_session(s) && !in_session(1 - s))
#define beat_matters(s)   (in_session(s) && in_session(1 - s) && (!same_session || !sends_to(s) || E[1 - s].late))
#ifdef NO_SELF_START
#define may_repeat(s) (E[s].tries < RETRIES && E[s].drawn == 1)
#else
#define may_repeat(s) (E[s].tries < RETRIES)
#endif
#ifdef NEVER_LATE /* repetitions of HELLO alone tell of a restart and of a restore */
#define may_be_late(s)    (!may_repeat(1 - s))
#else
#define may_be_late(s)    true
#endif

proctype endpoint(byte me)
{
    do
    :: d_step { len(wire[1 - me]) > 0 -> receive(me) }
    :: d_step { E[me].hello && room(me, 3) -> send_hello(me) }
    :: d_step { !E[me].hello && E[me].ready_waits && room(me, 2) -> E[me].ready_waits = 0; send_small(me, IS_READY) }
    :: d_step { can_send(me) && room(me, 3) -> sends[me]--; send_long(me) }
#ifndef PLAIN
    :: d_step { can_send(me) && room(me, 5) -> sends[me]--; send_imitated_hello(me) }
    :: d_step { can_send(me) && room(me, 5) -> sends[me]--; send_imitated_frame(me) }
#endif

    /* timers; those of `quiet` fire when nothing else moves */
    :: d_step {
        if
        :: E[me].st == SESSION_BACKING_OFF -> ev = EV_RETRY
        :: hunting(me) && quiet && may_repeat(me) -> E[me].tries++; ev = EV_RETRY
        :: peer_silent_to(me) && quiet && !E[me].late && may_be_late(me) -> E[1 - me].tries = 0; ev = EV_HEARTBEAT_LATE
#ifdef PEER_LIMIT
        :: peer_silent_to(me) && quiet && E[me].late -> E[1 - me].tries = 0; ev = EV_PEER_SILENT
#endif
        fi;
        run_events(me)
#ifdef NO_SELF_START
        ; E[me].hello = E[me].hello && E[me].drawn == 1 /* it waits for a HELLO instead */
#endif
        }
    :: d_step { beat_matters(me) && quiet -> send_small(me, IS_BEAT) }
#if EARLY > 0
    :: d_step { early > 0 && !over && !E[me].hello && (hunting(me) || (in_session(me) && !E[me].late)) ->
        early--; E[1 - me].tries = 0; step(me, (hunting(me) -> EV_RETRY : EV_HEARTBEAT_LATE)) }
#endif
    :: over && goal -> break
    od
}

/* ---- the adversary ---------------------------------------------------------------------------------------------------- */

/* Takes one run out of the queue q, anywhere, cutting symbols that are runs.  mode: 0 before it, 1 in it, 2 behind it.
 * `first`: 1 if it begins with the first symbol, `last`: 1 if it ends with the last. */
inline cut_part(q)
{
    /* how much of a run is left: the classes that a receiver can tell apart */
    if
    :: w > 1 -> w = 1
    :: w > 2 -> w = w - 1
    :: w > 4 -> w = w / 2
    :: w > LONGEST -> w = LONGEST
    :: w > LONGEST -> w = LONGEST - 1
    fi;
    wire[q]!k, w, a, b, n, g
}

inline lose(q, first, last)
{
    i = len(wire[q]);
    mode = first;
    do
    :: i > 0 ->
        i--;
        wire[q]?k, w, a, b, n, g;
        if
        :: mode != 1 -> wire[q]!k, w, a, b, n, g
        :: mode == 0 -> mode = 1                                                /* lost */
        :: mode == 0 && (k == PAD || k == BODY) && w > 1 -> cut_part(q); mode = 1 /* its first part stays */
        :: mode == 1                                                            /* lost too */
        :: mode == 1 && !last -> wire[q]!k, w, a, b, n, g; mode = 2
        :: mode == 1 && !last && (k == PAD || k == BODY) && w > 1 -> cut_part(q); mode = 2 /* its last part stays */
        fi
    :: else -> break
    od;
    mode = 0; k = 0; w = 0; a = 0; b = 0; n = 0; g = 0; i = 0
}

inline crash(s)
{
    printf("fault: %d crashes and restarts\n", s);
    n = E[s].drawn;
    COPY(E[s], blank);
    E[s].drawn = n;
    E[s].st = SESSION_START;
    n = 0;
    step(s, EV_TRANSPORT_UP)
}

Endpoint blank;

#ifdef LOSS_AFTER_ROLLBACK
#define losable(s) true
#else
#define losable(s) (timeline[s] == 0)
#endif

#ifdef SAVED_UNHEARD /* the snapshot is of a side that has heard nothing yet */
#define may_save (E[ROLLED].peer == 0)
#else
#define may_save true
#endif

proctype adversary()
{
    byte s;

    do
    :: atomic {
            if
#ifndef NO_CRASH
            :: faults > 0 -> s = HOST; crash(s); lose(1 - s, 1, 0); lose(s, 0, 1); s = 0
            :: faults > 0 -> s = GUEST; crash(s); lose(1 - s, 1, 0); lose(s, 0, 1); s = 0
#endif
#ifndef NO_LOSS
            :: faults > 0 && len(wire[HOST]) > 0 && losable(HOST) -> printf("fault: octets from 0 are lost\n"); lose(HOST, 0, 0)
            :: faults > 0 && len(wire[GUEST]) > 0 && losable(GUEST) -> printf("fault: octets from 1 are lost\n"); lose(GUEST, 0, 0)
#endif
#ifndef NO_ROLLBACK
            :: faults > 0 && has_saved && timeline[ROLLED] < 3 ->
                printf("fault: %d is rolled back\n", ROLLED);
                timeline[ROLLED]++;
                COPY(E[ROLLED], saved);
                lose(1 - ROLLED, 1, 0)
#endif
            fi;
            faults--;
            E[HOST].tries = 0; /* what follows a fault has its own repetitions */
            E[GUEST].tries = 0
        }
#ifndef NO_ROLLBACK
    :: d_step { faults > 0 && !has_saved && may_save -> printf("snapshot of %d\n", ROLLED); has_saved = 1; COPY(saved, E[ROLLED]) }
#endif
    :: over = 1; break
    od
}

init {
    atomic {
        sends[HOST] = HOST_SENDS;
        sends[GUEST] = SENDS;
        E[HOST].st = SESSION_START;
        E[GUEST].st = SESSION_START;
        step(HOST, EV_TRANSPORT_UP);
        step(GUEST, EV_TRANSPORT_UP);
        run endpoint(HOST);
        run endpoint(GUEST);
        run adversary()
    }
}
