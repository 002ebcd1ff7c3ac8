package export

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/osv"
)

// listFormats are those for people and scripts.
var listFormats = []Format{
	{Name: "jsonl", About: "one OSV record per line, withdrawn ones too", File: writeJSONL},
	{Name: "csv", About: "a table with a row per record, withdrawn ones too, that `catalog import` reads back", File: writeCSV},
	{Name: "spreadsheet", About: "the same table for spreadsheet programs: no cell can be taken for a formula", File: writeSpreadsheet},
	{Name: "purls", About: "a purl per version, without a version for every version", File: writePURLs},
	{Name: "parquet", About: "a table with a row per package of a record, for Trino, Spark, DuckDB, BigQuery", File: writeParquet},
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

// writeCSV writes RFC 4180 with the columns that `catalog import` reads back. Names of npm scopes begin with "@", which
// spreadsheet programs may take for a formula: writeSpreadsheet is for those.
func writeCSV(ctx context.Context, c *Catalog, w io.Writer, _ Options) error {
	return writeTable(ctx, c, w, func(cell string) string { return cell })
}

// writeSpreadsheet puts an apostrophe before what a spreadsheet program would take for a formula
// (https://owasp.org/www-community/attacks/CSV_Injection), and a byte order mark before all, by which they know UTF-8.
func writeSpreadsheet(ctx context.Context, c *Catalog, w io.Writer, _ Options) error {
	if _, err := io.WriteString(w, "\ufeff"); err != nil {
		return err
	}
	return writeTable(ctx, c, w, func(cell string) string {
		if cell != "" && strings.ContainsRune("=+-@\t\r＝＋－＠", firstRune(cell)) {
			return "'" + cell
		}
		return cell
	})
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

func writeTable(ctx context.Context, c *Catalog, w io.Writer, safe func(string) string) error {
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
			purl := ecosystem.PURL(rapsheet.Package{Ecosystem: a.Package.Ecosystem, Name: a.Package.Name})
			row := []string{
				r.ID, a.Package.Ecosystem, a.Package.Name, strings.Join(versionWords(a), " "), cmp.Or(a.Package.PURL, purl),
				r.state(), Campaign(doc), string(doc.Published), string(doc.Modified),
			}
			for i, cell := range row {
				row[i] = safe(cell)
			}
			if err := out.Write(row); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

func writePURLs(ctx context.Context, c *Catalog, w io.Writer, opt Options) error {
	bw := bufio.NewWriterSize(w, 64<<10)
	for a, err := range c.Advisories(ctx, opt.Links) {
		if err != nil {
			return err
		}
		for _, p := range purls(a, &opt) {
			bw.WriteString(p)
			if err := bw.WriteByte('\n'); err != nil {
				return err
			}
		}
	}
	return bw.Flush()
}

// purls names the versions of a as purls: one without a version is every version. What no purl can say is left out.
func purls(a *advisory.Advisory, opt *Options) []string {
	if a.PURL == "" {
		opt.leave(a, "their ecosystem has no purl")
		return nil
	}
	if a.All {
		return []string{a.PURL}
	}
	versions, ok := single(a, opt)
	if !ok {
		return nil
	}
	out := make([]string, 0, len(versions))
	for _, v := range versions {
		if a.Key.Ecosystem == "Go" { // records leave the "v" out, purls have it
			v = "v" + strings.TrimPrefix(v, "v")
		}
		out = append(out, ecosystem.PURL(rapsheet.Package{Ecosystem: a.Key.Ecosystem, Name: a.Name, Version: v}))
	}
	return out
}

func writeLines(ctx context.Context, c *Catalog, w io.Writer, _ Options) error {
	bw := bufio.NewWriterSize(w, 64<<10)
	for _, r := range c.Documents() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.Withdrawn { // which a line cannot say
			continue
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

// versionWords lists exact versions, and runs of versions as lists write them: a word for each, of comparisons that all hold.
func versionWords(a *osv.Affected) []string {
	out := slices.Clone(a.Versions)
	for _, g := range a.Ranges {
		if g.Type == osv.RangeGit {
			continue
		}
		var run []string // nil outside of one, empty from the first version on
		flush := func() {
			if run != nil {
				out, run = append(out, cmp.Or(strings.Join(run, ","), "*")), nil
			}
		}
		for _, e := range g.Events {
			switch {
			case e.Introduced != "":
				flush()
				run = []string{}
				if e.Introduced != "0" {
					run = append(run, ">="+e.Introduced)
				}
			case e.Fixed != "":
				run = append(run, "<"+e.Fixed)
			case e.LastAffected != "":
				run = append(run, "<="+e.LastAffected)
			case e.Limit != "" && e.Limit != "*":
				run = append(run, "<"+e.Limit)
			}
		}
		flush()
	}
	return out
}
