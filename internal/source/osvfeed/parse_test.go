package osvfeed

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/source"
)

// solana is MAL-2024-10399 as upstream publishes it, texts shortened:
// https://github.com/ossf/malicious-packages/blob/main/osv/malicious/npm/%40solana/web3.js/MAL-2024-10399.json
const solana = `{
  "modified": "2024-12-05T02:03:30Z", "published": "2024-12-03T22:45:37Z", "schema_version": "1.5.0",
  "id": "MAL-2024-10399", "aliases": ["GHSA-2mhj-xmf4-pr8m"], "summary": "Malicious code in @solana/web3.js (npm)", "details": "D",
  "affected": [{"package": {"ecosystem": "npm", "name": "@solana/web3.js"},
    "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}, {"type": "SEMVER", "events": [{"introduced": "1.95.6"}, {"fixed": "1.95.8"}]}],
    "database_specific": {"cwes": [{"name": "Embedded Malicious Code", "cweId": "CWE-506"}]}}],
  "references": [{"type": "ADVISORY", "url": "https://github.com/advisories/GHSA-2mhj-xmf4-pr8m"}],
  "database_specific": {"iocs": {"urls": [ "https://evil.example/" ], "domains": ["evil.example"]}, "malicious-packages-origins": [
    {"source": "ghsa-malware", "sha256": "507e136eb7d13bd9c88a5e20d692768a759c2ae382d1ab54ba66c196b560cacb", "import_time": "2024-12-04T02:03:07.177385615Z",
     "id": "GHSA-2mhj-xmf4-pr8m", "modified_time": "2024-12-03T22:45:38Z", "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]},
    {"source": "ghsa-malware", "sha256": "e8047af6ef3d9db336791dadef12a75df2b836062c58f77d64e056794a0b51d4", "import_time": "2024-12-05T02:03:05.940194205Z",
     "id": "GHSA-2mhj-xmf4-pr8m", "modified_time": "2024-12-04T18:10:34Z", "ranges": [{"type": "SEMVER", "events": [{"introduced": "1.95.6"}, {"fixed": "1.95.8"}]}]}]}}`

func parse(t *testing.T, name, doc string) source.Parsed {
	t.Helper()
	p, err := Parse(source.Document{Name: name, Data: []byte(doc)}, "ossf")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.Claims {
		if err := c.Validate(); err != nil {
			t.Errorf("claim %s is not valid: %v", c.Ref, err)
		}
		if _, err := c.Marshal(); err != nil {
			t.Error(err)
		}
	}
	return p
}

func TestSolana(t *testing.T) {
	p := parse(t, "osv/malicious/npm/@solana/web3.js/MAL-2024-10399.json", solana)
	if len(p.Claims) != 2 {
		t.Fatalf("%d claims, want the newest revision and the record", len(p.Claims))
	}
	c := byRef(t, p, "MAL-2024-10399#ghsa-malware:GHSA-2mhj-xmf4-pr8m")
	if c.OriginSHA256 != "e8047af6ef3d9db336791dadef12a75df2b836062c58f77d64e056794a0b51d4" || c.OriginID != "GHSA-2mhj-xmf4-pr8m" ||
		!reflect.DeepEqual(c.Origins, []string{"ghsa-malware"}) || c.ID != "MAL-2024-10399" ||
		!c.Modified.Equal(time.Date(2024, 12, 4, 18, 10, 34, 0, time.UTC)) || !c.Imported.Equal(time.Date(2024, 12, 5, 2, 3, 5, 940194205, time.UTC)) {
		t.Errorf("origin's claim: %+v", c)
	}
	if len(c.Ranges) != 1 || c.Ranges[0].Events[0].Introduced != "1.95.6" || c.Ranges[0].Events[1].Fixed != "1.95.8" {
		t.Errorf("ranges %+v", c.Ranges)
	}
	r := byRef(t, p, "MAL-2024-10399")
	if len(r.Ranges)+len(r.Versions) != 0 || r.Origins != nil {
		t.Errorf("the record's own claim has %v, %v of %v", r.Versions, r.Ranges, r.Origins)
	}
	if r.Summary == "" || r.Details != "D" || len(r.References) != 1 || len(r.Aliases) != 1 ||
		string(r.Indicators) != `{"domains":["evil.example"],"urls":["https://evil.example/"]}` ||
		string(r.Evidence) != `{"cwes":[{"cweId":"CWE-506","name":"Embedded Malicious Code"}]}` {
		t.Errorf("record's claim: %+v", r)
	}
	if len(p.Notes) != 1 || p.Notes[0].Skipped {
		t.Errorf("notes %+v, want one about the dropped range", p.Notes)
	}
}

// document writes a record with the given affected entries and other members.
func document(id, affected, more string) string {
	return fmt.Sprintf(`{"id":%q,"modified":"2025-01-02T00:00:00Z","published":"2025-01-01T00:00:00Z","affected":[%s]%s}`, id, affected, more)
}

func origins(entries ...string) string {
	return `,"database_specific":{"malicious-packages-origins":[` + strings.Join(entries, ",") + `]}`
}

const (
	evil   = `{"package":{"ecosystem":"npm","name":"evil"},"versions":["1.0.0","1.0.1"],"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}`
	shaA   = "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3e4f5aaaa"
	shaB   = "b0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3e4f5aaaa"
	open   = `"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]`
	later  = `"modified_time":"2025-02-01T00:00:00Z"`
	sooner = `"modified_time":"2025-01-01T00:00:00Z"`
)

// said is a claim in short: reference, origins, versions, number of ranges.
func said(c claim.Claim) string {
	return fmt.Sprintf("%s by %s: %s +%d", c.Ref, strings.Join(c.Origins, ","), strings.Join(c.Versions, " "), len(c.Ranges))
}

func TestClaimsOf(t *testing.T) {
	tests := []struct {
		name string
		doc  string
		want []string
	}{
		{"no origins, no credits", document("MAL-2025-1", evil, ""), []string{"MAL-2025-1 by ossf: 1.0.0 1.0.1 +1"}},
		{"finders, not reporters", document("MAL-2025-1", evil, `,"credits":[{"name":"Kam193","type":"REPORTER"},{"name":"OpenSSF: Package Analysis","type":"FINDER"},{"name":"Checkmarx","type":"FINDER"}]`),
			[]string{"MAL-2025-1 by checkmarx,openssf-package-analysis: 1.0.0 1.0.1 +1"}},
		{"a GitHub advisory", document("GHSA-rv2q-8j8h-77ch", evil, `,"database_specific":{"cwe_ids":["CWE-506"]},"credits":[{"name":"X","type":"FINDER"}]`),
			[]string{"GHSA-rv2q-8j8h-77ch by ghsa-malware: 1.0.0 1.0.1 +1"}},
		{"two affected", document("MAL-2025-1", evil+`,{"package":{"ecosystem":"PyPI","name":"evil"},"versions":["2"]}`, ""),
			[]string{"MAL-2025-1/0 by ossf: 1.0.0 1.0.1 +1", "MAL-2025-1/1 by ossf: 2 +0"}},
		{"two affected, one origin speaks of one", document("MAL-2025-1", evil+`,{"package":{"ecosystem":"PyPI","name":"evil"},"versions":["2"]}`,
			origins(`{"source":"rl","id":"R1","versions":["2"]}`)),
			[]string{"MAL-2025-1/0 by ossf: 1.0.0 1.0.1 +1", "MAL-2025-1/1#rl:R1 by rl: 2 +0", "MAL-2025-1/1 by : +0"}},
		{"origins apart", document("MAL-2025-1", evil, origins(`{"source":"rl","id":"R1","versions":["1.0.1","1.0.0"]}`, `{"source":"ghsa-malware","sha256":"`+shaA+`",`+open+`}`)),
			[]string{"MAL-2025-1#rl:R1 by rl: 1.0.0 1.0.1 +0", "MAL-2025-1#ghsa-malware:a0b1c2d3e4f5 by ghsa-malware: +1", "MAL-2025-1 by : +0"}},
		{"what curators removed stays removed", document("MAL-2025-1", `{"package":{"ecosystem":"npm","name":"evil"},"versions":["1.0.0"]}`,
			origins(`{"source":"rl","id":"R1","versions":["1.0.0","9.9.9"]}`, `{"source":"ghsa-malware","id":"G",`+open+`}`)),
			[]string{"MAL-2025-1#rl:R1 by rl: 1.0.0 +0", "MAL-2025-1#ghsa-malware:G by ghsa-malware: +0", "MAL-2025-1 by : +0"}},
		{"what curators added is the record's", document("MAL-2025-1", evil, origins(`{"source":"rl","id":"R1","versions":["1.0.0"]}`)),
			[]string{"MAL-2025-1#rl:R1 by rl: 1.0.0 +0", "MAL-2025-1 by ossf: 1.0.1 +1"}},
		{"a replaced range is gone", document("MAL-2025-1", evil, origins(`{"source":"g","id":"G",`+sooner+`,`+open+`}`, `{"source":"g","id":"G",`+later+`,"versions":["1.0.0","1.0.1"]}`)),
			[]string{"MAL-2025-1#g:G by g: 1.0.0 1.0.1 +0", "MAL-2025-1 by : +0"}},
		{"whatever the order", document("MAL-2025-1", evil, origins(`{"source":"g","id":"G",`+later+`,"versions":["1.0.0","1.0.1"]}`, `{"source":"g","id":"G",`+sooner+`,`+open+`}`)),
			[]string{"MAL-2025-1#g:G by g: 1.0.0 1.0.1 +0", "MAL-2025-1 by : +0"}},
		{"import time decides between equals", document("MAL-2025-1", evil, origins(`{"source":"g","id":"G",`+later+`,"import_time":"2025-03-01T00:00:00Z","versions":["1.0.0"]}`,
			`{"source":"g","id":"G",`+later+`,"import_time":"2025-03-01T00:00:01Z","versions":["1.0.1"]}`)),
			[]string{"MAL-2025-1#g:G by g: 1.0.1 +0", "MAL-2025-1 by ossf: 1.0.0 +1"}},
		{"a replaced range that another source says stays", document("MAL-2025-1", evil, origins(`{"source":"g","id":"G",`+sooner+`,`+open+`}`, `{"source":"g","id":"G",`+later+`,"versions":["1.0.0","1.0.1"]}`, `{"source":"h","id":"H",`+open+`}`)),
			[]string{"MAL-2025-1#g:G by g: 1.0.0 1.0.1 +0", "MAL-2025-1#h:H by h: +1", "MAL-2025-1 by : +0"}},
		{"a version of a replaced revision is not lost", document("MAL-2025-1", evil, origins(`{"source":"g","id":"G",`+sooner+`,"versions":["1.0.0"]}`, `{"source":"g","id":"G",`+later+`,"versions":["1.0.1"],`+open+`}`)),
			[]string{"MAL-2025-1#g:G by g: 1.0.1 +1", "MAL-2025-1 by ossf: 1.0.0 +0"}},
		{"without an id nothing replaces", document("MAL-2025-1", evil, origins(`{"source":"g","sha256":"`+shaA+`",`+sooner+`,`+open+`}`, `{"source":"g","sha256":"`+shaB+`",`+later+`,"versions":["1.0.0","1.0.1"]}`)),
			[]string{"MAL-2025-1#g:a0b1c2d3e4f5 by g: +1", "MAL-2025-1#g:b0b1c2d3e4f5 by g: 1.0.0 1.0.1 +0", "MAL-2025-1 by : +0"}},
		{"references do not collide", document("MAL-2025-1", evil, origins(`{"source":"g",`+open+`}`, `{"source":"g","versions":["1.0.0","1.0.1"]}`)),
			[]string{"MAL-2025-1#g: by g: +1", "MAL-2025-1#g:.2 by g: 1.0.0 1.0.1 +0", "MAL-2025-1 by : +0"}},
		{"an origin that is none", document("MAL-2025-1", evil, origins(`7`, `{"source":""}`, `{"source":"h","id":"H","versions":["1.0.0"]}`)),
			[]string{"MAL-2025-1#h:H by h: 1.0.0 +0", "MAL-2025-1 by ossf: 1.0.1 +1"}},
		{"origins that are no list", document("MAL-2025-1", evil, `,"database_specific":{"malicious-packages-origins":{"source":"h"}}`),
			[]string{"MAL-2025-1 by ossf: 1.0.0 1.0.1 +1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, c := range parse(t, "x.json", tt.doc).Claims {
				got = append(got, strings.ReplaceAll(said(c), ":  +", ": +"))
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestHint(t *testing.T) {
	npm := func(name, more, rest string) string {
		return document("MAL-2024-2929", `{"package":{"ecosystem":"npm","name":"`+name+`"`+more+`},"versions":["1.0.0"]}`, rest)
	}
	tests := []struct {
		name, path, doc, want string
	}{
		{"path has the scope", "osv/malicious/npm/@zettle-bo/react/MAL-2024-2929.json", npm("react", "", ""), "@zettle-bo/react"},
		{"path agrees", "x/osv/malicious/npm/react/MAL-2024-2929.json", npm("react", "", ""), ""},
		{"path is lower case", "osv/malicious/npm/jsonstream/MAL-1.json", npm("JSONStream", "", ""), ""},
		{"path without a name", "osv/malicious/MAL-2024-2929.json", npm("react", "", ""), ""},
		{"purl has the scope", "x.json", npm("react", `,"purl":"pkg:npm/%40zettle-bo/react"`, ""), "@zettle-bo/react"},
		{"purl agrees", "x.json", npm("@zettle-bo/react", `,"purl":"pkg:npm/%40zettle-bo/react@1.0.0"`, ""), ""},
		{"purl of another ecosystem", "x.json", npm("react", `,"purl":"pkg:pypi/react"`, ""), "pkg:pypi/react"},
		{"summary", "x.json", npm("react", "", `,"summary":"Malicious code in @zettle-bo/react (npm)"`), "@zettle-bo/react"},
		{"end of a sentence", "x.json", npm("react", "", `,"details":"Exfiltrates data, as @zettle-bo/react."`), "@zettle-bo/react"},
		{"link", "x.json", npm("react", "", `,"references":[{"type":"PACKAGE","url":"https://www.npmjs.com/package/@zettle-bo/react/v/1.0.0"}]`), "@zettle-bo/react"},
		{"escaped link", "x.json", npm("react", "", `,"references":[{"type":"PACKAGE","url":"https://registry.npmjs.org/%40zettle-bo%2Freact"}]`), "@zettle-bo/react"},
		{"a longer name", "x.json", npm("react", "", `,"summary":"@zettle-bo/react-spa and @zettle-bo/react.js and @zettle-bo/preact"`), ""},
		{"another package", "x.json", npm("react", "", `,"details":"it depends on @angular/core and lodash/react, see me@host.example/react"`), ""},
		{"an address", "x.json", npm("react", "", `,"details":"git@github.com/react user@scope/react"`), ""},
		{"scoped already", "x.json", npm("@a/react", "", `,"details":"@b/react"`), ""},
		{"not npm", "x.json", document("MAL-2024-1", `{"package":{"ecosystem":"PyPI","name":"react"}}`, `,"details":"@b/react"`), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, c := range parse(t, tt.path, tt.doc).Claims {
				if c.Hint != tt.want {
					t.Errorf("hint %q, want %q", c.Hint, tt.want)
				}
			}
		})
	}
}

func TestWithdrawn(t *testing.T) {
	modified := time.Date(2025, 1, 2, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name, path, more string
		want             time.Time
	}{
		{"standing", "osv/malicious/npm/evil/MAL-2025-1.json", "", time.Time{}},
		{"by its field", "osv/malicious/npm/evil/MAL-2025-1.json", `,"withdrawn":"2025-03-04T00:00:00Z"`, time.Date(2025, 3, 4, 0, 0, 0, 0, time.UTC)},
		{"by its path", "osv/withdrawn/npm/evil/MAL-2025-1.json", "", modified},
		{"at a time not to be believed", "x.json", `,"withdrawn":"2150-01-01T00:00:00Z"`, modified},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := parse(t, tt.path, document("MAL-2025-1", evil, tt.more+origins(`{"source":"rl","id":"R1","versions":["1.0.0"]}`)))
			if len(p.Claims) != 2 {
				t.Fatalf("%d claims", len(p.Claims))
			}
			for _, c := range p.Claims {
				if !c.Withdrawn.Equal(tt.want) {
					t.Errorf("%s withdrawn %v, want %v", c.Ref, c.Withdrawn, tt.want)
				}
			}
		})
	}
}

func TestSkippedAndDrafts(t *testing.T) {
	notMal := document("GHSA-rv2q-8j8h-77ch", evil, "")
	p := parse(t, "npm:1", notMal)
	if len(p.Claims) != 0 || len(p.Notes) != 1 || !p.Notes[0].Skipped || p.Notes[0].Reason != notMalicious {
		t.Errorf("got %+v", p)
	}
	if p := parse(t, "a/osv/malicious/npm/evil/GHSA-rv2q-8j8h-77ch.json", notMal); len(p.Claims) != 1 {
		t.Errorf("in the tree of malicious packages: %+v", p)
	}
	p = parse(t, "osv/malicious/npm/evil/MAL-0000-ghsa-malware-1bf5f20cb296d38e.json", document("", evil, ""))
	if len(p.Claims) != 1 || p.Claims[0].ID != "MAL-0000-ghsa-malware-1bf5f20cb296d38e" {
		t.Errorf("draft: %+v", p)
	}
}

// Section A of the list of bad inputs, as far as it is about one document.
func TestBadDocuments(t *testing.T) {
	good := document("MAL-2025-1", evil, "")
	long := strings.Repeat("a", 10_000)
	tests := []struct {
		name, doc string
		bad       bool
	}{
		{"A1 empty", "", true},
		{"A2 white space", " \n\t ", true},
		{"A3 null", "null", true},
		{"A4 list", "[" + good + "]", true},
		{"A6 two objects", good + good, true},
		{"A7 duplicate id", `{"id":"MAL-2025-2",` + good[1:], true},
		{"A8 ID", strings.Replace(good, `"id"`, `"ID"`, 1), true},
		{"A10 invalid UTF-8 in the name", strings.Replace(good, "evil", "ev\xffil", 1), true},
		{"A11 lone surrogate", strings.Replace(good, "evil", `\ud800`, 1), true},
		{"A12 NUL in the name", strings.Replace(good, "evil", `ev\u0000il`, 1), true},
		{"A14 UTF-16", "\xff\xfe{\x00}\x00", true},
		{"A15 depth 100,000", `{"x":` + strings.Repeat("[", 100_000), true},
		{"A16 long details", document("MAL-2025-1", evil, `,"details":"`+strings.Repeat("x", 1<<20)+`"`), false},
		{"A19 id with a path", strings.Replace(good, "MAL-2025-1", "MAL-2025-1/../x", 1), true},
		{"A23 affected empty", document("MAL-2025-1", "", ""), true},
		{"A23 affected missing", `{"id":"MAL-2025-1","modified":"2025-01-02T00:00:00Z"}`, true},
		{"A24 unknown ecosystem", strings.Replace(good, `"npm"`, `"NPM"`, 1), false},
		{"A24 suffix", strings.Replace(good, `"npm"`, `"npm:foo"`, 1), false},
		{"A25 empty name", strings.Replace(good, `"evil"`, `""`, 1), true},
		{"A25 long name", strings.Replace(good, "evil", long, 1), true},
		{"A25 space at the end", strings.Replace(good, `"evil"`, `"evil "`, 1), true},
		{"A28 range without introduced", strings.Replace(good, `{"introduced":"0"}`, `{"fixed":"1"}`, 1), true},
		{"A29 odd version", strings.Replace(good, "1.0.0", "one", 1), false},
		{"A31 modified in the year 9999", strings.Replace(good, "2025-01-02", "9999-01-02", 1), true},
		{"A31 modified in the future", strings.Replace(good, "2025-01-02", "2150-01-02", 1), false},
		{"A32 odd references", document("MAL-2025-1", evil, `,"references":[{"type":"WEB","url":"javascript:alert(1)"}]`), false},
		{"A33 alias of itself", document("MAL-2025-1", evil, `,"aliases":["MAL-2025-1"]`), false},
		{"A34 schema of the future", document("MAL-2025-1", evil, `,"schema_version":"99.0.0"`), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Parse(source.Document{Name: "x.json", Data: []byte(tt.doc)}, "ossf")
			if (err != nil) != tt.bad {
				t.Fatalf("error %v, want one: %v", err, tt.bad)
			}
			if err != nil && (len(p.Claims) != 0 || !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\n\x00")) {
				t.Errorf("with the error came %+v; it reads %q", p, err)
			}
			if err == nil && len(p.Claims) != 1 {
				t.Errorf("claims %+v", p.Claims)
			}
		})
	}
	t.Run("A5 cut at every byte", func(t *testing.T) {
		for n := range len(solana) {
			if _, err := Parse(source.Document{Name: "x.json", Data: []byte(solana[:n])}, "ossf"); err == nil {
				t.Fatalf("cut at %d: no error", n)
			}
		}
	})
	t.Run("times that cannot be are left out", func(t *testing.T) {
		p := parse(t, "x.json", strings.NewReplacer("2025-01-02", "2150-01-02", "2025-01-01", "1970-01-01").Replace(good))
		if c := p.Claims[0]; !c.Modified.IsZero() || !c.Published.IsZero() {
			t.Errorf("modified %v, published %v", c.Modified, c.Published)
		}
	})
	t.Run("texts times entries", func(t *testing.T) {
		entries := strings.Repeat(evil+",", 3000) + evil
		_, err := Parse(source.Document{Name: "x.json", Data: []byte(document("MAL-2025-1", entries, `,"details":"`+strings.Repeat("x", 60_000)+`"`))}, "ossf")
		if err == nil || !strings.Contains(err.Error(), "limit") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("origins times entries", func(t *testing.T) {
		entries := strings.Repeat(evil+",", 3000) + evil
		o := strings.Repeat(`{"source":"a"},`, 100) + `{"source":"a"}`
		_, err := Parse(source.Document{Name: "x.json", Data: []byte(document("MAL-2025-1", entries, origins(o)))}, "ossf")
		if err == nil || !strings.Contains(err.Error(), "claims") {
			t.Errorf("error %v", err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("osv/malicious/npm/@solana/web3.js/MAL-2024-10399.json", []byte(solana))
	f.Add("osv/withdrawn/npm/react/MAL-2024-2929.json", []byte(document("MAL-2024-2929", evil, "")))
	f.Add("MAL-0000-x.json", []byte(document("", evil, origins(`{"source":"g","id":"G",`+later+`}`, `7`))))
	f.Add("x", []byte(`{"id":"GHSA-rv2q-8j8h-77ch","details":"@a/b"}`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		p, err := Parse(source.Document{Name: name, Data: data}, "fuzz")
		if err != nil {
			if len(p.Claims)+len(p.Notes) != 0 {
				t.Error("an error and claims")
			}
			return
		}
		if len(p.Claims)+len(p.Notes) == 0 {
			t.Error("neither claims nor notes")
		}
		refs := map[string]bool{}
		for _, c := range p.Claims {
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
			if refs[c.Ref] {
				t.Errorf("reference %q twice", c.Ref)
			}
			refs[c.Ref] = true
			b, err := c.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			var back claim.Claim
			if err := back.Unmarshal(b); err != nil {
				t.Fatal(err)
			}
			again, err := back.Marshal()
			if err != nil || string(again) != string(b) {
				t.Errorf("marshalled again: %s, was %s, %v", again, b, err)
			}
		}
	})
}

// Digests of archives go with the claim that says the versions; those of files in archives stay evidence.
func TestArchives(t *testing.T) {
	entry := func(specific string) string {
		return `{"package":{"ecosystem":"npm","name":"evil"},"versions":["1.0.0"],"database_specific":` + specific + `}`
	}
	from := func(source string) string {
		return `{"source":"` + source + `","sha256":"` + shaA + `","versions":["1.0.0"],` + later + `}`
	}
	// The shape of MAL-2026-3667 in ossf/malicious-packages.
	inspected := `{"indicators":{"evidence_files":[{"path":"x.js","sha256":"` + shaB + `"}],"package_integrity":[{"filename":"evil-1.0.0.tgz","hashes":{"sha256":"` + shaA + `","blake2b_256":"` + shaB + `"}}]}}`
	for _, tt := range []struct {
		name, doc string
		want      []string
		notes     int
	}{
		{"no origins", document("MAL-2026-1", entry(inspected), ""), []string{"MAL-2026-1 sha256:" + shaA}, 0},
		{"one origin", document("MAL-2026-1", entry(inspected), origins(from("amazon-inspector"))), []string{"MAL-2026-1#amazon-inspector sha256:" + shaA, "MAL-2026-1 "}, 0},
		{"several origins", document("MAL-2026-1", entry(inspected), origins(from("a"), from("b"))), []string{"MAL-2026-1#a ", "MAL-2026-1#b ", "MAL-2026-1 sha256:" + shaA}, 0},
		{"ours", document("MAL-2026-1", entry(`{"digests":["sha256:`+shaB+`","sha256:`+shaA+`","sha256:00"]}`), ""), []string{"MAL-2026-1 sha256:" + shaA + " sha256:" + shaB}, 1},
		{"iocs of files are of files", document("MAL-2026-1", entry(`{}`), `,"database_specific":{"iocs":{"files":[{"path":"x.js","source":"package-archive","digests":{"sha256":"`+shaA+`"}}]}}`), []string{"MAL-2026-1 "}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := parse(t, "x.json", tt.doc)
			var got []string
			for _, c := range p.Claims {
				ref, _, _ := strings.Cut(c.Ref, ":")
				got = append(got, ref+" "+strings.Join(c.Archives, " "))
			}
			if !reflect.DeepEqual(got, tt.want) || len(p.Notes) != tt.notes {
				t.Errorf("got %q, notes %+v; want %q", got, p.Notes, tt.want)
			}
		})
	}
}
