package lockfile

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// maxLine is the longest line of a line-oriented lockfile, in bytes.
const maxLine = 1 << 20

// scanLines calls each for every line of r, without its line end, in constant memory.
// The line is valid until each returns.
func scanLines(r io.Reader, each func(n int, line []byte) error) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, 64<<10), maxLine)
	n := 0
	for sc.Scan() {
		n++
		line := sc.Bytes()
		if n == 1 {
			line = bytes.TrimPrefix(line, inventory.BOM)
		}
		if inventory.ConflictMarker(line) {
			return &inventory.LineError{Line: n, Err: errConflict}
		}
		if err := each(n, line); err != nil {
			return err
		}
	}
	if errors.Is(sc.Err(), bufio.ErrTooLong) {
		return &inventory.LineError{Line: n + 1, Err: fmt.Errorf("a line is longer than %d bytes", maxLine)}
	}
	return sc.Err()
}

// indentation counts the blanks a line begins with.
func indentation(line []byte) int { return len(line) - len(bytes.TrimLeft(line, " \t")) }

// readYarnLock reads yarn.lock: Yarn 1's own format (classic.yarnpkg.com/en/docs/yarn-lock)
// and the YAML subset of Yarn 2 and later. Both are blocks of a header, which names the
// specifiers that a package satisfies, and indented properties; a line-oriented
// reader does for both, and for files of any length.
func readYarnLock(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	y := &yarnLock{npmList: listNPM(ctx, in, out)}
	err := scanLines(in.R, y.scan)
	if err == nil {
		err = y.flush()
	}
	return y.End(err)
}

type yarnLock struct {
	*npmList
	// The block being read.
	line   int // 0: none
	header string
	indent int // of its properties; 0: none yet

	version, resolved, integrity string // Yarn 1; version in both
	resolution                   string // Yarn 2 and later
}

func (y *yarnLock) scan(n int, line []byte) error {
	indent := indentation(line)
	text := bytes.TrimRight(line[indent:], " \t\r")
	switch {
	case len(text) == 0 || text[0] == '#':
		return nil
	case indent == 0 && string(text) == ":":
		return nil // the second half of a YAML "? key"
	case indent == 0:
		if err := y.flush(); err != nil {
			return err
		}
		*y = yarnLock{npmList: y.npmList, line: n, header: strings.TrimPrefix(string(text), "? ")}
		return nil
	case y.line == 0:
		return &inventory.LineError{Line: n, Err: errors.New("a property outside any entry: not a yarn.lock")}
	case y.indent == 0:
		y.indent = indent
	case indent > y.indent:
		return nil // the package's own dependencies, which may be called "version" too
	}
	key, value := cutProperty(string(text))
	switch key {
	case "version":
		y.version = value
	case "resolved":
		y.resolved = value
	case "integrity":
		y.integrity = value
	case "resolution":
		y.resolution = value
	}
	return nil
}

// cutProperty splits `key value` (Yarn 1) and `key: value` (later), either of them quoted or not.
func cutProperty(s string) (key, value string) {
	i := strings.IndexAny(s, ": ")
	if i < 0 {
		return strings.Trim(s, `"`), ""
	}
	return strings.Trim(s[:i], `"`), unquote(strings.TrimSpace(strings.TrimPrefix(s[i:], ":")))
}

// unquote reads a JSON string; anything else is given as it is.
func unquote(s string) string {
	if !strings.HasPrefix(s, `"`) {
		return s
	}
	if b, err := jsontext.AppendUnquote(nil, s); err == nil {
		return string(b)
	}
	return strings.Trim(s, `"`)
}

// flush sends the block that ends here.
func (y *yarnLock) flush() error {
	switch {
	case y.line == 0, strings.HasPrefix(y.header, "__metadata"):
		return nil
	case y.resolution != "":
		name, ref := nameAndVersion(y.resolution)
		return y.berry(name, ref, 0)
	}
	var names []string
	from := ""
	for _, pattern := range yarnPatterns(y.header) {
		name, rest := nameAndVersion(pattern)
		if alias, ok := strings.CutPrefix(rest, "npm:"); ok {
			if real, version := nameAndVersion(alias); version != "" {
				name = real
			}
		} else if from == "" && isSpecifier(rest) {
			from = rest
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	digests := ecosystem.Integrity(y.integrity)
	if y.resolved != "" {
		from = y.resolved
		if sha1, ok := tarballSHA1(y.resolved); ok {
			digests = append(digests, rapsheet.Digest{Algorithm: "sha1", Hex: sha1})
		}
	}
	for _, name := range names {
		if err := y.npmList.resolved(name, y.version, from, y.line, digests); err != nil {
			return err
		}
	}
	return nil
}

// berry sends a block of Yarn 2 and later from its resolution, "name@reference"
// (yarnpkg.com/advanced/lexicon, "Reference"). The block's checksum is of Yarn's
// own archive, not of the registry's: no digest.
func (y *yarnLock) berry(name, ref string, depth int) error {
	protocol, rest, _ := strings.Cut(ref, ":")
	plain, parameters, _ := strings.Cut(rest, "::")
	switch protocol {
	case "npm":
		version := y.version
		if version == "" {
			version = plain
		}
		query, err := url.ParseQuery(parameters)
		if err != nil {
			query = nil
		}
		return y.npmList.resolved(name, version, query.Get("__archiveUrl"), y.line, nil)
	case "workspace":
		if plain == "." {
			return nil
		}
		// Every workspace has the version "0.0.0-use.local", which stands for none.
		return y.Add(name, "", y.line, inventory.Local(plain))
	case "link", "portal", "file":
		path, _, _ := strings.Cut(plain, "#")
		return y.Add(name, y.version, y.line, inventory.Local(path))
	case "patch": // a package from elsewhere, with changes
		source, _, _ := strings.Cut(plain, "#")
		source, err := url.PathUnescape(source)
		if err != nil || depth > 3 {
			return y.Add(name, y.version, y.line, rapsheet.Evidence{})
		}
		inner, innerRef := nameAndVersion(source)
		return y.berry(inner, innerRef, depth+1)
	}
	from, _, _ := strings.Cut(ref, "::")
	return y.npmList.resolved(name, y.version, from, y.line, nil)
}

// yarnPatterns splits Yarn 1's header: patterns with commas between them, each quoted or not.
func yarnPatterns(header string) []string {
	var all []string
	s := strings.TrimSuffix(header, ":")
	for s != "" {
		s = strings.TrimLeft(s, ", ")
		var one string
		if strings.HasPrefix(s, `"`) {
			i := 1
			for i < len(s) && s[i] != '"' {
				if s[i] == '\\' {
					i++
				}
				i++
			}
			i = min(i+1, len(s))
			one, s = unquote(s[:i]), s[i:]
		} else {
			one, s, _ = strings.Cut(s, ",")
		}
		if one != "" {
			all = append(all, one)
		}
	}
	return all
}

// tarballSHA1 gives the digest that Yarn 1 appends to an archive's URL. Behind a
// repository's URL the same place holds a commit.
func tarballSHA1(resolved string) (string, bool) {
	archive, sum, ok := strings.Cut(resolved, "#")
	if !ok || len(sum) != 40 || strings.Trim(sum, "0123456789abcdef") != "" {
		return "", false
	}
	return sum, strings.HasSuffix(archive, ".tgz") || strings.Contains(archive, "/-/")
}
