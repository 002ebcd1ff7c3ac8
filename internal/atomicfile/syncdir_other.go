//go:build !unix

package atomicfile

import "os"

// SyncDir does nothing: here a directory cannot be opened for syncing, and the
// file system's own journal covers names.
func SyncDir(*os.Root, string) error { return nil }
