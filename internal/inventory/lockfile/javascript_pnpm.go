package lockfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"go.yaml.in/yaml/v3"
)

// readPnpmLock reads pnpm-lock.yaml, lockfileVersion 5 to 9
// (github.com/pnpm/spec, lockfile/). "packages" is what there is; "snapshots"
// (version 9) repeats it per set of peers; "importers" adds what is linked from
// elsewhere on the machine.
//
// pnpm writes block mappings, so the file is cut at its indentation and only the
// few lines of an entry that matter go through the YAML parser: memory is that of
// one entry, and aliases cannot reach from one to another. A file laid out in
// another way is an error and not a guess.
func readPnpmLock(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	p := &pnpmLock{npmList: listNPM(ctx, in, out)}
	err := scanLines(in.R, p.scan)
	if err == nil {
		err = p.flush()
	}
	return p.End(err)
}

type pnpmLock struct {
	*npmList
	major   int // of lockfileVersion; 0: not seen yet
	section string
	indent  int // of the section's entries; 0: none yet

	// The entry being collected.
	line  int // 0: none
	chunk []byte
	inner int  // indentation of the entry's properties; 0: none yet
	keep  bool // whether the property that a line continues is of interest
	whole bool // the entry has an explicit key ("? …"), and all of it is kept
}

func (p *pnpmLock) scan(n int, line []byte) error {
	indent := indentation(line)
	text := bytes.TrimRight(line[indent:], " \t\r")
	switch {
	case len(text) == 0:
		return nil
	case bytes.IndexByte(line[:indent], '\t') >= 0:
		return &inventory.LineError{Line: n, Err: errors.New("indented with a tab: not YAML")}
	case text[0] == '#' && indent <= p.indent:
		return nil
	case indent == 0:
		return p.top(n, string(text))
	}
	switch p.section {
	case "packages", "importers", "dependencies", "devDependencies", "optionalDependencies":
	default:
		return nil
	}
	if p.indent == 0 {
		p.indent = indent
	}
	switch {
	case indent < p.indent:
		return &inventory.LineError{Line: n, Err: errors.New("indented less than the entries before it")}
	case indent == p.indent && !(p.whole && text[0] == ':'):
		if err := p.flush(); err != nil {
			return err
		}
		p.line, p.inner, p.keep = n, 0, true
		p.whole = text[0] == '?'
	case p.section == "packages" && !p.whole:
		if p.inner == 0 {
			p.inner = indent
		}
		if indent <= p.inner {
			key, _, _ := bytes.Cut(text, []byte(":"))
			switch string(bytes.Trim(key, `'"`)) {
			case "resolution", "name", "version":
				p.keep = true
			default:
				// Merged and aliased mappings ("<<: *x") and escapes could hide what matters.
				p.keep = len(key) == 0 || strings.IndexByte("<*&?!", key[0]) >= 0 || bytes.IndexByte(key, '\\') >= 0
			}
		}
		if !p.keep {
			return nil
		}
	}
	if len(p.chunk)+len(line) > maxLine {
		return &inventory.LineError{Line: p.line, Err: fmt.Errorf("an entry is longer than %d bytes", maxLine)}
	}
	p.chunk = append(append(p.chunk, line...), '\n')
	return nil
}

// top reads a line without indentation: a key of the document, or its end.
func (p *pnpmLock) top(n int, text string) error {
	if err := p.flush(); err != nil {
		return err
	}
	p.section, p.indent = "", 0
	if text == "..." || text == "---" || strings.HasPrefix(text, "--- ") {
		p.major = 0 // pnpm puts a document for its own tools in front
		return nil
	}
	if strings.HasPrefix(text, "%") {
		return nil
	}
	key, value, ok := strings.Cut(text, ":")
	if !ok || strings.ContainsAny(key, "{[&*?!") {
		return &inventory.LineError{Line: n, Err: errors.New("not laid out as pnpm does: a key of a block mapping expected")}
	}
	p.section = strings.Trim(key, `'"`)
	value, _, _ = strings.Cut(value, " #")
	value = strings.Trim(strings.TrimSpace(value), `'"`)
	switch p.section {
	case "lockfileVersion":
		digits := value[:len(value)-len(strings.TrimLeft(value, "0123456789"))]
		major, err := strconv.Atoi(digits)
		if err != nil || major < 5 || major > 9 {
			return &inventory.LineError{Line: n, Err: fmt.Errorf("lockfileVersion %.20q is not supported (5 to 9 are)", value)}
		}
		p.major = major
	case "packages":
		if value != "" && value != "{}" && value != "null" && value != "~" {
			return &inventory.LineError{Line: n, Err: errors.New("not laid out as pnpm does: packages in one line")}
		}
		if p.major == 0 && value != "{}" {
			return &inventory.LineError{Line: n, Err: errors.New("no lockfileVersion before packages")}
		}
	}
	return nil
}

// pnpmPackage is what an entry of "packages" says, as far as it matters here.
type pnpmPackage struct {
	Resolution struct {
		Integrity, Tarball, Registry, Type, Repo, Directory string
	}
	Name, Version string
}

// flush sends the entry that ends here.
func (p *pnpmLock) flush() error {
	line, chunk := p.line, p.chunk
	p.line, p.chunk = 0, p.chunk[:0]
	if line == 0 {
		return nil
	}
	if p.section != "packages" {
		if !bytes.Contains(chunk, []byte("link:")) {
			return nil
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(chunk, &doc); err != nil {
			return p.badYAML(line, err)
		}
		return p.links(&doc, nil, line-1, 0)
	}
	if key, integrity, ok := plainEntry(chunk); ok {
		var pkg pnpmPackage
		pkg.Resolution.Integrity = integrity
		return p.entry(key, &pkg, line)
	}
	var one map[string]pnpmPackage
	if err := yaml.Unmarshal(chunk, &one); err != nil {
		return p.badYAML(line, err)
	}
	for key, pkg := range one {
		if err := p.entry(key, &pkg, line); err != nil {
			return err
		}
	}
	return nil
}

func (p *pnpmLock) badYAML(line int, err error) error {
	if !p.Out.Note(rapsheet.NoteUnread, line, "the entry is not understood: %.300s", inventory.Reason(err)) {
		return inventory.ErrStopped
	}
	return nil
}

// plainEntry reads the two lines that nearly every entry is made of:
//
//	'@scope/name@1.0.0':
//	  resolution: {integrity: sha512-…}
//
// Everything else is for the YAML parser.
func plainEntry(chunk []byte) (key, integrity string, ok bool) {
	first, rest, _ := bytes.Cut(chunk, []byte("\n"))
	first, ok = bytes.CutSuffix(bytes.TrimSpace(first), []byte(":"))
	if !ok {
		return "", "", false
	}
	if q, quoted := bytes.CutPrefix(first, []byte("'")); quoted {
		if first, ok = bytes.CutSuffix(q, []byte("'")); !ok {
			return "", "", false
		}
	} else if len(first) == 0 || !isWord(first[0]) && first[0] != '/' {
		return "", "", false
	}
	for _, c := range first {
		if !isWord(c) && strings.IndexByte("@/.-_()+~", c) < 0 {
			return "", "", false
		}
	}
	value, ok := bytes.CutPrefix(bytes.TrimSpace(rest), []byte("resolution: {integrity: "))
	if !ok {
		return "", "", false
	}
	value, ok = bytes.CutSuffix(value, []byte("}"))
	if !ok || len(value) == 0 || !isWord(value[0]) {
		return "", "", false
	}
	for _, c := range value {
		if !isWord(c) && c != '+' && c != '/' && c != '=' && c != '-' {
			return "", "", false
		}
	}
	return string(first), string(value), true
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func (p *pnpmLock) entry(key string, pkg *pnpmPackage, line int) error {
	name, version, source := pnpmKey(key, p.major)
	if pkg.Name != "" {
		name = pkg.Name
	}
	if pkg.Version != "" {
		version = pkg.Version
	}
	r := &pkg.Resolution
	digests := ecosystem.Integrity(r.Integrity)
	switch {
	case r.Type == "git" || r.Repo != "":
		return p.Add(name, version, line, p.Git(r.Repo))
	case r.Type == "directory" || r.Directory != "":
		return p.Add(name, version, line, inventory.Local(r.Directory))
	case strings.HasPrefix(r.Tarball, "file:"):
		ev := inventory.Local(strings.TrimPrefix(r.Tarball, "file:"))
		ev.Digests = digests
		return p.Add(name, version, line, ev)
	case r.Tarball != "":
		return p.npmList.resolved(name, version, r.Tarball, line, digests)
	case r.Registry != "":
		ev := p.Registry(r.Registry)
		ev.Digests = append(ev.Digests, digests...)
		return p.Add(name, version, line, ev)
	}
	return p.npmList.resolved(name, version, source, line, digests)
}

// pnpmKey reads an entry's key, a "dependency path":
//
//	5    /name/1.0.0_peers, /@scope/name/1.0.0, registry.example.org/name/1.0.0
//	6    /name@1.0.0(peer@2.0.0), registry.example.org/name@1.0.0
//	9    name@1.0.0, name@https://…, name@file:…
//
// source is the URL or registry that the key names, "" for the configured
// registry. The name is "" where the key does not say it; the entry then does.
func pnpmKey(key string, major int) (name, version, source string) {
	if i := strings.IndexByte(key, '('); i > 0 {
		key = key[:i]
	}
	if strings.HasPrefix(key, "file:") || strings.HasPrefix(key, "link:") {
		return "", "", key
	}
	if major >= 9 {
		name, version = nameAndVersion(key)
		if isSpecifier(version) {
			return name, "", version
		}
		return name, version, ""
	}
	host, rest, ok := strings.Cut(key, "/")
	if !ok {
		return "", "", ""
	}
	if major >= 6 {
		name, version = nameAndVersion(rest)
	} else {
		name, version, _ = strings.Cut(rest, "/")
		if strings.HasPrefix(name, "@") {
			var last string
			last, version, _ = strings.Cut(version, "/")
			name += "/" + last
		}
		version, _, _ = strings.Cut(version, "/")
		version, _, _ = strings.Cut(version, "_")
	}
	if version == "" || version[0] < '0' || version[0] > '9' {
		return "", "", ""
	}
	if host != "" {
		source = "https://" + strings.TrimPrefix(host, "@") + "/" + name + "/-/" + name[strings.LastIndexByte(name, '/')+1:] + "-" + version + ".tgz"
	}
	return name, version, source
}

// links sends what importers link to: a dependency whose version is "link:path".
// of is the key that n is the value of; before, the lines before the entry.
func (p *pnpmLock) links(n, of *yaml.Node, before, depth int) error {
	if depth > 6 {
		return nil
	}
	switch n.Kind {
	case yaml.DocumentNode:
		for _, c := range n.Content {
			if err := p.links(c, nil, before, depth+1); err != nil {
				return err
			}
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if value.Kind != yaml.ScalarNode {
				if err := p.links(value, key, before, depth+1); err != nil {
					return err
				}
				continue
			}
			if key.Value == "specifier" {
				continue
			}
			path, ok := strings.CutPrefix(value.Value, "link:")
			if !ok {
				continue
			}
			if key.Value == "version" && of != nil {
				key = of
			}
			if err := p.Add(key.Value, "", before+key.Line, inventory.Local(path)); err != nil {
				return err
			}
		}
	}
	return nil
}
