package claimfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/osv"
)

func parse(t *testing.T, text string) []claim.Claim {
	t.Helper()
	p, err := Parse(source.Document{Name: "x.claim.yaml", Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return p.Claims
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

func day(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

// The examples of docs/claim-files.md mean what the text around them says.
func TestDocumentation(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(root(t), "docs", "claim-files.md"))
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(doc, -1)
	if len(examples) != 2 {
		t.Fatalf("%d examples", len(examples))
	}
	worm := claim.Claim{
		Campaign: "Example worm of November 2025", Origins: []string{"example-research"}, Published: day(2025, 11, 24),
		Summary:    "steals tokens at install and publishes itself with them",
		Details:    "The preinstall script downloads a second stage from evil.example\nand sends what it finds in the environment there.\n",
		References: []osv.Reference{{Type: "WEB", URL: "https://blog.example/worm"}, {Type: "REPORT", URL: "https://tracker.example/1234"}},
		Indicators: jsontext.Value(`{"domains":["evil.example"],"urls":["https://evil.example/stage2"]}`),
	}
	with := func(f func(*claim.Claim)) claim.Claim {
		c := worm
		f(&c)
		return c
	}
	want := [][]claim.Claim{{
		with(func(c *claim.Claim) {
			c.Ref, c.Ecosystem, c.Name, c.Versions = "x.claim.yaml:npm/@scope/widgets", "npm", "@scope/widgets", []string{"1.4.7", "1.4.8"}
		}),
		with(func(c *claim.Claim) {
			c.Ref, c.Ecosystem, c.Name, c.All = "x.claim.yaml:npm/left-pad-helper", "npm", "left-pad-helper", true
		}),
		with(func(c *claim.Claim) {
			c.Ref, c.Ecosystem, c.Name = "x.claim.yaml:npm/big-library", "npm", "big-library"
			c.Ranges = []osv.Range{{Type: "SEMVER", Events: []osv.Event{{Introduced: "2.0.0"}, {Fixed: "2.0.3"}}}}
		}),
		with(func(c *claim.Claim) {
			c.Ref, c.Ecosystem, c.Name, c.PURL = "x.claim.yaml:PyPI/widgets-py", "PyPI", "widgets-py", "pkg:pypi/widgets-py"
			c.Versions, c.Aliases = []string{"0.10"}, []string{"GHSA-2mhj-xmf4-pr8m"}
		}),
	}, {{
		Ref: "x.claim.yaml:npm/harmless#MAL-0000-example-7", Ecosystem: "npm", Name: "harmless", PURL: "pkg:npm/harmless", ID: "MAL-0000-example-7",
		Versions: []string{"1.0.0"}, Summary: "install script opens a connection", Withdrawn: time.Date(2025, 11, 26, 9, 30, 0, 0, time.UTC),
		Details: "Withdrawn: the connection is a download of the prebuilt binary",
	}}}
	for i, e := range examples {
		if got := parse(t, string(e[1])); !reflect.DeepEqual(got, want[i]) {
			t.Errorf("example %d:\ngot  %+v\nwant %+v", i+1, got, want[i])
		}
	}
}

func TestParse(t *testing.T) {
	const evil = "format: 1\necosystem: npm\nname: evil\n"
	tests := []struct {
		name, text string
		check      func(c claim.Claim) bool
	}{
		{"versions are text", evil + "versions: [1.10, 1e3, 0x10, 010, 2025-01-01, '1.0', true]\n", func(c claim.Claim) bool {
			return slices.Equal(c.Versions, []string{"010", "0x10", "1.0", "1.10", "1e3", "2025-01-01", "true"})
		}},
		{"a name in quotes", "format: 1\necosystem: npm\nname: 'null'\nversions: [1.0.0]\n", func(c claim.Claim) bool { return c.Name == "null" }},
		{"nothing known about versions", evil + "versions: []\n", func(c claim.Claim) bool { return c.Versions == nil && !c.All }},
		{"range types", "format: 1\npurl: pkg:pypi/evil\nranges:\n- {introduced: 0, last_affected: 2}\n- {type: GIT, repo: 'https://x.example/r', introduced: 0}\n", func(c claim.Claim) bool {
			return len(c.Ranges) == 2 && c.Ranges[0].Type == "ECOSYSTEM" && c.Ranges[0].Events[1].LastAffected == "2" && c.Ranges[1].Type == "GIT"
		}},
		{"events", evil + "ranges:\n- events: [{introduced: 1.0.0}, {fixed: 1.0.1}, {introduced: 2.0.0}]\n", func(c claim.Claim) bool {
			return len(c.Ranges[0].Events) == 3 && c.Ranges[0].Type == "SEMVER"
		}},
		{"time with a zone", evil + "all: true\nmodified: 2025-01-01T01:00:00+01:00\n", func(c claim.Claim) bool { return c.Modified.Equal(day(2025, 1, 1)) && c.All }},
		{"withdrawn without a reason", evil + "all: true\nwithdrawn: 2025-01-01\ndetails: d\n", func(c claim.Claim) bool { return c.Withdrawn.Equal(day(2025, 1, 1)) && c.Details == "d" }},
		{"withdrawn with details", evil + "all: true\ndetails: d\nwithdrawn: {at: 2025-01-01, reason: r}\n", func(c claim.Claim) bool { return c.Details == "d\n\nWithdrawn: r" }},
		{"credits", evil + "all: true\ncredits: [Ann, {name: Bob, type: FINDER, contact: ['https://b.example']}]\n", func(c claim.Claim) bool {
			return c.Credits[0].Name == "Ann" && c.Credits[1].Type == "FINDER" && c.Credits[1].Contact[0] == "https://b.example"
		}},
		{"digests", evil + "all: true\ndigests: [SHA-256:" + strings.Repeat("2A", 32) + ", md5-" + strings.Repeat("AAAA", 5) + "AA==, sha256:" + strings.Repeat("2a", 32) + "]\n", func(c claim.Claim) bool {
			return slices.Equal(c.Archives, []string{"md5:" + strings.Repeat("00", 16), "sha256:" + strings.Repeat("2a", 32)})
		}},
		{"byte order mark and CRLF", "\ufeff" + strings.ReplaceAll(evil+"all: true\n", "\n", "\r\n"), func(c claim.Claim) bool { return c.Name == "evil" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := parse(t, tt.text); len(got) != 1 || !tt.check(got[0]) {
				t.Errorf("got %+v", got)
			}
		})
	}
	t.Run("an entry replaces what the file says", func(t *testing.T) {
		got := parse(t, "format: 1\necosystem: npm\nversions: [1.0.0]\norigins: [a]\npackages:\n- name: x\n- {ecosystem: PyPI, name: y, versions: ['2'], origins: [b, c]}\n")
		if len(got) != 2 || got[0].Versions[0] != "1.0.0" || got[0].Origins[0] != "a" || got[1].Ecosystem != "PyPI" || got[1].Versions[0] != "2" || len(got[1].Origins) != 2 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("an ecosystem of OSV without a table", func(t *testing.T) {
		p, err := Parse(source.Document{Name: "x", Data: []byte("format: 1\necosystem: Debian:12\nname: x\nall: true\n")})
		if err != nil || len(p.Claims) != 1 || len(p.Notes) != 1 || p.Notes[0].Skipped {
			t.Errorf("got %+v, %v", p, err)
		}
	})
}

func TestErrors(t *testing.T) {
	const evil = "format: 1\necosystem: npm\nname: evil\n"
	lines := func(n int, s string) string { return strings.Repeat(s, n) }
	tests := []struct {
		name, text string
		line       int
		message    string
	}{
		{"A1 empty", "", 0, "empty"},
		{"A2 white space", "  \n\n", 0, "empty"},
		{"A3 null", "null\n", 1, "keys and values"},
		{"A4 list", "- a\n", 1, "keys and values"},
		{"A6 two documents", evil + "all: true\n---\nformat: 1\n", 0, "more than one"},
		{"A7 duplicate key", evil + "all: true\nname: other\n", 5, "twice"},
		{"A7 duplicate key in an entry", "format: 1\npackages:\n- ecosystem: npm\n  name: a\n  name: b\n", 5, "twice"},
		{"A8 case of a key", "format: 1\nEcosystem: npm\n", 2, "unknown key"},
		{"A10 invalid UTF-8", evil + "reason: \"\xff\"\n", 0, "UTF-8"},
		{"A12 NUL", evil + `versions: ["1\x00"]` + "\n", 4, "NUL"},
		{"A14 UTF-16", "\xff\xfef\x00", 0, ""},
		{"A15 depth 10,001", "x: " + lines(10_001, "["), 0, ""},
		{"A15 depth 17", evil + "iocs: {a: " + lines(17, "[") + lines(17, "]") + "}\n", 4, "nested"},
		{"A25 name with space", "format: 1\necosystem: npm\nname: ' evil'\nall: true\n", 3, "space"},
		{"A25 long name", "format: 1\necosystem: npm\nname: " + lines(1025, "a") + "\nall: true\n", 3, "limit"},
		{"A26 purl of another package", evil + "purl: pkg:npm/%40zettle-bo/evil\nall: true\n", 1, "is not npm"},
		{"A28 fixed before introduced", evil + "ranges:\n- {introduced: 2.0.0, fixed: 1.0.0}\n", 5, "range"},
		{"A28 range without introduced", evil + "ranges:\n- {fixed: 1.0.0}\n", 5, "introduced"},
		{"A28 two ends", evil + "ranges:\n- {introduced: 0, fixed: 1.0.0, last_affected: 0.9.0}\n", 5, "range"},
		{"A28 event with two keys", evil + "ranges:\n- events: [{introduced: 0, fixed: 1}]\n", 5, "one key"},
		{"A31 time of the future", evil + "all: true\npublished: 9999-01-01\n", 5, "1990"},
		{"D81 alias bomb", "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b]\n", 1, "anchors"},
		{"merge key", evil + "all: true\n<<: {}\n", 5, ""},
		{"tag", evil + "all: !!str true\n", 4, "tags"},
		{"binary", evil + "all: true\nreason: !!binary aGk=\n", 5, "tags"},
		{"unknown key", evil + "verions: [1.0.0]\n", 4, "unknown key"},
		{"unknown key of a range", evil + "ranges:\n- {introduced: 0, until: 1}\n", 5, "unknown key"},
		{"no format", "ecosystem: npm\nname: evil\nall: true\n", 1, "format"},
		{"format of the future", "format: 2\n", 1, "not known"},
		{"no versions", evil, 1, "which versions"},
		{"no package", "format: 1\nall: true\n", 1, "which package"},
		{"spelling of an ecosystem", "format: 1\necosystem: pypi\nname: x\nall: true\n", 1, `"PyPI"`},
		{"version in the purl", "format: 1\npurl: pkg:npm/evil@1.0.0\nall: true\n", 1, "under versions"},
		{"no purl", "format: 1\npurl: evil\nall: true\n", 1, "pkg:"},
		{"package twice", "format: 1\necosystem: npm\nall: true\npackages:\n- name: a\n- name: b\n- name: a\n", 7, "line 5"},
		{"package beside packages", evil + "all: true\npackages:\n- name: b\n", 6, "already"},
		{"packages without any", "format: 1\npackages: []\n", 2, "list"},
		{"version missing", evil + "versions: [1.0.0, ]\nall: yes\n", 5, "true or false"},
		{"null version", evil + "versions:\n-\n", 5, "missing"},
		{"versions not a list", evil + "versions: 1.0.0\n", 4, "versions: want a list"},
		{"origin", evil + "all: true\norigins: [Some One]\n", 5, "small letters"},
		{"no digest", evil + "all: true\ndigests:\n- sha256:" + lines(64, "a") + "\n- sha256:00\n", 7, "digests: \"sha256:00\" is not the digest"},
		{"a digest without its algorithm", evil + "all: true\ndigests:\n- " + lines(64, "a") + "\n", 6, "is not the digest"},
		{"digest of an empty file", evil + "all: true\ndigests: [md5:d41d8cd98f00b204e9800998ecf8427e]\n", 5, "is not the digest"},
		{"digests not a list", evil + "all: true\ndigests: sha256:00\n", 5, "want a list"},
		{"digests of all packages", "format: 1\necosystem: npm\nall: true\ndigests: [sha256:" + lines(64, "a") + "]\npackages:\n- name: a\n", 6, "of one package"},
		{"reference type", evil + "all: true\nreferences: [{type: web, url: x}]\n", 5, "none of"},
		{"withdrawn without a time", evil + "all: true\nwithdrawn: {reason: r}\n", 5, "at is missing"},
		{"syntax", evil + "versions: [\n", 0, ""},
		{"too large", evil + "#" + lines(MaxFile, "x"), 0, "limit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Parse(source.Document{Name: "x", Data: []byte(tt.text)})
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %+v, %v", p, err)
			}
			if tt.line != 0 && e.Line != tt.line || !strings.Contains(e.Message, tt.message) {
				t.Errorf("got line %d: %s; want line %d: …%s…", e.Line, e.Message, tt.line, tt.message)
			}
			if len(p.Claims) != 0 || strings.ContainsAny(err.Error(), "\n\x00") {
				t.Errorf("with the error came %+v; it reads %q", p, err)
			}
		})
	}
	t.Run("texts times packages", func(t *testing.T) {
		text := "format: 1\necosystem: npm\nall: true\ndetails: " + lines(60_000, "x") + "\npackages:\n"
		for i := range 3000 {
			text += "- name: p" + strings.Repeat("x", i%500) + string(rune('a'+i%26)) + strings.Repeat("y", i/500) + "\n"
		}
		_, err := Parse(source.Document{Name: "x", Data: []byte(text)})
		if err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("got %v", err)
		}
	})
}

func TestDir(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.claim.yaml", "a/z.claim.yaml", "a/README.md", "a/x.yaml", ".git/c.claim.yaml"} {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte("format: 1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "c.claim.yaml"), make([]byte, MaxFile+1), 0o644); err != nil {
		t.Fatal(err)
	}
	links := map[string]string{"d.claim.yaml": "/etc/passwd", "dir": "/", "readme": "a/README.md"}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Skipf("no symbolic links: %v", err)
		}
	}
	d := Open(dir, "own")
	fetch := func(d *Dir) (names []string, end error) {
		for doc, err := range d.Fetch(t.Context(), "") {
			var reject *source.Reject
			switch {
			case errors.As(err, &reject):
				names = append(names, "!"+reject.Name)
			case err != nil:
				end = err
			default:
				names = append(names, doc.Name)
			}
		}
		return names, end
	}
	names, err := fetch(d)
	want := []string{"a/z.claim.yaml", "b.claim.yaml", "!c.claim.yaml", "!d.claim.yaml", "!dir"}
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("got %q, %v, want %q", names, err, want)
	}
	if info := d.Info(); info != (source.Info{Name: "own", Kind: "claims", Complete: true}) || d.Cursor() != "" {
		t.Errorf("info %+v", info)
	}
	if _, err := fetch(Open(t.TempDir(), "own")); !errors.Is(err, source.ErrNoRecords) {
		t.Errorf("empty: %v", err)
	}
	if _, err := fetch(Open(filepath.Join(dir, "absent"), "own")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	for range d.Fetch(t.Context(), "") {
		break
	}
}

// drawClaim makes claims of what the format covers.
func drawClaim(t *rapid.T) claim.Claim {
	text := rapid.StringOfN(rapid.OneOf(rapid.SampledFrom([]rune("ab -:#\n\t\"'\\|>&*!%@`{}[]\u00e9\u202e\u2028\u0085\ufeff\r\x1b0")), rapid.Rune()), 1, 60, -1).
		Filter(func(s string) bool { return !strings.ContainsRune(s, 0) })
	ident := rapid.StringMatching(`[A-Za-z0-9@][A-Za-z0-9 #:._é-]{0,10}[A-Za-z0-9]`)
	slug := rapid.StringMatching(`[a-z0-9]{1,5}(-[a-z0-9]{1,5})?`)
	when := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(day(1990, 1, 1).Unix(), day(2026, 1, 1).Unix()).Draw(t, "s"), rapid.Int64Range(0, 1e9-1).Draw(t, "ns")).UTC()
	})
	maybe := func(g *rapid.Generator[time.Time], name string) time.Time {
		if rapid.Bool().Draw(t, name) {
			return g.Draw(t, name)
		}
		return time.Time{}
	}
	opt := func(g *rapid.Generator[string], name string) string {
		if rapid.Bool().Draw(t, name) {
			return g.Draw(t, name)
		}
		return ""
	}
	c := claim.Claim{
		Ecosystem: "npm", Name: rapid.StringMatching(`(@[a-z]{1,5}/)?[a-zA-Z0-9._-]{1,10}`).Draw(t, "name"),
		ID: opt(ident, "id"), Aliases: rapid.SliceOfN(ident, 0, 3).Draw(t, "aliases"), Origins: rapid.SliceOfN(slug, 0, 3).Draw(t, "origins"),
		Versions: rapid.SliceOfN(ident, 0, 4).Draw(t, "versions"), All: rapid.Bool().Draw(t, "all"),
		Published: maybe(when, "published"), Modified: maybe(when, "modified"), Withdrawn: maybe(when, "withdrawn"),
		Summary: opt(text, "summary"), Details: opt(text, "details"), Campaign: opt(ident, "campaign"),
	}
	if rapid.Bool().Draw(t, "pypi") {
		c.Ecosystem, c.Name, c.PURL = "PyPI", "Evil_Package", "pkg:pypi/evil-package"
	}
	kinds := []string{"SEMVER", "ECOSYSTEM"}
	for range rapid.IntRange(0, 3).Draw(t, "ranges") {
		g := osv.Range{Type: rapid.SampledFrom(kinds).Draw(t, "type"), Events: []osv.Event{{Introduced: rapid.SampledFrom([]string{"0", "1.0.0"}).Draw(t, "from")}}}
		switch rapid.IntRange(0, 4).Draw(t, "end") {
		case 1:
			g.Events = append(g.Events, osv.Event{Fixed: "2.0.0"})
		case 2:
			g.Events = append(g.Events, osv.Event{LastAffected: "2.0.0"})
		case 3:
			g.Events = append(g.Events, osv.Event{Fixed: "2.0.0"}, osv.Event{Introduced: "3.0.0"})
		case 4:
			g = osv.Range{Type: "GIT", Repo: "https://x.example/r.git", Events: []osv.Event{{Introduced: "0"}, {Limit: strings.Repeat("a1", 20)}}}
		}
		c.Ranges = append(c.Ranges, g)
	}
	for range rapid.IntRange(0, 3).Draw(t, "references") {
		c.References = append(c.References, osv.Reference{Type: rapid.SampledFrom(referenceTypes).Draw(t, "type"), URL: text.Draw(t, "url")})
	}
	for range rapid.IntRange(0, 2).Draw(t, "credits") {
		cr := osv.Credit{Name: ident.Draw(t, "credit"), Type: rapid.SampledFrom(append([]string{""}, creditTypes...)).Draw(t, "type")}
		if rapid.Bool().Draw(t, "contact") {
			cr.Contact = []string{text.Draw(t, "contact")}
		}
		c.Credits = append(c.Credits, cr)
	}
	if rapid.Bool().Draw(t, "iocs") {
		c.Archives = []string{"sha1:" + strings.Repeat("1a", 20), "sha256:" + strings.Repeat("2a", 32)}
		c.Indicators = jsontext.Value(`{"domains":[],"file_sha256":["00","a: b"],"urls":["https://x"]}`)
	}
	c.Normalise()
	return c
}

func TestWriteThenParse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawClaim(t)
		data, err := Write(c)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Parse(source.Document{Name: "f", Data: data})
		if err != nil || len(p.Claims) != 1 {
			t.Fatalf("%v in\n%s", err, data)
		}
		got := p.Claims[0]
		got.Ref = c.Ref
		if !reflect.DeepEqual(got, c) {
			t.Fatalf("got  %+v\nwant %+v\nfile:\n%s", got, c, data)
		}
		again, err := Write(got)
		if err != nil || string(again) != string(data) {
			t.Fatalf("written again, %v:\n%s\nwas:\n%s", err, again, data)
		}
	})
}

func TestWrite(t *testing.T) {
	c := claim.Claim{Ecosystem: "npm", Name: "@scope/evil", PURL: "pkg:npm/other", Versions: []string{"1.10", "2.0.0-x"}, Origins: []string{"wiz"},
		Details: "first line\n  indented: yes\n\nlast", References: []osv.Reference{{Type: "WEB", URL: "https://x.example/"}},
		Published: day(2025, 11, 24), OriginID: "GHSA-1", Evidence: jsontext.Value(`{"cwes":[]}`)}
	c.Archives = []string{"sha256:" + strings.Repeat("2a", 32)}
	const want = `# not in this file: purl, origin id, evidence
format: 1
ecosystem: npm
name: "@scope/evil"
origins:
  - wiz
published: 2025-11-24T00:00:00Z
versions:
  - "1.10"
  - "2.0.0-x"
digests:
  - "sha256:2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a"
details: |-
  first line
    indented: yes

  last
references:
  - "https://x.example/"
`
	got, err := Write(c)
	if err != nil || string(got) != want {
		t.Errorf("%v, got\n%s", err, got)
	}
	for name, bad := range map[string]claim.Claim{
		"not UTF-8":     {Ecosystem: "npm", Name: "x", All: true, Details: "\xff"},
		"no package":    {All: true},
		"odd origin":    {Ecosystem: "npm", Name: "x", All: true, Origins: []string{"Not A Slug"}},
		"in the future": {Ecosystem: "npm", Name: "x", All: true, Published: day(2190, 1, 1)},
		"too large":     {Ecosystem: "npm", Name: "x", All: true, References: slices.Repeat([]osv.Reference{{Type: "WEB", URL: strings.Repeat("x", 8000)}}, 200)},
	} {
		if got, err := Write(bad); err == nil {
			t.Errorf("%s: written as\n%s", name, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("format: 1\npurl: pkg:npm/evil\nversions: [1.0.0]\n"))
	f.Add([]byte("format: 1\necosystem: npm\npackages:\n- name: a\n  ranges:\n  - {introduced: 0, fixed: '1'}\n- name: b\n  all: true\n  withdrawn: {at: 2025-01-01, reason: r}\n"))
	f.Add([]byte("format: 1\npurl: pkg:npm/evil\nversions: [1.0.0]\ndigests: [sha1:a34b8ff67ffc25f08f9a056a9763db1dd8bb4e44]\n"))
	f.Add([]byte("a: &a [x]\nb: *a\n"))
	f.Add([]byte("format: 1\niocs: {domains: [x]}\ncredits: [{name: a, contact: [b]}]\ndetails: |\n  x\n\n  y\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(source.Document{Name: "f", Data: data})
		if err != nil {
			if len(p.Claims) != 0 {
				t.Error("an error and claims")
			}
			return
		}
		if len(p.Claims) == 0 {
			t.Error("neither claims nor an error")
		}
		for _, c := range p.Claims {
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
			if _, err := c.Marshal(); err != nil {
				t.Error(err)
			}
		}
	})
}
