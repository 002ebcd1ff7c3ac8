package index

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/rapsheet/rapsheet"
)

// Flags of an encoded record.
const (
	flagWithdrawn = 1 << iota
	flagSemver    // the open range below is of type SEMVER, else ECOSYSTEM
	flagOpen      // one range: introduced 0, nothing else
	flagVersions  // exact versions follow
	flagRanges    // ranges follow
	flagName      // the published name follows; else it equals the key's
	flagDigests   // digests follow
	flagMAL       // the id is MAL-<year>-<number>, written as two numbers
)

var rangeTypes = []string{"SEMVER", "ECOSYSTEM"}

var digestNames = []string{"md5", "sha1", "sha256", "sha384", "sha512"}

// appendRecord writes the matching part of one record under the key name.
// Documents are numbered relative to base (modulo 2^32), so that neighbours cost
// a byte each.
func appendRecord(b []byte, r *rapsheet.Record, base uint32, keyName string) []byte {
	year, num, mal := splitMAL(r.ID)
	var flags byte
	set := func(on bool, f byte) {
		if on {
			flags |= f
		}
	}
	open := len(r.Ranges) == 1 && isOpen(r.Ranges[0])
	set(r.Withdrawn || r.Disputed, flagWithdrawn)
	set(open && r.Ranges[0].Type == rangeTypes[0] || !open && r.Disputed, flagSemver)
	set(open, flagOpen)
	set(len(r.Versions) > 0, flagVersions)
	set(len(r.Ranges) > 0 && !open || open && r.Disputed, flagRanges)
	set(r.Name != keyName, flagName)
	set(len(r.Digests) > 0, flagDigests)
	set(mal, flagMAL)
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(r.Document-base))
	if mal {
		b = binary.AppendUvarint(b, year)
		b = binary.AppendUvarint(b, num)
	} else {
		b = appendString(b, r.ID)
	}
	if flags&flagName != 0 {
		b = appendString(b, r.Name)
	}
	if flags&flagVersions != 0 {
		b = binary.AppendUvarint(b, uint64(len(r.Versions)))
		for _, v := range r.Versions {
			b = appendString(b, v)
		}
	}
	if flags&(flagOpen|flagRanges) == flagRanges {
		b = binary.AppendUvarint(b, uint64(len(r.Ranges)))
		for _, g := range r.Ranges {
			b = append(b, byte(indexOf(rangeTypes, g.Type)))
			b = binary.AppendUvarint(b, uint64(len(g.Events)))
			for _, e := range g.Events {
				b = append(b, byte(e.Kind))
				b = appendString(b, e.Version)
			}
		}
	}
	if flags&flagDigests != 0 {
		b = binary.AppendUvarint(b, uint64(len(r.Digests)))
		for _, d := range r.Digests {
			b = append(b, byte(indexOf(digestNames, d.Algorithm)))
			b = appendString(b, d.Hex)
		}
	}
	return b
}

// disputed reports whether flags say that the record is disputed. There is no bit
// left for it; withdrawn records with a flag that would mean nothing otherwise are
// meant: the type of an open range where there is none, ranges beside an open one.
func disputed(flags byte) bool {
	odd := byte(flagSemver)
	if flags&flagOpen != 0 {
		odd = flagRanges
	}
	return flags&flagWithdrawn != 0 && flags&odd != 0
}

func isOpen(g rapsheet.Range) bool {
	return len(g.Events) == 1 && g.Events[0] == rapsheet.Event{Kind: rapsheet.Introduced, Version: "0"}
}

// openEvents is shared by all records of the commonest kind; nobody writes it.
var openEvents = []rapsheet.Event{{Kind: rapsheet.Introduced, Version: "0"}}

var openSemver, openEcosystem = []rapsheet.Range{{Type: rangeTypes[0], Events: openEvents}},
	[]rapsheet.Range{{Type: rangeTypes[1], Events: openEvents}}

// decodeRecords reads the payload of a key: what appendRecord wrote, after their number.
func decodeRecords(payload []byte, base uint32, ecosystem, keyName string) ([]rapsheet.Record, error) {
	d := decoder{b: payload}
	n := d.count(len(payload))
	out := make([]rapsheet.Record, 0, n)
	for range n {
		r := rapsheet.Record{Ecosystem: ecosystem, Name: keyName}
		flags := d.byte()
		r.Document = base + uint32(d.uint())
		r.Withdrawn, r.Disputed = flags&flagWithdrawn != 0, disputed(flags)
		if flags&flagMAL != 0 {
			year, num := d.uint(), d.uint()
			id := make([]byte, 0, 24)
			id = append(id, "MAL-"...)
			id = strconv.AppendUint(id, year, 10)
			id = append(id, '-')
			r.ID = view(strconv.AppendUint(id, num, 10))
		} else {
			r.ID = d.string()
		}
		if flags&flagName != 0 {
			r.Name = d.string()
		}
		if flags&flagVersions != 0 {
			r.Versions = make([]string, 0, d.count(len(payload)))
			for range cap(r.Versions) {
				r.Versions = append(r.Versions, d.string())
			}
		}
		switch {
		case flags&flagOpen != 0 && flags&flagSemver != 0:
			r.Ranges = openSemver
		case flags&flagOpen != 0:
			r.Ranges = openEcosystem
		case flags&flagRanges != 0:
			for range d.count(len(payload)) {
				t := int(d.byte())
				if t >= len(rangeTypes) {
					return nil, errTable
				}
				g := rapsheet.Range{Type: rangeTypes[t]}
				for range d.count(len(payload)) {
					g.Events = append(g.Events, rapsheet.Event{Kind: rapsheet.EventKind(d.byte()), Version: d.string()})
				}
				r.Ranges = append(r.Ranges, g)
			}
		}
		if flags&flagDigests != 0 {
			for range d.count(len(payload)) {
				a := int(d.byte())
				if a >= len(digestNames) {
					return nil, errTable
				}
				r.Digests = append(r.Digests, rapsheet.Digest{Algorithm: digestNames[a], Hex: d.string()})
			}
		}
		if d.bad {
			return nil, errTable
		}
		out = append(out, r)
	}
	if d.at != len(payload) {
		return nil, errTable
	}
	return out, nil
}

// splitMAL takes "MAL-2024-123" apart if writing it again gives the same text.
func splitMAL(id string) (year, num uint64, ok bool) {
	rest, ok := strings.CutPrefix(id, "MAL-")
	if !ok {
		return 0, 0, false
	}
	y, n, ok := strings.Cut(rest, "-")
	if !ok {
		return 0, 0, false
	}
	year, err1 := strconv.ParseUint(y, 10, 32)
	num, err2 := strconv.ParseUint(n, 10, 32)
	if err1 != nil || err2 != nil || fmt.Sprintf("MAL-%d-%d", year, num) != id {
		return 0, 0, false
	}
	return year, num, true
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func indexOf(list []string, s string) int {
	for i, v := range list {
		if v == s {
			return i
		}
	}
	return 0
}
