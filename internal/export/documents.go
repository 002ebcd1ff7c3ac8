package export

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/osv"
)

// documentFormats are those of advisories as documents: one per record in a tree, or all in one.
var documentFormats = []Format{
	{Name: "cve", About: "a CNA container of CVE JSON 5.1 per record, for who assigns CVE ids; there are none in it", Tree: writeCVE},
	{Name: "gsd", About: "a document of the Global Security Database per record, by the record's own id", Tree: writeGSD},
	{Name: "csaf", About: "a CSAF 2.0 security advisory per record", Needs: "--links", Tree: writeCSAF},
	{Name: "openvex", About: "one OpenVEX 0.2.0 document", Needs: "--links", File: writeOpenVEX},
	{Name: "vdr", About: "one CycloneDX 1.6 vulnerability disclosure report", File: writeVDR},
}

const (
	whyFileName = "the ids cannot be names of files"
	// maxText bounds descriptions of documents, in bytes; CVE's schema has 4,096 characters.
	maxText = 4096
	// action is what somebody who has the package is told; nothing more is known of every one of them.
	action = "Remove the package. What ran it, and every secret that it could read, has to be taken as compromised."
)

// description is the record's text, or its title where there is none.
func description(a *advisory.Advisory) string {
	text := strings.ToValidUTF8(strings.TrimSpace(a.Record.Details), "\uFFFD")
	if text == "" {
		text = a.Title
	}
	if len(text) <= maxText {
		return text
	}
	cut := maxText - len(osv.ClipMarker)
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + osv.ClipMarker
}

// eachDocument makes a file for every record in force, in a directory for the thousand that its number is in, so that no
// directory has too many. The advisories of a record about several packages come together.
func eachDocument(ctx context.Context, c *Catalog, dir *os.Root, opt *Options, fileName func(id string) string, write func(w io.Writer, r Record, of []*advisory.Advisory) error) error {
	made := map[string]bool{}
	for _, part := range slices.Collect(slices.Chunk(c.Documents(), 1024)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, r := range part {
			if r.Withdrawn {
				continue
			}
			rec, _, err := osv.Parse(r.JSON)
			if err != nil {
				return fmt.Errorf("record %s: %w", r.ID, err)
			}
			var of []*advisory.Advisory
			for _, a := range advisory.Of(rec, opt.Links) {
				of = append(of, &a)
			}
			if len(of) == 0 {
				continue
			}
			name := fileName(r.ID)
			if !fs.ValidPath(name) || strings.ContainsAny(name, `/\:`) {
				opt.leave(of[0], whyFileName)
				continue
			}
			sub := thousand(r.ID)
			if !made[sub] {
				if err := dir.MkdirAll(sub, 0o755); err != nil {
					return err
				}
				made[sub] = true
			}
			if err := create(dir, sub+"/"+name, func(w io.Writer) error { return write(w, r, of) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// thousand is the directory of an id: "2024/1xxx" for MAL-2024-1678, "other" for an id of another shape.
func thousand(id string) string {
	parts := strings.Split(id, "-")
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	if n := len(parts); n >= 3 && digits(parts[n-2]) && len(parts[n-2]) == 4 && digits(parts[n-1]) {
		number := parts[n-1]
		return parts[n-2] + "/" + cmp.Or(number[:max(0, len(number)-3)], "0") + "xxx"
	}
	return "other"
}

func plainName(id string) string { return id + ".json" }

// collections are the addresses of package collections as CVE records have them
// (https://github.com/CVEProject/cve-schema, "collectionURL").
var collections = map[string]string{
	"npm": "https://registry.npmjs.org", "PyPI": "https://pypi.org", "RubyGems": "https://rubygems.org", "Go": "https://pkg.go.dev",
	"crates.io": "https://crates.io", "Maven": "https://repo.maven.apache.org/maven2", "NuGet": "https://www.nuget.org", "Packagist": "https://packagist.org",
	"Hex": "https://hex.pm", "Pub": "https://pub.dev", "VSCode": "https://marketplace.visualstudio.com", "SwiftURL": "https://swiftpackageindex.com",
	"GitHub Actions": "https://github.com/marketplace/actions", "CRAN": "https://cran.r-project.org", "Hackage": "https://hackage.haskell.org",
}

// cveVersionTypes are the orders that CVE records name; "custom" is any other.
var cveVersionTypes = map[string]string{"npm": "semver", "Go": "semver", "crates.io": "semver", "Hex": "semver", "PyPI": "python", "Maven": "maven"}

type cveVersion struct {
	Version         string `json:"version"`
	Status          string `json:"status"`
	VersionType     string `json:"versionType,omitempty"`
	LessThan        string `json:"lessThan,omitempty"`
	LessThanOrEqual string `json:"lessThanOrEqual,omitempty"`
}

type cveAffected struct {
	CollectionURL string       `json:"collectionURL"`
	PackageName   string       `json:"packageName"`
	DefaultStatus string       `json:"defaultStatus"`
	Versions      []cveVersion `json:"versions,omitempty"`
}

// writeCVE writes what POST /cve/{id}/cna of CVE Services takes
// (https://github.com/CVEProject/cve-schema, 5.1; the service adds who provides it). An id of a CVE is nowhere in it: only a
// CNA gives those.
func writeCVE(ctx context.Context, c *Catalog, dir *os.Root, opt Options) error {
	type text struct {
		Lang  string `json:"lang"`
		Value string `json:"value"`
	}
	type reference struct {
		URL  string   `json:"url"`
		Tags []string `json:"tags,omitempty"`
	}
	type problem struct {
		Type        string `json:"type"`
		CWE         string `json:"cweId"`
		Lang        string `json:"lang"`
		Description string `json:"description"`
	}
	type problemType struct {
		Descriptions []problem `json:"descriptions"`
	}
	type container struct {
		Title        string        `json:"title"`
		DatePublic   *time.Time    `json:"datePublic,omitempty"`
		Affected     []cveAffected `json:"affected"`
		Descriptions []text        `json:"descriptions"`
		ProblemTypes []problemType `json:"problemTypes"`
		References   []reference   `json:"references"`
		Tags         []string      `json:"tags,omitempty"`
	}
	return eachDocument(ctx, c, dir, &opt, plainName, func(w io.Writer, r Record, of []*advisory.Advisory) error {
		a := of[0]
		cna := container{
			Title: a.Title, Descriptions: []text{{"en", description(a)}}, References: []reference{{a.URL, []string{"third-party-advisory"}}},
			ProblemTypes: []problemType{{[]problem{{"CWE", "CWE-506", "en", "CWE-506 Embedded Malicious Code"}}}},
		}
		if !a.Published.IsZero() {
			cna.DatePublic = &a.Published
		}
		for _, a := range of {
			cna.Affected = append(cna.Affected, newCVEAffected(a))
		}
		return writeJSON(w, map[string]any{"cnaContainer": cna})
	})
}

func newCVEAffected(a *advisory.Advisory) cveAffected {
	out := cveAffected{CollectionURL: cmp.Or(collections[a.Key.Ecosystem], "https://osv.dev/list?ecosystem="+url.QueryEscape(a.Key.Ecosystem)), PackageName: a.Name, DefaultStatus: "unaffected"}
	if a.All {
		out.DefaultStatus = "affected"
		return out
	}
	kind := cmp.Or(cveVersionTypes[a.Key.Ecosystem], "custom")
	for _, v := range a.Versions {
		out.Versions = append(out.Versions, cveVersion{Version: v, Status: "affected"})
	}
	for _, s := range a.Spans {
		v := cveVersion{Version: cmp.Or(s.From, "0"), Status: "affected", VersionType: kind}
		switch {
		case s.To == "":
			v.LessThanOrEqual = "*"
		case s.Including:
			v.LessThanOrEqual = s.To
		default:
			v.LessThan = s.To
		}
		out.Versions = append(out.Versions, v)
	}
	return out
}

// writeGSD writes the record under the namespace of its format
// (https://github.com/cloudsecurityalliance/gsd-database). A GSD id is that database's to give: the file is called after the record.
func writeGSD(ctx context.Context, c *Catalog, dir *os.Root, opt Options) error {
	return eachDocument(ctx, c, dir, &opt, plainName, func(w io.Writer, r Record, _ []*advisory.Advisory) error {
		_, err := fmt.Fprintf(w, "{\"OSV\":%s}\n", r.JSON)
		return err
	})
}

// csafName is the name that CSAF 2.0, section 5.1, prescribes for a document: its id in small letters, "_" for every run of
// other characters than letters, digits, "+" and "-".
func csafName(id string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(id) {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '+', r == '-':
			b.WriteRune(r)
		case !strings.HasSuffix(b.String(), "_"):
			b.WriteByte('_')
		}
	}
	return b.String() + ".json"
}

type csafProduct struct {
	ID     string      `json:"product_id"`
	Name   string      `json:"name"`
	Helper *csafHelper `json:"product_identification_helper,omitempty"`
}

type csafHelper struct {
	PURL string `json:"purl"`
}

type csafBranch struct {
	Category string       `json:"category"`
	Name     string       `json:"name"`
	Branches []csafBranch `json:"branches,omitempty"`
	Product  *csafProduct `json:"product,omitempty"`
}

// writeCSAF writes documents of the profile "Security Advisory", section 4.4 of
// https://docs.oasis-open.org/csaf/csaf/v2.0/csaf-v2.0.html.
func writeCSAF(ctx context.Context, c *Catalog, dir *os.Root, opt Options) error {
	return eachDocument(ctx, c, dir, &opt, csafName, func(w io.Writer, r Record, of []*advisory.Advisory) error {
		a := of[0]
		first, last := a.Published, a.Modified
		if first.IsZero() || first.After(last) {
			first = last
		}
		revisions := []map[string]any{{"number": "1", "date": last, "summary": "The record as it stands."}}
		var branches []csafBranch
		affected := []string{}
		for _, a := range of {
			branch, ids := csafBranches(a, len(affected))
			branches = append(branches, branch)
			affected = append(affected, ids...)
		}
		return writeJSON(w, map[string]any{
			"document": map[string]any{
				"category": "csaf_security_advisory", "csaf_version": "2.0", "lang": "en", "title": a.Title,
				"publisher":  map[string]any{"category": "other", "name": opt.Publisher, "namespace": origin(opt.Links.Base)},
				"references": []map[string]any{{"category": "self", "summary": "The record", "url": a.URL}},
				"tracking": map[string]any{
					"id": r.ID, "status": "final", "version": "1", "initial_release_date": first, "current_release_date": last, "revision_history": revisions,
				},
			},
			"product_tree": map[string]any{"branches": branches},
			"vulnerabilities": []map[string]any{{
				"ids": []map[string]any{{"system_name": opt.Publisher, "text": r.ID}}, "title": a.Title,
				"cwe":            map[string]any{"id": "CWE-506", "name": "Embedded Malicious Code"},
				"notes":          []map[string]any{{"category": "description", "text": description(a), "title": "Details"}},
				"product_status": map[string]any{"known_affected": affected},
				"remediations":   []map[string]any{{"category": "mitigation", "details": action, "product_ids": affected}},
				"threats":        []map[string]any{{"category": "impact", "details": "Critical: the package is malicious.", "product_ids": affected}},
			}},
		})
	})
}

// csafBranches are the versions of one package as products, numbered from n.
func csafBranches(a *advisory.Advisory, n int) (csafBranch, []string) {
	out := csafBranch{Category: "product_name", Name: a.Name}
	var ids []string
	add := func(category, name string, purl string) {
		id := fmt.Sprintf("P%d", n+len(ids)+1)
		ids = append(ids, id)
		p := &csafProduct{ID: id, Name: a.Name + " " + name}
		if purl != "" {
			p.Helper = &csafHelper{purl}
		}
		out.Branches = append(out.Branches, csafBranch{Category: category, Name: name, Product: p})
	}
	if a.All {
		add("product_version_range", vers(a, "*"), a.PURL)
		return out, ids
	}
	for _, v := range a.Versions {
		add("product_version", v, versioned(a, v))
	}
	for _, s := range a.Spans {
		add("product_version_range", vers(a, versSpan(s)), "")
	}
	return out, ids
}

// writeOpenVEX writes the statements one to a line (https://github.com/openvex/spec, 0.2.0).
func writeOpenVEX(ctx context.Context, c *Catalog, w io.Writer, opt Options) error {
	type product struct {
		ID string `json:"@id"`
	}
	type vulnerability struct {
		ID          string `json:"@id"`
		Name        string `json:"name"`
		Description string `json:"description"`
	}
	type statement struct {
		Vulnerability vulnerability `json:"vulnerability"`
		Products      []product     `json:"products"`
		Status        string        `json:"status"`
		Action        string        `json:"action_statement"`
	}
	bw := bufio.NewWriterSize(w, 64<<10)
	head, err := marshal(map[string]any{
		"@context": "https://openvex.dev/ns/v0.2.0", "@id": origin(opt.Links.Base) + "/openvex/" + c.Date.Format(time.RFC3339),
		"author": opt.Publisher, "timestamp": c.Date, "version": 1,
	})
	if err != nil {
		return err
	}
	bw.Write(head[:len(head)-1])
	bw.WriteString(",\"statements\":[")
	separator := "\n"
	for a, err := range c.Advisories(ctx, opt.Links) {
		if err != nil {
			return err
		}
		var products []product
		for _, p := range purls(a, &opt) {
			products = append(products, product{p})
		}
		if len(products) == 0 {
			continue
		}
		b, err := marshal(statement{vulnerability{a.URL, a.ID, a.Title}, products, "affected", action})
		if err != nil {
			return err
		}
		bw.WriteString(separator)
		separator = ",\n"
		if _, err := bw.Write(b); err != nil {
			return err
		}
	}
	bw.WriteString("\n]}\n")
	return bw.Flush()
}

// writeVDR writes components first and then what is wrong with them, so that the records are gone through twice
// (https://cyclonedx.org/docs/1.6/json/; a rating without a score, by the method "other").
func writeVDR(ctx context.Context, c *Catalog, w io.Writer, opt Options) error {
	type component struct {
		Ref  string `json:"bom-ref"`
		Type string `json:"type"`
		Name string `json:"name"`
		PURL string `json:"purl,omitempty"`
	}
	type version struct {
		Version string `json:"version,omitempty"`
		Range   string `json:"range,omitempty"`
		Status  string `json:"status"`
	}
	type affects struct {
		Ref      string    `json:"ref"`
		Versions []version `json:"versions"`
	}
	ref := func(a *advisory.Advisory) string { return cmp.Or(a.PURL, a.Key.Ecosystem+":"+a.Name) }
	bw := bufio.NewWriterSize(w, 64<<10)
	fmt.Fprintf(bw, `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"metadata":{"timestamp":%q,"tools":{"components":[{"type":"application","name":"rapsheet"}]}},"components":[`, c.Date.Format(time.RFC3339))
	separator := "\n"
	add := func(v any) error {
		b, err := marshal(v)
		if err != nil {
			return err
		}
		bw.WriteString(separator)
		separator = ",\n"
		_, err = bw.Write(b)
		return err
	}
	last := ""
	for a, err := range c.Advisories(ctx, opt.Links) {
		if err != nil {
			return err
		}
		if ref(a) == last { // of one package they are neighbours
			continue
		}
		last = ref(a)
		if err := add(component{last, "library", a.Name, a.PURL}); err != nil {
			return err
		}
	}
	bw.WriteString("\n],\"vulnerabilities\":[")
	separator = "\n"
	for a, err := range c.Advisories(ctx, opt.Links) {
		if err != nil {
			return err
		}
		of := affects{Ref: ref(a)}
		if a.All {
			of.Versions = append(of.Versions, version{Range: vers(a, "*"), Status: "affected"})
		}
		for _, v := range a.Versions {
			of.Versions = append(of.Versions, version{Version: v, Status: "affected"})
		}
		for _, s := range a.Spans {
			of.Versions = append(of.Versions, version{Range: vers(a, versSpan(s)), Status: "affected"})
		}
		v := map[string]any{
			"bom-ref": a.ID + " " + ref(a), "id": a.ID, "source": map[string]any{"name": opt.Publisher, "url": a.URL},
			"ratings": []map[string]any{{"severity": "critical", "method": "other"}}, "cwes": []int{506}, "description": a.Title,
			"recommendation": action, "advisories": []map[string]any{{"url": a.URL}}, "affects": []affects{of}, "analysis": map[string]any{"state": "exploitable"},
		}
		if !a.Published.IsZero() {
			v["published"] = a.Published
		}
		if !a.Modified.IsZero() {
			v["updated"] = a.Modified
		}
		if err := add(v); err != nil {
			return err
		}
	}
	bw.WriteString("\n]}\n")
	return bw.Flush()
}

// vers is a range in https://github.com/package-url/vers-spec.
func vers(a *advisory.Advisory, constraint string) string {
	kind := "generic"
	if a.Ecosystem != nil {
		kind = a.Ecosystem.PURLType
	}
	return "vers:" + kind + "/" + constraint
}

func versSpan(s advisory.Span) string {
	// Percent encoding as the specification demands it for what is part of its own grammar.
	quote := strings.NewReplacer("%", "%25", "|", "%7C", "<", "%3C", ">", "%3E", "=", "%3D", "!", "%21", "*", "%2A", " ", "%20").Replace
	var parts []string
	if s.From != "" {
		parts = append(parts, ">="+quote(s.From))
	}
	switch {
	case s.To != "" && s.Including:
		parts = append(parts, "<="+quote(s.To))
	case s.To != "":
		parts = append(parts, "<"+quote(s.To))
	}
	return strings.Join(parts, "|")
}

// versioned is the purl of one version, "" where the ecosystem has none.
func versioned(a *advisory.Advisory, version string) string {
	if a.PURL == "" {
		return ""
	}
	one := *a
	one.All, one.Versions, one.Spans = false, []string{version}, nil
	return purls(&one, new(Options))[0]
}

// origin is scheme and host of an address.
func origin(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	return u.Scheme + "://" + u.Host
}
