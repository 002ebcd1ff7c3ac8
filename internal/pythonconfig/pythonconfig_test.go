package pythonconfig_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/pythonconfig"
)

// The rules are those of pip.pypa.io/en/stable/topics/configuration/ and of Python's configparser.
func TestReadPip(t *testing.T) {
	tests := []struct {
		name  string
		files []string
		host  string
		hosts []string
	}{
		{"nothing is configured", nil, "", nil},
		{"a file about something else", []string{"[global]\ncert = /etc/ssl/ca.pem\n[freeze]\ntimeout=10\n"}, "", nil},
		{"one index, credentials in it", []string{"[global]\nindex-url = https://user:secret@Pypi.Corp.example:8443/simple\n"},
			"pypi.corp.example:8443", []string{"pypi.corp.example:8443"}},
		{"other spellings", []string{"; mine\n[global]\n# theirs\nINDEX_URL: https://a.example/simple\n"}, "a.example", []string{"a.example"}},
		{"an option of another section", []string{"index-url = https://no.example/\n[download]\nindex-url = https://no.example/\n"}, "", nil},
		{"install goes before global", []string{"[install]\nindex-url = https://b.example/\n[global]\nindex-url = https://a.example/\n"},
			"b.example", []string{"b.example"}},
		{"the last file goes before the first", []string{"[global]\nindex-url = https://a.example/\n", "[global]\nindex-url = https://b.example/\n"},
			"b.example", []string{"b.example"}},
		{"a further index: nobody can know", []string{"[global]\nindex-url = https://a.example/\nextra-index-url =\n    https://b.example/simple\n\n    https://t:secret@c.example/simple\n"},
			"", []string{"a.example", "b.example", "c.example"}},
		{"a further index in an earlier file", []string{"[global]\nextra-index-url = https://b.example/\n", "[global]\nindex-url = https://a.example/\n"},
			"", []string{"a.example", "b.example"}},
		{"a further index beside pypi.org", []string{"[global]\nextra-index-url = https://b.example/\n"}, "", []string{"b.example"}},
		{"a further index at the same host", []string{"[global]\nindex-url = https://a.example/x\nextra-index-url = https://a.example/y\n"}, "a.example", []string{"a.example"}},
		{"links beside the index", []string{"[global]\nindex-url = https://a.example/\nfind-links = /opt/wheels\n"}, "", []string{"a.example"}},
		{"no index at all", []string{"[global]\nindex-url = https://a.example/\n[install]\nno-index = yes\n"}, "", []string{"a.example"}},
		{"an index that is none", []string{"[global]\nindex-url = ${PIP_INDEX}\nextra-index-url = /srv/simple\n"}, "", nil},
		{"no configuration", []string{"\x00\xff[[\n]=\n : \n[global"}, "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{}
			for i, f := range tt.files {
				files[[]string{"etc/pip.conf", "env/pip.conf"}[i]] = f
			}
			p := pythonconfig.Pip(settings{files: files}, "env")
			if p.Host() != tt.host || !slices.Equal(p.Hosts(), tt.hosts) {
				t.Errorf("got %q of %q, want %q of %q", p.Host(), p.Hosts(), tt.host, tt.hosts)
			}
		})
	}
}

func FuzzReadPip(f *testing.F) {
	f.Add("[global]\nindex-url = https://user:pass@Example.org:1/x\nextra-index-url =\n  http://y\n  z\n", "[install]\nno_index: 1\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		p := pythonconfig.Pip(settings{files: map[string]string{"etc/pip.conf": a, "env/pip.conf": b}}, "env")
		for _, h := range append(p.Hosts(), p.Host()) {
			if h != strings.ToLower(h) || strings.ContainsAny(h, "@/ \n") {
				t.Errorf("host %q", h)
			}
		}
	})
}
