//go:build !unix

package atomicfile

// syncDir does nothing: here a directory cannot be opened for syncing, and the
// file system's own journal covers renames.
func syncDir(string) error { return nil }
