package sbom

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/bounded"
)

// component is what is kept of one component, package or artifact while it is
// read. Its buffers are reused.
type component struct {
	line    int
	kind    []byte // its type or purpose
	group   []byte
	name    []byte
	version []byte
	purl    []byte
	more    []string // further purls of the same package (SPDX allows several)
	// url is where it was fetched from; resolved says that the tool recorded the
	// place itself, and not a field in which repositories and home pages are found too.
	url      []byte
	resolved bool
	digests  []rapsheet.Digest
}

func (c *component) reset(line int) {
	c.line = line
	c.kind, c.group, c.name, c.version = c.kind[:0], c.group[:0], c.name[:0], c.version[:0]
	c.purl, c.url, c.resolved = c.purl[:0], c.url[:0], false
	c.more, c.digests = c.more[:0], c.digests[:0]
}

// Limits of one component.
const (
	maxPURLs   = 100     // purls in one package
	maxDigests = 16      // digests kept of one component; there are four algorithms
	maxURL     = 4 << 10 // bytes of a URL; longer ones are no evidence
)

// addPURL adds one of possibly several purls.
func (c *component) addPURL(purl []byte) error {
	switch {
	case len(purl) == 0 || bytes.Equal(purl, c.purl):
	case len(c.purl) == 0:
		c.purl = append(c.purl, purl...)
	case slices.Contains(c.more, string(purl)):
	case len(c.more) >= maxPURLs:
		return &limitError{what: "purls in one package", limit: maxPURLs, unit: "purls"}
	default:
		c.more = append(c.more, string(purl))
	}
	return nil
}

// addDigest adds a digest if its algorithm is one of SHA-1, SHA-256, SHA-384 and
// SHA-512 in any of the formats' spellings and its value is hexadecimal of that length.
func (c *component) addDigest(algorithm, value []byte) {
	var name string
	var size int
	switch string(algorithm) {
	case "SHA-1", "SHA1", "sha1":
		name, size = "sha1", 40
	case "SHA-256", "SHA256", "sha256":
		name, size = "sha256", 64
	case "SHA-384", "SHA384", "sha384":
		name, size = "sha384", 96
	case "SHA-512", "SHA512", "sha512":
		name, size = "sha512", 128
	default:
		return
	}
	if len(value) != size || len(c.digests) >= maxDigests {
		return
	}
	for i, b := range value {
		if value[i] = lowerHex[b]; value[i] == 0 {
			return
		}
	}
	c.digests = append(c.digests, rapsheet.Digest{Algorithm: name, Hex: string(value)})
}

// lowerHex maps hexadecimal digits to lower case and everything else to 0.
var lowerHex = [256]byte{
	'0': '0', '1': '1', '2': '2', '3': '3', '4': '4', '5': '5', '6': '6', '7': '7', '8': '8', '9': '9',
	'a': 'a', 'b': 'b', 'c': 'c', 'd': 'd', 'e': 'e', 'f': 'f',
	'A': 'a', 'B': 'b', 'C': 'c', 'D': 'd', 'E': 'e', 'F': 'f',
}

// tally counts one kind of problem and keeps the first few names.
type tally struct {
	count int
	line  int // of the first
	names []string
}

func (t *tally) add(line int, name string) {
	if t.count++; t.count == 1 {
		t.line = line
	}
	if len(t.names) < 3 {
		t.names = append(t.names, printable(name, 100))
	}
}

// list gives the names that were kept, with an ellipsis for the others.
func (t *tally) list() string {
	s := strings.Join(t.names, ", ")
	if t.count > len(t.names) {
		s += ", …"
	}
	return s
}

// maxTypes is how many purl types without records are counted one by one, and
// maxDisagreements how many names that disagree with their purl are shown.
const (
	maxTypes         = 32
	maxDisagreements = 10
)

// sink turns components into sightings, and what is wrong with them into notes.
type sink struct {
	ctx   context.Context
	path  string
	kind  string
	opt   Options
	yield func(rapsheet.Sighting, error) bool

	components  int
	noPURL      tally // packages without a purl
	noPackages  tally // files, containers, …
	invalid     tally // purls that are none
	invalidWhy  error
	types       map[string]*tally // purl types without an ecosystem
	typeOrder   []string
	disagree    int
	unsupported []*rapsheet.Note // versions of a format that are not known
}

func (s *sink) send(v rapsheet.Sighting, err error) error {
	if !s.yield(v, err) {
		return errStop
	}
	return nil
}

// component sends what c is a sighting of.
func (s *sink) component(c *component) error {
	if err := s.count(); err != nil {
		return err
	}
	if len(c.purl) == 0 {
		name := string(c.name)
		if len(c.group) > 0 {
			name = string(c.group) + "/" + name
		}
		if isPackage(c.kind) {
			s.noPURL.add(c.line, name)
		} else {
			s.noPackages.add(c.line, name)
		}
		return nil
	}
	if err := s.purl(c, string(c.purl)); err != nil {
		return err
	}
	for _, purl := range c.more {
		if err := s.count(); err != nil {
			return err
		}
		if err := s.purl(c, purl); err != nil {
			return err
		}
	}
	return nil
}

// count counts a component against the limit, and looks for cancellation now and
// then: a reader looks at every read, a consumer may be slower.
func (s *sink) count() error {
	if s.components++; s.components > s.opt.Components {
		return &limitError{what: "components", limit: int64(s.opt.Components), unit: "components"}
	}
	if s.components%256 == 0 {
		return s.ctx.Err()
	}
	return nil
}

var errIdentifier = errors.New("longer than an identifier may be, or not clean text")

func (s *sink) purl(c *component, purl string) error {
	if len(purl) > s.opt.Identifier || !isClean(purl) {
		s.invalidPURL(c, purl, errIdentifier)
		return nil
	}
	p, ev, err := ecosystem.ParsePURL(purl)
	switch {
	case errors.Is(err, ecosystem.ErrUnknownType):
		s.unknownType(c, purl)
		return nil
	case err != nil:
		s.invalidPURL(c, purl, err)
		return nil
	}
	if p.Version == "" && len(c.version) <= s.opt.Identifier {
		p.Version = string(c.version)
	}
	p.Version = exactVersion(p.Version)
	if !isClean(p.Version) {
		p.Version = ""
	}

	if ev.Origin == rapsheet.OriginUnknown && ev.URL == "" && ev.Host == "" && len(c.url) > 0 && len(c.url) <= maxURL {
		digests := ev.Digests
		ev = origin(p.Ecosystem, string(c.url), c.resolved)
		ev.Digests = append(digests, ev.Digests...)
	}
	if len(ev.Digests) == 0 {
		ev.Digests = slices.Clone(c.digests)
	} else {
		ev.Digests = mergeDigests(ev.Digests, c.digests)
	}

	if !agrees(p, c.group, c.name, s.opt.Identifier) {
		if err := s.disagreement(c, purl); err != nil {
			return err
		}
	}
	return s.send(rapsheet.Sighting{
		Package:  p,
		Location: rapsheet.Location{Path: s.path, Line: c.line, Kind: s.kind},
		Evidence: ev,
	}, nil)
}

func (s *sink) invalidPURL(c *component, purl string, why error) {
	if s.invalid.count == 0 {
		s.invalidWhy = why
	}
	purl, _, _ = strings.Cut(purl, "?") // qualifiers may hold an address with a password
	s.invalid.add(c.line, purl)
}

func (s *sink) unknownType(c *component, purl string) {
	// The purl was well-formed: its type ends at the first slash, which may follow further ones.
	_, rest, _ := strings.Cut(purl, ":")
	typ, _, _ := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	typ = strings.ToLower(typ)
	if s.types[typ] == nil {
		if len(s.types) >= maxTypes {
			typ = "other types"
		}
		if s.types[typ] == nil {
			if s.types == nil {
				s.types = make(map[string]*tally)
			}
			s.types[typ] = &tally{}
			s.typeOrder = append(s.typeOrder, typ)
		}
	}
	s.types[typ].add(c.line, "")
}

func (s *sink) disagreement(c *component, purl string) error {
	if s.disagree++; s.disagree > maxDisagreements {
		return nil
	}
	name := string(c.name)
	if len(c.group) > 0 {
		name = string(c.group) + "/" + name
	}
	return s.send(rapsheet.Sighting{}, &rapsheet.Note{
		Kind: rapsheet.NoteInfo, Path: s.path, Line: c.line,
		Message: fmt.Sprintf("a component is named %s and has the purl %s: the purl is used", printable(name, 200), printable(purl, 200)),
	})
}

// unread keeps a note about a version of the format that is not known. It is
// sent at the end, where tools that write the version last are done too.
func (s *sink) unread(line int, message string) {
	if len(s.unsupported) < 10 {
		s.unsupported = append(s.unsupported, &rapsheet.Note{Kind: rapsheet.NoteUnread, Path: s.path, Line: line, Message: message})
	}
}

// end sends the notes about the whole file; err is what ended it.
func (s *sink) end(err error) {
	if errors.Is(err, errStop) {
		return
	}
	if cause := s.ctx.Err(); cause != nil {
		_ = s.send(rapsheet.Sighting{}, cause)
		return
	}
	notes := s.notes()
	if err != nil {
		notes = append(notes, s.ending(err))
	}
	for _, n := range notes {
		if s.send(rapsheet.Sighting{}, n) != nil {
			return
		}
	}
}

func (s *sink) notes() []*rapsheet.Note {
	var notes []*rapsheet.Note
	add := func(kind rapsheet.NoteKind, line, count int, format string, args ...any) {
		notes = append(notes, &rapsheet.Note{Kind: kind, Path: s.path, Line: line, Count: count, Message: fmt.Sprintf(format, args...)})
	}
	if n := s.noPURL.count; n > 0 {
		add(rapsheet.NoteUnmatchable, s.noPURL.line, n, "%s without a purl cannot be looked up: %s", components(n), s.noPURL.list())
	}
	if n := s.invalid.count; n > 0 {
		add(rapsheet.NoteUnmatchable, s.invalid.line, n, "%s with an invalid purl: %s (the first: %s)",
			components(n), s.invalid.list(), printable(s.invalidWhy.Error(), 200))
	}
	for _, typ := range s.typeOrder {
		n := s.types[typ].count
		add(rapsheet.NoteUnmatchable, s.types[typ].line, n, "%s of purl type %s, which no records of malicious packages are about", components(n), printable(typ, 50))
	}
	if n := s.noPackages.count; n > 0 {
		add(rapsheet.NoteInfo, s.noPackages.line, n, "%s of a type that is no package (file, operating-system, container, …) without a purl", components(n))
	}
	if n := s.disagree - maxDisagreements; n > 0 {
		add(rapsheet.NoteInfo, 0, n, "%s more whose name disagrees with the purl", components(n))
	}
	return append(notes, s.unsupported...)
}

// ending is the note about what ended a file early.
func (s *sink) ending(err error) *rapsheet.Note {
	n := &rapsheet.Note{Kind: rapsheet.NoteUnread, Path: s.path, Message: err.Error()}
	if p, ok := errors.AsType[*placed](err); ok {
		n.Line = p.line
	}
	if s.components > 0 {
		read := s.components
		if read > s.opt.Components {
			read = s.opt.Components
		}
		n.Message += fmt.Sprintf("; the rest after %s was not read", components(read))
	}
	return n
}

func components(n int) string {
	if n == 1 {
		return "1 component"
	}
	return strconv.Itoa(n) + " components"
}

// isPackage reports whether a component of a type can be a package of an
// ecosystem. The types are those of CycloneDX (component type) and SPDX (package
// purpose), https://cyclonedx.org/docs/1.6/json/#components_items_type and
// https://spdx.github.io/spdx-spec/v2.3/package-information/ (7.24).
func isPackage(kind []byte) bool {
	switch string(kind) {
	case "file", "operating-system", "data", "device", "device-driver", "firmware", "machine-learning-model",
		"platform", "container", "cryptographic-asset",
		"FILE", "OPERATING-SYSTEM", "OPERATING_SYSTEM", "DEVICE", "FIRMWARE", "CONTAINER",
		"operatingSystem", "deviceDriver", "diskImage", "filesystemImage", "model":
		return false
	}
	return true
}

// exactVersion gives v if it is a version, the version of a pin ("==1.2"), and
// "" if it is a range: "^1.2", ">=1, <2", "1.x", "[1.0,2.0)".
func exactVersion(v string) string {
	v = strings.TrimSpace(v)
	pin := strings.TrimLeft(v, "=")
	if len(pin) < len(v) {
		v = strings.TrimSpace(pin)
	}
	switch {
	case v == "", v == "NOASSERTION", v == "NONE", v == "UNKNOWN":
		return ""
	case strings.ContainsRune("^~<>!*[(", rune(v[0])):
		return ""
	case strings.ContainsAny(v, ",|<>*"), strings.Contains(v, " - "),
		strings.HasSuffix(v, ".x"), strings.HasSuffix(v, ".X"):
		return ""
	}
	return v
}

// origin reads raw as the place a package came from. Unless the tool recorded
// it as that, only a registry or an archive counts: the fields for it are also
// filled with a project's repository or home page.
func origin(eco, raw string, resolved bool) rapsheet.Evidence {
	if raw == "NOASSERTION" || raw == "NONE" || !isClean(raw) {
		return rapsheet.Evidence{}
	}
	e, _ := ecosystem.Find(eco)
	ev := ecosystem.Origin(e, raw)
	if resolved || ev.Origin == rapsheet.OriginRegistry {
		return ev
	}
	host, _, _ := strings.Cut(ev.Host, ":")
	if e != nil && e.PublicHost(host) || ev.Origin == rapsheet.OriginURL && isArchive(ev.URL) {
		return ev
	}
	return rapsheet.Evidence{}
}

func isArchive(url string) bool {
	for _, ext := range []string{".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".zip", ".whl", ".egg", ".jar", ".war", ".aar", ".gem", ".crate", ".nupkg", ".phar", ".vsix"} {
		if strings.HasSuffix(url, ext) {
			return true
		}
	}
	return false
}

// mergeDigests adds those of b whose algorithm a does not have.
func mergeDigests(a, b []rapsheet.Digest) []rapsheet.Digest {
	own := len(a)
	for _, d := range b {
		if !slices.ContainsFunc(a[:own], func(x rapsheet.Digest) bool { return x.Algorithm == d.Algorithm }) {
			a = append(a, d)
		}
	}
	return a
}

// agrees reports whether a component's own name can be that of its purl. Tools
// write it with and without the scope, group or path, and GitHub with a type in
// front ("npm:left-pad").
func agrees(p rapsheet.Package, group, name []byte, limit int) bool {
	if len(name) == 0 || string(name) == p.Name || hasSegments(p.Name, name) {
		return true
	}
	if len(name)+len(group) >= limit {
		return false
	}
	e, ok := ecosystem.Find(p.Ecosystem)
	if !ok {
		return true
	}
	want := e.Canonical(p.Name)
	same := func(s string) bool {
		c := e.Canonical(s)
		return c == want || c != "" && hasSegments(want, []byte(c))
	}
	if same(string(name)) {
		return true
	}
	if len(group) > 0 && (same(string(group)+"/"+string(name)) || same(string(group)+":"+string(name))) {
		return true
	}
	_, rest, ok := strings.Cut(string(name), ":")
	return ok && same(rest)
}

// hasSegments reports whether part is a run of whole segments of name, which
// slashes and colons separate.
func hasSegments(name string, part []byte) bool {
	for i := 0; i+len(part) <= len(name); i++ {
		if (i == 0 || isSeparator(name[i-1])) && name[i:i+len(part)] == string(part) &&
			(i+len(part) == len(name) || isSeparator(name[i+len(part)])) {
			return true
		}
	}
	return false
}

func isSeparator(b byte) bool { return b == '/' || b == ':' }

// isClean reports whether s is valid UTF-8 without control characters.
func isClean(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}

// printable gives hostile text as quoted, printable text of at most about limit bytes.
func printable(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	return strconv.Quote(s)
}

// explain turns an error of the JSON decoder into one line without the library's words.
func explain(err error) error {
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("invalid JSON: %s", reason(e.Err.Error()))
	}
	if e, ok := errors.AsType[*bounded.LimitError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*limitError](err); ok {
		return e
	}
	return err
}

// maxReason is how much of a decoder's message is kept.
const maxReason = 300

// reason gives a decoder's message cut and without control characters: decoders
// repeat what they read.
func reason(s string) string {
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '�'
		}
		return r
	}, s)
}
