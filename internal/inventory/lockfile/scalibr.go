package lockfile

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	cpb "github.com/google/osv-scalibr/binary/proto/config_go_proto"
	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/extractor/filesystem/language/cpp/conanlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/haskell/cabal"
	"github.com/google/osv-scalibr/extractor/filesystem/language/haskell/stacklock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/java/gradlelockfile"
	"github.com/google/osv-scalibr/extractor/filesystem/language/java/gradleversioncatalog"
	"github.com/google/osv-scalibr/extractor/filesystem/language/java/pomxml"
	"github.com/google/osv-scalibr/extractor/filesystem/language/r/renvlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/swift/podfilelock"
	scalibrfs "github.com/google/osv-scalibr/fs"
	scalibrlog "github.com/google/osv-scalibr/log"
	"github.com/google/osv-scalibr/purl"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// maxForeign is the size in bytes up to which a file is given to an extractor of
// osv-scalibr, and up to which one may read a sibling: they hold it whole, more than once.
const maxForeign = 32 << 20

// scalibrReaders are the formats whose files carry no evidence of where a
// package came from, so that osv-scalibr's extractors lose nothing.
func scalibrReaders() []inventory.Kind {
	silenceScalibr()
	return []inventory.Kind{
		scalibrReader("pom.xml", named("pom.xml"), pomxml.New),
		scalibrReader("gradle.lockfile", named("gradle.lockfile", "buildscript-gradle.lockfile"), gradlelockfile.New),
		scalibrReader("libs.versions.toml", isVersionCatalog, gradleversioncatalog.New),
		scalibrReader("stack.yaml.lock", named("stack.yaml.lock"), stacklock.New),
		scalibrReader("cabal.project.freeze", named("cabal.project.freeze"), cabal.New),
		scalibrReader("renv.lock", named("renv.lock"), renvlock.New),
		scalibrReader("Podfile.lock", named("Podfile.lock"), podfilelock.New),
		scalibrReader("conan.lock", named("conan.lock"), conanlock.New),
	}
}

// isVersionCatalog matches Gradle's version catalogs: the default name anywhere,
// other names in gradle/ (https://docs.gradle.org/current/userguide/version_catalogs.html).
func isVersionCatalog(base, file string) bool {
	return base == "libs.versions.toml" ||
		(strings.HasSuffix(base, ".versions.toml") && path.Base(path.Dir(file)) == "gradle")
}

// silenceScalibr turns osv-scalibr's log off. Its logger is one variable of the
// process that writes to standard error; what it says is about single lines of
// hostile files and must not reach a terminal. It is set once, before the first
// extractor exists, as setting it while one runs would be a race.
var silenceScalibr = sync.OnceFunc(func() { scalibrlog.SetLogger(silence{}) })

// silence is a scalibr logger that logs nothing.
type silence struct{}

func (silence) Errorf(string, ...any) {}
func (silence) Error(...any)          {}
func (silence) Warnf(string, ...any)  {}
func (silence) Warn(...any)           {}
func (silence) Infof(string, ...any)  {}
func (silence) Info(...any)           {}
func (silence) Debugf(string, ...any) {}
func (silence) Debug(...any)          {}

// scalibrReader makes a reader of an extractor.
func scalibrReader(kind string, match func(base, path string) bool, construct func(*cpb.PluginConfig) (filesystem.Extractor, error)) inventory.Kind {
	return inventory.Kind{Name: kind, Match: match, Read: func(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
		x, err := construct(&cpb.PluginConfig{})
		if err != nil {
			return err
		}
		return extract(ctx, x, in, out)
	}}
}

// extract runs x over one file and sends what it found.
func extract(ctx context.Context, x filesystem.Extractor, in *inventory.File, out *inventory.Sink) error {
	b, err := bounded.ReadAll(in.R, maxForeign, "file")
	if err != nil {
		return err
	}
	if b, err = (&inventory.File{R: strings.NewReader(string(b))}).AnyText(); err != nil {
		return err
	}
	// Conflict markers are found here: some extractors take them for blank lines.
	if err := inventory.Lines(b, func(int, string) error { return nil }); err != nil {
		return err
	}
	var beside scalibrfs.FS = tree{in.FS}
	var declared []declaration
	switch x.(type) {
	case *pomxml.Extractor:
		guard := new(pomGuard)
		if err := guard.add(b); err != nil {
			return err
		}
		declared = guard.declared
		beside = guarded{tree{in.FS}, guard}
	case *gradleversioncatalog.Extractor:
		if _, err := scanTOML(b, "none"); err != nil {
			return err
		}
	}
	rel := in.Rel
	if rel == "" {
		rel = path.Base(in.Path)
	}
	found, err := x.Extract(ctx, &filesystem.ScanInput{
		FS:     beside,
		Path:   rel,
		Root:   ".",
		Info:   foreignInfo{name: path.Base(rel), size: int64(len(b))},
		Reader: strings.NewReader(string(b)),
	})
	if err != nil {
		err = fmt.Errorf("%s", oneLine(err))
	}
	// Extractors collect in maps: the order is made one again.
	slices.SortFunc(found.Packages, func(a, b *extractor.Package) int {
		return cmp.Or(cmp.Compare(foreignLine(a), foreignLine(b)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	found.Packages = append(found.Packages, missing(declared, found.Packages)...)
	ranged := make(map[string]bool)
	for _, d := range declared {
		if d.ranged {
			ranged[d.group+":"+d.artifact] = true
		}
	}
	byEcosystem := make(map[string]*inventory.List)
	noRecords := make(map[string]int)
	for _, p := range found.Packages {
		if p == nil {
			continue
		}
		name := string(p.Ecosystem().Ecosystem)
		if _, ok := ecosystem.Find(name); !ok {
			noRecords[first(name, p.PURLType, "unknown")]++
			continue
		}
		l := byEcosystem[name]
		if l == nil {
			l = inventory.NewList(ctx, out, name)
			byEcosystem[name] = l
		}
		if strings.Contains(p.Name, "${") {
			l.Skip("names that only the build tool can resolve")
			continue
		}
		version := foreignVersion(p.Version)
		if ranged[p.Name] {
			version = ""
		}
		if addErr := l.Add(p.Name, version, foreignLine(p), rapsheet.Evidence{}); addErr != nil {
			return l.End(addErr)
		}
	}
	for _, name := range sortedKeys(byEcosystem) {
		if endErr := byEcosystem[name].End(nil); endErr != nil {
			return endErr
		}
	}
	for _, name := range sortedKeys(noRecords) {
		out.Send(rapsheet.Sighting{}, &rapsheet.Note{
			Kind: rapsheet.NoteUnmatchable, Path: in.Path, Count: noRecords[name],
			Message: "packages of " + name + ": an ecosystem without records",
		})
	}
	return err
}

// missing gives the declared dependencies that an extractor left out, without versions.
func missing(declared []declaration, found []*extractor.Package) []*extractor.Package {
	have := make(map[string]bool, len(found))
	for _, p := range found {
		have[p.Name] = true
	}
	var all []*extractor.Package
	for _, d := range declared {
		name := d.group + ":" + d.artifact
		if have[name] || d.group == "" || d.artifact == "" {
			continue
		}
		have[name] = true
		all = append(all, &extractor.Package{
			Name: name, PURLType: purl.TypeMaven, Location: extractor.LocationFromPathAndLine("", d.line),
		})
	}
	return all
}

// oneLine gives the first line of an error's text.
func oneLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// foreignVersion leaves out what is a wish and not a version: Maven's ranges and
// properties, Gradle's dynamic versions.
func foreignVersion(v string) string {
	if strings.ContainsAny(v, "[](),$ ") || strings.HasSuffix(v, "+") || strings.HasPrefix(v, "latest.") {
		return ""
	}
	return v
}

func foreignLine(p *extractor.Package) int {
	if d := p.Location.Descriptor; d != nil && d.File != nil {
		return d.File.LineNumber
	}
	return 0
}

// tree is the file tree as extractors want it: what they open beside their file
// (Maven's parents) is bounded, and there may be none.
type tree struct{ fsys fs.FS }

func (t tree) Open(name string) (fs.File, error) {
	if t.fsys == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	f, err := t.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return foreignFile{File: f, r: bounded.Reader(f, maxForeign, "file")}, nil
}

func (t tree) ReadDir(name string) ([]fs.DirEntry, error) {
	if t.fsys == nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	return fs.ReadDir(t.fsys, name)
}

func (t tree) Stat(name string) (fs.FileInfo, error) {
	if t.fsys == nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return fs.Stat(t.fsys, name)
}

type foreignFile struct {
	fs.File
	r io.Reader
}

func (f foreignFile) Read(p []byte) (int, error) { return f.r.Read(p) }

// foreignInfo describes a file that was read already.
type foreignInfo struct {
	name string
	size int64
}

func (i foreignInfo) Name() string       { return i.name }
func (i foreignInfo) Size() int64        { return i.size }
func (i foreignInfo) Mode() fs.FileMode  { return 0o444 }
func (i foreignInfo) ModTime() time.Time { return time.Time{} }
func (i foreignInfo) IsDir() bool        { return false }
func (i foreignInfo) Sys() any           { return nil }
