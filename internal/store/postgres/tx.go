package postgres

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"time"

	"github.com/rapsheet/rapsheet/internal/store"
)

// A batch is written in statements of at most maxRows rows and, but for the last row of
// each, maxBytes bytes: what one statement holds is in memory several times, here and in the
// server.
const (
	maxRows  = 1000
	maxBytes = 1 << 20
)

// tx reads and writes in a transaction.
type tx struct {
	reader
}

var _ store.Tx = (*tx)(nil)

// exec runs a statement and gives the number of rows it wrote.
func (t *tx) exec(ctx context.Context, what, sql string, args ...any) (int64, error) {
	tag, err := t.t.Exec(ctx, sql, args...)
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", what, translate(err))
	}
	return tag.RowsAffected(), nil
}

// batch writes rows in chunks. add puts one row into the columns and gives its size in
// bytes; flush writes the columns and empties them.
func batch[T any](rows []*T, add func(*T) (int, error), flush func() error) error {
	count, size := 0, 0
	for i, row := range rows {
		n, err := add(row)
		if err != nil {
			return err
		}
		count, size = count+1, size+n
		if count == maxRows || size >= maxBytes || i == len(rows)-1 {
			if err := flush(); err != nil {
				return err
			}
			count, size = 0, 0
		}
	}
	return nil
}

func (t *tx) SetSetting(ctx context.Context, name, value string) error {
	if err := store.CheckText("setting", name, value); err != nil {
		return err
	}
	_, err := t.exec(ctx, "setting", `
		INSERT INTO settings (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return err
}

func (t *tx) PutSource(ctx context.Context, s store.Source) error {
	if err := store.CheckText("source", s.Name, s.Kind, s.Cursor); err != nil {
		return err
	}
	if err := checkTime("source", s.Imported); err != nil {
		return err
	}
	_, err := t.exec(ctx, "source", `
		INSERT INTO sources (name, kind, complete, cursor, digest, imported)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, complete = excluded.complete,
			cursor = excluded.cursor, digest = excluded.digest, imported = excluded.imported`,
		s.Name, s.Kind, s.Complete, s.Cursor, s.Digest[:], s.Imported)
	return err
}

func (t *tx) PutDocuments(ctx context.Context, docs []store.Document) error {
	// The first of equals stays, as it does when it is in the store already.
	first := make([]store.Document, len(docs))
	for i, d := range docs {
		first[len(docs)-1-i] = d
	}
	rows := sorted(first, func(a, b *store.Document) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), compareDigests(a.Digest, b.Digest))
	})
	var source, name []string
	var digest, data [][]byte
	var received []time.Time
	return batch(rows, func(d *store.Document) (int, error) {
		if err := store.CheckText("document", d.Source, d.Name); err != nil {
			return 0, err
		}
		if err := checkTime("document", d.Received); err != nil {
			return 0, err
		}
		source, name = append(source, d.Source), append(name, d.Name)
		digest, data = append(digest, d.Digest[:]), append(data, blob(d.Data))
		received = append(received, d.Received)
		return len(d.Name) + len(d.Data), nil
	}, func() error {
		_, err := t.exec(ctx, "documents", `
			INSERT INTO documents (source, digest, name, data, received)
			SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[], $4::bytea[], $5::timestamptz[])
			ON CONFLICT DO NOTHING`, source, digest, name, data, received)
		source, name, digest, data, received = source[:0], name[:0], digest[:0], data[:0], received[:0]
		return err
	})
}

func (t *tx) PutClaims(ctx context.Context, claims []store.Claim) error {
	rows := sorted(claims, func(a, b *store.Claim) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Ref, b.Ref))
	})
	var source, ref, ecosystem, name []string
	var document, digest, statements [][]byte
	var status []int16
	var seen []time.Time
	return batch(rows, func(c *store.Claim) (int, error) {
		if err := store.CheckText("claim", c.Source, c.Ref, c.Key.Ecosystem, c.Key.Name); err != nil {
			return 0, err
		}
		if err := checkTime("claim", c.Seen); err != nil {
			return 0, err
		}
		b, err := store.Statement(&c.Claim)
		if err != nil {
			return 0, err
		}
		source, ref = append(source, c.Source), append(ref, c.Ref)
		ecosystem, name = append(ecosystem, c.Key.Ecosystem), append(name, c.Key.Name)
		document, digest, statements = append(document, c.Document[:]), append(digest, c.Digest[:]), append(statements, b)
		status, seen = append(status, int16(c.Status)), append(seen, c.Seen)
		return len(b), nil
	}, func() error {
		_, err := t.exec(ctx, "claims", `
			INSERT INTO claims (source, ref, ecosystem, name, document, digest, status, seen, statement)
			SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bytea[],
				$7::smallint[], $8::timestamptz[], $9::bytea[])
			ON CONFLICT (source, ref) DO UPDATE SET ecosystem = excluded.ecosystem, name = excluded.name,
				document = excluded.document, digest = excluded.digest, status = excluded.status,
				seen = excluded.seen, statement = excluded.statement`,
			source, ref, ecosystem, name, document, digest, status, seen, statements)
		source, ref, ecosystem, name = source[:0], ref[:0], ecosystem[:0], name[:0]
		document, digest, statements = document[:0], digest[:0], statements[:0]
		status, seen = status[:0], seen[:0]
		return err
	})
}

func (t *tx) SetClaimStatus(ctx context.Context, source string, refs []string, status store.Status) error {
	if err := store.CheckText("source", source); err != nil {
		return err
	}
	rows := sorted(refs, func(a, b *string) int { return cmp.Compare(*a, *b) })
	var ref []string
	return batch(rows, func(r *string) (int, error) {
		ref = append(ref, *r)
		return len(*r), store.CheckText("reference", *r)
	}, func() error {
		_, err := t.exec(ctx, "status of claims", `
			UPDATE claims c SET status = $2
			FROM unnest($3::text[]) AS k (ref) WHERE c.source = $1 AND c.ref = k.ref AND c.status <> $2`,
			source, int16(status), ref)
		ref = ref[:0]
		return err
	})
}

func (t *tx) PutRecords(ctx context.Context, records []store.Record) error {
	rows := sorted(records, func(a, b *store.Record) int { return cmp.Compare(a.ID, b.ID) })
	var id, ecosystem, name, campaign []string
	var state []int16
	var published, modified []time.Time
	var json [][]byte
	return batch(rows, func(r *store.Record) (int, error) {
		if err := store.CheckText("record", r.ID, r.Key.Ecosystem, r.Key.Name, r.Campaign); err != nil {
			return 0, err
		}
		if err := checkTime("record", r.Published, r.Modified); err != nil {
			return 0, err
		}
		id, ecosystem, name = append(id, r.ID), append(ecosystem, r.Key.Ecosystem), append(name, r.Key.Name)
		state, campaign = append(state, int16(r.State)), append(campaign, r.Campaign)
		published, modified, json = append(published, r.Published), append(modified, r.Modified), append(json, blob(r.JSON))
		return len(r.JSON), nil
	}, func() error {
		_, err := t.exec(ctx, "records", `
			INSERT INTO records (id, ecosystem, name, state, campaign, published, modified, json)
			SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::text[],
				$6::timestamptz[], $7::timestamptz[], $8::bytea[])
			ON CONFLICT (id) DO UPDATE SET ecosystem = excluded.ecosystem, name = excluded.name,
				state = excluded.state, campaign = excluded.campaign, published = excluded.published,
				modified = excluded.modified, json = excluded.json`,
			id, ecosystem, name, state, campaign, published, modified, json)
		id, ecosystem, name, campaign = id[:0], ecosystem[:0], name[:0], campaign[:0]
		state, published, modified, json = state[:0], published[:0], modified[:0], json[:0]
		return err
	})
}

func compareHolds(a, b *store.Hold) int {
	return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Ref, b.Ref), cmp.Compare(a.Guard, b.Guard))
}

func (t *tx) PutHolds(ctx context.Context, holds []store.Hold) error {
	rows := sorted(holds, compareHolds)
	var source, ref, guard, ecosystem, name, reason []string
	var digest [][]byte
	var raised []time.Time
	var state []int16
	var decision []int64
	return batch(rows, func(h *store.Hold) (int, error) {
		if err := store.CheckText("hold", h.Source, h.Ref, h.Guard, h.Key.Ecosystem, h.Key.Name, h.Reason); err != nil {
			return 0, err
		}
		if err := checkTime("hold", h.Raised); err != nil {
			return 0, err
		}
		source, ref, guard = append(source, h.Source), append(ref, h.Ref), append(guard, h.Guard)
		ecosystem, name, reason = append(ecosystem, h.Key.Ecosystem), append(name, h.Key.Name), append(reason, h.Reason)
		digest, raised = append(digest, h.Digest[:]), append(raised, h.Raised)
		state, decision = append(state, int16(h.State)), append(decision, h.Decision)
		return len(h.Ref) + len(h.Reason), nil
	}, func() error {
		_, err := t.exec(ctx, "holds", `
			INSERT INTO holds (source, ref, guard, ecosystem, name, digest, reason, raised, state, decision)
			SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[],
				$7::text[], $8::timestamptz[], $9::smallint[], $10::bigint[])
			ON CONFLICT (source, ref, guard) DO UPDATE SET ecosystem = excluded.ecosystem, name = excluded.name,
				digest = excluded.digest, reason = excluded.reason, raised = excluded.raised,
				state = excluded.state, decision = excluded.decision`,
			source, ref, guard, ecosystem, name, digest, reason, raised, state, decision)
		source, ref, guard, ecosystem, name, reason = source[:0], ref[:0], guard[:0], ecosystem[:0], name[:0], reason[:0]
		digest, raised, state, decision = digest[:0], raised[:0], state[:0], decision[:0]
		return err
	})
}

func (t *tx) DropHolds(ctx context.Context, holds []store.Hold) error {
	rows := sorted(holds, compareHolds)
	var source, ref, guard []string
	return batch(rows, func(h *store.Hold) (int, error) {
		source, ref, guard = append(source, h.Source), append(ref, h.Ref), append(guard, h.Guard)
		return len(h.Ref), store.CheckText("hold", h.Source, h.Ref, h.Guard)
	}, func() error {
		_, err := t.exec(ctx, "holds", `
			DELETE FROM holds h USING unnest($1::text[], $2::text[], $3::text[]) AS k (source, ref, guard)
			WHERE h.source = k.source AND h.ref = k.ref AND h.guard = k.guard AND h.state = $4`,
			source, ref, guard, int16(store.HoldOpen))
		source, ref, guard = source[:0], ref[:0], guard[:0]
		return err
	})
}

func (t *tx) AddDecision(ctx context.Context, d store.Decision) (int64, error) {
	err := store.CheckText("decision", d.Actor, d.Kind, d.Key.Ecosystem, d.Key.Name, d.ID, d.Source, d.Ref, d.Reason)
	if err != nil {
		return 0, err
	}
	if err := checkTime("decision", d.Time); err != nil {
		return 0, err
	}
	versions, err := list("version of a decision", d.Versions)
	if err != nil {
		return 0, err
	}
	// Updates are serialised and decisions never deleted, so the next number is the highest and one.
	var seq int64
	err = t.t.QueryRow(ctx, `
		INSERT INTO decisions (seq, time, actor, kind, ecosystem, name, id, source, ref, versions, reason)
		SELECT coalesce(max(seq), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 FROM decisions
		RETURNING seq`,
		d.Time, d.Actor, d.Kind, d.Key.Ecosystem, d.Key.Name, d.ID, d.Source, d.Ref, versions, d.Reason).Scan(&seq)
	if err != nil {
		return 0, fmt.Errorf("write decision: %w", translate(err))
	}
	return seq, nil
}

func (t *tx) PutCampaign(ctx context.Context, c store.Campaign) error {
	if err := store.CheckText("campaign", c.Name, c.Summary); err != nil {
		return err
	}
	if err := checkTime("campaign", c.Started, c.Ended); err != nil {
		return err
	}
	refs, err := list("reference of a campaign", c.References)
	if err != nil {
		return err
	}
	indicators, err := list("indicator of a campaign", c.Indicators)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, "campaign", `
		INSERT INTO campaigns (name, started, ended, summary, refs, indicators) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (name) DO UPDATE SET started = excluded.started, ended = excluded.ended,
			summary = excluded.summary, refs = excluded.refs, indicators = excluded.indicators`,
		c.Name, c.Started, c.Ended, c.Summary, refs, indicators)
	return err
}

func (t *tx) PutInput(ctx context.Context, in store.Input) error {
	if err := store.CheckText("input", in.Kind, in.Name); err != nil {
		return err
	}
	if err := checkTime("input", in.Added); err != nil {
		return err
	}
	_, err := t.exec(ctx, "input", `
		INSERT INTO inputs (kind, name, data, added) VALUES ($1, $2, $3, $4)
		ON CONFLICT (kind, name) DO UPDATE SET data = excluded.data, added = excluded.added`,
		in.Kind, in.Name, blob(in.Data), in.Added)
	return err
}

func (t *tx) AddQuarantine(ctx context.Context, entries []store.Quarantined) error {
	rows := sorted(entries, func(a, b *store.Quarantined) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Name, b.Name), compareDigests(a.Digest, b.Digest))
	})
	var source, name, reason []string
	var nameKey, digest, data [][]byte
	var at []time.Time
	return batch(rows, func(q *store.Quarantined) (int, error) {
		if err := store.CheckText("quarantined document", q.Source, q.Name, q.Reason); err != nil {
			return 0, err
		}
		if err := checkTime("quarantined document", q.Time); err != nil {
			return 0, err
		}
		sample := blob(q.Data[:min(len(q.Data), store.MaxSample)])
		key := sha256.Sum256([]byte(q.Name))
		source, name, reason = append(source, q.Source), append(name, q.Name), append(reason, q.Reason)
		nameKey, digest, data = append(nameKey, key[:]), append(digest, q.Digest[:]), append(data, sample)
		at = append(at, q.Time)
		return len(q.Name) + len(q.Reason) + len(sample), nil
	}, func() error {
		_, err := t.exec(ctx, "quarantine", `
			INSERT INTO quarantine (source, name_key, digest, name, reason, data, time, seq)
			SELECT k.*, (SELECT coalesce(max(seq), 0) FROM quarantine) + row_number() OVER ()
			FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::text[], $5::text[], $6::bytea[], $7::timestamptz[]) AS k
			ON CONFLICT (source, name_key, digest) DO UPDATE SET
				reason = excluded.reason, data = excluded.data, time = excluded.time, seq = excluded.seq`,
			source, nameKey, digest, name, reason, data, at)
		source, name, reason = source[:0], name[:0], reason[:0]
		nameKey, digest, data, at = nameKey[:0], digest[:0], data[:0], at[:0]
		return err
	})
}

func (t *tx) AddRelease(ctx context.Context, r store.Release) error {
	if r.Sequence > math.MaxInt64 {
		return fmt.Errorf("release %d: a sequence is at most %d", r.Sequence, int64(math.MaxInt64))
	}
	if err := checkTime("release", r.Time); err != nil {
		return err
	}
	n, err := t.exec(ctx, "release", `
		INSERT INTO releases (sequence, time, digest, records, disputed, withdrawn)
		SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT FROM releases WHERE sequence >= $1)`,
		int64(r.Sequence), r.Time, r.Digest[:], r.Records, r.Disputed, r.Withdrawn)
	if err == nil && n == 0 {
		return fmt.Errorf("release %d: there is one with this sequence or a higher one", r.Sequence)
	}
	return err
}

func (t *tx) AddAudit(ctx context.Context, e store.AuditEntry) error {
	if err := store.CheckText("audit entry", e.Actor, e.Action, e.Detail); err != nil {
		return err
	}
	if err := checkTime("audit entry", e.Time); err != nil {
		return err
	}
	_, err := t.exec(ctx, "audit log", `
		INSERT INTO audit (seq, time, actor, action, detail)
		SELECT coalesce(max(seq), 0) + 1, $1, $2, $3, $4 FROM audit`, e.Time, e.Actor, e.Action, e.Detail)
	return err
}

func compareDigests(a, b store.Digest) int { return bytes.Compare(a[:], b[:]) }
