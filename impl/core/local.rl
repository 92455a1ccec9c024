%%{
# Every legal transition of a relay: one pair and its local stream, a pipe's or a forward's client at a host endpoint, a TCP
# connection in a guest.  LIFECYCLE.md shows these machines.
#
# The channels' own machines are in spec/lifecycle.rl; these know what is on this side of the pair.  An event is stepped on
# all three, one after the other.  One that a machine has no transition for, in the state that it is in, is passed over by
# it: a caller of the ABI may say what makes no sense, and an event may be the affair of one machine only.
#
# Each state S is entered through the to-state action in_S.

machine vpc_local_events;
alphtype unsigned char;

listen      = 1;    # host: a start has passed its checks; the pipe server is asked for
listening   = 2;    # host: the pipe server is there, and OPEN was said
unmade      = 3;    # host: there is no pipe server
unasked     = 4;    # host: the pipe server is not wanted any more, since no OPEN can be said
request     = 5;    # guest: OPEN came; the connection is asked for
connected   = 6;    # the local stream is there: a client opened the pipe, or the server accepted
unconnected = 7;    # guest: the connect failed
opened      = 8;    # host: OPENED came; guest: it is said
refused     = 9;    # host: REFUSED came
reset       = 10;   # a RESET came that aborts the pair (CLS-5)
violation   = 11;   # the peer broke a rule of this pair
broken      = 12;   # the local stream broke (CLS-5)
limit       = 13;   # a time limit passed: of the answer (CHN-8), the client (CLS-10), the end (CLS-8)
no_more     = 14;   # the program has finished writing
gone        = 15;   # the program is wholly gone (CLS-6)
stop        = 16;   # the endpoint stops: nothing more is taken from the program
hang_up     = 17;   # host: the command `stop`: the program counts as gone (API-14)
end         = 18;   # FIN came, and every byte before it is delivered
heard       = 19;   # the peer has released the channel on which this side sends
released    = 20;   # both channels are released
lost        = 21;   # ... with the session
accepted    = 22;   # host: a client of a forward is there, and OPEN was said
denied      = 23;   # host: REFUSED came for a client of a forward
}%%

%%{
machine vpc_local_opening;
include vpc_local_events;

# How far the opening of the pair has come, and whom a start still owes its answer (API-9 to API-11).

main :=
start: ( zlen -> idle ),

idle: ( (
      listen                                              -> making
    | accepted                                            -> asking
    | request                                             -> connecting
    ) >~in_idle ),

making: ( (
      listening                                           -> asking
    | ( unmade | unasked ) @answer_failure                -> over
    ) >~in_making ),

asking: ( (
      opened          @tell_opened @answer_success        -> open
    | ( refused | denied | reset | limit ) @answer_failure -> failed
    | ( violation | broken )                              -> asking    # the answer waits for the end of the pair
    | ( released | lost ) @answer_failure                 -> over
    ) >~in_asking ),

connecting: ( (
      opened          @tell_opened                        -> open
    | ( unconnected | reset | violation | broken )        -> failed
    | ( released | lost )                                 -> over
    ) >~in_connecting ),

open: ( (
      ( reset | violation | broken | limit )              -> open
    | ( released | lost ) @tell_closed                    -> over
    ) >~in_open ),

failed: ( (
      ( refused | reset | violation | broken | limit )    -> failed
    | ( released | lost )                                 -> over
    ) >~in_failed ),

over: ( (
      ( released | lost )                                 -> over
    ) >~in_over );
}%%

%%{
machine vpc_local_writing;
include vpc_local_events;

# What the program at this side still writes (CLS-1).

main :=
start: ( zlen -> silent ),

silent: ( (
      ( connected | accepted )                            -> writing
    | ( no_more | stop | hang_up ) @finish                -> finished
    | ( reset | violation | broken | limit | refused | unconnected | unmade | unasked | released | lost ) -> given_up
    ) >~in_silent ),

writing: ( (
      ( no_more | stop ) @finish                            -> finished
    | hang_up         @say_hangup                         -> last
    | ( reset | violation | broken | limit | refused | denied | released | lost ) -> given_up
    ) >~in_writing ),

last: ( (
      ( no_more | stop ) @finish                            -> finished
    | ( gone | hang_up )                                  -> last
    | ( reset | violation | broken | limit | released | lost ) -> given_up
    ) >~in_last ),

finished: ( (
      ( connected | no_more | stop | hang_up )            -> finished
    | ( reset | violation | broken | limit | refused | denied | unconnected | released | lost ) -> given_up
    ) >~in_finished ),

given_up: ( (
      ( stop | hang_up | reset | violation | broken | limit | refused | released | lost ) -> given_up
    ) >~in_given_up );
}%%

%%{
machine vpc_local_delivery;
include vpc_local_events;

# How far delivery to the program at this side has come (CLS-3, CLS-6), and whether its stream is still there.

main :=
start: ( zlen -> nobody ),

nobody: ( (
      connected       @tell_connected                     -> delivering
    | accepted                                            -> delivering
    | ( gone | hang_up ) @discard                         -> declined
    | ( reset | violation | broken | limit ) @say_abort @reset_pair -> given_up
    | ( refused | unasked ) @say_unlisten                 -> given_up
    | ( unconnected | unmade )                            -> given_up
    | released        @say_close                          -> given_up
    | lost            @say_abort                          -> given_up
    ) >~in_nobody ),

delivering: ( (
      end             @say_shutdown @release_end          -> shut
    | ( gone | hang_up ) @discard                         -> discarding
    | ( reset | violation | broken | limit ) @say_abort @reset_pair -> given_up
    | refused         @say_unlisten                       -> given_up
    | denied          @say_abort                          -> given_up
    | released        @say_close                          -> given_up
    | lost            @say_abort                          -> given_up
    ) >~in_delivering ),

shut: ( (
      ( gone | hang_up ) @discard                         -> discarding
    | ( reset | violation | broken | limit ) @say_abort @reset_pair -> given_up
    | released        @say_close                          -> given_up
    | lost            @say_abort                          -> given_up
    ) >~in_shut ),

declined: ( (
      connected       @tell_connected                     -> discarding
    | ( gone | hang_up )                                  -> declined
    | end             @release_end                        -> declined
    | heard           @stop_reading                       -> declined
    | ( reset | violation | broken | limit ) @say_abort @reset_pair -> given_up
    | released        @say_close                          -> given_up
    | lost            @say_abort                          -> given_up
    ) >~in_declined ),

discarding: ( (
      ( gone | hang_up )                                  -> discarding
    | end             @release_end                        -> discarding
    | heard           @stop_reading                       -> discarding
    | ( reset | violation | broken | limit ) @say_abort @reset_pair -> given_up
    | refused         @say_unlisten                       -> given_up
    | denied          @say_abort                          -> given_up
    | released        @say_close                          -> given_up
    | lost            @say_abort                          -> given_up
    ) >~in_discarding ),

given_up: ( (
      ( hang_up | reset | violation | broken | limit | refused | released | lost ) -> given_up
    ) >~in_given_up );
}%%
