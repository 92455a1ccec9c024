%%{
# A local stream of the shell: a pipe's client (a Unix socket) at a host, a TCP connection in a guest.
#
# Goal: every octet that the local program wrote reaches the endpoint before the end of its writing does, and that
# before its being gone.  stream.c classifies what the kernel shows, what the endpoint says and what the shell itself
# does as one event, and steps the three machines of the stream with it: its life, its input (what the program writes)
# and its output (what the program reads).  An event without a transition does not concern the machine in that state,
# and changes nothing.
#
# What the kernel shows, and what it means:
#
#   read gives 0                      the program finished writing                    end_read
#   EPOLLHUP, EPOLLERR, Unix socket   it closed the socket                            hung_up
#     after our own end of writing    both directions are over, which is known        both_ended
#   ECONNRESET, EPIPE on read,        it closed without reading everything; it can    hung_up, end_read
#     Unix socket                     not break off otherwise
#   EPIPE on write, Unix socket       it does not read any more                       no_reader
#   an error, TCP                     the connection broke                            broke
#   EPOLLHUP without error, TCP       both directions ended in order                  both_ended
#
# EPOLLHUP comes at once and for ever, whatever one is interested in, and there may be no room for what is still to be
# read. So a stream leaves epoll with the first EPOLLHUP or error; from then on it is read whenever there is room.

machine vpc_stream_events;
alphtype unsigned char;

# ---- what the kernel shows ---------------------------------------------------------------------------------------------

opened       = 1;    # a client came; the connect succeeded
failed       = 2;    # there can be no pipe server; the connect failed or took too long
end_read     = 3;    # nothing is left to be read, and nothing will be
hung_up      = 4;
both_ended   = 5;
broke        = 6;
no_reader    = 7;
full         = 8;    # the endpoint has no room for what may be there to be read
received     = 9;    # the server's side of TCP has all of the output, or never will

# ---- what the endpoint says --------------------------------------------------------------------------------------------

shut         = 16;   # SHUTDOWN: all of the output was taken, and there will be none
hang_up      = 17;   # HANGUP: the client counts as gone
close        = 18;   # CLOSE, UNLISTEN
close_early  = 19;   # CLOSE, and the server's side of TCP has not all of the output
abort        = 20;   # ABORT
noted        = 21;   # it took what it was told last, and its actions were carried out

# ---- what the shell does -----------------------------------------------------------------------------------------------

take_no_more = 24;   # it stops: the program can write no more
looked       = 25;   # the endpoint wants to know at once whether it has hung up (LOOK)
}%%

%%{
machine vpc_stream_life;
include vpc_stream_events;

# release closes the descriptors in order, break_off so that TCP resets; linger keeps a connection whose last octets are on
# their way (tcp_client.c).

main :=
start: ( zlen -> waiting ),

waiting: ( (      # the pipe server listens, the connection is being made
      opened        @tell_opened                     -> open
    | failed        @break_off @tell_failed          -> closed
    | ( close | close_early ) @release               -> closed
    | abort         @break_off                       -> closed
    ) >~in_waiting ),

open: ( (
      close         @release                         -> closed
    | close_early   @linger                          -> lingering
    | abort         @break_off                       -> closed
    ) >~in_open ),

lingering: ( (    # the endpoint has forgotten it
      received      @release                         -> closed
    | abort         @break_off                       -> closed
    ) >~in_lingering ),

closed: ( (
      any                                            -> closed
    ) >~in_closed );
}%%

%%{
machine vpc_pipe_input;
include vpc_stream_events;

# What a pipe's client writes.  leave takes the socket out of epoll, stop_reading ends what can still be written.

main :=
start: ( zlen -> none ),

none: ( (
      opened                                         -> reading
    ) >~in_none ),

reading: ( (
      end_read      @tell_eof                        -> finished
    | hung_up       @leave                           -> left
    | both_ended    @leave                           -> ended
    | hang_up       @stop_reading @leave             -> known_gone
    | take_no_more  @stop_reading                    -> ending
    | ( close | close_early | abort )                -> over
    ) >~in_reading ),

ending: ( (       # it can write no more, and what it wrote is still to be read
      end_read      @tell_eof                        -> finished
    | hung_up       @leave                           -> left
    | both_ended    @leave                           -> ended
    | hang_up       @leave                           -> known_gone
    | ( close | close_early | abort )                -> over
    ) >~in_ending ),

left: ( (         # the same, and it has hung up: that is told when the rest was read, or can not be (CLS-8)
      end_read      @tell_eof                        -> parting
    | ( full | looked ) @tell_gone                   -> known_gone
    | hang_up       @stop_reading                    -> known_gone
    | take_no_more  @stop_reading                    -> left
    | ( close | close_early | abort )                -> over
    ) >~in_left ),

ended: ( (        # the same, and both directions are over
      end_read      @tell_eof                        -> over
    | ( full | looked ) @tell_gone                   -> known_gone
    | hang_up       @stop_reading                    -> known_gone
    | ( close | close_early | abort )                -> over
    ) >~in_ended ),

known_gone: ( (   # the same, and the endpoint knows that it is gone
      end_read      @tell_eof                        -> over
    | ( close | close_early | abort )                -> over
    ) >~in_known_gone ),

finished: ( (     # the end of its writing was told; it may still read
      hung_up       @leave @tell_gone                -> over
    | both_ended    @leave                           -> over
    | ( close | close_early | abort )                -> over
    ) >~in_finished ),

parting: ( (      # the same, and it has hung up, which is told next
      noted         @tell_gone                       -> over
    | ( close | close_early | abort )                -> over
    ) >~in_parting ),

over: ( (         # there is nothing more to tell
      any                                            -> over
    ) >~in_over );
}%%

%%{
machine vpc_tcp_input;
include vpc_stream_events;

# What the server program writes.

main :=
start: ( zlen -> none ),

none: ( (
      opened                                         -> reading
    ) >~in_none ),

reading: ( (
      end_read      @tell_eof                        -> finished
    | both_ended    @leave                           -> ended
    | broke         @leave                           -> broken
    | take_no_more  @stop_reading                    -> ending
    | ( close | close_early | abort )                -> over
    ) >~in_reading ),

ending: ( (       # it can write no more, and what it wrote is still to be read
      end_read      @tell_eof                        -> finished
    | both_ended    @leave                           -> ended
    | broke         @leave                           -> broken
    | ( close | close_early | abort )                -> over
    ) >~in_ending ),

ended: ( (        # the same, and both directions are over
      end_read      @tell_eof                        -> over
    | broke                                          -> broken
    | ( close | close_early | abort )                -> over
    ) >~in_ended ),

broken: ( (       # the same, and the connection broke: that is told when the rest was read, or can not be
      ( end_read | full ) @tell_gone                 -> over
    | ( close | close_early | abort )                -> over
    ) >~in_broken ),

finished: ( (     # the end of its writing was told; it may still read
      broke         @leave @tell_gone                -> over
    | both_ended    @leave                           -> over
    | ( close | close_early | abort )                -> over
    ) >~in_finished ),

over: ( (         # there is nothing more to tell
      any                                            -> over
    ) >~in_over );
}%%

%%{
machine vpc_stream_output;
include vpc_stream_events;

# What the local program reads.

main :=
start: ( zlen -> none ),

none: ( (
      opened                                         -> writing
    ) >~in_none ),

writing: ( (
      shut          @finish_writing                  -> finished
    | ( no_reader | hung_up | hang_up )              -> discarding
    | broke                                          -> halted
    | ( close | close_early | abort )                -> none
    ) >~in_writing ),

discarding: ( (   # nobody reads: output is taken as if somebody had
      shut          @finish_writing                  -> finished
    | ( close | close_early | abort )                -> none
    ) >~in_discarding ),

halted: ( (       # nobody can read, and the endpoint is to know what was not read
      ( close | close_early | abort )                -> none
    ) >~in_halted ),

finished: ( (     # the end was said
      ( close | close_early | abort )                -> none
    ) >~in_finished );
}%%
