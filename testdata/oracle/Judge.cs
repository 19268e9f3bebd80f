// Judge tells how .NET reads documents: XmlReader as it is by default, and
// the XmlDictionaryReader of WCF with its default quotas, which is what AD FS
// reads messages with.
//
// Standard input is a stream of documents, each after its length in bytes as
// a 32-bit little-endian number. Standard output has two lines for each
// document: what XmlReader says, then what WCF's reader says. A line is a list
// of fields between tabs:
//
//   refused  EXCEPTION                 the document is not read
//   read     FIELD ...                 it is, and this is in it:
//     E DEPTH{NAMESPACE}NAME {NAMESPACE}ATTRIBUTE=VALUE ... =TEXT
//                                      each element in document order, its
//                                      attributes sorted; the text only where
//                                      there is nothing but text in it, and +
//                                      in its place where there is text beside
//                                      elements or comments
//     V NAME=VALUE                     each value that AD FS decides on, by the
//                                      call that AD FS makes for it
//     U NAME EXCEPTION                 that call threw; no value after it is read
//
// In names and values all but printable ASCII is written \uXXXX by UTF-16
// unit, and so are \ { } and =.
using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using System.Xml;

static class Judge
{
    static int Main()
    {
        var input = new BinaryReader(new BufferedStream(Console.OpenStandardInput(), 1 << 16));
        var output = new StreamWriter(new BufferedStream(Console.OpenStandardOutput(), 1 << 16), new ASCIIEncoding());
        output.NewLine = "\n";
        for (;;)
        {
            byte[] head = input.ReadBytes(4);
            if (head.Length < 4)
                return head.Length;
            var document = new byte[BitConverter.ToInt32(head, 0)];
            for (int n = 0; n < document.Length;)
            {
                int got = input.Read(document, n, document.Length - n);
                if (got == 0)
                    return 1;
                n += got;
            }
            output.WriteLine(Answer(() => XmlReader.Create(new MemoryStream(document), new XmlReaderSettings())));
            output.WriteLine(Answer(() => XmlDictionaryReader.CreateTextReader(
                new MemoryStream(document), null, new XmlDictionaryReaderQuotas(), null)));
            output.Flush();
        }
    }

    static string Answer(Func<XmlReader> open)
    {
        var answer = new StringBuilder("read");
        try
        {
            using (XmlReader r = open())
                Elements(r, answer);
        }
        catch (Exception e)
        {
            return "refused\t" + Reason(e);
        }
        using (XmlReader r = open())
            Values(r, answer);
        return answer.ToString();
    }

    // An Item is an element with what is directly in it.
    class Item
    {
        public string Head;
        public StringBuilder Text = new StringBuilder();
        public bool Mixed;
    }

    static void Elements(XmlReader r, StringBuilder answer)
    {
        var all = new List<Item>();
        var open = new Stack<Item>();
        while (r.Read())
        {
            switch (r.NodeType)
            {
                case XmlNodeType.Element:
                    if (open.Count > 0)
                        open.Peek().Mixed = true;
                    bool empty = r.IsEmptyElement;
                    var item = new Item { Head = Head(r) };
                    all.Add(item);
                    if (!empty)
                        open.Push(item);
                    break;
                case XmlNodeType.EndElement:
                    open.Pop();
                    break;
                case XmlNodeType.Text:
                case XmlNodeType.CDATA:
                case XmlNodeType.Whitespace:
                case XmlNodeType.SignificantWhitespace:
                    if (open.Count > 0)
                        open.Peek().Text.Append(r.Value);
                    break;
                case XmlNodeType.XmlDeclaration:
                    break;
                default:
                    if (open.Count > 0)
                        open.Peek().Mixed = true;
                    break;
            }
        }
        foreach (Item item in all)
        {
            answer.Append("\tE ").Append(item.Head);
            if (!item.Mixed)
                Escape(answer.Append(" ="), item.Text.ToString());
            else if (item.Text.ToString().Trim(' ', '\t', '\r', '\n') != "")
                answer.Append(" +");
        }
    }

    static string Head(XmlReader r)
    {
        var head = new StringBuilder().Append(r.Depth);
        Name(head, r);
        var attributes = new List<string>();
        for (bool more = r.MoveToFirstAttribute(); more; more = r.MoveToNextAttribute())
        {
            if (r.NamespaceURI == "http://www.w3.org/2000/xmlns/")
                continue;
            var attribute = new StringBuilder(" ");
            Name(attribute, r);
            Escape(attribute.Append('='), r.Value);
            attributes.Add(attribute.ToString());
        }
        r.MoveToElement();
        attributes.Sort(StringComparer.Ordinal);
        return head + string.Concat(attributes);
    }

    static void Name(StringBuilder b, XmlReader r)
    {
        Escape(b.Append('{'), r.NamespaceURI);
        Escape(b.Append('}'), r.LocalName);
    }

    // What a namespace is called in the paths below.
    static readonly Dictionary<string, string> spaces = new Dictionary<string, string>
    {
        { "http://schemas.xmlsoap.org/soap/envelope/", "s" },
        { "http://www.w3.org/2003/05/soap-envelope", "s" },
        { "http://www.w3.org/2005/08/addressing", "a" },
        { "http://schemas.xmlsoap.org/ws/2004/08/addressing", "a" },
        { "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd", "o" },
        { "http://schemas.xmlsoap.org/ws/2005/02/trust", "t" },
        { "http://docs.oasis-open.org/ws-sx/ws-trust/200512", "t" },
        { "http://docs.oasis-open.org/ws-sx/ws-trust/200512/", "t" },
        { "http://schemas.xmlsoap.org/ws/2004/09/policy", "p" },
        { "http://www.w3.org/ns/ws-policy", "p" },
    };

    // Where the values are, and how .NET asks for each: the credential with
    // ReadElementString (WSSecurityTokenSerializer), the rest with
    // ReadElementContentAsString (MessageHeaders, WSTrustSerializationHelper).
    static readonly Dictionary<string, Func<XmlReader, string>> calls = new Dictionary<string, Func<XmlReader, string>>
    {
        { "Username", r => r.ReadElementString() },
        { "Password", r => r.ReadElementString() },
        { "Action", r => r.ReadElementContentAsString() },
        { "To", r => r.ReadElementContentAsString() },
        { "RequestType", r => r.ReadElementContentAsString() },
        { "AppliesTo", r => r.ReadElementContentAsString() },
    };

    static readonly Dictionary<string, string> paths = new Dictionary<string, string>
    {
        { "/s:Envelope/s:Header/o:Security/o:UsernameToken/o:Username", "Username" },
        { "/s:Envelope/s:Header/o:Security/o:UsernameToken/o:Password", "Password" },
        { "/s:Envelope/s:Header/a:Action", "Action" },
        { "/s:Envelope/s:Header/a:To", "To" },
        { "/s:Envelope/s:Body/t:RequestSecurityToken/t:RequestType", "RequestType" },
        { "/s:Envelope/s:Body/t:RequestSecurityToken/p:AppliesTo/a:EndpointReference/a:Address", "AppliesTo" },
    };

    static void Values(XmlReader r, StringBuilder answer)
    {
        var path = new string[7]; // path[n] leads to the open element at depth n-1
        path[0] = "";
        r.Read();
        while (!r.EOF)
        {
            string space, name = null;
            if (r.NodeType == XmlNodeType.Element && r.Depth < path.Length - 1)
            {
                if (!spaces.TryGetValue(r.NamespaceURI, out space))
                    space = "?";
                string here = path[r.Depth] + "/" + space + ":" + r.LocalName;
                path[r.Depth + 1] = here;
                paths.TryGetValue(here, out name);
            }
            if (name == null)
            {
                r.Read();
                continue;
            }
            string value;
            try
            {
                value = calls[name](r); // and moves behind the element
            }
            catch (Exception e)
            {
                answer.Append("\tU ").Append(name).Append(' ').Append(Reason(e));
                return;
            }
            Escape(answer.Append("\tV ").Append(name).Append('='), value);
        }
    }

    static string Reason(Exception e)
    {
        var reason = new StringBuilder(e.GetType().Name).Append(": ");
        foreach (char c in e.Message)
            reason.Append(c < ' ' || c > '~' ? '?' : c);
        return reason.ToString(0, Math.Min(reason.Length, 200));
    }

    static void Escape(StringBuilder b, string s)
    {
        foreach (char c in s)
        {
            if (c > ' ' && c <= '~' && c != '\\' && c != '{' && c != '}' && c != '=')
                b.Append(c);
            else
                b.Append("\\u").Append(((int)c).ToString("x4"));
        }
    }
}
