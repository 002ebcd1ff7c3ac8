package list

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// fuzz reads text as a format that its content may not have, and holds the
// result to the promise of the package.
func fuzz(f *testing.F, format format) {
	for _, s := range snippets {
		f.Add(s.text, s.opt.Ecosystem)
	}
	for _, s := range []string{"", "\"", "\"\"\"\n\"", "a,\"b\n\nc", "{\"a\":{\"b\":[[{}]]}}", "|||\n|-|\n|", "```\n```", "- - - a@1", "[a](b", "@@@@@", "pkg:npm/%00@1", "npm:npm:npm:1",
		"{\"entries\":[{\"versions\":[{},[],1e400,-0]}]}", "name,name\na,b\n", "a@1 - - 2", "a@>=1 <2 <3", "[1,2)", "version\n1.0", "name,version,file,sha1,digest\na,1.0,x.tgz," + strings.Repeat("1a", 20) + ",sha256:00", strings.Repeat("[", 70)} {
		f.Add(s, "npm")
	}
	f.Fuzz(func(t *testing.T, text, eco string) {
		opt := Options{Ecosystem: eco}
		s, err := opt.settings("fuzz")
		if err != nil {
			return
		}
		text, err = decode([]byte(text))
		if err != nil {
			return
		}
		parsed, m, _ := s.parse(text, format)
		accounted(t, parsed, m)
		if format != formatJSON && m.Lines != len(lines(text)) && m.Lines > 0 {
			t.Fatalf("%d lines, the mapping says %d", len(lines(text)), m.Lines)
		}
		if strings.ContainsAny(m.String(), "\x1b\x00\r") {
			t.Fatalf("mapping %q", m.String())
		}
	})
}

func FuzzCSV(f *testing.F)       { fuzz(f, formatCSV) }
func FuzzLines(f *testing.F)     { fuzz(f, formatLines) }
func FuzzJSON(f *testing.F)      { fuzz(f, formatJSON) }
func FuzzJSONLines(f *testing.F) { fuzz(f, formatJSONLines) }
func FuzzMarkdown(f *testing.F)  { fuzz(f, formatMarkdown) }

// FuzzRead reads text as the format that it is taken for.
func FuzzRead(f *testing.F) {
	for _, s := range snippets {
		f.Add(s.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		decoded, err := decode([]byte(text))
		if err != nil {
			return
		}
		s, err := (&Options{}).settings("fuzz")
		if err != nil {
			t.Fatal(err)
		}
		parsed, m, _ := s.parse(decoded, sniff(decoded, 0))
		accounted(t, parsed, m)
	})
}

// pieces are what lines of lists are made of.
var pieces = []string{"npm", "pypi", "chalk-x", "@x/a", "1.0.0", "1.0.1", ",", ";", "\t", "|", "---", "@", ":", "==", " ", "\"", "# ", "- ", "package", "version", "name", ">=", "*", "`", "[", "]", "{", "}", "all", "пакет", "\x7f", "https://example.org/a"}

// Every line of any text is accounted for, in every format that it is read as, and joining lines
// about one package loses none.
func TestAccounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ls []string
		for range rapid.IntRange(1, 30).Draw(t, "lines") {
			ls = append(ls, strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 8).Draw(t, "line"), ""))
		}
		text := strings.Join(ls, rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end")) + "\n"
		opt := Options{Ecosystem: rapid.SampledFrom([]string{"", "npm", "pypi"}).Draw(t, "ecosystem")}
		s, err := opt.settings("test")
		if err != nil {
			t.Fatal(err)
		}
		f := rapid.SampledFrom([]format{formatCSV, formatLines, formatMarkdown, formatJSONLines, sniff(text, 0)}).Draw(t, "format")
		parsed, m, _ := s.parse(text, f)
		accounted(t, parsed, m)
		if want := len(ls); f != formatJSON && m.Lines != want {
			t.Fatalf("%d lines, want %d:\n%q\n%s", m.Lines, want, text, m)
		}
	})
}

// What was written as name@version comes out, whatever the order of the lines.
func TestJoined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type line struct{ name, version string }
		want := map[line]bool{}
		var b strings.Builder
		for range rapid.IntRange(1, 40).Draw(t, "lines") {
			l := line{rapid.SampledFrom([]string{"a", "b", "@x/a", "c.d"}).Draw(t, "name"), rapid.StringMatching(`[0-9]\.[0-9]\.[0-9](-beta\.[1-9])?`).Draw(t, "version")}
			want[l] = true
			b.WriteString(l.name + "@" + l.version + "\n")
		}
		s, err := (&Options{Ecosystem: "npm"}).settings("test")
		if err != nil {
			t.Fatal(err)
		}
		parsed, m, err := s.parse(b.String(), sniff(b.String(), 0))
		if err != nil {
			t.Fatal(err, m)
		}
		accounted(t, parsed, m)
		got := 0
		for _, c := range parsed.Claims {
			got += len(c.Versions)
			for _, v := range c.Versions {
				if !want[line{c.Name, v}] {
					t.Fatalf("%s@%s was never written", c.Name, v)
				}
			}
		}
		if got != len(want) {
			t.Fatalf("%d versions, want %d:\n%s", got, len(want), b.String())
		}
	})
}
