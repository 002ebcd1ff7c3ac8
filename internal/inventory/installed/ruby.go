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

func gemField(b []byte, re *regexp.Regexp) string {
	if m := re.FindSubmatch(b); m != nil {
		return string(m[1])
	}
	return ""
}

// readGemspec reads what rubygems generated; it is Ruby, and is not run. What was installed is
// also in the file's name: name-version[-platform].gemspec.
func readGemspec(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, "RubyGems")
	stem := strings.TrimSuffix(path.Base(in.Path), ".gemspec")
	name, version := gemField(b, gemName), gemField(b, gemVersion)
	if name != "" {
		if err := l.Add(name, version, 0, rapsheet.Evidence{}); err != nil {
			return l.End(err)
		}
		full := name + "-" + version
		if stem == full || stem == full+"-"+gemField(b, gemPlatform) {
			return l.End(nil)
		}
	}
	at, atVersion := nameVersion(stem)
	if name == at && version == atVersion {
		return l.End(nil)
	}
	return l.End(also(l, name, at, atVersion, rapsheet.Evidence{}))
}

// isBundlerGit matches the specification of a gem that Bundler took from a repository: bundler/gems/<repository>-<commit>,
// and in a project's vendor/cache the same (bundler/source/git.rb). It may be two directories deeper: a repository can
// have several gems.
func isBundlerGit(base, file string) bool {
	if !strings.HasSuffix(base, ".gemspec") {
		return false
	}
	dir := path.Dir(file)
	for range 3 {
		above := path.Dir(dir)
		switch path.Base(above) {
		case "gems":
			return path.Base(path.Dir(above)) == "bundler" && isCheckout(path.Base(dir))
		case "cache":
			return path.Base(path.Dir(above)) == "vendor" && isCheckout(path.Base(dir))
		}
		dir = above
	}
	return false
}

// isCheckout reports whether a directory is called by a repository and a commit, which Bundler shortens to 12 digits.
func isCheckout(dir string) bool {
	i := strings.LastIndexByte(dir, '-')
	return i > 0 && len(dir)-i > 7 && strings.Trim(dir[i+1:], "0123456789abcdef") == ""
}

// readBundlerGit reads a specification that Bundler has evaluated and written again as rubygems does. One that it has
// not, because the repository has more gems than the project uses, is called by its file's name.
func readBundlerGit(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, "RubyGems")
	// The repository's address is in its .git, which is not entered.
	ev := rapsheet.Evidence{Origin: rapsheet.OriginGit}
	name, version := gemField(b, gemName), gemField(b, gemVersion)
	if name == "" {
		name = strings.TrimSuffix(path.Base(in.Path), ".gemspec")
	}
	return l.End(l.Add(name, version, 0, ev))
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
