package claim_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/osv"
)

// Upstream's rule for the names of origins is ^[a-z0-9-]+$ (ossf/malicious-packages, shared wire rule 2.3).
func TestSlug(t *testing.T) {
	for in, want := range map[string]string{
		"datadog": "datadog", "Socket.dev": "socket-dev", "  Reversing  Labs! ": "reversing-labs", "ReversingLabs": "reversinglabs",
		"": "", "—": "", "../etc": "etc", "Ünïcode 7": "n-code-7", "\x1b[2J": "2j",
	} {
		if got := claim.Slug(in); got != want {
			t.Errorf("Slug(%q) = %q, want %q", in, got, want)
		}
	}
	if long := claim.Slug(strings.Repeat("ab ", 100)); len(long) > 64 || strings.HasSuffix(long, "-") {
		t.Errorf("a long name gives %q", long)
	}
}

// The same statement has the same digest, in whatever order it was said and through whichever document it came.
func TestDigest(t *testing.T) {
	digest := func(c claim.Claim) string {
		c.Normalise()
		b, err := c.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		d := claim.Digest(b)
		return string(d[:])
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("east", 3600))
	a := claim.Claim{Source: "one", Ref: "r", Ecosystem: "npm", Name: "x", Versions: []string{"2", "1", "1"}, Origins: []string{"b", "a"}, Published: at}
	b := claim.Claim{Source: "two", Ref: "s", Document: [32]byte{1}, Ecosystem: "npm", Name: "x", Versions: []string{"1", "2"}, Origins: []string{"a", "b"}, Published: at.UTC()}
	one, two := "sha1:"+strings.Repeat("1", 40), "sha1:"+strings.Repeat("2", 40)
	a.Archives, b.Archives = []string{two, one, two}, []string{one, two}
	if digest(a) != digest(b) {
		t.Error("the same statement has two digests")
	}
	b.All = true
	if digest(a) == digest(b) {
		t.Error("another statement has the same digest")
	}
}

func TestMarshalThenUnmarshal(t *testing.T) {
	c := claim.Claim{
		Ecosystem: "npm", Name: "@s/x", PURL: "pkg:npm/%40s/x", ID: "MAL-2026-1", Aliases: []string{"GHSA-a"}, Origins: []string{"a"},
		Versions: []string{"1.0.0"}, Ranges: []osv.Range{{Type: "SEMVER", Events: []osv.Event{{Introduced: "2.0.0"}, {Fixed: "3.0.0"}}}},
		Archives: []string{"sha1:" + strings.Repeat("1", 40)},
		Modified: time.Date(2026, 1, 2, 3, 4, 5, 678000000, time.UTC), Details: "it\nsteals", Indicators: []byte(`{"domains":["bad.example"]}`),
		References: []osv.Reference{{Type: "WEB", URL: "https://example.org"}}, Credits: []osv.Credit{{Name: "A", Type: "FINDER"}},
	}
	b, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var back claim.Claim
	if err := back.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, back) {
		t.Errorf("%+v became %+v", c, back)
	}
}

func TestValidate(t *testing.T) {
	good := claim.Claim{Ref: "r", Ecosystem: "npm", Name: "x", Versions: []string{"1.0.0"}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*claim.Claim){
		"no ecosystem":          func(c *claim.Claim) { c.Ecosystem = "" },
		"no name":               func(c *claim.Claim) { c.Name = "" },
		"no reference":          func(c *claim.Claim) { c.Ref = "" },
		"a name with a space":   func(c *claim.Claim) { c.Name = " x" },
		"A12 NUL in a name":     func(c *claim.Claim) { c.Ecosystem, c.Name = "unheard-of", "x\x00" },
		"A10 a name not UTF-8":  func(c *claim.Claim) { c.Ecosystem, c.Name = "unheard-of", "x\xff" },
		"a text not UTF-8":      func(c *claim.Claim) { c.Details = "\xff" },
		"an empty version":      func(c *claim.Claim) { c.Versions = []string{""} },
		"a version of 2 KiB":    func(c *claim.Claim) { c.Versions = []string{strings.Repeat("1", 2048)} },
		"A30 too many versions": func(c *claim.Claim) { c.Versions = make([]string, claim.MaxVersions+1) },
		"NUL in a reference":    func(c *claim.Claim) { c.References = []osv.Reference{{URL: "https://\x00"}} },
		"a credit not UTF-8":    func(c *claim.Claim) { c.Credits = []osv.Credit{{Name: "\xff"}} },
		"NUL in an alias":       func(c *claim.Claim) { c.Aliases = []string{"\x00"} },
		"no digest":             func(c *claim.Claim) { c.Archives = []string{"sha256:00"} },
		"a digest in base64":    func(c *claim.Claim) { c.Archives = []string{"md5-1B2M2Y8AsgTpgAmY7PhCfw=="} },
		"too many digests":      func(c *claim.Claim) { c.Archives = make([]string, ecosystem.MaxArchives+1) },
		"a campaign of a KiB":   func(c *claim.Claim) { c.Campaign = strings.Repeat("c", 1024) },
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			change(&c)
			if c.Validate() == nil {
				t.Errorf("%+v passes", c)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	for name, tt := range map[string]struct {
		events []osv.Event
		want   bool
	}{
		"from 0 without an end": {[]osv.Event{{Introduced: "0"}}, true},
		"from 0 to an end":      {[]osv.Event{{Introduced: "0"}, {Fixed: "1.0.0"}}, false},
		"from a version":        {[]osv.Event{{Introduced: "1.0.0"}}, false},
		"nothing":               {nil, false},
	} {
		c := claim.Claim{Ranges: []osv.Range{{Events: tt.events}}}
		if c.Open() != tt.want {
			t.Errorf("%s: %v", name, c.Open())
		}
	}
}
