package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/store"
)

// reader reads within one transaction, on its connection.
type reader struct {
	s    *Store
	conn *sql.Conn
	// failed is the first statement that failed. SQLite may have ended the transaction
	// with it; whatever ran after that would be a transaction of its own.
	failed error
}

// Columns that scanRecord and scanHold read, of tables named r and h.
const (
	recordColumns = "r.id, r.ecosystem, r.name, r.state, r.campaign, r.published, r.modified, r.json"
	holdColumns   = "h.source, h.ref, h.guard, h.ecosystem, h.name, h.digest, h.reason, h.raised, h.state, h.decision"
)

// Queries over large tables, which must use their indices; those of the form "by key" are
// described at [byKey].
const (
	allSources = `SELECT name, kind, complete, cursor, digest, imported,
		(SELECT count(*) FROM claims WHERE source = s.name) - (SELECT count(*) FROM claims WHERE source = s.name AND status IN (4, 5))
		FROM sources AS s ORDER BY name`
	stampsOf = "SELECT ref, ecosystem, name, document, digest, status FROM claims WHERE source = ? ORDER BY ref"
	claimsOf = `SELECT c.source, c.ref, c.ecosystem, c.name, c.status, c.seen, c.document, c.digest, c.statement
		FROM json_each(?2) AS k CROSS JOIN claims AS c ON c.ecosystem = ?1 AND c.name = k.value`
	allRecords  = "SELECT " + recordColumns + " FROM records AS r ORDER BY id"
	recordsOf   = "SELECT " + recordColumns + " FROM json_each(?2) AS k CROSS JOIN records AS r ON r.ecosystem = ?1 AND r.name = k.value"
	recordsByID = "SELECT " + recordColumns + " FROM json_each(?) AS k CROSS JOIN records AS r ON r.id = k.value"
	countStates = "SELECT state, count(*) FROM records GROUP BY state"
	holdsOf     = "SELECT " + holdColumns + " FROM json_each(?2) AS k CROSS JOIN holds AS h ON h.ecosystem = ?1 AND h.name = k.value"
	decisionsOf = `SELECT d.seq, d.time, d.actor, d.kind, d.ecosystem, d.name, d.id, d.source, d.ref, d.versions, d.reason
		FROM json_each(?2) AS k CROSS JOIN decisions AS d ON d.ecosystem = ?1 AND d.name = k.value`
	allCampaigns = `SELECT name, started, ended, summary, reference_urls, indicators,
		(SELECT count(*) FROM records AS r WHERE r.campaign = c.name AND r.campaign <> '')
		FROM campaigns AS c ORDER BY name`
	membersOf        = "SELECT " + recordColumns + " FROM records AS r WHERE r.campaign = ? AND r.campaign <> '' ORDER BY r.id"
	newestQuarantine = "SELECT source, name, digest, reason, time, data FROM quarantine ORDER BY time DESC, rowid DESC LIMIT ?"
)

// lookups is how many names go into one statement as a JSON array.
const lookups = 10_000

func (r *reader) fail(ctx context.Context, what string, err error) error {
	if r.failed == nil {
		r.failed = r.s.fail(ctx, what, err)
	}
	return r.failed
}

func (r *reader) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if r.failed != nil {
		return nil, r.failed
	}
	return r.conn.QueryContext(ctx, query, args...)
}

// rows yields what scan makes of each row.
func rows[V any](ctx context.Context, r *reader, what string, scan func(*sql.Rows) (V, error), query string, args ...any) iter.Seq2[V, error] {
	return func(yield func(V, error) bool) {
		var zero V
		rs, err := r.query(ctx, query, args...)
		if err != nil {
			yield(zero, r.fail(ctx, what, err))
			return
		}
		defer rs.Close()
		for rs.Next() {
			v, err := scan(rs)
			if err != nil {
				yield(zero, r.fail(ctx, what, err))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
		if err := rs.Err(); err != nil {
			yield(zero, r.fail(ctx, what, err))
		}
	}
}

// refused is a sequence of nothing but an error.
func refused[V any](err error) iter.Seq2[V, error] {
	return func(yield func(V, error) bool) {
		var zero V
		yield(zero, err)
	}
}

// list gathers a sequence behind what there is already.
func list[V any](all []V, seq iter.Seq2[V, error]) ([]V, error) {
	for v, err := range seq {
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// one gives the only row, or ok false.
func one[V any](seq iter.Seq2[V, error]) (v V, ok bool, err error) {
	for v, err := range seq {
		return v, err == nil, err
	}
	return v, false, nil
}

// byKey gathers the rows about the packages. query compares with ?1, an ecosystem, and ?2, a
// JSON array of names; CROSS JOIN in it keeps SQLite from turning the look-ups into a
// scan (https://www.sqlite.org/lang_select.html#crossjoin).
func byKey[V any](ctx context.Context, r *reader, what string, scan func(*sql.Rows) (V, error), query string, keys []rapsheet.Key) ([]V, error) {
	keys, err := store.DistinctKeys(keys)
	if err != nil {
		return nil, err
	}
	var all []V
	for len(keys) > 0 {
		n := 1
		for n < len(keys) && n < lookups && keys[n].Ecosystem == keys[0].Ecosystem {
			n++
		}
		names := make([]string, n)
		for i, k := range keys[:n] {
			names[i] = k.Name
		}
		if all, err = list(all, rows(ctx, r, what, scan, query, keys[0].Ecosystem, array(names))); err != nil {
			return nil, err
		}
		keys = keys[n:]
	}
	return all, nil
}

// array is strings as a JSON array. They are UTF-8, so that it cannot fail.
func array(strs []string) string {
	b := []byte{'['}
	for i, s := range strs {
		if i > 0 {
			b = append(b, ',')
		}
		b, _ = jsontext.AppendQuote(b, s)
	}
	return string(append(b, ']'))
}

// moment and micros are the two ways between a time and its column. Unix time has room
// for the zero time, which needs no special value.
func moment(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
func micros(t time.Time) int64      { return t.UnixMicro() }

// digestInto scans a digest.
type digestInto struct{ d *store.Digest }

// Scan takes the 32 bytes of a digest.
func (d digestInto) Scan(v any) error {
	b, ok := v.([]byte)
	if !ok || len(b) != len(d.d) {
		return fmt.Errorf("stored digest of %d bytes", len(b))
	}
	copy(d.d[:], b)
	return nil
}

// timeInto scans a time.
type timeInto struct{ t *time.Time }

// Scan takes microseconds.
func (t timeInto) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("stored time is %T", v)
	}
	*t.t = moment(n)
	return nil
}

// listInto scans a list of strings.
type listInto struct{ l *[]string }

// Scan takes a JSON array.
func (l listInto) Scan(v any) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("stored list is %T", v)
	}
	if s == "[]" {
		return nil
	}
	if err := json.Unmarshal([]byte(s), l.l); err != nil {
		return fmt.Errorf("stored list: %w", err)
	}
	return nil
}

func (r *reader) Setting(ctx context.Context, name string) (string, error) {
	if err := store.CheckText("setting", name); err != nil {
		return "", err
	}
	v, _, err := one(rows(ctx, r, "read setting from", func(rs *sql.Rows) (v string, err error) {
		return v, rs.Scan(&v)
	}, "SELECT value FROM settings WHERE name = ?", name))
	return v, err
}

func (r *reader) Sources(ctx context.Context) ([]store.Source, error) {
	return list(nil, rows(ctx, r, "read sources from", func(rs *sql.Rows) (s store.Source, err error) {
		return s, rs.Scan(&s.Name, &s.Kind, &s.Complete, &s.Cursor, digestInto{&s.Digest}, timeInto{&s.Imported}, &s.Claims)
	}, allSources))
}

func (r *reader) Document(ctx context.Context, source string, digest store.Digest) (store.Document, bool, error) {
	if err := store.CheckText("document", source); err != nil {
		return store.Document{}, false, err
	}
	return one(rows(ctx, r, "read document from", func(rs *sql.Rows) (store.Document, error) {
		d := store.Document{Source: source, Digest: digest}
		return d, rs.Scan(&d.Name, timeInto{&d.Received}, &d.Data)
	}, "SELECT name, received, data FROM documents WHERE source = ? AND digest = ?", source, digest[:]))
}

func (r *reader) Stamps(ctx context.Context, source string) iter.Seq2[store.Stamp, error] {
	if err := store.CheckText("stamps", source); err != nil {
		return refused[store.Stamp](err)
	}
	return rows(ctx, r, "read claims from", func(rs *sql.Rows) (s store.Stamp, err error) {
		return s, rs.Scan(&s.Ref, &s.Key.Ecosystem, &s.Key.Name, digestInto{&s.Document}, digestInto{&s.Digest}, &s.Status)
	}, stampsOf, source)
}

func (r *reader) Claims(ctx context.Context, keys []rapsheet.Key) ([]store.Claim, error) {
	var raw sql.RawBytes
	claims, err := byKey(ctx, r, "read claims from", func(rs *sql.Rows) (c store.Claim, err error) {
		if err := rs.Scan(&c.Source, &c.Ref, &c.Key.Ecosystem, &c.Key.Name, &c.Status, timeInto{&c.Seen}, digestInto{&c.Document}, digestInto{&c.Digest}, &raw); err != nil {
			return c, err
		}
		return c, c.Unmarshal(raw)
	}, claimsOf, keys)
	slices.SortFunc(claims, func(a, b store.Claim) int {
		return cmp.Or(store.CompareKeys(a.Key, b.Key), strings.Compare(a.Source, b.Source), strings.Compare(a.Ref, b.Ref))
	})
	return claims, err
}

func scanRecord(rs *sql.Rows) (r store.Record, err error) {
	return r, rs.Scan(&r.ID, &r.Key.Ecosystem, &r.Key.Name, &r.State, &r.Campaign, timeInto{&r.Published}, timeInto{&r.Modified}, &r.JSON)
}

func (r *reader) Records(ctx context.Context) iter.Seq2[store.Record, error] {
	return rows(ctx, r, "read records from", scanRecord, allRecords)
}

func (r *reader) RecordsOf(ctx context.Context, keys []rapsheet.Key) ([]store.Record, error) {
	records, err := byKey(ctx, r, "read records from", scanRecord, recordsOf, keys)
	slices.SortFunc(records, func(a, b store.Record) int {
		return cmp.Or(store.CompareKeys(a.Key, b.Key), strings.Compare(a.ID, b.ID))
	})
	return records, err
}

func (r *reader) RecordsByID(ctx context.Context, ids []string) ([]store.Record, error) {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if err := store.CheckText("record id", ids...); err != nil {
		return nil, err
	}
	var all []store.Record
	for chunk := range slices.Chunk(ids, lookups) {
		var err error
		if all, err = list(all, rows(ctx, r, "read records from", scanRecord, recordsByID, array(chunk))); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b store.Record) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

func (r *reader) CountRecords(ctx context.Context) (map[store.State]int, error) {
	counts := map[store.State]int{}
	type count struct {
		state store.State
		n     int
	}
	for c, err := range rows(ctx, r, "count records of", func(rs *sql.Rows) (c count, err error) {
		return c, rs.Scan(&c.state, &c.n)
	}, countStates) {
		if err != nil {
			return nil, err
		}
		counts[c.state] = c.n
	}
	return counts, nil
}

func scanHold(rs *sql.Rows) (h store.Hold, err error) {
	return h, rs.Scan(&h.Source, &h.Ref, &h.Guard, &h.Key.Ecosystem, &h.Key.Name, digestInto{&h.Digest}, &h.Reason, timeInto{&h.Raised}, &h.State, &h.Decision)
}

func (r *reader) Holds(ctx context.Context, state store.HoldState) ([]store.Hold, error) {
	return list(nil, rows(ctx, r, "read holds from", scanHold,
		"SELECT "+holdColumns+" FROM holds AS h WHERE h.state = ? ORDER BY h.ecosystem, h.name, h.source, h.ref, h.guard", int64(state)))
}

func (r *reader) HoldsOf(ctx context.Context, keys []rapsheet.Key) ([]store.Hold, error) {
	holds, err := byKey(ctx, r, "read holds from", scanHold, holdsOf, keys)
	slices.SortFunc(holds, func(a, b store.Hold) int {
		return cmp.Or(store.CompareKeys(a.Key, b.Key), strings.Compare(a.Source, b.Source), strings.Compare(a.Ref, b.Ref), strings.Compare(a.Guard, b.Guard))
	})
	return holds, err
}

func (r *reader) Decisions(ctx context.Context, keys []rapsheet.Key) ([]store.Decision, error) {
	decisions, err := byKey(ctx, r, "read decisions from", func(rs *sql.Rows) (d store.Decision, err error) {
		return d, rs.Scan(&d.Seq, timeInto{&d.Time}, &d.Actor, &d.Kind, &d.Key.Ecosystem, &d.Key.Name, &d.ID, &d.Source, &d.Ref, listInto{&d.Versions}, &d.Reason)
	}, decisionsOf, keys)
	slices.SortFunc(decisions, func(a, b store.Decision) int { return cmp.Compare(a.Seq, b.Seq) })
	return decisions, err
}

func (r *reader) Campaigns(ctx context.Context) ([]store.Campaign, error) {
	return list(nil, rows(ctx, r, "read campaigns from", func(rs *sql.Rows) (c store.Campaign, err error) {
		return c, rs.Scan(&c.Name, timeInto{&c.Started}, timeInto{&c.Ended}, &c.Summary, listInto{&c.References}, listInto{&c.Indicators}, &c.Members)
	}, allCampaigns))
}

func (r *reader) Members(ctx context.Context, campaign string) iter.Seq2[store.Record, error] {
	if err := store.CheckText("campaign", campaign); err != nil {
		return refused[store.Record](err)
	}
	return rows(ctx, r, "read records from", scanRecord, membersOf, campaign)
}

func (r *reader) Inputs(ctx context.Context) ([]store.Input, error) {
	return list(nil, rows(ctx, r, "read inputs from", func(rs *sql.Rows) (in store.Input, err error) {
		return in, rs.Scan(&in.Kind, &in.Name, timeInto{&in.Added})
	}, "SELECT kind, name, added FROM inputs ORDER BY kind, name"))
}

func (r *reader) Input(ctx context.Context, kind, name string) (store.Input, bool, error) {
	if err := store.CheckText("input", kind, name); err != nil {
		return store.Input{}, false, err
	}
	return one(rows(ctx, r, "read input from", func(rs *sql.Rows) (store.Input, error) {
		in := store.Input{Kind: kind, Name: name}
		return in, rs.Scan(timeInto{&in.Added}, &in.Data)
	}, "SELECT added, data FROM inputs WHERE kind = ? AND name = ?", kind, name))
}

func (r *reader) Quarantine(ctx context.Context, limit int) ([]store.Quarantined, error) {
	return list(nil, rows(ctx, r, "read quarantine from", func(rs *sql.Rows) (q store.Quarantined, err error) {
		return q, rs.Scan(&q.Source, &q.Name, digestInto{&q.Digest}, &q.Reason, timeInto{&q.Time}, &q.Data)
	}, newestQuarantine, atMost(limit)))
}

func (r *reader) CountQuarantine(ctx context.Context) (int, error) {
	n, _, err := one(rows(ctx, r, "count quarantine of", func(rs *sql.Rows) (n int, err error) {
		return n, rs.Scan(&n)
	}, "SELECT count(*) FROM quarantine"))
	return n, err
}

func (r *reader) Releases(ctx context.Context, limit int) ([]store.Release, error) {
	return list(nil, rows(ctx, r, "read releases from", func(rs *sql.Rows) (l store.Release, err error) {
		return l, rs.Scan(&l.Sequence, timeInto{&l.Time}, digestInto{&l.Digest}, &l.Records, &l.Disputed, &l.Withdrawn)
	}, "SELECT sequence, time, digest, records, disputed, withdrawn FROM releases ORDER BY sequence DESC LIMIT ?", atMost(limit)))
}

func (r *reader) Audit(ctx context.Context, limit int) ([]store.AuditEntry, error) {
	return list(nil, rows(ctx, r, "read audit log of", func(rs *sql.Rows) (e store.AuditEntry, err error) {
		return e, rs.Scan(timeInto{&e.Time}, &e.Actor, &e.Action, &e.Detail)
	}, "SELECT time, actor, action, detail FROM audit ORDER BY seq DESC LIMIT ?", atMost(limit)))
}

// atMost is a LIMIT; SQLite takes a negative one for none.
func atMost(limit int) int64 { return int64(max(limit, 0)) }
