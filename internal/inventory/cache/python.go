package cache

import "github.com/rapsheet/rapsheet/internal/inventory"

func pythonKinds() []inventory.Kind { return nil }
