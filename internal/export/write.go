package export

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
)

// create makes a file of a tree; its writer is buffered.
func create(dir *os.Root, name string, write func(io.Writer) error) (err error) {
	f, err := dir.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	bw := bufio.NewWriterSize(f, 64<<10)
	if err := write(bw); err != nil {
		return err
	}
	return bw.Flush()
}

// createJSONList makes a file with one JSON array, an element to a line, that is not held in memory.
func createJSONList(dir *os.Root, name string, fill func(add func(any) error) error) error {
	return create(dir, name, func(w io.Writer) error {
		separator := "[\n"
		err := fill(func(v any) error {
			b, err := marshal(v)
			if err != nil {
				return err
			}
			_, err = io.WriteString(w, separator+string(b))
			separator = ",\n"
			return err
		})
		if err != nil {
			return err
		}
		if separator == "[\n" {
			_, err = io.WriteString(w, "[]\n")
			return err
		}
		_, err = io.WriteString(w, "\n]\n")
		return err
	})
}

// marshal writes JSON on one line without the escapes for HTML, which none of these files is part of.
func marshal(v any) ([]byte, error) {
	var b jsonLine
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return b[:len(b)-1], nil
}

type jsonLine []byte

func (l *jsonLine) Write(p []byte) (int, error) {
	*l = append(*l, p...)
	return len(p), nil
}

// writeJSON writes one value, indented, for files that people read too.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
