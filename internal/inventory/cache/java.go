package cache

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// javaKinds are the files of the caches of Maven, Gradle, Ivy (with sbt) and coursier. Only files that hold code
// count, see [MavenCode]: a .pom alone was read to find out what is needed, mostly for versions that never were.
func javaKinds() []inventory.Kind {
	return []inventory.Kind{
		{Name: "maven-repository", Dir: isMavenLocal, Match: isMavenFile, Read: readMavenFile},
		{Name: "maven-local-repository", Dir: isNotMavenLocal, Match: isRemoteRepositories, Read: readRemoteRepositories},
		{Name: "gradle-cache", Dir: isGradleFiles, Match: isCode, Read: readGradleFile},
		{Name: "gradle-cache-version", Dir: isGradleModules, Match: isGradleLock, Read: readGradleVersion},
		{Name: "ivy-cache", Dir: isIvyCache, Match: isCode, Read: readIvyFile},
		{Name: "coursier-cache", Dir: isCoursier, Match: isCoursierFile, Read: readCoursierFile},
	}
}

// MavenPath reads the path of a file in a Maven repository, from the repository's root and slash-separated:
// group/as/directories/artifact/version/artifact-version[-classifier].extension, where the file of a snapshot
// has the time of its build for SNAPSHOT (https://maven.apache.org/repository/layout.html). ok is false for
// all other files, maven-metadata.xml among them.
func MavenPath(rel string) (group, artifact, version string, ok bool) {
	dir, file, _ := cutAtLast(rel, "/")
	dir, version, _ = cutAtLast(dir, "/")
	dir, artifact, _ = cutAtLast(dir, "/")
	if dir == "" || version == "" || artifact == "" || !ofArtifact(file, artifact, version) {
		return "", "", "", false
	}
	for s := range strings.SplitSeq(dir, "/") {
		if s == "" || s == "." || s == ".." {
			return "", "", "", false
		}
	}
	return strings.ReplaceAll(dir, "/", "."), artifact, version, true
}

// ofArtifact reports whether a file in …/artifact/version is called after both.
func ofArtifact(file, artifact, version string) bool {
	rest, ok := strings.CutPrefix(file, artifact+"-")
	if !ok {
		return false
	}
	if after, ok := strings.CutPrefix(rest, version); ok {
		return after != "" && (after[0] == '.' || after[0] == '-')
	}
	base, ok := strings.CutSuffix(version, "SNAPSHOT")
	after, found := strings.CutPrefix(rest, base) // 20240131.120000-1.jar
	return ok && found && len(after) > 17 && after[8] == '.' && after[15] == '-' && '0' <= after[0] && after[0] <= '9'
}

// MavenCode reports whether a file of a Maven repository, by its base name, is one that holds an artifact's
// code: everything but descriptions, sums, signatures, what is not finished, and sources and documentation,
// which are on nobody's class path.
func MavenCode(base string) bool {
	dot := strings.LastIndexByte(base, '.')
	if dot < 0 {
		return false
	}
	switch base[dot+1:] {
	case "pom", "module", "xml", "json", "properties", "repositories", "lastUpdated", "lock", "part", "tmp", "error", "checked",
		"md5", "sha1", "sha256", "sha512", "asc", "sig", "sigstore":
		return false
	}
	return !strings.HasSuffix(base[:dot], "-sources") && !strings.HasSuffix(base[:dot], "-javadoc") && base[0] != '.'
}

func isCode(base, _ string) bool { return MavenCode(base) }

// mavenLocal is the default place of Maven's local repository, below the home directory.
const mavenLocal = "/.m2/repository/"

func isMavenLocal(dir string) bool    { return strings.Contains(dir, mavenLocal) }
func isNotMavenLocal(dir string) bool { return !strings.Contains(dir, mavenLocal) }

func isMavenFile(base, file string) bool {
	if !MavenCode(base) {
		return false
	}
	_, rel, _ := cutAtLast(file, mavenLocal)
	_, _, _, ok := MavenPath(rel)
	return ok
}

// readMavenFile reads one artifact of a local repository in its default place.
func readMavenFile(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "Maven")
	_, rel, _ := cutAtLast(in.Place(), mavenLocal)
	group, artifact, version, _ := MavenPath(rel)
	b, _ := in.Sibling(remoteRepositories, maxJavaSmall)
	ev := mavenOrigin(b, path.Base(in.Path))
	var hashErr error
	ev.Digests, hashErr = mavenDigests(ctx, in)
	if err := l.Add(mavenName(group, artifact), version, 0, ev); err != nil {
		return l.End(err)
	}
	return l.End(hashErr)
}

func mavenName(group, artifact string) string {
	if group == "" || artifact == "" {
		return ""
	}
	return group + ":" + artifact
}

const (
	// remoteRepositories is the file in which Maven's resolver notes, in each version's directory of every local
	// repository, where the files there came from (maven.apache.org/resolver/local-repository.html).
	remoteRepositories = "_remote.repositories"
	// maxJavaSmall bounds the small files beside an archive, and maxPOM a .pom.
	maxJavaSmall = 256 << 10
	maxPOM       = 4 << 20
)

// mavenOrigin is what the notes b say of a file: lines "file>repository=", with the id of a repository in
// somebody's settings. "central" is Maven's own, unless settings give that name to a mirror, and another id may be
// a mirror of it: that one is not said to be elsewhere. No id means that the artifact was built and installed here.
func mavenOrigin(b []byte, base string) rapsheet.Evidence {
	var ev rapsheet.Evidence
	for line := range bytes.Lines(b) {
		file, rest, ok := strings.Cut(strings.TrimSpace(string(line)), ">")
		if id, isKey := strings.CutSuffix(rest, "="); ok && isKey && file == base {
			switch id {
			case "central":
				return rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: "repo.maven.apache.org"}
			case "":
				ev.Origin = rapsheet.OriginFile
			default:
				return rapsheet.Evidence{Origin: rapsheet.OriginRegistry}
			}
		}
	}
	return ev
}

// mavenDigests are those that a repository delivered with the archive and Maven compared, or else its own.
func mavenDigests(ctx context.Context, in *inventory.File) ([]rapsheet.Digest, error) {
	var all []rapsheet.Digest
	for _, algorithm := range []string{"sha512", "sha256", "sha1", "md5"} {
		b, ok := in.Sibling(path.Base(in.Path)+"."+algorithm, maxJavaSmall)
		if !ok {
			continue
		}
		// "<sum>", or as md5sum writes it "<sum>  <file>".
		if f := strings.Fields(string(b)); len(f) > 0 {
			all = append(all, inventory.Integrity([]string{algorithm + ":" + f[0]})...)
		}
	}
	if len(all) > 0 {
		return all, nil
	}
	return in.ContentDigests(ctx)
}

func isRemoteRepositories(base, _ string) bool { return base == remoteRepositories }

// readRemoteRepositories reads one version's directory of a local repository that is not in its default place
// (-Dmaven.repo.local, an image's /usr/share/maven/ref). Where its root is, is not known: the group is that
// which the .pom says, as far as the directories agree.
func readRemoteRepositories(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "Maven")
	b, err := in.Text()
	if err != nil {
		return err
	}
	if len(b) > maxJavaSmall {
		return fmt.Errorf("larger than the limit of %d bytes", maxJavaSmall)
	}
	dir := path.Dir(in.Place())
	above, version, _ := cutAtLast(dir, "/")
	above, artifact, _ := cutAtLast(above, "/")
	var seen []string
	for line := range bytes.Lines(b) {
		file, _, ok := strings.Cut(strings.TrimSpace(string(line)), ">")
		if !ok || !MavenCode(file) || !ofArtifact(file, artifact, version) || strings.ContainsAny(file, `/\`) || slices.Contains(seen, file) || !in.HasSibling(file) {
			continue
		}
		if len(seen) == 256 {
			return l.End(errors.New("more than 256 files of one version"))
		}
		seen = append(seen, file)
		group := mavenGroup(in, above, artifact, version)
		sum, _ := in.Sibling(file+".sha1", maxJavaSmall)
		ev := mavenOrigin(b, file)
		if f := strings.Fields(string(sum)); len(f) > 0 {
			ev.Digests = inventory.Integrity([]string{"sha1:" + f[0]})
		}
		if err := l.Add(mavenName(group, artifact), version, 0, ev); err != nil {
			return l.End(err)
		}
	}
	return l.End(nil)
}

// mavenGroup finds out where in dir, the directory of a group in a repository whose root is not known, the group
// begins. The artifact's .pom names it, or its parent's; the author of that could write what he likes, so that it
// counts only if it is the end of dir. Else the group begins after the names that roots of repositories
// are known to have, and is "" if there is none.
func mavenGroup(in *inventory.File, dir, artifact, version string) string {
	dotted := strings.ReplaceAll(dir, "/", ".")
	b, _ := in.Sibling(artifact+"-"+version+".pom", maxPOM)
	if group := pomGroup(b); group != "" && strings.HasSuffix("."+dotted, "."+group) {
		return group
	}
	rest := "/" + dir + "/"
	for _, root := range []string{"/maven2/", "/m2/", "/maven/", "/repository/", "/repositories/", "/artifactory/"} {
		if _, after, ok := cutAtLast(rest, root); ok && after != "" {
			switch root {
			case "/repository/", "/repositories/", "/artifactory/": // a repository manager's; the repository's name follows
				if _, after, ok = strings.Cut(after, "/"); !ok || after == "" {
					continue
				}
			}
			return strings.ReplaceAll(strings.Trim(after, "/"), "/", ".")
		}
	}
	return ""
}

// pomGroup gives the group of a .pom, which may be inherited (https://maven.apache.org/pom.html#inheritance);
// "" where it is not said.
func pomGroup(b []byte) string {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.Strict = false
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var open []string
	var own, parents string
	for {
		t, err := d.Token()
		if err != nil {
			break
		}
		switch t := t.(type) {
		case xml.StartElement:
			if len(open) == inventory.MaxNesting {
				return ""
			}
			open = append(open, t.Name.Local)
		case xml.EndElement:
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		case xml.CharData:
			switch {
			case slices.Equal(open, []string{"project", "groupId"}):
				own += strings.TrimSpace(string(t))
			case slices.Equal(open, []string{"project", "parent", "groupId"}):
				parents += strings.TrimSpace(string(t))
			}
		}
	}
	if own != "" {
		return own
	}
	return parents
}

// gradleFiles stands in the path of the files of Gradle's cache of modules, whose layout has versions: that of
// the cache, and that of the files in it (github.com/gradle/gradle, CacheLayout).
const gradleFiles = "/modules-2/files-2.1/"

// isGradleFiles matches …/modules-2/files-2.1/<group>/<artifact>/<version>/<sha1>.
func isGradleFiles(dir string) bool {
	_, rel, ok := cutAtLast(dir, gradleFiles)
	return ok && strings.Count(rel, "/") == 3
}

// readGradleFile reads one file of Gradle's cache: the directory's name is its SHA-1, as a number without leading
// zeros. Where it came from is only in Gradle's own binary files.
func readGradleFile(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "Maven")
	_, rel, _ := cutAtLast(path.Dir(in.Place()), gradleFiles)
	parts := strings.Split(rel, "/")
	if len(parts) != 4 {
		return errors.New("not in the place of a file of Gradle's cache")
	}
	sum := parts[3]
	if len(sum) < 40 {
		sum = strings.Repeat("0", 40-len(sum)) + sum
	}
	ev := rapsheet.Evidence{Digests: inventory.Integrity([]string{"sha1:" + sum})}
	return l.End(l.Add(mavenName(parts[0], parts[1]), parts[2], 0, ev))
}

// isGradleModules matches …/caches/modules-<N>, which has a lock of the same name in it.
func isGradleModules(dir string) bool {
	above, name, _ := cutAtLast(dir, "/")
	return strings.HasPrefix(name, "modules-") && strings.HasSuffix(above, "/caches")
}

func isGradleLock(base, _ string) bool {
	return strings.HasPrefix(base, "modules-") && strings.HasSuffix(base, ".lock")
}

// readGradleVersion says so if the cache is laid out as we do not know it.
func readGradleVersion(_ context.Context, in *inventory.File, out *inventory.Sink) error {
	if name := path.Base(path.Dir(in.Place())); name != "modules-2" {
		return fmt.Errorf("the layout %q of a cache of Gradle is not known: not read", name)
	}
	for _, name := range in.Subdirectories(path.Dir(in.Rel)) {
		if strings.HasPrefix(name, "files-") && name != "files-2.1" {
			out.Note(rapsheet.NoteUnread, 0, "Gradle's cache has files in the layout %q, which is not known: not read", name)
		}
	}
	return nil
}

// ivyCache stands in the path of Ivy's files, sbt's before its version 1.3 among them: the default pattern is
// <organisation>/<module>/<type>s/<artifact>-<revision>[-<classifier>].<ext>
// (https://ant.apache.org/ivy/history/2.5.2/settings/caches/cache.html).
const ivyCache = "/.ivy2/cache/"

func isIvyCache(dir string) bool {
	_, rel, ok := cutAtLast(dir, ivyCache)
	return ok && strings.Count(rel, "/") == 2 && !strings.HasSuffix(rel, "/srcs") && !strings.HasSuffix(rel, "/docs")
}

// readIvyFile reads one artifact of Ivy's cache.
func readIvyFile(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "Maven")
	_, rel, _ := cutAtLast(in.Place(), ivyCache)
	parts := strings.Split(rel, "/")
	if len(parts) != 4 {
		return errors.New("not in the place of a file of Ivy's cache")
	}
	org, name, base := parts[0], parts[1], parts[3]
	revision := ivyRevision(in, name, base)
	var ev rapsheet.Evidence
	if revision != "" {
		if b, ok := in.Sibling("../ivydata-"+revision+".properties", maxJavaSmall); ok {
			ev = ivyOrigin(l, b)
		}
	}
	var hashErr error
	ev.Digests, hashErr = in.ContentDigests(ctx)
	if err := l.Add(mavenName(org, name), revision, 0, ev); err != nil {
		return l.End(err)
	}
	return l.End(hashErr)
}

// ivyRevision gives the revision of an artifact: what follows its module's name, without the classifier where the
// module's ivy-<revision>.xml tells one from the other; "" where the artifact is called otherwise than its module.
func ivyRevision(in *inventory.File, name, base string) string {
	stem, ok := strings.CutPrefix(strings.TrimSuffix(base, path.Ext(base)), name+"-")
	if !ok {
		return ""
	}
	revision := stem
	for range 8 {
		if in.HasSibling("../ivy-" + revision + ".xml") {
			return revision
		}
		if revision, _, ok = cutAtLast(revision, "-"); !ok {
			break
		}
	}
	return stem
}

// ivyOrigin finds in a module's properties where its artifacts were downloaded from:
// artifact\:name\#jar\#jar\#-123.location=https\://host/path. Those of one revision come from one place.
func ivyOrigin(l *inventory.List, b []byte) rapsheet.Evidence {
	unescape := strings.NewReplacer(`\:`, ":", `\=`, "=", `\#`, "#", `\\`, `\`)
	for line := range bytes.Lines(b) {
		key, value, ok := strings.Cut(strings.TrimSpace(string(line)), ".location=")
		if !ok || !strings.HasPrefix(key, `artifact\:`) || strings.Contains(key, `\#ivy\#`) || strings.Contains(key, `\#pom`) {
			continue
		}
		if ev := l.Origin(unescape.Replace(value)); ev.Host != "" {
			return ev
		}
	}
	return rapsheet.Evidence{}
}

// isCoursier matches the cache of coursier, which keeps every file under its URL: …/v1/https/<host>/<path>
// (https://get-coursier.io/docs/cache), in ~/.cache/coursier, ~/Library/Caches/Coursier, %LOCALAPPDATA%\Coursier\cache
// or ~/.coursier/cache.
func isCoursier(dir string) bool {
	_, _, ok := coursierURL(dir)
	return ok
}

// coursierURL gives the URL whose file, or directory, stands at a path.
func coursierURL(at string) (scheme, rest string, ok bool) {
	for _, cache := range []string{"/coursier/v1/", "/Coursier/v1/", "/.coursier/cache/v1/", "/Coursier/cache/v1/"} {
		if _, url, found := cutAtLast(at, cache); found {
			scheme, rest, ok = strings.Cut(url, "/")
			return scheme, rest, ok && (scheme == "https" || scheme == "http")
		}
	}
	return "", "", false
}

func isCoursierFile(base, file string) bool {
	if !MavenCode(base) {
		return false
	}
	_, _, _, ok := MavenPath(strings.TrimPrefix(file, "/"))
	return ok
}

// readCoursierFile reads one artifact of coursier's cache; what the path says after the host is the root of the
// repository, which is not marked, and the group.
func readCoursierFile(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "Maven")
	scheme, rest, _ := coursierURL(in.Place())
	host, file, _ := strings.Cut(rest, "/")
	dir, _, _ := cutAtLast(file, "/")
	dir, version, _ := cutAtLast(dir, "/")
	dir, artifact, _ := cutAtLast(dir, "/")
	// The host may have a user before it, and both are escaped.
	ev := rapsheet.Evidence{}
	if plain, err := url.PathUnescape(host); err == nil {
		ev = l.Origin(scheme + "://" + plain + "/" + file)
	}
	var hashErr error
	ev.Digests, hashErr = coursierDigests(ctx, in)
	if err := l.Add(mavenName(mavenGroup(in, dir, artifact, version), artifact), version, 0, ev); err != nil {
		return l.End(err)
	}
	return l.End(hashErr)
}

// coursierDigests are those beside a file, under the name that coursier gives them: .<file>__sha1.
func coursierDigests(ctx context.Context, in *inventory.File) ([]rapsheet.Digest, error) {
	if b, ok := in.Sibling("."+path.Base(in.Path)+"__sha1", maxJavaSmall); ok {
		if f := strings.Fields(string(b)); len(f) > 0 {
			if d := inventory.Integrity([]string{"sha1:" + f[0]}); len(d) > 0 {
				return d, nil
			}
		}
	}
	return mavenDigests(ctx, in)
}
