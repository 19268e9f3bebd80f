package adfs

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"time"
)

// watch checks the node until ctx ends.
func (n *node) watch(ctx context.Context) {
	tick := time.NewTicker(n.c.CheckInterval)
	defer tick.Stop()
	for {
		began := time.Now()
		err := n.check(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			n.failed(err, began)
		default:
			n.passed()
		}
		n.reap(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// check makes a handshake and asks the probe.
func (n *node) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.c.CheckTimeout)
	defer cancel()
	c, err := n.dial(ctx)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	_ = c.tls.Close()
	if n.probe == "" {
		return nil
	}
	if err := n.ask(ctx); err != nil {
		return fmt.Errorf("probe %s: %w", n.probe, err)
	}
	return nil
}

// ask gets /adfs/probe, whose status is all that counts.
func (n *node) ask(ctx context.Context) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", n.probe)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if _, err := fmt.Fprintf(c, "GET /adfs/probe HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", n.c.Host); err != nil {
		return err
	}
	h, err := readHead(bufio.NewReaderSize(c, maxHead))
	if err != nil {
		return err
	}
	if h.status != 200 {
		return fmt.Errorf("status %d", h.status)
	}
	return nil
}
