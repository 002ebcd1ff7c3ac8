package installed

import (
	"context"
	"io/fs"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// isGoVendor matches what the go command writes about a vendor directory.
func isGoVendor(base, file string) bool {
	return base == "modules.txt" && strings.HasSuffix(file, "/vendor/modules.txt")
}

// readGoVendor reads vendor/modules.txt (https://go.dev/ref/mod#vendoring): a line "# path version" for each
// module, "=>" and its replacement behind that, and below it the packages that were copied. A module without
// packages is only required, and one whose first package has no directory here is not there either: modules were
// published with this file and without the rest of their vendor directories (golang.org/x/mod/zip, isVendoredPackage). Where a
// module came from is not said.
func readGoVendor(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, "Go")
	var name, version string
	var line int
	var ev rapsheet.Evidence
	return l.End(inventory.Lines(b, func(n int, text string) error {
		if rest, ok := strings.CutPrefix(text, "# "); ok {
			name, version, ev = vendored(strings.Fields(rest))
			line = n
			return nil
		}
		if line == 0 || text == "" || text[0] == '#' {
			return nil
		}
		at := line
		line = 0
		if in.FS != nil && !(fs.ValidPath(text) && in.HasSibling(text)) {
			return nil
		}
		return l.Add(name, version, at, ev)
	}))
}

// vendored reads "path [version] [=> path [version]]": what replaces a module is what is there, and a directory
// leaves it its name. The name is "" where the line is nothing like that.
func vendored(fields []string) (name, version string, ev rapsheet.Evidence) {
	module := func(f []string) (string, string) {
		switch len(f) {
		case 1:
			return f[0], ""
		case 2:
			return f[0], f[1]
		}
		return "", ""
	}
	for i, f := range fields {
		if f != "=>" {
			continue
		}
		name, version = module(fields[:i])
		by, byVersion := module(fields[i+1:])
		if byVersion == "" {
			return name, version, inventory.Local(by)
		}
		return by, byVersion, ev
	}
	name, version = module(fields)
	return name, version, ev
}
