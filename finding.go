package rapsheet

import (
	"fmt"
	"time"

	"github.com/rapsheet/rapsheet/osv"
)

// Record is the part of an OSV record about one package that matching needs.
// The whole document is read only when a finding is shown. A Record from an
// index may share memory with it: it is read-only.
type Record struct {
	// ID is the record's id, "MAL-2024-1".
	ID string
	// Ecosystem and Name are the package as published; Name may differ in spelling from the key it was found under.
	Ecosystem string
	Name      string
	// Withdrawn records never make a finding unless asked for, disputed ones excepted.
	Withdrawn bool
	// Disputed records are doubted by their keepers: shown as a warning, never a
	// reason to fail. They are published as withdrawn, so Withdrawn is true too; see
	// [DisputeOf].
	Disputed bool
	// Versions are the exact versions on record, Ranges the runs of versions; either suffices (OSV).
	Versions []string
	Ranges   []Range
	// Digests are of archives known to be malicious, for provenance.
	Digests []Digest
	// Document locates the full record in its index.
	Document uint32
}

// Range is a run of versions: events in the order of the record.
type Range struct {
	// Type is "SEMVER" or "ECOSYSTEM"; ranges of commits (GIT) do not reach matching.
	Type   string
	Events []Event
}

// EventKind is what happens at a version on the line of versions.
type EventKind uint8

// Event kinds of OSV.
const (
	Introduced EventKind = iota
	Fixed
	LastAffected
	Limit
)

// Event is one point of a [Range].
type Event struct {
	Kind    EventKind
	Version string
}

// Verdict is what the versions say about a sighting.
type Verdict string

// Verdicts, from design.md.
const (
	VerdictNone        Verdict = ""            // the record is not about this version
	VerdictExact       Verdict = "exact"       // the record lists this very version
	VerdictRange       Verdict = "range"       // inside a bounded range
	VerdictPackage     Verdict = "package"     // every version is malicious
	VerdictUnversioned Verdict = "unversioned" // no version seen, and the record covers only some
	VerdictWithdrawn   Verdict = "withdrawn"   // the record was taken back
)

// Affected reports whether the versions say that this very version is malicious: exact, range or package.
func (v Verdict) Affected() bool {
	switch v {
	case VerdictExact, VerdictRange, VerdictPackage:
		return true
	}
	return false
}

// Provenance grades whether a sighting comes from where the record says.
type Provenance string

// Provenances, from design.md.
const (
	ProvenanceHash      Provenance = "hash"      // a digest in the record equals the sighting's
	ProvenanceRegistry  Provenance = "registry"  // resolved from the ecosystem's public registry
	ProvenanceUnknown   Provenance = "unknown"   // the sighting does not say
	ProvenanceElsewhere Provenance = "elsewhere" // from another registry, a git repository or a file
)

// Finding is a record that meets sightings of one package version.
type Finding struct {
	Record  Record
	Package Package
	Verdict Verdict
	// Provenance is graded from Evidence; Why is the one-line reason for both grades.
	Provenance Provenance
	Evidence   Evidence
	Why        string
	// Locations are where it was seen, at least one.
	Locations []Location
	// Advisory is the full record; nil when it could not be read (a note then says why).
	Advisory *osv.Record
	// Catalog is the index into Scan.Catalogs of the catalog that has the record.
	Catalog int
	// Holding is what an artifact registry says about the package; nil where none was asked.
	Holding *Holding
}

// Served says whether an artifact registry still gives a package to whoever asks for it.
type Served string

// What is known about serving.
const (
	ServedUnknown Served = ""
	ServedYes     Served = "yes"
	ServedNo      Served = "no" // it lies in the storage and is no longer given out
)

// Holding is what an artifact registry says about a package version that it holds.
type Holding struct {
	// Registry is its name or address, without credentials.
	Registry string
	Served   Served
	// Latest says that whoever names no version gets this one.
	Latest bool
	// Fetched is when it was last downloaded, zero where the registry does not know.
	Fetched time.Time
	// Purge are the calls that would remove it, one a line, as a person would type them, without credentials.
	Purge []string
}

// Malicious reports whether the finding means exit status 1: a verdict of exact,
// range or package with a provenance other than elsewhere, by a record that is
// not disputed.
func (f *Finding) Malicious() bool { return f.alarming() && !f.Record.Disputed }

// Warning reports whether the finding is to be shown without being asked for and
// means no exit status: it would be malicious if its record were not disputed.
func (f *Finding) Warning() bool { return f.alarming() && f.Record.Disputed }

func (f *Finding) alarming() bool {
	return f.Verdict.Affected() && f.Provenance != ProvenanceElsewhere
}

// Catalog describes the list that a scan used.
type Catalog struct {
	// Source is where it came from: a path, or "built-in".
	Source string
	// Sequence counts releases of one publisher; 0 when unknown.
	Sequence uint64
	// Date is how new the knowledge in it is: the newest modification of a record, or when it was last fetched.
	Date time.Time
	// Records and Packages count records and distinct keys.
	Records  int
	Packages int
	// BuiltIn marks the small list inside the program, which is no substitute for a real one.
	BuiltIn bool
}

// Scan is what a [Handler] is told first.
type Scan struct {
	Tool     string // "rapsheet"
	Version  string
	Started  time.Time
	Targets  []string
	Catalogs []Catalog
	// All says that the findings of no consequence are wanted too: withdrawn, elsewhere, unversioned.
	All bool
}

// Summary is what a [Handler] is told last.
type Summary struct {
	// Sightings is how many package versions were checked, Files how many files they came from.
	Sightings int
	Files     int
	// Findings counts findings with Malicious() true, Disputed those with Warning()
	// true, Other the rest.
	Findings int
	Disputed int
	Other    int
	// Unread counts what could not be read, Unmatchable what was read and cannot be looked up.
	Unread      int
	Unmatchable int
	// Unparsed counts version comparisons that fell back to exact text because a version did not parse.
	Unparsed int
	// Complete is false when something could not be read.
	Complete bool
	Elapsed  time.Duration
}

// Handler receives a scan as it happens: Begin, then findings and notes in any
// order, then End. A method's error stops the scan. Calls never overlap.
type Handler interface {
	Begin(*Scan) error
	Finding(*Finding) error
	Note(*Note) error
	End(*Summary) error
}

// Exit statuses, the same for every command and output format.
const (
	ExitClean      = 0 // nothing found
	ExitFound      = 1 // a malicious package found
	ExitUsage      = 2 // the command line is wrong
	ExitIncomplete = 3 // something could not be read, so "nothing found" would be a lie
	ExitCatalog    = 4 // the catalog is missing, stale beyond the limit, or not to be trusted
	ExitInternal   = 5 // a bug, or the machine failed
)

// Status gives the exit status of a scan that ended with s: found wins over
// incomplete. A catalog that cannot be used is decided by the caller, after found.
func (s *Summary) Status() int {
	switch {
	case s.Findings > 0:
		return ExitFound
	case !s.Complete:
		return ExitIncomplete
	}
	return ExitClean
}

// String gives "npm/name@version" for messages; raw, see [Note.Error].
func (p Package) String() string {
	if p.Version == "" {
		return fmt.Sprintf("%s/%s", p.Ecosystem, p.Name)
	}
	return fmt.Sprintf("%s/%s@%s", p.Ecosystem, p.Name, p.Version)
}
