package installed

import (
	"bytes"
	"context"
	"encoding/binary"
	"regexp"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// isHexMetadata matches what every package of Hex has in its root when Mix (deps/) or rebar3 (_build/default/lib/)
// has extracted it.
func isHexMetadata(base, _ string) bool { return base == "hex_metadata.config" }

// The terms of the metadata that say what it is (https://github.com/hexpm/specifications/blob/main/package_metadata.md).
var (
	hexName    = regexp.MustCompile(`(?m)^\{<<"name">>,\s*<<"([^"]+)">>\}\.`)
	hexVersion = regexp.MustCompile(`(?m)^\{<<"version">>,\s*<<"([^"]+)">>\}\.`)
)

// readHexMetadata reads a package's metadata, and the manifest .hex that Mix writes beside it about what it fetched.
func readHexMetadata(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, "Hex")
	first := func(re *regexp.Regexp) string {
		if m := re.FindSubmatch(b); m != nil {
			return string(m[1])
		}
		return ""
	}
	name, version := first(hexName), first(hexVersion)
	var ev rapsheet.Evidence
	if manifest, ok := in.Sibling(".hex", 64<<10); ok {
		asked, askedVersion, from := hexManifest(l, manifest)
		ev = from
		if asked != "" && name != asked {
			if name != "" {
				if err := l.Add(name, version, 0, ev); err != nil {
					return l.End(err)
				}
			}
			return l.End(also(l, name, asked, askedVersion, ev))
		}
	}
	return l.End(l.Add(name, version, 0, ev))
}

// hexManifest reads .hex: since Hex 0.19 the external term {{hex, 2, 0}, #{name, version, repo, outer_checksum, …}},
// before that a line "name,version,checksum[,repository]" (hexpm/hex, lib/hex/scm.ex; the term format is
// https://www.erlang.org/doc/apps/erts/erl_ext_dist.html). The outer checksum is that of the archive.
func hexManifest(l *inventory.List, b []byte) (name, version string, ev rapsheet.Evidence) {
	var repository, sum string
	if bytes.HasPrefix(b, []byte{131}) {
		name, version = termValue(b, "name"), termValue(b, "version")
		repository, sum = termValue(b, "repo"), termValue(b, "outer_checksum")
	} else {
		line, _, _ := strings.Cut(string(b), "\n")
		fields := append(strings.Split(line, ","), "", "", "", "")
		name, version, repository = fields[0], fields[1], strings.TrimSpace(fields[3])
	}
	switch {
	case repository == "hexpm":
		ev = l.Registry("https://repo.hex.pm")
	case repository != "":
		// Its address is in the user's configuration.
		ev = rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: strings.ToLower(repository)}
	}
	if sum != "" {
		ev.Digests = inventory.Integrity([]string{"sha256:" + sum})
	}
	return name, version, ev
}

// termValue gives the binary that follows the atom key in an external term: the value of a map's key.
func termValue(b []byte, key string) string {
	const smallAtomUTF8, atom, binaryExt = 119, 100, 109
	at := bytes.Index(b, append([]byte{smallAtomUTF8, byte(len(key))}, key...))
	n := 2
	if at < 0 {
		at = bytes.Index(b, append([]byte{atom, 0, byte(len(key))}, key...))
		n = 3
	}
	if at < 0 {
		return ""
	}
	rest := b[at+n+len(key):]
	if len(rest) < 5 || rest[0] != binaryExt {
		return ""
	}
	size := binary.BigEndian.Uint32(rest[1:])
	if rest = rest[5:]; uint64(size) > uint64(len(rest)) {
		return ""
	}
	return string(rest[:size])
}
