package catalog

import (
	"context"
	"iter"
	"runtime"
)

// batchSize is how many values are handed to a worker at once.
const batchSize = 128

// ordered applies f on every core and yields the results in the order of the values. An error of
// the input ends the sequence, after the results of what came before it.
func ordered[In, Out any](ctx context.Context, in iter.Seq2[In, error], f func(In) Out) iter.Seq2[Out, error] {
	type batch struct {
		in  []In
		out []Out
		err error
		ok  chan struct{}
	}
	return func(yield func(Out, error) bool) {
		var none Out
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		workers := runtime.GOMAXPROCS(0)
		todo := make(chan *batch)
		order := make(chan *batch, 2*workers)
		for range workers {
			go func() {
				for b := range todo {
					for _, v := range b.in {
						b.out = append(b.out, f(v))
					}
					close(b.ok)
				}
			}()
		}
		go func() {
			defer close(order)
			defer close(todo)
			cur := &batch{ok: make(chan struct{})}
			send := func() bool {
				select {
				case order <- cur:
				case <-ctx.Done():
					return false
				}
				todo <- cur
				cur = &batch{ok: make(chan struct{})}
				return true
			}
			for v, err := range in {
				if err != nil {
					cur.err = err
					send()
					return
				}
				cur.in = append(cur.in, v)
				if len(cur.in) == batchSize && !send() {
					return
				}
			}
			send()
		}()
		for b := range order {
			select {
			case <-b.ok:
			case <-ctx.Done():
				yield(none, ctx.Err())
				return
			}
			for _, v := range b.out {
				if !yield(v, nil) {
					return
				}
			}
			if b.err != nil {
				yield(none, b.err)
				return
			}
		}
		if ctx.Err() != nil {
			yield(none, ctx.Err())
		}
	}
}
