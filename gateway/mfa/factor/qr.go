package factor

import (
	"fmt"
	"image/color"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// URI is what an app reads: otpauth://totp/...
func (h *Half) URI() string { return h.key.URL() }

// Secret is the secret as a user types it: base32 in groups of four.
func (h *Half) Secret() string {
	var groups []string
	for s := h.key.Secret(); s != ""; {
		n := min(4, len(s))
		groups, s = append(groups, s[:n]), s[n:]
	}
	return strings.Join(groups, " ")
}

// quiet is the white border of a QR code that readers need, in modules.
const quiet = 4

// SVG is the URI as a QR code: an svg element to stand within a page, which
// asks no server for a picture that is a secret, and needs no style.
func (h *Half) SVG() (string, error) {
	code, err := qr.Encode(h.URI(), qr.M, qr.Auto)
	if err != nil {
		return "", fmt.Errorf("QR code: %w", err)
	}
	size := code.Bounds().Dx()
	var path strings.Builder
	for y := range size {
		for x := range size {
			if code.At(x, y) == color.Black {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x+quiet, y+quiet)
			}
		}
	}
	whole := size + 2*quiet
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[1]d" role="img" aria-label="QR code" shape-rendering="crispEdges">`+
		`<rect width="%[1]d" height="%[1]d" fill="#fff"/><path d="%[2]s" fill="#000"/></svg>`, whole, path.String()), nil
}
