package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// A Client calls a running gateway on its socket.
type Client struct {
	// Socket is its path.
	Socket string
}

// Call makes one call. The error says what the gateway refused, or what to do
// when nobody answers.
func (c Client) Call(ctx context.Context, name string, in, out any) error {
	ctx, done := context.WithTimeout(ctx, 3*callTime)
	defer done()
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	answer, err := c.Stream(ctx, name, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer answer.Close()
	if err := decode(answer, out); err != nil {
		return fmt.Errorf("the gateway's answer: %w", err)
	}
	return nil
}

// Stream is Call for what is too large for one value. The caller must close the
// answer.
func (c Client) Stream(ctx context.Context, name string, body io.Reader) (io.ReadCloser, error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", c.Socket)
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://stsgate/"+name, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return nil, c.explain(err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	var f failed
	if err := decode(io.LimitReader(answer.Body, maxCall), &f); err != nil || f.Error == "" {
		return nil, fmt.Errorf("%s: is it the admin socket of stsgate? It answers %s", c.Socket, answer.Status)
	}
	return nil, errors.New(f.Error)
}

// explain says what to do about a gateway that cannot be reached.
func (c Client) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is not there: start the gateway, with admin.socket in its configuration, or name its socket by --socket", c.Socket)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody answers on %s: the gateway that made it has ended, start it", c.Socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s is not for this user: it is for root, its owner and the group %s", c.Socket, c.group())
	}
	return fmt.Errorf("%s: %w", c.Socket, err)
}

// group names the group of the socket or, where that does not show, of its folder.
func (c Client) group() string {
	for _, path := range []string{c.Socket, filepath.Dir(c.Socket)} {
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		gid, ok := groupOf(info)
		if !ok {
			continue
		}
		if g, err := user.LookupGroupId(strconv.Itoa(gid)); err == nil {
			return g.Name
		}
		return strconv.Itoa(gid)
	}
	return "of its folder"
}
