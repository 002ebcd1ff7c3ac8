package installed

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet/internal/inventory"
)

// condaPackages is what environment.yml's reader says, too: what comes from PyPI in an environment is in its
// site-packages.
const condaPackages = "conda packages: an ecosystem without records"

// isCondaHistory matches the file by which conda tells an environment: conda-meta/history (conda's PREFIX_MAGIC_FILE).
func isCondaHistory(base, file string) bool {
	return base == "history" && path.Base(path.Dir(file)) == "conda-meta"
}

// isCondaCache matches the file by which conda tells a cache of packages: pkgs/urls.txt (PACKAGE_CACHE_MAGIC_FILE).
func isCondaCache(base, file string) bool {
	return base == "urls.txt" && path.Base(path.Dir(file)) == "pkgs"
}

// readConda counts the packages of an environment, conda-meta/<name>-<version>-<build>.json each, or of a cache:
// <name>-<version>-<build> each, a directory with info/index.json, or the archive that it was unpacked from.
func readConda(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "conda")
	if in.FS == nil {
		return errors.New("the directory around it cannot be read")
	}
	dir := path.Dir(in.Rel)
	packages := map[string]bool{}
	err := eachEntry(ctx, in, dir, func(e fs.DirEntry) {
		name, isPackage := strings.CutSuffix(e.Name(), ".json")
		if path.Base(in.Path) == "urls.txt" {
			name, isPackage = condaArchive(e.Name())
			if e.IsDir() {
				_, err := fs.Stat(in.FS, path.Join(dir, name, "info", "index.json"))
				isPackage = err == nil
			}
		}
		if isPackage && strings.Count(name, "-") >= 2 {
			packages[name] = true
		}
	})
	if len(packages) > 0 {
		l.Unmatchable(0, len(packages), condaPackages)
	}
	return l.End(err)
}

// condaArchive takes the ending of one of conda's archives off.
func condaArchive(name string) (string, bool) {
	for _, ext := range []string{".conda", ".tar.bz2"} {
		if stem, ok := strings.CutSuffix(name, ext); ok {
			return stem, true
		}
	}
	return name, false
}

// maxEntries bounds the entries of a directory that are looked at.
const maxEntries = 200_000

// eachEntry calls each for the entries of a directory of the tree.
func eachEntry(ctx context.Context, in *inventory.File, dir string, each func(fs.DirEntry)) error {
	f, err := in.FS.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	d, ok := f.(fs.ReadDirFile)
	if !ok {
		return errors.New("no directory")
	}
	for n := 0; n <= maxEntries; {
		list, err := d.ReadDir(1024)
		for _, e := range list {
			each(e)
		}
		if n += len(list); errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	return errors.New("more entries than are looked at: the rest was not counted")
}
