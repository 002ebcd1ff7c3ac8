package lockfile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// seen is a sighting in a form that tests can write down: evidence is
// "origin host", digests are "algorithm:" and the first eight digits.
type seen struct {
	name, version string
	line          int
	from          string
	digests       string
}

// readWith runs r over in and collects what it sends.
func readWith(ctx context.Context, r inventory.Kind, in *inventory.File) reading {
	var got reading
	out := &inventory.Sink{File: in, Kind: r.Name, Yield: func(s rapsheet.Sighting, err error) bool {
		if err != nil {
			var note *rapsheet.Note
			if !errors.As(err, &note) {
				got.err = fmt.Errorf("the stream has an error that is no note: %w", err)
				return true
			}
			got.notes = append(got.notes, fmt.Sprintf("%s %d: %s", note.Kind, note.Count, note.Message))
			return true
		}
		got.urls = append(got.urls, s.Evidence.URL)
		var digests []string
		for _, d := range s.Evidence.Digests {
			digests = append(digests, d.Algorithm+":"+d.Hex[:min(8, len(d.Hex))])
		}
		got.saw = append(got.saw, seen{
			name: s.Package.Name, version: s.Package.Version, line: s.Location.Line,
			from:    strings.TrimSpace(string(s.Evidence.Origin) + " " + s.Evidence.Host),
			digests: strings.Join(digests, " "),
		})
		return true
	}}
	err := r.Read(ctx, in, out)
	got.err = errors.Join(got.err, err)
	return got
}
