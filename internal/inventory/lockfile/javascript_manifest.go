package lockfile

import (
	"context"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// readPackageJSON reads a package.json that no lockfile stands beside
// (docs.npmjs.com/cli/configuring-npm/package-json). An exact version counts as
// one; a range, which says what may be installed and not what is, gives a
// sighting without a version.
//
// The file is written by hand and repeated keys are common in it. Every
// occurrence is read, so it does not matter which one npm would take.
func readPackageJSON(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	if in.HasSibling(javascriptLocks...) {
		return nil
	}
	l := listNPM(ctx, in, out)
	return l.End(streamJSON(in.R, func(j *jsonStream, key []byte, _ int) error {
		switch string(key) {
		case "dependencies", "devDependencies", "optionalDependencies", "peerDependencies":
			return j.object(func(key []byte, line int) error {
				name, spec := string(key), ""
				if err := j.text(&spec); err != nil {
					return err
				}
				return l.requirement(name, strings.TrimSpace(spec), line)
			})
		}
		return j.skip()
	}, jsontext.AllowDuplicateNames(true)))
}

var (
	// exactVersion is one version: semver.org, with the "=" and "v" that npm puts up with.
	exactVersion = regexp.MustCompile(`^[=v\s]*(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)$`)
	// shorthand is owner/repository on GitHub, npm's short form.
	shorthand = regexp.MustCompile(`^[\w.-]+/[\w.-]+(#.*)?$`)
)

func (l *npmList) requirement(name, spec string, line int) error {
	if alias, ok := strings.CutPrefix(spec, "npm:"); ok {
		if real, rest := nameAndVersion(alias); !exactVersion.MatchString(alias) && real != "" {
			name, spec = real, rest
		} else {
			spec = alias
		}
	}
	if m := exactVersion.FindStringSubmatch(spec); m != nil {
		return l.Add(name, m[1], line, l.fromRegistry(name))
	}
	protocol, path, ok := strings.Cut(spec, ":")
	switch {
	case protocol == "workspace" && ok, protocol == "link" && ok, protocol == "portal" && ok, protocol == "file" && ok:
		return l.Add(name, "", line, inventory.Local(path))
	case protocol == "catalog" && ok: // a range kept elsewhere
		return l.Add(name, "", line, l.fromRegistry(name))
	case strings.HasPrefix(spec, "./"), strings.HasPrefix(spec, "../"), strings.HasPrefix(spec, "/"), strings.HasPrefix(spec, "~/"):
		return l.Add(name, "", line, inventory.Local(spec))
	case shorthand.MatchString(spec):
		spec = "github:" + spec
	case !ok:
		return l.Add(name, "", line, l.fromRegistry(name))
	}
	return l.Add(name, "", line, ecosystem.Origin(l.Ecosystem, spec))
}
