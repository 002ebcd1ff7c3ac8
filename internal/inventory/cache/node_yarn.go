package cache

import (
	"context"
	"errors"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// isYarnClassicPackage matches the directory of a package in the cache of Yarn 1, wherever the cache is:
// v<N>/npm-<name>-<version>-<hash>-integrity/node_modules/<name>, or without node_modules before Yarn 1.10.
func isYarnClassicPackage(dir string) bool {
	parent, name := cutLast(dir)
	if isYarnClassicSlug(parent, name) {
		return true
	}
	if above, scope := cutLast(parent); strings.HasPrefix(scope, "@") {
		parent = above
	}
	slug, modules := cutLast(parent)
	return modules == "node_modules" && isYarnClassicSlug(cutLast(slug))
}

func isYarnClassicSlug(cache, slug string) bool {
	if !strings.HasPrefix(slug, "npm-") {
		return false
	}
	_, version := cutLast(cache)
	return storeVersion(version) != ""
}

// readYarnClassic reads the package.json of a package in the cache of Yarn 1, and .yarn-metadata.json beside it, which
// says where it came from (github.com/yarnpkg/yarn, src/config.js and src/fetchers/base-fetcher.js).
func readYarnClassic(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "npm")
	var meta struct {
		Remote struct {
			Type           string `json:"type"`
			Reference      string `json:"reference"`
			Hash           string `json:"hash"` // a tarball's SHA-1, and a repository's commit
			Integrity      string `json:"integrity"`
			CacheIntegrity string `json:"cacheIntegrity"`
		} `json:"remote"`
	}
	if b, ok := in.Sibling(".yarn-metadata.json", maxPackageJSON); ok {
		if err := inventory.DecodeJSON(b, &meta); err != nil {
			out.Note(rapsheet.NoteInfo, 0, "where it came from is not known: .yarn-metadata.json beside it could not be read")
		}
	}
	r := meta.Remote
	ev, known := archiveEvidence(l, r.Reference)
	switch {
	case r.CacheIntegrity != "":
		ev.Digests = ecosystem.Integrity(r.CacheIntegrity)
	case r.Type == "tarball":
		ev.Digests = inventory.Integrity([]string{r.Integrity, "sha1:" + r.Hash})
	}
	var own called
	b, err := in.All()
	if err == nil {
		err = inventory.DecodeJSON(b, &own)
	}
	if known.Name == "" {
		if dir := path.Dir(in.Rel); path.Base(path.Dir(dir)) == "node_modules" {
			known.Name = path.Base(dir)
		} else if scope := path.Dir(dir); strings.HasPrefix(path.Base(scope), "@") {
			known.Name = path.Base(scope) + "/" + path.Base(dir)
		}
	}
	if sent := sendCalled(l, own, known, ev); sent != nil {
		return l.End(sent)
	}
	return l.End(err)
}

// isYarnZip matches the archives that Yarn 2 and newer makes of packages: any in the directories where it keeps them
// unless told otherwise, and elsewhere those that are named as it names what is from a registry.
func isYarnZip(base, file string) bool {
	if !strings.HasSuffix(base, ".zip") {
		return false
	}
	cache, name := cutLast(file[:max(0, len(file)-len(base)-1)])
	if _, above := cutLast(cache); name == "cache" && (above == ".yarn" || above == "berry") {
		return true
	}
	slug, ok := cutYarnZip(base)
	return ok && strings.Contains(slug, "-npm-")
}

// cutYarnZip gives what is before the digests in the name of one of Yarn's archives,
// "<name>-npm-<version>-<10 digits>-<cache key or 10 digits>.zip" (github.com/yarnpkg/berry,
// packages/yarnpkg-core/sources/Cache.ts and structUtils.ts, slugifyLocator).
func cutYarnZip(base string) (slug string, ok bool) {
	rest := strings.TrimSuffix(base, ".zip")
	i := strings.LastIndexByte(rest, '-')
	if i < 0 {
		return "", false
	}
	for _, c := range rest[i+1:] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return "", false
		}
	}
	key := rest[i+1:]
	rest = rest[:i]
	i = strings.LastIndexByte(rest, '-')
	if i < 0 || key == "" || len(key) > 10 || !lowerHex(rest[i+1:], 10) {
		return "", false
	}
	return rest[:i], true
}

// readYarnZip reads name and version in one of Yarn's archives, which has the package below node_modules/<name>. That
// name is the one in the registry, whatever the package calls itself. The digests that Yarn keeps are of its own archive,
// not of the registry's.
func readYarnZip(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	at, size, done, err := in.Random(ctx)
	if err != nil {
		return err
	}
	defer done()
	files, err := listZip(at, size)
	if err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, "npm")
	slug, _ := cutYarnZip(path.Base(in.Rel))
	found := false
	for _, f := range files {
		name := vendored(f.Name)
		if name == "" {
			continue
		}
		found = true
		known := called{Name: name}
		var ev rapsheet.Evidence
		if version, ok := strings.CutPrefix(slug, strings.Replace(name, "/", "-", 1)+"-npm-"); ok {
			ev.Origin, known.Version = rapsheet.OriginRegistry, version
		}
		own, err := zippedPackage(f)
		if sent := sendCalled(l, own, known, ev); sent != nil {
			return l.End(sent)
		}
		if err != nil {
			return l.End(err)
		}
	}
	if !found {
		return errors.New("no package.json below node_modules in it: not an archive of Yarn's that is known")
	}
	return l.End(nil)
}

// vendored gives the package whose package.json name is, node_modules/<name>/package.json; "" for any other file.
func vendored(name string) string {
	name, ok := strings.CutPrefix(name, "node_modules/")
	if !ok {
		return ""
	}
	if name, ok = strings.CutSuffix(name, "/package.json"); !ok {
		return ""
	}
	scope, rest, scoped := strings.Cut(name, "/")
	if scoped && (!strings.HasPrefix(scope, "@") || strings.Contains(rest, "/")) {
		return ""
	}
	return name
}

func zippedPackage(f *zipFile) (called, error) {
	b, err := readZipped(f, maxPackageJSON)
	if err != nil {
		return called{}, err
	}
	var p called
	return p, inventory.DecodeJSON(b, &p)
}
