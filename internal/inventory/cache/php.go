package cache

import "github.com/rapsheet/rapsheet/internal/inventory"

func phpKinds() []inventory.Kind { return nil }
