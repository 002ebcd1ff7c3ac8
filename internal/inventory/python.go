package inventory

import (
	"context"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
)

const pypi = "PyPI"

// pypiIndex is the index that Poetry means by writing none (repositories.md,
// "Default package source"); a lockfile names every other one.
const pypiIndex = "https://pypi.org/simple"

// pythonReaders is the part of the table for Python. setup.py, setup.cfg and
// pyproject.toml are left out: they hold wishes, and code.
func pythonReaders() []reader {
	return []reader{
		{kind: "poetry.lock", match: named("poetry.lock"), read: readPoetry},
		{kind: "uv.lock", match: named("uv.lock"), read: readUv},
		{kind: "pdm.lock", match: named("pdm.lock"), read: readPdm},
		{kind: "Pipfile.lock", match: named("Pipfile.lock"), read: readPipfile},
		{kind: "pylock.toml", match: isPylock, read: readPylock},
		{kind: "requirements", match: isRequirements, read: readRequirements},
		{kind: "environment.yml", match: named("environment.yml", "environment.yaml"), read: readConda},
	}
}

// readPoetry reads poetry.lock: https://python-poetry.org/docs/, versions 1 and 2
// of the lockfile. Version 1 keeps the files' hashes in one table at the end.
func readPoetry(ctx context.Context, in *input, out *sink) error {
	doc, at, err := in.toml("package")
	if err != nil {
		return err
	}
	l := list(ctx, out, pypi)
	files := doc.table("metadata").table("files")
	packages := doc.tables("package")
	for i, p := range packages {
		name := p.text("name")
		hashes := fileHashes(p.tables("files"))
		if len(hashes) == 0 {
			hashes = fileHashes(files.tables(name))
		}
		var ev rapsheet.Evidence
		source := p.table("source")
		switch url := source.text("url"); source.text("type") {
		case "":
			ev = l.registry(pypiIndex)
		case "git":
			ev = l.git(url)
		case "url":
			ev = l.archive(url)
		case "file", "directory":
			ev = local(url)
		default: // "legacy" and any name a registry may yet get
			ev = l.registry(url)
		}
		ev.Digests = append(ev.Digests, integrity(hashes)...)
		if err := l.add(name, p.text("version"), lineAt(at, i, len(packages)), ev); err != nil {
			return l.end(err)
		}
	}
	return l.end(nil)
}

func fileHashes(files []table) []string {
	all := make([]string, 0, len(files))
	for _, f := range files {
		all = append(all, f.text("hash"))
	}
	return all
}

// readUv reads uv.lock: https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile.
// The project itself is among the packages, as a virtual or editable one.
func readUv(ctx context.Context, in *input, out *sink) error {
	doc, at, err := in.toml("package")
	if err != nil {
		return err
	}
	l := list(ctx, out, pypi)
	packages := doc.tables("package")
	for i, p := range packages {
		hashes := fileHashes(append(p.tables("wheels"), p.table("sdist")))
		var ev rapsheet.Evidence
		source := p.table("source")
		switch {
		case source.text("registry") != "":
			ev = l.index(source.text("registry"))
		case source.text("git") != "":
			ev = l.git(source.text("git"))
		case source.text("url") != "":
			ev = l.archive(source.text("url"))
		default:
			for _, k := range []string{"path", "directory", "editable", "virtual"} {
				if v := source.text(k); v != "" {
					ev = local(v)
				}
			}
		}
		ev.Digests = append(ev.Digests, integrity(hashes)...)
		if err := l.add(p.text("name"), p.text("version"), lineAt(at, i, len(packages)), ev); err != nil {
			return l.end(err)
		}
	}
	return l.end(nil)
}

// index is the evidence of a package from a Python index, which may be a directory of files.
func (l *entries) index(at string) rapsheet.Evidence {
	if !strings.Contains(at, "://") {
		return local(at)
	}
	return l.registry(at)
}

// readPdm reads pdm.lock: https://pdm-project.org/en/latest/usage/lockfile/. It
// does not name indexes; with static URLs, the files do.
func readPdm(ctx context.Context, in *input, out *sink) error {
	doc, at, err := in.toml("package")
	if err != nil {
		return err
	}
	l := list(ctx, out, pypi)
	files := doc.table("metadata").table("files")
	packages := doc.tables("package")
	for i, p := range packages {
		name, version := p.text("name"), p.text("version")
		own := p.tables("files")
		if len(own) == 0 {
			own = files.tables(name + " " + version)
		}
		var ev rapsheet.Evidence
		switch {
		case p.text("git") != "":
			ev = l.git(p.text("git"))
		case p.text("path") != "":
			ev = local(p.text("path"))
		case p.text("url") != "":
			ev = l.archive(p.text("url"))
		case len(own) > 0 && own[0].text("url") != "":
			ev = l.registry(own[0].text("url"))
		}
		ev.Digests = append(ev.Digests, integrity(fileHashes(own))...)
		if err := l.add(name, version, lineAt(at, i, len(packages)), ev); err != nil {
			return l.end(err)
		}
	}
	return l.end(nil)
}

// isPylock matches the names that PEP 751 allows: pylock.toml and pylock.<name>.toml.
func isPylock(base, _ string) bool {
	return base == "pylock.toml" || (strings.HasPrefix(base, "pylock.") && strings.HasSuffix(base, ".toml") &&
		strings.Count(base, ".") == 2)
}

// readPylock reads pylock.toml: https://packaging.python.org/en/latest/specifications/pylock-toml/.
func readPylock(ctx context.Context, in *input, out *sink) error {
	doc, at, err := in.toml("packages")
	if err != nil {
		return err
	}
	l := list(ctx, out, pypi)
	packages := doc.tables("packages")
	for i, p := range packages {
		files := append(p.tables("wheels"), p.table("sdist"), p.table("archive"))
		var ev rapsheet.Evidence
		switch vcs, archive := p.table("vcs"), p.table("archive"); {
		case vcs != nil && vcs.text("url") != "":
			ev = l.git(vcs.text("url"))
		case vcs != nil:
			ev = local(vcs.text("path"))
		case p.table("directory") != nil:
			ev = local(p.table("directory").text("path"))
		case archive != nil && archive.text("url") != "":
			ev = l.archive(archive.text("url"))
		case archive != nil:
			ev = local(archive.text("path"))
		case p.text("index") != "":
			ev = l.index(p.text("index"))
		default:
			for _, f := range files {
				if u := f.text("url"); u != "" {
					ev = l.registry(u)
					break
				}
			}
		}
		for _, f := range files {
			ev.Digests = append(ev.Digests, integrity(f.table("hashes").hashes())...)
		}
		if err := l.add(p.text("name"), p.text("version"), lineAt(at, i, len(packages)), ev); err != nil {
			return l.end(err)
		}
	}
	return l.end(nil)
}

// pipfileEntry is one package of Pipfile.lock.
type pipfileEntry struct {
	name, version, index, git, file, path string
	hashes                                []string
	line                                  int
}

// readPipfile reads Pipfile.lock: https://pipenv.pypa.io/en/latest/, "pipfile-spec" 6.
// Every member but _meta is a group of packages. A package without an index
// may come from any of the sources: one is only recorded when they share a host.
func readPipfile(ctx context.Context, in *input, out *sink) error {
	b, err := in.text()
	if err != nil {
		return err
	}
	sources := make(map[string]string)
	var found []pipfileEntry
	err = readJSON(b, func(d *document, key string) error {
		if key == "_meta" {
			return d.pipfileSources(sources)
		}
		return d.object(func(name string) error {
			e := pipfileEntry{name: name, line: d.line()}
			err := d.object(func(key string) (err error) {
				switch key {
				case "version":
					return d.text(&e.version)
				case "index":
					return d.text(&e.index)
				case "git":
					return d.text(&e.git)
				case "file":
					return d.text(&e.file)
				case "path":
					return d.text(&e.path)
				case "hashes":
					e.hashes, err = d.texts()
					return err
				}
				return d.skip()
			})
			found = append(found, e)
			return err
		})
	})
	// What was read before an error stands: it is sent too.
	l := list(ctx, out, pypi)
	only := l.commonIndex(sources)
	for _, e := range found {
		var ev rapsheet.Evidence
		switch {
		case e.git != "":
			ev = l.git(e.git)
		case e.path != "":
			ev = local(e.path)
		case e.file != "":
			ev = l.archive(e.file)
		case sources[e.index] != "":
			ev = l.registry(sources[e.index])
		case e.index == "":
			ev = only
		}
		digests := integrity(e.hashes)
		ev.Digests = append(ev.Digests[:len(ev.Digests):len(ev.Digests)], digests...)
		if err := l.add(e.name, pinned(e.version), e.line, ev); err != nil {
			return l.end(err)
		}
	}
	return l.end(err)
}

func (d *document) pipfileSources(sources map[string]string) error {
	return d.object(func(key string) error {
		if key != "sources" {
			return d.skip()
		}
		return d.array(func() error {
			var name, url string
			err := d.object(func(key string) error {
				switch key {
				case "name":
					return d.text(&name)
				case "url":
					return d.text(&url)
				}
				return d.skip()
			})
			sources[name] = url
			return err
		})
	})
}

// commonIndex is the evidence of a package from whichever of these indexes: that
// of one when they share a host, else none.
func (l *entries) commonIndex(sources map[string]string) rapsheet.Evidence {
	var common rapsheet.Evidence
	for i, name := range sortedKeys(sources) {
		ev := l.index(sources[name])
		if i > 0 && (ev.Host != common.Host || ev.Origin != common.Origin) {
			return rapsheet.Evidence{}
		}
		if i == 0 {
			common = ev
		}
	}
	return common
}

// isRequirements matches the names that requirements and constraints files go
// by: requirements.txt, requirements-dev.txt, dev-requirements.in,
// constraints.txt, requirements/base.txt.
func isRequirements(base, file string) bool {
	base = strings.ToLower(base)
	if ext := path.Ext(base); ext != ".txt" && ext != ".in" {
		return false
	}
	return strings.Contains(base, "requirements") || strings.HasPrefix(base, "constraints") ||
		path.Base(path.Dir(file)) == "requirements"
}
