package report

import (
	"bytes"
	"encoding/csv"
	stdjson "encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/osv"
)

// regexpReference matches the character references that escape Markdown.
var regexpReference = regexp.MustCompile(`&#\d+;`)

var update = flag.Bool("update", false, "rewrite the golden text files")

// fixture is a scan as a handler is told it.
type fixture struct {
	scan     rapsheet.Scan
	findings []rapsheet.Finding
	notes    []rapsheet.Note
	sum      rapsheet.Summary
}

func (fx *fixture) clone() *fixture {
	c := *fx
	c.scan.Catalogs = slices.Clone(fx.scan.Catalogs)
	c.findings = slices.Clone(fx.findings)
	c.notes = slices.Clone(fx.notes)
	return &c
}

func render(t testing.TB, format string, opt Options, fx *fixture) string {
	t.Helper()
	var buf bytes.Buffer
	h, err := New(format, &buf, opt)
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(h.Begin(&fx.scan))
	for i := range max(len(fx.findings), len(fx.notes)) {
		if i < len(fx.findings) {
			must(h.Finding(&fx.findings[i]))
		}
		if i < len(fx.notes) {
			must(h.Note(&fx.notes[i]))
		}
	}
	must(h.End(&fx.sum))
	return buf.String()
}

var started = time.Date(2026, 1, 5, 3, 0, 0, 0, time.UTC)

func scan() rapsheet.Scan {
	return rapsheet.Scan{
		Tool: "rapsheet", Version: "1.2.3", Started: started, Targets: []string{"."},
		Catalogs: []rapsheet.Catalog{{
			Source: "/var/lib/rapsheet/catalog.rapsheet", Sequence: 812, Date: started.Add(-50 * time.Hour), Records: 214066, Packages: 209112,
		}},
	}
}

func at(path string, line int, kind string) []rapsheet.Location {
	return []rapsheet.Location{{Path: path, Line: line, Kind: kind}}
}

// worm is what a morning after looks like: a good package with bad versions, a
// package that was never good, a name that collides, one without a version and
// a record that was taken back.
func worm() *fixture {
	chalk := &osv.Record{
		ID: "MAL-2025-46969", Aliases: []string{"GHSA-2v46-p5h4-248w"}, Published: "2025-09-08T14:02:11Z", Modified: "2025-09-09T07:00:00Z",
		Summary: "Malicious code in chalk (npm)",
		Details: "\n---\n_-= Per source details. Do not edit below this line.=-_\n\n## Source: ghsa-malware (5f3c)\nAny computer that has this package installed or running should be considered fully compromised. All secrets should be rotated.\n\n## Source: example-analysis (ab12)\nThe maintainer's account was taken over by **phishing**. The code hooks `fetch` and `XMLHttpRequest` in browsers and rewrites the recipients of [cryptocurrency](https://wallet.example/x) payments.\n\n- It looks for wallets.\n- It replaces addresses with similar ones.\n",
		References: []osv.Reference{
			{Type: "ADVISORY", URL: "https://github.com/advisories/GHSA-2v46-p5h4-248w"},
			{Type: "WEB", URL: "http://not-https.example/"},
			{Type: "PACKAGE", URL: "https://www.npmjs.com/package/chalk"},
			{Type: "WEB", URL: "javascript:alert(1)"},
		},
		DatabaseSpecific: jsontext.Value(`{"campaign":"qix"}`),
	}
	evil := &osv.Record{
		ID: "MAL-2026-17", Published: "2026-01-04T22:40:00Z", Modified: "2026-01-04T22:40:00Z", Summary: "Malicious code in evil-pkg (PyPI)",
		Details: "Steals environment variables at installation and sends them to a server.",
	}
	withdrawn := &osv.Record{ID: "MAL-2023-5", Published: "2023-01-01T00:00:00Z", Withdrawn: "2023-02-01T00:00:00Z", Summary: "Malicious code in fine (npm)"}
	npm := rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: "registry.npmjs.org", URL: "https://registry.npmjs.org/chalk/-/chalk-5.6.1.tgz",
		Digests: []rapsheet.Digest{{Algorithm: "sha1", Hex: "0123456789abcdef0123456789abcdef01234567"}}}
	chalkAt := func(path string, line int) rapsheet.Finding {
		return rapsheet.Finding{
			Record: rapsheet.Record{ID: chalk.ID, Ecosystem: "npm", Name: "chalk"}, Package: rapsheet.Package{Ecosystem: "npm", Name: "chalk", Version: "5.6.1"},
			Verdict: rapsheet.VerdictExact, Provenance: rapsheet.ProvenanceRegistry, Evidence: npm,
			Why:       "this very version is on record; resolved from the public registry at registry.npmjs.org",
			Locations: at(path, line, "package-lock.json"), Advisory: chalk,
		}
	}
	fx := &fixture{scan: scan()}
	for i := range 12 {
		fx.findings = append(fx.findings, chalkAt(fmt.Sprintf("services/s%02d/package-lock.json", i), 40+i))
	}
	// The same place twice, as a lockfile and its index say it.
	fx.findings = append(fx.findings, chalkAt("services/s03/package-lock.json", 43))
	fx.findings = append(fx.findings,
		rapsheet.Finding{
			Record: rapsheet.Record{ID: evil.ID, Ecosystem: "PyPI", Name: "evil-pkg"}, Package: rapsheet.Package{Ecosystem: "PyPI", Name: "Evil_Pkg"},
			Verdict: rapsheet.VerdictPackage, Provenance: rapsheet.ProvenanceUnknown,
			Why:       "every version is malicious; where it came from is not said",
			Locations: at("tools/requirements.txt", 3, "requirements.txt"), Advisory: evil,
		},
		rapsheet.Finding{
			Record: rapsheet.Record{ID: evil.ID + "1", Ecosystem: "npm", Name: "internal-ui"}, Package: rapsheet.Package{Ecosystem: "npm", Name: "internal-ui", Version: "2.0.0"},
			Verdict: rapsheet.VerdictPackage, Provenance: rapsheet.ProvenanceElsewhere,
			Evidence:  rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: "npm.corp.example"},
			Why:       "every version is malicious; resolved from npm.corp.example, not the public registry",
			Locations: at("web/package-lock.json", 9, "package-lock.json"),
		},
		rapsheet.Finding{
			Record: rapsheet.Record{ID: chalk.ID, Ecosystem: "npm", Name: "chalk"}, Package: rapsheet.Package{Ecosystem: "npm", Name: "chalk"},
			Verdict: rapsheet.VerdictUnversioned, Provenance: rapsheet.ProvenanceUnknown,
			Locations: at("web/package.json", 12, "package.json"), Advisory: chalk,
		},
		rapsheet.Finding{
			Record: rapsheet.Record{ID: withdrawn.ID, Ecosystem: "npm", Name: "fine", Withdrawn: true}, Package: rapsheet.Package{Ecosystem: "npm", Name: "fine", Version: "1.0.0"},
			Verdict: rapsheet.VerdictWithdrawn, Provenance: rapsheet.ProvenanceRegistry,
			Locations: at("web/package-lock.json", 90, "package-lock.json"), Advisory: withdrawn,
		},
	)
	fx.notes = []rapsheet.Note{
		{Kind: rapsheet.NoteInfo, Path: "web/package.json", Message: "no lockfile beside it: versions are not resolved"},
		{Kind: rapsheet.NoteUnread, Path: "old/yarn.lock", Line: 120, Message: "merge conflict markers"},
		{Kind: rapsheet.NoteUnmatchable, Path: "sbom.cdx.json", Message: "component without a purl"},
		{Kind: rapsheet.NoteUnmatchable, Path: "sbom.cdx.json", Message: "component without a purl", Count: 41},
	}
	fx.sum = rapsheet.Summary{Sightings: 3412, Files: 19, Findings: 14, Other: 3, Unread: 1, Unmatchable: 42, Complete: false, Elapsed: 1234 * time.Millisecond}
	return fx
}

func clean() *fixture {
	return &fixture{scan: scan(), sum: rapsheet.Summary{Sightings: 3412, Files: 1, Complete: true, Elapsed: 87 * time.Millisecond}}
}

// disputed is a scan that met a doubted record in two places, once from another
// registry, and one whose reason is an attack on the reader.
func disputed() *fixture {
	fx := clean()
	rec := &osv.Record{
		ID: "MAL-2026-30", Published: "2026-01-02T00:00:00Z", Modified: "2026-01-04T00:00:00Z", Withdrawn: "2026-01-04T08:00:00Z", Summary: "Malicious code in doubted (npm)",
		DatabaseSpecific: jsontext.Value(`{"rapsheet":{"state":"disputed","since":"2026-01-04T08:00:00Z","reason":"the maintainer showed that the code is a test"}}`),
	}
	f := rapsheet.Finding{
		Record: rapsheet.Record{ID: rec.ID, Ecosystem: "npm", Name: "doubted", Withdrawn: true, Disputed: true}, Package: rapsheet.Package{Ecosystem: "npm", Name: "doubted", Version: "1.0.0"},
		Verdict: rapsheet.VerdictExact, Provenance: rapsheet.ProvenanceRegistry, Evidence: rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: "registry.npmjs.org"},
		Why:       "this very version is on record; resolved from the public registry at registry.npmjs.org",
		Locations: at("web/package-lock.json", 7, "package-lock.json"), Advisory: rec,
	}
	elsewhere := f
	elsewhere.Provenance, elsewhere.Evidence.Host = rapsheet.ProvenanceElsewhere, "npm.corp.example"
	elsewhere.Locations = at("api/package-lock.json", 8, "package-lock.json")
	evil := f
	bad := *rec
	bad.ID, bad.DatabaseSpecific = "MAL-2026-31", jsontext.Value(`{"rapsheet":{"state":"disputed","reason":"x\u001b[2J\u202e\n::error::y|@everyone"}}`)
	evil.Record.ID, evil.Advisory, evil.Package.Name = bad.ID, &bad, "other"
	fx.findings = []rapsheet.Finding{f, elsewhere, evil}
	fx.sum.Disputed, fx.sum.Other = 2, 1
	return fx
}

// A disputed record is shown in every format, with its reason, and is a failure in
// none (issue "Catalog": "warns, does not fail builds").
func TestDisputed(t *testing.T) {
	for format, want := range map[string][]string{
		"text": {"DISPUTED: 2 packages on a record that is disputed, in 1 place; nothing beyond doubt found", "doubted 1.0.0  (npm)",
			"DISPUTED since 2026-01-04: the maintainer showed that the code is", "1 by name only, from elsewhere"},
		"json":      {`"disputed": 2`, `"since": "2026-01-04T08:00:00Z"`, `"reason": "the maintainer showed that the code is a test"`, `"malicious": false`, `"verdict": "exact"`},
		"jsonl":     {`"disputed":{"since":"2026-01-04T08:00:00Z","reason":"the maintainer`, `"disputed":2`},
		"sarif":     {`"MAL-2026-30/disputed"`, `"level":"warning"`, "the maintainer showed"},
		"cyclonedx": {`"record:MAL-2026-30/disputed"`, `"state":"in_triage"`, `"status":"unknown"`, "the maintainer showed"},
		"csv":       {",false,", ",true,the maintainer showed that the code is a test,,,,,,\r\n"},
		"markdown":  {"### Disputed", "<code>doubted</code>", "the maintainer showed"},
		"junit":     {`failures="0"`, "<skipped message=\"MAL-2026-30 matches and is disputed: ", "the maintainer showed"},
		"github":    {"::warning file=web/package-lock.json,line=7,title=MAL-2026-30", "the maintainer showed"},
	} {
		t.Run(format, func(t *testing.T) {
			got := render(t, format, Options{}, disputed())
			flat := strings.Join(strings.Fields(got), " ")
			for _, s := range want {
				if !strings.Contains(got, s) && !strings.Contains(flat, s) {
					t.Errorf("no %q in\n%s", s, got)
				}
			}
			for _, s := range []string{"MALICIOUS", "exploitable", `"level":"error"`, "::error ", "<failure", "npm.corp.example", "\x1b", "\u202e", `"rejected"`} {
				if strings.Contains(got, s) {
					t.Errorf("%q in\n%s", s, got)
				}
			}
		})
	}
	t.Run("all", func(t *testing.T) {
		var doc jsonOut
		decode(t, render(t, "json", Options{All: true}, disputed()), &doc)
		if len(doc.Findings) != 3 || doc.Summary.Disputed != 2 || doc.Summary.Other != 1 || doc.Findings[2].Disputed == nil {
			t.Errorf("%+v", doc)
		}
	})
	t.Run("the record cannot be read", func(t *testing.T) {
		fx := disputed()
		for i := range fx.findings {
			fx.findings[i].Advisory = nil
		}
		var doc jsonOut
		decode(t, render(t, "json", Options{}, fx), &doc)
		if len(doc.Findings) != 2 || doc.Findings[0].Disputed == nil || doc.Findings[0].Disputed.Reason != "" {
			t.Errorf("%+v", doc.Findings)
		}
	})
	t.Run("beside a catalog in which it stands", func(t *testing.T) {
		fx := disputed()
		stands := fx.findings[0]
		stands.Catalog, stands.Record.Withdrawn, stands.Record.Disputed, stands.Advisory = 1, false, false, nil
		fx.findings = append(fx.findings, stands)
		fx.sum.Findings = 1
		got := render(t, "text", Options{}, fx)
		if !strings.HasPrefix(got, "MALICIOUS: 1 package on record as malicious, in 1 place; 2 packages on a record that is disputed\n") {
			t.Error(got)
		}
	})
}

// hostileName holds what bad-inputs.md, 87 to 93, names.
const hostileName = "a\x1b]52;c;ZWNobw==\x07\x1b]8;;https://x.example\x1b\\b\r\x9bm\u009b31m\u202eevil\u200b\u2066\nc</script>\"><img onerror>|`=cmd`@everyone #1 [x](data:1) www.x.example {0} ::stop-commands::x ##vso[x]\u0300\u0300\u0300\u0300\u0300\U000e0041, %0A, "

// hostile sends hostileName through every field that somebody else writes.
func hostile() *fixture {
	adv := &osv.Record{
		ID: "MAL-" + hostileName, Aliases: []string{hostileName}, Published: osv.Timestamp(hostileName), Summary: hostileName,
		Details:          strings.Repeat(">", 1000) + hostileName + "\n\n# h\n" + strings.Repeat(hostileName, 2000),
		References:       []osv.Reference{{Type: hostileName, URL: "javascript:" + hostileName}, {Type: "WEB", URL: "https://u:p@x.example/"}, {Type: "WEB", URL: "https://ok.example/" + hostileName}},
		DatabaseSpecific: jsontext.Value(`{"campaign":"\u001b]52;c;x\u0007\u202e\n|@everyone"}`),
	}
	fx := clean()
	fx.scan.Catalogs[0].Source = hostileName
	fx.scan.All = true
	for i, name := range []string{hostileName, "=cmd", "+1", "-2", "@SUM(1)", "\tx", "::add-mask::x", "  \n", "2Cаptcha.API"} {
		for _, p := range []rapsheet.Provenance{rapsheet.ProvenanceUnknown, rapsheet.ProvenanceElsewhere} {
			fx.findings = append(fx.findings, rapsheet.Finding{
				Record: rapsheet.Record{ID: adv.ID, Ecosystem: "npm", Name: name}, Package: rapsheet.Package{Ecosystem: "npm", Name: name, Version: "1." + name},
				Verdict: rapsheet.VerdictPackage, Provenance: p, Why: hostileName,
				Evidence:  rapsheet.Evidence{URL: hostileName, Host: hostileName, Origin: rapsheet.OriginURL},
				Locations: []rapsheet.Location{{Path: name + "/lock", Line: i, Kind: hostileName, Layer: hostileName, Gone: "sha256:" + hostileName}}, Advisory: adv,
				Holding: &rapsheet.Holding{Registry: hostileName, Served: rapsheet.ServedYes, Purge: []string{"rm -- x" + name, "rm -- '\n" + hostileName}},
			})
		}
	}
	fx.notes = []rapsheet.Note{
		{Kind: rapsheet.NoteUnread, Path: hostileName, Line: 1, Message: hostileName},
		{Kind: rapsheet.NoteUnmatchable, Path: hostileName, Message: "::error::" + hostileName},
		{Kind: rapsheet.NoteInfo, Message: hostileName},
	}
	fx.sum.Findings, fx.sum.Other, fx.sum.Unread, fx.sum.Complete = 9, 9, 1, false
	return fx
}

func TestText(t *testing.T) {
	builtIn := clean()
	builtIn.scan.Catalogs = []rapsheet.Catalog{{Source: "built-in", Records: 40, Packages: 38, BuiltIn: true}}
	empty := clean()
	empty.sum.Sightings = 0
	incomplete := clean()
	incomplete.sum.Complete, incomplete.sum.Unread = false, 27
	for i := range 25 {
		incomplete.notes = append(incomplete.notes, rapsheet.Note{Kind: rapsheet.NoteUnread, Path: fmt.Sprintf("repo/%02d/yarn.lock", i), Message: "permission denied"})
	}
	incomplete.notes = append(incomplete.notes, rapsheet.Note{Kind: rapsheet.NoteUnread, Path: "repo/00/yarn.lock", Message: "permission denied", Count: 2})
	hostileOne := hostile()
	hostileOne.findings = hostileOne.findings[:1]
	hostileOne.findings[0].Locations = at("dir\n/\x1b[2J", 1, "x")
	tests := []struct {
		name string
		opt  Options
		fx   *fixture
	}{
		{"worm", Options{}, worm()},
		{"worm-all", Options{All: true, Width: 100}, worm()},
		{"worm-color", Options{Color: true}, worm()},
		{"worm-quiet", Options{Quiet: true}, worm()},
		{"clean", Options{}, clean()},
		{"clean-quiet", Options{Quiet: true}, clean()},
		{"built-in", Options{}, builtIn},
		{"built-in-quiet", Options{Quiet: true}, builtIn},
		{"nothing-checked", Options{}, empty},
		{"incomplete", Options{}, incomplete},
		{"hostile", Options{}, hostileOne},
		{"disputed", Options{}, disputed()},
		{"disputed-quiet", Options{Quiet: true}, disputed()},
		{"held", Options{}, inRegistry()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := render(t, "text", tt.opt, tt.fx)
			file := filepath.Join("testdata", tt.name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs (go test -update, then read it):\n%s", file, got)
			}
		})
	}
}

// The first line is what is read at 3 a.m.; these are promises of design.md.
func TestHeadline(t *testing.T) {
	tests := []struct {
		name      string
		change    func(*fixture)
		want, not string
	}{
		{"clean", func(*fixture) {}, "nothing found: none of 3,412 packages is on record as malicious", ""},
		{"one package", func(fx *fixture) { fx.findings = worm().findings[:1] }, "MALICIOUS: 1 package on record as malicious, in 1 place", ""},
		{"two records about one package are one package", func(fx *fixture) {
			fx.findings = worm().findings[:2]
			fx.findings[1].Record.ID = "GHSA-x"
		}, "MALICIOUS: 1 package on record as malicious, in 2 places", ""},
		{"two spellings are one package", func(fx *fixture) {
			fx.findings = slices.Repeat(worm().findings[13:14], 2)
			fx.findings[1].Package.Name = "evil.pkg"
		}, "MALICIOUS: 1 package on record as malicious, in 1 place", ""},
		{"incomplete", func(fx *fixture) { fx.sum.Complete, fx.sum.Unread = false, 3 }, "INCOMPLETE: nothing found in what could be read; 3 things could not be read", "none of"},
		{"malicious and incomplete", func(fx *fixture) {
			fx.findings = worm().findings[:1]
			fx.sum.Complete, fx.sum.Unread = false, 1
		}, "MALICIOUS: 1 package on record as malicious, in 1 place; 1 thing could not be read", ""},
		{"only elsewhere is clean", func(fx *fixture) { fx.findings = worm().findings[14:15] }, "nothing found: none of 3,412", "MALICIOUS"},
		{"nothing checked", func(fx *fixture) { fx.sum.Sightings = 0 }, "nothing checked", "nothing found"},
		{"disputed", func(fx *fixture) { fx.findings = disputed().findings[:1] },
			"DISPUTED: 1 package on a record that is disputed, in 1 place; nothing beyond doubt found", "nothing found"},
		{"disputed and incomplete", func(fx *fixture) {
			fx.findings = disputed().findings[:1]
			fx.sum.Complete, fx.sum.Unread = false, 3
		}, "INCOMPLETE: nothing beyond doubt found in what could be read; 3 things could not be read; 1 package on a record that is disputed", "none of"},
		{"built-in", func(fx *fixture) { fx.scan.Catalogs[0].BuiltIn = true }, "nothing found in the built-in list: none of", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fx := clean()
			tt.change(fx)
			for _, format := range []string{"text", "markdown", "junit", "github"} {
				got := render(t, format, Options{}, fx)
				if format == "text" {
					got, _, _ = strings.Cut(got, "\n")
				}
				got = html.UnescapeString(got)
				if !strings.Contains(got, tt.want) || tt.not != "" && strings.Contains(got, tt.not) {
					t.Errorf("%s: %s\nwant %q", format, got, tt.want)
				}
			}
		})
	}
}

func TestGrouping(t *testing.T) {
	// One record in two catalogs: the first one's reading of it is shown.
	fx := clean()
	first := worm().findings[0]
	first.Catalog = 0
	second := first
	second.Catalog, second.Why, second.Advisory = 1, "the other catalog's words", nil
	second.Locations = at("a/first/by/path", 1, "x")
	unreadable := first
	unreadable.Advisory = nil
	unreadable.Locations = at("0", 1, "x")
	fx.findings = []rapsheet.Finding{second, first, unreadable, second}
	var doc jsonOut
	decode(t, render(t, "json", Options{}, fx), &doc)
	if len(doc.Findings) != 1 {
		t.Fatalf("%d findings, want 1", len(doc.Findings))
	}
	f := doc.Findings[0]
	if f.Provenance.Why != first.Why || f.Published != "2025-09-08T14:02:11Z" || f.Campaign != "qix" {
		t.Errorf("got %+v", f)
	}
	want := []jsonLocation{{Path: "0", Line: 1, Kind: "x"}, {Path: "a/first/by/path", Line: 1, Kind: "x"}, {Path: "services/s00/package-lock.json", Line: 40, Kind: "package-lock.json"}}
	if !slices.Equal(f.Locations, want) {
		t.Errorf("locations %v\nwant %v", f.Locations, want)
	}
}

// One package version in many places is one finding, graded by the best evidence;
// what makes no alarm stands apart.
func TestGroupingByConsequence(t *testing.T) {
	fx := clean()
	one := worm().findings[0]
	for i, p := range []rapsheet.Provenance{"unknown", "registry", "unknown", "elsewhere"} {
		f := one
		f.Provenance = p
		f.Why = "why " + string(p)
		f.Locations = at(fmt.Sprintf("place/%d", i), 1, "x")
		fx.findings = append(fx.findings, f)
	}
	var doc jsonOut
	decode(t, render(t, "json", Options{All: true}, fx), &doc)
	if len(doc.Findings) != 2 {
		t.Fatalf("%d findings, want one that alarms and one that does not", len(doc.Findings))
	}
	if f := doc.Findings[0]; f.Provenance.Why != "why registry" || len(f.Locations) != 3 || !f.Malicious {
		t.Errorf("got %+v", f)
	}
	if f := doc.Findings[1]; f.Provenance.Why != "why elsewhere" || len(f.Locations) != 1 || f.Malicious {
		t.Errorf("got %+v", f)
	}
}

func TestDeterminism(t *testing.T) {
	for _, f := range formats {
		for name, fx := range map[string]*fixture{"worm": worm(), "hostile": hostile(), "held": inRegistry()} {
			t.Run(f.name+" "+name, func(t *testing.T) {
				want := render(t, f.name, Options{All: true}, fx)
				for seed := range uint64(5) {
					mixed := fx.clone()
					r := rand.New(rand.NewPCG(seed, 1))
					r.Shuffle(len(mixed.findings), func(i, k int) { mixed.findings[i], mixed.findings[k] = mixed.findings[k], mixed.findings[i] })
					r.Shuffle(len(mixed.notes), func(i, k int) { mixed.notes[i], mixed.notes[k] = mixed.notes[k], mixed.notes[i] })
					if got := render(t, f.name, Options{All: true}, mixed); got != want {
						t.Fatalf("seed %d differs", seed)
					}
				}
			})
		}
	}
}

// jsonOut is read with encoding/json: a parser that is not the writer's.
type jsonOut struct {
	SchemaVersion string        `json:"schema_version"`
	Catalog       jsonCatalog   `json:"catalog"`
	Catalogs      []jsonCatalog `json:"catalogs"`
	Summary       jsonSummary   `json:"summary"`
	Findings      []jsonFinding `json:"findings"`
	Notes         []jsonNote    `json:"notes"`
}

func decode(t testing.TB, s string, v any) {
	t.Helper()
	if err := stdjson.Unmarshal([]byte(s), v); err != nil {
		t.Fatalf("%v in\n%s", err, s)
	}
}

func schema(t testing.TB, files map[string]string, url string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for at, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		doc, err := jsonschema.UnmarshalJSON(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(at, doc); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Compile(url)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t testing.TB, s *jsonschema.Schema, text string) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(doc); err != nil {
		t.Errorf("%v\nin %s", err, text)
	}
}

func fixtures() map[string]*fixture {
	several := worm()
	several.scan.Catalogs = append(several.scan.Catalogs, rapsheet.Catalog{Source: "built-in", Records: 40, Packages: 38, BuiltIn: true})
	bare := &fixture{sum: rapsheet.Summary{Complete: true}}
	noAdvisory := worm()
	for i := range noAdvisory.findings {
		noAdvisory.findings[i].Advisory = nil
	}
	return map[string]*fixture{"worm": worm(), "clean": clean(), "hostile": hostile(), "two catalogs": several, "bare": bare, "no advisory": noAdvisory, "disputed": disputed(), "held": inRegistry()}
}

const outputSchema = "https://github.com/rapsheet/rapsheet/docs/output.schema.json"

func TestJSONSchema(t *testing.T) {
	files := map[string]string{outputSchema: "../../docs/output.schema.json"}
	document, line := schema(t, files, outputSchema), schema(t, files, outputSchema+"#/$defs/line")
	for name, fx := range fixtures() {
		for _, all := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " all=", all), func(t *testing.T) {
				validate(t, document, render(t, "json", Options{All: all}, fx))
				for l := range strings.Lines(render(t, "jsonl", Options{All: all}, fx)) {
					validate(t, line, l)
				}
			})
		}
	}
	t.Run("the schema refuses what is wrong", func(t *testing.T) {
		for _, bad := range []string{`{}`, `{"finding":{}}`, strings.Replace(render(t, "json", Options{}, worm()), `"verdict": "exact"`, `"verdict": "maybe"`, 1)} {
			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(bad))
			if err != nil {
				t.Fatal(err)
			}
			if document.Validate(doc) == nil {
				t.Errorf("accepted %.80s", bad)
			}
		}
	})
}

func TestJSON(t *testing.T) {
	var doc jsonOut
	decode(t, render(t, "json", Options{}, worm()), &doc)
	if doc.SchemaVersion != "1.2" || doc.Catalog.AgeDays == nil || *doc.Catalog.AgeDays != 2 || doc.Catalogs != nil {
		t.Errorf("catalog %+v", doc.Catalog)
	}
	if want := (jsonSummary{3412, 19, 2, 0, 3, 1, 42, 0, false, 1.234}); doc.Summary != want {
		t.Errorf("summary %+v\nwant %+v", doc.Summary, want)
	}
	var got []string
	for _, f := range doc.Findings {
		got = append(got, fmt.Sprint(f.Package.PURL, " ", f.Verdict, " ", f.Provenance.Grade, " ", len(f.Locations), " ", f.Malicious))
	}
	// PyPI sorts before npm: by bytes.
	want := []string{"pkg:pypi/evil-pkg package unknown 1 true", "pkg:npm/chalk@5.6.1 exact registry 12 true"}
	if !slices.Equal(got, want) {
		t.Errorf("findings %q\nwant %q", got, want)
	}
	if want := (jsonNote{"unmatchable", "sbom.cdx.json", 0, "component without a purl", 42}); doc.Notes[1] != want {
		t.Errorf("note %+v, want %+v", doc.Notes[1], want)
	}

	t.Run("jsonl streams each sighting", func(t *testing.T) {
		fx := worm()
		kinds := map[string]int{}
		for line := range strings.Lines(render(t, "jsonl", Options{}, fx)) {
			var l map[string]stdjson.RawMessage
			decode(t, line, &l)
			for k := range l {
				kinds[k]++
			}
		}
		if kinds["catalog"] != 1 || kinds["finding"] != fx.sum.Findings || kinds["note"] != len(fx.notes) || kinds["summary"] != 1 {
			t.Errorf("lines %v", kinds)
		}
	})
	t.Run("87 JSON keeps exact data", func(t *testing.T) {
		fx := hostile()
		fx.findings = fx.findings[:1]
		fx.findings[0].Package.Name = strings.ToValidUTF8(hostileName, "")
		fx.findings[0].Locations = at("dir/\xff\u202e", 1, "x")
		for _, format := range []string{"json", "jsonl"} {
			text := render(t, format, Options{}, fx)
			var f jsonFinding
			if format == "json" {
				var doc jsonOut
				decode(t, text, &doc)
				f = doc.Findings[0]
			} else {
				var line struct{ Finding jsonFinding }
				decode(t, strings.Split(text, "\n")[1], &line)
				f = line.Finding
			}
			if f.Package.Name != fx.findings[0].Package.Name {
				t.Errorf("%s: name %+q\nwant %+q", format, f.Package.Name, fx.findings[0].Package.Name)
			}
			if want := `dir/\xff` + "\u202e"; f.Locations[0].Path != want {
				t.Errorf("%s: path %+q", format, f.Locations[0].Path)
			}
			if strings.Contains(text, "##") {
				t.Errorf("%s: a CI command", format)
			}
		}
	})
}

const sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

func TestSARIF(t *testing.T) {
	s := schema(t, map[string]string{sarifSchema: "testdata/schema/sarif-schema-2.1.0.json"}, sarifSchema)
	for name, fx := range fixtures() {
		t.Run("92 valid: "+name, func(t *testing.T) {
			validate(t, s, render(t, "sarif", Options{All: true}, fx))
			validate(t, s, render(t, "sarif", Options{}, fx))
		})
	}
	var log sarifLog
	parse := func(fx *fixture, opt Options) *sarifRun {
		t.Helper()
		log = sarifLog{}
		decode(t, render(t, "sarif", opt, fx), &log)
		return &log.Runs[0]
	}

	run := parse(worm(), Options{All: true})
	if run.Invocations[0].ExecutionSuccessful || run.Invocations[0].ExitCode != 1 {
		t.Errorf("invocation %+v", run.Invocations[0])
	}
	if n := run.Invocations[0].Notifications; len(n) != 3 || n[0].Level != "error" || n[0].Locations[0].Physical.Artifact.URI != "old/yarn.lock" {
		t.Errorf("notifications %+v", n)
	}
	levels := map[string]int{}
	prints := map[string]bool{}
	for _, res := range run.Results {
		rule := run.Tool.Driver.Rules[res.RuleIndex]
		if rule.ID != res.RuleID {
			t.Errorf("rule index %d is %s, want %s", res.RuleIndex, rule.ID, res.RuleID)
		}
		if (rule.Properties.SecuritySeverity == "10.0") != (res.Level == "error") {
			t.Errorf("%s: level %s with severity %q", res.RuleID, res.Level, rule.Properties.SecuritySeverity)
		}
		levels[res.Level]++
		prints[res.PartialFingerprints["primaryLocationLineHash"]] = true
	}
	if levels["error"] != 13 || levels["note"] != 3 || len(prints) != 16 {
		t.Errorf("levels %v, %d fingerprints", levels, len(prints))
	}
	if len(run.Tool.Driver.Rules) != 5 {
		t.Errorf("%d rules, want one per record and kind: 5", len(run.Tool.Driver.Rules))
	}

	t.Run("fingerprints survive other lines and times", func(t *testing.T) {
		moved := worm()
		moved.scan.Started = started.Add(time.Hour)
		for i := range moved.findings {
			moved.findings[i].Locations = slices.Clone(moved.findings[i].Locations)
			moved.findings[i].Locations[0].Line += 7
		}
		for _, res := range parse(moved, Options{All: true}).Results {
			if !prints[res.PartialFingerprints["primaryLocationLineHash"]] {
				t.Errorf("%s has a new fingerprint", res.Locations[0].Physical.Artifact.URI)
			}
		}
	})
	t.Run("paths", func(t *testing.T) {
		for in, want := range map[string]sarifArtifact{
			"a b/ü%.json":    {"a%20b/%C3%BC%25.json", "%SRCROOT%"},
			"./x/../y":       {"y", "%SRCROOT%"},
			"c:evil":         {"c%3Aevil", "%SRCROOT%"},
			"http://x/y":     {"http%3A/x/y", "%SRCROOT%"},
			"/abs/a b":       {"file:///abs/a%20b", ""},
			"//host/x":       {"file:///host/x", ""},
			"C:/Users/x#y?z": {"file:///C:/Users/x%23y%3Fz", ""},
			"-":              {"-", "%SRCROOT%"},
			"a\nb\xff":       {"a%0Ab%FF", "%SRCROOT%"},
		} {
			if got := newSARIFArtifact(in); got != want {
				t.Errorf("%q: %+v, want %+v", in, got, want)
			}
			if u, err := url.Parse(want.URI); err != nil || want.URIBaseID == "" && u.Scheme != "file" || want.URIBaseID != "" && u.IsAbs() {
				t.Errorf("%q: %v %v", in, u, err)
			}
		}
	})
	t.Run("no more results than code scanning takes", func(t *testing.T) {
		many := clean()
		f := worm().findings[0]
		for i := range maxSARIFResults + 5 {
			f.Locations = at("package-lock.json", i+1, "package-lock.json")
			many.findings = append(many.findings, f)
		}
		other := worm().findings[13]
		many.findings = append(many.findings, other)
		run := parse(many, Options{})
		if len(run.Results) != maxSARIFResults || !strings.Contains(run.Invocations[0].Notifications[0].Message.Text, "6 results") {
			t.Errorf("%d results, %+v", len(run.Results), run.Invocations[0].Notifications)
		}
	})
	t.Run("90 no embedded links", func(t *testing.T) {
		for _, res := range parse(hostile(), Options{}).Results {
			if strings.Contains(strings.ReplaceAll(res.Message.Text, `\]`, ""), "](") {
				t.Errorf("link in %q", res.Message.Text)
			}
		}
	})
}

func TestCycloneDX(t *testing.T) {
	const dir = "../sbom/testdata/schema/"
	const base = "http://cyclonedx.org/schema/"
	s := schema(t, map[string]string{
		base + "bom-1.6.schema.json":           dir + "bom-1.6.SNAPSHOT.schema.json",
		base + "jsf-0.82.SNAPSHOT.schema.json": dir + "jsf-0.82.SNAPSHOT.schema.json",
		base + "spdx.SNAPSHOT.schema.json":     dir + "spdx.SNAPSHOT.schema.json",
	}, base+"bom-1.6.schema.json")
	for name, fx := range fixtures() {
		t.Run("92 valid: "+name, func(t *testing.T) {
			for _, all := range []bool{false, true} {
				text := render(t, "cyclonedx", Options{All: all}, fx)
				validate(t, s, text)
				var bom cdxBOM
				decode(t, text, &bom)
				refs := map[string]bool{}
				for _, c := range bom.Components {
					if refs[c.Ref] {
						t.Errorf("bom-ref %q twice", c.Ref)
					}
					refs[c.Ref] = true
				}
				for _, v := range bom.Vulnerabilities {
					if refs[v.Ref] {
						t.Errorf("bom-ref %q twice", v.Ref)
					}
					for _, a := range v.Affects {
						if !refs[a.Ref] {
							t.Errorf("%s affects %q, which is no component", v.ID, a.Ref)
						}
					}
				}
			}
		})
	}
	var bom cdxBOM
	decode(t, render(t, "cyclonedx", Options{All: true}, worm()), &bom)
	states := map[string]string{}
	for _, v := range bom.Vulnerabilities {
		states[v.Ref] = v.Analysis.State
	}
	want := map[string]string{
		"record:MAL-2025-46969": "exploitable", "record:MAL-2026-17": "exploitable", "record:MAL-2026-171/elsewhere": "false_positive",
		"record:MAL-2025-46969/unversioned": "in_triage", "record:MAL-2023-5/withdrawn": "false_positive",
	}
	if fmt.Sprint(states) != fmt.Sprint(want) {
		t.Errorf("states %v\nwant %v", states, want)
	}
	t.Run("the serial number follows the content", func(t *testing.T) {
		other := worm()
		other.findings = other.findings[:3]
		var changed cdxBOM
		decode(t, render(t, "cyclonedx", Options{All: true}, other), &changed)
		if changed.SerialNumber == bom.SerialNumber || !strings.HasPrefix(bom.SerialNumber, "urn:uuid:") {
			t.Errorf("%s and %s", changed.SerialNumber, bom.SerialNumber)
		}
	})
}

func TestCSV(t *testing.T) {
	read := func(fx *fixture) []map[string]string {
		t.Helper()
		r := csv.NewReader(strings.NewReader(render(t, "csv", Options{}, fx)))
		rows, err := r.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var out []map[string]string
		for _, row := range rows[1:] {
			m := map[string]string{}
			for i, k := range rows[0] {
				m[k] = row[i]
			}
			out = append(out, m)
		}
		return out
	}
	rows := read(worm())
	if len(rows) != 13 || rows[1]["path"] != "services/s00/package-lock.json" || rows[1]["line"] != "40" || rows[1]["purl"] != "pkg:npm/chalk@5.6.1" || rows[1]["campaign"] != "qix" {
		t.Errorf("%d rows, %v", len(rows), rows)
	}
	t.Run("89 no cell is a formula", func(t *testing.T) {
		rows := read(hostile())
		if len(rows) != 18 {
			t.Errorf("%d rows, want 18: one per finding and place", len(rows))
		}
		names := map[string]bool{}
		for _, row := range rows {
			names[row["name"]] = true
			for k, v := range row {
				if v != "" && strings.ContainsAny(v[:1], "=+-@\t\r") {
					t.Errorf("column %s: %q", k, v)
				}
			}
			if !strings.HasPrefix(row["purl"], "pkg:") || strings.Count(row["purl"], "@") != 1 {
				t.Errorf("purl %q", row["purl"])
			}
		}
		for _, want := range []string{"'=cmd", "'+1", "'-2", "'@SUM(1)", `\tx`} {
			if !names[want] {
				t.Errorf("no name %q in %v", want, names)
			}
		}
	})
}

func TestMarkdown(t *testing.T) {
	t.Run("93 a cell stays a cell", func(t *testing.T) {
		rows := 0
		for line := range strings.Lines(render(t, "markdown", Options{}, hostile())) {
			if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| Package") || strings.HasPrefix(line, "| ---") {
				continue
			}
			rows++
			cells := strings.Split(strings.TrimSpace(line), "|")
			if len(cells) != 9 {
				t.Errorf("%d cells in %s", len(cells)-2, line)
			}
			// What is left of a cell without our own tags has no markup.
			for _, c := range cells {
				c = strings.NewReplacer("<code>", "", "</code>", "", "<br>", "").Replace(c)
				rest := regexpReference.ReplaceAllString(c, "")
				if i := strings.IndexAny(rest, "`*_<>[]!#@&\\~:{}\"'"); i >= 0 {
					t.Errorf("%q in cell %s", rest[i], c)
				}
				if strings.Contains(strings.ToLower(rest), "www.") {
					t.Errorf("link in cell %s", c)
				}
			}
		}
		if rows != 18 {
			t.Errorf("%d rows, want 18", rows)
		}
	})
	t.Run("91 mentions are in code and references", func(t *testing.T) {
		if got := code("@everyone #1"); got != "<code>&#64;everyone &#35;1</code>" {
			t.Error(got)
		}
	})
	t.Run("an HTML reader sees the text", func(t *testing.T) {
		const text = `<b>|x` + "`*_[a](b)\\ www.x.y & #1 @z"
		if got := html.UnescapeString(markdown(text)); got != text {
			t.Errorf("%q", got)
		}
	})
}

func TestJUnit(t *testing.T) {
	parse := func(fx *fixture) junitSuites {
		t.Helper()
		text := render(t, "junit", Options{}, fx)
		var s junitSuites
		d := xml.NewDecoder(strings.NewReader(text))
		if err := d.Decode(&s); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) && err != nil {
			t.Fatal(err)
		}
		return s
	}
	tests := []struct {
		name                    string
		fx                      *fixture
		tests, failures, errors int
	}{
		{"clean", clean(), 1, 0, 0},
		{"worm", worm(), 3, 2, 1},
		{"88 hostile", hostile(), 19, 9, 1},
		{"incomplete without a note", &fixture{scan: scan()}, 1, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(tt.fx)
			failures, errs := 0, 0
			for _, c := range s.Suite.Cases {
				if c.Failure != nil {
					failures++
				}
				if c.Error != nil {
					errs++
				}
			}
			got := []int{len(s.Suite.Cases), failures, errs}
			if want := []int{tt.tests, tt.failures, tt.errors}; !slices.Equal(got, want) {
				t.Errorf("cases, failures, errors: %v, want %v", got, want)
			}
			if s.Suite.Name != "malicious-packages" || s.Suite.Failures != failures || s.Suite.Errors != errs || s.Suite.Tests != got[0] {
				t.Errorf("%+v", s.Suite)
			}
		})
	}
}

func TestGitHub(t *testing.T) {
	got := render(t, "github", Options{}, worm())
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	want := []string{
		"::error file=tools/requirements.txt,line=3,title=MAL-2026-17%3A Evil_Pkg::Evil_Pkg (PyPI) is on record as malicious: every version is malicious; where it came from is not said. Malicious code in evil-pkg (PyPI)",
		"::error file=services/s00/package-lock.json,line=40,title=MAL-2025-46969%3A chalk 5.6.1::chalk 5.6.1 (npm) is on record as malicious: this very version is on record; resolved from the public registry at registry.npmjs.org. Malicious code in chalk (npm); in 11 more places",
		"::warning file=old/yarn.lock,line=120,title=could not be read::old/yarn.lock:120: merge conflict markers",
	}
	if len(lines) != 4 || !slices.Equal(lines[:3], want) || !strings.HasPrefix(lines[3], "::notice title=rapsheet::MALICIOUS: 2 packages") {
		t.Errorf("got\n%s", got)
	}
	t.Run("97 one command a line", func(t *testing.T) {
		fx := hostile()
		lines := strings.Split(strings.TrimSuffix(render(t, "github", Options{}, fx), "\n"), "\n")
		if len(lines) != 18+2 {
			t.Errorf("%d lines, want 20", len(lines))
		}
		for _, l := range lines {
			// The runner takes what stands before the next "::" for properties,
			// separated by commas.
			head, _, _ := strings.Cut(strings.TrimPrefix(l, "::"), "::")
			for i, p := range strings.Split(head, ",") {
				if k, _, ok := strings.Cut(p, "="); !ok || i > 0 && k != "line" && k != "title" {
					t.Errorf("property %q in %s", p, l)
				}
			}
			if strings.Contains(l, "##") {
				t.Errorf("old-style command in %s", l)
			}
		}
	})
}

// Every format, every hostile field: no byte that a terminal obeys, and one
// record stays one record.
func TestHostile(t *testing.T) {
	fx := hostile()
	for _, format := range Formats() {
		for _, opt := range []Options{{}, {Color: true, Width: 20}, {Quiet: true}} {
			t.Run(fmt.Sprintf("87 88 %s %+v", format, opt), func(t *testing.T) {
				got := render(t, format, opt, fx)
				if !utf8.ValidString(got) {
					t.Fatal("not UTF-8")
				}
				for _, style := range []string{styleReset, styleBold, styleDim, styleAlarm, styleUneasy} {
					if format == "text" && opt.Color {
						got = strings.ReplaceAll(got, style, "")
					}
				}
				if format == "csv" {
					got = strings.ReplaceAll(got, "\r\n", "\n")
				}
				for i, r := range got {
					if r != '\n' && unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co) {
						t.Fatalf("%U at %d: %+q", r, i, got[max(0, i-40):min(len(got), i+40)])
					}
				}
				for line := range strings.Lines(got) {
					line = strings.TrimSpace(line)
					if format != "github" && strings.HasPrefix(line, "::") || strings.Contains(line, "##vso") {
						t.Errorf("a command for a CI log: %s", line)
					}
				}
				if format == "junit" || format == "markdown" {
					if strings.Contains(got, "</script>") || strings.Contains(got, "<img") {
						t.Error("markup got through")
					}
				}
			})
		}
	}
	t.Run("66 text shows the code points of look-alikes", func(t *testing.T) {
		for _, format := range []string{"text", "markdown", "junit", "github", "sarif"} {
			if got := strings.ReplaceAll(html.UnescapeString(render(t, format, Options{}, fx)), `\\`, ""); !strings.Contains(got, "2Cа[U+0430]ptcha.API") {
				t.Errorf("%s does not", format)
			}
		}
	})
}

func TestProse(t *testing.T) {
	const boilerplate = "\n---\n_-= Per source details. Do not edit below this line.=-_\n"
	tests := []struct{ name, in, want string }{
		{"empty", "", ""},
		{"only upstream's frame (MAL-2024-1678)", boilerplate, ""},
		{"only GitHub's advice (MAL-2024-7929)", boilerplate + "\n## Source: ghsa-malware (4e27)\nAny computer that has this package installed or running should be considered fully compromised. All secrets and keys stored on that computer should be rotated immediately from a different computer.\n", ""},
		{"own words win (MAL-2024-1529)", "This package communicates with a domain.\n" + boilerplate + "\n## Source: x (1)\nOther.\n", "This package communicates with a domain."},
		{"the first source that says something (MAL-2025-362)", boilerplate + "\n## Source: khulnasoft-package-analysis (ca95)\nThe OpenSSF Package Analysis project identified 'amazon-model' @ 999.9.9 (npm) as malicious.\n\nIt is considered malicious because:\n\n- The package communicates with a domain associated with malicious activity.\n",
			"The OpenSSF Package Analysis project identified 'amazon-model' @ 999.9.9 (npm) as malicious. It is considered malicious because: The package communicates with a domain associated with malicious activity."},
		{"90 Markdown is taken off", "# Head\n> **bold** `code` [text](https://x.example/a) ![i](data:x) <b onclick=1>tag</b><!-- c -->\n```\nrm -rf\n```\n***\n1. one", "Head bold code text i tag one"},
		{"90 deep blockquote", strings.Repeat("> ", 100) + "x", "x"},
		{"cut at a sentence", strings.Repeat("Twenty characters a. ", 30), strings.TrimSpace(strings.Repeat("Twenty characters a. ", 15))},
		{"one long sentence", strings.Repeat("word ", 100), strings.Repeat("word ", 63) + "..."},
		{"87 controls", "a\x1b[2J\u202eb", `a\x1b[2J\u202eb`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := prose(tt.in, maxDetails); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
	t.Run("90 a megabyte of Markdown", func(t *testing.T) {
		before := time.Now()
		for _, s := range []string{">", "[", "[a](", "<", "`", "*", "![", "- ", "<!--", "\n"} {
			if got := prose(strings.Repeat(s, 1<<20/len(s)), maxDetails); len(got) > 4*maxDetails {
				t.Errorf("%q: %d bytes", s, len(got))
			}
		}
		if d := time.Since(before); d > 5*time.Second {
			t.Errorf("took %v", d)
		}
	})
}

func TestLinks(t *testing.T) {
	var refs []osv.Reference
	for _, u := range []string{
		"https://a.example/x", "http://b.example/", "javascript:alert(1)", "file:///etc/passwd", "https://user:pw@c.example/", "https:opaque",
		"https:///nohost", "https://d.example/\u202e", "https://d.example/a b", "https://e.example/" + strings.Repeat("a", 8000), "https://a.example/x", "//f.example", "https://g.example/?q=1#f",
	} {
		refs = append(refs, osv.Reference{URL: u})
	}
	want := []string{"https://a.example/x", "https://g.example/?q=1#f"}
	if got := links(&osv.Record{References: refs}, 5); !slices.Equal(got, want) {
		t.Errorf("32: got %q, want %q", got, want)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestErrors(t *testing.T) {
	if _, err := New("\x1bpdf", io.Discard, Options{}); err == nil || !strings.Contains(err.Error(), "text, json, jsonl, sarif, cyclonedx, csv, markdown, junit, github") || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("unknown format: %v", err)
	}
	for _, format := range Formats() {
		h, err := New(format, failing{}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		fx := worm()
		err = errors.Join(h.Begin(&fx.scan), h.Finding(&fx.findings[0]), h.End(&fx.sum))
		if !errors.Is(err, io.ErrShortWrite) || !strings.Contains(err.Error(), "write "+format) {
			t.Errorf("%s: %v", format, err)
		}
	}
}

func FuzzFormats(f *testing.F) {
	f.Add(hostileName, "1.0", "details")
	f.Add("2Cаptcha.API", "", "# x\n[a](b) ```")
	f.Add("\xff\xfe", "\u202e", "\n---\n_-= Per source details. x\n## Source: a\nb")
	schemas := map[string]*jsonschema.Schema{
		"json":  schema(f, map[string]string{outputSchema: "../../docs/output.schema.json"}, outputSchema),
		"sarif": schema(f, map[string]string{sarifSchema: "testdata/schema/sarif-schema-2.1.0.json"}, sarifSchema),
	}
	f.Fuzz(func(t *testing.T, name, version, details string) {
		if name == "" || len(name) > 1024 || len(version) > 1024 {
			return
		}
		fx := clean()
		fx.findings = []rapsheet.Finding{{
			Record: rapsheet.Record{ID: "MAL-1"}, Package: rapsheet.Package{Ecosystem: "npm", Name: name, Version: version},
			Verdict: rapsheet.VerdictExact, Provenance: rapsheet.ProvenanceUnknown, Locations: at(name, 1, "x"),
			Advisory: &osv.Record{ID: "MAL-1", Summary: name, Details: details},
		}}
		for _, format := range Formats() {
			got := render(t, format, Options{}, fx)
			for _, r := range got {
				if r != '\n' && r != '\r' && unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co) {
					t.Fatalf("%s: %U in %+q", format, r, got)
				}
			}
			if s := schemas[format]; s != nil {
				validate(t, s, got)
			}
		}
	})
}
