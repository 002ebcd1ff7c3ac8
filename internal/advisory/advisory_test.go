package advisory_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/osv"
)

func parse(t *testing.T, affected string) *osv.Record {
	t.Helper()
	r, _, err := osv.Parse([]byte(`{"schema_version": "1.7.4", "id": "MAL-2026-1", "modified": "2026-01-02T00:00:00Z", "published": "2026-01-01T00:00:00Z", "affected": [` + affected + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The evaluation of https://ossf.github.io/osv-schema/#evaluation decides what each span must be.
func TestVersions(t *testing.T) {
	for _, tt := range []struct {
		name, affected string
		npm            string
		all            bool
	}{
		{"exact, in order, once", `{"package": {"ecosystem": "npm", "name": "a"}, "versions": ["1.10.0", "1.2.0", "1.10.0"]}`, "=1.2.0 || =1.10.0", false},
		{"everything", `{"package": {"ecosystem": "npm", "name": "a"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]}`, "*", true},
		{"everything swallows versions", `{"package": {"ecosystem": "npm", "name": "a"}, "versions": ["1.0.0"], "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]}`, "*", true},
		{"two runs", `{"package": {"ecosystem": "npm", "name": "a"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "2.0.0"}, {"last_affected": "2.1.0"}]}, {"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.0.0"}]}]}`, "<1.0.0 || >=2.0.0 <=2.1.0", false},
		{"runs that meet become one", `{"package": {"ecosystem": "npm", "name": "a"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "1.0.0"}, {"fixed": "2.0.0"}]}, {"type": "SEMVER", "events": [{"introduced": "1.5.0"}, {"fixed": "3.0.0"}]}]}`, ">=1.0.0 <3.0.0", false},
		{"a limit ends a run", `{"package": {"ecosystem": "npm", "name": "a"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "1.0.0"}, {"limit": "2.0.0"}]}]}`, ">=1.0.0 <2.0.0", false},
		{"without an end", `{"package": {"ecosystem": "npm", "name": "a"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "1.0.0"}]}]}`, ">=1.0.0", false},
		{"commits are no versions", `{"package": {"ecosystem": "npm", "name": "a"}, "versions": ["1.0.0"], "ranges": [{"type": "GIT", "repo": "https://x.example/r", "events": [{"introduced": "0"}]}]}`, "=1.0.0", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := advisory.Of(parse(t, tt.affected), advisory.Links{})
			if len(got) != 1 {
				t.Fatalf("%d advisories", len(got))
			}
			if text := advisory.NPM.Text(&got[0]); text != tt.npm || got[0].All != tt.all {
				t.Errorf("%q, all: %v; want %q", text, got[0].All, tt.npm)
			}
		})
	}
}

func TestOf(t *testing.T) {
	two := parse(t, `{"package": {"ecosystem": "PyPI", "name": "Evil_Pkg"}, "versions": ["1.0"]}, {"package": {"ecosystem": "npm", "name": "@scope/bad"}, "versions": ["1.0.0"]}, {"package": {"ecosystem": "Nowhere", "name": "x"}, "versions": ["1"]}`)
	var purls []string
	for _, a := range advisory.Of(two, advisory.Links{Base: "https://list.example"}) {
		purls = append(purls, a.PURL)
		if a.URL != "https://list.example/MAL-2026-1" || a.Title == "" {
			t.Errorf("url %q, title %q", a.URL, a.Title)
		}
	}
	if want := []string{"pkg:pypi/evil-pkg", "pkg:npm/%40scope/bad"}; !slices.Equal(purls, want) {
		t.Errorf("%q; want %q", purls, want)
	}
	two.Withdrawn = "2026-02-01T00:00:00Z"
	if got := advisory.Of(two, advisory.Links{}); got != nil {
		t.Errorf("a withdrawn record gave %v", got)
	}
}

func TestURL(t *testing.T) {
	r := parse(t, `{"package": {"ecosystem": "npm", "name": "a"}, "versions": ["1.0.0"]}`)
	for _, tt := range []struct{ ref, want string }{
		{"https://list.example/x", "https://list.example/x"},
		{"javascript:alert(1)", "https://osv.dev/vulnerability/MAL-2026-1"},
		{"https://user:secret@list.example/x", "https://osv.dev/vulnerability/MAL-2026-1"},
	} {
		r.References = []osv.Reference{{Type: "WEB", URL: "https://web.example"}, {Type: "ADVISORY", URL: tt.ref}}
		if got := advisory.Of(r, advisory.Links{})[0].URL; got != tt.want {
			t.Errorf("%s: %s; want %s", tt.ref, got, tt.want)
		}
	}
}

// What clients of OSV compare as text is as they have it: PEP 503's name (https://ossf.github.io/osv-schema/#defined-ecosystems), and Go's
// versions, which have a "v" in go.mod and none in records. Nothing more is covered.
func TestPlainText(t *testing.T) {
	for _, tt := range []struct{ affected, want string }{
		{`{"package": {"ecosystem": "PyPI", "name": "Evil_Py.Pkg"}, "versions": ["1.0"]}`, `{"package":{"ecosystem":"PyPI","name":"evil-py-pkg","purl":"pkg:pypi/evil-py-pkg"},"versions":["1.0"]}`},
		{
			`{"package": {"ecosystem": "Go", "name": "example.com/Evil", "purl": "pkg:golang/example.com/evil"}, "versions": ["v1.2.3", "branch"]}`,
			`{"package":{"ecosystem":"Go","name":"example.com/Evil","purl":"pkg:golang/example.com/evil"},"ranges":[{"type":"SEMVER","events":[{"introduced":"1.2.3"},{"last_affected":"1.2.3"}]}],"versions":["v1.2.3","branch"]}`,
		},
		{`{"package": {"ecosystem": "npm", "name": "a", "purl": "pkg:npm/a"}, "versions": ["1.0.0"]}`, `{"package":{"ecosystem":"npm","name":"a","purl":"pkg:npm/a"},"versions":["1.0.0"]}`},
	} {
		rec := parse(t, tt.affected)
		data, err := advisory.Plain(rec, advisory.Links{}).Marshal()
		if err != nil || !strings.Contains(string(data), `"affected":[`+tt.want+`]`) {
			t.Errorf("%s, %v; want %s", data, err, tt.want)
		}
		if rec.Affected[0].Package.Name == "evil-py-pkg" || len(rec.Affected[0].Ranges) > 0 {
			t.Errorf("the record was changed: %+v", rec.Affected[0])
		}
	}
}
