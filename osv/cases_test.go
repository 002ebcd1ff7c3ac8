package osv_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rapsheet/rapsheet/osv"
)

// now is the clock of the tests.
var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// with gives a valid record in which old is replaced by new.
func with(old, new string) string {
	const valid = `{"schema_version":"1.7.4","id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z","published":"2026-01-01T00:00:00Z",` +
		`"aliases":["GHSA-aaaa-bbbb-cccc"],"summary":"Malicious code in evil-pkg (npm)","details":"Steals.",` +
		`"affected":[{"package":{"ecosystem":"npm","name":"evil-pkg","purl":"pkg:npm/evil-pkg"},` +
		`"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],"versions":["1.2.3"]}],` +
		`"references":[{"type":"WEB","url":"https://example.org/"}],"database_specific":{"a":1}}`
	if !strings.Contains(valid, old) {
		panic("not in the record: " + old)
	}
	return strings.Replace(valid, old, new, 1)
}

func events(s string) string { return with(`[{"introduced":"0"}]`, s) }

// A row is one document of bad-inputs.md, section A, and what must come of it.
type row struct {
	name string
	doc  string
	// err is what the error must contain; "" means that the document is accepted.
	err string
	// flags are "kind pointer" of every flag, in any order.
	flags []string
	// check looks at the accepted record.
	check func(*testing.T, *osv.Record)
}

func utf16(s string, big bool) string {
	var b []byte
	for _, x := range []byte(s) {
		if big {
			b = append(b, 0, x)
		} else {
			b = append(b, x, 0)
		}
	}
	return string(b)
}

var rows = []row{
	{name: "accepted", doc: with("", "")},
	{name: "A01 empty", doc: "", err: "empty"},
	{name: "A02 white space", doc: " \r\n\t ", err: "empty"},
	{name: "A02 byte order mark only", doc: "\xef\xbb\xbf", err: "empty"},
	{name: "A03 null", doc: "null", err: "not an object"},
	{name: "A03 string", doc: `"x"`, err: "not an object"},
	{name: "A04 array", doc: "[" + with("", "") + "]", err: "one record per document"},
	{name: "A06 trailing garbage", doc: with("", "") + " x", err: "more data behind the record at byte"},
	{name: "A06 two objects", doc: with("", "") + "\n" + with("", ""), err: "more data behind the record"},
	{name: "A06 trailing NUL", doc: with("", "") + "\x00", err: "more data behind the record"},
	{name: "A06 HTML", doc: "<!DOCTYPE html><html>", err: "invalid character '<'"},
	{name: "A07 duplicate id", doc: with(`"id":"MAL-2026-1"`, `"id":"MAL-2026-1","id":"MAL-2026-2"`), err: `/id: duplicate member "id"`},
	{name: "A07 duplicate id, escaped", doc: with(`"id":"MAL-2026-1"`, `"id":"MAL-2026-1","\u0069d":"MAL-2026-2"`), err: `duplicate member "id"`},
	{name: "A07 duplicate name below", doc: with(`"name":"evil-pkg"`, `"name":"evil-pkg","name":"good"`), err: `/affected/0/package/name: duplicate member "name"`},
	{name: "A07 duplicate in a kept member", doc: with(`{"a":1}`, `{"a":[{"k":1,"k":2}]}`), err: `/database_specific/a/0/k: duplicate member "k"`},
	{name: "A07 duplicate unknown", doc: with(`"id"`, `"x":1,"x":2,"id"`), err: `/x: duplicate member "x"`},
	{name: "A08 ID", doc: with(`"id"`, `"ID"`), err: "id is missing"},
	{name: "A08 ID and id", doc: with(`"id"`, `"ID":"MAL-2026-2","id"`), flags: []string{"unknown /ID"}},
	{name: "A09 Kelvin sign", doc: with(`"package"`, "\"pac\u212aage\""), err: "/affected/0/package/ecosystem: missing"},
	{name: "A10 invalid UTF-8 in the name", doc: with(`"evil-pkg"`, "\"evil\xffpkg\""), err: `/affected/0/package/name: not valid UTF-8`},
	{name: "A10 invalid UTF-8 in the id", doc: with("MAL-2026-1", "MAL-2026-1\xc3"), err: "/id: not valid UTF-8"},
	{name: "A10 invalid UTF-8 in an alias", doc: with("GHSA-aaaa", "GHSA\xc0\x80"), err: "/aliases/0: not valid UTF-8"},
	{name: "A10 invalid UTF-8 in the ecosystem", doc: with(`"npm"`, "\"npm\x80\""), err: "/affected/0/package/ecosystem: not valid UTF-8"},
	{name: "A10 invalid UTF-8 in the purl", doc: with("pkg:npm", "pkg:\xfenpm"), err: "/affected/0/package/purl: not valid UTF-8"},
	{name: "A10 invalid UTF-8 in a version", doc: with("1.2.3", "1.\xff"), err: "/affected/0/versions/0: not valid UTF-8"},
	{name: "A10 invalid UTF-8 in an event", doc: with(`"introduced":"0"`, "\"introduced\":\"\xff\""), err: "/affected/0/ranges/0/events/0/introduced: not valid UTF-8"},
	{name: "A10 invalid UTF-8 in a member name", doc: with(`"details"`, "\"det\xffails\""), err: "a member name is not valid UTF-8"},
	{name: "A10 invalid UTF-8 in details", doc: with("Steals.", "St\xffeals\xe2\x82."), flags: []string{"replaced /details"},
		check: func(t *testing.T, r *osv.Record) {
			if r.Details != "St\uFFFDeals\uFFFD\uFFFD." {
				t.Errorf("details are %q", r.Details)
			}
		}},
	{name: "A10 invalid UTF-8 in a kept member", doc: with(`{"a":1}`, "{\"a\":\"\xff\"}"), flags: []string{"replaced /database_specific/a"},
		check: func(t *testing.T, r *osv.Record) {
			if string(r.DatabaseSpecific) != "{\"a\":\"\uFFFD\"}" {
				t.Errorf("database_specific is %q", r.DatabaseSpecific)
			}
		}},
	{name: "A11 lone surrogate in the name", doc: with(`"evil-pkg"`, `"evil\ud800pkg"`), err: "/affected/0/package/name: not valid UTF-8 or half a surrogate pair"},
	{name: "A11 lone surrogate in a version", doc: with(`1.2.3`, `1.2\udc00`), err: "/affected/0/versions/0: not valid UTF-8 or half a surrogate pair"},
	{name: "A11 lone surrogate in details", doc: with(`Steals.`, `Ste\ud800als.`), flags: []string{"replaced /details"}},
	{name: "A11 surrogate pair", doc: with(`Steals.`, `\ud83d\ude00`),
		check: func(t *testing.T, r *osv.Record) {
			if r.Details != "\U0001F600" {
				t.Errorf("details are %q", r.Details)
			}
		}},
	{name: "A12 NUL in the name", doc: with(`evil-pkg"`, `evil\u0000pkg"`), err: `/affected/0/package/name: a control character: "evil\x00pkg"`},
	{name: "A12 NUL in the id", doc: with(`MAL-2026-1`, `MAL-2026-1\u0000`), err: `/id: not an id`},
	{name: "A12 NUL in a version", doc: with(`1.2.3`, `\u0000`), err: `/affected/0/versions/0: a control character`},
	{name: "A12 escape character in an alias", doc: with(`GHSA-aaaa`, `\u001b[31m`), err: `/aliases/0: a control character: "\x1b[31m`},
	{name: "A12 NUL in details", doc: with(`Steals.`, `a\u0000b`), flags: []string{"replaced /details"}},
	{name: "A12 NUL in a kept member", doc: with(`{"a":1}`, `{"a":"\u0000"}`), flags: []string{"replaced /database_specific/a"}},
	{name: "A12 raw NUL", doc: with(`Steals.`, "a\x00b"), err: "/details: invalid character"},
	{name: "A13 byte order mark", doc: "\xef\xbb\xbf" + with("", ""), flags: []string{"dropped "}},
	{name: "A13 byte order mark inside", doc: with(`"id"`, "\xef\xbb\xbf\"id\""), err: "invalid character"},
	{name: "A14 UTF-16 LE", doc: utf16(with("", ""), false), err: "not UTF-8"},
	{name: "A14 UTF-16 BE", doc: utf16(with("", ""), true), err: "not UTF-8"},
	{name: "A14 UTF-16 LE with mark", doc: "\xff\xfe" + utf16(with("", ""), false), err: "not UTF-8"},
	{name: "A14 UTF-32 BE", doc: "\x00\x00\x00{", err: "not UTF-8"},
	// The record's braces and the member's bracket: 2 + 62 are 64 levels.
	{name: "A15 depth 64", doc: with(`{"a":1}`, `{"a":`+strings.Repeat("[", 62)+strings.Repeat("]", 62)+`}`)},
	{name: "A15 depth 65", doc: with(`{"a":1}`, `{"a":`+strings.Repeat("[", 63)+strings.Repeat("]", 63)+`}`), err: "nested deeper than the limit of 64 at byte"},
	{name: "A15 depth 10,001", doc: with(`"id"`, `"x":`+strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)+`,"id"`), err: "nested deeper than the limit of 64"},
	{name: "A15 depth 1e6", doc: with(`"id"`, `"x":`+strings.Repeat(`{"":`, 1_000_000)), err: "nested deeper than the limit of 64"},
	{name: "A17 number as id", doc: with(`"MAL-2026-1"`, "1e400"), err: "/id: want a string, got the number \"1e400\""},
	{name: "A17 number as version", doc: with(`["1.2.3"]`, `["1", -0]`), err: "/affected/0/versions/1: want a string, got the number \"-0\""},
	{name: "A17 number as schema version", doc: with(`"1.7.4"`, "1e-400"), err: "/schema_version: want a string"},
	{name: "A17 number as event", doc: events(`[{"introduced":0}]`), err: "/affected/0/ranges/0/events/0/introduced: want a string"},
	{name: "A17 number out of range in a kept member", doc: with(`{"a":1}`, `{"a":1e400}`),
		check: func(t *testing.T, r *osv.Record) {
			if string(r.DatabaseSpecific) != `{"a":1e400}` {
				t.Errorf("database_specific is %s", r.DatabaseSpecific)
			}
		}},
	{name: "A17 number that is none", doc: with(`{"a":1}`, `{"a":01}`), err: "invalid character"},
	{name: "A17 endless number", doc: with(`{"a":1}`, `{"a":1`+strings.Repeat("0", 70_000)+`}`), err: "longer than the limit of 1024"},
	{name: "A17 object as details", doc: with(`"Steals."`, "{}"), err: "/details: want a string, got an object"},
	{name: "A17 string as affected", doc: with(`{"package"`, `"npm",{"package"`), err: "/affected/0: want an object"},
	{name: "A17 object as aliases", doc: with(`["GHSA-aaaa-bbbb-cccc"]`, "{}"), err: "/aliases: want an array, got an object"},
	{name: "A17 array as database_specific", doc: with(`{"a":1}`, "[]"), err: "/database_specific: want an object"},
	{name: "A17 null as version", doc: with(`"1.2.3"`, "null"), err: "/affected/0/versions/0: want a string"},
	{name: "A17 null as aliases", doc: with(`["GHSA-aaaa-bbbb-cccc"]`, "null"), flags: []string{"dropped /aliases"}},
	{name: "A19 id missing", doc: with(`"id":"MAL-2026-1",`, ""), err: "/id: id is missing"},
	{name: "A19 id empty", doc: with(`MAL-2026-1`, ""), err: "/id: id is missing"},
	{name: "A19 id null", doc: with(`"MAL-2026-1"`, "null"), err: "/id: id is missing"},
	{name: "A19 id without prefix", doc: with("MAL-2026-1", "2026"), err: `/id: not an id such as MAL-2024-1: "2026"`},
	{name: "A19 id of 10 kB", doc: with("MAL-2026-1", "MAL-"+strings.Repeat("1", 10_000)), err: "/id: 10004 bytes are more than the limit of 1024: \"MAL-111111111111111111111111111111111111\"…"},
	{name: "A19 id of 201 bytes", doc: with("MAL-2026-1", "MAL-"+strings.Repeat("1", 197)), err: "/id: 201 bytes are more than the limit of 200"},
	{name: "A19 id with a path", doc: with("MAL-2026-1", "MAL-2026/../1"), err: "/id: not an id"},
	{name: "A19 id with dots", doc: with("MAL-2026-1", "MAL-2026..1"), err: "/id: not an id"},
	{name: "A19 id with a backslash", doc: with("MAL-2026-1", `MAL-2026\\1`), err: "/id: not an id"},
	{name: "A19 id with a newline", doc: with("MAL-2026-1", `MAL-2026-1\n`), err: `/id: not an id such as MAL-2024-1: "MAL-2026-1\n"`},
	{name: "A19 id with a look-alike", doc: with("MAL-2026-1", "M\u0410L-2026-1"), err: "/id: not an id"},
	{name: "A23 affected empty", doc: `{"id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z","affected":[]}`, flags: []string{"odd /affected"}},
	{name: "A23 affected missing", doc: `{"id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z"}`, flags: []string{"odd /affected"}},
	{name: "A23 affected null", doc: `{"id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z","affected":null}`, flags: []string{"dropped /affected", "odd /affected"}},
	{name: "A23 two affected", doc: with(`"affected":[`, `"affected":[{"package":{"ecosystem":"npm","name":"b"},"versions":["1"]},`), flags: []string{"odd /affected"}},
	{name: "A23 neither versions nor ranges", doc: `{"id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"b"}}]}`, flags: []string{"odd /affected/0"}},
	{name: "A24 unknown ecosystem", doc: with(`"npm"`, `"Homebrew"`), flags: []string{"ecosystem /affected/0/package/ecosystem"}},
	{name: "A24 wrong case", doc: with(`"npm"`, `"NPM"`), flags: []string{"ecosystem /affected/0/package/ecosystem"}},
	{name: "A24 suffix", doc: with(`"npm"`, `"npm:foo"`)},
	{name: "A24 ecosystem empty", doc: with(`"npm"`, `""`), err: "/affected/0/package/ecosystem: missing or empty"},
	{name: "A25 name empty", doc: with(`"evil-pkg"`, `""`), err: "/affected/0/package/name: missing or empty"},
	{name: "A25 name missing", doc: with(`"name":"evil-pkg",`, ``), err: "/affected/0/package/name: missing or empty"},
	{name: "A25 name of spaces", doc: with(`"evil-pkg"`, `"  "`), err: "/affected/0/package/name: white space in a name"},
	{name: "A25 leading space", doc: with(`"evil-pkg"`, `" evil"`), err: "/affected/0/package/name: white space in a name: \" evil\""},
	{name: "A25 trailing no-break space", doc: with(`"evil-pkg"`, `"evil\u00a0"`), err: "/affected/0/package/name: white space in a name"},
	{name: "A25 newline", doc: with(`"evil-pkg"`, `"evil\npkg"`), err: `/affected/0/package/name: a control character: "evil\npkg"`},
	{name: "A25 name of 10 kB", doc: with(`"evil-pkg"`, `"`+strings.Repeat("a", 10_000)+`"`), err: "/affected/0/package/name: 10000 bytes are more than the limit of 1024"},
	{name: "A25 name of 1 MB", doc: with(`"evil-pkg"`, `"`+strings.Repeat("a", 1_000_000)+`"`), err: "/affected/0/package/name: 1000000 bytes are more than the limit of 1024"},
	{name: "A25 name of 1 KiB", doc: with(`"evil-pkg"`, `"`+strings.Repeat("a", 1024)+`"`)},
	{name: "A25 right-to-left override", doc: with(`"evil-pkg"`, `"evil\u202egkp"`), flags: []string{"odd /affected/0/package/name"}},
	{name: "A28 no introduced", doc: events(`[{"fixed":"1.0.0"}]`), err: "/affected/0/ranges/0/events: no event says what introduced it"},
	{name: "A28 no events", doc: events(`[]`), err: "no event says what introduced it"},
	{name: "A28 events missing", doc: with(`,"events":[{"introduced":"0"}]`, ``), err: "no event says what introduced it"},
	{name: "A28 fixed before introduced", doc: events(`[{"introduced":"2.0.0"},{"fixed":"1.10.0"}]`), err: `/affected/0/ranges/0/events/1/fixed: "1.10.0" is before introduced "2.0.0"`},
	{name: "A28 fixed before introduced, pre-release", doc: events(`[{"introduced":"2.0.0"},{"fixed":"2.0.0-rc.1"}]`), err: "is before introduced"},
	{name: "A28 last_affected before introduced", doc: with(`"SEMVER","events":[{"introduced":"0"}]`, `"ECOSYSTEM","events":[{"introduced":"10"},{"last_affected":"9.1"}]`), err: "/affected/0/ranges/0/events/1/last_affected: \"9.1\" is before introduced \"10\""},
	{name: "A28 fixed after introduced", doc: events(`[{"introduced":"1.9.0"},{"fixed":"1.10.0"}]`)},
	{name: "A28 events out of order", doc: events(`[{"introduced":"3.0.0"},{"fixed":"1.0.0"},{"introduced":"0"}]`)},
	{name: "A28 order unknown here", doc: with(`"SEMVER","events":[{"introduced":"0"}]`, `"ECOSYSTEM","events":[{"introduced":"1.0"},{"fixed":"1.0a1"}]`)},
	{name: "A28 fixed and last_affected", doc: events(`[{"introduced":"0"},{"fixed":"1.0.0"},{"last_affected":"0.9.0"}]`), err: "/affected/0/ranges/0/events: fixed and last_affected exclude each other"},
	{name: "A28 event with two members", doc: events(`[{"introduced":"0","fixed":"1.0.0"}]`), err: "/affected/0/ranges/0/events/0: want exactly one of introduced, fixed, last_affected and limit, got 2"},
	{name: "A28 event with two members, one empty", doc: events(`[{"introduced":"0","fixed":""}]`), err: "/affected/0/ranges/0/events/0: want exactly one of"},
	{name: "A28 event with none", doc: events(`[{"introduced":"0"},{}]`), err: "/affected/0/ranges/0/events/1: want exactly one of"},
	{name: "A28 event with an empty version", doc: events(`[{"introduced":"0"},{"limit":""}]`), err: "/affected/0/ranges/0/events/1: an empty version"},
	{name: "A28 range without type", doc: with(`"type":"SEMVER",`, ""), err: "/affected/0/ranges/0/type: missing"},
	{name: "A28 range of commits without repository", doc: with(`"SEMVER"`, `"GIT"`), err: "/affected/0/ranges/0/repo: missing"},
	{name: "A28 range of commits without package", doc: with(`"package":{"ecosystem":"npm","name":"evil-pkg","purl":"pkg:npm/evil-pkg"},"ranges":[{"type":"SEMVER"`, `"ranges":[{"type":"GIT","repo":"https://example.org/x"`)},
	{name: "A28 unknown type", doc: with(`"SEMVER"`, `"CALVER"`), flags: []string{"unknown /affected/0/ranges/0/type"}},
	{name: "A29 unparsable version", doc: with(`["1.2.3"]`, `["not a version!","1.2.3.4.5-x","latest"]`)},
	{name: "A29 version with a space at its end", doc: with(`"1.2.3"`, `"1.2.3 "`), flags: []string{"odd /affected/0/versions/0"}},
	{name: "A29 empty version", doc: with(`"1.2.3"`, `""`), err: "/affected/0/versions/0: an empty version"},
	{name: "A30 100,000 versions", doc: with(`"1.2.3"`, strings.Repeat(`"1",`, 99_999)+`"2"`)},
	{name: "A30 100,001 versions", doc: with(`"1.2.3"`, strings.Repeat(`"1",`, 100_000)+`"2"`), err: `/affected/0/versions/100000: more than the limit of 100000 entries: "2"`},
	{name: "A30 100,001 references", doc: with(`"references":[`, `"references":[`+strings.Repeat(`{},`, 100_001)), err: "more than the limit of 100000 objects"},
	{name: "A31 year 0000", doc: with("2026-01-02T00:00:00Z", "0000-01-02T00:00:00Z"), err: "/modified: the year is not between"},
	{name: "A31 year 9999", doc: with("2026-01-02T00:00:00Z", "9999-12-31T23:59:59Z"), err: "/modified: the year is not between"},
	{name: "A31 year 10000", doc: with("2026-01-02T00:00:00Z", "10000-01-01T00:00:00Z"), err: "/modified: timestamp"},
	{name: "A31 future", doc: with("2026-01-02T00:00:00Z", "2026-06-03T00:00:00Z"), flags: []string{"time /modified"}},
	{name: "A31 a clock ahead", doc: with("2026-01-02T00:00:00Z", "2026-06-01T23:00:00Z")},
	{name: "A31 not UTC", doc: with("2026-01-02T00:00:00Z", "2026-01-02T02:00:00+02:00"), flags: []string{"time /modified"},
		check: func(t *testing.T, r *osv.Record) {
			got, err := r.Modified.Time()
			if want := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC); err != nil || !got.Equal(want) || got.Location() != time.UTC {
				t.Errorf("got %v, %v; want %v", got, err, want)
			}
		}},
	{name: "A31 date only", doc: with("2026-01-02T00:00:00Z", "2026-01-02"), err: `/modified: timestamp "2026-01-02" is not RFC 3339`},
	{name: "A31 one-digit hour", doc: with("2026-01-02T00:00:00Z", "2026-01-02T1:00:00Z"), err: "is not RFC 3339"},
	{name: "A31 30 February", doc: with("2026-01-02T00:00:00Z", "2026-02-30T00:00:00Z"), err: "is not RFC 3339"},
	{name: "A31 nanoseconds", doc: with("2026-01-02T00:00:00Z", "2026-01-02T00:00:00.123456789Z")},
	{name: "A31 modified missing", doc: with(`"modified":"2026-01-02T00:00:00Z",`, ""), flags: []string{"time /modified"}},
	{name: "A31 withdrawn before published", doc: with(`"published"`, `"withdrawn":"2025-01-01T00:00:00Z","published"`), flags: []string{"time /withdrawn"},
		check: func(t *testing.T, r *osv.Record) {
			if !r.IsWithdrawn() {
				t.Error("not withdrawn")
			}
		}},
	{name: "A31 withdrawn empty", doc: with(`"published"`, `"withdrawn":"","published"`),
		check: func(t *testing.T, r *osv.Record) {
			if r.IsWithdrawn() {
				t.Error("withdrawn")
			}
		}},
	{name: "A32 references", doc: with(`{"type":"WEB","url":"https://example.org/"}`, `{"type":"WEB","url":"javascript:alert(1)"},{"type":"X","url":"file:///etc/passwd"},`+
		`{"type":"WEB","url":"https://user:pass@example.org/"},{"type":"WEB","url":"https://example.org/`+strings.Repeat("a", 8192)+`"}`),
		check: func(t *testing.T, r *osv.Record) {
			if len(r.References) != 4 || r.References[0].URL != "javascript:alert(1)" || len(r.References[3].URL) != 20+8192 {
				t.Errorf("references are %.200v", r.References)
			}
		}},
	{name: "A33 alias of itself", doc: with("GHSA-aaaa-bbbb-cccc", "MAL-2026-1"), flags: []string{"odd /aliases/0"}},
	{name: "A34 schema version 99", doc: with(`"1.7.4"`, `"99.0.0"`), flags: []string{"unknown /schema_version"},
		check: func(t *testing.T, r *osv.Record) {
			if r.Affected[0].Package.Name != "evil-pkg" {
				t.Error("known fields are gone")
			}
		}},
	{name: "A34 schema version 1.8", doc: with(`"1.7.4"`, `"1.8.0"`), flags: []string{"unknown /schema_version"}},
	{name: "A34 schema version 1.10", doc: with(`"1.7.4"`, `"1.10.0"`), flags: []string{"unknown /schema_version"}},
	{name: "A34 schema version none", doc: with(`"1.7.4"`, `"latest"`), flags: []string{"unknown /schema_version"}},
}

// hygienic holds an error or flag against invariant I2: one printable line of bounded length.
func hygienic(t *testing.T, s string) {
	t.Helper()
	if len(s) > 1200 || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("not one short printable line: %.300q", s)
	}
}

func TestCases(t *testing.T) {
	lim := osv.Limits{Now: now}
	for _, c := range rows {
		t.Run(c.name, func(t *testing.T) {
			r, flags, err := osv.Read(strings.NewReader(c.doc), lim)
			if c.err != "" {
				if err == nil {
					t.Fatal("accepted")
				}
				if r != nil {
					t.Error("part of a record beside an error")
				}
				if !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %q does not say %q", err, c.err)
				}
				var p osv.Problems
				if !errors.As(err, &p) || len(p) == 0 {
					t.Errorf("%T is not Problems", err)
				}
				hygienic(t, err.Error())
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range flags {
				got = append(got, string(f.Kind)+" "+f.Pointer)
				hygienic(t, f.String())
			}
			if fmt.Sprint(got) != fmt.Sprint(c.flags) {
				t.Errorf("flags %q, want %q", got, c.flags)
			}
			if err := r.Validate(); err != nil {
				t.Errorf("read and then invalid: %v", err)
			}
			if c.check != nil {
				c.check(t, r)
			}
			out, err := r.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if lossless := !strings.Contains(fmt.Sprint(c.flags), "replaced") && !strings.Contains(fmt.Sprint(c.flags), "dropped"); lossless && canonical(t, out) != canonical(t, []byte(c.doc)) {
				t.Errorf("not the same value: %.300s", out)
			}
		})
	}
}

// Both ways must agree on every case: the short way is only faster.
func TestCasesLongWay(t *testing.T) {
	for _, c := range rows {
		if len(c.doc) > 64<<10 {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			r1, f1, err1 := osv.Read(strings.NewReader(c.doc), osv.Limits{Now: now})
			// White space behind the record makes the document too large for the short way.
			r2, f2, err2 := osv.Read(strings.NewReader(c.doc+strings.Repeat(" ", 70_000)), osv.Limits{Now: now})
			if (err1 == nil) != (err2 == nil) {
				t.Fatalf("errors %v / %v", err1, err2)
			}
			if err1 != nil {
				return
			}
			if fmt.Sprint(f1) != fmt.Sprint(f2) {
				t.Errorf("flags %v / %v", f1, f2)
			}
			b1, err1 := r1.Marshal()
			b2, err2 := r2.Marshal()
			if err1 != nil || err2 != nil || canonical(t, b1) != canonical(t, b2) {
				t.Errorf("records differ: %v, %v:\n%s\n%s", err1, err2, b1, b2)
			}
		})
	}
}

func TestTruncated(t *testing.T) {
	for _, doc := range []string{with("", ""), everyLevel, with("", "") + "\n"} {
		end := strings.LastIndexByte(doc, '}')
		for n := 0; n <= end; n++ {
			if r, _, err := osv.Parse([]byte(doc[:n])); err == nil || r != nil {
				t.Fatalf("A05 accepted the first %d of %d bytes", n, len(doc))
			} else {
				hygienic(t, err.Error())
			}
		}
	}
	_, _, err := osv.Parse([]byte(with("", "")[:100]))
	if want := "truncated: the document ends after 100 bytes"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestReadNamed(t *testing.T) {
	empty := with("MAL-2026-1", "")
	none := with(`"id":"MAL-2026-1",`, "")
	for _, c := range []struct {
		name, doc, id string
		flagged       bool
	}{
		{"MAL-0000-acme-000123.json", empty, "MAL-0000-acme-000123", true},
		{"osv/malicious/npm/evil/MAL-0000-ghsa-malware-7ab70491510a9c98.json", none, "MAL-0000-ghsa-malware-7ab70491510a9c98", true},
		{"MAL-2026-1.json", with("", ""), "MAL-2026-1", false},
		{"MAL-2026-2.json", with("", ""), "MAL-2026-1", true},
		{"MAL-0000-x.json", with("", ""), "MAL-2026-1", true},
		{"package.json", with("", ""), "MAL-2026-1", false},
		{"", with("", ""), "MAL-2026-1", false},
		{"MAL-2026-1.json", empty, "", false},
		{"GHSA-0000-x.json", empty, "", false},
		{"MAL-0000-.json", empty, "MAL-0000-", true},
		{"MAL-0000-a..b.json", empty, "", false},
		{"MAL-0000-a\x1b.json", empty, "", false},
		{"MAL-0000-x", empty, "", false},
		{"", empty, "", false},
	} {
		r, flags, err := osv.ReadNamed(strings.NewReader(c.doc), c.name, osv.Limits{Now: now})
		if c.id == "" {
			if err == nil || !strings.Contains(err.Error(), "id is missing") {
				t.Errorf("%q: error %v, want that the id is missing", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.name, err)
			continue
		}
		if r.ID != c.id || c.flagged != (len(flags) == 1 && flags[0].Kind == osv.FlagNamed) {
			t.Errorf("%q: id %q, flags %v", c.name, r.ID, flags)
		}
	}
}

func TestRealIDs(t *testing.T) {
	// From the databases listed under "id, modified fields" of the schema.
	for _, id := range []string{
		"MAL-2024-1", "GHSA-rv2q-8j8h-77ch", "MAL-0000-acme-000123", "RUSTSEC-2022-0042", "GO-2022-0123", "PYSEC-2022-43",
		"CVE-2021-44228", "A-20000000", "RHSA-2022:0001", "openSUSE-SU-2019:0003-1", "DSA-1234-1", "OSV-2020-111", "BIT-apache-2020-1",
		"ASB-A-12345", "DRUPAL-CORE-2024-001", "V8-x", "x_acme-1", "x_acme",
	} {
		r := osv.Record{ID: id}
		if err := r.Validate(); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	for _, id := range []string{"", "-1", "MAL-", "MAL", "mal_1", "1-2", "MAL-2024-1.", "MAL- 1", "x_", "CON", "a.b-1", "MAL--1", "MAL-2024-1/", "MAL-%2e"} {
		r := osv.Record{ID: id}
		if err := r.Validate(); err == nil {
			t.Errorf("%q is an id", id)
		}
	}
}

// A stream is a document that is not in memory: parts, one of them repeated.
func stream(before, part string, size int, after string) io.Reader {
	return io.MultiReader(strings.NewReader(before), io.LimitReader(&repeat{s: strings.Repeat(part, 4096)}, int64(size/len(part)*len(part))), strings.NewReader(after))
}

type repeat struct {
	s  string
	at int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		k := copy(p[n:], r.s[r.at:])
		n += k
		r.at = (r.at + k) % len(r.s)
	}
	return n, nil
}

// allocated gives how much f allocates in total: an upper bound of what it keeps.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("about size and memory")
	}
	before, after, _ := strings.Cut(with("Steals.", "\x00"), "\x00")
	inside := func(member string) string { return strings.Replace(with(`"id"`, "\x00"), "\x00", member, 1) }
	head := func(s string) string { b, _, _ := strings.Cut(s, "\x01"); return b }
	tail := func(s string) string { _, a, _ := strings.Cut(s, "\x01"); return a }
	unknown := inside("\"x\":\x01,\"id\"")
	const mib = 1 << 20
	for _, c := range []struct {
		name  string
		r     func() io.Reader
		err   string
		flag  string
		alloc uint64 // bytes
	}{
		{"A16 64 MiB of details", func() io.Reader { return stream(before, "a", 64*mib, after) }, "", "cut /details", 4 * mib},
		{"A16 64 MiB of escapes", func() io.Reader { return stream(before, `\n\u00e9\ud83d\ude00`, 64*mib, after) }, "", "cut /details", 4 * mib},
		{"A16 64 MiB of letters of three bytes", func() io.Reader { return stream(before, "€", 64*mib, after) }, "", "cut /details", 4 * mib},
		{"A16 64 MiB of half surrogate pairs", func() io.Reader { return stream(before, `\ud800`, 64*mib, after) }, "", "cut /details", 4 * mib},
		{"A16 64 MiB of no UTF-8", func() io.Reader { return stream(before, "\x80", 64*mib, after) }, "", "cut /details", 4 * mib},
		{"A16 64 MiB of name", func() io.Reader {
			return stream(head(with("evil-pkg\"", "\x01\"")), "a", 64*mib, tail(with("evil-pkg\"", "\x01\"")))
		}, "67108864 bytes are more than the limit of 1024", "", 4 * mib},
		{"A16 64 MiB of a member name", func() io.Reader {
			return stream(head(with("details", "\x01")), "a", 64*mib, tail(with("details", "\x01")))
		}, "a member name is longer than the limit", "", 4 * mib},
		{"A16 a string without an end", func() io.Reader { return stream(before, "a", 100*mib, "") }, "larger than the limit of 83886080 bytes of input", "", 4 * mib},
		{"A16 64 MiB of white space", func() io.Reader { return stream(head(unknown), " ", 64*mib, "1"+tail(unknown)) }, "", "unknown /x", 4 * mib},
		{"A18 20 MB of arrays in an unknown member", func() io.Reader { return stream(head(unknown)+"[", "[[],[[]]],", 20_000_000, "[]]"+tail(unknown)) }, "", "dropped /x", 8 * mib},
		{"A18 20 MB of arrays in database_specific", func() io.Reader {
			s := with(`{"a":1}`, "{\"a\":\x01}")
			return stream(head(s)+"[", "[[],[[]]],", 20_000_000, "[]]"+tail(s))
		}, "", "dropped /database_specific", 8 * mib},
		{"A18 20 MB of numbers", func() io.Reader { return stream(head(unknown)+"[", "1234567,", 20_000_000, "1]"+tail(unknown)) }, "", "dropped /x", 8 * mib},
		{"A18 20 MB of members", func() io.Reader { return stream(head(unknown)+"{", `"k":{"":1},`, 20_000_000, `"e":1}`+tail(unknown)) }, "", "dropped /x", 8 * mib},
		{"A18 invalid JSON in what is left out", func() io.Reader { return stream(head(unknown)+"[", "[],", 20_000_000, "]}"+tail(unknown)) }, "invalid character", "", 8 * mib},
		{"A18 too many unknown members", func() io.Reader {
			return stream(head(with(`{"a":1}`, "{\"a\":1},\"x\":[\x01]")), `0,`, 900_000, `0`+tail(with(`{"a":1}`, "{\"a\":1},\"x\":[\x01]")))
		}, "", "unknown /x", 8 * mib},
		{"A30 document of 9 MiB", func() io.Reader {
			s := with(`"references":[`, "\"references\":[\x01")
			return stream(head(s), `{"url":"`+strings.Repeat("a", 1000)+`"},`, 9*mib, tail(s))
		}, "the document is larger than the limit of 8388608 bytes", "", 32 * mib},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r *osv.Record
			var flags []osv.Flag
			var err error
			start := time.Now()
			alloc := allocated(func() { r, flags, err = osv.Read(c.r(), osv.Limits{Now: now, Input: 80 * mib}) })
			t.Logf("%d KiB allocated, %v", alloc>>10, time.Since(start))
			if alloc > c.alloc {
				t.Errorf("%d bytes allocated, want at most %d", alloc, c.alloc)
			}
			if c.err != "" {
				if err == nil || r != nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				hygienic(t, err.Error())
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range flags {
				got = append(got, string(f.Kind)+" "+f.Pointer)
			}
			if !strings.Contains(strings.Join(got, ","), c.flag) {
				t.Errorf("flags %q, want %q", got, c.flag)
			}
			if a := r.Affected[0]; a.Package.Name != "evil-pkg" || len(a.Versions) != 1 || r.ID != "MAL-2026-1" {
				t.Errorf("the rest of the record is not whole: %+v", r)
			}
			if strings.HasPrefix(c.flag, "cut") {
				if n := len(r.Details); n > 64<<10 || n < 64<<10-40 || !strings.HasSuffix(r.Details, osv.ClipMarker) || !utf8.ValidString(r.Details) {
					t.Errorf("details have %d bytes and end in %q", n, r.Details[n-20:])
				}
			}
		})
	}
}

// A text is cut at the limit and not before, between characters.
func TestClipBoundary(t *testing.T) {
	for _, part := range []string{"a", "é", "€", "😀", `\n`, `\u00e9`, `\u20ac`, `\ud83d\ude00`, `\"`} {
		for n := 60; n <= 70; n++ {
			// The pad moves the boundaries; the document is too large for the short way.
			text := strings.Repeat("x", n%4) + strings.Repeat(part, n)
			doc := with("Steals.", text)
			whole, _, err := osv.Parse([]byte(doc))
			if err != nil {
				t.Fatal(err)
			}
			r, flags, err := osv.Read(strings.NewReader(doc), osv.Limits{Now: now, Text: 64, Identifier: 64})
			if err != nil {
				t.Fatal(err)
			}
			want := whole.Details
			if len(want) > 64 {
				if len(flags) != 1 || flags[0].Kind != osv.FlagCut {
					t.Fatalf("%q: flags %v", text, flags)
				}
				kept, ok := strings.CutSuffix(r.Details, osv.ClipMarker)
				if !ok || !strings.HasPrefix(want, kept) || len(r.Details) > 64 || len(r.Details) < 64-8 || !utf8.ValidString(kept) {
					t.Errorf("%q: cut to %q", text, r.Details)
				}
			} else if r.Details != want || len(flags) != 0 {
				t.Errorf("%q: %q, flags %v", text, r.Details, flags)
			}
		}
	}
}

// An error of the source is not taken for a fault of the document.
func TestReadError(t *testing.T) {
	broken := errors.New("broken pipe")
	for _, size := range []int{0, 10, 100_000} {
		doc := (with("Steals.", strings.Repeat("a", 100_000)))[:size]
		_, _, err := osv.Read(io.MultiReader(strings.NewReader(doc), failing{broken}), osv.Limits{})
		var p osv.Problems
		if !errors.Is(err, broken) || errors.As(err, &p) {
			t.Errorf("after %d bytes: %v", size, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Positions are those of the document, also behind what was cut.
func TestOffset(t *testing.T) {
	doc := []byte(with(`"Steals."`, `"`+strings.Repeat("a", 100_000)+`",`+strings.Repeat(" ", 5000)))
	at := bytes.Index(doc, []byte(strings.Repeat(" ", 5000))) + 5000
	// Two commas in a row: the second is where the fault is.
	if doc[at] != ',' {
		t.Fatal("the test is wrong")
	}
	_, _, err := osv.Parse(doc)
	if want := fmt.Sprintf("at byte %d", at); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestMalicious(t *testing.T) {
	for _, c := range []struct {
		doc  string
		want bool
	}{
		{`{"id":"MAL-2026-1"}`, true},
		{`{"id":"GHSA-a-b-c","aliases":["MAL-2026-1"]}`, true},
		{`{"id":"GHSA-a-b-c","database_specific":{"type":"malware"}}`, true},
		{`{"id":"GHSA-a-b-c","database_specific":{"cwe_ids":["CWE-79","CWE-506"]}}`, true},
		{`{"id":"GHSA-a-b-c","database_specific":{"cwe_ids":["CWE-79"]}}`, false},
		{`{"id":"CVE-2026-1","database_specific":{"cwe_ids":["CWE-506"]}}`, false},
		{`{"id":"GHSA-a-b-c","database_specific":{"type":1}}`, false},
		{`{"id":"GHSA-a-b-c"}`, false},
	} {
		r, _, err := osv.Parse([]byte(c.doc))
		if err != nil {
			t.Fatal(err)
		}
		if r.Malicious() != c.want {
			t.Errorf("%s: %v", c.doc, !c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range rows {
		if len(c.doc) < 4096 {
			f.Add([]byte(c.doc))
		}
	}
	f.Add([]byte(everyLevel))
	f.Add([]byte(with("Steals.", strings.Repeat(`\ud83d\ude00`, 40))))
	f.Add([]byte(with("Steals.", strings.Repeat("\xff\xf0\x9f", 40))))
	long := osv.Limits{Text: 64, Identifier: 64, Unknown: 200, Now: now}
	f.Fuzz(func(t *testing.T, data []byte) {
		// The short way, and the long way with limits that are soon reached.
		for _, lim := range []osv.Limits{{Now: now}, long} {
			r, flags, err := osv.ParseNamed(data, "", lim)
			if err != nil {
				hygienic(t, err.Error())
				continue
			}
			for _, f := range flags {
				hygienic(t, f.String())
			}
			b, err := r.Marshal()
			if err != nil {
				t.Fatalf("read and not written: %v", err)
			}
			again, _, err := osv.ParseNamed(b, "", lim)
			if err != nil {
				t.Fatalf("written and not read: %v\n%s", err, b)
			}
			b2, err := again.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if canonical(t, b) != canonical(t, b2) {
				t.Fatalf("not stable:\n%s\n%s", b, b2)
			}
		}
	})
}
