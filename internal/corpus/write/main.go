// Command write writes generated records as JSON lines to standard output, for
// `make bench` and for trying things at size:
//
//	go run ./internal/corpus/write -n 200606 > generated.jsonl
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"

	"github.com/rapsheet/rapsheet/internal/corpus"
)

func main() {
	n := flag.Int("n", 200606, "number of records")
	seed := flag.Uint64("seed", 1, "the same seed gives the same records")
	flag.Parse()
	if err := run(*seed, *n); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(seed uint64, n int) error {
	w := bufio.NewWriterSize(os.Stdout, 1<<20)
	for r := range corpus.Records(seed, n) {
		raw, err := r.Marshal()
		if err != nil {
			return err
		}
		if _, err := w.Write(append(raw, '\n')); err != nil {
			return err
		}
	}
	return w.Flush()
}
