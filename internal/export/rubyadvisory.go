package export

import (
	"bytes"
	"context"
	"os"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/rapsheet/rapsheet/internal/advisory"
)

// ruby-advisory-db (https://github.com/rubysec/ruby-advisory-db): gems/<name>/<id>.yml. bundler-audit takes a version for
// vulnerable when no requirement in patched_versions or unaffected_versions holds for it. Its only severity is a CVSS
// score, and a malicious package has none.
var rubyFormats = []Format{{
	Name: "ruby-advisory-db", About: "the tree of ruby-advisory-db, for bundle-audit check --database",
	Over: "a checkout of ruby-advisory-db", Tree: writeRubyAdvisoryDB,
}}

func writeRubyAdvisoryDB(ctx context.Context, c *Catalog, dir *os.Root, opt Options) error {
	if err := dir.MkdirAll("gems", 0o755); err != nil {
		return err
	}
	if opt.Over != "" {
		if err := copyOver(ctx, opt.Over, dir, "gems"); err != nil {
			return err
		}
	}
	for a, err := range c.Advisories(ctx, opt.Links, "RubyGems") {
		if err != nil {
			return err
		}
		// A gem cannot have another name (Gem::Specification::VALID_NAME_PATTERN).
		spans := a.Merged(func(string) bool { return true })
		if len(spans) == 0 || !portableName(a.Name) {
			continue
		}
		data, err := rubyAdvisory(a, spans, c.Date)
		if err != nil {
			return err
		}
		if err := add(dir, "gems/"+a.Name+"/"+a.ID+".yml", data); err != nil {
			return err
		}
	}
	return nil
}

func rubyAdvisory(a *advisory.Advisory, spans []advisory.Span, date time.Time) ([]byte, error) {
	doc := &yaml.Node{Kind: yaml.MappingNode}
	put := func(key string, value *yaml.Node) {
		doc.Content = append(doc.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, value)
	}
	// Everything that is data is quoted: nothing becomes a tag, an alias or another type.
	text := func(s string) *yaml.Node {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: s}
	}
	put("gem", text(a.Name))
	put("url", text(a.URL))
	put("title", text(a.Title))
	put("date", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!timestamp", Value: day(a, date)})
	put("description", text(plain(a.Record.Details)))
	if outside := advisory.Outside(spans, func(v string) string { return v }, ", "); len(outside) > 0 {
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, r := range outside {
			list.Content = append(list.Content, text(r))
		}
		put("unaffected_versions", list)
	}
	var buf bytes.Buffer
	buf.WriteString("---\n")
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	if err := enc.Encode(doc); err != nil {
		return nil, err
	}
	err := enc.Close()
	return buf.Bytes(), err
}

// day is when a was published, or else last changed, or else the catalog's own date, as formats without times have it. They
// know days of four digits from 2000 on.
func day(a *advisory.Advisory, date time.Time) string {
	for _, t := range []time.Time{a.Published, a.Modified, date} {
		if y := t.UTC().Year(); 2000 <= y && y < 2100 {
			return t.UTC().Format(time.DateOnly)
		}
	}
	return "2000-01-01"
}
