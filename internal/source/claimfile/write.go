package claimfile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/osv"
)

// Write makes a claim file of one claim. [Parse] gives back what the format
// covers: package, id, aliases, origins, versions, ranges, digests, times, texts,
// references, credits, campaign, and indicators that are lists of texts. What
// else the claim holds is named in a comment at the top. Equal claims make equal bytes.
//
// It fails when the file could not be read back: text that is not UTF-8, a time
// out of bounds, an origin that is no slug, more than [MaxFile].
func Write(c claim.Claim) ([]byte, error) {
	c.Aliases, c.Origins, c.Versions = append([]string(nil), c.Aliases...), append([]string(nil), c.Origins...), append([]string(nil), c.Versions...)
	c.Archives = append([]string(nil), c.Archives...)
	c.Normalise()
	w := &writer{}
	w.claim(&c)
	head := ""
	if len(w.left) > 0 {
		head = "# not in this file: " + strings.Join(w.left, ", ") + "\n"
	}
	out := []byte(head + w.b.String())
	if w.bad != "" {
		return nil, fmt.Errorf("claim %.80q: text is not UTF-8: %.80q", c.Ref, w.bad)
	}
	if err := readable(out); err != nil {
		return nil, fmt.Errorf("claim %.80q: %w", c.Ref, err)
	}
	return out, nil
}

// writer builds the text. The YAML is the plainest there is: quoted texts are
// those of Go, whose escapes YAML has too, so that no other program's rules for
// what needs quotes matter.
type writer struct {
	b    strings.Builder
	bad  string
	left []string
}

func (w *writer) claim(c *claim.Claim) {
	w.line("", "format: "+format)
	w.text("", "ecosystem", c.Ecosystem)
	w.text("", "name", c.Name)
	if c.PURL != "" {
		if p, _, err := ecosystem.ParsePURL(c.PURL); err == nil && p.Version == "" && sameKey(p, c.Ecosystem, c.Name) {
			w.text("", "purl", c.PURL)
		} else {
			w.left = append(w.left, "purl")
		}
	}
	w.text("", "id", c.ID)
	w.list("", "aliases", c.Aliases)
	w.list("", "origins", c.Origins)
	w.text("", "campaign", c.Campaign)
	w.time("published", c.Published)
	w.time("modified", c.Modified)
	w.time("withdrawn", c.Withdrawn)
	if c.All {
		w.line("", "all: true")
	}
	w.list("", "versions", c.Versions)
	w.ranges(c.Ranges)
	if !c.All && len(c.Versions) == 0 && len(c.Ranges) == 0 {
		w.line("", "versions: []")
	}
	w.list("", "digests", c.Archives)
	w.text("", "reason", c.Summary)
	w.block("details", c.Details)
	w.references(c.References)
	w.credits(c.Credits)
	w.indicators(c)
	for _, other := range []struct {
		name string
		has  bool
	}{
		{"hint", c.Hint != ""}, {"origin id", c.OriginID != "" || c.OriginSHA256 != ""},
		{"time of import", !c.Imported.IsZero()}, {"evidence", len(c.Evidence) > 0},
	} {
		if other.has {
			w.left = append(w.left, other.name)
		}
	}
}

func (w *writer) line(indent, s string) { w.b.WriteString(indent + s + "\n") }

func (w *writer) text(indent, key, s string) {
	if s != "" {
		w.line(indent, key+": "+w.quote(s))
	}
}

func (w *writer) list(indent, key string, l []string) {
	if len(l) == 0 {
		return
	}
	w.line(indent, key+":")
	for _, s := range l {
		w.line(indent, "  - "+w.quote(s))
	}
}

func (w *writer) time(key string, t time.Time) {
	if !t.IsZero() {
		w.line("", key+": "+t.UTC().Format(time.RFC3339Nano))
	}
}

// block writes a text of several lines as a literal block where that keeps it to
// the byte (https://yaml.org/spec/1.2.2/#812-literal-style), else in quotes.
func (w *writer) block(key, s string) {
	body := strings.TrimSuffix(s, "\n")
	if !strings.Contains(body, "\n") || !literal(body) {
		w.text("", key, s)
		return
	}
	mark := "|-"
	if body != s {
		mark = "|"
	}
	w.line("", key+": "+mark)
	for line := range strings.SplitSeq(body, "\n") {
		if line != "" {
			line = "  " + line
		}
		w.line("", line)
	}
}

// literal reports whether s can be a literal block: printable, with a first line
// that shows the indentation, and no blank line that white space hides or that
// the end would take away.
func literal(s string) bool {
	if s[0] == '\n' || s[0] == ' ' || strings.HasSuffix(s, "\n") {
		return false
	}
	for line := range strings.SplitSeq(s, "\n") {
		if line != "" && strings.TrimSpace(line) == "" {
			return false
		}
		for _, r := range line {
			if !unicode.IsPrint(r) || r == utf8.RuneError {
				return false
			}
		}
	}
	return true
}

// quote spells s as a YAML scalar: bare when it is a plain word, else in double quotes.
func (w *writer) quote(s string) string {
	if !utf8.ValidString(s) && w.bad == "" {
		w.bad = s
	}
	word := s != "" && (s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z')
	for i := 0; word && i < len(s); i++ {
		c := s[i]
		word = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == '/'
	}
	switch strings.ToLower(s) {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n":
		word = false
	}
	if word {
		return s
	}
	return strconv.Quote(s)
}

func points(e *osv.Event) (key, version string) {
	switch {
	case e.Introduced != "":
		return "introduced", e.Introduced
	case e.Fixed != "":
		return "fixed", e.Fixed
	case e.LastAffected != "":
		return "last_affected", e.LastAffected
	}
	return "limit", e.Limit
}

func (w *writer) ranges(ranges []osv.Range) {
	if len(ranges) == 0 {
		return
	}
	w.line("", "ranges:")
	for i := range ranges {
		g := &ranges[i]
		if len(g.DatabaseSpecific)+len(g.Unknown) > 0 && !slices.Contains(w.left, "other members of ranges") {
			w.left = append(w.left, "other members of ranges")
		}
		w.line("", "  - type: "+w.quote(g.Type))
		w.text("    ", "repo", g.Repo)
		if simple(g.Events) {
			for j := range g.Events {
				key, version := points(&g.Events[j])
				w.text("    ", key, version)
			}
			continue
		}
		w.line("    ", "events:")
		for j := range g.Events {
			key, version := points(&g.Events[j])
			w.line("      ", "- "+key+": "+w.quote(version))
		}
	}
}

// simple reports whether events are an introduction and at most one end.
func simple(events []osv.Event) bool {
	if len(events) == 0 || len(events) > 2 || events[0].Introduced == "" {
		return false
	}
	return len(events) == 1 || events[1].Introduced == ""
}

func (w *writer) references(refs []osv.Reference) {
	if len(refs) == 0 {
		return
	}
	w.line("", "references:")
	for _, r := range refs {
		if r.Type == "WEB" {
			w.line("  ", "- "+w.quote(r.URL))
			continue
		}
		w.line("  ", "- type: "+w.quote(r.Type))
		w.text("    ", "url", r.URL)
	}
}

func (w *writer) credits(credits []osv.Credit) {
	if len(credits) == 0 {
		return
	}
	w.line("", "credits:")
	for _, c := range credits {
		w.line("  ", "- name: "+w.quote(c.Name))
		w.text("    ", "type", c.Type)
		w.list("    ", "contact", c.Contact)
	}
}

func (w *writer) indicators(c *claim.Claim) {
	if len(c.Indicators) == 0 {
		return
	}
	var lists map[string][]string
	if err := json.Unmarshal(c.Indicators, &lists); err != nil {
		w.left = append(w.left, "indicators")
		return
	}
	for kind := range lists {
		if !isKind(kind) {
			w.left = append(w.left, "indicators")
			return
		}
	}
	if len(lists) == 0 {
		return
	}
	w.line("", "iocs:")
	for _, kind := range slices.Sorted(maps.Keys(lists)) {
		if len(lists[kind]) == 0 {
			w.line("  ", kind+": []")
		}
		w.list("  ", kind, lists[kind])
	}
}

// readable checks that what was written can be read.
func readable(data []byte) error {
	_, err := Parse(source.Document{Name: "claim" + Extension, Data: data})
	return err
}
