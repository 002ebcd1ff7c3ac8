package sameanswers

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/clienttest"
)

// clientAskers are scanners as they are, each with one SBOM of all pairs; RAPSHEET_CLIENTS=1 runs them.
var clientAskers = []asker{
	{name: "osv-scanner 2.5.1 on `osv-scanner`", reader: "the scanner, offline, one SBOM of all", ask: askScanner, limits: []limit{
		unknown("OSV-Scanner knows no VS Code extensions, and no GitHub Actions and Hackage of an SBOM", "VSCode", "GitHub Actions", "Hackage"),
		holding, bySpelling, goLower, asText, composerZeros,
	}},
	{name: "grype 0.121.3 on `grype`", reader: "the scanner, one SBOM of all", ask: askGrype, limits: []limit{
		unknown("Grype knows no VS Code extensions, CRAN and Hackage, and GitHub Actions only as `pkg:github`", "VSCode", "CRAN", "Hackage", "GitHub Actions"),
		holding, noCase, local, nugetText, composerCase, composerPatch,
		{"Composer's 1.2.3.0 is another version than 1.2.3", func(p *pair) bool { return p.bad && p.Ecosystem == "Packagist" && p.Version == "1.2.3.0" }},
		bySpelling,
	}},
	{name: "trivy 0.65.0 on `trivy`", reader: "the scanner, one SBOM of all", ask: askTrivy, limits: []limit{
		unknown("Trivy knows no VS Code extensions, GitHub Actions, CRAN and Hackage", "VSCode", "GitHub Actions", "CRAN", "Hackage"),
		holding, noCase, local, nugetText, branches, composerCase, composerPatch, bySpelling,
	}},
}

// unknown is of ecosystems that a reader does not know.
func unknown(why string, ecosystems ...string) limit {
	return limit{why, func(p *pair) bool { return p.bad && slices.Contains(ecosystems, p.Ecosystem) }}
}

// Limits of the scanners' own orders.
var (
	local = limit{"a local version of PyPI counts as the version that it is of", func(p *pair) bool { return !p.bad && p.Ecosystem == "PyPI" && strings.Contains(p.Version, "+") }}
	// Other spellings of one version.
	nugetText = limit{"NuGet's versions are ordered as SemVer: other letters of a pre-release, a fourth number and leading zeros make another", func(p *pair) bool {
		return p.bad && p.Ecosystem == "NuGet" && p.verdict == rapsheet.VerdictExact && !p.listedAs()
	}}
	branches     = limit{"branches of Composer are no versions", func(p *pair) bool { return p.bad && strings.HasPrefix(p.Version, "dev-") }}
	composerCase = limit{"Composer's pre-releases in capitals are others than those in small letters, and before them", func(p *pair) bool {
		return p.bad && p.Ecosystem == "Packagist" && strings.Contains(strings.ToUpper(p.Version), "RC")
	}}
	composerPatch = limit{"Composer's patch releases (-p1) count as pre-releases", func(p *pair) bool { return !p.bad && p.Ecosystem == "Packagist" && strings.Contains(p.Version, "-p") }}
)

// scan runs a scanner with a home of its own and gives what it prints; it may end with any status.
func scan(t *testing.T, env []string, program string, args ...string) []byte {
	t.Helper()
	program = clienttest.Scanner(t, program)
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = home
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_CACHE_HOME=" + filepath.Join(home, "cache"), "TMPDIR=" + t.TempDir(), "HTTPS_PROXY=http://127.0.0.1:1"}, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && stdout.Len() == 0 {
		t.Fatalf("%s: %v\n%s", program, err, stderr.String())
	}
	return stdout.Bytes()
}

func askScanner(t *testing.T, w *world, pairs []*pair) []bool {
	var report struct {
		Results []struct {
			Packages []struct {
				Package         struct{ Name, Version, Ecosystem string }
				Vulnerabilities []struct{ ID string }
			}
		}
	}
	decode(t, scan(t, nil, "osv-scanner", "scan", "source", "--offline", "--local-db-path", w.export(t, "osv-scanner"), "--format", "json", "-L", bom(t, pairs)), &report)
	found := map[[3]string]bool{}
	for _, r := range report.Results {
		for _, p := range r.Packages {
			found[[3]string{p.Package.Ecosystem, p.Package.Name, p.Package.Version}] = len(p.Vulnerabilities) > 0
		}
	}
	var out []bool
	for _, p := range pairs {
		name := p.Name
		if p.Ecosystem == "PyPI" { // which it prints in PEP 503's form
			name = client(p.Ecosystem, name)
		}
		out = append(out, found[[3]string{p.Ecosystem, name, p.Version}])
	}
	return out
}

func askGrype(t *testing.T, w *world, pairs []*pair) []bool {
	var archive string
	w.files(t, "grype", ".tar.zst", func(path string, _ []byte) { archive = filepath.Join(w.export(t, "grype"), path) })
	env := []string{"GRYPE_DB_AUTO_UPDATE=false", "GRYPE_CHECK_FOR_APP_UPDATE=false", "GRYPE_DB_VALIDATE_AGE=false", "GRYPE_DB_CACHE_DIR=" + filepath.Join(t.TempDir(), "malware")}
	scan(t, env, "grype", "db", "import", archive)
	var report struct {
		Matches []struct {
			Artifact struct{ PURL string }
		}
	}
	decode(t, scan(t, env, "grype", "sbom:"+bom(t, pairs), "-o", "json"), &report)
	found := map[[2]string]bool{}
	for _, m := range report.Matches {
		key, version := purlKey(t, m.Artifact.PURL)
		found[[2]string{key, version}] = true
	}
	var out []bool
	for _, p := range pairs {
		key, version := purlKey(t, purl(p.Package))
		out = append(out, found[[2]string{key, version}])
	}
	return out
}

func askTrivy(t *testing.T, w *world, pairs []*pair) []bool {
	var report struct {
		Results []struct {
			Vulnerabilities []struct {
				PkgIdentifier struct{ BOMRef string }
			}
		}
	}
	cache := filepath.Join(t.TempDir(), "cache")
	if err := os.CopyFS(cache, os.DirFS(w.export(t, "trivy"))); err != nil {
		t.Fatal(err)
	}
	decode(t, scan(t, nil, "trivy", "sbom", "--scanners", "vuln", "--offline-scan", "--skip-version-check", "--disable-telemetry", "--skip-db-update", "--skip-java-db-update",
		"--cache-dir", cache, "--format", "json", bom(t, pairs)), &report)
	out := make([]bool, len(pairs))
	for _, r := range report.Results {
		for _, v := range r.Vulnerabilities {
			i, err := strconv.Atoi(strings.TrimPrefix(v.PkgIdentifier.BOMRef, "c"))
			if err != nil {
				t.Fatalf("%+v", v)
			}
			out[i] = true
		}
	}
	return out
}
