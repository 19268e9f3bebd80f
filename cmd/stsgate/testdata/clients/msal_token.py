"""MSAL for Python asks for a token by user name and password.

Reads {authority, ca, client, scope, user, password} from standard input and
writes {access_token} or, of what MSAL reports, {shown}. Whatever else MSAL
raises is a crash.
"""
import json
import sys
from urllib.parse import urlsplit

import msal
import requests


class Session(requests.Session):
    """Puts back the authority's port, which MSAL forgets as it asks for the
    user's realm."""

    def request(self, method, url, **options):
        authority = urlsplit(asked["authority"])
        if urlsplit(url).netloc == authority.hostname:
            url = urlsplit(url)._replace(netloc=authority.netloc).geturl()
        return super().request(method, url, **options)


asked = json.load(sys.stdin)
session = Session()
session.trust_env = False
session.verify = asked["ca"]
app = msal.PublicClientApplication(
    asked["client"],
    authority=asked["authority"],
    instance_discovery=False,
    http_client=session,
)
try:
    answer = app.acquire_token_by_username_password(
        asked["user"], asked["password"], scopes=[asked["scope"]]
    )
except RuntimeError as e:  # MSAL's own, with what the security token service said
    answer = {"error_description": str(e)}
if "access_token" in answer:
    print(json.dumps({"access_token": answer["access_token"]}))
else:
    print(json.dumps({"shown": answer["error_description"]}))
