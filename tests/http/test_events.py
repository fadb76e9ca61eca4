"""RFC 5423: what a mail server reports is believed if it knows the secret, and only marks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.http import events
from gateway.http.events import Report, event_handler
from gateway.http.health import create_admin_app
from tests.http.harness import Client, problem_of

SECRET = "correct-horse-battery-staple-0123456789"
BEARER = {"Authorization": f"Bearer {SECRET}"}


@dataclass
class Account:
    marks: int = 0

    def mark_changed(self) -> None:
        self.marks += 1


@pytest.fixture
def accounts() -> dict[str, Account]:
    return {"ann@example.test": Account(), "bob": Account()}


async def ping() -> None:
    """The store is there."""


@pytest.fixture
async def admin(accounts: dict[str, Account]) -> AsyncIterator[Client]:
    def heard(report: Report) -> None:
        if report.username in accounts:
            accounts[report.username].mark_changed()

    app = create_admin_app(ping, event_handler(heard, SECRET))
    async with TestClient(TestServer(app)) as client:
        yield client


async def report(client: Client, user: Any, headers: dict[str, str] = BEARER) -> int:
    response = await client.post("/events", json={"user": user}, headers=headers)
    return response.status


@pytest.mark.parametrize(
    "name",
    [
        "ann@example.test",
        "ann@EXAMPLE.test",
        " ann@example.test ",
        "Ann@example.test",
        "ANN@EXAMPLE.TEST",
    ],
)
async def test_a_report_marks_the_account(
    name: str, admin: Client, accounts: dict[str, Account]
) -> None:
    """RFC 7617 §2: one spelling for one user."""
    assert await report(admin, name) == 204
    assert {name: account.marks for name, account in accounts.items()} == {
        "ann@example.test": 1,
        "bob": 0,
    }


async def test_whether_a_user_is_known_is_not_told(admin: Client) -> None:
    known = await admin.post("/events", json={"user": "bob"}, headers=BEARER)
    unknown = await admin.post("/events", json={"user": "carol"}, headers=BEARER)
    assert (
        (known.status, await known.read()) == (unknown.status, await unknown.read()) == (204, b"")
    )
    assert known.headers.keys() == unknown.headers.keys()


@pytest.mark.threat("R33")
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer "},
        {"Authorization": SECRET},
        {"Authorization": f"Basic {SECRET}"},
        {"Authorization": f"Bearer {SECRET}x"},
        {"Authorization": f"Bearer {SECRET[:-1]}"},
        {"Authorization": f"Bearer {SECRET.upper()}"},
        {"Authorization": "Bearer sécret"},
    ],
)
async def test_without_the_secret_nothing_is_marked(
    headers: dict[str, str], admin: Client, accounts: dict[str, Account]
) -> None:
    """RFC 6750 §3"""
    response = await admin.post("/events", json={"user": "bob"}, headers=headers)
    await problem_of(response, 401)
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert accounts["bob"].marks == 0


@pytest.mark.threat("R33")
async def test_forged_reports_change_nothing(admin: Client, accounts: dict[str, Account]) -> None:
    for number in range(500):
        assert await report(admin, "bob", {"Authorization": f"Bearer {number}"}) == 401
    assert accounts["bob"].marks == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"bob"',
        b"{}",
        b'{"user": null}',
        b'{"user": 7}',
        b'{"user": ["bob"]}',
        b'{"user": ""}',
        b'{"user": " "}',
        b'{"user": "b\\u0000b"}',
        b'{"user": "b\xff"}',
        b"[" * 4000,
    ],
)
async def test_what_is_no_report_is_refused(
    body: bytes, admin: Client, accounts: dict[str, Account]
) -> None:
    await problem_of(await admin.post("/events", data=body, headers=BEARER), 400)
    assert not any(account.marks for account in accounts.values())


async def test_a_report_may_say_more(admin: Client, accounts: dict[str, Account]) -> None:
    body = {"user": "bob", "event": "MessageNew", "mailbox": "INBOX"}
    assert (await admin.post("/events", json=body, headers=BEARER)).status == 204
    assert accounts["bob"].marks == 1


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_large_is_not_read(
    chunked: bool, admin: Client, accounts: dict[str, Account]
) -> None:
    octets = json.dumps({"user": "bob", "more": "x" * 70_000}).encode()

    async def chunks() -> AsyncIterator[bytes]:
        yield octets[:2000]
        yield octets[2000:]

    data = chunks() if chunked else octets
    await problem_of(await admin.post("/events", data=data, headers=BEARER), 413)
    assert accounts["bob"].marks == 0


async def test_a_body_that_does_not_come_is_not_waited_for(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_READ_SECONDS", 0.05)

    async def never() -> AsyncIterator[bytes]:
        yield b'{"user":'
        await asyncio.sleep(10)

    await problem_of(await admin.post("/events", data=never(), headers=BEARER), 408)


async def test_only_posts_are_reports(admin: Client) -> None:
    response = await admin.get("/events", headers=BEARER)
    await problem_of(response, 405)
    assert response.headers["Allow"] == "POST"


async def test_without_a_configured_secret_there_is_no_such_endpoint() -> None:
    async with TestClient(TestServer(create_admin_app(ping))) as client:
        await problem_of(await client.post("/events", json={"user": "bob"}, headers=BEARER), 404)
