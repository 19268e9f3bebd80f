package family

// The values that most fingerprints share.
const (
	soap12UTF8 = "application/soap+xml; charset=utf-8"
	soap12Bare = "application/soap+xml"
	soap11UTF8 = "text/xml; charset=utf-8"
)

// fingerprints returns what is known. Where a shape was captured from the
// running client, source says so; the others were read from its source code
// or from messages that others published.
//
// A shape that is not known exactly is left out: its requests are Unknown.
func fingerprints() []fingerprint {
	return append(append(append(msal(), adal()...), libraries()...), tools()...)
}

func msal() []fingerprint {
	return []fingerprint{{
		name:         MSALNet,
		software:     "MSAL.NET, user name and password",
		source:       "the requests that its unit tests expect (WsTrustEndpointTests.cs)",
		trait:        "XML declaration; Envelope declares wsa, wsu, s in this order; ids MSATimeStamp and UnPwSecTok",
		contentTypes: []string{soap12UTF8},
		soapAction:   []string{"bare"},
		prologs:      []string{`<?xml version="1.0" encoding="utf-8"?>`},
		quotes:       "double",
		layouts:      []string{"none none"},
		outline: `s:Envelope{wsa=wsa,wsu=wsu,s=soap12} (
			s:Header (
				wsa:Action[s:mustUnderstand=1] wsa:MessageID=urn:uuid:<uuid> wsa:ReplyTo ( wsa:Address ) wsa:To[s:mustUnderstand=1]
				wsse:Security{wsse=wsse}[s:mustUnderstand=1] (
					wsu:Timestamp[wsu:Id=MSATimeStamp] ( wsu:Created=.3Z wsu:Expires=.3Z )
					?wsse:UsernameToken[wsu:Id=UnPwSecTok13-<uuid>] ( wsse:Username wsse:Password )
					?wsse:UsernameToken[wsu:Id=UnPwSecTok2005-<uuid>] ( wsse:Username wsse:Password ) ) )
			s:Body (
				wst:RequestSecurityToken{wst=trust} (
					wsp:AppliesTo{wsp=wsp} ( wsa:EndpointReference ( wsa:Address ) ) wst:KeyType wst:RequestType ) ) )`,
	}, {
		name:         MSALNet,
		software:     "MSAL.NET, Windows sign-in",
		source:       "the requests that its unit tests expect (WsTrustEndpointTests.cs)",
		trait:        "XML declaration; Envelope declares wsa, wsu, s in this order, though wsu is not used",
		contentTypes: []string{soap12UTF8},
		soapAction:   []string{"bare"},
		prologs:      []string{`<?xml version="1.0" encoding="utf-8"?>`},
		quotes:       "double",
		layouts:      []string{"none none"},
		outline: `s:Envelope{wsa=wsa,wsu=wsu,s=soap12} (
			s:Header (
				wsa:Action[s:mustUnderstand=1] wsa:MessageID=urn:uuid:<uuid> wsa:ReplyTo ( wsa:Address ) wsa:To[s:mustUnderstand=1] )
			s:Body (
				wst:RequestSecurityToken{wst=trust} (
					wsp:AppliesTo{wsp=wsp} ( wsa:EndpointReference ( wsa:Address ) ) wst:KeyType wst:RequestType ) ) )`,
	}, {
		name:         MSALGo,
		software:     "MSAL Go 1.10, which has no WS-Trust 2005",
		source:       "captured",
		trait:        "messageID with a small m, with the ids MSATimeStamp and UnPwSecTok13",
		contentTypes: []string{soap12UTF8},
		soapAction:   []string{"bare"},
		prologs:      []string{""},
		quotes:       "double",
		layouts:      []string{"none none"},
		outline: `s:Envelope{s=soap12,wsa=wsa,wsu=wsu} (
			s:Header (
				wsa:Action[s:mustUnderstand=1] wsa:messageID=urn:uuid:<uuid> wsa:ReplyTo ( wsa:Address ) wsa:To[s:mustUnderstand=1]
				wsse:Security{wsse=wsse}[s:mustUnderstand=1] (
					wsu:Timestamp[wsu:Id=MSATimeStamp] ( wsu:Created=.3Z wsu:Expires=.3Z )
					wsse:UsernameToken[wsu:Id=UnPwSecTok13-<uuid>] ( wsse:Username wsse:Password ) ) )
			s:Body (
				wst:RequestSecurityToken{wst=trust} (
					wsp:AppliesTo{wsp=wsp} ( wsa:EndpointReference ( wsa:Address ) ) wst:KeyType wst:RequestType ) ) )`,
	}, {
		name:         MSALPython,
		software:     "MSAL Python 1.21 and 1.31",
		source:       "captured",
		trait:        "single quotes, a line for each element, times in whole seconds, MessageID beside the id ADALUsernameToken",
		contentTypes: []string{soap12UTF8},
		soapAction:   []string{"bare"},
		prologs:      []string{""},
		quotes:       "single",
		layouts:      []string{"lf lf"},
		outline: `s:Envelope{s=soap12,wsa=wsa,wsu=wsu} (
			s:Header (
				wsa:Action[s:mustUnderstand=1] wsa:MessageID=urn:uuid:<uuid> wsa:ReplyTo ( wsa:Address ) wsa:To[s:mustUnderstand=1]
				wsse:Security{wsse=wsse}[s:mustUnderstand=1] (
					wsu:Timestamp[wsu:Id=_0] ( wsu:Created=Z wsu:Expires=Z )
					wsse:UsernameToken[wsu:Id=ADALUsernameToken] ( wsse:Username wsse:Password ) ) )
			s:Body (
				wst:RequestSecurityToken{wst=trust} (
					wsp:AppliesTo{wsp=wsp} ( wsa:EndpointReference ( wsa:Address ) ) wst:KeyType wst:RequestType ) ) )`,
	}, {
		name:         MSALJava,
		software:     "MSAL4J and ADAL4J, user name and password",
		source:       "WSTrustRequest.java of both, which build the same message",
		trait:        "single quotes without white space, a:messageID, times in whole seconds",
		contentTypes: []string{soap12UTF8},
		soapAction:   []string{"bare"},
		prologs:      []string{""},
		quotes:       "single",
		layouts:      []string{"none none"},
		outline: `s:Envelope{s=soap12,a=wsa,u=wsu} (
			s:Header (
				a:Action[s:mustUnderstand=1] a:messageID=urn:uuid:<uuid> a:ReplyTo ( a:Address ) a:To[s:mustUnderstand=1]
				o:Security{o=wsse}[s:mustUnderstand=1] (
					u:Timestamp[u:Id=_0] ( u:Created=Z u:Expires=Z )
					o:UsernameToken[u:Id=uuid-<uuid>] ( o:Username o:Password ) ) )
			s:Body (
				trust:RequestSecurityToken{trust=trust} (
					wsp:AppliesTo{wsp=wsp} ( a:EndpointReference ( a:Address ) ) trust:KeyType trust:RequestType ) ) )`,
	}, {
		name:         MSALJava,
		software:     "MSAL4J and ADAL4J, Windows sign-in",
		source:       "WSTrustRequest.java of both, which build the same message",
		trait:        "single quotes without white space, a:messageID",
		contentTypes: []string{soap12UTF8},
		soapAction:   []string{"bare"},
		prologs:      []string{""},
		quotes:       "single",
		layouts:      []string{"none none"},
		outline: `s:Envelope{s=soap12,a=wsa,u=wsu} (
			s:Header (
				a:Action[s:mustUnderstand=1] a:messageID=urn:uuid:<uuid> a:ReplyTo ( a:Address ) a:To[s:mustUnderstand=1] )
			s:Body (
				trust:RequestSecurityToken{trust=trust} (
					wsp:AppliesTo{wsp=wsp} ( a:EndpointReference ( a:Address ) ) trust:KeyType trust:RequestType ) ) )`,
	}}
}

func adal() []fingerprint {
	return []fingerprint{{
		name:         ADAL,
		software:     "ADAL for Node.js 0.2",
		source:       "captured",
		trait:        "single quotes, blanks and no line ends between elements, messageID beside ADALUsernameToken, milliseconds",
		contentTypes: []string{soap12UTF8},
		soapAction:   []string{"bare"},
		prologs:      []string{""},
		quotes:       "single",
		layouts:      []string{"space space"},
		outline:      adalOutline,
	}, {
		name:         ADAL,
		software:     "ADAL for Python",
		source:       "wstrust_request.py",
		trait:        "single quotes without white space, messageID beside ADALUsernameToken, milliseconds",
		contentTypes: []string{soap12UTF8},
		soapAction:   []string{"bare"},
		prologs:      []string{""},
		quotes:       "single",
		layouts:      []string{"none none"},
		outline:      adalOutline,
	}, {
		name:         ADAL,
		software:     "ADAL.NET 2 to 5, user name and password",
		source:       "WsTrustRequest.cs, and the decompiled library of version 2",
		trait:        "single quotes, a line for each element outside Security and none inside it",
		contentTypes: []string{soap12UTF8, soap12Bare},
		soapAction:   []string{"bare"},
		prologs:      []string{""},
		quotes:       "single",
		layouts:      []string{"lf none", "crlf none"},
		outline: `s:Envelope{s=soap12,a=wsa,u=wsu} (
			s:Header (
				a:Action[s:mustUnderstand=1] ?a:MessageID=urn:uuid:<uuid> ?a:messageID=urn:uuid:<uuid>
				a:ReplyTo ( a:Address ) a:To[s:mustUnderstand=1]
				o:Security{o=wsse}[s:mustUnderstand=1] (
					u:Timestamp[u:Id=_0] ( u:Created=.3Z u:Expires=.3Z )
					o:UsernameToken[u:Id=uuid-<uuid>] ( o:Username o:Password ) ) )
			s:Body (
				trust:RequestSecurityToken{trust=trust} (
					wsp:AppliesTo{wsp=wsp} ( a:EndpointReference ( a:Address ) ) trust:KeyType trust:RequestType ) ) )`,
	}, {
		name:         ADAL,
		software:     "ADAL.NET 3 to 5, Windows sign-in; that of version 2 is too like MSAL4J's",
		source:       "WsTrustRequest.cs",
		trait:        "single quotes, a line for each element, MessageID, u declared though it is not used",
		contentTypes: []string{soap12UTF8, soap12Bare},
		soapAction:   []string{"bare"},
		prologs:      []string{""},
		quotes:       "single",
		layouts:      []string{"lf lf", "crlf crlf"},
		outline: `s:Envelope{s=soap12,a=wsa,u=wsu} (
			s:Header (
				a:Action[s:mustUnderstand=1] a:MessageID=urn:uuid:<uuid> a:ReplyTo ( a:Address ) a:To[s:mustUnderstand=1] )
			s:Body (
				trust:RequestSecurityToken{trust=trust} (
					wsp:AppliesTo{wsp=wsp} ( a:EndpointReference ( a:Address ) ) trust:KeyType trust:RequestType ) ) )`,
	}}
}

// adalOutline is what ADAL for Node.js and for Python share.
const adalOutline = `s:Envelope{s=soap12,wsa=wsa,wsu=wsu} (
	s:Header (
		wsa:Action[s:mustUnderstand=1] wsa:messageID=urn:uuid:<uuid> wsa:ReplyTo ( wsa:Address ) wsa:To[s:mustUnderstand=1]
		wsse:Security{wsse=wsse}[s:mustUnderstand=1] (
			wsu:Timestamp[wsu:Id=_0] ( wsu:Created=.3Z wsu:Expires=.3Z )
			wsse:UsernameToken[wsu:Id=ADALUsernameToken] ( wsse:Username wsse:Password ) ) )
	s:Body (
		wst:RequestSecurityToken{wst=trust} (
			wsp:AppliesTo{wsp=wsp} ( wsa:EndpointReference ( wsa:Address ) ) wst:KeyType wst:RequestType ) ) )`

func libraries() []fingerprint {
	return []fingerprint{{
		name:         WCF,
		software:     "WSTrustChannel of .NET Framework and WIF, usernamemixed",
		source:       "traces that others published; none was captured",
		trait:        "no XML declaration, no white space, ids _0 and uuid-<uuid>-<n>, the type of the Password, milliseconds",
		contentTypes: []string{soap12UTF8},
		soapAction:   []string{"absent"},
		prologs:      []string{""},
		quotes:       "double",
		layouts:      []string{"none none"},
		outline: `s:Envelope{s=soap12,a=wsa,u=wsu} (
			s:Header (
				a:Action[s:mustUnderstand=1] a:MessageID=urn:uuid:<uuid> ?ActivityId{=?}[CorrelationId]
				a:ReplyTo ( a:Address ) ?VsDebuggerCausalityData{=?} a:To[s:mustUnderstand=1]
				o:Security{o=wsse}[s:mustUnderstand=1] (
					u:Timestamp[u:Id=_0] ( u:Created=.3Z u:Expires=.3Z )
					o:UsernameToken[u:Id=uuid-<uuid>-<n>] ( o:Username o:Password[Type=PasswordText] ) ) )
			s:Body (` + wcfBody,
	}, {
		name:         WCF,
		software:     "WSTrustChannel of .NET Framework and WIF, windowstransport",
		source:       "the same as for usernamemixed; none was captured",
		trait:        "no XML declaration, no white space; s and a are declared, u is not",
		contentTypes: []string{soap12UTF8},
		soapAction:   []string{"absent"},
		prologs:      []string{""},
		quotes:       "double",
		layouts:      []string{"none none"},
		outline: `s:Envelope{s=soap12,a=wsa} (
			s:Header (
				a:Action[s:mustUnderstand=1] a:MessageID=urn:uuid:<uuid> ?ActivityId{=?}[CorrelationId]
				a:ReplyTo ( a:Address ) ?VsDebuggerCausalityData{=?} a:To[s:mustUnderstand=1] )
			s:Body (` + wcfBody,
	}, {
		name:         WCF,
		software:     "WCF of Mono 6.8, windowstransport",
		source:       "captured; it implements no usernamemixed",
		trait:        "XML declaration; Envelope declares a before s",
		contentTypes: []string{soap12UTF8},
		soapAction:   []string{"absent"},
		prologs:      []string{`<?xml version="1.0" encoding="utf-8"?>`},
		quotes:       "double",
		layouts:      []string{"none none"},
		outline: `s:Envelope{a=wsa,s=soap12} (
			s:Header (
				a:Action[s:mustUnderstand=1] a:MessageID=urn:uuid:<uuid> a:ReplyTo ( a:Address ) a:To[s:mustUnderstand=1] )
			s:Body (` + wcfBody,
	}, {
		name:         CXF,
		software:     "STSClient of Apache CXF 3, SOAP 1.1, a transport binding",
		source:       "AbstractSTSClient.java, and messages in the tests and the manual of DDF",
		trait:        "addressing headers in the default namespace, each declaring it, before wsse:Security with the id TS-",
		contentTypes: []string{"text/xml; charset=UTF-8", soap11UTF8},
		soapAction:   []string{"quoted"},
		prologs:      []string{""},
		quotes:       "double",
		layouts:      []string{"none none"},
		outline:      `soap:Envelope{soap=soap11} (` + cxfOutline,
	}, {
		name:         CXF,
		software:     "STSClient of Apache CXF 3, SOAP 1.2, a transport binding",
		source:       "AbstractSTSClient.java, and messages in the tests and the manual of DDF",
		trait:        "addressing headers in the default namespace, each declaring it, before wsse:Security with the id TS-",
		contentTypes: []string{`application/soap+xml; action="*"; charset=UTF-8`},
		soapAction:   []string{"absent"},
		prologs:      []string{""},
		quotes:       "double",
		layouts:      []string{"none none"},
		outline:      `soap:Envelope{soap=soap12} (` + cxfOutline,
	}, {
		name:         WSS4J,
		software:     "WSS4J in SAAJ, such as Spring-WS, a UsernameToken first",
		source:       "requests that others published; none was captured",
		trait:        "the prefix soapenv, and ids of a name and 32 hexadecimal digits with a number behind",
		contentTypes: []string{soap11UTF8},
		soapAction:   []string{"quoted"},
		prologs:      []string{""},
		quotes:       "double",
		layouts:      []string{"none none"},
		outline:      wss4jOutline,
	}, {
		name:         WSS4J,
		software:     "WSS4J in SoapUI, a UsernameToken first",
		source:       "requests that others published; none was captured",
		trait:        "the prefix soapenv, ids of a name and 32 hexadecimal digits, a header on one line in an envelope of lines",
		contentTypes: []string{"text/xml;charset=UTF-8"},
		soapAction:   []string{"quoted"},
		prologs:      []string{""},
		quotes:       "double",
		layouts:      []string{"lf none"},
		outline:      wss4jOutline,
	}, {
		name:         GSOAP,
		software:     "gSOAP 2.8, plugin wst, SOAP 1.1",
		source:       "captured",
		trait:        "Security before To and Action; addressing as wsa5; every namespace declared on Envelope",
		contentTypes: []string{soap11UTF8},
		soapAction:   []string{"quoted"},
		prologs:      []string{`<?xml version="1.0" encoding="UTF-8"?>`},
		quotes:       "double",
		layouts:      []string{"none none"},
		outline: `SOAP-ENV:Envelope{SOAP-ENV=soap11,` + gsoapNamespaces + `} (
			SOAP-ENV:Header (
				wsse:Security[SOAP-ENV:mustUnderstand=1] (` + gsoapToken + `)
				wsa5:To[SOAP-ENV:mustUnderstand=1] wsa5:Action[SOAP-ENV:mustUnderstand=1] )
			SOAP-ENV:Body (` + gsoapBody,
	}, {
		name:         GSOAP,
		software:     "gSOAP 2.8, plugin wst, SOAP 1.2",
		source:       "captured",
		trait:        "Security before To and Action; mustUnderstand true; the action in both headers",
		contentTypes: []string{`application/soap+xml; charset=utf-8; action="*"`},
		soapAction:   []string{"quoted"},
		prologs:      []string{`<?xml version="1.0" encoding="UTF-8"?>`},
		quotes:       "double",
		layouts:      []string{"none none"},
		outline: `SOAP-ENV:Envelope{SOAP-ENV=soap12,` + gsoapNamespaces + `} (
			SOAP-ENV:Header (
				wsse:Security[SOAP-ENV:mustUnderstand=true] (` + gsoapToken + `)
				wsa5:To[SOAP-ENV:mustUnderstand=true] wsa5:Action[SOAP-ENV:mustUnderstand=true] )
			SOAP-ENV:Body (` + gsoapBody,
	}, {
		name:         Zeep,
		software:     "Zeep 4.2, a UsernameToken",
		source:       "captured; what is in the RST is the application's",
		trait:        "the prefix soap-env; wsa declared on Header; ns0 declared anew by each element of another namespace",
		contentTypes: []string{soap11UTF8},
		soapAction:   []string{"quoted"},
		prologs:      []string{`<?xml version='1.0' encoding='utf-8'?>`},
		quotes:       "double",
		layouts:      []string{"none none"},
		outline: `soap-env:Envelope{soap-env=soap11} (
			soap-env:Header{wsa=wsa} (
				wsa:Action wsa:MessageID=urn:uuid:<uuid> wsa:To
				?wsa:Action ?wsa:MessageID=urn:uuid:<uuid> ?wsa:To
				wsse:Security{wsse=wsse} (
					wsse:UsernameToken (
						wsse:Username ?wsse:Password[Type=PasswordText] ?wsse:Password[Type=PasswordDigest]
						?wsse:Nonce[EncodingType] ?wsu:Created{wsu=wsu}=+00:00 )
					?wsu:Timestamp{wsu=wsu} ( wsu:Created=+00:00 wsu:Expires=+00:00 ) ) )
			soap-env:Body ( ns0:RequestSecurityToken{ns0=trust} ( ...`,
	}, {
		name:         Zeep,
		software:     "Zeep 4.2, a UsernameToken, by a WSDL with SOAP 1.2",
		source:       "captured; what is in the RST is the application's",
		trait:        "the prefix soap-env; wsa declared on Header; the action in both headers",
		contentTypes: []string{`application/soap+xml; charset=utf-8; action="*"`},
		soapAction:   []string{"quoted"},
		prologs:      []string{`<?xml version='1.0' encoding='utf-8'?>`},
		quotes:       "double",
		layouts:      []string{"none none"},
		outline: `soap-env:Envelope{soap-env=soap12} (
			soap-env:Header{wsa=wsa} (
				wsa:Action wsa:MessageID=urn:uuid:<uuid> wsa:To
				wsse:Security{wsse=wsse} (
					wsse:UsernameToken ( wsse:Username wsse:Password[Type=PasswordText] ) ) )
			soap-env:Body ( ns0:RequestSecurityToken{ns0=trust} ( ...`,
	}, {
		name:         Zeep,
		software:     "Zeep 4.2, signed",
		source:       "captured; what is in the RST is the application's",
		trait:        "the prefix soap-env; wsa declared on Header; Signature before what it is made with; Body declares ns1 for its id",
		contentTypes: []string{soap11UTF8},
		soapAction:   []string{"quoted"},
		prologs:      []string{`<?xml version='1.0' encoding='utf-8'?>`},
		quotes:       "double",
		layouts:      []string{"none none"},
		outline: `soap-env:Envelope{soap-env=soap11} (
			soap-env:Header{wsa=wsa} (
				wsa:Action wsa:MessageID=urn:uuid:<uuid> wsa:To
				wsse:Security{wsse=wsse} (
					Signature{=dsig}
					?wsse:BinarySecurityToken{ns1=wsu}[ValueType,EncodingType,ns1:Id=id-<uuid>]
					?wsse:UsernameToken ( wsse:Username wsse:Password[Type=PasswordText] ) ) )
			soap-env:Body{ns1=wsu}[ns1:Id=id-<uuid>] ( ns0:RequestSecurityToken{ns0=trust} ( ...`,
	}}
}

const (
	// wcfBody is an RST as WIF writes it, whose children stand in the order of
	// the alphabet. Its EndpointReference has the prefix of the header in
	// .NET Framework 4.5, and its own before it.
	wcfBody = `
		?trust:RequestSecurityToken{trust=trust} (
			wsp:AppliesTo{wsp=wsp} (
				?a:EndpointReference ( a:Address ) ?wsa:EndpointReference{wsa=wsa} ( wsa:Address ) )
			?trust:Claims{i=identity}[Dialect] ?trust:KeySize trust:KeyType trust:RequestType ?trust:TokenType )
		?t:RequestSecurityToken{t=trust} (
			wsp:AppliesTo{wsp=wsp} (
				?a:EndpointReference ( a:Address ) ?wsa:EndpointReference{wsa=wsa} ( wsa:Address ) )
			?t:Claims{i=identity}[Dialect] ?t:KeySize t:KeyType t:RequestType ?t:TokenType ) ) )`

	// cxfOutline is an envelope of CXF behind its root; the children of the
	// RST stand in the order of STSClient.issue.
	cxfOutline = `
		soap:Header (
			Action{=wsa} MessageID{=wsa}=urn:uuid:<uuid> To{=wsa} ReplyTo{=wsa} ( Address )
			wsse:Security{wsse=wsse,wsu=wsu}[soap:mustUnderstand=1] (
				?wsu:Timestamp[wsu:Id=TS-<n>] ( wsu:Created=.3Z wsu:Expires=.3Z )
				?wsu:Timestamp[wsu:Id=TS-<uuid>] ( wsu:Created=.3Z wsu:Expires=.3Z )
				?wsu:Timestamp[wsu:Id=TS-<hex>] ( wsu:Created=.3Z wsu:Expires=.3Z )
				?wsse:UsernameToken[wsu:Id=UsernameToken-<uuid>] ( wsse:Username wsse:Password[Type=PasswordText] ) ) )
		soap:Body (
			wst:RequestSecurityToken{wst=trust} (
				?wst:SecondaryParameters wst:RequestType
				?wsp:AppliesTo{wsp=wsp} ( wsa:EndpointReference{wsa=wsa} ( wsa:Address ) )
				?wst:Claims ?wst:OnBehalfOf ?wst:TokenType ?wst:Lifetime ?wst:KeyType ?wst:KeySize
				?wst:Entropy ?wst:ComputedKeyAlgorithm ?wst:UseKey ?wst:Renewing ) ) )`

	// wss4jOutline ends with the token: the rest is the application's.
	wss4jOutline = `soapenv:Envelope{*} (
		soapenv:Header (
			wsse:Security{wsse=wsse,wsu=wsu}[soapenv:mustUnderstand=1] (
				wsse:UsernameToken[wsu:Id=UsernameToken-<hex>] ( wsse:Username wsse:Password[Type=PasswordText] ...`

	gsoapNamespaces = `SOAP-ENC=?,xsi=?,xsd=?,c14n=?,ds=dsig,saml1=saml11,saml2=saml20,xenc=?,` +
		`wsc=?,wsse=wsse,chan=?,wsa5=wsa,wsp=wsp,wsu=wsu,wst=trust`
	gsoapToken = `
		wsse:UsernameToken[wsu:Id=User] (
			wsse:Username wsse:Password[Type=PasswordDigest] wsse:Nonce[EncodingType] wsu:Created=Z ) `
	gsoapBody = `
		wst:RequestSecurityToken (
			wsp:AppliesTo ( wsa5:EndpointReference ( wsa5:Address ) ) wst:KeyType wst:RequestType
			?wst:TokenType ?wst:Entropy ?wst:ComputedKeyAlgorithm ?wst:KeySize ) ) )`
)

func tools() []fingerprint {
	return []fingerprint{{
		name:         PowerShell,
		software:     "Test-AdfsServerToken, New-MsIdWsTrustRequest, with a password",
		source:       "Test-AdfsServerToken.ps1 of adfsToolbox, New-MsIdWsTrustRequest.ps1 of MSIdentityTools",
		trait:        "a request of WCF without MessageID and Timestamp, on one line",
		contentTypes: []string{soap12Bare, soap12UTF8},
		soapAction:   []string{"absent"},
		prologs:      []string{""},
		quotes:       "double",
		layouts:      []string{"none none"},
		outline: `s:Envelope{s=soap12,a=wsa,u=wsu} (
			s:Header (
				a:Action[s:mustUnderstand=1] a:ReplyTo ( a:Address ) a:To[s:mustUnderstand=1]
				o:Security{o=wsse}[s:mustUnderstand=1] (
					o:UsernameToken[u:Id=uuid-<uuid>-<n>] ( o:Username o:Password[Type=PasswordText] ) ) )
			s:Body (
				t:RequestSecurityToken{t=trust} (
					wsp:AppliesTo{wsp=wsp} ( a:EndpointReference ( a:Address ) )
					t:KeySize t:KeyType t:RequestType t:TokenType ) ) )`,
	}, {
		name:         PowerShell,
		software:     "Test-AdfsServerToken, New-MsIdWsTrustRequest, as the Windows user",
		source:       "Test-AdfsServerToken.ps1 of adfsToolbox, New-MsIdWsTrustRequest.ps1 of MSIdentityTools",
		trait:        "a request of WCF without MessageID, on one line; u declared though it is not used",
		contentTypes: []string{soap12Bare, soap12UTF8},
		soapAction:   []string{"absent"},
		prologs:      []string{""},
		quotes:       "double",
		layouts:      []string{"none none"},
		outline: `s:Envelope{s=soap12,a=wsa,u=wsu} (
			s:Header ( a:Action[s:mustUnderstand=1] a:ReplyTo ( a:Address ) a:To[s:mustUnderstand=1] )
			s:Body (
				t:RequestSecurityToken{t=trust} (
					wsp:AppliesTo{wsp=wsp} ( a:EndpointReference ( a:Address ) )
					t:KeySize t:KeyType t:RequestType t:TokenType ) ) )`,
	}, {
		name:         AttackTool,
		software:     "AADInternals (AccessToken_utils.ps1), o365spray (autologon), TeamFiltration and others that share their message",
		source:       "the templates in their source code, which are sent with no Content-Type of their own",
		trait:        "ten namespaces on Envelope, ic last; Envelope in single quotes and Security in double; MessageID behind To; RST0",
		contentTypes: []string{soap12UTF8, soap12Bare, "application/x-www-form-urlencoded", ""},
		soapAction:   []string{"absent", "bare"},
		prologs:      []string{"", `<?xml version='1.0' encoding='UTF-8'?>`},
		quotes:       "mixed",
		layouts:      []string{"lf lf", "crlf crlf"},
		outline: `s:Envelope{s=soap12,wsse=wsse,saml=saml11,wsp=wsp,wsu=wsu,wsa=wsa,wssc=wssc,wst=trust,ic=identity} (
			s:Header (
				wsa:Action[s:mustUnderstand=1] wsa:To[s:mustUnderstand=1] wsa:MessageID=urn:uuid:<uuid>
				wsse:Security[s:mustUnderstand=1] (
					wsu:Timestamp[wsu:Id=_0] (
						?wsu:Created=.3Z ?wsu:Created=.6Z ?wsu:Created=.7Z ?wsu:Created=.9Z
						?wsu:Expires=.3Z ?wsu:Expires=.6Z ?wsu:Expires=.7Z ?wsu:Expires=.9Z )
					wsse:UsernameToken[wsu:Id=uuid-<uuid>] ( wsse:Username wsse:Password ) ) )
			s:Body (` + rst0,
	}, {
		name:         AttackTool,
		software:     "AADInternals (Kerberos_utils.ps1), ROADtools (desktop SSO) and others that share their message",
		source:       "the templates in their source code",
		trait:        "nine namespaces on Envelope, wst last; single quotes; no Security; RST0",
		contentTypes: []string{soap12UTF8, soap12Bare, "application/x-www-form-urlencoded", ""},
		soapAction:   []string{"absent", "bare"},
		prologs:      []string{"", `<?xml version='1.0' encoding='UTF-8'?>`},
		quotes:       "single",
		layouts:      []string{"lf lf", "crlf crlf"},
		outline: `s:Envelope{s=soap12,wsse=wsse,saml=saml11,wsp=wsp,wsu=wsu,wsa=wsa,wssc=wssc,wst=trust} (
			s:Header ( wsa:Action[s:mustUnderstand=1] wsa:To[s:mustUnderstand=1] wsa:MessageID=urn:uuid:<uuid> )
			s:Body (` + rst0,
	}, {
		name:         AttackTool,
		software:     "aad-sso-enum-brute-spray, CredMaster (azuresso)",
		source:       "the templates in their source code",
		trait:        "the Timestamp is always that of 2 January 2019",
		contentTypes: []string{soap12UTF8},
		soapAction:   []string{"absent"},
		prologs:      []string{`<?xml version="1.0" encoding="UTF-8"?>`},
		quotes:       "double",
		layouts:      []string{"lf lf", "crlf crlf"},
		outline: `s:Envelope{s=soap12,a=wsa,u=wsu} (
			s:Header (
				a:Action[s:mustUnderstand=1] a:MessageID=urn:uuid:<uuid> a:ReplyTo ( a:Address ) a:To[s:mustUnderstand=1]
				o:Security{o=wsse}[s:mustUnderstand=1] (
					u:Timestamp[u:Id=_0] ( u:Created=2019-01-02T14:30:02.068Z u:Expires=.3Z )
					o:UsernameToken[u:Id=uuid-<uuid>] ( o:Username o:Password ) ) )
			s:Body (` + plainRST,
	}, {
		name:         AttackTool,
		software:     "ROADtools (desktop SSO with a password)",
		source:       "the template in its source code",
		trait:        "the Timestamp is always that of 23 November 2020",
		contentTypes: []string{soap12UTF8},
		soapAction:   []string{"bare"},
		prologs:      []string{"", `<?xml version='1.0' encoding='UTF-8'?>`},
		quotes:       "single",
		layouts:      []string{"lf lf", "crlf crlf"},
		outline: `s:Envelope{s=soap12,a=wsa,u=wsu} (
			s:Header (
				a:Action[s:mustUnderstand=1] a:MessageID=urn:uuid:<uuid> a:ReplyTo ( a:Address ) a:To[s:mustUnderstand=1]
				o:Security{o=wsse}[s:mustUnderstand=1] (
					u:Timestamp[u:Id=_0] ( u:Created=2020-11-23T14:50:44.068Z u:Expires=.3Z )
					o:UsernameToken[u:Id=uuid-<uuid>] ( o:Username o:Password ) ) )
			s:Body (` + plainRST,
	}, {
		name:         AttackTool,
		software:     "AADInternals, Get-OAuthInfo, which talks to AD FS itself",
		source:       "AccessToken_utils.ps1",
		trait:        "single quotes, a line for each element inside Security too, times in whole seconds, the prefixes of ADAL.NET",
		contentTypes: []string{soap12Bare, soap12UTF8},
		soapAction:   []string{"bare"},
		prologs:      []string{""},
		quotes:       "single",
		layouts:      []string{"lf lf", "crlf crlf"},
		outline: `s:Envelope{s=soap12,a=wsa,u=wsu} (
			s:Header (
				a:Action[s:mustUnderstand=1] a:MessageID=urn:uuid:<uuid> a:ReplyTo ( a:Address ) a:To[s:mustUnderstand=1]
				o:Security{o=wsse}[s:mustUnderstand=1] (
					u:Timestamp[u:Id=_0] ( u:Created=Z u:Expires=Z )
					o:UsernameToken[u:Id=uuid-<uuid>] ( o:Username o:Password ) ) )
			s:Body (` + plainRST,
	}}
}

const (
	rst0 = `
		wst:RequestSecurityToken[Id=RST0] (
			wst:RequestType wsp:AppliesTo ( wsa:EndpointReference ( wsa:Address ) ) wst:KeyType ) ) )`
	plainRST = `
		trust:RequestSecurityToken{trust=trust} (
			wsp:AppliesTo{wsp=wsp} ( a:EndpointReference ( a:Address ) ) trust:KeyType trust:RequestType ) ) )`
)
