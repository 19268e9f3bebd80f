package mex

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"stsgate/gateway/refusal"
	"stsgate/gateway/soap"
)

const (
	nsWSDL     = "http://schemas.xmlsoap.org/wsdl/"
	nsMEX      = "http://schemas.xmlsoap.org/ws/2004/09/mex"
	nsTransfer = "http://schemas.xmlsoap.org/ws/2004/09/transfer"

	// maxRequest bounds a request for metadata, in bytes; real ones have 1,000.
	maxRequest = 16 << 10
	// bodyTimeout bounds how long it may take to arrive.
	bodyTimeout = 5 * time.Second
)

// responseAction returns the action that answers another (WS-Transfer,
// section 3.1; WS-MetadataExchange 1.1, section 4.2), empty for one that is
// not about metadata.
func responseAction(action string) string {
	switch action {
	case nsTransfer + "/Get":
		return nsTransfer + "/GetResponse"
	case nsMEX + "/GetMetadata/Request":
		return nsMEX + "/GetMetadata/Response"
	default:
		return ""
	}
}

// errAction says that the message asks for something else than metadata.
var errAction = errors.New("action is not one that asks for metadata")

// servePost answers a SOAP request for metadata.
func (m *Metadata) servePost(w http.ResponseWriter, r *http.Request) {
	version, err := mediaType(r.Header.Get("Content-Type"))
	if err != nil {
		plain(w, refusal.WrongMediaType)
		return
	}
	body, err := readBody(w, r)
	if err != nil {
		plain(w, refusal.Of(err))
		return
	}
	asked, err := read(body, version)
	head := soap.Header{Version: version, RelatesTo: asked.messageID, Now: m.now()}
	if err != nil {
		m.fault(w, head, err)
		return
	}
	head.Action = responseAction(asked.action)
	answer := soap.AppendOpen(make([]byte, 0, len(m.document)+2048), head)
	answer = append(answer, `<mex:Metadata xmlns:mex="`+nsMEX+`"><mex:MetadataSection Dialect="`+nsWSDL+`">`...)
	answer = append(answer, m.document...)
	answer = append(answer, `</mex:MetadataSection></mex:Metadata>`...)
	send(w, version, http.StatusOK, soap.AppendClose(answer))
}

// readBody reads the body within its bounds of size and time.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		return nil, refusal.New(refusal.Internal, "set read deadline: %w", err)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		reason := refusal.BodyUnread
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			reason = refusal.TooLarge
		}
		return nil, &refusal.Refusal{Reason: reason, Err: err}
	}
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		return nil, refusal.New(refusal.Internal, "clear read deadline: %w", err)
	}
	return body, nil
}

// fault answers in the SOAP version that the client speaks.
func (m *Metadata) fault(w http.ResponseWriter, head soap.Header, err error) {
	row := refusal.Malformed.Row()
	head.Action = soap.ActionFault
	f := soap.Fault{Header: head, Sender: true, Text: row.Text}
	if errors.Is(err, errAction) { // WS-Addressing 1.0 SOAP binding, section 6.4.3
		f.Subcode = soap.Name{Space: soap.NSAddressing, Local: "ActionNotSupported"}
		f.Text = "The action is not supported here."
	} else {
		w.Header().Set("Connection", "close")
	}
	w.Header().Set("Retry-After", "1") // no client repeats it at once (security.md, SOAP-16)
	send(w, head.Version, row.Status, soap.AppendFault(nil, f))
}

func send(w http.ResponseWriter, v soap.Version, status int, message []byte) {
	w.Header().Set("Content-Type", v.ContentType())
	w.WriteHeader(status)
	_, _ = w.Write(message) // a client that is gone needs nothing
}

// plain answers where there is no message yet.
func plain(w http.ResponseWriter, reason refusal.Reason) {
	row := reason.Row()
	if row.Close {
		w.Header().Set("Connection", "close")
	}
	http.Error(w, row.Text, row.Status)
}

// mediaType returns the SOAP version that a Content-Type stands for.
func mediaType(contentType string) (soap.Version, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return 0, err
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return 0, errors.New("charset is not UTF-8")
	}
	for _, v := range []soap.Version{soap.V11, soap.V12} {
		if kind == v.MediaType() {
			return v, nil
		}
	}
	return 0, errors.New("media type is not SOAP's")
}

// A question is a request for metadata, as far as its answer depends on it.
type question struct{ action, messageID string }

// read reads a message strictly. Its Body does not matter and may be empty:
// there is one document to have. On an error the question holds what was read.
func read(body []byte, version soap.Version) (question, error) {
	var q question
	d, err := soap.Scan(body, soap.Request)
	if err != nil {
		return q, err
	}
	root := d.Root()
	if (root.Name != soap.Name{Space: version.Namespace(), Local: "Envelope"}) {
		return q, errors.New("root is not the Envelope that the Content-Type says")
	}
	for part := range d.Children(root) {
		if (part.Name != soap.Name{Space: version.Namespace(), Local: "Header"}) {
			continue
		}
		if err := q.header(d, part); err != nil {
			return q, err
		}
	}
	if responseAction(q.action) == "" {
		return q, errAction
	}
	return q, nil
}

// header reads the addressing headers, each at most once. Others are refused
// where they must be understood.
func (q *question) header(d *soap.Document, header *soap.Element) error {
	for e := range d.Children(header) {
		var field *string
		switch {
		case e.Name == soap.Name{Space: soap.NSAddressing, Local: "Action"}:
			field = &q.action
		case e.Name == soap.Name{Space: soap.NSAddressing, Local: "MessageID"}:
			field = &q.messageID
		case e.Name.Space == soap.NSAddressing: // To and ReplyTo change nothing over HTTP
			continue
		default:
			if must, _ := d.Attr(e, soap.Name{Space: d.Root().Name.Space, Local: "mustUnderstand"}); must == "1" || must == "true" {
				return fmt.Errorf("header %s must be understood and is not", e.Name.Local)
			}
			continue
		}
		text, err := d.Text(e)
		if err != nil {
			return err
		}
		if *field != "" {
			return fmt.Errorf("header %s is there twice", e.Name.Local)
		}
		*field = strings.TrimSpace(text)
	}
	return nil
}
