package cache

import (
	"context"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// isBunPackage matches the directory of a package in bun's cache, wherever the cache is; see [bunPackage].
func isBunPackage(dir string) bool {
	_, name := cutLast(dir)
	return strings.Contains(name, "@@@") || strings.HasPrefix(name, "@G@")
}

// bunPackage reads the name of a directory in bun's cache, which for a scoped package is below that of the scope
// (github.com/oven-sh/bun, src/install/PackageManager/PackageManagerDirectories.zig):
//
//	name@1.0.0@@@1                 from the default registry
//	name@1.0.0@@host@@@1           from another, whose host has up to 32 letters
//	name@1.0.0@@host__hash@@@1     and of which only the first 12 letters are kept
//	@T@hash@@@1                    an archive from anywhere
//	@GH@owner-repository-commit@@@1, @G@commit
//
// In place of what is behind "-" or "+" in a version there is a hash. Ports are left out.
func bunPackage(scope, name string) (called, rapsheet.Evidence) {
	if strings.HasPrefix(name, "@GH@") || strings.HasPrefix(name, "@G@") {
		return called{}, rapsheet.Evidence{Origin: rapsheet.OriginGit}
	}
	rest, _, ok := strings.Cut(name, "@@@1")
	if !ok || strings.HasPrefix(name, "@T@") {
		return called{}, rapsheet.Evidence{}
	}
	rest, host, elsewhere := strings.Cut(rest, "@@")
	ev := rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: "registry.npmjs.org"}
	if elsewhere {
		visible, _, cut := strings.Cut(host, "__")
		if cut && len(visible) >= 12 {
			visible = "" // the beginning of a host
		}
		ev.Host = ecosystem.Origin(nil, "https://"+visible+"/-/").Host
	}
	known := splitSpec(rest)
	if known.Version == "" {
		return called{}, ev
	}
	if strings.HasPrefix(scope, "@") {
		known.Name = scope + "/" + known.Name
	}
	if strings.ContainsAny(known.Version, "-+") {
		known.Version = ""
	}
	return known, ev
}

// readBunPackage reads the package.json of a package in bun's cache. The answers of registries (*.npm) in there are no
// packages.
func readBunPackage(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	dir := path.Dir(in.Path)
	known, ev := bunPackage(path.Base(path.Dir(dir)), path.Base(dir))
	var own called
	b, err := in.All()
	if err == nil {
		err = inventory.DecodeJSON(b, &own)
	}
	l := inventory.NewList(ctx, out, "npm")
	if sent := sendCalled(l, own, known, ev); sent != nil {
		return l.End(sent)
	}
	return l.End(err)
}
