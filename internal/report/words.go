package report

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/osv"
)

// number writes n with a comma between thousands.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// count writes n and the noun in its number: "1 file", "3,412 packages".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// place writes where something is as "path:line", printable.
func place(path string, line int) string {
	switch path {
	case "":
		return "(place not known)"
	case "-":
		path = "standard input"
	}
	if line > 0 {
		return printable.Line(path) + ":" + strconv.Itoa(line)
	}
	return printable.Line(path)
}

// aboutPlace says what was read at a place, and in which layers of an image, printable.
func aboutPlace(l rapsheet.Location) string {
	s := printable.Line(l.Kind)
	if l.Layer != "" {
		s += ", in layer " + layer(l.Layer)
	}
	if l.Gone != "" {
		s += ", gone since layer " + layer(l.Gone)
	}
	return strings.TrimPrefix(s, ", ")
}

// layer shortens a layer's digest as image tools do: sha256:0123456789ab.
func layer(digest string) string {
	const shown = 12
	algorithm, hex, ok := strings.Cut(digest, ":")
	if ok && len(hex) > shown {
		digest = algorithm + ":" + hex[:shown]
	}
	return printable.Cut(digest, 80)
}

// holding says what a registry says about what it holds; "" if none was asked.
func holding(h *rapsheet.Holding) string {
	if h == nil {
		return ""
	}
	s := "in " + h.Registry
	switch h.Served {
	case rapsheet.ServedYes:
		s += ", which still gives it out"
	case rapsheet.ServedNo:
		s += ", which no longer gives it out"
	}
	if h.Latest {
		s += "; who names no version gets this one"
	}
	if !h.Fetched.IsZero() {
		s += "; last downloaded " + h.Fetched.UTC().Format(time.DateOnly)
	}
	return s
}

// title names a package version for people, printable.
func title(p rapsheet.Package) string {
	if p.Version == "" {
		return printable.Name(p.Name)
	}
	return printable.Name(p.Name) + " " + printable.Name(p.Version)
}

// why says in words what the verdict and the provenance rest on, and that the
// record is disputed and why; printable.
func why(f *rapsheet.Finding) string {
	s := verdictWords[f.Verdict] + "; " + provenanceWords[f.Provenance]
	if f.Why != "" {
		s = printable.Cut(f.Why, 300)
	}
	if d := doubt(f); d != "" {
		s += "; " + d
	}
	return s
}

// doubt says that and why the record is disputed, printable; "" if it is not.
func doubt(f *rapsheet.Finding) string {
	if !f.Record.Disputed {
		return ""
	}
	d := dispute(f)
	s := "DISPUTED"
	if !d.Since.IsZero() {
		s += " since " + d.Since.UTC().Format(time.DateOnly)
	}
	if reason := printable.Cut(strings.TrimSpace(d.Reason), 300); reason != "" {
		s += ": " + reason
	}
	return s
}

// dispute gives what the full record of f says about the doubt, nothing when it
// could not be read.
func dispute(f *rapsheet.Finding) rapsheet.Dispute {
	d, _ := rapsheet.DisputeOf(advisory(f))
	return d
}

var verdictWords = map[rapsheet.Verdict]string{
	rapsheet.VerdictExact:       "this very version is on record",
	rapsheet.VerdictRange:       "inside a range of malicious versions",
	rapsheet.VerdictPackage:     "every version is malicious",
	rapsheet.VerdictUnversioned: "only some versions are malicious, and the version is not known",
	rapsheet.VerdictWithdrawn:   "the record was withdrawn",
}

var provenanceWords = map[rapsheet.Provenance]string{
	rapsheet.ProvenanceHash:      "its digest is on record",
	rapsheet.ProvenanceRegistry:  "resolved from the public registry",
	rapsheet.ProvenanceUnknown:   "where it came from is not said",
	rapsheet.ProvenanceElsewhere: "it comes from somewhere else than the package on record",
}

// purl gives the package URL of p: the canonical one, or a generic one where
// there is none (an ecosystem or a name that cannot have one), so that the field
// is never empty.
func purl(p rapsheet.Package) string {
	if s := ecosystem.PURL(p); s != "" {
		return s
	}
	s := "pkg:generic/" + percent(p.Name, "")
	if p.Version != "" {
		s += "@" + percent(p.Version, "")
	}
	return s
}

// advisory gives the full record of f, an empty one when it could not be read.
func advisory(f *rapsheet.Finding) *osv.Record {
	if f.Advisory == nil {
		return &osv.Record{ID: f.Record.ID}
	}
	return f.Advisory
}

// campaign reads the member of database_specific that says which attack the
// record belongs to.
func campaign(a *osv.Record) string {
	var db struct {
		Campaign string `json:"campaign"`
	}
	if len(a.DatabaseSpecific) == 0 || json.Unmarshal(a.DatabaseSpecific, &db) != nil {
		return ""
	}
	return db.Campaign
}

// summary gives the record's one line, or one that says as much as the id does.
func summary(f *rapsheet.Finding) string {
	return cmp.Or(advisory(f).Summary, fmt.Sprintf("Malicious code in %s (%s)", f.Package.Name, f.Package.Ecosystem))
}

// timestamp gives t as written if it is a time, else "".
func timestamp(t osv.Timestamp) string {
	if _, err := t.Time(); err != nil {
		return ""
	}
	return string(t)
}

// day gives the date of t, "" if it has none.
func day(t osv.Timestamp) string {
	v, err := t.Time()
	if err != nil || v.IsZero() {
		return ""
	}
	return v.Format(time.DateOnly)
}

// maxLink is the length above which a reference is not worth printing as a link.
const maxLink = 500

// links gives the references that are safe to print as links: https, no user
// information, printable ASCII; at most n, each once.
func links(a *osv.Record, n int) []string {
	var out []string
	seen := map[string]bool{}
	for _, ref := range a.References {
		if len(out) == n {
			break
		}
		if !safeLink(ref.URL) || seen[ref.URL] {
			continue
		}
		seen[ref.URL] = true
		out = append(out, ref.URL)
	}
	return out
}

func safeLink(s string) bool {
	if len(s) > maxLink || strings.ContainsAny(s, " \"'<>`\\^{|}") {
		return false
	}
	for i := range len(s) {
		if s[i] <= 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && u.Opaque == ""
}

// maxProse is how much of a record's details is looked at.
const maxProse = 16 << 10

var (
	// sourceHeader starts the part of upstream's details that repeats what each
	// source said (github.com/ossf/malicious-packages, internal/report).
	sourceHeader = regexp.MustCompile(`(?m)^_-= Per source details\..*$`)
	sourceTitle  = regexp.MustCompile(`(?m)^## Source: .*$`)

	mdLink  = regexp.MustCompile(`!?\[([^\[\]]*)\]\([^()\s]*\)`)
	mdTag   = regexp.MustCompile(`<!--.*?-->|</?[A-Za-z][^<>]*>`)
	mdLine  = regexp.MustCompile(`^\s*(?:>\s*)*(?:#{1,6}\s+|[-*+]\s+|\d{1,3}[.)]\s+)?`)
	mdRule  = regexp.MustCompile(`^\s*(?:[-*_=]\s*){3,}$`)
	mdFence = regexp.MustCompile("^\\s*(?:```|~~~)")
	mdMarks = strings.NewReplacer("**", "", "__", "", "`", "")
)

// compromised is the sentence that GitHub's malware advisories all consist of.
// It is advice, and the report gives its own.
const compromised = "Any computer that has this package installed or running should be considered fully compromised."

// prose gives what details say as one printable paragraph of plain text, at most
// about n characters, ending with a sentence where one ends in reach. What all
// records of a source share is left out.
func prose(details string, n int) string {
	if len(details) > maxProse {
		details = strings.ToValidUTF8(details[:maxProse], "")
	}
	own, sources := details, ""
	if at := sourceHeader.FindStringIndex(details); at != nil {
		own, sources = details[:at[0]], details[at[1]:]
	}
	for _, part := range append([]string{own}, sourceTitle.Split(sources, -1)...) {
		if strings.HasPrefix(strings.TrimSpace(part), compromised) {
			continue
		}
		if text := plain(part); text != "" {
			return sentences(text, n)
		}
	}
	return ""
}

// plain takes Markdown off text and joins its lines.
func plain(text string) string {
	var words []string
	fenced := false
	for line := range strings.Lines(text) {
		switch {
		case mdFence.MatchString(line):
			fenced = !fenced
			continue
		case fenced, mdRule.MatchString(line):
			continue
		}
		line = line[len(mdLine.FindString(line)):]
		line = mdTag.ReplaceAllString(mdLink.ReplaceAllString(line, "$1"), "")
		words = append(words, strings.Fields(mdMarks.Replace(line))...)
	}
	return strings.Join(words, " ")
}

// sentences cuts text to the sentences that fit into n characters, or inside the
// first one.
func sentences(text string, n int) string {
	text = printable.Cut(text, n)
	if !strings.HasSuffix(text, "...") {
		return text
	}
	if i := strings.LastIndex(text, ". "); i > n/3 {
		return text[:i+1]
	}
	if i := strings.LastIndexByte(text, ' '); i > n/3 {
		return text[:i] + " ..."
	}
	return text
}

// age gives how old c's knowledge was when the scan started, in whole days; ok is
// false when a date is not known.
func age(c rapsheet.Catalog, started time.Time) (days int, ok bool) {
	if c.Date.IsZero() || started.IsZero() {
		return 0, false
	}
	return max(int(started.Sub(c.Date)/(24*time.Hour)), 0), true
}

// headline is the answer in one line, the same words in every format for people.
func headline(r *result) string {
	unread := count(max(r.sum.Unread, 1), "thing") + " could not be read"
	list := ""
	if r.onlyBuiltIn() {
		list = " in the built-in list"
	}
	disputed := packages(r.disputed)
	also := ""
	if disputed > 0 {
		also = fmt.Sprintf("; %s on a record that is disputed", count(disputed, "package"))
	}
	switch n := packages(r.malicious); {
	case n > 0:
		s := fmt.Sprintf("MALICIOUS: %s on record as malicious, in %s", count(n, "package"), count(places(r.malicious), "place"))
		if !r.sum.Complete {
			s += "; " + unread
		}
		return s + also
	case !r.sum.Complete && disputed > 0:
		return fmt.Sprintf("INCOMPLETE: nothing beyond doubt found%s in what could be read; %s%s", list, unread, also)
	case !r.sum.Complete:
		return fmt.Sprintf("INCOMPLETE: nothing found%s in what could be read; %s", list, unread)
	case disputed > 0:
		return fmt.Sprintf("DISPUTED: %s on a record that is disputed, in %s; nothing beyond doubt found%s",
			count(disputed, "package"), count(places(r.disputed), "place"), list)
	case r.sum.Sightings == 0:
		return "nothing checked: no packages were found in what was read"
	}
	return fmt.Sprintf("nothing found%s: none of %s is on record as malicious", list, count(r.sum.Sightings, "package"))
}

// checked is the closing line: what was looked at.
func checked(r *result) string {
	s := fmt.Sprintf("checked %s in %s", count(r.sum.Sightings, "package"), count(r.sum.Files, "file"))
	if e := r.sum.Elapsed; e > 0 {
		unit := time.Millisecond
		if e >= time.Second {
			unit = 100 * time.Millisecond
		}
		s += " in " + e.Round(unit).String()
	}
	if r.sum.Unread == 0 && r.sum.Unmatchable == 0 && r.sum.Complete {
		return s + "; everything that was found could be checked"
	}
	if r.sum.Unread > 0 || !r.sum.Complete {
		s += "; " + count(max(r.sum.Unread, 1), "thing") + " could not be read"
	}
	if r.sum.Unmatchable > 0 {
		s += "; " + number(r.sum.Unmatchable) + " could not be looked up"
	}
	return s
}

// catalogs gives one line per catalog used.
func catalogs(r *result) []string {
	if len(r.scan.Catalogs) == 0 {
		return []string{"catalog: none"}
	}
	var lines []string
	for _, c := range r.scan.Catalogs {
		s := fmt.Sprintf("catalog %s: %s about %s", printable.Cut(c.Source, 200), count(c.Records, "record"), count(c.Packages, "package"))
		if c.Sequence > 0 {
			s += fmt.Sprintf(", release %d", c.Sequence)
		}
		if days, ok := age(c, r.scan.Started); ok {
			s += fmt.Sprintf(", of %s (%s old)", c.Date.UTC().Format(time.DateOnly), count(days, "day"))
		} else {
			s += ", of unknown age"
		}
		lines = append(lines, s)
	}
	return lines
}

// disputedNote explains disputed findings to people.
const disputedNote = "The keepers of the list doubt these records. They are a warning and do not change the exit status. Read why, and install nothing of them anew until it is settled."

// builtInWarning says how little the list inside the program is worth.
func builtInWarning(r *result) string {
	n := 0
	for _, c := range r.scan.Catalogs {
		n += c.Records
	}
	return fmt.Sprintf("only the built-in list of %s of well-known incidents was used. It is no substitute for a catalog: run `rapsheet update` and scan again.", count(n, "record"))
}

// othersLine counts the findings of no consequence that are not shown, and says
// what would make an alarm of them; "" if none.
func othersLine(r *result) string {
	if r.others() == 0 {
		return ""
	}
	if r.opt.All {
		return strings.TrimPrefix(mirrorHint(r), "; ")
	}
	var parts []string
	for _, h := range []struct{ reason, words string }{
		{reasonElsewhere, "by name only, from elsewhere"},
		{reasonUnversioned, "by name, without a version"},
		{reasonWithdrawn, "by a withdrawn record"},
	} {
		if n := r.hidden[h.reason]; n > 0 {
			parts = append(parts, number(n)+" "+h.words)
		}
	}
	if len(parts) == 0 {
		parts = []string{number(r.others()) + " by name only"}
	}
	return "matches without consequence: " + strings.Join(parts, "; ") + " (--all shows them)" + mirrorHint(r)
}

// mirrorHint names the registries that may be proxies of the public one: what they
// served is then the package on record, and only the user can know.
func mirrorHint(r *result) string {
	if len(r.hosts) == 0 {
		return ""
	}
	hosts := r.hosts[:min(len(r.hosts), 3)]
	shown := make([]string, 0, len(hosts))
	for _, h := range hosts {
		shown = append(shown, printable.Cut(h, 80))
	}
	more := ""
	if n := len(r.hosts) - len(hosts); n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("; if %s%s serves the public registry's packages, scan again with --mirror %s", strings.Join(shown, ", "), more, shown[0])
}

// noteLine writes a note for people, printable.
func noteLine(n *rapsheet.Note) string {
	s := printable.Cut(n.Message, 400)
	if n.Path != "" {
		s = place(n.Path, n.Line) + ": " + s
	}
	if n.Count > 1 {
		s += " (" + number(n.Count) + " times)"
	}
	return s
}
