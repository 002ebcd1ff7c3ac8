package lint_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/lint"
	"github.com/rapsheet/rapsheet/osv"
)

// base is a record that every set of rules takes: the shape of a report in
// ossf/malicious-packages, with what clients of served records need.
const base = `{"schema_version":"1.7.5","id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z","published":"2026-01-01T00:00:00Z",` +
	`"summary":"Malicious code in evil-pkg (npm)","details":"Steals environment variables at install time.",` +
	`"affected":[{"package":{"ecosystem":"npm","name":"evil-pkg","purl":"pkg:npm/evil-pkg"},"versions":["1.2.3","1.2.4"],` +
	`"database_specific":{"cwes":[{"cweId":"CWE-506"}]}}],` +
	`"references":[{"type":"ADVISORY","url":"https://catalog.example/MAL-2026-1"},{"type":"PACKAGE","url":"https://www.npmjs.com/package/evil-pkg"}],` +
	`"credits":[{"name":"Acme","type":"FINDER","contact":["https://acme.example"]}],` +
	`"database_specific":{"malicious-packages-origins":[{"source":"acme","sha256":"` + digest + `",` +
	`"import_time":"2026-01-01T00:00:00.123456789Z","modified_time":"2026-01-01T00:00:00Z","versions":["1.2.3","1.2.4"]}],` +
	`"iocs":{"domains":["evil.example"],"ips":["192.0.2.1","2001:db8::/32"],"urls":["https://evil.example/x"]}}}`

const digest = "a002bd3b1ea1e6cd9e0b4e8d1d3eb3d9b7e2a5e7a2d2d6b3c8a4c4a7d6be8383"

const basePath = "osv/malicious/npm/evil-pkg/MAL-2026-1.json"

// edit replaces pairs of texts in base, each of which must be there once.
func edit(t testing.TB, pairs ...string) string {
	t.Helper()
	s := base
	for i := 0; i < len(pairs); i += 2 {
		if strings.Count(s, pairs[i]) != 1 {
			t.Fatalf("%q is %d times in %s", pairs[i], strings.Count(s, pairs[i]), s)
		}
		s = strings.Replace(s, pairs[i], pairs[i+1], 1)
	}
	return s
}

func brief(problems []lint.Problem) []string {
	var out []string
	for _, p := range problems {
		out = append(out, fmt.Sprintf("%s %s %s", p.Severity, p.Rule, p.Pointer))
	}
	return out
}

// Pieces of base that the cases below replace.
const (
	pkgNPM   = `{"ecosystem":"npm","name":"evil-pkg","purl":"pkg:npm/evil-pkg"}`
	versions = `"versions":["1.2.3","1.2.4"],"database_specific":{"cwes"`
	origin   = `{"source":"acme","sha256":"` + digest + `","import_time":"2026-01-01T00:00:00.123456789Z","modified_time":"2026-01-01T00:00:00Z","versions":["1.2.3","1.2.4"]}`
	rest     = `"database_specific":{"cwes"`
	all      = `"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],` + rest
)

func events(typ, list string) string {
	return `"ranges":[{"type":"` + typ + `","events":[` + list + `]}],` + rest
}

// Every rule with a document that breaks it and one that comes close and does not.
// The rules are those of the schema (https://github.com/ossf/osv-schema/blob/v1.7.5/validation/schema.json),
// of upstream's validator, and of the clients of served records; lint.All names the
// source of each.
func TestRules(t *testing.T) {
	const o, u, s = lint.OSV, lint.Upstream, lint.Served
	tests := []struct {
		name, rule string
		rules      lint.Rules
		path       string // basePath when empty
		bad        []string
		pointer    string
		good       []string
		goodPath   string
	}{
		// The schema.
		{name: "id missing", rule: "required", rules: o, bad: []string{`"id":"MAL-2026-1",`, ``}, good: []string{`"id":"MAL-2026-1"`, `"id":"x_acme-1"`}},
		{name: "id empty", rule: "required", rules: o, bad: []string{`"id":"MAL-2026-1"`, `"id":""`}, pointer: "/id"},
		{name: "modified missing", rule: "required", rules: o, bad: []string{`"modified":"2026-01-02T00:00:00Z",`, ``}, good: []string{`"published":"2026-01-01T00:00:00Z",`, ``}},
		{name: "package without ecosystem", rule: "required", rules: o, bad: []string{`"ecosystem":"npm",`, ``}, pointer: "/affected/0/package"},
		{name: "empty name", rule: "required", rules: o, bad: []string{`"name":"evil-pkg","purl":"pkg:npm/evil-pkg"`, `"name":""`}, pointer: "/affected/0/package/name"},
		{name: "reference without type", rule: "required", rules: o, bad: []string{`"type":"PACKAGE",`, ``}, pointer: "/references/1"},
		{name: "credit without name", rule: "required", rules: o, bad: []string{`"name":"Acme",`, ``}, pointer: "/credits/0", good: []string{`"type":"FINDER",`, ``}},
		{name: "range without events", rule: "required", rules: o, bad: []string{versions, `"ranges":[{"type":"SEMVER"}],` + rest}, pointer: "/affected/0/ranges/0"},
		{name: "summary a number", rule: "type", rules: o, bad: []string{`"summary":"Malicious code in evil-pkg (npm)"`, `"summary":1e400`}, pointer: "/summary"},
		{name: "versions a string", rule: "type", rules: o, bad: []string{versions, `"versions":"1.2.3",` + rest}, pointer: "/affected/0/versions"},
		{name: "a version a number", rule: "type", rules: o, bad: []string{`"versions":["1.2.3","1.2.4"],"data`, `"versions":["1.2.3",1.2],"data`}, pointer: "/affected/0/versions/1"},
		{name: "database_specific an array", rule: "type", rules: o, bad: []string{`{"cwes":[{"cweId":"CWE-506"}]}`, `[]`}, pointer: "/affected/0/database_specific"},
		{name: "null where the schema has none", rule: "type", rules: o, bad: []string{`"credits":[{"name":"Acme","type":"FINDER","contact":["https://acme.example"]}]`, `"credits":null`}, pointer: "/credits",
			good: []string{`"summary"`, `"aliases":null,"severity":null,"summary"`}},
		{name: "reference type", rule: "enum", rules: o, bad: []string{`"type":"PACKAGE"`, `"type":"package"`}, pointer: "/references/1/type", good: []string{`"type":"PACKAGE"`, `"type":"DISCUSSION"`}},
		{name: "credit type", rule: "enum", rules: o, bad: []string{`"FINDER"`, `"AUTHOR"`}, pointer: "/credits/0/type", good: []string{`"FINDER"`, `"TOOL"`}},
		{name: "range type", rule: "enum", rules: o, bad: []string{versions, events("RUBY", `{"introduced":"0"}`)}, pointer: "/affected/0/ranges/0/type"},
		{name: "severity type", rule: "enum", rules: o, bad: []string{`"summary"`, `"severity":[{"type":"CVSS","score":"1"}],"summary"`}, pointer: "/severity/0/type"},
		{name: "a member in another case", rule: "unknown-member", rules: o, bad: []string{`"details"`, `"Details"`}, pointer: "/Details"},
		{name: "a name that needs escapes in a pointer (RFC 6901)", rule: "unknown-member", rules: o, bad: []string{`"details"`, `"a/b~c"`}, pointer: "/a~1b~0c"},
		{name: "nested, lenient", rule: "unknown-nested", rules: o, bad: []string{`"type":"FINDER"`, `"kind":"x"`}, pointer: "/credits/0/kind", good: []string{`{"cwes":`, `{"own":1,"cwes":`}},
		{name: "nested, strict", rule: "unknown-nested", rules: s, path: "MAL-2026-1.json", bad: []string{`"type":"FINDER"`, `"kind":"x"`}, pointer: "/credits/0/kind"},
		{name: "prefix", rule: "id-prefix", rules: o, bad: []string{`"id":"MAL-2026-1"`, `"id":"EVIL-2026-1"`}, pointer: "/id", good: []string{`"id":"MAL-2026-1"`, `"id":"GHSA-2222-3333-4444"`}},
		{name: "schema 2", rule: "schema-version", rules: o, bad: []string{`"1.7.5"`, `"2.0.0"`}, pointer: "/schema_version", good: []string{`"1.7.5"`, `"1.0.0"`}},
		{name: "schema 1.99", rule: "schema-version", rules: o, bad: []string{`"1.7.5"`, `"1.99.0"`}, pointer: "/schema_version"},
		{name: "not in UTC", rule: "timestamp", rules: o, bad: []string{`"2026-01-02T00:00:00Z"`, `"2026-01-02T00:00:00+01:00"`}, pointer: "/modified", good: []string{`"2026-01-02T00:00:00Z"`, `"2026-01-02T00:00:00.123456789Z"`}},
		{name: "a day that is none", rule: "timestamp", rules: o, bad: []string{`"2026-01-02T00:00:00Z"`, `"2026-02-30T00:00:00Z"`}, pointer: "/modified"},
		{name: "a date", rule: "timestamp", rules: o, bad: []string{`"2026-01-02T00:00:00Z"`, `"2026-01-02"`}, pointer: "/modified"},
		{name: "nine digits", rule: "time-fraction", rules: s, path: "MAL-2026-1.json", bad: []string{`"2026-01-02T00:00:00Z"`, `"2026-01-02T00:00:00.123456789Z"`}, pointer: "/modified",
			good: []string{`"2026-01-02T00:00:00Z"`, `"2026-01-02T00:00:00.123456Z"`}, goodPath: "MAL-2026-1.json"},
		{name: "modified before published", rule: "time-order", rules: o, bad: []string{`"published":"2026-01-01`, `"published":"2026-01-03`}, pointer: "/modified", good: []string{`"published":"2026-01-01`, `"published":"2026-01-02`}},
		{name: "withdrawn after modified", rule: "time-order", rules: o, bad: []string{`"summary"`, `"withdrawn":"2026-01-09T00:00:00Z","summary"`}, pointer: "/modified", good: []string{`"summary"`, `"withdrawn":"2026-01-02T00:00:00Z","summary"`}},
		{name: "33 alias of itself", rule: "alias-self", rules: o, bad: []string{`"summary"`, `"aliases":["GHSA-2222-3333-4444","MAL-2026-1"],"summary"`}, pointer: "/aliases/1", good: []string{`"summary"`, `"aliases":["GHSA-2222-3333-4444"],"summary"`}},
		{name: "32 javascript", rule: "reference-url", rules: o, bad: []string{`https://www.npmjs.com/package/evil-pkg`, `javascript:alert(1)`}, pointer: "/references/1/url"},
		{name: "32 user information", rule: "reference-url", rules: o, bad: []string{`https://www.npmjs.com/package/evil-pkg`, `https://u:p@x.example/`}, pointer: "/references/1/url"},
		{name: "relative", rule: "reference-url", rules: o, bad: []string{`https://www.npmjs.com/package/evil-pkg`, `/package/evil-pkg`}, pointer: "/references/1/url", good: []string{`https://www.npmjs.com/package/evil-pkg`, `http://x.example/%40a`}},
		{name: "severity at both places", rule: "severity-twice", rules: o, bad: []string{`"summary"`, `"severity":[],"summary"`, versions, `"severity":[],` + versions}, pointer: "/affected/0/severity",
			good: []string{versions, `"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],` + versions}},
		{name: "23 two packages", rule: "one-affected", rules: u, bad: []string{`"affected":[`, `"affected":[{"package":{"ecosystem":"npm","name":"other"},"versions":["1.0.0"]},`}, pointer: "/affected"},
		{name: "23 none", rule: "one-affected", rules: o, bad: []string{`"affected":[`, `"affected":[],"related":["A-1"],"upstream":[`, pkgNPM, `1`}, pointer: "/affected"},

		{name: "withdrawn before published", rule: "time-order", rules: o, bad: []string{`"summary"`, `"withdrawn":"2025-12-31T00:00:00Z","summary"`}, pointer: "/withdrawn"},
		{name: "no web page", rule: "reference-url", rules: o, bad: []string{`https://www.npmjs.com/package/evil-pkg`, `git://git.example/x`}, pointer: "/references/1/url"},
		{name: "a state that is not known", rule: "dispute", rules: o, bad: []string{`{"malicious`, `{"rapsheet":{"state":"doubtful"},"malicious`}, pointer: "/database_specific/rapsheet", good: []string{`{"malicious`, `{"rapsheet":{"campaign":"x"},"malicious`}},
		{name: "disputed since no time", rule: "dispute", rules: o, bad: []string{`{"malicious`, `{"rapsheet":{"state":"disputed","since":"May"},"malicious`}, pointer: "/database_specific/rapsheet/since"},
		{name: "a reason that is no text", rule: "dispute", rules: o, bad: []string{`{"malicious`, `{"rapsheet":{"state":"disputed","reason":[]},"malicious`}, pointer: "/database_specific/rapsheet/reason"},

		// Packages.
		{name: "24 wrong case", rule: "ecosystem", rules: o, bad: []string{pkgNPM, `{"ecosystem":"NPM","name":"evil-pkg"}`}, pointer: "/affected/0/package/ecosystem", good: []string{pkgNPM, `{"ecosystem":"Alpine:v3.20","name":"evil-pkg"}`}},
		{name: "24 a suffix of nothing", rule: "ecosystem", rules: o, bad: []string{pkgNPM, `{"ecosystem":"npm:","name":"evil-pkg"}`}, pointer: "/affected/0/package/ecosystem"},
		{name: "25 white space", rule: "name", rules: o, bad: []string{pkgNPM, `{"ecosystem":"npm","name":"evil pkg"}`}, pointer: "/affected/0/package/name"},
		{name: "87 an escape", rule: "name", rules: o, bad: []string{pkgNPM, `{"ecosystem":"npm","name":"evil\u001b[2J"}`}, pointer: "/affected/0/package/name", good: []string{pkgNPM, `{"ecosystem":"npm","name":"2Cаptcha"}`}},
		{name: "VSCode without publisher", rule: "name-shape", rules: o, bad: []string{pkgNPM, `{"ecosystem":"VSCode","name":"theme"}`}, pointer: "/affected/0/package/name", good: []string{pkgNPM, `{"ecosystem":"VSCode","name":"evil.theme"}`}},
		{name: "Maven with a slash", rule: "name-shape", rules: o, bad: []string{pkgNPM, `{"ecosystem":"Maven","name":"com.evil/lib"}`}, pointer: "/affected/0/package/name", good: []string{pkgNPM, `{"ecosystem":"Maven","name":"com.evil:lib"}`}},
		{name: "Packagist without vendor", rule: "name-shape", rules: o, bad: []string{pkgNPM, `{"ecosystem":"Packagist","name":"lib"}`}, pointer: "/affected/0/package/name", good: []string{pkgNPM, `{"ecosystem":"Packagist","name":"Evil/Lib"}`}},
		{name: "PEP 503", rule: "name-canonical", rules: o, bad: []string{pkgNPM, `{"ecosystem":"PyPI","name":"Evil_Pkg"}`}, pointer: "/affected/0/package/name", good: []string{pkgNPM, `{"ecosystem":"PyPI","name":"evil-pkg"}`}},
		{name: "the module proxy's escaping", rule: "name-canonical", rules: o, bad: []string{pkgNPM, `{"ecosystem":"Go","name":"github.com/!evil/mod"}`}, pointer: "/affected/0/package/name",
			good: []string{pkgNPM, `{"ecosystem":"Go","name":"github.com/Evil/mod"}`}},
		{name: "case is part of an npm name", rule: "name-canonical", rules: o, bad: []string{pkgNPM, `{"ecosystem":"PyPI","name":"a..b"}`}, pointer: "/affected/0/package/name", good: []string{pkgNPM, `{"ecosystem":"npm","name":"EvilStream"}`}},
		{name: "26 the purl has lost its scope", rule: "purl", rules: o, bad: []string{pkgNPM, `{"ecosystem":"npm","name":"@zettle-bo/react","purl":"pkg:npm/react"}`}, pointer: "/affected/0/package/purl",
			good: []string{pkgNPM, `{"ecosystem":"npm","name":"@zettle-bo/react","purl":"pkg:npm/%40zettle-bo/react"}`}},
		{name: "another ecosystem", rule: "purl", rules: o, bad: []string{`pkg:npm/evil-pkg`, `pkg:pypi/evil-pkg`}, pointer: "/affected/0/package/purl"},
		{name: "not a purl", rule: "purl", rules: o, bad: []string{`pkg:npm/evil-pkg`, `npm/evil-pkg`}, pointer: "/affected/0/package/purl"},
		{name: "a type without records", rule: "purl", rules: o, bad: []string{`pkg:npm/evil-pkg`, `pkg:deb/debian/evil-pkg`}, pointer: "/affected/0/package/purl"},
		{name: "no purl", rule: "purl-missing", rules: s, path: "MAL-2026-1.json", bad: []string{`,"purl":"pkg:npm/evil-pkg"`, ``}, pointer: "/affected/0/package/purl"},
		{name: "a purl with a version", rule: "purl-bare", rules: o, bad: []string{`pkg:npm/evil-pkg`, `pkg:npm/evil-pkg@1.2.3`}, pointer: "/affected/0/package/purl"},
		{name: "another spelling of the scope", rule: "purl-canonical", rules: s, path: "MAL-2026-1.json", bad: []string{pkgNPM, `{"ecosystem":"npm","name":"@a/b","purl":"pkg:npm/@a/b"}`}, pointer: "/affected/0/package/purl",
			good: []string{pkgNPM, `{"ecosystem":"npm","name":"@a/b","purl":"pkg:npm/%40a/b"}`}, goodPath: "MAL-2026-1.json"},

		// Versions and ranges.
		{name: "neither versions nor ranges", rule: "matches-nothing", rules: o, bad: []string{versions, rest}, pointer: "/affected/0", good: []string{versions, all}},
		{name: "all and some", rule: "wildcard-and-versions", rules: o, bad: []string{versions, `"versions":["1.2.3"],` + all}, pointer: "/affected/0/versions",
			good: []string{versions, `"versions":["1.2.3"],` + events("SEMVER", `{"introduced":"1.2.3"},{"fixed":"1.2.4"}`)}},
		{name: "29 not a version", rule: "version", rules: o, bad: []string{`"1.2.4"],"data`, `"latest"],"data`}, pointer: "/affected/0/versions/1"},
		{name: "an empty version", rule: "version", rules: o, bad: []string{`"1.2.4"],"data`, `""],"data`}, pointer: "/affected/0/versions/1"},
		{name: "the same version twice", rule: "version-twice", rules: o, bad: []string{`"1.2.4"],"data`, `"1.2.3"],"data`}, pointer: "/affected/0/versions/1"},
		{name: "PyPI has no SEMVER", rule: "range-semver", rules: o, bad: []string{pkgNPM, `{"ecosystem":"PyPI","name":"evil-pkg"}`, versions, all}, pointer: "/affected/0/ranges/0/type",
			good: []string{pkgNPM, `{"ecosystem":"PyPI","name":"evil-pkg"}`, versions, events("ECOSYSTEM", `{"introduced":"0"}`)}},
		{name: "28 two kinds in one event", rule: "event", rules: o, bad: []string{versions, events("SEMVER", `{"introduced":"1.0.0","fixed":"2.0.0"}`)}, pointer: "/affected/0/ranges/0/events/0",
			good: []string{versions, events("SEMVER", `{"introduced":"1.0.0"},{"fixed":"2.0.0"}`)}},
		{name: "an empty event", rule: "event", rules: o, bad: []string{versions, events("SEMVER", `{"introduced":"0"},{}`)}, pointer: "/affected/0/ranges/0/events/1"},
		{name: "an event of nothing", rule: "event", rules: o, bad: []string{versions, events("SEMVER", `{"introduced":""}`)}, pointer: "/affected/0/ranges/0/events/0/introduced"},
		{name: "28 nothing introduced it", rule: "events", rules: o, bad: []string{versions, events("SEMVER", `{"fixed":"2.0.0"}`)}, pointer: "/affected/0/ranges/0/events"},
		{name: "28 fixed and last affected", rule: "events", rules: o, bad: []string{versions, events("SEMVER", `{"introduced":"0"},{"fixed":"2.0.0"},{"last_affected":"3.0.0"}`)}, pointer: "/affected/0/ranges/0/events"},
		{name: "no events", rule: "events", rules: o, bad: []string{versions, events("SEMVER", ``)}, pointer: "/affected/0/ranges/0/events"},
		{name: "an event that is no version", rule: "event-version", rules: o, bad: []string{versions, events("SEMVER", `{"introduced":"0"},{"fixed":"soon"}`)}, pointer: "/affected/0/ranges/0/events/1/fixed",
			good: []string{versions, events("SEMVER", `{"introduced":"0"},{"limit":"*"}`)}},
		{name: "events descend", rule: "event-order", rules: o, bad: []string{versions, events("SEMVER", `{"introduced":"1.10.0"},{"fixed":"1.11.0"},{"introduced":"1.9.0"},{"fixed":"1.9.1"}`)}, pointer: "/affected/0/ranges/0/events/2",
			good: []string{versions, events("SEMVER", `{"introduced":"1.9.0"},{"fixed":"1.9.1"},{"introduced":"1.10.0"},{"fixed":"1.11.0"}`)}},
		{name: "nothing between", rule: "event-order", rules: o, bad: []string{versions, events("SEMVER", `{"introduced":"1.0.0"},{"fixed":"1.0.0"}`)}, pointer: "/affected/0/ranges/0/events/1",
			good: []string{versions, events("SEMVER", `{"introduced":"1.0.0"},{"last_affected":"1.0.0"}`)}},
		{name: "commits of nowhere", rule: "git-repo", rules: o, bad: []string{versions, events("GIT", `{"introduced":"0"}`)}, pointer: "/affected/0/ranges/0/repo",
			good: []string{versions, `"ranges":[{"type":"GIT","repo":"https://git.example/x","events":[{"introduced":"0"}]}],` + rest}},
		{name: "a short commit", rule: "git-commit", rules: u, bad: []string{versions, `"ranges":[{"type":"GIT","repo":"https://git.example/x","events":[{"introduced":"abc1234"}]}],` + rest}, pointer: "/affected/0/ranges/0/events/0/introduced",
			good: []string{versions, `"ranges":[{"type":"GIT","repo":"https://git.example/x","events":[{"introduced":"` + digest + `"}]}],` + rest}},
		{name: "disputed and not withdrawn", rule: "dispute", rules: s, path: "MAL-2026-1.json", bad: []string{`{"malicious`, `{"rapsheet":{"state":"disputed"},"malicious`}, pointer: "/database_specific/rapsheet/state",
			good: []string{`{"malicious`, `{"rapsheet":{"state":"disputed","since":"2026-01-02T00:00:00Z","reason":"r"},"malicious`, `"summary"`, `"withdrawn":"2026-01-02T00:00:00Z","summary"`}, goodPath: "MAL-2026-1.json"},
		{name: "28 fixed before introduced: refused by package osv", rule: "readable", rules: o, bad: []string{versions, events("SEMVER", `{"introduced":"2.0.0"},{"fixed":"1.0.0"}`)}, pointer: "/affected/0/ranges/0/events/1/fixed"},
		{name: "19 a path in an id: refused by package osv", rule: "readable", rules: o, bad: []string{`"id":"MAL-2026-1"`, `"id":"MAL-/../x"`}, pointer: "/id"},

		// Upstream.
		{name: "the file of another record", rule: "file-name", rules: u, bad: []string{`"id":"MAL-2026-1"`, `"id":"MAL-2026-2"`}, pointer: "/id"},
		{name: "no id and no draft", rule: "file-name", rules: u, path: "osv/malicious/npm/evil-pkg/evil.json", bad: []string{`"id":"MAL-2026-1",`, ``}},
		{name: "the wrong directory", rule: "path", rules: u, path: "osv/malicious/npm/other/MAL-2026-1.json", goodPath: "checkout/osv/malicious/npm/evil-pkg/MAL-2026-1.json"},
		{name: "names in lower case", rule: "path", rules: u, path: "osv/malicious/npm/EvilStream/MAL-2026-1.json", bad: []string{pkgNPM, `{"ecosystem":"npm","name":"EvilStream"}`},
			good: []string{pkgNPM, `{"ecosystem":"npm","name":"EvilStream"}`}, goodPath: "osv/malicious/npm/evilstream/MAL-2026-1.json"},
		{name: "35 a name that leaves the tree", rule: "path", rules: u, path: "osv/malicious/npm/x/MAL-2026-1.json", bad: []string{pkgNPM, `{"ecosystem":"npm","name":"../../x"}`}, pointer: "/affected/0/package/name",
			good: []string{pkgNPM, `{"ecosystem":"npm","name":"--no-audit"}`}, goodPath: "osv/malicious/npm/--no-audit/MAL-2026-1.json"},
		{name: "the historical directory of crates.io", rule: "path", rules: u, path: "osv/malicious/crates/evil/MAL-2026-1.json", bad: []string{pkgNPM, `{"ecosystem":"crates.io","name":"evil"}`},
			good: []string{pkgNPM, `{"ecosystem":"crates.io","name":"evil"}`}, goodPath: "osv/malicious/crates-io/evil/MAL-2026-1.json"},
		{name: "ecosystems in a path", rule: "path", rules: u, path: "osv/malicious/GitHub Actions/o/r/MAL-2026-1.json", bad: []string{pkgNPM, `{"ecosystem":"GitHub Actions","name":"o/r"}`},
			good: []string{pkgNPM, `{"ecosystem":"GitHub Actions","name":"o/r"}`}, goodPath: "osv/malicious/github-actions/o/r/MAL-2026-1.json"},
		{name: "registries in a path", rule: "path", rules: u, path: "osv/malicious/vscode:https:/open-vsx.org/a.b/MAL-2026-1.json", bad: []string{pkgNPM, `{"ecosystem":"VSCode:https://open-vsx.org","name":"a.b"}`},
			good: []string{pkgNPM, `{"ecosystem":"VSCode:https://open-vsx.org","name":"a.b"}`}, goodPath: "osv/malicious/vscode/a.b/MAL-2026-1.json"},
		{name: "withdrawn among the malicious", rule: "withdrawn-place", rules: u, bad: []string{`"summary"`, `"withdrawn":"2026-01-02T00:00:00Z","summary"`},
			good: []string{`"summary"`, `"withdrawn":"2026-01-02T00:00:00Z","summary"`}, goodPath: "osv/withdrawn/npm/evil-pkg/MAL-2026-1.json"},
		{name: "in force among the withdrawn", rule: "withdrawn-place", rules: u, path: "osv/withdrawn/npm/evil-pkg/MAL-2026-1.json"},
		{name: "an id of another database", rule: "upstream-id", rules: u, path: "GHSA-2222-3333-4444.json", bad: []string{`"id":"MAL-2026-1"`, `"id":"GHSA-2222-3333-4444"`}, pointer: "/id"},
		{name: "a draft with an id", rule: "draft-id", rules: u, path: "osv/malicious/npm/evil-pkg/MAL-0000-acme-1.json", pointer: "/id",
			good: []string{`"id":"MAL-2026-1",`, ``, `"summary":"Malicious code in evil-pkg (npm)",`, ``}, goodPath: "osv/malicious/npm/evil-pkg/MAL-0000-acme-1.json"},
		{name: "a draft with a summary", rule: "draft-summary", rules: u, path: "osv/malicious/npm/evil-pkg/MAL-0000-acme-1.json", bad: []string{`"id":"MAL-2026-1"`, `"id":""`}, pointer: "/summary"},
		{name: "a draft with details of sources", rule: "draft-details", rules: u, path: "osv/malicious/npm/evil-pkg/MAL-0000-acme-1.json",
			bad: []string{`"id":"MAL-2026-1",`, ``, `"summary":"Malicious code in evil-pkg (npm)",`, ``, `"Steals`, `"_-= Per source details. Do not edit below this line.=-_\nSteals`}, pointer: "/details",
			good: []string{`"Steals`, `"_-= Per source details. Do not edit below this line.=-_\nSteals`}},
		{name: "an ecosystem that is not taken", rule: "upstream-ecosystem", rules: u, path: "MAL-2026-1.json", bad: []string{pkgNPM, `{"ecosystem":"Pub","name":"evil"}`}, pointer: "/affected/0/package/ecosystem",
			good: []string{pkgNPM, `{"ecosystem":"Debian:12","name":"evil"}`}, goodPath: "MAL-2026-1.json"},
		{name: "VSCode's purl type of the specification", rule: "upstream-purl", rules: u, path: "MAL-2026-1.json", bad: []string{pkgNPM, `{"ecosystem":"VSCode","name":"a.b","purl":"pkg:vscode-extension/a/b"}`}, pointer: "/affected/0/package/purl",
			good: []string{pkgNPM, `{"ecosystem":"VSCode","name":"a.b","purl":"pkg:vscode/a/b"}`}, goodPath: "MAL-2026-1.json"},
		{name: "a purl that cannot be read", rule: "upstream-purl", rules: u, path: "MAL-2026-1.json", bad: []string{pkgNPM, `{"ecosystem":"npm","name":"a","purl":"npm/a"}`}, pointer: "/affected/0/package/purl"},
		{name: "a purl that loses case", rule: "upstream-purl", rules: u, path: "MAL-2026-1.json", bad: []string{pkgNPM, `{"ecosystem":"Go","name":"github.com/Evil/mod","purl":"pkg:golang/github.com/evil/mod"}`}, pointer: "/affected/0/package/purl",
			good: []string{pkgNPM, `{"ecosystem":"Go","name":"github.com/evil/mod","purl":"pkg:golang/github.com/evil/mod"}`}, goodPath: "MAL-2026-1.json"},
		{name: "two repositories", rule: "git-only", rules: u, path: "MAL-2026-1.json", pointer: "/affected/0/ranges/1/repo",
			bad:  []string{`"package":` + pkgNPM + `,`, ``, versions, `"ranges":[{"type":"GIT","repo":"https://git.example/x","events":[{"introduced":"0"}]},{"type":"GIT","repo":"https://git.example/y","events":[{"introduced":"0"}]}],` + rest},
			good: []string{`"package":` + pkgNPM + `,`, ``, versions, `"ranges":[{"type":"GIT","repo":"https://git.example/x","events":[{"introduced":"0"}]}],` + rest}, goodPath: "MAL-2026-1.json"},
		{name: "versions of no package", rule: "git-only", rules: u, path: "MAL-2026-1.json", bad: []string{`"package":` + pkgNPM + `,`, ``, versions, all}, pointer: "/affected/0/ranges/0/type"},
		{name: "neither package nor commits", rule: "git-only", rules: u, path: "MAL-2026-1.json", bad: []string{`"package":` + pkgNPM + `,`, ``}, pointer: "/affected/0"},
		{name: "a tag that moves", rule: "action", rules: u, path: "MAL-2026-1.json", bad: []string{pkgNPM, `{"ecosystem":"GitHub Actions","name":"o/r"}`, `"1.2.4"],"data`, `"v4"],"data`}, pointer: "/affected/0/versions/1",
			good: []string{pkgNPM, `{"ecosystem":"GitHub Actions","name":"o/r"}`, `"1.2.4"],"data`, `"v4.0.1"],"data`}, goodPath: "MAL-2026-1.json"},
		{name: "white space in a tag", rule: "action", rules: u, path: "MAL-2026-1.json", bad: []string{pkgNPM, `{"ecosystem":"GitHub Actions","name":"o/r"}`, `"1.2.4"],"data`, `"v4 .1"],"data`}, pointer: "/affected/0/versions/1"},
		{name: "a branch in a range", rule: "action", rules: u, path: "MAL-2026-1.json", bad: []string{pkgNPM, `{"ecosystem":"GitHub Actions","name":"o/r"}`, versions, events("ECOSYSTEM", `{"introduced":"0"},{"fixed":"Main"}`)}, pointer: "/affected/0/ranges/0/events/1/fixed"},
		{name: "an action's name", rule: "action", rules: u, path: "MAL-2026-1.json", bad: []string{pkgNPM, `{"ecosystem":"GitHub Actions","name":"o/r.git"}`}, pointer: "/affected/0/package/name",
			good: []string{pkgNPM, `{"ecosystem":"GitHub Actions","name":"o/r/sub/dir"}`}, goodPath: "MAL-2026-1.json"},
		{name: "ecosystem_specific", rule: "ecosystem-specific", rules: u, bad: []string{versions, `"ecosystem_specific":{"x":1},` + versions}, pointer: "/affected/0/ecosystem_specific", good: []string{versions, `"ecosystem_specific":{},` + versions}},
		{name: "our own member", rule: "database-specific", rules: u, bad: []string{`{"malicious`, `{"rapsheet":{},"malicious`}, pointer: "/database_specific"},
		{name: "a member of the package", rule: "database-specific", rules: u, bad: []string{`{"cwes"`, `{"digests":[],"cwes"`}, pointer: "/affected/0/database_specific", good: []string{`{"cwes"`, `{"indicators":{},"ghsa":{},"iocs":{},"cwes"`}},
		{name: "a source's name", rule: "origins", rules: u, bad: []string{`"source":"acme"`, `"source":"Acme Inc."`}, pointer: "/database_specific/malicious-packages-origins/0/source"},
		{name: "a digest", rule: "origins", rules: u, bad: []string{digest, "a002"}, pointer: "/database_specific/malicious-packages-origins/0/sha256"},
		{name: "a time", rule: "origins", rules: u, bad: []string{`"modified_time":"2026-01-01T00:00:00Z"`, `"modified_time":"now"`}, pointer: "/database_specific/malicious-packages-origins/0/modified_time", good: []string{`,"modified_time":"2026-01-01T00:00:00Z"`, ``}},
		{name: "not an array", rule: "origins", rules: u, bad: []string{`[` + origin + `]`, `{}`}, pointer: "/database_specific/malicious-packages-origins"},
		{name: "not an object", rule: "origins", rules: u, bad: []string{`[` + origin + `]`, `["acme"]`}, pointer: "/database_specific/malicious-packages-origins/0"},
		{name: "versions of an origin", rule: "origins", rules: u, bad: []string{`00Z","versions":["1.2.3","1.2.4"]}`, `00Z","versions":"1.2.3"}`}, pointer: "/database_specific/malicious-packages-origins/0/versions"},
		{name: "not an object", rule: "iocs", rules: u, bad: []string{`"iocs":{"domains":["evil.example"],"ips":["192.0.2.1","2001:db8::/32"],"urls":["https://evil.example/x"]}`, `"iocs":[]`}, pointer: "/database_specific/iocs"},
		{name: "domains a text", rule: "iocs", rules: u, bad: []string{`["evil.example"]`, `"evil.example"`}, pointer: "/database_specific/iocs/domains"},
		{name: "an address", rule: "iocs", rules: u, bad: []string{`"192.0.2.1"`, `"192.0.2.999"`}, pointer: "/database_specific/iocs/ips/0"},
		{name: "a kind of indicator", rule: "iocs", rules: u, bad: []string{`"domains"`, `"strings"`}, pointer: "/database_specific/iocs"},
		{name: "nobody says so", rule: "evidence", rules: u, bad: []string{`{"name":"Acme","type":"FINDER","contact":["https://acme.example"]}`, ``,
			`{"type":"ADVISORY","url":"https://catalog.example/MAL-2026-1"},{"type":"PACKAGE","url":"https://www.npmjs.com/package/evil-pkg"}`, ``},
			good: []string{`{"name":"Acme","type":"FINDER","contact":["https://acme.example"]}`, ``}},

		// Served.
		{name: "the prefix that clients know", rule: "served-id", rules: s, path: "GHSA-2222-3333-4444.json", bad: []string{`"id":"MAL-2026-1"`, `"id":"GHSA-2222-3333-4444"`}, pointer: "/id",
			good: []string{`"id":"MAL-2026-1"`, `"id":"MAL-0000-acme-000123"`}, goodPath: "npm/MAL-0000-acme-000123.json"},
		{name: "the name of a served file", rule: "file-name", rules: s, path: "npm/MAL-2026-2.json", pointer: "/id", goodPath: "npm/MAL-2026-1.json"},
		{name: "an old schema", rule: "served-schema", rules: s, path: "MAL-2026-1.json", bad: []string{`"1.7.5"`, `"1.5.0"`}, pointer: "/schema_version", good: []string{`"1.7.5"`, `"1.7.4"`}, goodPath: "MAL-2026-1.json"},
		{name: "published", rule: "published", rules: s, path: "MAL-2026-1.json", bad: []string{`"published":"2026-01-01T00:00:00Z",`, ``}, pointer: "/published"},
		{name: "121 characters", rule: "summary", rules: s, path: "MAL-2026-1.json", bad: []string{`Malicious code in evil-pkg (npm)`, strings.Repeat("é", 121)}, pointer: "/summary",
			good: []string{`Malicious code in evil-pkg (npm)`, strings.Repeat("é", 120)}, goodPath: "MAL-2026-1.json"},
		{name: "two lines", rule: "summary", rules: s, path: "MAL-2026-1.json", bad: []string{`Malicious code in`, `Malicious code\nin`}, pointer: "/summary"},
		{name: "no summary", rule: "summary", rules: s, path: "MAL-2026-1.json", bad: []string{`"summary":"Malicious code in evil-pkg (npm)",`, ``}, pointer: "/summary"},
		{name: "no page of ours", rule: "advisory", rules: s, path: "MAL-2026-1.json", bad: []string{`"ADVISORY"`, `"WEB"`}, pointer: "/references"},
		{name: "two pages", rule: "advisory", rules: s, path: "MAL-2026-1.json", bad: []string{`"PACKAGE"`, `"ADVISORY"`}, pointer: "/references"},
		{name: "an invented score", rule: "severity", rules: s, path: "MAL-2026-1.json", bad: []string{`"summary"`, `"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N"}],"summary"`}, pointer: "/severity", good: []string{`"summary"`, `"severity":[],"summary"`}, goodPath: "MAL-2026-1.json"},
		{name: "commits without a package", rule: "package", rules: s, path: "MAL-2026-1.json", pointer: "/affected/0/package",
			bad: []string{`"package":` + pkgNPM + `,`, ``, versions, `"ranges":[{"type":"GIT","repo":"https://git.example/x","events":[{"introduced":"0"}]}],` + rest}},
		{name: "Go by versions alone", rule: "go-ranges", rules: s, path: "MAL-2026-1.json", pointer: "/affected/0/ranges",
			bad:  []string{pkgNPM, `{"ecosystem":"Go","name":"evil.example/mod","purl":"pkg:golang/evil.example/mod"}`},
			good: []string{pkgNPM, `{"ecosystem":"Go","name":"evil.example/mod","purl":"pkg:golang/evil.example/mod"}`, versions, `"versions":["1.2.3"],` + events("SEMVER", `{"introduced":"1.2.3"},{"fixed":"1.2.4-0"}`)}, goodPath: "MAL-2026-1.json"},
	}
	tested := map[string]bool{"json": true, "limit": true, "id-twice": true, "package-twice": true, "alias-cycle": true}
	for _, tt := range tests {
		tested[tt.rule] = true
		t.Run(tt.rule+": "+tt.name, func(t *testing.T) {
			path := func(s string) string {
				if s == "" {
					return basePath
				}
				return s
			}
			got := lint.Document(path(tt.path), []byte(edit(t, tt.bad...)), tt.rules)
			if !slices.ContainsFunc(got, func(p lint.Problem) bool { return p.Rule == tt.rule && p.Pointer == tt.pointer }) {
				t.Errorf("no %s at %q: %q", tt.rule, tt.pointer, brief(got))
			}
			if tt.good == nil && tt.goodPath == "" {
				return
			}
			got = lint.Document(path(tt.goodPath), []byte(edit(t, tt.good...)), tt.rules)
			if slices.ContainsFunc(got, func(p lint.Problem) bool { return p.Rule == tt.rule }) {
				t.Errorf("the good one: %q", got)
			}
		})
	}
	for _, r := range lint.All() {
		if !tested[r.Name] {
			t.Errorf("no document breaks rule %s", r.Name)
		}
	}
}

// What is right is left alone, by every set of rules.
func TestGood(t *testing.T) {
	for _, rules := range []lint.Rules{lint.OSV, lint.Upstream, lint.Served} {
		for _, data := range []string{base, " \n" + base + "\n"} {
			if got := lint.Document(basePath, []byte(data), rules); len(got) != 0 {
				t.Errorf("%s: %q", rules, got)
			}
		}
	}
	// The canonical example of a new report and its place.
	draft := edit(t, `"id":"MAL-2026-1",`, ``, `"summary":"Malicious code in evil-pkg (npm)",`, ``, pkgNPM, `{"ecosystem":"npm","name":"@scope/bad","purl":"pkg:npm/%40scope/bad"}`)
	if got := lint.Document("osv/malicious/npm/@scope/bad/MAL-0000-acme.json", []byte(draft), lint.Upstream); len(got) != 0 {
		t.Errorf("draft: %q", got)
	}
	// A path that is not said is not held against a document.
	if got := lint.Document("", []byte(base), lint.Upstream); len(got) != 0 {
		t.Errorf("without a path: %q", got)
	}
}

// Documents that are none (bad-inputs.md, A).
func TestNotADocument(t *testing.T) {
	deep := func(n int) string {
		return strings.Replace(base, `"cwes"`, `"x":`+strings.Repeat("[", n)+strings.Repeat("]", n)+`,"cwes"`, 1)
	}
	for _, tt := range []struct {
		name, data, rule, message string
	}{
		{"1 empty", "", "json", "empty"},
		{"2 white space", " \n\t", "json", "empty"},
		{"3 null", "null", "json", "want one object, got null"},
		{"4 an array", "[" + base + "]", "json", "want one object, got an array"},
		{"6 two objects", base + base, "json", "behind the object"},
		{"6 garbage", base + "x", "json", ""},
		{"7 a name twice", strings.Replace(base, `{`, `{"id":"MAL-2026-1",`, 1), "json", "duplicate"},
		{"8 ID", strings.Replace(base, `"id"`, `"ID"`, 1), "unknown-member", `"ID"`},
		{"9 a Kelvin sign", strings.Replace(base, `"affected"`, `"affec\u212Aed"`, 1), "unknown-member", ""},
		{"10 invalid UTF-8", strings.Replace(base, "evil-pkg", "evil\xff", 1), "json", "UTF-8"},
		{"11 a lone surrogate", strings.Replace(base, "evil-pkg", `\ud800`, 1), "json", ""},
		{"12 NUL in a name", strings.Replace(base, `"name":"evil-pkg"`, `"name":"evil\u0000"`, 1), "name", "control"},
		{"13 a byte order mark", "\ufeff" + base, "json", "byte order mark"},
		{"14 UTF-16", "\xff\xfe{\x00", "json", "UTF-16"},
		{"15 depth 65", deep(61), "limit", "64"},
		{"15 depth a million", deep(1_000_000), "limit", "64"},
		{"18 millions of brackets", `{"id":[` + strings.Repeat("[],", 600_000) + `[]]}`, "limit", "500000"},
		{"larger than a record may be", `{"id":"` + strings.Repeat("x", 9<<20) + `"}`, "limit", "8388608"},
		{"half", base[:len(base)/2], "json", "cut off"},
		{"HTML", "<!DOCTYPE html>", "json", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := lint.Document(basePath, []byte(tt.data), lint.OSV)
			if len(got) == 0 || got[0].Rule != tt.rule || !strings.Contains(got[0].Message, tt.message) {
				t.Errorf("%q", got)
			}
		})
	}
	if got := lint.Document(basePath, []byte(deep(60)), lint.OSV); len(got) != 0 {
		t.Errorf("depth 64: %q", got)
	}
	t.Run("5 cut off anywhere", func(t *testing.T) {
		for n := range len(base) {
			if got := lint.Document(basePath, []byte(base[:n]), lint.OSV); len(got) != 1 || got[0].Rule != "json" {
				t.Fatalf("%d bytes: %q", n, got)
			}
		}
	})
}

// Problems are bounded, and each is one printable line, whatever the document holds.
func TestProblemsArePrintable(t *testing.T) {
	hostile := `\u001b]52;c;x\u0007\u202e\n::error::` + strings.Repeat("y", 2000)
	data := strings.ReplaceAll(base, "evil-pkg", hostile)
	data = strings.Replace(data, `{`, `{"`+hostile+`":1,`, 1)
	for _, p := range lint.Document("dir\x1b[2J/\n", []byte(data), lint.Upstream) {
		if s := p.String(); strings.ContainsAny(s, "\x1b\x07\n\u202e") || len(s) > 2000 || len(p.Pointer) > 1024 {
			t.Errorf("%+q", s)
		}
	}
	many := edit(t, versions, `"versions":[`+strings.Repeat(`"x",`, 500)+`"x"],`+rest)
	got := lint.Document(basePath, []byte(many), lint.OSV)
	if len(got) != 101 || !strings.Contains(got[100].Message, "more than 100") {
		t.Errorf("%d problems, %q", len(got), got[len(got)-1])
	}
}

func TestParseRules(t *testing.T) {
	for _, want := range []lint.Rules{lint.OSV, lint.Upstream, lint.Served} {
		if got, err := lint.ParseRules(want.String()); got != want || err != nil {
			t.Errorf("%s: %v, %v", want, got, err)
		}
	}
	for _, bad := range []string{"", "OSV", "all"} {
		if _, err := lint.ParseRules(bad); err == nil {
			t.Errorf("%q is a set of rules", bad)
		}
	}
}

// Rules are told apart by their names and say what to do.
func TestAll(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range lint.All() {
		if r.Name == "" || seen[r.Name] || r.Advice == "" || r.Source == "" || r.OSV == "" && r.Upstream == "" && r.Served == "" {
			t.Errorf("%+v", r)
		}
		seen[r.Name] = true
	}
}

// The list of ecosystems is the one that package osv reads by.
func TestEcosystems(t *testing.T) {
	for _, name := range []string{"npm", "Azure Linux", "TuxCare", "opam", "GIT", "Red Hat:9", "Homebrew", "vcpkg", "NPM", "Atari 2600"} {
		data := []byte(edit(t, pkgNPM, `{"ecosystem":"`+name+`","name":"x"}`))
		_, flags, err := osv.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		unknown := slices.ContainsFunc(flags, func(f osv.Flag) bool { return f.Kind == osv.FlagEcosystem })
		got := lint.Document("", data, lint.OSV)
		if slices.ContainsFunc(got, func(p lint.Problem) bool { return p.Rule == "ecosystem" }) != unknown {
			t.Errorf("%s: package osv says unknown %v, lint %q", name, unknown, brief(got))
		}
	}
}

func FuzzDocument(f *testing.F) {
	f.Add(basePath, []byte(base), 1)
	f.Add("osv/withdrawn/github-actions/o/r/MAL-0000-x.json", []byte(`{"affected":[{"package":{"ecosystem":"GitHub Actions","name":"o"},"versions":["v4",1,null],"ranges":[{"type":"GIT","events":[{"introduced":"0"},{}]}]}]}`), 2)
	f.Add("a/MAL-2026-1.json", []byte(`{"id":1,"modified":"2026","affected":[{"package":{"ecosystem":"Maven:https://x","name":"a:b","purl":"pkg:maven/a/b"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"2"},{"fixed":"1"}]}]}],"database_specific":{"rapsheet":[],"iocs":{"ips":[1]},"malicious-packages-origins":{}}}`), 3)
	f.Add("", []byte("\ufeff[]"), 0)
	f.Fuzz(func(t *testing.T, path string, data []byte, rules int) {
		r := lint.Rules(1 + uint(rules)%3)
		got := lint.Document(path, data, r)
		errors := 0
		for _, p := range got {
			if p.Rule == "" || p.Message == "" || p.Severity == "" || p.Advice == "" || p.Path != path || strings.ContainsAny(p.String(), "\x1b\n\r") {
				t.Errorf("%+v", p)
			}
			if p.Severity == lint.Error {
				errors++
			}
		}
		// What has no errors can be imported.
		if _, _, err := osv.ParseNamed(data, "MAL-0000-draft.json", osv.DefaultLimits()); err != nil && errors == 0 {
			t.Errorf("no error, and package osv says %v", err)
		}
		if again := lint.Document(path, data, r); !slices.Equal(got, again) {
			t.Errorf("another answer the second time: %q, %q", got, again)
		}
	})
}
