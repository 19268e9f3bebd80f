package factor_test

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/state"
	"stsgate/gateway/state/statetest"
	"stsgate/policy"
)

// AUD-05: no secret and no code is in a log, an error, or what is printed.
func TestSecretsAreNotTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &statetest.Faulty{Store: state.NewMemory(nil)}
		var told bytes.Buffer
		s := newSite(t, 1, store, func(c *factor.Config) {
			c.Log = slog.New(slog.NewJSONHandler(&told, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		v := s.nodes[0]
		var secrets []string
		half := must(v.BeginTOTP(t.Context(), user(alice), binding(alice)))(t)
		a := app{secret: strings.ReplaceAll(half.Secret(), " ", "")}
		raw := must(base32.StdEncoding.DecodeString(a.secret))(t)
		secrets = append(secrets, a.secret, half.Secret(), half.URI(), string(raw), hex.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw))
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&told, format, half)
			fmt.Fprintf(&told, format, *half)
		}
		told.Write(must(json.Marshal(half))(t))
		slog.New(slog.NewTextHandler(&told, nil)).Info("half", "half", half)
		must(v.ConfirmTOTP(t.Context(), alice, half.ID, typed(a.now()), "phone", home))(t)

		codes := must(v.NewRecoveryCodes(t.Context(), alice, binding(alice), home))(t)
		bindingCode := must(v.NewBindingCode(t.Context(), alice, office))(t)
		fmt.Fprintf(&told, "%v %+v %#v", codes, codes, bindingCode)
		secrets = append(secrets, string(codes[0].Bytes()), string(bindingCode.Bytes()))
		wrong := []string{a.wrong(1), "AAAA-BBBB-CCCC-DDDD", "AAAAA-BBBBB"}
		secrets = append(secrets, wrong...)
		tries := func() {
			for _, code := range wrong {
				_, err := v.CheckCode(t.Context(), user(alice), typed(code), policy.TOTP|policy.Recovery, home)
				_, err2 := v.RedeemBindingCode(t.Context(), alice, typed(code))
				_, err3 := v.ConfirmTOTP(t.Context(), alice, half.ID, typed(code), "", home)
				fmt.Fprintf(&told, "%v %+v %#v\n", err, err2, errors.Join(err, err2, err3))
			}
		}
		tries()
		for _, fault := range []statetest.Fault{statetest.Fail, statetest.FailPersisted} {
			store.Break(func(op string, _ state.Key) statetest.Fault { return fault })
			tries()
			store.Break(nil)
		}
		fmt.Fprintf(&told, "%+v %+v", must(v.List(t.Context(), alice))(t), s.events())
		if told.Len() < 1000 {
			t.Fatalf("only %d bytes were told", told.Len())
		}
		for _, secret := range secrets {
			if strings.Contains(told.String(), secret) {
				t.Errorf("told: %q", secret)
			}
		}
	})
}

// The picture has the modules of the address that apps read, a white border,
// and nothing that a page must be allowed to have.
func TestQRCode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newSite(t, 1, nil, nil).nodes[0]
		half := must(v.BeginTOTP(t.Context(), user(alice), binding(alice)))(t)
		secret := strings.ReplaceAll(half.Secret(), " ", "")
		want := "otpauth://totp/Contoso:alice@contoso.example?algorithm=SHA1&digits=6&issuer=Contoso&period=30&secret=" + secret
		if half.URI() != want {
			t.Errorf("got %s, want %s", half.URI(), want)
		}
		svg := must(half.SVG())(t)
		if regexp.MustCompile(`style|href|script|url\(`).MatchString(svg) {
			t.Error("the picture needs more than an svg element")
		}
		picture := raster(t, svg)
		side := picture.Bounds().Dx()
		for i := range side {
			for _, c := range [][2]int{{i, 3}, {3, i}, {i, side - 4}, {side - 4, i}} {
				if picture.GrayAt(c[0], c[1]).Y == 0 {
					t.Fatalf("dark at %v, in the border", c)
				}
			}
		}
		// Three corners have a finder pattern.
		for _, corner := range [][2]int{{4, 4}, {side - 11, 4}, {4, side - 11}} {
			for y, row := range []string{"#######", "#.....#", "#.###.#", "#.###.#", "#.###.#", "#.....#", "#######"} {
				for x, c := range row {
					if dark := picture.GrayAt(corner[0]+x, corner[1]+y).Y == 0; dark != (c == '#') {
						t.Fatalf("no finder pattern at %v", corner)
					}
				}
			}
		}
	})
}

// raster draws the picture, a pixel for a module.
func raster(t *testing.T, svg string) *image.Gray {
	t.Helper()
	size := regexp.MustCompile(`viewBox="0 0 (\d+) `).FindStringSubmatch(svg)
	if size == nil {
		t.Fatal("no size")
	}
	side := must(strconv.Atoi(size[1]))(t)
	picture := image.NewGray(image.Rect(0, 0, side, side))
	for i := range picture.Pix {
		picture.Pix[i] = 255
	}
	for _, m := range regexp.MustCompile(`M(\d+) (\d+)h1v1h-1z`).FindAllStringSubmatch(svg, -1) {
		picture.Pix[picture.PixOffset(must(strconv.Atoi(m[1]))(t), must(strconv.Atoi(m[2]))(t))] = 0
	}
	return picture
}

// What a user calls a device can be shown: no character that is not seen, none
// that turns the text around, and not too many.
func TestLabels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newSite(t, 1, nil, withPasskeys).nodes[0]
		d := newDevice(t, v, alice)
		for typed, want := range map[string]string{
			"Büro-Schlüssel 2":           "Büro-Schlüssel 2",
			"  a\x00\r\nb\u202ec\u200b ": "abc",
			"<script>alert(1)</script>":  "<script>alert(1)</script>", // which pages escape
			strings.Repeat("ü", 1000):    strings.Repeat("ü", 64),
			"":                           "as before",
			"\u200b":                     "as before",
			"\xff\xfe":                   "as before",
		} {
			for _, name := range []string{"as before", typed} {
				if err := v.Rename(t.Context(), alice, d.id, name); err != nil {
					t.Fatal(err)
				}
			}
			if got := must(v.List(t.Context(), alice))(t)[0].Label; got != want {
				t.Errorf("%q: got %q, want %q", typed, got, want)
			}
		}
		if err := v.Rename(t.Context(), bob, d.id, "mine"); !errors.Is(err, factor.ErrMissing) {
			t.Errorf("another user's: %v", err)
		}
		if err := v.Unbind(t.Context(), bob, d.id, binding(bob), home); !errors.Is(err, factor.ErrMissing) {
			t.Errorf("another user's: %v", err)
		}
	})
}

// What can be a code of what: it is cut from passwords by this.
func TestCodeFactors(t *testing.T) {
	for text, want := range map[string]policy.Factors{
		"123456": policy.TOTP | policy.RADIUS, "1234567": policy.RADIUS, "12345678": policy.RADIUS,
		"12345": 0, "123456789": 0, "": 0, "12345a": 0, " 12345": 0, "+12345": 0, "١٢٣": 0,
		"ABCD-EFGH-JKMN-PQRS": policy.Recovery, "abcdefghjkmnpqrs": policy.Recovery, "OIL0-1234-5678-9ABC": policy.Recovery,
		"ABCD-EFGH-JKMN-PQR": 0, "ABCD-EFGH-JKMN-PQRST": 0, "ABCD-EFGH-JKMN-PQRU": 0, "ABCD,EFGH,JKMN,PQRS": 0,
	} {
		if got := factor.CodeFactors([]byte(text)); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
