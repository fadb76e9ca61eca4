"""RFC 7617: HTTP Basic authentication; the mail server decides, the gateway remembers."""

from __future__ import annotations

import asyncio
import base64
import gc
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest

from gateway.auth import authenticator
from gateway.auth.access import FULL
from gateway.auth.authenticator import Authenticator
from gateway.auth.basic import Basic
from gateway.auth.errors import NotAuthenticated, TooManyAttempts
from gateway.auth.limiter import FailureLimiter
from gateway.imap.errors import ConnectionLost
from gateway.store.windows import Windows
from tests.auth.fakes import Account, Clock, FakeAccounts

USER, PASSWORD, ADDRESS = "ann@example.test", "correct horse", "192.0.2.7"


def header(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.fixture
def accounts() -> FakeAccounts:
    return FakeAccounts({USER: PASSWORD})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def basic_auth(accounts: FakeAccounts, clock: Clock) -> Authenticator[Account]:
    return make(accounts, clock)


def make(accounts: FakeAccounts, clock: Clock, per_minute: int = 100) -> Authenticator[Account]:
    limiter = FailureLimiter(Windows(None, b"s" * 32), per_minute=per_minute, per_day=1000)
    return Authenticator([Basic()], accounts, limiter, cache_seconds=300, clock=clock)


# --- The header ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "credentials"),
    [
        (header("ann@example.test", "pw"), ("ann@example.test", "pw")),
        (header("ann", "p:w:"), ("ann", "p:w:")),
        (header("änn", "pÄßwört€"), ("änn", "pÄßwört€")),
        ("bAsIc  " + header("ann", "pw")[6:], ("ann", "pw")),
        (header("  Ann@Example.TEST ", " pw "), ("Ann@example.test", " pw ")),
    ],
)
def test_header_is_read(value: str, credentials: tuple[str, str]) -> None:
    """RFC 7617 §2: the first colon divides, the charset is UTF-8; the name is canonical."""
    assert Basic().parse(value.partition(" ")[2].strip(" ")).secrets == credentials


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Bearer abcdef",
        "Basic !!!!",
        "Basic YW5uOnB",  # cut
        "Basic " + base64.b64encode(b"ann").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:pw").decode(),
        "Basic é",
        header("", "pw"),
        header("ann", ""),
        header("ann\r\nA1 LOGOUT", "pw"),
        header("ann", "pw\x00"),
        header("ann\x7f", "pw"),
    ],
)
async def test_what_no_user_can_have_is_refused_without_asking(
    basic_auth: Authenticator[Account], accounts: FakeAccounts, value: str | None
) -> None:
    """RFC 7617 §2: control characters are forbidden in both parts."""
    with pytest.raises(NotAuthenticated):
        await basic_auth.authenticate(value, ADDRESS)
    assert accounts.calls == []


# --- The mail server decides ---------------------------------------------------------------------


async def test_accepted_credentials_are_remembered(
    basic_auth: Authenticator[Account], accounts: FakeAccounts, clock: Clock
) -> None:
    first = await basic_auth.authenticate(header(USER, PASSWORD), ADDRESS)
    clock.now += 299
    assert await basic_auth.authenticate(header(USER, PASSWORD), ADDRESS) == first
    assert accounts.calls == [(USER, ADDRESS)]


async def test_access_ends_with_the_remembered_login_after_a_password_change(
    basic_auth: Authenticator[Account], accounts: FakeAccounts, clock: Clock
) -> None:
    await basic_auth.authenticate(header(USER, PASSWORD), ADDRESS)
    accounts.passwords[USER] = "new"
    clock.now += 300
    with pytest.raises(NotAuthenticated):
        await basic_auth.authenticate(header(USER, PASSWORD), ADDRESS)


async def test_forgotten_user_is_asked_about_again(
    basic_auth: Authenticator[Account], accounts: FakeAccounts
) -> None:
    accounts.passwords["bob"] = "pw"
    for credentials in (header(USER, PASSWORD), header("bob", "pw")):
        await basic_auth.authenticate(credentials, ADDRESS)
    accounts.passwords[USER] = "new"
    basic_auth.forget(USER)
    with pytest.raises(NotAuthenticated):
        await basic_auth.authenticate(header(USER, PASSWORD), ADDRESS)
    await basic_auth.authenticate(header("bob", "pw"), ADDRESS)
    assert [name for name, _ in accounts.calls] == [USER, "bob", USER]


async def test_account_that_left_the_memory_logs_in_again(
    basic_auth: Authenticator[Account], accounts: FakeAccounts
) -> None:
    await basic_auth.authenticate(header(USER, PASSWORD), ADDRESS)
    accounts.active.clear()
    await basic_auth.authenticate(header(USER, PASSWORD), ADDRESS)
    assert len(accounts.calls) == 2


async def test_refusal_is_remembered_for_seconds_only(
    basic_auth: Authenticator[Account], accounts: FakeAccounts, clock: Clock
) -> None:
    for _ in range(3):
        with pytest.raises(NotAuthenticated):
            await basic_auth.authenticate(header(USER, "wrong"), ADDRESS)
    assert len(accounts.calls) == 1
    accounts.passwords[USER] = "wrong"
    clock.now += 10
    await basic_auth.authenticate(header(USER, "wrong"), ADDRESS)


async def test_each_password_has_its_own_verdict(
    basic_auth: Authenticator[Account], accounts: FakeAccounts
) -> None:
    """The key covers the lengths: moving a character from name to password is another login."""
    accounts.passwords = {"ab": "c"}
    await basic_auth.authenticate(header("ab", "c"), ADDRESS)
    for name, password in (("a", "bc"), ("ab", "cc"), ("abc", "c")):
        with pytest.raises(NotAuthenticated):
            await basic_auth.authenticate(header(name, password), ADDRESS)


async def test_simultaneous_logins_with_the_same_credentials_ask_once(
    basic_auth: Authenticator[Account], accounts: FakeAccounts
) -> None:
    accounts.gate = asyncio.Event()
    logins = [
        asyncio.create_task(basic_auth.authenticate(header(USER, PASSWORD), ADDRESS))
        for _ in range(50)
    ]
    await asyncio.sleep(0)
    accounts.gate.set()
    assert len({id(account) for account in await asyncio.gather(*logins)}) == 1
    assert len(accounts.calls) == 1


async def test_client_that_goes_away_leaves_the_login_to_the_others(
    basic_auth: Authenticator[Account], accounts: FakeAccounts
) -> None:
    accounts.gate = asyncio.Event()
    first, second = (
        asyncio.create_task(basic_auth.authenticate(header(USER, PASSWORD), ADDRESS))
        for _ in range(2)
    )
    while not accounts.calls:
        await asyncio.sleep(0)
    first.cancel()
    accounts.gate.set()
    assert (await second).account.username == USER
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_server_that_is_down_says_nothing_about_the_password(
    basic_auth: Authenticator[Account], accounts: FakeAccounts
) -> None:
    accounts.broken = ConnectionLost("gone")
    with pytest.raises(ConnectionLost):
        await basic_auth.authenticate(header(USER, PASSWORD), ADDRESS)
    accounts.broken = None
    await basic_auth.authenticate(header(USER, PASSWORD), ADDRESS)


async def test_memory_is_bounded(
    basic_auth: Authenticator[Account], accounts: FakeAccounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authenticator, "_CAPACITY", 2)
    accounts.passwords = dict.fromkeys("abc", "pw")
    for name in "abac":  # b is the one that was not used for longest
        await basic_auth.authenticate(header(name, "pw"), ADDRESS)
    for name in "ab":
        await basic_auth.authenticate(header(name, "pw"), ADDRESS)
    assert [name for name, _ in accounts.calls] == ["a", "b", "c", "b"]


async def test_who_comes_back_is_recognised_until_the_credentials_are_refused(
    basic_auth: Authenticator[Account], accounts: FakeAccounts, clock: Clock
) -> None:
    assert basic_auth.recognise(header(USER, PASSWORD)) is None
    await basic_auth.authenticate(header(USER, PASSWORD), ADDRESS)
    clock.now += 24 * 3600
    assert basic_auth.recognise(header(USER, PASSWORD)) == (USER, FULL)
    assert basic_auth.recognise(header(USER, "another")) is None
    assert len(accounts.calls) == 1
    basic_auth.forget(USER)
    assert basic_auth.recognise(header(USER, PASSWORD)) is None


# --- The limiter, seen through Basic -------------------------------------------------------------


async def test_known_good_login_is_never_limited(accounts: FakeAccounts, clock: Clock) -> None:
    auth = make(accounts, clock, per_minute=3)
    await auth.authenticate(header(USER, PASSWORD), ADDRESS)
    for guess in range(3):
        with pytest.raises(NotAuthenticated):
            await auth.authenticate(header(USER, f"guess {guess}"), ADDRESS)
    with pytest.raises(TooManyAttempts):
        await auth.authenticate(header(USER, "guess 4"), ADDRESS)
    await auth.authenticate(header(USER, PASSWORD), ADDRESS)
    assert len(accounts.calls) == 4


async def test_repeating_one_wrong_password_is_one_guess(
    accounts: FakeAccounts, clock: Clock
) -> None:
    """A forgotten client with an old password must not lock the user out."""
    auth = make(accounts, clock, per_minute=3)
    for _ in range(10):
        with pytest.raises(NotAuthenticated):
            await auth.authenticate(header(USER, "old"), ADDRESS)
        clock.now += 11
    await auth.authenticate(header(USER, PASSWORD), ADDRESS)


async def test_unavailable_server_and_good_logins_use_up_nothing(
    accounts: FakeAccounts, clock: Clock
) -> None:
    auth = make(accounts, clock, per_minute=2)
    accounts.broken = ConnectionLost("gone")
    for _ in range(5):
        with pytest.raises(ConnectionLost):
            await auth.authenticate(header(USER, PASSWORD), ADDRESS)
    accounts.broken = None
    for _ in range(5):
        await auth.authenticate(header(USER, PASSWORD), ADDRESS)
        auth.forget(USER)


# --- No password is kept -------------------------------------------------------------------------


def reachable(root: object) -> Iterator[Any]:
    """Everything that can be reached from the object, modules and types aside.

    Nor the loop and the test itself, which a library's timer may lead to.
    """
    test = asyncio.current_task()
    seen = {id(test), id(test and test.get_coro()), id(asyncio.get_running_loop())}
    stack = [root]
    while stack:
        item = stack.pop()
        if id(item) in seen or isinstance(item, type | type(gc) | FrameType):
            continue
        seen.add(id(item))
        yield item
        stack.extend(gc.get_referents(item))


def texts(root: object) -> str:
    """All strings and octets that can be reached from the object."""
    found = (item for item in reachable(root) if isinstance(item, str | bytes | bytearray))
    return "\n".join(item if isinstance(item, str) else item.decode("latin-1") for item in found)


@pytest.mark.threat("R12")
async def test_no_password_is_kept(
    basic_auth: Authenticator[Account], accounts: FakeAccounts
) -> None:
    """Neither of accepted nor of refused logins, once they are over (threat R12)."""
    secrets = [f"{number}-canary" for number in range(20)]
    accounts.passwords = {f"user{number}": secrets[number] for number in range(10)}
    for number, secret in enumerate(secrets):
        with suppress(NotAuthenticated):
            await basic_auth.authenticate(header(f"user{number}", secret), ADDRESS)
    assert len(accounts.active) == 10
    assert secrets[0] in texts(basic_auth), "the search does not find what the mail server knows"
    accounts.passwords = {}
    found = texts(basic_auth)
    for number, secret in enumerate(secrets):
        assert secret not in found
        assert header(f"user{number}", secret)[6:] not in found  # as in the header
