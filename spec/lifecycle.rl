%%{
# VPCBus 1.0: every legal transition of a session and of a channel (VPCBUS.md, sections 6 and 7).
#
# The alphabet is one of events, not of octets: an endpoint classifies what happened (a frame whose guards hold, a timer,
# a call of its own side) as one event; the grammar says what it does to the state.  An event that has no transition is
# illegal in that state: the machine's error, which ends the session (SES-14).
#
# Each state S is entered through the to-state action in_S.  snd_ is what this endpoint sends, rcv_ what it receives.

machine vpc_lifecycle_events;
alphtype unsigned char;

# ---- the events of a session ---------------------------------------------------------------------------------------

transport_up     = 1;    # the byte stream to the peer is there
transport_down   = 2;    # it ended
retry            = 3;    # the retry timer of this state ran out
hello_stranger   = 4;    # HELLO that does not echo our epoch; in a session: one with another epoch than the session's
                         # peer epoch, or any while heartbeats are late
hello_deaf       = 5;    # HELLO of the session's peer epoch that does not echo ours: the peer has not heard us yet
hello_echo       = 6;    # HELLO that echoes our epoch, with a version in common
hello_mismatch   = 7;    # HELLO that echoes our epoch, without a version in common
framing_lost     = 8;    # octets that are no frame, or a seal that does not fit
violation        = 9;    # a sealed frame that is illegal in this state
peer_silent      = 10;   # the dead-peer limit passed without a frame
rcv_ready        = 11;
rcv_not_ready    = 12;
rcv_heartbeat    = 13;
rcv_goodbye      = 14;
rcv_channel      = 15;   # any message of a channel
local_ready      = 16;   # the guest endpoint's own side became ready
local_not_ready  = 17;
heartbeat_late   = 18;   # no frame within the late limit
local_stop       = 19;
heartbeat_resumed = 20;  # a frame after a late heartbeat, and the last READY (received by a host, sent by a guest) said 1
rcv_event        = 21;   # an entry of the guest's event log

# ---- the events of a one-way channel --------------------------------------------------------------------------------

snd_open     = 32;   rcv_open     = 48;
snd_opened   = 33;   rcv_opened   = 49;
snd_refused  = 34;   rcv_refused  = 50;
snd_data     = 35;   rcv_data     = 51;
snd_credit   = 36;   rcv_credit   = 52;
snd_fin      = 37;   rcv_fin      = 53;
snd_reset    = 38;   rcv_reset    = 54;
snd_released = 39;   rcv_released = 55;
bad_guard    = 64;   # a frame of this channel breaks its credit, its offset or its limit
session_lost = 65;
}%%

%%{
machine vpc_session;
include vpc_lifecycle_events;

# Sessions (section 6).  start_attempt draws a fresh epoch and sends preamble and HELLO; send_hello repeats both with the
# same epoch; back_off ends the session, if there is one, and waits before the next attempt.

main :=
start: ( zlen -> down ),

down: ( (
      transport_up    @start_attempt                      -> hunting
    | transport_down                                      -> down
    | ( local_ready | local_not_ready )                   -> down
    | local_stop                                          -> stopped
    ) >~in_down ),

hunting: ( (
      ( hello_stranger | retry ) @send_hello              -> hunting
    | hello_echo      @begin_session                      -> up
    | hello_mismatch  @report_mismatch                    -> mismatched
    | framing_lost                                        -> hunting
    | ( local_ready | local_not_ready )                   -> hunting
    | transport_down                                      -> down
    | local_stop                                          -> stopped
    ) >~in_hunting ),

mismatched: ( (
      ( hello_stranger | retry ) @send_hello              -> mismatched
    | hello_mismatch                                      -> mismatched
    | hello_echo      @begin_session                      -> up
    | framing_lost                                        -> mismatched
    | ( local_ready | local_not_ready )                   -> mismatched
    | transport_down                                      -> down
    | local_stop                                          -> stopped
    ) >~in_mismatched ),

up: ( (
      hello_echo                                          -> up
    | hello_deaf      @send_hello                         -> up
    | ( rcv_heartbeat | rcv_event | rcv_channel | rcv_not_ready ) -> up
    | local_not_ready @announce_ready                     -> up
    | heartbeat_late  @report_late                        -> up
    | ( rcv_ready | heartbeat_resumed ) @now_ready        -> ready
    | local_ready     @announce_ready                     -> ready
    | violation       @say_goodbye @end_session           -> backing_off
    | ( hello_stranger | hello_mismatch | framing_lost | peer_silent | rcv_goodbye ) @end_session -> backing_off
    | transport_down  @end_session                        -> down
    | local_stop      @say_goodbye @end_session           -> stopped
    ) >~in_up ),

ready: ( (
      hello_echo                                          -> ready
    | hello_deaf      @send_hello                         -> ready
    | ( rcv_heartbeat | rcv_event | rcv_channel | rcv_ready | local_ready | heartbeat_resumed ) -> ready
    | heartbeat_late  @report_late @now_not_ready         -> up
    | rcv_not_ready   @now_not_ready                      -> up
    | local_not_ready @announce_ready                     -> up
    | violation       @say_goodbye @end_session           -> backing_off
    | ( hello_stranger | hello_mismatch | framing_lost | peer_silent | rcv_goodbye ) @end_session -> backing_off
    | transport_down  @end_session                        -> down
    | local_stop      @say_goodbye @end_session           -> stopped
    ) >~in_ready ),

backing_off: ( (
      retry           @start_attempt                      -> hunting
    | ( hello_stranger | hello_echo | hello_mismatch | framing_lost )         -> backing_off
    | ( local_ready | local_not_ready )                   -> backing_off
    | transport_down                                      -> down
    | local_stop                                          -> stopped
    ) >~in_backing_off ),

stopped: ( (
      any                                                 -> stopped
    ) >~in_stopped );
}%%

%%{
machine vpc_sending_channel;
include vpc_lifecycle_events;

# The sending end of a one-way channel (section 7).  answer_released sends RELEASED; abort sends RESET.

main :=
start: ( zlen -> idle ),

idle: ( (
      ( snd_open | rcv_open )                             -> opening
    ) >~in_idle ),

opening: ( (
      ( snd_opened | rcv_opened )                         -> open
    | ( snd_refused | rcv_refused | session_lost )        -> released
    | snd_reset       @abort                              -> aborting
    | rcv_reset       @answer_released                    -> released
    ) >~in_opening ),

open: ( (
      ( snd_data | rcv_credit )                           -> open
    | snd_fin                                             -> closing
    | ( snd_reset | bad_guard ) @abort                    -> aborting
    | rcv_reset       @answer_released                    -> released
    | session_lost                                        -> released
    ) >~in_open ),

closing: ( (
      rcv_credit                                          -> closing
    | rcv_released                                        -> released
    | ( snd_reset | bad_guard ) @abort                    -> aborting
    | rcv_reset       @answer_released                    -> released
    | session_lost                                        -> released
    ) >~in_closing ),

aborting: ( (
      ( rcv_opened | rcv_credit | bad_guard | snd_reset ) -> aborting
    | rcv_reset       @answer_released                    -> aborting
    | ( rcv_refused | rcv_released | session_lost )       -> released
    ) >~in_aborting ),

released: ( (
      ( rcv_reset | snd_reset | session_lost )            -> released
    | ( snd_opened | snd_refused )                        -> released   # the answer names the other channel
    ) >~in_released );
}%%

%%{
machine vpc_receiving_channel;
include vpc_lifecycle_events;

# The receiving end of a one-way channel (section 7).

main :=
start: ( zlen -> idle ),

idle: ( (
      ( snd_open | rcv_open )                             -> opening
    ) >~in_idle ),

opening: ( (
      ( snd_opened | rcv_opened )                         -> open
    | ( snd_refused | rcv_refused | session_lost )        -> released
    | snd_reset       @abort                              -> aborting
    | rcv_reset       @answer_released                    -> released
    ) >~in_opening ),

open: ( (
      ( rcv_data | snd_credit )                           -> open
    | rcv_fin                                             -> draining
    | ( snd_reset | bad_guard ) @abort                    -> aborting
    | rcv_reset       @answer_released                    -> released
    | session_lost                                        -> released
    ) >~in_open ),

draining: ( (
      snd_released    @answer_released                    -> released
    | snd_credit                                          -> draining
    | snd_reset       @abort                              -> aborting
    | rcv_reset       @answer_released                    -> released
    | session_lost                                        -> released
    ) >~in_draining ),

aborting: ( (
      ( rcv_opened | rcv_data | rcv_fin | bad_guard | snd_reset ) -> aborting
    | rcv_reset       @answer_released                    -> aborting
    | ( rcv_refused | rcv_released | session_lost )       -> released
    ) >~in_aborting ),

released: ( (
      ( rcv_reset | snd_reset | session_lost )            -> released
    | ( rcv_opened | rcv_refused )                        -> released   # the answer names the other channel
    ) >~in_released );
}%%
