package lockfile

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// hexRepository is where packages of the repository that Hex calls hexpm are fetched from.
const hexRepository = "https://repo.hex.pm"

var (
	// mixHex is one entry of mix.lock: "app": {:hex, :name, "version", "inner checksum", …, "repository", "outer checksum"}.
	// mixTail is its end: entries written before Hex 0.20 lack the outer checksum, before 0.17 the repository too.
	mixHex  = regexp.MustCompile(`^\s*"([^"]+)":\s*\{:hex,\s*:"?([^\s,"]+)"?,\s*"([^"]*)"`)
	mixTail = regexp.MustCompile(`\],\s*"([^"]+)"(?:,\s*"([0-9a-fA-F]{64})")?\}`)
	mixGit  = regexp.MustCompile(`^\s*"([^"]+)":\s*\{:git,\s*"([^"]+)"`)
	mixPath = regexp.MustCompile(`^\s*"([^"]+)":\s*\{:path,\s*"([^"]+)"`)
	mixAny  = regexp.MustCompile(`^\s*"[^"]+":\s*\{`)
)

// readMixLock reads mix.lock: an Elixir map with an entry on each line, as Mix and
// Hex write it (https://github.com/hexpm/hex, lib/hex/utils.ex, "lock").
func readMixLock(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return errors.New("the file is empty")
	}
	l := inventory.NewList(ctx, out, "Hex")
	err = inventory.Lines(b, func(n int, line string) error {
		switch {
		case !mixAny.MatchString(line):
			return nil
		case mixGit.MatchString(line):
			m := mixGit.FindStringSubmatch(line)
			return l.Add(m[1], "", n, l.Git(m[2]))
		case mixPath.MatchString(line):
			m := mixPath.FindStringSubmatch(line)
			return l.Add(m[1], "", n, inventory.Local(m[2]))
		}
		m := mixHex.FindStringSubmatch(line)
		if m == nil {
			return l.Add("", "", n, rapsheet.Evidence{})
		}
		var ev rapsheet.Evidence
		if tails := mixTail.FindAllStringSubmatch(line, -1); len(tails) > 0 {
			tail := tails[len(tails)-1]
			ev = hexOrigin(l, tail[1])
			if tail[2] != "" {
				ev.Digests = inventory.Integrity([]string{"sha256:" + tail[2]})
			}
		}
		return l.Add(m[2], m[3], n, ev)
	})
	return l.End(err)
}

// hexOrigin is the evidence of a package from a repository known by name.
// The name stands in for the host of one that is not hexpm: its address is in
// the user's configuration.
func hexOrigin(l *inventory.List, name string) rapsheet.Evidence {
	if name == "hexpm" {
		return l.Registry(hexRepository)
	}
	return rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: strings.ToLower(name)}
}

var (
	// rebarEntry is one entry of rebar.lock: {<<"app">>,{pkg,<<"name">>,<<"version">>},Level},
	// or with {git,"url",…} and the like in the place of pkg.
	rebarEntry = regexp.MustCompile(`\{<<"([^"]+)">>,\s*\{(\w+),\s*(?:<<"([^"]*)">>,\s*<<"([^"]*)">>|"([^"]*)")`)
	// rebarOuter begins the list of outer checksums, those of the archives.
	rebarOuter = regexp.MustCompile(`\{pkg_hash_ext,`)
	rebarHash  = regexp.MustCompile(`\{<<"([^"]+)">>,\s*<<"([0-9a-fA-F]{64})">>\}`)
)

// readRebarLock reads rebar.lock: Erlang terms as rebar3 writes them
// (https://rebar3.org/docs/workflow/#lockfile). Packages come from the
// repositories of the user's configuration.
func readRebarLock(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return errors.New("the file is empty")
	}
	if err := inventory.Lines(b, func(int, string) error { return nil }); err != nil {
		return err
	}
	sums := make(map[string]string)
	if at := rebarOuter.FindIndex(b); at != nil {
		for _, m := range rebarHash.FindAllSubmatch(b[at[1]:], -1) {
			sums[string(m[1])] = string(m[2])
		}
	}
	l := inventory.NewList(ctx, out, "Hex")
	counter := inventory.LineCounter{Text: b}
	for _, m := range rebarEntry.FindAllSubmatchIndex(b, inventory.MaxEntries) {
		group := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return string(b[m[2*i]:m[2*i+1]])
		}
		app, name, version := group(1), group(3), group(4)
		var ev rapsheet.Evidence
		switch group(2) {
		case "pkg":
			if sum := sums[app]; sum != "" {
				ev.Digests = inventory.Integrity([]string{"sha256:" + sum})
			}
		case "git", "git_subdir", "hg":
			name, version, ev = app, "", l.Git(group(5))
		default:
			name, version, ev = app, "", inventory.Local(group(5))
		}
		if err := l.Add(name, version, counter.Of(m[0]), ev); err != nil {
			return l.End(err)
		}
	}
	return l.End(nil)
}
