package source

import (
	"context"
	"iter"

	"github.com/rapsheet/rapsheet/internal/claim"
)

// Source is one place that knowledge comes from. Fetching and parsing are apart: what was
// fetched is kept as it came, and can be parsed again by a better parser.
//
// A Source is used by one goroutine at a time, except Parse, which is pure and may be called
// concurrently.
type Source interface {
	// Info describes the source.
	Info() Info
	// Fetch streams raw documents: all, or those changed after the cursor that an earlier
	// Fetch ended with. Errors are as those of [Documents]: a [*Reject] is about one
	// document, any other ends the stream and makes all of it unusable.
	Fetch(ctx context.Context, since string) iter.Seq2[Document, error]
	// Cursor is where the next Fetch goes on, once the sequence has ended without an
	// error; "" for a source that always gives everything.
	Cursor() string
	// Parse reads the claims in a document. It depends on nothing else, except that it leaves
	// out times that lie in the future. The claims have no Source and no Document yet,
	// are normalised and valid ([claim.Claim.Validate]). An error is about the whole
	// document; what only concerns a line or an entry is a Note.
	Parse(doc Document) (Parsed, error)
}

// Info describes a source.
type Info struct {
	// Name is a slug ([claim.Slug]) and the same at each import.
	Name string
	// Kind names the format.
	Kind string
	// Complete says that a fetch gives the source's whole state: a claim that is missing
	// was taken back. Otherwise a fetch adds to what came before.
	Complete bool
}

// Parsed is what a document says.
type Parsed struct {
	Claims []claim.Claim
	Notes  []Note
}

// Note is one line or entry of a document that gave no claim, or gave one with a doubt.
type Note struct {
	// Line is the line in the document, from 1; 0 when it has no lines.
	Line int
	// Text is the line or entry, cut to 200 bytes; raw, from hostile input.
	Text string
	// Reason says why, in words.
	Reason string
	// Skipped says that no claim was made of it.
	Skipped bool
}
