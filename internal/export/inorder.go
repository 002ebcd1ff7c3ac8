package export

import (
	"context"
	"iter"
	"runtime"
)

// inOrder runs work over chunks of a sequence on all processors, and gives the results in the sequence's order.
func inOrder[T, R any](ctx context.Context, seq iter.Seq2[T, error], work func([]T) ([]R, error)) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		type result struct {
			out []R
			err error
		}
		const chunk = 128
		ahead := make(chan chan result, 2*runtime.GOMAXPROCS(0))
		go func() {
			defer close(ahead)
			var in []T
			send := func() bool {
				done := make(chan result, 1)
				select {
				case ahead <- done:
				case <-ctx.Done():
					return false
				}
				part := in
				in = nil
				go func() {
					out, err := work(part)
					done <- result{out, err}
				}()
				return true
			}
			for v, err := range seq {
				if err != nil {
					done := make(chan result, 1)
					done <- result{err: err}
					if len(in) == 0 || send() {
						select {
						case ahead <- done:
						case <-ctx.Done():
						}
					}
					return
				}
				if in = append(in, v); len(in) == chunk && !send() {
					return
				}
			}
			if len(in) > 0 {
				send()
			}
		}()
		var zero R
		for done := range ahead {
			r := <-done
			for _, v := range r.out {
				if !yield(v, nil) {
					return
				}
			}
			if r.err != nil {
				yield(zero, r.err)
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(zero, err)
		}
	}
}

func values[T any](list []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}
