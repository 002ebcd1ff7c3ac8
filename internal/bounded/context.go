package bounded

import (
	"context"
	"io"
)

// Context reads from r until ctx is done, and fails with its error then. A read that is under way is not interrupted.
func Context(ctx context.Context, r io.Reader) io.Reader { return &contextReader{ctx, r} }

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// ContextAt is [Context] for reading anywhere, concurrently if r may be.
func ContextAt(ctx context.Context, r io.ReaderAt) io.ReaderAt { return &contextReaderAt{ctx, r} }

type contextReaderAt struct {
	ctx context.Context
	r   io.ReaderAt
}

func (c *contextReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.ReadAt(p, off)
}
