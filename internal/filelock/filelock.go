// Package filelock keeps two processes from writing to one directory at once.
//
// Flow: open a file that is there for nothing else, [Try] to lock it, close it when done. The
// file stays: removing it would let two processes lock two files of the same name.
//
// Promise: the lock belongs to the open file, so the system drops it when the process
// ends in any way, and one that was left behind cannot exist. On systems without such a
// lock (not Windows, Linux, macOS or a BSD) Try always succeeds: a lock that outlives
// its owner would be worse than none.
package filelock
