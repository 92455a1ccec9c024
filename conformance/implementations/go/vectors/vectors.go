// SPDX-License-Identifier: MIT

// Package vectors reads spec/vectors for the tests.
package vectors

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// Number is a JSON number, or a text of hexadecimal digits.
type Number uint64

// UnmarshalJSON reads either.
func (n *Number) UnmarshalJSON(raw []byte) error {
	value, err := strconv.ParseUint(string(bytes.Trim(raw, `"`)), 0, 64)
	*n = Number(value)
	return err
}

// Items are octets: texts of hexadecimal digits, and runs of one octet.
type Items []json.RawMessage

type run struct {
	Octet      string
	Times      int
	PadAtLeast int `json:"pad_at_least"`
}

// Octets are the octets; of a run of "at least" there are as many as it says.
func (items Items) Octets(t testing.TB) []byte {
	out := []byte{}
	for _, item := range items {
		var text string
		var r run
		if json.Unmarshal(item, &text) == nil {
			out = append(out, Hex(t, text)...)
		} else if err := json.Unmarshal(item, &r); err != nil {
			t.Fatal(err)
		} else if r.PadAtLeast > 0 {
			out = append(out, bytes.Repeat([]byte{0x16}, r.PadAtLeast)...)
		} else {
			out = append(out, bytes.Repeat(Hex(t, r.Octet), r.Times)...)
		}
	}
	return out
}

// Hex decodes hexadecimal digits.
func Hex(t testing.TB, text string) []byte {
	octets, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return octets
}

// Seal is the seal of a frame.
type Seal struct{ Session, Number Number }

// Frame is a message of a vector.
type Frame struct {
	At, End int
	Message string
	Channel uint32
	Fields  map[string]json.RawMessage
	Seal    Seal
}

// Receiver is the state in which a vector's octets are received.
type Receiver struct{ Session, Number Number }

// Vector is an entry of any of the files.
type Vector struct {
	ID, Kind, Role, Fault string
	Octets                Items
	Other                 Items
	Senders               []string
	Send, Valid, Same     bool
	At                    int
	Port                  int
	Found                 []Frame
	Frame
	CRC32C     Number                 `json:"crc32c"`
	HostEpoch  Number                 `json:"host_epoch"`
	GuestEpoch Number                 `json:"guest_epoch"`
	Session    Number                 `json:"session"`
	Endpoint   map[string]interface{} `json:"endpoint"`
	Steps      []json.RawMessage
	Receiver   *Receiver // of its own, where it has one
}

// Load reads one file, of the folder VPC_VECTORS or of spec/vectors.
func Load(t testing.TB, name string) (Receiver, []Vector) {
	folder := os.Getenv("VPC_VECTORS")
	if folder == "" {
		folder = "../../../../spec/vectors"
	}
	text, err := os.ReadFile(filepath.Join(folder, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Receiver Receiver
		Vectors  []Vector
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(file.Vectors) == 0 {
		t.Fatalf("%s has no vectors", name)
	}
	return file.Receiver, file.Vectors
}
