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

	"github.com/rapsheet/rapsheet/ecosystem"
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
	whyPart  = "all but their single versions, as they are about runs of versions too"
	whyPath  = "the names or versions cannot stand in a path"
	whyNewer = "the format is read whole at each call: it has the 2,000 newest"
	whyStar  = `they have a version that is called "*", which means every version to the format`
	whySpell = "they have versions that are none to node-semver"
)

const everyVersion = "*"

// single gives the versions that a format of single ones lists, [everyVersion] for all; ok is false when that cannot say it.
func single(a *advisory.Advisory, opt *Options) (versions []string, ok bool) {
	switch {
	case a.All:
		return []string{everyVersion}, true
	case len(a.Spans) > 0 && !covered(a):
		if len(a.Versions) == 0 {
			opt.leave(a, whyRange)
			return nil, false
		}
		opt.leave(a, whyPart)
	}
	return a.Versions, true
}

// starred is [single] for formats in which [everyVersion] stands for all versions: one that is called so is left out.
func starred(a *advisory.Advisory, opt *Options) (versions []string, ok bool) {
	versions, ok = single(a, opt)
	if !ok || a.All || !slices.Contains(versions, everyVersion) {
		return versions, ok
	}
	opt.leave(a, whyStar)
	versions = slices.DeleteFunc(slices.Clone(versions), func(v string) bool { return v == everyVersion })
	return versions, len(versions) > 0
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
				versions, _ := starred(a, &opt)
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
		if versions, ok := starred(a, &opt); ok {
			a.Record, a.Versions = nil, versions
			if a.All {
				a.Versions = nil
			}
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

// writeBumblebee writes an entry to a line: bumblebee reads files of at most 64 MiB. It refuses a whole file in which one entry has no
// version, or "*" beside others (internal/exposure).
func writeBumblebee(ctx context.Context, c *Catalog, w io.Writer, opt Options) error {
	type entry struct {
		ID        string   `json:"id"`
		Name      string   `json:"name"`
		Ecosystem string   `json:"ecosystem"`
		Package   string   `json:"package"`
		Versions  []string `json:"versions"`
		Severity  string   `json:"severity"`
	}
	bw := bufio.NewWriterSize(w, 64<<10)
	bw.WriteString(`{"schema_version":"0.2.0","entries":[`)
	separator := "\n"
	for a, err := range c.Advisories(ctx, opt.Links) {
		if err != nil {
			return err
		}
		word, ok := bumblebeeEcosystems[a.Key.Ecosystem]
		if !ok {
			opt.leave(a, "the format has no word for their ecosystem")
			continue
		}
		versions, ok := starred(a, &opt)
		if !ok {
			continue
		}
		if a.Key.Ecosystem == "Go" && !a.All { // records leave the "v" out, files of modules have it
			versions = slices.Clone(versions)
			for i, v := range versions {
				versions[i] = "v" + strings.TrimPrefix(v, "v")
			}
		}
		line, err := marshal(entry{a.ID, a.Title, word, spelled(a), versions, "critical"})
		if err != nil {
			return err
		}
		bw.WriteString(separator)
		bw.Write(line)
		separator = ",\n"
	}
	bw.WriteString("\n]}\n")
	return bw.Flush()
}

// nodeSemver is a version as node-semver reads it and nothing that is a range to it: numbers are safe integers of JavaScript, some of 16
// digits left out (https://github.com/npm/node-semver, internal/re.js).
var nodeSemver = regexp.MustCompile(`^v?(0|[1-9]\d{0,14})\.(0|[1-9]\d{0,14})\.(0|[1-9]\d{0,14})(-(0|[1-9]\d{0,14}|\d*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9]\d{0,14}|\d*[A-Za-z-][0-9A-Za-z-]*))*)?(\+[0-9A-Za-z.-]+)?$`)

// maxNodeSemver is node-semver's limit of a version, in characters.
const maxNodeSemver = 256

// nodeTerms writes what node-semver can say of a, and whether that is all of it.
func nodeTerms(a *advisory.Advisory) (terms []string, all bool) {
	said, _ := readable(a, func(v string) bool { return len(v) <= maxNodeSemver && nodeSemver.MatchString(v) })
	return advisory.NPM.Terms(said), len(said.Versions) == len(a.Versions) && len(said.Spans) == len(a.Spans)
}

// writeVerdaccioFilter writes YAML whose texts are JSON's, which YAML reads (https://github.com/verdaccio/verdaccio,
// @verdaccio/package-filter). Versions of one package stand in one rule. The filter does not start when one of them is none to
// node-semver, and takes no text for every version.
func writeVerdaccioFilter(ctx context.Context, c *Catalog, w io.Writer, opt Options) error {
	bw := bufio.NewWriterSize(w, 64<<10)
	bw.WriteString("filters:\n  '@verdaccio/package-filter':\n    block:")
	var name string
	var versions []string
	some := false
	flush := func() {
		if name == "" || versions != nil && len(versions) == 0 {
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
			terms, all := nodeTerms(a)
			if !all {
				opt.leave(a, whySpell)
			}
			versions = append(versions, terms...)
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
	var one func(string) string
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
		path := ecosystem.EscapeModule(name)
		every = quote(path+"/@v/") + rest
		one = func(v string) string {
			return quote(path + "/@v/" + ecosystem.EscapeModule("v"+strings.TrimPrefix(v, "v")) + ".zip")
		}
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
