package cache

import "github.com/rapsheet/rapsheet/internal/inventory"

func javaKinds() []inventory.Kind { return nil }
