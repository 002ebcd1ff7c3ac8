package cache

import "github.com/rapsheet/rapsheet/internal/inventory"

func rustKinds() []inventory.Kind { return nil }
