package cache

import (
	"context"
	"errors"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// maxComposerJSON bounds a package's composer.json, in bytes.
const maxComposerJSON = 4 << 20

func phpKinds() []inventory.Kind {
	return []inventory.Kind{{Name: "composer-files", Dir: isComposerFiles, Match: isComposerFile, Read: readComposerFile}}
}

// isComposerFiles matches a package's directory in Composer's cache-files-dir: files/<vendor>/<name>, in ~/.cache/composer,
// ~/.composer/cache, ~/Library/Caches/composer, %LOCALAPPDATA%\Composer or $COMPOSER_CACHE_DIR
// (https://getcomposer.org/doc/06-config.md#cache-files-dir). What is in repo/ and vcs/ beside it is only knowledge.
func isComposerFiles(dir string) bool {
	_, name, ok := cutAtLast(dir, "/files/")
	return ok && strings.Count(name, "/") == 1
}

// isComposerFile matches an archive, called by the SHA-1 of its URL and the type of the dist
// (Composer\Downloader\FileDownloader, cacheKeyGenerator).
func isComposerFile(base, _ string) bool {
	if len(base) < 42 || base[40] != '.' || !hexDigits(base[:40]) {
		return false
	}
	switch base[41:] {
	case "zip", "tar", "gzip", "xz", "rar", "phar", "file":
		return true
	}
	return false
}

// readComposerFile reads an archive. The cache says the package's name and nothing else; the version stands in the
// archive's composer.json, if there, which it seldom is (https://getcomposer.org/doc/04-schema.md#version).
func readComposerFile(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "Packagist")
	dir := path.Dir(in.Place())
	name := path.Base(path.Dir(dir)) + "/" + path.Base(dir)
	var ev rapsheet.Evidence
	var own composerJSON
	zip := strings.HasSuffix(in.Path, ".zip")
	if !zip && !in.Hash {
		return l.End(l.Add(name, "", 0, ev))
	}
	at, size, done, err := in.Random(ctx)
	if err == nil {
		defer done()
		if ev.Digests, err = in.Digests(at, size); err == nil && zip {
			var files []*zipFile
			if files, err = listZip(at, size); err == nil {
				own, err = readComposerJSON(files)
			}
		}
	}
	if own.Name != "" && !strings.EqualFold(own.Name, name) {
		out.Note(rapsheet.NoteInfo, 0, "calls itself %q where %q was fetched: both were looked up", own.Name, name)
		if err := l.Add(own.Name, own.Version, 0, ev); err != nil {
			return l.End(err)
		}
	}
	if addErr := l.Add(name, own.Version, 0, ev); addErr != nil {
		return l.End(addErr)
	}
	return l.End(err)
}

type composerJSON struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// readComposerJSON reads the composer.json in the root of an archive, or in the one directory there that forges put
// everything into.
func readComposerJSON(files []*zipFile) (c composerJSON, err error) {
	for _, f := range files {
		if path.Base(f.Name) != "composer.json" || strings.Count(f.Name, "/") > 1 {
			continue
		}
		b, err := readZipped(f, maxComposerJSON)
		if err != nil {
			return composerJSON{}, err
		}
		if inventory.DecodeJSON(b, &c) != nil {
			return composerJSON{}, errors.New("composer.json in the archive is not what it should be")
		}
		return c, nil
	}
	return composerJSON{}, nil // packages need none in their archives
}
