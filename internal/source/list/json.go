package list

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxIndicators is how large the indicators of a document may be; larger ones are left out.
const maxIndicators = 16 << 10

// Kinds of JSON values, by their first byte.
const (
	kindObject = '{'
	kindArray  = '['
	kindString = '"'
)

// layoutExposure is the catalog format of bumblebee and others: entries with id, name, ecosystem,
// package and versions.
const layoutExposure = "exposure catalog"

// span is a JSON value within a document: its text and where it begins.
type span struct {
	data []byte
	at   int
}

func (s span) kind() byte { return s.data[0] }

// jsonReader reads a document that is known to be valid JSON.
type jsonReader struct {
	p *parser
	// line is the number of the line at offset at; values come in their order.
	line, at int
	data     []byte
	tables   map[string]*objectTable // by the ecosystem they are in
	order    []*objectTable
}

// objectTable is objects as the rows of a table.
type objectTable struct {
	table
	eco     string
	columns map[string]int
}

// readJSON reads a document of one JSON value.
func (p *parser) readJSON(text string) error {
	data := []byte(text)
	if err := shallow(data); err != nil {
		return err
	}
	// One pass checks all of it: duplicate names, UTF-8, what follows the value.
	dec := jsontext.NewDecoder(bytes.NewBuffer(data))
	value, err := dec.ReadValue()
	if err != nil {
		return jsonError(data, err)
	}
	top := span{value, int(dec.InputOffset()) - len(value)}
	if _, err := dec.ReadToken(); err == nil {
		return errors.New("a second JSON value after the first: want one document, or one object per line")
	} else if !errors.Is(err, io.EOF) {
		return jsonError(data, err)
	}
	j := &jsonReader{p: p, line: 1, data: data, tables: map[string]*objectTable{}}
	if top.kind() == kindArray {
		j.array(top, "")
	} else if err := j.document(top); err != nil {
		return err
	}
	if len(p.units) == 0 {
		return ErrEmpty
	}
	j.finish()
	return nil
}

// readJSONLines reads one JSON object per line.
func (p *parser) readJSONLines(text string) {
	j := &jsonReader{p: p, tables: map[string]*objectTable{}}
	for i, line := range lines(text) {
		if p.over {
			return
		}
		t := strings.TrimSpace(line)
		if t == "" || isComment(t) {
			p.plain(i, line, t == "")
			continue
		}
		u := p.unit(i+1, 1, line)
		data := []byte(t)
		err := shallow(data)
		if err == nil && data[0] != kindObject {
			err = errors.New("not a JSON object")
		}
		if err == nil && !jsontext.Value(data).IsValid() {
			err = errors.New("not valid JSON, or a name twice in it")
		}
		if err != nil {
			p.note(u, err.Error(), true)
			continue
		}
		j.row(u, span{data, 0}, "", "")
	}
	j.finish()
}

// shallow checks that no more than maxDepth arrays and objects are open at once.
func shallow(data []byte) error {
	depth := 0
	inString := false
	for i := 0; i < len(data); i++ {
		c := data[i]
		switch {
		case inString:
			if c == '\\' {
				i++
			} else if c == '"' {
				inString = false
			}
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return fmt.Errorf("line %d: JSON nested deeper than %d", lineAt(data, i), maxDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

func lineAt(data []byte, offset int) int {
	return 1 + bytes.Count(data[:min(offset, len(data))], []byte("\n"))
}

func jsonError(data []byte, err error) error {
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("line %d: not valid JSON: %w", lineAt(data, int(s.ByteOffset)), s.Err)
	}
	return fmt.Errorf("not valid JSON: %w", err)
}

// unit adds an entry.
func (j *jsonReader) unit(s span) int {
	if s.at >= j.at {
		j.line += bytes.Count(j.data[j.at:s.at], []byte("\n"))
		j.at = s.at
	}
	return j.p.unit(j.line, 1, string(s.data[:min(len(s.data), maxNote+4)]))
}

// header adds a member that describes the document.
func (j *jsonReader) header(s span) {
	j.p.units[j.unit(s)].kind = unitHeader
}

// elements calls f for the values of an array.
func elements(s span, f func(span)) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(s.data))
	if _, err := dec.ReadToken(); err != nil {
		return
	}
	for {
		k := dec.PeekKind()
		if k == ']' || k == 0 {
			return
		}
		v, err := dec.ReadValue()
		if err != nil {
			return
		}
		end := int(dec.InputOffset())
		f(span{s.data[end-len(v) : end], s.at + end - len(v)})
	}
}

// members calls f for the members of an object.
func members(s span, f func(name string, value span)) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(s.data))
	if _, err := dec.ReadToken(); err != nil {
		return
	}
	for {
		k := dec.PeekKind()
		if k == '}' || k == 0 {
			return
		}
		name, err := dec.ReadToken()
		if err != nil {
			return
		}
		text := name.String()
		v, err := dec.ReadValue()
		if err != nil {
			return
		}
		end := int(dec.InputOffset())
		f(text, span{s.data[end-len(v) : end], s.at + end - len(v)})
	}
}

// scalar gives the text of a string, number or literal; null is "".
func scalar(s span) (text string, ok bool) {
	switch s.kind() {
	case kindObject, kindArray:
		return "", false
	case kindString:
		b, err := jsontext.AppendUnquote(nil, s.data)
		// A line break in a text must not make two items of a list of it.
		return strings.ReplaceAll(string(b), "\n", " "), err == nil
	case 'n':
		return "", true
	}
	return string(s.data), true
}

// cell gives the text of a member: an array has an item per line; ok is false for what has no text.
func cell(s span) (text string, ok bool) {
	if text, ok = scalar(s); ok || s.kind() != kindArray {
		return text, ok
	}
	var items []string
	elements(s, func(e span) {
		item, ok := scalar(e)
		if !ok && e.kind() == kindObject {
			members(e, func(name string, v span) {
				if h, known := headerOf(name); known && item == "" && (h.meaning == isVersions || h.meaning == isReference) {
					item, _ = scalar(v)
				}
			})
		}
		if item != "" {
			items = append(items, item)
		}
	})
	return strings.Join(items, "\n"), true
}

// wrappers are names of members that hold a list, normalised.
var wrappers = map[string]bool{
	"entries": true, "packages": true, "items": true, "data": true, "malware": true, "results": true, "list": true, "compromised": true,
	"malicious": true, "affected": true, "maliciouspackages": true, "compromisedpackages": true, "affectedpackages": true, "packagelist": true,
	"records": true, "rows": true, "dependencies": true, "advisories": true, "blocklist": true, "denylist": true,
}

// metadata are names of members that describe a document, normalised.
var metadata = map[string]bool{
	"schemaversion": true, "schema": true, "comment": true, "description": true, "generated": true, "generatedat": true, "updated": true, "updatedat": true,
	"lastupdated": true, "lastmodified": true, "version": true, "count": true, "total": true, "totalpackages": true, "title": true, "campaign": true, "name": true, "source": true, "sources": true,
	"url": true, "reference": true, "references": true, "ecosystem": true, "author": true, "license": true, "date": true, "note": true, "notes": true,
	"metadata": true, "meta": true, "info": true, "indicators": true, "iocs": true, "tags": true, "severity": true, "format": true, "created": true,
}

// document reads the object that is a whole document.
func (j *jsonReader) document(top span) error {
	var names []string
	has := map[string]bool{}
	members(top, func(name string, _ span) {
		if len(names) < maxColumns {
			names = append(names, name)
			has[name] = true
		}
	})
	switch {
	case has["bomFormat"] || has["spdxVersion"]:
		return errors.New("an SBOM, not a list")
	case has["affected"] && (has["modified"] || has["published"] || has["schema_version"]):
		return errors.New("an OSV record, not a list: import it as OSV")
	case has["entries"] && has["schema_version"]:
		j.p.m.Layout = layoutExposure
	}
	lists := false
	members(top, func(_ string, v span) { lists = lists || v.kind() == kindArray && firstKind(v) == kindObject })
	if known, ok := isHeader(names); ok && known >= 2 && !lists {
		j.row(j.unit(top), top, "", "")
		return nil
	}
	j.object(top, "", 0)
	return nil
}

func firstKind(array span) (k byte) {
	elements(array, func(e span) {
		if k == 0 {
			k = e.kind()
		}
	})
	return k
}

// object reads an object of lists, or of versions by name, inside of the section of an ecosystem.
func (j *jsonReader) object(s span, eco string, depth int) {
	members(s, func(name string, v span) {
		if j.p.over {
			return
		}
		n := normalise(name)
		if strings.HasPrefix(name, "_") || strings.HasPrefix(name, "$") || depth == 0 && eco == "" && metadata[n] && !looksLikeVersions(n, v) {
			j.describe(n, v)
			return
		}
		section, isSection := ecosystemOf(name)
		switch v.kind() {
		case kindArray:
			switch {
			case firstKind(v) == kindObject && !isSection:
				j.array(v, eco)
			case firstKind(v) == kindObject:
				j.array(v, section)
			case isSection && !allVersions(v):
				j.array(v, section)
			case wrappers[n] && !allVersions(v):
				j.array(v, eco)
			default:
				j.named(name, v, eco)
			}
		case kindObject:
			switch {
			case isSection && depth < 4:
				j.object(v, section, depth+1)
			case wrappers[n] && depth < 4:
				j.object(v, eco, depth+1)
			default:
				j.row(j.unit(v), v, name, eco)
			}
		default:
			j.named(name, v, eco)
		}
	})
}

// looksLikeVersions reports whether a member that is named like a description is a package after
// all: there is one called "version", and "5.6.1" describes nothing but it.
func looksLikeVersions(name string, v span) bool {
	if name == "version" || name == "schemaversion" || name == "schema" || name == "format" {
		return false
	}
	if text, ok := scalar(v); ok {
		return strongVersion(text) && strings.Contains(text, ".")
	}
	return v.kind() == kindArray && allVersions(v)
}

// allVersions reports whether an array is versions and nothing else.
func allVersions(array span) bool {
	all := true
	elements(array, func(e span) {
		text, ok := scalar(e)
		all = all && ok && (strongVersion(text) || everyVersion[strings.ToLower(text)] || isVersionsCell(text))
	})
	return all
}

// named adds a package with its versions: {"name": "1.0"} or {"name": ["1.0", "1.1"]}.
func (j *jsonReader) named(name string, v span, eco string) {
	u := j.unit(v)
	j.p.units[u].text = cut(name+": "+j.p.units[u].text, maxNote+4)
	text, ok := cell(v)
	if !ok || v.kind() == 't' || v.kind() == 'f' {
		text = ""
	}
	j.p.rowName(entry{unit: u, eco: eco, versions: strings.Split(text, "\n")}, "", name, true)
}

// iocs gives the indicators of a list as OSV records of malicious packages hold them
// (database_specific.iocs of ossf/malicious-packages: domains, ips, urls), nil when there are none. Digests and
// words, which have no place there, are left out.
func iocs(data []byte) jsontext.Value {
	var out struct {
		Domains []string `json:"domains,omitzero"`
		IPs     []string `json:"ips,omitzero"`
		URLs    []string `json:"urls,omitzero"`
	}
	dec := jsontext.NewDecoder(bytes.NewReader(data))
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			break
		}
		if kind, n := dec.StackIndex(dec.StackDepth()); tok.Kind() != '"' || kind == '{' && n%2 == 1 {
			continue
		}
		s := tok.String()
		u, err := url.Parse(s)
		switch {
		case err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "":
			out.URLs = append(out.URLs, s)
		case isAddress(s):
			out.IPs = append(out.IPs, s)
		case domainName.MatchString(s):
			out.Domains = append(out.Domains, s)
		}
	}
	for _, l := range []*[]string{&out.Domains, &out.IPs, &out.URLs} {
		slices.Sort(*l)
		*l = slices.Compact(*l)
	}
	b, err := json.Marshal(out, json.Deterministic(true))
	if err != nil || string(b) == "{}" {
		return nil
	}
	return b
}

var domainName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}$`)

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	if err != nil {
		_, err = netip.ParsePrefix(s)
	}
	return err == nil
}

// describe keeps what a member says of the document.
func (j *jsonReader) describe(name string, v span) {
	j.header(v)
	p := j.p
	text, _ := cell(v)
	switch name {
	case "indicators", "iocs":
		if len(v.data) <= maxIndicators {
			p.indicators = iocs(v.data)
		}
	case "comment", "description":
		p.details = clip(joinText(p.details, strings.ReplaceAll(text, "\x00", "")))
	case "campaign":
		if cleanText(text) && len(text) <= maxCampaign {
			p.campaign = text
		}
	case "ecosystem":
		if eco, ok := ecosystemOf(text); ok {
			p.section = eco
		}
	case "source", "sources", "url", "reference", "references":
		for ref := range strings.SplitSeq(text, "\n") {
			if webURL(ref) && len(p.refs) < maxReferences {
				p.refs = append(p.refs, ref)
			}
		}
	}
}

// array reads a list of packages: strings as lines name them, or objects.
func (j *jsonReader) array(s span, eco string) {
	elements(s, func(e span) {
		if j.p.over {
			return
		}
		u := j.unit(e)
		switch e.kind() {
		case kindObject:
			j.row(u, e, "", eco)
		case kindString:
			text, ok := scalar(e)
			if !ok || !cleanText(text) {
				j.p.note(u, "control characters or broken UTF-8", true)
				return
			}
			specs, reason := parseSpecs(text)
			if reason != "" {
				j.p.note(u, reason, true)
				return
			}
			for i := range specs {
				if specs[i].eco == "" {
					specs[i].eco = eco
				}
			}
			j.p.specs(u, specs)
		default:
			j.p.note(u, "neither a text nor an object", true)
		}
	})
}

// row adds an object as a row of the table of its section. name is the package's where
// that stands outside of the object.
func (j *jsonReader) row(u int, s span, name, eco string) {
	t := j.tables[eco]
	if t == nil {
		t = &objectTable{eco: eco, columns: map[string]int{}}
		t.line, t.header = j.p.units[u].line, []string{}
		j.tables[eco] = t
		j.order = append(j.order, t)
	}
	r := row{unit: u, eco: eco}
	over := false
	put := func(column, text string) {
		i, ok := t.columns[column]
		if !ok {
			if len(t.header) == maxColumns {
				over = true
				return
			}
			i = len(t.header)
			t.columns[column] = i
			t.header = append(t.header, column)
		}
		for len(r.cells) <= i {
			r.cells = append(r.cells, "")
		}
		if r.cells[i] == "" {
			r.cells[i] = text
		}
	}
	if name != "" {
		put("package_name", name)
	}
	members(s, func(member string, v span) {
		if text, ok := cell(v); ok {
			put(member, text)
			return
		}
		// {"package": {"ecosystem": …, "name": …}} is OSV's and GitHub's way, {"dist": {"integrity": …}} npm's, {"hashes": {"sha256": …}} PyPI's.
		if h, known := headerOf(member); known && (h.meaning == isName || h.meaning == isDigest) || member == "dist" {
			members(v, func(inner string, v span) {
				if text, ok := cell(v); ok {
					put(inner, text)
				}
			})
		}
	})
	if over {
		j.p.note(u, "more than 256 columns: the rest was left out", false)
	}
	j.p.spend(len(r.cells))
	t.rows = append(t.rows, r)
}

// finish reads the tables that objects made. Entries that name no ecosystem get the document's.
func (j *jsonReader) finish() {
	for _, t := range j.order {
		j.p.table(&t.table)
	}
	if j.p.section == "" {
		return
	}
	for i := range j.p.entries {
		if e := &j.p.entries[i]; e.eco == "" {
			e.eco = j.p.section
		}
	}
}
