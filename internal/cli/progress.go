package cli

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rapsheet/rapsheet/internal/printable"
)

// progress shows one changing line on standard error for work that takes longer
// than half a second, on a terminal only.
type progress struct {
	text atomic.Value
	stop chan struct{}
	done chan struct{}
}

func (a *app) progress() *progress {
	p := &progress{stop: make(chan struct{}), done: make(chan struct{})}
	if !terminal(a.stderr) {
		close(p.done)
		return p
	}
	go func() {
		defer close(p.done)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		shown := false
		for start := time.Now(); ; {
			select {
			case <-p.stop:
				if shown {
					fmt.Fprint(a.stderr, "\r\x1b[K")
				}
				return
			case now := <-tick.C:
				s, _ := p.text.Load().(string)
				if now.Sub(start) < 500*time.Millisecond || s == "" {
					continue
				}
				fmt.Fprintf(a.stderr, "\r\x1b[K%s", printable.Cut(printable.Line(s), 100))
				shown = true
			}
		}
	}()
	return p
}

// set changes the line; safe from any goroutine.
func (p *progress) set(format string, args ...any) { p.text.Store(fmt.Sprintf(format, args...)) }

// end removes the line.
func (p *progress) end() {
	close(p.stop)
	<-p.done
}
