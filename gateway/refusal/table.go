package refusal

import "log/slog"

// The texts of AD FS are kept where it has one, since help desks and clients
// know them (protocol.md, sections 5.4 and A4). Everything that rests on who
// the user is shares one text.
const (
	textCredential  = "ID3242: The security token could not be authenticated or authorized."
	textDenied      = "MSIS7068: Access denied."
	textScope       = "ID3082: The request scope is not valid or is unsupported."
	textFailed      = "MSIS3127: The specified request failed."
	textMalformed   = "The request is not well-formed or not valid."
	textUnsupported = "The request asks for something that is not supported here."
	textVersion     = "The SOAP or WS-Trust version is not supported here."
	textToken       = "The kind of credential is not supported here."
	textApprove     = "A second factor is needed: open {portal}, approve this sign-in there, and try again here."
	textNumber      = "A second factor is needed: open {portal}, type {number} there, and try again here. Never type a number that somebody else gives you."
	textStopped     = "MSIS7068: Access denied. Another sign-in of this user waits for its answer, or several had none: try again in some minutes."
	textReplayed    = "The message was answered before: send a new one."
	textExpired     = "The message has expired or is not yet valid: check the clock."
)

// table has one row a reason. It is read, never written.
var table = [numReasons]Row{
	Internal: {Label: "internal", Status: 500, Code: "RequestFailed", Text: textFailed, Level: slog.LevelError, Close: true,
		Meaning: "A fault of the gateway itself; the log line under the transaction id has the cause."},

	WrongHost: {Label: "wrong-host", Status: 421, Sender: true, Text: "this host is not served here", Level: slog.LevelInfo, Close: true,
		Meaning: "Host is not the configured host, or differs from the TLS server name that the client asked for."},
	WrongPath: {Label: "wrong-path", Status: 404, Sender: true, Text: "not found", Level: slog.LevelInfo,
		Meaning: "The path is not one of the published endpoints, spelled exactly, without a query."},
	WrongMethod: {Label: "wrong-method", Status: 405, Sender: true, Text: "method not allowed", Level: slog.LevelInfo,
		Meaning: "Trust endpoints take POST; metadata takes GET."},
	WrongMediaType: {Label: "wrong-media-type", Status: 415, Sender: true, Text: "unsupported media type", Level: slog.LevelInfo, Close: true,
		Meaning: "Content-Type is not exactly one of text/xml and application/soap+xml in UTF-8, or the body is encoded."},
	TooLarge: {Label: "too-large", Status: 413, Sender: true, Text: "request body too large", Level: slog.LevelInfo, Close: true,
		Meaning: "The body is larger than limits.body."},
	BodyUnread: {Label: "body-unread", Status: 400, Sender: true, Text: "the request body ended early or came too slowly", Level: slog.LevelInfo, Close: true,
		Meaning: "The client closed, stalled or broke its framing before the body was complete."},
	ClientGone: {Label: "client-gone", Status: 400, Sender: true, Text: "the client went away", Level: slog.LevelInfo, Close: true,
		Meaning: "The client closed its connection before there was an answer; what the farm said, if it was asked, is not known."},
	Draining: {Label: "draining", Status: 503, Text: "shutting down", Level: slog.LevelInfo, Close: true,
		Meaning: "The gateway is stopping and takes no new exchange."},

	Malformed: {Label: "malformed", Status: 500, Sender: true, Code: "InvalidRequest", Text: textMalformed, Level: slog.LevelInfo, Close: true,
		Meaning: "The body is not one strict SOAP message with one RequestSecurityToken; the log line names rule and byte."},
	WrongVersion: {Label: "wrong-version", Status: 500, Sender: true, Code: "BadRequest", Text: textVersion, Level: slog.LevelInfo,
		Meaning: "The envelope or the RequestSecurityToken is of a version that the endpoint does not serve."},
	Unsupported: {Label: "unsupported", Status: 500, Sender: true, Code: "BadRequest", Text: textUnsupported, Level: slog.LevelInfo,
		Meaning: "The request asks for another verb, key type or token type than this answer can give."},
	UnsupportedCredential: {Label: "unsupported-credential", Status: 500, Sender: true, Code: "UnsupportedSecurityToken", Security: true, Text: textToken, Level: slog.LevelInfo,
		Meaning: "The Security header holds no user name with a plain password: a digest, a certificate, or nothing."},
	SecondCredential: {Label: "second-credential", Status: 500, Sender: true, Code: "InvalidSecurity", Security: true, Text: textToken, Level: slog.LevelWarn,
		Meaning: "The Security header holds another credential or a signature beside the user name."},
	Expired: {Label: "expired", Status: 500, Sender: true, Code: "MessageExpired", Security: true, Text: textExpired, Level: slog.LevelInfo,
		Meaning: "The message's Timestamp is too old or in the future; the log line has both clocks."},
	Misaddressed: {Label: "misaddressed", Status: 500, Sender: true, Code: "InvalidRequest", Text: textMalformed, Level: slog.LevelInfo,
		Meaning: "wsa:To names another host, port or path than the request came to, or is missing where the farm needs it."},

	UnknownApplication: {Label: "unknown-application", Status: 500, Sender: true, Code: "InvalidScope", Text: textScope, Level: slog.LevelInfo,
		Meaning: "No application of the policy has this AppliesTo among its realms."},
	Denied: {Label: "denied", Status: 500, Sender: true, Code: "FailedAuthentication", Text: textDenied, Level: slog.LevelInfo,
		Meaning: "Policy refuses the request whoever the user is; the audit line names the rule."},
	DeniedUser: {Label: "denied-user", Status: 500, Sender: true, Code: "FailedAuthentication", Text: textCredential, Level: slog.LevelInfo,
		Meaning: "Policy refuses this user; to the client it looks like a wrong password."},
	Conflict: {Label: "conflict", Status: 500, Sender: true, Code: "RequestFailed", Text: textFailed, Level: slog.LevelError,
		Meaning: "Two rules that apply name different answers; stsgate check reports the pair."},
	ConflictUser: {Label: "conflict-user", Status: 500, Sender: true, Code: "FailedAuthentication", Text: textCredential, Level: slog.LevelError,
		Meaning: "Two rules that apply to this user name different answers; to the client it looks like a wrong password."},

	Banned: {Label: "banned", Status: 500, Sender: true, Code: "FailedAuthentication", Text: textCredential, Level: slog.LevelWarn,
		Meaning: "An operator banned the source or the user, or most users from the source failed; no password was sent on, and to the client it looks like a wrong one."},
	Throttled: {Label: "throttled", Status: 500, Sender: true, Code: "FailedAuthentication", Text: textCredential, Level: slog.LevelWarn,
		Meaning: "More passwords of the user, or from the source, came in a minute than guard.user_tries or guard.source_tries; no other was sent on, and to the client it looks like a wrong one."},
	Locked: {Label: "locked", Status: 500, Sender: true, Code: "FailedAuthentication", Text: textCredential, Level: slog.LevelInfo,
		Meaning: "Too many passwords of the user were wrong; no other was sent on, and to the client it looks like a wrong one. The log line says until when."},
	StateDown: {Label: "state-down", Status: 500, Code: "RequestFailed", Text: textFailed, Level: slog.LevelError,
		Meaning: "What gateways remember together cannot be read or written, so that nobody can count failures; no password is sent on uncounted."},
	UnknownUser: {Label: "unknown-user", Status: 500, Sender: true, Code: "FailedAuthentication", Text: textCredential, Level: slog.LevelInfo,
		Meaning: "The directory has no account of the name, or the name has no acceptable form."},
	WrongPassword: {Label: "wrong-password", Status: 500, Sender: true, Code: "FailedAuthentication", Text: textCredential, Level: slog.LevelInfo,
		Meaning: "The directory or the farm did not accept the password, or refuses the account."},
	DirectoryDown: {Label: "directory-down", Status: 500, Code: "RequestFailed", Text: textFailed, Level: slog.LevelError,
		Meaning: "The directory did not answer, and the decision or the sign-in needs it."},
	FarmDown: {Label: "farm-down", Status: 500, Code: "RequestFailed", Text: textFailed, Level: slog.LevelError,
		Meaning: "No farm node could be reached, its signing keys are not known, or the connection broke before an answer came."},
	FarmSlow: {Label: "farm-slow", Status: 500, Code: "RequestFailed", Text: textFailed, Level: slog.LevelError,
		Meaning: "The farm node took the request and did not answer in time."},
	FarmDenied: {Label: "farm-denied", Status: 500, Proven: true, Sender: true, Code: "FailedAuthentication", Text: textDenied, Level: slog.LevelInfo,
		Meaning: "The farm accepted the password and its own rules refused the request (MSIS7068)."},
	FarmUnknownApplication: {Label: "farm-unknown-application", Status: 500, Proven: true, Sender: true, Code: "InvalidScope", Text: textScope, Level: slog.LevelWarn,
		Meaning: "The farm accepted the password and does not know the application: its policy file and AD FS differ."},
	FarmFailed: {Label: "farm-failed", Status: 500, Code: "RequestFailed", Text: textFailed, Level: slog.LevelWarn,
		Meaning: "The farm answered with another fault; its text is in the log line."},

	AnswerUnreadable: {Label: "answer-unreadable", Status: 500, Code: "RequestFailed", Text: textFailed, Level: slog.LevelError,
		Meaning: "The farm's answer is not one readable response of the version asked for."},
	AnswerUntrusted: {Label: "answer-untrusted", Status: 500, Proven: true, Code: "RequestFailed", Text: textFailed, Level: slog.LevelError,
		Meaning: "The farm's token is not signed by a key of the farm, or names an issuer that the application does not take; it was dropped."},
	AnswerMismatch: {Label: "answer-mismatch", Status: 500, Proven: true, Code: "RequestFailed", Text: textFailed, Level: slog.LevelError,
		Meaning: "The farm's answer is not for the account, application, time or kind of token that was decided on; it was dropped."},
	SecondFactor: {Label: "second-factor", Status: 500, Proven: true, Sender: true, Code: "FailedAuthentication", Text: textDenied, Level: slog.LevelInfo,
		Meaning: "The password is right and a rule requires a second factor, which was not proven and which this client has no way to be asked for; the log line names the rule."},
	SecondFactorApprove: {Label: "second-factor-approve", Status: 500, Proven: true, Sender: true, Code: "FailedAuthentication", Text: textApprove, Level: slog.LevelInfo,
		Meaning: "The password is right, and nobody approved in the time that the client waits, or this client cannot wait: the user approves in the portal, and the next try passes."},
	SecondFactorNumber: {Label: "second-factor-number", Status: 500, Proven: true, Sender: true, Code: "FailedAuthentication", Text: textNumber, Level: slog.LevelInfo,
		Meaning: "The password is right, and the fault tells a number: the user types it in the portal, and the next try passes."},
	SecondFactorDenied: {Label: "second-factor-denied", Status: 500, Proven: true, Sender: true, Code: "FailedAuthentication", Text: textDenied, Level: slog.LevelWarn,
		Meaning: "The password is right and its user denied the sign-in, or typed two wrong numbers: somebody else may have the password."},
	SecondFactorStopped: {Label: "second-factor-stopped", Status: 500, Proven: true, Sender: true, Code: "FailedAuthentication", Text: textStopped, Level: slog.LevelWarn,
		Meaning: "The password is right, and the user is not asked again for now: a sign-in waits elsewhere, three were asked for in 10 minutes, or five were not approved. A code or an approval made beforehand still passes."},
	SecondFactorDown: {Label: "second-factor-down", Status: 500, Proven: true, Code: "RequestFailed", Text: textFailed, Level: slog.LevelError,
		Meaning: "The password is right, and what checks the second factor did not answer."},
	WrongCode: {Label: "wrong-code", Status: 500, Sender: true, Code: "FailedAuthentication", Text: textCredential, Level: slog.LevelInfo,
		Meaning: "The password is right and the code behind it is not, or was used before, or its authenticator is closed; to the client it looks like a wrong password."},
	AddressBlocked: {Label: "address-blocked", Status: 500, Sender: true, Code: "FailedAuthentication", Text: textCredential, Level: slog.LevelWarn,
		Meaning: "The user said of a sign-in from this address that it was somebody else's; to the client it looks like a wrong password for an hour."},
	RateLimited: {Label: "rate-limited", Status: 500, Proven: true, Sender: true, Code: "FailedAuthentication", Text: textDenied, Level: slog.LevelInfo,
		Meaning: "The password is right, and as many requests of this user have passed as a rule allows; the log line names the rule."},
	Replayed: {Label: "replayed", Status: 500, Proven: true, Sender: true, Code: "InvalidRequest", Text: textReplayed, Level: slog.LevelWarn,
		Meaning: "The password is right, and a message with the same nonce was answered in the last 15 minutes, here or by another gateway: somebody sent a copy, or the client makes its nonces badly."},
	IssuerFailed: {Label: "issuer-failed", Status: 500, Proven: true, Code: "RequestFailed", Text: textFailed, Level: slog.LevelError,
		Meaning: "The token could not be built or signed; the log line has the cause."},
	AuditFailed: {Label: "audit-failed", Status: 500, Code: "RequestFailed", Text: textFailed, Level: slog.LevelError,
		Meaning: "The audit record could not be written, so no answer was given."},
}
