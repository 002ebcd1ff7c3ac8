package installed

import (
	"context"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// isRDescription matches the description of an R package, installed or not.
func isRDescription(base, _ string) bool { return base == "DESCRIPTION" }

// readRDescription reads the DESCRIPTION of an installed package, to which R adds Built when it installs one
// (https://cran.r-project.org/doc/manuals/r-release/R-exts.html#The-DESCRIPTION-file): fields as in Debian's
// control files. CRAN adds Repository to what it publishes, and the remotes package Remote… where it installs from
// elsewhere. What is no installed package's is passed over.
func readRDescription(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.All()
	if err != nil {
		return err
	}
	field := make(map[string]string)
	if err := inventory.Lines(b, func(n int, line string) error {
		key, value, ok := strings.Cut(line, ":")
		if _, seen := field[key]; ok && !seen && key != "" && key[0] != ' ' && key[0] != '\t' && len(field) < 1000 {
			field[key] = strings.TrimSpace(value)
		}
		return nil
	}); err != nil {
		return nil // prose of that name
	}
	name, version := field["Package"], field["Version"]
	if field["Built"] == "" || name == "" || version == "" || field["Priority"] == "base" {
		return nil // a source tree, or a part of R itself
	}
	l := inventory.NewList(ctx, out, "CRAN")
	var ev rapsheet.Evidence
	switch repository, host := field["Repository"], field["RemoteHost"]; {
	case repository == "CRAN":
		ev = l.Registry("https://cran.r-project.org")
	case repository == "" && host != "" && field["RemoteUsername"] != "":
		ev = l.Git("https://" + strings.TrimPrefix(host, "api.") + "/" + field["RemoteUsername"] + "/" + field["RemoteRepo"] + ".git")
	}
	if err := l.Add(name, version, 0, ev); err != nil {
		return l.End(err)
	}
	if at := path.Base(path.Dir(in.Path)); at != name && at != "." {
		return l.End(also(l, name, at, version, ev))
	}
	return l.End(nil)
}
