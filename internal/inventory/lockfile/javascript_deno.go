package lockfile

import (
	"bytes"
	"context"
	"strings"

	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// readDenoLock reads the npm packages of deno.lock, versions 2 to 5
// (docs.deno.com/runtime/fundamentals/modules, "Integrity checking and lock files"):
//
//	2    "npm": {"packages": {"name@1.0.0": {…}}}
//	3    "packages": {"npm": {"name@1.0.0": {…}}}
//	4, 5 "npm": {"name@1.0.0": {…}}
//
// Modules from JSR and from URLs have no records; they are counted.
func readDenoLock(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := listNPM(ctx, in, out)
	var member func(j *jsonStream, key []byte) error
	member = func(j *jsonStream, key []byte) error {
		switch string(key) {
		case "npm":
			return j.object(func(key []byte, line int) error {
				switch {
				case bytes.LastIndexByte(key, '@') > 0:
					return l.denoEntry(j, string(key), line)
				case string(key) == "packages":
					return j.object(func(key []byte, line int) error { return l.denoEntry(j, string(key), line) })
				}
				return j.skip()
			})
		case "packages":
			return j.object(func(key []byte, _ int) error { return member(j, key) })
		case "jsr":
			return l.denoCount(j, "packages from JSR")
		case "remote":
			return l.denoCount(j, "modules from URLs")
		}
		return j.skip()
	}
	return l.End(streamJSON(in.R, func(j *jsonStream, key []byte, _ int) error { return member(j, key) }))
}

func (l *npmList) denoCount(j *jsonStream, what string) error {
	return j.object(func([]byte, int) error {
		l.Skip(what)
		return j.skip()
	})
}

// denoEntry reads "name@version_peers": { "integrity": …, "tarball": … }.
func (l *npmList) denoEntry(j *jsonStream, key string, line int) error {
	if j.dec.PeekKind() != '{' {
		return l.bad(j, key, line)
	}
	var integrity, tarball string
	err := j.object(func(key []byte, _ int) error {
		switch string(key) {
		case "integrity":
			return j.text(&integrity)
		case "tarball":
			return j.text(&tarball)
		}
		return j.skip()
	})
	if err != nil {
		return err
	}
	name, version := nameAndVersion(key)
	version, _, _ = strings.Cut(version, "_")
	return l.resolved(name, version, tarball, line, ecosystem.Integrity(integrity))
}
