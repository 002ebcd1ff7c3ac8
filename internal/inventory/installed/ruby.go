package installed

import (
	"context"
	"path"
	"regexp"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// isGemspec matches the specification of an installed gem: …/specifications/name-1.0.gemspec, also
// below specifications/default (Gem::Specification.dirs of rubygems).
func isGemspec(base, file string) bool {
	if !strings.HasSuffix(base, ".gemspec") {
		return false
	}
	dir := path.Dir(file)
	if path.Base(dir) == "default" {
		dir = path.Dir(dir)
	}
	return path.Base(dir) == "specifications"
}

// The lines that rubygems writes (Gem::Specification#to_ruby): s.name = "rake".freeze
var (
	gemName     = regexp.MustCompile(`(?m)^\s*s\.name = "([^"\\]+)"`)
	gemVersion  = regexp.MustCompile(`(?m)^\s*s\.version = "([^"\\]+)"`)
	gemPlatform = regexp.MustCompile(`(?m)^\s*s\.platform = "([^"\\]+)"`)
)

// readGemspec reads what rubygems generated; it is Ruby, and is not run. What was installed is
// also in the file's name: name-version[-platform].gemspec.
func readGemspec(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, "RubyGems")
	stem := strings.TrimSuffix(path.Base(in.Path), ".gemspec")
	first := func(re *regexp.Regexp) string {
		if m := re.FindSubmatch(b); m != nil {
			return string(m[1])
		}
		return ""
	}
	name, version := first(gemName), first(gemVersion)
	if name != "" {
		if err := l.Add(name, version, 0, rapsheet.Evidence{}); err != nil {
			return l.End(err)
		}
		full := name + "-" + version
		if stem == full || stem == full+"-"+first(gemPlatform) {
			return l.End(nil)
		}
	}
	at, atVersion := nameVersion(stem)
	if name == at && version == atVersion {
		return l.End(nil)
	}
	return l.End(also(l, name, at, atVersion, rapsheet.Evidence{}))
}

// versioned is what package managers append to a name: name-version[-platform].
var versioned = regexp.MustCompile(`^(.+?)-(\d+(?:\.[0-9A-Za-z]+)*)(?:-|$)`)

// nameVersion splits name-version[-platform]; version is "" when there is none.
func nameVersion(stem string) (name, version string) {
	if m := versioned.FindStringSubmatch(stem); m != nil {
		return m[1], m[2]
	}
	return stem, ""
}
