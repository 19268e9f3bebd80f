"""Reads what the gateway publishes about itself, with libxml2.

Reads {base, ca, metadata} from standard input, writes the federation metadata
as served into the file metadata, and to standard output what both documents
say: {get, post11, post12: {port: [addresses]}, entity, certificates,
endpoints, exchanges}.
"""
import json
import ssl
import sys
import urllib.request

from lxml import etree

NS = {
    "wsdl": "http://schemas.xmlsoap.org/wsdl/",
    "soap12": "http://schemas.xmlsoap.org/wsdl/soap12/",
    "mex": "http://schemas.xmlsoap.org/ws/2004/09/mex",
    "wsa": "http://www.w3.org/2005/08/addressing",
    "md": "urn:oasis:names:tc:SAML:2.0:metadata",
    "fed": "http://docs.oasis-open.org/wsfed/federation/200706",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
}
MEX = "/adfs/services/trust/mex"
METADATA = "/FederationMetadata/2007-06/FederationMetadata.xml"
GET = """<e:Envelope xmlns:e="%s" xmlns:a="http://www.w3.org/2005/08/addressing"><e:Header>
<a:Action e:mustUnderstand="1">http://schemas.xmlsoap.org/ws/2004/09/transfer/Get</a:Action>
<a:MessageID>urn:uuid:c9d8d5ac-4fd2-4f0e-93d8-1c9a3b3e6a05</a:MessageID></e:Header><e:Body/></e:Envelope>"""
SOAP = {
    "post11": ("http://schemas.xmlsoap.org/soap/envelope/", "text/xml; charset=utf-8"),
    "post12": ("http://www.w3.org/2003/05/soap-envelope", "application/soap+xml; charset=utf-8"),
}

asked = json.load(sys.stdin)
opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({}),
    urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=asked["ca"])),
)


def fetch(path, body=None, headers={}):
    request = urllib.request.Request(asked["base"] + path, body, headers)
    with opener.open(request, timeout=20) as answer:
        return answer.read()


def ports(document):
    """The addresses of each port, by every way in which clients look for them."""
    (definitions,) = document.xpath("descendant-or-self::wsdl:definitions", namespaces=NS)
    found = {}
    for port in definitions.findall("wsdl:service/wsdl:port", NS):
        found[port.get("name")] = [port.find("soap12:address", NS).get("location")] + [
            a.text for a in port.findall("wsa:EndpointReference/wsa:Address", NS)
        ]
    return found


said = {"get": ports(etree.fromstring(fetch(MEX)))}
for name, (namespace, content_type) in SOAP.items():
    answer = etree.fromstring(fetch(MEX, (GET % namespace).encode(), {"Content-Type": content_type}))
    (section,) = answer.findall("{%s}Body/mex:Metadata/mex:MetadataSection" % namespace, NS)
    said[name] = ports(section)

raw = fetch(METADATA)
with open(asked["metadata"], "wb") as f:
    f.write(raw)
entity = etree.fromstring(raw)
role = entity.find("md:RoleDescriptor", NS)
said["entity"] = entity.get("entityID")
said["certificates"] = [c.text for c in role.findall("md:KeyDescriptor//ds:X509Certificate", NS)]
said["endpoints"] = [a.text for a in role.findall("fed:SecurityTokenServiceEndpoint/wsa:EndpointReference/wsa:Address", NS)]
said["exchanges"] = [a.text for a in role.findall(".//mex:MetadataReference/wsa:Address", NS)]
print(json.dumps(said))
