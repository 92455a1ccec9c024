// SPDX-License-Identifier: MIT

// Package wire is the byte form of VPCBus 1.0: the message table, the codec that the table drives, and the names of
// StartCommunicationChannel.  It keeps no time and does no input or output.
package wire

// Role is who sends or receives: the host endpoint or the guest endpoint.
type Role uint8

// The roles, with their numbers in HELLO.
const (
	Host  Role = 1
	Guest Role = 2
)

func (r Role) String() string {
	if r == Host {
		return "host"
	}
	return "guest"
}

// Other is the role of the peer.
func (r Role) Other() Role { return Host + Guest - r }

// Type is the message type of a frame's header.
type Type uint8

// The message types.
const (
	Hello     Type = 1
	Ready     Type = 2
	Heartbeat Type = 3
	Goodbye   Type = 4
	Event     Type = 5
	Open      Type = 16
	Opened    Type = 17
	Refused   Type = 18
	Data      Type = 19
	Credit    Type = 20
	Fin       Type = 21
	Reset     Type = 22
	Released  Type = 23
)

func (t Type) String() string {
	if l := layouts[t]; l != nil {
		return l.name
	}
	return "unknown"
}

// Sizes of section 4.
const (
	Pad        = 0x16
	HeaderSize = 12
	SealSize   = 16
	MaxBody    = 65536
	MaxPayload = MaxBody - 8
	Preamble   = 131129
	textSize   = 32
	helloSize  = HeaderSize + 128 + SealSize
	huntedPad  = 16
)

// Message is one message, whatever its type: only the fields of its type mean something.
type Message struct {
	Type    Type
	Channel uint32

	Role, VersionMin, VersionMax, MaxPairs uint64
	Epoch, Echo, Features, HeartbeatMS     uint64
	Ready, Count, Cause                    uint64
	Event, Lost, Time, H2G, G2H, Port      uint64
	Level, Errno, Sent, Received, Value    uint64
	ReverseChannel, ConnectMS, Limit       uint64
	Offset                                 uint64
	Tag, Name, CauseText, Detail           string
	Payload                                []byte
	SealSession, SealNumber                uint64
}

// field is one entry of a message's table: a number of size octets, a text of 32, or reserved octets (neither).
type field struct {
	name     string
	size     int
	min, max uint64
	num      func(*Message) *uint64
	text     func(*Message) *string
}

// layout is the table of one message.
type layout struct {
	name    string
	channel bool // a message of a channel, not of the session
	from    []Role
	fields  []field
	length  int     // of the body; of DATA: its least
	at      []uint8 // the field at each octet of the fixed body
	offset  []int   // of each field
}

func (l *layout) sentBy(r Role) bool {
	for _, from := range l.from {
		if from == r {
			return true
		}
	}
	return false
}

func number(name string, size int, get func(*Message) *uint64) field {
	return field{name: name, size: size, max: 1<<(8*uint(size)-1)<<1 - 1, num: get}
}

func ranged(name string, size int, min, max uint64, get func(*Message) *uint64) field {
	return field{name: name, size: size, min: min, max: max, num: get}
}

func text(name string, get func(*Message) *string) field {
	return field{name: name, size: textSize, text: get}
}

func reserved(name string, size int) field { return field{name: name, size: size} }

const most = ^uint64(0)

var layouts = [256]*layout{
	Hello: {name: "HELLO", from: both, fields: []field{
		ranged("role", 1, 1, 2, func(m *Message) *uint64 { return &m.Role }),
		reserved("reserved0", 1),
		number("version_min", 2, func(m *Message) *uint64 { return &m.VersionMin }),
		number("version_max", 2, func(m *Message) *uint64 { return &m.VersionMax }),
		number("max_pairs", 2, func(m *Message) *uint64 { return &m.MaxPairs }),
		ranged("epoch", 8, 1, most, func(m *Message) *uint64 { return &m.Epoch }),
		number("echo", 8, func(m *Message) *uint64 { return &m.Echo }),
		number("features", 4, func(m *Message) *uint64 { return &m.Features }),
		number("heartbeat_ms", 4, func(m *Message) *uint64 { return &m.HeartbeatMS }),
		text("tag", func(m *Message) *string { return &m.Tag }),
		text("name", func(m *Message) *string { return &m.Name }),
		reserved("reserved1", 32),
	}},
	Ready: {name: "READY", from: guestOnly, fields: []field{
		ranged("ready", 1, 0, 1, func(m *Message) *uint64 { return &m.Ready }),
		reserved("reserved0", 3),
	}},
	Heartbeat: {name: "HEARTBEAT", from: both, fields: []field{
		number("count", 8, func(m *Message) *uint64 { return &m.Count }),
	}},
	Goodbye: {name: "GOODBYE", from: both, fields: []field{
		number("cause", 4, func(m *Message) *uint64 { return &m.Cause }),
	}},
	Event: {name: "EVENT", from: guestOnly, fields: []field{
		ranged("event", 4, 1, 1<<32-1, func(m *Message) *uint64 { return &m.Event }),
		number("lost", 4, func(m *Message) *uint64 { return &m.Lost }),
		number("time", 8, func(m *Message) *uint64 { return &m.Time }),
		number("h2g", 4, func(m *Message) *uint64 { return &m.H2G }),
		number("g2h", 4, func(m *Message) *uint64 { return &m.G2H }),
		number("port", 2, func(m *Message) *uint64 { return &m.Port }),
		ranged("level", 1, 0, 2, func(m *Message) *uint64 { return &m.Level }),
		reserved("reserved0", 1),
		number("errno", 4, func(m *Message) *uint64 { return &m.Errno }),
		number("sent", 8, func(m *Message) *uint64 { return &m.Sent }),
		number("received", 8, func(m *Message) *uint64 { return &m.Received }),
		number("value", 8, func(m *Message) *uint64 { return &m.Value }),
		text("cause", func(m *Message) *string { return &m.CauseText }),
		text("detail", func(m *Message) *string { return &m.Detail }),
	}},
	Open: {name: "OPEN", channel: true, from: hostOnly, fields: []field{
		ranged("reverse_channel", 4, 1, 1<<32-1, func(m *Message) *uint64 { return &m.ReverseChannel }),
		number("port", 2, func(m *Message) *uint64 { return &m.Port }),
		reserved("reserved0", 2),
		number("connect_ms", 4, func(m *Message) *uint64 { return &m.ConnectMS }),
		limitField,
	}},
	Opened:   {name: "OPENED", channel: true, from: guestOnly, fields: []field{limitField}},
	Refused:  {name: "REFUSED", channel: true, from: guestOnly, fields: []field{errnoField}},
	Data:     {name: "DATA", channel: true, from: both, fields: []field{offsetField}},
	Credit:   {name: "CREDIT", channel: true, from: both, fields: []field{limitField}},
	Fin:      {name: "FIN", channel: true, from: both, fields: []field{offsetField}},
	Reset:    {name: "RESET", channel: true, from: both, fields: []field{errnoField}},
	Released: {name: "RELEASED", channel: true, from: both, fields: []field{offsetField}},
}

var (
	both      = []Role{Host, Guest}
	hostOnly  = []Role{Host}
	guestOnly = []Role{Guest}

	limitField  = number("limit", 8, func(m *Message) *uint64 { return &m.Limit })
	errnoField  = number("errno", 4, func(m *Message) *uint64 { return &m.Errno })
	offsetField = number("offset", 8, func(m *Message) *uint64 { return &m.Offset })
)

func init() {
	for _, l := range layouts {
		if l == nil {
			continue
		}
		for i, f := range l.fields {
			l.offset = append(l.offset, l.length)
			for n := 0; n < f.size; n++ {
				l.at = append(l.at, uint8(i))
			}
			l.length += f.size
		}
	}
}
