package adfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

// metadataPath is where AD FS publishes its signed metadata (protocol.md,
// section 10.5).
const metadataPath = "/FederationMetadata/2007-06/FederationMetadata.xml"

var (
	errClosed = fmt.Errorf("%w: closed", wstrust.ErrDown)
	errNoNode = fmt.Errorf("%w: no healthy node", wstrust.ErrDown)
)

// Forward sends the bytes of r to the least busy healthy node and reads the
// answer. Once a byte of the request was written it is never sent again; a
// node that cannot be connected to is passed over before that.
//
// An error at a node is a *wstrust.NodeError around its cause: a
// *wstrust.Fault when the farm refused; wstrust.ErrDown when no node took the
// request, its signing keys are not known, the connection broke, or the farm
// failed with another status than 200 and 500; wstrust.ErrSlow when the answer
// was not complete in time; a *wstrust.Error or *soap.Error when it cannot be
// read; wstrust.ErrUntrusted when its token is not signed by a key of the farm;
// and ctx's error when ctx ended first.
func (f *Farm) Forward(ctx context.Context, r *wstrust.Request, origin wstrust.Origin) (*wstrust.Answer, error) {
	s := f.acquire()
	defer f.release(s)
	if err := s.post(&f.c, r, origin); err != nil {
		return nil, fmt.Errorf("forward: %w", err)
	}
	if err := f.signers.known(ctx); err != nil {
		f.metrics.unsent[outcomeOf(err)].Inc()
		return nil, err
	}
	start := time.Now()
	c, err := f.connect(ctx)
	if err != nil {
		f.metrics.unsent[outcomeOf(err)].Inc()
		return nil, err
	}
	n := c.node
	defer n.busy.Add(-1)
	answer, err := c.forward(ctx, s, r)
	took := time.Since(start)
	n.count.duration.Observe(took.Seconds())
	if err == nil {
		err = f.signers.check(answer)
	}
	o := outcomeOf(err)
	c.settle(o == answered || o == fault)
	if o == answered {
		n.good.Store(start.Add(took).UnixNano())
	}
	n.count.outcomes[o].Inc()
	if err != nil {
		return nil, &wstrust.NodeError{Node: n.name, Err: err}
	}
	answer.Node, answer.Distrust = n.name, c.distrust
	if fits(answer, r) {
		f.notice(answer, n, start.Add(took))
	}
	return answer, nil
}

// Metadata gets the farm's federation metadata from a node, byte by byte as
// it is, since it is signed, with its Content-Type. It is at most 1 MiB.
func (f *Farm) Metadata(ctx context.Context) (body []byte, contentType string, err error) {
	s := f.acquire()
	defer f.release(s)
	s.get(&f.c, metadataPath)
	c, err := f.connect(ctx)
	if err != nil {
		return nil, "", err
	}
	defer c.node.busy.Add(-1)
	h, body, err := c.exchange(ctx, s)
	if err == nil && h.status != 200 {
		err = fmt.Errorf("%w: metadata with status %d", wstrust.ErrDown, h.status)
	}
	c.settle(err == nil)
	if err != nil {
		return nil, "", &wstrust.NodeError{Node: c.node.name, Err: err}
	}
	return body, h.contentType, nil
}

// connect returns a connection on which nothing of the request was written
// yet. Its node counts as busy with it.
func (f *Farm) connect(ctx context.Context) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if f.closed.Load() {
		return nil, errClosed
	}
	last := errNoNode
	var tried uint64
	for {
		i, ok := f.pick(tried)
		if !ok {
			return nil, last
		}
		tried |= 1 << i
		n := f.nodes[i]
		n.busy.Add(1)
		c, err := n.connect(ctx)
		if err == nil {
			return c, nil
		}
		n.busy.Add(-1)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		n.count.refused.Inc()
		n.unreachable(err)
		last = &wstrust.NodeError{Node: n.name, Err: fmt.Errorf("%w: %v", wstrust.ErrDown, err)}
	}
}

// pick returns the healthy node with the fewest exchanges under way that was
// not tried, the next in turn among equals.
func (f *Farm) pick(tried uint64) (best int, ok bool) {
	first := int(f.next.Add(1) % uint32(len(f.nodes)))
	var least int64
	for k := range f.nodes {
		i := (first + k) % len(f.nodes)
		n := f.nodes[i]
		if tried>>i&1 == 1 || !n.up.Load() {
			continue
		}
		if busy := n.busy.Load(); !ok || busy < least {
			best, least, ok = i, busy, true
		}
	}
	return best, ok
}

// connect returns an unused connection that is still open, or a new one.
func (n *node) connect(ctx context.Context) (*conn, error) {
	for now := time.Now(); ; {
		c := n.take(now)
		if c == nil {
			break
		}
		if c.quiet() {
			return c, nil
		}
		c.close()
	}
	c, err := n.dial(ctx)
	if err != nil {
		return nil, err
	}
	if !c.quiet() {
		c.close()
		return nil, errors.New("closed or spoke before it was asked")
	}
	return c, nil
}

// forward makes the exchange and judges the answer.
func (c *conn) forward(ctx context.Context, s *scratch, r *wstrust.Request) (*wstrust.Answer, error) {
	s.room = r.Room()
	h, body, err := c.exchange(ctx, s)
	switch {
	case err != nil:
		return nil, err
	case h.status != 200 && h.status != 500:
		return nil, fmt.Errorf("%w: status %d", wstrust.ErrDown, h.status)
	case !isSOAP(h.contentType):
		clear(body)
		return nil, fmt.Errorf("%w: status %d without a SOAP message", wstrust.ErrDown, h.status)
	}
	answer, err := r.ReadAnswer(body)
	switch {
	case err != nil:
		return nil, err
	case h.status != 200:
		return nil, broken("HTTP-12", "a token with status %d", h.status)
	case answer.SOAP != r.SOAP:
		return nil, &wstrust.Error{Kind: wstrust.WrongVersion, Rule: "SIG-10", Offset: -1,
			Msg: "answer: SOAP " + answer.SOAP.String() + " to a request in " + r.SOAP.String()}
	}
	c.exact = c.exact && fits(answer, r)
	return answer, nil
}

// fits tells that an answer says nothing of another request than r. Whether it
// is released is the gateway's to judge; where it does not fit, its connection
// is out of step either way.
func fits(a *wstrust.Answer, r *wstrust.Request) bool {
	return a.RelatesTo == r.MessageID && (a.AppliesTo == "" || a.AppliesTo == r.AppliesTo) &&
		(a.Encrypted || slices.Equal(a.Assertion.Audiences, []string{r.AppliesTo}))
}

// exchange writes the request and reads the answer, in this goroutine. The
// body of an answer with another status than 200 and 500 is not read. The
// connection has to be settled afterwards.
func (c *conn) exchange(ctx context.Context, s *scratch) (head, []byte, error) {
	undisturbed := func() bool { return true }
	if ctx.Done() != nil {
		undisturbed = context.AfterFunc(ctx, c.abort)
	}
	h, body, err := c.roundTrip(s, time.Now().Add(c.node.c.AnswerTimeout))
	framed := body != nil && (h.chunked || h.length >= 0)
	c.exact = undisturbed() && framed && !h.close && s.in.Buffered() == 0
	return h, body, c.cause(ctx, err)
}

// settle keeps the connection for the next exchange, or closes it: whatever
// was unexpected, in the framing or in what the answer says, may mean that
// the next answer on it is not the next request's (HTTP-11).
func (c *conn) settle(expected bool) {
	if expected && c.exact {
		c.node.give(c, time.Now())
	} else {
		c.close()
	}
}

// setDeadline sets the deadline for an exchange, to a hundredth of its time: to
// set one costs more than to see that the last one will do.
func (c *conn) setDeadline(deadline time.Time) error {
	if deadline.Sub(c.deadline) <= c.node.c.AnswerTimeout/100 {
		return nil
	}
	c.deadline = deadline
	return c.tls.SetDeadline(deadline)
}

func (c *conn) roundTrip(s *scratch, deadline time.Time) (head, []byte, error) {
	if err := c.setDeadline(deadline); err != nil {
		return head{}, nil, err
	}
	if _, err := c.tls.Write(s.out); err != nil {
		return head{}, nil, fmt.Errorf("write request: %w", err)
	}
	s.in.Reset(c.tls)
	h, err := readHead(s.in)
	if err != nil {
		return head{}, nil, fmt.Errorf("read answer: %w", err)
	}
	if h.status != 200 && h.status != 500 {
		return h, nil, nil
	}
	body, err := readBody(s.in, s.room, h, func() bool { return !c.wire.ended })
	if err != nil {
		clear(body)
		return head{}, nil, fmt.Errorf("read answer: %w", err)
	}
	return h, body, nil
}

// cause says what an error on the connection means to the caller.
func (c *conn) cause(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if _, ok := errors.AsType[*wstrust.Error](err); ok {
		return err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: no complete answer within %v", wstrust.ErrSlow, c.node.c.AnswerTimeout)
	}
	return fmt.Errorf("%w: %w", wstrust.ErrDown, err)
}

// isSOAP reports whether a content type is that of a SOAP message.
func isSOAP(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.TrimRight(media, " \t")
	return strings.EqualFold(media, soap.V12.MediaType()) || strings.EqualFold(media, soap.V11.MediaType())
}
