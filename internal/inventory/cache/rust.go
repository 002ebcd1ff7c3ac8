package cache

import (
	"context"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// rustKinds are the files of Cargo's home (https://doc.rust-lang.org/cargo/guide/cargo-home.html): crates that were
// downloaded, in registry/cache, and extracted, in registry/src. Neither the index in registry/index, which is
// knowledge, nor git/checkouts, whose directories are repositories and no crates of a registry, is read.
func rustKinds() []inventory.Kind {
	return []inventory.Kind{
		{Name: "cargo-crate", Dir: isCrateCache, Match: isCrate, Read: readCrate},
		{Name: "cargo-source", Dir: isCrateSource, Match: isCargoOK, Read: readCrateSource},
	}
}

// isCrateCache matches …/registry/cache/<index>.
func isCrateCache(dir string) bool {
	dir, _, _ = cutAtLast(dir, "/")
	return strings.HasSuffix(dir, "/registry/cache")
}

func isCrate(base, _ string) bool { return strings.HasSuffix(base, ".crate") }

// isCrateSource matches …/registry/src/<index>/<name>-<version>.
func isCrateSource(dir string) bool {
	dir, _, _ = cutAtLast(dir, "/")
	dir, _, _ = cutAtLast(dir, "/")
	return strings.HasSuffix(dir, "/registry/src")
}

// isCargoOK matches what Cargo writes when it has extracted a crate, whatever else is in that.
func isCargoOK(base, _ string) bool { return base == ".cargo-ok" }

func readCrate(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "crates.io")
	dir, base := path.Split(in.Place())
	name, version := crateVersion(strings.TrimSuffix(base, ".crate"))
	ev := crateOrigin(l, path.Base(dir))
	var hashErr error
	ev.Digests, hashErr = in.ContentDigests(ctx)
	if err := l.Add(name, version, 0, ev); err != nil {
		return l.End(err)
	}
	return l.End(hashErr)
}

func readCrateSource(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "crates.io")
	index, crate := path.Split(path.Dir(in.Place()))
	name, version := crateVersion(crate)
	return l.End(l.Add(name, version, 0, crateOrigin(l, path.Base(index))))
}

// crateVersion splits name-version. A crate's name has hyphens and digits and no dot
// (https://doc.rust-lang.org/cargo/reference/manifest.html#the-name-field), so that the version begins at the
// first hyphen before number.number.number. Both are "" where there is none.
func crateVersion(stem string) (name, version string) {
	for i := 1; i < len(stem); i++ {
		if stem[i] == '-' && beginsVersion(stem[i+1:]) {
			return stem[:i], stem[i+1:]
		}
	}
	return "", ""
}

// beginsVersion reports whether s begins with three numbers and dots between them.
func beginsVersion(s string) bool {
	for n := range 3 {
		i := 0
		for i < len(s) && '0' <= s[i] && s[i] <= '9' {
			i++
		}
		if i == 0 {
			return false
		}
		s = s[i:]
		if n < 2 {
			if s == "" || s[0] != '.' {
				return false
			}
			s = s[1:]
		}
	}
	return s == "" || s[0] == '-' || s[0] == '+'
}

// crateOrigin says which registry a directory of the cache stands for: <host of the index>-<hash of its URL>, with
// neither port nor path (github.com/rust-lang/cargo, src/cargo/sources/registry/mod.rs, short_name). The git index
// of crates.io is on github.com, and its hash depends on Cargo's version and the platform (its issue 8572): what is
// from there and not known to be crates.io is not said to be from elsewhere.
func crateOrigin(l *inventory.List, index string) rapsheet.Evidence {
	host, hash, _ := cutAtLast(index, "-")
	switch {
	case len(hash) != 16 || strings.Trim(hash, "0123456789abcdef") != "":
		return rapsheet.Evidence{}
	case host == "github.com" && hash == "1ecc6299db9ec823":
		return rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: "crates.io"}
	case host == "github.com", host == "": // the latter of a file: URL
		return rapsheet.Evidence{Origin: rapsheet.OriginRegistry}
	}
	ev := l.Registry("https://" + host + "/")
	ev.URL = "" // it is not known
	return ev
}
