package lockfile

import (
	"context"
	"errors"
	"fmt"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// Cases of bad-inputs.md, by number.
func TestBadInputs(t *testing.T) {
	deep := func(open, inside, close string, n int) string {
		return strings.Repeat(open, n) + inside + strings.Repeat(close, n)
	}
	bomb := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 'b'; i <= 'z'; i++ {
		bomb += fmt.Sprintf("%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n", i, i, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1)
	}
	long := strings.Repeat("a", 4096)
	tests := []struct {
		name, kind, in string
		err            string // part of the error; "" for none
		want           []pair
		note           string // part of a note
	}{
		{name: "A1 empty poetry.lock", kind: "poetry.lock", err: "empty"},
		{name: "A1 empty Cargo.lock", kind: "Cargo.lock", err: "empty"},
		{name: "A1 empty Gemfile.lock", kind: "Gemfile.lock", err: "empty"},
		{name: "A1 empty composer.lock", kind: "composer.lock", err: "empty"},
		{name: "A1 empty pubspec.lock", kind: "pubspec.lock", err: "empty"},
		{name: "A1 empty mix.lock", kind: "mix.lock", err: "empty"},
		{name: "A1 empty rebar.lock", kind: "rebar.lock", err: "empty"},
		{name: "A1 empty packages.config", kind: "packages.config", err: "empty"},
		{name: "A1 empty requirements, which is a way to say none", kind: "requirements"},
		{name: "A2 white space", kind: "uv.lock", in: " \n\t\n", err: "empty"},
		{name: "A3 null", kind: "composer.lock", in: "null", err: "not a JSON object"},
		{name: "A4 an array", kind: "Pipfile.lock", in: "[]", err: "not a JSON object"},
		{name: "A5 truncated: what came before stands", kind: "composer.lock",
			in: `{"packages": [{"name": "a/b", "version": "1"}, {"name": "c/`, err: "line 1", want: []pair{{"a/b", "1"}}},
		{name: "A6 garbage after the end", kind: "packages.lock.json", in: `{} {}`, err: "more than one"},
		{name: "A7 a duplicate key", kind: "composer.lock",
			in: "{\"packages\": [{\"name\": \"good/good\",\n\"name\": \"evil/evil\"}]}", err: "line 2: duplicate object member name"},
		{name: "A7 a duplicate key in TOML", kind: "Cargo.lock", in: "[[package]]\nname = \"a\"\nname = \"b\"\n", err: "line 3"},
		{name: "A8 a key in another case is another key", kind: "Cargo.lock",
			in: "[[package]]\nname = \"evil\"\nNAME = \"good\"\nversion = \"1\"\nVERSION = \"2\"\n", want: []pair{{"evil", "1"}}},
		{name: "A10 invalid UTF-8 in JSON", kind: "composer.lock", in: "{\"packages\": [{\"name\": \"a\xff/b\"}]}", err: "UTF-8"},
		{name: "A10 invalid UTF-8 in TOML", kind: "poetry.lock", in: "[[package]]\nname = \"a\xff\"\n", err: "UTF-8"},
		{name: "A10 invalid UTF-8 in a name", kind: "Gemfile.lock", in: "GEM\n  specs:\n    a\xff (1)\n    b (2)\n",
			want: []pair{{"b", "2"}}, note: "without a usable name"},
		{name: "A10 invalid UTF-8 in a comment", kind: "requirements", in: "# caf\xe9\na==1\n", want: []pair{{"a", "1"}}},
		{name: "A11 a lone surrogate", kind: "composer.lock", in: `{"packages": [{"name": "\ud800/b"}]}`, err: "surrogate"},
		{name: "A12 NUL in a name", kind: "composer.lock", in: `{"packages": [{"name": "a\u0000/b"}]}`, note: "without a usable name"},
		{name: "A13 a byte order mark before TOML", kind: "uv.lock", in: "\ufeff[[package]]\nname = \"a\"\nversion = \"1\"\n", want: []pair{{"a", "1"}}},
		{name: "A13 a byte order mark before JSON", kind: "composer.lock", in: "\ufeff" + `{"packages": [{"name": "a/b", "version": "1"}]}`, want: []pair{{"a/b", "1"}}},
		{name: "A13 a byte order mark before YAML", kind: "pubspec.lock", in: "\ufeffpackages:\n  a: {version: \"1\"}\n", want: []pair{{"a", "1"}}},
		{name: "A13 a byte order mark before lines", kind: "Gemfile.lock", in: "\ufeffGEM\n  specs:\n    a (1)\n", want: []pair{{"a", "1"}}},
		{name: "A13 a byte order mark before go.mod", kind: "go.mod", in: "\ufeffmodule m\nrequire a.example/a v1.0.0\n", want: []pair{{"a.example/a", "1.0.0"}}},
		{name: "A14 UTF-16", kind: "Cargo.lock", in: "\xff\xfe[\x00[\x00", err: "UTF-16"},
		{name: "A14 UTF-16 without a mark", kind: "composer.lock", in: "{\x00}\x00", err: "UTF-16"},
		{name: "A14 XML in UTF-16", kind: "packages.config",
			in:   utf16LE(`<?xml version="1.0" encoding="utf-16"?><packages><package id="A" version="1"/></packages>`),
			want: []pair{{"A", "1"}}},
		{name: "A15 JSON 65 deep", kind: "composer.lock", in: `{"x":` + deep("[", "", "]", 64) + `}`, err: "deeper than 64"},
		{name: "A15 JSON 64 deep", kind: "composer.lock", in: `{"x":` + deep("[", "", "]", 63) + `}`},
		{name: "A15 JSON 1e6 deep", kind: "packages.lock.json", in: `{"x":` + deep("[", "", "]", 1e6) + `}`, err: "deeper than 64"},
		{name: "A15 TOML 1e6 deep", kind: "poetry.lock", in: "x = " + deep("[", "", "]", 1e6), err: "deeper than 64"},
		{name: "A15 TOML tables 1e6 deep", kind: "poetry.lock", in: "x = " + strings.Repeat("{a=", 1e6), err: "deeper than 64"},
		{name: "A15 a TOML key of 1e6 parts", kind: "poetry.lock", in: strings.Repeat("a.", 1e6) + "a = 1", err: "deeper than 64"},
		{name: "A15 a TOML version catalog 1e6 deep", kind: "libs.versions.toml", in: "x = " + deep("[", "", "]", 1e6), err: "deeper than 64"},
		{name: "A15 YAML 20,000 deep", kind: "pubspec.lock", in: deep("[", "", "]", 20_000), err: "exceeded max depth"},
		{name: "C57 XML 100,000 deep", kind: "msbuild", in: "<Project>" + strings.Repeat("<a>", 100_000), err: "deeper than 64"},
		{name: "C56 XML with a DOCTYPE", kind: "packages.config",
			in: `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><packages><package id="&e;" version="1"/></packages>`, err: "not allowed"},
		{name: "C56 pom.xml with a DOCTYPE", kind: "pom.xml", in: `<!DOCTYPE x [<!ENTITY e "e">]><project/>`, err: "not allowed"},
		{name: "A25 a name of 4 KiB", kind: "Gemfile.lock", in: "GEM\n  specs:\n    " + long + " (1)\n", note: "without a usable name"},
		{name: "A25 a version of 4 KiB", kind: "requirements", in: "a==" + long + "\n", note: "without a usable name"},
		{name: "79 merge conflict in Cargo.lock", kind: "Cargo.lock",
			in: "[[package]]\nname = \"a\"\n<<<<<<< HEAD\nversion = \"1\"\n=======\nversion = \"2\"\n>>>>>>> x\n", err: "line 3: unresolved merge conflict"},
		{name: "79 merge conflict in Gemfile.lock", kind: "Gemfile.lock",
			in: "GEM\n  specs:\n    b (1)\n<<<<<<< HEAD\n    a (1)\n=======\n    a (2)\n>>>>>>> x\n", err: "line 4: unresolved merge conflict", want: []pair{{"b", "1"}}},
		{name: "79 merge conflict in requirements", kind: "requirements", in: "<<<<<<< HEAD\na==1\n", err: "line 1: unresolved merge conflict"},
		{name: "79 merge conflict in composer.lock", kind: "composer.lock", in: "{\n<<<<<<< HEAD\n", err: "line 2"},
		{name: "80 keys that are special elsewhere", kind: "packages.lock.json",
			in:   `{"__proto__": {"x": 1}, "dependencies": {"__proto__": {"constructor": {"resolved": "1.0", "__proto__": 2}}}}`,
			want: []pair{{"constructor", "1.0"}}},
		{name: "80 in TOML", kind: "uv.lock", in: "[[package]]\nname = \"__proto__\"\nversion = \"1\"\n", want: []pair{{"__proto__", "1"}}},
		{name: "81 CRLF in requirements", kind: "requirements", in: "a==1 \\\r\n  --hash=sha256:0\r\nb==2\r\n", want: []pair{{"a", "1"}, {"b", "2"}}},
		{name: "81 CRLF in Gemfile.lock", kind: "Gemfile.lock", in: "GEM\r\n  specs:\r\n    a (1)\r\n", want: []pair{{"a", "1"}}},
		{name: "81 CRLF in poetry.lock", kind: "poetry.lock", in: "[[package]]\r\nname = \"a\"\r\nversion = \"1\"\r\n", want: []pair{{"a", "1"}}},
		{name: "81 CRLF in paket.lock", kind: "paket.lock", in: "NUGET\r\n  remote: https://api.nuget.org/v3/index.json\r\n    A (1)\r\n", want: []pair{{"A", "1"}}},
		{name: "81 CRLF in mix.lock", kind: "mix.lock", in: "%{\r\n  \"a\": {:hex, :a, \"1.0.0\", \"x\", [:mix], [], \"hexpm\"},\r\n}\r\n", want: []pair{{"a", "1.0.0"}}},
		{name: "81 YAML alias bomb in a workflow", kind: "workflow", in: bomb + "jobs:\n  x:\n    steps: *z\n"},
		{name: "81 YAML alias bomb in pubspec.lock", kind: "pubspec.lock", in: bomb + "packages: *z\n"},
		{name: "81 YAML alias bomb in environment.yml", kind: "environment.yml", in: bomb + "dependencies: *z\n"},
		{name: "81 a YAML alias to what it is in", kind: "workflow", in: "jobs: &j\n  x: *j\n  y:\n    steps: &s [*s]\n", err: ""},
		{name: "86 a workspace outside is not followed", kind: "Gemfile.lock",
			in: "PATH\n  remote: ../../../etc\n  specs:\n    a (1)\n", want: []pair{{"a", "1"}}},
		{name: "86 an included file outside is not followed", kind: "requirements", in: "-r ../../../etc/passwd\n-c /etc/passwd\na==1\n", want: []pair{{"a", "1"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			got := readKind(t, tt.kind, tt.kind, tt.in)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			switch {
			case tt.err == "" && got.err != nil:
				t.Errorf("error: %v", got.err)
			case tt.err != "" && (got.err == nil || !strings.Contains(got.err.Error(), tt.err)):
				t.Errorf("error %v, want %q", got.err, tt.err)
			case got.err != nil && (strings.Contains(got.err.Error(), "\n") || len(got.err.Error()) > 500):
				t.Errorf("the error is not one short line: %.600q", got.err)
			}
			if g, w := fmt.Sprint(set(got.pairs("go.mod"))), fmt.Sprint(set(tt.want)); g != w {
				t.Errorf("saw %.300s, want %s", g, w)
			}
			if notes := strings.Join(got.notes, "\n"); !strings.Contains(notes, tt.note) || tt.note == "" && notes != "" {
				t.Errorf("notes %.300q, want %q", notes, tt.note)
			}
		})
	}
}

func utf16LE(s string) string {
	out := "\xff\xfe"
	for _, c := range []byte(s) {
		out += string([]byte{c, 0})
	}
	return out
}

// Maven replaces properties inside properties: thirty lines may become gigabytes.
func TestPomExpansion(t *testing.T) {
	properties := func(from, to int) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, "<p%d>${p%d}${p%d}</p%d>", i, i+1, i+1, i)
		}
		return b.String()
	}
	dependency := "<dependencies><dependency><groupId>g</groupId><artifactId>a</artifactId><version>${p0}</version></dependency></dependencies>"
	parent := "<parent><groupId>g</groupId><artifactId>p</artifactId><version>1</version><relativePath>../pom.xml</relativePath></parent>"
	tests := []struct {
		name, in, parent string
		err              string
		want             []pair
	}{
		{name: "doubling", in: "<project><properties>" + properties(0, 40) + "<p40>x</p40></properties>" + dependency + "</project>", err: "expand"},
		{name: "doubling through project.version", in: "<project><version>${p1}${p1}</version><properties><p0>${project.version}${version}</p0>" +
			properties(1, 40) + "<p40>x</p40></properties>" + dependency + "</project>", err: "expand"},
		{name: "a circle", in: "<project><properties><p0>${p1}</p0><p1>${p0}</p1></properties>" + dependency + "</project>", err: "circle"},
		{name: "a property that is itself", in: "<project><properties><p0>1</p0><x>${x}</x></properties>" + dependency + "</project>", want: []pair{{"g:a", "1"}}},
		{name: "too many dependencies", in: "<project><dependencies>" + strings.Repeat("<dependency/>", maxPomDependencies+1) + "</dependencies></project>", err: "more than 5000"},
		{name: "a version that a parent manages", in: "<project>" + parent + "<artifactId>c</artifactId>" +
			"<dependencies><dependency><groupId>g</groupId><artifactId>a</artifactId></dependency></dependencies></project>",
			parent: "<project><packaging>pom</packaging><groupId>g</groupId><artifactId>p</artifactId><version>1</version><properties><p0>2.5</p0></properties>" +
				"<dependencyManagement>" + dependency + "</dependencyManagement></project>",
			want: []pair{{"g:a", "2.5"}}},
		{name: "a version that is a parent's property: the extractor drops it", in: "<project>" + parent + "<artifactId>c</artifactId>" + dependency + "</project>",
			want: []pair{{"g:a", ""}}},
		{name: "doubling across a parent", in: "<project>" + parent + "<artifactId>c</artifactId><properties>" + properties(0, 20) + "</properties>" + dependency + "</project>",
			parent: "<project><packaging>pom</packaging><groupId>g</groupId><artifactId>p</artifactId><version>1</version><properties>" + properties(20, 40) + "<p40>x</p40></properties></project>",
			err:    "expand"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var fsys fs.FS
			if tt.parent != "" {
				fsys = fstest.MapFS{"pom.xml": &fstest.MapFile{Data: []byte(tt.parent)}}
			}
			r := scalibrReaders()[0]
			if r.Name != "pom.xml" {
				t.Fatal("the first is not pom.xml")
			}
			start := time.Now()
			got := readWith(t.Context(), r, &inventory.File{Path: "x/app/pom.xml", Rel: "app/pom.xml", R: strings.NewReader(tt.in), FS: fsys})
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			if tt.err == "" && got.err != nil || tt.err != "" && (got.err == nil || !strings.Contains(got.err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", got.err, tt.err)
			}
			if g, w := fmt.Sprint(set(got.pairs(""))), fmt.Sprint(set(tt.want)); g != w {
				t.Errorf("saw %s, want %s", g, w)
			}
		})
	}
}

// A reader stops when its consumer has had enough, and when its context ends.
func TestStop(t *testing.T) {
	var in strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&in, "p%d==1\n", i)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := readContext(ctx, t, "requirements", "requirements.txt", in.String()); !errors.Is(got.err, context.Canceled) || len(got.saw) != 0 {
		t.Errorf("a context that ended: %d seen, error %v", len(got.saw), got.err)
	}
}

// Credentials in a lockfile's URLs go no further.
func TestNoCredentials(t *testing.T) {
	for kind, in := range map[string]string{
		"poetry.lock":      "[[package]]\nname = \"a\"\nversion = \"1\"\n[package.source]\ntype = \"legacy\"\nurl = \"https://u:SECRET@h.example/s?t=SECRET\"\n",
		"uv.lock":          "[[package]]\nname = \"a\"\nsource = { path = \"https://u:SECRET@h.example/x\" }\n",
		"requirements":     "-i https://u:SECRET@h.example/simple\na==1\nb @ https://u:SECRET@h.example/b-1.zip?t=SECRET\n",
		"Gemfile.lock":     "GEM\n  remote: https://u:SECRET@h.example/\n  specs:\n    a (1)\n",
		"Cargo.lock":       "[[package]]\nname = \"a\"\nversion = \"1\"\nsource = \"git+https://u:SECRET@h.example/a?x=SECRET#SECRET\"\n",
		"composer.lock":    `{"packages": [{"name": "a/b", "dist": {"url": "https://u:SECRET@h.example/a.zip?t=SECRET"}}]}`,
		"paket.lock":       "NUGET\n  remote: https://u:SECRET@h.example/\n    A (1)\n",
		"Package.resolved": `{"pins": [{"identity": "a", "location": "https://u:SECRET@h.example/a.git"}]}`,
	} {
		got := readKind(t, kind, kind, in)
		if len(got.saw) == 0 || strings.Contains(fmt.Sprint(got), "SECRET") || strings.Contains(strings.Join(got.urls, " "), "SECRET") {
			t.Errorf("%s: %+v", kind, got)
		}
	}
}
