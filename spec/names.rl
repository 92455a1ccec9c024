%%{
# VPCBus 1.0: the two endpoint names of StartCommunicationChannel (VPCBUS.md, section 8).
#
# Pure: names the actions name_octet (each octet of the part behind the prefix) and port_digit.

machine vpc_pipe_name;
alphtype unsigned char;

# Any character but backslash; UTF-8 above ASCII; the control characters of ASCII are left out.  The length of the whole,
# at most 256 characters, is a guard.
tail    = 0x80..0xbf;
utf8    = 0xc2..0xdf tail | 0xe0..0xef tail{2} | 0xf0..0xf4 tail{3};
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
