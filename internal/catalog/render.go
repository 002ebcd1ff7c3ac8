package catalog

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/osv"
)

// schemaVersion is the version of the OSV schema that records are written in.
const schemaVersion = "1.7.4"

// Limits of what is rendered from many claims.
const (
	maxDetails    = 64 << 10
	maxReferences = 1000
	maxOrigins    = 1000
)

// databaseSpecific is what a record says beyond the schema. The first two members are those
// of ossf/malicious-packages.
type databaseSpecific struct {
	Origins []originMark   `json:"malicious-packages-origins,omitzero"`
	IOCs    jsontext.Value `json:"iocs,omitzero"`
	// Campaign is the attack that the record belongs to.
	Campaign string      `json:"campaign,omitzero"`
	Mark     *recordMark `json:"rapsheet,omitzero"`
}

// originMark is one finder's statement, in the shape of ossf/malicious-packages.
type originMark struct {
	Source   string      `json:"source"`
	SHA256   string      `json:"sha256"`
	ID       string      `json:"id,omitzero"`
	Imported string      `json:"import_time"`
	Modified string      `json:"modified_time"`
	Versions []string    `json:"versions,omitzero"`
	Ranges   []osv.Range `json:"ranges,omitzero"`
}

// recordMark is the catalog's own word on a record; docs/catalog.md describes it.
type recordMark struct {
	State  string `json:"state,omitzero"` // "disputed", or nothing
	Since  string `json:"since,omitzero"`
	Reason string `json:"reason,omitzero"`
	// DisputedRange names who said "every version" where other claims name versions; the versions count.
	DisputedRange []string `json:"disputed_range,omitzero"`
	// Narrowed says that a named decision put versions in place of "every version".
	Narrowed string `json:"narrowed,omitzero"`
}

// Render writes the record that a draft stands for. old is the record with the same id,
// nil for a new one: its published stays, and its modified too when nothing else changed;
// otherwise modified is now, and later than it was. The result has the whole
// record except that its JSON is the old one's when nothing changed.
func Render(d *Draft, old *store.Record, now time.Time) (rec store.Record, changed bool, err error) {
	now = now.UTC().Truncate(time.Second)
	if old != nil && len(d.Claims) == 0 {
		return rerender(d, old, now)
	}
	rec = store.Record{ID: d.ID, Key: d.Key, State: d.State, Campaign: campaign(d.Claims)}
	doc, err := compose(d, rec.Campaign)
	if err != nil {
		return rec, false, err
	}
	rec.Published = earliest(d.Claims, now)
	since := d.Since
	if old != nil {
		rec.Published = old.Published
		if since.IsZero() && d.State == old.State {
			if since, err = sinceOf(old); err != nil {
				return rec, false, err
			}
		}
	}
	if since.IsZero() {
		since = now
	}
	doc.setState(d, since)
	doc.r.Published = stamp(rec.Published)
	return finish(rec, doc, old, now)
}

// finish marshals the document, with the old time of modification if that makes it the old document.
func finish(rec store.Record, doc *rendering, old *store.Record, now time.Time) (store.Record, bool, error) {
	rec.Modified = now
	if old != nil {
		rec.Modified = old.Modified
		same, err := doc.marshal(rec.Modified)
		if err != nil {
			return rec, false, err
		}
		if string(same) == string(old.JSON) && rec.State == old.State && rec.Campaign == old.Campaign {
			rec.JSON = old.JSON
			return rec, false, nil
		}
		if rec.Modified = now; !now.After(old.Modified) {
			rec.Modified = old.Modified.Add(time.Second)
		}
	}
	out, err := doc.marshal(rec.Modified)
	if err != nil {
		return rec, false, err
	}
	rec.JSON = out
	return rec, true, nil
}

// supersededSummary begins the summary of a record that another one took over, and no other record's.
const supersededSummary = "Withdrawn: superseded by "

// superseded reports whether another record of the same package took over what the record says.
func superseded(rec *store.Record) bool {
	if rec.State != store.Withdrawn {
		return false
	}
	r, _, err := osv.Parse(rec.JSON)
	return err == nil && strings.HasPrefix(r.Summary, supersededSummary)
}

// rerender changes the state of a record that no claim carries any more; its content stays.
func rerender(d *Draft, old *store.Record, now time.Time) (store.Record, bool, error) {
	r, _, err := osv.Parse(old.JSON)
	if err != nil {
		return store.Record{}, false, fmt.Errorf("record %s in the store: %w", old.ID, err)
	}
	doc := &rendering{r: *r}
	if len(r.DatabaseSpecific) > 0 {
		if err := json.Unmarshal(r.DatabaseSpecific, &doc.db); err != nil {
			return store.Record{}, false, fmt.Errorf("record %s in the store: %w", old.ID, err)
		}
	}
	since := now
	if d.State == old.State {
		if since, err = sinceOf(old); err != nil {
			return store.Record{}, false, err
		}
	}
	doc.setState(d, since)
	if d.SupersededBy != "" {
		doc.r.Aliases = insert(doc.r.Aliases, d.SupersededBy)
	}
	rec := *old
	rec.State = d.State
	return finish(rec, doc, old, now)
}

// rendering is a record with its database_specific still apart.
type rendering struct {
	r  osv.Record
	db databaseSpecific
}

func (x *rendering) marshal(modified time.Time) ([]byte, error) {
	x.r.Modified = stamp(modified)
	db, err := json.Marshal(x.db, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", x.r.ID, err)
	}
	x.r.DatabaseSpecific = nil
	if string(db) != "{}" {
		x.r.DatabaseSpecific = db
	}
	out, err := x.r.Marshal()
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", x.r.ID, err)
	}
	return out, nil
}

// setState writes what the state means to readers: a disputed record is also withdrawn
// to tools that know no more, so that it fails nobody's build.
func (x *rendering) setState(d *Draft, since time.Time) {
	x.r.Withdrawn = ""
	if d.SupersededBy != "" {
		x.r.Summary = supersededSummary + d.SupersededBy
	}
	mark := recordMark{}
	if x.db.Mark != nil {
		mark = *x.db.Mark
	}
	mark.State, mark.Since, mark.Reason = "", "", ""
	switch d.State {
	case store.Disputed:
		x.r.Withdrawn = stamp(since)
		mark.State, mark.Since, mark.Reason = "disputed", string(stamp(since)), d.Reason
	case store.Withdrawn:
		x.r.Withdrawn = stamp(since)
		mark.Reason = d.Reason
	}
	x.db.Mark = nil
	if mark.State+mark.Reason+mark.Narrowed != "" || len(mark.DisputedRange) > 0 {
		x.db.Mark = &mark
	}
}

func sinceOf(old *store.Record) (time.Time, error) {
	if old.State == store.Active {
		return time.Time{}, nil
	}
	r, _, err := osv.Parse(old.JSON)
	if err != nil {
		return time.Time{}, fmt.Errorf("record %s in the store: %w", old.ID, err)
	}
	t, err := r.Withdrawn.Time()
	if err != nil {
		return time.Time{}, fmt.Errorf("record %s in the store: %w", old.ID, err)
	}
	return t, nil
}

func stamp(t time.Time) osv.Timestamp {
	return osv.Timestamp(t.UTC().Truncate(time.Second).Format(time.RFC3339))
}

// compose renders everything of a draft but its state and times.
func compose(d *Draft, campaign string) (*rendering, error) {
	name := publishedName(d)
	p := rapsheet.Package{Ecosystem: d.Key.Ecosystem, Name: name}
	a := osv.Affected{Package: osv.Package{Ecosystem: d.Key.Ecosystem, Name: name, PURL: ecosystem.PURL(p)}}
	if eco := fullEcosystem(d); eco != "" {
		a.Package.Ecosystem = eco
	}
	c := d.coverage
	if c.all || len(c.versions) == 0 && len(c.ranges) == 0 {
		a.Ranges = []osv.Range{{Type: rangeType(d.Key.Ecosystem), Events: []osv.Event{{Introduced: "0"}}}}
	} else {
		a.Versions, a.Ranges = c.versions, c.ranges
		if d.Key.Ecosystem == "Go" {
			a.Ranges = distinctRanges(append(slices.Clone(a.Ranges), exactRanges(a.Versions)...))
		}
	}
	var err error
	if a.DatabaseSpecific, err = evidence(d.Claims); err != nil {
		return nil, fmt.Errorf("record %s: %w", d.ID, err)
	}
	x := &rendering{r: osv.Record{
		SchemaVersion: schemaVersion,
		ID:            d.ID,
		Aliases:       d.Aliases,
		Summary:       summary(name, a.Package.Ecosystem),
		Details:       details(d.Claims),
		Affected:      []osv.Affected{a},
		References:    references(d.Claims),
		Credits:       credits(d),
	}}
	x.db.Origins = originMarks(d.Claims)
	x.db.IOCs = firstValue(d.Claims, func(c *store.Claim) jsontext.Value { return c.Indicators })
	x.db.Campaign = campaign
	mark := recordMark{DisputedRange: c.disputed}
	if d.narrowed != nil {
		mark.Narrowed = d.narrowed.Reason
	}
	x.db.Mark = &mark
	return x, nil
}

// maxSummary is how long a summary may be, in characters: clients print it in one line.
const maxSummary = 120

// summary is the record's one line, in the words of ossf/malicious-packages.
func summary(name, eco string) string {
	s := fmt.Sprintf("Malicious code in %s (%s)", name, eco)
	if over := utf8.RuneCountInString(s) - maxSummary; over > 0 {
		runes := []rune(name)
		s = fmt.Sprintf("Malicious code in %s… (%s)", string(runes[:max(0, len(runes)-over-1)]), eco)
	}
	return s
}

// publishedName is how the record spells the package: canonical where the registry has one spelling,
// else as the claim spells it that carries the record's id, or the claim that sorts first.
func publishedName(d *Draft) string {
	switch d.Key.Ecosystem {
	case "PyPI", "crates.io":
		return d.Key.Name
	}
	for _, c := range d.Claims {
		if c.ID == d.ID && d.ID != "" {
			return c.Name
		}
	}
	for _, c := range d.Claims {
		return c.Name
	}
	return d.Key.Name
}

// fullEcosystem is the ecosystem with the suffix that all claims agree on, "" for none.
func fullEcosystem(d *Draft) string {
	eco := ""
	for _, c := range d.Claims {
		if eco != "" && c.Ecosystem != eco {
			return ""
		}
		eco = c.Ecosystem
	}
	return eco
}

func campaign(claims []*store.Claim) string {
	name := ""
	for _, c := range claims {
		if c.Campaign != "" && (name == "" || c.Campaign < name) {
			name = c.Campaign
		}
	}
	return name
}

// earliest is the earliest time that a claim was published, or now.
func earliest(claims []*store.Claim, now time.Time) time.Time {
	var t time.Time
	for _, c := range claims {
		if !c.Published.IsZero() && (t.IsZero() || c.Published.Before(t)) {
			t = c.Published
		}
	}
	if t.IsZero() || t.After(now) {
		return now
	}
	return t.UTC().Truncate(time.Second)
}

// details joins the claims' texts: the one that came with an id as it stands, each further one that says
// something else under a heading with its source, as ossf/malicious-packages writes them.
func details(claims []*store.Claim) string {
	var out strings.Builder
	var rest []*store.Claim
	for _, c := range claims {
		switch {
		case strings.TrimSpace(c.Details) == "":
		case out.Len() == 0 && c.ID != "":
			out.WriteString(c.Details)
		default:
			rest = append(rest, c)
		}
	}
	for _, c := range rest {
		if strings.Contains(out.String(), strings.TrimSpace(c.Details)) {
			continue
		}
		section := c.Details
		if len(rest) > 1 || out.Len() > 0 {
			section = fmt.Sprintf("\n## Source: %s (%s)\n%s\n", strings.Join(finders(c), ", "), hex.EncodeToString(c.Document[:]), c.Details)
		}
		if out.Len()+len(section) > maxDetails {
			out.WriteString("\n[further texts cut]\n")
			break
		}
		out.WriteString(section)
	}
	return out.String()
}

// Types of references and credits that OSV knows (https://ossf.github.io/osv-schema/#references-field, #credits-fields).
var (
	referenceTypes = []string{"ADVISORY", "ARTICLE", "DETECTION", "DISCUSSION", "REPORT", "FIX", "INTRODUCED", "GIT", "PACKAGE", "EVIDENCE", "WEB"}
	creditTypes    = []string{"", "FINDER", "REPORTER", "ANALYST", "COORDINATOR", "REMEDIATION_DEVELOPER", "REMEDIATION_REVIEWER", "REMEDIATION_VERIFIER", "TOOL", "SPONSOR", "OTHER"}
)

func references(claims []*store.Claim) []osv.Reference {
	var out []osv.Reference
	for _, c := range claims {
		out = append(out, c.References...)
	}
	slices.SortFunc(out, func(a, b osv.Reference) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.URL, b.URL))
	})
	out = slices.CompactFunc(out, func(a, b osv.Reference) bool { return a.Type == b.Type && a.URL == b.URL })
	// Clients fail on a reference that is no absolute URL (uv), and on one of an unknown type.
	out = slices.DeleteFunc(out, func(r osv.Reference) bool {
		u, err := url.Parse(r.URL)
		return err != nil || !u.IsAbs() || !slices.Contains(referenceTypes, r.Type)
	})
	return out[:min(len(out), maxReferences)]
}

// credits keeps one credit for each type and name, with all its contacts. A record of the catalog's own
// that credits nobody credits its origins: whoever reports it names who found it.
func credits(d *Draft) []osv.Credit {
	var out []osv.Credit
	for _, c := range d.Claims {
		out = append(out, c.Credits...)
	}
	if len(out) == 0 && !assigned(d.ID) {
		for _, o := range sortedKeys(origins(d.Claims)) {
			out = append(out, osv.Credit{Name: o, Type: "FINDER"})
		}
	}
	for i := range out {
		if !slices.Contains(creditTypes, out[i].Type) {
			out[i].Type = "OTHER"
		}
	}
	key := func(a, b osv.Credit) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name))
	}
	slices.SortStableFunc(out, key)
	joined := out[:0:0]
	for _, c := range out {
		if n := len(joined); n > 0 && key(joined[n-1], c) == 0 {
			joined[n-1].Contact = append(slices.Clone(joined[n-1].Contact), c.Contact...)
			continue
		}
		joined = append(joined, c)
	}
	for i := range joined {
		slices.Sort(joined[i].Contact)
		joined[i].Contact = slices.Compact(joined[i].Contact)
	}
	return joined
}

// originMarks lists who found it and what each said, one entry per finder and claim.
func originMarks(claims []*store.Claim) []originMark {
	var out []originMark
	for _, c := range claims {
		modified, imported := c.Modified, c.Imported
		if imported.IsZero() {
			imported = c.Seen
		}
		if modified.IsZero() {
			modified = c.Seen
		}
		sum := c.OriginSHA256
		if sum == "" {
			sum = hex.EncodeToString(c.Document[:])
		}
		for _, o := range c.Origins {
			out = append(out, originMark{o, sum, c.OriginID, string(stamp(imported)), string(stamp(modified)), c.Versions, c.Ranges})
		}
	}
	slices.SortStableFunc(out, func(a, b originMark) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.ID, b.ID), strings.Compare(a.SHA256, b.SHA256))
	})
	out = slices.CompactFunc(out, func(a, b originMark) bool {
		return a.Source == b.Source && a.ID == b.ID && a.SHA256 == b.SHA256
	})
	return out[:min(len(out), maxOrigins)]
}

// evidence is the record's affected[].database_specific: what the first claim says that says anything, and as "digests" the
// digests of archives of all claims, except those that it holds in another shape already.
func evidence(claims []*store.Claim) (jsontext.Value, error) {
	first := firstValue(claims, func(c *store.Claim) jsontext.Value { return c.Evidence })
	var archives []string
	for _, c := range claims {
		archives = append(archives, c.Archives...)
	}
	if len(archives) == 0 {
		return first, nil
	}
	members := map[string]jsontext.Value{}
	if len(first) > 0 {
		if err := json.Unmarshal(first, &members); err != nil {
			return nil, fmt.Errorf("evidence of a claim: %w", err)
		}
	}
	own, _ := ecosystem.RecordArchives(first)
	delete(members, "digests")
	rest, err := json.Marshal(members, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	for _, d := range own {
		archives = append(archives, ecosystem.DigestText(d))
	}
	slices.Sort(archives)
	held := map[string]bool{}
	elsewhere, _ := ecosystem.RecordArchives(rest)
	for _, d := range elsewhere {
		held[ecosystem.DigestText(d)] = true
	}
	archives = slices.DeleteFunc(slices.Compact(archives), func(s string) bool { return held[s] })
	if len(archives) == 0 {
		return rest, nil
	}
	archives = archives[:min(len(archives), ecosystem.MaxArchives)]
	if members["digests"], err = json.Marshal(archives); err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	return json.Marshal(members, json.Deterministic(true))
}

func firstValue(claims []*store.Claim, get func(*store.Claim) jsontext.Value) jsontext.Value {
	for _, c := range claims {
		if v := get(c); len(v) > 0 {
			return v
		}
	}
	return nil
}
