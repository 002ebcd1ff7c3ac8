package cache_test

import (
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory/cache"
)

func TestMavenPath(t *testing.T) {
	for _, tt := range []struct{ rel, want string }{
		{"org/apache/commons/commons-lang3/3.12.0/commons-lang3-3.12.0.jar", "org.apache.commons:commons-lang3:3.12.0"},
		{"junit/junit/4.13/junit-4.13.pom", "junit:junit:4.13"},
		{"org/lwjgl/lwjgl/3.3.1/lwjgl-3.3.1-natives-linux.jar", "org.lwjgl:lwjgl:3.3.1"},
		{"org/example/a/1.0-SNAPSHOT/a-1.0-SNAPSHOT.jar", "org.example:a:1.0-SNAPSHOT"},
		{"org/example/a/1.0-SNAPSHOT/a-1.0-20240131.120000-12.jar", "org.example:a:1.0-SNAPSHOT"},
		{"org/example/a/1.0-SNAPSHOT/a-1.0-20240131.120000-12-tests.jar", "org.example:a:1.0-SNAPSHOT"},
		{"org/example/a/SNAPSHOT/a-20240131.120000-1.jar", "org.example:a:SNAPSHOT"},
		{"org/example/a/1.0-SNAPSHOT/a-1.0-other.jar", ""},
		{"org/example/a/maven-metadata.xml", ""},
		{"org/example/a/1.0/maven-metadata-central.xml", ""},
		{"org/example/a/1.0/b-1.0.jar", ""},
		{"org/example/a/1.0/a-1.01.jar", ""},
		{"org/example/a/1.0/a-1.0", ""},
		{"a/1.0/a-1.0.jar", ""},
		{"/a/1.0/a-1.0.jar", ""},
		{"../x/a/1.0/a-1.0.jar", ""},
		{"x//a/1.0/a-1.0.jar", ""},
		{"x/a//a-.jar", ""},
		{"", ""},
	} {
		group, artifact, version, ok := cache.MavenPath(tt.rel)
		got := ""
		if ok {
			got = group + ":" + artifact + ":" + version
		}
		if got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.rel, got, tt.want)
		}
	}
}

func TestMavenCode(t *testing.T) {
	for name, want := range map[string]bool{
		"a-1.0.jar": true, "a-1.0.war": true, "a-1.0.aar": true, "a-1.0-bin.tar.gz": true, "protoc-3.0-linux-x86_64.exe": true, "a-1.0-tests.jar": true,
		"a-1.0.pom": false, "a-1.0.module": false, "a-1.0.jar.sha1": false, "a-1.0.jar.asc": false, "a-1.0.jar.lastUpdated": false,
		"a-1.0.jar.part": false, "a-1.0-sources.jar": false, "a-1.0-javadoc.jar": false, "_remote.repositories": false, "noextension": false, ".a-1.0.jar": false,
	} {
		if got := cache.MavenCode(name); got != want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestJavaCaches(t *testing.T) {
	const (
		m2       = "home/.m2/repository/"
		gradle   = "home/.gradle/caches/modules-2/files-2.1/"
		ivy      = "home/.ivy2/cache/"
		coursier = "home/.cache/coursier/v1/https/"
		digits   = "0123456789012345678901234567890123456789"
	)
	pom := func(group string) string {
		return "<project><!-- <groupId>no</groupId> --><parent><groupId>com.parent</groupId></parent>" + group + "<dependencies><dependency><groupId>no</groupId></dependency></dependencies></project>"
	}
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"Maven: what has code, and what is known of where from", map[string]string{
			m2 + "org/example/lib/1.0/lib-1.0.jar":                 "",
			m2 + "org/example/lib/1.0/lib-1.0.jar.sha1":            digits + "  lib-1.0.jar\n",
			m2 + "org/example/lib/1.0/lib-1.0.pom":                 "",
			m2 + "org/example/lib/1.0/lib-1.0-sources.jar":         "",
			m2 + "org/example/lib/1.0/_remote.repositories":        "#NOTE: x\nlib-1.0.jar>central=\nlib-1.0.pom>central=\n",
			m2 + "org/example/parent/1/parent-1.pom":               "",
			m2 + "org/example/failed/1/failed-1.jar.lastUpdated":   "",
			m2 + "org/example/own/1-SNAPSHOT/own-1-SNAPSHOT.jar":   "",
			m2 + "org/example/own/1-SNAPSHOT/_remote.repositories": "own-1-SNAPSHOT.jar>=\n",
			m2 + "org/example/both/1/both-1.jar":                   "",
			m2 + "org/example/both/1/_remote.repositories":         "both-1.jar>=\r\nboth-1.jar>central=\r\n",
			m2 + "org/example/corp/1/corp-1.war":                   "",
			m2 + "org/example/corp/1/corp-1.war.sha1":              "<html>not found</html>",
			m2 + "org/example/corp/1/_remote.repositories":         "corp-1.war>nexus=\n",
			"project/lib/org/example/no/1/no-1.jar":                "",
		}, []string{
			m2 + "org/example/both/1/both-1.jar org.example:both@1 registry repo.maven.apache.org",
			m2 + "org/example/corp/1/corp-1.war org.example:corp@1 registry",
			m2 + "org/example/lib/1.0/lib-1.0.jar org.example:lib@1.0 registry repo.maven.apache.org sha1:012345",
			m2 + "org/example/own/1-SNAPSHOT/own-1-SNAPSHOT.jar org.example:own@1-SNAPSHOT file",
		}},
		{"Maven: a local repository in another place", map[string]string{
			"ref/org/example/lib/1.0/_remote.repositories":   "#\nlib-1.0.jar>central=\nlib-1.0.pom>central=\nlib-1.0-gone.jar>central=\n../lib-1.0.jar>central=\n",
			"ref/org/example/lib/1.0/lib-1.0.jar":            "",
			"ref/org/example/lib/1.0/lib-1.0.jar.sha1":       digits,
			"ref/org/example/lib/1.0/lib-1.0.pom":            pom("<groupId>org.example</groupId>"),
			"ref/com/parent/child/2/_remote.repositories":    "child-2.jar>central=\n",
			"ref/com/parent/child/2/child-2.jar":             "",
			"ref/com/parent/child/2/child-2.pom":             pom(""),
			"ref/org/example/forged/1/_remote.repositories":  "forged-1.jar>central=\n",
			"ref/org/example/forged/1/forged-1.jar":          "",
			"ref/org/example/forged/1/forged-1.pom":          pom("<groupId>org.harmless</groupId>"),
			"r/repository/x/org/e/f/1/_remote.repositories":  "f-1.jar>central=\n",
			"r/repository/x/org/e/f/1/f-1.jar":               "",
			"ref/org/example/pomonly/1/_remote.repositories": "pomonly-1.pom>central=\n",
			"ref/org/example/pomonly/1/pomonly-1.pom":        pom(""),
		}, []string{
			"r/repository/x/org/e/f/1/_remote.repositories org.e:f@1 registry repo.maven.apache.org",
			"ref/com/parent/child/2/_remote.repositories com.parent:child@2 registry repo.maven.apache.org",
			"unmatchable ref/org/example/forged/1/_remote.repositories: entries without a usable name (missing, not UTF-8, or longer than the limit)",
			"ref/org/example/lib/1.0/_remote.repositories org.example:lib@1.0 registry repo.maven.apache.org sha1:012345",
		}},
		{"Gradle: the directory is the digest", map[string]string{
			gradle + "org.example/lib/1.0/" + digits + "/lib-1.0.jar":               "",
			gradle + "org.example/lib/1.0/" + digits[:38] + "/lib-1.0.pom":          "",
			gradle + "org.example/short/1.0/" + digits[2:] + "/short-1.0.jar":       "",
			gradle + "org.example/odd/1.0/nodigest/odd.aar":                         "",
			gradle + "org.example/lib/1.0/" + digits[:37] + "1/lib-1.0-sources.jar": "",
			gradle + "org.example/deep/1.0/" + digits + "/x/deep-1.0.jar":           "",
			"home/.gradle/caches/modules-2/modules-2.lock":                          "",
			"home/.gradle/caches/modules-2/metadata-2.106/module-metadata.bin":      "",
		}, []string{
			gradle + "org.example/lib/1.0/" + digits + "/lib-1.0.jar org.example:lib@1.0 sha1:012345",
			gradle + "org.example/odd/1.0/nodigest/odd.aar org.example:odd@1.0",
			gradle + "org.example/short/1.0/" + digits[2:] + "/short-1.0.jar org.example:short@1.0 sha1:002345",
		}},
		{"Gradle: layouts that are not known", map[string]string{
			"a/caches/modules-3/modules-3.lock":                         "",
			"a/caches/modules-3/files-3.0/g/a/1/" + digits + "/a-1.jar": "",
			"b/caches/modules-2/modules-2.lock":                         "",
			"b/caches/modules-2/files-2.2/g/a/1/" + digits + "/a-1.jar": "",
			"b/caches/modules-2/files-2.1/g/b/1/" + digits + "/b-1.jar": "",
		}, []string{
			`unread a/caches/modules-3/modules-3.lock: the layout "modules-3" of a cache of Gradle is not known: not read`,
			`unread b/caches/modules-2/modules-2.lock: Gradle's cache has files in the layout "files-2.2", which is not known: not read`,
			"b/caches/modules-2/files-2.1/g/b/1/" + digits + "/b-1.jar g:b@1 sha1:012345",
		}},
		{"Ivy", map[string]string{
			ivy + "org.example/lib/jars/lib-1.0.jar":       "",
			ivy + "org.example/lib/jars/lib-1.0-tests.jar": "",
			ivy + "org.example/lib/ivy-1.0.xml":            "",
			// The shape that Ivy's PropertiesFile writes.
			ivy + "org.example/lib/ivydata-1.0.properties":     "#ivy cached data file for org.example#lib;1.0\nartifact\\:ivy\\#ivy\\#xml\\#1.location=https\\://no.example/x\nartifact\\:lib\\#jar\\#jar\\#-1.location=https\\://repo1.maven.org/maven2/org/example/lib/1.0/lib-1.0.jar\n",
			ivy + "org.example/bundle/bundles/bundle-2-M1.jar": "",
			ivy + "org.example/other/jars/renamed-1.0.jar":     "",
			ivy + "org.example/lib/srcs/lib-1.0-sources.jar":   "",
			ivy + "org.example/lib/docs/lib-1.0.jar":           "",
		}, []string{
			ivy + "org.example/bundle/bundles/bundle-2-M1.jar org.example:bundle@2-M1",
			ivy + "org.example/lib/jars/lib-1.0-tests.jar org.example:lib@1.0 registry repo1.maven.org",
			ivy + "org.example/lib/jars/lib-1.0.jar org.example:lib@1.0 registry repo1.maven.org",
			ivy + "org.example/other/jars/renamed-1.0.jar org.example:other@",
		}},
		{"coursier: the path is the URL", map[string]string{
			coursier + "repo1.maven.org/maven2/org/example/lib/1.0/lib-1.0.jar":                     "",
			coursier + "repo1.maven.org/maven2/org/example/lib/1.0/.lib-1.0.jar__sha1":              digits,
			coursier + "repo1.maven.org/maven2/org/example/lib/1.0/lib-1.0.pom":                     pom("<groupId>org.example</groupId>"),
			coursier + "user%40nexus.corp.example/repository/all/com/parent/a/1/a-1.jar":            "",
			coursier + "nexus.corp.example/odd/com/parent/a/1/a-1.jar":                              "",
			coursier + "nexus.corp.example/odd/com/parent/a/1/a-1.pom":                              pom(""),
			coursier + "nexus.corp.example/odd/com/parent/b/1/b-1.jar":                              "",
			coursier + "github.com/coursier/archives/cs-1.0.zip":                                    "",
			"mac/Library/Caches/Coursier/v1/https/repo1.maven.org/maven2/junit/junit/4/junit-4.jar": "",
		}, []string{
			coursier + "nexus.corp.example/odd/com/parent/a/1/a-1.jar com.parent:a@1 registry nexus.corp.example",
			"unmatchable " + coursier + "nexus.corp.example/odd/com/parent/b/1/b-1.jar: entries without a usable name (missing, not UTF-8, or longer than the limit)",
			coursier + "repo1.maven.org/maven2/org/example/lib/1.0/lib-1.0.jar org.example:lib@1.0 registry repo1.maven.org sha1:012345",
			coursier + "user%40nexus.corp.example/repository/all/com/parent/a/1/a-1.jar com.parent:a@1 registry nexus.corp.example",
			"mac/Library/Caches/Coursier/v1/https/repo1.maven.org/maven2/junit/junit/4/junit-4.jar junit:junit@4 registry repo1.maven.org",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			compare(t, cached(t, clienttest.Tree(t, tt.files), false), tt.want)
		})
	}
}

// What Maven downloads, from a repository of the test's own, to its default place and to another.
func TestMavenClient(t *testing.T) {
	mvn := clienttest.Program(t, "mvn")
	jar := clienttest.Jar(t)
	srv := clienttest.MavenRepository(t, map[string][]byte{"org.example:planted:1.0": jar, "org.codehaus.plexus:plexus-utils:1.1": jar})
	dir := clienttest.Tree(t, map[string]string{"pom.xml": clienttest.MavenExtension("org.example:planted:1.0", srv.URL)})
	sum := fmt.Sprintf(" sha1:%.3x", sha1.Sum(jar))
	local := filepath.Join(dir, ".m2", "repository")
	clienttest.Run(t, dir, []string{"MAVEN_OPTS=-XX:TieredStopAtLevel=1"}, mvn, "--batch-mode", "--quiet", "-Dmaven.repo.local="+local, "validate")
	lines := func(root string) (got []string) {
		for _, line := range cached(t, root, false) {
			_, line, _ = strings.Cut(line, " ")
			got = append(got, line)
		}
		return got
	}
	planted := "org.example:planted@1.0 registry" + sum
	compare(t, lines(local), []string{"org.codehaus.plexus:plexus-utils@1.1 registry" + sum, planted})
	elsewhere := filepath.Join(dir, "elsewhere")
	if err := os.Rename(local, elsewhere); err != nil {
		t.Fatal(err)
	}
	compare(t, lines(elsewhere), []string{
		// Maven did not ask for its .pom, without which the group is not known.
		"org/codehaus/plexus/plexus-utils/1.1/_remote.repositories: entries without a usable name (missing, not UTF-8, or longer than the limit)",
		planted,
	})
}
