// SPDX-License-Identifier: MIT

package endpoint

import (
	"testing"

	"vpcbus/channel"
)

// The drain limit counts when both ends have begun to close, each by what CLS-13 names, or when the client is gone (CLS-8).
func TestClosing(t *testing.T) {
	for _, c := range []struct {
		name                 string
		finished, gone       bool
		peerReads, peerSends bool
		closing              bool
	}{
		{"nothing ends", false, false, true, true, false},
		{"the program has finished", true, false, true, true, false},
		{"nobody reads there", false, false, false, true, false},
		{"the peer has finished", false, false, true, false, false},
		{"both have finished", true, false, true, false, true},
		{"nobody reads there, and the peer has finished", false, false, false, false, true},
		{"the client is gone", false, true, true, true, true},
	} {
		p := &Pair{opened: true, finished: c.finished, gone: c.gone, send: channel.NewSender(1, 8), recv: channel.NewReceiver(2, 8)}
		p.send.Opened()
		p.recv.Opened()
		if !c.peerReads {
			p.send.PeerReset()
		}
		if !c.peerSends {
			p.recv.Fin(0)
		}
		if p.closing() != c.closing {
			t.Errorf("%s: closing is %v", c.name, p.closing())
		}
	}
}
