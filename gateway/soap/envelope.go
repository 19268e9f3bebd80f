package soap

// An Envelope is a SOAP message (SOAP 1.2 part 1, section 5; SOAP 1.1, section 4).
type Envelope struct {
	Doc     *Document
	Version Version
	Header  *Element // nil when there is none
	Body    *Element
	Content *Element // the one child of Body
}

// Open reads a document as a SOAP message of either version: an Envelope of
// an optional Header and a Body with one child, and nothing beside them
// (SOAP-06). The error is an *Error; ErrVersion matches it when the root is
// not an Envelope of a known version.
func Open(d *Document) (*Envelope, error) {
	root := d.Root()
	env := &Envelope{Doc: d, Version: versionOf(root.Name)}
	if env.Version == 0 {
		err := refuse("SOAP-06", int(root.Start), "root is no Envelope of SOAP 1.1 or 1.2")
		err.version = true
		return nil, err
	}
	if err := env.parts(); err != nil {
		return nil, err
	}
	for i := range d.attributes {
		if a := &d.attributes[i]; a.name.Local == "encodingStyle" {
			return nil, refuse("SOAP-06", int(a.start), "encodingStyle is not allowed")
		}
	}
	return env, nil
}

func versionOf(root Name) Version {
	switch root {
	case Name{NSSOAP11, "Envelope"}:
		return V11
	case Name{NSSOAP12, "Envelope"}:
		return V12
	default:
		return 0
	}
}

// parts finds Header, Body and what Body holds.
func (env *Envelope) parts() *Error {
	root, space := env.Doc.Root(), env.Version.Namespace()
	for e := range env.Doc.Children(root) {
		switch {
		case e.Name == Name{space, "Header"} && env.Header == nil && env.Body == nil:
			env.Header = e
		case e.Name == Name{space, "Body"} && env.Body == nil:
			env.Body = e
		default:
			return refuse("SOAP-06", int(e.Start), "Envelope holds more than Header and Body, in this order")
		}
	}
	if env.Body == nil {
		return refuse("SOAP-06", int(root.Start), "Envelope holds no Body")
	}
	for e := range env.Doc.Children(env.Body) {
		if env.Content != nil {
			return refuse("SOAP-06", int(e.Start), "Body holds a second element")
		}
		env.Content = e
	}
	if env.Content == nil {
		return refuse("SOAP-06", int(env.Body.Start), "Body is empty")
	}
	if root.texted || env.Body.texted || env.Header != nil && env.Header.texted {
		return refuse("SOAP-06", int(root.Start), "text in Envelope, Header or Body")
	}
	return nil
}
