package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/osv"
)

// odd are strings that some engine, driver or collation has been known to change or confuse.
var odd = []string{
	"", " ", "a", "a ", " a", "A", "á", "a\u0301", "\u00e1b", "'", "''", `"`, "`", `\`, `\'`, `\x00`, `\u0000`, "%", "_", "%_%", "?", "$1", ":a", "@a", "{}",
	`{"a"}`, "{NULL}", "NULL", "null", "true", "0", "00", "1", "1.0", "1e3", "0x10", "-1", "9223372036854775808", "Infinity", "[]", "a,b", "a\tb",
	"a\nb", "a\r\nb", "\x01", "\x1b[31m", "\x7f", "\u0085", "\u200b", "\u202e", "\ufeff", "\ufffd", "\uffff", "\ufdd0", "😀", "👩‍👩‍👧", "\U0010ffff", "K", "\u212a",
	"ß", "ẞ", "ss", "İ", "i", "ı", "'; DROP TABLE claims; --", "1); DELETE FROM records; --", strings.Repeat("x", 1024), strings.Repeat("é", 1024),
}

// oddStrings: a string that may be stored comes back as it was, and is found by itself only.
func (t *suite) oddStrings() {
	var claims []store.Claim
	var records []store.Record
	var holds []store.Hold
	for i, s := range odd {
		key := rapsheet.Key{Ecosystem: "e" + s, Name: s}
		c := newClaim("src"+s, s, key)
		c.ID, c.Details, c.Versions, c.Campaign = s, s, []string{s}, s
		claims = append(claims, sign(c))
		r := newRecord(s, key)
		r.Campaign = s
		r.JSON = []byte(s)
		records = append(records, r)
		h := newHold(s, s, s, key)
		h.Reason = s
		holds = append(holds, h)
		t.update(func(ctx context.Context, tx store.Tx) error {
			_, err := tx.AddDecision(ctx, store.Decision{Actor: s, Kind: s, Key: key, ID: s, Source: s, Ref: s, Versions: []string{s, s}, Reason: s})
			return errors.Join(
				err,
				tx.SetSetting(ctx, s, s+"!"),
				tx.PutSource(ctx, store.Source{Name: s, Kind: s, Cursor: s}),
				tx.PutDocuments(ctx, []store.Document{{Source: s, Digest: digest(s), Name: s, Data: []byte(s)}}),
				tx.PutCampaign(ctx, store.Campaign{Name: s, Summary: s, References: []string{s}, Indicators: []string{s, s}}),
				tx.PutInput(ctx, store.Input{Kind: s, Name: s, Data: []byte(s)}),
				tx.AddQuarantine(ctx, []store.Quarantined{{Source: s, Name: s, Digest: digest(s), Reason: s, Time: at(i)}}),
				tx.AddAudit(ctx, store.AuditEntry{Actor: s, Action: s, Detail: s}),
			)
		})
	}
	t.update(func(ctx context.Context, tx store.Tx) error {
		return errors.Join(tx.PutClaims(ctx, claims), tx.PutRecords(ctx, records), tx.PutHolds(ctx, holds))
	})
	t.view(func(ctx context.Context, r store.Reader) error {
		quarantine, err := r.Quarantine(ctx, 1000)
		audit, err2 := r.Audit(ctx, 1000)
		sources, err3 := r.Sources(ctx)
		campaigns, err4 := r.Campaigns(ctx)
		if err := errors.Join(err, err2, err3, err4); err != nil {
			return err
		}
		slices.Reverse(quarantine)
		slices.Reverse(audit)
		if n := len(odd); len(quarantine) != n || len(audit) != n || len(sources) != n || len(campaigns) != n {
			t.Fatalf("%d quarantined, %d audit, %d sources, %d campaigns; want %d each", len(quarantine), len(audit), len(sources), len(campaigns), n)
		}
		byName := map[string]store.Campaign{}
		for _, c := range campaigns {
			byName[c.Name] = c
		}
		kinds := map[string]store.Source{}
		for _, s := range sources {
			kinds[s.Name] = s
		}
		for i, s := range odd {
			what := fmt.Sprintf("%.20q: ", s)
			key := claims[i].Key
			value, err := r.Setting(ctx, s)
			equal(t, what+"setting", value, s+"!")
			equal(t, what+"source", kinds[s], store.Source{Name: s, Kind: s, Cursor: s})
			doc, _, err2 := r.Document(ctx, s, digest(s))
			equal(t, what+"document", doc, store.Document{Source: s, Digest: digest(s), Name: s, Data: []byte(s)})
			stamps, err3 := collect(r.Stamps(ctx, "src"+s))
			if len(stamps) != 1 || stamps[0].Ref != s || stamps[0].Key != key {
				t.Errorf("%sstamps are %+v", what, stamps)
			}
			cs, err4 := r.Claims(ctx, []rapsheet.Key{key})
			equal(t, what+"claims", cs, claims[i:i+1])
			rs, err5 := r.RecordsOf(ctx, []rapsheet.Key{key})
			equal(t, what+"records of the key", rs, records[i:i+1])
			rs, err6 := r.RecordsByID(ctx, []string{s})
			equal(t, what+"records by id", rs, records[i:i+1])
			if s != "" { // "" is no campaign
				rs, err := collect(r.Members(ctx, s))
				if err != nil {
					return err
				}
				equal(t, what+"members", rs, records[i:i+1])
				equal(t, what+"campaign", byName[s], store.Campaign{Name: s, Summary: s, References: []string{s}, Indicators: []string{s, s}, Members: 1})
			}
			hs, err7 := r.HoldsOf(ctx, []rapsheet.Key{key})
			equal(t, what+"holds", hs, holds[i:i+1])
			ds, err8 := r.Decisions(ctx, []rapsheet.Key{key})
			equal(t, what+"decisions", ds, []store.Decision{{Seq: int64(i) + 1, Actor: s, Kind: s, Key: key, ID: s, Source: s, Ref: s, Versions: []string{s, s}, Reason: s}})
			in, _, err9 := r.Input(ctx, s, s)
			equal(t, what+"input", in, store.Input{Kind: s, Name: s, Data: []byte(s)})
			equal(t, what+"quarantine", quarantine[i], store.Quarantined{Source: s, Name: s, Digest: digest(s), Reason: s, Time: at(i)})
			equal(t, what+"audit", audit[i], store.AuditEntry{Actor: s, Action: s, Detail: s})
			if err := errors.Join(err, err2, err3, err4, err5, err6, err7, err8, err9); err != nil {
				return err
			}
		}
		return nil
	})
	// Holds that are named by quotes and wildcards are dropped one at a time.
	for i, h := range holds {
		t.update(func(ctx context.Context, tx store.Tx) error { return tx.DropHolds(ctx, []store.Hold{h}) })
		left := get(t, func(ctx context.Context, r store.Reader) ([]store.Hold, error) { return r.Holds(ctx, store.HoldOpen) })
		if len(left) != len(holds)-i-1 {
			t.Fatalf("after dropping %d holds, %.20q last, %d of %d are left", i+1, h.Ref, len(left), len(holds))
		}
	}
}

// byteOrder: orders that are promised compare strings by their bytes.
func (t *suite) byteOrder() {
	names := []string{"é", "a", "Z", "_", "-", "ab", "a-b", "a_b", "aB", "A", "10", "9", "\uffff", "😀", "z", "e\u0301", "É", "@a/b", "a b", "~"}
	sorted := slices.Sorted(slices.Values(names))
	t.update(func(ctx context.Context, tx store.Tx) error {
		var claims []store.Claim
		var records []store.Record
		var holds []store.Hold
		for _, n := range names {
			// One package with many sources and references, and many packages with one.
			claims = append(claims, newClaim("s", n, npm("a")), newClaim(n, "1", npm("b")), newClaim("k", n, npm("k"+n)))
			rec := newRecord(n, npm("a"))
			rec.Campaign = "c"
			records = append(records, rec, newRecord("k"+n, npm("k"+n)), newRecord("e"+n, rapsheet.Key{Ecosystem: "e" + n, Name: "a"}))
			for i, h := range []store.Hold{newHold("s", "r", n, npm("a")), newHold("s", n, "g", npm("b")), newHold(n, "r", "g", npm("c")), newHold("k", n, "g", npm("k"+n))} {
				h.Digest = digest(fmt.Sprint(i))
				holds = append(holds, h)
			}
			if err := errors.Join(
				tx.PutSource(ctx, store.Source{Name: n}), tx.PutCampaign(ctx, store.Campaign{Name: n}),
				tx.PutInput(ctx, store.Input{Kind: "k", Name: n}), tx.PutInput(ctx, store.Input{Kind: "z" + n, Name: "1"}),
			); err != nil {
				return err
			}
		}
		return errors.Join(tx.PutClaims(ctx, claims), tx.PutRecords(ctx, records), tx.PutHolds(ctx, holds))
	})
	var keys, ecosystems []rapsheet.Key
	for _, n := range names {
		keys, ecosystems = append(keys, npm("k"+n)), append(ecosystems, rapsheet.Key{Ecosystem: "e" + n, Name: "a"})
	}
	order := func(what string, got []string, prefix string) {
		t.Helper()
		var want []string
		for _, s := range sorted {
			want = append(want, prefix+s)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: order %q, want %q", what, got, want)
		}
	}
	t.view(func(ctx context.Context, r store.Reader) error {
		var errs []error
		fail := func(err error) { errs = append(errs, err) }

		sources, err := r.Sources(ctx)
		fail(err)
		order("sources", each(sources, func(s store.Source) string { return s.Name }), "")
		stamps, err := collect(r.Stamps(ctx, "s"))
		fail(err)
		order("stamps", each(stamps, func(s store.Stamp) string { return s.Ref }), "")
		claims, err := r.Claims(ctx, []rapsheet.Key{npm("a")})
		fail(err)
		order("claims by reference", refsOf(claims), "")
		claims, err = r.Claims(ctx, []rapsheet.Key{npm("b")})
		fail(err)
		order("claims by source", each(claims, func(c store.Claim) string { return c.Source }), "")
		claims, err = r.Claims(ctx, keys)
		fail(err)
		order("claims by key", each(claims, func(c store.Claim) string { return c.Key.Name }), "k")
		records, err := collect(r.Records(ctx))
		fail(err)
		if ids := idsOf(records); !slices.IsSorted(ids) || len(ids) != 3*len(names) {
			t.Errorf("records: order %q", ids)
		}
		records, err = collect(r.Members(ctx, "c"))
		fail(err)
		order("members", idsOf(records), "")
		records, err = r.RecordsOf(ctx, []rapsheet.Key{npm("a")})
		fail(err)
		order("records of a key", idsOf(records), "")
		records, err = r.RecordsOf(ctx, keys)
		fail(err)
		order("records of keys", idsOf(records), "k")
		records, err = r.RecordsOf(ctx, ecosystems)
		fail(err)
		order("records of ecosystems", idsOf(records), "e")
		records, err = r.RecordsByID(ctx, names)
		fail(err)
		order("records by id", idsOf(records), "")
		for i, want := range []func(store.Hold) string{
			func(h store.Hold) string { return h.Guard }, func(h store.Hold) string { return h.Ref }, func(h store.Hold) string { return h.Source },
		} {
			holds, err := r.HoldsOf(ctx, []rapsheet.Key{npm(string("abc"[i]))})
			fail(err)
			order(fmt.Sprintf("holds of a key, field %d", i), each(holds, want), "")
		}
		holds, err := r.Holds(ctx, store.HoldOpen)
		fail(err)
		order("holds by key", each(holds[3*len(names):], func(h store.Hold) string { return h.Key.Name }), "k")
		campaigns, err := r.Campaigns(ctx)
		fail(err)
		order("campaigns", each(campaigns, func(c store.Campaign) string { return c.Name }), "")
		inputs, err := r.Inputs(ctx)
		fail(err)
		if len(inputs) != 2*len(names) {
			t.Fatalf("%d inputs", len(inputs))
		}
		order("inputs by name", each(inputs[:len(names)], func(in store.Input) string { return in.Name }), "")
		order("inputs by kind", each(inputs[len(names):], func(in store.Input) string { return in.Kind }), "z")
		return errors.Join(errs...)
	})
}

func each[V any](vs []V, f func(V) string) []string {
	var out []string
	for _, v := range vs {
		out = append(out, f(v))
	}
	return out
}

// badStrings cannot be stored: NUL, a byte that is no UTF-8, half of a character, a surrogate
// (RFC 3629 section 3 excludes them), an overlong "/".
var badStrings = []string{"\x00", "a\x00b", "a\xff", "\xc3", "\xed\xa0\x80", "\xc0\xaf"}

// badText: what cannot be stored is refused with ErrText, in every string there is, and the
// rest of the Update with it.
func (t *suite) badText() {
	key := npm("a")
	claimWith := func(change func(c *store.Claim, bad string)) func(context.Context, store.Tx, string) error {
		return func(ctx context.Context, tx store.Tx, bad string) error {
			c := newClaim("s", "r", key)
			change(&c, bad)
			return tx.PutClaims(ctx, []store.Claim{newClaim("s", "good", key), sign(c)})
		}
	}
	recordWith := func(change func(r *store.Record, bad string)) func(context.Context, store.Tx, string) error {
		return func(ctx context.Context, tx store.Tx, bad string) error {
			r := newRecord("MAL-1", key)
			change(&r, bad)
			return tx.PutRecords(ctx, []store.Record{newRecord("good", key), r})
		}
	}
	holdWith := func(change func(h *store.Hold, bad string)) func(context.Context, store.Tx, string) error {
		return func(ctx context.Context, tx store.Tx, bad string) error {
			h := newHold("s", "r", "g", key)
			change(&h, bad)
			return tx.PutHolds(ctx, []store.Hold{newHold("s", "good", "g", key), h})
		}
	}
	dropWith := func(change func(h *store.Hold, bad string)) func(context.Context, store.Tx, string) error {
		return func(ctx context.Context, tx store.Tx, bad string) error {
			h := newHold("s", "r", "g", key)
			change(&h, bad)
			return tx.DropHolds(ctx, []store.Hold{h})
		}
	}
	decide := func(change func(d *store.Decision, bad string)) func(context.Context, store.Tx, string) error {
		return func(ctx context.Context, tx store.Tx, bad string) error {
			d := store.Decision{Actor: "a", Kind: "note", Key: key}
			change(&d, bad)
			_, err := tx.AddDecision(ctx, d)
			return err
		}
	}
	for _, c := range []struct {
		name string
		do   func(ctx context.Context, tx store.Tx, bad string) error
	}{
		{"SetSetting name", func(ctx context.Context, tx store.Tx, bad string) error { return tx.SetSetting(ctx, bad, "v") }},
		{"SetSetting value", func(ctx context.Context, tx store.Tx, bad string) error { return tx.SetSetting(ctx, "n", bad) }},
		{"PutSource Name", func(ctx context.Context, tx store.Tx, bad string) error {
			return tx.PutSource(ctx, store.Source{Name: bad})
		}},
		{"PutSource Kind", func(ctx context.Context, tx store.Tx, bad string) error {
			return tx.PutSource(ctx, store.Source{Name: "n", Kind: bad})
		}},
		{"PutSource Cursor", func(ctx context.Context, tx store.Tx, bad string) error {
			return tx.PutSource(ctx, store.Source{Name: "n", Cursor: bad})
		}},
		{"PutDocuments Source", func(ctx context.Context, tx store.Tx, bad string) error {
			return tx.PutDocuments(ctx, []store.Document{{Source: "good"}, {Source: bad}})
		}},
		{"PutDocuments Name", func(ctx context.Context, tx store.Tx, bad string) error {
			return tx.PutDocuments(ctx, []store.Document{{Source: "s", Name: bad}})
		}},
		{"PutClaims Source", claimWith(func(c *store.Claim, bad string) { c.Source = bad })},
		{"PutClaims Ref", claimWith(func(c *store.Claim, bad string) { c.Ref = bad })},
		{"PutClaims Key.Ecosystem", claimWith(func(c *store.Claim, bad string) { c.Key.Ecosystem = bad })},
		{"PutClaims Key.Name", claimWith(func(c *store.Claim, bad string) { c.Key.Name = bad })},
		{"PutClaims Ecosystem", claimWith(func(c *store.Claim, bad string) { c.Ecosystem = bad })},
		{"PutClaims Name", claimWith(func(c *store.Claim, bad string) { c.Name = bad })},
		{"PutClaims PURL", claimWith(func(c *store.Claim, bad string) { c.PURL = bad })},
		{"PutClaims Hint", claimWith(func(c *store.Claim, bad string) { c.Hint = bad })},
		{"PutClaims ID", claimWith(func(c *store.Claim, bad string) { c.ID = bad })},
		{"PutClaims Aliases", claimWith(func(c *store.Claim, bad string) { c.Aliases = []string{"a", bad} })},
		{"PutClaims Origins", claimWith(func(c *store.Claim, bad string) { c.Origins = []string{bad} })},
		{"PutClaims Versions", claimWith(func(c *store.Claim, bad string) { c.Versions = []string{bad} })},
		{"PutClaims Ranges", claimWith(func(c *store.Claim, bad string) {
			c.Ranges = []osv.Range{{Type: "SEMVER", Events: []osv.Event{{Introduced: bad}}}}
		})},
		{"PutClaims Summary", claimWith(func(c *store.Claim, bad string) { c.Summary = bad })},
		{"PutClaims Details", claimWith(func(c *store.Claim, bad string) { c.Details = `\` + bad })},
		{"PutClaims References", claimWith(func(c *store.Claim, bad string) { c.References = []osv.Reference{{URL: bad}} })},
		{"PutClaims Credits", claimWith(func(c *store.Claim, bad string) { c.Credits = []osv.Credit{{Contact: []string{bad}}} })},
		{"PutClaims Campaign", claimWith(func(c *store.Claim, bad string) { c.Campaign = bad })},
		{"PutClaims OriginID", claimWith(func(c *store.Claim, bad string) { c.OriginID = bad })},
		{"PutClaims OriginSHA256", claimWith(func(c *store.Claim, bad string) { c.OriginSHA256 = bad })},
		{"SetClaimStatus source", func(ctx context.Context, tx store.Tx, bad string) error {
			return tx.SetClaimStatus(ctx, bad, []string{"r"}, store.Gone)
		}},
		{"SetClaimStatus refs", func(ctx context.Context, tx store.Tx, bad string) error {
			return tx.SetClaimStatus(ctx, "s", []string{"r", bad}, store.Gone)
		}},
		{"PutRecords ID", recordWith(func(r *store.Record, bad string) { r.ID = bad })},
		{"PutRecords Key.Ecosystem", recordWith(func(r *store.Record, bad string) { r.Key.Ecosystem = bad })},
		{"PutRecords Key.Name", recordWith(func(r *store.Record, bad string) { r.Key.Name = bad })},
		{"PutRecords Campaign", recordWith(func(r *store.Record, bad string) { r.Campaign = bad })},
		{"PutHolds Source", holdWith(func(h *store.Hold, bad string) { h.Source = bad })},
		{"PutHolds Ref", holdWith(func(h *store.Hold, bad string) { h.Ref = bad })},
		{"PutHolds Guard", holdWith(func(h *store.Hold, bad string) { h.Guard = bad })},
		{"PutHolds Key.Ecosystem", holdWith(func(h *store.Hold, bad string) { h.Key.Ecosystem = bad })},
		{"PutHolds Key.Name", holdWith(func(h *store.Hold, bad string) { h.Key.Name = bad })},
		{"PutHolds Reason", holdWith(func(h *store.Hold, bad string) { h.Reason = bad })},
		{"DropHolds Source", dropWith(func(h *store.Hold, bad string) { h.Source = bad })},
		{"DropHolds Ref", dropWith(func(h *store.Hold, bad string) { h.Ref = bad })},
		{"DropHolds Guard", dropWith(func(h *store.Hold, bad string) { h.Guard = bad })},
		{"AddDecision Actor", decide(func(d *store.Decision, bad string) { d.Actor = bad })},
		{"AddDecision Kind", decide(func(d *store.Decision, bad string) { d.Kind = bad })},
		{"AddDecision Key.Ecosystem", decide(func(d *store.Decision, bad string) { d.Key.Ecosystem = bad })},
		{"AddDecision Key.Name", decide(func(d *store.Decision, bad string) { d.Key.Name = bad })},
		{"AddDecision ID", decide(func(d *store.Decision, bad string) { d.ID = bad })},
		{"AddDecision Source", decide(func(d *store.Decision, bad string) { d.Source = bad })},
		{"AddDecision Ref", decide(func(d *store.Decision, bad string) { d.Ref = bad })},
		{"AddDecision Versions", decide(func(d *store.Decision, bad string) { d.Versions = []string{"1", bad} })},
		{"AddDecision Reason", decide(func(d *store.Decision, bad string) { d.Reason = bad })},
		{"PutCampaign Name", func(ctx context.Context, tx store.Tx, bad string) error {
			return tx.PutCampaign(ctx, store.Campaign{Name: bad})
		}},
		{"PutCampaign Summary", func(ctx context.Context, tx store.Tx, bad string) error {
			return tx.PutCampaign(ctx, store.Campaign{Name: "n", Summary: bad})
		}},
		{"PutCampaign References", func(ctx context.Context, tx store.Tx, bad string) error {
			return tx.PutCampaign(ctx, store.Campaign{Name: "n", References: []string{bad}})
		}},
		{"PutCampaign Indicators", func(ctx context.Context, tx store.Tx, bad string) error {
			return tx.PutCampaign(ctx, store.Campaign{Name: "n", Indicators: []string{"a", bad}})
		}},
		{"PutInput Kind", func(ctx context.Context, tx store.Tx, bad string) error {
			return tx.PutInput(ctx, store.Input{Kind: bad, Name: "n"})
		}},
		{"PutInput Name", func(ctx context.Context, tx store.Tx, bad string) error {
			return tx.PutInput(ctx, store.Input{Kind: "k", Name: bad})
		}},
		{"AddQuarantine Source", func(ctx context.Context, tx store.Tx, bad string) error {
			return tx.AddQuarantine(ctx, []store.Quarantined{{Source: bad}})
		}},
		{"AddQuarantine Name", func(ctx context.Context, tx store.Tx, bad string) error {
			return tx.AddQuarantine(ctx, []store.Quarantined{{Name: "good"}, {Name: bad}})
		}},
		{"AddQuarantine Reason", func(ctx context.Context, tx store.Tx, bad string) error {
			return tx.AddQuarantine(ctx, []store.Quarantined{{Reason: bad}})
		}},
		{"AddAudit Actor", func(ctx context.Context, tx store.Tx, bad string) error {
			return tx.AddAudit(ctx, store.AuditEntry{Actor: bad})
		}},
		{"AddAudit Action", func(ctx context.Context, tx store.Tx, bad string) error {
			return tx.AddAudit(ctx, store.AuditEntry{Action: bad})
		}},
		{"AddAudit Detail", func(ctx context.Context, tx store.Tx, bad string) error {
			return tx.AddAudit(ctx, store.AuditEntry{Detail: bad})
		}},
	} {
		for _, bad := range badStrings {
			err := t.s.Update(t.Context(), func(tx store.Tx) error {
				if err := tx.SetSetting(t.Context(), "before", c.name); err != nil {
					return err
				}
				return c.do(t.Context(), tx, bad)
			})
			if !errors.Is(err, store.ErrText) {
				t.Errorf("%s %q: %v, want ErrText", c.name, bad, err)
			}
		}
	}
	t.view(func(ctx context.Context, r store.Reader) error {
		e, err := readAll(ctx, r, 0)
		e.check(t, "after refused writes", 0)
		if v, err := r.Setting(ctx, "before"); v != "" || err != nil {
			t.Errorf("a refused update left %q, %v", v, err)
		}
		return err
	})
}

// badTextRead: the engines refuse the same strings when they are asked for.
func (t *suite) badTextRead() {
	for _, c := range []struct {
		name string
		do   func(ctx context.Context, r store.Reader, bad string) error
	}{
		{"Setting", func(ctx context.Context, r store.Reader, bad string) error {
			_, err := r.Setting(ctx, bad)
			return err
		}},
		{"Document", func(ctx context.Context, r store.Reader, bad string) error {
			_, _, err := r.Document(ctx, bad, store.Digest{})
			return err
		}},
		{"Stamps", func(ctx context.Context, r store.Reader, bad string) error {
			_, err := collect(r.Stamps(ctx, bad))
			return err
		}},
		{"Claims", func(ctx context.Context, r store.Reader, bad string) error {
			_, err := r.Claims(ctx, []rapsheet.Key{npm("a"), npm(bad)})
			return err
		}},
		{"Claims of an ecosystem", func(ctx context.Context, r store.Reader, bad string) error {
			_, err := r.Claims(ctx, []rapsheet.Key{{Ecosystem: bad, Name: "a"}})
			return err
		}},
		{"RecordsOf", func(ctx context.Context, r store.Reader, bad string) error {
			_, err := r.RecordsOf(ctx, []rapsheet.Key{npm(bad)})
			return err
		}},
		{"RecordsByID", func(ctx context.Context, r store.Reader, bad string) error {
			_, err := r.RecordsByID(ctx, []string{"a", bad})
			return err
		}},
		{"HoldsOf", func(ctx context.Context, r store.Reader, bad string) error {
			_, err := r.HoldsOf(ctx, []rapsheet.Key{npm(bad)})
			return err
		}},
		{"Decisions", func(ctx context.Context, r store.Reader, bad string) error {
			_, err := r.Decisions(ctx, []rapsheet.Key{npm(bad)})
			return err
		}},
		{"Members", func(ctx context.Context, r store.Reader, bad string) error {
			_, err := collect(r.Members(ctx, bad))
			return err
		}},
		{"Input kind", func(ctx context.Context, r store.Reader, bad string) error {
			_, _, err := r.Input(ctx, bad, "n")
			return err
		}},
		{"Input name", func(ctx context.Context, r store.Reader, bad string) error {
			_, _, err := r.Input(ctx, "k", bad)
			return err
		}},
	} {
		for _, bad := range badStrings {
			err := t.s.View(t.Context(), func(r store.Reader) error { return c.do(t.Context(), r, bad) })
			if !errors.Is(err, store.ErrText) {
				t.Errorf("%s %q: %v, want ErrText", c.name, bad, err)
			}
		}
	}
}
