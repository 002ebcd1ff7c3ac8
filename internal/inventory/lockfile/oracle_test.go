package lockfile

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cpb "github.com/google/osv-scalibr/binary/proto/config_go_proto"
	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dart/pubspec"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dotnet/csproj"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dotnet/depsjson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dotnet/nugetcpm"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dotnet/packagesconfig"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dotnet/packageslockjson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dotnet/paketlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dotnet/projectassetsjson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/elixir/mixlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/golang/gomod"
	"github.com/google/osv-scalibr/extractor/filesystem/language/java/gradleverificationmetadataxml"
	"github.com/google/osv-scalibr/extractor/filesystem/language/php/composerlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/python/pdmlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/python/pipfilelock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/python/poetrylock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/python/pylock"
	scalibrrequirements "github.com/google/osv-scalibr/extractor/filesystem/language/python/requirements"
	"github.com/google/osv-scalibr/extractor/filesystem/language/python/uvlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/ruby/gemfilelock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/rust/cargolock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/swift/packageresolved"
	"github.com/google/osv-scalibr/extractor/filesystem/misc/githubactions"
	scalibrfs "github.com/google/osv-scalibr/fs"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// pair is what the oracle is asked about.
type pair struct{ name, version string }

// scalibrDir is where osv-scalibr's module lies; tests that read its own test files need it.
func scalibrDir(tb testing.TB) string {
	tb.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/osv-scalibr").Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		tb.Skip("the module osv-scalibr is not here: its test files are not read")
	}
	return filepath.Join(dir, "extractor", "filesystem")
}

// Our readers against osv-scalibr's, on the files that osv-scalibr is tested
// with: the same names and versions, except where a reason is given.
func TestOracle(t *testing.T) {
	asIs := func(p *extractor.Package) (pair, bool) { return pair{p.Name, p.Version}, true }
	tests := []struct {
		kind      string
		dir       string
		construct func(*cpb.PluginConfig) (filesystem.Extractor, error)
		// theirs turns their package into what we say of it by design; nil for as it is.
		theirs func(*extractor.Package) (pair, bool)
		// differ has the files on which we differ on purpose, with the reason.
		differ map[string]string
	}{
		{kind: "poetry.lock", dir: "language/python/poetrylock", construct: poetrylock.New, differ: map[string]string{
			"empty-file.lock": "an empty file is an error, not an empty list",
		}},
		{kind: "uv.lock", dir: "language/python/uvlock", construct: uvlock.New, differ: map[string]string{
			"empty.lock":            "an empty file is an error, not an empty list",
			"source-git.lock":       "the project itself is listed, as local",
			"grouped-packages.lock": "the project itself is listed, as local",
			"no-dependencies.lock":  "the project itself is listed, as local",
			"one-package.lock":      "the project itself is listed, as local",
			"two-packages.lock":     "the project itself is listed, as local",
		}},
		{kind: "pdm.lock", dir: "language/python/pdmlock", construct: pdmlock.New, differ: map[string]string{
			"empty-file.toml": "an empty file is an error, not an empty list",
		}},
		{kind: "Pipfile.lock", dir: "language/python/pipfilelock", construct: pipfilelock.New, differ: map[string]string{
			"empty-file":      "an empty file is an error, not an empty list",
			"no-version.json": "packages without a pinned version are seen, without one",
		}},
		{kind: "pylock.toml", dir: "language/python/pylock", construct: pylock.New, differ: map[string]string{
			"empty.toml":         "an empty file is an error, not an empty list",
			"commits.toml":       "a package in a directory is listed, as local",
			"pip-just-self.toml": "a package in a directory is listed, as local",
		}},
		{kind: "requirements", dir: "language/python/requirements", construct: scalibrrequirements.New,
			theirs: func(p *extractor.Package) (pair, bool) {
				if len(p.Location.Related) > 0 {
					return pair{}, false // from an included file
				}
				m := p.Metadata.(*scalibrrequirements.Metadata)
				v := p.Version
				if (m.VersionComparator != "==" && m.VersionComparator != "===") || strings.HasSuffix(v, "*") {
					v = "" // they give the lowest version, we give exact ones
				}
				return pair{p.Name, v}, true
			},
			differ: map[string]string{
				"env_var.txt":         "a line with an unset variable is seen without a version",
				"example.txt":         "requirements by URL or path have names too",
				"invalid.txt":         "a name without a valid version is still seen; so is one with a URL",
				"per_req_options.txt": "text that pip refuses after a version makes it unknown; an empty pin too",
			}},
		{kind: "Gemfile.lock", dir: "language/ruby/gemfilelock", construct: gemfilelock.New, differ: map[string]string{
			"invalid.lock": "they stop at the bad line without what came before it",
		}},
		{kind: "Cargo.lock", dir: "language/rust/cargolock", construct: cargolock.New},
		{kind: "go.mod", dir: "language/golang/gomod", construct: gomod.New,
			theirs: func(p *extractor.Package) (pair, bool) {
				if p.Name == "stdlib" || strings.HasSuffix(p.Location.PathOrEmpty(), ".sum") {
					return pair{}, false
				}
				return pair{p.Name, p.Version}, true
			},
			differ: map[string]string{
				"replace-local.mod": "a module replaced by a directory keeps its name and version, as local; a path is no name",
			}},
		{kind: "packages.lock.json", dir: "language/dotnet/packageslockjson", construct: packageslockjson.New},
		{kind: "packages.config", dir: "language/dotnet/packagesconfig", construct: packagesconfig.New, differ: map[string]string{
			"noversion": "a package without a version is seen",
		}},
		{kind: "msbuild", dir: "language/dotnet/csproj", construct: csproj.New, differ: map[string]string{
			"noversion":    "a package without a version is seen",
			"emptyversion": "a package without a version is seen",
		}},
		{kind: "msbuild", dir: "language/dotnet/nugetcpm", construct: nugetcpm.New, differ: map[string]string{
			"noversion":    "a package without a version is seen",
			"emptyversion": "a package without a version is seen",
		}},
		{kind: "paket.lock", dir: "language/dotnet/paketlock", construct: paketlock.New,
			theirs: func(p *extractor.Package) (pair, bool) { return pair{p.Name, p.Version}, p.PURLType == "nuget" }},
		{kind: "project.assets.json", dir: "language/dotnet/projectassetsjson", construct: projectassetsjson.New, differ: map[string]string{
			"valid/project.assets.json": "a project reference is listed, as local",
		}},
		{kind: "deps.json", dir: "language/dotnet/depsjson", construct: depsjson.New, differ: map[string]string{
			"empty":         "an application without libraries is no error",
			"invalid":       "a file that is not JSON is an error, not another tool's",
			"nopackagename": "a name without a version is seen",
		}},
		{kind: "composer.lock", dir: "language/php/composerlock", construct: composerlock.New},
		{kind: "workflow", dir: "misc/githubactions", construct: githubactions.New, differ: map[string]string{
			"edge_cases.yaml": "an action without a ref is seen",
			"invalid.yml":     "a file that is not YAML is an error, not an empty list",
		}},
		{kind: "pubspec.lock", dir: "language/dart/pubspec", construct: pubspec.New},
		{kind: "Package.resolved", dir: "language/swift/packageresolved", construct: packageresolved.New},
		{kind: "mix.lock", dir: "language/elixir/mixlock", construct: mixlock.New},
		{kind: "mix.lock", dir: "language/erlang/mixlock", construct: mixlock.New},
		{kind: "verification-metadata.xml", dir: "language/java/gradleverificationmetadataxml", construct: gradleverificationmetadataxml.New, differ: map[string]string{
			"missing-attribute.xml": "a component without group or name is counted, not listed",
		}},
	}
	root := scalibrDir(t)
	silenceScalibr()
	for _, tt := range tests {
		theirs := tt.theirs
		if theirs == nil {
			theirs = asIs
		}
		dir := filepath.Join(root, filepath.FromSlash(tt.dir), "testdata")
		files := 0
		err := filepath.WalkDir(dir, func(file string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			files++
			rel, err := filepath.Rel(dir, file)
			if err != nil {
				return err
			}
			rel = filepath.ToSlash(rel)
			t.Run(tt.dir+"/"+rel, func(t *testing.T) {
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				x, err := tt.construct(&cpb.PluginConfig{})
				if err != nil {
					t.Fatal(err)
				}
				info, err := os.Stat(file)
				if err != nil {
					t.Fatal(err)
				}
				inv, theirErr := x.Extract(t.Context(), &filesystem.ScanInput{
					FS: scalibrfs.DirFS(dir), Path: rel, Root: dir, Info: info, Reader: strings.NewReader(string(b)),
				})
				var want []pair
				for _, p := range inv.Packages {
					if w, ok := theirs(p); ok {
						want = append(want, w)
					}
				}
				got := readKind(t, tt.kind, rel, string(b))
				same := slices.Equal(set(want), set(got.pairs(tt.kind))) && (theirErr == nil) == (got.err == nil)
				reason, differs := tt.differ[rel]
				switch {
				case same && differs:
					t.Errorf("no difference any more, but one is explained: %s", reason)
				case !same && !differs:
					t.Errorf("theirs: %v\n%v\nours: %v\n%v", theirErr, set(want), got.err, set(got.pairs(tt.kind)))
				}
			})
			return nil
		})
		if err != nil || files == 0 {
			t.Errorf("%s: %d files: %v", tt.dir, files, err)
		}
	}
}

// set sorts and dedupes.
func set(all []pair) []pair {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b pair) int { return strings.Compare(a.name+"@"+a.version, b.name+"@"+b.version) })
	return slices.Compact(all)
}

// reading is what a reader said about one file.
type reading struct {
	saw   []seen
	urls  []string // of the evidence
	notes []string
	err   error
}

// pairs is what was seen, with Go's versions spelled as osv-scalibr does.
func (r reading) pairs(kind string) []pair {
	var all []pair
	for _, s := range r.saw {
		if kind == "go.mod" {
			s.version = strings.TrimPrefix(s.version, "v")
		}
		all = append(all, pair{s.name, s.version})
	}
	return all
}

// readKind gives content to the reader of that kind, under path.
func readKind(tb testing.TB, kind, path, content string) reading {
	tb.Helper()
	return readContext(tb.Context(), tb, kind, path, content)
}

func readContext(ctx context.Context, tb testing.TB, kind, path, content string) reading {
	tb.Helper()
	for _, r := range append(pythonReaders(), otherReaders()...) {
		if r.Name == kind {
			return readWith(ctx, r, &inventory.File{Path: path, Rel: path, Size: int64(len(content)), R: strings.NewReader(content)})
		}
	}
	tb.Fatalf("no reader is called %s", kind)
	return reading{}
}
