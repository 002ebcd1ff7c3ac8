package export

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/rapsheet/rapsheet/internal/advisory"
)

// RustSec's database (https://github.com/rustsec/advisory-db): crates/<name>/<id>.md, a block of TOML before the title. The
// crate rustsec takes a version for vulnerable that is in no range of patched or unaffected, reads ranges of at most two
// comparisons that do not overlap, and refuses the whole database for one file that it cannot read.
var rustFormats = []Format{{
	Name: "rustsec", About: "the tree of RustSec's advisory-db, for cargo audit --db and cargo deny",
	Over: "a checkout of advisory-db", Tree: writeRustSec,
}}

type rustAdvisory struct {
	Advisory struct {
		ID            string   `toml:"id"`
		Package       string   `toml:"package"`
		Date          string   `toml:"date"`
		URL           string   `toml:"url"`
		Categories    []string `toml:"categories"`
		ExpectDeleted bool     `toml:"expect-deleted"`
		References    []string `toml:"references"`
	} `toml:"advisory"`
	Versions struct {
		Patched    []string `toml:"patched"`
		Unaffected []string `toml:"unaffected,omitempty"`
	} `toml:"versions"`
}

func writeRustSec(ctx context.Context, c *Catalog, dir *os.Root, opt Options) error {
	if err := dir.MkdirAll("crates", 0o755); err != nil {
		return err
	}
	if opt.Over != "" {
		if err := copyOver(ctx, opt.Over, dir, "crates"); err != nil {
			return err
		}
	}
	for a, err := range c.Advisories(ctx, opt.Links, "crates.io") {
		if err != nil {
			return err
		}
		spans := a.Merged(rustVersion)
		if len(spans) == 0 || !portableName(a.Name) {
			continue
		}
		data, err := rustFile(a, spans, c.Date)
		if err != nil {
			return err
		}
		if err := add(dir, "crates/"+a.Name+"/"+a.ID+".md", data); err != nil {
			return err
		}
	}
	return nil
}

// rustVersion reports whether the crate semver can hold v: its numbers have 64 bits, and rustsec adds one to the last.
func rustVersion(v string) bool {
	core, _, _ := strings.Cut(semverText(v), "-")
	for n := range strings.SplitSeq(core, ".") {
		if _, err := strconv.ParseInt(n, 10, 64); err != nil {
			return false
		}
	}
	return true
}

func rustFile(a *advisory.Advisory, spans []advisory.Span, date time.Time) ([]byte, error) {
	var f rustAdvisory
	f.Advisory.ID, f.Advisory.Package, f.Advisory.URL = a.ID, a.Name, a.URL
	f.Advisory.Date, f.Advisory.ExpectDeleted = day(a, date), true
	f.Advisory.Categories, f.Advisory.References = []string{"malicious"}, []string{}
	f.Versions.Patched, f.Versions.Unaffected = []string{}, advisory.Outside(spans, semverText, ", ")
	var buf bytes.Buffer
	buf.WriteString("```toml\n")
	enc := toml.NewEncoder(&buf)
	enc.Indent = ""
	if err := enc.Encode(f); err != nil {
		return nil, err
	}
	fmt.Fprintf(&buf, "```\n\n# %s\n", a.Title)
	// Indented, and so in no way Markdown: the text is the reporter's, and may be an attacker's.
	first := true
	for line := range strings.Lines(plain(a.Record.Details)) {
		if first {
			buf.WriteByte('\n')
			first = false
		}
		buf.WriteString("    " + strings.TrimRight(line, "\n") + "\n")
	}
	return buf.Bytes(), nil
}
