package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/rapsheet/rapsheet/internal/clienttest"
)

// The shell steps of the GitHub Action run as its runner would run them: inputs in the environment that the steps declare.
func TestGitHubAction(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the steps are for bash")
	}
	b, err := os.ReadFile("../../action/action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var action struct {
		Inputs map[string]struct{ Default string }
		Runs   struct {
			Using string
			Steps []struct {
				Name, Run, Shell, If string
				Env                  map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(b, &action); err != nil || action.Runs.Using != "composite" {
		t.Fatalf("%q, %v", action.Runs.Using, err)
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "rapsheet")
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/rapsheet").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// Stands in for the Go of a runner.
	tools := clienttest.Tree(t, map[string]string{"go": "#!/bin/sh\necho \"go $*\"\nmkdir -p \"$GOBIN\" && cp " + bin + " \"$GOBIN/rapsheet\"\n"})
	if err := os.Chmod(filepath.Join(tools, "go"), 0o755); err != nil {
		t.Fatal(err)
	}
	dump := ciDump(t)
	catalog := filepath.Join(dir, "catalog.idx")
	snapshotOf(t, catalog, "MAL-2026-1")
	lock := `{"lockfileVersion":3,"packages":{"node_modules/evil-0":{"version":"1.0.0","resolved":"https://registry.npmjs.org/evil-0/-/evil-0-1.0.0.tgz"}}}`
	for path, text := range map[string]string{"bad $(touch pwned)/package-lock.json": lock, "clean/note": "", "fed/package-lock.json": ciLock("evil-pkg")} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		inputs map[string]string
		status int
		says   string
	}{
		{map[string]string{"path": "clean"}, 0, "\nkey=rapsheet-"},
		{map[string]string{"path": "bad $(touch pwned)"}, 1, "MAL-2026-1"},
		{map[string]string{"path": "clean\nbad $(touch pwned)\n", "fail-on": "never"}, 0, "status=1"},
		{map[string]string{"path": "none"}, 3, ""},
		{map[string]string{"path": "none", "fail-on": "found"}, 0, "status=3"},
		{map[string]string{"path": "bad $(touch pwned)", "sarif": "a $(touch pwned).sarif"}, 1, "sarif=a $(touch pwned).sarif"},
		{map[string]string{"path": "--help"}, 3, ""},
		{map[string]string{"fail-on": "`touch pwned`"}, 2, "fail-on is"},
		{map[string]string{"sarif": "a\nstatus=0"}, 2, "line break"},
		{map[string]string{"binary": "", "version": "v1; touch pwned"}, 2, "not a version"},
		{map[string]string{"catalog": "none"}, 4, ""},
		{map[string]string{"path": "fed", "catalog": "", "from": dump}, 1, "MAL-2026-1"},
		{map[string]string{"path": "fed", "catalog": "", "from": dump, "binary": ""}, 1, "go install github.com/rapsheet/rapsheet/cmd/rapsheet@latest"},
		{map[string]string{"path": "clean", "catalog": "", "from": dump}, 0, "up to date"},
		{map[string]string{"path": "clean", "catalog": "", "from": "--help,", "fail-on": "never"}, 4, ""},
	} {
		output := filepath.Join(t.TempDir(), "output")
		input := func(name string) string {
			value, given := tt.inputs[name]
			if !given {
				value = map[string]string{"binary": bin, "catalog": catalog}[name]
			}
			if !given && value == "" {
				value = action.Inputs[name].Default
			}
			return value
		}
		temp := t.TempDir()
		status, said := 0, ""
		for _, step := range action.Runs.Steps {
			if strings.Contains(step.Run, "${{") {
				t.Fatalf("step %s has an expression in its shell code", step.Name)
			}
			if step.If != "" && step.If != "inputs.catalog == ''" {
				t.Fatalf("if: %s", step.If)
			}
			if step.Run == "" || status != 0 || step.If != "" && input("catalog") != "" {
				continue // actions/cache is its own program
			}
			cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.Run)
			cmd.Dir = dir
			cmd.Env = []string{"PATH=" + tools + ":" + os.Getenv("PATH"), "HOME=" + dir, "GITHUB_OUTPUT=" + output, "RUNNER_TEMP=" + temp}
			outputs := map[string]string{}
			told, _ := os.ReadFile(output)
			for line := range strings.Lines(string(told)) {
				k, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
				outputs[k] = v
			}
			for name, expression := range step.Env {
				expression = strings.TrimSuffix(strings.TrimPrefix(expression, "${{ "), " }}")
				value := ""
				if of, ok := strings.CutPrefix(expression, "inputs."); ok {
					if _, known := action.Inputs[of]; !known {
						t.Fatalf("%s is no input", of)
					}
					value = input(of)
				} else {
					name := strings.TrimPrefix(expression, "steps.install.outputs.")
					if value, ok = outputs[name]; !ok {
						t.Fatalf("%s has no output %s", expression, name)
					}
				}
				cmd.Env = append(cmd.Env, name+"="+value)
			}
			out, _ := cmd.CombinedOutput()
			status, said = cmd.ProcessState.ExitCode(), said+string(out)
		}
		told, _ := os.ReadFile(output)
		// What actions/cache takes for a key.
		for line := range strings.Lines(string(told)) {
			if key, ok := strings.CutPrefix(line, "key="); ok && !regexp.MustCompile(`^rapsheet-\d+-\d+-\n$`).MatchString(key) {
				t.Errorf("%q", key)
			}
		}
		if said += string(told); status != tt.status || !strings.Contains(said, tt.says) {
			t.Errorf("%q: status %d, %.1000s", tt.inputs, status, said)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "pwned")); err == nil {
		t.Error("an input was run")
	}
}
