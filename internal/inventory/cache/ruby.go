package cache

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// maxGemMetadata bounds the specification in a gem, in bytes as it is compressed and as it is not; maxGemEntries the
// entries of a gem that are looked at: it has three or four.
const (
	maxGemMetadata = 16 << 20
	maxGemEntries  = 64
)

func rubyKinds() []inventory.Kind {
	return []inventory.Kind{{Name: "gem-cache", Dir: isGemCache, Match: isGem, Read: readGem}}
}

// isGemCache matches where archives of gems are kept: cache/ of every gem directory (Gem.dir), a project's
// vendor/cache (`bundle cache`), and Bundler's ~/.bundle/cache/gems/<source>/ (its setting global_gem_cache).
func isGemCache(dir string) bool {
	if strings.HasSuffix(dir, "/cache") {
		return true
	}
	_, source, ok := cutAtLast(dir, "/cache/gems/")
	return ok && !strings.Contains(source, "/")
}

func isGem(base, _ string) bool { return strings.HasSuffix(base, ".gem") }

// readGem reads an archive: what its specification says it is, and what it was fetched as,
// name-version[-platform].gem. Gem directories do not record the source.
func readGem(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "RubyGems")
	stem := strings.TrimSuffix(path.Base(in.Path), ".gem")
	ev := gemSource(l, path.Base(path.Dir(in.Place())))
	var name, version string
	at, size, done, err := in.Random(ctx)
	if err == nil {
		defer done()
		if ev.Digests, err = in.Digests(at, size); err == nil {
			name, version, err = gemMetadata(io.NewSectionReader(at, 0, size))
		}
	}
	if err == nil {
		if err := l.Add(name, version, 0, ev); err != nil {
			return l.End(err)
		}
		full := name + "-" + version
		if stem == full || strings.HasPrefix(stem, full+"-") {
			return l.End(nil)
		}
	}
	asked, askedVersion := gemNameVersion(stem)
	if err == nil {
		out.Note(rapsheet.NoteInfo, 0, "calls itself %q where %q was fetched: both were looked up", name, asked)
	}
	if addErr := l.Add(asked, askedVersion, 0, ev); addErr != nil {
		return l.End(addErr)
	}
	return l.End(err)
}

// gemSource reads the source out of the name of its directory in Bundler's cache: host, user if any, port and MD5 of
// those and the path, with dots between (bundler/source/rubygems/remote.rb, cache_slug). A source with a user, or with
// a path, is not told.
func gemSource(l *inventory.List, dir string) rapsheet.Evidence {
	rest, sum, _ := cutAtLast(dir, ".")
	host, port, ok := cutAtLast(rest, ".")
	if !ok || len(sum) != 32 {
		return rapsheet.Evidence{}
	}
	for _, root := range []string{"/", ""} {
		if want := md5.Sum([]byte(rest + "." + root)); hex.EncodeToString(want[:]) == sum {
			return l.Registry("https://" + host + ":" + port + "/")
		}
	}
	return rapsheet.Evidence{}
}

// The lines of a specification as rubygems writes it (Gem::Specification#to_yaml).
var (
	gemYAMLName    = regexp.MustCompile(`(?m)^name: ['"]?([^\s'"]+)['"]?\s*$`)
	gemYAMLVersion = regexp.MustCompile(`(?m)^version: !ruby/object:Gem::Version\s*\n  version: ['"]?([^\s'"]+)['"]?\s*$`)
)

// gemMetadata reads the specification of a gem, a tar of metadata.gz, data.tar.gz and checksums
// (Gem::Package). Gems of before 2007 are another format.
func gemMetadata(r io.Reader) (name, version string, err error) {
	t := tar.NewReader(r)
	for range maxGemEntries {
		h, err := t.Next()
		if err != nil {
			return "", "", errors.New("not a gem: no metadata in it")
		}
		if h.Name != "metadata.gz" {
			continue
		}
		z, err := gzip.NewReader(bounded.Reader(t, maxGemMetadata, "metadata.gz"))
		if err != nil {
			return "", "", errors.New("metadata.gz is not gzip")
		}
		b, err := bounded.ReadAll(z, maxGemMetadata, "metadata.gz")
		if err != nil {
			return "", "", err
		}
		n, v := gemYAMLName.FindSubmatch(b), gemYAMLVersion.FindSubmatch(b)
		if n == nil || v == nil {
			return "", "", errors.New("metadata.gz says neither name nor version")
		}
		return string(n[1]), string(v[1]), nil
	}
	return "", "", errors.New("not a gem: no metadata in it")
}

// gemVersioned splits name-version[-platform] before the first "-" that a version follows.
var gemVersioned = regexp.MustCompile(`^(.+?)-(\d+(?:\.[0-9A-Za-z]+)*)(?:-|$)`)

func gemNameVersion(stem string) (name, version string) {
	if m := gemVersioned.FindStringSubmatch(stem); m != nil {
		return m[1], m[2]
	}
	return stem, ""
}
