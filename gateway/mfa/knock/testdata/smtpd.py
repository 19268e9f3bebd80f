"""A mail server for the tests: STARTTLS or TLS, sign-in needed, each mail a line of JSON.

usage: smtpd.py starttls|tls|plain CERTIFICATE KEY
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Handler:
    def __init__(self, mode):
        self.mode = mode

    async def handle_DATA(self, server, session, envelope):
        print(json.dumps({
            "from": envelope.mail_from, "to": envelope.rcpt_tos, "content": envelope.content.decode("ascii"),
            "tls": session.ssl is not None or self.mode == "tls", "user": session.authenticated,
        }), flush=True)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and data.login == b"stsgate" and data.password == b"mail-password"
    return AuthResult(success=good, handled=False)


async def main(mode, certificate, key):
    context = None
    if mode != "plain":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)

    def factory():
        return SMTP(Handler(mode), hostname="localhost", authenticator=authenticate, auth_require_tls=mode == "starttls",
                    auth_required=mode != "plain", require_starttls=mode == "starttls",
                    tls_context=context if mode == "starttls" else None)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, "127.0.0.1", 0, ssl=context if mode == "tls" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
