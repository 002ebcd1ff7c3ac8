package publish

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet/internal/lint"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/osv"
)

// upstreamEcosystems are those that ossf/malicious-packages takes reports about
// (its internal/report/validate.go).
var upstreamEcosystems = map[string]bool{
	"Alpine": true, "crates.io": true, "Debian": true, "GitHub Actions": true, "Go": true, "Hex": true, "Maven": true, "npm": true,
	"NuGet": true, "OSS-Fuzz": true, "Packagist": true, "PyPI": true, "RubyGems": true, "Ubuntu": true, "VSCode": true,
}

// What upstream's own program writes into texts; a new report must not have it.
const (
	detailsMark = "_-= Per source details. Do not edit below this line.=-_"
	creditMark  = "Credit: [OpenSSF](https://github.com/ossf/malicious-packages)"
)

var (
	runs        = regexp.MustCompile(`[ \/_-]+`)
	numbered    = regexp.MustCompile(`^MAL-[0-9]{4}-[0-9]+$`)
	originName  = regexp.MustCompile(`^[a-z0-9-]+$`)
	sourceTitle = regexp.MustCompile(`(?m)^## Source: .*\n?`)
	movingTag   = regexp.MustCompile(`^(v?[0-9]+|latest|main|master|head|dev|nightly|canary|trunk|stable)$`)
)

// report is a new report in upstream's form: OSV without id, summary, severity and withdrawal.
type report struct {
	SchemaVersion    string          `json:"schema_version,omitzero"`
	Modified         osv.Timestamp   `json:"modified"`
	Published        osv.Timestamp   `json:"published,omitzero"`
	Aliases          []string        `json:"aliases,omitzero"`
	Related          []string        `json:"related,omitzero"`
	Details          string          `json:"details,omitzero"`
	Affected         []osv.Affected  `json:"affected"`
	References       []osv.Reference `json:"references,omitzero"`
	Credits          []osv.Credit    `json:"credits,omitzero"`
	DatabaseSpecific jsontext.Value  `json:"database_specific,omitzero"`
}

// UpstreamReport gives a served record as a new report to ossf/malicious-packages:
// its slash-separated path in their repository, which is local
// ([filepath.IsLocal]) and without control characters, and its content. Our own material
// (database_specific but for malicious-packages-origins and iocs, severity) is left
// out. The error is one printable line that says which of their rules
// (https://github.com/ossf/malicious-packages, internal/report/validate.go) is not met.
func UpstreamReport(r *osv.Record) (string, []byte, error) {
	if numbered.MatchString(r.ID) && !strings.HasPrefix(r.ID, "MAL-0000-") {
		return "", nil, errors.New("upstream has the record already")
	}
	if r.IsWithdrawn() {
		return "", nil, errors.New("a withdrawn record is no new report")
	}
	if len(r.Affected) != 1 {
		return "", nil, fmt.Errorf("%d affected packages instead of one", len(r.Affected))
	}
	a := r.Affected[0]
	name, err := upstreamPath(r.ID, a.Package)
	if err != nil {
		return "", nil, err
	}
	if len(r.Credits) == 0 && len(r.References) == 0 {
		return "", nil, errors.New("neither credits nor references")
	}
	if a.Package.Ecosystem == "GitHub Actions" {
		if err := checkAction(&a); err != nil {
			return "", nil, err
		}
	}
	a.Severity, a.EcosystemSpecific, a.Unknown = nil, nil, nil
	// A purl is welcome and not needed; one that they read as another name would have the report refused.
	if lint.UpstreamPURL(a.Package.PURL, a.Package.Ecosystem, a.Package.Name) != "" {
		a.Package.PURL = ""
	}
	if a.DatabaseSpecific, err = only(a.DatabaseSpecific, "cwes", "indicators", "iocs", "ghsa"); err != nil {
		return "", nil, err
	}
	out := report{
		SchemaVersion: r.SchemaVersion, Modified: r.Modified, Published: r.Published, Aliases: r.Aliases, Related: r.Related,
		Details: details(r.Details), Affected: []osv.Affected{a}, References: r.References, Credits: r.Credits,
	}
	if strings.Contains(out.Details, creditMark) {
		return "", nil, errors.New("the details have upstream's own credit")
	}
	if out.DatabaseSpecific, err = only(r.DatabaseSpecific, "malicious-packages-origins", "iocs"); err != nil {
		return "", nil, err
	}
	if err := checkOrigins(out.DatabaseSpecific); err != nil {
		return "", nil, err
	}
	data, err := json.Marshal(out, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return "", nil, errors.New("the report cannot be written as JSON")
	}
	return name, append(data, '\n'), nil
}

// upstreamPath gives osv/malicious/<ecosystem>/<name>/MAL-0000-<slug>.json. Two
// names that differ only in case share a directory; the file's name is the id,
// so they do not share a file.
func upstreamPath(id string, p osv.Package) (string, error) {
	if err := checkID(id); err != nil {
		return "", err
	}
	base, suffix, _ := strings.Cut(p.Ecosystem, ":")
	if !upstreamEcosystems[base] {
		return "", fmt.Errorf("upstream takes no reports about %s", printable.Cut(p.Ecosystem, 80))
	}
	if strings.HasPrefix(suffix, "https://") && (base == "Maven" || base == "VSCode") {
		suffix = ""
	}
	eco := base
	if suffix != "" {
		eco += ":" + suffix
	}
	eco = strings.ToLower(runs.ReplaceAllString(eco, "-"))
	full := eco + "/" + strings.ToLower(p.Name)
	if !utf8.ValidString(full) || strings.ContainsFunc(full, unicode.IsControl) {
		return "", fmt.Errorf("the name %s of %s has control characters", printable.Cut(p.Name, 80), printable.Cut(p.Ecosystem, 80))
	}
	for part := range strings.SplitSeq(full, "/") {
		switch {
		case part == "", part == ".", part == "..", len(part) > 255:
			return "", fmt.Errorf("the name %s cannot be a path", printable.Cut(p.Name, 80))
		case strings.HasPrefix(part, "mal-0000-") && strings.HasSuffix(part, ".json"):
			// A directory of this name would be in the way of a report.
			return "", fmt.Errorf("the name %s is that of a report", printable.Cut(p.Name, 80))
		}
	}
	if !filepath.IsLocal(filepath.FromSlash(full)) || path.Clean(full) != full || strings.Contains(full, `\`) {
		return "", fmt.Errorf("the name %s cannot be a path", printable.Cut(p.Name, 80))
	}
	slug, ours := strings.CutPrefix(id, "MAL-0000-")
	if !ours {
		slug = strings.TrimPrefix(id, "MAL-")
	}
	if slug == "" {
		return "", errors.New("the id is only a prefix")
	}
	return path.Join("osv", "malicious", full, "MAL-0000-"+slug+".json"), nil
}

// checkAction holds an action to upstream's rules: owner/repo, and versions that stay what they are.
func checkAction(a *osv.Affected) error {
	if strings.Count(a.Package.Name, "/") != 1 || strings.HasSuffix(a.Package.Name, ".git") {
		return fmt.Errorf("the action %s is not owner/repo", printable.Cut(a.Package.Name, 80))
	}
	for _, v := range a.Versions {
		if movingTag.MatchString(v) {
			return fmt.Errorf("the version %s is a tag that moves", printable.Cut(v, 80))
		}
	}
	return nil
}

// details gives the text without what upstream's program adds: what stands before
// the mark, or, where a record has only the texts of its sources, those without their titles.
func details(s string) string {
	text, sources, marked := strings.Cut(s, detailsMark)
	if !marked {
		return s
	}
	text = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "---"))
	if text == "" {
		text = strings.TrimSpace(sourceTitle.ReplaceAllString(strings.ReplaceAll(sources, detailsMark, ""), ""))
	}
	if text == "" {
		return ""
	}
	return text + "\n"
}

// only gives an object with those of its members that are named, nil when none is there.
func only(v jsontext.Value, members ...string) (jsontext.Value, error) {
	if len(v) == 0 {
		return nil, nil
	}
	var all map[string]jsontext.Value
	if err := json.Unmarshal(v, &all); err != nil {
		return nil, errors.New("database_specific is not an object")
	}
	kept := map[string]jsontext.Value{}
	for _, name := range members {
		if x, ok := all[name]; ok {
			kept[name] = x
		}
	}
	if len(kept) == 0 {
		return nil, nil
	}
	return json.Marshal(kept, json.Deterministic(true))
}

// checkOrigins holds malicious-packages-origins to upstream's shape.
func checkOrigins(v jsontext.Value) error {
	if !bytes.Contains(v, []byte(`"malicious-packages-origins"`)) {
		return nil
	}
	var db struct {
		Origins []struct {
			Source string `json:"source"`
			SHA256 string `json:"sha256"`
		} `json:"malicious-packages-origins"`
	}
	if err := json.Unmarshal(v, &db); err != nil {
		return errors.New("malicious-packages-origins is not a list of origins")
	}
	for _, o := range db.Origins {
		if sum, err := hex.DecodeString(o.SHA256); err != nil || len(sum) != 32 || !originName.MatchString(o.Source) {
			return fmt.Errorf("the origin %s has no SHA-256 or a name that is not of a-z, 0-9 and -", printable.Cut(o.Source, 80))
		}
	}
	return nil
}
