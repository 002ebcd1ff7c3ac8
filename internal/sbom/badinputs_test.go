package sbom

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet"
)

// withComponents gives a CycloneDX document of nothing but components.
func withComponents(components string) []byte {
	return []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[` + components + `]}`)
}

func xmlWith(prolog, body string) []byte {
	return []byte(`<?xml version="1.0"?>` + prolog + `<bom xmlns="http://cyclonedx.org/schema/bom/1.4">` + body + `</bom>`)
}

// unread fails unless the read ended early with one note that says all the words.
func (r result) unread(t *testing.T, words ...string) {
	t.Helper()
	if r.has(rapsheet.NoteUnread, words...) == nil {
		t.Errorf("no note of what is unread with %q in %v", words, r.notes)
	}
}

// readStream is readAll for input that is not held, and checks the heap
// (invariant I1) and that the read ended with a note (I5).
func readStream(t *testing.T, r io.Reader, words ...string) (sightings int) {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	base := m.Sys
	start := time.Now()
	var notes []string
	for _, err := range Read(context.Background(), r, "a/bom", Options{}) {
		if n, ok := errors.AsType[*rapsheet.Note](err); ok && n.Kind == rapsheet.NoteUnread {
			notes = append(notes, n.Message)
		} else if err == nil {
			sightings++
		}
	}
	runtime.ReadMemStats(&m)
	if grown := m.Sys - min(base, m.Sys); grown > 200<<20 {
		t.Errorf("memory grew by %d MB", grown>>20)
	}
	if d := time.Since(start); d > time.Minute {
		t.Errorf("took %v", d)
	}
	if len(words) == 0 && len(notes) > 0 || len(words) > 0 && len(notes) != 1 {
		t.Errorf("notes %q", notes)
	}
	for _, w := range words {
		if len(notes) == 1 && !strings.Contains(notes[0], w) {
			t.Errorf("note %q does not say %q", notes[0], w)
		}
	}
	return sightings
}

// TestBadInputs are the cases of section C of the catalogue of bad inputs, by number.
func TestBadInputs(t *testing.T) {
	const good = `{"name":"good","purl":"pkg:npm/good@1.0.0"}`
	wantGood := []string{"npm good 1.0.0"}

	t.Run("C55 wrong format", func(t *testing.T) {
		for _, data := range []string{
			"<!DOCTYPE html><html><body>Sign in</body></html>", "<html></html>", "\x89PNG\r\n\x1a\n\x00\x00", "PK\x03\x04zip",
			"Name: not a package\n", `{"name":"x"}`, "[]", "null", "SPDXVersion", "\x00\x01\x02", "requests==2.0\n",
		} {
			res := readAll(t, []byte(data), Options{})
			res.want(t, nil, 1)
			res.unread(t, "unrecognised format, supported: ", "CycloneDX", "SPDX", "Syft")
		}
		for _, data := range []string{"", " \n\t", "\n"} {
			readAll(t, []byte(data), Options{}).unread(t, "empty")
		}
		for _, data := range []string{"\xff\xfe{\x00\"\x00", "\xfe\xff\x00{", "{\x00\"\x00", "\x00<\x00?"} {
			readAll(t, []byte(data), Options{}).unread(t, "not UTF-8")
		}
	})

	t.Run("C56 DTD", func(t *testing.T) {
		var hits atomic.Int32
		canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
		defer canary.Close()
		component := `<components><component type="library"><name>good</name><purl>pkg:npm/&x;@1.0.0</purl></component></components>`
		for name, prolog := range map[string]string{
			"internal entity":  `<!DOCTYPE bom [<!ENTITY x "good">]>`,
			"external entity":  `<!DOCTYPE bom [<!ENTITY x SYSTEM "` + canary.URL + `/x">]>`,
			"file":             `<!DOCTYPE bom [<!ENTITY x SYSTEM "file:///etc/passwd">]>`,
			"parameter entity": `<!DOCTYPE bom [<!ENTITY % p SYSTEM "` + canary.URL + `/p">%p;]>`,
			"external DTD":     `<!DOCTYPE bom SYSTEM "` + canary.URL + `/bom.dtd">`,
			"public DTD":       `<!DOCTYPE bom PUBLIC "-//X//X//EN" "` + canary.URL + `/bom.dtd">`,
			"billion laughs": `<!DOCTYPE bom [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">` +
				`<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY x "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">]>`,
			"after a comment": `<!-- > --><!DOCTYPE other [<!ENTITY x "y">]>`,
			"of 100 KB":       `<!DOCTYPE bom [` + strings.Repeat(`<!ENTITY x "y">`, 7000) + `]>`,
		} {
			res := readAll(t, xmlWith(prolog, component), Options{})
			if len(res.sightings) > 0 {
				t.Errorf("%s: read %v", name, res.packages())
			}
			res.unread(t, "DTD not allowed", "line 1")
		}
		// A directive further down is refused as well, and so is an entity that nobody declared.
		readAll(t, xmlWith("", `<components/><!ENTITY x "y">`), Options{}).unread(t, "DTD not allowed")
		readAll(t, xmlWith("", component), Options{}).unread(t, "invalid XML", "entity")
		if hits.Load() > 0 {
			t.Error("something was fetched")
		}
	})

	t.Run("C57 XML depth, attributes and text", func(t *testing.T) {
		const head = `<bom xmlns="http://cyclonedx.org/schema/bom/1.4"><components><component><name>good</name><purl>pkg:npm/good@1.0.0</purl></component>`
		for name, c := range map[string]struct {
			body *repeat
			pre  string
			say  string
		}{
			"nested unknown elements": {&repeat{text: "<x>", n: 100_000}, "<component>", "limit of 64 levels"},
			"nested components":       {&repeat{text: "<components><component>", n: 100_000}, "<component>", "limit of 64 levels"},
			"attributes":              {&repeat{text: ` a="b"`, n: 1_000_000}, "<component", "limit of"},
			"few enough bytes":        {&repeat{text: ` a="b"`, n: 10_000}, "<component", "limit of"},
			"text of 1 GB":            {&repeat{text: strings.Repeat("a", 1000), n: 1_000_000}, "<component><description>", "limit of 4194304 bytes"},
			"comment of 1 GB":         {&repeat{text: strings.Repeat("a", 1000), n: 1_000_000}, "<!--", "limit of 4194304 bytes"},
		} {
			t.Run(name, func(t *testing.T) {
				tail := ""
				if name == "few enough bytes" {
					tail = "/>"
				}
				n := readStream(t, io.MultiReader(strings.NewReader(head+c.pre), c.body, strings.NewReader(tail)), c.say, "line 1", "after 1 component")
				if n != 1 {
					t.Errorf("%d packages before it", n)
				}
			})
		}
	})

	t.Run("C58 nested components 4000 deep", func(t *testing.T) {
		for name, c := range map[string]struct{ in, say string }{
			"components":         {`{"bomFormat":"CycloneDX","components":[` + good + `,` + strings.Repeat(`{"components":[`, 4000), "limit of 64 levels"},
			"closed":             {`{"bomFormat":"CycloneDX","components":[` + good + `,` + strings.Repeat(`{"components":[`, 4000) + strings.Repeat("]}", 4000) + `]}`, "limit of 64 levels"},
			"in an unknown part": {`{"bomFormat":"CycloneDX","components":[` + good + `],"x":` + strings.Repeat("[", 65), "limit of 64 levels"},
			"a million deep":     {`{"bomFormat":"CycloneDX","components":[` + good + `],"x":` + strings.Repeat(`{"a":`, 1_000_000), "limit of 64 levels"},
			"in a purl":          {`{"bomFormat":"CycloneDX","components":[` + good + `,{"purl":` + strings.Repeat(`[`, 100), "limit of 64 levels"},
		} {
			t.Run(name, func(t *testing.T) {
				res := readAll(t, []byte(c.in), Options{})
				if got := res.packages(); !slices.Equal(got, wantGood) {
					t.Errorf("packages %q", got)
				}
				res.unread(t, c.say)
			})
		}
		// 62 arrays inside the document's object and the array of components are just allowed.
		deep := strings.Repeat("[", 61) + strings.Repeat("]", 61)
		readAll(t, withComponents(`{"purl":"pkg:npm/good@1.0.0","x":`+deep+`}`), Options{}).want(t, wantGood, 0)
		readAll(t, withComponents(`{"purl":"pkg:npm/good@1.0.0","x":[`+deep+`]}`), Options{}).unread(t, "limit of 64 levels")
	})

	t.Run("C59 dependency graph cycle, self loop, dangling ref", func(t *testing.T) {
		readAll(t, []byte(`{"bomFormat":"CycloneDX","components":[`+good+`],
			"dependencies":[{"ref":"a","dependsOn":["a","b"]},{"ref":"b","dependsOn":["a","nowhere"]},{"ref":"a"}]}`), Options{}).want(t, wantGood, 0)
	})

	t.Run("C60 bom-ref duplicates", func(t *testing.T) {
		readAll(t, withComponents(`{"bom-ref":"x","purl":"pkg:npm/good@1.0.0"},{"bom-ref":"x","purl":"pkg:npm/other@2"}`), Options{}).
			want(t, []string{"npm good 1.0.0", "npm other 2"}, 0)
	})

	// C61 is TestMemory. Its limit with a smaller number, in every format:
	t.Run("C61 one component too many", func(t *testing.T) {
		for _, f := range formats {
			res := readAll(t, []byte(f.text), Options{Components: 1})
			if len(res.sightings) != 1 {
				t.Errorf("%s: %d packages", f.name, len(res.sightings))
			}
			res.unread(t, "limit of 1 components", "line ")
			readAll(t, []byte(f.text), Options{Components: 2}).want(t, []string{"npm left-pad 1.3.0", "npm @acme/util 2.0.0"}, 0)
		}
	})

	t.Run("C62 many uploads at once", func(t *testing.T) {
		// The store's part is elsewhere; reads share nothing.
		data := withComponents(good + strings.Repeat(","+good, 2999))
		done := make(chan int)
		for range 4 {
			go func() {
				n := 0
				for range Read(context.Background(), bytes.NewReader(data), "x", Options{}) {
					n++
				}
				done <- n
			}()
		}
		for range 4 {
			if n := <-done; n != 3000 {
				t.Errorf("%d packages", n)
			}
		}
	})

	t.Run("C63 components without purl", func(t *testing.T) {
		res := readAll(t, withComponents(good+`,{"name":"a"},{"group":"g","name":"b","type":"library"},{"name":"c\u001b[2J","purl":""},{"name":"d","purl":null},
			{"type":"file","name":"f"},{"type":"operating-system","name":"os"}, {"type":"container","purl":"pkg:npm/in-a-container@1"}`), Options{})
		res.want(t, []string{"npm good 1.0.0", "npm in-a-container 1"}, 2)
		if n := res.has(rapsheet.NoteUnmatchable, "4 components without a purl", `"a", "g/b", "c\x1b[2J", …`); n == nil || n.Count != 4 || n.Line != 1 {
			t.Errorf("notes %v", res.notes)
		}
		if n := res.has(rapsheet.NoteInfo, "2 components"); n == nil || n.Count != 2 {
			t.Errorf("notes %v", res.notes)
		}
		// The same in the other formats.
		for _, text := range []string{
			`{"spdxVersion":"SPDX-2.3","packages":[{"name":"x","SPDXID":"SPDXRef-1"}]}`,
			`{"@context":"https://spdx.org/rdf/3.0.0/spdx-context.jsonld","@graph":[{"type":"software_Package","name":"x"}]}`,
			`{"artifacts":[{"name":"x","foundBy":"binary"}]}`,
			"SPDXVersion: SPDX-2.2\nPackageName: x\n",
			string(xmlWith("", `<components><component type="library"><name>x</name></component></components>`)),
		} {
			res := readAll(t, []byte(text), Options{})
			res.want(t, nil, 1)
			if n := res.has(rapsheet.NoteUnmatchable, "1 component without a purl", `"x"`); n == nil || n.Count != 1 {
				t.Errorf("%s: notes %v", text, res.notes)
			}
		}
	})

	t.Run("C64 odd purls", func(t *testing.T) {
		for purl, want := range map[string]string{
			"pkg:npm/%40scope%2Fname@1":       "npm @scope/name 1",
			"pkg:npm/%40scope/name@1?":        "npm @scope/name 1",
			"pkg:npm/@scope/name@1#":          "npm @scope/name 1",
			"PKG:NPM/name@1":                  "npm name 1",
			"pkg://npm/name@1":                "npm name 1",
			"pkg:npm/name@1?foo=bar#sub/path": "npm name 1",
		} {
			readAll(t, withComponents(`{"purl":"`+purl+`"}`), Options{}).want(t, []string{want}, 0)
			readAll(t, []byte("pkg:npm/first@1\n"+purl+"\n"), Options{}).want(t, []string{"npm first 1", want}, 0)
		}
		for _, purl := range []string{
			"npm/name@1", "pkg:", "pkg:npm", "pkg:npm/", "pkg:npm/%zz@1", "pkg:npm/a%00b@1", "pkg:npm/%ff@1", `pkg:npm/a\u0000b@1`,
			"pkg:npm/" + strings.Repeat("a", 1024), "pkg:npm/" + strings.Repeat("a", 3<<20), "purl",
		} {
			res := readAll(t, withComponents(good+`,{"purl":"`+purl+`"}`), Options{})
			res.want(t, wantGood, 1)
			if n := res.has(rapsheet.NoteUnmatchable, "1 component with an invalid purl"); n == nil || n.Count != 1 {
				t.Errorf("%.60s: notes %v", purl, res.notes)
			}
		}
		// Types without records are counted by type, and there is a limit to their number.
		res := readAll(t, withComponents(good+`,{"purl":"pkg:deb/debian/curl@8"},{"purl":"pkg:DEB/debian/bash@5"},{"purl":"pkg:generic/x"}`), Options{})
		res.want(t, wantGood, 2)
		if n := res.has(rapsheet.NoteUnmatchable, "2 components", `"deb"`); n == nil || n.Count != 2 {
			t.Errorf("notes %v", res.notes)
		}
		var many strings.Builder
		for i := range 2000 {
			many.WriteString(`,{"purl":"pkg:t` + strings.Repeat("x", i%50) + strings.Repeat("y", i/50) + `/n"}`)
		}
		res = readAll(t, withComponents(good+many.String()), Options{})
		res.want(t, wantGood, maxTypes+1)
		total := 0
		for _, n := range res.notes {
			total += n.Count
		}
		if total != 2000 {
			t.Errorf("%d of 2000 counted", total)
		}
	})

	t.Run("C65 10,000 identical components", func(t *testing.T) {
		res := readAll(t, withComponents(good+strings.Repeat(",\n"+good, 9999)), Options{})
		if len(res.sightings) != 10_000 || res.sightings[9999].Location.Line != 10_000 || len(res.notes) > 0 {
			t.Errorf("%d packages, %d notes", len(res.sightings), len(res.notes))
		}
	})

	t.Run("C66 homoglyphs", func(t *testing.T) {
		res := readAll(t, withComponents(`{"name":"lodash","purl":"pkg:npm/l%D0%BEdash@1"},{"name":"lоdash","purl":"pkg:npm/lodash@1"}`), Options{})
		res.want(t, []string{"npm lоdash 1", "npm lodash 1"}, 2) // both disagree with their names
	})

	t.Run("C67 a million relationships, remote context", func(t *testing.T) {
		n := readStream(t, io.MultiReader(
			strings.NewReader(`{"spdxVersion":"SPDX-2.3","packages":[{"name":"good","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/good@1"}]}],"relationships":[{}`),
			&repeat{text: `,{"spdxElementId":"SPDXRef-a","relationshipType":"DEPENDS_ON","relatedSpdxElement":"SPDXRef-b"}`, n: 1_000_000},
			strings.NewReader(`]}`)))
		if n != 1 {
			t.Errorf("%d packages", n)
		}
		var hits atomic.Int32
		canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
		defer canary.Close()
		res := readAll(t, []byte(`{"@context":["https://spdx.org/rdf/3.0.1/spdx-context.jsonld","`+canary.URL+`/c",{"@import":"`+canary.URL+`"}],
			"@graph":[{"type":"software_Package","software_packageUrl":"pkg:npm/good@1.0.0"}]}`), Options{})
		res.want(t, wantGood, 0)
		if hits.Load() > 0 {
			t.Error("the context was fetched")
		}
	})

	t.Run("C68 versions from the future", func(t *testing.T) {
		for text, words := range map[string][]string{
			`{"artifacts":[{"foundBy":"x","purl":"pkg:npm/good@1.0.0"}],"schema":{"version":"99.0.0"}}`:                                                     {"Syft schema", `"99.0.0"`},
			`{"bomFormat":"CycloneDX","specVersion":"2.0","components":[{"purl":"pkg:npm/good@1.0.0"}]}`:                                                    {"CycloneDX", `"2.0"`},
			`<bom xmlns="http://cyclonedx.org/schema/bom/2.0"><components><component><purl>pkg:npm/good@1.0.0</purl></component></components></bom>`:        {"CycloneDX", `"2.0"`},
			`{"spdxVersion":"SPDX-4.0","packages":[{"externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/good@1.0.0"}]}]}`:                   {"SPDX", `"SPDX-4.0"`},
			"SPDXVersion: SPDX-4.0\nPackageName: good\nExternalRef: PACKAGE-MANAGER purl pkg:npm/good@1.0.0\n":                                              {"SPDX", `"SPDX-4.0"`},
			`{"@context":"https://spdx.org/rdf/4.0/spdx-context.jsonld","@graph":[{"type":"software_Package","software_packageUrl":"pkg:npm/good@1.0.0"}]}`: {"SPDX", `"4.0"`},
		} {
			res := readAll(t, []byte(text), Options{})
			res.want(t, wantGood, 1)
			res.unread(t, append(words, "not known")...)
		}
	})

	t.Run("C69 content decides", func(t *testing.T) {
		// Read never sees more of a name than readAll's "a/bom"; all formats are read under it in TestFormats.
		for _, f := range formats {
			for _, err := range Read(context.Background(), strings.NewReader(f.text), "lies.png", Options{}) {
				if err != nil {
					t.Errorf("%s: %v", f.name, err)
				}
			}
		}
	})

	t.Run("C70 gzip inside gzip", func(t *testing.T) {
		data := withComponents(good)
		readAll(t, gzipped(t, data), Options{}).want(t, wantGood, 0)
		for _, twice := range [][]byte{gzipped(t, gzipped(t, data)), zstded(t, gzipped(t, data)), gzipped(t, zstded(t, data))} {
			res := readAll(t, twice, Options{})
			res.want(t, nil, 1)
			res.unread(t, "one layer")
		}
		// Bombs, and archives that are cut.
		bomb := append([]byte(`{"bomFormat":"CycloneDX","components":[`+good+`],"x":[0`), bytes.Repeat([]byte(",0"), 16<<20)...)
		readAll(t, gzipped(t, bomb), Options{}).unread(t, "200 times")
		readAll(t, data, Options{Decompressed: 20}).unread(t, "limit of 20 bytes")
		cut := gzipped(t, data)
		readAll(t, cut[:len(cut)-5], Options{}).unread(t)
	})

	t.Run("duplicate keys", func(t *testing.T) {
		for _, component := range []string{
			`{"purl":"pkg:npm/good@1.0.0","purl":"pkg:npm/evil@1"}`,
			`{"purl":"pkg:npm/good@1.0.0","p\u0075rl":"pkg:npm/evil@1"}`,
			`{"x":{"purl":1,"purl":2},"purl":"pkg:npm/good@1.0.0"}`,
		} {
			res := readAll(t, withComponents(component), Options{})
			res.unread(t, "duplicate", "purl", "line 1", "/components/0")
			if len(res.sightings) > 0 {
				t.Errorf("%s: %v", component, res.packages())
			}
		}
		// Other spellings of a key are other keys.
		readAll(t, withComponents(`{"PURL":"pkg:npm/evil@1","purl":"pkg:npm/good@1.0.0","Version":"7"}`), Options{}).want(t, wantGood, 0)
	})

	t.Run("invalid text", func(t *testing.T) {
		for _, purl := range []string{"pkg:npm/a\xffb@1", `pkg:npm/\ud800@1`} {
			readAll(t, withComponents(good+`,{"purl":"`+purl+`"}`), Options{}).unread(t, "invalid JSON", "/components/1/purl")
		}
		readAll(t, xmlWith("", "<components><component><purl>pkg:npm/a\xffb@1</purl></component></components>"), Options{}).unread(t, "invalid XML")
		readAll(t, []byte("pkg:npm/good@1.0.0\npkg:npm/a\xffb@1\n"), Options{}).want(t, wantGood, 1)
		readAll(t, []byte(`<?xml version="1.0" encoding="UTF-16"?><bom xmlns="http://cyclonedx.org/schema/bom/1.4"/>`), Options{}).unread(t, "UTF-16")
	})

	t.Run("what surrounds a document", func(t *testing.T) {
		doc := string(withComponents(good))
		for _, tail := range []string{"{}", "x", ",", "]", doc} {
			res := readAll(t, []byte(doc+tail), Options{})
			res.want(t, wantGood, 1)
			res.unread(t, "line 1")
		}
		readAll(t, []byte(doc+" \n\t"), Options{}).want(t, wantGood, 0)
		readAll(t, append(xmlWith("", ""), "<bom/>"...), Options{}).unread(t, "second root")
		for _, text := range []string{
			`{"bomFormat":"CycloneDX","components":{"a":1}}`, `{"bomFormat":"CycloneDX","components":[1]}`, `{"bomFormat":"CycloneDX","components":"x"}`,
			`{"spdxVersion":"SPDX-2.3","packages":{}}`, `{"spdxVersion":"SPDX-2.3","packages":["x"]}`,
		} {
			readAll(t, []byte(text), Options{}).unread(t, "expected", "/")
		}
	})

	t.Run("large parts that nobody wants", func(t *testing.T) {
		for name, part := range map[string]io.Reader{
			"array of empty arrays": io.MultiReader(strings.NewReader(`[[]`), &repeat{text: ",[]", n: 7_000_000}, strings.NewReader("]")),
			"text of 3 MB":          io.MultiReader(strings.NewReader(`"`), &repeat{text: "a", n: 3 << 20}, strings.NewReader(`"`)),
			"array of objects":      io.MultiReader(strings.NewReader(`[{}`), &repeat{text: `,{"some long name of a member":"x","another long name":{}}`, n: 500_000}, strings.NewReader("]")),
		} {
			t.Run(name, func(t *testing.T) {
				n := readStream(t, io.MultiReader(strings.NewReader(`{"bomFormat":"CycloneDX","x":`), part, strings.NewReader(`,"components":[`+good+`]}`)))
				if n != 1 {
					t.Errorf("%d packages", n)
				}
			})
		}
		readStream(t, io.MultiReader(strings.NewReader(`{"bomFormat":"CycloneDX","x":"`), &repeat{text: strings.Repeat("a", 1000), n: 1_000_000}), "limit of 4194304 bytes")
		readStream(t, io.MultiReader(strings.NewReader(`{"bomFormat":"CycloneDX",`), &repeat{text: strings.Repeat(" ", 1000), n: 1_000_000}), "limit of 4194304 bytes")
		readStream(t, io.MultiReader(strings.NewReader(`{"bomFormat":"CycloneDX","x":{`), &members{n: 5_000_000}), "names in nested objects")
		readStream(t, io.MultiReader(strings.NewReader("SPDXVersion: SPDX-2.3\nPackageComment: <text>"), &repeat{text: strings.Repeat("a", 1000), n: 500_000}), "ends inside <text>")
	})
}

// members gives distinct members of an object.
type members struct{ n, i int }

func (m *members) Read(p []byte) (int, error) {
	n := 0
	for len(p)-n >= 16 && m.i < m.n {
		const digits = "0123456789abcdef"
		p[n] = '"'
		for k := range 8 {
			p[n+1+k] = digits[m.i>>(4*k)&15]
		}
		n += 9 + copy(p[n+9:], `":1,`)
		m.i++
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// TestEvidence holds what a component says about where it came from.
func TestEvidence(t *testing.T) {
	npm := rapsheet.Evidence{Origin: rapsheet.OriginRegistry, URL: "https://registry.npmjs.org/a/-/a-1.tgz", Host: "registry.npmjs.org"}
	for _, c := range []struct {
		name, text string
		origin     rapsheet.Origin
		host       string
		digests    int
	}{
		{"distribution", `{"bomFormat":"CycloneDX","components":[{"purl":"pkg:npm/a@1","externalReferences":[{"type":"vcs","url":"git+https://x.example/r.git"},{"url":"https://registry.npmjs.org/a/-/a-1.tgz","type":"distribution"}]}]}`, npm.Origin, npm.Host, 0},
		{"a private registry", `{"bomFormat":"CycloneDX","components":[{"purl":"pkg:npm/a@1","externalReferences":[{"type":"distribution","url":"https://npm.corp.example/a/-/a-1.tgz"}]}]}`, rapsheet.OriginRegistry, "npm.corp.example", 0},
		{"a repository as distribution is no evidence", `{"bomFormat":"CycloneDX","components":[{"purl":"pkg:npm/a@1","externalReferences":[{"type":"distribution","url":"git://github.com/o/a.git"}]}]}`, rapsheet.OriginUnknown, "", 0},
		{"the purl wins", `{"bomFormat":"CycloneDX","components":[{"purl":"pkg:npm/a@1?repository_url=https://npm.corp.example/","externalReferences":[{"type":"distribution","url":"https://registry.npmjs.org/a/-/a-1.tgz"}]}]}`, rapsheet.OriginRegistry, "npm.corp.example", 0},
		{"hashes", `{"bomFormat":"CycloneDX","components":[{"purl":"pkg:npm/a@1","hashes":[{"alg":"SHA-1","content":"` + strings.Repeat("a", 40) + `"},{"alg":"SHA-1","content":"short"},{"alg":"SHA-512","content":"` + strings.Repeat("F", 128) + `"},{"alg":"BLAKE3","content":"aa"}]}]}`, "", "", 2},
		{"SPDX", `{"spdxVersion":"SPDX-2.3","packages":[{"downloadLocation":"https://registry.npmjs.org/a/-/a-1.tgz","checksums":[{"algorithm":"SHA256","checksumValue":"` + strings.Repeat("a", 64) + `"}],"externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/a@1"}]}]}`, npm.Origin, npm.Host, 1},
		{"SPDX with a home page", `{"spdxVersion":"SPDX-2.3","packages":[{"downloadLocation":"https://a.example/","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/a@1"}]}]}`, "", "", 0},
		{"SPDX 3", `{"@context":"https://spdx.org/rdf/3.0.1/x","@graph":[{"type":"software_Package","software_packageUrl":"pkg:npm/a@1","software_downloadLocation":"https://registry.npmjs.org/a/-/a-1.tgz","verifiedUsing":[{"type":"Hash","algorithm":"sha256","hashValue":"` + strings.Repeat("a", 64) + `"}]}]}`, npm.Origin, npm.Host, 1},
		{"Syft's lockfile entry", `{"artifacts":[{"foundBy":"x","purl":"pkg:npm/a@1","metadata":{"resolved":"https://registry.npmjs.org/a/-/a-1.tgz","integrity":"sha1-qqqqqqqqqqqqqqqqqqqqqqqqqqo="}}]}`, npm.Origin, npm.Host, 1},
		{"Syft's entry from git", `{"artifacts":[{"foundBy":"x","purl":"pkg:npm/a@1","metadata":{"resolved":"git+ssh://git@github.com/o/a.git#abc"}}]}`, rapsheet.OriginGit, "github.com", 0},
		{"Syft's url of an installed package", `{"artifacts":[{"foundBy":"x","purl":"pkg:npm/a@1","metadata":{"url":"git+ssh://git@github.com/o/a.git"}}]}`, "", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := readAll(t, []byte(c.text), Options{})
			res.want(t, []string{"npm a 1"}, 0)
			ev := res.sightings[0].Evidence
			if ev.Origin != c.origin || ev.Host != c.host || len(ev.Digests) != c.digests {
				t.Errorf("evidence %+v", ev)
			}
		})
	}
}

// TestVersions: the purl's version wins; a range is no version.
func TestVersions(t *testing.T) {
	for _, c := range []struct{ purl, own, want string }{
		{"pkg:npm/a@1.0.0", "2.0.0", "1.0.0"},
		{"pkg:npm/a", "2.0.0", "2.0.0"},
		{"pkg:npm/a", "", ""},
		{"pkg:npm/a", "^1.2", ""},
		{"pkg:npm/a", ">=1", ""},
		{"pkg:npm/a", "~> 1.0", ""},
		{"pkg:npm/a", ">= 1.0, < 2", ""},
		{"pkg:npm/a", "1.x", ""},
		{"pkg:npm/a", "*", ""},
		{"pkg:npm/a", "1 || 2", ""},
		{"pkg:maven/g/a", "[1.0,2.0)", ""},
		{"pkg:npm/a", "= 1.2.3", "1.2.3"},
		{"pkg:pypi/a", "==1.2.3", "1.2.3"},
		{"pkg:npm/a", "1.2.3-beta.1+build~5", "1.2.3-beta.1+build~5"},
		{"pkg:npm/a@%5E1.2", "", ""},
		{"pkg:npm/a", "NOASSERTION", ""},
		{"pkg:npm/a", strings.Repeat("1", 2000), ""},
	} {
		text := `{"spdxVersion":"SPDX-2.3","packages":[{"versionInfo":"` + c.own + `","externalRefs":[{"referenceType":"purl","referenceLocator":"` + c.purl + `"}]}]}`
		res := readAll(t, []byte(text), Options{})
		if len(res.sightings) != 1 || res.sightings[0].Package.Version != c.want {
			t.Errorf("%s and %.20q: %v, want %q", c.purl, c.own, res.packages(), c.want)
		}
	}
}

// TestNames: a component's own name is compared with its purl.
func TestNames(t *testing.T) {
	for _, c := range []struct {
		purl, group, name string
		agrees            bool
	}{
		{"pkg:npm/left-pad@1", "", "left-pad", true},
		{"pkg:npm/%40acme/util@1", "@acme", "util", true},
		{"pkg:npm/%40acme/util@1", "", "@acme/util", true},
		{"pkg:npm/%40acme/util@1", "acme", "util", true},
		{"pkg:pypi/ruamel-yaml@1", "", "ruamel.yaml", true},
		{"pkg:pypi/django@1", "", "Django", true},
		{"pkg:maven/org.example/core@1", "org.example", "core", true},
		{"pkg:maven/org.example/core@1", "", "org.example:core", true},
		{"pkg:golang/github.com/o/r/v2@v2.0.0", "", "github.com/o/r/v2", true},
		{"pkg:golang/github.com/o/r/v2@v2.0.0", "github.com/o", "r", true},
		{"pkg:composer/laravel/framework@9", "laravel", "framework", true},
		{"pkg:npm/left-pad@1", "", "npm:left-pad", true},
		{"pkg:npm/left-pad@1", "", "", true},
		{"pkg:npm/left-pad@1", "", "right-pad", false},
		{"pkg:npm/left-pad@1", "", "left", false},
		{"pkg:npm/%40acme/util@1", "", "@evil/util", false},
		{"pkg:npm/left-pad@1", "", strings.Repeat("a", 5000), false},
	} {
		res := readAll(t, withComponents(`{"purl":"`+c.purl+`","group":"`+c.group+`","name":"`+c.name+`"}`), Options{})
		if len(res.sightings) != 1 {
			t.Fatalf("%v: %v", c, res.notes)
		}
		n := res.has(rapsheet.NoteInfo, "the purl is used")
		if (n == nil) != c.agrees {
			t.Errorf("%s and %q %.30q: note %v", c.purl, c.group, c.name, n)
		}
		if n != nil && len(c.name) < 100 && (!strings.Contains(n.Message, c.name) || !strings.Contains(n.Message, c.purl)) {
			t.Errorf("%q does not name both", n.Message)
		}
	}
	// Many of them are counted, not listed.
	res := readAll(t, withComponents(`{"purl":"pkg:npm/a@1","name":"b"}`+strings.Repeat(`,{"purl":"pkg:npm/a@1","name":"b"}`, 99)), Options{})
	if len(res.sightings) != 100 || len(res.notes) != maxDisagreements+1 || res.notes[maxDisagreements].Count != 100-maxDisagreements {
		t.Errorf("%d packages, notes %v", len(res.sightings), res.notes)
	}
}

// What is not the inventory is not read, and what is somewhere else in it is.
func TestWhere(t *testing.T) {
	res := readAll(t, []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6",
		"metadata":{"component":{"purl":"pkg:npm/app@1","components":[{"purl":"pkg:npm/part@1"}]},"tools":{"components":[{"purl":"pkg:npm/tool@1"}]}},
		"services":[{"name":"s","services":[{"purl":"pkg:npm/service@1"}]}],
		"formulation":[{"components":[{"purl":"pkg:npm/compiler@1"}],"workflows":[{"x":1}]}],
		"vulnerabilities":[{"affects":[{"ref":"pkg:npm/vulnerable@1"}]}],
		"components":[{"purl":"pkg:npm/a@1","pedigree":{"ancestors":[{"purl":"pkg:npm/ancestor@1"}]},"components":[{"purl":"pkg:npm/b@1","components":[{"purl":"pkg:npm/c@1"}]}]}]}`), Options{})
	res.want(t, []string{"npm part 1", "npm app 1", "npm compiler 1", "npm c 1", "npm b 1", "npm a 1"}, 0)

	res = readAll(t, xmlWith("", `
		<metadata><tools><components><component><purl>pkg:npm/tool@1</purl></component></components></tools><component type="application"><purl>pkg:npm/app@1</purl></component></metadata>
		<formulation><formula><components><component><purl>pkg:npm/compiler@1</purl></component></components></formula></formulation>
		<components xmlns:o="urn:other"><o:component><purl>pkg:npm/other@1</purl></o:component><component xmlns="urn:other"><purl>pkg:npm/other@1</purl></component>
		<component><pedigree><ancestors><component><purl>pkg:npm/ancestor@1</purl></component></ancestors></pedigree><purl> pkg:npm/a<!-- not here -->@1
		</purl></component></components>`), Options{})
	res.want(t, []string{"npm app 1", "npm compiler 1", "npm a 1"}, 0)

	res = readAll(t, []byte(`{"spdxVersion":"SPDX-2.3","packages":[{"name":"a","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/a@1"},{"referenceType":"purl","referenceLocator":"pkg:npm/a@1"},{"referenceType":"purl","referenceLocator":"pkg:pypi/a@2"}]}]}`), Options{})
	res.want(t, []string{"npm a 1", "PyPI a 2"}, 0)
	many := strings.Builder{}
	for i := range 200 {
		many.WriteString(`,{"referenceType":"purl","referenceLocator":"pkg:npm/a@` + strings.Repeat("1", i+1) + `"}`)
	}
	readAll(t, []byte(`{"spdxVersion":"SPDX-2.3","packages":[{"externalRefs":[{}`+many.String()+`]}]}`), Options{}).unread(t, "limit of 100 purls")
}
