package installed

import (
	"bytes"
	"compress/zlib"
	"context"
	"debug/buildinfo"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// executable is the kind of the sightings in programs.
const executable = "executable"

// isProgramDirectory matches the directories in which programs are installed: bin and sbin anywhere, and those in
// which images have the one that they are made for.
func isProgramDirectory(dir string) bool {
	switch dir {
	case "/", "/app", "/ko-app":
		return true
	}
	return strings.HasSuffix(dir, "/bin") || strings.HasSuffix(dir, "/sbin")
}

// isProgram matches names without an extension, but for .exe and what looks like one in "tool-1.2".
func isProgram(base, _ string) bool {
	ext := path.Ext(base)
	return ext == "" || ext == ".exe" || len(ext) > 1 && '0' <= ext[1] && ext[1] <= '9'
}

func never(_, _ string) bool { return false }

// executableHead matches how ELF, PE and 64-bit Mach-O files begin. Bytes that are not UTF-8 match as U+FFFD.
var executableHead = regexp.MustCompile(`^(?:\x7fELF|MZ|\x{FFFD}{4}[\x07\x0c]\x00\x00\x01)`)

// readProgram reads a file of a directory of programs. Most of them are scripts, or programs that do not say what
// they are made of: that is not worth a word.
func readProgram(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	_, err := readExecutable(ctx, in, out)
	return err
}

// readNamedProgram reads a program that somebody wants to know about.
func readNamedProgram(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	out.Kind = executable
	found, err := readExecutable(ctx, in, out)
	if err == nil && !found {
		err = errors.New("a program that does not say what it is made of: neither Go's build information nor cargo-auditable's is in it")
	}
	return err
}

// readExecutable sends what a program says that it is made of, and whether it says so.
func readExecutable(ctx context.Context, in *inventory.File, out *inventory.Sink) (found bool, err error) {
	head := make([]byte, 4)
	n, err := io.ReadFull(in.R, head)
	if n < len(head) {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil
		}
		return false, err
	}
	if !isExecutable(head) {
		return false, nil
	}
	in.R = io.MultiReader(bytes.NewReader(head), in.R)
	at, _, done, err := in.Random(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	isGo, err := readBuildInfo(ctx, at, out)
	if isGo || err != nil {
		return isGo, err
	}
	return readAuditable(ctx, at, head, out)
}

// isExecutable reports whether a file begins as ELF, PE, Mach-O or a Mach-O file for several processors.
func isExecutable(head []byte) bool {
	switch string(head) {
	case "\x7fELF", "\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe", "\xca\xfe\xba\xbf":
		return true
	}
	return string(head[:2]) == "MZ"
}

// readBuildInfo sends the modules of a program that the go command built (https://pkg.go.dev/runtime/debug#BuildInfo).
// The sums in it are of lists of files, not of archives.
func readBuildInfo(ctx context.Context, at io.ReaderAt, out *inventory.Sink) (isGo bool, err error) {
	info, err := buildinfo.Read(at)
	if err != nil {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		// The package has no names for these two.
		if text := err.Error(); text == "unrecognized file format" || text == "not a Go executable" {
			return false, nil
		}
		return true, fmt.Errorf("build information of Go: %w", err)
	}
	l := inventory.NewList(ctx, out, "Go")
	if info.Main.Path != "" {
		if err := l.Add(info.Main.Path, released(info.Main.Version), 0, rapsheet.Evidence{}); err != nil {
			return true, l.End(err)
		}
	}
	for _, dep := range info.Deps {
		name, version := dep.Path, dep.Version
		var ev rapsheet.Evidence
		switch by := dep.Replace; {
		case by == nil:
		case released(by.Version) == "": // a directory: the module keeps its name
			ev = inventory.Local(by.Path)
		default:
			name, version = by.Path, by.Version
		}
		if err := l.Add(name, released(version), 0, ev); err != nil {
			return true, l.End(err)
		}
	}
	return true, l.End(nil)
}

// released gives a version, or "" for what was built from a working directory.
func released(version string) string {
	if version == "(devel)" {
		return ""
	}
	return version
}

// The section that cargo-auditable adds, in the __DATA segment of Mach-O files, and what is read of it in bytes,
// compressed and not (https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md).
const (
	auditable      = ".dep-v0"
	maxAuditable   = 8 << 20
	maxAuditedJSON = 64 << 20
)

// readAuditable sends the crates of a program that cargo-auditable built, also those that only helped to build it.
func readAuditable(ctx context.Context, at io.ReaderAt, head []byte, out *inventory.Sink) (found bool, err error) {
	section := auditableSection(at, head)
	if section == nil {
		return false, ctx.Err()
	}
	z, err := zlib.NewReader(io.LimitReader(section, maxAuditable))
	if err != nil {
		return true, fmt.Errorf("%s: %w", auditable, err)
	}
	b, err := bounded.ReadAll(z, maxAuditedJSON, auditable)
	if err != nil {
		return true, err
	}
	// https://github.com/rust-secure-code/cargo-auditable/blob/master/cargo-auditable.schema.json
	var tree struct {
		Packages []struct {
			Name    string `json:"name"`
			Version string `json:"version"`
			Source  string `json:"source"`
		} `json:"packages"`
	}
	if err := inventory.DecodeJSON(b, &tree); err != nil {
		return true, fmt.Errorf("%s: %w", auditable, err)
	}
	l := inventory.NewList(ctx, out, "crates.io")
	for _, p := range tree.Packages {
		var ev rapsheet.Evidence
		switch p.Source {
		case "crates.io":
			ev = rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: "crates.io"}
		case "registry":
			ev.Origin = rapsheet.OriginRegistry
		case "git":
			ev.Origin = rapsheet.OriginGit
		case "local":
			ev.Origin = rapsheet.OriginFile
		}
		if err := l.Add(p.Name, p.Version, 0, ev); err != nil {
			return true, l.End(err)
		}
	}
	return true, l.End(nil)
}

// auditableSection gives the content of cargo-auditable's section; nil where there is none.
func auditableSection(at io.ReaderAt, head []byte) io.Reader {
	switch {
	case string(head) == "\x7fELF":
		f, err := elf.NewFile(at)
		if err != nil {
			return nil
		}
		if s := f.Section(auditable); s != nil && s.Type != elf.SHT_NOBITS {
			return io.NewSectionReader(at, int64(s.Offset), int64(s.FileSize))
		}
	case string(head[:2]) == "MZ":
		f, err := pe.NewFile(at)
		if err != nil {
			return nil
		}
		if s := f.Section(auditable); s != nil {
			return s.Open()
		}
	case string(head[:3]) == "\xca\xfe\xba":
		f, err := macho.NewFatFile(at)
		if err != nil || len(f.Arches) == 0 {
			return nil
		}
		if s := f.Arches[0].Section(auditable); s != nil {
			return s.Open()
		}
	default:
		f, err := macho.NewFile(at)
		if err != nil {
			return nil
		}
		if s := f.Section(auditable); s != nil {
			return s.Open()
		}
	}
	return nil
}
