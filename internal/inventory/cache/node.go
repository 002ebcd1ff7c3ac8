package cache

import (
	"context"
	"encoding/hex"
	"io/fs"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// Bounds of what is read of the caches of JavaScript's package managers, in bytes.
const (
	maxPackageJSON = 8 << 20  // a package.json, and what a package manager writes beside it
	maxNodeIndex   = 64 << 20 // an index of the files of one package
)

func nodeKinds() []inventory.Kind {
	return []inventory.Kind{
		{Name: "npm-cache", Dir: isNPMBuckets, Match: isNPMBucket, Read: readNPMBucket},
		{Name: "npm-cache", Dir: isUnknownNPMBuckets, Match: anyFile, Read: unknownVersion("the index of npm's cache")},
		{Name: "pnpm-store", Dir: isPNPMIndex, Match: isPNPMIndexFile, Read: readPNPMIndex},
		{Name: "pnpm-store", Dir: isPNPMDatabaseDir, Match: named("index.db"), Read: readPNPMDatabase},
		{Name: "pnpm-store", Dir: isUnknownPNPMStore, Match: anyFile, Read: unknownVersion("pnpm's store")},
		{Name: "yarn-cache", Dir: isYarnClassicPackage, Match: named("package.json"), Read: readYarnClassic, Installed: true},
		{Name: "yarn-cache", Match: isYarnZip, Read: readYarnZip},
		{Name: "bun-cache", Dir: isBunPackage, Match: named("package.json"), Read: readBunPackage, Installed: true},
		{Name: "deno-cache", Dir: isDenoPackage, Match: named("package.json"), Read: readDenoPackage, Installed: true},
		{Name: "corepack", Dir: isCorepackTool, Match: named("package.json", ".corepack"), Read: readCorepack},
	}
}

// named matches files of those names.
func named(names ...string) func(base, path string) bool {
	return func(base, _ string) bool {
		for _, n := range names {
			if base == n {
				return true
			}
		}
		return false
	}
}

func anyFile(string, string) bool { return true }

// lowerHex reports whether s is n lower-case hexadecimal digits.
func lowerHex(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// storeVersion gives N of a directory's name "v<N>", "" where it is called otherwise.
func storeVersion(name string) string {
	if len(name) < 2 || len(name) > 4 || name[0] != 'v' {
		return ""
	}
	for _, c := range name[1:] {
		if c < '0' || c > '9' {
			return ""
		}
	}
	return name[1:]
}

// cutLast splits a directory's path into its parent and its name.
func cutLast(dir string) (parent, name string) {
	i := strings.LastIndexByte(dir, '/')
	if i < 0 {
		return "", dir
	}
	return dir[:i], dir[i+1:]
}

// unknownVersion reads a cache that is divided into <version>/<directory>/<directory>/ and whose version is not
// known: of all its files only the first one says so.
func unknownVersion(what string) func(context.Context, *inventory.File, *inventory.Sink) error {
	return func(_ context.Context, in *inventory.File, out *inventory.Sink) error {
		root := path.Dir(path.Dir(path.Dir(in.Rel)))
		version := path.Base(path.Dir(path.Dir(path.Dir(in.Path))))
		if in.FS != nil {
			first := in.Once("first file of "+root, func() any { return firstFile(in.FS, root, 2) })
			if first != "" && first != in.Rel {
				return nil
			}
		}
		out.Note(rapsheet.NoteUnread, 0, "%s has the version %q, which is not known: nothing in it was read", what, version)
		return nil
	}
}

// firstFile gives the first file in walk order that stands depth directories below dir; "" if there is none.
func firstFile(fsys fs.FS, dir string, depth int) string {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		switch at := path.Join(dir, e.Name()); {
		case depth == 0 && e.Type().IsRegular():
			return at
		case depth > 0 && e.IsDir():
			if first := firstFile(fsys, at, depth-1); first != "" {
				return first
			}
		}
	}
	return ""
}

// called is a name and version that something gives a package; both may be "".
type called struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// sendCalled sends the package that calls itself own in its package.json and that the package manager keeps
// as known. No name is believed alone: where they differ both are sent.
func sendCalled(l *inventory.List, own, known called, ev rapsheet.Evidence) error {
	if own.Name != "" {
		if err := l.Add(own.Name, own.Version, 0, ev); err != nil {
			return err
		}
	}
	if known.Name == "" || known.Name == own.Name && (known.Version == "" || release(known.Version) == release(own.Version)) {
		return nil
	}
	if known.Version == "" {
		known.Version = own.Version
	}
	if own.Name != "" && !l.Out.Note(rapsheet.NoteInfo, 0, "calls itself %q where the cache has %q: both were looked up", own, known) {
		return inventory.ErrStopped
	}
	return l.Add(known.Name, known.Version, 0, ev)
}

// String gives name@version.
func (c called) String() string {
	if c.Version == "" {
		return c.Name
	}
	return c.Name + "@" + c.Version
}

// release is a version without its build metadata, which registries leave out.
func release(version string) string {
	v, _, _ := strings.Cut(version, "+")
	return v
}

// splitSpec splits name@version and @scope/name@version.
func splitSpec(spec string) called {
	if i := strings.LastIndexByte(spec, '@'); i > 0 {
		return called{spec[:i], spec[i+1:]}
	}
	return called{Name: spec}
}

// archiveEvidence is the evidence of an archive that came from url, and the package that the URL is of in a
// registry; that is empty where the URL does not say.
func archiveEvidence(l *inventory.List, url string) (rapsheet.Evidence, called) {
	ev := ecosystem.Origin(l.Ecosystem, url)
	if ev.Origin != rapsheet.OriginURL && ev.Origin != rapsheet.OriginRegistry {
		return ev, called{}
	}
	name, version, ok := ecosystem.NPMArchive(ev.URL)
	if !ok {
		return ev, called{}
	}
	ev.Origin = rapsheet.OriginRegistry
	return ev, called{name, version}
}

// digestOf gives the digest whose value is so long in hexadecimal; none if no algorithm's is.
func digestOf(value string) []rapsheet.Digest {
	for _, a := range []struct {
		name string
		size int
	}{{"sha512", 64}, {"sha384", 48}, {"sha256", 32}, {"sha1", 20}} {
		if lowerHex(value, hex.EncodedLen(a.size)) {
			return []rapsheet.Digest{{Algorithm: a.name, Hex: value}}
		}
	}
	return nil
}

// isCorepackTool matches …/corepack/v1/<name>/<version>, and the same without v1 as older ones have it.
func isCorepackTool(dir string) bool {
	dir, version := cutLast(dir)
	if version == "" || version[0] < '0' || version[0] > '9' {
		return false
	}
	dir, _ = cutLast(dir)
	if parent, name := cutLast(dir); storeVersion(name) != "" {
		dir = parent
	}
	_, name := cutLast(dir)
	return name == "corepack"
}

// readCorepack reads a package manager that Corepack has installed for itself (github.com/nodejs/corepack,
// sources/corepackUtils.ts): its .corepack says what it is, and older ones have only the package.json.
func readCorepack(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "npm")
	ev := rapsheet.Evidence{}
	if path.Base(in.Rel) == "package.json" {
		if in.HasSibling(".corepack") {
			return nil
		}
		b, err := in.All()
		if err != nil {
			return err
		}
		var p called
		if err := inventory.DecodeJSON(b, &p); err != nil {
			return err
		}
		return l.End(sendCalled(l, p, called{}, ev))
	}
	b, err := in.All()
	if err != nil {
		return err
	}
	var c struct {
		Locator struct {
			Name      string `json:"name"`
			Reference string `json:"reference"`
		} `json:"locator"`
		Hash string `json:"hash"`
	}
	if err := inventory.DecodeJSON(b, &c); err != nil {
		return err
	}
	name, version := c.Locator.Name, release(c.Locator.Reference)
	switch {
	case strings.Contains(version, "://"):
		ev, version = l.Archive(version), ""
	case name == "yarn" && !strings.HasPrefix(version, "0.") && !strings.HasPrefix(version, "1."):
		name = "@yarnpkg/cli-dist" // the package "yarn" ends with Yarn 1
	}
	ev.Digests = append(ev.Digests, ecosystem.Integrity(strings.Replace(c.Hash, ".", ":", 1))...)
	return l.End(sendCalled(l, called{name, version}, called{}, ev))
}
