package ecosystem

import "strings"

// GitHub Actions: an action is "owner/repo" or "owner/repo/path" within it, and a
// record is about the repository; GitHub's names are case-insensitive
// (https://docs.github.com/actions/reference/workflow-syntax-for-github-actions#jobsjob_idstepsuses).
// GitHub's dependency graph writes pkg:githubactions, syft and others pkg:github.
var actions = Ecosystem{
	Name:        "GitHub Actions",
	PURLType:    "githubactions",
	PURLAliases: []string{"github"},
	Hosts:       []string{"github.com", "www.github.com", "api.github.com", "codeload.github.com"},
	canonical:   canonicalAction,
	spell:       canonicalAction,
	// Tags are SemVer by convention, mostly with "v": v4, v4.1.7.
	valid:   validSemver,
	compare: compareSemver,
	forge:   true,
}

// canonicalAction keeps the first two segments of name in lower case.
func canonicalAction(name string) string {
	if i := strings.IndexByte(name, '/'); i >= 0 {
		if j := strings.IndexByte(name[i+1:], '/'); j >= 0 {
			name = name[:i+1+j]
		}
	}
	return lowerASCII(name)
}
