package export

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet/osv"
)

// listFormats are those for people and scripts.
var listFormats = []Format{
	{Name: "jsonl", About: "one OSV record per line, withdrawn ones too", File: writeJSONL},
	{Name: "csv", About: "a table with a row per record, withdrawn ones too, that `catalog import` reads back", File: writeCSV},
	{Name: "lines", About: `"ecosystem:name@version", a line per version, "*" for every version`, File: writeLines},
}

func writeJSONL(ctx context.Context, c *Catalog, w io.Writer, _ Options) error {
	bw := bufio.NewWriterSize(w, 64<<10)
	for _, r := range c.Documents() {
		if err := ctx.Err(); err != nil {
			return err
		}
		bw.Write(r.JSON)
		if err := bw.WriteByte('\n'); err != nil {
			return err
		}
	}
	return bw.Flush()
}

// writeCSV writes RFC 4180 with the columns that `catalog import` reads back.
func writeCSV(ctx context.Context, c *Catalog, w io.Writer, _ Options) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"id", "ecosystem", "name", "versions", "purl", "state", "campaign", "published", "modified"}); err != nil {
		return err
	}
	for _, r := range c.Documents() {
		if err := ctx.Err(); err != nil {
			return err
		}
		doc, _, err := osv.Parse(r.JSON)
		if err != nil {
			return fmt.Errorf("record %s: %w", r.ID, err)
		}
		for i := range doc.Affected {
			a := &doc.Affected[i]
			err = out.Write([]string{
				r.ID, a.Package.Ecosystem, a.Package.Name, strings.Join(versionWords(a), " "), a.Package.PURL,
				r.state(), Campaign(doc), string(doc.Published), string(doc.Modified),
			})
			if err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

func writeLines(ctx context.Context, c *Catalog, w io.Writer, _ Options) error {
	bw := bufio.NewWriterSize(w, 64<<10)
	for _, r := range c.Documents() {
		if err := ctx.Err(); err != nil {
			return err
		}
		doc, _, err := osv.Parse(r.JSON)
		if err != nil {
			return fmt.Errorf("record %s: %w", r.ID, err)
		}
		for i := range doc.Affected {
			a := &doc.Affected[i]
			for _, v := range versionWords(a) {
				if _, err := fmt.Fprintf(bw, "%s:%s@%s\n", a.Package.Ecosystem, a.Package.Name, v); err != nil {
					return err
				}
			}
		}
	}
	return bw.Flush()
}

// state is the word of `rapsheet catalog status` for a record.
func (r Record) state() string {
	switch {
	case r.Disputed:
		return "disputed"
	case r.Withdrawn:
		return "withdrawn"
	}
	return "in force"
}

// Campaign is the attack that a record of ours belongs to (docs/catalog.md), "" for none.
func Campaign(rec *osv.Record) string {
	var db struct {
		Campaign string `json:"campaign"`
	}
	if json.Unmarshal(rec.DatabaseSpecific, &db) != nil {
		return ""
	}
	return db.Campaign
}

// versionWords lists exact versions, and ranges as lists write them.
func versionWords(a *osv.Affected) []string {
	out := slices.Clone(a.Versions)
	for _, g := range a.Ranges {
		if g.Type == osv.RangeGit {
			continue
		}
		text := ""
		for _, e := range g.Events {
			switch {
			case e.Introduced != "" && e.Introduced != "0":
				text += ",>=" + e.Introduced
			case e.Fixed != "":
				text += ",<" + e.Fixed
			case e.LastAffected != "":
				text += ",<=" + e.LastAffected
			}
		}
		if text == "" {
			text = ",*"
		}
		out = append(out, text[1:])
	}
	return out
}
