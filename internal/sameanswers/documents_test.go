package sameanswers

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

// documentAskers read advisories as documents.
var documentAskers = []asker{
	{name: "`openvex`", reader: "packageurl-go, version as text, none is all", ask: askOpenVEX, limits: purlLimits},
	{name: "`vdr`", reader: "versions as text, vers ranges on osv-scalibr's order", ask: askVDR, limits: append(slices.DeleteFunc(slices.Clone(purlLimits), func(l limit) bool { return l.why == onlySingle.why }), composerZeros)},
	{name: "`csaf`", reader: "products by purl or name, vers ranges on osv-scalibr's order", ask: askCSAF, limits: append(slices.DeleteFunc(slices.Clone(purlLimits), func(l limit) bool { return l.why == onlySingle.why }), composerZeros)},
	{name: "`cve`", reader: "CVE's version rules on osv-scalibr's order", ask: askCVE, limits: []limit{holding, bySpelling, composerZeros}},
	{name: "`gsd`", reader: "OSV's evaluation on osv-scalibr's order", ask: askGSD, limits: []limit{holding, bySpelling, asText, composerZeros}},
}

func askOpenVEX(t *testing.T, w *world, pairs []*pair) []bool {
	var doc struct {
		Statements []struct {
			Status   string
			Products []struct {
				ID string `json:"@id"`
			}
		}
	}
	decode(t, w.read(t, "openvex"), &doc)
	var list []string
	for _, s := range doc.Statements {
		for _, p := range s.Products {
			if s.Status == "affected" {
				list = append(list, p.ID)
			}
		}
	}
	return fromPURLs(t, pairs, list)
}

// vers evaluates https://github.com/package-url/vers-spec, of which comparisons in pairs are used: each from a ">=" to the "<" or "<=" behind it.
func vers(t *testing.T, eco, text, version string) bool {
	t.Helper()
	kind, constraints, ok := strings.Cut(strings.TrimPrefix(text, "vers:"), "/")
	if !ok || kind != purlTypes[eco] {
		t.Fatalf("%s of %s", text, eco)
	}
	var terms []string
	for term := range strings.SplitSeq(constraints, "|") {
		plain, err := url.PathUnescape(term)
		if err != nil {
			t.Fatal(err)
		}
		terms = append(terms, plain)
	}
	return every(terms, func(term string) bool { return term == "*" || comparison(eco, term, version) })
}

func askVDR(t *testing.T, w *world, pairs []*pair) []bool {
	var doc struct {
		Components []struct {
			Ref  string `json:"bom-ref"`
			PURL string
		}
		Vulnerabilities []struct {
			Affects []struct {
				Ref      string
				Versions []struct{ Version, Range, Status string }
			}
		}
	}
	decode(t, w.read(t, "vdr"), &doc)
	component := map[string]string{}
	for _, c := range doc.Components {
		component[c.Ref], _ = purlKey(t, c.PURL)
	}
	var out []bool
	for _, p := range pairs {
		key, _ := purlKey(t, purl(p.Package))
		bad := false
		for _, v := range doc.Vulnerabilities {
			for _, a := range v.Affects {
				if component[a.Ref] != key {
					continue
				}
				for _, one := range a.Versions {
					bad = bad || one.Status == "affected" && (one.Version == p.Version || one.Range != "" && vers(t, p.Ecosystem, one.Range, p.Version))
				}
			}
		}
		out = append(out, bad)
	}
	return out
}

type csafBranch struct {
	Category, Name string
	Branches       []csafBranch
	Product        struct {
		ID     string                `json:"product_id"`
		Helper struct{ PURL string } `json:"product_identification_helper"`
	}
}

func askCSAF(t *testing.T, w *world, pairs []*pair) []bool {
	type product struct{ name, text, purl string }
	ranges := map[string][]product{} // by purl type
	versions := map[string][]string{}
	w.files(t, "csaf", ".json", func(path string, data []byte) {
		var doc struct {
			Tree            struct{ Branches []csafBranch } `json:"product_tree"`
			Vulnerabilities []struct {
				Status struct {
					Affected []string `json:"known_affected"`
				} `json:"product_status"`
			}
		}
		decode(t, data, &doc)
		for _, b := range doc.Tree.Branches {
			for _, one := range b.Branches {
				switch {
				case !slices.Contains(doc.Vulnerabilities[0].Status.Affected, one.Product.ID):
					t.Errorf("%s: %+v", path, one)
				case one.Category == "product_version":
					key, version := purlKey(t, one.Product.Helper.PURL)
					versions[key] = append(versions[key], version)
				case one.Category == "product_version_range":
					kind, _, _ := strings.Cut(strings.TrimPrefix(one.Name, "vers:"), "/")
					ranges[kind] = append(ranges[kind], product{b.Name, one.Name, one.Product.Helper.PURL})
				}
			}
		}
	})
	var out []bool
	for _, p := range pairs {
		key, version := purlKey(t, purl(p.Package))
		bad := slices.Contains(versions[key], version)
		for _, r := range ranges[purlTypes[p.Ecosystem]] {
			bad = bad || client(p.Ecosystem, r.name) == client(p.Ecosystem, p.Name) && vers(t, p.Ecosystem, r.text, p.Version)
		}
		out = append(out, bad)
	}
	return out
}

// collections are those of the schema's own examples and of package managers' public registries.
var collections = map[string]string{
	"npm": "https://registry.npmjs.org", "PyPI": "https://pypi.org", "RubyGems": "https://rubygems.org", "Go": "https://pkg.go.dev",
	"crates.io": "https://crates.io", "Maven": "https://repo.maven.apache.org/maven2", "NuGet": "https://www.nuget.org", "Packagist": "https://packagist.org",
	"Hex": "https://hex.pm", "Pub": "https://pub.dev", "VSCode": "https://marketplace.visualstudio.com", "SwiftURL": "https://swiftpackageindex.com",
	"GitHub Actions": "https://github.com/marketplace/actions", "CRAN": "https://cran.r-project.org", "Hackage": "https://hackage.haskell.org",
}

// askCVE evaluates the schema's algorithm (schema/docs/versions.md of github.com/CVEProject/cve-schema).
func askCVE(t *testing.T, w *world, pairs []*pair) []bool {
	type affectedProduct struct {
		CollectionURL, PackageName, DefaultStatus string
		Versions                                  []struct{ Version, Status, LessThan, LessThanOrEqual string }
	}
	known := map[named][]affectedProduct{}
	w.files(t, "cve", ".json", func(path string, data []byte) {
		var doc struct {
			CNA struct{ Affected []affectedProduct } `json:"cnaContainer"`
		}
		decode(t, data, &doc)
		for _, a := range doc.CNA.Affected {
			for eco, collection := range collections {
				if collection == a.CollectionURL {
					known[of1(eco, a.PackageName)] = append(known[of1(eco, a.PackageName)], a)
				}
			}
		}
	})
	var out []bool
	for _, p := range pairs {
		out = append(out, slices.ContainsFunc(known[of1(p.Ecosystem, p.Name)], func(a affectedProduct) bool {
			for _, v := range a.Versions {
				from := v.Version == "0" || comparison(p.Ecosystem, ">="+v.Version, p.Version)
				hit := false
				switch {
				case v.LessThan != "":
					hit = from && comparison(p.Ecosystem, "<"+v.LessThan, p.Version)
				case v.LessThanOrEqual == "*":
					hit = from
				case v.LessThanOrEqual != "":
					hit = from && comparison(p.Ecosystem, "<="+v.LessThanOrEqual, p.Version)
				default:
					hit = comparison(p.Ecosystem, "="+v.Version, p.Version)
				}
				if hit {
					return v.Status == "affected"
				}
			}
			return a.DefaultStatus == "affected"
		}))
	}
	return out
}

func askGSD(t *testing.T, w *world, pairs []*pair) []bool {
	var docs []document
	w.files(t, "gsd", ".json", func(_ string, data []byte) {
		var doc struct{ OSV document }
		decode(t, data, &doc)
		docs = append(docs, doc.OSV)
	})
	return evaluated(pairs, docs)
}
