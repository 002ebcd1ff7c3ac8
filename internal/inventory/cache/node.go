package cache

import "github.com/rapsheet/rapsheet/internal/inventory"

func nodeKinds() []inventory.Kind { return nil }
