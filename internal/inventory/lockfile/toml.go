package lockfile

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/tomltable"
)

// maxTOML is far above real lockfiles (a poetry.lock of a thousand packages has two
// megabytes): the parser cannot be interrupted when a file's time is over.
const maxTOML = 16 << 20

// readTOML reads b and finds the lines of the elements of the array of tables
// called array: the line of each one's name key, or of its header.
func readTOML(b []byte, array string) (tomltable.Table, []int, error) {
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, nil, errors.New("the file is empty")
	}
	if len(b) > maxTOML {
		return nil, nil, fmt.Errorf("larger than the limit of %d bytes for a TOML lockfile", maxTOML)
	}
	at, err := scanTOML(b, array)
	if err != nil {
		return nil, nil, err
	}
	doc := map[string]any{}
	if err := toml.Unmarshal(b, &doc); err != nil {
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			return nil, nil, inventory.AtLine(syntax.Position.Line, "%s", syntax.Message)
		}
		return nil, nil, err
	}
	return doc, at, nil
}

// readTOMLFile is the whole file, as by readTOML.
func readTOMLFile(in *inventory.File, array string) (tomltable.Table, []int, error) {
	b, err := in.Text()
	if err != nil {
		return nil, nil, err
	}
	return readTOML(b, array)
}

// scanTOML passes over TOML text once, outside strings and comments. The parser
// recurses for each level of nesting and copies a dotted key for each part, so
// both are held to maxNesting here, before it runs. Lines are those of readTOML.
// Text that is not TOML is left to the parser to refuse.
func scanTOML(b []byte, array string) (at []int, err error) {
	header := []byte("[[" + array + "]]")
	line, depth, dots := 1, 0, 0
	start, unnamed := true, false
	for i := 0; i < len(b); {
		if start {
			start = false
			rest := b[i:]
			switch {
			case inventory.ConflictMarker(rest):
				return nil, inventory.AtLine(line, "unresolved merge conflict")
			case depth > 0:
			case isHeader(rest, header):
				at, unnamed = append(at, line), true
			case bytes.HasPrefix(bytes.TrimLeft(rest[:min(len(rest), 64)], " \t"), []byte("[")):
				unnamed = false
			case unnamed && isKey(rest, "name"):
				at[len(at)-1], unnamed = line, false
			}
		}
		c := b[i]
		switch c {
		case '\n':
			line++
			start, dots = true, 0
		case '#':
			if n := bytes.IndexByte(b[i:], '\n'); n >= 0 {
				i += n
				continue
			}
			return at, nil
		case '"', '\'':
			n := tomlString(b[i:])
			line += bytes.Count(b[i:i+n], []byte{'\n'})
			i += n
			continue
		case '[', '{':
			depth, dots = depth+1, 0
		case ']', '}':
			depth, dots = max(0, depth-1), 0
		case '=', ',':
			dots = 0
		case '.':
			dots++
		}
		if depth > inventory.MaxNesting || dots > inventory.MaxNesting {
			return nil, inventory.AtLine(line, "nested deeper than %d", inventory.MaxNesting)
		}
		i++
	}
	return at, nil
}

// isHeader reports whether the line that b begins with is header alone.
func isHeader(b, header []byte) bool {
	if i := bytes.IndexByte(b[:min(len(b), len(header)+256)], '\n'); i >= 0 {
		b = b[:i]
	}
	b = bytes.TrimLeft(b, " \t")
	rest, ok := bytes.CutPrefix(b, header)
	if !ok {
		return false
	}
	rest = bytes.TrimLeft(rest, " \t\r")
	return len(rest) == 0 || rest[0] == '#'
}

// isKey reports whether the line that b begins with sets the bare key.
func isKey(b []byte, key string) bool {
	b = bytes.TrimLeft(b[:min(len(b), len(key)+64)], " \t")
	rest, ok := bytes.CutPrefix(b, []byte(key))
	return ok && bytes.HasPrefix(bytes.TrimLeft(rest, " \t"), []byte("="))
}

// tomlString gives the length of the string that b begins with (TOML 1.0, section "String").
func tomlString(b []byte) int {
	quote := b[0]
	end := []byte{quote}
	multi := len(b) >= 3 && b[1] == quote && b[2] == quote
	i := 1
	if multi {
		end, i = b[:3], 3
	}
	for i < len(b) {
		switch {
		case b[i] == '\\' && quote == '"':
			i += 2
			continue
		case b[i] == '\n' && !multi:
			return i // unterminated: the parser will say so
		case bytes.HasPrefix(b[i:], end):
			i += len(end)
			// Up to two quotes may stand right before the closing ones.
			for n := 0; multi && n < 2 && i < len(b) && b[i] == quote; n++ {
				i++
			}
			return i
		}
		i++
	}
	return len(b)
}

// lineAt is the line of element i, 0 when the array is not written with headers.
func lineAt(at []int, i, n int) int {
	if len(at) != n {
		return 0
	}
	return at[i]
}

// hashesOf gives "algorithm:value" for each member of a table of hashes, in order.
func hashesOf(t tomltable.Table) []string {
	var all []string
	for _, k := range sortedKeys(t) {
		if v := t.Text(k); v != "" {
			all = append(all, strings.ToLower(k)+":"+v)
		}
	}
	return all
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
