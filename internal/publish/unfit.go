package publish

import (
	"fmt"

	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/osv"
)

// Unfit gives the reasons why no release may have a document, each one printable line; none when one may. It
// is what [Publish] refuses, asked before the document is part of anything. It is safe for concurrent use.
func Unfit(document []byte) []string {
	r, _, err := osv.Parse(document)
	if err != nil {
		return []string{err.Error()}
	}
	out := check(r)
	for _, a := range r.Affected {
		if !osv.KnownEcosystem(a.Package.Ecosystem) {
			out = append(out, fmt.Sprintf("%s is no ecosystem of the OSV schema", printable.Cut(a.Package.Ecosystem, 64)))
		}
	}
	return out
}
