%%{
# VPCBus 1.0: every byte pattern of the wire (VPCBUS.md, sections 4 and 5).
#
# This grammar is normative and pure: it names actions and defines none.  A user defines them, then includes this file.
# Three entry points:
#   from_host    the octets that a guest endpoint receives in a session
#   from_guest   the octets that a host endpoint receives in a session
#   hunt         what either looks for while it has no session: at least 16 octets of padding, then a HELLO
#
# The actions, in the order in which a frame meets them:
#   frame_begin                     the first octet of a frame
#   begin, octet                    an integer starts; one more octet of it, little-endian
#   set_channel, set_data_length    the integer is the header's channel id; the length of a DATA body
#   set_FIELD                       the integer is the field FIELD of the message (messages.json names them)
#   tag_begin, tag_octet, name_begin, name_octet        the two texts of HELLO
#   cause_begin, cause_octet, detail_begin, detail_octet        the two texts of EVENT
#   more (condition), chunk         payload octets are missing; take all octets of the input that belong to the payload
#   sum_begin, sum_octet            the octets of a HELLO from its type to the end of its body, for the CRC; it covers the
#                                   magic too, whose two octets are always the same: sum_begin starts behind them
#   seal_begin                      header and body are whole, the first octet of the seal comes
#   set_seal_session, set_seal_number
#   on_MESSAGE                      the last octet of the seal
#   bad_frame                       this octet can not stand here

machine vpc_frames;
alphtype unsigned char;

# ---- octets and integers --------------------------------------------------------------------------------------

pad    = 0x16;                                       # SYN: fills the preamble; no frame begins with it
zero32 = 0{4};
u8     = any    >begin $octet;
u16    = any{2} >begin $octet;
u32    = any{4} >begin $octet;
u64    = any{8} >begin $octet;
text32 = ( (0x20..0x7e)* 0* ) & any{32};             # printable ASCII, filled up with zeros

# ---- the header: magic, type, flags, channel, length ------------------------------------------------------------

magic   = 0xB5 @frame_begin 0x56;
flags   = 0;
session = flags zero32;
channel = flags ( u32 - zero32 ) @set_channel;

data_length = ( ( 9..0xff 0 | any 1..0xff ) 0 0 | 0 0 1 0 ) >begin $octet @set_data_length;     # 9 to 65536

# ---- the seal ----------------------------------------------------------------------------------------------------

seal_number = u64 @set_seal_number;
seal        = u64 >seal_begin @set_seal_session seal_number;
data_seal   = ( ( any when !more ) >seal_begin >begin $octet any{7} $octet ) @set_seal_session seal_number;

# ---- the messages: type, length, body, seal ----------------------------------------------------------------------

hello_body = ( ( 1 | 2 ) >begin $octet ) @set_role
             any
             u16                         @set_version_min
             u16                         @set_version_max
             u16                         @set_max_pairs
             ( u64 - 0{8} )              @set_epoch
             u64                         @set_echo
             u32                         @set_features
             u32                         @set_heartbeat_ms
             text32                      >tag_begin  $tag_octet
             text32                      >name_begin $name_octet
             any{32};

hello     = magic ( 0x01 session 128 0 0 0 hello_body ) >sum_begin $sum_octet           seal @on_hello;

ready     = magic 0x02 session  4 0 0 0  ( ( 0 | 1 ) >begin $octet ) @set_ready any{3}  seal @on_ready;
heartbeat = magic 0x03 session  8 0 0 0  u64 @set_count                                 seal @on_heartbeat;
goodbye   = magic 0x04 session  4 0 0 0  u32 @set_cause                                 seal @on_goodbye;
event     = magic 0x05 session 120 0 0 0
            ( u32 - zero32 )       @set_event
            u32                    @set_lost
            u64                    @set_time
            u32                    @set_h2g
            u32                    @set_g2h
            u16                    @set_port
            ( 0..2 >begin $octet ) @set_level
            any
            u32                    @set_errno
            u64                    @set_sent
            u64                    @set_received
            u64                    @set_value
            text32                 >cause_begin  $cause_octet
            text32                 >detail_begin $detail_octet                          seal @on_event;

open      = magic 0x10 channel 20 0 0 0
            ( u32 - zero32 ) @set_reverse_channel
            u16              @set_port
            any{2}
            u32              @set_connect_ms
            u64              @set_limit                                                 seal @on_open;
opened    = magic 0x11 channel  8 0 0 0  u64 @set_limit                                 seal @on_opened;
refused   = magic 0x12 channel  4 0 0 0  u32 @set_errno                                 seal @on_refused;
data      = magic 0x13 channel data_length u64 @set_offset
            ( any when more @chunk )+                                              data_seal @on_data;
credit    = magic 0x14 channel  8 0 0 0  u64 @set_limit                                 seal @on_credit;
fin       = magic 0x15 channel  8 0 0 0  u64 @set_offset                                seal @on_fin;
reset     = magic 0x16 channel  4 0 0 0  u32 @set_errno                                 seal @on_reset;
released  = magic 0x17 channel  8 0 0 0  u64 @set_offset                                seal @on_released;

# ---- the two directions, and the hunt -----------------------------------------------------------------------------

either_way = hello | heartbeat | goodbye | data | credit | fin | reset | released;

from_host  := ( pad | either_way | open )*                      $!bad_frame;
from_guest := ( pad | either_way | ready | event | opened | refused )*  $!bad_frame;

# Everything up to 16 octets of padding in a row is passed over.  What then begins like a HELLO and is none is passed
# over too: bad_frame returns to the start of the hunt, and the octet that did not fit is looked at again.
other     = any - pad;
short_run = pad{1,15} other;
hunt     := ( other | short_run )* pad{16} pad* hello           $!bad_frame;
}%%
