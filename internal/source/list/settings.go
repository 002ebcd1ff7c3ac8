package list

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rapsheet/rapsheet/internal/claim"
)

// settings are checked [Options].
type settings struct {
	ecosystem string // OSV's name, or "" to guess
	columns   []override
	delimiter byte // 0 to find out
	campaign  string
	complete  bool
	origin    string // never ""
	reference string
}

// override gives a column its meaning.
type override struct {
	meaning meaning
	header  string // normalised
	number  int    // from 1; 0 when the column is named by its header
}

func (o *Options) settings(name string) (settings, error) {
	s := settings{campaign: o.Campaign, complete: o.Complete, origin: name, reference: o.Reference}
	if o.Ecosystem != "" {
		eco, ok := ecosystemOf(o.Ecosystem)
		if !ok {
			return s, fmt.Errorf("unknown ecosystem %.80q", o.Ecosystem)
		}
		s.ecosystem = eco
	}
	if o.Delimiter != 0 {
		if o.Delimiter >= utf8.RuneSelf || o.Delimiter == '"' || o.Delimiter == '\n' || o.Delimiter == '\r' {
			return s, fmt.Errorf("%q cannot separate columns: want one ASCII character", o.Delimiter)
		}
		s.delimiter = byte(o.Delimiter)
	}
	if o.Origin != "" {
		if s.origin = claim.Slug(o.Origin); s.origin == "" {
			return s, fmt.Errorf("origin %.80q has no letters or digits", o.Origin)
		}
	}
	if o.Reference != "" && !webURL(o.Reference) {
		return s, fmt.Errorf("reference %.80q is not an http or https URL", o.Reference)
	}
	if !cleanText(o.Campaign) || len(o.Campaign) > maxCampaign {
		return s, errors.New("campaign: want at most 256 bytes of text on one line")
	}
	if o.Columns == "" {
		return s, nil
	}
	for part := range strings.SplitSeq(o.Columns, ",") {
		what, column, ok := strings.Cut(part, "=")
		m, known := meaningOf(strings.TrimSpace(what))
		column = strings.TrimSpace(column)
		if !ok || !known || column == "" {
			return s, fmt.Errorf("columns: %.80q: want meaning=column, with one of the meanings %s", part, meaningNames())
		}
		ov := override{meaning: m, header: normalise(column)}
		if n, err := strconv.Atoi(column); err == nil {
			if n < 1 || n > maxColumns {
				return s, fmt.Errorf("columns: %.80q: numbers go from 1 to %d", part, maxColumns)
			}
			ov.number = n
		}
		s.columns = append(s.columns, ov)
	}
	return s, nil
}
