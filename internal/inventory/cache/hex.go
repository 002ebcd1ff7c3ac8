package cache

import (
	"context"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

func hexKinds() []inventory.Kind {
	return []inventory.Kind{{Name: "hex-packages", Dir: isHexPackages, Match: isHexTarball, Read: readHexTarball}}
}

// isHexPackages matches where Mix keeps the archives of a repository, packages/<repository> in ~/.hex or ~/.cache/hex
// (hexpm/hex, lib/hex/scm.ex, cache_path), and rebar3, hex/<repository>/packages in ~/.cache/rebar3
// (erlang/rebar3, rebar_packages.erl).
func isHexPackages(dir string) bool {
	if above, ok := strings.CutSuffix(dir, "/packages"); ok {
		return strings.HasSuffix(path.Dir(above), "/rebar3/hex")
	}
	above, repository, ok := cutAtLast(dir, "/packages/")
	return ok && !strings.Contains(repository, "/") && (strings.HasSuffix(above, "/.hex") || strings.HasSuffix(above, "/hex"))
}

func isHexTarball(base, _ string) bool {
	return strings.HasSuffix(base, ".tar") && strings.Contains(base, "-")
}

// readHexTarball reads an archive's name, <name>-<version>.tar, of which the name has no "-".
func readHexTarball(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "Hex")
	dir := path.Dir(in.Place())
	repository := path.Base(dir)
	if repository == "packages" {
		repository = path.Base(path.Dir(dir))
	}
	ev := hexRepository(l, repository)
	name, version, _ := strings.Cut(strings.TrimSuffix(path.Base(in.Path), ".tar"), "-")
	var err error
	ev.Digests, err = in.ContentDigests(ctx)
	if addErr := l.Add(name, version, 0, ev); addErr != nil {
		return l.End(addErr)
	}
	return l.End(err)
}

// hexRepository is the evidence of a repository known by name. The name stands in for the host of one that is not hexpm:
// its address is in the user's configuration.
func hexRepository(l *inventory.List, name string) rapsheet.Evidence {
	if name == "hexpm" {
		return l.Registry("https://repo.hex.pm")
	}
	return rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: strings.ToLower(name)}
}
