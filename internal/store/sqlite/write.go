package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet/internal/store"
)

// tx reads and writes within an Update.
type tx struct {
	reader
	stmts map[string]*sql.Stmt
}

// perInsert is how many rows one INSERT takes. With 20, 50 or 200 BenchmarkStore/WorstDay costs the
// same processor time within its noise; SQLite's limit is 32,766 parameters
// (https://www.sqlite.org/limits.html#max_variable_number).
const perInsert = 50

// close ends the prepared statements; the connection lives on.
func (t *tx) close() {
	for _, s := range t.stmts {
		// The error repeats that of the statement's last run.
		_ = s.Close()
	}
}

// exec runs a statement, prepared once in an Update.
func (t *tx) exec(ctx context.Context, what, query string, args ...any) (sql.Result, error) {
	if t.failed != nil {
		return nil, t.failed
	}
	stmt, ok := t.stmts[query]
	if !ok {
		var err error
		if stmt, err = t.conn.PrepareContext(ctx, query); err != nil {
			return nil, t.fail(ctx, what, err)
		}
		t.stmts[query] = stmt
	}
	res, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return nil, t.fail(ctx, what, err)
	}
	return res, nil
}

// insert is an INSERT of many rows: head, a row of parameters for each, tail.
type insert struct {
	what, head, tail string
	columns          int
}

// run inserts n rows; row appends the values of the i-th. Rows come in the order of the index
// that they are unique in, so that neighbours share pages; those with one name keep their
// order, which decides who wins.
func (in insert) run(ctx context.Context, t *tx, n int, row func(args []any, i int) []any) error {
	args := make([]any, 0, perInsert*in.columns)
	for from := 0; from < n; from += perInsert {
		to := min(from+perInsert, n)
		args = args[:0]
		for i := from; i < to; i++ {
			args = row(args, i)
		}
		if _, err := t.exec(ctx, in.what, in.query(to-from), args...); err != nil {
			return err
		}
	}
	return nil
}

func (in insert) query(n int) string {
	row := "(?" + strings.Repeat(",?", in.columns-1) + ")"
	return in.head + row + strings.Repeat(","+row, n-1) + in.tail
}

// ordered gives the indices of n rows in the order of less, equal ones as they came.
func ordered(n int, compare func(i, j int) int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, compare)
	return order
}

// data is b as a BLOB; a nil slice would be NULL.
func data(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// checkedArray is strings that nobody has checked yet as a JSON array.
func checkedArray(what string, strs []string) (string, error) {
	if err := store.CheckText(what, strs...); err != nil {
		return "", err
	}
	return array(strs), nil
}

func (t *tx) SetSetting(ctx context.Context, name, value string) error {
	if err := store.CheckText("setting", name, value); err != nil {
		return err
	}
	_, err := t.exec(ctx, "write setting to", "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
	return err
}

func (t *tx) PutSource(ctx context.Context, s store.Source) error {
	if err := store.CheckText("source", s.Name, s.Kind, s.Cursor); err != nil {
		return err
	}
	_, err := t.exec(ctx, "write source to", `INSERT INTO sources (name, kind, complete, cursor, digest, imported) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, complete = excluded.complete, cursor = excluded.cursor,
		digest = excluded.digest, imported = excluded.imported`, s.Name, s.Kind, s.Complete, s.Cursor, s.Digest[:], micros(s.Imported))
	return err
}

func (t *tx) PutDocuments(ctx context.Context, docs []store.Document) error {
	for i := range docs {
		if err := store.CheckText("document", docs[i].Source, docs[i].Name); err != nil {
			return err
		}
	}
	order := ordered(len(docs), func(i, j int) int {
		if c := strings.Compare(docs[i].Source, docs[j].Source); c != 0 {
			return c
		}
		return bytes.Compare(docs[i].Digest[:], docs[j].Digest[:])
	})
	return insert{
		"write documents to", "INSERT INTO documents (source, digest, name, received, data) VALUES ", " ON CONFLICT (source, digest) DO NOTHING", 5,
	}.run(ctx, t, len(docs), func(args []any, i int) []any {
		d := &docs[order[i]]
		return append(args, d.Source, d.Digest[:], d.Name, micros(d.Received), data(d.Data))
	})
}

func (t *tx) PutClaims(ctx context.Context, claims []store.Claim) error {
	for i := range claims {
		c := &claims[i]
		if err := store.CheckText("claim", c.Source, c.Ref, c.Key.Ecosystem, c.Key.Name); err != nil {
			return err
		}
	}
	order := ordered(len(claims), func(i, j int) int {
		if c := strings.Compare(claims[i].Source, claims[j].Source); c != 0 {
			return c
		}
		return strings.Compare(claims[i].Ref, claims[j].Ref)
	})
	in := insert{
		"write claims to", "INSERT INTO claims (source, ref, ecosystem, name, status, seen, document, digest, statement) VALUES ",
		` ON CONFLICT (source, ref) DO UPDATE SET ecosystem = excluded.ecosystem, name = excluded.name, status = excluded.status,
		seen = excluded.seen, document = excluded.document, digest = excluded.digest, statement = excluded.statement`, 9,
	}
	// A batch at a time, so that the statements of all never are in memory together.
	for chunk := range slices.Chunk(order, perInsert) {
		statements := make([][]byte, len(chunk))
		for i, at := range chunk {
			var err error
			if statements[i], err = store.Statement(&claims[at].Claim); err != nil {
				return fmt.Errorf("write claims to %s: %w", t.s.Name(), err)
			}
		}
		if err := in.run(ctx, t, len(chunk), func(args []any, i int) []any {
			c := &claims[chunk[i]]
			return append(args, c.Source, c.Ref, c.Key.Ecosystem, c.Key.Name, int64(c.Status), micros(c.Seen), c.Document[:], c.Digest[:], statements[i])
		}); err != nil {
			return err
		}
	}
	return nil
}

const setStatus = "UPDATE claims SET status = ? WHERE source = ? AND ref IN (SELECT value FROM json_each(?))"

func (t *tx) SetClaimStatus(ctx context.Context, source string, refs []string, status store.Status) error {
	if err := store.CheckText("source", source); err != nil {
		return err
	}
	for chunk := range slices.Chunk(refs, lookups) {
		list, err := checkedArray("reference", chunk)
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, "write claims to", setStatus, int64(status), source, list); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) PutRecords(ctx context.Context, records []store.Record) error {
	for i := range records {
		r := &records[i]
		if err := store.CheckText("record", r.ID, r.Key.Ecosystem, r.Key.Name, r.Campaign); err != nil {
			return err
		}
	}
	order := ordered(len(records), func(i, j int) int { return strings.Compare(records[i].ID, records[j].ID) })
	return insert{
		"write records to", "INSERT INTO records (id, ecosystem, name, state, campaign, published, modified, json) VALUES ",
		` ON CONFLICT (id) DO UPDATE SET ecosystem = excluded.ecosystem, name = excluded.name, state = excluded.state,
		campaign = excluded.campaign, published = excluded.published, modified = excluded.modified, json = excluded.json`, 8,
	}.run(ctx, t, len(records), func(args []any, i int) []any {
		r := &records[order[i]]
		return append(args, r.ID, r.Key.Ecosystem, r.Key.Name, int64(r.State), r.Campaign, micros(r.Published), micros(r.Modified), data(r.JSON))
	})
}

func (t *tx) PutHolds(ctx context.Context, holds []store.Hold) error {
	for i := range holds {
		h := &holds[i]
		if err := store.CheckText("hold", h.Source, h.Ref, h.Guard, h.Key.Ecosystem, h.Key.Name, h.Reason); err != nil {
			return err
		}
	}
	order := ordered(len(holds), func(i, j int) int {
		if c := strings.Compare(holds[i].Source, holds[j].Source); c != 0 {
			return c
		}
		return strings.Compare(holds[i].Ref, holds[j].Ref)
	})
	return insert{
		"write holds to", "INSERT INTO holds (source, ref, guard, ecosystem, name, digest, reason, raised, state, decision) VALUES ",
		` ON CONFLICT (source, ref, guard) DO UPDATE SET ecosystem = excluded.ecosystem, name = excluded.name, digest = excluded.digest,
		reason = excluded.reason, raised = excluded.raised, state = excluded.state, decision = excluded.decision`, 10,
	}.run(ctx, t, len(holds), func(args []any, i int) []any {
		h := &holds[order[i]]
		return append(args, h.Source, h.Ref, h.Guard, h.Key.Ecosystem, h.Key.Name, h.Digest[:], h.Reason, micros(h.Raised), int64(h.State), h.Decision)
	})
}

func (t *tx) DropHolds(ctx context.Context, holds []store.Hold) error {
	for i := range holds {
		h := &holds[i]
		if err := store.CheckText("hold", h.Source, h.Ref, h.Guard); err != nil {
			return err
		}
		if _, err := t.exec(ctx, "drop holds of", "DELETE FROM holds WHERE source = ? AND ref = ? AND guard = ? AND state = ?",
			h.Source, h.Ref, h.Guard, int64(store.HoldOpen)); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) AddDecision(ctx context.Context, d store.Decision) (int64, error) {
	if err := store.CheckText("decision", d.Actor, d.Kind, d.Key.Ecosystem, d.Key.Name, d.ID, d.Source, d.Ref, d.Reason); err != nil {
		return 0, err
	}
	versions, err := checkedArray("version", d.Versions)
	if err != nil {
		return 0, err
	}
	const what = "write decision to"
	res, err := t.exec(ctx, what, `INSERT INTO decisions (time, actor, kind, ecosystem, name, id, source, ref, versions, reason)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		micros(d.Time), d.Actor, d.Kind, d.Key.Ecosystem, d.Key.Name, d.ID, d.Source, d.Ref, versions, d.Reason)
	if err != nil {
		return 0, err
	}
	seq, err := res.LastInsertId()
	if err != nil {
		return 0, t.fail(ctx, what, err)
	}
	return seq, nil
}

func (t *tx) PutCampaign(ctx context.Context, c store.Campaign) error {
	if err := store.CheckText("campaign", c.Name, c.Summary); err != nil {
		return err
	}
	references, err := checkedArray("reference", c.References)
	if err != nil {
		return err
	}
	indicators, err := checkedArray("indicator", c.Indicators)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, "write campaign to", `INSERT INTO campaigns (name, started, ended, summary, reference_urls, indicators) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET started = excluded.started, ended = excluded.ended, summary = excluded.summary,
		reference_urls = excluded.reference_urls, indicators = excluded.indicators`,
		c.Name, micros(c.Started), micros(c.Ended), c.Summary, references, indicators)
	return err
}

func (t *tx) PutInput(ctx context.Context, in store.Input) error {
	if err := store.CheckText("input", in.Kind, in.Name); err != nil {
		return err
	}
	_, err := t.exec(ctx, "write input to", `INSERT INTO inputs (kind, name, added, data) VALUES (?, ?, ?, ?)
		ON CONFLICT (kind, name) DO UPDATE SET added = excluded.added, data = excluded.data`, in.Kind, in.Name, micros(in.Added), data(in.Data))
	return err
}

func (t *tx) AddQuarantine(ctx context.Context, entries []store.Quarantined) error {
	for i := range entries {
		q := &entries[i]
		if err := store.CheckText("quarantine", q.Source, q.Name, q.Reason); err != nil {
			return err
		}
	}
	return insert{
		"write quarantine to", "INSERT INTO quarantine (source, name, digest, reason, time, data) VALUES ",
		" ON CONFLICT (source, name, digest) DO UPDATE SET reason = excluded.reason, time = excluded.time, data = excluded.data", 6,
	}.run(ctx, t, len(entries), func(args []any, i int) []any {
		q := &entries[i]
		return append(args, q.Source, q.Name, q.Digest[:], q.Reason, micros(q.Time), data(q.Data[:min(len(q.Data), store.MaxSample)]))
	})
}

func (t *tx) AddRelease(ctx context.Context, r store.Release) error {
	if r.Sequence > math.MaxInt64 {
		return fmt.Errorf("release %d: sequences end at %d", r.Sequence, int64(math.MaxInt64))
	}
	const what = "write release to"
	res, err := t.exec(ctx, what, `INSERT INTO releases (sequence, time, digest, records, disputed, withdrawn)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (SELECT 1 FROM releases WHERE sequence >= ?1)`,
		int64(r.Sequence), micros(r.Time), r.Digest[:], int64(r.Records), int64(r.Disputed), int64(r.Withdrawn))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil {
		return t.fail(ctx, what, err)
	} else if n == 0 {
		return fmt.Errorf("release %d: its sequence is not above every other", r.Sequence)
	}
	return nil
}

func (t *tx) AddAudit(ctx context.Context, e store.AuditEntry) error {
	if err := store.CheckText("audit entry", e.Actor, e.Action, e.Detail); err != nil {
		return err
	}
	_, err := t.exec(ctx, "write audit log of", "INSERT INTO audit (time, actor, action, detail) VALUES (?, ?, ?, ?)", micros(e.Time), e.Actor, e.Action, e.Detail)
	return err
}
