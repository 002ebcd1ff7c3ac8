package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/printable"
)

// schemaVersion is the version of the JSON formats: docs/output.schema.json. A
// new member raises the second number, any other change the first.
const schemaVersion = "1.2"

type jsonDocument struct {
	SchemaVersion string        `json:"schema_version"`
	Tool          jsonTool      `json:"tool"`
	Catalog       *jsonCatalog  `json:"catalog,omitzero"`
	Catalogs      []jsonCatalog `json:"catalogs,omitzero"`
	Summary       jsonSummary   `json:"summary"`
	Findings      []jsonFinding `json:"findings"`
	Notes         []jsonNote    `json:"notes"`
}

type jsonTool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type jsonCatalog struct {
	Source   string `json:"source"`
	Sequence uint64 `json:"sequence"`
	Date     string `json:"date,omitzero"`
	Records  int    `json:"records"`
	Packages int    `json:"packages"`
	AgeDays  *int   `json:"age_days,omitzero"`
	BuiltIn  bool   `json:"built_in"`
}

type jsonSummary struct {
	Packages       int     `json:"packages"`
	Files          int     `json:"files"`
	Findings       int     `json:"findings"`
	Disputed       int     `json:"disputed"`
	Other          int     `json:"other"`
	Unread         int     `json:"unread"`
	Unmatchable    int     `json:"unmatchable"`
	Unparsed       int     `json:"unparsed"`
	Complete       bool    `json:"complete"`
	ElapsedSeconds float64 `json:"elapsed_seconds"`
}

type jsonFinding struct {
	ID         string          `json:"id"`
	Aliases    []string        `json:"aliases"`
	Campaign   string          `json:"campaign,omitzero"`
	Package    jsonPackage     `json:"package"`
	Verdict    string          `json:"verdict"`
	Provenance jsonProvenance  `json:"provenance"`
	Malicious  bool            `json:"malicious"`
	Disputed   *jsonDispute    `json:"disputed,omitzero"`
	Locations  []jsonLocation  `json:"locations"`
	Holding    *jsonHolding    `json:"holding,omitzero"`
	Published  string          `json:"published,omitzero"`
	Modified   string          `json:"modified,omitzero"`
	Withdrawn  string          `json:"withdrawn,omitzero"`
	Summary    string          `json:"summary"`
	References []jsonReference `json:"references"`
}

type jsonDispute struct {
	Since  string `json:"since,omitzero"`
	Reason string `json:"reason"`
}

type jsonPackage struct {
	Ecosystem string `json:"ecosystem"`
	Name      string `json:"name"`
	Version   string `json:"version"`
	PURL      string `json:"purl"`
}

type jsonProvenance struct {
	Grade    string       `json:"grade"`
	Why      string       `json:"why"`
	Origin   string       `json:"origin,omitzero"`
	URL      string       `json:"url,omitzero"`
	Host     string       `json:"host,omitzero"`
	Mirror   bool         `json:"mirror,omitzero"`
	Internal bool         `json:"internal,omitzero"`
	Digests  []jsonDigest `json:"digests"`
}

type jsonDigest struct {
	Algorithm string `json:"algorithm"`
	Hex       string `json:"hex"`
}

type jsonLocation struct {
	Path  string `json:"path"`
	Line  int    `json:"line,omitzero"`
	Kind  string `json:"kind"`
	Layer string `json:"layer,omitzero"`
	Gone  string `json:"gone,omitzero"`
}

type jsonHolding struct {
	Registry string   `json:"registry"`
	Served   string   `json:"served,omitzero"`
	Latest   bool     `json:"latest,omitzero"`
	Fetched  string   `json:"fetched,omitzero"`
	Purge    []string `json:"purge"`
}

type jsonReference struct {
	Type string `json:"type"`
	URL  string `json:"url"`
}

type jsonNote struct {
	Kind    string `json:"kind"`
	Path    string `json:"path,omitzero"`
	Line    int    `json:"line,omitzero"`
	Message string `json:"message"`
	Count   int    `json:"count"`
}

func newJSONCatalog(c rapsheet.Catalog, started time.Time) jsonCatalog {
	out := jsonCatalog{Source: c.Source, Sequence: c.Sequence, Records: c.Records, Packages: c.Packages, BuiltIn: c.BuiltIn}
	if !c.Date.IsZero() {
		out.Date = c.Date.UTC().Format(time.RFC3339)
	}
	if days, ok := age(c, started); ok {
		out.AgeDays = &days
	}
	return out
}

func newJSONSummary(s *rapsheet.Summary) jsonSummary {
	return jsonSummary{
		Packages: s.Sightings, Files: s.Files, Findings: s.Findings, Disputed: s.Disputed, Other: s.Other,
		Unread: s.Unread, Unmatchable: s.Unmatchable, Unparsed: s.Unparsed, Complete: s.Complete, ElapsedSeconds: s.Elapsed.Seconds(),
	}
}

func newJSONFinding(f *rapsheet.Finding) jsonFinding {
	a := advisory(f)
	out := jsonFinding{
		ID: f.Record.ID, Aliases: a.Aliases, Campaign: campaign(a),
		Package: jsonPackage{f.Package.Ecosystem, f.Package.Name, f.Package.Version, purl(f.Package)},
		Verdict: string(f.Verdict),
		Provenance: jsonProvenance{
			Grade: string(f.Provenance), Why: f.Why, Origin: string(f.Evidence.Origin), URL: f.Evidence.URL,
			Host: f.Evidence.Host, Mirror: f.Evidence.Mirror, Internal: f.Evidence.Internal,
		},
		Malicious: f.Malicious(),
		Published: timestamp(a.Published), Modified: timestamp(a.Modified), Withdrawn: timestamp(a.Withdrawn),
		Summary: summary(f),
	}
	if f.Record.Disputed {
		d := dispute(f)
		out.Disputed = &jsonDispute{Reason: d.Reason}
		if !d.Since.IsZero() {
			out.Disputed.Since = d.Since.UTC().Format(time.RFC3339)
		}
	}
	for _, d := range f.Evidence.Digests {
		out.Provenance.Digests = append(out.Provenance.Digests, jsonDigest(d))
	}
	for _, l := range f.Locations {
		out.Locations = append(out.Locations, jsonLocation{l.Path, max(l.Line, 0), l.Kind, l.Layer, l.Gone})
	}
	out.Holding = newJSONHolding(f.Holding)
	for _, ref := range a.References {
		out.References = append(out.References, jsonReference{ref.Type, ref.URL})
	}
	return out
}

func newJSONHolding(h *rapsheet.Holding) *jsonHolding {
	if h == nil {
		return nil
	}
	out := &jsonHolding{Registry: h.Registry, Served: string(h.Served), Latest: h.Latest, Purge: h.Purge}
	if !h.Fetched.IsZero() {
		out.Fetched = h.Fetched.UTC().Format(time.RFC3339)
	}
	return out
}

func newJSONNote(n *rapsheet.Note) jsonNote {
	return jsonNote{string(n.Kind), n.Path, max(n.Line, 0), n.Message, max(n.Count, 1)}
}

func writeJSON(buf *bytes.Buffer, r *result) error {
	doc := jsonDocument{
		SchemaVersion: schemaVersion,
		Tool:          jsonTool{r.scan.Tool, r.scan.Version},
		Summary:       newJSONSummary(&r.sum),
	}
	// The document counts what it lists; the stream counts sightings.
	doc.Summary.Findings, doc.Summary.Disputed, doc.Summary.Other = len(r.malicious), len(r.disputed), r.others()
	for _, c := range r.scan.Catalogs {
		doc.Catalogs = append(doc.Catalogs, newJSONCatalog(c, r.scan.Started))
	}
	if len(doc.Catalogs) > 0 {
		doc.Catalog = &doc.Catalogs[0]
	}
	if len(doc.Catalogs) == 1 {
		doc.Catalogs = nil
	}
	for _, f := range r.all() {
		doc.Findings = append(doc.Findings, newJSONFinding(f))
	}
	for _, n := range r.notes {
		doc.Notes = append(doc.Notes, newJSONNote(n))
	}
	return encode(buf, doc, jsontext.WithIndent("  "))
}

// encode writes v as JSON and a line feed. Text that is not UTF-8, which JSON
// cannot hold, has its bytes shown as \xff; whatever does not print is escaped,
// so that the file is safe to show and says exactly what was there.
func encode(buf *bytes.Buffer, v any, opts ...json.Options) error {
	opts = append(opts, json.Deterministic(true), json.WithMarshalers(json.MarshalToFunc(func(e *jsontext.Encoder, s string) error {
		return e.WriteToken(jsontext.String(validUTF8(s)))
	})))
	b, err := json.Marshal(v, opts...)
	if err != nil {
		return err
	}
	start := 0
	for i := 0; i < len(b); {
		// "##" begins a command for the logs of CI servers, see package printable.
		marker := b[i] == '#' && i > 0 && b[i-1] == '#'
		if b[i] < utf8.RuneSelf && b[i] != 0x7f && !marker {
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if marker || !printable.Rune(r) {
			// All of these stand in strings only: an escape fits.
			buf.Write(b[start:i])
			if r > 0xffff {
				hi, lo := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
				fmt.Fprintf(buf, `\u%04x\u%04x`, hi, lo)
			} else {
				fmt.Fprintf(buf, `\u%04x`, r)
			}
			start = i + n
		}
		i += n
	}
	buf.Write(b[start:])
	if !bytes.HasSuffix(b, []byte{'\n'}) {
		buf.WriteByte('\n')
	}
	return nil
}

func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[i])
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// stream is the handler of jsonl: one object a line, one write a line.
type stream struct {
	w   io.Writer
	opt Options
}

type jsonCatalogLine struct {
	SchemaVersion string      `json:"schema_version"`
	Tool          jsonTool    `json:"tool"`
	Catalog       jsonCatalog `json:"catalog"`
}

type jsonFindingLine struct {
	Finding jsonFinding `json:"finding"`
}

type jsonNoteLine struct {
	Note jsonNote `json:"note"`
}

type jsonSummaryLine struct {
	Summary jsonSummary `json:"summary"`
}

func (s *stream) Begin(scan *rapsheet.Scan) error {
	s.opt.All = s.opt.All || scan.All
	tool := jsonTool{scan.Tool, scan.Version}
	if tool.Name == "" {
		tool.Name = toolName
	}
	if tool.Version == "" {
		tool.Version = s.opt.ToolVersion
	}
	for _, c := range scan.Catalogs {
		if err := s.write(jsonCatalogLine{schemaVersion, tool, newJSONCatalog(c, scan.Started)}); err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) Finding(f *rapsheet.Finding) error {
	if !s.opt.All && !f.Malicious() && !f.Warning() {
		return nil
	}
	return s.write(jsonFindingLine{newJSONFinding(f)})
}

func (s *stream) Note(n *rapsheet.Note) error { return s.write(jsonNoteLine{newJSONNote(n)}) }

func (s *stream) End(sum *rapsheet.Summary) error {
	return s.write(jsonSummaryLine{newJSONSummary(sum)})
}

func (s *stream) write(v any) error {
	var buf bytes.Buffer
	if err := encode(&buf, v); err != nil {
		return fmt.Errorf("render jsonl: %w", err)
	}
	if _, err := s.w.Write(buf.Bytes()); err != nil {
		return fmt.Errorf("write jsonl: %w", err)
	}
	return nil
}
