package image

import (
	"fmt"
	"net"
	"regexp"
	"strings"
)

// Scheme begins a reference to an image in a registry: docker://[host[:port]/]repository[:tag][@digest], as in
// containers-transports(5).
const Scheme = "docker://"

// reference is an image in a registry.
type reference struct {
	host       string // lower-case, with port if any, as shown
	repository string
	tag        string // "" where there is only a digest
	digest     string
}

// The forms of the distribution specification ("Pulling manifests").
var (
	repositoryForm = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagForm        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	hostForm       = regexp.MustCompile(`^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::[0-9]{1,5})?$`)
)

const dockerHub = "docker.io"

// Check says what is wrong with a reference that begins with docker://. The error does not repeat it: there may be a
// password in it.
func Check(reference string) error {
	_, err := parseReference(reference)
	return err
}

func parseReference(s string) (reference, error) {
	var r reference
	rest, ok := strings.CutPrefix(s, Scheme)
	if !ok {
		return r, fmt.Errorf("a reference begins with %s", Scheme)
	}
	bad := func(what string) (reference, error) {
		return reference{}, fmt.Errorf("no reference to an image: %s; it looks like %shost/repository:tag", what, Scheme)
	}
	if at := strings.IndexByte(rest, '@'); at >= 0 && (strings.Contains(rest[at:], "/") || strings.Contains(rest[at+1:], "@")) {
		return bad("there is a login in it, which is taken from Docker's configuration only")
	}
	rest, r.digest, _ = strings.Cut(rest, "@")
	if r.digest != "" && !digestForm.MatchString(r.digest) {
		return bad("the digest is neither a SHA-256 nor a SHA-512")
	}
	// What stands before the first slash is a host if no repository could be called so.
	host, path, found := strings.Cut(rest, "/")
	if found && (strings.ContainsAny(host, ".:[") || host == "localhost") {
		r.host, rest = strings.ToLower(host), path
	} else {
		r.host = dockerHub
	}
	r.repository, r.tag, _ = strings.Cut(rest, ":")
	if r.host == "index."+dockerHub || r.host == "registry-1."+dockerHub {
		r.host = dockerHub
	}
	if r.host == dockerHub && !strings.Contains(r.repository, "/") {
		r.repository = "library/" + r.repository
	}
	if r.tag == "" && r.digest == "" {
		r.tag = "latest"
	}
	switch {
	case !hostForm.MatchString(r.host):
		return bad("the host is none")
	case len(r.repository) > 255 || !repositoryForm.MatchString(r.repository):
		return bad("the repository is none")
	case r.tag != "" && !tagForm.MatchString(r.tag):
		return bad("the tag is none")
	}
	return r, nil
}

// String is the reference as shown.
func (r reference) String() string {
	s := Scheme + r.host + "/" + r.repository
	if r.tag != "" {
		s += ":" + r.tag
	}
	if r.digest != "" {
		s += "@" + r.digest
	}
	return s
}

// reference is what the registry is asked for: the digest, if there is one.
func (r reference) reference() string {
	if r.digest != "" {
		return r.digest
	}
	return r.tag
}

// base is the registry's URL. As for Docker, one on this machine is asked without TLS.
func (r reference) base() string {
	if r.host == dockerHub {
		return "https://registry-1.docker.io"
	}
	if r.loopback() {
		return "http://" + r.host
	}
	return "https://" + r.host
}

func (r reference) loopback() bool {
	host := r.host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
