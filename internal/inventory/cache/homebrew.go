package cache

import (
	"context"
	"io/fs"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet/internal/inventory"
)

// homebrewKinds are what Homebrew has installed in a prefix, Cellar/<formula>/<version> and Caskroom/<cask>, and what
// it has downloaded (https://docs.brew.sh/Formula-Cookbook#homebrew-terminology). OSV has no ecosystem for it: one
// note for each of the three counts what is there. The note comes with the first of the files that all of them have.
func homebrewKinds() []inventory.Kind {
	return []inventory.Kind{
		{Name: "homebrew-cellar", Dir: isCellar, Match: isBrewReceipt, Read: readCellar},
		{Name: "homebrew-caskroom", Dir: isCaskroom, Match: isCaskConfig, Read: readCaskroom},
		{Name: "homebrew-cache", Dir: isBrewCache, Match: isBrewDownload, Read: readBrewCache},
	}
}

const (
	brewReceipt = "INSTALL_RECEIPT.json"
	caskConfig  = ".metadata/config.json"
)

// isCellar matches …/Cellar/<formula>/<version>.
func isCellar(dir string) bool { return path.Base(path.Dir(path.Dir(dir))) == "Cellar" }

func isBrewReceipt(base, _ string) bool { return base == brewReceipt }

// isCaskroom matches …/Caskroom/<cask>/.metadata.
func isCaskroom(dir string) bool {
	above, is := strings.CutSuffix(dir, "/.metadata")
	return is && path.Base(path.Dir(above)) == "Caskroom"
}

func isCaskConfig(base, _ string) bool { return base == "config.json" }

// readCellar counts formulae by version.
func readCellar(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	return brewNote(ctx, in, out, path.Dir(path.Dir(path.Dir(in.Rel))), "versions of Homebrew's formulae", func(cellar string) (all []string) {
		for _, formula := range in.Subdirectories(cellar) {
			for _, version := range in.Subdirectories(path.Join(cellar, formula)) {
				all = append(all, path.Join(cellar, formula, version, brewReceipt))
			}
		}
		return all
	})
}

// readCaskroom counts casks.
func readCaskroom(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	return brewNote(ctx, in, out, path.Dir(path.Dir(path.Dir(in.Rel))), "Homebrew's casks", func(caskroom string) (all []string) {
		for _, cask := range in.Subdirectories(caskroom) {
			all = append(all, path.Join(caskroom, cask, caskConfig))
		}
		return all
	})
}

// isBrewCache matches …/Homebrew/downloads, in ~/Library/Caches or ~/.cache.
func isBrewCache(dir string) bool { return strings.HasSuffix(dir, "/Homebrew/downloads") }

// isBrewDownload matches <SHA-256 of the URL>--<name>.
func isBrewDownload(base, _ string) bool {
	return len(base) > 66 && base[64:66] == "--" && strings.Trim(base[:64], "0123456789abcdef") == ""
}

// readBrewCache counts downloads.
func readBrewCache(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	return brewNote(ctx, in, out, path.Dir(in.Rel), "downloads of Homebrew", func(dir string) (all []string) {
		list, err := fs.ReadDir(in.FS, dir)
		if err != nil {
			return nil
		}
		for _, e := range list {
			if isBrewDownload(e.Name(), "") && e.Type().IsRegular() {
				all = append(all, path.Join(dir, e.Name()))
			}
		}
		return all
	})
}

// brewNote sends the note about what list finds in dir, with the first of its files that is there. A walk that
// begins below dir cannot see the others, and gets one for each.
func brewNote(ctx context.Context, in *inventory.File, out *inventory.Sink, dir, what string, list func(dir string) []string) error {
	l := inventory.NewList(ctx, out, "")
	what += ": an ecosystem without records"
	if in.FS == nil || !strings.HasPrefix(in.Rel, dir+"/") && dir != "." {
		l.Unmatchable(0, 1, what)
		return l.End(nil)
	}
	all := in.Once("homebrew "+dir, func() any { return present(in, list(dir)) }).([]string)
	switch {
	case len(all) == 0:
		l.Unmatchable(0, 1, what)
	case all[0] == in.Rel:
		l.Unmatchable(0, len(all), what)
	}
	return l.End(nil)
}

// present gives those of the files that are there.
func present(in *inventory.File, names []string) []string {
	var all []string
	for _, name := range names {
		if _, err := fs.Stat(in.FS, name); err == nil {
			all = append(all, name)
		}
	}
	return all
}
