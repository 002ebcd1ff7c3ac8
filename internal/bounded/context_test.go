package bounded_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

func TestContext(t *testing.T) {
	canceled, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	late, stop := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer stop()
	for _, tt := range []struct {
		ctx  context.Context
		text string // what is read before cancel
		err  error
	}{
		{t.Context(), "abcdef", io.EOF}, {canceled, "abc", context.Canceled}, {late, "", context.DeadlineExceeded},
	} {
		r := strings.NewReader("abcdef")
		one, at := bounded.Context(tt.ctx, r), io.NewSectionReader(bounded.ContextAt(tt.ctx, r), 0, r.Size())
		buf := make([]byte, 3)
		var got, gotAt string
		var err, errAt error
		for range 3 {
			var n int
			n, err = one.Read(buf)
			got += string(buf[:n])
			n, errAt = at.Read(buf)
			gotAt += string(buf[:n])
			if tt.ctx == canceled {
				cancel(errors.New("the cause is not what is given"))
			}
		}
		if got != tt.text || err != tt.err || gotAt != tt.text || errAt != tt.err {
			t.Errorf("%q and %v, at %q and %v; want %q and %v", got, err, gotAt, errAt, tt.text, tt.err)
		}
	}
}
