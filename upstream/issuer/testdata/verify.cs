// verify prints what .NET makes of a SAML assertion: whether its signature is
// by the certificate, then its attribute values, one base64 text a line.
// Usage: verify certificate assertion
using System;
using System.Security.Cryptography.X509Certificates;
using System.Security.Cryptography.Xml;
using System.Text;
using System.Xml;

class Assertion : SignedXml {
	readonly XmlElement root;

	Assertion(XmlElement root) : base(root) { this.root = root; }

	public override XmlElement GetIdElement(XmlDocument document, string id) {
		return root.GetAttribute("ID") == id || root.GetAttribute("AssertionID") == id ? root : null;
	}

	static void Main(string[] args) {
		var document = new XmlDocument { PreserveWhitespace = true };
		document.Load(args[1]);
		var signed = new Assertion(document.DocumentElement);
		signed.LoadXml((XmlElement)document.GetElementsByTagName("Signature", SignedXml.XmlDsigNamespaceUrl)[0]);
		Console.WriteLine(signed.CheckSignature(new X509Certificate2(args[0]), true));
		foreach (XmlElement e in document.GetElementsByTagName("*"))
			if (e.LocalName == "AttributeValue")
				Console.WriteLine(Convert.ToBase64String(Encoding.UTF8.GetBytes(e.InnerText)));
	}
}
