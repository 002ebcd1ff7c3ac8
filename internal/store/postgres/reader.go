package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/store"
)

// page is how many rows a sequence asks for at once. Rows are handed on as they arrive, so
// it bounds not memory but what a sequence that is left early still has to receive, and how
// long the server waits within one statement for a slow reader.
const page = 1000

// reader reads in a transaction.
type reader struct {
	t pgx.Tx
}

var _ store.Reader = (*reader)(nil)

// collect runs a query and scans all rows.
func collect[T any](ctx context.Context, t pgx.Tx, what string, scan func(pgx.Rows, *T) error, sql string, args ...any) ([]T, error) {
	var out []T
	rows, err := t.Query(ctx, sql, args...)
	if err == nil {
		for rows.Next() && err == nil {
			var v T
			if err = scan(rows, &v); err == nil {
				out = append(out, v)
			}
		}
		rows.Close()
		err = errors.Join(err, rows.Err())
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, translate(err))
	}
	return out, nil
}

// stream yields the rows of a query in pages. The query takes args, the least key that a
// page may start with and the size of a page; its rows are ordered by that key, which key
// gives.
func stream[T any](ctx context.Context, t pgx.Tx, what string, scan func(pgx.Rows, *T) error, key func(*T) string, sql string, args ...any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		from := ""
		for {
			rows, err := t.Query(ctx, sql, append(slices.Clone(args), from, page)...)
			n := 0
			for err == nil && rows.Next() {
				var v T
				if err = scan(rows, &v); err != nil {
					break
				}
				n++
				// What follows a string at once, where there is no NUL.
				from = key(&v) + "\x01"
				if !yield(v, nil) {
					rows.Close()
					return
				}
			}
			if rows != nil {
				rows.Close()
				err = errors.Join(err, rows.Err())
			}
			if err != nil {
				var none T
				yield(none, fmt.Errorf("read %s: %w", what, translate(err)))
				return
			}
			if n < page {
				return
			}
		}
	}
}

// failed is a sequence that is only an error.
func failed[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		yield(none, err)
	}
}

// one runs a query of at most one row; ok is false when there is none.
func one(ctx context.Context, t pgx.Tx, what, sql string, args []any, dest ...any) (ok bool, err error) {
	err = t.QueryRow(ctx, sql, args...).Scan(dest...)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", what, translate(err))
	}
	return true, nil
}

func (r *reader) Setting(ctx context.Context, name string) (string, error) {
	if err := store.CheckText("setting", name); err != nil {
		return "", err
	}
	var value string
	_, err := one(ctx, r.t, "setting", `SELECT value FROM settings WHERE name = $1`, []any{name}, &value)
	return value, err
}

func (r *reader) Sources(ctx context.Context) ([]store.Source, error) {
	return collect(ctx, r.t, "sources", func(rows pgx.Rows, s *store.Source) error {
		return rows.Scan(&s.Name, &s.Kind, &s.Complete, &s.Cursor, (*digest)(&s.Digest), &s.Imported, &s.Claims)
	}, `
		SELECT s.name, s.kind, s.complete, s.cursor, s.digest, s.imported, coalesce(c.n, 0)
		FROM sources s
		LEFT JOIN (SELECT source, count(*) AS n FROM claims WHERE status NOT IN ($1, $2) GROUP BY source) c ON c.source = s.name
		ORDER BY s.name`, int16(store.Gone), int16(store.Dropped))
}

func (r *reader) Document(ctx context.Context, source string, d store.Digest) (store.Document, bool, error) {
	doc := store.Document{Source: source, Digest: d}
	if err := store.CheckText("source", source); err != nil {
		return store.Document{}, false, err
	}
	ok, err := one(ctx, r.t, "document",
		`SELECT name, data, received FROM documents WHERE source = $1 AND digest = $2`,
		[]any{source, d[:]}, &doc.Name, &doc.Data, &doc.Received)
	if !ok {
		return store.Document{}, false, err
	}
	return doc, true, nil
}

func (r *reader) Stamps(ctx context.Context, source string) iter.Seq2[store.Stamp, error] {
	if err := store.CheckText("source", source); err != nil {
		return failed[store.Stamp](err)
	}
	return stream(ctx, r.t, "claims", func(rows pgx.Rows, s *store.Stamp) error {
		return rows.Scan(&s.Ref, &s.Key.Ecosystem, &s.Key.Name, (*digest)(&s.Document), (*digest)(&s.Digest), &s.Status)
	}, func(s *store.Stamp) string { return s.Ref }, `
		SELECT ref, ecosystem, name, document, digest, status FROM claims
		WHERE source = $1 AND ref >= $2 ORDER BY ref LIMIT $3`, source)
}

func (r *reader) Claims(ctx context.Context, keys []rapsheet.Key) ([]store.Claim, error) {
	ecosystems, names, err := keyColumns(keys)
	if err != nil {
		return nil, err
	}
	var statement []byte
	return collect(ctx, r.t, "claims", func(rows pgx.Rows, c *store.Claim) error {
		err := rows.Scan(&c.Source, &c.Ref, &c.Key.Ecosystem, &c.Key.Name, (*digest)(&c.Document),
			(*digest)(&c.Digest), &c.Status, &c.Seen, &statement)
		if err != nil {
			return err
		}
		if err := c.Claim.Unmarshal(statement); err != nil {
			return fmt.Errorf("%.80q of %.80q: %w", c.Ref, c.Source, err)
		}
		return nil
	}, `
		SELECT c.source, c.ref, c.ecosystem, c.name, c.document, c.digest, c.status, c.seen, c.statement
		FROM unnest($1::text[], $2::text[]) AS k (ecosystem, name)
		JOIN claims c ON c.ecosystem = k.ecosystem AND c.name = k.name
		ORDER BY c.ecosystem, c.name, c.source, c.ref`, ecosystems, names)
}

const recordColumns = `r.id, r.ecosystem, r.name, r.state, r.campaign, r.published, r.modified, r.json`

func scanRecord(rows pgx.Rows, r *store.Record) error {
	return rows.Scan(&r.ID, &r.Key.Ecosystem, &r.Key.Name, &r.State, &r.Campaign, &r.Published, &r.Modified, &r.JSON)
}

func recordID(r *store.Record) string { return r.ID }

func (r *reader) Records(ctx context.Context) iter.Seq2[store.Record, error] {
	return stream(ctx, r.t, "records", scanRecord, recordID,
		`SELECT `+recordColumns+` FROM records r WHERE r.id >= $1 ORDER BY r.id LIMIT $2`)
}

func (r *reader) RecordsOf(ctx context.Context, keys []rapsheet.Key) ([]store.Record, error) {
	ecosystems, names, err := keyColumns(keys)
	if err != nil {
		return nil, err
	}
	return collect(ctx, r.t, "records", scanRecord, `
		SELECT `+recordColumns+`
		FROM unnest($1::text[], $2::text[]) AS k (ecosystem, name)
		JOIN records r ON r.ecosystem = k.ecosystem AND r.name = k.name
		ORDER BY r.ecosystem, r.name, r.id`, ecosystems, names)
}

func (r *reader) RecordsByID(ctx context.Context, ids []string) ([]store.Record, error) {
	if err := store.CheckText("id", ids...); err != nil {
		return nil, err
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(ids)))
	return collect(ctx, r.t, "records", scanRecord, `
		SELECT `+recordColumns+`
		FROM unnest($1::text[]) AS k (id) JOIN records r ON r.id = k.id
		ORDER BY r.id`, append([]string{}, distinct...))
}

func (r *reader) CountRecords(ctx context.Context) (map[store.State]int, error) {
	type count struct {
		state store.State
		n     int
	}
	counts, err := collect(ctx, r.t, "records", func(rows pgx.Rows, c *count) error {
		return rows.Scan(&c.state, &c.n)
	}, `SELECT state, count(*) FROM records GROUP BY state`)
	if err != nil {
		return nil, err
	}
	out := make(map[store.State]int, len(counts))
	for _, c := range counts {
		out[c.state] = c.n
	}
	return out, nil
}

const (
	holdColumns = `h.source, h.ref, h.guard, h.ecosystem, h.name, h.digest, h.reason, h.raised, h.state, h.decision`
	holdOrder   = ` ORDER BY h.ecosystem, h.name, h.source, h.ref, h.guard`
)

func scanHold(rows pgx.Rows, h *store.Hold) error {
	return rows.Scan(&h.Source, &h.Ref, &h.Guard, &h.Key.Ecosystem, &h.Key.Name, (*digest)(&h.Digest),
		&h.Reason, &h.Raised, &h.State, &h.Decision)
}

func (r *reader) Holds(ctx context.Context, state store.HoldState) ([]store.Hold, error) {
	return collect(ctx, r.t, "holds", scanHold,
		`SELECT `+holdColumns+` FROM holds h WHERE h.state = $1`+holdOrder, int(state))
}

func (r *reader) HoldsOf(ctx context.Context, keys []rapsheet.Key) ([]store.Hold, error) {
	ecosystems, names, err := keyColumns(keys)
	if err != nil {
		return nil, err
	}
	return collect(ctx, r.t, "holds", scanHold, `
		SELECT `+holdColumns+`
		FROM unnest($1::text[], $2::text[]) AS k (ecosystem, name)
		JOIN holds h ON h.ecosystem = k.ecosystem AND h.name = k.name`+holdOrder, ecosystems, names)
}

func (r *reader) Decisions(ctx context.Context, keys []rapsheet.Key) ([]store.Decision, error) {
	ecosystems, names, err := keyColumns(keys)
	if err != nil {
		return nil, err
	}
	return collect(ctx, r.t, "decisions", func(rows pgx.Rows, d *store.Decision) error {
		err := rows.Scan(&d.Seq, &d.Time, &d.Actor, &d.Kind, &d.Key.Ecosystem, &d.Key.Name,
			&d.ID, &d.Source, &d.Ref, &d.Versions, &d.Reason)
		d.Versions = noEmpty(d.Versions)
		return err
	}, `
		SELECT d.seq, d.time, d.actor, d.kind, d.ecosystem, d.name, d.id, d.source, d.ref, d.versions, d.reason
		FROM unnest($1::text[], $2::text[]) AS k (ecosystem, name)
		JOIN decisions d ON d.ecosystem = k.ecosystem AND d.name = k.name
		ORDER BY d.seq`, ecosystems, names)
}

func (r *reader) Campaigns(ctx context.Context) ([]store.Campaign, error) {
	return collect(ctx, r.t, "campaigns", func(rows pgx.Rows, c *store.Campaign) error {
		err := rows.Scan(&c.Name, &c.Started, &c.Ended, &c.Summary, &c.References, &c.Indicators, &c.Members)
		c.References, c.Indicators = noEmpty(c.References), noEmpty(c.Indicators)
		return err
	}, `
		SELECT c.name, c.started, c.ended, c.summary, c.refs, c.indicators,
		       (SELECT count(*) FROM records r WHERE r.campaign = c.name AND r.campaign <> '')
		FROM campaigns c ORDER BY c.name`)
}

func (r *reader) Members(ctx context.Context, campaign string) iter.Seq2[store.Record, error] {
	if err := store.CheckText("campaign", campaign); err != nil {
		return failed[store.Record](err)
	}
	// The second condition on campaign lets the index be used, which has no records without one.
	return stream(ctx, r.t, "members of a campaign", scanRecord, recordID, `
		SELECT `+recordColumns+` FROM records r
		WHERE r.campaign = $1 AND r.campaign <> '' AND r.id >= $2 ORDER BY r.id LIMIT $3`, campaign)
}

func (r *reader) Inputs(ctx context.Context) ([]store.Input, error) {
	return collect(ctx, r.t, "inputs", func(rows pgx.Rows, in *store.Input) error {
		return rows.Scan(&in.Kind, &in.Name, &in.Added)
	}, `SELECT kind, name, added FROM inputs ORDER BY kind, name`)
}

func (r *reader) Input(ctx context.Context, kind, name string) (store.Input, bool, error) {
	in := store.Input{Kind: kind, Name: name}
	if err := store.CheckText("input", kind, name); err != nil {
		return store.Input{}, false, err
	}
	ok, err := one(ctx, r.t, "input", `SELECT data, added FROM inputs WHERE kind = $1 AND name = $2`,
		[]any{kind, name}, &in.Data, &in.Added)
	if !ok {
		return store.Input{}, false, err
	}
	return in, true, nil
}

func (r *reader) Quarantine(ctx context.Context, limit int) ([]store.Quarantined, error) {
	return collect(ctx, r.t, "quarantine", func(rows pgx.Rows, q *store.Quarantined) error {
		return rows.Scan(&q.Source, &q.Name, (*digest)(&q.Digest), &q.Reason, &q.Data, &q.Time)
	}, `SELECT source, name, digest, reason, data, time FROM quarantine ORDER BY time DESC, seq DESC LIMIT $1`, max(limit, 0))
}

func (r *reader) CountQuarantine(ctx context.Context) (int, error) {
	var n int
	_, err := one(ctx, r.t, "quarantine", `SELECT count(*) FROM quarantine`, nil, &n)
	return n, err
}

func (r *reader) Releases(ctx context.Context, limit int) ([]store.Release, error) {
	return collect(ctx, r.t, "releases", func(rows pgx.Rows, l *store.Release) error {
		return rows.Scan(&l.Sequence, &l.Time, (*digest)(&l.Digest), &l.Records, &l.Disputed, &l.Withdrawn)
	}, `SELECT sequence, time, digest, records, disputed, withdrawn FROM releases ORDER BY sequence DESC LIMIT $1`, max(limit, 0))
}

func (r *reader) Audit(ctx context.Context, limit int) ([]store.AuditEntry, error) {
	return collect(ctx, r.t, "audit log", func(rows pgx.Rows, e *store.AuditEntry) error {
		return rows.Scan(&e.Time, &e.Actor, &e.Action, &e.Detail)
	}, `SELECT time, actor, action, detail FROM audit ORDER BY seq DESC LIMIT $1`, max(limit, 0))
}

// noEmpty makes no difference between no entries and none given: an array has none either.
func noEmpty(l []string) []string {
	if len(l) == 0 {
		return nil
	}
	return l
}
