package export

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/snappy"

	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/osv"
)

// parquetRow is one row: a record as one of its packages. Times are UTC; a time that the record does not have is null.
type parquetRow struct {
	ID        string         `parquet:"id"`
	Ecosystem string         `parquet:"ecosystem,dict"`
	Name      string         `parquet:"name"`
	PURL      string         `parquet:"purl"`
	All       bool           `parquet:"every_version"`
	Versions  []string       `parquet:"versions,list"`
	Ranges    []parquetRange `parquet:"ranges,list"`
	State     string         `parquet:"state,dict"`
	Campaign  string         `parquet:"campaign,dict"`
	Title     string         `parquet:"title"`
	URL       string         `parquet:"url"`
	Aliases   []string       `parquet:"aliases,list"`
	Published *time.Time     `parquet:"published,optional,timestamp(millisecond)"`
	Modified  *time.Time     `parquet:"modified,optional,timestamp(millisecond)"`
	OSV       string         `parquet:"osv"`
}

// parquetRange is a run of versions; "" is no end. Last says that the end is part of it.
type parquetRange struct {
	From string `parquet:"from"`
	To   string `parquet:"to"`
	Last bool   `parquet:"last"`
}

// Rows of a group and of a batch: a reader holds a group's column at a time, the writer a group.
const (
	parquetGroup = 32 << 10
	parquetBatch = 256
)

// writeParquet writes the table with Snappy, which every reader of Parquet has (https://parquet.apache.org/docs/file-format/).
func writeParquet(ctx context.Context, c *Catalog, w io.Writer, opt Options) error {
	pw := parquet.NewGenericWriter[parquetRow](w, parquet.Compression(&snappy.Codec{}), parquet.MaxRowsPerRowGroup(parquetGroup), parquet.CreatedBy("rapsheet", "", ""))
	rows := make([]parquetRow, 0, parquetBatch)
	for _, r := range c.Records() {
		if err := ctx.Err(); err != nil {
			return err
		}
		row, err := newParquetRow(r, opt.Links)
		if err != nil {
			return err
		}
		if rows = append(rows, row); len(rows) == parquetBatch {
			if _, err := pw.Write(rows); err != nil {
				return err
			}
			rows = rows[:0]
		}
	}
	if _, err := pw.Write(rows); err != nil {
		return err
	}
	return pw.Close()
}

func newParquetRow(r Record, links advisory.Links) (parquetRow, error) {
	rec, _, err := osv.Parse(r.JSON)
	if err != nil {
		return parquetRow{}, fmt.Errorf("record %s: %w", r.ID, err)
	}
	row := parquetRow{ID: r.ID, Ecosystem: r.Key.Ecosystem, Name: rec.Affected[r.part].Package.Name, State: r.state(), Campaign: Campaign(rec), Aliases: rec.Aliases, OSV: string(r.JSON)}
	one := *rec
	one.Affected, one.Withdrawn = rec.Affected[r.part:r.part+1], "" // the state has a column of its own
	for _, a := range advisory.Of(&one, links) {
		row.PURL, row.All, row.Versions, row.Title, row.URL = a.PURL, a.All, a.Versions, a.Title, a.URL
		for _, s := range a.Spans {
			row.Ranges = append(row.Ranges, parquetRange{s.From, s.To, s.Including})
		}
		if !a.Published.IsZero() {
			row.Published = &a.Published
		}
		if !a.Modified.IsZero() {
			row.Modified = &a.Modified
		}
	}
	return row, nil
}
