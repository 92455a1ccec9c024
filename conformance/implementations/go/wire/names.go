// SPDX-License-Identifier: MIT

package wire

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	pipePrefix    = `\\.\pipe\`
	maxPipeLength = 256 // characters, prefix included
)

// ValidPipe tells whether a text is a pipe name (API-1, names.rl).
func ValidPipe(name string) bool {
	if len(name) <= len(pipePrefix) || !strings.EqualFold(asciiOnly(name[:len(pipePrefix)]), pipePrefix) {
		return false
	}
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxPipeLength {
		return false
	}
	for _, r := range name[len(pipePrefix):] {
		if r < 0x20 || r == 0x7f || r == '\\' {
			return false
		}
	}
	return true
}

// asciiOnly keeps EqualFold from folding letters beyond ASCII into those of the prefix.
func asciiOnly(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return ""
		}
	}
	return s
}

// PipeKey is the same for names that are the same pipe: the case of ASCII letters does not count.
func PipeKey(name string) string {
	octets := []byte(name)
	for i, b := range octets {
		if b >= 'A' && b <= 'Z' {
			octets[i] = b + 'a' - 'A'
		}
	}
	return string(octets)
}

// ParsePort is the port of a decimal text, 1 to 65535 without a leading zero, or 0.
func ParsePort(s string) uint16 {
	if len(s) == 0 || len(s) > 5 || s[0] < '1' || s[0] > '9' {
		return 0
	}
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(port)
}

// PortRange is a range of ports, both ends included.
type PortRange struct{ First, Last uint16 }

// ParsePortList reads numbers and ranges, such as 80,6000-6999 (names.rl, vpc_port_list).
func ParsePortList(s string) ([]PortRange, bool) {
	var list []PortRange
	for _, part := range strings.Split(s, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		r := PortRange{ParsePort(first), ParsePort(last)}
		if r.First == 0 || r.Last < r.First {
			return nil, false
		}
		list = append(list, r)
	}
	return list, true
}
