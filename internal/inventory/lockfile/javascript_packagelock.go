package lockfile

import (
	"context"
	"errors"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// readPackageLock reads package-lock.json and npm-shrinkwrap.json, lockfileVersion 1 to 3
// (docs.npmjs.com/cli/configuring-npm/package-lock-json). Where both stand in a
// directory both are read: which one counts depends on how npm is called.
//
// Version 2 holds everything twice: "packages" for npm 7 and later, "dependencies"
// for npm 6. npm writes "packages" first, so "dependencies" is passed over once
// it was seen.
func readPackageLock(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := &packageLock{npmList: listNPM(ctx, in, out)}
	return l.End(streamJSON(in.R, l.member))
}

type packageLock struct {
	*npmList
	packages bool
}

func (l *packageLock) member(j *jsonStream, key []byte, _ int) error {
	switch string(key) {
	case "packages":
		if j.dec.PeekKind() != '{' {
			break
		}
		l.packages = true
		return j.object(func(key []byte, line int) error { return l.entry(j, string(key), line) })
	case "dependencies":
		if !l.packages {
			return l.dependencies(j, 0)
		}
	}
	return j.skip()
}

// lockEntry is what both forms say about one package.
type lockEntry struct {
	name, version, resolved, integrity string
	link, bundled                      bool
}

func (e *lockEntry) digests() []rapsheet.Digest {
	if e.integrity == "" {
		return nil
	}
	return ecosystem.Integrity(e.integrity)
}

// entry reads one member of "packages". Its key is the path at which the package
// is installed; "" is the project itself.
func (l *packageLock) entry(j *jsonStream, at string, line int) error {
	if j.dec.PeekKind() != '{' {
		return l.bad(j, at, line)
	}
	var e lockEntry
	err := j.object(func(key []byte, _ int) error {
		switch string(key) {
		case "name": // only where the path does not say it: aliases, workspaces
			return j.text(&e.name)
		case "version":
			return j.text(&e.version)
		case "resolved":
			return j.text(&e.resolved)
		case "integrity":
			return j.text(&e.integrity)
		case "link":
			return j.truth(&e.link)
		case "inBundle":
			return j.truth(&e.bundled)
		}
		return j.skip()
	})
	if err != nil || at == "" || e.link {
		return err // what a link leads to has an entry of its own
	}
	name, installed := installedName(at)
	if e.name != "" {
		name = e.name
	}
	switch {
	case e.resolved != "":
		return l.npmList.resolved(name, e.version, e.resolved, line, e.digests())
	case !installed:
		ev := inventory.Local(at)
		ev.Digests = e.digests()
		return l.Add(name, e.version, line, ev)
	case e.bundled: // came inside another package's archive, from wherever that came
		return l.Add(name, e.version, line, rapsheet.Evidence{Digests: e.digests()})
	}
	return l.npmList.resolved(name, e.version, "", line, e.digests())
}

// installedName gives the name of the package at a path, and whether the path is
// inside a node_modules directory: one that is not is a directory of the project's own.
func installedName(at string) (name string, installed bool) {
	const dir = "node_modules/"
	if i := strings.LastIndex(at, "/"+dir); i >= 0 {
		return at[i+1+len(dir):], true
	}
	if strings.HasPrefix(at, dir) {
		return at[len(dir):], true
	}
	name = path.Base(at)
	if scope := path.Base(path.Dir(at)); strings.HasPrefix(scope, "@") {
		name = scope + "/" + name
	}
	return name, false
}

// dependencies reads the form of version 1, in which what a package brought along
// for itself is nested inside it.
func (l *packageLock) dependencies(j *jsonStream, depth int) error {
	if depth > inventory.MaxNesting {
		return &inventory.LineError{Line: j.line(), Err: errors.New("dependencies nested too deep")}
	}
	return j.object(func(key []byte, line int) error {
		e := lockEntry{name: string(key)}
		if j.dec.PeekKind() != '{' {
			return l.bad(j, e.name, line)
		}
		// The nested ones may come before the rest of what is said about this one.
		err := j.object(func(key []byte, _ int) error {
			switch string(key) {
			case "version":
				return j.text(&e.version)
			case "resolved":
				return j.text(&e.resolved)
			case "integrity":
				return j.text(&e.integrity)
			case "bundled":
				return j.truth(&e.bundled)
			case "dependencies":
				return l.dependencies(j, depth+1)
			}
			return j.skip()
		})
		if err != nil {
			return err
		}
		if alias, ok := strings.CutPrefix(e.version, "npm:"); ok {
			e.name, e.version = nameAndVersion(alias)
		}
		if isSpecifier(e.version) {
			if e.resolved == "" {
				e.resolved = e.version
			}
			e.version = ""
		}
		if e.resolved == "" && e.bundled {
			return l.Add(e.name, e.version, line, rapsheet.Evidence{Digests: e.digests()})
		}
		return l.npmList.resolved(e.name, e.version, e.resolved, line, e.digests())
	})
}

// bad passes over an entry that is no object. It is named, because it may have
// been meant to hide a package.
func (l *npmList) bad(j *jsonStream, key string, line int) error {
	if err := l.badEntry(key, line); err != nil {
		return err
	}
	return j.skip()
}

func (l *npmList) badEntry(key string, line int) error {
	if !l.Out.Note(rapsheet.NoteUnread, line, "the entry %.200q is not understood", key) {
		return inventory.ErrStopped
	}
	return nil
}
