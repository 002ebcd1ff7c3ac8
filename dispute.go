package rapsheet

import (
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rapsheet/rapsheet/osv"
)

// Dispute says that the keepers of a list doubt a record and have not taken it
// back for good.
type Dispute struct {
	// Since is when the doubt began; zero when the record does not say.
	Since time.Time
	// Reason is why, in the keepers' words; "" when the record does not say. It is
	// raw: print it through package internal/printable.
	Reason string
}

// stateDisputed is the value of database_specific.rapsheet.state in a disputed record.
const stateDisputed = "disputed"

// DisputeOf reads the dispute that r is under; ok is false when there is none.
//
// A disputed record is published as withdrawn, so that programs which know no
// more do not fail builds, with a mark for those which do:
//
//	"withdrawn": "…", "database_specific": {"rapsheet": {"state": "disputed", "since": "<RFC 3339>", "reason": "…"}}
//
// Both are needed: the mark alone does not disarm a record, and a mark that is
// malformed leaves it withdrawn. A Since that is no time is taken as not said.
func DisputeOf(r *osv.Record) (d Dispute, ok bool) {
	if !r.IsWithdrawn() || len(r.DatabaseSpecific) == 0 {
		return Dispute{}, false
	}
	var db struct {
		Mark struct {
			State  string        `json:"state"`
			Since  osv.Timestamp `json:"since"`
			Reason string        `json:"reason"`
		} `json:"rapsheet"`
	}
	if json.Unmarshal(r.DatabaseSpecific, &db) != nil || db.Mark.State != stateDisputed {
		return Dispute{}, false
	}
	since, err := db.Mark.Since.Time()
	if err != nil {
		since = time.Time{}
	}
	return Dispute{Since: since, Reason: db.Mark.Reason}, true
}
