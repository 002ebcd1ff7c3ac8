// Package builtin is the list inside the program: the well-known incidents of
// open-source registries since 2017, so that the first scan, before any catalog
// was fetched, is not an empty promise. It is no substitute for a catalog.
//
// Flow: each file in incidents describes one incident in a small format of its
// own ([Incident]) that a person can read and review; [Records] turns the
// packages of all of them into OSV records.
//
// Promise: facts only. An id of the form MAL-20xx-n is the one that
// github.com/ossf/malicious-packages gave to that very package; everything else
// has an id of our own block, MAL-0000-rapsheet-NNNN, which is never used twice.
// Versions are the ones that an advisory, the affected project or a published
// list names. An incident is left out where a version number does not tell the
// bad copy from a good one: where tags were moved and moved back, only a package
// that is identified by its commit is listed.
package builtin

import (
	"embed"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet/osv"
)

//go:embed incidents/*.json
var files embed.FS

// Incident is one file: "incidents/<year>-<campaign>.json". Members that are not
// listed here, missing ones, and duplicate ones are errors.
type Incident struct {
	// Campaign names the incident: lower-case letters, digits, "-" and ".".
	Campaign string `json:"campaign"`
	// Date is the day on which it became known, "2018-11-26".
	Date string `json:"date"`
	// Summary is one line, Details one or two sentences on what the code does.
	Summary string `json:"summary"`
	Details string `json:"details"`
	// References are absolute https URLs, at least one.
	References []string `json:"references"`
	// Packages are sorted by ecosystem and name.
	Packages []Package `json:"packages"`
}

// Package is one package of an incident, and becomes one record.
type Package struct {
	// Ecosystem is the OSV ecosystem, Name the package as published (PyPI: normalised).
	Ecosystem string `json:"ecosystem"`
	Name      string `json:"name"`
	// Versions are the malicious ones; none means every version, which is said
	// only of packages that their attacker made.
	Versions []string `json:"versions,omitzero"`
	// ID is upstream's id where it is known, else one of our own block.
	ID string `json:"id"`
	// Aliases are ids of the same thing elsewhere: GHSA-…, CVE-…, PYSEC-….
	Aliases []string `json:"aliases,omitzero"`
}

// schemaVersion is the OSV schema that the records follow.
const schemaVersion = "1.7.4"

var (
	campaignForm = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)
	idForm       = regexp.MustCompile(`^MAL-(20[0-9]{2}-[1-9][0-9]*|0000-rapsheet-[0-9]{4})$`)
	aliasForm    = regexp.MustCompile(`^(GHSA(-[23456789cfghjmpqrvwx]{4}){3}|CVE-[0-9]{4}-[0-9]{4,}|PYSEC-[0-9]{4}-[0-9]+)$`)
)

// Records yields the built-in records, each freshly made, in the order of the
// files and of the packages in them. An error names the file and ends the
// sequence; the embedded files are tested, so it is a defect of the build.
func Records() iter.Seq2[*osv.Record, error] {
	return func(yield func(*osv.Record, error) bool) {
		names, err := fs.Glob(files, "incidents/*.json")
		if err != nil {
			yield(nil, fmt.Errorf("list built-in incidents: %w", err))
			return
		}
		for _, name := range names {
			records, err := read(name)
			if err != nil {
				yield(nil, fmt.Errorf("built-in incident %s: %w", path.Base(name), err))
				return
			}
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

func read(name string) ([]*osv.Record, error) {
	data, err := files.ReadFile(name)
	if err != nil {
		return nil, err
	}
	in, err := Parse(data)
	if err != nil {
		return nil, err
	}
	if want := in.Date[:len("2006")] + "-" + in.Campaign + ".json"; path.Base(name) != want {
		return nil, fmt.Errorf("the file should be named %s", want)
	}
	return in.Records()
}

// Parse reads one incident file strictly and checks every rule of the format
// that can be checked without other files.
func Parse(data []byte) (*Incident, error) {
	var in Incident
	if err := json.Unmarshal(data, &in, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	return &in, nil
}

func (in *Incident) check() error {
	if !campaignForm.MatchString(in.Campaign) {
		return fmt.Errorf("campaign %q is not lower-case words joined by hyphens or dots", in.Campaign)
	}
	if _, err := time.Parse(time.DateOnly, in.Date); err != nil {
		return fmt.Errorf("date %q is not a day like 2018-11-26", in.Date)
	}
	if in.Summary == "" || in.Details == "" {
		return fmt.Errorf("summary and details must say something")
	}
	if len(in.References) == 0 || len(in.Packages) == 0 {
		return fmt.Errorf("there must be at least one reference and one package")
	}
	for _, ref := range in.References {
		if !strings.HasPrefix(ref, "https://") || strings.ContainsAny(ref, " \t\r\n\"<>") {
			return fmt.Errorf("reference %q is not an https URL", ref)
		}
	}
	for i := range in.Packages {
		p := &in.Packages[i]
		if err := p.check(); err != nil {
			return fmt.Errorf("package %q: %w", p.Name, err)
		}
		if i > 0 && !in.Packages[i-1].before(p) {
			return fmt.Errorf("package %q is listed twice or out of order", p.Name)
		}
	}
	return nil
}

func (p *Package) before(q *Package) bool {
	if p.Ecosystem != q.Ecosystem {
		return p.Ecosystem < q.Ecosystem
	}
	return p.Name < q.Name
}

func (p *Package) check() error {
	if !idForm.MatchString(p.ID) {
		return fmt.Errorf("id %q is neither MAL-20xx-n nor MAL-0000-rapsheet-NNNN", p.ID)
	}
	for _, a := range p.Aliases {
		if !aliasForm.MatchString(a) {
			return fmt.Errorf("alias %q is not a GHSA, CVE or PYSEC id", a)
		}
	}
	seen := make(map[string]bool, len(p.Versions))
	for _, v := range p.Versions {
		if v == "" || strings.TrimSpace(v) != v || seen[v] {
			return fmt.Errorf("version %q is empty, padded or listed twice", v)
		}
		seen[v] = true
	}
	// govulncheck reads ranges only (https://go.dev/doc/security/vuln/database),
	// and a list of Go versions would need one for each.
	if p.Ecosystem == "Go" && len(p.Versions) > 0 {
		return fmt.Errorf("versions of a Go module cannot be listed here")
	}
	_, err := purl(p.Ecosystem, p.Name)
	return err
}

// Records makes the OSV record of each package. It fails where a package's
// ecosystem or name cannot be written as a package URL.
func (in *Incident) Records() ([]*osv.Record, error) {
	campaign, err := json.Marshal(struct {
		Campaign string `json:"campaign"`
	}{in.Campaign})
	if err != nil {
		return nil, err
	}
	at := osv.Timestamp(in.Date + "T00:00:00Z")
	records := make([]*osv.Record, len(in.Packages))
	for i, p := range in.Packages {
		url, err := purl(p.Ecosystem, p.Name)
		if err != nil {
			return nil, fmt.Errorf("package %q: %w", p.Name, err)
		}
		affected := osv.Affected{
			Package:  osv.Package{Ecosystem: p.Ecosystem, Name: p.Name, PURL: url},
			Versions: p.Versions,
		}
		if len(p.Versions) == 0 {
			affected.Ranges = []osv.Range{{
				Type:   rangeType(p.Ecosystem),
				Events: []osv.Event{{Introduced: "0"}},
			}}
		}
		records[i] = &osv.Record{
			SchemaVersion:    schemaVersion,
			ID:               p.ID,
			Modified:         at,
			Published:        at,
			Aliases:          p.Aliases,
			Summary:          "Malicious code in " + p.Name + " (" + p.Ecosystem + ")",
			Details:          in.Summary + ".\n\n" + in.Details,
			Affected:         []osv.Affected{affected},
			References:       in.references(&p),
			DatabaseSpecific: jsontext.Value(campaign),
		}
	}
	return records, nil
}

// references gives the incident's references after the package's own advisory.
// There is at most one ADVISORY: tools show the first one they find.
func (in *Incident) references(p *Package) []osv.Reference {
	var refs []osv.Reference
	if a := p.advisory(); a != "" {
		refs = append(refs, osv.Reference{Type: "ADVISORY", URL: a})
	}
	for _, r := range in.References {
		if len(refs) == 0 || refs[0].URL != r {
			refs = append(refs, osv.Reference{Type: "WEB", URL: r})
		}
	}
	return refs
}

func (p *Package) advisory() string {
	for _, a := range p.Aliases {
		if strings.HasPrefix(a, "GHSA-") {
			return "https://github.com/advisories/" + a
		}
	}
	if strings.HasPrefix(p.ID, "MAL-20") {
		return "https://osv.dev/vulnerability/" + p.ID
	}
	if len(p.Aliases) > 0 {
		return "https://osv.dev/vulnerability/" + p.Aliases[0]
	}
	return ""
}
