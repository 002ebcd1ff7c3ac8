package installed

import (
	"bytes"
	"context"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/pkgarchive"
	"github.com/rapsheet/rapsheet/internal/pythonconfig"
)

// maxDirectURL bounds direct_url.json; PEP 610 names a handful of members.
const maxDirectURL = 1 << 20

// isPythonMetadata matches the metadata of an installed distribution: name-1.0.dist-info/METADATA
// (packaging.python.org/en/latest/specifications/recording-installed-packages/), and what setuptools
// left before: name-1.0.egg-info/PKG-INFO, name-1.0-py3.11.egg-info, name-1.0.egg/EGG-INFO/PKG-INFO.
func isPythonMetadata(base, file string) bool {
	dir := path.Base(path.Dir(file))
	switch base {
	case "METADATA":
		return strings.HasSuffix(dir, ".dist-info")
	case "PKG-INFO":
		return strings.HasSuffix(dir, ".egg-info") || dir == "EGG-INFO"
	}
	return strings.HasSuffix(base, ".egg-info")
}

// readPythonMetadata reads core metadata. What pip was told to install instead of a name stands in direct_url.json beside
// it (PEP 610).
func readPythonMetadata(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, "PyPI")
	name, version := pkgarchive.CoreMetadata(b)
	ev := pythonOrigin(l, in)
	// The directory is named by the installer, from what it asked the index for.
	at, atVersion := distribution(in.Path)
	if name == "" && at == "" {
		return l.End(l.Add("", "", 0, ev))
	}
	if name != "" {
		if err := l.Add(name, version, 0, ev); err != nil {
			return l.End(err)
		}
	}
	if at != "" && (name == "" || l.Ecosystem.Canonical(at) != l.Ecosystem.Canonical(name)) {
		return l.End(also(l, name, at, atVersion, ev))
	}
	return l.End(nil)
}

// distribution reads name and version out of the directory, or file, that metadata is in:
// {name}-{version}.dist-info, where name has no "-" ("Recording installed projects").
func distribution(file string) (name, version string) {
	dir := path.Base(file)
	if !strings.HasSuffix(dir, ".egg-info") {
		dir = path.Base(path.Dir(file))
	}
	stem, ok := strings.CutSuffix(dir, ".dist-info")
	if !ok {
		if stem, ok = strings.CutSuffix(dir, ".egg-info"); !ok {
			return "", ""
		}
	}
	name, version, _ = strings.Cut(stem, "-")
	version, _, _ = strings.Cut(version, "-py")
	return name, version
}

// pythonOrigin is the evidence of where an installed distribution came from.
func pythonOrigin(l *inventory.List, in *inventory.File) rapsheet.Evidence {
	if b, ok := in.Sibling("direct_url.json", maxDirectURL); ok {
		return directURL(l, b)
	}
	return configuredIndex(in)
}

// configuredIndex is the evidence of a distribution that came from an index, of which only the configuration of what
// installed it says which: "Recording installed projects" has INSTALLER name that program.
func configuredIndex(in *inventory.File) rapsheet.Evidence {
	environment, ok := environmentOf(path.Dir(in.Rel))
	if !ok {
		return rapsheet.Evidence{}
	}
	b, ok := in.Sibling("INSTALLER", 1<<10)
	if !ok {
		return rapsheet.Evidence{}
	}
	installer := string(bytes.TrimSpace(b))
	indexes := in.Once("indexes of "+installer+" "+environment, func() any { return indexesOf(in, installer, environment) }).(*pythonconfig.Indexes)
	return indexes.Evidence()
}

// indexesOf gives what the program that installed into an environment was configured for. An environment in
// a project is taken for the project's.
func indexesOf(in *inventory.File, installer, environment string) *pythonconfig.Indexes {
	project := path.Dir(environment)
	switch tool, _, _ := strings.Cut(installer, " "); strings.ToLower(tool) {
	case "pip":
		// Pipenv has pip do the work, with the indexes of its own file (PIPENV_VENV_IN_PROJECT).
		if path.Base(environment) == ".venv" {
			if own := pythonconfig.Project(in, project, "pipenv"); own != nil {
				return own
			}
		}
		return pythonconfig.Pip(in, environment)
	case "uv":
		return pythonconfig.Uv(in, project)
	case "poetry", "pdm":
		if own := pythonconfig.Project(in, project, installer); own != nil {
			return own
		}
	}
	return &pythonconfig.Indexes{}
}

// environmentOf gives the root of the environment that a distribution's metadata directory is installed
// in: above lib/python3.11/site-packages (Debian's own: dist-packages), or Lib/site-packages on Windows.
func environmentOf(info string) (string, bool) {
	packages := path.Dir(info)
	if name := path.Base(packages); name != "site-packages" && name != "dist-packages" {
		return "", false
	}
	lib := path.Dir(packages)
	if name := path.Base(lib); strings.HasPrefix(name, "python") || strings.HasPrefix(name, "pypy") {
		lib = path.Dir(lib)
	}
	switch path.Base(lib) {
	case "lib", "lib64", "Lib":
		return path.Dir(lib), true
	}
	return "", false
}

// directURL is the evidence of PEP 610's direct_url.json.
func directURL(l *inventory.List, b []byte) rapsheet.Evidence {
	var d struct {
		URL string    `json:"url"`
		VCS *struct{} `json:"vcs_info"`
		Dir *struct{} `json:"dir_info"`
		Arc *struct {
			Hash   string            `json:"hash"` // algorithm=hex, the older form
			Hashes map[string]string `json:"hashes"`
		} `json:"archive_info"`
	}
	if inventory.DecodeJSON(b, &d) != nil {
		return rapsheet.Evidence{}
	}
	switch {
	case d.VCS != nil:
		return l.Git(d.URL)
	case d.Dir != nil:
		return inventory.Local(strings.TrimPrefix(d.URL, "file://"))
	}
	ev := l.Archive(d.URL)
	if strings.HasPrefix(d.URL, "file:") {
		ev = inventory.Local(strings.TrimPrefix(d.URL, "file://"))
	}
	if d.Arc != nil {
		raw := []string{strings.Replace(d.Arc.Hash, "=", ":", 1)}
		for algorithm, hex := range d.Arc.Hashes {
			if h := algorithm + ":" + hex; h != raw[0] {
				raw = append(raw, h)
			}
		}
		ev.Digests = append(ev.Digests, inventory.Integrity(raw)...)
	}
	return ev
}
