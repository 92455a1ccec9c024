/* SPDX-License-Identifier: MIT */
/*
 * Channels: pairs between two honest endpoints, on a stream that is in order and whole until the session is lost.
 *
 * Goal     Delivered is a prefix of sent; FIN comes after every byte; no end passes its credit; nothing that an honest
 *          endpoint sends is a violation at the other; every channel is released in the end, at both ends, but of a pair
 *          that two programs hold which have finished writing and do not read (CLS-13); without BREAKS, GOES, SHUTS,
 *          STUCKS and LOSSES every byte written is delivered, and no timer is needed for it.
 * States   All transitions of a channel come from spec/lifecycle.rl (step_sending, step_receiving, generated).  Here is
 *          what the text decides: guards, what is sent and when, what the local programs may do.
 * Programs Write, read, finish, stop reading for ever (one of them, STUCKS), break (BREAKS), end their reading alone
 *          (SHUTS), and the host's client goes away (GOES).  A program that is not finished may always finish.
 * Limits   OPENS pairs opened one after the other or at once (POOL at a time), BYTES each way, WINDOW, LOSSES of the
 *          session.  Every run is finite: "in the end" is "in each final state".
 *
 * Variants (-D): NO_DRAIN, NO_DRAIN_READ, NO_LIMIT, NO_CREDIT, NO_PASS_OVER, RESET_FIRST, KEEP_RESET, NONE_HELD,
 * LIMIT_AT_FIN.
 */
#include "lifecycle.pml"

#ifndef OPENS
#define OPENS 1
#endif
#ifndef POOL
#define POOL 1 /* pairs that the guest holds at once */
#endif
#ifndef HOST_POOL
#define HOST_POOL POOL /* more than POOL: a host that passes over CHN-7, whose OPEN is refused */
#endif
#ifndef BYTES
#define BYTES 2
#endif
#ifndef WINDOW
#define WINDOW 1
#endif
#ifndef STUCKS
#define STUCKS 1
#endif
#ifndef BREAKS
#define BREAKS 1
#endif
#ifndef GOES
#define GOES 1
#endif
#ifndef SHUTS
#define SHUTS 1
#endif
#ifndef LOSSES
#define LOSSES 1
#endif
#ifndef CAPACITY
#define CAPACITY 2 /* messages under way in one direction */
#endif
#define BUFFER 1 /* bytes written and not yet sent */

#define HOST  0
#define GUEST 1
#define SLOTS HOST_POOL

/* what waits to be sent of a channel, in the order in which it is sent */
#define OPEN     1
#define OPENED   2
#define REFUSED  4
#define CREDIT   8
#define RESET    16
#define RELEASED 32
#define DATA     64
#define FIN      65

/* type, number of the pair (its two ids are 2n - 1 and 2n), direction (0 host to guest), value */
chan wire[2] = [CAPACITY] of { byte, byte, bit, byte };

typedef Pair {
    byte id;                 /* 0: free */
    byte ss, rs;             /* states of the sending and the receiving end */
    byte sp, rp;             /* what waits to be sent of them */
    bit serr, rerr;          /* error of a RESET that waits */
    byte offset, limit;      /* sending end: bytes sent, credit */
    byte got, taken, grant;  /* receiving end: bytes received, delivered, credit given */
    byte written;            /* by the local program */
    bit finished, gone, stuck, aborted;
    bit hurt; /* ghost: a RESET with an error came */
}

typedef Side { Pair p[SLOTS]; byte highest; bit up; byte refusals }
Side S[2];

/* ghosts: what the program of a side wrote on a pair, and whether it finished */
typedef Written { byte n[OPENS + 1]; bit end[OPENS + 1] }
Written W[2];
bit shut[2]; /* ghost: a program of the side ended its reading alone */

byte opens = OPENS, stucks = STUCKS, breaks = BREAKS, goes = GOES, shuts = SHUTS, losses = LOSSES;
bit closed; /* the host opens no more */
bit lost;   /* the session is lost; not everyone may know */
bit over;   /* nothing is left to do */

/* scratch of d_steps, zero between them */
short did;
byte type, id, v, x, evs, evr;
bit d, abort_both, err;

#define P      S[me].p[x]
#define mine   (d == me) /* the channel's sending end is here */

/* ---- stepping ----------------------------------------------------------------------------------------------------- */

inline after_sending(me)
{
    if
    :: did == SENDING_DO_ABORT -> P.sp = (P.sp & (255 - CREDIT)) | RESET; P.serr = err
    :: did == SENDING_DO_ANSWER_RELEASED -> P.sp = (P.sp & (255 - CREDIT - OPENED)) | RELEASED
    :: did == 0
    fi
}

inline after_receiving(me)
{
    if
    :: did == RECEIVING_DO_ABORT -> P.rp = (P.rp & (255 - CREDIT)) | RESET; P.rerr = err
    :: did == RECEIVING_DO_ANSWER_RELEASED -> P.rp = (P.rp & (255 - CREDIT - OPENED)) | RELEASED
    :: did == 0
    fi
}

/* Steps the sending end with evs and the receiving end with evr; then, if it is to be, both with snd_reset. */
inline run_events(me)
{
    do
    :: evs != 0 || evr != 0 || abort_both ->
        if
        :: evs == 0 && evr == 0 ->
            abort_both = 0;
            P.aborted = 1;
            evs = (P.ss == SENDING_ABORTING || P.ss == SENDING_RELEASED -> 0 : EV_SND_RESET);
            evr = (P.rs == RECEIVING_ABORTING || P.rs == RECEIVING_RELEASED -> 0 : EV_SND_RESET)
        :: else
        fi;
        if
        :: evs != 0 -> step_sending(P.ss, evs); assert(did != ILLEGAL); after_sending(me)
        :: else
        fi;
        if
        :: evr != 0 -> step_receiving(P.rs, evr); assert(did != ILLEGAL); after_receiving(me)
        :: else
        fi;
        evs = 0;
        evr = 0
    :: else -> break
    od;
    err = 0;
    did = 0
}

/* Gives the pair back (CLS-9). */
inline settle(me)
{
    if
    :: P.id != 0 && P.ss == SENDING_RELEASED && P.rs == RECEIVING_RELEASED && P.sp == 0 && P.rp == 0 ->
        printf("%d: pair %d is released\n", me, P.id);
#if BREAKS + STUCKS + LOSSES == 0
        /* All that was written was delivered, but to a program that ended its reading; what a client wrote before it went too. */
        assert(P.taken == W[1 - me].n[P.id] || shut[me] || P.gone);
        assert(P.offset == W[me].n[P.id] || shut[1 - me] || (me == GUEST && goes < GOES));
#endif
        P.id = 0; P.ss = 0; P.rs = 0; P.serr = 0; P.rerr = 0; P.offset = 0; P.limit = 0; P.got = 0; P.taken = 0;
        P.grant = 0; P.written = 0; P.finished = 0; P.gone = 0; P.stuck = 0; P.aborted = 0;
        P.hurt = 0
    :: else
    fi;
    x = 0
}

inline take(me, number)
{
    assert(number > S[me].highest); /* ids are never used again */
    P.id = number;
    S[me].highest = P.id;
    P.ss = SENDING_START;
    P.rs = RECEIVING_START;
    P.grant = WINDOW
}

/* FLW-3, CLS-12 */
inline give_credit(me)
{
#ifndef NO_CREDIT
    if
    :: P.rs == RECEIVING_OPEN && (P.taken + WINDOW - P.grant) * 2 >= WINDOW -> P.rp = P.rp | CREDIT
    :: P.rs == RECEIVING_DRAINING && P.got > P.taken && P.taken + WINDOW > P.grant -> P.rp = P.rp | CREDIT
    :: else
    fi
#else
    skip
#endif
}

/* ---- what arrives -------------------------------------------------------------------------------------------------- */

inline receive_open(me)
{
    if
    :: x < POOL ->
        take(me, id);
        P.limit = v;
        evs = EV_RCV_OPEN;
        evr = EV_RCV_OPEN
    :: else ->
        assert(HOST_POOL > POOL); /* a host that keeps CHN-7 never meets a full pool */
        assert(id > S[me].highest);
        S[me].highest = id;
        S[me].refusals = S[me].refusals | (1 << id);
        x = 0
    fi
}

#ifdef KEEP_RESET
#define UNSENT(bits) bits
#else
#define UNSENT(bits) (bits & (255 - RESET)) /* a RESET that waits has nobody to go to any more */
#endif

/* RESET with an error aborts the pair (CLS-5); with 0 nobody reads any more, our own reading goes on */
inline receive_on(me)
{
    if
    :: type == OPENED -> assert(mine); evs = EV_RCV_OPENED; evr = EV_RCV_OPENED;
        P.limit = (P.ss == SENDING_OPENING -> v : P.limit)
    :: type == REFUSED -> assert(mine); evs = EV_RCV_REFUSED; evr = EV_RCV_REFUSED; P.sp = 0; P.rp = 0
    :: type == DATA -> assert(!mine);
        evr = EV_RCV_DATA;
        if
        :: P.rs == RECEIVING_OPEN ->
            assert(v == P.got);       /* delivered is a prefix of sent */
            assert(v < P.grant);      /* credit is never exceeded */
            P.got++;
            P.taken = (P.gone -> P.got : P.taken);
            assert(P.got - P.taken <= WINDOW);
            give_credit(me)
        :: else
        fi
    :: type == CREDIT -> assert(mine);
        evs = EV_RCV_CREDIT;
        if
        :: P.ss == SENDING_OPEN || P.ss == SENDING_CLOSING -> assert(v >= P.limit); P.limit = v
        :: else
        fi
    :: type == FIN -> assert(!mine);
        evr = EV_RCV_FIN;
        assert(P.rs != RECEIVING_OPEN || (v == P.got && W[1 - me].end[id] && P.got == W[1 - me].n[id])) /* after every byte */
    :: type == RESET && mine -> P.hurt = P.hurt || v != 0; evs = EV_RCV_RESET; abort_both = v != 0; err = v != 0
    :: type == RESET && !mine -> P.hurt = 1; evr = EV_RCV_RESET; abort_both = 1; err = 1
    :: type == RELEASED ->
        if
        :: mine -> evs = EV_RCV_RELEASED; P.sp = UNSENT(P.sp)
        :: else -> evr = EV_RCV_RELEASED; P.rp = UNSENT(P.rp)
        fi
    fi
}

#define spent (P.id != id || (mine && P.ss == SENDING_RELEASED) || (!mine && P.rs == RECEIVING_RELEASED))

inline receive(me)
{
    wire[1 - me]?type, id, d, v;
    x = 0;
    do
    :: x < SLOTS && P.id != (type == OPEN -> 0 : id) -> x++
    :: else -> break
    od;
    if
    :: type == OPEN -> receive_open(me)
    :: else ->
        if
        :: x == SLOTS || spent -> assert(id <= S[me].highest); /* never one that was not opened (CHN-2) */
#ifdef NO_PASS_OVER
            assert(false);
#else
            assert(type == RESET); /* nothing but RESET on a released id */
#endif
            x = 0
        :: else -> receive_on(me)
        fi
    fi;
    if
    :: P.id != 0 -> run_events(me)
    :: else -> err = 0; abort_both = 0
    fi;
    settle(me);
    type = 0; id = 0; d = 0; v = 0
}

/* ---- what is sent --------------------------------------------------------------------------------------------------- */

#define room           (len(wire[me]) < CAPACITY)
#define pending(i)     (S[me].p[i].sp != 0 || S[me].p[i].rp != 0)
#define control_waits  (S[me].refusals != 0 || control_of_pairs)
#if SLOTS > 1
#define control_of_pairs (pending(0) || pending(1))
#else
#define control_of_pairs pending(0)
#endif

/* the first of what waits: of either channel what opens the pair, then the rest in order (RESET_FIRST: the guest's RESET before) */
inline first_of(me, bits)
{
    type = OPEN;
    do
#ifdef RESET_FIRST
    :: me == GUEST && (bits & RESET) -> type = RESET; break
    :: !(me == GUEST && (bits & RESET)) && (bits & type) -> break
    :: !(me == GUEST && (bits & RESET)) && !(bits & type) -> type = type * 2
#else
    :: bits & type -> break
    :: else -> type = type * 2
#endif
    od
}

inline say(me)
{
    if
    :: type == OPEN -> printf("%d > OPEN pair %d, limit %d\n", me, P.id, v)
    :: type == OPENED -> printf("%d > OPENED pair %d, limit %d\n", me, P.id, v)
    :: type == REFUSED -> printf("%d > REFUSED pair %d\n", me, P.id)
    :: type == CREDIT -> printf("%d > CREDIT pair %d, direction %d, limit %d\n", me, P.id, d, v)
    :: type == RESET -> printf("%d > RESET pair %d, direction %d, error %d\n", me, P.id, d, v)
    :: type == RELEASED -> printf("%d > RELEASED pair %d, direction %d, offset %d\n", me, P.id, d, v)
    fi
}

inline send_control(me)
{
    if
    :: S[me].refusals != 0 ->
        id = 1;
        do
        :: S[me].refusals & (1 << id) -> break
        :: else -> id++
        od;
        S[me].refusals = S[me].refusals & (255 - (1 << id));
        wire[me]!REFUSED, id, 0, 0;
        printf("%d > REFUSED pair %d\n", me, id);
        id = 0
    :: else ->
        x = (pending(0) -> 0 : 1);
        first_of(me, (P.sp | P.rp));
        /* of two alike, a host sends that of its sending channel first, a guest the other: the text leaves it open */
        d = ((me == HOST && (P.sp & type)) || !(P.rp & type) -> me : 1 - me);
        if
        :: mine -> P.sp = P.sp - type
        :: else -> P.rp = P.rp - type
        fi;
        if
        :: type == OPEN || type == OPENED ->
            assert(type == OPEN || P.rs != RECEIVING_RELEASED); /* no answer after a RESET (CHN-9) */
            v = P.grant; d = 0
        :: type == REFUSED -> d = 0
        :: type == CREDIT -> P.grant = P.taken + WINDOW; v = P.grant
        :: type == RESET -> v = (mine -> P.serr : P.rerr)
        :: type == RELEASED -> v = (mine -> P.offset : P.taken)
        fi;
        wire[me]!type, P.id, d, v;
        say(me);
        settle(me)
    fi;
    type = 0; v = 0; d = 0
}

#ifdef NO_LIMIT
#define has_credit(i) true
#else
#define has_credit(i) (S[me].p[i].offset < S[me].p[i].limit)
#endif
#ifdef NO_DRAIN
#define drained(i) true
#else
#define drained(i) (S[me].p[i].offset == S[me].p[i].written)
#endif
#define can_data(i) (S[me].p[i].id != 0 && S[me].p[i].ss == SENDING_OPEN && \
                     S[me].p[i].offset < S[me].p[i].written && has_credit(i))
#define can_fin(i)  (S[me].p[i].id != 0 && S[me].p[i].ss == SENDING_OPEN && S[me].p[i].finished && drained(i))

inline send_data(me, i)
{
    x = i;
    printf("%d > DATA pair %d, offset %d\n", me, P.id, P.offset);
    wire[me]!DATA, P.id, me, P.offset;
    P.offset++;
    evs = EV_SND_DATA;
    run_events(me);
    x = 0
}

inline send_fin(me, i)
{
    x = i;
    printf("%d > FIN pair %d, offset %d\n", me, P.id, P.offset);
    wire[me]!FIN, P.id, me, P.offset;
    evs = EV_SND_FIN;
    run_events(me);
    x = 0
}

#define in_session S[me].up

/* ---- the local side -------------------------------------------------------------------------------------------------- */

#define present(i) (in_session && S[me].p[i].id != 0 && !S[me].p[i].aborted)
#define joined(i) (present(i) && opened_here(i)) /* the program is there */
#define opened_here(i) (S[me].p[i].ss != SENDING_OPENING && S[me].p[i].rs != RECEIVING_OPENING)
#define reading(i) (S[me].p[i].rs == RECEIVING_OPEN || S[me].p[i].rs == RECEIVING_DRAINING)
#define full(i)    (S[me].p[i].written - S[me].p[i].offset >= BUFFER)
#define at_end(i)  (S[me].p[i].rs == RECEIVING_DRAINING && S[me].p[i].got == S[me].p[i].taken)
#ifdef NO_DRAIN_READ
#define may_end(i) (S[me].p[i].rs == RECEIVING_DRAINING)
#else
#define may_end(i) at_end(i)
#endif
/* CLS-13: what an end knows of the two programs */
#define recv_ends(i) (S[me].p[i].rs != RECEIVING_OPEN)
#ifdef LIMIT_AT_FIN
#define send_ends(i) (S[me].p[i].ss != SENDING_OPEN)
#else
#define send_ends(i) (S[me].p[i].ss != SENDING_OPEN || S[me].p[i].finished)
#endif
#define waits_in_vain (stucks < STUCKS)
#define released(i) (S[me].p[i].ss == SENDING_RELEASED && S[me].p[i].rs == RECEIVING_RELEASED)
#define drain_due(i) (joined(i) && !released(i) && waits_in_vain && ((send_ends(i) && recv_ends(i)) || S[me].p[i].gone))

inline at_home(me, i)
{
    if
    /* the guest's connect comes to its end; without an answer if the pair was reset before */
    :: me == GUEST && present(i) && S[me].p[i].rs == RECEIVING_OPENING ->
        if
        :: true -> printf("1: the program accepts\n"); evs = EV_SND_OPENED; S[me].p[i].rp = S[me].p[i].rp | OPENED
        :: true -> printf("1: the program refuses\n"); evs = EV_SND_REFUSED; S[me].p[i].rp = S[me].p[i].rp | REFUSED
        fi;
        evr = evs
    :: joined(i) && !S[me].p[i].finished && S[me].p[i].ss == SENDING_OPEN && S[me].p[i].written < BYTES && !full(i) ->
        S[me].p[i].written++; W[me].n[S[me].p[i].id] = S[me].p[i].written
    :: joined(i) && !S[me].p[i].finished -> printf("%d: the program finishes\n", me); S[me].p[i].finished = 1; W[me].end[S[me].p[i].id] = 1
    :: joined(i) && !S[me].p[i].stuck && !S[me].p[i].gone && reading(i) && S[me].p[i].got > S[me].p[i].taken -> S[me].p[i].taken++; x = i; give_credit(me)
    :: joined(i) && !S[me].p[i].stuck && !S[me].p[i].gone && may_end(i) ->
        printf("%d: the program reads the end\n", me);
        assert(!S[me].p[i].hurt); /* an end by error never looks like a good one (CLS-7) */
        assert(W[1 - me].end[S[me].p[i].id] && S[me].p[i].taken == W[1 - me].n[S[me].p[i].id]); /* the end after every byte */
        evr = EV_SND_RELEASED
    :: me == HOST && joined(i) && goes > 0 && !S[me].p[i].gone ->
        printf("0: the client is gone\n");
        goes--; S[me].p[i].gone = 1; S[me].p[i].finished = 1; W[me].end[S[me].p[i].id] = 1; S[me].p[i].taken = S[me].p[i].got; x = i; give_credit(me)
    :: S[me].p[i].gone && joined(i) && at_end(i) -> evr = EV_SND_RELEASED
    :: S[me].p[i].gone && joined(i) && S[me].p[i].ss == SENDING_RELEASED && S[me].p[i].rs == RECEIVING_OPEN -> evr = EV_SND_RESET /* CLS-6 */
    :: present(i) && breaks > 0 -> printf("%d: the pair breaks\n", me); breaks--; abort_both = 1; err = 1
    :: joined(i) && stucks > 0 && !S[me].p[i].gone && !S[me].p[i].stuck -> printf("%d: the program stops reading\n", me); stucks--; S[me].p[i].stuck = 1
    :: joined(i) && shuts > 0 && S[me].p[i].rs == RECEIVING_OPEN -> /* RESET with 0 */
        printf("%d: the program ends its reading\n", me); shuts--; shut[me] = 1; evr = EV_SND_RESET
    :: drain_due(i) ->
        printf("%d: drain timeout\n", me);
#if SHUTS == 0
        assert(S[me].p[i].gone || W[1 - me].end[S[me].p[i].id]); /* no slow reader is ended (CLS-13) */
#endif
        abort_both = 1; err = 1
    fi;
    x = i;
    run_events(me);
    settle(me)
}

inline open_pair(me)
{
    x = 0;
    do
    :: P.id != 0 -> x++
    :: else -> break
    od;
    opens--;
    take(me, S[me].highest + 1);
    W[HOST].n[P.id] = 0; W[GUEST].n[P.id] = 0; W[HOST].end[P.id] = 0; W[GUEST].end[P.id] = 0;
    P.sp = OPEN;
    evs = EV_SND_OPEN;
    evr = EV_SND_OPEN;
    run_events(me);
    x = 0
}

inline lose_session(me)
{
    printf("%d: the session is lost\n", me);
    S[me].up = 0;
    S[me].highest = 0;
    S[me].refusals = 0;
    x = 0;
    v = 0;
    do
    :: v < SLOTS ->
        x = v;
        if
        :: P.id != 0 ->
            evs = EV_SESSION_LOST; evr = EV_SESSION_LOST;
            run_events(me);
            P.sp = 0; P.rp = 0;
            assert(P.ss == SENDING_RELEASED && P.rs == RECEIVING_RELEASED)
        :: else
        fi;
        settle(me);
        v++
    :: else -> break
    od;
    v = 0
}

/* CLS-13: of either side the program is there and has finished, does not read, and bytes wait for credit; nothing can happen
 * to it any more that a budget allows */
#ifdef NONE_HELD
#define held_place(s, i) false
#else
#define holds(s, i)      (S[s].p[i].stuck && S[s].p[i].finished && !S[s].p[i].gone && S[s].p[i].ss == SENDING_OPEN && \
                          S[s].p[i].offset == S[s].p[i].limit && S[s].p[i].offset < S[s].p[i].written && \
                          S[s].p[i].rs == RECEIVING_OPEN && S[s].p[i].got > S[s].p[i].taken)
#define held_place(s, i) (breaks + goes + shuts + losses == 0 && holds(s, i) && holds(1 - s, i))
#endif
#define over_place(s, i) (S[s].p[i].id == 0 || held_place(s, i))
#define over_side(s)     (over_place(s, 0) && over_place(s, SLOTS - 1) && S[s].refusals == 0)
#define done             (closed && !lost && over_side(HOST) && over_side(GUEST) && len(wire[0]) == 0 && len(wire[1]) == 0)

proctype endpoint(byte me)
{
    do
    :: d_step { in_session && len(wire[1 - me]) > 0 -> receive(me) }
    :: d_step { in_session && room && control_waits -> send_control(me) }
    :: d_step { in_session && room && !control_waits && can_data(0) -> send_data(me, 0) }
    :: d_step { in_session && room && !control_waits && can_fin(0) -> send_fin(me, 0) }
    :: atomic { at_home(me, 0) }
#if SLOTS > 1
    :: d_step { in_session && room && !control_waits && can_data(1) -> send_data(me, 1) }
    :: d_step { in_session && room && !control_waits && can_fin(1) -> send_fin(me, 1) }
    :: atomic { at_home(me, 1) }
#endif
    :: d_step { me == HOST && in_session && !closed && opens > 0 && !(S[me].p[0].id != 0 && S[me].p[SLOTS - 1].id != 0) -> open_pair(me) }
    :: d_step { me == HOST && !closed -> closed = 1 }
    :: d_step { lost && in_session -> lose_session(me) }
    :: over -> break
    od
}

/* The session may be lost at any moment.  A new one begins when both know; what was under way is gone (framing.pml). */
proctype session()
{
    do
    :: d_step { losses > 0 && !lost -> losses--; lost = 1 }
    :: d_step { lost && !S[HOST].up && !S[GUEST].up ->
        do
        :: len(wire[0]) > 0 -> wire[0]?type, id, d, v
        :: len(wire[1]) > 0 -> wire[1]?type, id, d, v
        :: else -> break
        od;
        type = 0; id = 0; d = 0; v = 0;
        lost = 0; S[HOST].up = 1; S[GUEST].up = 1 }
    :: done -> over = 1; break
    od
}

init {
    atomic {
        S[HOST].up = 1;
        S[GUEST].up = 1;
        run endpoint(HOST);
        run endpoint(GUEST);
        run session()
    }
}
