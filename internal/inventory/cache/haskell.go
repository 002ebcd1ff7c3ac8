package cache

import (
	"context"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

func haskellKinds() []inventory.Kind {
	return []inventory.Kind{{Name: "cabal-packages", Match: isCabalTarball, Read: readCabalTarball}}
}

// isCabalTarball matches a source archive that cabal keeps: packages/<repository>/<name>/<version>/<name>-<version>.tar.gz
// in ~/.cabal or ~/.cache/cabal (haskell/cabal, Distribution.Client.FetchUtils, packageFile).
func isCabalTarball(base, file string) bool {
	stem, ok := strings.CutSuffix(base, ".tar.gz")
	if !ok {
		return false
	}
	dir := path.Dir(file)
	above := path.Dir(dir)
	return stem == path.Base(above)+"-"+path.Base(dir) && path.Base(path.Dir(path.Dir(above))) == "packages"
}

// readCabalTarball reads an archive's path. A repository goes by its name in cabal's configuration.
func readCabalTarball(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "Hackage")
	dir := path.Dir(in.Place())
	above := path.Dir(dir)
	ev := rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: strings.ToLower(path.Base(path.Dir(above)))}
	if l.Ecosystem.PublicHost(ev.Host) {
		ev = l.Registry("https://" + ev.Host)
	}
	var err error
	ev.Digests, err = in.ContentDigests(ctx)
	if addErr := l.Add(path.Base(above), path.Base(dir), 0, ev); addErr != nil {
		return l.End(addErr)
	}
	return l.End(err)
}
