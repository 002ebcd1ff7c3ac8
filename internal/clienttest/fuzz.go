package clienttest

import (
	"errors"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// FuzzKind fuzzes what the first of the kinds that a path is of reads there, and what stands beside that file: no panic,
// no identifier above the limit, no credentials ("SECRET" in seeds), and the same reading twice. speaks says that of
// every such file something is said.
func FuzzKind(f *testing.F, kinds []inventory.Kind, at, beside string, speaks bool, seeds ...[2]string) {
	f.Helper()
	i := slices.IndexFunc(kinds, func(k inventory.Kind) bool {
		return (k.Dir == nil || k.Dir("/"+path.Dir(at))) && k.Match(path.Base(at), "/"+at)
	})
	if i < 0 {
		f.Fatalf("no kind reads %s", at)
	}
	f.Add("", "")
	f.Add("\ufeff", "\xff\xfea\x00")
	for _, s := range seeds {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, content, other string) {
		read := func() (saw []string) {
			in := &inventory.File{Path: at, Rel: at, Size: int64(len(content)), R: strings.NewReader(content), Hash: true,
				FS: fstest.MapFS{beside: {Data: []byte(other)}, at: {Data: []byte(content)}}}
			err := kinds[i].Read(t.Context(), in, &inventory.Sink{File: in, Kind: kinds[i].Name, Yield: func(s rapsheet.Sighting, err error) bool {
				var note *rapsheet.Note
				if err != nil && !errors.As(err, &note) {
					t.Errorf("an error that is no note: %v", err)
				}
				if err == nil && (s.Package.Name == "" || len(s.Package.Name) > ecosystem.MaxIdentifier || len(s.Package.Version) > ecosystem.MaxIdentifier) {
					t.Errorf("seen: %+.200v", s)
				}
				if strings.Contains(s.Evidence.URL, "SECRET") {
					t.Errorf("evidence with credentials: %q", s.Evidence.URL)
				}
				saw = append(saw, s.Package.String())
				return true
			}})
			if err != nil {
				saw = append(saw, "error")
			}
			return saw
		}
		first := read()
		if len(first) == 0 && speaks {
			t.Error("nothing was said about the file")
		}
		if again := read(); !slices.Equal(first, again) {
			t.Errorf("not the same twice: %q, %q", first, again)
		}
	})
}
