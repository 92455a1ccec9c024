%%{
# The life of a forward: a socket that goes on listening, each client of which gets a relay of its own (local.rl).
#
# It lets one client in at a time, and only when the endpoint has decided what will become of it: ACCEPT names the stream
# that the next client will be.  So whoever must wait waits in the socket's backlog, where nothing of it is lost, and what
# waits needs no memory here.
#
# As in local.rl an event that a state has no transition for is passed over, and each state S is entered through the
# to-state action in_S.

machine vpc_forward_events;
alphtype unsigned char;

made   = 1;    # the socket listens
unmade = 2;    # there is none
may    = 3;    # a client may come in: it will be served, or refused
wait   = 4;    # none may: what it needs is missing, and it is to wait for that (FWD-3, FWD-4)
came   = 5;    # one came in
stop   = 6;    # stop-forward, or the endpoint stops
}%%

%%{
machine vpc_forward_life;
include vpc_forward_events;

main :=
start: ( zlen -> making ),

making: ( (
      made      @tell_started                       -> closed
    | unmade    @answer_failure                     -> over
    | stop      @answer_failure @say_unlisten       -> over
    ) >~in_making ),

closed: ( (     # nobody is let in
      may       @say_accept                         -> open
    | stop      @say_unlisten @tell_stopped         -> over
    ) >~in_closed ),

open: ( (       # the next client is
      came                                          -> closed
    | wait      @take_back                          -> closed
    | stop      @take_back @say_unlisten @tell_stopped -> over
    ) >~in_open ),

over: ( (
      stop                                          -> over
    ) >~in_over );
}%%
