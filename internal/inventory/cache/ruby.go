package cache

import "github.com/rapsheet/rapsheet/internal/inventory"

func rubyKinds() []inventory.Kind { return nil }
