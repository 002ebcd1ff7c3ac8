package registry

import (
	"os/exec"
	"strings"
	"testing"
)

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{
		"a@1.0": "a@1.0", "@s/a": "@s/a", "": "''", "a b": "'a b'", "a'; rm -rf ~; '": `'a'\''; rm -rf ~; '\'''`,
		"$(x)": "'$(x)'", "`x`": "'`x`'", "é": "'é'", "~": "'~'", "a\nb": `$'a\012b'`, "\xff1": `$'\3771'`, "\u202e'": `$'\342\200\256\''`,
	} {
		if got := shellQuote(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

// A shell gives every word back as it was, and no word is more than a line.
func FuzzShellQuote(f *testing.F) {
	for _, s := range []string{"", "plain-1.0.0.tgz", "it's", "a b", "$(id)", "`id`", "\n", "\\", "\\n", "\u202e", "\xff1", "\x1b[2J", "~", "#", "=x", "!", "é", "\x017", "$'x'"} {
		f.Add(s)
	}
	bash, err := exec.LookPath("bash")
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "\x00") {
			t.Skip() // no file name and no argument has one
		}
		word := shellQuote(s)
		if strings.ContainsAny(word, "\n\r\x1b\u202e") {
			t.Errorf("%q: not printable on one line: %q", s, word)
		}
		if err != nil {
			t.Skip("bash is not here")
		}
		cmd := exec.Command(bash, "-c", "printf %s "+word)
		if got, err := cmd.Output(); err != nil || string(got) != s {
			t.Errorf("%q became %s, which bash reads as %q (%v)", s, word, got, err)
		}
	})
}
