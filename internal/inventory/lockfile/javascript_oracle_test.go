package lockfile

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/bunlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/packagelockjson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/pnpmlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/yarnlock"
	scalibrfs "github.com/google/osv-scalibr/fs"

	cpb "github.com/google/osv-scalibr/binary/proto/config_go_proto"
)

// Our readers against osv-scalibr's on every file that osv-scalibr is tested
// with: the same names and versions, but for what the table below explains.
func TestJavaScriptOracle(t *testing.T) {
	// only lists what just one side has, as "ours name@version" or "theirs name@version".
	type difference struct {
		why  string
		only []string
	}
	tests := []struct {
		kind, dir string
		construct func(*cpb.PluginConfig) (filesystem.Extractor, error)
		differ    map[string]difference
	}{
		{kind: "package-lock.json", dir: "packagelockjson", construct: packagelockjson.New},
		{kind: "yarn.lock", dir: "yarnlock", construct: yarnlock.New, differ: map[string]difference{
			"exclude-root.v2.lock": {
				why:  "0.0.0-use.local is Yarn's way to say that a workspace has no version",
				only: []string{"ours @ws/ansi-regex@", "theirs @ws/ansi-regex@0.0.0-use.local"},
			},
		}},
		{kind: "pnpm-lock.yaml", dir: "pnpmlock", construct: pnpmlock.New},
		{kind: "bun.lock", dir: "bunlock", construct: bunlock.New},
	}
	for _, tt := range tests {
		theirs, err := tt.construct(&cpb.PluginConfig{})
		if err != nil {
			t.Fatal(err)
		}
		root := filepath.Join(scalibrDir(t), "language", "javascript", tt.dir, "testdata")
		files := 0
		err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			files++
			rel, _ := filepath.Rel(root, path)
			t.Run(tt.dir+"/"+rel, func(t *testing.T) {
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				got := readJavaScript(t, tt.kind, string(b), nil)
				// Their file system is empty but for the file, for they look beside it.
				want, terr := theirs.Extract(t.Context(), &filesystem.ScanInput{
					FS: scalibrfs.DirFS(t.TempDir()), Path: "x/" + tt.kind, Reader: strings.NewReader(string(b)),
				})
				if (got.err != nil) != (terr != nil) && len(got.notes) == 0 {
					t.Errorf("error %v, theirs %v", got.err, terr)
				}
				ours, their := map[string]bool{}, map[string]bool{}
				for _, s := range got.saw {
					ours[s.name+"@"+s.version] = true
				}
				for _, p := range want.Packages {
					their[p.Name+"@"+p.Version] = true
				}
				var only []string
				for _, k := range slices.Sorted(maps.Keys(ours)) {
					if !their[k] {
						only = append(only, "ours "+k)
					}
				}
				for _, k := range slices.Sorted(maps.Keys(their)) {
					if !ours[k] {
						only = append(only, "theirs "+k)
					}
				}
				if d := tt.differ[rel]; !slices.Equal(only, d.only) {
					t.Errorf("differ in\n\t%s\nexpected (%s)\n\t%s", strings.Join(only, "\n\t"), d.why, strings.Join(d.only, "\n\t"))
				}
			})
			return nil
		})
		if err != nil || files == 0 {
			t.Errorf("%s: %d files: %v", tt.dir, files, err)
		}
	}
}
