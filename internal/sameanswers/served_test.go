package sameanswers

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/osv-scalibr/enricher/vulnmatch/osvlocal"
	"github.com/google/osv-scalibr/extractor"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/ossf/osv-schema/bindings/go/osvschema"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/cli"
	"github.com/rapsheet/rapsheet/internal/clienttest"
)

var commandAskers = []asker{
	{name: "`rapsheet check`", reader: "itself, a purl at a time", ask: askCheck},
	{name: "`rapsheet scan`", reader: "itself, one SBOM of all; the GitHub action is this command", ask: askScan},
	{name: "MCP tool `check`, by purl", reader: "the Go SDK's client", ask: askMCP(true)},
	{name: "MCP tool `check`, by name", reader: "the Go SDK's client", ask: askMCP(false)},
}

func askCheck(t *testing.T, w *world, pairs []*pair) []bool {
	var out []bool
	for _, p := range pairs {
		_, status := w.command(t, "check", "--catalog", w.snapshot, purl(p.Package))
		out = append(out, status == 1)
	}
	return out
}

// bom is a CycloneDX SBOM of packages, one to a line from line 2 on.
func bom(t *testing.T, pairs []*pair) string {
	t.Helper()
	type component struct {
		Type    string `json:"type"`
		Ref     string `json:"bom-ref"`
		Name    string `json:"name"`
		Version string `json:"version"`
		PURL    string `json:"purl"`
	}
	var lines []string
	for i, p := range pairs {
		lines = append(lines, string(marshal(t, component{"library", fmt.Sprintf("c%d", i), p.Name, p.Version, purl(p.Package)})))
	}
	at := filepath.Join(t.TempDir(), "app.cdx.json")
	doc := `{"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": [` + "\n" + strings.Join(lines, ",\n") + "\n]}\n"
	if err := os.WriteFile(at, []byte(doc), 0o644); err != nil {
		t.Fatal(err)
	}
	return at
}

func askScan(t *testing.T, w *world, pairs []*pair) []bool {
	text, _ := w.command(t, "scan", "--catalog", w.snapshot, "--format", "json", bom(t, pairs))
	var report struct {
		Summary  struct{ Unmatchable, Unread int }
		Findings []struct {
			Malicious bool
			Locations []struct{ Line int }
		}
	}
	decode(t, []byte(text), &report)
	if report.Summary.Unmatchable+report.Summary.Unread > 0 {
		t.Errorf("%+v", report.Summary)
	}
	out := make([]bool, len(pairs))
	for _, f := range report.Findings {
		for _, l := range f.Locations {
			out[l.Line-2] = out[l.Line-2] || f.Malicious
		}
	}
	return out
}

func askMCP(byPURL bool) func(t *testing.T, w *world, pairs []*pair) []bool {
	return func(t *testing.T, w *world, pairs []*pair) []bool {
		in, toServer := io.Pipe()
		fromServer, stdout := io.Pipe()
		done := make(chan int)
		go func() {
			env := cli.Env{Now: func() time.Time { return now }, Version: "test", Getenv: func(string) string { return "" }}
			done <- cli.Run(context.Background(), env, in, stdout, io.Discard, []string{"mcp", "--catalog", w.snapshot, "--root", w.dir})
			stdout.Close()
		}()
		c, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), &mcp.IOTransport{Reader: fromServer, Writer: toServer}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var asked []any
		for _, p := range pairs {
			if byPURL {
				asked = append(asked, map[string]any{"purl": purl(p.Package)})
			} else {
				asked = append(asked, map[string]any{"ecosystem": p.Ecosystem, "name": p.Name, "version": p.Version})
			}
		}
		res, err := c.CallTool(t.Context(), &mcp.CallToolParams{Name: "check", Arguments: map[string]any{"packages": asked}})
		if err != nil || res.IsError {
			t.Fatalf("%+v, %v", res, err)
		}
		var answer struct {
			Packages []struct{ Package, Status string }
		}
		decode(t, []byte(res.Content[0].(*mcp.TextContent).Text), &answer)
		var out []bool
		for _, p := range answer.Packages {
			if p.Status == "not_checked" {
				t.Errorf("%+v", p)
			}
			out = append(out, p.Status == "malicious")
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		toServer.Close()
		<-done
		return out
	}
}

// post asks the server and decodes what it says.
func (w *world) post(t *testing.T, path, contentType string, body []byte, into any) {
	t.Helper()
	resp, err := http.Post(w.url+path, contentType, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v\n%.300s", path, resp.StatusCode, err, data)
	}
	decode(t, data, into)
}

// get asks the server for a file.
func (w *world) get(t *testing.T, path string) []byte {
	t.Helper()
	resp, err := http.Get(w.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v\n%.300s", path, resp.StatusCode, err, data)
	}
	return data
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var npmOnly = []string{"npm"}

var servedAskers = []asker{
	{name: "OSV `/v1/query`, by name", reader: "its answer: any record", ask: askQuery(false)},
	{name: "OSV `/v1/query`, by purl", reader: "its answer: any record", ask: askQuery(true)},
	{name: "OSV `/v1/querybatch`", reader: "its answer: any record", ask: askBatch},
	{name: "OSV bucket `/osv/<ecosystem>/all.zip`", reader: "osv-scalibr's local matcher", ask: askBucket, limits: scalibrLimits},
	{name: "`/osv-offline.zip`", reader: "Renovate's osv-offline, its rule on osv-scalibr's order", ecosystems: []string{"npm", "PyPI", "RubyGems", "Go", "crates.io", "Maven", "NuGet", "Packagist", "Hex"}, ask: askRenovate, limits: []limit{holding, bySpelling, asText, composerZeros}},
	{name: "npm audit, bulk", reader: "node-semver on `vulnerable_versions`", ecosystems: npmOnly, ask: askNPMBulk},
	{name: "npm audit, quick", reader: "`findings`, as npm 6 and pnpm 9 do", ecosystems: npmOnly, ask: askNPMTree("/-/npm/v1/security/audits/quick")},
	{name: "npm audit, full", reader: "`findings`, as Yarn 3 does", ecosystems: npmOnly, ask: askNPMTree("/-/npm/v1/security/audits")},
	{name: "Composer's advisories `/composer/api`", reader: "Composer's own Semver", ecosystems: []string{"Packagist"}, ask: askComposerAdvisories},
	{name: "Composer's filter `/composer/filter-api`", reader: "Composer's own Semver", ecosystems: []string{"Packagist"}, ask: askComposerFilter},
}

// Limits that several readers have.
var (
	holding = limit{"npm's placeholder 0.0.1-security, which is no finding, and the format says of the package that every version is", func(p *pair) bool { return !p.bad && p.Version == "0.0.1-security" }}
	asText  = limit{"listed versions are compared as text: another spelling of one is not found", func(p *pair) bool { return p.bad && p.verdict == rapsheet.VerdictExact && !p.listedAs() }}
	// Lock files have the spelling of the registry.
	bySpelling = limit{"names are compared letter by letter: another spelling of one is not found", func(p *pair) bool { return p.bad && !p.spelled() }}
)

// composerZeros is of the order that stands in for a reader's own.
var composerZeros = limit{"osv-scalibr's order, which stands for the reader's, takes Composer's 1.0, 1.0.0 and 1.0.0.0 for three versions", func(p *pair) bool {
	return p.bad && p.Ecosystem == "Packagist" && slices.Contains([]string{"v1.0", "1.2.3.0"}, p.Version)
}}

// goLower is of readers that know a Go module by its purl only.
var goLower = limit{"a Go module is asked for in small letters, as its purl has it", func(p *pair) bool {
	return p.bad && p.Ecosystem == "Go" && p.Name != strings.ToLower(p.Name)
}}

var scalibrLimits = []limit{
	unknown("OSV-Scalibr knows no VS Code extensions and no GitHub Actions", "VSCode", "GitHub Actions"),
	holding, bySpelling, goLower, asText,
	composerZeros,
}

// question is one of the OSV API.
func question(p *pair, byPURL bool) any {
	if byPURL {
		return map[string]any{"package": map[string]string{"purl": purl(p.Package)}}
	}
	return map[string]any{"version": p.Version, "package": map[string]string{"ecosystem": p.Ecosystem, "name": p.Name}}
}

func askQuery(byPURL bool) func(t *testing.T, w *world, pairs []*pair) []bool {
	return func(t *testing.T, w *world, pairs []*pair) []bool {
		var out []bool
		for _, p := range pairs {
			var answer struct{ Vulns []struct{ ID string } }
			w.post(t, "/v1/query", "application/json", marshal(t, question(p, byPURL)), &answer)
			out = append(out, len(answer.Vulns) > 0)
		}
		return out
	}
}

func askBatch(t *testing.T, w *world, pairs []*pair) []bool {
	var all []any
	for i, p := range pairs {
		all = append(all, question(p, i%2 == 0))
	}
	var answer struct {
		Results []struct{ Vulns []struct{ ID string } }
	}
	w.post(t, "/v1/querybatch", "application/json", marshal(t, map[string]any{"queries": all}), &answer)
	var out []bool
	for _, r := range answer.Results {
		out = append(out, len(r.Vulns) > 0)
	}
	return out
}

// vulnerabilities reads the records of an all.zip.
func vulnerabilities(t *testing.T, data []byte) (out []*osvschema.Vulnerability) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		v := new(osvschema.Vulnerability)
		if err := protojson.Unmarshal(text, v); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		out = append(out, v)
	}
	return out
}

func askBucket(t *testing.T, w *world, pairs []*pair) []bool {
	return scalibr(t, pairs, func(eco string) []byte { return w.get(t, "/osv/"+url.PathEscape(eco)+"/all.zip") })
}

// scalibr asks osv-scalibr's local matcher.
func scalibr(t *testing.T, pairs []*pair, archive func(eco string) []byte) []bool {
	t.Helper()
	of := map[string][]*osvschema.Vulnerability{}
	var out []bool
	for _, p := range pairs {
		if _, ok := of[p.Ecosystem]; !ok {
			of[p.Ecosystem] = vulnerabilities(t, archive(p.Ecosystem))
		}
		pkg := &extractor.Package{Name: p.Name, Version: p.Version, PURLType: purlTypes[p.Ecosystem]}
		out = append(out, len(osvlocal.VulnerabilitiesAffectingPackage(of[p.Ecosystem], pkg)) > 0)
	}
	return out
}

// node runs a script with JSON on its input and decodes what it prints.
func node(t *testing.T, env []string, script string, in, into any, args ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ask.mjs")
	if err := os.WriteFile(file, []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	pipe(t, env, marshal(t, in), into, clienttest.Program(t, "node"), append([]string{file}, args...)...)
}

// pipe runs a program with in on its input and decodes what it prints.
func pipe(t *testing.T, env []string, in []byte, into any, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), append([]string{"HOME=" + t.TempDir()}, env...)...)
	cmd.Stdin = bytes.NewReader(in)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, stderr.String())
	}
	decode(t, stdout.Bytes(), into)
}

// askRenovate lets the library that Renovate has find the records of a package, and judges them as its
// lib/workers/repository/process/vulnerabilities.ts does: listed versions, else the events of each range in the order of versions. Renovate's own versioning is not here.
func askRenovate(t *testing.T, w *world, pairs []*pair) []bool {
	clienttest.Program(t, "node")
	module := clienttest.Module(t, "@renovatebot/osv-offline/dist/index.js")
	const script = `import { readFileSync } from "fs";
const { OsvOffline } = await import(process.argv[2]);
const db = await OsvOffline.create(), out = {};
for (const [eco, name] of JSON.parse(readFileSync(0))) out[eco + " " + name] = await db.getVulnerabilities(eco, name);
console.log(JSON.stringify(out));`
	var names [][2]string
	for _, p := range pairs {
		name := p.Name
		if p.Ecosystem == "PyPI" {
			name = client(p.Ecosystem, name)
		}
		names = append(names, [2]string{p.Ecosystem, name})
	}
	var found map[string][]struct {
		Withdrawn string
		Affected  []affected
	}
	node(t, []string{"OSV_OFFLINE_DATABASE_URL=" + w.url + "/osv-offline.zip", "OSV_OFFLINE_ROOT_DIR=" + t.TempDir()}, script, names, &found, module)
	var out []bool
	for i, p := range pairs {
		bad := false
		for _, v := range found[names[i][0]+" "+names[i][1]] {
			for _, a := range v.Affected {
				bad = bad || v.Withdrawn == "" && a.Package.Name == names[i][1] && a.Package.Ecosystem == p.Ecosystem && a.holds(p.Ecosystem, p.Version)
			}
		}
		out = append(out, bad)
	}
	return out
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// missing skips, or fails in CI.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: scripts/test installs it", what)
	}
	t.Skipf("%s is not here", what)
}

// nodeSemver is the library that npm has.
func nodeSemver(t *testing.T) string {
	t.Helper()
	return filepath.Join(filepath.Dir(clienttest.Script(t, "npm11/bin/npm-cli.js")), "..", "node_modules", "semver", "index.js")
}

// satisfied asks node-semver, as npm's audit does, which of the versions each range holds for; no range holds for none.
func satisfied(t *testing.T, pairs []*pair, of func(name string) []string) []bool {
	t.Helper()
	const script = `import { readFileSync } from "fs";
const semver = (await import(process.argv[2])).default;
console.log(JSON.stringify(JSON.parse(readFileSync(0)).map(([v, ranges]) => ranges.some(r => semver.satisfies(v, r, { includePrerelease: true, loose: true })))));`
	var ask [][2]any
	for _, p := range pairs {
		ask = append(ask, [2]any{p.Version, append([]string{}, of(p.Name)...)})
	}
	var out []bool
	node(t, nil, script, ask, &out, nodeSemver(t))
	return out
}

// byName collects the versions that are asked about, by name.
func byName(pairs []*pair) map[string][]string {
	out := map[string][]string{}
	for _, p := range pairs {
		out[p.Name] = append(out[p.Name], p.Version)
	}
	return out
}

func askNPMBulk(t *testing.T, w *world, pairs []*pair) []bool {
	nodeSemver(t)
	var answer map[string][]struct {
		Versions string `json:"vulnerable_versions"`
	}
	w.post(t, "/-/npm/v1/security/advisories/bulk", "application/json", marshal(t, byName(pairs)), &answer)
	return satisfied(t, pairs, func(name string) (ranges []string) {
		for _, a := range answer[name] {
			ranges = append(ranges, a.Versions)
		}
		return ranges
	})
}

func askNPMTree(path string) func(t *testing.T, w *world, pairs []*pair) []bool {
	return func(t *testing.T, w *world, pairs []*pair) []bool {
		// One project below which each pair has a place of its own.
		type node struct {
			Version      string           `json:"version"`
			Dependencies map[string]*node `json:"dependencies,omitempty"`
		}
		root := map[string]*node{}
		for i, p := range pairs {
			root[fmt.Sprintf("holder-%d", i)] = &node{"1.0.0", map[string]*node{p.Name: {p.Version, nil}}}
		}
		var answer struct {
			Advisories map[string]struct {
				Module   string `json:"module_name"`
				Findings []struct{ Version string }
			}
		}
		w.post(t, path, "application/json", marshal(t, map[string]any{"name": "app", "version": "1.0.0", "requires": map[string]string{}, "dependencies": root}), &answer)
		var out []bool
		for _, p := range pairs {
			bad := false
			for _, a := range answer.Advisories {
				for _, f := range a.Findings {
					bad = bad || a.Module == p.Name && f.Version == p.Version
				}
			}
			out = append(out, bad)
		}
		return out
	}
}

// composerSatisfied asks the library of Composer which versions constraints hold for.
func composerSatisfied(t *testing.T, pairs []*pair, of func(name string) []string) []bool {
	t.Helper()
	const library = "/usr/share/php/Composer/Semver/autoload.php"
	php := clienttest.Program(t, "php")
	if !exists(library) {
		missing(t, "Debian's Composer")
	}
	const script = `require $argv[1];
echo json_encode(array_map(function ($q) { foreach ($q[1] as $c) { if (Composer\Semver\Semver::satisfies($q[0], $c)) return true; } return false; }, json_decode(stream_get_contents(STDIN), true)));`
	var ask [][2]any
	for _, p := range pairs {
		ask = append(ask, [2]any{p.Version, append([]string{}, of(p.Name)...)})
	}
	var out []bool
	pipe(t, nil, marshal(t, ask), &out, php, "-r", script, library)
	return out
}

func askComposerAdvisories(t *testing.T, w *world, pairs []*pair) []bool {
	clienttest.Program(t, "php")
	form := url.Values{}
	for name := range byName(pairs) {
		form.Add("packages[]", strings.ToLower(name))
	}
	var answer struct {
		Advisories map[string][]struct{ AffectedVersions string }
	}
	w.post(t, "/composer/api/security-advisories/", "application/x-www-form-urlencoded", []byte(form.Encode()), &answer)
	return composerSatisfied(t, pairs, func(name string) (out []string) {
		for _, a := range answer.Advisories[strings.ToLower(name)] {
			out = append(out, a.AffectedVersions)
		}
		return out
	})
}

func askComposerFilter(t *testing.T, w *world, pairs []*pair) []bool {
	clienttest.Program(t, "php")
	var names []string
	for name := range byName(pairs) {
		names = append(names, "pkg://composer/"+strings.ToLower(name))
	}
	var answer struct {
		Filter map[string][]struct{ Package, Constraint string }
	}
	w.post(t, "/composer/filter-api", "application/json", marshal(t, map[string]any{"packages": names, "lists": []string{"malware"}}), &answer)
	return composerSatisfied(t, pairs, func(name string) (out []string) {
		for _, e := range answer.Filter["malware"] {
			if e.Package == strings.ToLower(name) {
				out = append(out, e.Constraint)
			}
		}
		return out
	})
}
