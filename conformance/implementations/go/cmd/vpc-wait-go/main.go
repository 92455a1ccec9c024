// SPDX-License-Identifier: MIT

// vpc-wait-go waits for the ready event of a host endpoint vpc-host-go; exit 0 when it is set, 1 when the time is over.
package main

import (
	"flag"
	"os"
	"time"

	"vpcbus/shell"
)

func main() {
	runtime := flag.String("runtime-dir", "", "folder of the host endpoint")
	tag := flag.String("tag", "", "chassis asset tag")
	seconds := flag.Float64("timeout", 60, "seconds to wait")
	shell.Parse("runtime-dir", "tag")
	if !shell.WaitReady(*runtime, *tag, time.Duration(*seconds*float64(time.Second))) {
		os.Exit(1)
	}
}
