package source

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// modified is one row of a modified_id.csv: when a record last changed.
type modified struct {
	id   string
	time time.Time
}

// idPattern is what may be asked for: ids become parts of URLs and of paths in a mirror.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:+~-]*$`)

const maxID = 255

// parseModified reads <ECO>/modified_id.csv: "<RFC 3339 time>,<ID>" per line,
// newest first (https://google.github.io/osv.dev/data/). The order is not relied
// upon. One bad row fails the whole: a list that is read in part would hide changes.
func parseModified(data []byte, limit int) ([]modified, error) {
	if text := bytes.TrimSpace(data); len(text) > 0 && text[0] == '<' {
		return nil, errors.New("got a page of HTML or XML instead of CSV")
	}
	var rows []modified
	number := 0
	for line := range bytes.Lines(data) {
		number++
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			continue
		}
		if len(rows) == limit {
			return nil, fmt.Errorf("%w: more than %d", ErrTooManyEntries, limit)
		}
		stamp, id, ok := bytes.Cut(line, []byte(","))
		if !ok || len(id) > maxID || !idPattern.Match(id) {
			return nil, fmt.Errorf("line %d is not a time and an id: %q", number, line[:min(len(line), 80)])
		}
		t, err := time.Parse(time.RFC3339Nano, string(stamp))
		if err != nil {
			return nil, fmt.Errorf("line %d: %.40q is not an RFC 3339 time", number, stamp)
		}
		rows = append(rows, modified{string(id), t.UTC()})
	}
	return rows, nil
}
