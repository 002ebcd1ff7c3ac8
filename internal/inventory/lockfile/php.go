package lockfile

import (
	"bytes"
	"context"
	"path"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// composerPackage is the part of a package in composer.lock that is looked at.
type composerPackage struct {
	name, version, notify      string
	sourceType, sourceURL      string
	distType, distURL, distSum string
}

// readComposerLock reads composer.lock (https://getcomposer.org/doc/01-basic-usage.md):
// packages and packages-dev. A package's archive is served by its forge, not by
// the registry; what names the registry is notification-url, which Composer
// copies from a registry that has one. Without it, only the archive tells.
func readComposerLock(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	return readComposer(ctx, b, out)
}

// isComposerInstalled matches what Composer keeps about a vendor directory.
func isComposerInstalled(base, file string) bool {
	return base == "installed.json" && path.Base(path.Dir(file)) == "composer"
}

// readComposerInstalled reads vendor/composer/installed.json: what is installed, as composer.lock would say
// it (Composer\Repository\FilesystemRepository). Composer 1 wrote the array of packages alone.
func readComposerInstalled(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("[")) {
		b = slices.Concat([]byte(`{"packages":`), b, []byte("}"))
	}
	return readComposer(ctx, b, out)
}

func readComposer(ctx context.Context, b []byte, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "Packagist")
	err := readJSON(b, func(d *document, key string) error {
		if key != "packages" && key != "packages-dev" {
			return d.skip()
		}
		return d.array(func() error {
			var p composerPackage
			line := 0
			err := d.object(func(key string) error {
				switch key {
				case "name":
					err := d.text(&p.name)
					line = d.line()
					return err
				case "version":
					return d.text(&p.version)
				case "notification-url":
					return d.text(&p.notify)
				case "source":
					return d.composerPlace(&p.sourceType, &p.sourceURL, nil)
				case "dist":
					return d.composerPlace(&p.distType, &p.distURL, &p.distSum)
				}
				return d.skip()
			})
			if err != nil {
				return err
			}
			return l.Add(p.name, p.version, line, composerOrigin(l, p))
		})
	})
	return l.End(err)
}

func (d *document) composerPlace(kind, url, sum *string) error {
	return d.object(func(key string) error {
		switch {
		case key == "type":
			return d.text(kind)
		case key == "url":
			return d.text(url)
		case key == "shasum" && sum != nil:
			return d.text(sum)
		}
		return d.skip()
	})
}

func composerOrigin(l *inventory.List, p composerPackage) rapsheet.Evidence {
	var ev rapsheet.Evidence
	switch {
	case p.distType == "path" || p.sourceType == "path":
		return inventory.Local(p.distURL)
	case p.notify != "":
		ev = l.Registry(p.notify)
		// The registry is the evidence; what was downloaded is worth more as the URL.
		if p.distURL != "" {
			ev.URL = l.Origin(p.distURL).URL
		}
	case p.distURL != "":
		ev = l.Archive(p.distURL)
	case p.sourceURL != "":
		ev = l.Git(p.sourceURL)
	}
	if p.distSum != "" {
		ev.Digests = inventory.Integrity([]string{"sha1:" + strings.TrimSpace(p.distSum)})
	}
	return ev
}
