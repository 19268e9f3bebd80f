package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"stsgate/policy"
)

func bob() policy.User {
	return policy.User{
		Name: "bob@contoso.example", GUID: "0f8fad5b-d9cb-469f-a165-70867728950e",
		SAM: "bob", Domain: "CONTOSO", ImmutableID: "W62PD8vZn0ahZXCGdyiVDg==", Groups: []string{"staff", "sales"},
		Attributes: map[string][]string{"mail": {"bob@mail.example"}, "display_name": {"Bob <B>"}, "employeenumber": {"7"}, "phones": {"1", "", "2"}, "none": {""}},
	}
}

// TestEvaluate makes subject and claims from an application's description.
func TestEvaluate(t *testing.T) {
	const (
		unspecified = " urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
		ns          = "http://contoso.example/claims/"
	)
	anonymous := bob()
	anonymous.ImmutableID, anonymous.Attributes = "", nil
	tests := []struct {
		name, application string
		user              policy.User
		want              string
	}{
		{"default", "", bob(), "bob@contoso.example" + unspecified + "; http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn=bob@contoso.example"},
		{"Microsoft 365", "claims: microsoft-365", bob(), "W62PD8vZn0ahZXCGdyiVDg==" + unspecified +
			"; http://schemas.xmlsoap.org/claims/UPN=bob@contoso.example; http://schemas.microsoft.com/LiveID/Federation/2008/05/ImmutableID=W62PD8vZn0ahZXCGdyiVDg=="},
		{"Microsoft 365, SAML 2.0", "token: saml2.0, claims: microsoft-365", bob(), "W62PD8vZn0ahZXCGdyiVDg== urn:oasis:names:tc:SAML:2.0:nameid-format:persistent" +
			"; http://schemas.xmlsoap.org/claims/UPN=bob@contoso.example; http://schemas.microsoft.com/LiveID/Federation/2008/05/ImmutableID=W62PD8vZn0ahZXCGdyiVDg==; IDPEmail=bob@contoso.example"},
		{"Microsoft 365 without ImmutableID", "claims: microsoft-365", anonymous, "error: name_id: the user has 0 values of immutable_id, not one"},
		{"every source", "claims: [{type: c/1, from: upn}, {type: c/2, from: guid}, {type: c/3, from: sam}, {type: c/4, from: domain}, {type: c/5, from: immutable_id}, {type: c/6, from: mail}, {type: c/7, from: display_name}, {type: c/8, from: groups}, {type: c/9, from: 'attribute:employeeNumber'}, {type: c/10, value: x}]",
			bob(), "bob@contoso.example" + unspecified + "; c/1=bob@contoso.example; c/2=0f8fad5b-d9cb-469f-a165-70867728950e; c/3=bob; c/4=CONTOSO; c/5=W62PD8vZn0ahZXCGdyiVDg==; c/6=bob@mail.example; c/7=Bob <B>; c/8=staff,sales; c/9=7; c/10=x"},
		{"empty values are left out", "claims: [{type: c/1, from: 'attribute:phones'}, {type: c/2, from: 'attribute:none'}, {type: c/3, from: 'attribute:missing'}]",
			bob(), "bob@contoso.example" + unspecified + "; c/1=1,2"},
		{"a required claim", "claims: [{type: " + ns + "mail, from: mail, required: true}]", anonymous, "error: claim " + ns + "mail: the user has no mail"},
		{"a subject by attribute", "name_id: {from: 'attribute:employeenumber', format: 'urn:x'}, claims: [{type: c/1, value: x}]", bob(), "7 urn:x; c/1=x"},
		{"a subject of several values", "name_id: {from: 'attribute:phones'}", bob(), "error: name_id: the user has 2 values of attribute:phones, not one"},
		{"a user that is not known", "", policy.User{}, "error: name_id: the user has 0 values of upn, not one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := load(t, "applications:\n  p: {realms: [urn:p], answer: issue, "+tt.application+"}\n")
			subject, claims, err := evaluate(s.Application("urn:p"), &tt.user)
			got := subject.NameID + " " + subject.Format
			for _, c := range claims {
				got += fmt.Sprintf("; %s=%s", c.Type, strings.Join(c.Values, ","))
			}
			if err != nil {
				got = "error: " + err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestEvaluateCopies checks that what becomes of the claims cannot change the
// directory's account.
func TestEvaluateCopies(t *testing.T) {
	s := load(t, "applications:\n  p: {realms: [urn:p], answer: issue, claims: [{type: c/1, from: groups}, {type: c/2, from: 'attribute:phones'}]}\n")
	u := bob()
	_, claims, err := evaluate(s.Application("urn:p"), &u)
	if err != nil {
		t.Fatal(err)
	}
	claims[0].Values[0], claims[1].Values[1] = "admins", "x"
	if u.Groups[0] != "staff" || u.Attributes["phones"][1] != "" {
		t.Errorf("the user is now %+v", u)
	}
}

// TestApplicationDefaults checks what an application says when it says little
// (TOK-03: the lifetime).
func TestApplicationDefaults(t *testing.T) {
	a := load(t, "applications:\n  p: {realms: [urn:p], answer: forward}\n").Application("urn:p")
	if a.Answer != policy.Forward || a.Token != policy.SAML11 || a.Lifetime != time.Hour || a.AnswerEncrypted {
		t.Errorf("got %+v", a)
	}
	a = load(t, "applications:\n  p: {realms: [urn:p], answer: issue, token: saml2.0, lifetime: 8h, answer_encrypted: true}\n").Application("urn:p")
	if a.Answer != policy.Issue || a.Token != policy.SAML20 || a.Lifetime != 8*time.Hour || !a.AnswerEncrypted {
		t.Errorf("got %+v", a)
	}
}

// evaluate makes the token that the application issues by itself.
func evaluate(a *policy.Application, u *policy.User) (policy.Subject, []policy.Claim, error) {
	return a.Evaluate(u, a.Token)
}

// A client may ask for the other kind of token than the application's own.
func TestEvaluateForTheOtherKind(t *testing.T) {
	u := bob()
	preset := load(t, "applications:\n  p: {realms: [urn:p], answer: issue, token: saml2.0, claims: microsoft-365}\n").Application("urn:p")
	subject, claims, err := preset.Evaluate(&u, policy.SAML11)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := subject.Format, "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"; got != want || len(claims) != 2 {
		t.Errorf("got format %v and %d claims, want %v and 2", got, len(claims), want)
	}
	if subject, claims, _ = preset.Evaluate(&u, policy.SAML20); !strings.HasSuffix(subject.Format, "persistent") || len(claims) != 3 {
		t.Errorf("got %v and %d claims for SAML 2.0 after SAML 1.1", subject, len(claims))
	}
	own := load(t, "applications:\n  p: {realms: [urn:p], answer: issue, token: saml2.0, claims: [{type: plain, from: upn}]}\n").Application("urn:p")
	if _, _, err := own.Evaluate(&u, policy.SAML11); err == nil || !strings.Contains(err.Error(), "claim plain: SAML 1.1 needs") {
		t.Errorf("got %v, want that the claim does not fit", err)
	}
}
