"""A real OpenID provider (npm's oidc-provider), and a native client that signs its users in."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

from aiohttp import ClientSession, CookieJar

from tests.servers.process import Child, Server, find_program, free_port

CLIENT = ("gateway", "a-secret-that-only-resource-servers-have")
"""The id and the secret by which a resource server may introspect tokens."""
AUDIENCE = "https://jmap.example.test"
"""What tokens are meant for that are asked for this resource: JWTs, by RFC 9068."""
OLD = f"{AUDIENCE}/old"
"""A resource for which tokens are JWTs that do not say that they are access tokens."""
OPAQUE = f"{AUDIENCE}/opaque"
"""A resource for which tokens say nothing."""
MAIL_SCOPE = "urn:ietf:params:oauth:scope:mail"

_REDIRECT = "http://127.0.0.1/signed-in"
_HERE = Path(__file__).parent / "oidc"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client is given (RFC 6749 §5.1), and the client's id."""

    access: str
    refresh: str
    client_id: str


class OpenIdProvider(Server):
    """The provider; every name is a user, and every password right."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="openid-"))
        self._port = free_port()
        self._child: Child | None = None

    @property
    def issuer(self) -> str:
        """Its issuer identifier."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """See Server."""
        packages = _packages()
        script = str(_HERE / "provider.mjs")
        command = [find_program("node"), script, str(packages), str(self._port), *CLIENT]
        self._child = child = Child(command, self.directory / "log")
        child.wait_until(lambda: "ready" in child.log())

    def close(self) -> None:
        """See Server."""
        if self._child is not None:
            self._child.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    async def sign_in(self, username: str, scope: str, resource: str | None = None) -> Tokens:
        """Give the tokens of a native client that has registered itself.

        RFC 8414, RFC 7591, RFC 6749 §4.1 with RFC 7636 and RFC 8707; the user says yes to all.
        """
        jar = CookieJar(unsafe=True)  # cookies of an IP address
        async with ClientSession(cookie_jar=jar) as http:
            url = f"{self.issuer}/.well-known/openid-configuration"
            metadata = await (await http.get(url)).json()
            client_id = await _registered(http, metadata["registration_endpoint"], scope)
            verifier = secrets.token_urlsafe(48)
            digest = hashlib.sha256(verifier.encode()).digest()
            asked = {
                "client_id": client_id,
                "redirect_uri": _REDIRECT,
                "response_type": "code",
                "scope": scope,
                "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
                "code_challenge_method": "S256",
                "state": "here",
                "prompt": "consent",
                **({"resource": resource} if resource else {}),
            }
            code = await _authorised(http, metadata["authorization_endpoint"], asked, username)
            exchanged = {
                "grant_type": "authorization_code",
                "client_id": client_id,
                "redirect_uri": _REDIRECT,
                "code": code,
                "code_verifier": verifier,
                **({"resource": resource} if resource else {}),
            }
            response = await http.post(metadata["token_endpoint"], data=exchanged)
            given = await response.json()
            assert response.status == 200, given
            return Tokens(given["access_token"], given.get("refresh_token", ""), client_id)

    async def revoke(self, tokens: Tokens) -> None:
        """RFC 7009."""
        async with ClientSession() as http:
            form = {"token": tokens.access, "client_id": tokens.client_id}
            response = await http.post(f"{self.issuer}/token/revocation", data=form)
            assert response.status == 200, await response.text()


async def _registered(http: ClientSession, url: str, scope: str) -> str:
    body = {
        "redirect_uris": [_REDIRECT],
        "application_type": "native",
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": scope,
        "client_name": "a client of the tests",
    }
    response = await http.post(url, json=body)
    registered: dict[str, Any] = await response.json()
    assert response.status == 201, registered
    client_id: str = registered["client_id"]
    return client_id


async def _authorised(http: ClientSession, url: str, asked: dict[str, str], username: str) -> str:
    """The code, after the forms by which the user signs in and says yes."""
    response = await http.get(url, params=asked, allow_redirects=False)
    for _ in range(10):
        if response.status in (302, 303):
            url = urljoin(str(response.url), response.headers["Location"])
            if url.startswith(_REDIRECT):
                return parse_qs(urlsplit(url).query)["code"][0]
            response = await http.get(url, allow_redirects=False)
            continue
        page = await response.text()
        assert response.status == 200, page
        form = {"prompt": "login", "login": username, "password": "any"}
        if 'value="login"' not in page:
            form = {"prompt": "consent"}
        found = re.search(r'<form[^>]* action="([^"]+)"', page)
        assert found is not None, page
        response = await http.post(
            urljoin(str(response.url), found[1]), data=form, allow_redirects=False
        )
    raise AssertionError("the provider asks without end")


def _packages() -> Path:
    """Where tests/run has installed the provider.

    Raises:
        FileNotFoundError: it has not.
    """
    given = os.environ.get("JMAP_GATEWAY_OPENID_DIR")
    base = Path(given) if given else Path.home() / ".cache" / "jmap-gateway-openid"
    if not (base / "node_modules" / "oidc-provider").is_dir():
        raise FileNotFoundError(
            f"the OpenID provider is not installed in {base}: tests/run does that"
        )
    return base
