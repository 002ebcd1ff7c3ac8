package installed

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// maxReceipt bounds uv-receipt.toml, and maxReceiptDots the dots in one line of it: the parser copies a dotted key
// for each of its parts.
const (
	maxReceipt     = 1 << 20
	maxReceiptDots = 4096
)

// isPipxMetadata matches what pipx keeps at the root of each of its environments: venvs/<name>/pipx_metadata.json.
func isPipxMetadata(base, _ string) bool { return base == "pipx_metadata.json" }

// pipxPackage is PackageInfo of pipx (src/pipx/pipx_metadata_file.py).
type pipxPackage struct {
	Name    string   `json:"package"`
	Spec    string   `json:"package_or_url"`
	Version string   `json:"package_version"`
	Args    []string `json:"pip_args"`
}

// readPipxMetadata reads what pipx was asked to install. Everything it brought with it is in the environment's own
// site-packages.
func readPipxMetadata(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	var m struct {
		Main     pipxPackage            `json:"main_package"`
		Injected map[string]pipxPackage `json:"injected_packages"`
		Version  string                 `json:"pipx_metadata_version"`
	}
	if err := inventory.DecodeJSON(b, &m); err != nil {
		return err
	}
	// Versions so far: 0.1 to 0.5, of which the newer ones only add.
	if !strings.HasPrefix(m.Version, "0.") {
		return errors.New("metadata of this version of pipx is not known: not read")
	}
	l := inventory.NewList(ctx, out, "PyPI")
	all := []pipxPackage{m.Main}
	for _, name := range slices.Sorted(maps.Keys(m.Injected)) {
		all = append(all, m.Injected[name])
	}
	for _, p := range all {
		if err := l.Add(p.Name, p.Version, 0, pipxOrigin(l, p)); err != nil {
			return l.End(err)
		}
	}
	return l.End(nil)
}

// pipxOrigin is the evidence of what pipx was told to install: a name for an index, "name @ URL", a URL, or a path.
func pipxOrigin(l *inventory.List, p pipxPackage) rapsheet.Evidence {
	spec := strings.TrimSpace(p.Spec)
	// A name before the "@", not the credentials of a URL.
	if name, url, ok := strings.Cut(spec, "@"); ok && !strings.Contains(name, ":") && strings.Contains(url, "://") {
		spec = strings.TrimSpace(url)
	}
	switch {
	case strings.Contains(spec, "://"):
		return l.Origin(spec)
	case strings.ContainsAny(spec, `/\`):
		return inventory.Local(spec)
	}
	index, further := "", false
	for i, arg := range p.Args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok && i+1 < len(p.Args) {
			value = p.Args[i+1]
		}
		switch name {
		case "-i", "--index-url", "--pypi-url":
			index = value
		case "--extra-index-url", "-f", "--find-links", "--no-index":
			further = true
		}
	}
	if index == "" || further {
		return rapsheet.Evidence{}
	}
	return l.Registry(index)
}

// isUvReceipt matches what uv keeps at the root of each of its tools' environments: tools/<name>/uv-receipt.toml.
func isUvReceipt(base, _ string) bool { return base == "uv-receipt.toml" }

// readUvReceipt reads what "uv tool install" was asked for (crates/uv-tool/src/tool.rs): requirements with their sources.
// The version that was installed is that of the environment's site-packages.
func readUvReceipt(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	if len(b) > maxReceipt {
		return errors.New("larger than any receipt of uv's: not read")
	}
	if bounded.Deep(b, inventory.MaxNesting, maxReceiptDots) {
		return errors.New("nested deeper than any receipt of uv's: not read")
	}
	doc := map[string]any{}
	if err := toml.Unmarshal(b, &doc); err != nil {
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			return inventory.AtLine(syntax.Position.Line, "%s", syntax.Message)
		}
		return err
	}
	l := inventory.NewList(ctx, out, "PyPI")
	tool, _ := doc["tool"].(map[string]any)
	installed := distributionsIn(in, l, path.Dir(in.Rel))
	for _, r := range tables(tool["requirements"]) {
		name, _ := r["name"].(string)
		version := installed[l.Ecosystem.Canonical(name)]
		if version == "" {
			specifier, _ := r["specifier"].(string)
			if pinned, ok := strings.CutPrefix(specifier, "=="); ok && !strings.ContainsAny(pinned, ",*") {
				version = strings.TrimSpace(strings.TrimPrefix(pinned, "="))
			}
		}
		if err := l.Add(name, version, 0, uvSource(l, r)); err != nil {
			return l.End(err)
		}
	}
	return l.End(nil)
}

// tables gives the tables of an array, however it is written.
func tables(v any) []map[string]any {
	switch list := v.(type) {
	case []map[string]any:
		return list
	case []any:
		var all []map[string]any
		for _, e := range list {
			if t, ok := e.(map[string]any); ok {
				all = append(all, t)
			}
		}
		return all
	}
	return nil
}

// uvSource is the evidence of one requirement of a receipt.
func uvSource(l *inventory.List, r map[string]any) rapsheet.Evidence {
	text := func(key string) string {
		s, _ := r[key].(string)
		return s
	}
	switch {
	case text("git") != "":
		return l.Git(text("git"))
	case text("url") != "":
		return l.Archive(text("url"))
	case text("index") != "":
		return l.Registry(text("index"))
	}
	for _, key := range []string{"path", "directory", "editable"} {
		if v := text(key); v != "" {
			return inventory.Local(v)
		}
	}
	return rapsheet.Evidence{}
}

// distributionsIn gives the versions of what is installed in the environment at root, by canonical name.
func distributionsIn(in *inventory.File, l *inventory.List, root string) map[string]string {
	versions := map[string]string{}
	if in.FS == nil {
		return versions
	}
	lib := path.Join(root, "lib")
	at := []string{path.Join(root, "Lib", "site-packages")}
	for _, name := range in.Subdirectories(lib) {
		at = append(at, path.Join(lib, name, "site-packages"))
	}
	for _, packages := range at {
		for _, name := range in.Subdirectories(packages) {
			if !strings.HasSuffix(name, ".dist-info") {
				continue
			}
			name, version := distribution(path.Join(packages, name, "METADATA"))
			versions[l.Ecosystem.Canonical(name)] = version
		}
	}
	return versions
}
