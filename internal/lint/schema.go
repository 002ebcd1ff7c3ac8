package lint

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// shape is what the schema says of one value. Source of the tables below:
// https://github.com/ossf/osv-schema/blob/v1.7.5/validation/schema.json.
type shape struct {
	kind jsontext.Kind
	// null says that null may stand for it.
	null bool
	// free says that an object may have any members; else only members are known.
	free     bool
	members  map[string]*shape
	required []string
	items    *shape
	enum     []string
}

var (
	textShape    = shape{kind: '"'}
	textsShape   = shape{kind: '[', items: &textShape}
	freeShape    = shape{kind: '{', free: true}
	aliasesShape = shape{kind: '[', null: true, items: &textShape}

	severityShape = shape{kind: '[', null: true, items: &shape{kind: '{', required: []string{"type", "score"}, members: map[string]*shape{
		"type": {kind: '"', enum: []string{"CVSS_V2", "CVSS_V3", "CVSS_V4", "Ubuntu"}}, "score": &textShape,
	}}}

	eventShape = shape{kind: '{', members: map[string]*shape{
		"introduced": &textShape, "fixed": &textShape, "last_affected": &textShape, "limit": &textShape,
	}}

	rangeShape = shape{kind: '{', required: []string{"type", "events"}, members: map[string]*shape{
		"type": {kind: '"', enum: []string{"GIT", "SEMVER", "ECOSYSTEM"}}, "repo": &textShape,
		"events": {kind: '[', items: &eventShape}, "database_specific": &freeShape,
	}}

	packageShape = shape{kind: '{', required: []string{"ecosystem", "name"}, members: map[string]*shape{
		"ecosystem": &textShape, "name": &textShape, "purl": &textShape,
	}}

	affectedShape = shape{kind: '{', members: map[string]*shape{
		"package": &packageShape, "severity": &severityShape, "ranges": {kind: '[', items: &rangeShape},
		"versions": &textsShape, "ecosystem_specific": &freeShape, "database_specific": &freeShape,
	}}

	referenceShape = shape{kind: '{', required: []string{"type", "url"}, members: map[string]*shape{
		"type": {kind: '"', enum: []string{
			"ADVISORY", "ARTICLE", "DETECTION", "DISCUSSION", "REPORT", "FIX", "INTRODUCED", "GIT", "PACKAGE", "EVIDENCE", "WEB",
		}},
		"url": &textShape,
	}}

	creditShape = shape{kind: '{', required: []string{"name"}, members: map[string]*shape{
		"name": &textShape, "contact": &textsShape,
		"type": {kind: '"', enum: []string{
			"FINDER", "REPORTER", "ANALYST", "COORDINATOR", "REMEDIATION_DEVELOPER", "REMEDIATION_REVIEWER",
			"REMEDIATION_VERIFIER", "TOOL", "SPONSOR", "OTHER",
		}},
	}}

	recordShape = shape{kind: '{', required: []string{"id", "modified"}, members: map[string]*shape{
		"schema_version": &textShape, "id": &textShape, "modified": &textShape, "published": &textShape, "withdrawn": &textShape,
		"aliases": &aliasesShape, "related": &textsShape, "upstream": &textsShape, "summary": &textShape, "details": &textShape,
		"severity": &severityShape, "affected": {kind: '[', null: true, items: &affectedShape},
		"references": {kind: '[', null: true, items: &referenceShape}, "credits": {kind: '[', items: &creditShape},
		"database_specific": &freeShape,
	}}
)

// shape walks v along s: types, members that must and may be there, enumerations.
func (c *checker) shape(v *value, s *shape, p *spot) {
	if v.kind == 'n' && s.null {
		return
	}
	if v.kind != s.kind {
		c.report(ruleType, p, "want %s, got %s", kindName(s.kind), kindName(v.kind))
		return
	}
	switch v.kind {
	case '"':
		if s.enum != nil && !slices.Contains(s.enum, v.text) {
			c.report(ruleEnum, p, "%s is not one of %s", quote(v.text), strings.Join(s.enum, ", "))
		}
	case '[':
		for i, x := range v.items {
			c.shape(x, s.items, &spot{p, "", i})
		}
	case '{':
		for i := range v.members {
			m := &v.members[i]
			inner, known := s.members[m.name]
			switch {
			case known:
				c.shape(m.value, inner, &spot{p, m.name, isMember})
			case s.free:
			case p == nil:
				c.report(ruleUnknownMember, p.member(m.name), "the schema has no member %s", quote(m.name))
			default:
				c.report(ruleUnknownNested, p.member(m.name), "the schema has no member %s here", quote(m.name))
			}
		}
		for _, name := range s.required {
			if v.get(name) == nil && !(name == "id" && p == nil && c.draft) {
				c.report(ruleRequired, p, "%s is missing", name)
			}
		}
	}
}

// record checks what the schema says of the record besides shapes.
func (c *checker) record(doc *value) {
	c.id(doc)
	c.times(doc)
	if v := doc.get("schema_version"); v.is('"') && !knownSchema(v.text) {
		c.report(ruleSchemaVersion, place("schema_version"), "%s is not a version from 1.0.0 to 1.7.x", quote(v.text))
	}
	id := doc.str("id")
	for i, a := range doc.list("aliases") {
		if a.is('"') && a.text == id && id != "" {
			c.report(ruleAliasSelf, place("aliases", i), "the record is an alias of itself")
		}
	}
	for i, r := range doc.list("references") {
		if u := r.get("url"); u.is('"') {
			c.url(u.text, place("references", i, "url"))
		}
	}
	affected := doc.list("affected")
	if len(affected) != 1 {
		c.report(ruleOneAffected, place("affected"), "%d entries", len(affected))
	}
	for i, a := range affected {
		if s := a.get("severity"); doc.get("severity") != nil && s != nil && s.kind != 'n' {
			c.report(ruleSeverityTwice, place("affected", i, "severity"), "the record has a severity as well")
		}
		if a.is('{') {
			c.affected(a, i)
		}
	}
	c.dispute(doc)
}

// prefixes are those of the databases that the schema lists (1.7.5, "prefix").
var prefixes = strings.Fields(`ASB-A PUB-A ALPINE ALSA ALBA ALEA BELL BIT CGA CLEANSTART CURL CVE DEBIAN DHI DRUPAL DSA DLA ELA
	DTSA ECHO EEF FreeBSD GHSA GO GSD HSEC JLSEC KUBE LBSEC LSN MAL MINI MGASA OESA OSEC OSV openSUSE-SU PHSA PSF PYSEC RHBA RHEA
	RHSA RLSA RXSA RSEC ROOT RUSTSEC SUSE-SU SUSE-RU SUSE-FU SUSE-OU UBUNTU USN V8`)

// id checks the prefix; whether the rest makes an id is for package osv to say.
func (c *checker) id(doc *value) {
	id := doc.get("id")
	if !id.is('"') || id.text == "" && c.draft {
		return
	}
	if id.text == "" {
		c.report(ruleRequired, place("id"), "empty")
		return
	}
	if strings.HasPrefix(id.text, "x_") || slices.ContainsFunc(prefixes, func(p string) bool {
		return strings.HasPrefix(id.text, p) && strings.HasPrefix(id.text[len(p):], "-")
	}) {
		return
	}
	c.report(ruleIDPrefix, place("id"), "%s does not begin with the prefix of a database that the schema lists", quote(id.text))
}

// knownSchema reports whether v is a version of the schema that these rules know.
func knownSchema(v string) bool {
	minor, ok := strings.CutPrefix(v, "1.")
	if !ok {
		return false
	}
	minor, patch, _ := strings.Cut(minor, ".")
	return len(minor) == 1 && '0' <= minor[0] && minor[0] <= '7' && patch != "" && strings.Trim(patch, "0123456789") == ""
}

// times checks the three timestamps of a record and their order.
func (c *checker) times(doc *value) {
	var times [3]time.Time
	for i, name := range [...]string{"published", "modified", "withdrawn"} {
		if v := doc.get(name); v.is('"') {
			times[i] = c.time(v.text, place(name))
		}
	}
	published, modified, withdrawn := times[0], times[1], times[2]
	if !modified.IsZero() && modified.Before(published) {
		c.report(ruleTimeOrder, place("modified"), "before published")
	}
	if !withdrawn.IsZero() && withdrawn.Before(published) {
		c.report(ruleTimeOrder, place("withdrawn"), "before published")
	}
	if !withdrawn.IsZero() && !modified.IsZero() && modified.Before(withdrawn.Truncate(time.Second)) {
		c.report(ruleTimeOrder, place("modified"), "before withdrawn: copies that look for newer records miss the withdrawal")
	}
}

// time checks a timestamp (schema 1.7.5, "timestamp": RFC 3339 in UTC, written with Z).
func (c *checker) time(s string, at *spot) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	switch {
	case err != nil:
		c.report(ruleTimestamp, at, "not a time such as 2026-01-02T15:04:05Z: %s", quote(s))
		return time.Time{}
	case !strings.HasSuffix(s, "Z") || s[10] != 'T' || strings.ContainsRune(s, ','):
		c.report(ruleTimestamp, at, "not in UTC with T and Z: %s", quote(s))
	}
	if _, fraction, ok := strings.Cut(s, "."); ok && len(fraction) > len("123456Z") {
		c.report(ruleTimeFraction, at, "more than six digits of a second: %s", quote(s))
	}
	return t
}

// url checks that a reference is absolute and can be parsed. What clients do with
// a scheme that is no web page's is theirs.
func (c *checker) url(s string, at *spot) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme == "" || u.Host == "":
		c.report(ruleReferenceURL, at, "not an absolute URL with a host: %s", quote(s))
	case u.Scheme != "https" && u.Scheme != "http":
		c.report(ruleReferenceURL, at, "not a web page: %s", quote(s))
	case u.User != nil:
		c.report(ruleReferenceURL, at, "has a user name in it: %s", quote(s))
	}
}

// dispute checks the mark of a disputed record (docs/output.md, "Disputed records").
func (c *checker) dispute(doc *value) {
	mark := doc.get("database_specific").get("rapsheet")
	if mark == nil || mark.is('{') && mark.get("state") == nil {
		return
	}
	state := mark.str("state")
	switch {
	case state != "disputed":
		c.report(ruleDispute, place("database_specific", "rapsheet"), "a state that is not known: %s", quote(state))
	case doc.str("withdrawn") == "":
		c.report(ruleDispute, place("database_specific", "rapsheet", "state"), "disputed and not withdrawn: the mark means nothing")
	}
	if since := mark.get("since"); since != nil {
		if _, err := time.Parse(time.RFC3339Nano, mark.str("since")); err != nil {
			c.report(ruleDispute, place("database_specific", "rapsheet", "since"), "not a time: %s", quote(mark.str("since")))
		}
	}
	if reason := mark.get("reason"); reason != nil && !reason.is('"') {
		c.report(ruleDispute, place("database_specific", "rapsheet", "reason"), "want a string, got %s", kindName(reason.kind))
	}
}
