package catalog

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// unassigned is the prefix of ids that no public database has given: drafts of
// ossf/malicious-packages and the catalogs' own blocks. OSV.dev ignores
// ^MAL-0000.*, so none of them can meet a public id.
const unassigned = "MAL-0000-"

// OwnID is the n-th id of an organisation's own block.
func OwnID(org string, n uint64) string { return fmt.Sprintf("%s%s-%d", unassigned, org, n) }

// idRank orders ids by how good a name for a record they are: those of the public list of malicious
// packages by year and number, others, and last the unassigned.
func idRank(id string) (class int, year, number uint64) {
	rest, mal := strings.CutPrefix(id, "MAL-")
	switch {
	case strings.HasPrefix(id, unassigned):
		return 2, 0, 0
	case mal:
		if y, n, ok := strings.Cut(rest, "-"); ok {
			year, err1 := strconv.ParseUint(y, 10, 32)
			number, err2 := strconv.ParseUint(n, 10, 64)
			if err1 == nil && err2 == nil {
				return 0, year, number
			}
		}
		return 0, 0, 0
	}
	return 1, 0, 0
}

// compareIDs orders ids, the best name first.
func compareIDs(a, b string) int {
	ac, ay, an := idRank(a)
	bc, by, bn := idRank(b)
	return cmp.Or(cmp.Compare(ac, bc), cmp.Compare(ay, by), cmp.Compare(an, bn), strings.Compare(a, b))
}

// named reports whether the public list of malicious packages gave the id.
func named(id string) bool { return strings.HasPrefix(id, "MAL-") && assigned(id) }

// assigned reports whether a database other than this catalog gave the id.
func assigned(id string) bool { return id != "" && !strings.HasPrefix(id, unassigned) }
