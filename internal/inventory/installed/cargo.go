package installed

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet/internal/inventory"
)

// isCargoInstalls matches what `cargo install` keeps in its root, ~/.cargo by default.
func isCargoInstalls(base, _ string) bool { return base == ".crates2.json" }

// readCargoInstalls reads .crates2.json, of which the keys are package ids: "name version (source)"
// (doc.rust-lang.org/cargo/commands/cargo-install.html; cargo's ops::CrateListingV2). The older .crates.toml
// beside it says the same.
func readCargoInstalls(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	var crates struct {
		Installs map[string]struct{} `json:"installs"`
	}
	if err := decode(b, &crates); err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, "crates.io")
	for _, id := range slices.Sorted(maps.Keys(crates.Installs)) {
		name, rest, _ := strings.Cut(id, " ")
		version, source, _ := strings.Cut(rest, " ")
		source = strings.TrimSuffix(strings.TrimPrefix(source, "("), ")")
		if err := l.Add(name, version, 0, l.Origin(source)); err != nil {
			return l.End(err)
		}
	}
	return l.End(nil)
}
