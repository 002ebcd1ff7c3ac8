package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/cache"
	"github.com/rapsheet/rapsheet/internal/pkgarchive"
)

// Layouts of storage, which is what the locations' Kind says.
const (
	layoutVerdaccio    = "verdaccio"
	layoutNPM          = "npm-archives"
	layoutGoProxy      = "goproxy"
	layoutAthens       = "athens"
	layoutMaven        = "maven-storage"
	layoutNuGet        = "nuget-feed"      // id/version/id.version.nupkg
	layoutNuGetFlat    = "nuget-folder"    // id.version.nupkg side by side
	layoutGems         = "gem-directory"   // gems/name-version.gem
	layoutCrates       = "crate-archives"  // name-version.crate
	layoutDevpi        = "devpi"           // user/index/+f/…/file
	layoutBandersnatch = "bandersnatch"    // packages/xx/yy/…/file
	layoutSimple       = "simple-index"    // name/file
	layoutPython       = "python-archives" // files side by side
)

// maxStoredSmall bounds the small files beside an archive.
const maxStoredSmall = 256 << 10

// Kinds gives the archives in the storage of artifact registries, recognised by the shape of the tree: Verdaccio,
// Go module proxies and Athens, devpi, bandersnatch, simple indexes, Maven and NuGet repositories, gem directories,
// and directories of archives. They are for directories of which the user says that a registry keeps its files
// there: in any other place such names may mean something else.
//
// An archive's name and place say what it is, as they do to the registry's clients. It is opened where they do not,
// and to be hashed where some record has digests and the storage has none. Metadata without an archive is no
// sighting: the registry knows of the package, and does not have it.
//
// The kinds of package managers' caches come first: where those lie in the same shape, more is known of them. Each
// archive is listed once.
func Kinds() []inventory.Kind {
	kinds := cache.Kinds()
	for i := range kinds {
		if kinds[i].Name == "nuget-packages" {
			kinds[i].Read = withoutNupkg(kinds[i].Read)
		}
	}
	return append(kinds,
		inventory.Kind{Name: "npm-storage", Match: isStoredNPM, Read: readStoredNPM, Installed: true},
		inventory.Kind{Name: "go-storage", Match: isStoredGo, Read: readStoredGo, Installed: true},
		inventory.Kind{Name: "maven-storage", Match: isStoredMaven, Read: readStoredMaven, Installed: true},
		inventory.Kind{Name: "nuget-storage", Match: isStoredNuGet, Read: readStoredNuGet, Installed: true},
		inventory.Kind{Name: "gem-storage", Match: isStoredGem, Read: readStoredGem, Installed: true},
		inventory.Kind{Name: "crate-storage", Match: isStoredCrate, Read: readStoredCrate, Installed: true},
		inventory.Kind{Name: "python-storage", Match: isStoredPython, Read: readStoredPython, Installed: true},
	)
}

// withoutNupkg leaves a package to [readStoredNuGet] whose .nupkg lies beside what read reads, <id>/<version>/….
func withoutNupkg(read func(context.Context, *inventory.File, *inventory.Sink) error) func(context.Context, *inventory.File, *inventory.Sink) error {
	return func(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
		base := strings.TrimSuffix(path.Base(in.Rel), ".sha512")
		if base == ".nupkg.metadata" {
			version := path.Dir(in.Place())
			base = path.Base(path.Dir(version)) + "." + path.Base(version) + ".nupkg"
		}
		if in.HasSibling(base) {
			return nil
		}
		return read(ctx, in, out)
	}
}

// stored is one archive as its name and place describe it.
type stored struct {
	layout, name, version string
	// also is another name by which the storage calls it, "" for none.
	also string
	ev   rapsheet.Evidence
}

// sendStored sends one archive, hashed if its storage has no digest of it and some record has. Where neither name nor
// place says what it is, it is opened.
func sendStored(ctx context.Context, in *inventory.File, out *inventory.Sink, l *inventory.List, s stored) error {
	out.Kind = s.layout
	if s.name == "" || s.version == "" {
		return sendOpened(ctx, in, out, l, s)
	}
	var hashErr error
	if len(s.ev.Digests) == 0 && in.Hash {
		s.ev.Digests, hashErr = in.ContentDigests(ctx)
	}
	for _, name := range []string{s.name, s.also} {
		if name == "" {
			continue
		}
		if err := l.Add(name, s.version, 0, s.ev); err != nil {
			return l.End(err)
		}
	}
	return l.End(hashErr)
}

// sendOpened sends what an archive says it is, which may be of another ecosystem than l, and what s says, if it says
// so and that is another package.
func sendOpened(ctx context.Context, in *inventory.File, out *inventory.Sink, l *inventory.List, s stored) error {
	out.Kind = s.layout
	at, size, done, err := in.Random(ctx)
	if err != nil {
		return l.End(err)
	}
	defer done()
	found, bad := pkgarchive.Read(ctx, at, size, path.Base(in.Rel))
	if len(s.ev.Digests) == 0 {
		if s.ev.Digests, err = in.Digests(at, size); err != nil {
			return l.End(err)
		}
	}
	if s.name != "" && s.version == "" && len(found.Packages) > 0 {
		s.version = found.Packages[0].Version // the name is the storage's
	}
	named := s.name == "" || s.version == ""
	for _, p := range found.Packages {
		ev := s.ev
		if strings.Contains(p.Member, "!/") {
			ev = rapsheet.Evidence{} // of an archive in it nothing is known
		}
		of := l
		if p.Ecosystem != l.Ecosystem.Name {
			of = inventory.NewList(ctx, out, p.Ecosystem)
		}
		err := of.Add(p.Name, p.Version, 0, ev)
		if of != l {
			err = of.End(err)
		}
		if err != nil {
			return l.End(err)
		}
		named = named || p.Ecosystem == l.Ecosystem.Name && sameFile(l.Ecosystem, p, s)
	}
	switch {
	case !named:
		if len(found.Packages) > 0 {
			p := found.Packages[0]
			if !out.Note(rapsheet.NoteInfo, 0, "calls itself %q where %q is stored: both were looked up", p.Name+"@"+p.Version, s.name+"@"+s.version) {
				return l.End(inventory.ErrStopped)
			}
		}
		if err := l.Add(s.name, s.version, 0, s.ev); err != nil {
			return l.End(err)
		}
	case len(found.Packages) == 0 && (bad == nil || errors.Is(bad, pkgarchive.ErrUnknown)):
		l.Skip("archives of which neither name, place nor content says which package they are")
	}
	if errors.Is(bad, pkgarchive.ErrUnknown) {
		bad = nil
	}
	if found.UnreadCount > 0 && !out.Send(rapsheet.Sighting{}, &rapsheet.Note{
		Kind: rapsheet.NoteUnread, Path: in.Path, Count: found.UnreadCount,
		Message: fmt.Sprintf("%d members could not be read: %s", found.UnreadCount, strings.Join(found.Unread, "; ")),
	}) {
		return l.End(inventory.ErrStopped)
	}
	return l.End(bad)
}

// sameFile reports whether an archive of p is called as s is: `npm pack` writes @scope/name as scope-name
// (docs.npmjs.com/cli/commands/npm-pack).
func sameFile(e *ecosystem.Ecosystem, p pkgarchive.Package, s stored) bool {
	file := func(name string) string {
		if e.Name == "npm" {
			name = strings.ReplaceAll(strings.TrimPrefix(name, "@"), "/", "-")
		}
		return e.Canonical(name)
	}
	return file(p.Name) == file(s.name) && e.EqualVersion(p.Version, s.version)
}

// splitVersion splits name-version at the first sep after which a version of the ecosystem stands, up to the end or,
// with platform, up to the next sep. Both are "" where there is none.
func splitVersion(e *ecosystem.Ecosystem, stem, sep string, platform bool) (name, version string) {
	for i := 1; i < len(stem)-1; i++ {
		if stem[i] != sep[0] || stem[i+1] < '0' || stem[i+1] > '9' {
			continue
		}
		v := stem[i+1:]
		if platform {
			v, _, _ = strings.Cut(v, sep)
		}
		if e.ValidVersion(v) && (!semverOnly(e) || threeNumbers(v)) {
			return stem[:i], v
		}
	}
	return "", ""
}

// semverOnly reports whether a registry takes nothing but SemVer, which always has three numbers: names may end in
// one, as sha-1's.
func semverOnly(e *ecosystem.Ecosystem) bool { return e.Name == "npm" || e.Name == "crates.io" }

func threeNumbers(v string) bool {
	if i := strings.IndexAny(v, "-+"); i >= 0 {
		v = v[:i]
	}
	return strings.Count(v, ".") == 2
}

func isStoredGo(base, file string) bool {
	return strings.HasSuffix(base, ".zip") && (base == "source.zip" || strings.HasSuffix(file[:len(file)-len(base)], "/@v/"))
}

// readStoredGo reads <module>/@v/<version>.zip, the tree that every module proxy is and that GOPROXY=file:///…
// reads (https://go.dev/ref/mod#goproxy-protocol), and Athens's <module>/<version>/source.zip beside a go.mod
// (github.com/gomods/athens, pkg/storage/fs). Capitals are escaped in both.
func readStoredGo(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "Go")
	dir, base := path.Split(in.Rel)
	dir = strings.TrimSuffix(dir, "/")
	s := stored{layout: layoutGoProxy}
	above, last := path.Split(dir)
	above = strings.TrimSuffix(above, "/")
	escaped, mod := strings.TrimSuffix(base, ".zip"), ""
	if base == "source.zip" && last != "@v" {
		s.layout, escaped, mod = layoutAthens, last, "go.mod"
		if !in.HasSibling(mod, escaped+".info") {
			return sendStored(ctx, in, out, l, s)
		}
	} else {
		mod = escaped + ".mod"
	}
	if v, err := module.UnescapeVersion(escaped); err == nil {
		s.version = v
	}
	b, _ := in.Sibling(mod, maxStoredSmall)
	s.name = storedModule(above, path.Dir(path.Dir(in.Place())), modfile.ModulePath(b))
	return sendStored(ctx, in, out, l, s)
}

// storedModule is the module of a directory, rel from where the walk began and place in full. What its go.mod
// says is believed if the directory is called so too: then it says where the storage begins. Else it is where the
// path first has an element with a dot, as the paths of all modules that can be downloaded have.
func storedModule(rel, place, said string) string {
	if escaped := ecosystem.EscapeModule(said); said != "" && (rel == escaped || strings.HasSuffix(place, "/"+escaped)) {
		return said
	}
	for rest := rel; rest != ""; {
		first, after, _ := strings.Cut(rest, "/")
		if strings.Contains(first, ".") {
			rel = rest
			break
		}
		rest = after
	}
	name, err := module.UnescapePath(rel)
	if err != nil {
		return ""
	}
	return name
}

// mavenArchives are the extensions of what a Java program or its tools load. [cache.MavenCode] takes every file that is
// no description, which is too much here: a .zip or .tar.gz in such a place is rather a source distribution
// of Python, simple/foo/1.0/foo-1.0.tar.gz.
var mavenArchives = []string{".jar", ".war", ".ear", ".aar", ".hpi", ".nar"}

func isStoredMaven(base, file string) bool {
	if !hasAnySuffix(base, mavenArchives) || !cache.MavenCode(base) {
		return false
	}
	_, _, _, ok := cache.MavenPath(strings.TrimPrefix(file, "/"))
	return ok
}

func hasAnySuffix(s string, suffixes []string) bool {
	for _, x := range suffixes {
		if strings.HasSuffix(s, x) {
			return true
		}
	}
	return false
}

// remoteRepositories is the file in which Maven notes where the archives beside it came from. Its kind in package
// cache, [notedByMaven], lists them, with that.
const (
	remoteRepositories = "_remote.repositories"
	notedByMaven       = "maven-local-repository"
)

// readStoredMaven reads group/as/directories/artifact/version/artifact-version[-classifier].jar. Where the
// repository begins is where maven-metadata.xml or the .pom says, as far as the directories agree, or
// else where the walk began.
func readStoredMaven(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "Maven")
	base := path.Base(in.Rel)
	if noted, _ := in.Sibling(remoteRepositories, maxStoredSmall); bytes.Contains(noted, []byte(base+">")) {
		return nil
	}
	place, artifact, version, _ := cache.MavenPath(strings.TrimPrefix(in.Place(), "/"))
	group, _, _, _ := cache.MavenPath(in.Rel)
	s := stored{layout: layoutMaven, version: version}
	meta, _ := in.ReadFile(path.Join(path.Dir(path.Dir(in.Rel)), "maven-metadata.xml"), maxStoredSmall)
	said := xmlElement(meta, "groupId")
	if said == "" {
		pom, _ := in.Sibling(artifact+"-"+version+".pom", maxStoredSmall)
		said = xmlElement(pom, "groupId")
	}
	if said != "" && strings.HasSuffix("."+place, "."+said) {
		group = said
	}
	if group != "" {
		s.name = group + ":" + artifact
	}
	for _, algorithm := range []string{"sha512", "sha256", "sha1", "md5"} {
		// "<sum>", or as md5sum writes it "<sum>  <file>".
		b, _ := in.Sibling(base+"."+algorithm, 4<<10)
		if f := strings.Fields(string(b)); len(f) > 0 {
			s.ev.Digests = append(s.ev.Digests, ecosystem.Integrity(algorithm+":"+f[0])...)
		}
	}
	return sendStored(ctx, in, out, l, s)
}

// xmlElement gives the text of the first element of that name, which holds nothing but text in what Maven
// writes; "" if there is none. In a .pom without a groupId of its own the first is its parent's, which it inherits.
func xmlElement(b []byte, name string) string {
	_, after, ok := strings.Cut(string(b), "<"+name+">")
	text, _, closed := strings.Cut(after, "<")
	if !ok || !closed || len(text) > ecosystem.MaxIdentifier {
		return ""
	}
	return strings.TrimSpace(text)
}

func isStoredNuGet(base, _ string) bool {
	return strings.HasSuffix(base, ".nupkg") && !strings.HasSuffix(base, ".symbols.nupkg")
}

// readStoredNuGet reads folder feeds: id/version/id.version.nupkg with its hash beside it, or packages side by side
// (https://learn.microsoft.com/nuget/hosting-packages/local-feeds).
func readStoredNuGet(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "NuGet")
	base := path.Base(in.Rel)
	stem := strings.TrimSuffix(base, ".nupkg")
	dir := path.Dir(in.Place())
	id, version := path.Base(path.Dir(dir)), path.Base(dir)
	s := stored{layout: layoutNuGetFlat}
	if strings.EqualFold(stem, id+"."+version) {
		s.layout, s.name, s.version = layoutNuGet, stem[:len(id)], stem[len(id)+1:]
	} else {
		s.name, s.version = splitVersion(l.Ecosystem, stem, ".", false)
	}
	if sum, _ := in.Sibling(base+".sha512", 4<<10); len(sum) > 0 {
		s.ev.Digests = ecosystem.Integrity("sha512-" + strings.TrimSpace(string(sum)))
	}
	return sendStored(ctx, in, out, l, s)
}

func isStoredGem(base, _ string) bool { return strings.HasSuffix(base, ".gem") }

// readStoredGem reads name-version[-platform].gem (https://guides.rubygems.org/run-your-own-gem-server/).
func readStoredGem(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "RubyGems")
	s := stored{layout: layoutGems}
	s.name, s.version = splitVersion(l.Ecosystem, strings.TrimSuffix(path.Base(in.Rel), ".gem"), "-", true)
	return sendStored(ctx, in, out, l, s)
}

func isStoredCrate(base, _ string) bool { return strings.HasSuffix(base, ".crate") }

// readStoredCrate reads name-version.crate, as mirrors of crates.io keep them and cargo itself.
func readStoredCrate(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "crates.io")
	s := stored{layout: layoutCrates}
	s.name, s.version = splitVersion(l.Ecosystem, strings.TrimSuffix(path.Base(in.Rel), ".crate"), "-", false)
	return sendStored(ctx, in, out, l, s)
}

// sdistExtensions are those of source distributions, now .tar.gz alone and others in old releases.
var sdistExtensions = []string{".tar.gz", ".zip", ".tar.bz2", ".tar.xz"}

func isStoredPython(base, _ string) bool {
	return strings.HasSuffix(base, ".whl") || strings.HasSuffix(base, ".egg") || hasAnySuffix(base, sdistExtensions)
}

// readStoredPython reads wheels, eggs and source distributions: in devpi's +f (github.com/devpi/devpi, filestore.py),
// bandersnatch's packages/xx/yy/<hash>, the project directories of a simple index (PEP 503), or side by side.
func readStoredPython(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "PyPI")
	dir, base := path.Split(in.Place())
	dir = strings.TrimSuffix(dir, "/")
	project := path.Base(dir)
	var s stored
	s.name, s.version = pythonArchive(l.Ecosystem, base, project)
	switch {
	case strings.Contains(dir+"/", "/+f/"), strings.Contains(dir+"/", "/+e/"):
		s.layout = layoutDevpi
	case hashedPath(dir):
		s.layout = layoutBandersnatch
		if in.Hash {
			s.ev.Digests = bandersnatchDigests(l.Ecosystem, in, s.name)
		}
	case s.name != "" && l.Ecosystem.Canonical(s.name) == l.Ecosystem.Canonical(project):
		s.layout = layoutSimple
	default:
		s.layout = layoutPython
	}
	return sendStored(ctx, in, out, l, s)
}

// hashedPath reports whether dir ends as PyPI's do: packages/xx/yy/<the other 60 digits of the BLAKE2b-256 sum>.
func hashedPath(dir string) bool {
	const tail = len("/packages/xx/yy/") + 60
	if len(dir) < tail {
		return false
	}
	rest, ok := strings.CutPrefix(dir[len(dir)-tail:], "/packages/")
	if !ok || rest[2] != '/' || rest[5] != '/' {
		return false
	}
	for i := range len(rest) {
		if c := rest[i]; i != 2 && i != 5 && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// maxStoredIndex bounds a project's page, in bytes: one file's digest is not worth a larger one.
const maxStoredIndex = 4 << 20

// bandersnatchDigests gives what bandersnatch noted of a file in the page of its project, simple/<project>/index.html,
// or simple/<letter>/<project>/ with its setting hash-index (github.com/pypa/bandersnatch, simple.py). The
// file's path has its BLAKE2b sum, which no record has.
func bandersnatchDigests(e *ecosystem.Ecosystem, in *inventory.File, name string) []rapsheet.Digest {
	i := strings.LastIndex("/"+in.Rel, "/packages/")
	project := e.Canonical(name)
	if i < 0 || project == "" || strings.Contains(project, "/") {
		return nil
	}
	for _, dir := range []string{"simple/" + project, "simple/" + project[:1] + "/" + project} {
		page, _ := in.ReadFile(in.Rel[:i]+dir+"/index.html", maxStoredIndex)
		_, after, _ := bytes.Cut(page, []byte("/"+in.Rel[i:]+"#"))
		if digest, _, ok := bytes.Cut(after, []byte{'"'}); ok && len(digest) < 256 {
			return ecosystem.Integrity(string(digest))
		}
	}
	return nil
}

// pythonArchive reads name-version-….whl and .egg, of which no part has a dash
// (https://packaging.python.org/specifications/binary-distribution-format/), and name-version.tar.gz, where both
// could have dashes before PEP 625: the name is the directory's if that is the file's too, or
// else what stands before the first version.
func pythonArchive(e *ecosystem.Ecosystem, base, project string) (name, version string) {
	if strings.HasSuffix(base, ".whl") || strings.HasSuffix(base, ".egg") {
		if parts := strings.Split(base[:len(base)-len(".whl")], "-"); len(parts) > 1 {
			return parts[0], parts[1]
		}
		return "", ""
	}
	stem := base
	for _, ext := range sdistExtensions {
		if s, ok := strings.CutSuffix(base, ext); ok {
			stem = s
			break
		}
	}
	if n := len(project); len(stem) > n+1 && stem[n] == '-' && e.Canonical(stem[:n]) == e.Canonical(project) {
		return stem[:n], stem[n+1:]
	}
	name, version = splitVersion(e, stem, "-", false)
	return name, version
}

// siblingNames gives the names in the directory of in that end in ext, at most limit.
func siblingNames(in *inventory.File, ext string, limit int) map[string]bool {
	names := map[string]bool{}
	if in.FS == nil {
		return names
	}
	f, err := in.FS.Open(path.Dir(in.Rel))
	if err != nil {
		return names
	}
	defer f.Close()
	dir, ok := f.(fs.ReadDirFile)
	for ok {
		entries, err := dir.ReadDir(1024)
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ext) && len(names) < limit {
				names[e.Name()] = true
			}
		}
		if err != nil {
			break
		}
	}
	return names
}
