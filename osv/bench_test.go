package osv_test

import (
	"bytes"
	"testing"

	"github.com/rapsheet/rapsheet/osv"
)

// benchmarks run over the real records; one operation is one record.
func bench(b *testing.B, read func(file) error) {
	files := realFiles(b)
	var size int64
	for _, f := range files {
		size += int64(len(f.data))
	}
	b.SetBytes(size / int64(len(files)))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := read(files[i]); err != nil {
			b.Fatal(err)
		}
		if i++; i == len(files) {
			i = 0
		}
	}
}

func BenchmarkParse(b *testing.B) {
	bench(b, func(f file) error {
		_, _, err := osv.ParseNamed(f.data, f.name, osv.Limits{})
		return err
	})
}

func BenchmarkRead(b *testing.B) {
	bench(b, func(f file) error {
		_, _, err := osv.ReadNamed(bytes.NewReader(f.data), f.name, osv.Limits{})
		return err
	})
}

// BenchmarkStream takes the long way for every record, as broken UTF-8 in its details asks for.
func BenchmarkStream(b *testing.B) {
	bench(b, func(f file) error {
		broken := bytes.Replace(f.data, []byte(`"details": "`), []byte("\"details\": \"\xff"), 1)
		_, _, err := osv.ParseNamed(broken, f.name, osv.Limits{})
		return err
	})
}

func BenchmarkMarshal(b *testing.B) {
	records := map[string]*osv.Record{}
	bench(b, func(f file) error {
		r := records[f.name]
		if r == nil {
			var err error
			if r, _, err = osv.ReadNamed(bytes.NewReader(f.data), f.name, osv.Limits{}); err != nil {
				return err
			}
			records[f.name] = r
		}
		_, err := r.Marshal()
		return err
	})
}
