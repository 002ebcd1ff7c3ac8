package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/store"
)

func (t *suite) empty() {
	for _, keys := range [][]rapsheet.Key{nil, {npm("a")}} {
		t.view(func(ctx context.Context, r store.Reader) error {
			e, err := readAll(ctx, r, 0)
			e.check(t, "empty store", 0)
			claims, err2 := r.Claims(ctx, keys)
			records, err3 := r.RecordsOf(ctx, keys)
			holds, err4 := r.HoldsOf(ctx, keys)
			decisions, err5 := r.Decisions(ctx, keys)
			byID, err6 := r.RecordsByID(ctx, nil)
			if n := len(claims) + len(records) + len(holds) + len(decisions) + len(byID); n != 0 {
				t.Errorf("empty store: %d rows about %v", n, keys)
			}
			_, ok, err7 := r.Document(ctx, "s", digest("d"))
			_, ok2, err8 := r.Input(ctx, "k", "n")
			if ok || ok2 {
				t.Error("empty store has a document or an input")
			}
			n, err9 := r.CountQuarantine(ctx)
			if n != 0 {
				t.Errorf("empty store: %d in quarantine", n)
			}
			return errors.Join(err, err2, err3, err4, err5, err6, err7, err8, err9)
		})
	}
}

func (t *suite) settings() {
	steps := []struct{ name, value string }{
		{"a", "1"}, {"A", "2"}, {"a", "3"}, {"empty", ""}, {"a ", "4"}, {"long", strings.Repeat("é", 40_000)},
	}
	want := map[string]string{"never": ""}
	for _, s := range steps {
		t.update(func(ctx context.Context, tx store.Tx) error { return tx.SetSetting(ctx, s.name, s.value) })
		want[s.name] = s.value
	}
	for name, value := range want {
		got := get(t, func(ctx context.Context, r store.Reader) (string, error) { return r.Setting(ctx, name) })
		if got != value {
			t.Errorf("setting %q is %.80q, want %.80q", name, got, value)
		}
	}
}

func (t *suite) sources() {
	full := store.Source{Name: "b", Kind: "osv", Complete: true, Cursor: "2024-12-31T00:00:00Z", Digest: digest("state"), Imported: at(5)}
	t.update(func(ctx context.Context, tx store.Tx) error {
		return errors.Join(
			tx.PutSource(ctx, full),
			tx.PutSource(ctx, store.Source{Name: "c", Kind: "list", Claims: 7}),
			tx.PutSource(ctx, store.Source{Name: "B"}),
			tx.PutSource(ctx, store.Source{Name: "c"}),
		)
	})
	// Claims counts what is there, whatever was put: see store.Source.
	gone := newClaim("b", "3", npm("c"))
	gone.Status = store.Gone
	dropped := newClaim("b", "5", npm("d"))
	dropped.Status = store.Dropped
	held := newClaim("b", "2", npm("b"))
	held.Status = store.Held
	rejected := newClaim("b", "4", npm("b"))
	rejected.Status = store.Rejected
	t.update(func(ctx context.Context, tx store.Tx) error {
		return tx.PutClaims(ctx, []store.Claim{newClaim("b", "1", npm("a")), held, gone, dropped, rejected, newClaim("other", "1", npm("a"))})
	})
	full.Claims = 3
	equal(t, "sources", get(t, func(ctx context.Context, r store.Reader) ([]store.Source, error) { return r.Sources(ctx) }),
		[]store.Source{{Name: "B"}, full, {Name: "c"}})
}

func (t *suite) documents() {
	big := bytes.Repeat([]byte("0123456789abcdef"), 10<<16) // 10 MiB, the CSV of the worst day
	docs := []store.Document{
		{Source: "s", Digest: digest("1"), Name: "../../etc/passwd", Data: []byte{0, 0xff, '\n', 0x80}, Received: at(1)},
		{Source: "s", Digest: digest("2"), Name: "", Data: nil, Received: at(2)},
		{Source: "r", Digest: digest("1"), Name: "other source", Data: []byte("same digest"), Received: at(3)},
		{Source: "s", Digest: digest("3"), Name: "big", Data: big, Received: time.Time{}},
		{Source: "s", Digest: store.Digest{}, Name: "zero", Data: []byte("zero digest"), Received: at(4)},
	}
	t.update(func(ctx context.Context, tx store.Tx) error { return tx.PutDocuments(ctx, docs) })
	again := slices.Clone(docs)
	for i := range again {
		again[i].Name, again[i].Data, again[i].Received = "again", []byte("again"), at(100)
	}
	t.update(func(ctx context.Context, tx store.Tx) error { return tx.PutDocuments(ctx, again) })
	t.view(func(ctx context.Context, r store.Reader) error {
		for _, want := range docs {
			got, ok, err := r.Document(ctx, want.Source, want.Digest)
			if err != nil {
				return err
			}
			if !ok {
				t.Errorf("document %q is not there", want.Name)
			}
			equal(t, "document", got, want)
		}
		if _, ok, err := r.Document(ctx, "r", digest("2")); ok || err != nil {
			t.Errorf("another source's document: %v, %v; want none", ok, err)
		}
		return nil
	})
}

func (t *suite) claims() {
	full := fullClaim()
	unknown := newClaim("ossf", "x", rapsheet.Key{Ecosystem: "Some OS:11", Name: "Weird Name"})
	spelled := newClaim("list", "pypi", rapsheet.Key{Ecosystem: "PyPI", Name: "a-b"})
	spelled.Name = "A_b" // the key is canonical, the statement keeps the spelling
	spelled = sign(spelled)
	all := []store.Claim{
		newClaim("ossf", "2", npm("a")), newClaim("ossf", "10", npm("a")), newClaim("ghsa", "9", npm("a")),
		newClaim("ossf", "1", rapsheet.Key{Ecosystem: "PyPI", Name: "a"}), newClaim("ossf", "3", npm("b")), full, unknown, spelled,
	}
	t.update(func(ctx context.Context, tx store.Tx) error { return tx.PutClaims(ctx, all) })
	read := func(keys ...rapsheet.Key) []store.Claim {
		return get(t, func(ctx context.Context, r store.Reader) ([]store.Claim, error) { return r.Claims(ctx, keys) })
	}
	equal(t, "claims of one key", read(npm("a")), []store.Claim{all[2], all[1], all[0]})
	equal(t, "claims of many keys, some twice, some unknown",
		read(spelled.Key, npm("b"), npm("a"), npm("none"), npm("b"), rapsheet.Key{}, full.Key, unknown.Key),
		[]store.Claim{spelled, unknown, full, all[2], all[1], all[0], all[4]}) // "PyPI" < "Some OS" < "npm"

	// The same source and reference again replaces all of it, the key included.
	moved := newClaim("ossf", "2", npm("c"))
	moved.Summary, moved.Document, moved.Seen, moved.Status = "moved", digest("new"), at(77), store.Rejected
	moved = sign(moved)
	t.update(func(ctx context.Context, tx store.Tx) error { return tx.PutClaims(ctx, []store.Claim{moved}) })
	equal(t, "claims after a move", read(npm("a"), npm("c")), []store.Claim{all[2], all[1], moved})
}

func (t *suite) claimStatus() {
	var all []store.Claim
	for _, ref := range []string{"1", "2", "3"} {
		all = append(all, newClaim("s", ref, npm("a")))
	}
	all = append(all, newClaim("r", "1", npm("a")))
	t.update(func(ctx context.Context, tx store.Tx) error { return tx.PutClaims(ctx, all) })
	t.update(func(ctx context.Context, tx store.Tx) error {
		// A reference that the source does not have, and one named twice, are no error.
		return errors.Join(
			tx.SetClaimStatus(ctx, "s", []string{"3", "1", "none", "1"}, store.Gone),
			tx.SetClaimStatus(ctx, "s", []string{"2"}, store.Held),
			tx.SetClaimStatus(ctx, "s", nil, store.Rejected),
			tx.SetClaimStatus(ctx, "none", []string{"1"}, store.Rejected),
		)
	})
	all[0].Status, all[1].Status, all[2].Status = store.Gone, store.Held, store.Gone
	got := get(t, func(ctx context.Context, r store.Reader) ([]store.Claim, error) {
		return r.Claims(ctx, []rapsheet.Key{npm("a")})
	})
	equal(t, "claims", got, []store.Claim{all[3], all[0], all[1], all[2]})
}

func (t *suite) stamps() {
	a, b, c := newClaim("s", "b", npm("x")), newClaim("s", "a", npm("y")), fullClaim()
	c.Source, c.Ref, c.Status = "s", "c", store.Gone
	t.update(func(ctx context.Context, tx store.Tx) error {
		return tx.PutClaims(ctx, []store.Claim{a, b, c, newClaim("r", "a", npm("x"))})
	})
	var want []store.Stamp
	for _, c := range []store.Claim{b, a, c} {
		want = append(want, store.Stamp{Ref: c.Ref, Key: c.Key, Document: c.Document, Digest: c.Digest, Status: c.Status})
	}
	equal(t, "stamps", get(t, func(ctx context.Context, r store.Reader) ([]store.Stamp, error) { return collect(r.Stamps(ctx, "s")) }), want)
}

func (t *suite) records() {
	a, b, c := newRecord("MAL-2024-10", npm("a")), newRecord("MAL-2024-9", npm("a")), newRecord("MAL-2024-1", npm("b"))
	b.State, c.State = store.Disputed, store.Withdrawn
	b.Campaign = "worm"
	c.JSON = []byte{0, 0xff, '{'} // bytes are any bytes
	d := newRecord("GHSA-x", rapsheet.Key{Ecosystem: "PyPI", Name: "a"})
	t.update(func(ctx context.Context, tx store.Tx) error { return tx.PutRecords(ctx, []store.Record{a, b, c, d}) })
	a.State, a.Key, a.Campaign, a.Published, a.Modified, a.JSON = store.Withdrawn, npm("c"), "x", at(50), at(51), nil
	t.update(func(ctx context.Context, tx store.Tx) error { return tx.PutRecords(ctx, []store.Record{a}) })
	t.view(func(ctx context.Context, r store.Reader) error {
		all, err := collect(r.Records(ctx))
		equal(t, "records", all, []store.Record{d, c, a, b})
		of, err2 := r.RecordsOf(ctx, []rapsheet.Key{d.Key, npm("c"), npm("a"), npm("c"), npm("none")})
		equal(t, "records of keys", of, []store.Record{d, b, a})
		byID, err3 := r.RecordsByID(ctx, []string{"MAL-2024-9", "none", "GHSA-x", "MAL-2024-9", "", "ghsa-x"})
		equal(t, "records by id", byID, []store.Record{d, b})
		n, err4 := r.CountRecords(ctx)
		for state, want := range map[store.State]int{store.Active: 1, store.Disputed: 1, store.Withdrawn: 2} {
			if n[state] != want {
				t.Errorf("%d records in state %d, want %d", n[state], state, want)
			}
		}
		return errors.Join(err, err2, err3, err4)
	})
}

func (t *suite) holds() {
	a, b, c := newHold("s", "2", "popular", npm("b")), newHold("s", "10", "popular", npm("b")), newHold("s", "10", "origins", npm("b"))
	d, e := newHold("r", "z", "popular", npm("b")), newHold("s", "1", "popular", npm("a"))
	f := newHold("s", "1", "popular", rapsheet.Key{Ecosystem: "PyPI", Name: "a"})
	f.Ref, f.State, f.Decision = "1p", store.HoldAccepted, 12
	t.update(func(ctx context.Context, tx store.Tx) error { return tx.PutHolds(ctx, []store.Hold{a, b, c, d, e, f}) })
	check := func(open, accepted, rejected []store.Hold) {
		t.Helper()
		t.view(func(ctx context.Context, r store.Reader) error {
			got, err := r.Holds(ctx, store.HoldOpen)
			equal(t, "open holds", got, open)
			got, err2 := r.Holds(ctx, store.HoldAccepted)
			equal(t, "accepted holds", got, accepted)
			got, err3 := r.Holds(ctx, store.HoldRejected)
			equal(t, "rejected holds", got, rejected)
			return errors.Join(err, err2, err3)
		})
	}
	check([]store.Hold{e, d, c, b, a}, []store.Hold{f}, nil)

	a.State, a.Decision, a.Reason, a.Digest, a.Raised, a.Key = store.HoldRejected, math.MaxInt64, "so", digest("new"), at(9), npm("c")
	t.update(func(ctx context.Context, tx store.Tx) error { return tx.PutHolds(ctx, []store.Hold{a}) })
	check([]store.Hold{e, d, c, b}, []store.Hold{f}, []store.Hold{a})

	// Decided holds stay, and so do those that share two of the three names.
	t.update(func(ctx context.Context, tx store.Tx) error {
		return tx.DropHolds(ctx, []store.Hold{
			{Source: "s", Ref: "2", Guard: "popular"}, {Source: "s", Ref: "1p", Guard: "popular"},
			{Source: "s", Ref: "10", Guard: "popular"}, {Source: "none", Ref: "1", Guard: "popular"}, {Source: "s", Ref: "1", Guard: "none"},
			{Source: "s", Ref: "none", Guard: "popular"},
		})
	})
	check([]store.Hold{e, d, c}, []store.Hold{f}, []store.Hold{a})
	got := get(t, func(ctx context.Context, r store.Reader) ([]store.Hold, error) {
		return r.HoldsOf(ctx, []rapsheet.Key{f.Key, npm("b"), npm("c"), npm("b"), npm("none")})
	})
	equal(t, "holds of keys", got, []store.Hold{f, d, c, a})
}

func (t *suite) decisions() {
	base := store.Decision{
		Time: at(1), Actor: "Ann", Kind: "narrow", Key: npm("a"), ID: "MAL-2024-1", Source: "s", Ref: "r",
		Versions: []string{"1.0.0", "", "a,b", `{"x"}`, "NULL"}, Reason: "because",
	}
	other := store.Decision{Time: at(0), Actor: "Bob", Kind: "note", Key: npm("b")}
	add := func(d store.Decision) int64 {
		t.Helper()
		var seq int64
		d.Seq = 99 // given by the store, whatever the caller says
		t.update(func(ctx context.Context, tx store.Tx) (err error) {
			seq, err = tx.AddDecision(ctx, d)
			return err
		})
		return seq
	}
	base.Seq = add(base)
	other.Seq = add(other)
	if base.Seq != 1 || other.Seq <= base.Seq {
		t.Errorf("sequence numbers %d, %d; want 1 and one above", base.Seq, other.Seq)
	}
	// What was rolled back leaves no decision, and its number goes to at most one other.
	boom := errors.New("boom")
	err := t.s.Update(t.Context(), func(tx store.Tx) error {
		if _, err := tx.AddDecision(t.Context(), base); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("update gave %v, want the function's own error", err)
	}
	again := base
	again.Versions = nil
	again.Seq = add(again)
	if again.Seq <= other.Seq {
		t.Errorf("sequence number %d after %d", again.Seq, other.Seq)
	}
	read := func(keys ...rapsheet.Key) []store.Decision {
		return get(t, func(ctx context.Context, r store.Reader) ([]store.Decision, error) { return r.Decisions(ctx, keys) })
	}
	equal(t, "decisions of both", read(npm("b"), npm("a"), npm("b")), []store.Decision{base, other, again})
	equal(t, "decisions of one", read(npm("a")), []store.Decision{base, again})
	equal(t, "decisions of none", read(npm("none")), nil)
}

func (t *suite) campaigns() {
	full := store.Campaign{
		Name: "shai-hulud", Started: at(1), Ended: at(2), Summary: "a worm", Members: 99,
		References: []string{"https://b.example/", "https://a.example/", ""}, Indicators: []string{"a,b", `"`, `\`, "{}"},
	}
	t.update(func(ctx context.Context, tx store.Tx) error {
		records := []store.Record{newRecord("3", npm("a")), newRecord("10", npm("b")), newRecord("2", npm("c")), newRecord("1", npm("d"))}
		for i := range records {
			records[i].Campaign = []string{full.Name, full.Name, "only members", ""}[i]
		}
		return errors.Join(
			tx.PutCampaign(ctx, full),
			tx.PutCampaign(ctx, store.Campaign{Name: "Zero", Summary: "old", References: []string{"x"}}),
			tx.PutCampaign(ctx, store.Campaign{Name: "Zero", Summary: "new"}),
			tx.PutRecords(ctx, records),
		)
	})
	full.Members = 2
	t.view(func(ctx context.Context, r store.Reader) error {
		got, err := r.Campaigns(ctx)
		equal(t, "campaigns", got, []store.Campaign{{Name: "Zero", Summary: "new"}, full})
		members, err2 := collect(r.Members(ctx, full.Name))
		if ids := idsOf(members); !slices.Equal(ids, []string{"10", "3"}) {
			t.Errorf("members are %q, want 10 and 3", ids)
		}
		stray, err3 := collect(r.Members(ctx, "only members"))
		if ids := idsOf(stray); !slices.Equal(ids, []string{"2"}) {
			t.Errorf("members without a campaign are %q, want 2", ids)
		}
		none, err4 := collect(r.Members(ctx, "Shai-Hulud"))
		if len(none) != 0 {
			t.Errorf("members of an unknown campaign: %q", idsOf(none))
		}
		return errors.Join(err, err2, err3, err4)
	})
}

func (t *suite) inputs() {
	ins := []store.Input{
		{Kind: "popular", Name: "npm", Data: []byte("old"), Added: at(1)},
		{Kind: "popular", Name: "PyPI", Data: []byte{0, 0xff}, Added: at(2)},
		{Kind: "inventory", Name: "npm", Added: at(3)},
		{Kind: "popular", Name: "npm", Data: bytes.Repeat([]byte("x"), 1<<20), Added: at(4)},
	}
	t.update(func(ctx context.Context, tx store.Tx) error {
		for _, in := range ins {
			if err := tx.PutInput(ctx, in); err != nil {
				return err
			}
		}
		return nil
	})
	t.view(func(ctx context.Context, r store.Reader) error {
		var bare []store.Input
		for _, i := range []int{2, 1, 3} {
			in := ins[i]
			in.Data = nil
			bare = append(bare, in)
			got, ok, err := r.Input(ctx, in.Kind, in.Name)
			if err != nil {
				return err
			}
			if !ok {
				t.Errorf("input %s %s is not there", in.Kind, in.Name)
			}
			equal(t, "input", got, ins[i])
		}
		got, err := r.Inputs(ctx)
		equal(t, "inputs", got, bare)
		return err
	})
}

func (t *suite) quarantine() {
	entry := func(name string, n int) store.Quarantined {
		return store.Quarantined{Source: "s", Name: name, Digest: digest("1"), Reason: "bad", Data: []byte(name), Time: at(n)}
	}
	long := entry("long", 5)
	long.Data = append(bytes.Repeat([]byte{0xff}, store.MaxSample), "cut"...)
	replaced := entry("a", 9)
	replaced.Reason, replaced.Data = "worse", nil
	other, third := entry("a", 3), entry("a", 4)
	other.Source, third.Digest = "r", digest("2")
	t.update(func(ctx context.Context, tx store.Tx) error {
		return tx.AddQuarantine(ctx, []store.Quarantined{entry("a", 1), entry("b", 2), other, third, long})
	})
	t.update(func(ctx context.Context, tx store.Tx) error {
		return tx.AddQuarantine(ctx, []store.Quarantined{replaced})
	})
	long.Data = long.Data[:store.MaxSample]
	want := []store.Quarantined{replaced, long, third, other, entry("b", 2)}
	t.view(func(ctx context.Context, r store.Reader) error {
		for _, limit := range []int{-1, 0, 1, 3, 5, 1000} {
			got, err := r.Quarantine(ctx, limit)
			if err != nil {
				return err
			}
			equal(t, fmt.Sprintf("quarantine, at most %d", limit), got, want[:min(max(limit, 0), len(want))])
		}
		n, err := r.CountQuarantine(ctx)
		if n != len(want) {
			t.Errorf("%d in quarantine, want %d", n, len(want))
		}
		return err
	})
}

func (t *suite) releases() {
	releases := []store.Release{
		{Sequence: 1, Time: at(9), Digest: digest("1"), Records: 1, Disputed: 2, Withdrawn: 3},
		{Sequence: 2, Time: at(1)},
		{Sequence: 10, Time: at(1), Records: 230_000},
		{Sequence: math.MaxInt64},
	}
	for _, rel := range releases {
		t.update(func(ctx context.Context, tx store.Tx) error { return tx.AddRelease(ctx, rel) })
		for _, low := range []uint64{rel.Sequence, rel.Sequence - 1, 0} {
			err := t.s.Update(t.Context(), func(tx store.Tx) error { return tx.AddRelease(t.Context(), store.Release{Sequence: low, Time: at(50)}) })
			if err == nil {
				t.Errorf("release %d after %d was taken", low, rel.Sequence)
			}
		}
	}
	// A sequence that an engine cannot hold is refused, never stored as another number.
	var over []store.Release
	if err := t.s.Update(t.Context(), func(tx store.Tx) error { return tx.AddRelease(t.Context(), store.Release{Sequence: math.MaxUint64}) }); err == nil {
		over = []store.Release{{Sequence: math.MaxUint64}}
	}
	slices.Reverse(releases)
	want := append(over, releases...)
	for _, limit := range []int{-1, 0, 1, 2, 100} {
		got := get(t, func(ctx context.Context, r store.Reader) ([]store.Release, error) { return r.Releases(ctx, limit) })
		equal(t, fmt.Sprintf("releases, at most %d", limit), got, want[:min(max(limit, 0), len(want))])
	}
}

func (t *suite) audit() {
	entries := []store.AuditEntry{
		{Time: at(1), Actor: "a", Action: "import", Detail: "one"},
		{Time: at(2), Actor: "b", Action: "import", Detail: "\x1b[31mred\n"},
		{Time: at(2), Actor: "b", Action: "import", Detail: "\x1b[31mred\n"}, // the log keeps repeats
		{Time: at(2), Actor: "c", Action: "publish", Detail: ""},
	}
	t.update(func(ctx context.Context, tx store.Tx) error {
		for _, e := range entries {
			if err := tx.AddAudit(ctx, e); err != nil {
				return err
			}
		}
		return nil
	})
	slices.Reverse(entries)
	for _, limit := range []int{-1, 0, 1, 3, 100} {
		got := get(t, func(ctx context.Context, r store.Reader) ([]store.AuditEntry, error) { return r.Audit(ctx, limit) })
		equal(t, fmt.Sprintf("audit, at most %d", limit), got, entries[:min(max(limit, 0), len(entries))])
	}
}

// times: kept to the microsecond, in UTC; the zero time stays zero.
func (t *suite) times() {
	east := time.FixedZone("east", 5*3600+1800)
	for _, c := range []struct {
		name     string
		in, want time.Time
	}{
		{"zero", time.Time{}, time.Time{}},
		{"zero elsewhere", time.Time{}.In(east), time.Time{}},
		{"epoch", time.Unix(0, 0), time.Unix(0, 0).UTC()},
		{"before the epoch", time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC), time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC)},
		{"nanoseconds are cut", time.Date(2025, 9, 16, 1, 2, 3, 123_456_999, time.UTC), time.Date(2025, 9, 16, 1, 2, 3, 123_456_000, time.UTC)},
		{"another zone", time.Date(2025, 9, 16, 1, 2, 3, 1000, east), time.Date(2025, 9, 15, 19, 32, 3, 1000, time.UTC)},
		{"far away", time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)},
		{"monotonic clock", time.Now(), time.Now().UTC().Truncate(time.Microsecond)},
	} {
		if c.name == "monotonic clock" {
			c.want = c.in.UTC().Round(0).Truncate(time.Microsecond)
		}
		var seq int64
		d := store.Decision{Time: c.in, Actor: "a", Kind: "note", Key: npm(c.name)}
		cl := newClaim("s", c.name, npm(c.name))
		cl.Seen = c.in
		rec := newRecord(c.name, npm(c.name))
		rec.Published, rec.Modified = c.in, c.in
		hold := newHold("s", c.name, "g", npm(c.name))
		hold.Raised = c.in
		t.update(func(ctx context.Context, tx store.Tx) (err error) {
			seq, err = tx.AddDecision(ctx, d)
			return errors.Join(
				err,
				tx.PutSource(ctx, store.Source{Name: "s", Imported: c.in}),
				tx.PutDocuments(ctx, []store.Document{{Source: "s", Digest: digest(c.name), Received: c.in}}),
				tx.PutClaims(ctx, []store.Claim{cl}), tx.PutRecords(ctx, []store.Record{rec}), tx.PutHolds(ctx, []store.Hold{hold}),
				tx.PutCampaign(ctx, store.Campaign{Name: "c", Started: c.in, Ended: c.in}),
				tx.PutInput(ctx, store.Input{Kind: "k", Name: "n", Added: c.in}),
				tx.AddQuarantine(ctx, []store.Quarantined{{Source: "s", Name: c.name, Digest: digest("q"), Time: c.in}}),
				tx.AddRelease(ctx, store.Release{Sequence: uint64(seq), Time: c.in}),
				tx.AddAudit(ctx, store.AuditEntry{Time: c.in, Action: c.name}),
			)
		})
		t.view(func(ctx context.Context, r store.Reader) error {
			keys := []rapsheet.Key{npm(c.name)}
			sources, err := r.Sources(ctx)
			doc, _, err2 := r.Document(ctx, "s", digest(c.name))
			claims, err3 := r.Claims(ctx, keys)
			records, err4 := r.RecordsOf(ctx, keys)
			holds, err5 := r.HoldsOf(ctx, keys)
			decisions, err6 := r.Decisions(ctx, keys)
			campaigns, err7 := r.Campaigns(ctx)
			in, _, err8 := r.Input(ctx, "k", "n")
			quarantine, err9 := r.Quarantine(ctx, 1000)
			releases, err10 := r.Releases(ctx, 1)
			audit, err11 := r.Audit(ctx, 1)
			if err := errors.Join(err, err2, err3, err4, err5, err6, err7, err8, err9, err10, err11); err != nil {
				return err
			}
			if len(sources)*len(claims)*len(records)*len(holds)*len(decisions)*len(campaigns)*len(releases)*len(audit) != 1 {
				t.Fatalf("%s: not one row of each", c.name)
			}
			var quarantined time.Time
			for _, q := range quarantine {
				if q.Name == c.name {
					quarantined = q.Time
				}
			}
			for what, got := range map[string]time.Time{
				"source": sources[0].Imported, "document": doc.Received, "claim": claims[0].Seen, "record published": records[0].Published,
				"record modified": records[0].Modified, "hold": holds[0].Raised, "decision": decisions[0].Time, "campaign started": campaigns[0].Started,
				"campaign ended": campaigns[0].Ended, "input": in.Added, "quarantine": quarantined, "release": releases[0].Time, "audit": audit[0].Time,
			} {
				if !got.Equal(c.want) || got.Location() != time.UTC {
					t.Errorf("%s of %s: %v, want %v", what, c.name, got, c.want)
				}
			}
			return nil
		})
	}
}
