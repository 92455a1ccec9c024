// SPDX-License-Identifier: MIT

package endpoint

// The ids of the event catalogue that this implementation logs (spec/events.json).
const (
	idStarted     = 1000
	idStopped     = 1001
	idTransportUp = 1002
	idTransport   = 1003
	idStartFailed = 1004
	idReady       = 1005
	idNotReady    = 1006
	idSessionUp   = 1010
	idSessionLost = 1011
	idMismatch    = 1012
	idFraming     = 1013
	idViolation   = 1014
	idLate        = 1015
	idResumed     = 1016
	idOpened      = 1020
	idClosed      = 1021
	idConnect     = 1022
	idPipeOpened  = 1023
	idPipeUnused  = 1024
	idPipeFailed  = 1025
	idDrain       = 1026
	idEventsLost  = 1030
	idGuestEvent  = 1031
	idSuppressed  = 1032
	idShort       = 1042
	idReadyFailed = 1043
	idsNotSent    = 1040 // from here on an entry is about the program and its machine alone (LOG-6)
)

var levels = [...]string{"info", "warning", "error"}

const (
	info = iota
	warning
	failure
)

// kind is one entry of the catalogue.
type kind struct {
	name    string
	level   int
	guest   bool // a guest endpoint logs it
	value   string
	detail  string // what EVENT carries in its field of this name
	fields  []string
	message string
}

var catalog = map[uint32]*kind{
	idStarted:     {"ENDPOINT_STARTED", info, true, "", "implementation", []string{"implementation", "version"}, "The endpoint started."},
	idStopped:     {"ENDPOINT_STOPPED", info, true, "", "", []string{"cause"}, "The endpoint stopped."},
	idTransportUp: {"TRANSPORT_UP", info, true, "", "", nil, "The byte stream to the other side is there."},
	idTransport:   {"TRANSPORT_DOWN", warning, true, "", "", []string{"cause"}, "The byte stream to the other side ended."},
	idStartFailed: {"START_FAILED", warning, false, "", "", []string{"result", "hresult", "pipe", "port", "h2g", "g2h", "cause", "errno"}, "StartCommunicationChannel did not succeed."},
	idReady:       {"CHANNEL_READY", info, false, "", "", []string{"tag"}, "Communication channels can be started."},
	idNotReady:    {"CHANNEL_NOT_READY", warning, false, "", "", []string{"tag", "cause"}, "Communication channels can not be started any more."},
	idSessionUp:   {"SESSION_UP", info, true, "", "", []string{"version", "peer", "tag"}, "A session with the other side began."},
	idSessionLost: {"SESSION_LOST", warning, true, "pairs", "", []string{"cause", "pairs"}, "The session ended; every channel in it was aborted."},
	idMismatch:    {"REVISION_MISMATCH", failure, true, "", "peer_versions", []string{"local_versions", "peer_versions", "peer"}, "Host and guest speak no common version."},
	idFraming:     {"FRAMING_LOST", warning, true, "", "", []string{"cause"}, "Octets arrived that are no frame, or a seal does not fit."},
	idViolation:   {"PROTOCOL_VIOLATION", failure, true, "", "frame", []string{"cause", "frame", "channel", "pipe", "port", "h2g", "g2h"}, "The other side broke the protocol."},
	idLate:        {"HEARTBEAT_LATE", warning, true, "silent_ms", "", []string{"silent_ms"}, "Nothing was heard from the other side for too long."},
	idResumed:     {"HEARTBEAT_RESUMED", info, true, "", "", nil, "The other side is heard again."},
	idOpened:      {"CHANNEL_OPENED", info, true, "", "", []string{"pipe", "port", "h2g", "g2h"}, "A communication channel is open."},
	idClosed:      {"CHANNEL_CLOSED", info, true, "", "", []string{"pipe", "port", "h2g", "g2h", "cause", "errno", "sent", "received"}, "A communication channel is closed and both of its channels are released."},
	idConnect:     {"CONNECT_FAILED", warning, true, "", "", []string{"port", "h2g", "g2h", "errno", "cause"}, "The connection to the server in the guest failed."},
	idPipeOpened:  {"PIPE_CONNECTED", info, false, "", "", []string{"pipe", "port", "h2g", "g2h"}, "A program opened the pipe."},
	idPipeUnused:  {"PIPE_UNUSED", warning, false, "", "", []string{"pipe", "port", "h2g", "g2h", "cause"}, "Nobody opened the pipe within its time limit; the channel is ended."},
	idPipeFailed:  {"PIPE_FAILED", failure, false, "", "", []string{"pipe", "port", "errno", "cause"}, "The pipe could not be made."},
	idDrain:       {"DRAIN_TIMEOUT", warning, true, "", "", []string{"pipe", "port", "h2g", "g2h", "cause"}, "A channel did not drain within its time limit and was aborted."},
	idEventsLost:  {"EVENTS_LOST", warning, false, "count", "", []string{"count", "cause"}, "Entries of the guest's event log did not reach this log."},
	idGuestEvent:  {"GUEST_EVENT", info, false, "", "", []string{"event_id", "port", "h2g", "g2h", "errno", "cause", "detail"}, "The guest endpoint logged an event that this catalogue lacks."},
	idSuppressed:  {"EVENTS_SUPPRESSED", warning, true, "count", "event_id", []string{"event_id", "count"}, "Entries of one id were left out, so that the log is not flooded."},
	idReadyFailed: {"READY_EVENT_FAILED", failure, false, "", "", []string{"event", "errno", "cause"}, "The ready event is not as it should be."},
	1040:          {"SANDBOX_OFF", warning, true, "", "", []string{"cause"}, "The endpoint runs with more rights than it needs."},
	1041:          {"CLIENT_REFUSED", warning, true, "count", "", []string{"socket", "uid", "count", "cause"}, "A client of another user was refused."},
	idShort:       {"RESOURCES_SHORT", failure, true, "", "", []string{"socket", "errno", "cause"}, "A client has to wait: the system gives no descriptor or memory for it."},
	1044:          {"TRACE_FAILED", failure, true, "", "", []string{"file", "errno", "cause"}, "The trace of the bus can not be written; it ends."},
}

func (k *kind) has(field string) bool {
	for _, f := range k.fields {
		if f == field {
			return true
		}
	}
	return false
}
