package cache

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/nugetconfig"
)

// maxNuspec bounds a nuspec and what NuGet writes beside a package, in bytes.
const maxNuspec = 4 << 20

// nugetOrg is the service index of nuget.org, the name of the source that NuGet is configured with.
const nugetOrg = "https://api.nuget.org/v3/index.json"

func dotnetKinds() []inventory.Kind {
	return []inventory.Kind{
		{Name: "nuget-packages", Match: isNuGetPackage, Read: readNuGetPackage},
		{Name: "nuget-http-cache", Dir: isNuGetHTTPCache, Match: isNuGetResponse, Read: readNupkg},
		{Name: "nupkg", Match: isNupkg, Read: readNupkg},
	}
}

// isNuGetPackage matches what NuGet writes last, or wrote before there was .nupkg.metadata (NuGet 4.9), when it has
// extracted a package into the global packages folder, a fallback folder or an offline feed:
// <id>/<version>/.nupkg.metadata and <id>/<version>/<id>.<version>.nupkg.sha512, all in lower case
// (https://learn.microsoft.com/nuget/consume-packages/managing-the-global-packages-and-cache-folders;
// NuGet.Packaging, VersionFolderPathResolver).
func isNuGetPackage(base, _ string) bool {
	return base == ".nupkg.metadata" || strings.HasSuffix(base, ".nupkg.sha512")
}

// readNuGetPackage reads the two files (https://github.com/NuGet/Home/wiki/Nupkg-Metadata-File). The contentHash
// of .nupkg.metadata is over the package without its signature and no digest of what a registry serves; that of
// the .nupkg stands in the other file.
func readNuGetPackage(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "NuGet")
	version, id := path.Base(path.Dir(in.Place())), path.Base(path.Dir(path.Dir(in.Place())))
	sum := id + "." + version + ".nupkg.sha512"
	metadata := path.Base(in.Path) == ".nupkg.metadata"
	if !metadata {
		switch {
		case in.HasSibling(".nupkg.metadata"):
			return nil // that file is read
		case !strings.EqualFold(path.Base(in.Path), sum):
			return nil // not in a packages folder: a file beside a .nupkg, say
		}
	} else if !nugetVersion.MatchString(version) {
		return errors.New("not in a directory <id>/<version>")
	}
	var ev rapsheet.Evidence
	var bad error
	if metadata {
		ev, bad = nugetSource(l, in)
	}
	if metadata && bad == nil && ev.Origin == rapsheet.OriginUnknown {
		ev = nugetConfigured(in, id)
	}
	if b, ok := in.Sibling(sum, maxNuspec); ok {
		ev.Digests = inventory.Integrity([]string{"sha512-" + strings.TrimSpace(string(b))})
	}
	own, ownVersion := id, version
	if b, ok := in.Sibling(id+".nuspec", maxNuspec); ok {
		if n, err := parseNuspec(b); err == nil {
			own, ownVersion = n.ID, n.Version
		}
	}
	if !strings.EqualFold(own, id) || !l.Ecosystem.EqualVersion(ownVersion, version) {
		out.Note(rapsheet.NoteInfo, 0, "calls itself %q where %q is installed: both were looked up", own+"."+ownVersion, id+"."+version)
		if err := l.Add(own, ownVersion, 0, ev); err != nil {
			return l.End(err)
		}
		own = id
	}
	if err := l.Add(own, version, 0, ev); err != nil {
		return l.End(err)
	}
	return l.End(bad)
}

// nugetConfigured is the evidence of a package that nothing is written down of, by the sources that the user restores from. Which
// project it was restored for, and from which of that project's sources, is not known.
func nugetConfigured(in *inventory.File, id string) rapsheet.Evidence {
	folder := path.Dir(path.Dir(path.Dir(in.Rel)))
	sources := in.Once("nuget's sources above "+folder, func() any { return nugetconfig.User(in, folder) }).(*nugetconfig.Sources)
	return sources.Evidence(id)
}

// nugetSource is the evidence of .nupkg.metadata: version 1 has the hash, version 2 (NuGet 5.9) the source too,
// a URL or a directory (https://learn.microsoft.com/nuget/concepts/troubleshooting-installed-packages).
func nugetSource(l *inventory.List, in *inventory.File) (rapsheet.Evidence, error) {
	b, err := bounded.ReadAll(in.R, maxNuspec, "file")
	if err != nil {
		return rapsheet.Evidence{}, err
	}
	var m struct {
		Version int    `json:"version"`
		Source  string `json:"source"`
	}
	if inventory.DecodeJSON(b, &m) != nil {
		return rapsheet.Evidence{}, errors.New("not the JSON that NuGet writes: where the package came from was not read")
	}
	switch {
	case m.Version != 1 && m.Version != 2:
		return rapsheet.Evidence{}, fmt.Errorf("version %d of .nupkg.metadata is not known: where the package came from was not read", m.Version)
	case m.Source == "":
		return rapsheet.Evidence{}, nil
	case strings.Contains(m.Source, "://"):
		return l.Registry(m.Source), nil
	}
	return inventory.Local(m.Source), nil
}

// isNuGetHTTPCache matches a source's directory in http-cache, which Windows calls v3-cache:
// <40 hex digits>$<end of the source's URL> (NuGet.Protocol, HttpCacheUtility and CachingUtility).
func isNuGetHTTPCache(dir string) bool {
	base := path.Base(dir)
	return len(base) > 40 && base[40] == '$' && hexDigits(base[:40])
}

// isNuGetResponse matches a package among the responses; list_<id>.dat and others are only knowledge.
func isNuGetResponse(base, _ string) bool {
	return strings.HasPrefix(base, "nupkg_") && strings.HasSuffix(base, ".dat")
}

// isNupkg matches packages where NuGet for packages.config installs them, packages/<Id>.<Version>/<Id>.<Version>.nupkg
// (NuGet.Packaging, PackagePathResolver), and those that the SDK brings to have them offline, library-packs/.
func isNupkg(base, file string) bool {
	stem, ok := strings.CutSuffix(base, ".nupkg")
	if !ok {
		return false
	}
	dir := path.Base(path.Dir(file))
	return strings.EqualFold(dir, stem) || dir == "library-packs"
}

// readNupkg reads a package: what its nuspec calls it, and what NuGet called the file.
func readNupkg(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "NuGet")
	stem, cached := strings.CutPrefix(path.Base(in.Path), "nupkg_")
	stem = strings.TrimSuffix(strings.TrimSuffix(stem, ".dat"), ".nupkg")
	var ev rapsheet.Evidence
	if cached {
		ev = nugetCacheOrigin(l, path.Base(path.Dir(in.Place())))
	}
	var n nuspec
	at, size, done, err := in.Random(ctx)
	if err == nil {
		defer done()
		if ev.Digests, err = in.Digests(at, size); err == nil {
			n, err = readNuspec(at, size)
		}
	}
	if err == nil {
		if err := l.Add(n.ID, n.Version, 0, ev); err != nil {
			return l.End(err)
		}
		if len(stem) > len(n.ID) && stem[len(n.ID)] == '.' && strings.EqualFold(stem[:len(n.ID)], n.ID) &&
			l.Ecosystem.EqualVersion(stem[len(n.ID)+1:], n.Version) {
			return l.End(nil)
		}
		out.Note(rapsheet.NoteInfo, 0, "calls itself %q where NuGet fetched %q: both were looked up", n.ID+"."+n.Version, stem)
	}
	for _, c := range nugetNames(stem) {
		if err := l.Add(c[0], c[1], 0, ev); err != nil {
			return l.End(err)
		}
	}
	return l.End(err)
}

// nugetCacheOrigin reads the source out of its directory's name. The name ends with the last 32 characters of the
// URL, which may not be a host; but the hash is that of the URL, so nuget.org's is told. It is the
// first 20 bytes of the SHA-256, and was the bytes of the SHA-1 in reverse.
func nugetCacheOrigin(l *inventory.List, dir string) rapsheet.Evidence {
	new, old := sha256.Sum256([]byte(nugetOrg)), sha1.Sum([]byte(nugetOrg))
	slices.Reverse(old[:])
	if hash, _, _ := strings.Cut(dir, "$"); hash == hex.EncodeToString(new[:20]) || hash == hex.EncodeToString(old[:]) {
		return l.Registry(nugetOrg)
	}
	return rapsheet.Evidence{}
}

// nugetVersion is a version as NuGet writes it in paths.
var nugetVersion = regexp.MustCompile(`^[0-9]+(\.[0-9]+){0,3}(-[0-9A-Za-z.-]+)?$`)

// nugetNames splits <id>.<version> in every way that is possible, at most 16: "a.1.2.3.4" is a 1.2.3.4 or a.1 2.3.4.
// Versions have three numbers, or four of which the last is not 0; only older files may have less.
func nugetNames(stem string) (all [][2]string) {
	var short [][2]string
	for i := 1; i+1 < len(stem) && len(all) < 16 && i < 256; i++ {
		if stem[i] != '.' || stem[i+1] < '0' || stem[i+1] > '9' || !nugetVersion.MatchString(stem[i+1:]) {
			continue
		}
		split := [2]string{stem[:i], stem[i+1:]}
		numbers, _, _ := strings.Cut(split[1], "-")
		switch n := strings.Count(numbers, "."); {
		case n == 2 || n == 3 && !strings.HasSuffix(numbers, ".0"):
			all = append(all, split)
		case len(short) == 0:
			short = append(short, split)
		}
	}
	if len(all) == 0 {
		return short
	}
	return all
}

// nuspec is what a package's manifest says it is (https://learn.microsoft.com/nuget/reference/nuspec).
type nuspec struct{ ID, Version string }

// readNuspec reads the manifest of a .nupkg: the .nuspec in the root of the zip.
func readNuspec(at io.ReaderAt, size int64) (nuspec, error) {
	files, err := listZip(at, size)
	if err != nil {
		return nuspec{}, err
	}
	for _, f := range files {
		if strings.Contains(f.Name, "/") || !strings.EqualFold(path.Ext(f.Name), ".nuspec") {
			continue
		}
		b, err := readZipped(f, maxNuspec)
		if err != nil {
			return nuspec{}, err
		}
		return parseNuspec(b)
	}
	return nuspec{}, errors.New("a package without a .nuspec")
}

// parseNuspec reads UTF-8, and UTF-16 with a byte order mark.
func parseNuspec(b []byte) (n nuspec, err error) {
	if b, err = (&inventory.File{R: bytes.NewReader(b)}).AnyText(); err != nil {
		return nuspec{}, err
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = func(charset string, r io.Reader) (io.Reader, error) {
		if strings.EqualFold(charset, "utf-16") {
			return r, nil // it was
		}
		return nil, errors.New("not UTF-8")
	}
	var open []string
	for n.ID == "" || n.Version == "" {
		t, err := d.RawToken()
		if err != nil {
			return nuspec{}, errors.New("a .nuspec without id and version")
		}
		switch t := t.(type) {
		case xml.Directive:
			return nuspec{}, errors.New("a .nuspec with a document type: not read")
		case xml.StartElement:
			if open = append(open, t.Name.Local); len(open) > inventory.MaxNesting {
				return nuspec{}, fmt.Errorf("a .nuspec nested deeper than %d", inventory.MaxNesting)
			}
		case xml.EndElement:
			open = open[:max(0, len(open)-1)]
		case xml.CharData:
			if len(open) != 3 || !strings.EqualFold(open[1], "metadata") {
				continue
			}
			switch strings.ToLower(open[2]) {
			case "id":
				n.ID += strings.TrimSpace(string(t))
			case "version":
				n.Version += strings.TrimSpace(string(t))
			}
		}
	}
	n.Version, _, _ = strings.Cut(n.Version, "+")
	return n, nil
}
