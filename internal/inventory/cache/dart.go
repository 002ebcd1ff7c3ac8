package cache

import (
	"context"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// maxPubspec bounds a pubspec.yaml, in bytes.
const maxPubspec = 4 << 20

func dartKinds() []inventory.Kind {
	return []inventory.Kind{{Name: "pub-cache", Dir: isPubPackage, Match: isPubspec, Read: readPubspec}}
}

// isPubPackage matches a package in pub's cache, from which projects use it: hosted/<host>/<name>-<version>, and
// git/<name>-<commit> (https://github.com/dart-lang/pub/blob/master/doc/cache_layout.md). git/cache has mirrors.
func isPubPackage(dir string) bool {
	if _, hosted, ok := cutAtLast(dir, "/hosted/"); ok {
		host, name, _ := strings.Cut(hosted, "/")
		return host != "" && strings.Contains(name, "-") && !strings.Contains(name, "/")
	}
	root, name, ok := cutAtLast(dir, "/git/")
	return ok && isPubCache(root) && pubCommit(name)
}

// isPubCache reports whether a directory is the cache: ~/.pub-cache, %LOCALAPPDATA%\Pub\Cache, or $PUB_CACHE, which
// may be called anything and is known by its hosted/ only.
func isPubCache(dir string) bool {
	return path.Base(dir) == ".pub-cache" || strings.HasSuffix(dir, "/Pub/Cache")
}

func pubCommit(name string) bool {
	_, commit, ok := cutAtLast(name, "-")
	return ok && len(commit) == 40 && hexDigits(commit)
}

func isPubspec(base, _ string) bool { return base == "pubspec.yaml" }

// The members of a pubspec that say what it is (https://dart.dev/tools/pub/pubspec).
var (
	pubspecName    = regexp.MustCompile(`(?m)^name:[ \t]*['"]?([0-9A-Za-z_]+)['"]?[ \t]*(?:#.*)?\r?$`)
	pubspecVersion = regexp.MustCompile(`(?m)^version:[ \t]*['"]?([0-9A-Za-z.+-]+)['"]?[ \t]*(?:#.*)?\r?$`)
)

// readPubspec reads what a cached package is called, and what it was fetched as: the directory.
func readPubspec(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "Pub")
	dir := path.Dir(in.Place())
	base, host := path.Base(dir), path.Base(path.Dir(dir))
	hosted := path.Base(path.Dir(path.Dir(dir))) == "hosted"
	var name, version string
	b, bad := bounded.ReadAll(in.R, maxPubspec, "file")
	if m := pubspecName.FindSubmatch(b); m != nil {
		name = string(m[1])
	}
	if m := pubspecVersion.FindSubmatch(b); m != nil {
		version = string(m[1])
	}
	if !hosted {
		// What a repository calls it is all there is: the directory is called by the repository.
		asked, _, _ := cutAtLast(base, "-")
		if name == "" {
			name = asked
		}
		if err := l.Add(name, version, 0, rapsheet.Evidence{Origin: rapsheet.OriginGit}); err != nil {
			return l.End(err)
		}
		return l.End(bad)
	}
	ev := l.Registry("https://" + pubHost(host))
	// Since Dart 2.19 pub keeps the SHA-256 of the archive that it extracted.
	sums := path.Join(path.Dir(path.Dir(path.Dir(path.Dir(in.Rel)))), "hosted-hashes", host, base+".sha256")
	if sum, ok := in.ReadFile(sums, 1<<10); ok {
		ev.Digests = inventory.Integrity([]string{"sha256:" + strings.TrimSpace(string(sum))})
	}
	// A name has no "-", a version may.
	asked, askedVersion, _ := strings.Cut(base, "-")
	if name != "" && name != asked {
		out.Note(rapsheet.NoteInfo, 0, "calls itself %q where %q was fetched: both were looked up", name, asked)
		if err := l.Add(name, version, 0, ev); err != nil {
			return l.End(err)
		}
	}
	if err := l.Add(asked, askedVersion, 0, ev); err != nil {
		return l.End(err)
	}
	return l.End(bad)
}

// pubHost undoes pub's encoding of a repository's URL: no scheme for https, and "%" with the decimal code for what
// file names cannot hold (dart-lang/pub, lib/src/source/hosted.dart, _urlToDirectory).
func pubHost(dir string) string {
	var b strings.Builder
	for i := 0; i < len(dir); {
		if dir[i] == '%' {
			if n, length := pubCode(dir[i+1:]); length > 0 {
				b.WriteByte(n)
				i += 1 + length
				continue
			}
		}
		b.WriteByte(dir[i])
		i++
	}
	return strings.TrimPrefix(strings.TrimPrefix(b.String(), "http://"), "https://")
}

// pubCode reads the code of one of < > : " \ / | ? * %.
func pubCode(s string) (c byte, length int) {
	for _, length := range []int{2, 3} {
		if length > len(s) {
			break
		}
		if n, err := strconv.Atoi(s[:length]); err == nil && n < 128 && strings.IndexByte(`<>:"\/|?*%`, byte(n)) >= 0 && n > 0 {
			return byte(n), length
		}
	}
	return 0, 0
}
