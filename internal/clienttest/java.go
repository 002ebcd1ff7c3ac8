package clienttest

import (
	"crypto/sha1"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
)

// Jar is an archive of nothing but its manifest.
func Jar(t *testing.T) []byte {
	t.Helper()
	return Zip(t, "META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
}

// MavenRepository serves artifacts without dependencies, "group:artifact:version" → jar, with their SHA-1 sums
// (maven.apache.org/repository/layout.html).
func MavenRepository(t *testing.T, artifacts map[string][]byte) *httptest.Server {
	t.Helper()
	files := map[string][]byte{}
	for name, jar := range artifacts {
		part := strings.Split(name, ":")
		at := path.Join("/", strings.ReplaceAll(part[0], ".", "/"), part[1], part[2], part[1]+"-"+part[2])
		files[at+".jar"] = jar
		files[at+".pom"] = fmt.Appendf(nil, "<project><modelVersion>4.0.0</modelVersion><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></project>", part[0], part[1], part[2])
	}
	for name, data := range files {
		files[name+".sha1"] = fmt.Appendf(nil, "%x", sha1.Sum(data))
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	}))
	t.Cleanup(srv.Close)
	return srv
}

// MavenExtension is a pom.xml that needs an artifact, "group:artifact:version", of the repository at url before the
// first plugin is looked for: Maven itself loads what extends the build. It wants an old plexus-utils with that, too.
func MavenExtension(artifact, url string) string {
	part := strings.Split(artifact, ":")
	return fmt.Sprintf(`<project><modelVersion>4.0.0</modelVersion>
<groupId>org.example</groupId><artifactId>project</artifactId><version>1</version><packaging>pom</packaging>
<pluginRepositories><pluginRepository><id>test</id><url>%s</url></pluginRepository></pluginRepositories>
<build><extensions><extension><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></extension></extensions></build>
</project>
`, url, part[0], part[1], part[2])
}
