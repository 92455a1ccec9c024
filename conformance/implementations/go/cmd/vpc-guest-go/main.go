// SPDX-License-Identifier: MIT

// vpc-guest-go is a guest endpoint of VPCBus.
package main

import (
	"flag"
	"fmt"

	"vpcbus/endpoint"
	"vpcbus/shell"
)

func main() {
	vm := flag.String("vm", "", "name of the virtual machine, for the log")
	bus := flag.String("bus", "", "unix:PATH, or a virtio-serial port")
	control := flag.String("control", "", "control socket")
	log := flag.String("log", "", "event log, one JSON object a line")
	tag := flag.String("tag", "", "chassis asset tag of the virtual machine")
	var settings shell.Options
	flag.Var(&settings, "option", "NAME=VALUE, a setting of section 10 (may be repeated)")
	shell.Parse("bus", "control", "log")

	options, err := endpoint.ParseOptions("guest", settings)
	if err == nil && *tag != "" && !endpoint.ValidTag(*tag) {
		err = fmt.Errorf("--tag %q: 1 to 32 printable characters of ASCII are expected", *tag)
	}
	if err != nil {
		shell.Fail(err)
	}
	guest := endpoint.NewGuest(endpoint.Config{VM: *vm, Tag: *tag, Options: options,
		Random: shell.Random, WallClock: shell.WallClock})
	loop, err := shell.NewLoop(guest.Endpoint, shell.Settings{Bus: *bus, Control: *control, Log: *log},
		shell.NewConnections(), shell.NewReadyEvent(""))
	if err != nil {
		shell.Fail(err)
	}
	loop.Run()
}
