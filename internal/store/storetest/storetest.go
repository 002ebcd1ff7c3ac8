// Package storetest holds the engines of internal/store to their contract: one suite, run by
// the tests of each engine, with expectations taken from the comments of package store.
//
// Flow: an engine's test calls [Run] with a function that opens an empty store; every
// subtest opens its own.
//
// Promise: an engine that passes keeps every sentence of the contract that can be seen from
// outside. Deaths of the process, full disks and limits of waiting differ by engine and are
// tested there.
package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/osv"
)

// Run runs the suite. open gives a new, empty store and a function that opens the same data
// once more, as a second process would, while the first is still open. Both register the
// closing of what they opened with t.Cleanup; the suite closes some of them earlier, so that
// a second Close must be harmless.
func Run(t *testing.T, open func(t *testing.T) (s store.Store, reopen func(t *testing.T) store.Store)) {
	for _, c := range []struct {
		name string
		test func(*suite)
	}{
		{"Empty", (*suite).empty},
		{"Settings", (*suite).settings},
		{"Sources", (*suite).sources},
		{"Documents", (*suite).documents},
		{"Claims", (*suite).claims},
		{"ClaimStatus", (*suite).claimStatus},
		{"Stamps", (*suite).stamps},
		{"Records", (*suite).records},
		{"Holds", (*suite).holds},
		{"Decisions", (*suite).decisions},
		{"Campaigns", (*suite).campaigns},
		{"Inputs", (*suite).inputs},
		{"Quarantine", (*suite).quarantine},
		{"Releases", (*suite).releases},
		{"Audit", (*suite).audit},
		{"Times", (*suite).times},
		{"OddStrings/bad-inputs 96", (*suite).oddStrings},
		{"ByteOrder", (*suite).byteOrder},
		{"BadText/bad-inputs 96", (*suite).badText},
		{"BadTextRead", (*suite).badTextRead},
		{"EmptyBatches", (*suite).emptyBatches},
		{"LargeBatches", (*suite).largeBatches},
		{"TwiceInOneBatch", (*suite).twice},
		{"Iterators", (*suite).iterators},
		{"CancelledIterator", (*suite).cancelledIterator},
		{"OwnWrites", (*suite).ownWrites},
		{"Snapshot", (*suite).snapshot},
		{"Wholly", (*suite).wholly},
		{"RollBack", (*suite).rollBack},
		{"ViewErrors", (*suite).viewErrors},
		{"Serialised", (*suite).serialised},
		{"Waiting", (*suite).waiting},
		{"Durable", (*suite).durable},
		{"Name", (*suite).name},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, reopen := open(t)
			c.test(&suite{T: t, s: s, reopen: reopen})
		})
	}
}

// suite is one subtest with its store.
type suite struct {
	*testing.T
	s      store.Store
	reopen func(*testing.T) store.Store
}

// update and view fail the test when the transaction does. Their functions may run more than
// once: they assign what they found and never add to it.
func (t *suite) update(f func(ctx context.Context, tx store.Tx) error) {
	t.Helper()
	if err := t.s.Update(t.Context(), func(tx store.Tx) error { return f(t.Context(), tx) }); err != nil {
		t.Fatalf("update: %v", err)
	}
}

func (t *suite) view(f func(ctx context.Context, r store.Reader) error) {
	t.Helper()
	viewOf(t.T, t.s, f)
}

func viewOf(t *testing.T, s store.Store, f func(ctx context.Context, r store.Reader) error) {
	t.Helper()
	if err := s.View(t.Context(), func(r store.Reader) error { return f(t.Context(), r) }); err != nil {
		t.Fatalf("view: %v", err)
	}
}

// get reads one thing in a View of its own.
func get[V any](t *suite, read func(ctx context.Context, r store.Reader) (V, error)) V {
	t.Helper()
	var v V
	t.view(func(ctx context.Context, r store.Reader) (err error) {
		v, err = read(ctx, r)
		return err
	})
	return v
}

func collect[V any](seq iter.Seq2[V, error]) ([]V, error) {
	var out []V
	for v, err := range seq {
		if err != nil {
			return out, err
		}
		out = append(out, v)
	}
	return out, nil
}

// equal compares what came back with what went in; nil and empty slices are the same.
func equal[V any](t *suite, what string, got, want V) {
	t.Helper()
	g, w := reflect.ValueOf(&got).Elem(), reflect.ValueOf(&want).Elem()
	if !reflect.DeepEqual(plain(g).Interface(), plain(w).Interface()) {
		t.Errorf("%s:\n got %s\nwant %s", what, clip(got), clip(want))
	}
}

func clip(v any) string {
	s := fmt.Sprintf("%+v", v)
	if len(s) > 2000 {
		s = s[:2000] + "…"
	}
	return s
}

// plain gives a copy of v in which every empty slice is nil.
func plain(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if out.Field(i).CanSet() {
				out.Field(i).Set(plain(v.Field(i)))
			}
		}
	case v.Kind() == reflect.Slice && v.Len() == 0:
		out.SetZero()
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			out.Index(i).Set(plain(v.Index(i)))
		}
	}
	return out
}

// at is a moment with microseconds, n seconds after a fixed one.
func at(n int) time.Time {
	return time.Date(2024, 12, 31, 23, 59, 58, 123456000, time.UTC).Add(time.Duration(n) * time.Second)
}

func digest(s string) store.Digest { return sha256.Sum256([]byte(s)) }

func npm(name string) rapsheet.Key { return rapsheet.Key{Ecosystem: "npm", Name: name} }

// newClaim makes a claim the way the catalog does.
func newClaim(source, ref string, key rapsheet.Key) store.Claim {
	c := store.Claim{
		Claim: claim.Claim{
			Source: source, Ref: ref, Document: digest("document of " + ref),
			Ecosystem: key.Ecosystem, Name: key.Name,
			Versions: []string{"1.0.0", "1.0.1"},
			Summary:  "Malicious code in " + key.Name,
		},
		Key: key, Status: store.Standing, Seen: at(0),
	}
	return sign(c)
}

// sign sets the digest of what the claim says now; text that cannot be marshalled gets another.
func sign(c store.Claim) store.Claim {
	b, err := c.Marshal()
	if err != nil {
		b = []byte(err.Error())
	}
	c.Digest = claim.Digest(b)
	return c
}

// fullClaim has something in every field.
func fullClaim() store.Claim {
	c := newClaim("ossf", "osv/malicious/npm/a/MAL-2024-1.json#0", npm("@scope/name"))
	c.PURL, c.Hint, c.ID = "pkg:npm/%40scope/name", "name", "MAL-2024-1"
	c.Aliases, c.Origins = []string{"GHSA-aaaa-bbbb-cccc", "SNYK-1"}, []string{"ghsa", "google"}
	c.Ranges = []osv.Range{{Type: osv.RangeSemver, Events: []osv.Event{{Introduced: "0"}, {Fixed: "2.0.0"}}}}
	c.All = true
	c.Published, c.Modified, c.Withdrawn, c.Imported = at(1), at(2), at(3), at(4)
	c.Details = "line one\nline \"two\"\t\u2028end"
	c.References = []osv.Reference{{Type: "WEB", URL: "https://example.org/?a=b&c=<d>"}}
	c.Credits = []osv.Credit{{Name: "A. Finder", Type: "FINDER", Contact: []string{"mailto:a@example.org"}}}
	c.Campaign, c.OriginID, c.OriginSHA256 = "shai-hulud", "X-1", fmt.Sprintf("%x", digest("origin"))
	c.Indicators = jsontext.Value(`{"domains":["example.org"]}`)
	c.Evidence = jsontext.Value(`{"cwes":[{"cweId":"CWE-506"}]}`)
	c.Status = store.Held
	return sign(c)
}

func newRecord(id string, key rapsheet.Key) store.Record {
	return store.Record{
		ID: id, Key: key, State: store.Active, Published: at(1), Modified: at(2),
		JSON: []byte(`{"id":"` + id + `"}`),
	}
}

func newHold(source, ref, guard string, key rapsheet.Key) store.Hold {
	return store.Hold{
		Source: source, Ref: ref, Guard: guard, Key: key, Digest: digest(ref),
		Reason: "because", Raised: at(1), State: store.HoldOpen,
	}
}

func refsOf(claims []store.Claim) []string {
	var out []string
	for _, c := range claims {
		out = append(out, c.Ref)
	}
	return out
}

func idsOf(records []store.Record) []string {
	var out []string
	for _, r := range records {
		out = append(out, r.ID)
	}
	return out
}

// everything is a store's content as far as the contract lets it be read.
type everything struct {
	Setting    string
	Sources    []store.Source
	Document   store.Document
	Stamps     []store.Stamp
	Claims     []store.Claim
	Records    []store.Record
	Counts     map[store.State]int
	Holds      []store.Hold
	Decisions  []store.Decision
	Campaigns  []store.Campaign
	Members    []store.Record
	Inputs     []store.Input
	Input      store.Input
	Quarantine []store.Quarantined
	Releases   []store.Release
	Audit      []store.AuditEntry
}

// fill writes one row of everything; n tells one filling from the next.
func fill(ctx context.Context, tx store.Tx, n int) error {
	name := fmt.Sprintf("p%03d", n)
	key := npm(name)
	hold := newHold("ossf", name, "popular", key)
	rec := newRecord("MAL-2024-"+name, key)
	rec.Campaign = "worm"
	_, err := tx.AddDecision(ctx, store.Decision{Time: at(n), Actor: "a", Kind: "note", Key: key, Reason: name})
	return errors.Join(
		err,
		tx.SetSetting(ctx, "n", name),
		tx.PutSource(ctx, store.Source{Name: name, Kind: "osv", Imported: at(n)}),
		tx.PutDocuments(ctx, []store.Document{{Source: "ossf", Digest: digest(name), Name: name, Data: []byte(name), Received: at(n)}}),
		tx.PutClaims(ctx, []store.Claim{newClaim("ossf", name, key)}),
		tx.PutRecords(ctx, []store.Record{rec}),
		tx.PutHolds(ctx, []store.Hold{hold}),
		tx.PutCampaign(ctx, store.Campaign{Name: name, Started: at(n)}),
		tx.PutInput(ctx, store.Input{Kind: "popular", Name: name, Data: []byte(name), Added: at(n)}),
		tx.AddQuarantine(ctx, []store.Quarantined{{Source: "ossf", Name: name, Digest: digest(name), Time: at(n)}}),
		tx.AddRelease(ctx, store.Release{Sequence: uint64(n), Time: at(n), Digest: digest(name)}),
		tx.AddAudit(ctx, store.AuditEntry{Time: at(n), Actor: "a", Action: name}),
	)
}

// readAll reads what fill wrote for the fillings 1 to n, and everything that is listed whole.
func readAll(ctx context.Context, r store.Reader, n int) (everything, error) {
	var e everything
	var keys []rapsheet.Key
	for i := 1; i <= n; i++ {
		keys = append(keys, npm(fmt.Sprintf("p%03d", i)))
	}
	last := fmt.Sprintf("p%03d", n)
	var errs [16]error
	e.Setting, errs[0] = r.Setting(ctx, "n")
	e.Sources, errs[1] = r.Sources(ctx)
	e.Document, _, errs[2] = r.Document(ctx, "ossf", digest(last))
	e.Stamps, errs[3] = collect(r.Stamps(ctx, "ossf"))
	e.Claims, errs[4] = r.Claims(ctx, keys)
	e.Records, errs[5] = collect(r.Records(ctx))
	e.Counts, errs[6] = r.CountRecords(ctx)
	e.Holds, errs[7] = r.Holds(ctx, store.HoldOpen)
	e.Decisions, errs[8] = r.Decisions(ctx, keys)
	e.Campaigns, errs[9] = r.Campaigns(ctx)
	e.Members, errs[10] = collect(r.Members(ctx, "worm"))
	e.Inputs, errs[11] = r.Inputs(ctx)
	e.Input, _, errs[12] = r.Input(ctx, "popular", last)
	e.Quarantine, errs[13] = r.Quarantine(ctx, 1000)
	e.Releases, errs[14] = r.Releases(ctx, 1000)
	e.Audit, errs[15] = r.Audit(ctx, 1000)
	return e, errors.Join(errs[:]...)
}

// sizes are the lengths of all that everything lists; each filling adds one to each.
func (e everything) sizes() []int {
	return []int{
		len(e.Sources), len(e.Stamps), len(e.Claims), len(e.Records), e.Counts[store.Active], len(e.Holds), len(e.Decisions),
		len(e.Campaigns), len(e.Members), len(e.Inputs), len(e.Quarantine), len(e.Releases), len(e.Audit),
	}
}

// check fails unless e is what n fillings leave.
func (e everything) check(t *suite, when string, n int) {
	t.Helper()
	want := slices.Repeat([]int{n}, len(e.sizes()))
	if got := e.sizes(); !slices.Equal(got, want) {
		t.Errorf("%s: rows of sources, stamps, claims, records, active, holds, decisions, campaigns, members, inputs, quarantine, releases, audit: %v, want %d each", when, got, n)
	}
	last := ""
	if n > 0 {
		last = fmt.Sprintf("p%03d", n)
	}
	if e.Setting != last || string(e.Document.Data) != last || string(e.Input.Data) != last {
		t.Errorf("%s: setting %q, document %q, input %q, want %q", when, e.Setting, e.Document.Data, e.Input.Data, last)
	}
}
