package installed

import (
	"context"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// isGHCPackage matches a package registered with GHC: <name>-<version>[-<hash>].conf in package.conf.d of GHC itself
// and of distributions, package.db of cabal's store, and pkgdb of stack's snapshots
// (https://downloads.haskell.org/ghc/latest/docs/users_guide/packages.html#package-databases).
func isGHCPackage(base, file string) bool {
	if !strings.HasSuffix(base, ".conf") {
		return false
	}
	switch path.Base(path.Dir(file)) {
	case "package.conf.d", "package.db", "pkgdb":
		return true
	}
	return false
}

// readGHCPackage reads a registration: fields, of which a value may stand on the next line
// (the same page, "InstalledPackageInfo: a package specification"). Which repository it was built from is not said.
func readGHCPackage(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	field := map[string]string{"name": "", "version": "", "package-name": ""}
	key := ""
	if err := inventory.Lines(b, func(_ int, line string) error {
		value := line
		if line != "" && line[0] != ' ' && line[0] != '\t' {
			key, value, _ = strings.Cut(line, ":")
			key = strings.ToLower(key)
		}
		if seen, ok := field[key]; ok && seen == "" {
			field[key] = strings.TrimSpace(value)
		}
		return nil
	}); err != nil {
		return err
	}
	// A library inside a package is called z-<package>-z-<library> and says whose it is.
	name := field["name"]
	if p := field["package-name"]; p != "" {
		name = p
	}
	l := inventory.NewList(ctx, out, "Hackage")
	return l.End(l.Add(name, field["version"], 0, rapsheet.Evidence{}))
}
