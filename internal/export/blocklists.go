package export

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet/internal/advisory"
)

// blocklistFormats are lists of what is not to be installed or served.
var blocklistFormats = []Format{
	{Name: "safe-chain", About: "Aikido safe-chain's lists for npm and PyPI", Tree: writeSafeChain},
	{Name: "scfw", About: "findings for Datadog's Supply-Chain Firewall, the 2,000 newest of npm and PyPI", File: writeSCFW},
	{Name: "bumblebee", About: "an exposure catalog for Perplexity's bumblebee", File: writeBumblebee},
	{Name: "verdaccio-filter", About: "settings for Verdaccio's package filter (npm)", File: writeVerdaccioFilter},
	{Name: "artifactory", About: "exclude patterns for Artifactory's repositories, a file per ecosystem", Tree: writeArtifactory},
	{Name: "nexus", About: "a routing rule for Nexus Repository 3's repositories, a file per ecosystem", Tree: writeNexus},
}

// Reasons for leaving out, each in one place so that they are counted together.
const (
	whyRange = "they are about runs of versions, and the format has only single ones"
	whyPath  = "the names or versions cannot stand in a path"
	whyNewer = "the format is read whole at each call: it has the 2,000 newest"
)

// single gives the versions that a format of single ones lists, "*" for all; ok is false when that cannot say it.
func single(a *advisory.Advisory, opt *Options) (versions []string, ok bool) {
	switch {
	case a.All:
		return []string{"*"}, true
	case len(a.Spans) > 0 && !covered(a):
		opt.leave(a, whyRange)
		return nil, false
	}
	return a.Versions, true
}

// covered reports whether each span is one version: from it to it.
func covered(a *advisory.Advisory) bool {
	for _, s := range a.Spans {
		if s.From == "" || !s.Including || s.From != s.To || !slices.Contains(a.Versions, s.From) {
			return false
		}
	}
	return true
}

// writeSafeChain writes what safe-chain fetches below SAFE_CHAIN_MALWARE_LIST_BASE_URL
// (https://github.com/AikidoSec/safe-chain). The lists of new packages are not ours to fill.
func writeSafeChain(ctx context.Context, c *Catalog, dir *os.Root, opt Options) error {
	type entry struct {
		Name    string `json:"package_name"`
		Version string `json:"version"`
		Reason  string `json:"reason"`
	}
	for _, list := range []struct{ ecosystem, file, releases string }{
		{"npm", "malware_predictions.json", "npm.json"},
		{"PyPI", "malware_pypi.json", "pypi.json"},
	} {
		err := createJSONList(dir, list.file, func(add func(any) error) error {
			for a, err := range c.Advisories(ctx, opt.Links, list.ecosystem) {
				if err != nil {
					return err
				}
				versions, _ := single(a, &opt)
				for _, v := range versions {
					if err := add(entry{spelled(a), v, "MALWARE"}); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := dir.MkdirAll("releases", 0o755); err != nil {
			return err
		}
		if err := dir.WriteFile("releases/"+list.releases, []byte("[]\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// maxSCFW bounds scfw's list: it is parsed at each call, 10,000 packages in some 2 seconds.
const maxSCFW = 2000

// writeSCFW writes JSON, which is YAML with every version quoted: one number in place of a text makes scfw drop the whole
// file (https://github.com/DataDog/supply-chain-firewall, list_verifier).
func writeSCFW(ctx context.Context, c *Catalog, w io.Writer, opt Options) error {
	type pkg struct {
		Ecosystem string   `json:"ecosystem"`
		Name      string   `json:"name"`
		Versions  []string `json:"versions,omitempty"`
	}
	type finding struct {
		Severity string `json:"severity"`
		Finding  string `json:"finding"`
		Packages []pkg  `json:"packages"`
	}
	all := []*advisory.Advisory{}
	for a, err := range c.Advisories(ctx, opt.Links, "npm", "PyPI") {
		if err != nil {
			return err
		}
		if _, ok := single(a, &opt); ok {
			a.Record = nil
			all = append(all, a)
		}
	}
	slices.SortStableFunc(all, func(a, b *advisory.Advisory) int { return b.Modified.Compare(a.Modified) })
	for _, a := range all[min(maxSCFW, len(all)):] {
		opt.leave(a, whyNewer)
	}
	findings := []finding{}
	for _, a := range all[:min(maxSCFW, len(all))] {
		findings = append(findings, finding{"CRITICAL", a.ID + ": " + a.Title + " – " + a.URL, []pkg{{a.Key.Ecosystem, spelled(a), a.Versions}}})
	}
	return writeJSON(w, map[string]any{"findings": findings})
}

// bumblebeeEcosystems are its words for OSV's (https://github.com/perplexityai/bumblebee).
var bumblebeeEcosystems = map[string]string{
	"npm": "npm", "PyPI": "pypi", "Go": "go", "RubyGems": "rubygems", "Packagist": "packagist", "VSCode": "editor-extension",
}

func writeBumblebee(ctx context.Context, c *Catalog, w io.Writer, opt Options) error {
	type entry struct {
		ID        string   `json:"id"`
		Name      string   `json:"name"`
		Ecosystem string   `json:"ecosystem"`
		Package   string   `json:"package"`
		Versions  []string `json:"versions"`
		Severity  string   `json:"severity"`
	}
	entries := []entry{}
	for a, err := range c.Advisories(ctx, opt.Links) {
		if err != nil {
			return err
		}
		word, ok := bumblebeeEcosystems[a.Key.Ecosystem]
		if !ok {
			opt.leave(a, "the format has no word for their ecosystem")
			continue
		}
		if versions, ok := single(a, &opt); ok {
			entries = append(entries, entry{a.ID, a.Title, word, spelled(a), versions, "critical"})
		}
	}
	return writeJSON(w, map[string]any{"schema_version": "0.2.0", "entries": entries})
}

// writeVerdaccioFilter writes YAML whose texts are JSON's, which YAML reads (https://github.com/verdaccio/verdaccio,
// @verdaccio/package-filter). Versions of one package stand in one rule.
func writeVerdaccioFilter(ctx context.Context, c *Catalog, w io.Writer, opt Options) error {
	bw := bufio.NewWriterSize(w, 64<<10)
	bw.WriteString("filters:\n  '@verdaccio/package-filter':\n    block:")
	var name string
	var versions []string
	some := false
	flush := func() {
		if name == "" {
			return
		}
		some = true
		bw.WriteString("\n      - package: " + quoted(name))
		if versions != nil {
			bw.WriteString("\n        versions: " + quoted(strings.Join(versions, " || ")))
		}
	}
	for a, err := range c.Advisories(ctx, opt.Links, "npm") {
		if err != nil {
			return err
		}
		if a.Key.Name != name {
			flush()
			name, versions = a.Key.Name, []string{}
		}
		switch {
		case a.All:
			versions = nil
		case versions != nil:
			versions = append(versions, advisory.NPM.Terms(a)...)
		}
	}
	flush()
	if !some {
		bw.WriteString(" []")
	}
	bw.WriteString("\n")
	return bw.Flush()
}

// archives gives the paths at which repositories of an ecosystem serve the archives of an advisory, with any for any text
// without a slash and rest for everything below; ok is false when there is no such path. Layouts: npm's
// "name/-/name-1.0.0.tgz"; Maven's "group/artifact/version/"; RubyGems' "gems/name-1.0.0.gem"; the module proxy protocol's
// "module/@v/v1.0.0.zip" (https://go.dev/ref/mod#goproxy-protocol); NuGet's "id/1.0.0/id.1.0.0.nupkg".
func archives(a *advisory.Advisory, quote func(string) string, any, rest string) (paths []string, ok bool) {
	name := spelled(a)
	for _, text := range append([]string{name}, a.Versions...) {
		if strings.ContainsAny(text, "*?,\\ \t") || strings.Contains(text, "//") || text == "" || strings.HasPrefix(text, "/") || strings.Contains(text, "..") {
			return nil, false
		}
	}
	one := func(string) string { return "" }
	var every string
	switch a.Key.Ecosystem {
	case "npm":
		base := name[strings.LastIndexByte(name, '/')+1:]
		every = quote(name) + "/" + rest
		one = func(v string) string { return quote(name + "/-/" + base + "-" + v + ".tgz") }
	case "Maven":
		group, artifact, ok := strings.Cut(name, ":")
		if !ok {
			return nil, false
		}
		path := strings.ReplaceAll(group, ".", "/") + "/" + artifact
		every = quote(path) + "/" + rest
		one = func(v string) string { return quote(path+"/"+v) + "/" + rest }
	case "RubyGems":
		every = quote("gems/"+name+"-") + any
		one = func(v string) string { return quote("gems/" + name + "-" + v + ".gem") }
	case "Go":
		path := escaped(name)
		every = quote(path+"/@v/") + rest
		one = func(v string) string { return quote(path + "/@v/" + escaped("v"+strings.TrimPrefix(v, "v")) + ".zip") }
	case "NuGet":
		id := strings.ToLower(name)
		every = quote(id) + "/" + rest
		one = func(v string) string { return quote(id+"/"+strings.ToLower(v)) + "/" + rest }
	default:
		return nil, false
	}
	if a.All {
		// A gem's name may go on behind the hyphen: "evil-*" would also be evil-other.
		if a.Key.Ecosystem == "RubyGems" {
			return nil, false
		}
		return []string{every}, true
	}
	for _, v := range a.Versions {
		paths = append(paths, one(v))
	}
	return paths, true
}

// escaped is a module path or version as the proxy protocol writes it: "!" and the small letter for each capital one.
func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		if 'A' <= r && r <= 'Z' {
			b.WriteByte('!')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// repositoryEcosystems are those whose repositories have paths that tell a version.
var repositoryEcosystems = []string{"npm", "Maven", "RubyGems", "Go", "NuGet"}

// perEcosystem calls write with the paths of the advisories of each ecosystem of repositories, those that have any.
func perEcosystem(ctx context.Context, c *Catalog, opt Options, quote func(string) string, any, rest string, write func(ecosystem string, paths []string) error) error {
	for _, eco := range repositoryEcosystems {
		var paths []string
		for a, err := range c.Advisories(ctx, opt.Links, eco) {
			if err != nil {
				return err
			}
			if _, ok := single(a, &opt); !ok {
				continue
			}
			p, ok := archives(a, quote, any, rest)
			if !ok {
				opt.leave(a, whyPath)
				continue
			}
			paths = append(paths, p...)
		}
		slices.Sort(paths)
		if err := write(eco, slices.Compact(paths)); err != nil {
			return err
		}
	}
	return nil
}

// writeArtifactory writes a pattern to a line; a repository's Exclude Patterns setting takes them joined by commas
// (https://jfrog.com/help, "Include and Exclude Patterns").
func writeArtifactory(ctx context.Context, c *Catalog, dir *os.Root, opt Options) error {
	return perEcosystem(ctx, c, opt, func(s string) string { return s }, "*", "**", func(eco string, paths []string) error {
		return create(dir, eco+".txt", func(w io.Writer) error {
			bw := bufio.NewWriter(w)
			for _, p := range paths {
				bw.WriteString(p + "\n")
			}
			return bw.Flush()
		})
	})
}

// writeNexus writes the body of POST /service/rest/v1/routing-rules, whose matchers are regular expressions on the path
// (https://help.sonatype.com, "Routing Rules").
func writeNexus(ctx context.Context, c *Catalog, dir *os.Root, opt Options) error {
	type rule struct {
		Name        string   `json:"name"`
		Description string   `json:"description"`
		Mode        string   `json:"mode"`
		Matchers    []string `json:"matchers"`
	}
	return perEcosystem(ctx, c, opt, regexp.QuoteMeta, `[^/]*`, `.*`, func(eco string, paths []string) error {
		matchers := make([]string, len(paths))
		for i, p := range paths {
			matchers[i] = "^/" + p + "$"
		}
		return create(dir, eco+".json", func(w io.Writer) error {
			return writeJSON(w, rule{"malicious-" + strings.ToLower(eco), "Known malicious packages, by " + opt.Publisher, "BLOCK", matchers})
		})
	})
}

// spelled is a package's name as clients compare it: PyPI's normalised
// (https://packaging.python.org/en/latest/specifications/name-normalization/), others as published.
func spelled(a *advisory.Advisory) string {
	if a.Key.Ecosystem == "PyPI" {
		return a.Key.Name
	}
	return a.Name
}

// quoted is a text in double quotes that both JSON and YAML read.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(b)
}
