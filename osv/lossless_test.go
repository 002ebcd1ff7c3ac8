package osv_test

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet/osv"
)

// canonical brings JSON into a form in which equal values are equal bytes (RFC 8785).
func canonical(tb testing.TB, data []byte) string {
	tb.Helper()
	v := jsontext.Value(bytes.Clone(data))
	if err := v.Canonicalize(); err != nil {
		tb.Fatalf("not JSON: %v: %.200s", err, data)
	}
	return string(v)
}

func TestRealRecords(t *testing.T) {
	var read, named, flags int
	for _, f := range realFiles(t) {
		r, fl, err := osv.ReadNamed(bytes.NewReader(f.data), f.name, osv.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		if err := r.Validate(); err != nil {
			t.Errorf("%s: read and then invalid: %v", f.name, err)
		}
		if !r.Malicious() && !strings.HasPrefix(r.ID, "MAL-") {
			t.Errorf("%s: not malicious", f.name)
		}
		want := f.data
		for _, x := range fl {
			if x.Kind == osv.FlagNamed {
				named++
				id := strings.TrimSuffix(path.Base(f.name), ".json")
				want = bytes.Replace(want, []byte(`"id": ""`), []byte(`"id": "`+id+`"`), 1)
				continue
			}
			flags++
		}
		got, err := r.Marshal()
		if err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		if canonical(t, got) != canonical(t, want) {
			t.Fatalf("%s: not the same value:\n%s\n%s", f.name, canonical(t, got), canonical(t, want))
		}
		read++
	}
	// Counted in the archive with other tools: files that end in .json, and those with "id": "".
	if read != 29393 || named != 850 {
		t.Errorf("read %d records, named %d; want 29393 and 850", read, named)
	}
	// Counted likewise: three records were modified before they were published; nothing else is odd.
	if flags != 3 {
		t.Errorf("%d flags besides names, want 3", flags)
	}
}

// everyLevel has unknown members, empty members and free-form values wherever
// the format has objects.
const everyLevel = `{
 "schema_version":"1.7.4","id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z","summary":"","details":"a\u000ab \ud83d\ude00 \u00e9",
 "x1":1e400,"x2":[{"a":[]},-0,1e-400,null,true],
 "aliases":[],"severity":[{"type":"CVSS_V3","score":"","x":{"y":""}}],
 "affected":[{"x":[1],"package":{"ecosystem":"npm","name":"evil","purl":"","x":"p"},
   "severity":[],"ranges":[{"x":null,"type":"SEMVER","repo":"","events":[{"introduced":"0","x":[]},{"fixed":"1.0.0"}],"database_specific":{"k":1}}],
   "versions":["1","1.0","01"],"ecosystem_specific":{},"database_specific":{"a":{"b":[[[]]]}}}],
 "references":[{"type":"WEB","url":"","x":0}],"credits":[{"name":"","contact":[""],"x":{}}],
 "database_specific":{"malicious-packages-origins":null,"e":{"d":""}},
 "a~b/c":"\u2028"}`

func TestLosslessEveryLevel(t *testing.T) {
	for _, how := range []struct {
		name string
		lim  osv.Limits
	}{
		{"short way", osv.Limits{}},
		// A document larger than a text may be takes the long way.
		{"long way", osv.Limits{Text: 64, Identifier: 64}},
	} {
		t.Run(how.name, func(t *testing.T) {
			r, flags, err := osv.Read(strings.NewReader(everyLevel), how.lim)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if canonical(t, got) != canonical(t, []byte(everyLevel)) {
				t.Errorf("not the same value:\n%s\n%s", canonical(t, got), canonical(t, []byte(everyLevel)))
			}
			want := "/x1 /x2 /severity/0/x /affected/0/x /affected/0/package/x /affected/0/ranges/0/x " +
				"/affected/0/ranges/0/events/0/x /references/0/x /credits/0/x /a~0b~1c"
			var unknown []string
			for _, f := range flags {
				if f.Kind == osv.FlagUnknown {
					unknown = append(unknown, f.Pointer)
				}
			}
			if strings.Join(unknown, " ") != want {
				t.Errorf("unknown members %q, want %q", unknown, want)
			}
		})
	}
}

// Every object of the format, in some real records, gets unknown members.
func TestLosslessAddedMembers(t *testing.T) {
	files := realFiles(t)
	for i := 0; i < len(files); i += 97 {
		f := files[i]
		n := 0
		var b bytes.Buffer
		for _, x := range f.data {
			b.WriteByte(x)
			if x == '{' {
				n++
				fmt.Fprintf(&b, `"x-%d":[{"n":%d}],`, n, n)
			}
		}
		want := bytes.ReplaceAll(b.Bytes(), []byte("],}"), []byte("]}"))
		if bytes.Contains(f.data, []byte("{}")) || strings.Contains(string(f.data), `{"`) || strings.HasPrefix(path.Base(f.name), "MAL-0000") {
			continue
		}
		r, _, err := osv.Parse(want)
		if err != nil {
			if !jsontext.Value(want).IsValid() {
				continue // a brace inside of a text
			}
			t.Fatalf("%s: %v", f.name, err)
		}
		got, err := r.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if canonical(t, got) != canonical(t, want) {
			t.Fatalf("%s: not the same value:\n%s\n%s", f.name, got, want)
		}
	}
}

func TestMarshalRefuses(t *testing.T) {
	ok := func() *osv.Record { return &osv.Record{ID: "MAL-2024-1"} }
	for _, c := range []struct {
		name string
		edit func(*osv.Record)
	}{
		{"invalid UTF-8", func(r *osv.Record) { r.Summary = "a\xffb" }},
		{"raw value not JSON", func(r *osv.Record) { r.DatabaseSpecific = jsontext.Value(`{"a":`) }},
		{"raw value with duplicates", func(r *osv.Record) { r.DatabaseSpecific = jsontext.Value(`{"a":1,"a":2}`) }},
		{"unknown is a field", func(r *osv.Record) { r.Unknown = jsontext.Value(`{"id":"MAL-2024-2"}`) }},
		{"unknown is not an object", func(r *osv.Record) { r.Unknown = jsontext.Value(`[1]`) }},
		{"unknown is not whole", func(r *osv.Record) { r.Unknown = jsontext.Value(`{"a":1`) }},
	} {
		r := ok()
		c.edit(r)
		if b, err := r.Marshal(); err == nil {
			t.Errorf("%s: wrote %s", c.name, b)
		}
	}
	if b, err := ok().Marshal(); err != nil || string(b) != `{"id":"MAL-2024-1"}` {
		t.Errorf("got %s, %v", b, err)
	}
}
