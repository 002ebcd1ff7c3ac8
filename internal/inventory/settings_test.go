package inventory_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rapsheet/rapsheet/internal/inventory"
)

// The environment counts on this machine and in its user's home, not in others' homes and not in other trees.
func TestInEffect(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file"), []byte("set"), 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return map[string]string{"HOME": "/home/anna", "X": "y"}[name] }
	for _, tt := range []struct {
		place  string
		getenv func(string) string
		want   bool
	}{
		{"/src/project", getenv, true},
		{"/usr/lib/python3", getenv, true},
		{"/home/anna/project", getenv, true},
		{"/home/anna", getenv, true}, // a file of it
		{"/home/anna2/project", getenv, false},
		{"/home/bert", getenv, false},
		{"/Users/bert/x", getenv, false},
		{"C:/Users/bert/x", getenv, false},
		{"/root/x", getenv, false},
		{"/var/root/x", getenv, false},
		{"/var/lib/x", getenv, true},
		{"/rooted/x", getenv, true},
		{"/src/project", nil, false},
	} {
		seen := false
		kind := inventory.Kind{Name: "x", Match: func(base, _ string) bool { return base == "file" }, Read: func(_ context.Context, in *inventory.File, _ *inventory.Sink) error {
			seen = true
			_, missing := in.MachineFile(filepath.Join(root, "none"), 10)
			_, relative := in.MachineFile("file", 10)
			_, directory := in.MachineFile(root, 10)
			_, long := in.MachineFile(filepath.Join(root, "file"), 2)
			b, ok := in.MachineFile(filepath.Join(root, "file"), 10)
			if missing || relative || directory || long {
				t.Errorf("%s: a file that is none: %v %v %v %v", tt.place, missing, relative, directory, long)
			}
			if got := in.InEffect(); got != tt.want || ok != tt.want || (string(b) == "set") != tt.want || (in.Getenv("X") == "y") != tt.want {
				t.Errorf("%s: in effect %v (%q, %q), want %v", tt.place, got, b, in.Getenv("X"), tt.want)
			}
			return nil
		}}
		opt := inventory.Options{Kinds: []inventory.Kind{kind}, As: tt.place, Getenv: tt.getenv}
		for range inventory.Walk(t.Context(), root, opt) { //nolint:revive // the stream is drained
		}
		if !seen {
			t.Fatal("not read")
		}
	}
	// A tree that is none of this machine has an environment of its own.
	var in []bool
	kind := inventory.Kind{Name: "x", Match: func(string, string) bool { return true }, Read: func(_ context.Context, f *inventory.File, _ *inventory.Sink) error {
		in = append(in, f.InEffect())
		return nil
	}}
	for range inventory.WalkFS(t.Context(), os.DirFS(root), "image", inventory.Options{Kinds: []inventory.Kind{kind}, Getenv: getenv}) { //nolint:revive // the stream is drained
	}
	if !slices.Equal(in, []bool{false}) {
		t.Errorf("in an image: %v", in)
	}
}
