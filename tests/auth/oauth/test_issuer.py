"""RFC 8414 §3: what an issuer says of itself, as Keycloak, Entra and Google do."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.auth.errors import IssuerUnavailable
from gateway.auth.oauth.issuer import is_safe, metadata_urls
from tests.auth.oauth.issuing import issuing


def keycloak(url: str) -> dict[str, Any]:
    base = f"{url}/protocol/openid-connect"
    return {"issuer": url, "jwks_uri": f"{base}/certs", "userinfo_endpoint": f"{base}/userinfo",
            "introspection_endpoint": f"{base}/token/introspect"}  # fmt: skip


def entra(url: str) -> dict[str, Any]:
    tenant = url.removesuffix("/v2.0")
    return {"issuer": url, "jwks_uri": f"{tenant}/discovery/v2.0/keys",
            "userinfo_endpoint": "https://graph.microsoft.example/oidc/userinfo"}  # fmt: skip


def google(url: str) -> dict[str, Any]:
    return {"issuer": url, "jwks_uri": "https://keys.google.example/oauth2/v3/certs",
            "userinfo_endpoint": "https://openid.google.example/v1/userinfo"}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "describe", "jwks_uri"),
    [
        ("/realms/mail", keycloak, "/realms/mail/protocol/openid-connect/certs"),
        ("/9122040d/v2.0", entra, "/9122040d/discovery/v2.0/keys"),
        ("", google, "https://keys.google.example/oauth2/v3/certs"),
    ],
    ids=["keycloak", "entra", "google"],
)
async def test_endpoints_are_where_the_issuer_says(path: str, describe: Any, jwks_uri: str) -> None:
    async with issuing(path, describe) as there:
        found = await there.issuer.endpoint("jwks_uri")
        assert found.removeprefix(there.server.url) == jwks_uri
        with pytest.raises(IssuerUnavailable):
            await there.issuer.endpoint("revocation_endpoint")


async def test_the_document_of_rfc_8414_comes_first() -> None:
    async with issuing("/realm") as there:
        place = "/.well-known/oauth-authorization-server/realm"
        there.server.documents[place] = {"issuer": there.issuer.url, "jwks_uri": "https://a.test/"}
        assert await there.issuer.endpoint("jwks_uri") == "https://a.test/"
        assert there.server.asked == [place]


@pytest.mark.parametrize("change", [{"issuer": "https://evil.example"}, {"issuer": None}])
async def test_a_document_about_another_issuer_is_not_believed(change: dict[str, Any]) -> None:
    async with issuing() as there:
        there.server.documents["/.well-known/openid-configuration"] |= change
        with pytest.raises(IssuerUnavailable):
            await there.issuer.metadata()


async def test_a_redirect_is_not_followed() -> None:
    async with issuing() as there:
        there.server.documents["/.well-known/openid-configuration"] = 302
        with pytest.raises(IssuerUnavailable):
            await there.issuer.metadata()
        assert "/elsewhere" not in there.server.asked


async def test_what_was_said_goes_on_while_the_issuer_is_away() -> None:
    async with issuing() as there:
        before = await there.issuer.metadata()
        there.server.documents.clear()
        there.clock.now += 4000
        assert await there.issuer.metadata() == before
        asked = len(there.server.asked)
        assert await there.issuer.metadata() == before
        assert len(there.server.asked) == asked  # it is not asked each time


@pytest.mark.parametrize(
    ("issuer", "urls"),
    [
        ("https://a.test", ("https://a.test/.well-known/oauth-authorization-server",
                            "https://a.test/.well-known/openid-configuration")),
        ("https://a.test/x/y", ("https://a.test/.well-known/oauth-authorization-server/x/y",
                                "https://a.test/x/y/.well-known/openid-configuration")),
    ],
)  # fmt: skip
def test_where_the_documents_are(issuer: str, urls: tuple[str, str]) -> None:
    assert metadata_urls(issuer) == urls


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://a.test/x", True),
        ("http://127.0.0.1:8080/x", True),
        ("http://a.test/x", False),
        ("http://127.0.0.1.evil.example/x", False),
        ("ftp://a.test/x", False),
        ("file:///etc/passwd", False),
        ("https://", False),
        ("http://[", False),
    ],
)
def test_secrets_are_sent_over_tls_only(url: str, safe: bool) -> None:
    assert is_safe(url) is safe
