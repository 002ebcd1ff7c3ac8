package cache

import "github.com/rapsheet/rapsheet/internal/inventory"

func dotnetKinds() []inventory.Kind { return nil }
