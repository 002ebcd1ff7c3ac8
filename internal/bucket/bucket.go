// Package bucket is the layout in which OSV.dev publishes its records, and which mirrors of it and scanners read: which
// name is a directory or a file on every system, the lists, and archives whose bytes depend on nothing but the records.
//
// Flow: package publish writes releases in it, package export writes it for other tools; both
// name their files by the constants here, write archives with [Packer] and [Zip] and lists with [Rows].
//
// Layout: https://google.github.io/osv.dev/data/ and the exporter of github.com/google/osv.dev.
package bucket

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rapsheet/rapsheet/internal/printable"
)

// Names of files at the top and in the directory of an ecosystem.
const (
	Archive  = "all.zip"
	List     = "ecosystems.txt" // at the top only
	Modified = "modified_id.csv"
)

// MaxEcosystems bounds directories and open files; OSV's schema has about fifty ecosystems.
const MaxEcosystems = 128

// maxID keeps <ID>.json within the 255 bytes that file systems allow.
const maxID = 200

// CheckID says why an id cannot name a file on every system.
func CheckID(id string) error {
	for i := range len(id) {
		switch x := id[i]; {
		case 'a' <= x|0x20 && x|0x20 <= 'z', '0' <= x && x <= '9', x == '.', x == '_', x == '-':
		default:
			return fmt.Errorf("the id has %q: letters, digits and . _ - are allowed", rune(x))
		}
	}
	if id == "" || id[0] == '.' || strings.HasSuffix(id, ".") || len(id) > maxID {
		return fmt.Errorf("the id is empty, begins or ends in a dot or is longer than %d bytes", maxID)
	}
	return nil
}

// Directory gives the base ecosystem, which names a directory: what is before ":".
// One that cannot be a directory on every system is an error.
func Directory(eco string) (string, error) {
	base, _, _ := strings.Cut(eco, ":")
	ok := base != "" && len(base) <= 64 && base == strings.TrimSpace(base) && base[0] != '.' && base[len(base)-1] != '.'
	for i := range len(base) {
		switch x := base[i]; {
		case 'a' <= x|0x20 && x|0x20 <= 'z', '0' <= x && x <= '9', x == '.', x == '_', x == '-', x == ' ':
		default:
			ok = false
		}
	}
	if !ok || reserved(base) {
		return "", fmt.Errorf("the ecosystem %s cannot name a directory", printable.Cut(eco, 80))
	}
	return base, nil
}

// reserved reports whether name is one of a file in the dump, or of a device on
// Windows, which has those in every directory and with every extension
// (https://learn.microsoft.com/windows/win32/fileio/naming-a-file).
func reserved(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case Archive, List, Modified:
		return true
	}
	stem, _, _ := strings.Cut(name, ".")
	stem = strings.TrimRight(stem, " ")
	switch stem {
	case "con", "prn", "aux", "nul", "conin$", "conout$":
		return true
	}
	return len(stem) == 4 && (stem[:3] == "com" || stem[:3] == "lpt") && '0' <= stem[3] && stem[3] <= '9'
}

// semverRanges are the ecosystems whose ranges may be of type SEMVER
// (malicious-packages, internal/report/validate.go).
var semverRanges = map[string]bool{"Bitnami": true, "crates.io": true, "Go": true, "Hex": true, "npm": true, "SwiftURL": true}

// Semver reports whether the ranges of a base ecosystem may be of type SEMVER.
func Semver(base string) bool { return semverRanges[base] }

// Row is a line of the lists of what was modified when.
type Row struct {
	Time      time.Time
	ID        string
	Ecosystem string // base
	Modified  string // as the record writes it
}

// Rows are the lines of a list.
type Rows []Row

// Sort puts the newest first and the same time in the order of ids, as readers of the lists rely on.
func (r Rows) Sort() {
	slices.SortFunc(r, func(x, y Row) int {
		return cmp.Or(y.Time.Compare(x.Time), strings.Compare(x.ID, y.ID), strings.Compare(x.Ecosystem, y.Ecosystem))
	})
}

// Write writes the rows to the list at the top, and each to its ecosystem's.
func (r Rows) Write(all io.Writer, of func(ecosystem string) io.Writer) error {
	var line []byte
	for i := range r {
		row := &r[i]
		line = append(append(append(line[:0], row.Modified...), ','), row.Ecosystem...)
		line = append(append(append(line, '/'), row.ID...), '\n')
		_, err := all.Write(line)
		line = append(append(append(append(line[:0], row.Modified...), ','), row.ID...), '\n')
		_, err2 := of(row.Ecosystem).Write(line)
		if err := errors.Join(err, err2); err != nil {
			return err
		}
	}
	return nil
}
