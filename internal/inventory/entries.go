package inventory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// Limits of one lockfile, from bad-inputs.md.
const (
	maxEntries = 1_000_000
	maxNesting = 64
)

// errStopped ends a reader whose consumer has had enough; it never leaves [entries.end].
var errStopped = errors.New("stopped")

// entries is how the readers of this package send what one file lists: it holds
// hostile names and counts to the limits, so that a reader only has to parse.
type entries struct {
	ctx context.Context
	out *sink
	eco *ecosystem.Ecosystem
	// sent counts packages; refused those whose name or version cannot be one.
	sent, refused int
	refusedLine   int
	// other counts what is listed and is no package of an ecosystem with records, by what it is.
	other map[string]int
}

// list starts the entries of a file in the ecosystem of that OSV name. The
// ecosystem may be unknown to the table: entries are then sent as they are.
func list(ctx context.Context, out *sink, osvName string) *entries {
	eco, ok := ecosystem.Find(osvName)
	if !ok {
		eco = &ecosystem.Ecosystem{Name: osvName}
	}
	return &entries{ctx: ctx, out: out, eco: eco}
}

// add sends one package. An error means that the reader must return it (through [entries.end]).
func (l *entries) add(name, version string, line int, ev rapsheet.Evidence) error {
	if l.sent >= maxEntries {
		return fmt.Errorf("more than %d packages", maxEntries)
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
	if !l.out.sighting(rapsheet.Package{Ecosystem: l.eco.Name, Name: name, Version: version}, line, ev) {
		return errStopped
	}
	return nil
}

// skip counts something listed that no record can be about: a container image, an SDK.
func (l *entries) skip(what string) {
	if l.other == nil {
		l.other = make(map[string]int)
	}
	l.other[what]++
}

// end sends the notes that sum up the file, and gives the reader's result.
func (l *entries) end(err error) error {
	if errors.Is(err, errStopped) {
		return nil
	}
	if l.refused > 0 {
		l.unmatchable(l.refusedLine, l.refused, "entries without a usable name (missing, not UTF-8, or longer than the limit)")
	}
	for _, what := range sortedKeys(l.other) {
		l.unmatchable(0, l.other[what], what)
	}
	return err
}

// unmatchable sends one note that stands for n things.
func (l *entries) unmatchable(line, n int, message string) {
	l.out.send(rapsheet.Sighting{}, &rapsheet.Note{
		Kind: rapsheet.NoteUnmatchable, Path: l.out.in.path, Line: line, Message: message, Count: n,
	})
}

// identifier reports whether s may be (part of) a package's identity: short, UTF-8, without NUL.
func identifier(s string) bool {
	return len(s) <= ecosystem.MaxIdentifier && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// origin is the evidence of a place a package was resolved from, with digests in any spelling lockfiles use.
func (l *entries) origin(raw string, digests ...string) rapsheet.Evidence {
	ev := ecosystem.Origin(l.eco, raw)
	ev.Digests = append(ev.Digests, integrity(digests)...)
	return ev
}

// registry is the evidence of a package that the file says came from a registry
// at url, which may be a directory.
func (l *entries) registry(url string) rapsheet.Evidence {
	ev := l.origin(url)
	if ev.Origin != rapsheet.OriginFile {
		ev.Origin = rapsheet.OriginRegistry
	}
	return ev
}

// git is the evidence of a package that the file says came from the repository
// at url. Where packages are repositories, a public forge is the registry.
func (l *entries) git(url string) rapsheet.Evidence {
	ev := ecosystem.Origin(l.eco, url)
	if ev.Origin != rapsheet.OriginRegistry {
		ev.Origin = rapsheet.OriginGit
	}
	return ev
}

// archive is the evidence of a package that the file says came from one archive
// at url and not through a registry. An archive that the public registry itself
// serves is still the package on record.
func (l *entries) archive(url string) rapsheet.Evidence {
	ev := l.origin(url)
	if ev.Origin == rapsheet.OriginUnknown {
		ev.Origin = rapsheet.OriginURL
	}
	return ev
}

// local is the evidence of a package that lies inside the project or on the
// machine. Its path is recorded, if it holds no credentials, and never opened.
func local(path string) rapsheet.Evidence {
	ev := ecosystem.Origin(nil, "file:"+path)
	return rapsheet.Evidence{Origin: rapsheet.OriginFile, URL: strings.TrimPrefix(ev.URL, "file:")}
}

func integrity(raw []string) []rapsheet.Digest {
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
	bomUTF8    = []byte{0xEF, 0xBB, 0xBF}
	bomUTF16LE = []byte{0xFF, 0xFE}
	bomUTF16BE = []byte{0xFE, 0xFF}
)

var errUTF16 = errors.New("the file is UTF-16, not UTF-8")

// text gives the whole file without a UTF-8 byte order mark. UTF-16 is an error
// that says so: none of the tools whose files are read with it accepts it.
func (in *input) text() ([]byte, error) {
	b, err := in.all()
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(b, bomUTF16LE) || bytes.HasPrefix(b, bomUTF16BE) ||
		(len(b) >= 2 && (b[0] == 0) != (b[1] == 0)) {
		return nil, errUTF16
	}
	return bytes.TrimPrefix(b, bomUTF8), nil
}

// anyText is text for formats whose own tool reads UTF-16 with a byte order mark
// (pip's requirements, which PowerShell's redirection writes so; XML).
func (in *input) anyText() ([]byte, error) {
	b, err := in.all()
	if err != nil {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(b, bomUTF16LE):
		return fromUTF16(b[2:], func(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }), nil
	case bytes.HasPrefix(b, bomUTF16BE):
		return fromUTF16(b[2:], func(b []byte) uint16 { return uint16(b[1]) | uint16(b[0])<<8 }), nil
	}
	return bytes.TrimPrefix(b, bomUTF8), nil
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

// lines calls each for every line with its number from 1, without its line end.
func lines(b []byte, each func(n int, line string) error) error {
	for n := 1; len(b) > 0; n++ {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if conflictMarker(line) {
			return atLine(n, "unresolved merge conflict")
		}
		if err := each(n, string(line)); err != nil {
			return err
		}
	}
	return nil
}

// conflictMarker reports whether a line is one that git leaves in a file with a
// merge conflict (git-merge(1), "how conflicts are presented").
func conflictMarker(line []byte) bool {
	return bytes.HasPrefix(line, []byte("<<<<<<< ")) || bytes.HasPrefix(line, []byte(">>>>>>> "))
}

// lineCounter gives line numbers of ascending offsets into a file.
type lineCounter struct {
	b    []byte
	at   int
	line int
}

func (c *lineCounter) of(offset int) int {
	offset = min(offset, len(c.b))
	if offset > c.at {
		c.line += bytes.Count(c.b[c.at:offset], []byte{'\n'})
		c.at = offset
	}
	return c.line + 1
}
