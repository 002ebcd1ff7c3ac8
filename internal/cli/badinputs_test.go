package cli_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/cli"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/internal/store/pgtest"
)

// shell runs commands in this process, on a store and a data directory of its own.
type shell struct {
	t     *testing.T
	home  string
	store string // "" is the built-in one
	at    time.Time
}

func newShell(t *testing.T) *shell {
	return &shell{t: t, home: t.TempDir(), at: now}
}

// run gives the exit status and both outputs, each of which must be safe to print whatever went in.
func (s *shell) run(args ...string) (status int, stdout, stderr string) {
	s.t.Helper()
	s.at = s.at.Add(time.Minute)
	at := s.at
	env := cli.Env{Now: func() time.Time { return at }, Version: "test", Getenv: func(k string) string {
		return map[string]string{"RAPSHEET_HOME": s.home, "RAPSHEET_STORE": s.store, "RAPSHEET_ACTOR": "anna"}[k]
	}}
	var out, errOut bytes.Buffer
	status = cli.Run(context.Background(), env, strings.NewReader(""), &out, &errOut, args)
	if args[1] != "export" {
		for _, text := range []string{out.String(), errOut.String()} {
			wantPrintable(s.t, text)
		}
	}
	return status, out.String(), errOut.String()
}

// wantPrintable says what would reach a terminal raw: I2 of bad-inputs.md.
func wantPrintable(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("not UTF-8: %q", text)
	}
	for line := range strings.Lines(text) {
		for _, r := range strings.TrimSuffix(line, "\n") {
			if !printable.Rune(r) {
				t.Errorf("%q is printed raw in %q", r, line)
				break
			}
		}
		if len(line) > 4000 {
			t.Errorf("a line of %d bytes: %.100q…", len(line), line)
		}
	}
}

// must runs a command that has to end with 0.
func (s *shell) must(args ...string) string {
	s.t.Helper()
	status, stdout, stderr := s.run(args...)
	if status != rapsheet.ExitClean {
		s.t.Fatalf("%v: status %d: %s%s", args, status, stdout, stderr)
	}
	return stdout
}

// records gives every record of the store by its id.
func (s *shell) records() map[string]string {
	s.t.Helper()
	out := map[string]string{}
	for line := range strings.Lines(s.must("catalog", "export", "--all")) {
		id, _, _ := strings.Cut(strings.TrimPrefix(line[strings.Index(line, `"id":"`):], `"id":"`), `"`)
		out[id] = line
	}
	return out
}

// osvOf is a record about an npm package; more goes in front of affected.
func osvOf(id, name, more string) string {
	return fmt.Sprintf(`{"id":%q,"modified":"2026-01-02T00:00:00Z","published":"2026-01-01T00:00:00Z",%s"affected":[{"package":{"ecosystem":"npm","name":%q},"versions":["1.0.0"]}]}`, id, more, name)
}

// noise is n letters that do not compress.
func noise(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	rnd := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[rnd.IntN(len(letters))]
	}
	return string(b)
}

// member is a file of a tree or an archive.
type member struct{ name, data string }

// placed puts a document where the public tree would have it.
func placed(name, id, data string) member {
	return member{"osv/malicious/npm/" + name + "/" + id + ".json", data}
}

var (
	goodBefore = placed("aaa-good", "MAL-2026-1", osvOf("MAL-2026-1", "aaa-good", ""))
	goodAfter  = placed("zzz-good", "MAL-2026-2", osvOf("MAL-2026-2", "zzz-good", ""))
)

func writeTree(t *testing.T, files ...member) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(f.data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func writeFile(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func zipOf(t *testing.T, files ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := clienttest.ZipWriter(&b)
	for _, f := range files {
		e, err := w.Create(f.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(e, f.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tarMember is an entry of a tar that is not just a file.
type tarMember struct {
	member
	typ  byte
	link string
}

func tarOf(t *testing.T, files ...tarMember) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Size: int64(len(f.data)), Mode: 0o644, Typeflag: tar.TypeReg, Linkname: f.link}
		if f.typ != 0 {
			h.Typeflag = f.typ
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

func zstdOf(data []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	return w.EncodeAll(data, nil)
}

// outcome is what an import of a hostile source has to come to.
type outcome struct {
	// status is the exit status: 0 when all of it was used, 3 when something was kept aside or the source is
	// unreadable, 2 or 4 as in docs/exit-status.md.
	status int
	// says is in what was printed.
	says []string
	// new are the ids that the import brings, besides those of the good neighbours.
	new []string
	// refused means that nothing of the source is taken, good neighbours neither.
	refused bool
}

// imports checks an import of path against what it has to come to, on a store that has records before.
func (want outcome) imports(t *testing.T, path string, args ...string) {
	t.Helper()
	s := newShell(t)
	s.must("catalog", "import", writeTree(t, placed("before", "MAL-2025-1", osvOf("MAL-2025-1", "before", ""))), "--name", "before", "--yes")
	before := s.records()
	status, stdout, stderr := s.run(append([]string{"catalog", "import", path, "--name", "the-feed", "--yes"}, args...)...)
	if status != want.status {
		t.Errorf("status %d, want %d:\n%s%s", status, want.status, stdout, stderr)
	}
	for _, text := range want.says {
		if !strings.Contains(stdout+stderr, text) {
			t.Errorf("%q is not in\n%s%s", text, stdout, stderr)
		}
	}
	if strings.Contains(stdout+stderr, "root:") {
		t.Errorf("content of another file is printed:\n%s%s", stdout, stderr)
	}
	if n := strings.Count(stderr, "rapsheet: "); n > 1 || n == 1 != (want.refused && want.status != 0) {
		t.Errorf("%d lines of error:\n%s", n, stderr)
	}
	after := s.records()
	ids := append([]string{"MAL-2025-1"}, want.new...)
	if !want.refused {
		ids = append(ids, "MAL-2026-1", "MAL-2026-2")
	}
	slices.Sort(ids)
	if got := slices.Sorted(maps.Keys(after)); !slices.Equal(got, ids) {
		t.Errorf("records are %v, want %v\n%s%s", got, ids, stdout, stderr)
	}
	if after["MAL-2025-1"] != before["MAL-2025-1"] {
		t.Errorf("a record from before changed:\n%s\n%s", before["MAL-2025-1"], after["MAL-2025-1"])
	}
	if want.refused && want.status != rapsheet.ExitUsage {
		if status := s.must("catalog", "status"); strings.Contains(status, "the-feed") {
			t.Errorf("the source that was refused is known now:\n%s", status)
		}
	}
	if !want.refused && want.status == rapsheet.ExitIncomplete {
		if status := s.must("catalog", "status"); !strings.Contains(status, "documents kept aside") {
			t.Errorf("nothing is in quarantine:\n%s", status)
		}
	}
}

// documents are the cases of section A of bad-inputs.md that one document makes, by number. The expectations are
// those of that file; an id that is accepted is MAL-2026-9 about "bad", unless another is named.
func documents() []struct {
	name, data string
	want       outcome
} {
	const id = "MAL-2026-9"
	good := osvOf(id, "bad", "")
	aside := func(says ...string) outcome {
		return outcome{status: rapsheet.ExitIncomplete, says: append([]string{id + ".json"}, says...)}
	}
	taken := outcome{new: []string{id}}
	member := func(s string) string { return osvOf(id, "bad", s+",") }
	named := func(name string) string { return strings.Replace(good, `"name":"bad"`, `"name":`+name, 1) }
	affected := func(s string) string { return strings.Replace(good, `"versions":["1.0.0"]`, s, 1) }
	events := func(s string) string { return affected(`"ranges":[{"type":"SEMVER","events":[` + s + `]}]`) }
	identified := func(s string) string { return strings.Replace(good, `"id":"`+id+`"`, `"id":`+s, 1) }
	utf16le := func(s string) string {
		b := []byte{0xff, 0xfe}
		for _, u := range utf16.Encode([]rune(s)) {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
		return string(b)
	}
	manyVersions := make([]string, 100_001)
	for i := range manyVersions {
		manyVersions[i] = fmt.Sprintf(`"1.0.%d"`, i)
	}
	return []struct {
		name, data string
		want       outcome
	}{
		{"A1 empty file", "", aside("empty")},
		{"A2 white space", " \n\t \n", aside()},
		{"A3 null", "null", aside("object")},
		{"A4 list", "[" + good + "]", aside("object")},
		{"A6 trailing garbage", good + "x", aside()},
		{"A6 two objects", good + "\n" + good, aside()},
		{"A7 duplicate id", `{"id":"MAL-2026-8",` + good[1:], aside("id")},
		{"A8 ID in place of id", strings.Replace(good, `"id"`, `"ID"`, 1), aside("id is missing")},
		{"A9 Kelvin sign in a key", strings.Replace(good, `"package"`, "\"pac\u212aage\"", 1), aside()},
		{"A10 invalid UTF-8 in the name", named("\"b\xffad\""), aside()},
		{"A10 invalid UTF-8 in details", member("\"details\":\"a\xffb\""), taken},
		{"A11 lone surrogate", named(`"b\ud800ad"`), aside()},
		{"A12 NUL in the name", named(`"b\u0000ad"`), aside(`b\x00ad`)},
		{"A13 byte order mark", "\xef\xbb\xbf" + good, taken},
		{"A14 UTF-16", utf16le(good), aside("UTF-8")},
		{"A15 depth 65", member(`"database_specific":{"x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`), aside("64")},
		{"A15 depth 10,001", member(`"x":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001)), aside("64")},
		{"A15 depth 1,000,000", member(`"x":` + strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000)), aside("64")},
		{"A16 details of 2 MiB", member(`"details":"` + noise(2<<20) + `"`), outcome{new: []string{id}, says: []string{"cut at the limit of 65536"}}},
		{"A17 numbers in place of texts", strings.Replace(good, `"2026-01-02T00:00:00Z"`, `1e400`, 1), aside("modified")},
		{"A17 numbers beside what is read", member(`"database_specific":{"x":1e400,"y":-0,"z":1e-400}`), taken},
		{"A18 an unknown field of 4 MB of lists", member(`"x":[` + strings.Repeat("[],", 1_300_000) + `[]]`), taken},
		{"A19 no id", identified("null"), aside("id is missing")},
		{"A19 an id of 10 kB", identified(`"MAL-` + strings.Repeat("9", 10_000) + `"`), aside("id")},
		{"A19 an id that is a path", identified(`"MAL-2026-9/../../x"`), aside("id")},
		{"A19 an id that moves the cursor", identified(`"MAL-2026-9\u001b[2J"`), aside("id")},
		{"A23 affected empty", strings.Replace(good, good[strings.Index(good, `"affected":[`)+12:len(good)-2], "", 1), aside("no affected package")},
		{"A23 affected missing", strings.Replace(good, `"affected"`, `"infected"`, 1), aside("no affected package")},
		{"A23 two packages", strings.Replace(good, `"affected":[`, `"affected":[{"package":{"ecosystem":"npm","name":"other"},"versions":["1.0.0"]},`, 1),
			outcome{new: []string{"MAL-0000-local-1"}, says: []string{"lost-scope: 1", "npm other"}}},
		{"A24 unknown ecosystem", strings.Replace(good, `"npm"`, `"Homebrew"`, 1), outcome{says: []string{"unpublishable: 1"}}},
		{"A24 wrong case", strings.Replace(good, `"npm"`, `"NPM"`, 1), outcome{says: []string{"unpublishable: 1"}}},
		{"A24 suffix", strings.Replace(good, `"npm"`, `"npm:foo"`, 1), taken},
		{"A25 name empty", named(`""`), aside("name")},
		{"A25 name of spaces", named(`"  "`), aside("name")},
		{"A25 name with a space before it", named(`" bad"`), aside("name")},
		{"A25 name of 10 kB", named(`"` + strings.Repeat("b", 10_000) + `"`), aside("name")},
		{"A25 name that clears the screen", named(`"b\u001b[2Jad"`), aside("name")},
		{"A26 purl of another package", strings.Replace(good, `"name":"bad"`, `"name":"bad","purl":"pkg:npm/%40zettle-bo/bad"`, 1), outcome{says: []string{"purl-disagrees: 1"}}},
		{"A28 range without introduced", events(`{"fixed":"1.0.0"}`), aside("introduced")},
		{"A28 fixed before introduced", events(`{"introduced":"2.0.0"},{"fixed":"1.0.0"}`), aside()},
		{"A28 fixed and last affected", events(`{"introduced":"0"},{"fixed":"2.0.0"},{"last_affected":"1.0.0"}`), aside()},
		{"A28 event with two keys", events(`{"introduced":"0","fixed":"2.0.0"}`), aside()},
		{"A29 unparsable version", affected(`"versions":["not a version"]`), taken},
		{"A30 100,001 versions", affected(`"versions":[` + strings.Join(manyVersions, ",") + `]`), aside("100000")},
		{"A31 modified in the year 0000", strings.Replace(good, "2026-01-02", "0000-01-02", 1), aside("year")},
		{"A31 modified in the year 9999", strings.Replace(good, "2026-01-02", "9999-01-02", 1), aside("year")},
		{"A31 modified not in UTC", strings.Replace(good, "2026-01-02T00:00:00Z", "2026-01-02T00:00:00+02:00", 1), taken},
		{"A31 withdrawn before published", member(`"withdrawn":"2025-01-01T00:00:00Z"`), taken},
		{"A32 odd references", member(`"references":[{"type":"WEB","url":"javascript:alert(1)"},{"type":"WEB","url":"file:///etc/passwd"},{"type":"WEB","url":"https://a:b@example.org/` +
			strings.Repeat("x", 8000) + `"}]`), taken},
		{"A33 alias to itself", member(`"aliases":["` + id + `"]`), taken},
		{"A34 schema of the future", member(`"schema_version":"99.0.0","new_field":{"a":1}`), taken},
	}
}

// Section A of bad-inputs.md at the entry of imports: a document between good ones in a tree and in a zip, and alone
// in a file. A5, A20 to A22, A27 and A33 need more than one document and follow below. The bytes themselves are gone
// through in package osv and in osvfeed.
func TestBadDocuments(t *testing.T) {
	for _, tt := range documents() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bad := placed("bad", "MAL-2026-9", tt.data)
			tt.want.imports(t, writeTree(t, goodBefore, bad, goodAfter))
			if testing.Short() {
				return
			}
			inZip := tt.want
			if n := len(gzipOf([]byte(tt.data))); len(tt.data) > 1<<20 && len(tt.data) > 200*n {
				// The alarm for bombs comes first.
				inZip = outcome{status: rapsheet.ExitIncomplete, says: []string{"MAL-2026-9.json: decompresses to more than 200 times its size"}}
			}
			inZip.imports(t, writeFile(t, "feed.zip", zipOf(t, goodBefore, bad, goodAfter)))
			if tt.name == "A6 two objects" {
				return // alone they are JSON lines
			}
			path := writeFile(t, "MAL-2026-9.json", []byte(tt.data))
			s := newShell(t)
			status, stdout, stderr := s.run("catalog", "import", path, "--yes")
			switch {
			case tt.want.status == 0 && status != 0 && len(tt.want.new) > 0:
				t.Errorf("alone: status %d: %s%s", status, stdout, stderr)
			case tt.want.status != 0:
				if status < rapsheet.ExitUsage || status > rapsheet.ExitCatalog {
					t.Errorf("alone: status %d: %s%s", status, stdout, stderr)
				}
				if !strings.Contains(stderr, "MAL-2026-9.json") || strings.Count(stderr, "rapsheet: ") != 1 || !strings.Contains(stderr, "\nhint: ") {
					t.Errorf("alone: the error does not name the file, or gives no hint: %s%s", stdout, stderr)
				}
				if n := len(s.records()); n != 0 {
					t.Errorf("alone: %d records", n)
				}
			}
		})
	}
}

// Both engines come to the same with the same hostile documents.
func TestBadDocumentsOnBothEngines(t *testing.T) {
	files := []member{goodBefore, goodAfter}
	for i, d := range documents() {
		if len(d.data) < 1<<16 {
			files = append(files, placed(fmt.Sprintf("bad%d", i), "MAL-2026-9", strings.ReplaceAll(d.data, "MAL-2026-9", fmt.Sprintf("MAL-2026-9%02d", i))))
		}
	}
	path := writeTree(t, files...)
	outputs := map[string]string{}
	for engine, name := range map[string]string{"sqlite": "", "postgres": pgtest.Start(t)} {
		s := newShell(t)
		s.store = name
		status, stdout, stderr := s.run("catalog", "import", path, "--name", "the-feed", "--yes")
		if status != rapsheet.ExitIncomplete {
			t.Fatalf("%s: status %d: %s%s", engine, status, stdout, stderr)
		}
		outputs[engine] = stdout + fmt.Sprint(s.records())
	}
	if outputs["sqlite"] != outputs["postgres"] {
		t.Errorf("sqlite:\n%s\npostgres:\n%s", outputs["sqlite"], outputs["postgres"])
	}
}

// Cases of section A that several documents or several imports make.
func TestBadSetsOfDocuments(t *testing.T) {
	t.Run("A5 cut off at every byte", func(t *testing.T) {
		whole := osvOf("MAL-2026-9", "bad", "")
		files := []member{goodBefore, goodAfter}
		for n := range len(whole) {
			files = append(files, placed(fmt.Sprintf("cut%d", n), "MAL-2026-9", whole[:n]))
		}
		outcome{status: rapsheet.ExitIncomplete, says: []string{fmt.Sprintf("kept aside: %d\n", len(whole))}}.imports(t, writeTree(t, files...))
	})
	t.Run("A20 the same id with other content", func(t *testing.T) {
		outcome{status: rapsheet.ExitIncomplete, says: []string{"one/MAL-2026-9.json", "two/MAL-2026-9.json", "other content"}}.imports(t, writeTree(t, goodBefore, goodAfter,
			placed("one", "MAL-2026-9", osvOf("MAL-2026-9", "same", "")), placed("two", "MAL-2026-9", osvOf("MAL-2026-9", "same", `"summary":"x",`))))
	})
	t.Run("A21 the same id with the same content", func(t *testing.T) {
		outcome{new: []string{"MAL-2026-9"}}.imports(t, writeTree(t, member{"a.json", goodBefore.data}, member{"b.json", goodAfter.data},
			member{"npm/same/MAL-2026-9.json", osvOf("MAL-2026-9", "same", "")}, member{"copy/same/MAL-2026-9.json", osvOf("MAL-2026-9", "same", "")}))
	})
	t.Run("A22 the id of another package", func(t *testing.T) {
		outcome{says: []string{"id-reused: 1"}}.imports(t, writeTree(t, goodBefore, goodAfter, placed("bad", "MAL-2025-1", osvOf("MAL-2025-1", "bad", ""))))
	})
	t.Run("A27 every version of a popular package", func(t *testing.T) {
		popular := writeFile(t, "popular.txt", []byte("bad\n"))
		all := strings.Replace(osvOf("MAL-2026-9", "bad", ""), `"versions":["1.0.0"]`, `"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]`, 1)
		outcome{says: []string{"popular-all-versions: 1"}}.imports(t, writeTree(t, goodBefore, goodAfter, placed("bad", "MAL-2026-9", all)), "--popular", "npm="+popular)
	})
	t.Run("A33 aliases in a circle", func(t *testing.T) {
		// Both were published: the second one is on record as superseded by the first.
		outcome{new: []string{"MAL-2026-8", "MAL-2026-9"}}.imports(t, writeTree(t, goodBefore, goodAfter,
			placed("bad", "MAL-2026-8", osvOf("MAL-2026-8", "bad", `"aliases":["MAL-2026-9"],`)),
			placed("bad", "MAL-2026-9", osvOf("MAL-2026-9", "bad", `"aliases":["MAL-2026-8"],`))))
	})
}

// patched changes bytes of the n-th header of a zip's directory, and of the entry's own header when local is not nil.
func patched(t *testing.T, data []byte, n int, central, local func(header []byte)) []byte {
	t.Helper()
	out := slices.Clone(data)
	for i, h := range []struct {
		signature string
		change    func([]byte)
	}{{"PK\x01\x02", central}, {"PK\x03\x04", local}} {
		if h.change == nil {
			continue
		}
		at := 0
		for range n + 1 {
			next := bytes.Index(out[at:], []byte(h.signature))
			if next < 0 {
				t.Fatalf("the archive has no header %d of kind %d", n, i)
			}
			at += next + 4
		}
		h.change(out[at-4:])
	}
	return out
}

// bombSize is far beyond the first mebibyte, from which on ratios count. Each byte of it costs the race detector's
// shadow of it, too.
func bombSize() int {
	if testing.Short() {
		return 8 << 20
	}
	return 64 << 20
}

// Section B of bad-inputs.md at the entry of imports.
func TestBadArchives(t *testing.T) {
	bad := placed("bad", "MAL-2026-9", osvOf("MAL-2026-9", "bad", ""))
	tree := func(t *testing.T, entries ...member) []byte {
		return zipOf(t, append(append([]member{goodBefore}, entries...), goodAfter)...)
	}
	tarball := func(t *testing.T, entries ...tarMember) []byte {
		return tarOf(t, slices.Concat([]tarMember{{member: goodBefore}}, entries, []tarMember{{member: goodAfter}})...)
	}
	aside := func(says ...string) outcome { return outcome{status: rapsheet.ExitIncomplete, says: says} }
	refused := func(says ...string) outcome {
		return outcome{status: rapsheet.ExitIncomplete, says: append([]string{"feed", "hint: "}, says...), refused: true}
	}
	// Rejected entries of a tree count where the list is, names that lead anywhere else do not: so these lie flat.
	flat := func(m member) member { return member{strings.TrimPrefix(m.name, "osv/malicious/"), m.data} }
	for number, names := range map[string][]string{
		"B35 dot dot":             {"../MAL-2026-9.json", "npm/../../../../etc/MAL-2026-9.json"},
		"B36 absolute":            {"/etc/MAL-2026-9.json"},
		"B37 windows":             {`C:\MAL-2026-9.json`, `\\host\share\MAL-2026-9.json`, `npm\bad\MAL-2026-9.json`},
		"B38 line break and more": {"npm/a\nb/MAL-2026-9.json", "npm/\x1b[2J/MAL-2026-9.json", "npm/" + strings.Repeat("n", 65_000) + ".json"},
	} {
		t.Run(number, func(t *testing.T) {
			t.Parallel()
			for _, name := range names {
				a, b, c := flat(goodBefore), member{name, bad.data}, flat(goodAfter)
				aside("kept aside: 1").imports(t, writeFile(t, "feed.zip", zipOf(t, a, b, c)))
				aside("kept aside: 1").imports(t, writeFile(t, "feed.tar.gz", gzipOf(tarOf(t, tarMember{member: a}, tarMember{member: b}, tarMember{member: c}))))
			}
		})
	}
	t.Run("B38 NUL in a name", func(t *testing.T) {
		t.Parallel()
		zipped := tree(t, member{strings.Replace(bad.name, "bad", "b0d", 1), bad.data})
		zipped = bytes.ReplaceAll(zipped, []byte("/b0d/"), []byte("/b\x00d/"))
		aside("b\ufffdd/MAL-2026-9.json").imports(t, writeFile(t, "feed.zip", zipped))
	})
	t.Run("B39 links", func(t *testing.T) {
		t.Parallel()
		for _, typ := range []byte{tar.TypeSymlink, tar.TypeLink} {
			aside("bad/MAL-2026-9.json").imports(t, writeFile(t, "feed.tar", tarball(t, tarMember{member{bad.name, ""}, typ, "/etc/passwd"})))
		}
	})
	t.Run("B39 a link in a tree", func(t *testing.T) {
		t.Parallel()
		dir := writeTree(t, goodBefore, goodAfter)
		if err := os.Symlink("/etc/passwd", filepath.Join(dir, "osv/malicious/npm/aaa-good/link.json")); err != nil {
			t.Skip(err)
		}
		aside("link.json").imports(t, dir)
	})
	t.Run("B40 devices", func(t *testing.T) {
		t.Parallel()
		for _, typ := range []byte{tar.TypeFifo, tar.TypeChar, tar.TypeBlock} {
			aside("bad/MAL-2026-9.json").imports(t, writeFile(t, "feed.tar", tarball(t, tarMember{member{bad.name, ""}, typ, ""})))
		}
	})
	t.Run("B41 duplicate names", func(t *testing.T) {
		t.Parallel()
		refused("aaa-good").imports(t, writeFile(t, "feed.zip", tree(t, goodBefore)))
		refused("aaa-good").imports(t, writeFile(t, "feed.tar", tarball(t, tarMember{member: goodBefore})))
	})
	t.Run("B42 overlapping entries", func(t *testing.T) {
		t.Parallel()
		toFirst := func(h []byte) { binary.LittleEndian.PutUint32(h[42:], 0) }
		refused().imports(t, writeFile(t, "feed.zip", patched(t, tree(t, bad), 1, toFirst, nil)))
	})
	t.Run("B43 sizes that lie", func(t *testing.T) {
		t.Parallel()
		for _, size := range []uint32{10, 400} {
			lie := func(h []byte) { binary.LittleEndian.PutUint32(h[24:], size) }
			path := writeFile(t, "feed.zip", patched(t, tree(t, bad), 1, lie, nil))
			aside("bad/MAL-2026-9.json").imports(t, path)
		}
	})
	t.Run("B44 flat bomb", func(t *testing.T) {
		t.Parallel()
		zeros := member{bad.name, string(make([]byte, bombSize()/2))}
		aside("bad/MAL-2026-9.json").imports(t, writeFile(t, "feed.zip", tree(t, zeros)))
		refused().imports(t, writeFile(t, "feed.tar.gz", gzipOf(tarball(t, tarMember{member: zeros}))))
	})
	t.Run("B45 zstd bomb", func(t *testing.T) {
		t.Parallel()
		zeros := member{bad.name, string(make([]byte, bombSize()))}
		refused().imports(t, writeFile(t, "feed.tar.zst", zstdOf(tarball(t, tarMember{member: zeros}))))
	})
	t.Run("B46 an archive in an archive", func(t *testing.T) {
		t.Parallel()
		outcome{}.imports(t, writeFile(t, "feed.zip", tree(t, member{"osv/malicious/npm/bad/inner.zip", string(zipOf(t, bad))})))
		refused().imports(t, writeFile(t, "feed.gz", gzipOf(gzipOf(tarball(t)))), "--format", "osv")
	})
	t.Run("B47 2,000,001 entries", func(t *testing.T) {
		t.Parallel()
		if testing.Short() {
			t.Skip("reads two million lines; package source has the same with a low limit")
		}
		lines := goodBefore.data + "\n" + strings.Repeat("{}\n", 2_000_000)
		refused("2000000").imports(t, writeFile(t, "feed.jsonl", []byte(lines)), "--format", "osv")
	})
	t.Run("B48 cut off", func(t *testing.T) {
		t.Parallel()
		for name, data := range map[string][]byte{"feed.zip": tree(t, bad), "feed.tar": tarball(t), "feed.tar.gz": gzipOf(tarball(t)), "feed.tar.zst": zstdOf(tarball(t))} {
			refused().imports(t, writeFile(t, name, data[:len(data)/2]))
		}
	})
	t.Run("B48 wrong checksum in the middle", func(t *testing.T) {
		t.Parallel()
		refused("bad/MAL-2026-9.json", "checksum").imports(t, writeFile(t, "feed.zip", patched(t, tree(t, bad), 1, func(h []byte) { h[16] ^= 1 }, nil)))
	})
	t.Run("B49 encrypted", func(t *testing.T) {
		t.Parallel()
		secret := func(at int) func([]byte) { return func(h []byte) { h[at] |= 1 } }
		aside("bad/MAL-2026-9.json", "encrypted").imports(t, writeFile(t, "feed.zip", patched(t, tree(t, bad), 1, secret(8), secret(6))))
	})
	t.Run("B50 hostile tar headers", func(t *testing.T) {
		t.Parallel()
		data := tarball(t)
		cut := len(data) - 1024
		for _, change := range []func(h []byte){
			func(h []byte) { // the size of a plain file is 2^63
				copy(h[124:136], []byte{0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0})
			},
			func(h []byte) { // a pax header of 1 GB
				h[156] = tar.TypeXHeader
				copy(h[124:136], "10000000000\x00")
			},
		} {
			h := slices.Clone(tarOf(t, tarMember{member: member{bad.name, ""}})[:512])
			change(h)
			copy(h[148:156], "        ")
			sum := 0
			for _, b := range h {
				sum += int(b)
			}
			copy(h[148:156], fmt.Sprintf("%06o\x00 ", sum))
			refused().imports(t, writeFile(t, "feed.tar", slices.Concat(data[:cut], h, data[cut:])))
		}
	})
	t.Run("B51 members of gzip, and junk behind them", func(t *testing.T) {
		t.Parallel()
		lines := slices.Concat(gzipOf([]byte(goodBefore.data+"\n")), gzipOf([]byte(goodAfter.data+"\n")))
		outcome{}.imports(t, writeFile(t, "feed.jsonl.gz", lines))
		refused().imports(t, writeFile(t, "feed.jsonl.gz", append(lines, "junk"...)))
	})
	t.Run("B52 half of the records vanish", func(t *testing.T) {
		t.Parallel()
		var files []member
		for i := range 20 {
			name, id := fmt.Sprintf("p%d", i), fmt.Sprintf("MAL-2026-%d", i+1)
			files = append(files, placed(name, id, osvOf(id, name, "")))
		}
		s := newShell(t)
		s.must("catalog", "import", writeTree(t, files...), "--name", "feed", "--yes")
		before := s.records()
		status, _, stderr := s.run("catalog", "import", writeTree(t, files[:10]...), "--name", "feed", "--yes")
		if status != rapsheet.ExitCatalog || !strings.Contains(stderr, "lost or withdrawn 10 of its 20") || !strings.Contains(stderr, "--force") {
			t.Errorf("status %d: %s", status, stderr)
		}
		if !maps.Equal(before, s.records()) {
			t.Error("records changed")
		}
	})
	t.Run("B53 no records", func(t *testing.T) {
		t.Parallel()
		html := "<!DOCTYPE html><html><body>Sign in</body></html>"
		for _, tt := range []struct {
			name, data string
			status     int
		}{
			{"feed.json", html, rapsheet.ExitUsage},
			{"feed.zip", html, rapsheet.ExitUsage},
			{"feed.zip", string(zipOf(t)), rapsheet.ExitCatalog},
			{"feed.tar", string(tarOf(t)), rapsheet.ExitCatalog},
			{"feed.zip", string(tree(t)[:0]), rapsheet.ExitUsage},
			{"feed.zip", string(zipOf(t, member{"index.html", html})), rapsheet.ExitCatalog},
		} {
			outcome{status: tt.status, says: []string{tt.name, "hint: "}, refused: true}.imports(t, writeFile(t, tt.name, []byte(tt.data)))
		}
		outcome{status: rapsheet.ExitCatalog, says: []string{"0 records", "hint: "}, refused: true}.imports(t, t.TempDir())
	})
	t.Run("B54 a repository", func(t *testing.T) {
		t.Parallel()
		if _, err := exec.LookPath("git"); err != nil {
			t.Skip("git is not here")
		}
		dir := writeTree(t, goodBefore, goodAfter, member{".gitattributes", "*.json filter=evil\n"})
		canary := filepath.Join(t.TempDir(), "canary")
		git := func(args ...string) string {
			cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("git %v: %v: %s", args, err, out)
			}
			return strings.TrimSpace(string(out))
		}
		git("init", "-q")
		git("add", ".")
		if err := os.Symlink("/etc/passwd", filepath.Join(dir, "osv/malicious/npm/link.json")); err != nil {
			t.Skip(err)
		}
		git("add", ".")
		git("update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+",osv/malicious/npm/sub")
		git("commit", "-q", "-m", "x")
		git("config", "filter.evil.smudge", "touch "+canary)
		aside("link.json", "osv/malicious/npm/sub").imports(t, dir, "--revision", "HEAD")
		if _, err := os.Stat(canary); err == nil {
			t.Error("a command of the repository's configuration ran")
		}
	})
}
