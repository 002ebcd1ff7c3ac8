package report

import (
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/printable"
)

// ran says for each ecosystem when the code of a package runs, and what to look
// at where it did. No command here holds a name from a finding: such a line would
// be pasted into a shell.
var ran = map[string]string{
	"npm":            "npm: install scripts ran with `npm install`, before anything imported the package. Look at ~/.npmrc, at .github/workflows for files nobody added, and on npm for versions of your own packages that you did not publish.",
	"PyPI":           "PyPI: setup.py runs at installation, modules at import. Look at ~/.pypirc, for .pth files in site-packages, and on PyPI for releases that you did not make.",
	"RubyGems":       "RubyGems: extensions are built at installation, code runs at require. Look at ~/.gem/credentials and ~/.bundle/config.",
	"crates.io":      "crates.io: build.rs and procedural macros run at every build, also in the editor. Look at ~/.cargo/credentials.toml.",
	"Go":             "Go: nothing runs at download; it runs in every test and binary that was built with it. Find those binaries too.",
	"NuGet":          "NuGet: .props and .targets files run in the build, initializers when the assembly is loaded. Look at NuGet.Config for keys.",
	"Packagist":      "Packagist: plugins and autoloaded files run with Composer and with the application. Look at auth.json.",
	"Maven":          "Maven: it runs in builds as a plugin, in tests, and in every artifact that bundles it. Look at ~/.m2/settings.xml and for those artifacts.",
	"VSCode":         "VSCode: the extension ran with the rights of its user whenever the editor was open. Look at every machine that syncs its extensions.",
	"GitHub Actions": "GitHub Actions: the action could read every secret of the jobs that used it, and their GITHUB_TOKEN. Look at the runs and their logs.",
}

// advice is what to do about the malicious findings, most urgent first; each is
// one paragraph of printable text.
func advice(findings []*rapsheet.Finding) []string {
	var whole, versions, renamed, ecosystems []string
	for _, f := range findings {
		name := printable.Name(f.Package.Name)
		if e, ok := ecosystem.Find(f.Record.Ecosystem); ok && !e.SameName(f.Record.Name, f.Package.Name) {
			renamed = append(renamed, name)
		} else if f.Verdict == rapsheet.VerdictPackage {
			whole = append(whole, name)
		} else {
			versions = append(versions, name)
		}
		ecosystems = append(ecosystems, f.Package.Ecosystem)
	}
	out := []string{
		"Treat every machine and CI job that installed or ran one of these as compromised. From a clean machine, rotate every secret that was in reach there: registry and git tokens, cloud credentials, SSH keys, CI secrets, .env files.",
	}
	if len(whole) > 0 {
		out = append(out, "Remove "+names(whole)+": no version is known to be good.")
	}
	if len(renamed) > 0 {
		out = append(out, "Remove "+names(renamed)+": its archive is one on record, under another name. Find out who gave it that name.")
	}
	if len(versions) > 0 {
		out = append(out, "Replace the versions on record of "+names(versions)+": other versions may be clean. Pin one that is, and install it afresh from a reviewed lockfile.")
	}
	out = append(out,
		"Find out since when: the history of the files named above says when it came in, and CI logs and caches say who installed it between then and now. Empty the package managers' caches and rebuild images and artifacts from before.")
	slices.Sort(ecosystems)
	for _, e := range slices.Compact(ecosystems) {
		if s, ok := ran[e]; ok {
			out = append(out, s)
		}
	}
	return out
}

// names joins at most five different names.
func names(all []string) string {
	slices.Sort(all)
	all = slices.Compact(all)
	const most = 5
	if len(all) > most {
		return strings.Join(all[:most], ", ") + " and " + number(len(all)-most) + " more"
	}
	return strings.Join(all, ", ")
}
