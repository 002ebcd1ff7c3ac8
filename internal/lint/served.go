package lint

import (
	"path"
	"strings"
	"unicode/utf8"
)

// The rules of this file are what the clients of our own releases need: each was seen
// to go wrong in one of them (the rule's source says where).

// maxSummary is how many characters of a summary clients show on a line.
const maxSummary = 120

func (c *checker) served(doc *value) {
	id := doc.get("id")
	if id.is('"') && id.text != "" && !strings.HasPrefix(id.text, "MAL-") {
		c.report(ruleServedID, place("id"), "%s does not begin with MAL-", quote(id.text))
	}
	if file := path.Base(c.path); c.path != "" && id.is('"') && file != id.text+".json" {
		c.report(ruleFileName, place("id"), "the file is %s, the id %s", quote(file), quote(id.text))
	}
	if doc.get("published") == nil {
		c.report(rulePublished, place("published"), "missing")
	}
	if v := doc.str("schema_version"); v != "1.7.4" && v != "1.7.5" {
		c.report(ruleServedSchema, place("schema_version"), "%s", quote(v))
	}
	c.summary(doc)
	advisories := 0
	for _, r := range doc.list("references") {
		if r.str("type") == "ADVISORY" {
			advisories++
		}
	}
	if advisories != 1 {
		c.report(ruleAdvisory, place("references"), "%d references of type ADVISORY", advisories)
	}
	if v := doc.get("severity"); v.is('[') && len(v.items) > 0 {
		c.report(ruleSeverity, place("severity"), "a malicious package has no severity")
	}
	for i, a := range doc.list("affected") {
		p := packageOf(a)
		if p.git {
			c.report(rulePackage, place("affected", i, "package"), "missing")
		}
		if p.ecosystem == "Go" && len(a.list("versions")) > 0 && len(a.list("ranges")) == 0 {
			c.report(ruleGoRanges, place("affected", i, "ranges"), "missing: govulncheck does not read versions")
		}
	}
}

func (c *checker) summary(doc *value) {
	s := doc.str("summary")
	switch {
	case s == "":
		c.report(ruleSummary, place("summary"), "missing")
	case utf8.RuneCountInString(s) > maxSummary:
		c.report(ruleSummary, place("summary"), "%d characters are more than %d", utf8.RuneCountInString(s), maxSummary)
	case strings.ContainsAny(s, "\r\n"):
		c.report(ruleSummary, place("summary"), "more than one line")
	}
}
