package report

import (
	"bytes"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet"
)

// inRegistry is what a registry's scan finds: one version in two of its repositories and an image, one that a disputed
// record is about, and one of which the registry says nothing.
func inRegistry() *fixture {
	fx := &fixture{scan: scan(), sum: rapsheet.Summary{Sightings: 9000, Files: 7000, Findings: 4, Disputed: 1, Complete: true, Elapsed: 3 * time.Second}}
	fx.scan.Targets = []string{"https://nexus.example/"}
	add := func(id, name string, l rapsheet.Location, h *rapsheet.Holding) {
		fx.findings = append(fx.findings, rapsheet.Finding{
			Record: rapsheet.Record{ID: id, Ecosystem: "npm", Name: name}, Package: rapsheet.Package{Ecosystem: "npm", Name: name, Version: "1.0.0"},
			Verdict: rapsheet.VerdictExact, Provenance: rapsheet.ProvenanceRegistry, Why: "this very version is on record", Locations: []rapsheet.Location{l}, Holding: h,
		})
	}
	add("MAL-2026-1", "evil", rapsheet.Location{Path: "npm-proxy/evil", Kind: "nexus"}, &rapsheet.Holding{
		Registry: "https://nexus.example/", Served: rapsheet.ServedNo, Fetched: started.Add(-time.Hour), Purge: []string{"rm -- proxy", "rm -- index"}})
	add("MAL-2026-1", "evil", rapsheet.Location{Path: "npm-all/evil", Kind: "nexus"}, &rapsheet.Holding{
		Registry: "https://nexus.example/", Served: rapsheet.ServedYes, Latest: true, Fetched: started.Add(-25 * time.Hour), Purge: []string{"rm -- all", "rm -- index"}})
	add("MAL-2026-1", "evil", rapsheet.Location{Path: "z-image/evil/package.json", Kind: "node_modules", Layer: "sha256:0123456789abcdef", Gone: "sha256:fedcba9876543210"}, nil)
	// Another record about the same: the same calls.
	add("MAL-2026-2", "evil", rapsheet.Location{Path: "npm-all/evil", Kind: "nexus"}, &rapsheet.Holding{Registry: "https://nexus.example/", Purge: []string{"rm -- all", "rm -- index"}})
	add("MAL-2026-3", "silent", rapsheet.Location{Path: "npm-all/silent", Kind: "nexus"}, &rapsheet.Holding{Registry: "https://nexus.example/"})
	add("MAL-2026-4", "doubted", rapsheet.Location{Path: "npm-all/doubted", Kind: "nexus"}, &rapsheet.Holding{Registry: "https://nexus.example/", Purge: []string{"rm -- doubted"}})
	fx.findings[5].Record.Withdrawn, fx.findings[5].Record.Disputed = true, true
	return fx
}

func plan(t *testing.T, fx *fixture, opt Options) string {
	t.Helper()
	var buf bytes.Buffer
	h := NewPurgePlan(&buf, opt)
	if err := h.Begin(&fx.scan); err != nil {
		t.Fatal(err)
	}
	for i := range fx.findings {
		if err := h.Finding(&fx.findings[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.End(&fx.sum); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestHolding(t *testing.T) {
	var doc jsonOut
	decode(t, render(t, "json", Options{}, inRegistry()), &doc)
	f := doc.Findings[1]
	if doc.Findings[0].ID != "MAL-2026-1" {
		t.Fatalf("%+v", doc.Findings)
	}
	f = doc.Findings[0]
	want := jsonHolding{Registry: "https://nexus.example/", Served: "yes", Latest: true, Fetched: "2026-01-05T02:00:00Z"}
	got := *f.Holding
	calls := strings.Join(got.Purge, ", ")
	got.Purge = nil
	if got.Registry != want.Registry || got.Served != want.Served || got.Latest != want.Latest || got.Fetched != want.Fetched || calls != "rm -- all, rm -- index, rm -- proxy" {
		t.Errorf("%+v, %s", got, calls)
	}
	if l := f.Locations[2]; l.Layer != "sha256:0123456789abcdef" || l.Gone != "sha256:fedcba9876543210" {
		t.Errorf("%+v", l)
	}
}

func TestPurgePlan(t *testing.T) {
	const want = `#!/usr/bin/env bash
# What would remove the malicious packages on record from https://nexus.example/.
# rapsheet 1.2.3 wrote it on 2026-01-05 03:00:00 UTC. Nothing of it has been run: review it, keep copies of what you remove as evidence, and run it by hand.
# MALICIOUS: 2 packages on record as malicious, in 4 places; 1 package on a record that is disputed
# catalog /var/lib/rapsheet/catalog.rapsheet: 214,066 records about 209,112 packages, release 812, of 2026-01-03 (2 days old)
set -u

# evil 1.0.0 (npm): MAL-2026-1, MAL-2026-2
# in https://nexus.example/, which still gives it out; who names no version gets this one; last downloaded 2026-01-05
rm -- all
rm -- index
rm -- proxy

# silent 1.0.0 (npm): MAL-2026-3
# in https://nexus.example/
# The registry did not say what would remove it from npm-all/silent.

# doubted 1.0.0 (npm): MAL-2026-4
# in https://nexus.example/
# disputed: rm -- doubted
`
	if got := plan(t, inRegistry(), Options{}); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 5 {
		mixed := inRegistry()
		r.Shuffle(len(mixed.findings), func(i, k int) { mixed.findings[i], mixed.findings[k] = mixed.findings[k], mixed.findings[i] })
		if got := plan(t, mixed, Options{}); got != want {
			t.Fatalf("in another order:\n%s", got)
		}
	}
}

// Whatever names and records say, every line of the plan is a comment or one of the calls.
func TestPurgePlanHostile(t *testing.T) {
	fx := hostile()
	fx.scan.Targets = []string{hostileName}
	got := plan(t, fx, Options{All: true})
	calls := 0
	for i, line := range strings.Split(strings.TrimSuffix(got, "\n"), "\n") {
		switch {
		case line == "" || strings.HasPrefix(line, "# ") || i == 0 || line == "set -u":
		case strings.HasPrefix(line, "rm -- x"):
			calls++
		default:
			t.Errorf("line %d: %q", i+1, line)
		}
	}
	if calls == 0 {
		t.Error("no calls")
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not here")
	}
	fx.findings = fx.findings[:1]
	fx.findings[0].Holding.Purge = []string{"touch -- purged"}
	dir := t.TempDir()
	cmd := exec.Command(bash)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(plan(t, fx, Options{All: true}))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}
