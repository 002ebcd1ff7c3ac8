//go:build !windows

package inventory

// LocalDrive is false: only Windows has drives.
func LocalDrive(string) bool { return false }
