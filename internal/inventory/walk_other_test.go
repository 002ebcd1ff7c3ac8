//go:build !unix

package inventory_test

import (
	"errors"
	"testing"
)

func makePipe(string) error { return errors.ErrUnsupported }

func makeDeep(string, int) error { return errors.ErrUnsupported }

func withoutRoot(t *testing.T) { t.Skip("permissions are other things here") }
