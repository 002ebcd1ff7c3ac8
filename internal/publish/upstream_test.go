package publish

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet/osv"
)

// The canonical example of shared/wire.md, part B, with material of our own added, and what
// is left of it: no id, no summary, keys within upstream's lists (part 2.3).
func TestUpstreamReport(t *testing.T) {
	const in = `{"schema_version":"1.7.4","id":"MAL-0000-acme-000123","modified":"2026-01-02T00:00:00Z","published":"2026-01-01T00:00:00Z","summary":"Malicious code in evil-pkg (npm)","details":"Steals environment variables at install time.","severity":[{"type":"CVSS_V3","score":"x"}],"affected":[{"package":{"ecosystem":"npm","name":"@Scope/Evil-pkg","purl":"pkg:npm/%40Scope/Evil-pkg"},"versions":["1.2.3","1.2.4"],"ecosystem_specific":{"x":1},"database_specific":{"digests":["sha256:00"],"cwes":[{"cweId":"CWE-506"}]}}],"references":[{"type":"ADVISORY","url":"https://catalog.example/MAL-2026-1"}],"credits":[{"name":"Acme","type":"FINDER","contact":["https://acme.example"]}],"database_specific":{"rapsheet":{"campaign":"x"},"malicious-packages-origins":[{"source":"acme","sha256":"0000000000000000000000000000000000000000000000000000000000000000","import_time":"2026-01-01T00:00:00Z"}]}}`
	const want = `{
  "schema_version": "1.7.4",
  "modified": "2026-01-02T00:00:00Z",
  "published": "2026-01-01T00:00:00Z",
  "details": "Steals environment variables at install time.",
  "affected": [
    {
      "package": {
        "ecosystem": "npm",
        "name": "@Scope/Evil-pkg",
        "purl": "pkg:npm/%40Scope/Evil-pkg"
      },
      "versions": [
        "1.2.3",
        "1.2.4"
      ],
      "database_specific": {
        "cwes": [
          {
            "cweId": "CWE-506"
          }
        ]
      }
    }
  ],
  "references": [
    {
      "type": "ADVISORY",
      "url": "https://catalog.example/MAL-2026-1"
    }
  ],
  "credits": [
    {
      "name": "Acme",
      "type": "FINDER",
      "contact": [
        "https://acme.example"
      ]
    }
  ],
  "database_specific": {
    "malicious-packages-origins": [
      {
        "source": "acme",
        "sha256": "0000000000000000000000000000000000000000000000000000000000000000",
        "import_time": "2026-01-01T00:00:00Z"
      }
    ]
  }
}
`
	r, _, err := osv.Parse([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	path, data, err := UpstreamReport(r)
	if err != nil {
		t.Fatal(err)
	}
	if path != "osv/malicious/npm/@scope/evil-pkg/MAL-0000-acme-000123.json" {
		t.Errorf("path is %s", path)
	}
	if string(data) != want {
		t.Errorf("report is\n%s", data)
	}
	if again, err := r.Marshal(); err != nil || string(again) != in {
		t.Errorf("the record was changed: %s", again)
	}
}

func TestUpstreamPath(t *testing.T) {
	tests := []struct {
		id, ecosystem, name string
		want                string // "" for an error
	}{
		{"MAL-0000-acme-1", "npm", "--no-audit", "npm/--no-audit/MAL-0000-acme-1"}, // a real one: osv/malicious/npm/--no-audit/MAL-2022-4.json
		{"MAL-0000-acme-1", "npm", "@Scope/Bad", "npm/@scope/bad/MAL-0000-acme-1"},
		{"MAL-0000-acme-1", "crates.io", "faster_log", "crates.io/faster_log/MAL-0000-acme-1"},
		{"MAL-0000-acme-1", "GitHub Actions", "evil/action", "github-actions/evil/action/MAL-0000-acme-1"},
		{"MAL-0000-acme-1", "Maven", "com.evil:lib", "maven/com.evil:lib/MAL-0000-acme-1"},
		{"MAL-0000-acme-1", "VSCode:https://open-vsx.org", "pub.ext", "vscode/pub.ext/MAL-0000-acme-1"},
		{"MAL-0000-acme-1", "Debian:11", "x", "debian:11/x/MAL-0000-acme-1"},
		{"MAL-0000-acme-1", "npm", "..", ""},
		{"MAL-0000-acme-1", "npm", "../../../../etc/passwd", ""},
		{"MAL-0000-acme-1", "npm", "/etc/passwd", ""},
		{"MAL-0000-acme-1", "npm", "a/../b", ""},
		{"MAL-0000-acme-1", "npm", "a//b", ""},
		{"MAL-0000-acme-1", "npm", "a/", ""},
		{"MAL-0000-acme-1", "npm", ".", ""},
		{"MAL-0000-acme-1", "npm", "", ""},
		{"MAL-0000-acme-1", "npm", `..\..\x`, ""},
		{"MAL-0000-acme-1", "npm", "a\x1b[2Jb", ""},
		{"MAL-0000-acme-1", "npm", "a\x00b", ""},
		{"MAL-0000-acme-1", "npm", "a\x7fb", ""},
		{"MAL-0000-acme-1", "npm", "a\xffb", ""},
		{"MAL-0000-acme-1", "npm", strings.Repeat("a", 4096), ""},
		{"MAL-0000-acme-1", "Go", "github.com/x/MAL-0000-acme-1.json", ""},
		{"MAL-0000-../x", "npm", "evil", ""},
		{"MAL-0000-a:b", "npm", "evil", ""},
		{"MAL-0000-acme-1", "CRAN", "evil", ""},
		{"MAL-2026-12", "npm", "evil", ""}, // upstream's own number
	}
	for _, test := range tests {
		r := &osv.Record{ID: test.id, Modified: "2026-01-01T00:00:00Z", Credits: []osv.Credit{{Name: "x"}},
			Affected: []osv.Affected{{Package: osv.Package{Ecosystem: test.ecosystem, Name: test.name}}}}
		got, _, err := UpstreamReport(r)
		want := test.want
		if want != "" {
			want = "osv/malicious/" + want + ".json"
		}
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s %.40q: %q, %v; want %q", test.ecosystem, test.name, got, err, want)
		}
		if err != nil && strings.ContainsFunc(err.Error(), unicode.IsControl) {
			t.Errorf("not printable: %q", err)
		}
	}
}

func TestUpstreamRules(t *testing.T) {
	const mark = "\n---\n" + detailsMark + "\n\n"
	tests := []struct {
		name string
		edit func(*osv.Record)
		err  string
		want string // in the report
		not  string // in the report
	}{
		{"withdrawn", func(r *osv.Record) { r.Withdrawn = "2026-01-01T00:00:00Z" }, "withdrawn", "", ""},
		{"nobody", func(r *osv.Record) { r.Credits = nil }, "neither", "", ""},
		{"text of the record before those of sources", func(r *osv.Record) { r.Details = "Ours." + mark + "## Source: acme (00)\nTheirs.\n" }, "", `"Ours.\n"`, "Theirs"},
		{"texts of sources only", func(r *osv.Record) { r.Details = mark + "## Source: acme (00)\nTheirs.\n" }, "", `"Theirs.\n"`, "Source"},
		{"no text", func(r *osv.Record) { r.Details = mark }, "", "", `"details"`},
		{"upstream's credit", func(r *osv.Record) { r.Details = "x\n" + creditMark }, "credit", "", ""},
		{"origin with a bad name", func(r *osv.Record) {
			r.DatabaseSpecific = jsontext.Value(`{"malicious-packages-origins":[{"source":"A b","sha256":"` + strings.Repeat("0", 64) + `"}]}`)
		}, "origin", "", ""},
		{"origin without a digest", func(r *osv.Record) {
			r.DatabaseSpecific = jsontext.Value(`{"malicious-packages-origins":[{"source":"a"}]}`)
		}, "origin", "", ""},
		{"indicators", func(r *osv.Record) {
			r.DatabaseSpecific = jsontext.Value(`{"iocs":{"domains":["evil.example"]},"rapsheet":{}}`)
		}, "", `"evil.example"`, "rapsheet"},
		{"not an object", func(r *osv.Record) { r.DatabaseSpecific = jsontext.Value(`[]`) }, "not an object", "", ""},
		{"action with a tag that moves", func(r *osv.Record) {
			r.Affected[0] = osv.Affected{Package: osv.Package{Ecosystem: "GitHub Actions", Name: "a/b"}, Versions: []string{"v4"}}
		}, "moves", "", ""},
		{"action with a fixed tag", func(r *osv.Record) {
			r.Affected[0] = osv.Affected{Package: osv.Package{Ecosystem: "GitHub Actions", Name: "a/b"}, Versions: []string{"v4.1.0"}}
		}, "", "v4.1.0", ""},
		{"action that is no repository", func(r *osv.Record) {
			r.Affected[0] = osv.Affected{Package: osv.Package{Ecosystem: "GitHub Actions", Name: "a/b.git"}, Versions: []string{"v4.1.0"}}
		}, "owner/repo", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := &osv.Record{ID: "MAL-0000-acme-1", Modified: "2026-01-01T00:00:00Z", Credits: []osv.Credit{{Name: "x"}},
				Affected: []osv.Affected{{Package: osv.Package{Ecosystem: "npm", Name: "evil"}, Versions: []string{"1.0.0"}}}}
			test.edit(r)
			_, data, err := UpstreamReport(r)
			switch {
			case test.err != "":
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error is %v, want %q", err, test.err)
				}
			case err != nil:
				t.Error(err)
			case !strings.Contains(string(data), test.want), test.not != "" && strings.Contains(string(data), test.not):
				t.Errorf("report is %s", data)
			}
		})
	}
}

// A record that upstream would not take is published without a report, and said.
func TestUnreported(t *testing.T) {
	list := []Record{
		rec(t, "MAL-0000-acme-1", "NuGet", "Evil.Lib"),
		rec(t, "MAL-0000-acme-2", "NuGet", "evil.lib"),
		rec(t, "MAL-0000-acme-3", "CRAN", "evil"),
	}
	for i := range list {
		list[i].Upstream = true
	}
	res := mustPublish(t, t.TempDir(), release(1, list), Options{})
	if len(res.Unreported) != 1 || res.Unreported[0].ID != "MAL-0000-acme-3" || res.Manifest.Upstream.Files != 2 {
		t.Errorf("unreported are %v, upstream is %v", res.Unreported, res.Manifest.Upstream)
	}
	got := tree(t, filepath.Join(res.Path, upstreamName))
	for _, name := range []string{"osv/malicious/nuget/evil.lib/MAL-0000-acme-1.json", "osv/malicious/nuget/evil.lib/MAL-0000-acme-2.json"} {
		if got[name] == "" {
			t.Errorf("no %s", name)
		}
	}
}

func FuzzUpstreamReport(f *testing.F) {
	f.Add("MAL-0000-acme-1", "npm", "@scope/evil", "text")
	f.Add("MAL-0000-acme-1", "Maven:https://x", "../evil", detailsMark)
	f.Add("MAL-", "Maven:\x18", "0", "0")
	f.Add("MAL-1", "Debian:11/..", `a\..\b`, "\n---\n"+detailsMark+"## Source: x\n")
	f.Fuzz(func(t *testing.T, id, eco, name, text string) {
		r := &osv.Record{ID: id, Modified: "2026-01-01T00:00:00Z", Details: text, Credits: []osv.Credit{{Name: "x"}},
			Affected: []osv.Affected{{Package: osv.Package{Ecosystem: eco, Name: name}}}}
		path, data, err := UpstreamReport(r)
		if err != nil {
			if path != "" || data != nil || strings.ContainsFunc(err.Error(), unicode.IsControl) {
				t.Fatalf("%q, %q with error %q", path, data, err)
			}
			return
		}
		rest, ok := strings.CutPrefix(path, "osv/malicious/")
		if !ok || !filepath.IsLocal(rest) || filepath.Clean(path) != path || strings.ContainsFunc(path, unicode.IsControl) || strings.Count(path, "/") < 4 {
			t.Fatalf("path is %q", path)
		}
		if !jsontext.Value(data).IsValid() || data[len(data)-1] != '\n' || strings.Contains(string(data), detailsMark) {
			t.Fatalf("report is %q", data)
		}
	})
}
