// SPDX-License-Identifier: MIT

package shell

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Options collects --option NAME=VALUE.
type Options []string

func (o *Options) String() string { return strings.Join(*o, " ") }

// Set takes one of them.
func (o *Options) Set(value string) error {
	*o = append(*o, value)
	return nil
}

// Parse reads the command line; every text flag of `required` must be given.
func Parse(required ...string) {
	flag.Parse()
	if flag.NArg() > 0 {
		Fail(fmt.Errorf("unexpected argument %q", flag.Arg(0)))
	}
	for _, name := range required {
		if flag.Lookup(name).Value.String() == "" {
			Fail(fmt.Errorf("--%s is missing; --help lists the options", name))
		}
	}
	syscall.Umask(0o077)
}

// Fail ends the program with a message.
func Fail(err error) {
	fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
	os.Exit(2)
}
