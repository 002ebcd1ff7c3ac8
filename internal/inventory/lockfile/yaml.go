package lockfile

import (
	"github.com/rapsheet/rapsheet/internal/inventory"
)

import "go.yaml.in/yaml/v3"

// readYAML parses the first document of a file into nodes, nil when there is none. Aliases are not
// expanded: whoever follows one with [resolve] bounds how often.
func readYAML(in *inventory.File) (*yaml.Node, error) {
	b, err := in.Text()
	if err != nil {
		return nil, err
	}
	if err := inventory.Lines(b, func(int, string) error { return nil }); err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	return resolve(doc.Content[0]), nil
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// member gives the value of a key of a mapping, nil if there is none.
func member(n *yaml.Node, key string) *yaml.Node {
	if n == nil {
		return nil
	}
	if n = resolve(n); n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Kind == yaml.ScalarNode && n.Content[i].Value == key {
			return resolve(n.Content[i+1])
		}
	}
	return nil
}

// scalar gives the text of a scalar node, "" for others and none.
func scalar(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	if n = resolve(n); n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}
