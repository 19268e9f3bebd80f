package gateway

import (
	"errors"
	"net/http"
	"strconv"

	"stsgate/gateway/refusal"
	"stsgate/gateway/soap"
)

// A reply is what a client hears: a message with an answer or a fault, or one
// line of text where there is no message to answer.
type reply struct {
	status  int
	soap    soap.Version // zero for a line of text
	fault   bool
	retry   bool // says when to ask again
	close   bool // ends the connection
	uniform bool // looks like a wrong password, and leaves at the end of a slot
	body    []byte
}

// reply makes the answer, or the fault or line of text for err.
func (x *exchange) reply(err error) reply {
	switch {
	case x.repeated != nil:
		return x.repeated.reply
	case err == nil:
		return reply{status: http.StatusOK, soap: x.request.SOAP, body: x.answer}
	}
	row := x.told(err)
	if !row.Fault() {
		return plainReply(row, x.id)
	}
	// Three Microsoft libraries send the same bytes again after a 500 that has
	// no Retry-After (security.md, SOAP-16).
	return reply{status: row.Status, soap: x.soap, fault: true, retry: true, close: row.Close,
		uniform: row.LikeWrongPassword(), body: soap.AppendFault(nil, x.fault(row))}
}

func plainReply(row refusal.Row, id string) reply {
	return reply{
		status: row.Status, retry: row.Status == http.StatusServiceUnavailable, close: row.Close,
		body: []byte(row.Text + " (transaction " + id + ")\n"),
	}
}

// told is the row of what the client hears of an error: of a wrong password, too,
// where the application hides that it was right.
func (x *exchange) told(err error) refusal.Row {
	row := refusal.Of(err).Row()
	if app := x.decision.Application; app != nil && app.Hide && row.Proven {
		return refusal.WrongPassword.Row()
	}
	if r, ok := errors.AsType[*refusal.Refusal](err); ok {
		row.Text = r.Text()
	}
	return row
}

// fault is that of a row.
func (x *exchange) fault(row refusal.Row) soap.Fault {
	f := soap.Fault{
		Header:  soap.Header{Version: x.soap, Action: soap.ActionFault, Now: x.start},
		Sender:  row.Sender,
		Subcode: soap.Name{Space: x.endpoint.Version.Namespace(), Local: row.Code},
		Text:    row.Text + " (transaction " + x.id + ")",
	}
	if row.Security {
		f.Subcode.Space = soap.NSSecurity
	}
	if r := x.request; r != nil {
		f.Header.RelatesTo = r.MessageID
		if r.SOAP == soap.V11 && r.Action == "" && r.To == "" && r.MessageID == "" {
			f.Header.Action = "" // a SOAP 1.1 client without WS-Addressing
		}
	}
	return f
}

// noStore is shared by all answers, and never written to.
var noStore = []string{"no-store"}

// write sends it. A client that is gone has its record already.
func (a reply) write(w http.ResponseWriter) {
	h := w.Header()
	h["Cache-Control"] = noStore
	if a.retry {
		h["Retry-After"] = []string{"1"}
	}
	if a.close {
		h["Connection"] = []string{"close"}
	}
	if a.soap == 0 {
		h["Content-Type"] = []string{"text/plain; charset=utf-8"}
	} else {
		h["Content-Type"] = []string{a.soap.ContentType()}
		h["Content-Length"] = []string{strconv.Itoa(len(a.body))}
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}
