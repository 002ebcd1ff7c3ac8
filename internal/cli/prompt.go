package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// prompt prints a question and gives the line that answers it, without the white space around it. Its errors are
// io.EOF when nobody answers any more, the context's when it ends first, and those of standard input.
func (a *app) prompt(ctx context.Context, w io.Writer, question string) (string, error) {
	fmt.Fprint(w, question)
	if a.answers == nil {
		a.answers = bufio.NewReader(a.stdin)
	}
	type line struct {
		text string
		err  error
	}
	got := make(chan line, 1)
	go func() {
		s, err := a.answers.ReadString('\n')
		got <- line{s, err}
	}()
	select {
	case l := <-got:
		if l.err != nil && (!errors.Is(l.err, io.EOF) || l.text == "") {
			return "", l.err
		}
		return strings.TrimSpace(l.text), nil
	case <-ctx.Done():
		// A read of a terminal cannot be called off: it ends with the program.
		fmt.Fprintln(w)
		return "", ctx.Err()
	}
}
