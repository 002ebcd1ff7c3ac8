package sbom

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/rapsheet/rapsheet"
)

// result is everything that one read gave.
type result struct {
	sightings []rapsheet.Sighting
	notes     []*rapsheet.Note
}

// readAll reads data and holds the stream against the contract of [rapsheet.Sightings].
func readAll(t testing.TB, data []byte, opt Options) result {
	t.Helper()
	var res result
	for s, err := range Read(context.Background(), bytes.NewReader(data), "a/bom", opt) {
		if err == nil {
			if s.Location.Path != "a/bom" || s.Location.Kind == "" || s.Location.Line < 1 {
				t.Errorf("location %+v", s.Location)
			}
			if s.Package.Name == "" || s.Package.Ecosystem == "" || s.Package.PURL == "" {
				t.Errorf("package %+v", s.Package)
			}
			res.sightings = append(res.sightings, s)
			continue
		}
		n, ok := errors.AsType[*rapsheet.Note](err)
		if !ok {
			t.Fatalf("%v is no note", err)
		}
		if n.Path != "a/bom" {
			t.Errorf("note %+v does not name the file", n)
		}
		// Invariant I2: one printable line.
		if n.Message == "" || strings.ContainsFunc(n.Message, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u202e' || r == '\u009b' }) {
			t.Errorf("message %q", n.Message)
		}
		if len(n.Message) > 2000 {
			t.Errorf("message of %d bytes", len(n.Message))
		}
		res.notes = append(res.notes, n)
	}
	return res
}

// packages gives "ecosystem name version" of what was seen, in order.
func (r result) packages() []string {
	var out []string
	for _, s := range r.sightings {
		out = append(out, s.Package.Ecosystem+" "+s.Package.Name+" "+s.Package.Version)
	}
	return out
}

// has reports whether a note of a kind contains all the words.
func (r result) has(kind rapsheet.NoteKind, words ...string) *rapsheet.Note {
	for _, n := range r.notes {
		if n.Kind == kind && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(n.Message, w) }) {
			return n
		}
	}
	return nil
}

// want fails unless the packages and the number of notes are as given.
func (r result) want(t *testing.T, packages []string, notes int) {
	t.Helper()
	if got := r.packages(); !slices.Equal(got, packages) {
		t.Errorf("packages %q, want %q", got, packages)
	}
	if len(r.notes) != notes {
		t.Errorf("%d notes, want %d", len(r.notes), notes)
		for _, n := range r.notes {
			t.Logf("%s %d: line %d: %s", n.Kind, n.Count, n.Line, n.Message)
		}
	}
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstded(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

// The same two packages, one scoped, in every format that is read. Sources: the
// examples in the specifications named in the code, cut down.
var formats = []struct {
	name, kind, text string
	lines            []int // of the two packages
}{
	{"CycloneDX JSON", KindCycloneDX, `{
  "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
  "bomFormat": "CycloneDX",
  "specVersion": "1.6",
  "components": [
    {"type": "library", "name": "left-pad", "version": "1.3.0", "purl": "pkg:npm/left-pad@1.3.0"},
    {"type": "library", "group": "@acme", "name": "util",
     "version": "2.0.0", "purl": "pkg:npm/%40acme/util@2.0.0"}
  ]
}`, []int{6, 7}},
	{"CycloneDX JSON, components before bomFormat", KindCycloneDX, `{"components": [
    {"name": "left-pad", "version": "1.3.0", "purl": "pkg:npm/left-pad@1.3.0"},
    {"name": "@acme/util", "purl": "pkg:npm/%40acme/util@2.0.0"}], "bomFormat": "CycloneDX", "specVersion": "1.5"}`, []int{2, 3}},
	{"CycloneDX XML", KindCycloneDX, `<?xml version="1.0" encoding="UTF-8"?>
<bom xmlns="http://cyclonedx.org/schema/bom/1.1" version="1">
  <components>
    <component type="library">
      <name>left-pad</name><version>1.3.0</version>
      <purl>pkg:npm/left-pad@1.3.0</purl>
    </component>
    <component type="library"><group>@acme</group><name>util</name><version>2.0.0</version>
      <purl><![CDATA[pkg:npm/%40acme/util@2.0.0]]></purl></component>
  </components>
</bom>`, []int{4, 8}},
	{"CycloneDX XML with a prefix", KindCycloneDX, `<c:bom xmlns:c="http://cyclonedx.org/schema/bom/1.4"><c:components>
<c:component type="library"><c:name>left-pad</c:name><c:version>1.3.0</c:version><c:purl>pkg:npm/left-pad@1.3.0</c:purl></c:component>
<c:component type="library"><c:name>util</c:name><c:purl>pkg:npm/%40acme/util@2.0.0</c:purl></c:component>
</c:components></c:bom>`, []int{2, 3}},
	{"SPDX 2.3 JSON", KindSPDX, `{
 "spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "x", "dataLicense": "CC0-1.0",
 "packages": [
  {"SPDXID": "SPDXRef-1", "name": "left-pad", "versionInfo": "1.3.0", "downloadLocation": "NOASSERTION",
   "externalRefs": [{"referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:x:x"},
    {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:npm/left-pad@1.3.0"}]},
  {"SPDXID": "SPDXRef-2", "name": "@acme/util", "versionInfo": "2.0.0", "downloadLocation": "NONE",
   "externalRefs": [{"referenceCategory": "PACKAGE_MANAGER", "referenceType": "http://spdx.org/rdf/references/purl", "referenceLocator": "pkg:npm/%40acme/util@2.0.0"}]}
 ], "relationships": [{"spdxElementId": "a", "relationshipType": "DESCRIBES", "relatedSpdxElement": "b"}]}`, []int{4, 7}},
	{"SPDX 2.3 JSON, sorted keys", KindSPDX, `{"packages": [
  {"SPDXID": "SPDXRef-1", "externalRefs": [{"referenceLocator": "pkg:npm/left-pad@1.3.0", "referenceType": "purl"}], "name": "left-pad"},
  {"SPDXID": "SPDXRef-2", "externalRefs": [{"referenceLocator": "pkg:npm/%40acme/util", "referenceType": "purl"}], "versionInfo": "2.0.0"}
 ], "spdxVersion": "SPDX-2.3"}`, []int{2, 3}},
	{"SPDX 2.3 tag-value", KindSPDX, `# a comment
SPDXVersion: SPDX-2.3
DataLicense: CC0-1.0
DocumentComment: <text>two lines,
PackageName: not-one
</text>

PackageName: left-pad
SPDXID: SPDXRef-1
PackageVersion: 1.3.0
PackageDownloadLocation: NOASSERTION
ExternalRef: SECURITY cpe23Type cpe:2.3:a:x:x
ExternalRef: PACKAGE-MANAGER purl pkg:npm/left-pad@1.3.0
Relationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-1

PackageName: @acme/util
PackageVersion: 2.0.0
ExternalRef: PACKAGE-MANAGER purl pkg:npm/%40acme/util@2.0.0

FileName: ./x
PackageVersion: 9.9.9
`, []int{8, 16}},
	{"SPDX 3.0 JSON-LD", KindSPDX, `{
 "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld",
 "@graph": [
  {"type": "CreationInfo", "@id": "_:c", "specVersion": "3.0.1"},
  {"type": "software_Package", "spdxId": "urn:1", "name": "left-pad", "software_packageVersion": "1.3.0", "software_packageUrl": "pkg:npm/left-pad@1.3.0",
   "externalIdentifier": [{"type": "ExternalIdentifier", "externalIdentifierType": "packageUrl", "identifier": "pkg:npm/left-pad@1.3.0"}]},
  {"externalIdentifier": [{"type": "ExternalIdentifier", "externalIdentifierType": "packageUrl", "identifier": "pkg:npm/%40acme/util@2.0.0"}],
   "name": "util", "type": "software_Package", "spdxId": "urn:2"},
  {"type": "software_File", "name": "x.js"}
 ]}`, []int{5, 7}},
	{"GitHub export", KindSPDX, `{"sbom": {"SPDXID": "SPDXRef-DOCUMENT", "spdxVersion": "SPDX-2.3", "name": "com.github.o/r", "packages": [
  {"SPDXID": "SPDXRef-1", "name": "npm:left-pad", "versionInfo": "1.3.0", "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:npm/left-pad@1.3.0"}]},
  {"SPDXID": "SPDXRef-2", "name": "@acme/util", "versionInfo": "2.0.0", "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:npm/%40acme/util@2.0.0"}]}]}}`, []int{2, 3}},
	{"Syft JSON", KindSyft, `{"artifacts": [
  {"id": "1", "name": "left-pad", "version": "1.3.0", "type": "npm", "foundBy": "x", "purl": "pkg:npm/left-pad@1.3.0", "metadata": ["odd"]},
  {"id": "2", "name": "@acme/util", "version": "2.0.0", "type": "npm", "purl": "pkg:npm/%40acme/util@2.0.0"}],
 "schema": {"version": "16.0.21", "url": "https://raw.githubusercontent.com/anchore/syft/main/schema/json/schema-16.0.21.json"}}`, []int{2, 3}},
	{"in-toto statement", KindCycloneDX, `{"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://cyclonedx.org/bom", "subject": [],
 "predicate": {"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [
  {"name": "left-pad", "purl": "pkg:npm/left-pad@1.3.0"},
  {"name": "util", "purl": "pkg:npm/%40acme/util@2.0.0"}]}}`, []int{3, 4}},
	{"DSSE envelope", KindCycloneDX, `{"payloadType": "application/vnd.in-toto+json", "payload": "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJwcmVkaWNhdGVUeXBlIjoiaHR0cHM6Ly9jeWNsb25lZHgub3JnL2JvbSIsInByZWRpY2F0ZSI6eyJib21Gb3JtYXQiOiJDeWNsb25lRFgiLCJjb21wb25lbnRzIjpbeyJwdXJsIjoicGtnOm5wbS9sZWZ0LXBhZEAxLjMuMCJ9LAp7InB1cmwiOiJwa2c6bnBtLyU0MGFjbWUvdXRpbEAyLjAuMCJ9XX19Cg==", "signatures": []}`, []int{1, 2}},
	{"purl list", KindPURLList, "# two\n\npkg:npm/left-pad@1.3.0\n  pkg:npm/%40acme/util@2.0.0  # scoped\r\n", []int{3, 4}},
}

func TestFormats(t *testing.T) {
	want := []string{"npm left-pad 1.3.0", "npm @acme/util 2.0.0"}
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			plain := []byte(f.text)
			if kind, ok := Sniff(plain); kind != f.kind || !ok {
				t.Errorf("Sniff gives %q, %v", kind, ok)
			}
			crlf := bytes.ReplaceAll(bytes.ReplaceAll(plain, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
			for _, v := range []struct {
				name string
				data []byte
			}{
				{"plain", plain},
				{"with a byte order mark", append([]byte("\xef\xbb\xbf"), plain...)},
				{"with CRLF", crlf},
				{"gzip", gzipped(t, plain)},
				{"zstd", zstded(t, plain)},
			} {
				res := readAll(t, v.data, Options{})
				if got := res.packages(); !slices.Equal(got, want) || len(res.notes) > 0 {
					t.Fatalf("%s: packages %q, notes %v", v.name, got, res.notes)
				}
				for i, s := range res.sightings {
					if s.Location.Kind != f.kind || s.Location.Line != f.lines[i] {
						t.Errorf("%s: package %d at %+v, want line %d", v.name, i, s.Location, f.lines[i])
					}
				}
			}
		})
	}
}

// Truncation at any byte never gives a complete read: a note says that the rest is missing.
func TestTruncated(t *testing.T) {
	for _, f := range formats {
		if f.kind == KindPURLList || strings.Contains(f.name, "tag-value") {
			continue // formats of lines have no end
		}
		for n := range len(f.text) - 1 {
			if strings.TrimSpace(f.text[n:]) == "" {
				continue
			}
			if res := readAll(t, []byte(f.text[:n]), Options{}); res.has(rapsheet.NoteUnread) == nil {
				t.Fatalf("%s: cut at byte %d: no note", f.name, n)
			}
		}
	}
}

func TestCancel(t *testing.T) {
	for _, f := range formats {
		ctx, cancel := context.WithCancel(context.Background())
		var last error
		after := 0
		// A reader in chunks, so that there is something to stop.
		text := f.text
		if f.kind == KindPURLList {
			text += strings.Repeat("pkg:npm/a@1\n", 20000)
		}
		r := &chunks{data: []byte(text), size: 16, cancel: cancel}
		for _, err := range Read(ctx, r, "a/bom", Options{}) {
			if last != nil {
				after++
			}
			if errors.Is(err, context.Canceled) {
				last = err
			}
		}
		if last == nil || after > 0 {
			t.Errorf("%s: cancelled, the stream ends with %v and %d more", f.name, last, after)
		}
		cancel()
	}

	// A consumer that stops is not called again.
	calls := 0
	for range Read(context.Background(), strings.NewReader(formats[0].text), "x", Options{}) {
		calls++
		break
	}
	if calls != 1 {
		t.Errorf("%d calls", calls)
	}
}

// chunks cancels a context in the middle of what it gives.
type chunks struct {
	data   []byte
	size   int
	pos    int
	cancel func()
}

func (c *chunks) Read(p []byte) (int, error) {
	if c.pos >= len(c.data)/2 {
		c.cancel()
	}
	n := copy(p[:min(len(p), c.size)], c.data[c.pos:])
	c.pos += n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func TestNotSBOM(t *testing.T) {
	for _, text := range []string{
		`{"name": "x", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "x"}}}`, // package-lock.json
		`{"packages": [{"name": "monolog/monolog", "version": "2.0.0"}]}`,                          // composer.lock
		`{"components": [{"path": "src/button.tsx"}]}`,
		`{"components": {"schemas": {}}, "openapi": "3.0.0"}`,
		`{"artifacts": [{"id": 1, "name": "build"}]}`, // GitHub's list of artifacts
		`{"bomFormat": "SomethingElse", "components": [{"purl": "pkg:npm/a"}]}`,
		`{"schema": {"version": 1}}`, `[]`, `null`, `"pkg:npm/a"`, `{}`, ``, ` `, `[{"purl":"pkg:npm/a"}]`,
		`<html><body>bom</body></html>`, `<!DOCTYPE html><html></html>`, `<bom xmlns="https://example.org/">`, `<project/>`,
		"name: x\nSPDXVersion: SPDX-2.3", "lodash\npkg:npm/lodash", "\x89PNG\r\n\x1a\n", "PK\x03\x04",
	} {
		if kind, ok := Sniff([]byte(text)); ok || kind != "" {
			t.Errorf("%q is taken for %s", text, kind)
		}
	}
}
