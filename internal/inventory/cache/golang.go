package cache

import "github.com/rapsheet/rapsheet/internal/inventory"

func goKinds() []inventory.Kind { return nil }
