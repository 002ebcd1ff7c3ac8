package report

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/printable"
)

// cweMalicious is CWE-506, embedded malicious code.
const cweMalicious = 506

type cdxBOM struct {
	BOMFormat       string             `json:"bomFormat"`
	SpecVersion     string             `json:"specVersion"`
	SerialNumber    string             `json:"serialNumber,omitzero"`
	Version         int                `json:"version"`
	Metadata        cdxMetadata        `json:"metadata"`
	Components      []*cdxComponent    `json:"components"`
	Vulnerabilities []cdxVulnerability `json:"vulnerabilities"`
}

type cdxMetadata struct {
	Timestamp  string        `json:"timestamp,omitzero"`
	Tools      cdxTools      `json:"tools"`
	Properties []cdxProperty `json:"properties"`
}

type cdxTools struct {
	Components []cdxComponent `json:"components"`
}

type cdxProperty struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type cdxComponent struct {
	Type     string       `json:"type"`
	Ref      string       `json:"bom-ref,omitzero"`
	Name     string       `json:"name"`
	Version  string       `json:"version,omitzero"`
	PURL     string       `json:"purl,omitzero"`
	Evidence *cdxEvidence `json:"evidence,omitzero"`

	seen map[cdxOccurrence]bool
}

type cdxEvidence struct {
	Occurrences []cdxOccurrence `json:"occurrences"`
}

type cdxOccurrence struct {
	Location string `json:"location"`
	Line     int    `json:"line,omitzero"`
}

type cdxVulnerability struct {
	Ref            string         `json:"bom-ref"`
	ID             string         `json:"id"`
	Source         cdxSource      `json:"source"`
	References     []cdxReference `json:"references,omitzero"`
	Ratings        []cdxRating    `json:"ratings,omitzero"`
	CWEs           []int          `json:"cwes"`
	Description    string         `json:"description"`
	Detail         string         `json:"detail,omitzero"`
	Recommendation string         `json:"recommendation"`
	Advisories     []cdxAdvisory  `json:"advisories,omitzero"`
	Published      string         `json:"published,omitzero"`
	Updated        string         `json:"updated,omitzero"`
	Rejected       string         `json:"rejected,omitzero"`
	Analysis       cdxAnalysis    `json:"analysis"`
	Affects        []cdxAffects   `json:"affects"`
	Properties     []cdxProperty  `json:"properties,omitzero"`
}

type cdxSource struct {
	Name string `json:"name"`
}

type cdxReference struct {
	ID     string    `json:"id"`
	Source cdxSource `json:"source"`
}

type cdxRating struct {
	Severity string `json:"severity"`
	Method   string `json:"method"`
}

type cdxAdvisory struct {
	URL string `json:"url"`
}

type cdxAnalysis struct {
	State    string   `json:"state"`
	Response []string `json:"response,omitzero"`
	Detail   string   `json:"detail"`
}

type cdxAffects struct {
	Ref      string       `json:"ref"`
	Versions []cdxVersion `json:"versions,omitzero"`
}

type cdxVersion struct {
	Version string `json:"version"`
	Status  string `json:"status"`
}

// writeCycloneDX writes a CycloneDX 1.6 vulnerability disclosure report: the
// packages that were found as components, one vulnerability per record and kind
// of finding.
func writeCycloneDX(buf *bytes.Buffer, r *result) error {
	bom := cdxBOM{
		BOMFormat: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: cdxMetadata{
			Tools: cdxTools{[]cdxComponent{{Type: "application", Name: r.scan.Tool, Version: r.scan.Version}}},
			Properties: []cdxProperty{
				{"rapsheet:complete", strconv.FormatBool(r.sum.Complete)},
				{"rapsheet:packages", strconv.Itoa(r.sum.Sightings)},
				{"rapsheet:unread", strconv.Itoa(r.sum.Unread)},
				{"rapsheet:unmatchable", strconv.Itoa(r.sum.Unmatchable)},
			},
		},
	}
	if !r.scan.Started.IsZero() {
		bom.Metadata.Timestamp = r.scan.Started.UTC().Format(time.RFC3339)
	}
	for _, s := range catalogs(r) {
		bom.Metadata.Properties = append(bom.Metadata.Properties, cdxProperty{"rapsheet:catalog", s})
	}
	for _, n := range r.notes {
		if n.Kind == rapsheet.NoteUnread {
			bom.Metadata.Properties = append(bom.Metadata.Properties, cdxProperty{"rapsheet:note:unread", noteLine(n)})
		}
	}
	components := map[rapsheet.Package]*cdxComponent{}
	refs := map[string]bool{}
	vulnerabilities := map[string]int{}
	for _, f := range r.all() {
		c := bom.component(components, refs, f)
		v := newCDXVulnerability(f)
		at, ok := vulnerabilities[v.Ref]
		if !ok {
			at = len(bom.Vulnerabilities)
			vulnerabilities[v.Ref] = at
			bom.Vulnerabilities = append(bom.Vulnerabilities, v)
		}
		bom.Vulnerabilities[at].affect(c, f)
	}
	var unsigned bytes.Buffer
	if err := encode(&unsigned, bom); err != nil {
		return err
	}
	bom.SerialNumber = serial(unsigned.Bytes())
	return encode(buf, bom)
}

// component gives the component of f's package, one for all its findings, and
// adds the places of f to it.
func (b *cdxBOM) component(have map[rapsheet.Package]*cdxComponent, refs map[string]bool, f *rapsheet.Finding) *cdxComponent {
	p := rapsheet.Package{Ecosystem: f.Package.Ecosystem, Name: f.Package.Name, Version: f.Package.Version}
	c := have[p]
	if c == nil {
		c = &cdxComponent{Type: "library", Name: p.Name, PURL: purl(p), seen: map[cdxOccurrence]bool{}}
		if len(p.Version) <= 1024 {
			c.Version = p.Version
		}
		// Two spellings of a name may share a purl; a reference is one component's.
		c.Ref = c.PURL
		for n := 2; refs[c.Ref]; n++ {
			c.Ref = c.PURL + "#" + strconv.Itoa(n)
		}
		refs[c.Ref] = true
		c.Evidence = &cdxEvidence{}
		have[p] = c
		b.Components = append(b.Components, c)
	}
	for _, l := range f.Locations {
		o := cdxOccurrence{Location: l.Path, Line: max(l.Line, 0)}
		if !c.seen[o] {
			c.seen[o] = true
			c.Evidence.Occurrences = append(c.Evidence.Occurrences, o)
		}
	}
	return c
}

func newCDXVulnerability(f *rapsheet.Finding) cdxVulnerability {
	a := advisory(f)
	v := cdxVulnerability{
		Ref: "record:" + f.Record.ID, ID: f.Record.ID, Source: cdxSource{"OSV"},
		CWEs: []int{cweMalicious}, Description: printable.Cut(summary(f), maxSARIFText), Detail: prose(a.Details, maxSARIFText),
		Published: timestamp(a.Published), Updated: timestamp(a.Modified), Rejected: timestamp(a.Withdrawn),
	}
	for _, id := range a.Aliases {
		v.References = append(v.References, cdxReference{id, cdxSource{"OSV"}})
	}
	for _, l := range links(a, 20) {
		v.Advisories = append(v.Advisories, cdxAdvisory{l})
	}
	if c := campaign(a); c != "" {
		v.Properties = append(v.Properties, cdxProperty{"rapsheet:campaign", c})
	}
	if f.Malicious() {
		v.Ratings = []cdxRating{{"critical", "other"}}
		v.Recommendation = advice([]*rapsheet.Finding{f})[0]
		v.Analysis = cdxAnalysis{"exploitable", []string{"update"}, "on record as malicious: " + why(f)}
		return v
	}
	reason := noAlarm(f)
	v.Ref += "/" + reason
	if f.Warning() {
		// Withdrawn is how it is published; rejected it is not.
		v.Rejected = ""
		v.Recommendation = disputedNote
		v.Analysis = cdxAnalysis{State: "in_triage", Detail: why(f)}
		return v
	}
	v.Recommendation = "None: this matches a record and does not mean that anything malicious is here."
	v.Analysis = cdxAnalysis{State: "false_positive", Detail: why(f)}
	if reason == reasonUnversioned {
		v.Analysis.State = "in_triage"
		v.Recommendation = "Find out which version is used."
	}
	return v
}

func (v *cdxVulnerability) affect(c *cdxComponent, f *rapsheet.Finding) {
	// Findings of one package and record follow one another.
	if n := len(v.Affects); n > 0 && v.Affects[n-1].Ref == c.Ref {
		return
	}
	affects := cdxAffects{Ref: c.Ref}
	if c.Version != "" {
		status := "affected"
		switch {
		case f.Warning():
			status = "unknown"
		case !f.Malicious():
			status = "unaffected"
		}
		affects.Versions = []cdxVersion{{c.Version, status}}
	}
	v.Affects = append(v.Affects, affects)
}

// serial gives a UUID of version 8 (RFC 9562, 5.8) made from the content: the
// same report has the same serial number.
func serial(content []byte) string {
	h := sha256.Sum256(content)
	h[6] = h[6]&0x0f | 0x80
	h[8] = h[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
