// SPDX-License-Identifier: MIT

package endpoint

import (
	"fmt"
	"strconv"
	"strings"

	"vpcbus/wire"
)

// Options are the settings of section 10; times are in milliseconds.
type Options struct {
	HelloInterval, Heartbeat, Late, PeerLimit, BackoffMax int64
	Connect, Drain, PipeOpen                              int64
	MaxPairs, Window, VersionMin, VersionMax, Fault       int64
	AllowPorts                                            []wire.PortRange
}

type option struct {
	name          string
	value         func(*Options) *int64
	standard      int64
	least, most   int64
	zeroIsAllowed bool
}

var options = []option{
	{"hello_interval_ms", func(o *Options) *int64 { return &o.HelloInterval }, 1000, 10, 60000, false},
	{"heartbeat_ms", func(o *Options) *int64 { return &o.Heartbeat }, 1000, 10, 60000, false},
	{"heartbeat_late_ms", func(o *Options) *int64 { return &o.Late }, 3000, 20, 600000, false},
	{"peer_limit_ms", func(o *Options) *int64 { return &o.PeerLimit }, 30000, 50, 3600000, true},
	{"backoff_max_ms", func(o *Options) *int64 { return &o.BackoffMax }, 5000, 0, 60000, false},
	{"connect_ms", func(o *Options) *int64 { return &o.Connect }, 10000, 10, 600000, false},
	{"drain_ms", func(o *Options) *int64 { return &o.Drain }, 10000, 10, 600000, false},
	{"pipe_open_ms", func(o *Options) *int64 { return &o.PipeOpen }, 30000, 10, 600000, false},
	{"max_pairs", func(o *Options) *int64 { return &o.MaxPairs }, 16, 1, 16384, false},
	{"window", func(o *Options) *int64 { return &o.Window }, 262144, 1, 16777216, false},
	{"version_min", func(o *Options) *int64 { return &o.VersionMin }, 256, 1, 65535, false},
	{"version_max", func(o *Options) *int64 { return &o.VersionMax }, 256, 1, 65535, false},
	{"fault", func(o *Options) *int64 { return &o.Fault }, 0, 0, 4095, false},
}

// foreign are the options of the other role.
var foreign = map[string]string{"host": "allow_ports", "guest": "fault"}

// ParseOptions reads NAME=VALUE texts over the defaults of a role, "host" or "guest" (LIM-1).
func ParseOptions(role string, settings []string) (Options, error) {
	var o Options
	for _, opt := range options {
		*opt.value(&o) = opt.standard
	}
	o.AllowPorts = []wire.PortRange{{First: 1, Last: 65535}}
	for _, setting := range settings {
		name, value, ok := strings.Cut(setting, "=")
		if !ok {
			return o, fmt.Errorf("option %q: NAME=VALUE is expected", setting)
		}
		if name == foreign[role] {
			return o, fmt.Errorf("option %s: a %s endpoint has none of this name", name, role)
		}
		if err := o.set(name, value); err != nil {
			return o, err
		}
	}
	if o.VersionMin > o.VersionMax {
		return o, fmt.Errorf("option version_min: %d is higher than version_max, %d", o.VersionMin, o.VersionMax)
	}
	return o, nil
}

func (o *Options) set(name, value string) error {
	if name == "allow_ports" {
		list, ok := wire.ParsePortList(value)
		if !ok {
			return fmt.Errorf("option allow_ports: %q is no list of ports such as 80,6000-6999", value)
		}
		o.AllowPorts = list
		return nil
	}
	for _, opt := range options {
		if opt.name != name {
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || (n < opt.least || n > opt.most) && !(n == 0 && opt.zeroIsAllowed) {
			return fmt.Errorf("option %s: %q is not a number from %d to %d", name, value, opt.least, opt.most)
		}
		*opt.value(o) = n
		return nil
	}
	return fmt.Errorf("option %s: there is none of this name", name)
}

func (o *Options) allows(port uint16) bool {
	for _, r := range o.AllowPorts {
		if port >= r.First && port <= r.Last {
			return true
		}
	}
	return false
}
