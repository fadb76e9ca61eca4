"""An authorization server that says what a test wants it to say."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwt
from joserfc.jwk import ECKey, Key, RSAKey

from gateway.auth.oauth.fetching import Fetcher
from gateway.auth.oauth.issuer import Issuer
from tests.auth.fakes import Clock

AUDIENCE = "https://jmap.example.test"


def rsa(kid: str) -> RSAKey:
    """A key of the issuer."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


def elliptic(kid: str) -> ECKey:
    """Another kind of key."""
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig"})


@dataclass
class Server:
    """documents: what is at a path, as JSON, or a status; asked: paths, forms: what was sent."""

    documents: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Whatever is at the path."""
        self.asked.append(request.path)
        self.forms.append({key: str(value) for key, value in (await request.post()).items()})
        document = self.documents.get(request.path, 404)
        if isinstance(document, int):
            return web.Response(status=document, headers={"Location": "/elsewhere"})
        return web.json_response(document)


@dataclass
class Issuing:
    """A server whose keys are known, and the gateway's view of it."""

    server: Server
    issuer: Issuer
    clock: Clock

    def publish(self, *keys: Key, **more: Any) -> None:
        """Have the server say that these are its keys."""
        self.server.documents["/jwks"] = {
            "keys": [key.as_dict(private=False) for key in keys] + more.get("others", [])
        }

    def claims(self, **claims: Any) -> dict[str, Any]:
        """Those of a good token, except for what is given."""
        return {
            "iss": self.issuer.url,
            "aud": AUDIENCE,
            "sub": "4711",
            "email": "ann@example.test",
            "scope": "openid urn:ietf:params:oauth:scope:mail",
            "exp": int(time.time()) + 3600,
            **claims,
        }


def signed(key: Key, claims: dict[str, Any], alg: str = "RS256", **header: Any) -> str:
    """A token."""
    return jwt.encode({"alg": alg, "kid": key.kid, "typ": "at+jwt", **header}, claims, key)


def metadata(url: str, **more: Any) -> dict[str, Any]:
    """What an authorization server says of itself."""
    return {"issuer": url, "jwks_uri": f"{url}/jwks", "introspection_endpoint": f"{url}/ask",
            "userinfo_endpoint": f"{url}/me", **more}  # fmt: skip


@asynccontextmanager
async def issuing(
    path: str = "", describe: Callable[[str], dict[str, Any]] = metadata
) -> AsyncIterator[Issuing]:
    """Start a server whose issuer identifier has this path."""
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    fetcher = Fetcher(ssl.create_default_context())
    async with TestServer(app, host="127.0.0.1") as listening:
        server.url = str(listening.make_url("")).rstrip("/")
        url = server.url + path
        server.documents[f"{path}/.well-known/openid-configuration"] = describe(url)
        clock = Clock()
        try:
            yield Issuing(server, Issuer(url, fetcher, clock), clock)
        finally:
            await fetcher.close()
