package lockfile

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/pythonconfig"
)

// readRequirements reads a requirements or constraints file the way pip does:
// https://pip.pypa.io/en/stable/reference/requirements-file-format/. What is not
// pinned is seen without a version. Files included with -r or -c are not opened:
// the walk meets them by itself. Markers are not judged: on some machine the
// package is installed.
func readRequirements(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.AnyText()
	if err != nil {
		return err
	}
	r := requirements{l: inventory.NewList(ctx, out, pypi), indexes: make(map[string]string)}
	logical, err := joinLines(b)
	// Options count for the whole file, wherever they stand.
	for _, line := range logical {
		r.option(line.text)
	}
	r.source(in)
	for _, line := range logical {
		if err := r.requirement(line.text, line.n); err != nil {
			return r.l.End(err)
		}
	}
	return r.end(err)
}

// requirements is the reading of one requirements file.
type requirements struct {
	l *inventory.List
	// indexes are the package indexes named in the file.
	indexes map[string]string
	replace bool
	// further says that packages may also come from a page of links, a directory, or nowhere.
	further bool
	// from is the evidence of a requirement that says nothing else.
	from rapsheet.Evidence
	// odd counts lines that pip would not take, oddLine is the first.
	odd, oddLine int
}

func (r *requirements) end(err error) error {
	if r.odd > 0 {
		r.l.Unmatchable(r.oddLine, r.odd, "lines that are no requirement with a name")
	}
	return r.l.End(err)
}

// joined is one logical line, with the number of its first physical one.
type joined struct {
	n    int
	text string
}

// comment is pip's: a # at the start or after white space.
var comment = regexp.MustCompile(`(^|\s+)#.*$`)

// joinLines joins continued lines and takes comments off; a comment ends a continuation.
func joinLines(b []byte) ([]joined, error) {
	var all []joined
	var open strings.Builder
	first := 0
	flush := func() {
		if text := strings.TrimSpace(comment.ReplaceAllString(open.String(), "")); text != "" {
			all = append(all, joined{n: first, text: text})
		}
		open.Reset()
		first = 0
	}
	err := inventory.Lines(b, func(n int, line string) error {
		if first == 0 {
			first = n
		}
		isComment := strings.HasPrefix(strings.TrimLeft(line, " \t"), "#")
		if rest, ok := strings.CutSuffix(line, `\`); ok && !isComment {
			open.WriteString(rest)
			return nil
		}
		if isComment {
			open.WriteByte(' ')
		}
		open.WriteString(line)
		flush()
		if len(all) > inventory.MaxEntries {
			return fmt.Errorf("more than %d lines", inventory.MaxEntries)
		}
		return nil
	})
	flush()
	return all, err
}

// option takes the package indexes from a line of options.
func (r *requirements) option(line string) {
	if !strings.HasPrefix(line, "-") {
		return
	}
	words := strings.Fields(line)
	for i, w := range words {
		name, value, ok := strings.Cut(w, "=")
		if !ok && i+1 < len(words) {
			value = words[i+1]
		}
		switch name {
		case "-i", "--index-url", "--pypi-url":
			r.indexes["index"], r.replace = value, true
		case "--extra-index-url":
			// Beside it stands the index of --index-url, or the user's own, which the file does not say.
			r.indexes["extra "+value] = value
		case "-f", "--find-links", "--no-index":
			r.further = true
		}
	}
	if !r.replace && len(r.indexes) > 0 {
		r.indexes["index"] = pypiIndex
	}
}

// source finds the evidence of requirements that say nothing else: the indexes of the file, or else those that pip is
// configured for where it is.
func (r *requirements) source(in *inventory.File) {
	switch {
	case len(r.indexes) > 0:
		r.from = commonIndex(r.l, r.indexes)
	case !r.further:
		r.from = in.Once("pip's indexes in "+path.Dir(in.Rel), func() any { return pythonconfig.Pip(in, path.Dir(in.Rel)) }).(*pythonconfig.Indexes).Evidence()
	}
}

var (
	// requirementName is a name, extras and the rest (PEP 508, "Names" and "Extras").
	requirementName = regexp.MustCompile(`^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(.*)$`)
	// requirementOptions begin at the first word with a dash, as pip splits a line.
	requirementOptions = regexp.MustCompile(`\s--?[A-Za-z].*$`)
	hashOption         = regexp.MustCompile(`\s--hash[=\s]\s*(\S+)`)
	eggFragment        = regexp.MustCompile(`[#&]egg=([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)`)
)

// requirement reads one logical line.
func (r *requirements) requirement(line string, n int) error {
	if word, rest := firstWord(line); strings.HasPrefix(line, "-") {
		switch {
		case word == "-e" || word == "--editable":
			return r.place(rest, n)
		case strings.HasPrefix(word, "--editable="):
			return r.place(strings.TrimPrefix(line, "--editable="), n)
		}
		return nil
	}
	var hashes []string
	for _, m := range hashOption.FindAllStringSubmatch(line, -1) {
		hashes = append(hashes, m[1])
	}
	line = requirementOptions.ReplaceAllString(line, "")
	if isPlace(line) {
		return r.place(line, n, hashes...)
	}
	m := requirementName.FindStringSubmatch(line)
	if m == nil {
		return r.oddity(n)
	}
	name, rest := m[1], strings.TrimSpace(m[2])
	if at, ok := strings.CutPrefix(rest, "@"); ok {
		// The marker of a requirement with a URL stands after white space.
		at, _, _ = strings.Cut(strings.TrimSpace(at), " ;")
		ev := r.placeEvidence(strings.TrimSpace(at), hashes)
		_, version := archiveName(at)
		return r.l.Add(name, version, n, ev)
	}
	rest, _, _ = strings.Cut(rest, ";")
	rest = strings.Trim(strings.TrimSpace(rest), "()")
	if rest != "" && !strings.ContainsAny(rest[:1], "=<>!~") {
		return r.oddity(n)
	}
	ev := r.from
	ev.Digests = inventory.Integrity(hashes)
	return r.l.Add(name, pinned(rest), n, ev)
}

func (r *requirements) oddity(n int) error {
	if r.odd == 0 {
		r.oddLine = n
	}
	r.odd++
	return nil
}

// place reads a requirement that is a URL or path, whose name is in its egg
// fragment or its file name.
func (r *requirements) place(at string, n int, hashes ...string) error {
	at, _, _ = strings.Cut(strings.TrimSpace(at), " ;")
	at = strings.TrimSpace(at)
	if m := requirementName.FindStringSubmatch(at); m != nil && strings.HasPrefix(m[2], "@") {
		return r.requirement(at, n)
	}
	name, version := archiveName(at)
	if m := eggFragment.FindStringSubmatch(at); m != nil {
		name, version = m[1], ""
	}
	if name == "" {
		return r.oddity(n)
	}
	return r.l.Add(name, version, n, r.placeEvidence(at, hashes))
}

func (r *requirements) placeEvidence(at string, hashes []string) rapsheet.Evidence {
	var ev rapsheet.Evidence
	scheme, _, ok := strings.Cut(at, "://")
	switch scheme = strings.ToLower(scheme); {
	case !ok || scheme == "file":
		ev = inventory.Local(withoutFragment(at))
	case scheme == "git" || scheme == "ssh" || strings.Contains(scheme, "+"):
		ev = r.l.Git(at)
	default:
		ev = r.l.Archive(at)
	}
	// pip takes a hash from the fragment of a URL: #sha256=….
	if _, fragment, ok := strings.Cut(at, "#"); ok {
		for part := range strings.SplitSeq(fragment, "&") {
			ev.Digests = append(ev.Digests, inventory.Integrity([]string{part})...)
		}
	}
	ev.Digests = append(ev.Digests, inventory.Integrity(hashes)...)
	return ev
}

func withoutFragment(at string) string {
	at, _, _ = strings.Cut(at, "#")
	return at
}

// isPlace reports whether a requirement is a URL or a path instead of a name.
func isPlace(s string) bool {
	if m := requirementName.FindStringSubmatch(s); m != nil && strings.HasPrefix(m[2], "@") {
		return false
	}
	word, _ := firstWord(s)
	for _, ext := range archiveExtensions {
		if strings.HasSuffix(word, ext) {
			return true
		}
	}
	return strings.ContainsAny(word[:1], `./\`) || strings.Contains(word, "://")
}

// archiveExtensions are those of the archives that pip installs.
var archiveExtensions = []string{".whl", ".tar.gz", ".zip", ".tar.bz2"}

func firstWord(s string) (word, rest string) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimSpace(s[i:])
}

// archiveName takes name and version from the file name of a wheel
// (name-version(-build)?-python-abi-platform.whl, PEP 427) or source archive
// (name-version.tar.gz, PEP 625); other files have none.
func archiveName(at string) (name, version string) {
	at, _, _ = strings.Cut(withoutFragment(at), "?")
	base := path.Base(strings.ReplaceAll(at, `\`, "/"))
	if wheel, ok := strings.CutSuffix(base, ".whl"); ok {
		parts := strings.Split(wheel, "-")
		if len(parts) < 5 || len(parts) > 6 {
			return "", ""
		}
		return parts[0], parts[1]
	}
	for _, ext := range archiveExtensions {
		stem, ok := strings.CutSuffix(base, ext)
		if !ok {
			continue
		}
		i := strings.LastIndexByte(stem, '-')
		if i <= 0 || i+1 == len(stem) || stem[i+1] < '0' || stem[i+1] > '9' {
			return "", ""
		}
		return stem[:i], stem[i+1:]
	}
	return "", ""
}

// pinned gives the version that a specifier allows alone ("==1.2", "===1.2"; PEP
// 440, "Version specifiers"), "" when it allows others.
func pinned(specifier string) string {
	for clause := range strings.SplitSeq(specifier, ",") {
		clause = strings.TrimSpace(clause)
		v, ok := strings.CutPrefix(clause, "===")
		if !ok {
			v, ok = strings.CutPrefix(clause, "==")
			ok = ok && !strings.HasSuffix(v, "*")
		}
		v = strings.TrimSpace(v)
		if ok && v != "" && !strings.ContainsAny(v, " \t$<>=!~") {
			return v
		}
	}
	return ""
}

// readConda reads the pip section of a conda environment file
// (https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-environments.html).
// Conda's own packages are of an ecosystem without records, and counted.
func readConda(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	root, err := readYAML(in)
	if err != nil {
		return err
	}
	r := requirements{l: inventory.NewList(ctx, out, pypi), indexes: make(map[string]string)}
	dependencies := member(root, "dependencies")
	if dependencies == nil || dependencies.Kind != yaml.SequenceNode {
		return nil // many tools call a file environment.yml
	}
	for _, dep := range dependencies.Content {
		pip := member(dep, "pip")
		if pip == nil {
			if dep = resolve(dep); dep.Kind == yaml.ScalarNode && !strings.HasPrefix(dep.Value, "pip") {
				r.l.Skip("conda packages: an ecosystem without records")
			}
			continue
		}
		for _, item := range pip.Content {
			if item = resolve(item); item.Kind == yaml.ScalarNode {
				r.option(item.Value)
			}
		}
		r.source(in)
		for _, item := range pip.Content {
			if item = resolve(item); item.Kind != yaml.ScalarNode {
				continue
			}
			text := strings.TrimSpace(comment.ReplaceAllString(item.Value, ""))
			if text == "" {
				continue
			}
			if err := r.requirement(text, item.Line); err != nil {
				return r.end(err)
			}
		}
	}
	return r.end(nil)
}
