"""RFC 7662, OpenID Connect Core §5.3: tokens about which the issuer is asked."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.auth.errors import IssuerUnavailable, NotAuthenticated
from gateway.auth.oauth.introspection import IntrospectedTokens
from gateway.auth.oauth.judged import NamedByItself, NamedByUserinfo
from tests.auth.oauth.issuing import AUDIENCE, Issuing, issuing, rsa, signed


@pytest.fixture
async def there() -> AsyncIterator[Issuing]:
    """Give an issuer."""
    async with issuing() as there:
        yield there


def introspected(there: Issuing, *audience: str) -> IntrospectedTokens:
    return IntrospectedTokens(there.issuer, ("id", "secret"), audience, "email")


async def test_an_active_token_names_its_user(there: Issuing) -> None:
    exp = int(time.time()) + 60
    there.server.documents["/ask"] = {"active": True, "email": "ann@example.test", "exp": exp}
    claims = await introspected(there).check("opaque")
    assert (claims.username, claims.scopes) == ("ann@example.test", None)
    assert there.server.forms[-1] == {"token": "opaque", "token_type_hint": "access_token"}


@pytest.mark.parametrize(
    "said",
    [
        {"active": False},
        {"active": "true"},
        {},
        {"active": True},
        {"active": True, "email": "ann@example.test", "aud": "somebody else"},
        {"active": True, "email": "ann@example.test"},
        {
            "active": True,
            "email": "ann@example.test",
            "aud": AUDIENCE,
            "iss": "https://evil.example",
        },
        {"active": True, "email": "ann@example.test", "aud": AUDIENCE, "email_verified": False},
    ],
    ids=str,
)
async def test_other_tokens_are_refused(there: Issuing, said: dict[str, Any]) -> None:
    there.server.documents["/ask"] = said
    with pytest.raises(NotAuthenticated):
        await introspected(there, AUDIENCE).check("opaque")


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
async def test_a_gateway_that_is_refused_says_nothing_of_the_token(
    there: Issuing, status: int
) -> None:
    there.server.documents["/ask"] = status
    with pytest.raises(IssuerUnavailable):
        await introspected(there).check("opaque")


async def test_the_issuer_says_whose_a_token_is(there: Issuing) -> None:
    there.server.documents["/me"] = {"sub": "1", "email": "ann@example.test"}
    assert (await NamedByUserinfo(there.issuer, "email").check("t")).username == "ann@example.test"


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, NotAuthenticated), (403, NotAuthenticated), (404, IssuerUnavailable),
     (503, IssuerUnavailable)],
)  # fmt: skip
async def test_the_issuer_does_not_say(there: Issuing, status: int, error: type[Exception]) -> None:
    there.server.documents["/me"] = status
    with pytest.raises(error):
        await NamedByUserinfo(there.issuer, "email").check("t")


async def test_a_token_says_whose_it_is(there: Issuing) -> None:
    check = NamedByItself("email")
    token = signed(rsa("any"), there.claims())
    assert (await check.check(token)).username == "ann@example.test"
    for other in ("opaque", "a.b.c", "e30.e30.e30", "e30.W10.e30"):
        with pytest.raises(NotAuthenticated):
            await check.check(other)
