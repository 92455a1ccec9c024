// SPDX-License-Identifier: MIT

// vpc-host-go is a host endpoint of VPCBus for one virtual machine.
package main

import (
	"flag"
	"fmt"
	"path/filepath"

	"vpcbus/endpoint"
	"vpcbus/shell"
)

func main() {
	vm := flag.String("vm", "", "name of the virtual machine")
	bus := flag.String("bus", "", "Unix socket of the port's chardev")
	runtime := flag.String("runtime-dir", "", "folder of the control socket and the pipes")
	log := flag.String("log", "", "event log, one JSON object a line")
	tag := flag.String("tag", "", "chassis asset tag; the guest's when left out")
	var settings shell.Options
	flag.Var(&settings, "option", "NAME=VALUE, a setting of section 10 (may be repeated)")
	shell.Parse("vm", "bus", "runtime-dir", "log")

	options, err := endpoint.ParseOptions("host", settings)
	if err == nil && *tag != "" && !endpoint.ValidTag(*tag) {
		err = fmt.Errorf("--tag %q: 1 to 32 printable characters of ASCII are expected", *tag)
	}
	if err != nil {
		shell.Fail(err)
	}
	pipes, err := shell.NewPipes(*runtime, *vm)
	if err != nil {
		shell.Fail(err)
	}
	pipes.Host = endpoint.NewHost(endpoint.Config{VM: *vm, Tag: *tag, Options: options,
		Random: shell.Random, WallClock: shell.WallClock})
	loop, err := shell.NewLoop(pipes.Host.Endpoint, shell.Settings{Bus: "unix:" + *bus,
		Control: filepath.Join(*runtime, "control.sock"), Log: *log}, pipes, shell.NewReadyEvent(*runtime))
	if err != nil {
		shell.Fail(err)
	}
	loop.Run()
}
