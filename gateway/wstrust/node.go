package wstrust

// A NodeError says at which farm node an exchange failed, whatever the
// cause: a Fault, an unreadable answer, ErrDown or ErrSlow.
type NodeError struct {
	// Node is host:port as configured.
	Node string
	Err  error
}

// Error implements error.
func (e *NodeError) Error() string { return "node " + e.Node + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *NodeError) Unwrap() error { return e.Err }
