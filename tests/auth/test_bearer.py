"""RFC 6750: what an access token lets its bearer do, and for how long."""

from __future__ import annotations

import asyncio
import time
from math import inf

import pytest

from gateway.auth.access import FULL, Access
from gateway.auth.authenticator import Authenticator
from gateway.auth.basic import Basic
from gateway.auth.bearer import Bearer
from gateway.auth.errors import (
    InsufficientScope,
    IssuerUnavailable,
    NotAuthenticated,
    TooManyAttempts,
)
from gateway.auth.limiter import FailureLimiter
from gateway.auth.oauth.claims import Claims
from gateway.auth.scheme import Scheme
from gateway.sasl import TokenCredentials
from gateway.store.windows import Windows
from tests.auth.fakes import Account, Clock, FakeAccounts

ANN, ADDRESS = "ann@example.test", "192.0.2.7"


class Check:
    """Knows tokens, and counts who asks."""

    def __init__(self, **tokens: Claims) -> None:
        self.tokens = tokens
        self.asked = 0
        self.is_away = False

    async def check(self, token: str) -> Claims:
        self.asked += 1
        if self.is_away:
            raise IssuerUnavailable("away")
        if token not in self.tokens:
            raise NotAuthenticated("invalid_token")
        return self.tokens[token]


def claims(scopes: str | None = "all", seconds: float = 3600.0, username: str = ANN) -> Claims:
    held = None if scopes is None else frozenset(scopes.split())
    return Claims(username, time.time() + seconds, held)


def bearer(check: Check, scopes: str = "all", read_scopes: str = "read") -> Bearer:
    return Bearer(check, TokenCredentials, tuple(scopes.split()), tuple(read_scopes.split()))


def authenticator(
    check: Check, clock: Clock, per_minute: int = 100
) -> tuple[Authenticator[Account], FakeAccounts]:
    accounts = FakeAccounts({ANN: "t"})
    limiter = FailureLimiter(Windows(None, b"s" * 32), per_minute=per_minute, per_day=1000)
    schemes: list[Scheme] = [Basic(), bearer(check)]
    auth = Authenticator(schemes, accounts, limiter, cache_seconds=300, clock=clock)
    return auth, accounts


@pytest.mark.parametrize(
    ("held", "is_read_only"),
    [("all", False), ("all read", False), ("x read", True), (None, False)],
)
async def test_scopes_say_what_may_be_done(held: str | None, is_read_only: bool) -> None:
    scheme = bearer(Check(t=claims(held)))
    admitted = await scheme.admit(scheme.parse("t"))
    assert admitted.access.is_read_only is is_read_only


@pytest.mark.parametrize("held", ["", "other", "ALL", "all/", "readall"])
async def test_other_scopes_are_not_enough(held: str) -> None:
    scheme = bearer(Check(t=claims(held)))
    with pytest.raises(InsufficientScope) as caught:
        await scheme.admit(scheme.parse("t"))
    assert caught.value.scopes == ("all", "read")


async def test_without_scopes_every_token_does() -> None:
    scheme = bearer(Check(t=claims("")), "", "")
    assert not (await scheme.admit(scheme.parse("t"))).access.is_read_only


@pytest.mark.parametrize("value", ["", " ", "a b", "a\r\nb", "ä", "a,b", "=", "a===", "a" * 16385])
async def test_what_is_no_token_is_refused_unseen(value: str) -> None:
    check = Check()
    auth, accounts = authenticator(check, Clock())
    with pytest.raises(NotAuthenticated):
        await auth.authenticate(f"Bearer {value}", ADDRESS)
    assert (check.asked, accounts.calls) == (0, [])


async def test_a_token_is_checked_once_in_a_while_and_opens_the_account() -> None:
    check, clock = Check(t=claims()), Clock()
    auth, accounts = authenticator(check, clock)
    for _ in range(3):
        visitor = await auth.authenticate("bearer t", ADDRESS)
        assert visitor.account.username == ANN
    assert (check.asked, accounts.calls) == (1, [(ANN, ADDRESS)])
    clock.now += 301
    await auth.authenticate("Bearer t", ADDRESS)
    assert check.asked == 2


async def test_a_token_that_ends_is_not_remembered_for_longer() -> None:
    check, clock = Check(t=claims(seconds=20.0)), Clock()
    auth, _ = authenticator(check, clock)
    await auth.authenticate("Bearer t", ADDRESS)
    clock.now += 21
    check.tokens.clear()
    with pytest.raises(NotAuthenticated):
        await auth.authenticate("Bearer t", ADDRESS)


async def test_a_token_that_has_ended_is_not_recognised() -> None:
    check, clock = Check(t=claims(seconds=0.2)), Clock()
    auth, _ = authenticator(check, clock)
    visitor = await auth.authenticate("Bearer t", ADDRESS)
    assert auth.recognise("Bearer t") == (ANN, visitor.access)
    ended = asyncio.Event()
    with visitor.access.then(ended.set):
        async with asyncio.timeout(10):
            await ended.wait()
    assert auth.recognise("Bearer t") is None


async def test_the_mail_server_has_the_last_word() -> None:
    auth, accounts = authenticator(Check(stale=claims()), Clock())
    with pytest.raises(NotAuthenticated) as caught:
        await auth.authenticate("Bearer stale", ADDRESS)
    assert caught.value.error == "invalid_token"
    assert accounts.calls == [(ANN, ADDRESS)]


@pytest.mark.threat("R14")
async def test_made_up_tokens_are_limited_and_disturb_nobody_elsewhere() -> None:
    check = Check(t=claims())
    auth, _ = authenticator(check, Clock(), per_minute=3)
    for number in range(20):
        with pytest.raises((NotAuthenticated, TooManyAttempts)):
            await auth.authenticate(f"Bearer made-up-{number}", ADDRESS)
    assert check.asked == 3
    await auth.authenticate("Bearer t", "198.51.100.9")


async def test_an_issuer_that_is_away_is_no_failed_login() -> None:
    check = Check(t=claims())
    auth, _ = authenticator(check, Clock(), per_minute=1)
    check.is_away = True
    for _ in range(3):
        with pytest.raises(IssuerUnavailable):
            await auth.authenticate("Bearer t", ADDRESS)
    check.is_away = False
    await auth.authenticate("Bearer t", ADDRESS)


@pytest.mark.parametrize("name", ["", "\0", "a\r\nb"])
async def test_a_token_of_nobody_is_refused(name: str) -> None:
    scheme = bearer(Check(t=claims(username=name)))
    with pytest.raises(NotAuthenticated):
        await scheme.admit(scheme.parse("t"))


def test_a_password_never_ends() -> None:
    assert (FULL.seconds, FULL.is_read_only) == (inf, False)
    assert Access(expires=time.time() - 1).seconds < 0
