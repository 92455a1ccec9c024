%%{
# VPCBus 1.0: the two endpoint names of StartCommunicationChannel (VPCBUS.md, section 8), where a forward listens, and the
# option allow_ports.
#
# Pure: names the actions name_octet (each octet of the part behind the prefix), port_digit, range_from (a number is
# whole and another follows) and range_to (a number is whole, and with it a range).

machine vpc_pipe_name;
alphtype unsigned char;

# Any character but backslash; UTF-8 above ASCII; the control characters of ASCII are left out.  The length of the whole,
# at most 256 characters (code points), is a guard.  UTF-8 is that of RFC 3629: a form that is too long could be a backslash
# to somebody who decodes it, and a surrogate is no character.
tail    = 0x80..0xbf;
utf8    = 0xc2..0xdf tail
        | 0xe0 0xa0..0xbf tail | ( 0xe1..0xec | 0xee | 0xef ) tail{2} | 0xed 0x80..0x9f tail
        | 0xf0 0x90..0xbf tail{2} | 0xf1..0xf3 tail{3} | 0xf4 0x80..0x8f tail{2};
name    = ( ( ( 0x20..0x7e ) - '\\' ) | utf8 ) $name_octet;
main   := '\\\\.\\' /pipe/i '\\' name+;
}%%

%%{
machine vpc_port_name;
alphtype unsigned char;

# 1 to 65535 in decimal, without a leading zero.
port = ( [1-9] [0-9]{0,3} | [1-5] [0-9]{4} | '6' [0-4] [0-9]{3} | '65' [0-4] [0-9]{2} | '655' [0-2] [0-9] | '6553' [0-5] );
main := port $port_digit;
}%%

%%{
machine vpc_port_list;
alphtype unsigned char;

# Ports and ranges of ports: 80,6000-6999.  That a range's second number is not lower than its first is a guard.
port  = ( [1-9] [0-9]{0,3} | [1-5] [0-9]{4} | '6' [0-4] [0-9]{3} | '65' [0-4] [0-9]{2} | '655' [0-2] [0-9] | '6553' [0-5] );
range = ( port $port_digit %range_from '-' )? port $port_digit %range_to;
main := range ( ',' range )*;
}%%

%%{
machine vpc_forward_listen;
alphtype unsigned char;

# An addition: where a forward listens.  A name, an absolute path of at most 107 octets (a guard: more is no address of a
# Unix socket), or a port of the loopback address; port 0 is any that is free.  What it is shows in its first octet.
tail  = 0x80..0xbf;
utf8  = 0xc2..0xdf tail
      | 0xe0 0xa0..0xbf tail | ( 0xe1..0xec | 0xee | 0xef ) tail{2} | 0xed 0x80..0x9f tail
      | 0xf0 0x90..0xbf tail{2} | 0xf1..0xf3 tail{3} | 0xf4 0x80..0x8f tail{2};
port  = ( [1-9] [0-9]{0,3} | [1-5] [0-9]{4} | '6' [0-4] [0-9]{3} | '65' [0-4] [0-9]{2} | '655' [0-2] [0-9] | '6553' [0-5] );
name  = [A-Za-z] [A-Za-z0-9._\-]{0,63};
path  = '/' ( 0x20..0x7e | utf8 )+;
main := name | path | ( '127.0.0.1:' | '[::1]:' ) ( '0' | port ) $port_digit;
}%%
