//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package publish

import "os"

// tryLock always succeeds: this system has no lock that ends with the process,
// and one that stays behind would be worse.
func tryLock(*os.File) (ok bool, err error) { return true, nil }
