package inventory

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// Limits of one file, from bad-inputs.md: packages, and depth of nesting.
const (
	MaxEntries = 1_000_000
	MaxNesting = 64
)

// ErrStopped ends a reader whose consumer has had enough; it never leaves [List.End].
var ErrStopped = errors.New("stopped")

// List is how kinds send what one file lists: it holds hostile names and counts to the
// limits, so that a reader only has to parse. It is for one goroutine.
type List struct {
	// Out takes what is sent; Ecosystem is that of all packages.
	Out       *Sink
	Ecosystem *ecosystem.Ecosystem

	ctx context.Context
	// sent counts packages; refused those whose name or version cannot be one.
	sent, refused int
	refusedLine   int
	// other counts what is listed and is no package of an ecosystem with records, by what it is.
	other map[string]int
}

// NewList starts the list of a file in the ecosystem of that OSV name. The
// ecosystem may be unknown to the table: packages are then sent as they are.
func NewList(ctx context.Context, out *Sink, osvName string) *List {
	eco, ok := ecosystem.Find(osvName)
	if !ok {
		eco = &ecosystem.Ecosystem{Name: osvName}
	}
	return &List{ctx: ctx, Out: out, Ecosystem: eco}
}

// Add sends one package. An error means that the reader must return it (through [List.End]).
func (l *List) Add(name, version string, line int, ev rapsheet.Evidence) error {
	if l.sent >= MaxEntries {
		return fmt.Errorf("more than %d packages", MaxEntries)
	}
	if l.sent%1024 == 0 {
		if err := l.ctx.Err(); err != nil {
			return err
		}
	}
	if name == "" || !identifier(name) || !identifier(version) {
		if l.refused == 0 {
			l.refusedLine = line
		}
		l.refused++
		return nil
	}
	l.sent++
	if !l.Out.Sighting(rapsheet.Package{Ecosystem: l.Ecosystem.Name, Name: name, Version: version}, line, ev) {
		return ErrStopped
	}
	return nil
}

// Skip counts something listed that no record can be about: a container image, an SDK.
func (l *List) Skip(what string) {
	if l.other == nil {
		l.other = make(map[string]int)
	}
	l.other[what]++
}

// End sends the notes that sum up the file, and gives the reader's result.
func (l *List) End(err error) error {
	if errors.Is(err, ErrStopped) {
		return nil
	}
	if l.refused > 0 {
		l.Unmatchable(l.refusedLine, l.refused, "entries without a usable name (missing, not UTF-8, or longer than the limit)")
	}
	for _, what := range slices.Sorted(maps.Keys(l.other)) {
		l.Unmatchable(0, l.other[what], what)
	}
	return err
}

// Unmatchable sends one note that stands for n things.
func (l *List) Unmatchable(line, n int, message string) {
	l.Out.Send(rapsheet.Sighting{}, &rapsheet.Note{
		Kind: rapsheet.NoteUnmatchable, Path: l.Out.File.Path, Line: line, Message: message, Count: n,
	})
}

// identifier reports whether s may be (part of) a package's identity: short, UTF-8, without NUL.
func identifier(s string) bool {
	return len(s) <= ecosystem.MaxIdentifier && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// Origin is the evidence of a place a package was resolved from, with digests in any spelling lockfiles use.
func (l *List) Origin(raw string, digests ...string) rapsheet.Evidence {
	ev := ecosystem.Origin(l.Ecosystem, raw)
	ev.Digests = append(ev.Digests, Integrity(digests)...)
	return ev
}

// Registry is the evidence of a package that the file says came from a registry
// at url, which may be a directory.
func (l *List) Registry(url string) rapsheet.Evidence {
	ev := l.Origin(url)
	if ev.Origin != rapsheet.OriginFile {
		ev.Origin = rapsheet.OriginRegistry
	}
	return ev
}

// Git is the evidence of a package that the file says came from the repository
// at url. Where packages are repositories, a public forge is the registry.
func (l *List) Git(url string) rapsheet.Evidence {
	ev := ecosystem.Origin(l.Ecosystem, url)
	if ev.Origin != rapsheet.OriginRegistry {
		ev.Origin = rapsheet.OriginGit
	}
	return ev
}

// Archive is the evidence of a package that the file says came from one archive
// at url and not through a registry. An archive that the public registry itself
// serves is still the package on record.
func (l *List) Archive(url string) rapsheet.Evidence {
	ev := l.Origin(url)
	if ev.Origin == rapsheet.OriginUnknown {
		ev.Origin = rapsheet.OriginURL
	}
	return ev
}

// Local is the evidence of a package that lies inside the project or on the
// machine. Its path is recorded, if it holds no credentials, and never opened.
func Local(path string) rapsheet.Evidence {
	ev := ecosystem.Origin(nil, "file:"+path)
	return rapsheet.Evidence{Origin: rapsheet.OriginFile, URL: strings.TrimPrefix(ev.URL, "file:")}
}

func Integrity(raw []string) []rapsheet.Digest {
	var all []rapsheet.Digest
	for _, r := range raw {
		if r != "" {
			all = append(all, ecosystem.Integrity(r)...)
		}
	}
	return all
}

// Byte order marks (Unicode 15, section 23.8).
var (
	BOM        = []byte{0xEF, 0xBB, 0xBF}
	bomUTF16LE = []byte{0xFF, 0xFE}
	bomUTF16BE = []byte{0xFE, 0xFF}
)

var errUTF16 = errors.New("the file is UTF-16, not UTF-8")

// Text gives the whole file without a UTF-8 byte order mark. UTF-16 is an error
// that says so: none of the tools whose files are read with it accepts it.
func (in *File) Text() ([]byte, error) {
	b, err := in.All()
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(b, bomUTF16LE) || bytes.HasPrefix(b, bomUTF16BE) ||
		(len(b) >= 2 && (b[0] == 0) != (b[1] == 0)) {
		return nil, errUTF16
	}
	return bytes.TrimPrefix(b, BOM), nil
}

// AnyText is Text for formats whose own tool reads UTF-16 with a byte order mark
// (pip's requirements, which PowerShell's redirection writes so; XML).
func (in *File) AnyText() ([]byte, error) {
	b, err := in.All()
	if err != nil {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(b, bomUTF16LE):
		return fromUTF16(b[2:], func(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }), nil
	case bytes.HasPrefix(b, bomUTF16BE):
		return fromUTF16(b[2:], func(b []byte) uint16 { return uint16(b[1]) | uint16(b[0])<<8 }), nil
	}
	return bytes.TrimPrefix(b, BOM), nil
}

func fromUTF16(b []byte, unit func([]byte) uint16) []byte {
	out := make([]byte, 0, len(b)/2)
	for len(b) >= 2 {
		r := rune(unit(b))
		b = b[2:]
		if utf16.IsSurrogate(r) && len(b) >= 2 {
			if pair := utf16.DecodeRune(r, rune(unit(b))); pair != utf8.RuneError {
				r, b = pair, b[2:]
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// Lines calls each for every line with its number from 1, without its line end.
func Lines(b []byte, each func(n int, line string) error) error {
	for n := 1; len(b) > 0; n++ {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if ConflictMarker(line) {
			return AtLine(n, "unresolved merge conflict")
		}
		if err := each(n, string(line)); err != nil {
			return err
		}
	}
	return nil
}

// ConflictMarker reports whether a line is one that git leaves in a file with a
// merge conflict (git-merge(1), "how conflicts are presented").
func ConflictMarker(line []byte) bool {
	return bytes.HasPrefix(line, []byte("<<<<<<< ")) || bytes.HasPrefix(line, []byte(">>>>>>> "))
}

// LineCounter gives line numbers of ascending offsets into a file.
type LineCounter struct {
	Text []byte
	at   int
	line int
}

func (c *LineCounter) Of(offset int) int {
	offset = min(offset, len(c.Text))
	if offset > c.at {
		c.line += bytes.Count(c.Text[c.at:offset], []byte{'\n'})
		c.at = offset
	}
	return c.line + 1
}

// DecodeJSON reads JSON that a program wrote, as its own readers do: the last of equal keys counts. An error says the
// line.
func DecodeJSON(b []byte, into any) error {
	b = bytes.TrimPrefix(b, BOM)
	if !utf8.Valid(b) {
		return errors.New("not UTF-8")
	}
	err := json.Unmarshal(b, into, jsontext.AllowDuplicateNames(true))
	var syntax *jsontext.SyntacticError
	var semantic *json.SemanticError
	switch {
	case errors.As(err, &syntax):
		lines := LineCounter{Text: b}
		return AtLine(lines.Of(int(syntax.ByteOffset)), "%w", syntax.Err)
	case errors.As(err, &semantic):
		return fmt.Errorf("%s is not what it should be", cmp.Or(string(semantic.JSONPointer), "the file"))
	}
	return err
}
