"""zeep asks for a token as the gateway's WSDL tells it to.

Reads {mex, ca, version, user, password, realm} from standard input and writes
{assertion} or, of a SOAP fault, {shown}. Whatever else zeep raises is a crash.
"""
import json
import sys

import requests
import zeep
from lxml import etree
from zeep.transports import Transport
from zeep.wsse.username import UsernameToken

VERSIONS = {
    "1.2": (
        "UserNameWSTrustBinding_IWSTrustFeb2005Async",
        "TrustFeb2005IssueAsync",
        "http://schemas.xmlsoap.org/ws/2005/02/trust",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey",
    ),
    "1.3": (
        "UserNameWSTrustBinding_IWSTrust13Async",
        "Trust13IssueAsync",
        "http://docs.oasis-open.org/ws-sx/ws-trust/200512",
        "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Bearer",
    ),
}
POLICY = "http://schemas.xmlsoap.org/ws/2004/09/policy"
ADDRESSING = "http://www.w3.org/2005/08/addressing"

asked = json.load(sys.stdin)
port, operation, trust, key_type = VERSIONS[asked["version"]]
session = requests.Session()
session.trust_env = False
session.verify = asked["ca"]
client = zeep.Client(
    asked["mex"],
    transport=Transport(session=session),
    wsse=UsernameToken(asked["user"], asked["password"]),
)


def element(namespace, name, text=None):
    e = etree.Element(etree.QName(namespace, name))
    e.text = text
    return e


applies_to = element(POLICY, "AppliesTo")
reference = element(ADDRESSING, "EndpointReference")
reference.append(element(ADDRESSING, "Address", asked["realm"]))
applies_to.append(reference)
rst = [
    applies_to,
    element(trust, "KeyType", key_type),
    element(trust, "RequestType", trust + "/Issue"),
]
try:
    answer = client.bind("SecurityTokenService", port)[operation](_value_1=rst)
except zeep.exceptions.Fault as e:
    names = [subcode.localname for subcode in e.subcodes]
    print(json.dumps({"shown": "%s %s: %s" % (e.code, names, e.message)}))
    sys.exit()
if asked["version"] == "1.3":
    (answer,) = answer["_value_1"]
(token,) = [e for e in answer["_value_1"] if etree.QName(e).localname == "RequestedSecurityToken"]
(assertion,) = token
print(json.dumps({"assertion": etree.tostring(assertion, encoding="unicode", with_tail=False)}))
