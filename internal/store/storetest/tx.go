package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/store"
)

func (t *suite) emptyBatches() {
	t.update(func(ctx context.Context, tx store.Tx) error {
		return errors.Join(
			tx.PutDocuments(ctx, nil), tx.PutClaims(ctx, nil), tx.PutRecords(ctx, nil), tx.PutHolds(ctx, nil), tx.DropHolds(ctx, nil),
			tx.AddQuarantine(ctx, nil), tx.SetClaimStatus(ctx, "s", nil, store.Gone),
			tx.PutDocuments(ctx, []store.Document{}), tx.PutClaims(ctx, []store.Claim{}), tx.PutRecords(ctx, []store.Record{}),
			tx.PutHolds(ctx, []store.Hold{}), tx.DropHolds(ctx, []store.Hold{}), tx.AddQuarantine(ctx, []store.Quarantined{}),
			tx.SetClaimStatus(ctx, "s", []string{}, store.Gone),
		)
	})
	t.update(func(context.Context, store.Tx) error { return nil })
	t.view(func(ctx context.Context, r store.Reader) error {
		e, err := readAll(ctx, r, 0)
		e.check(t, "after empty batches", 0)
		return err
	})
}

// largeBatches: a call with 10,000 rows is what batches are made for; 10,007 fits no chunk. With -short, 1,009 are some
// chunks of every writer.
func (t *suite) largeBatches() {
	n := 10_007
	if testing.Short() {
		n = 1_009
	}
	var (
		keys    []rapsheet.Key
		ids     []string
		docs    []store.Document
		claims  []store.Claim
		records []store.Record
		holds   []store.Hold
		bad     []store.Quarantined
	)
	for i := range n {
		name := "p" + strconv.Itoa(i*7919%n) // in no order
		key := npm(name)
		keys, ids = append(keys, key), append(ids, name)
		docs = append(docs, store.Document{Source: "s", Digest: digest(name), Name: name, Data: []byte(name), Received: at(i)})
		claims = append(claims, newClaim("s", name, key))
		records = append(records, newRecord(name, key))
		holds = append(holds, newHold("s", name, "g", key))
		bad = append(bad, store.Quarantined{Source: "s", Name: name, Digest: digest(name), Data: []byte(name), Time: at(i)})
	}
	for range 2 { // the second time replaces
		t.update(func(ctx context.Context, tx store.Tx) error {
			return errors.Join(tx.PutDocuments(ctx, docs), tx.PutClaims(ctx, claims), tx.PutRecords(ctx, records), tx.PutHolds(ctx, holds), tx.AddQuarantine(ctx, bad))
		})
	}
	// refs names every claim but one.
	t.update(func(ctx context.Context, tx store.Tx) error { return tx.SetClaimStatus(ctx, "s", ids[1:], store.Held) })
	t.view(func(ctx context.Context, r store.Reader) error {
		gotClaims, err := r.Claims(ctx, keys)
		gotRecords, err2 := r.RecordsOf(ctx, keys)
		gotByID, err3 := r.RecordsByID(ctx, ids)
		gotHolds, err4 := r.HoldsOf(ctx, keys)
		open, err5 := r.Holds(ctx, store.HoldOpen)
		stamps, err6 := collect(r.Stamps(ctx, "s"))
		all, err7 := collect(r.Records(ctx))
		quarantined, err8 := r.CountQuarantine(ctx)
		for what, got := range map[string]int{
			"claims": len(gotClaims), "records of keys": len(gotRecords), "records by id": len(gotByID), "holds of keys": len(gotHolds),
			"open holds": len(open), "stamps": len(stamps), "records": len(all), "quarantined": quarantined,
		} {
			if got != n {
				t.Errorf("%d %s, want %d", got, what, n)
			}
		}
		for _, s := range stamps {
			want := store.Held
			if s.Ref == ids[0] {
				want = store.Standing
			}
			if s.Status != want || s.Digest != newClaim("s", s.Ref, npm(s.Ref)).Digest {
				t.Fatalf("stamp %+v has the wrong status or digest", s)
			}
		}
		for i := 0; i < n; i += 997 {
			doc, ok, err := r.Document(ctx, "s", docs[i].Digest)
			if err != nil || !ok {
				t.Fatalf("document %d: %v, %v", i, ok, err)
			}
			equal(t, "document", doc, docs[i])
		}
		return errors.Join(err, err2, err3, err4, err5, err6, err7, err8)
	})
	t.update(func(ctx context.Context, tx store.Tx) error { return tx.DropHolds(ctx, holds) })
	if left := get(t, func(ctx context.Context, r store.Reader) ([]store.Hold, error) { return r.Holds(ctx, store.HoldOpen) }); len(left) != 0 {
		t.Errorf("%d holds are left", len(left))
	}
}

// twice: of two rows with one name in one batch the last wins; the first for documents, which
// stay as they are.
func (t *suite) twice() {
	key := npm("a")
	first, last := newClaim("s", "r", key), newClaim("s", "r", npm("b"))
	last.Status = store.Held
	firstRec, lastRec := newRecord("MAL-1", key), newRecord("MAL-1", npm("b"))
	lastRec.State = store.Disputed
	firstHold, lastHold := newHold("s", "r", "g", key), newHold("s", "r", "g", npm("b"))
	lastHold.Reason = "last"
	firstBad := store.Quarantined{Source: "s", Name: "n", Digest: digest("d"), Reason: "first", Time: at(1)}
	lastBad := firstBad
	lastBad.Reason = "last"
	firstDoc := store.Document{Source: "s", Digest: digest("d"), Name: "first", Data: []byte("first")}
	lastDoc := store.Document{Source: "s", Digest: digest("d"), Name: "last", Data: []byte("last")}
	t.update(func(ctx context.Context, tx store.Tx) error {
		return errors.Join(
			tx.PutClaims(ctx, []store.Claim{first, newClaim("s", "q", npm("c")), last}),
			tx.PutRecords(ctx, []store.Record{firstRec, newRecord("MAL-0", npm("c")), lastRec}),
			tx.PutHolds(ctx, []store.Hold{firstHold, lastHold}),
			tx.AddQuarantine(ctx, []store.Quarantined{firstBad, lastBad}),
			tx.PutDocuments(ctx, []store.Document{firstDoc, lastDoc}),
		)
	})
	t.view(func(ctx context.Context, r store.Reader) error {
		keys := []rapsheet.Key{key, npm("b")}
		claims, err := r.Claims(ctx, keys)
		equal(t, "claims", claims, []store.Claim{last})
		records, err2 := r.RecordsOf(ctx, keys)
		equal(t, "records", records, []store.Record{lastRec})
		holds, err3 := r.HoldsOf(ctx, keys)
		equal(t, "holds", holds, []store.Hold{lastHold})
		bad, err4 := r.Quarantine(ctx, 10)
		equal(t, "quarantine", bad, []store.Quarantined{lastBad})
		doc, _, err5 := r.Document(ctx, "s", firstDoc.Digest)
		equal(t, "document", doc, firstDoc)
		return errors.Join(err, err2, err3, err4, err5)
	})
}

// iterators may be left early and begun again, and the transaction goes on.
func (t *suite) iterators() {
	const n = 3000
	t.update(func(ctx context.Context, tx store.Tx) error {
		var claims []store.Claim
		var records []store.Record
		for i := range n {
			name := fmt.Sprintf("%05d", i)
			claims = append(claims, newClaim("s", name, npm(name)))
			rec := newRecord(name, npm(name))
			rec.Campaign = "c"
			records = append(records, rec)
		}
		return errors.Join(tx.PutClaims(ctx, claims), tx.PutRecords(ctx, records))
	})
	walk := func(ctx context.Context, r store.Reader) error {
		for name, seq := range map[string]func(yield func(string, error) bool){
			"Stamps": func(yield func(string, error) bool) {
				for s, err := range r.Stamps(ctx, "s") {
					if !yield(s.Ref, err) {
						return
					}
				}
			},
			"Records": func(yield func(string, error) bool) {
				for rec, err := range r.Records(ctx) {
					if !yield(rec.ID, err) {
						return
					}
				}
			},
			"Members": func(yield func(string, error) bool) {
				for rec, err := range r.Members(ctx, "c") {
					if !yield(rec.ID, err) {
						return
					}
				}
			},
		} {
			for _, stop := range []int{1, 2, 1000, n, n + 1} {
				seen := 0
				for id, err := range seq {
					if err != nil {
						return err
					}
					if want := fmt.Sprintf("%05d", seen); id != want {
						t.Fatalf("%s: row %d is %s", name, seen, id)
					}
					if seen++; seen == stop {
						break
					}
				}
				if seen != min(stop, n) {
					t.Errorf("%s stopped at %d gave %d rows", name, stop, seen)
				}
				if counts, err := r.CountRecords(ctx); err != nil || counts[store.Active] != n {
					t.Fatalf("%s: after stopping at %d: %v, %v", name, stop, counts, err)
				}
			}
		}
		return nil
	}
	t.view(walk)
	t.update(func(ctx context.Context, tx store.Tx) error { return walk(ctx, tx) })

	// A row that is kept stays as it was when the iterator goes on.
	var kept []store.Record
	t.view(func(ctx context.Context, r store.Reader) (err error) {
		kept, err = collect(r.Records(ctx))
		return err
	})
	for i, rec := range kept {
		if want := fmt.Sprintf(`{"id":"%05d"}`, i); string(rec.JSON) != want {
			t.Fatalf("record %d holds %s", i, rec.JSON)
		}
	}
	// A panic and a return from inside of the loop end it as a break does.
	func() {
		defer func() { _ = recover() }()
		err := t.s.View(t.Context(), func(r store.Reader) error {
			for range r.Records(t.Context()) {
				panic("boom")
			}
			return nil
		})
		t.Errorf("a view with a panic gave %v", err)
	}()
	t.view(walk)
}

// cancelledIterator: a sequence that ends without an error gave everything.
func (t *suite) cancelledIterator() {
	const n = 5000
	t.update(func(ctx context.Context, tx store.Tx) error {
		var records []store.Record
		for i := range n {
			records = append(records, newRecord(fmt.Sprintf("%05d", i), npm("a")))
		}
		return tx.PutRecords(ctx, records)
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var seen int
	var failed error
	err := t.s.View(ctx, func(r store.Reader) error {
		seen, failed = 0, nil
		for _, err := range r.Records(ctx) {
			if err != nil {
				if failed != nil {
					t.Errorf("a second error, %v, after %v", err, failed)
				}
				failed = err
				continue
			}
			if failed != nil {
				t.Fatal("a row after an error")
			}
			seen++
			cancel()
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Errorf("view gave %v, want the sequence's %v", err, failed)
	}
	switch {
	case failed == nil && seen != n:
		t.Errorf("a cancelled sequence gave %d of %d rows and no error", seen, n)
	case failed != nil && !errors.Is(failed, context.Canceled):
		t.Errorf("a cancelled sequence ended with %v", failed)
	}
	t.view(func(ctx context.Context, r store.Reader) error {
		counts, err := r.CountRecords(ctx)
		if counts[store.Active] != n {
			t.Errorf("%d records afterwards, want %d", counts[store.Active], n)
		}
		return err
	})
}

// ownWrites: an Update sees what it wrote, in everything that can be read.
func (t *suite) ownWrites() {
	t.update(func(ctx context.Context, tx store.Tx) error {
		for n := 1; n <= 3; n++ {
			if err := fill(ctx, tx, n); err != nil {
				return err
			}
			e, err := readAll(ctx, tx, n)
			if err != nil {
				return err
			}
			e.check(t, "inside of the update", n)
		}
		if err := tx.SetClaimStatus(ctx, "ossf", []string{"p001"}, store.Gone); err != nil {
			return err
		}
		claims, err := tx.Claims(ctx, []rapsheet.Key{npm("p001")})
		if len(claims) != 1 || claims[0].Status != store.Gone {
			t.Errorf("claims after SetClaimStatus: %+v", claims)
		}
		if err := tx.DropHolds(ctx, []store.Hold{newHold("ossf", "p001", "popular", npm("p001"))}); err != nil {
			return err
		}
		holds, err2 := tx.Holds(ctx, store.HoldOpen)
		if len(holds) != 2 {
			t.Errorf("%d open holds after DropHolds, want 2", len(holds))
		}
		return errors.Join(err, err2)
	})
}

// snapshot: a View sees one state from its beginning to its end, before its first read too.
func (t *suite) snapshot() {
	t.update(func(ctx context.Context, tx store.Tx) error { return fill(ctx, tx, 1) })
	second := t.reopen(t.T)
	t.view(func(ctx context.Context, r store.Reader) error {
		for n, s := range []store.Store{t.s, second} {
			if err := s.Update(ctx, func(tx store.Tx) error { return fill(ctx, tx, n+2) }); err != nil {
				return fmt.Errorf("update beside a view: %w", err)
			}
			e, err := readAll(ctx, r, 1)
			if err != nil {
				return err
			}
			e.check(t, fmt.Sprintf("in a view, after update %d beside it", n+1), 1)
			if err := t.s.View(ctx, func(r store.Reader) error {
				e, err := readAll(ctx, r, n+2)
				e.check(t, "in a second view inside of it", n+2)
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
	// Between two rows of an iterator as well.
	for i := range 2 {
		t.view(func(ctx context.Context, r store.Reader) error {
			seen := 0
			for _, err := range r.Records(ctx) {
				if err != nil {
					return err
				}
				if seen == 0 {
					if err := second.Update(ctx, func(tx store.Tx) error { return fill(ctx, tx, 4+i) }); err != nil {
						return err
					}
				}
				seen++
			}
			if seen != 3+i {
				t.Errorf("an iterator gave %d records, want the %d from before", seen, 3+i)
			}
			return nil
		})
	}
	// Nobody sees an Update before it is acknowledged.
	t.update(func(ctx context.Context, tx store.Tx) error {
		if err := fill(ctx, tx, 6); err != nil {
			return err
		}
		for _, s := range []store.Store{t.s, second} {
			viewOf(t.T, s, func(ctx context.Context, r store.Reader) error {
				e, err := readAll(ctx, r, 5)
				e.check(t, "beside an update", 5)
				return err
			})
		}
		return nil
	})
	viewOf(t.T, second, func(ctx context.Context, r store.Reader) error {
		e, err := readAll(ctx, r, 6)
		e.check(t, "after all", 6)
		return err
	})
}

// wholly: readers beside a writer see all of an Update or nothing.
func (t *suite) wholly() {
	second := t.reopen(t.T)
	const updates = 40
	done := make(chan struct{})
	var wg sync.WaitGroup
	for i, s := range []store.Store{t.s, second} {
		wg.Go(func() {
			for last := false; !last; {
				select {
				case <-done:
					last = true
				default:
				}
				err := s.View(t.Context(), func(r store.Reader) error {
					a, err := r.Setting(t.Context(), "a")
					if err != nil {
						return err
					}
					time.Sleep(time.Millisecond)
					counts, err := r.CountRecords(t.Context())
					if err != nil {
						return err
					}
					b, err := r.Setting(t.Context(), "b")
					if n, _ := strconv.Atoi(a); a != b || counts[store.Active] != n {
						t.Errorf("reader %d sees a=%q, b=%q and %d records", i, a, b, counts[store.Active])
					}
					return err
				})
				if err != nil {
					t.Errorf("reader %d: %v", i, err)
					return
				}
			}
		})
	}
	for n := 1; n <= updates; n++ {
		v := strconv.Itoa(n)
		t.update(func(ctx context.Context, tx store.Tx) error {
			return errors.Join(tx.SetSetting(ctx, "a", v), tx.PutRecords(ctx, []store.Record{newRecord(v, npm(v))}), tx.SetSetting(ctx, "b", v))
		})
	}
	close(done)
	wg.Wait()
}

// rollBack: whatever ends an Update but two nils, nothing of it happened.
func (t *suite) rollBack() {
	t.update(func(ctx context.Context, tx store.Tx) error { return fill(ctx, tx, 1) })
	before := get(t, func(ctx context.Context, r store.Reader) (everything, error) { return readAll(ctx, r, 1) })
	boom := errors.New("boom")
	// attempt gives the error of an Update that writes much and then ends as f does.
	attempt := func(ctx context.Context, f func() error) (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("panic: %v", v)
			}
		}()
		return t.s.Update(ctx, func(tx store.Tx) error {
			bg := context.WithoutCancel(ctx)
			changed := newClaim("ossf", "p001", npm("changed"))
			hold := newHold("ossf", "p001", "popular", npm("p001"))
			if err := errors.Join(
				fill(bg, tx, 2), tx.PutClaims(bg, []store.Claim{changed}), tx.DropHolds(bg, []store.Hold{hold}),
				tx.SetClaimStatus(bg, "ossf", []string{"p001", "p002"}, store.Gone), tx.PutRecords(bg, []store.Record{newRecord("MAL-2024-p001", npm("x"))}),
			); err != nil {
				return err
			}
			return f()
		})
	}
	for _, c := range []struct {
		name string
		try  func() error
		want func(error) bool
	}{
		{"error", func() error { return attempt(t.Context(), func() error { return fmt.Errorf("doing: %w", boom) }) },
			func(err error) bool { return errors.Is(err, boom) }},
		{"panic", func() error { return attempt(t.Context(), func() error { panic("boom") }) },
			func(err error) bool { return err != nil && strings.Contains(err.Error(), "panic: boom") }},
		{"cancelled inside", func() error {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			return attempt(ctx, func() error { cancel(); return nil })
		}, func(err error) bool { return errors.Is(err, context.Canceled) }},
		{"cancelled before", func() error {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			return attempt(ctx, func() error { return nil })
		}, func(err error) bool { return errors.Is(err, context.Canceled) }},
		{"out of time", func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			return attempt(ctx, func() error { <-ctx.Done(); return nil })
		}, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		{"goroutine ended", func() error {
			var err error
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				err = attempt(t.Context(), func() error { runtime.Goexit(); return nil }) // as t.Fatal does
			}()
			<-ended
			return err
		}, func(err error) bool { return err == nil }},
		{"bad text, passed on", func() error {
			return t.s.Update(t.Context(), func(tx store.Tx) error {
				return errors.Join(fill(t.Context(), tx, 2), tx.SetSetting(t.Context(), "n", "\xff"))
			})
		}, func(err error) bool { return errors.Is(err, store.ErrText) }},
	} {
		if err := c.try(); !c.want(err) {
			t.Errorf("%s: %v", c.name, err)
		}
		after := get(t, func(ctx context.Context, r store.Reader) (everything, error) { return readAll(ctx, r, 1) })
		if !reflect.DeepEqual(before, after) {
			t.Errorf("%s: the store changed:\n%s\n%s", c.name, clip(before), clip(after))
		}
	}
	// The store goes on.
	t.update(func(ctx context.Context, tx store.Tx) error { return fill(ctx, tx, 2) })
	t.view(func(ctx context.Context, r store.Reader) error {
		e, err := readAll(ctx, r, 2)
		e.check(t, "afterwards", 2)
		return err
	})
}

func (t *suite) viewErrors() {
	boom := errors.New("boom")
	if err := t.s.View(t.Context(), func(store.Reader) error { return fmt.Errorf("doing: %w", boom) }); !errors.Is(err, boom) {
		t.Errorf("view gave %v, want the function's own error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := t.s.View(ctx, func(r store.Reader) error { _, err := r.Sources(ctx); return err }); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled view gave %v", err)
	}
	for range 100 { // more than any pool
		func() {
			defer func() {
				if v := recover(); v != "boom" {
					t.Errorf("recovered %v, want the function's own panic", v)
				}
			}()
			err := t.s.View(t.Context(), func(store.Reader) error { panic("boom") })
			t.Errorf("a view with a panic gave %v", err)
		}()
	}
	t.view(func(ctx context.Context, r store.Reader) error { _, err := r.Sources(ctx); return err })
}

// serialised: two stores on the same data, and several goroutines on each, lose no increment.
func (t *suite) serialised() {
	second := t.reopen(t.T)
	const workers, rounds = 3, 15
	var wg sync.WaitGroup
	for w := range 2 * workers {
		s := []store.Store{t.s, second}[w%2]
		wg.Go(func() {
			for range rounds {
				err := s.Update(t.Context(), func(tx store.Tx) error {
					v, err := tx.Setting(t.Context(), "counter")
					if err != nil {
						return err
					}
					n, _ := strconv.Atoi(v)
					return tx.SetSetting(t.Context(), "counter", strconv.Itoa(n+1))
				})
				if err != nil {
					t.Errorf("worker %d: %v", w, err)
					return
				}
			}
		})
	}
	wg.Wait()
	for i, s := range []store.Store{t.s, second} {
		viewOf(t.T, s, func(ctx context.Context, r store.Reader) error {
			v, err := r.Setting(ctx, "counter")
			if want := strconv.Itoa(2 * workers * rounds); v != want {
				t.Errorf("store %d: the counter is %s, want %s", i, v, want)
			}
			return err
		})
	}
}

// waiting: of two Updates that run at once one waits; it goes on when the other has ended, or
// gives up with ErrBusy or its context's error.
func (t *suite) waiting() {
	second := t.reopen(t.T)
	for i, other := range []store.Store{t.s, second} {
		name := []string{"same store", "second store"}[i]
		inside, release := make(chan struct{}), make(chan struct{})
		var once sync.Once
		first := make(chan error, 1)
		go func() {
			first <- t.s.Update(t.Context(), func(tx store.Tx) error {
				err := tx.SetSetting(t.Context(), name, "first")
				once.Do(func() { close(inside) })
				<-release
				return err
			})
		}()
		<-inside
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		start := time.Now()
		err := other.Update(ctx, func(tx store.Tx) error { return tx.SetSetting(ctx, name, "never") })
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, store.ErrBusy) {
			t.Errorf("%s: a waiting update ended with %v", name, err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s: a waiting update whose context ended after 300 ms took %v", name, d)
		}
		cancel()

		waiter := make(chan error, 1)
		go func() {
			waiter <- other.Update(t.Context(), func(tx store.Tx) error {
				v, err := tx.Setting(t.Context(), name)
				if err != nil {
					return err
				}
				return tx.SetSetting(t.Context(), name, v+", second")
			})
		}()
		time.Sleep(50 * time.Millisecond) // so that it waits; sooner or later makes no difference to the result
		close(release)
		if err := errors.Join(<-first, <-waiter); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		viewOf(t.T, t.s, func(ctx context.Context, r store.Reader) error {
			v, err := r.Setting(ctx, name)
			if v != "first, second" {
				t.Errorf("%s: left %q, want both in their order", name, v)
			}
			return err
		})
	}
}

// durable: nothing is lost when the store is closed and opened again.
func (t *suite) durable() {
	for n := 1; n <= 3; n++ {
		t.update(func(ctx context.Context, tx store.Tx) error { return fill(ctx, tx, n) })
	}
	before := get(t, func(ctx context.Context, r store.Reader) (everything, error) { return readAll(ctx, r, 3) })
	before.check(t, "before", 3)
	second := t.reopen(t.T)
	if err := t.s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := t.s.Update(t.Context(), func(store.Tx) error { return nil }); err == nil {
		t.Error("a closed store took an update")
	}
	if err := t.s.View(t.Context(), func(store.Reader) error { return nil }); err == nil {
		t.Error("a closed store gave a view")
	}
	t.s = second
	for _, when := range []string{"in a second store", "after closing all"} {
		after := get(t, func(ctx context.Context, r store.Reader) (everything, error) { return readAll(ctx, r, 3) })
		if !reflect.DeepEqual(before, after) {
			t.Errorf("%s: got %s\nwant %s", when, clip(after), clip(before))
		}
		if err := t.s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		t.s = t.reopen(t.T)
	}
	t.update(func(ctx context.Context, tx store.Tx) error { return fill(ctx, tx, 4) })
	t.view(func(ctx context.Context, r store.Reader) error {
		e, err := readAll(ctx, r, 4)
		e.check(t, "reopened", 4)
		if n := len(e.Decisions); n != 4 || e.Decisions[3].Seq <= e.Decisions[2].Seq {
			t.Errorf("decisions after reopening: %+v", e.Decisions)
		}
		return err
	})
}

func (t *suite) name() {
	if n := t.s.Name(); n == "" || n != t.s.Name() {
		t.Errorf("name is %q", n)
	}
}
