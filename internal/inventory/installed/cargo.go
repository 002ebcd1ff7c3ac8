package installed

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// isCargoInstalls matches what `cargo install` keeps in its root, ~/.cargo by default.
func isCargoInstalls(base, _ string) bool { return base == ".crates2.json" || base == ".crates.toml" }

// readCargoInstalls reads .crates2.json, of which the keys are package ids: "name version (source)"
// (doc.rust-lang.org/cargo/commands/cargo-install.html; cargo's ops::CrateListingV2).
func readCargoInstalls(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	if path.Base(in.Path) == ".crates.toml" {
		return readOldCargoInstalls(ctx, in, out)
	}
	b, err := in.Text()
	if err != nil {
		return err
	}
	var crates struct {
		Installs map[string]struct{} `json:"installs"`
	}
	if err := inventory.DecodeJSON(b, &crates); err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, "crates.io")
	for _, id := range slices.Sorted(maps.Keys(crates.Installs)) {
		name, version, source := packageID(id)
		if err := l.Add(name, version, 0, l.Origin(source)); err != nil {
			return l.End(err)
		}
	}
	return l.End(nil)
}

// packageID takes "name version (source)" apart.
func packageID(id string) (name, version, source string) {
	name, rest, _ := strings.Cut(id, " ")
	version, source, _ = strings.Cut(rest, " ")
	return name, version, strings.TrimSuffix(strings.TrimPrefix(source, "("), ")")
}

// maxManifest bounds a Cargo.toml and a .crates.toml.
const maxManifest = 4 << 20

// readOldCargoInstalls reads .crates.toml, as Cargo writes it (cargo's ops::CrateListingV1): one line for each
// package, "name version (source)" = ["program"]. Beside a .crates2.json it has nothing to add.
func readOldCargoInstalls(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	if in.HasSibling(".crates2.json") {
		return nil
	}
	b, err := in.Text()
	if err != nil {
		return err
	}
	if len(b) > maxManifest {
		return fmt.Errorf("larger than the limit of %d bytes", maxManifest)
	}
	l := inventory.NewList(ctx, out, "crates.io")
	table := ""
	return l.End(inventory.Lines(b, func(n int, line string) error {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
			return nil
		case line[0] == '[':
			if table = line; table != "[v1]" {
				return inventory.AtLine(n, "a table that is not known: not read")
			}
			return nil
		}
		rest, quoted := strings.CutPrefix(line, `"`)
		id, _, ended := strings.Cut(rest, `"`)
		if !quoted || !ended || table == "" {
			return l.Add("", "", n, rapsheet.Evidence{}) // counted as what it is not
		}
		name, version, source := packageID(id)
		return l.Add(name, version, n, l.Origin(source))
	}))
}
