package source

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/osv"
)

var day = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)

// report is a record as ossf/malicious-packages writes them.
func report(id, eco, name string, modified time.Time, more string) string {
	return fmt.Sprintf(`{"modified":%q,"published":"2024-06-25T13:05:18Z","schema_version":"1.5.0","id":%q,`+
		`"summary":"Malicious code in %s (%s)","details":"\n---\nThe package %s communicates with a domain associated with malicious activity.",`+
		`"affected":[{"package":{"ecosystem":%q,"name":%q},"versions":["1.0.0","99.10.9"]}],%s`+
		`"database_specific":{"malicious-packages-origins":[{"source":"ghsa-malware","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]}}`,
		modified.Format(time.RFC3339Nano), id, name, eco, name, eco, name, more)
}

// dump is a dump to be served; a test changes records and publishes.
type dump struct {
	t       testing.TB
	dir     string
	records map[string]map[string]string // ecosystem → id → document
}

func newDump(t testing.TB) *dump {
	d := &dump{t: t, dir: t.TempDir(), records: map[string]map[string]string{"npm": {}, "GitHub Actions": {}}}
	for i := range 30 {
		d.put("npm", fmt.Sprintf("MAL-2025-%d", i+1), day.Add(time.Duration(i)*time.Hour), "")
	}
	d.put("npm", "GHSA-aaaa-bbbb-cccc", day, "")
	d.records["npm"]["GHSA-aaaa-bbbb-cccc"] = strings.Replace(d.records["npm"]["GHSA-aaaa-bbbb-cccc"], `"database_specific":{`, `"database_specific":{"type":"malware",`, 1)
	d.records["npm"]["GHSA-vvvv-vvvv-vvvv"] = `{"id":"GHSA-vvvv-vvvv-vvvv","modified":"2025-03-02T00:00:00Z","summary":"prototype pollution"}`
	d.put("GitHub Actions", "MAL-2025-900", day, "")
	d.publish()
	return d
}

func (d *dump) put(eco, id string, modified time.Time, more string) {
	d.records[eco][id] = report(id, eco, "evil-"+strings.ToLower(id), modified, more)
}

// publish writes the tree in the layout of OSV.dev's exporter: records, zips, lists.
func (d *dump) publish() {
	d.t.Helper()
	write := func(name string, data []byte) {
		p := filepath.Join(d.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, data, 0o644)); err != nil {
			d.t.Fatal(err)
		}
	}
	ecos := slices.Sorted(maps.Keys(d.records))
	write("ecosystems.txt", []byte("[EMPTY]\n"+strings.Join(ecos, "\n")+"\n"))
	for _, eco := range ecos {
		if err := os.RemoveAll(filepath.Join(d.dir, eco)); err != nil {
			d.t.Fatal(err)
		}
		var b bytes.Buffer
		w := clienttest.ZipWriter(&b)
		var rows []modified
		for _, id := range slices.Sorted(maps.Keys(d.records[eco])) {
			doc := d.records[eco][id]
			write(eco+"/"+id+".json", []byte(doc))
			f, err := w.Create(id + ".json")
			if err != nil {
				d.t.Fatal(err)
			}
			f.Write([]byte(doc))
			_, h, err := readHeader([]byte(doc))
			if err != nil {
				d.t.Fatal(err)
			}
			rows = append(rows, modified{id, h.modified})
		}
		w.Close()
		write(eco+"/all.zip", b.Bytes())
		slices.SortStableFunc(rows, func(a, b modified) int { return b.time.Compare(a.time) })
		var csv strings.Builder
		for _, r := range rows {
			fmt.Fprintf(&csv, "%s,%s\n", r.time.Format(time.RFC3339Nano), r.id)
		}
		write(eco+"/modified_id.csv", []byte(csv.String()))
	}
}

// server serves the dump as Google's storage does, and records requests.
type server struct {
	*httptest.Server
	d        *dump
	mu       sync.Mutex
	requests []string
	// answer, if it is not nil and returns true, has answered the request itself.
	answer func(w http.ResponseWriter, r *http.Request) bool
}

func (d *dump) serve() *server {
	s := &server{d: d}
	s.Server = httptest.NewServer(s)
	d.t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	request := r.URL.Path
	if v := r.Header.Get("Range"); v != "" {
		request += " " + v
	}
	s.requests = append(s.requests, request)
	answer := s.answer
	s.mu.Unlock()
	if !strings.HasPrefix(r.UserAgent(), "rapsheet/") {
		http.Error(w, "who are you", http.StatusForbidden)
		return
	}
	if answer != nil && answer(w, r) {
		return
	}
	data, err := os.ReadFile(filepath.Join(s.d.dir, filepath.FromSlash(r.URL.Path)))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	sum := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
	w.Header().Set("ETag", fmt.Sprintf(`"%08x"`, sum))
	w.Header().Set("X-Goog-Hash", "crc32c="+base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum)))
	w.Header().Add("X-Goog-Hash", "md5=AAAAAAAAAAAAAAAAAAAAAA==")
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

func (s *server) set(answer func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// asked gives the requests since it was last called, sorted.
func (s *server) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.requests
	s.requests = nil
	slices.Sort(r)
	return r
}

func client(base string, ecos ...string) *Dump {
	return &Dump{Base: base, Ecosystems: ecos, Version: "test", backoff: time.Millisecond}
}

func mustUpdate(t testing.TB, d *Dump, dir string, opt Options) Result {
	t.Helper()
	res, err := d.Update(t.Context(), dir, opt)
	if err != nil {
		t.Fatalf("update: %v", err)
	}
	return res
}

// stored gives what is held, by id.
func stored(t testing.TB, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	for doc, err := range Stored(dir) {
		if err != nil {
			t.Fatalf("stored: %v", err)
		}
		rec, _, err := osv.Parse(doc.Data)
		if err != nil {
			t.Fatalf("stored %s: %v", doc.Name, err)
		}
		if m[rec.ID] != "" {
			t.Errorf("%s is stored twice", rec.ID)
		}
		m[rec.ID] = string(doc.Data)
	}
	return m
}

// holds fails unless exactly the malicious records of the dump are stored, byte for byte.
func (d *dump) holds(dir string, ecos ...string) {
	d.t.Helper()
	got := stored(d.t, dir)
	want := map[string]string{}
	for eco, records := range d.records {
		if len(ecos) == 0 || slices.Contains(ecos, eco) {
			for id, doc := range records {
				if id != "GHSA-vvvv-vvvv-vvvv" {
					want[id] = doc
				}
			}
		}
	}
	for id := range want {
		if got[id] != want[id] {
			d.t.Errorf("%s is stored as %.200q", id, got[id])
		}
	}
	if len(got) != len(want) {
		d.t.Errorf("%d records are stored, want %d", len(got), len(want))
	}
}

// snapshot is a directory's state and records, which a failed update must not touch.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == lockName || strings.Contains(e.Name(), ".partial") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		m[e.Name()] = string(data)
	}
	return m
}

func same(t testing.TB, dir string, before map[string]string) {
	t.Helper()
	if after := snapshot(t, dir); !maps.Equal(before, after) {
		t.Errorf("the state changed: %q, was %q", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
	}
}

func TestUpdate(t *testing.T) {
	d := newDump(t)
	s := d.serve()
	dir := filepath.Join(t.TempDir(), "state")
	var steps []Step
	c := client(s.URL)
	c.Progress = func(p Progress) {
		if len(steps) == 0 || steps[len(steps)-1] != p.Step {
			steps = append(steps, p.Step)
		}
	}

	res := mustUpdate(t, c, dir, Options{})
	if want := []string{"/GitHub Actions/all.zip", "/GitHub Actions/modified_id.csv", "/ecosystems.txt", "/npm/all.zip", "/npm/modified_id.csv"}; !slices.Equal(s.asked(), want) {
		t.Errorf("the first update did not make the requests %q", want)
	}
	d.holds(dir)
	if len(res.Ecosystems) != 2 || res.Ecosystems[1].Ecosystem != "npm" {
		t.Fatalf("result is %+v", res)
	}
	r := res.Ecosystems[1]
	if !r.Full || !r.Changed || r.Records != 31 || r.Live != 31 || r.Added != 31 || r.Other != 1 || r.Rejected != 0 {
		t.Errorf("result is %+v", r)
	}
	if want := []Step{StepList, StepDownload, StepRead, StepList, StepDownload, StepRead}; !slices.Equal(steps, want) {
		t.Errorf("progress told %q, want %q", steps, want)
	}
	for _, name := range slices.Sorted(maps.Keys(snapshot(t, dir))) {
		if name != stateName && !recordsPattern.MatchString(name) {
			t.Errorf("left behind: %s", name)
		}
	}

	// Nothing changed: one request per ecosystem, and the same records.
	c.Ecosystems = []string{"npm", "GitHub Actions"}
	before := snapshot(t, dir)
	res = mustUpdate(t, c, dir, Options{})
	if want := []string{"/GitHub Actions/modified_id.csv", "/npm/modified_id.csv"}; !slices.Equal(s.asked(), want) {
		t.Errorf("the second update did not make just the requests %q", want)
	}
	if r := res.Ecosystems[1]; r.Changed || r.Full || r.Records != 31 || r.Added+r.Updated+r.Removed != 0 {
		t.Errorf("result is %+v", r)
	}
	after := snapshot(t, dir)
	delete(before, stateName)
	delete(after, stateName)
	if !maps.Equal(before, after) {
		t.Error("an update without changes changed the records")
	}

	// One new, one changed, one withdrawn, one malware advisory of GitHub changed,
	// one vulnerability new and one deleted.
	later := day.Add(100 * time.Hour)
	d.put("npm", "MAL-2025-31", later, "")
	d.put("npm", "MAL-2025-2", later, `"aliases":["SNYK-1"],`)
	d.put("npm", "MAL-2025-3", later.Add(time.Hour), `"withdrawn":"2025-03-05T00:00:00Z",`)
	d.records["npm"]["GHSA-aaaa-bbbb-cccc"] = strings.Replace(d.records["npm"]["GHSA-aaaa-bbbb-cccc"], day.Format(time.RFC3339), later.Format(time.RFC3339), 1)
	delete(d.records["npm"], "MAL-2025-4")
	d.publish()
	os.WriteFile(filepath.Join(d.dir, "npm/GHSA-wwww-wwww-wwww.json"), []byte("{}"), 0o644)
	csv := filepath.Join(d.dir, "npm/modified_id.csv")
	list, _ := os.ReadFile(csv)
	os.WriteFile(csv, append([]byte(later.Add(time.Hour).Format(time.RFC3339)+",GHSA-wwww-wwww-wwww\n"), list...), 0o644)
	res = mustUpdate(t, c, dir, Options{})
	want := []string{"/GitHub Actions/modified_id.csv", "/npm/GHSA-aaaa-bbbb-cccc.json", "/npm/GHSA-wwww-wwww-wwww.json", "/npm/MAL-2025-2.json", "/npm/MAL-2025-3.json", "/npm/MAL-2025-31.json", "/npm/modified_id.csv"}
	if got := s.asked(); !slices.Equal(got, want) {
		t.Errorf("asked for %q\nwant %q", got, want)
	}
	d.holds(dir)
	r = res.Ecosystems[1]
	if r.Full || !r.Changed || r.Added != 1 || r.Updated != 3 || r.Removed != 1 || r.Records != 31 || r.Live != 30 || !r.Newest.Equal(later.Add(time.Hour)) {
		t.Errorf("result is %+v", r)
	}
	if n := len(snapshot(t, dir)); n != 3 {
		t.Errorf("%d files, want the state and two of records", n)
	}

	// More changes than are worth single requests.
	for i := range 5 {
		d.put("npm", fmt.Sprintf("MAL-2025-%d", i+50), later.Add(2*time.Hour), "")
	}
	d.publish()
	res = mustUpdate(t, c, dir, Options{MaxChanges: 4})
	if r := res.Ecosystems[1]; !r.Full || r.Added != 5 || r.Records != 36 {
		t.Errorf("result is %+v", r)
	}
	d.holds(dir)
	s.asked()

	// A full one on request, with nothing new.
	res = mustUpdate(t, c, dir, Options{Full: true})
	if r := res.Ecosystems[1]; !r.Full || r.Added+r.Updated+r.Removed != 0 || r.Records != 36 {
		t.Errorf("result is %+v", r)
	}
	d.holds(dir)
}

func TestUpdateZipBehindList(t *testing.T) {
	d := newDump(t)
	stale, err := os.ReadFile(filepath.Join(d.dir, "npm/all.zip"))
	if err != nil {
		t.Fatal(err)
	}
	d.put("npm", "MAL-2025-2", day.Add(90*time.Hour), `"aliases":["X-1"],`)
	d.put("npm", "MAL-2025-60", day.Add(time.Minute), "")
	d.publish()
	if err := os.WriteFile(filepath.Join(d.dir, "npm/all.zip"), stale, 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mustUpdate(t, client(d.serve().URL, "npm"), dir, Options{})
	d.holds(dir, "npm")
}

func TestUpdateMirror(t *testing.T) {
	d := newDump(t)
	dir := t.TempDir()
	c := client(d.dir)
	mustUpdate(t, c, dir, Options{})
	d.holds(dir)
	d.put("npm", "MAL-2025-2", day.Add(90*time.Hour), "")
	d.publish()
	res := mustUpdate(t, c, dir, Options{})
	if r := res.Ecosystems[1]; r.Full || r.Updated != 1 {
		t.Errorf("result is %+v", r)
	}
	d.holds(dir)
	// The same dump from elsewhere is read whole: its list says nothing about what is held.
	res = mustUpdate(t, client(d.serve().URL), dir, Options{})
	if r := res.Ecosystems[1]; !r.Full || r.Changed && r.Added+r.Updated+r.Removed != 0 {
		t.Errorf("result is %+v", r)
	}
	names, err := c.List(t.Context())
	if err != nil || !slices.Equal(names, []string{"GitHub Actions", "npm"}) {
		t.Errorf("list is %q, %v", names, err)
	}
}

func TestShrunk(t *testing.T) {
	for name, spoil := range map[string]func(d *dump){
		"C52 half vanish": func(d *dump) {
			for i := range 15 {
				delete(d.records["npm"], fmt.Sprintf("MAL-2025-%d", i+1))
			}
		},
		"the newest vanish": func(d *dump) {
			for i := range 15 {
				delete(d.records["npm"], fmt.Sprintf("MAL-2025-%d", i+16))
			}
		},
		"all vanish": func(d *dump) { clear(d.records["npm"]) },
		"many are withdrawn": func(d *dump) {
			for i := range 10 {
				d.put("npm", fmt.Sprintf("MAL-2025-%d", i+1), day.Add(99*time.Hour), `"withdrawn":"2025-03-05T00:00:00Z",`)
			}
		},
	} {
		for _, full := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, full %v", name, full), func(t *testing.T) {
				d := newDump(t)
				dir := t.TempDir()
				c := client(d.serve().URL, "npm")
				mustUpdate(t, c, dir, Options{})
				before := snapshot(t, dir)
				spoil(d)
				d.publish()
				res, err := c.Update(t.Context(), dir, Options{Full: full})
				var shrunk *ShrunkError
				if !errors.As(err, &shrunk) || shrunk.Ecosystem != "npm" || shrunk.Had != 31 || shrunk.Has >= 28 {
					t.Fatalf("error is %v", err)
				}
				if r := res.Ecosystems[0]; r.Err == nil || r.Changed || r.Records != 31 {
					t.Errorf("result is %+v", r)
				}
				same(t, dir, before)
				_, err = c.Update(t.Context(), dir, Options{Full: full, Force: true})
				if err != nil && !errors.Is(err, ErrNoRecords) {
					t.Fatalf("forced: %v", err)
				}
				if errors.Is(err, ErrNoRecords) != (name == "all vanish") {
					t.Errorf("forced: %v", err)
				} else if err == nil {
					d.holds(dir, "npm")
				}
			})
		}
	}
	for _, tt := range []struct {
		had, has, records int
		want              bool
	}{
		{100, 90, 100, false}, {100, 89, 100, true}, {1, 0, 1, false}, {1, 0, 0, true}, {2, 1, 1, false}, {3, 1, 1, true}, {5, 50, 50, false},
	} {
		if got := shrunk(tt.had, tt.has, tt.records); got != tt.want {
			t.Errorf("shrunk(%+v) is %v", tt, got)
		}
	}
}

// Whatever a server does wrong, what is held stays as it was.
func TestBadServer(t *testing.T) {
	on := func(suffix string, f func(w http.ResponseWriter, r *http.Request)) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, suffix) {
				return false
			}
			f(w, r)
			return true
		}
	}
	text := func(kind, body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			if kind != "" {
				w.Header().Set("Content-Type", kind)
			}
			w.Write([]byte(body))
		}
	}
	const html = "<!DOCTYPE html><title>Log in</title>"
	empty := string(zipOf(t))
	none := string(zipOf(t, entry{name: "README.md", body: "hi"}))
	for _, tt := range []struct {
		name   string
		answer func(w http.ResponseWriter, r *http.Request) bool
		full   bool
		is     error
		text   string
	}{
		{"C53 HTML for csv", on(".csv", text("text/html; charset=utf-8", html)), false, nil, "got text/html"},
		{"C53 HTML for csv, not said", on(".csv", text("text/plain", html)), false, nil, "page of HTML"},
		{"C53 HTML for zip", on(".zip", text("text/html", html)), true, nil, "got text/html"},
		{"C53 HTML for zip, not said", on(".zip", text("application/zip", html)), true, nil, "page of HTML"},
		{"C53 HTML for a record", on(".json", text("text/html", html)), false, nil, "got text/html"},
		{"C53 HTML for a record, not said", on(".json", text("application/json", html)), false, nil, "page of HTML"},
		{"C53 empty zip", on(".zip", text("application/zip", empty)), true, ErrNoRecords, "0 records"},
		{"C53 zip without records", on(".zip", text("application/zip", none)), true, ErrNoRecords, "0 records"},
		{"C53 text for zip", on(".zip", text("application/zip", "hello")), true, ErrDamaged, "not a zip"},
		{"C53 empty csv", on(".csv", text("text/csv", "")), false, nil, "0 live records"},
		{"csv is not one", on(".csv", text("text/csv", "MAL-1\n")), false, nil, "line 1"},
		{"404 csv", on(".csv", http.NotFound), false, fs.ErrNotExist, "404"},
		{"404 zip", on(".zip", http.NotFound), true, fs.ErrNotExist, "404"},
		{"404 for a listed record", on("MAL-2025-70.json", http.NotFound), false, fs.ErrNotExist, "MAL-2025-70"},
		{"403", on(".csv", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }), false, nil, "403"},
		{"500 for ever", on(".csv", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }), false, nil, "after 5 attempts"},
		{"come back tomorrow", on(".csv", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "86400")
			w.WriteHeader(429)
		}), false, nil, "come back in 24h"},
		{"redirects without end", on(".csv", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, 302) }), false, errRedirects, ""},
		{"wrong crc", on(".zip", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Goog-Hash", "crc32c=AAAAAA==")
			w.Write([]byte(empty))
		}), true, ErrDamaged, "crc32c"},
		{"always cut off", on(".zip", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			w.Write([]byte("PK\x03\x04"))
		}), true, nil, "after 5 attempts"},
		{"duplicate in zip", on(".zip", text("application/zip", string(zipOf(t, entry{name: "MAL-1.json", body: "{}"}, entry{name: "MAL-1.json", body: "{}"})))), true, ErrDuplicate, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDump(t)
			s := d.serve()
			dir := t.TempDir()
			c := client(strings.Replace(s.URL, "http://", "http://user:secret@", 1)+"?token=hush", "npm")
			mustUpdate(t, c, dir, Options{})
			before := snapshot(t, dir)
			d.put("npm", "MAL-2025-70", day.Add(99*time.Hour), "")
			d.publish()
			s.set(tt.answer)
			res, err := c.Update(t.Context(), dir, Options{Full: tt.full})
			var ee *EcosystemError
			if !errors.As(err, &ee) || ee.Ecosystem != "npm" || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error is %v, want %v with %q", err, tt.is, tt.text)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "hush") || strings.Contains(before[stateName], "hush") {
				t.Errorf("credentials are shown: %v", err)
			}
			if r := res.Ecosystems[0]; r.Err == nil || r.Changed || r.Records != 31 {
				t.Errorf("result is %+v", r)
			}
			same(t, dir, before)
			// And when the server is well again, nothing is in the way.
			s.set(nil)
			mustUpdate(t, c, dir, Options{Full: tt.full})
			d.holds(dir, "npm")
		})
	}
}

func TestOneBadEcosystem(t *testing.T) {
	d := newDump(t)
	s := d.serve()
	dir := t.TempDir()
	res, err := client(s.URL, "npm", "NoSuch", "GitHub Actions").Update(t.Context(), dir, Options{})
	var ee *EcosystemError
	if !errors.As(err, &ee) || ee.Ecosystem != "NoSuch" || len(res.Ecosystems) != 3 {
		t.Fatalf("%v, %+v", err, res)
	}
	d.holds(dir)
	for _, name := range []string{"../npm", "a/b", "", ".", "[EMPTY]", "a\nb"} {
		if _, err := client(s.URL, name).Update(t.Context(), dir, Options{}); err == nil {
			t.Errorf("ecosystem %q passed", name)
		}
	}
}

func TestRejectedRecords(t *testing.T) {
	d := newDump(t)
	d.records["npm"]["MAL-2025-80"] = `{"id":"MAL-2025-81","modified":"2025-03-01T00:00:00Z"}`
	d.records["npm"]["MAL-2025-82"] = `{"id":"MAL-2025-82","id":"x","modified":"2025-03-01T00:00:00Z"}`
	d.publish()
	dir := t.TempDir()
	c := client(d.serve().URL, "npm")
	res := mustUpdate(t, c, dir, Options{})
	if r := res.Ecosystems[0]; r.Rejected != 2 || len(r.Rejects) != 2 || r.Records != 31 {
		t.Errorf("result is %+v", r)
	}
	delete(d.records["npm"], "MAL-2025-80")
	delete(d.records["npm"], "MAL-2025-82")
	d.holds(dir, "npm")
}

func TestRetry(t *testing.T) {
	d := newDump(t)
	s := d.serve()
	var n atomic.Int32
	s.set(func(w http.ResponseWriter, _ *http.Request) bool {
		switch n.Add(1) % 4 {
		case 1:
			w.WriteHeader(503)
		case 2:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(429)
		case 3:
			panic(http.ErrAbortHandler) // the connection breaks
		default:
			return false
		}
		return true
	})
	dir := t.TempDir()
	mustUpdate(t, client(s.URL, "npm"), dir, Options{})
	d.holds(dir, "npm")
}

func TestStalledServer(t *testing.T) {
	d := newDump(t)
	s := d.serve()
	var n atomic.Int32
	s.set(func(w http.ResponseWriter, r *http.Request) bool {
		if n.Add(1) > 2 {
			return false
		}
		w.Header().Set("Content-Length", "1000")
		w.Write([]byte("2025"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return true
	})
	dir := t.TempDir()
	c := client(s.URL, "npm")
	c.idle = 200 * time.Millisecond
	mustUpdate(t, c, dir, Options{})
	d.holds(dir, "npm")
}

// half answers the first n requests for all.zip with half of it.
func half(d *dump, n int32) func(w http.ResponseWriter, r *http.Request) bool {
	var count atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "npm/all.zip") || count.Add(1) > n {
			return false
		}
		data, err := os.ReadFile(filepath.Join(d.dir, "npm/all.zip"))
		if err != nil {
			panic(err)
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%08x"`, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))))
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		w.Write(data[:len(data)/2])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func TestResume(t *testing.T) {
	t.Run("in the same update", func(t *testing.T) {
		d := newDump(t)
		s := d.serve()
		info, _ := os.Stat(filepath.Join(d.dir, "npm/all.zip"))
		s.set(half(d, 1))
		dir := t.TempDir()
		mustUpdate(t, client(s.URL, "npm"), dir, Options{})
		d.holds(dir, "npm")
		if want := fmt.Sprintf("/npm/all.zip bytes=%d-", info.Size()/2); !slices.Contains(s.asked(), want) {
			t.Errorf("no request %q", want)
		}
	})
	for _, changed := range []bool{false, true} {
		t.Run(fmt.Sprintf("in the next update, changed %v", changed), func(t *testing.T) {
			d := newDump(t)
			s := d.serve()
			s.set(half(d, 1))
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			c := client(s.URL, "npm")
			c.backoff = time.Hour
			time.AfterFunc(300*time.Millisecond, cancel)
			if _, err := c.Update(ctx, dir, Options{}); !errors.Is(err, context.Canceled) {
				t.Fatalf("error is %v", err)
			}
			if _, err := os.Stat(filepath.Join(dir, "npm.zip.partial")); err != nil {
				t.Fatal(err)
			}
			if changed { // If-Range: the rest of another file must not be appended
				d.put("npm", "MAL-2025-1", day, `"aliases":["X-1"],`) // near the start of the zip
				d.publish()
			}
			s.asked()
			mustUpdate(t, client(s.URL, "npm"), dir, Options{})
			if got := s.asked(); !slices.ContainsFunc(got, func(r string) bool { return strings.HasPrefix(r, "/npm/all.zip bytes=") }) {
				t.Errorf("not taken up: %q", got)
			}
			d.holds(dir, "npm")
			if _, err := os.Stat(filepath.Join(dir, "npm.zip.partial")); err == nil {
				t.Error("the download is left behind")
			}
		})
	}
	t.Run("from a spoiled part", func(t *testing.T) {
		d := newDump(t)
		s := d.serve()
		dir := t.TempDir()
		data, _ := os.ReadFile(filepath.Join(d.dir, "npm/all.zip"))
		u, _ := url.Parse(s.URL + "/npm/all.zip")
		note := partial{shown(u), fmt.Sprintf(`"%08x"`, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))), int64(len(data))}
		if err := errors.Join(writeNote(filepath.Join(dir, "npm.zip.partial.json"), note), os.WriteFile(filepath.Join(dir, "npm.zip.partial"), make([]byte, 500), 0o644)); err != nil {
			t.Fatal(err)
		}
		if _, err := client(s.URL, "npm").Update(t.Context(), dir, Options{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("error is %v", err)
		}
		mustUpdate(t, client(s.URL, "npm"), dir, Options{})
		d.holds(dir, "npm")
	})
}

func TestCancel(t *testing.T) {
	for _, suffix := range []string{".csv", ".zip", "MAL-2025-71.json"} {
		t.Run(suffix, func(t *testing.T) {
			d := newDump(t)
			s := d.serve()
			dir := t.TempDir()
			c := client(s.URL, "npm")
			mustUpdate(t, c, dir, Options{})
			before := snapshot(t, dir)
			for i := range 20 {
				d.put("npm", fmt.Sprintf("MAL-2025-%d", i+70), day.Add(99*time.Hour), "")
			}
			d.publish()
			ctx, cancel := context.WithCancel(t.Context())
			s.set(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, suffix) {
					return false
				}
				cancel()
				<-r.Context().Done()
				return true
			})
			_, err := c.Update(ctx, dir, Options{Full: suffix == ".zip"})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error is %v", err)
			}
			same(t, dir, before)
		})
	}
}

// TestHelperUpdate is the process that TestKilled kills.
func TestHelperUpdate(t *testing.T) {
	base, dir, ok := strings.Cut(os.Getenv("RAPSHEET_TEST_UPDATE"), " ")
	if !ok {
		t.Skip("only run by TestKilled")
	}
	mustUpdate(t, client(base, "npm"), dir, Options{Full: true})
}

func TestKilled(t *testing.T) {
	d := newDump(t)
	s := d.serve()
	dir := t.TempDir()
	c := client(s.URL, "npm")
	mustUpdate(t, c, dir, Options{})
	before := snapshot(t, dir)
	d.put("npm", "MAL-2025-31", day.Add(99*time.Hour), "")
	d.publish()
	started := make(chan struct{})
	var once sync.Once
	s.set(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, ".zip") {
			return false
		}
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("Content-Length", "10000")
		w.Write([]byte("PK\x03\x04"))
		w.(http.Flusher).Flush()
		once.Do(func() { close(started) })
		<-r.Context().Done()
		return true
	})
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelperUpdate$")
	cmd.Env = append(os.Environ(), "RAPSHEET_TEST_UPDATE="+s.URL+" "+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-started
	// While it lives, another update is refused.
	if _, err := c.Update(t.Context(), dir, Options{}); !errors.Is(err, ErrBusy) {
		t.Errorf("error is %v, want busy", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	same(t, dir, before)
	// What a killed process may leave: temporary files, and records that no state names.
	for _, name := range []string{".state.json.ABC.tmp", ".records-npm-7.jsonl.zst.ABC.tmp", "records-npm-7.jsonl.zst"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "mine.txt"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.set(nil)
	mustUpdate(t, c, dir, Options{})
	d.holds(dir, "npm")
	names := slices.Sorted(maps.Keys(snapshot(t, dir)))
	if len(names) != 3 || names[0] != "mine.txt" || names[2] != stateName {
		t.Errorf("the directory has %q", names)
	}
}

func TestTwoUpdates(t *testing.T) {
	d := newDump(t)
	s := d.serve()
	dir := t.TempDir()
	inside, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.set(func(http.ResponseWriter, *http.Request) bool {
		once.Do(func() { close(inside); <-release })
		return false
	})
	done := make(chan error)
	go func() {
		_, err := client(s.URL, "npm").Update(t.Context(), dir, Options{})
		done <- err
	}()
	<-inside
	_, err := client(s.URL, "npm").Update(t.Context(), dir, Options{})
	close(release)
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), dir) {
		t.Errorf("error is %v, want busy", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	d.holds(dir, "npm")
}

func TestStored(t *testing.T) {
	fails := func(dir string, target error) {
		t.Helper()
		var last error
		for _, err := range Stored(dir) {
			last = err
		}
		if !errors.Is(last, target) {
			t.Errorf("error is %v, want %v", last, target)
		}
	}
	fails(t.TempDir(), fs.ErrNotExist)
	d := newDump(t)
	dir := t.TempDir()
	c := client(d.dir, "npm")
	mustUpdate(t, c, dir, Options{})
	st, err := readState(dir)
	if err != nil {
		t.Fatal(err)
	}
	records := filepath.Join(dir, st.Ecosystems["npm"].File)
	good, _ := os.ReadFile(records)
	for i := range good {
		bad := slices.Clone(good)
		bad[i] ^= 1
		os.WriteFile(records, bad, 0o644)
		fails(dir, ErrDamaged)
	}
	os.WriteFile(records, good[:len(good)-1], 0o644)
	fails(dir, ErrDamaged)
	os.WriteFile(records, append(slices.Clone(good), zstded([]byte(rec("MAL-1")))...), 0o644)
	fails(dir, ErrDamaged)
	// The next update mends it.
	if r := mustUpdate(t, c, dir, Options{}).Ecosystems[0]; !r.Full {
		t.Errorf("result is %+v", r)
	}
	d.holds(dir, "npm")

	// A state that cannot be read stops an update that is not forced.
	for _, text := range []string{"", "{", "null", `{"version":2}`, `{"version":1,"ecosystems":{"npm":{"file":"../../etc/passwd"}}}`, `{"version":1,"version":1}`} {
		os.WriteFile(filepath.Join(dir, stateName), []byte(text), 0o644)
		if _, err := c.Update(t.Context(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "force") {
			t.Errorf("state %q: error is %v", text, err)
		}
	}
	mustUpdate(t, c, dir, Options{Force: true})
	d.holds(dir, "npm")
	for range Stored(dir) {
		break
	}
}

func TestOldListChangesNothing(t *testing.T) {
	d := newDump(t)
	csv := filepath.Join(d.dir, "npm/modified_id.csv")
	old, _ := os.ReadFile(csv)
	d.put("npm", "MAL-2025-2", day.Add(99*time.Hour), "")
	d.put("npm", "MAL-2025-40", day.Add(99*time.Hour), "")
	d.publish()
	dir := t.TempDir()
	c := client(d.serve().URL, "npm")
	mustUpdate(t, c, dir, Options{})
	if err := os.WriteFile(csv, old, 0o644); err != nil {
		t.Fatal(err)
	}
	if r := mustUpdate(t, c, dir, Options{}).Ecosystems[0]; r.Changed {
		t.Errorf("result is %+v", r)
	}
	d.holds(dir, "npm")
}

func TestFutureTime(t *testing.T) {
	d := newDump(t)
	d.put("npm", "MAL-2025-5", time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), "")
	d.publish()
	dir := t.TempDir()
	c := client(d.serve().URL, "npm")
	res := mustUpdate(t, c, dir, Options{})
	if want := day.Add(29 * time.Hour); !res.Ecosystems[0].Newest.Equal(want) {
		t.Errorf("the list is taken as followed up to %v, want %v", res.Ecosystems[0].Newest, want)
	}
	// A change from today is still seen.
	d.put("npm", "MAL-2025-6", day.Add(99*time.Hour), `"aliases":["X-1"],`)
	d.publish()
	mustUpdate(t, c, dir, Options{})
	if got := stored(t, dir)["MAL-2025-6"]; got != d.records["npm"]["MAL-2025-6"] {
		t.Errorf("the change was missed: %.100q", got)
	}
}

func TestBase(t *testing.T) {
	for _, base := range []string{"ftp://example.org", "http://", "https://%zz", filepath.Join(t.TempDir(), "missing")} {
		if _, err := client(base, "npm").Update(t.Context(), t.TempDir(), Options{}); err == nil {
			t.Errorf("base %q passed", base)
		}
	}
	c := newClient()
	secure, _ := http.NewRequest("GET", "https://example.org", nil)
	plain, _ := http.NewRequest("GET", "http://example.org", nil)
	if err := c.CheckRedirect(plain, []*http.Request{secure}); err != errDowngrade {
		t.Errorf("a redirect to http: %v", err)
	}
	if err := c.CheckRedirect(secure, slices.Repeat([]*http.Request{secure}, 6)); err != errRedirects {
		t.Errorf("a sixth redirect: %v", err)
	}
}

func TestRecordLimit(t *testing.T) {
	d := newDump(t)
	s := d.serve()
	dir := t.TempDir()
	c := client(s.URL, "npm")
	mustUpdate(t, c, dir, Options{})
	before := snapshot(t, dir)
	d.put("npm", "MAL-2025-31", day.Add(99*time.Hour), "")
	d.publish()
	s.set(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, ".json") {
			return false
		}
		w.Write(make([]byte, maxRecord+1))
		return true
	})
	var limit *bounded.LimitError
	if _, err := c.Update(t.Context(), dir, Options{}); !errors.As(err, &limit) {
		t.Errorf("error is %v", err)
	}
	same(t, dir, before)
}

// BenchmarkFirstUpdate reads real records out of an all.zip, and back from where
// they are stored.
func BenchmarkFirstUpdate(b *testing.B) {
	d := &dump{t: b, dir: b.TempDir(), records: map[string]map[string]string{"npm": {}}}
	for doc, err := range Documents(b.Context(), shared(b, "data", "osv", "malicious-packages-2025-03-31.tar.zst"), Limits{}) {
		if err != nil {
			b.Fatal(err)
		}
		if id := idOf(doc.Name); strings.HasPrefix(id, "MAL-") {
			d.records["npm"][id] = string(doc.Data)
		}
	}
	d.publish()
	dir := b.TempDir()
	b.Run("update", func(b *testing.B) {
		for b.Loop() {
			r := mustUpdate(b, client(d.dir, "npm"), dir, Options{Full: true}).Ecosystems[0]
			b.ReportMetric(float64(r.Records), "records")
			b.ReportMetric(float64(r.Rejected), "rejected")
			b.ReportMetric(float64(r.Live), "live")
		}
	})
	b.Run("no change", func(b *testing.B) {
		for b.Loop() {
			mustUpdate(b, client(d.dir, "npm"), dir, Options{})
		}
	})
	b.Run("stored", func(b *testing.B) {
		for b.Loop() {
			for _, err := range Stored(dir) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
