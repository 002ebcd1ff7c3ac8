//go:build !unix

package inventory

import "errors"

func makePipe(string) error { return errors.ErrUnsupported }

func makeDeep(string, int) error { return errors.ErrUnsupported }
