package lockfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// fuzzReader checks what holds for every reader and every input: no panic, names
// and versions that can be keys, notes of one line, lines inside the file, and
// the same result twice.
func fuzzReader(f *testing.F, kind, dir string, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	files, _ := filepath.Glob(filepath.Join(scalibrDir(f), "language", "javascript", dir, "testdata", "*"))
	for _, name := range files {
		if b, err := os.ReadFile(name); err == nil && len(b) < 8<<10 {
			f.Add(b)
		}
	}
	var rd inventory.Kind
	for _, r := range javascriptReaders() {
		if r.Name == kind {
			rd = r
		}
	}
	run := func(t *testing.T, b []byte) (all []rapsheet.Sighting, err error) {
		in := &inventory.File{Path: kind, Rel: kind, Size: int64(len(b)), R: bytes.NewReader(b)}
		lines := bytes.Count(b, []byte("\n")) + 1
		out := &inventory.Sink{File: in, Kind: kind, Yield: func(s rapsheet.Sighting, err error) bool {
			var note *rapsheet.Note
			switch {
			case err == nil:
				all = append(all, s)
				for _, v := range []string{s.Package.Name, s.Package.Version} {
					if !utf8.ValidString(v) || len(v) > ecosystem.MaxIdentifier {
						t.Errorf("sent %q", v)
					}
				}
				if s.Package.Name == "" || s.Location.Line < 1 || s.Location.Line > lines {
					t.Errorf("%q at line %d of %d", s.Package.Name, s.Location.Line, lines)
				}
			case !errors.As(err, &note):
				t.Errorf("not a note: %v", err)
			case strings.ContainsAny(note.Message, "\r\n") || note.Line > lines:
				t.Errorf("note %q at line %d of %d", note.Message, note.Line, lines)
			}
			return true
		}}
		return all, rd.Read(t.Context(), in, out)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		one, err := run(t, b)
		two, again := run(t, b)
		if len(one) != len(two) || (err == nil) != (again == nil) {
			t.Errorf("%d sightings and %v, then %d and %v", len(one), err, len(two), again)
		}
		var at *inventory.LineError
		if errors.As(err, &at) && (at.Line < 1 || at.Line > bytes.Count(b, []byte("\n"))+1) {
			t.Errorf("error at line %d", at.Line)
		}
	})
}

func FuzzPackageLock(f *testing.F) {
	fuzzReader(f, "package-lock.json", "packagelockjson", `{"packages":{"node_modules/a":{"name":"b","version":"1.0.0","resolved":"https://x/b/-/b-1.0.1.tgz","link":false}}}`)
}

func FuzzYarnLock(f *testing.F) {
	fuzzReader(f, "yarn.lock", "yarnlock", "\"a@>= 1, < 2\", b@1:\r\n\tversion \"1\"\n", "? \"a@npm:1\"\n:\n  resolution: \"a@patch:a@npm%3A1#x\"\n")
}

func FuzzPnpmLock(f *testing.F) {
	fuzzReader(f, "pnpm-lock.yaml", "pnpmlock", "lockfileVersion: 5.1\npackages:\n  ? /@s/a/1.0.0_x\n  : resolution: {registry: https://x}\n    name: &a b\n    <<: *a\n", "lockfileVersion:7A\npackages:\n 0\n  :")
}

func FuzzBunLock(f *testing.F) {
	fuzzReader(f, "bun.lock", "bunlock", `{/*,*/"packages":{"a":["a@1","",{},"sha512-"],},} // x`)
}

func FuzzPackageJSON(f *testing.F) {
	fuzzReader(f, "package.json", "packagejson", `{"dependencies":{"a":"npm:b@1.0.0","a":"o/r","c":"file:../x"}}`)
}

func FuzzDenoLock(f *testing.F) {
	fuzzReader(f, "deno.lock", "denojson", `{"version":"5","npm":{"a@1.0.0_b@2":{"integrity":"sha512-"},"packages":{"c@1":{}}},"jsr":{"x":1}}`)
}
