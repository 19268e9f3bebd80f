// Package policy decides which request may have a token, and how it is
// answered: facts go in, a [Decision] comes out. It also says what the tokens
// of an application hold.
//
// It is pure: it reads no clock and does no I/O but through the fs.FS that
// [Load] is given, and deciding cannot fail. It must never learn a password,
// and never know of SOAP, HTTP or refusals.
//
// # The language
//
// A policy set is all files *.yaml of one directory, without those called
// *_test.yaml. Each file may have any of three keys, and a name is defined
// once in all files together:
//
//	networks:
//	  offices: [198.51.100.0/24, 2001:db8:10::/48]
//	  partners: {file: networks/partners.txt}
//	applications:
//	  payroll: {realms: ["urn:payroll"], answer: issue}
//	rules:
//	  - name: staff may use payroll from the offices
//	    match: {groups: [staff], networks: [offices], applications: [payroll]}
//	    allow: {}
//	  - name: the old version stops
//	    match: {versions: ["1.2"], not: {groups: [migrating]}}
//	    deny: {}
//	    mode: report-only
//
// A network is all that its prefixes hold together: overlaps change nothing, and
// are warned of. One without a prefix is a mistake, and so is a prefix that
// stands twice in a list; in a file it may.
//
// Order never matters, neither of rules nor of files. A rule does one thing:
// an allow grants, a deny refuses, a require adds an obligation and grants
// nothing. A request passes when no deny applies and at least one allow
// matches; it then owes what every require asks for that applies.
//
// The keys of a match must all hold, and the values of one key are
// alternatives. Under not, each key is negated by itself: not: {networks: [a],
// groups: [b]} means in none of a and in none of b. A rule for every request
// says match: everyone; an empty match or an empty list is a mistake. [Keys]
// lists all keys.
//
// What a match cannot say stands under when: an expression of CEL over the
// facts, such as when: source.failed_users > 10. It is checked when the set is
// loaded. Where a rule has match and when, both must hold.
//
// What cannot be known counts against the request, by Kleene's logic: a
// condition on an unknown fact is unknown, a match with a condition that is
// false is false, and one with an unknown condition is otherwise unknown. An
// unknown deny or require applies, an unknown allow does not. Several client
// addresses that fall on both sides of a condition make it unknown.
//
// A rule with mode: report-only is evaluated and reported, and does not
// count. An allow may have expires, and does not match from that second on.
// What expires is always an opening, so a deny and a require cannot have it.
// They may have exceptions, which must have it:
//
//   - name: outside only with a second factor
//     match: {not: {networks: [offices]}}
//     require: {mfa: {shapes: [code, grant], remember: 8h}, limit: {lifetime: 30m}}
//     except:
//   - {match: {users: [svc-payroll@contoso.example]}, owner: hr, reason: batch job, expires: 2027-02-01}
//
// A deny or a require does not apply where one of its exceptions is true. One
// that is unknown excepts nothing. Of the requires that apply the shortest
// remember and the shortest lifetime hold, each rate is held, and each second
// factor must be met, for which one proof may serve.
//
// An application says how it is answered; an allow may say otherwise with
// allow: {answer: issue}. When the allows that match name an answer, it is
// theirs that holds, and two different ones refuse the request ([Conflict]).
// A request for an application that no file names is refused before the
// rules. The realm "*" stands for every realm that no other application has;
// it is forwarded, never issued for.
//
// A rule that no request can meet, one that says what another one says, an
// exception outside of its rule, and an allow or an exception that rests on
// nothing but the client's own claims are mistakes. A rule in the shadow of
// another one is only warned of: a deny of a whole application, which is what
// stops it in an emergency, must not be refused for the rules that it stops.
//
// A mistake anywhere refuses the whole set, and all mistakes of all files are
// reported at once, as file:line:column: message.
//
// # Tests
//
// Files *_test.yaml beside the policy files say what is decided on the facts
// of a request:
//
//	defaults:
//	  client: {address: 198.51.100.7, country: DE}
//	  request: {applies_to: "urn:payroll", version: "1.3"}
//	tests:
//	  - name: staff may use payroll from the offices
//	    facts: {user: {groups: [staff]}}
//	    expect: {effect: allow, rules: [staff may use payroll from the offices], mfa: none}
//	  - name: nobody may when the directory is down
//	    facts: {}
//	    unknown: [user]
//	    expect: {effect: deny}
//
// A fact that is left out is empty; an address, which no request lacks, is ::.
// Defaults stand for the facts that a test leaves out, group by group; an
// empty group, such as user: {}, is left empty. Facts under unknown could not
// be read: a first part such as user stands for all of its facts that the test
// itself gives no value. Country and asn have one value for all addresses of
// the client, or a list with one for each of forwarded. A user also has sam,
// the second part of the name that domain begins.
//
// A test that passes is tried once more with every fact that it leaves out
// unknown: those on whose being empty its outcome rests are named. A file of
// facts, and what an audit record has under labels.facts, is of the form of
// facts, in YAML or JSON, with unknown in it or beside it.
package policy
