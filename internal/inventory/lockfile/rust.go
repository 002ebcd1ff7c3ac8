package lockfile

import (
	"context"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// readCargoLock reads Cargo.lock, versions 1 to 4
// (https://doc.rust-lang.org/cargo/guide/cargo-toml-vs-cargo-lock.html; the
// source's grammar is that of package ids, .../reference/pkgid-spec.html). A
// package without a source lies in the workspace or at a path. Version 1 keeps
// the checksums in a table at the end.
func readCargoLock(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	doc, at, err := readTOMLFile(in, "package")
	if err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, "crates.io")
	sums := doc.Table("metadata")
	packages := doc.Tables("package")
	for i, p := range packages {
		name, version, source := p.Text("name"), p.Text("version"), p.Text("source")
		ev := cargoOrigin(l, source)
		sum := p.Text("checksum")
		if sum == "" {
			sum = sums.Text("checksum " + name + " " + version + " (" + source + ")")
		}
		if sum != "" {
			ev.Digests = inventory.Integrity([]string{"sha256:" + sum})
		}
		if err := l.Add(name, version, lineAt(at, i, len(packages)), ev); err != nil {
			return l.End(err)
		}
	}
	return l.End(nil)
}

func cargoOrigin(l *inventory.List, source string) rapsheet.Evidence {
	kind, at, _ := strings.Cut(source, "+")
	switch kind {
	case "":
		return rapsheet.Evidence{Origin: rapsheet.OriginFile}
	case "path", "directory", "local-registry":
		return inventory.Local(strings.TrimPrefix(at, "file://"))
	case "git":
		return l.Git(source)
	}
	return l.Registry(source)
}
