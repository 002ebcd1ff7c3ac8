package installed

import (
	"bytes"
	"context"
	"errors"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// isCargoChecksum matches the file that each crate has in a directory that cargo vendor made, or a distribution.
func isCargoChecksum(base, _ string) bool { return base == ".cargo-checksum.json" }

// readCargoVendor reads one crate of a directory source
// (https://doc.rust-lang.org/cargo/reference/source-replacement.html#directory-sources). Its .cargo-checksum.json has
// the digest of the archive that it was extracted from, where there was one, and its Cargo.toml the name and version;
// the directory is called <name> or <name>-<version>.
func readCargoVendor(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.All()
	if err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, "crates.io")
	var sums struct {
		Package string `json:"package"`
	}
	bad := inventory.DecodeJSON(b, &sums)
	var ev rapsheet.Evidence
	if sums.Package != "" {
		ev.Digests = inventory.Integrity([]string{"sha256:" + sums.Package})
	}
	manifest, _ := in.Sibling("Cargo.toml", maxManifest)
	name, version := cargoPackage(manifest)
	if name != "" {
		if err := l.Add(name, version, 0, ev); err != nil {
			return l.End(err)
		}
	}
	at := path.Base(path.Dir(in.Path))
	if at == name || at == name+"-"+version {
		return l.End(bad)
	}
	if at == "." || at == "/" {
		if name == "" {
			return l.End(errors.New("the crate has no name: its Cargo.toml is not there, or not what cargo package writes"))
		}
		return l.End(bad)
	}
	atVersion := version
	for i := 1; i < len(at); i++ {
		if number, rest, dotted := strings.Cut(at[i+1:], "."); at[i] == '-' && dotted && digits(number) && rest != "" {
			at, atVersion = at[:i], at[i+1:]
			break
		}
	}
	if err := also(l, name, at, atVersion, ev); err != nil {
		return l.End(err)
	}
	return l.End(bad)
}

// cargoPackage gives name and version of a Cargo.toml as cargo package writes it: one key in a line. Of others it
// gives what it understands.
func cargoPackage(b []byte) (name, version string) {
	inPackage := false
	for line := range bytes.Lines(bytes.TrimPrefix(b, inventory.BOM)) {
		text := strings.TrimSpace(string(line))
		if strings.HasPrefix(text, "[") {
			inPackage = text == "[package]"
			continue
		}
		key, value, ok := strings.Cut(text, "=")
		if !ok || !inPackage {
			continue
		}
		value, quoted := strings.CutPrefix(strings.TrimSpace(value), `"`)
		value, _, ended := strings.Cut(value, `"`)
		if !quoted || !ended || strings.Contains(value, `\`) {
			continue
		}
		switch strings.TrimSpace(key) {
		case "name":
			name = value
		case "version":
			version = value
		}
	}
	return name, version
}

// digits reports whether s is a number.
func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
