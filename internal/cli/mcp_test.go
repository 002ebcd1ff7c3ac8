package cli_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/cli"
)

// A real process answers a real client over stdio, and ends when the client hangs up.
func TestMCPProcess(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "rapsheet.exe")
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/rapsheet").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(bin, "--debug", "mcp", "--root", dir)
	cmd.Env = append(os.Environ(), "RAPSHEET_HOME="+dir)
	c, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), &mcp.CommandTransport{Command: cmd}, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.CallTool(t.Context(), &mcp.CallToolParams{Name: "check", Arguments: map[string]any{
		"packages": []any{map[string]any{"purl": "pkg:npm/flatmap-stream@0.1.1"}},
	}})
	if err != nil || res.IsError || !strings.Contains(res.Content[0].(*mcp.TextContent).Text, `"status":"malicious"`) {
		t.Errorf("%+v, %v", res, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if status := cmd.ProcessState.ExitCode(); status != 0 {
		t.Errorf("exit status %d after the client hung up", status)
	}
}

func TestMCPErrors(t *testing.T) {
	for _, tt := range []struct {
		args   []string
		stdin  string
		status int
	}{
		{[]string{"--root", filepath.Join(t.TempDir(), "none")}, "", rapsheet.ExitUsage},
		{[]string{"--catalog", filepath.Join(t.TempDir(), "none")}, "", rapsheet.ExitCatalog},
		{[]string{"surplus"}, "", rapsheet.ExitUsage},
		{nil, "", rapsheet.ExitClean},
		{nil, strings.Repeat("[", 9<<20), rapsheet.ExitInternal},
	} {
		var out, errs bytes.Buffer
		env := cli.Env{Now: time.Now, Version: "test", Getenv: func(string) string { return "" }}
		status := cli.Run(t.Context(), env, strings.NewReader(tt.stdin), &out, &errs, append([]string{"mcp"}, tt.args...))
		if status != tt.status || out.Len() > 0 || errs.Len() > 2000 {
			t.Errorf("%q: status %d, %.300s", tt.args, status, errs.String())
		}
	}
}
