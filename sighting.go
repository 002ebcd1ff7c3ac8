// Package rapsheet is the vocabulary of the project: what was seen where
// ([Sighting]), what is on record ([Record]), and what comes of the two meeting
// ([Finding] with its [Verdict] and [Provenance]).
//
// Flow: a reader turns a place into a stream of sightings ([Sightings]); package
// match looks each one's [Key] up in an index and judges the records it finds;
// a [Handler] renders findings, notes and the closing summary. Everything here
// is plain data, safe to share between goroutines as long as nobody writes it.
package rapsheet

import "iter"

// Key is the name of a package that every spelling of it shares: the OSV
// ecosystem and the name in that ecosystem's canonical form (PEP 503 for PyPI,
// lower case for NuGet and Packagist, …). Package ecosystem makes keys.
type Key struct {
	Ecosystem string
	Name      string
}

// Package is one package version as a place spells it.
type Package struct {
	// Ecosystem is the OSV ecosystem ("npm", "PyPI", …).
	Ecosystem string
	// Name is the name as spelled in the place, decoded from a purl where it came from one.
	Name string
	// Version is the resolved version, "" when the place does not say one.
	Version string
	// PURL is the package URL as spelled in the place, "" when it has none.
	PURL string
}

// Location is where a sighting was made.
type Location struct {
	// Path is the file, slash-separated, as reachable from the working directory; "-" is standard input.
	Path string
	// Line is the line in the file, from 1; 0 when not known.
	Line int
	// Kind says what was read: "package-lock.json", "cyclonedx", "purl", ….
	Kind string
	// Layer is the digest of the image layer that brought the file, "" outside images. Gone is that of the
	// later layer which deleted or replaced it, "" while the image still has it.
	Layer, Gone string
}

// Origin says what kind of place a package was fetched from.
type Origin string

// Origins of a package.
const (
	OriginUnknown  Origin = ""         // the place does not say
	OriginRegistry Origin = "registry" // a package registry, public or not
	OriginGit      Origin = "git"      // a version control repository
	OriginURL      Origin = "url"      // an archive at some URL
	OriginFile     Origin = "file"     // a path on this machine or inside the project
)

// Digest is an integrity value of a package's archive.
type Digest struct {
	// Algorithm is "sha1", "sha256", "sha384", "sha512" or "md5".
	Algorithm string
	// Hex is the value in lower-case hexadecimal.
	Hex string
}

// Evidence is what a place says about where a package came from.
type Evidence struct {
	Origin Origin
	// URL is where the package was resolved from, without credentials, query or fragment secrets; "" when not said.
	URL string
	// Host is the lower-case host (with port if any) of the registry or URL; "" when not said.
	Host string
	// Mirror says that the user declared Host to serve the public registry's packages.
	Mirror bool
	// Internal says that the user declared the package's name to be one of their own.
	Internal bool
	// Digests are the integrity values recorded next to the package.
	Digests []Digest
}

// Sighting is one package version seen in one place.
type Sighting struct {
	Package  Package
	Location Location
	Evidence Evidence
}

// Sightings is a stream of what a reader saw. An error does not end the stream:
// each one is a *[Note] about one thing that could not be read or matched, except
// a context's error, which is the last thing the stream yields.
type Sightings = iter.Seq2[Sighting, error]

// NoteKind classifies a [Note].
type NoteKind string

// Kinds of notes.
const (
	// NoteUnread means that something could not be read: "nothing found" would be a lie.
	NoteUnread NoteKind = "unread"
	// NoteUnmatchable means that something was read and cannot be looked up: no name, no purl, an ecosystem without records.
	NoteUnmatchable NoteKind = "unmatchable"
	// NoteInfo is worth knowing and changes nothing.
	NoteInfo NoteKind = "info"
)

// Note is something that a reader of the result must know besides the findings.
// It is an error so that streams can carry it.
type Note struct {
	Kind NoteKind
	// Path and Line name the place, as in [Location].
	Path string
	Line int
	// Message is one line: lower case, what and why.
	Message string
	// Count is how many things the note stands for; 0 means one.
	Count int
}

// Error gives the note's place and message as one line. Names in it are raw:
// print it through package internal/printable.
func (n *Note) Error() string {
	if n.Path == "" {
		return n.Message
	}
	return n.Path + ": " + n.Message
}
