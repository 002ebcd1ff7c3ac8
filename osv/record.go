// Package osv holds the OSV record: its Go shape, lossless JSON in and out, and
// the rules that decide whether a document may become one.
//
// A record comes from somebody else, often from an attacker's own words, so
// reading is strict where two parsers could disagree (duplicate keys, invalid
// UTF-8, NUL, wrong case) and lenient where the format grows (unknown members
// are kept, newer schema versions are flagged). Reading is bounded by [Limits];
// what a limit cut is said in [Flag]s, never silently.
//
// Flow: [Read] (or [Parse], [ReadNamed]) passes the document through a byte filter
// that cuts what is too long (clip.go), builds the record from tokens (read.go)
// and checks it (validate.go); a document that is small and clean skips the filter.
//
// Parse followed by Marshal keeps every member that Parse accepted, known or
// not; only the order of members, insignificant white space and the spelling of
// escapes may change, except where a flag of kind "cut", "replaced", "dropped" or "named" says otherwise.
//
// Format: https://ossf.github.io/osv-schema/ (1.7.x).
package osv

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Record is one OSV document.
//
// Fields hold what the document said: timestamps stay text (see [Timestamp]),
// and members that this package does not know are kept in Unknown.
type Record struct {
	SchemaVersion    string         `json:"schema_version,omitzero"`
	ID               string         `json:"id"`
	Modified         Timestamp      `json:"modified,omitzero"`
	Published        Timestamp      `json:"published,omitzero"`
	Withdrawn        Timestamp      `json:"withdrawn,omitzero"`
	Aliases          []string       `json:"aliases,omitzero"`
	Upstream         []string       `json:"upstream,omitzero"`
	Related          []string       `json:"related,omitzero"`
	Summary          string         `json:"summary,omitzero"`
	Details          string         `json:"details,omitzero"`
	Severity         []Severity     `json:"severity,omitzero"`
	Affected         []Affected     `json:"affected,omitzero"`
	References       []Reference    `json:"references,omitzero"`
	Credits          []Credit       `json:"credits,omitzero"`
	DatabaseSpecific jsontext.Value `json:"database_specific,omitzero"`
	Unknown          jsontext.Value `json:",embed"`

	empty members // members given and empty
}

// Affected says which versions of one package the record is about.
type Affected struct {
	Package           Package        `json:"package,omitzero"`
	Severity          []Severity     `json:"severity,omitzero"`
	Ranges            []Range        `json:"ranges,omitzero"`
	Versions          []string       `json:"versions,omitzero"`
	EcosystemSpecific jsontext.Value `json:"ecosystem_specific,omitzero"`
	DatabaseSpecific  jsontext.Value `json:"database_specific,omitzero"`
	Unknown           jsontext.Value `json:",embed"`

	empty members // members given and empty
}

// Package names a package the way its ecosystem does.
type Package struct {
	Ecosystem string         `json:"ecosystem,omitzero"`
	Name      string         `json:"name,omitzero"`
	PURL      string         `json:"purl,omitzero"`
	Unknown   jsontext.Value `json:",embed"`

	empty members // members given and empty
}

// Range is a run of versions, described by events on a line of versions.
type Range struct {
	Type             string         `json:"type,omitzero"`
	Repo             string         `json:"repo,omitzero"`
	Events           []Event        `json:"events,omitzero"`
	DatabaseSpecific jsontext.Value `json:"database_specific,omitzero"`
	Unknown          jsontext.Value `json:",embed"`

	empty members // members given and empty
}

// Range types of OSV.
const (
	RangeSemver    = "SEMVER"
	RangeEcosystem = "ECOSYSTEM"
	RangeGit       = "GIT"
)

// Event is one point on the line of versions; exactly one field is set.
type Event struct {
	Introduced   string         `json:"introduced,omitzero"`
	Fixed        string         `json:"fixed,omitzero"`
	LastAffected string         `json:"last_affected,omitzero"`
	Limit        string         `json:"limit,omitzero"`
	Unknown      jsontext.Value `json:",embed"`

	empty members // members given and empty
}

// Severity is a score as its source gave it.
type Severity struct {
	Type    string         `json:"type,omitzero"`
	Score   string         `json:"score,omitzero"`
	Unknown jsontext.Value `json:",embed"`

	empty members // members given and empty
}

// Reference is a link; the URL is text from the record's author and never safe
// to follow or to render as a link unchecked.
type Reference struct {
	Type    string         `json:"type,omitzero"`
	URL     string         `json:"url,omitzero"`
	Unknown jsontext.Value `json:",embed"`

	empty members // members given and empty
}

// Credit names who found or reported.
type Credit struct {
	Name    string         `json:"name,omitzero"`
	Type    string         `json:"type,omitzero"`
	Contact []string       `json:"contact,omitzero"`
	Unknown jsontext.Value `json:",embed"`

	empty members // members given and empty
}

// Timestamp is an RFC 3339 time as the document wrote it, so that writing gives
// the same text back. The zero value means "not given".
type Timestamp string

// Time parses t. The zero Timestamp gives the zero time without error.
func (t Timestamp) Time() (time.Time, error) {
	if t == "" {
		return time.Time{}, nil
	}
	v, err := time.Parse(time.RFC3339, string(t))
	if err != nil || !t.wellFormed() {
		return time.Time{}, fmt.Errorf("timestamp %.40q is not RFC 3339", string(t))
	}
	return v.UTC(), nil
}

// wellFormed holds t to the grammar of RFC 3339, section 5.6, where [time.Parse]
// is lenient: hours of one digit, a comma for the point, offsets out of range.
func (t Timestamp) wellFormed() bool {
	const shape = "0000-00-00T00:00:00"
	if len(t) <= len(shape) || !hasShape(t[:len(shape)], shape) {
		return false
	}
	rest := t[len(shape):]
	if rest[0] == '.' {
		n := 1
		for n < len(rest) && hasShape(rest[n:n+1], "0") {
			n++
		}
		if n == 1 {
			return false
		}
		rest = rest[n:]
	}
	if rest == "Z" {
		return true
	}
	return (hasShape(rest, "+00:00") || hasShape(rest, "-00:00")) && rest[1:3] <= "23" && rest[4:] <= "59"
}

// hasShape reports whether t equals shape, in which 0 stands for any digit.
func hasShape(t Timestamp, shape string) bool {
	if len(t) != len(shape) {
		return false
	}
	for i := range len(t) {
		if shape[i] == '0' && (t[i] < '0' || t[i] > '9') || shape[i] != '0' && t[i] != shape[i] {
			return false
		}
	}
	return true
}

// IsWithdrawn reports whether the record was taken back.
func (r *Record) IsWithdrawn() bool { return r.Withdrawn != "" }

// Malicious reports whether the record is about a malicious package: its id or
// one of its aliases is a MAL- id, or it is a GitHub advisory about malware. The
// OSV form of those has no type; they are the ones under CWE-506, embedded
// malicious code, in database_specific.cwe_ids
// (https://cwe.mitre.org/data/definitions/506.html; "Malware in ctx",
// "Embedded Malicious Code in ctx").
func (r *Record) Malicious() bool {
	if strings.HasPrefix(r.ID, "MAL-") {
		return true
	}
	for _, a := range r.Aliases {
		if strings.HasPrefix(a, "MAL-") {
			return true
		}
	}
	if !strings.HasPrefix(r.ID, "GHSA-") || len(r.DatabaseSpecific) == 0 {
		return false
	}
	var db struct {
		Type   string   `json:"type"` // of GitHub's REST form, where a mirror kept it
		CWEIDs []string `json:"cwe_ids"`
	}
	if json.Unmarshal(r.DatabaseSpecific, &db) != nil {
		return false
	}
	return db.Type == "malware" || slices.Contains(db.CWEIDs, "CWE-506")
}
