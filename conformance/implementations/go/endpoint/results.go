// SPDX-License-Identifier: MIT

package endpoint

import "syscall"

// result is one of StartCommunicationChannel, with WVPC's value.
type result struct {
	name  string
	value uint32
}

var (
	sOK             = result{"S_OK", 0}
	eInvalidArg     = result{"E_INVALIDARG", 0x80070057}
	ePointer        = result{"E_POINTER", 0x80004003}
	eException      = result{"DISP_E_EXCEPTION", 0x80020009}
	eInvalidHandle  = result{"ERROR_INVALID_HANDLE", 0x80070006}
	eOutOfMemory    = result{"ERROR_OUTOFMEMORY", 0x8007000E}
	eNotReady       = result{"ERROR_NOT_READY", 0x80070015}
	eAlreadyExists  = result{"ERROR_ALREADY_EXISTS", 0x800700B7}
	ePipeBusy       = result{"ERROR_PIPE_BUSY", 0x800700E7}
	eMaxSessions    = result{"ERROR_MAX_SESSIONS_REACHED", 0x80070161}
	eMismatch       = result{"ERROR_REVISION_MISMATCH", 0x8007051A}
	eNotRunning     = result{"VM_E_VM_NOT_RUNNING", 0xA0040206}
	eRunning        = result{"VM_E_VM_RUNNING_OR_SAVED", 0xA004020B}
	eRefused        = result{"ERROR_CONNECTION_REFUSED", 0x800704C9}
	eTimeout        = result{"ERROR_TIMEOUT", 0x800705B4}
	genericError    = result{"GenericError", 0x80020009}
	refusalResults  = map[uint32]result{errnoRefused: eRefused, errnoTimeout: eTimeout}
	pipeFailResults = map[uint32]result{errnoNoMem: eOutOfMemory, errnoNoBufs: eOutOfMemory, errnoBadF: eInvalidHandle}
)

// Error numbers on the wire (section 9).
const (
	errnoBadF    = 9
	errnoAgain   = 11
	errnoNoMem   = 12
	errnoAccess  = 13
	errnoInvalid = 22
	errnoProto   = 71
	errnoInUse   = 98
	errnoReset   = 104
	errnoNoBufs  = 105
	errnoTimeout = 110
	errnoRefused = 111
)

func errnoText(errno uint32) string { return syscall.Errno(errno).Error() }
