package lockfile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// gemSource is one section of a Gemfile.lock: where its specs come from.
type gemSource struct {
	section string
	remotes []string
	// from is the evidence of its specs, made once: a section may be as long as the file.
	from *rapsheet.Evidence
}

// gem is one spec of a Gemfile.lock.
type gem struct {
	name, version string
	line          int
	source        *gemSource
	// full is "name version-platform", what a checksum stands under.
	full string
}

// readGemfileLock reads Gemfile.lock and gems.locked, in the layout that
// bundler's own lockfile parser reads (bundler/lib/bundler/lockfile_parser.rb):
// sections at column 0, options of a section at 2, specs at 4, their
// dependencies at 6. Checksums come after the specs, so those are kept.
func readGemfileLock(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	var (
		gems      []gem
		checksums = make(map[string]string)
		source    *gemSource
		sections  int
	)
	err = inventory.Lines(b, func(n int, line string) error {
		if line == "" {
			return nil
		}
		body := strings.TrimLeft(line, " ")
		switch indent := len(line) - len(body); {
		case indent == 0:
			source = &gemSource{section: strings.TrimSpace(line)}
			sections++
		case source == nil:
			return inventory.AtLine(n, "an entry before the first section")
		case source.section == "CHECKSUMS":
			if name, sum, ok := strings.Cut(body, ") "); ok {
				checksums[strings.Replace(name, " (", " ", 1)] = sum
			}
		case indent == 2 && isGemSource(source.section):
			if remote, ok := strings.CutPrefix(body, "remote: "); ok {
				source.remotes = append(source.remotes, strings.TrimSpace(remote))
			}
		case indent == 4 && isGemSource(source.section):
			name, version, _ := strings.Cut(strings.TrimSuffix(body, "!"), " (")
			version = strings.TrimSuffix(version, ")")
			if len(gems) >= inventory.MaxEntries {
				return fmt.Errorf("more than %d packages", inventory.MaxEntries)
			}
			gems = append(gems, gem{name: name, version: gemVersion(version), line: n, source: source, full: name + " " + version})
		}
		return nil
	})
	if err == nil && sections == 0 {
		err = errors.New("the file is empty")
	}
	l := inventory.NewList(ctx, out, "RubyGems")
	for _, g := range gems {
		if g.source.from == nil {
			from := gemOrigin(l, g.source)
			g.source.from = &from
		}
		ev := *g.source.from
		if sum := checksums[g.full]; sum != "" {
			ev.Digests = inventory.Integrity(strings.Split(sum, ","))
		}
		if err := l.Add(g.name, g.version, g.line, ev); err != nil {
			return l.End(err)
		}
	}
	return l.End(err)
}

func isGemSource(section string) bool {
	switch section {
	case "GEM", "GIT", "PATH", "PLUGIN SOURCE":
		return true
	}
	return false
}

// gemOrigin is the evidence of a spec in a section. Old versions of bundler write one
// GEM section with several remotes and do not say which one a gem came from.
func gemOrigin(l *inventory.List, s *gemSource) rapsheet.Evidence {
	remote := ""
	if len(s.remotes) > 0 {
		remote = s.remotes[0]
	}
	switch s.section {
	case "GIT":
		return l.Git(remote)
	case "PATH":
		return inventory.Local(remote)
	case "PLUGIN SOURCE":
		// A plugin is code of any kind; only its location is known.
		return l.Archive(remote)
	}
	if remote == "" {
		return rapsheet.Evidence{}
	}
	ev := l.Registry(remote)
	for _, other := range s.remotes[1:] {
		if l.Registry(other).Host != ev.Host {
			return rapsheet.Evidence{}
		}
	}
	return ev
}

// gemVersion takes the platform off a version: Gem::Version has no dash, so
// "1.2.3-x86_64-linux" is 1.2.3 for that platform.
func gemVersion(v string) string {
	v, _, _ = strings.Cut(v, "-")
	return v
}
