package rapsheet_test

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/osv"
)

// The form is that of docs/output.md, "Disputed records".
func TestDisputeOf(t *testing.T) {
	day := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name      string
		withdrawn osv.Timestamp
		specific  string
		want      rapsheet.Dispute
		ok        bool
	}{
		{"whole", "2026-03-01T09:00:00Z", `{"rapsheet":{"state":"disputed","since":"2026-03-01T09:00:00Z","reason":"the author proved it"}}`,
			rapsheet.Dispute{Since: day, Reason: "the author proved it"}, true},
		{"beside others", "2026-03-01T09:00:00Z", `{"iocs":{"domains":["x.example"]},"rapsheet":{"new":1,"state":"disputed","reason":"r"},"campaign":"c"}`,
			rapsheet.Dispute{Reason: "r"}, true},
		{"state alone", "2026-03-01T09:00:00Z", `{"rapsheet":{"state":"disputed"}}`, rapsheet.Dispute{}, true},
		{"since is no time", "2026-03-01T09:00:00Z", `{"rapsheet":{"state":"disputed","since":"yesterday"}}`, rapsheet.Dispute{}, true},
		{"not withdrawn: the mark alone disarms nothing", "", `{"rapsheet":{"state":"disputed","reason":"r"}}`, rapsheet.Dispute{}, false},
		{"withdrawn for good", "2026-03-01T09:00:00Z", `{"rapsheet":{"state":"withdrawn"}}`, rapsheet.Dispute{}, false},
		{"another state", "2026-03-01T09:00:00Z", `{"rapsheet":{"state":"Disputed"}}`, rapsheet.Dispute{}, false},
		{"no mark", "2026-03-01T09:00:00Z", `{"campaign":"c"}`, rapsheet.Dispute{}, false},
		{"nothing", "2026-03-01T09:00:00Z", "", rapsheet.Dispute{}, false},
		{"a mark of the wrong type", "2026-03-01T09:00:00Z", `{"rapsheet":"disputed"}`, rapsheet.Dispute{}, false},
		{"a reason of the wrong type", "2026-03-01T09:00:00Z", `{"rapsheet":{"state":"disputed","reason":{}}}`, rapsheet.Dispute{}, false},
		{"not an object", "2026-03-01T09:00:00Z", `["disputed"]`, rapsheet.Dispute{}, false},
		{"other case", "2026-03-01T09:00:00Z", `{"Rapsheet":{"state":"disputed"}}`, rapsheet.Dispute{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &osv.Record{ID: "MAL-2026-1", Withdrawn: tt.withdrawn, DatabaseSpecific: jsontext.Value(tt.specific)}
			got, ok := rapsheet.DisputeOf(r)
			if ok != tt.ok || !got.Since.Equal(tt.want.Since) || got.Reason != tt.want.Reason {
				t.Errorf("got %+v, %v; want %+v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

// A disputed record warns exactly where it would fail a build undisputed.
func TestWarning(t *testing.T) {
	for _, tt := range []struct {
		verdict                      rapsheet.Verdict
		provenance                   rapsheet.Provenance
		disputed, malicious, warning bool
	}{
		{"exact", "registry", false, true, false},
		{"exact", "registry", true, false, true},
		{"range", "unknown", true, false, true},
		{"package", "hash", true, false, true},
		{"package", "elsewhere", true, false, false},
		{"unversioned", "registry", true, false, false},
		{"withdrawn", "registry", false, false, false},
	} {
		f := rapsheet.Finding{Record: rapsheet.Record{Disputed: tt.disputed}, Verdict: tt.verdict, Provenance: tt.provenance}
		if f.Malicious() != tt.malicious || f.Warning() != tt.warning {
			t.Errorf("%s, %s, disputed %v: malicious %v, warning %v", tt.verdict, tt.provenance, tt.disputed, f.Malicious(), f.Warning())
		}
	}
}
