package lockfile

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rapsheet/rapsheet/ecosystem"
)

// fuzzKind fuzzes the reader of one kind: no panic, no identifier above the
// limit, and the same reading twice.
func fuzzKind(f *testing.F, kind string, seeds ...string) {
	f.Add("")
	f.Add("\ufeff")
	f.Add("\xff\xfea\x00")
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) { checkReading(t, kind, in) })
}

func checkReading(t *testing.T, kind, in string) {
	got := readKind(t, kind, kind, in)
	for _, s := range got.saw {
		if s.name == "" || len(s.name) > ecosystem.MaxIdentifier || len(s.version) > ecosystem.MaxIdentifier || s.line < 0 {
			t.Errorf("seen: %+.200v", s)
		}
	}
	again := readKind(t, kind, kind, in)
	if !slices.Equal(got.saw, again.saw) || !slices.Equal(got.notes, again.notes) || (got.err == nil) != (again.err == nil) {
		t.Errorf("not the same twice:\n%+v\n%+v", got, again)
	}
}

func FuzzPoetryLock(f *testing.F) {
	fuzzKind(f, "poetry.lock", "[[package]]\nname = \"a\"\nversion = \"1\"\nfiles = [{file = \"x\", hash = \"sha256:00\"}]\n[package.source]\ntype = \"git\"\nurl = \"https://h/x\"\n",
		"[[package]]\nname = '''\na'''\n[metadata.files]\na = []\n", "package = [{name=\"a\"}]")
}

func FuzzUvLock(f *testing.F) {
	fuzzKind(f, "uv.lock", "[[package]]\nname = \"a\"\nsource = { registry = \"https://pypi.org/simple\" }\nsdist = { url = \"u\", hash = \"sha256:00\" }\n", "[[package]] # x\nname=1")
}

func FuzzPdmLock(f *testing.F) {
	fuzzKind(f, "pdm.lock", "[[package]]\nname = \"a\"\nversion = \"1\"\nfiles = [{url = \"https://h/a\", hash = \"sha256:00\"}]\n")
}

func FuzzPylock(f *testing.F) {
	fuzzKind(f, "pylock.toml", "[[packages]]\nname = \"a\"\nvcs = {path = \"x\"}\n[[packages.wheels]]\nurl = \"https://h/a\"\nhashes = {sha256 = \"00\"}\n")
}

func FuzzPipfileLock(f *testing.F) {
	fuzzKind(f, "Pipfile.lock", `{"_meta":{"sources":[{"name":"p","url":"https://pypi.org/simple"}]},"default":{"a":{"version":"==1","hashes":["sha256:00"],"index":"p"}}}`)
}

func FuzzRequirements(f *testing.F) {
	fuzzKind(f, "requirements", "a[x,y]==1.0 ; os_name == 'nt' --hash=sha256:00 \\\n --hash sha256:11 # c\n", "-e git+https://h/x#egg=a\n",
		"-i https://h/s\n--extra-index-url=x\n", "b @ https://h/b-1.zip ; x\n./c-1-py3-none-any.whl\n", "\\\n\\\n#\\\n")
}

func FuzzCondaEnvironment(f *testing.F) {
	fuzzKind(f, "environment.yml", "dependencies:\n - a=1\n - pip:\n   - b==2\n", "dependencies: &d [*d]\n", "dependencies:\n - pip: x\n")
}

func FuzzGemfileLock(f *testing.F) {
	fuzzKind(f, "Gemfile.lock", "GEM\n  remote: https://rubygems.org/\n  specs:\n    a (1.0-x)\n      b (>= 1)\n\nCHECKSUMS\n  a (1.0-x) sha256=00\n", " x\n", "GIT\n    a!\n")
}

func FuzzCargoLock(f *testing.F) {
	fuzzKind(f, "Cargo.lock", "[[package]]\nname = \"a\"\nversion = \"1\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"00\"\n", "[metadata]\n\"checksum a 1 (x)\" = \"y\"\n")
}

func FuzzGoMod(f *testing.F) {
	fuzzKind(f, "go.mod", "module m\nrequire a.b/c v1.0.0\nreplace a.b/c => ../c\n", "module m\nfoo bar\nrequire (\n\ta.b/c v1.0.0 // indirect\n)\n")
}

func FuzzComposerInstalled(f *testing.F) {
	fuzzKind(f, "installed.json", `[{"name":"a/b","version":"1"}]`, `{"packages":[{"name":"a/b"}],"dev-package-names":[]}`, `[]`, `[}`)
}

func FuzzComposerLock(f *testing.F) {
	fuzzKind(f, "composer.lock", `{"packages":[{"name":"a/b","version":"1","dist":{"type":"path","url":"x","shasum":"00"},"source":{"type":"git"},"notification-url":"https://packagist.org/d/"}],"packages-dev":[]}`)
}

func FuzzNuGetJSON(f *testing.F) {
	for _, s := range []string{
		`{"dependencies":{"net8.0":{"A":{"type":"Direct","resolved":"1"},"b":{"type":"Project"}}}}`,
		`{"libraries":{"A/1":{"type":"package"},"B":{"type":"project"}},"project":{"restore":{"sources":{"https://api.nuget.org/v3/index.json":{}}}}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		for _, kind := range []string{"packages.lock.json", "project.assets.json", "deps.json"} {
			checkReading(t, kind, in)
		}
	})
}

func FuzzMSBuild(f *testing.F) {
	for _, s := range []string{
		`<Project><ItemGroup><PackageReference Include="A;B" Version="[1]"><Version>2</Version></PackageReference></ItemGroup></Project>`,
		`<?xml version="1.0" encoding="iso-8859-1"?><packages><package id="A" version="1"/></packages>`,
		`<verification-metadata><components><component group="a" name="b" version="1"><artifact name="x"><sha256 value="00"/></artifact></component></components></verification-metadata>`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		for _, kind := range []string{"msbuild", "packages.config", "verification-metadata.xml"} {
			checkReading(t, kind, in)
		}
	})
}

func FuzzPaketLock(f *testing.F) {
	fuzzKind(f, "paket.lock", "NUGET\n  remote: https://api.nuget.org/v3/index.json\n    A (1) - x\n      B (>= 1)\nGITHUB\n  remote: a/b\n    c.fs (1)\n")
}

func FuzzWorkflow(f *testing.F) {
	fuzzKind(f, "workflow", "jobs:\n a:\n  steps:\n  - uses: a/b/c@v1\n  - uses: docker://x\n  - uses: ./x\n b:\n  uses: a/b@c\n", "runs:\n steps: &s\n - uses: *s\n", "jobs: &j {a: *j}\n")
}

func FuzzExtensions(f *testing.F) {
	fuzzKind(f, "extensions.json", "{\"recommendations\":[\"a.b\",//x\n\"c.d\",/* */],}", `{"recommendations":["a.b\"`, "/*", `"\`)
}

func FuzzPubspecLock(f *testing.F) {
	fuzzKind(f, "pubspec.lock", "packages:\n  a:\n    description: {name: b, url: \"https://pub.dev\", sha256: \"00\"}\n    source: hosted\n    version: \"1\"\n", "packages: &p\n  a: *p\n")
}

func FuzzPackageResolved(f *testing.F) {
	fuzzKind(f, "Package.resolved", `{"pins":[{"identity":"a","kind":"remoteSourceControl","location":"git@h:a/b.git","state":{"version":"1"}}]}`, `{"object":{"pins":[{"package":"a","repositoryURL":"https://h/a"}]}}`)
}

func FuzzHexLocks(f *testing.F) {
	for _, s := range []string{
		"%{\n  \"a\": {:hex, :b, \"1\", \"00\", [:mix], [], \"hexpm\", \"00\"},\n  \"c\": {:git, \"https://h/c\", \"x\", []},\n}\n",
		"{\"1.2.0\",\n[{<<\"a\">>,{pkg,<<\"b\">>,<<\"1\">>},0}]}.\n[{pkg_hash_ext,[{<<\"a\">>, <<\"00\">>}]}].\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		checkReading(t, "mix.lock", in)
		checkReading(t, "rebar.lock", in)
	})
}

// FuzzScalibr fuzzes the adapter with every extractor behind it. A panic of an
// extractor is the walk's to turn into a note, so it is caught here too; one of
// the adapter's own is caught with it, which the other invariants make unlikely.
func FuzzScalibr(f *testing.F) {
	all := scalibrReaders()
	for i := range all {
		f.Add(uint8(i), "")
	}
	root := scalibrDir(f)
	for i, dir := range []string{
		"java/pomxml", "java/gradlelockfile", "java/gradleversioncatalog", "haskell/stacklock",
		"haskell/cabal", "r/renvlock", "swift/podfilelock", "cpp/conanlock",
	} {
		files, err := filepath.Glob(filepath.Join(root, "language", filepath.FromSlash(dir), "testdata", "*"))
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, file := range files {
			if b, err := os.ReadFile(file); err == nil {
				f.Add(uint8(i), string(b))
			}
		}
	}
	f.Fuzz(func(t *testing.T, i uint8, in string) {
		defer func() {
			if p := recover(); p != nil {
				t.Logf("extractor: %v", p)
			}
		}()
		checkReading(t, all[int(i)%len(all)].Name, in)
	})
}
