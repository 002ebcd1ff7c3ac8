package inventory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/bounded"
)

// What waits between the workers and the consumer: at most window jobs, each
// with at most batches*batch results.
const (
	window  = 32
	batches = 8
	batch   = 64
)

type item struct {
	s   rapsheet.Sighting
	err error
}

// job is one place in the stream: a note of the walk itself, or a file to read.
type job struct {
	note *rapsheet.Note

	in   *File
	kind *Kind // nil: recognise by content
	// sbom says to try only an SBOM; sure, that anything else is worth a note.
	sbom, sure bool
	timed      bool
	close      func() error

	out chan []item
}

// stream runs one walk: a producer that submits jobs in order, workers that read
// files at the same time, and the consumer, who gets everything in the order of submission.
type stream struct {
	opt     Options
	entries *atomic.Int64
	// wait for the workers before returning. Not for input whose reads cannot be
	// interrupted, like a pipe nobody writes to.
	wait bool
}

func (st *stream) run(parent context.Context, produce func(context.Context, func(*job) bool), yield func(rapsheet.Sighting, error) bool) {
	ctx, cancel := context.WithCancel(parent)
	var wg sync.WaitGroup
	if st.wait {
		defer wg.Wait()
	}
	defer cancel()

	order := make(chan *job, window)
	work := make(chan *job)
	wg.Go(func() {
		defer close(order)
		defer close(work)
		produce(ctx, func(j *job) bool {
			if j.in != nil {
				j.out = make(chan []item, batches)
			}
			select {
			case order <- j:
			case <-ctx.Done():
				j.release()
				return false
			}
			if j.in == nil {
				return true
			}
			select {
			case work <- j:
				return true
			case <-ctx.Done():
				j.release()
				return false
			}
		})
	})
	for range st.opt.Workers {
		wg.Go(func() {
			for j := range work {
				st.read(ctx, j)
			}
		})
	}

	var p Progress
	progress := func() {
		if st.opt.Progress != nil {
			p.Entries = int(st.entries.Load())
			st.opt.Progress(p)
		}
	}
	var tick <-chan time.Time
	if st.opt.Progress != nil {
		t := time.NewTicker(100 * time.Millisecond)
		defer t.Stop()
		tick = t.C
	}
	jobs, results := order, (<-chan []item)(nil) // one of them is nil
	for {
		select {
		case <-ctx.Done(): // the consumer's context: nothing else has cancelled it yet
			yield(rapsheet.Sighting{}, parent.Err())
			return
		case <-tick:
			progress()
		case j, ok := <-jobs:
			if !ok {
				progress()
				if err := parent.Err(); err != nil {
					yield(rapsheet.Sighting{}, err)
				}
				return
			}
			if j.note != nil {
				if !yield(rapsheet.Sighting{}, j.note) {
					return
				}
				continue
			}
			jobs, results = nil, j.out
		case items, ok := <-results:
			if !ok {
				p.Files++
				jobs, results = order, nil
				continue
			}
			for _, it := range items {
				if it.err == nil {
					p.Sightings++
				}
				if !yield(it.s, it.err) {
					return
				}
			}
		}
	}
}

func (j *job) release() {
	if j.close != nil {
		_ = j.close() // it was only read
	}
}

// read reads one file and closes it and its results.
func (st *stream) read(walk context.Context, j *job) {
	defer close(j.out)
	defer j.release()
	ctx, cancel := context.WithCancel(walk)
	defer cancel()
	var limit *stopwatch
	if j.timed {
		limit = &stopwatch{left: st.opt.PerFile, expire: cancel}
	}

	var items []item
	flush := func() bool {
		full := items
		items = nil
		select {
		case j.out <- full:
			return true
		default:
		}
		// The consumer is busy: that is not this file's time.
		limit.pause()
		defer limit.start()
		select {
		case j.out <- full:
			return true
		case <-walk.Done():
			return false
		}
	}
	n := 0
	limit.start()
	err := st.recognise(ctx, j, func(s rapsheet.Sighting, err error) bool {
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			n++
		}
		items = append(items, item{s, err})
		return len(items) < batch || flush()
	})
	limit.pause()
	if limit.expired() {
		err = fmt.Errorf("reading takes longer than %v: the rest was not read", st.opt.PerFile)
	}
	if walk.Err() != nil {
		return // the stream ends with the reason
	}
	if err != nil {
		items = append(items, item{err: unread(j.in.Path, err)})
	}
	st.opt.Logger.Debug("file read", "path", j.in.Path, "sightings", n, "error", err)
	if len(items) > 0 {
		flush()
	}
}

// recognise gives j to its reader. A panic in it becomes an error.
func (st *stream) recognise(ctx context.Context, j *job, yield func(rapsheet.Sighting, error) bool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			st.opt.Logger.Error("reader panicked", "path", j.in.Path, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error, please report it: the reader panicked: %.200v", p)
		}
	}()
	raw := j.in.R
	src := &source{ctx: ctx, r: bounded.Reader(raw, st.opt.FileSize, "file")}
	j.in.R = src
	kind := j.kind
	if kind == nil {
		head, err := src.peek(sniffSize)
		if err != nil {
			return err
		}
		if st.isSBOM(head, st.opt.FileSize) {
			src.r = bounded.Reader(raw, st.opt.SBOMSize-int64(len(head)), "SBOM")
			for s, err := range st.opt.SBOM(ctx, src, j.in.Path) {
				if !yield(s, err) {
					return nil
				}
			}
			return nil
		}
		if j.sbom {
			if j.sure {
				return errors.New("named like an SBOM, and not recognised as one")
			}
			return nil
		}
		if kind = st.opt.byContent(head); kind == nil {
			return st.opt.unrecognised()
		}
	}
	return kind.Read(ctx, j.in, &Sink{File: j.in, Kind: kind.Name, Yield: yield})
}

// source is a file being read: it stops when the file's time is over, and can be looked into.
type source struct {
	ctx  context.Context
	r    io.Reader
	head []byte
	err  error // of the peek, due when head is used up
}

func (s *source) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	if len(s.head) > 0 {
		n := copy(p, s.head)
		s.head = s.head[n:]
		return n, nil
	}
	if s.err != nil {
		return 0, s.err
	}
	return s.r.Read(p)
}

// peek gives up to n first bytes and leaves them to be read. Only an error
// before the first byte is returned; a later one is due when it is reached.
func (s *source) peek(n int) ([]byte, error) {
	head := make([]byte, n)
	got, err := io.ReadFull(s.r, head)
	s.head = head[:got]
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		if got == 0 {
			return nil, err
		}
		s.err = err
	}
	return head[:got], nil
}

// stopwatch calls expire after it has run for left in total. A nil one never does.
type stopwatch struct {
	mu      sync.Mutex
	left    time.Duration
	started time.Time
	timer   *time.Timer
	over    bool
	expire  func()
}

func (w *stopwatch) start() {
	if w == nil || w.expired() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.started = time.Now()
	w.timer = time.AfterFunc(w.left, func() {
		w.mu.Lock()
		w.over = true
		w.mu.Unlock()
		w.expire()
	})
}

func (w *stopwatch) pause() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil && w.timer.Stop() {
		w.left -= time.Since(w.started)
	}
	w.timer = nil
}

func (w *stopwatch) expired() bool {
	if w == nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.over
}
