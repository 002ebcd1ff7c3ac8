// Command man writes the manual pages of rapsheet into a directory; `make man`
// calls it. It is apart from the program because what formats the pages would
// otherwise be part of every start.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra/doc"

	"github.com/rapsheet/rapsheet/internal/cli"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: man DIR")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "man:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root := cli.Commands()
	root.DisableAutoGenTag = true
	// The same date always, so that the same program gives the same pages.
	date := time.Unix(0, 0)
	return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "rapsheet", Manual: "rapsheet manual", Date: &date}, dir)
}
