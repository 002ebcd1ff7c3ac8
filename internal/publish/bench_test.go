package publish

import (
	"bufio"
	"bytes"
	"iter"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/corpus"
	"github.com/rapsheet/rapsheet/osv"

	"github.com/rapsheet/rapsheet"
)

// served gives n generated records as the catalog would serve them, in the order of ids.
func served(tb testing.TB, n int) []Record {
	tb.Helper()
	out := make([]Record, 0, n)
	for r := range corpus.Records(1, n) {
		out = append(out, record(tb, r))
	}
	slices.SortFunc(out, func(x, y Record) int { return strings.Compare(x.ID, y.ID) })
	return out
}

// record completes r and gives it as Publish takes it.
func record(tb testing.TB, r *osv.Record) Record {
	tb.Helper()
	p := &r.Affected[0].Package
	if e, ok := ecosystem.Find(p.Ecosystem); ok && p.PURL == "" {
		if p.Ecosystem == "PyPI" {
			p.Name = e.Canonical(p.Name)
		}
		p.PURL = ecosystem.PURL(rapsheet.Package{Ecosystem: p.Ecosystem, Name: p.Name})
	}
	doc, err := r.Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	return Record{ID: r.ID, JSON: doc}
}

func each(list []Record) func(func(Record, error) bool) {
	return func(yield func(Record, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// change gives a copy of list in which every step-th record says something new.
func change(tb testing.TB, list []Record, step int) []Record {
	tb.Helper()
	out := slices.Clone(list)
	for i := 0; i < len(out); i += step {
		r, _, err := osv.Parse(out[i].JSON)
		if err != nil {
			tb.Fatal(err)
		}
		r.Details += "More was found.\n"
		r.Modified = "2026-11-01T00:00:00Z"
		out[i] = record(tb, r)
	}
	return out
}

func release(sequence uint64, list []Record) Release {
	return Release{Sequence: sequence, Date: time.Date(2026, 11, 22, 0, 0, int(sequence), 0, time.UTC), Source: "test", Records: each(list)}
}

// onDisk keeps records out of the benchmark's own memory: it writes them to a file, one per
// line, and gives the sequence that reads them.
func onDisk(tb testing.TB, name string, list []Record) iter.Seq2[Record, error] {
	tb.Helper()
	var buf bytes.Buffer
	for _, r := range list {
		buf.Write(r.JSON)
		buf.WriteByte('\n')
	}
	if err := os.WriteFile(name, buf.Bytes(), 0o644); err != nil {
		tb.Fatal(err)
	}
	return func(yield func(Record, error) bool) {
		f, err := os.Open(name)
		if err != nil {
			yield(Record{}, err)
			return
		}
		defer f.Close()
		in := bufio.NewScanner(f)
		in.Buffer(nil, maxDocument)
		for in.Scan() {
			_, rest, _ := bytes.Cut(in.Bytes(), []byte(`"id":"`))
			id, _, _ := bytes.Cut(rest, []byte(`"`))
			if !yield(Record{ID: string(id), JSON: bytes.Clone(in.Bytes())}, nil) {
				return
			}
		}
	}
}

// measurePeak gives memory back and starts the system's count of the most that was
// resident; the result reports it in MB.
func measurePeak(b *testing.B) (report func()) {
	debug.FreeOSMemory()
	if os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) != nil {
		return func() {}
	}
	return func() {
		status, _ := os.ReadFile("/proc/self/status")
		_, rest, _ := strings.Cut(string(status), "VmHWM:")
		if f := strings.Fields(rest); len(f) > 0 {
			if kb, err := strconv.Atoi(f[0]); err == nil {
				b.ReportMetric(float64(kb)/1000, "MB-peak")
			}
		}
	}
}

// benchRecords is the size of today's list; RAPSHEET_RECORDS sets another.
func benchRecords() int {
	if n, err := strconv.Atoi(os.Getenv("RAPSHEET_RECORDS")); err == nil {
		return n
	}
	return 230_000
}

func BenchmarkPublish(b *testing.B) {
	list := served(b, benchRecords())
	dir := b.TempDir()
	first := onDisk(b, filepath.Join(dir, "first"), list)
	second := onDisk(b, filepath.Join(dir, "second"), change(b, list, len(list)/100))
	rel := func(n uint64, seq iter.Seq2[Record, error]) Release {
		r := release(n, nil)
		r.Records = seq
		return r
	}
	var path string
	b.Run("full", func(b *testing.B) {
		defer measurePeak(b)()
		defer measureCPU(b)()
		n := 0
		for b.Loop() {
			n++
			res, err := Publish(b.Context(), filepath.Join(dir, strconv.Itoa(n)), rel(1, first), Options{})
			if err != nil {
				b.Fatal(err)
			}
			path = res.Path
		}
	})
	b.Run("changed", func(b *testing.B) {
		defer measurePeak(b)()
		defer measureCPU(b)()
		n := uint64(1)
		for b.Loop() {
			n++
			if _, err := Publish(b.Context(), filepath.Join(dir, "1"), rel(n, second), Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verify", func(b *testing.B) {
		defer measureCPU(b)()
		for b.Loop() {
			if err := Verify(b.Context(), path); err != nil {
				b.Fatal(err)
			}
		}
	})
}
