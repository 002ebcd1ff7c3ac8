package sbom

// The members read here are those of https://cyclonedx.org/docs/1.6/json/; they
// are the same in 1.2 to 1.7.

// cycloneDX reads one component; level counts the components around it.
func (j *jsonReader) cycloneDX(level int) error {
	if j.dec.PeekKind() != '{' {
		return j.mismatch("an object")
	}
	if err := j.open(); err != nil {
		return err
	}
	c := j.component(level)
	err := j.members(func(name []byte) error {
		switch string(name) {
		case "type":
			return j.into(&c.kind)
		case "group":
			return j.into(&c.group)
		case "name":
			return j.into(&c.name)
		case "version":
			return j.into(&c.version)
		case "purl":
			return j.into(&c.purl)
		case "hashes":
			return j.digests(c, "alg", "content")
		case "externalReferences":
			return j.distribution(c)
		case "components":
			return j.array(func() error { return j.cycloneDX(level + 1) })
		}
		return j.skip()
	})
	if err != nil {
		return err
	}
	return j.sink.component(c)
}

func (j *jsonReader) metadata(name []byte) error {
	if string(name) == "component" && j.dec.PeekKind() == '{' {
		return j.cycloneDX(0)
	}
	return j.skip()
}

func (j *jsonReader) formula(name []byte) error {
	if string(name) == "components" {
		return j.array(func() error { return j.cycloneDX(0) })
	}
	return j.skip()
}

// digests reads an array of objects with an algorithm and a value.
func (j *jsonReader) digests(c *component, algorithmName, valueName string) error {
	return j.list(func() error {
		var algorithm, value [128]byte
		var a, v []byte
		err := j.object(func(name []byte) error {
			var err error
			switch string(name) {
			case algorithmName:
				a, err = j.short(algorithm[:0])
			case valueName:
				v, err = j.short(value[:0])
			default:
				err = j.skip()
			}
			return err
		})
		c.addDigest(a, v)
		return err
	})
}

// short reads a text of at most cap(buf) bytes into buf; a longer one is no text at all.
func (j *jsonReader) short(buf []byte) ([]byte, error) {
	v, err := j.text()
	if err != nil || len(v) > cap(buf) {
		return nil, err
	}
	return append(buf, v...), nil
}

// distribution keeps the first external reference of type "distribution".
func (j *jsonReader) distribution(c *component) error {
	return j.list(func() error {
		var kind [16]byte
		var k []byte
		before := len(c.url)
		err := j.object(func(name []byte) error {
			var err error
			switch string(name) {
			case "type":
				k, err = j.short(kind[:0])
			case "url":
				if before > 0 {
					return j.skip()
				}
				err = j.into(&c.url)
			default:
				err = j.skip()
			}
			return err
		})
		if before == 0 && string(k) != "distribution" {
			c.url = c.url[:0]
		}
		return err
	})
}

// list walks an array of objects that is not essential: a value of another kind is skipped.
func (j *jsonReader) list(object func() error) error {
	if j.dec.PeekKind() != '[' {
		return j.skip()
	}
	return j.array(func() error {
		if j.dec.PeekKind() != '{' {
			return j.skip()
		}
		return object()
	})
}
