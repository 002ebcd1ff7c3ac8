package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
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
	catalog := filepath.Join(dir, "catalog.idx")
	snapshotOf(t, catalog, "MAL-2026-1")
	lock := `{"lockfileVersion":3,"packages":{"node_modules/evil-0":{"version":"1.0.0","resolved":"https://registry.npmjs.org/evil-0/-/evil-0-1.0.0.tgz"}}}`
	for path, text := range map[string]string{"bad $(touch pwned)/package-lock.json": lock, "clean/note": ""} {
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
		{map[string]string{"path": "clean"}, 0, ""},
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
	} {
		output := filepath.Join(t.TempDir(), "output")
		steps := map[string]string{"binary": bin, "home": dir}
		status, said := 0, ""
		for _, step := range action.Runs.Steps {
			if strings.Contains(step.Run, "${{") {
				t.Fatalf("step %s has an expression in its shell code", step.Name)
			}
			if step.Run == "" || step.If != "" || status != 0 {
				continue // the catalog is named: nothing is fetched
			}
			cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.Run)
			cmd.Dir = dir
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GITHUB_OUTPUT=" + output, "RUNNER_TEMP=" + dir}
			for name, expression := range step.Env {
				expression = strings.TrimSuffix(strings.TrimPrefix(expression, "${{ "), " }}")
				value, isInput := "", false
				if input, ok := strings.CutPrefix(expression, "inputs."); ok {
					declared, known := action.Inputs[input]
					if !known {
						t.Fatalf("%s is no input", input)
					}
					value, isInput = tt.inputs[input]
					if !isInput {
						value = map[string]string{"binary": bin, "catalog": catalog}[input]
					}
					if !isInput && value == "" {
						value = declared.Default
					}
				} else {
					value = steps[strings.TrimPrefix(expression, "steps.install.outputs.")]
				}
				cmd.Env = append(cmd.Env, name+"="+value)
			}
			out, _ := cmd.CombinedOutput()
			status, said = cmd.ProcessState.ExitCode(), said+string(out)
		}
		told, _ := os.ReadFile(output)
		if said += string(told); status != tt.status || !strings.Contains(said, tt.says) {
			t.Errorf("%q: status %d, %.1000s", tt.inputs, status, said)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "pwned")); err == nil {
		t.Error("an input was run")
	}
}
