package ecosystem

import "strings"

// CRAN: names are case-sensitive, versions are numbers separated by "." or "-",
// which mean the same, ordered as lists
// (https://cran.r-project.org/doc/manuals/r-release/R-exts.html#The-DESCRIPTION-file,
// https://stat.ethz.ch/R-manual/R-devel/library/base/html/numeric_version.html).
var cran = Ecosystem{
	Name:     "CRAN",
	PURLType: "cran",
	Hosts: []string{
		"cran.r-project.org", "cloud.r-project.org", "cran.rstudio.com", "packagemanager.posit.co", "packagemanager.rstudio.com", "p3m.dev",
		"mirrors.tuna.tsinghua.edu.cn", "mirrors.ustc.edu.cn", "mirrors.aliyun.com",
	},
	canonical: asPublished,
	valid:     validCRAN,
	compare: func(a, b string) (int, bool) {
		return compareDotted(a, b, ".-"), validCRAN(a) && validCRAN(b)
	},
	registryPath: func(path string) bool {
		return strings.Contains(path, "/src/contrib") || strings.Contains(path, "/bin/")
	},
}

func validCRAN(v string) bool { return dotted(v, ".-", leadingZeros) }
