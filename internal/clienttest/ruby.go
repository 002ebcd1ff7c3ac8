package clienttest

import (
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Gem is a gem of nothing but its specification, as Gem::Package writes one.
func Gem(t testing.TB, name, version string) []byte {
	t.Helper()
	metadata, data := Gzip(fmt.Appendf(nil, gemSpecification, name, version)), Gzip(TarOf(t))
	sums := fmt.Appendf(nil, "---\nSHA256:\n  metadata.gz: %x\n  data.tar.gz: %x\n", sha256.Sum256(metadata), sha256.Sum256(data))
	return TarOf(t, files([]string{"metadata.gz", string(metadata), "data.tar.gz", string(data), "checksums.yaml.gz", string(Gzip(sums))})...)
}

const gemSpecification = `--- !ruby/object:Gem::Specification
name: %s
version: !ruby/object:Gem::Version
  version: %s
platform: ruby
authors:
- a
bindir: bin
cert_chain: []
date: 2020-01-01 00:00:00.000000000 Z
dependencies: []
executables: []
extensions: []
extra_rdoc_files: []
files: []
metadata: {}
rdoc_options: []
require_paths:
- lib
required_ruby_version: !ruby/object:Gem::Requirement
  requirements:
  - - ">="
    - !ruby/object:Gem::Version
      version: '0'
required_rubygems_version: !ruby/object:Gem::Requirement
  requirements:
  - - ">="
    - !ruby/object:Gem::Version
      version: '0'
requirements: []
rubygems_version: 3.3.15
specification_version: 4
summary: harmless
test_files: []
`

// GemServer serves gems of one version each, name → version, through the compact index that Bundler reads
// (https://guides.rubygems.org/rubygems-org-compact-index-api/).
func GemServer(t *testing.T, gems map[string]string) *httptest.Server {
	t.Helper()
	answers := map[string][]byte{}
	var versions strings.Builder
	versions.WriteString("created_at: 2020-01-01T00:00:00Z\n---\n")
	for name, version := range gems {
		data := Gem(t, name, version)
		info := fmt.Appendf(nil, "---\n%s |checksum:%x\n", version, sha256.Sum256(data))
		answers["/info/"+name] = info
		answers["/gems/"+name+"-"+version+".gem"] = data
		fmt.Fprintf(&versions, "%s %s %x\n", name, version, md5.Sum(info))
	}
	answers["/versions"] = []byte(versions.String())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, ok := answers[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, md5.Sum(data)))
		_, _ = w.Write(data)
	}))
	t.Cleanup(srv.Close)
	return srv
}
