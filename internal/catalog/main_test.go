package catalog_test

import (
	"os"
	"testing"

	"github.com/rapsheet/rapsheet/internal/store/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
