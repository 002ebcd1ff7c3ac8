package cli_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory/lockfile"
)

// ciLock is a package-lock.json with one package.
func ciLock(name string) string {
	return fmt.Sprintf(`{"lockfileVersion":3,"packages":{"node_modules/%[1]s":{"version":"1.2.3","resolved":"https://registry.npmjs.org/%[1]s/-/%[1]s-1.2.3.tgz"}}}`, name)
}

// ciDump is a dump in OSV.dev's layout in which evil-pkg 1.2.3 is malicious.
func ciDump(t *testing.T) string {
	t.Helper()
	var archive bytes.Buffer
	zw := zip.NewWriter(&archive)
	w, err := zw.Create("MAL-2026-1.json")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, `{"id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"evil-pkg"},"versions":["1.2.3"]}]}`)
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return clienttest.Tree(t, map[string]string{"ecosystems.txt": "npm\n", "npm/modified_id.csv": "2026-01-02T00:00:00Z,MAL-2026-1\n", "npm/all.zip": archive.String()})
}

// ciJob is a job of a CI server: the shell code it runs, how, and the variables that it declares.
type ciJob struct {
	shell []string
	env   map[string]string
	code  string
}

func gitLabJob(t *testing.T) ciJob {
	t.Helper()
	b, err := os.ReadFile("../../ci/gitlab.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Rapsheet struct {
			Variables map[string]string
			Script    []string
			Cache     struct{ Paths []string }
			Artifacts struct {
				When    string
				Reports struct{ JUnit string }
			}
		}
	}
	if err := yaml.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	job := file.Rapsheet
	if job.Artifacts.When != "always" || job.Artifacts.Reports.JUnit != "rapsheet.xml" || len(job.Cache.Paths) != 1 || job.Variables["RAPSHEET_HOME"] != "$CI_PROJECT_DIR/"+strings.TrimSuffix(job.Cache.Paths[0], "/") {
		t.Errorf("%+v", job)
	}
	// GitLab's runner writes the lines one after the other into a script that stops at the first error.
	return ciJob{shell: []string{"sh", "-e"}, env: job.Variables, code: strings.Join(job.Script, "\n")}
}

func jenkinsJob(t *testing.T) ciJob {
	t.Helper()
	b, err := os.ReadFile("../../ci/Jenkinsfile")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(b), "sh '''")
	code, rest, ok := strings.Cut(code, "'''")
	if !ok || !strings.Contains(rest, "testResults: 'rapsheet.xml'") || strings.Contains(code, `\`) {
		t.Fatalf("%s", b)
	}
	env := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\s+(RAPSHEET_\w+) = ['"](.*)['"]`).FindAllStringSubmatch(string(b), -1) {
		env[m[1]] = strings.ReplaceAll(m[2], "${WORKSPACE}@tmp", "$WORKSPACE@tmp")
	}
	return ciJob{shell: []string{"sh", "-xe"}, env: env, code: code} // as the step sh does
}

// The shell code of the files for GitLab CI and Jenkins runs as those run it: with a rapsheet that is there, and with one that
// "go install" brings. The public list is out of reach: a feed below this machine's takes its place.
func TestCIJobs(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the jobs are for a POSIX shell")
	}
	if testing.Short() {
		t.Skip("runs shells")
	}
	program := filepath.Join(t.TempDir(), "rapsheet")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/rapsheet").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// The public list's address cannot be set in the Jenkinsfile: update is told of it here.
	const wrapper = "#!/bin/sh\nif [ \"$1\" = update ]; then exec %[1]q update --from=\"${FEED-%[2]s}\"; fi\nexec %[1]q \"$@\"\n"
	const fakeGo = "#!/bin/sh\necho \"go $*\"\nmkdir -p \"$GOBIN\" && cp \"$STAND_IN\" \"$GOBIN/rapsheet\"\n"
	dump := ciDump(t)
	bins := clienttest.Tree(t, map[string]string{"there/rapsheet": fmt.Sprintf(wrapper, program, dump), "built/go": fakeGo, "stand-in": fmt.Sprintf(wrapper, program, dump)})
	for _, name := range []string{"there/rapsheet", "built/go", "stand-in"} {
		if err := os.Chmod(filepath.Join(bins, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, job := range map[string]ciJob{"GitLab": gitLabJob(t), "Jenkins": jenkinsJob(t)} {
		for _, tt := range []struct {
			name, lock, bin, feed string
			status                int
			says, report          string
		}{
			{"clean", ciLock("good"), "there", dump, 0, "nothing found", `failures="0"`},
			{"malicious", ciLock("evil-pkg"), "there", dump, 1, "MALICIOUS", `type="MAL-2026-1"`},
			{"malicious, with go install", ciLock("evil-pkg"), "built", dump, 1, "cmd/rapsheet@latest", `type="MAL-2026-1"`},
			{"a broken lockfile", `{`, "there", dump, 3, "could not be read", `classname="unread"`},
			{"no list", ciLock("good"), "there", "/nowhere", 4, "rapsheet update failed with 4", ""},
		} {
			t.Run(name+", "+tt.name, func(t *testing.T) {
				// An old report must not pass for a new one.
				dir := clienttest.Tree(t, map[string]string{"package-lock.json": tt.lock, "rapsheet.xml": "old"})
				vars := map[string]string{"CI_PROJECT_DIR": dir, "WORKSPACE": filepath.Join(t.TempDir(), "workspace")}
				cmd := exec.CommandContext(t.Context(), job.shell[0], append(job.shell[1:], "-c", job.code)...)
				cmd.Dir = dir
				cmd.Env = []string{"PATH=" + filepath.Join(bins, tt.bin) + ":/usr/bin:/bin", "HOME=" + t.TempDir(), "FEED=" + tt.feed, "STAND_IN=" + filepath.Join(bins, "stand-in")}
				for k, v := range job.env {
					cmd.Env = append(cmd.Env, k+"="+os.Expand(v, func(n string) string { return vars[n] }))
				}
				out, _ := cmd.CombinedOutput()
				report, _ := os.ReadFile(filepath.Join(dir, "rapsheet.xml"))
				if got := cmd.ProcessState.ExitCode(); got != tt.status || !strings.Contains(string(out), tt.says) || !strings.Contains(string(report), tt.report) || string(report) == "old" {
					t.Errorf("status %d, want %d\n%s\n%s", got, tt.status, out, report)
				}
			})
		}
	}
}

type preCommitHook struct {
	ID, Entry, Language, Files string
	Args, Stages               []string
	Serial                     bool  `yaml:"require_serial"`
	Pass                       *bool `yaml:"pass_filenames"`
}

func preCommitHooks(t *testing.T) map[string]preCommitHook {
	t.Helper()
	b, err := os.ReadFile("../../.pre-commit-hooks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []preCommitHook
	if err := yaml.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	hooks := map[string]preCommitHook{}
	for _, h := range all {
		if !strings.HasPrefix(h.Entry, "rapsheet ") || h.Language != "golang" {
			t.Errorf("%+v", h)
		}
		hooks[h.ID] = h
	}
	return hooks
}

// The hook's entry runs over what pre-commit hands it.
func TestPreCommitHook(t *testing.T) {
	hooks := preCommitHooks(t)
	hook, update := hooks["rapsheet"], hooks["rapsheet-update"]
	if len(hooks) != 2 || !hook.Serial || update.Pass == nil || *update.Pass {
		t.Fatalf("%+v", hooks)
	}
	home := t.TempDir()
	words := append(strings.Fields(update.Entry)[1:], "--from", ciDump(t))
	if status, out, errs := command(context.Background(), home, words...); status != 0 {
		t.Fatalf("status %d: %s%s", status, out, errs)
	}
	t.Chdir(clienttest.Tree(t, map[string]string{"--help/package-lock.json": ciLock("evil-pkg"), "clean/package-lock.json": ciLock("good"), "broken/package-lock.json": "{"}))
	for files, want := range map[string]int{"clean/package-lock.json": 0, "--help/package-lock.json": 1, "clean/package-lock.json --help/package-lock.json": 1, "broken/package-lock.json": 3} {
		args := append(append(strings.Fields(hook.Entry)[1:], hook.Args...), strings.Fields(files)...)
		status, out, errs := command(context.Background(), home, args...)
		if status != want || strings.Contains(out, "MAL-2026-1") != (want == 1) {
			t.Errorf("%s: status %d, want %d\n%s%s", files, status, want, out, errs)
		}
	}
}

// The hook's pattern fits the lockfiles and manifests that a scan knows by name, and nothing else: a scan that is given a file
// which it does not know fails.
func TestPreCommitHookFiles(t *testing.T) {
	pattern := preCommitHooks(t)["rapsheet"].Files
	verbose, ok := strings.CutPrefix(strings.TrimSpace(pattern), "(?x)")
	if !ok || strings.Contains(verbose, "#") {
		t.Fatal(pattern)
	}
	re := regexp.MustCompile(strings.Join(strings.Fields(verbose), "")) // Go has no (?x)
	kinds := lockfile.Kinds()
	met := map[string]bool{
		// What a build or an installation leaves is not committed.
		"project.assets.json": true, "deps.json": true, "installed.json": true,
	}
	for _, name := range []string{
		"package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb", "deno.lock", "package.json",
		"poetry.lock", "uv.lock", "pdm.lock", "Pipfile.lock", "pylock.toml", "pylock.dev.toml", "requirements.txt", "dev-requirements.in", "Requirements_X.TXT", "constraints.txt", "requirements/base.txt",
		"environment.yml", "environment.yaml", "Gemfile.lock", "gems.locked", "Cargo.lock", "go.mod", "composer.lock", "packages.lock.json", "packages.config", "paket.lock",
		"x.csproj", "x.fsproj", "x.vbproj", "Directory.Packages.props", "Directory.Build.props", "Directory.Build.targets", "pom.xml", "gradle.lockfile", "buildscript-gradle.lockfile",
		"libs.versions.toml", "gradle/x.versions.toml", "gradle/verification-metadata.xml", "pubspec.lock", "mix.lock", "rebar.lock", "Package.resolved", "Podfile.lock", "conan.lock",
		"stack.yaml.lock", "cabal.project.freeze", "renv.lock", ".github/workflows/ci.yml", ".github/workflows/ci.yaml", "action.yml", "action.yaml", ".vscode/extensions.json",
		// None of them.
		"README.md", "xpackage.json", "package.json.bak", "package-lockXjson", "go.sum", "pylock.a.b.toml", "notes.txt", "my-constraints.txt", "x.versions.toml", "verification-metadata.xml", "workflows/ci.yml",
		"extensions.json", "Cargo.toml", "tsconfig.json", "requirements/readme.md", "requirements/a/b.txt", "yarn.lock/x", "Package-Lock.json",
	} {
		for _, dir := range []string{"", "a/b/"} {
			known := false
			for _, k := range kinds {
				if k.Match(path.Base(name), dir+name) {
					known, met[k.Name] = true, true
				}
			}
			if got := re.MatchString(dir + name); got != known {
				t.Errorf("%s: the hook takes it: %v, a scan knows it: %v", dir+name, got, known)
			}
		}
	}
	for _, k := range kinds {
		if !met[k.Name] {
			t.Errorf("%s has no file in this test", k.Name)
		}
	}
}

// The image is built by a Go that go.mod allows, runs without root, and has what update and serve need.
func TestContainerfile(t *testing.T) {
	b, err := os.ReadFile("../../Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	base := regexp.MustCompile(`(?m)^FROM docker\.io/library/golang:(\d+\.\d+\.\d+)-\S+ AS build$`).FindSubmatch(b)
	needs := regexp.MustCompile(`(?m)^go (\S+)$`).FindSubmatch(mod)
	if base == nil || needs == nil || version.Compare("go"+string(base[1]), "go"+string(needs[1])) < 0 {
		t.Errorf("%q builds what needs %q", base, needs)
	}
	_, last, _ := strings.Cut(string(b), "\nFROM scratch\n")
	for _, want := range []string{"\nUSER 65532:65532\n", "RAPSHEET_HOME=/var/lib/rapsheet", "--chown=65532:65532 /home/rapsheet /var/lib/rapsheet", `ENTRYPOINT ["/usr/bin/rapsheet"]`} {
		if !strings.Contains(last, want) {
			t.Errorf("the last stage has no %q", want)
		}
	}
}
