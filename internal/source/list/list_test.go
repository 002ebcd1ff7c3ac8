package list

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/source"
)

var _ source.Source = (*List)(nil)

// brief writes what a claim says of versions in one line.
func brief(c *claim.Claim) string {
	var what []string
	if c.All {
		what = append(what, "ALL")
	}
	what = append(what, c.Versions...)
	if c.Open() {
		return strings.Join(append([]string{c.Ecosystem, c.Name, "OPEN"}, what...), " ")
	}
	for _, r := range c.Ranges {
		s := r.Type + "[" + r.Events[0].Introduced
		for _, e := range r.Events[1:] {
			if e.Fixed != "" {
				s += ",<" + e.Fixed
			}
			if e.LastAffected != "" {
				s += ",<=" + e.LastAffected
			}
		}
		what = append(what, s+"]")
	}
	return strings.Join(append([]string{c.Ecosystem, c.Name}, what...), " ")
}

// skippedLines gives the lines of which a note says that they were skipped.
func skippedLines(notes []source.Note) []int {
	var out []int
	for _, n := range notes {
		if n.Skipped && !slices.Contains(out, n.Line) {
			out = append(out, n.Line)
		}
	}
	return out
}

func read(t *testing.T, text string, opt Options) (source.Parsed, Mapping, error) {
	t.Helper()
	if opt.Name == "" {
		opt.Name = "test"
	}
	l, err := New([]byte(text), opt)
	if err != nil {
		t.Fatal(err)
	}
	parsed, m, err := l.Read(source.Document{Name: "test", Data: []byte(text)})
	accounted(t, parsed, m)
	return parsed, m, err
}

// snippet is a list as somebody might write it.
type snippet struct {
	name    string
	text    string
	opt     Options
	format  format
	want    []string // as brief, in the order of the list
	skipped []int
}

// The layouts follow incident posts, advisories and issues; the words are ours.
var snippets = []snippet{
	// Tables.
	{name: "csv with the names of the consolidated lists", text: "package_name,package_versions,sources\nleft-pad-x,1.0.1,\"alpha, beta\"\n@evil/core,\"2.0.0, 2.0.1\",gamma\n",
		format: formatCSV, want: []string{"npm left-pad-x 1.0.1", "npm @evil/core 2.0.0 2.0.1"}},
	{name: "csv Package,Version with or-ed versions", text: "Package,Version\n@evil/pino,= 6.11.4 || = 6.11.3\n@evil/nothing,= 1.0.0\n",
		format: formatCSV, want: []string{"npm @evil/pino 6.11.3 6.11.4", "npm @evil/nothing 1.0.0"}},
	{name: "csv ecosystem first", text: "ecosystem,name,version\nnpm,chalk-x,5.6.1\npip,color-x,1.2\nGem,rest-x,1.6.13\n.NET,Foo.Bar,1.0.0\nGolang,github.com/evil/mod,v1.3.1\n",
		format: formatCSV, want: []string{"npm chalk-x 5.6.1", "PyPI color-x 1.2", "RubyGems rest-x 1.6.13", "NuGet Foo.Bar 1.0.0", "Go github.com/evil/mod v1.3.1"}},
	{name: "columns in another order and spelling", text: "Malicious Version(s);Severity;NPM Package\n1.2.3, 1.2.4;critical;chalk-x\nv2.0.0;high;debug-x\n",
		format: formatCSV, want: []string{"npm chalk-x 1.2.3 1.2.4", "npm debug-x 2.0.0"}},
	{name: "one line per version is joined", text: "package,version\n@a/b,1.0.1\n@a/b,1.0.2\n@a/c,3.0.0\n@a/b,1.0.3\n",
		format: formatCSV, want: []string{"npm @a/b 1.0.1 1.0.2 1.0.3", "npm @a/c 3.0.0"}},
	{name: "tsv without a header", text: "@art/common\t2.0.28\n@art/config\t2.0.4, 2.0.5\nencounter-x\t1.0.2\n",
		format: formatCSV, want: []string{"npm @art/common 2.0.28", "npm @art/config 2.0.4 2.0.5", "npm encounter-x 1.0.2"}},
	{name: "csv without a header, columns by content", text: "2025-09-08,npm,https://example.org/a,debug-x,4.4.2\n2025-09-08,npm,https://example.org/b,chalk-x,5.6.1\n",
		format: formatCSV, want: []string{"npm debug-x 4.4.2", "npm chalk-x 5.6.1"}},
	{name: "byte order mark, CRLF and quotes", text: "\xef\xbb\xbf\"Package\",\"Versions\"\r\n\"@x/a\",\"1.0.0\"\r\n\"@x/b\",\"1.0.0,1.0.1\"\r\n",
		format: formatCSV, want: []string{"npm @x/a 1.0.0", "npm @x/b 1.0.0 1.0.1"}},
	{name: "line breaks of the old Macintosh", text: "Package,Version\r@x/a,1.0.0\r@x/b,1.0.1", format: formatCSV, want: []string{"npm @x/a 1.0.0", "npm @x/b 1.0.1"}},
	{name: "what catalog export csv writes: states, and purls in small letters beside the name", text: "id,ecosystem,name,versions,purl,state,campaign,published,modified\n" +
		"MAL-2026-1,npm,@evil/a,1.0.0 1.0.1,pkg:npm/%40evil/a,in force,,2026-01-01T00:00:00Z,2026-01-02T00:00:00Z\n" +
		"MAL-2026-2,npm,taken-back,*,pkg:npm/taken-back,withdrawn,,2026-01-01T00:00:00Z,2026-01-02T00:00:00Z\n" +
		"MAL-2026-3,npm,doubted,*,pkg:npm/doubted,Disputed,,2026-01-01T00:00:00Z,2026-01-02T00:00:00Z\n" +
		"MAL-2026-4,Go,example.com/Evil/Mod,1.0.0,pkg:golang/example.com/evil/mod,in force,,2026-01-01T00:00:00Z,2026-01-02T00:00:00Z\n",
		format: formatCSV, want: []string{"npm @evil/a 1.0.0 1.0.1", "Go example.com/Evil/Mod 1.0.0"}, skipped: []int{3, 4}},
	{name: "ragged rows", text: "package,version,notes\n@x/a,1.0.0\n@x/b,1.0.1,bad,extra\n,2.0.0,no name\n", format: formatCSV,
		want: []string{"npm @x/a 1.0.0", "npm @x/b 1.0.1"}, skipped: []int{4}},
	{name: "a title and comments above the header", text: "# worm of May\nCompromised packages as of 12:00 UTC\n\nPackage,Version\n@x/a,1.0.0\n;;\n,,\n", format: formatCSV,
		want: []string{"npm @x/a 1.0.0"}, skipped: []int{2}},
	{name: "a number column whose header is #", text: "#,Package,Version\n1,@x/a,1.0.0\n2,@x/b,1.0.1\n", format: formatCSV, want: []string{"npm @x/a 1.0.0", "npm @x/b 1.0.1"}},
	{name: "a quoted cell over several lines", text: "package,versions,details\n@x/a,\"1.0.0\n1.0.1\",\"reads\ntokens\"\n@x/b,2.0.0,x\n", format: formatCSV,
		want: []string{"npm @x/a 1.0.0 1.0.1", "npm @x/b 2.0.0"}},
	{name: "an open quote takes only its line", text: "package,version\n\"@x/a,1.0.0\n@x/b,1.0.1\n", format: formatCSV,
		want: []string{"npm @x/b 1.0.1"}, skipped: []int{2}},
	{name: "a column of purls", text: "purl,severity\npkg:npm/%40x/a@1.0.0,high\npkg:pypi/evil@2.0,high\npkg:deb/debian/curl@1,low\n", format: formatCSV,
		want: []string{"npm @x/a 1.0.0", "PyPI evil 2.0"}, skipped: []int{4}},
	{name: "group and artifact", text: "group_id,artifact_id,version,registry\norg.evil,core,1.0,maven\n", format: formatCSV, want: []string{"Maven org.evil:core 1.0"}},
	{name: "name@version in the column of names", text: "Affected package,Detected\nchalk-x@5.6.1,2025-09-08\n@x/y@1.0.0,2025-09-08\n", format: formatCSV,
		want: []string{"npm chalk-x 5.6.1", "npm @x/y 1.0.0"}},
	{name: "safe versions beside malicious ones", text: "Package,Safe version,Malicious versions\n@x/a,1.0.0,\"1.0.1, 1.0.2\"\n", format: formatCSV, want: []string{"npm @x/a 1.0.1 1.0.2"}},
	{name: "formulas are data", text: "package,version,details\n@x/a,1.0.0,\"=cmd|' /C calc'!A0\"\n\"=HYPERLINK(\"\"http://x\"\")\",1.0,x\n", format: formatCSV,
		want: []string{"npm @x/a 1.0.0"}, skipped: []int{3}},
	{name: "pipes as delimiter", text: "npm|chalk-x|5.6.1\npypi|color-x|1.2.0\n", format: formatCSV, want: []string{"npm chalk-x 5.6.1", "PyPI color-x 1.2.0"}},
	{name: "an ecosystem nobody knows is kept", text: "ecosystem,name,version\nhomebrew,evil,1.0\n../etc,evil,1.0\n", format: formatCSV,
		want: []string{"homebrew evil 1.0"}, skipped: []int{3}},
	{name: "columns by option", text: "a,b,c\nwhat,@x/a,1.0.0\nwhat,@x/b,1.0.1\n", opt: Options{Columns: "name=2,versions=c", Delimiter: ','}, format: formatCSV,
		want: []string{"npm @x/a 1.0.0", "npm @x/b 1.0.1"}},

	// Versions.
	{name: "what a cell may say", opt: Options{Ecosystem: "node"}, format: formatCSV, text: strings.Join([]string{"package,versions",
		"a,v1.2.3", "b,= 1.2.3", "c,1.2.3 - 1.2.5", "d,\">=1.0.0,<2.0.0\"", "e,all", "f,*", "g,All versions", "h,", "i,-", "j,n/a",
		"k,1.0.0 1.0.1", "l,1.0.0; 1.0.1|1.0.2", "m,<= 1.4.0", "n,\"before 2.0.0\"", "o,1.0.0 and earlier", "p,^1.0.0", "q,1.x", "r,latest",
		"s,1.0.0 through 1.0.9", "t,>= 3.0.0", "u,\"1.0.0 and 1.0.1\"", "v,\"['1.0.0', '1.0.1']\"", "w,>=2.0.0 <1.0.0", "x,\">=1.0.0 <1.5.0 || >=2.0.0 <2.5.0\"",
		"y,\"1.0.0, see blog\"", "z,1.0.0–1.0.4", "aa,>=0"}, "\n"),
		want: []string{"npm a 1.2.3", "npm b 1.2.3", "npm c SEMVER[1.2.3,<=1.2.5]", "npm d SEMVER[1.0.0,<2.0.0]", "npm e ALL", "npm f ALL", "npm g ALL", "npm h OPEN", "npm i OPEN", "npm j OPEN",
			"npm k 1.0.0 1.0.1", "npm l 1.0.0 1.0.1 1.0.2", "npm m SEMVER[0,<=1.4.0]", "npm n SEMVER[0,<2.0.0]", "npm o SEMVER[0,<=1.0.0]",
			"npm s SEMVER[1.0.0,<=1.0.9]", "npm t SEMVER[3.0.0]", "npm u 1.0.0 1.0.1", "npm v 1.0.0 1.0.1", "npm x SEMVER[1.0.0,<1.5.0] SEMVER[2.0.0,<2.5.0]",
			"npm y 1.0.0", "npm z SEMVER[1.0.0,<=1.0.4]", "npm aa OPEN"}, skipped: []int{17, 18, 19, 24}},
	{name: "PyPI's spellings", opt: Options{Ecosystem: "PyPI"}, format: formatCSV, text: "package,versions\na,1!2.0.post1\nb,\"[1.0,2.0)\"\nc,==1.0rc1\n",
		want: []string{"PyPI a 1!2.0.post1", "PyPI b ECOSYSTEM[1.0,<2.0]", "PyPI c 1.0rc1"}},
	{name: "an open line does not swallow exact ones", opt: Options{Ecosystem: "npm"}, format: formatCSV, text: "package,version\na,1.0.0\na,\nb,n/a\n",
		want: []string{"npm a 1.0.0", "npm b OPEN"}},

	// Lines.
	{name: "name@version", text: "@x/a@1.0.0\nchalk-x@5.6.1\n\n# comment\n// another\n; a third\ndebug-x@4.4.2  # trailing\n", format: formatLines,
		want: []string{"npm @x/a 1.0.0", "npm chalk-x 5.6.1", "npm debug-x 4.4.2"}},
	{name: "name:version", opt: Options{Ecosystem: "npm"}, text: "kill-x:2.0.2\nkill-x:2.0.3\n@x/a:1.0.0\nnode:1.0.0\n", format: formatLines,
		want: []string{"npm kill-x 2.0.2 2.0.3", "npm @x/a 1.0.0", "npm node 1.0.0"}},
	{name: "ecosystem:name:version", text: "npm:chalk-x:5.6.1\npypi:color-x:1.0\nmaven:org.evil:core:1.0\nmaven:org.evil:bare\ncargo:evil_x:0.1.0\n", format: formatLines,
		want: []string{"npm chalk-x 5.6.1", "PyPI color-x 1.0", "Maven org.evil:core 1.0", "Maven org.evil:bare OPEN", "crates.io evil_x 0.1.0"}},
	{name: "ecosystem/name@version", text: "npm/chalk-x@5.6.1\nnpm/@x/a@1.0.0\npypi/color-x@1.0\ngo/github.com/evil/mod@v1.0.0\ncomposer/laravel-x/lang@1.0.0\n", format: formatLines,
		want: []string{"npm chalk-x 5.6.1", "npm @x/a 1.0.0", "PyPI color-x 1.0", "Go github.com/evil/mod v1.0.0", "Packagist laravel-x/lang 1.0.0"}},
	{name: "a vendor called composer", opt: Options{Ecosystem: "php"}, text: "composer/evil@1.0\n", format: formatLines, want: []string{"Packagist composer/evil 1.0"}},
	{name: "purls", text: "pkg:npm/chalk-x@5.6.1\npkg:npm/%40x/a@1.0.0\npkg:pypi/evil\nPKG:gem/evil@1.0 # dropped\n", format: formatLines,
		want: []string{"npm chalk-x 5.6.1", "npm @x/a 1.0.0", "PyPI evil OPEN", "RubyGems evil 1.0"}},
	{name: "bare names", opt: Options{Ecosystem: "pypi"}, text: "colorx\nrequestx\n", format: formatLines, want: []string{"PyPI colorx OPEN", "PyPI requestx OPEN"}},
	{name: "bare names under a header", opt: Options{Ecosystem: "pypi"}, text: "package_name\ncolorx\n", format: formatLines, want: []string{"PyPI colorx OPEN"}},
	{name: "requirements", text: "colorx==1.0.0\nrequestx==2.0\n", format: formatLines, want: []string{"PyPI colorx 1.0.0", "PyPI requestx 2.0"}},
	{name: "coordinates of Maven only", text: "org.evil:core:1.0\norg.evil:web:1.0-beta\n", format: formatLines, want: []string{"Maven org.evil:core 1.0", "Maven org.evil:web 1.0-beta"}},
	{name: "several on a line", text: "@x/a@1.0.0, @x/b@2.0.0, 2.0.1\n", format: formatLines, want: []string{"npm @x/a 1.0.0", "npm @x/b 2.0.0 2.0.1"}},
	{name: "quoted items of code", text: "\"@x/a@1.0.0\",\n\"@x/b@1.0.1\",\n'chalk-x@1.0.2'\n", format: formatLines, want: []string{"npm @x/a 1.0.0", "npm @x/b 1.0.1", "npm chalk-x 1.0.2"}},
	{name: "name and version in words", opt: Options{Ecosystem: "nuget"}, text: "Evil.Tool version 1.0.2\nEvil.Web v2.0.0\nEvil.Core (3.0.0, 3.0.1)\nEvil.Data: versions 4.0, 4.1\n", format: formatLines,
		want: []string{"NuGet Evil.Tool 1.0.2", "NuGet Evil.Web 2.0.0", "NuGet Evil.Core 3.0.0 3.0.1", "NuGet Evil.Data 4.0 4.1"}},
	{name: "sections by comment", text: "# npm\nchalk-x@1.0.0\n# PyPI packages\ncolorx 1.0\n", format: formatLines, want: []string{"npm chalk-x 1.0.0", "PyPI colorx 1.0"}},
	{name: "sections in brackets", text: "[npm]\nchalk-x@1.0.0\n[pypi]\ncolorx==1.0\n", format: formatLines, want: []string{"npm chalk-x 1.0.0", "PyPI colorx 1.0"}},
	{name: "prose between", text: "@x/a@1.0.0\nPlease rotate all of your tokens now\n@x/b@latest\n@x/c@\n", format: formatLines,
		want: []string{"npm @x/a 1.0.0", "npm @x/c OPEN"}, skipped: []int{2, 3}},
	{name: "pages of registries", text: "https://www.npmjs.com/package/@x/a/v/1.0.0\nhttps://pypi.org/project/colorx/1.0/\nhttps://example.org/blog\n", format: formatLines,
		want: []string{"npm @x/a 1.0.0", "PyPI colorx 1.0"}, skipped: []int{3}},
	{name: "links to a vendor", text: "[@x/a@1.0.0](https://vendor.example/a)\n[chalk-x@2.0.0](https://vendor.example/b)\n", format: formatLines,
		want: []string{"npm @x/a 1.0.0", "npm chalk-x 2.0.0"}},
	{name: "names that cannot be", opt: Options{Ecosystem: "npm"}, text: "good@1.0.0\n@scope@1.0.0\na/b/c@1.0.0\nf\x1b[2Joo@1.0.0\n\xff\xfe@1.0.0\n" + strings.Repeat("a", 2000) + "@1.0.0\nсhalk@1.0.0\n", format: formatLines,
		want: []string{"npm good 1.0.0"}, skipped: []int{2, 3, 4, 5, 6, 7}},
	{name: "look-alikes are names of NuGet", opt: Options{Ecosystem: "NuGet"}, text: "Mircоsoft.Core 1.0.0\n", format: formatLines, want: []string{"NuGet Mircоsoft.Core 1.0.0"}},
	{name: "ecosystem missing on some lines", text: "npm:chalk-x@1.0.0\ncolorx@1.0\n", format: formatLines, want: []string{"npm chalk-x 1.0.0"}, skipped: []int{2}},

	// JSON.
	{name: "array of strings", text: `["npm:chalk-x@1.0.0", "pkg:pypi/evil@1.0", "@x/y@2.0.0", 7, "two words"]`, format: formatJSON,
		want: []string{"npm chalk-x 1.0.0", "PyPI evil 1.0", "npm @x/y 2.0.0"}, skipped: []int{1}},
	{name: "array of objects", text: `[{"ecosystem":"npm","name":"chalk-x","versions":["1.0.0","1.0.1"]},` + "\n" + `{"ecosystem":"pypi","name":"evil","version":null}]`, format: formatJSON,
		want: []string{"npm chalk-x 1.0.0 1.0.1", "PyPI evil OPEN"}},
	{name: "safe-chain", opt: Options{Ecosystem: "npm"}, format: formatJSON, // shared/wire.md, 12.1
		text: `[{"package_name":"is-number","version":"7.0.0","reason":"MALWARE"},` + "\n" + `{"package_name":"is-odd","version":"*","reason":"MALWARE"},` + "\n" + `{"package_name":"tel","version":"*","reason":"TELEMETRY"}]`,
		want: []string{"npm is-number 7.0.0", "npm is-odd ALL"}, skipped: []int{3}},
	{name: "exposure catalog", format: formatJSON, // shared/wire.md, 12.3
		text: `{"schema_version":"0.2.0","entries":[{"id":"MAL-2026-1","name":"evil","ecosystem":"npm","package":"evil-pkg","versions":["1.2.3"],"severity":"critical"},
{"id":"MAL-2026-2","ecosystem":"npm","package":"@scope/bad","versions":["*"],"severity":"critical"},
{"id":"x-3","ecosystem":"mcp","package":"evil-server","versions":["1.0.0"]}]}`,
		want: []string{"npm evil-pkg 1.2.3", "npm @scope/bad ALL", "mcp evil-server 1.0.0"}},
	{name: "versions by name", opt: Options{Ecosystem: "npm"}, text: `{"chalk-x": ["5.6.1"], "debug-x": "4.4.2", "@x/a": null, "version": "1.2.3", "constructor": ["1.0.0"], "__proto__": ["2.0.0"]}`, format: formatJSON,
		want: []string{"npm chalk-x 5.6.1", "npm debug-x 4.4.2", "npm @x/a OPEN", "npm constructor 1.0.0"}},
	{name: "by ecosystem, then by name", text: `{"npm": {"chalk-x": ["5.6.1"]}, "pypi": ["colorx==1.0", "bare"], "updated": "2026-01-01"}`, format: formatJSON,
		want: []string{"npm chalk-x 5.6.1", "PyPI colorx 1.0", "PyPI bare OPEN"}},
	{name: "a list in a document", text: `{"campaign": "spring", "source": "https://example.org/x", "packages": [{"name": "@x/a", "version": "1.0.0"}]}`, format: formatJSON, want: []string{"npm @x/a 1.0.0"}},
	{name: "nested package", text: `{"items": [{"package": {"ecosystem": "pip", "name": "evil"}, "vulnerable_version_range": "<= 1.0"}]}`, format: formatJSON, want: []string{"PyPI evil ECOSYSTEM[0,<=1.0]"}},
	{name: "one object", text: `{"ecosystem": "npm", "name": "chalk-x", "version": "1.0.0"}`, format: formatJSON, want: []string{"npm chalk-x 1.0.0"}},
	{name: "json lines", text: "{\"ecosystem\":\"npm\",\"name\":\"a\",\"version\":\"1.0.0\"}\n{\"ecosystem\":\"npm\",\"name\":\"b\"\n\n{\"name\":\"c\",\"ecosystem\":\"pypi\",\"name\":\"d\"}\n{\"ecosystem\":\"pypi\",\"name\":\"e\",\"version\":\"1\"}\n",
		format: formatLines, want: []string{"npm a 1.0.0", "PyPI e 1"}, skipped: []int{2, 4}},

	// Markdown.
	{name: "table in an issue", text: "## What happened\n\nA worm came by.\n\n| Package | Malicious Version |\n|---|---|\n| leo-x | 1.0.8 |\n| `@x/auth` | `4.0.6`, `4.0.7` |\n| [@x/c](https://www.npmjs.com/package/@x/c) | 2.0.2<br>2.0.3 |\n\nRotate your keys.\n",
		format: formatMarkdown, want: []string{"npm leo-x 1.0.8", "npm @x/auth 4.0.6 4.0.7", "npm @x/c 2.0.2 2.0.3"}},
	{name: "tables under headings of ecosystems", text: "### npm packages\n| Name | Version |\n|:--|--:|\n| chalk-x | 1.0.0 |\n### PyPI\nName | Version\n--- | ---\ncolorx | 1.0\\|1.1\n",
		format: formatMarkdown, want: []string{"npm chalk-x 1.0.0", "PyPI colorx 1.0 1.1"}},
	{name: "pipes in code", text: "| Package | Versions |\n|---|---|\n| @x/a | `1.0.0 || 1.0.1` |\n", format: formatMarkdown, want: []string{"npm @x/a 1.0.0 1.0.1"}},
	{name: "bullets", text: "**Affected versions:**\n\n* `eslint-x`: versions 8.10.1, 9.1.1\n* `@pkgx/core`: versions 0.2.8\n* `is-x`: versions 3.3.1\n\n**What to do next, in this order:**\n\n* Do not install them\n* setup.mjs\n",
		format: formatMarkdown, want: []string{"npm eslint-x 8.10.1 9.1.1", "npm @pkgx/core 0.2.8", "npm is-x 3.3.1"}, skipped: []int{9, 10}},
	{name: "numbered bullets with links and boxes", text: "# Worm\nThese are the packages that it took over:\n1. [@x/a@1.0.0](https://example.org/1)\n2. **@x/b** 2.0.0\n- [ ] @x/c@3.0.0\n", format: formatMarkdown,
		want: []string{"npm @x/a 1.0.0", "npm @x/b 2.0.0", "npm @x/c 3.0.0"}},
	{name: "code block", text: "The list that was posted there:\n\n```\n@x/a\t= 6.11.4 || = 6.11.3\n# and\n@x/b@1.0.0\n```\n", format: formatMarkdown, want: []string{"npm @x/a 6.11.3 6.11.4", "npm @x/b 1.0.0"}},
	{name: "two tables, one about something else", text: "| File | SHA-256 |\n|---|---|\n| a.js | abc |\n\n| Package | Version |\n|---|---|\n| @x/a | 1.0.0 |\n", format: formatMarkdown,
		want: []string{"npm @x/a 1.0.0"}, skipped: []int{3}},
	// The layout of https://github.com/NuGet/NuGetGallery/blob/main/RemovedPackages.md
	{name: "removed packages of nuget.org", text: "# History of Packages Removed from NuGet.org\n\nThanks to all who reported.\n\n| Extension Identifier                  | Removal Date | Type                          |\n|---------------------------------------|--------------|-------------------------------|\n" +
		"|      EvilDefender\t version 1.0.2    |       2/26/2025       |   Untrustworthy  |\n|   Mircоsoft.Entity  version  1.0.0   |      3/5/2025       |  Untrustworthy   |\n|     EvilManager 1.7.0  |     5/28/2025    | Malware   |\n|   Some.Common    |       06/10/2025       |   Copyright violation |\n\nLegend:\n- Copyright violation - Uses the work of others.\n- Malware - Does harm.\n",
		format: formatMarkdown, want: []string{"NuGet EvilDefender 1.0.2", "NuGet Mircоsoft.Entity 1.0.0", "NuGet EvilManager 1.7.0"}, skipped: []int{10, 13, 14}},
	{name: "removed extensions", text: "# History of Extensions Removed from VS Marketplace\n| Extension Identifier | Removal Date | Type |\n|---|---|---|\n|EvilLLC.solid|5/17/2025| Malware\n| nopublisher | 5/17/2025 | Malware |\n",
		format: formatMarkdown, want: []string{"VSCode EvilLLC.solid OPEN"}, skipped: []int{5}},
}

func TestSnippets(t *testing.T) {
	if len(snippets) < 40 {
		t.Fatalf("%d snippets", len(snippets))
	}
	for _, s := range snippets {
		t.Run(s.name, func(t *testing.T) {
			parsed, m, err := read(t, s.text, s.opt)
			if err != nil {
				t.Fatalf("%v\n%s", err, m)
			}
			if m.Format != string(s.format) && !strings.HasPrefix(s.name, "json lines") {
				t.Errorf("format %s, want %s", m.Format, s.format)
			}
			var got []string
			for i := range parsed.Claims {
				got = append(got, brief(&parsed.Claims[i]))
			}
			if !slices.Equal(got, s.want) {
				t.Errorf("claims\n got %q\nwant %q\n%s", got, s.want, m)
			}
			if got := skippedLines(parsed.Notes); !slices.Equal(got, s.skipped) {
				t.Errorf("skipped lines %v, want %v: %+v", got, s.skipped, parsed.Notes)
			}
			if want := strings.Count(s.text, "\n") + 1; m.Unit == "line" && strings.HasSuffix(s.text, "\n") && m.Lines != want-1 {
				t.Errorf("%d lines, want %d", m.Lines, want-1)
			}
			if text := m.String(); strings.ContainsAny(text, "\x1b\r") || !strings.Contains(text, "format: ") {
				t.Errorf("mapping %q", text)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	deep := strings.Repeat("[", 65) + strings.Repeat("]", 65)
	for _, test := range []struct {
		name, text string
		opt        Options
		want       error  // nil for any
		part       string // of the message
	}{
		{name: "A1 empty", text: "", want: ErrEmpty},
		{name: "A2 white space only", text: " \n\t\r\n ", want: ErrEmpty},
		{name: "A2 byte order mark only", text: "\xef\xbb\xbf", want: ErrEmpty},
		{name: "A3 null in an array", text: "[[null]]", part: "no package"},
		{name: "A5 half a document", text: `[{"name":"a","version":"1`, part: "not valid JSON"},
		{name: "A6 two values", text: "[\"npm:a@1\"]\n[]", part: "second JSON value"},
		{name: "A7 a name twice", text: `[{"ecosystem":"npm","name":"a","name":"b"}]`, part: "line 1: not valid JSON"},
		{name: "A10 broken UTF-8 in JSON", text: "[\"npm:a\xff@1.0.0\"]", part: "not valid JSON"},
		{name: "A11 lone surrogate", text: `["npm:a\ud800@1.0.0"]`, part: "not valid JSON"},
		{name: "A12 NUL", text: "npm:a@1.0.0\nnpm:b\x00@1.0.0\n", want: ErrBinary, part: "line 2"},
		{name: "A14 UTF-16", text: "\xff\xfea\x00,\x00b\x00", want: ErrUTF16},
		{name: "A14 UTF-16 without a mark", text: "a\x00,\x00b\x00\n\x00c\x00,\x001\x00", want: ErrUTF16},
		{name: "A15 depth 65", text: deep, part: "nested deeper than 64"},
		{name: "B53 login page", text: "<!DOCTYPE html><html><body>Sign in</body></html>", want: ErrHTML},
		{name: "B53 fragment of a page", text: "<div>\n<p>x</p></div>", want: ErrHTML},
		{name: "B53 no entry", text: "[]", want: ErrEmpty},
		{name: "B53 comments only", text: "# nothing\n", part: "no package in 1 lines"},
		{name: "C55 picture", text: "\x89PNG\r\n\x1a\n\x00\x00", want: ErrBinary},
		{name: "C55 spreadsheet", text: "PK\x03\x04abc", want: ErrBinary, part: "save the list as CSV"},
		{name: "C55 random bytes", text: "\x01\x02\x03\x80\x81\x82abc", want: ErrBinary},
		{name: "C55 SBOM", text: `{"bomFormat":"CycloneDX","components":[]}`, part: "an SBOM"},
		{name: "C55 OSV record", text: `{"id":"MAL-1","modified":"2026-01-01T00:00:00Z","affected":[]}`, part: "import it as OSV"},
		{name: "no ecosystem", text: "chalk-x@5.6.1\ndebug-x@4.4.2\n", want: ErrEcosystem, part: "line 1"},
		{name: "one scope among many does not prove", text: "@x/a@1.0.0\n" + strings.Repeat("b@1.0.0\n", 20), part: ""},
		{name: "a column that is not there", text: "a,b\n@x/a,1.0.0\n", opt: Options{Columns: "name=3"}, part: "no column for \"name\""},
		{name: "prose only", text: "We are writing to let you know that\nsomething bad has happened\n", part: "no package"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.opt.Name = "x"
			l, err := New([]byte(test.text), test.opt)
			if err != nil {
				t.Fatal(err)
			}
			parsed, m, err := l.Read(source.Document{Data: []byte(test.text)})
			if test.name == "one scope among many does not prove" {
				if err != nil || len(parsed.Claims) != 1 || m.Ecosystem != "" || m.Skipped != 20 {
					t.Fatalf("%v\n%s", err, m)
				}
				return
			}
			if err == nil || len(parsed.Claims) > 0 {
				t.Fatalf("accepted: %+v", parsed)
			}
			if test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if !strings.Contains(err.Error(), test.part) || strings.ContainsAny(err.Error(), "\n\x1b\x00") {
				t.Errorf("error %q, want %q in it", err, test.part)
			}
		})
	}
}

func TestEvidence(t *testing.T) {
	text := `id,ecosystem,package,version,reported_by,campaign,first_seen,reference,description
MAL-2026-1,npm,a,1.0.0,"Vendor One; vendor.two",spring,2026-05-19,https://example.org/1,steals
GHSA-aaaa-bbbb-cccc,npm,b,1.0.0,,,2026-05-19T10:00:00+02:00,"https://example.org/1 javascript:alert(1)",steals
V-17,npm,b,1.0.1,,,01/02/2026,-,
,npm,c,1.0.0,,summer,2026-02-01,https://example.org/2,first
,npm,c,1.0.1,,summer,2026-01-01,https://example.org/3,second
`
	parsed, m, err := read(t, text, Options{Name: "the list", Reference: "https://example.org/list", Campaign: "default"})
	if err != nil {
		t.Fatal(err, m)
	}
	byRef := map[string]claim.Claim{}
	for _, c := range parsed.Claims {
		byRef[c.Ref] = c
	}
	a := byRef["npm/a"]
	if a.ID != "MAL-2026-1" || !slices.Equal(a.Origins, []string{"vendor-one", "vendor-two"}) || a.Campaign != "spring" || a.Details != "steals" ||
		!a.Published.Equal(time.Date(2026, 5, 19, 0, 0, 0, 0, time.UTC)) || len(a.References) != 2 {
		t.Errorf("a: %+v", a)
	}
	b := byRef["npm/b#GHSA-aaaa-bbbb-cccc"]
	if b.ID != "GHSA-aaaa-bbbb-cccc" || !b.Published.Equal(time.Date(2026, 5, 19, 8, 0, 0, 0, time.UTC)) || b.Published.Location() != time.UTC || b.Campaign != "default" || !slices.Equal(b.Origins, []string{"the-list"}) || len(b.References) != 2 {
		t.Errorf("b: %+v", b)
	}
	// A vendor's own number is not the id of a record.
	if v := byRef["npm/b#V-17"]; v.ID != "" || v.OriginID != "V-17" || !v.Published.IsZero() {
		t.Errorf("b, second: %+v", v)
	}
	c := byRef["npm/c"]
	if !slices.Equal(c.Versions, []string{"1.0.0", "1.0.1"}) || !c.Published.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) || c.Details != "first\nsecond" || len(c.References) != 3 {
		t.Errorf("c: %+v", c)
	}
	if len(parsed.Claims) != 4 || len(parsed.Notes) != 2 || parsed.Notes[0].Line != 3 || parsed.Notes[1].Line != 4 {
		t.Errorf("claims %d, notes %+v", len(parsed.Claims), parsed.Notes)
	}
	for _, h := range []string{"first_seen -> date", "reported_by -> origins", "description -> details"} {
		if !strings.Contains(m.String(), h) {
			t.Errorf("no %q in\n%s", h, m)
		}
	}
}

// Digests of archives, in every spelling; what is none is a note, and what is of a file in the archive too.
func TestArchives(t *testing.T) {
	sum := sha512.Sum512([]byte("an archive"))
	hex512, sri512 := hex.EncodeToString(sum[:]), "sha512-"+base64.StdEncoding.EncodeToString(sum[:])
	sha1a, sha256a, sha256b, md5a := strings.Repeat("1a", 20), strings.Repeat("2a", 32), strings.Repeat("2b", 32), strings.Repeat("5a", 16)
	sha384a := strings.Repeat("3a", 48)
	for _, tt := range []struct {
		name, text string
		opt        Options
		want       string // of the packages with digests: name versions digests
		notes      int
	}{
		{"an SRI", "name,version,sha512\nevil,1.0.0," + sri512 + "\n", Options{Ecosystem: "npm"}, "evil 1.0.0 sha512:" + hex512, 0},
		{"base64", "name,version,sha512\nevil,1.0.0," + sri512[7:] + "\n", Options{Ecosystem: "npm"}, "evil 1.0.0 sha512:" + hex512, 0},
		{"hexadecimal of every kind", "name,version,MD5,SHA-1,SHA-256,sha384,sha512\nevil,1.0.0," + strings.Join([]string{md5a, strings.ToUpper(sha1a), sha256a, sha384a, hex512}, ",") + "\n",
			Options{Ecosystem: "npm"}, "evil 1.0.0 md5:" + md5a + " sha1:" + sha1a + " sha256:" + sha256a + " sha384:" + sha384a + " sha512:" + hex512, 0},
		{"integrity", "name,version,integrity\nevil,1.0.0," + sri512 + " sha1:" + sha1a + "\n", Options{Ecosystem: "npm"}, "evil 1.0.0 sha1:" + sha1a + " sha512:" + hex512, 0},
		{"a length says the algorithm", "name,version,digest\nevil,1.0.0," + sha256a + "\n", Options{Ecosystem: "npm"}, "evil 1.0.0 sha256:" + sha256a, 0},
		{"several in a cell", "name,version,digest\nevil,1.0.0,\"" + sha256a + "; " + sha256b + "\"\n", Options{Ecosystem: "npm"}, "evil 1.0.0 sha256:" + sha256a + " sha256:" + sha256b, 0},
		{"two rows of one package", "name,version,sha256\nevil,1.0.0," + sha256a + "\nevil,1.0.1," + sha256b + "\n", Options{Ecosystem: "npm"}, "evil 1.0.0+1.0.1 sha256:" + sha256a + " sha256:" + sha256b, 0},
		{"by option", "name,version,hash\nevil,1.0.0," + sha256a + "\n", Options{Ecosystem: "npm", Columns: "sha256=hash"}, "evil 1.0.0 sha256:" + sha256a, 0},
		{"by option and number", "name,version,x\nevil,1.0.0," + sri512 + "\n", Options{Ecosystem: "npm", Columns: "integrity=3"}, "evil 1.0.0 sha512:" + hex512, 0},
		{"a hash of who knows what", "name,version,hash\nevil,1.0.0," + sha256a + "\n", Options{Ecosystem: "npm"}, "", 0},
		{"no header", "evil,1.0.0," + sri512 + "\nworse,1.0.0," + sri512 + "\n", Options{Ecosystem: "npm"}, "evil 1.0.0 sha512:" + hex512 + "; worse 1.0.0 sha512:" + hex512, 0},
		{"no header, a digest first", sha256a + ",evil,1.0.0\n" + sha256b + ",worse,1.0.0\n", Options{Ecosystem: "npm"}, "evil 1.0.0 sha256:" + sha256a + "; worse 1.0.0 sha256:" + sha256b, 0},
		{"too short", "name,version,sha256\nevil,1.0.0," + sha256a[1:] + "\n", Options{Ecosystem: "npm"}, "", 1},
		{"not hexadecimal", "name,version,sha256\nevil,1.0.0,x" + sha256a[1:] + "\n", Options{Ecosystem: "npm"}, "", 1},
		{"of another algorithm", "name,version,sha256\nevil,1.0.0,sha1:" + sha1a + "\n", Options{Ecosystem: "npm"}, "", 1},
		{"one of two", "name,version,digest\nevil,1.0.0,abc " + sha256a + "\n", Options{Ecosystem: "npm"}, "evil 1.0.0 sha256:" + sha256a, 1},
		{"of an empty file", "name,version,sha1\nevil,1.0.0,da39a3ee5e6b4b0d3255bfef95601890afd80709\n", Options{Ecosystem: "npm"}, "", 1},
		{"nothing there", "name,version,sha256\nevil,1.0.0,\nevil,1.0.1,-\nevil,1.0.2,n/a\n", Options{Ecosystem: "npm"}, "", 0},
		{"of files", "name,version,file,sha256\nevil,1.0.0,setup_bun.js," + sha256a + "\nevil,1.0.0,evil-1.0.0.tgz," + sha256b + "\n", Options{Ecosystem: "npm"}, "evil 1.0.0 sha256:" + sha256b, 1},
		{"beside several packages", "name,sha256\n\"evil@1.0.0, worse@1.0.0\"," + sha256a + "\n", Options{Ecosystem: "npm"}, "", 1},
		{"Markdown", "| package | version | sha256 |\n|---|---|---|\n| evil | 1.0.0 | `" + sha256a + "` |\n", Options{Ecosystem: "npm"}, "evil 1.0.0 sha256:" + sha256a, 0},
		{"JSON", `[{"name":"evil","version":"1.0.0","sha256":"` + sha256a + `","digests":["sha1:` + sha1a + `","md5:no"]}]`, Options{Ecosystem: "npm"}, "evil 1.0.0 sha1:" + sha1a + " sha256:" + sha256a, 1},
		{"JSON of npm", `[{"name":"evil","version":"1.0.0","dist":{"shasum":"` + sha1a + `","integrity":"` + sri512 + `","fileCount":3}}]`, Options{Ecosystem: "npm"}, "evil 1.0.0 sha1:" + sha1a + " sha512:" + hex512, 0},
		{"JSON of PyPI", `[{"name":"evil","version":"1.0.0","filename":"evil-1.0.0.tar.gz","hashes":{"sha256":"` + sha256a + `"}}]`, Options{Ecosystem: "pypi"}, "evil 1.0.0 sha256:" + sha256a, 0},
		{"JSON lines", `{"package":"evil","version":"1.0.0","integrity":"` + sri512 + `"}` + "\n" + `{"package":"worse","version":"1.0.0"}` + "\n", Options{Ecosystem: "npm"}, "evil 1.0.0 sha512:" + hex512, 0},
		// exposure-catalog-gemstuffer.json: digests of payloads stand among the document's indicators.
		{"indicators of a document", `{"schema_version":"0.2.0","_indicators":{"payload_rb_sha256":"` + sha256a + `"},"indicators":{"sha256":"` + sha256b + `"},"entries":[{"id":"x","name":"evil (1)","ecosystem":"npm","package":"evil","versions":["1.0.0"]}]}`, Options{}, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.opt.Name = "list"
			parsed, m, err := read(t, tt.text, tt.opt)
			if err != nil {
				t.Fatal(err, m)
			}
			var got []string
			for _, c := range parsed.Claims {
				if len(c.Archives) > 0 {
					got = append(got, c.Name+" "+strings.Join(c.Versions, "+")+" "+strings.Join(c.Archives, " "))
				}
			}
			if s := strings.Join(got, "; "); s != tt.want || len(parsed.Notes) != tt.notes || m.Skipped > 0 {
				t.Errorf("got  %s\nwant %s\n%d notes, want %d: %+v\n%s", s, tt.want, len(parsed.Notes), tt.notes, parsed.Notes, m)
			}
		})
	}
}

// One package under several origins is several claims with references of their own.
func TestSeveralClaims(t *testing.T) {
	parsed, m, err := read(t, "ecosystem,name,version,source\nnpm,a,1.0.0,one\nnpm,a,1.0.0,two\nnpm,a,1.0.1,one\npypi,A_b,1,one\npypi,a-B,2,one\n", Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range parsed.Claims {
		got = append(got, c.Ref+" "+strings.Join(c.Versions, "+"))
	}
	// PyPI's names are equal under https://packaging.python.org/specifications/name-normalization/.
	if want := []string{"npm/a#one 1.0.0+1.0.1", "npm/a#two 1.0.0", "PyPI/a-b 1+2"}; !slices.Equal(got, want) || m.Packages != 2 || m.Claims != 3 {
		t.Errorf("got %q, want %q\n%s", got, want, m)
	}
}

func TestDates(t *testing.T) {
	day := func(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }
	for _, test := range []struct {
		text  string
		order order
		want  time.Time
	}{
		{"2026-05-19", orderUnknown, day(2026, 5, 19)},
		{"2026-05-19T12:30:00Z", orderUnknown, day(2026, 5, 19).Add(12*time.Hour + 30*time.Minute)},
		{"2026-05-19 12:30:00 UTC", orderUnknown, day(2026, 5, 19).Add(12*time.Hour + 30*time.Minute)},
		{"2026-05-19T00:30:00+02:00", orderUnknown, day(2026, 5, 18).Add(22*time.Hour + 30*time.Minute)},
		{"19 May 2026", orderUnknown, day(2026, 5, 19)}, {"May 19, 2026", orderUnknown, day(2026, 5, 19)}, {"19.5.2026", orderUnknown, day(2026, 5, 19)},
		{"5/28/2025", orderUnknown, day(2025, 5, 28)}, {"28/5/2025", orderUnknown, day(2025, 5, 28)}, {"5/5/2025", orderUnknown, day(2025, 5, 5)},
		{"01/02/2026", orderUnknown, time.Time{}}, {"01/02/2026", dayFirst, day(2026, 2, 1)}, {"01/02/2026", monthFirst, day(2026, 1, 2)},
		{"01/02/2026", orderMixed, time.Time{}}, {"31/2/2026", orderUnknown, time.Time{}}, {"1767225600", orderUnknown, day(2026, 1, 1)},
		{"yesterday", orderUnknown, time.Time{}}, {"0000-01-01", orderUnknown, time.Time{}}, {"9999-01-01", orderUnknown, time.Time{}}, {"2026-05-19 12:30 CET", orderUnknown, time.Time{}},
		{"2026-13-01", orderUnknown, time.Time{}}, {strings.Repeat("1", 100), orderUnknown, time.Time{}},
	} {
		got, reason := parseDate(test.text, test.order)
		if !got.Equal(test.want) || got.IsZero() != (reason != "") {
			t.Errorf("%q: %v %q, want %v", test.text, got, reason, test.want)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, test := range []struct {
		opt  Options
		part string
	}{
		{Options{Name: "…"}, "gives no name"},
		{Options{Name: "x", Ecosystem: "cobol"}, "unknown ecosystem"},
		{Options{Name: "x", Columns: "name"}, "want meaning=column"},
		{Options{Name: "x", Columns: "colour=1"}, "want meaning=column"},
		{Options{Name: "x", Columns: "name=0"}, "from 1"},
		{Options{Name: "x", Delimiter: '€'}, "ASCII"},
		{Options{Name: "x", Origin: "!!"}, "origin"},
		{Options{Name: "x", Reference: "javascript:x"}, "reference"},
		{Options{Name: "x", Campaign: "a\x1b"}, "campaign"},
	} {
		if _, err := New(nil, test.opt); err == nil || !strings.Contains(err.Error(), test.part) {
			t.Errorf("%+v: %v", test.opt, err)
		}
	}
	l, err := Open("/some/where/Shai Hulud 2.0.csv.gz", Options{Complete: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := l.Info(), (source.Info{Name: "shai-hulud-2-0", Kind: "list", Complete: true}); got != want {
		t.Errorf("info %+v, want %+v", got, want)
	}
}

func TestFetch(t *testing.T) {
	plain := []byte("npm:a@1.0.0\n")
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	w.Write(plain)
	w.Close()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var bomb bytes.Buffer
	w = gzip.NewWriter(&bomb)
	w.Write(make([]byte, 65<<20))
	w.Close()
	dir := t.TempDir()
	for _, test := range []struct {
		name string
		data []byte
		ok   bool
	}{
		{"plain.txt", plain, true}, {"a.csv.gz", gz.Bytes(), true}, {"a.zst", enc.EncodeAll(plain, nil), true},
		{"B44 bomb.gz", bomb.Bytes(), false}, {"B48 half.gz", gz.Bytes()[:len(gz.Bytes())-6], false}, {"missing", nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(dir, test.name)
			if test.data != nil {
				if err := os.WriteFile(path, test.data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			l, err := Open(path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for doc, err := range l.Fetch(context.Background(), "") {
				n++
				if (err == nil) != test.ok || err == nil && (!bytes.Equal(doc.Data, plain) || doc.Name != test.name) {
					t.Errorf("document %+v, error %v", doc, err)
				}
				if err != nil && strings.Contains(err.Error(), dir) {
					t.Errorf("the error tells the directory: %v", err)
				}
			}
			if n != 1 {
				t.Errorf("yielded %d times", n)
			}
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	l, err := New(plain, Options{Name: "stdin"})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range l.Fetch(ctx, "") {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
	l, _ = Open(dir, Options{})
	for _, err := range l.Fetch(context.Background(), "") {
		if err == nil {
			t.Error("a directory was read")
		}
	}
}

// A list parsed twice gives the same claims: the order of lines does not matter for what they say.
func TestRepeatable(t *testing.T) {
	for _, s := range snippets {
		one, _, err1 := read(t, s.text, s.opt)
		two, _, err2 := read(t, s.text, s.opt)
		if err1 != nil || err2 != nil || len(one.Claims) != len(two.Claims) {
			t.Fatal(s.name, err1, err2)
		}
		for i := range one.Claims {
			a, _ := one.Claims[i].Marshal()
			b, _ := two.Claims[i].Marshal()
			if !bytes.Equal(a, b) || one.Claims[i].Ref != two.Claims[i].Ref {
				t.Errorf("%s: %s and %s", s.name, a, b)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	var b strings.Builder
	b.WriteString("package,versions\n@x/a,\"")
	for i := range claim.MaxVersions + 1 {
		b.WriteString("1.0." + strconv.Itoa(i) + " ")
	}
	b.WriteString("\"\n@x/b,1.0.0\n")
	parsed, m, err := read(t, b.String(), Options{})
	if err != nil || len(parsed.Claims) != 1 || m.Skipped != 1 {
		t.Errorf("A30 100,001 versions: %v\n%s", err, m)
	}
	if _, _, err := read(t, strings.Repeat("a,", 10_000)+"\n"+strings.Repeat("@x/a@1.0.0,", 10_000), Options{}); err != nil && !strings.Contains(err.Error(), "no package") {
		t.Errorf("wide rows: %v", err)
	}
	// One package under ever new ids must not cost the square of their number.
	b.Reset()
	b.WriteString("ecosystem,package,version,id\n")
	for i := range 1000 {
		b.WriteString("npm,a,1.0.0,V-" + strconv.Itoa(i) + "\n")
	}
	if parsed, m, err := read(t, b.String(), Options{}); err != nil || len(parsed.Claims) != maxGroups || m.Skipped != 1000-maxGroups || m.Packages != 1 {
		t.Errorf("1,000 ids of one package: %v\n%s", err, m)
	}
	if _, err := decode(bytes.Repeat([]byte("a\n"), 2*maxEntries+1)); !errors.Is(err, errTooMany) {
		t.Errorf("too many lines: %v", err)
	}
	if _, _, err := read(t, "[\"a\""+strings.Repeat(",1", maxEntries)+"]", Options{}); !errors.Is(err, errTooMany) {
		t.Errorf("too many entries: %v", err)
	}
	if _, _, err := read(t, strings.Repeat(strings.Repeat(",", 200)+"a\n", maxCells/200), Options{Delimiter: ','}); !errors.Is(err, errTooMany) {
		t.Errorf("too many cells: %v", err)
	}
	if _, err := decode(make([]byte, maxSize+1)); err == nil {
		t.Error("65 MiB were accepted")
	}
}
