package sameanswers

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/package-url/packageurl-go"
	"github.com/parquet-go/parquet-go"
	"go.yaml.in/yaml/v3"

	"github.com/rapsheet/rapsheet"
)

// onlySingle is of formats that list single versions: a record with a run of versions is left out whole.
var onlySingle = limit{"the format lists single versions: runs of them are left out", func(p *pair) bool { return p.bad && p.inRun() }}

var (
	npmPyPI       = []string{"npm", "PyPI"}
	inRepository  = []string{"npm", "Maven", "RubyGems", "Go", "NuGet"}
	bumblebeeEcos = map[string]string{"npm": "npm", "PyPI": "pypi", "Go": "go", "RubyGems": "rubygems", "Packagist": "packagist", "VSCode": "editor-extension"}
)

// listAskers read lists: of what is not to be installed or served, for people and scripts.
var listAskers = []asker{
	{name: "`safe-chain`", reader: "name in the ecosystem's form, version as text or `*`", ecosystems: npmPyPI, ask: askSafeChain, limits: []limit{holding, onlySingle, asText}},
	{name: "`scfw`", reader: "name in the ecosystem's form, version as text, none is all", ecosystems: npmPyPI, ask: askSCFW, limits: []limit{holding, onlySingle, asText}},
	{name: "`bumblebee`", reader: "name in the ecosystem's form, version as text or `*`", ecosystems: []string{"npm", "PyPI", "Go", "RubyGems", "Packagist", "VSCode"}, ask: askBumblebee, limits: []limit{holding, onlySingle, asText}},
	{name: "`verdaccio-filter`", reader: "node-semver, as @verdaccio/package-filter", ecosystems: npmOnly, ask: askVerdaccio, limits: []limit{holding}},
	{name: "`artifactory`", reader: "Ant's patterns on the archive's path", ecosystems: inRepository, ask: askArtifactory, limits: []limit{holding, onlySingle, noPath, asText}},
	{name: "`nexus`", reader: "regular expressions on the archive's path", ecosystems: inRepository, ask: askNexus, limits: []limit{holding, onlySingle, noPath, asText}},
	{name: "`lines`", reader: "a version as text, or comparisons on osv-scalibr's order", ask: askLines, limits: []limit{holding, bySpelling, asText, composerZeros}},
	{name: "`csv`", reader: "a version as text, or comparisons on osv-scalibr's order", ask: askCSV("csv"), limits: []limit{holding, bySpelling, asText, composerZeros}},
	{name: "`spreadsheet`", reader: "the same, without the apostrophes", ask: askCSV("spreadsheet"), limits: []limit{holding, bySpelling, asText, composerZeros}},
	{name: "`purls`", reader: "packageurl-go, version as text, none is all", ask: askPURLs, limits: purlLimits},
	{name: "`parquet`", reader: "its columns on osv-scalibr's order", ask: askParquet, limits: []limit{holding, bySpelling, composerZeros}},
	{name: "`jsonl`", reader: "OSV's evaluation on osv-scalibr's order", ask: askJSONL, limits: []limit{holding, bySpelling, asText, composerZeros}},
}

// noPath is of patterns.
var noPath = limit{"every version of a gem is no pattern: it would be other gems' too", func(p *pair) bool { return p.bad && p.Ecosystem == "RubyGems" && p.verdict == rapsheet.VerdictPackage }}

// purlLimits are of readers that compare purls.
var purlLimits = []limit{
	holding, onlySingle,
	{"a purl of a Go module is in small letters", func(p *pair) bool { return !p.bad && p.Ecosystem == "Go" && !p.spelled() }},
	{"a purl keeps the spelling of a name (in PyPI's the dots)", func(p *pair) bool { return p.bad && !p.spelled() }},
	asText,
}

// named is a package as lists are compared with: by its ecosystem's form of the name.
type named struct{ ecosystem, name string }

func of1(eco, name string) named { return named{eco, client(eco, name)} }

// texts answers from lists of versions as text.
func texts(pairs []*pair, known map[named][]string) []bool {
	var out []bool
	for _, p := range pairs {
		versions := known[of1(p.Ecosystem, p.Name)]
		out = append(out, slices.Contains(versions, "*") || slices.Contains(versions, p.Version))
	}
	return out
}

func askSafeChain(t *testing.T, w *world, pairs []*pair) []bool {
	known := map[named][]string{}
	for eco, file := range map[string]string{"npm": "malware_predictions.json", "PyPI": "malware_pypi.json"} {
		var list []struct {
			Name    string `json:"package_name"`
			Version string
			Reason  string
		}
		decode(t, w.read(t, "safe-chain", file), &list)
		for _, e := range list {
			if e.Reason != "MALWARE" {
				t.Errorf("%+v", e)
			}
			known[named{eco, e.Name}] = append(known[named{eco, e.Name}], e.Version)
		}
	}
	return texts(pairs, known)
}

func askSCFW(t *testing.T, w *world, pairs []*pair) []bool {
	var doc struct {
		Findings []struct {
			Packages []struct {
				Ecosystem, Name string
				Versions        []string
			}
		}
	}
	if err := yaml.Unmarshal(w.read(t, "scfw"), &doc); err != nil {
		t.Fatal(err)
	}
	known := map[named][]string{}
	for _, f := range doc.Findings {
		for _, p := range f.Packages {
			if p.Versions == nil {
				p.Versions = []string{"*"}
			}
			known[named{p.Ecosystem, p.Name}] = append(known[named{p.Ecosystem, p.Name}], p.Versions...)
		}
	}
	return texts(pairs, known)
}

func askBumblebee(t *testing.T, w *world, pairs []*pair) []bool {
	var doc struct {
		Entries []struct {
			Ecosystem, Package string
			Versions           []string
		}
	}
	decode(t, w.read(t, "bumblebee"), &doc)
	known := map[named][]string{}
	for eco, word := range bumblebeeEcos {
		for _, e := range doc.Entries {
			if e.Ecosystem == word {
				known[of1(eco, e.Package)] = append(known[of1(eco, e.Package)], e.Versions...)
			}
		}
	}
	return texts(pairs, known)
}

func askVerdaccio(t *testing.T, w *world, pairs []*pair) []bool {
	var doc struct {
		Filters map[string]struct {
			Block []struct{ Package, Versions string }
		}
	}
	if err := yaml.Unmarshal(w.read(t, "verdaccio-filter"), &doc); err != nil {
		t.Fatal(err)
	}
	known := map[string][]string{}
	for _, b := range doc.Filters["@verdaccio/package-filter"].Block {
		if b.Versions == "" {
			b.Versions = "*"
		}
		known[b.Package] = append(known[b.Package], b.Versions)
	}
	return satisfied(t, pairs, func(name string) []string { return known[name] })
}

// archive is where a repository serves the version of a package, as its ecosystem's clients ask for it.
func archive(p rapsheet.Package) string {
	switch p.Ecosystem {
	case "npm":
		return p.Name + "/-/" + path.Base(p.Name) + "-" + p.Version + ".tgz"
	case "Maven":
		group, artifact, _ := strings.Cut(p.Name, ":")
		return strings.ReplaceAll(group, ".", "/") + "/" + artifact + "/" + p.Version + "/" + artifact + "-" + p.Version + ".jar"
	case "RubyGems":
		return "gems/" + p.Name + "-" + p.Version + ".gem"
	case "Go":
		escape := regexp.MustCompile(`[A-Z]`).ReplaceAllStringFunc
		bang := func(s string) string { return "!" + strings.ToLower(s) }
		return escape(p.Name, bang) + "/@v/" + escape(p.Version, bang) + ".zip"
	}
	id, version := strings.ToLower(p.Name), strings.ToLower(p.Version)
	return id + "/" + version + "/" + id + "." + version + ".nupkg"
}

func askArtifactory(t *testing.T, w *world, pairs []*pair) []bool {
	known := map[string][]*regexp.Regexp{}
	for _, eco := range inRepository {
		for line := range strings.Lines(string(w.read(t, "artifactory", eco+".txt"))) {
			// https://ant.apache.org/manual/dirtasks.html#patterns: "**" is any number of directories, "*" anything without a slash.
			text := strings.NewReplacer(`\*\*`, ".*", `\*`, "[^/]*").Replace(regexp.QuoteMeta(strings.TrimSuffix(line, "\n")))
			known[eco] = append(known[eco], regexp.MustCompile("^"+text+"$"))
		}
	}
	return paths(pairs, known, "")
}

func askNexus(t *testing.T, w *world, pairs []*pair) []bool {
	known := map[string][]*regexp.Regexp{}
	for _, eco := range inRepository {
		var rule struct {
			Mode     string
			Matchers []string
		}
		decode(t, w.read(t, "nexus", eco+".json"), &rule)
		for _, m := range rule.Matchers {
			known[eco] = append(known[eco], regexp.MustCompile(m))
		}
		if rule.Mode != "BLOCK" {
			t.Errorf("%s: %s", eco, rule.Mode)
		}
	}
	return paths(pairs, known, "/")
}

func paths(pairs []*pair, known map[string][]*regexp.Regexp, prefix string) []bool {
	var out []bool
	for _, p := range pairs {
		at := prefix + archive(p.Package)
		out = append(out, slices.ContainsFunc(known[p.Ecosystem], func(r *regexp.Regexp) bool { return r.MatchString(at) }))
	}
	return out
}

// words answers from lists of words: a version, "*", or comparisons joined by commas.
func words(pairs []*pair, known map[named][]string) []bool {
	var out []bool
	for _, p := range pairs {
		out = append(out, slices.ContainsFunc(known[of1(p.Ecosystem, p.Name)], func(word string) bool {
			return word == p.Version || word == "*" || strings.ContainsAny(word[:1], "<>") && holds(p.Ecosystem, word, p.Version)
		}))
	}
	return out
}

func askLines(t *testing.T, w *world, pairs []*pair) []bool {
	known := map[named][]string{}
	for line := range strings.Lines(string(w.read(t, "lines"))) {
		eco, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		at := strings.LastIndexByte(rest, '@')
		known[of1(eco, rest[:at])] = append(known[of1(eco, rest[:at])], rest[at+1:])
	}
	return words(pairs, known)
}

func askCSV(format string) func(t *testing.T, w *world, pairs []*pair) []bool {
	return func(t *testing.T, w *world, pairs []*pair) []bool {
		rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(w.read(t, format), []byte("\ufeff")))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		known := map[named][]string{}
		for _, row := range rows[1:] {
			for i := range row {
				if format == "spreadsheet" {
					row[i] = strings.TrimPrefix(row[i], "'")
				}
			}
			if at := slices.Index(rows[0], "state"); row[at] == "in force" {
				key := of1(row[slices.Index(rows[0], "ecosystem")], row[slices.Index(rows[0], "name")])
				known[key] = append(known[key], strings.Fields(row[slices.Index(rows[0], "versions")])...)
			}
		}
		return words(pairs, known)
	}
}

// purlKey is a purl without its version in the one form that its type has.
func purlKey(t *testing.T, text string) (key, version string) {
	t.Helper()
	p, err := packageurl.FromString(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if err := p.Normalize(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	version, p.Version = p.Version, ""
	return strings.ToLower(p.Type) + " " + p.Namespace + "/" + p.Name, version
}

// fromPURLs answers from a list of purls; one without a version is every version.
func fromPURLs(t *testing.T, pairs []*pair, list []string) []bool {
	t.Helper()
	known := map[string][]string{}
	for _, text := range list {
		key, version := purlKey(t, text)
		known[key] = append(known[key], version)
	}
	var out []bool
	for _, p := range pairs {
		key, version := purlKey(t, purl(p.Package))
		out = append(out, slices.Contains(known[key], "") || slices.Contains(known[key], version))
	}
	return out
}

func askPURLs(t *testing.T, w *world, pairs []*pair) []bool {
	return fromPURLs(t, pairs, strings.Fields(string(w.read(t, "purls"))))
}

// spans answers from runs of versions.
type span struct {
	From, To string
	Last     bool
}

func (s span) holds(eco, version string) bool {
	end := "<"
	if s.Last {
		end = "<="
	}
	return (s.From == "" || comparison(eco, ">="+s.From, version)) && (s.To == "" || comparison(eco, end+s.To, version))
}

func askParquet(t *testing.T, w *world, pairs []*pair) []bool {
	type row struct {
		Ecosystem string   `parquet:"ecosystem"`
		Name      string   `parquet:"name"`
		All       bool     `parquet:"every_version"`
		Versions  []string `parquet:"versions,list"`
		Ranges    []struct {
			From string `parquet:"from"`
			To   string `parquet:"to"`
			Last bool   `parquet:"last"`
		} `parquet:"ranges,list"`
		State string `parquet:"state"`
	}
	f, err := os.Open(w.export(t, "parquet"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := parquet.Read[row](f, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	var out []bool
	for _, p := range pairs {
		out = append(out, slices.ContainsFunc(rows, func(r row) bool {
			if of1(r.Ecosystem, r.Name) != of1(p.Ecosystem, p.Name) || r.State != "in force" {
				return false
			}
			for _, g := range r.Ranges {
				if (span{g.From, g.To, g.Last}).holds(p.Ecosystem, p.Version) {
					return true
				}
			}
			return r.All || slices.ContainsFunc(r.Versions, func(v string) bool { return comparison(p.Ecosystem, "="+v, p.Version) })
		}))
	}
	return out
}

// document is what is read of an OSV record.
type document struct {
	Withdrawn string
	Affected  []affected
}

// evaluated answers from OSV records.
func evaluated(pairs []*pair, docs []document) []bool {
	known := map[named][]affected{}
	for _, d := range docs {
		for _, a := range d.Affected {
			if d.Withdrawn == "" {
				key := of1(a.Package.Ecosystem, a.Package.Name)
				known[key] = append(known[key], a)
			}
		}
	}
	var out []bool
	for _, p := range pairs {
		out = append(out, slices.ContainsFunc(known[of1(p.Ecosystem, p.Name)], func(a affected) bool { return a.holds(p.Ecosystem, p.Version) }))
	}
	return out
}

func askJSONL(t *testing.T, w *world, pairs []*pair) []bool {
	var docs []document
	for line := range strings.Lines(string(w.read(t, "jsonl"))) {
		var d document
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatal(err)
		}
		docs = append(docs, d)
	}
	return evaluated(pairs, docs)
}
