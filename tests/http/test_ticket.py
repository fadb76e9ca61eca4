"""RFC 8620 §7.3, threat R28: the event source of a browser, which can send no header."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.auth import tickets
from tests.http.harness import (
    USER,
    Backend,
    Client,
    FakeAccount,
    Harness,
    basic,
    problem_of,
    server_config,
)
from tests.push.reader import Reader

PATH = "/jmap/eventsource?types=*&closeafter=no&ping=0"
PAGE = "https://mail.example.org"


async def ticket_of(client: Client, **headers: str) -> str:
    response = await client.post("/jmap/ticket", data=b"x", headers={**basic(), **headers})
    assert response.status == 200, await response.text()
    value: str = (await response.json())["ticket"]
    return value


async def test_answer_has_the_ticket_and_its_end(client: Client) -> None:
    response = await client.post("/jmap/ticket", headers=basic())
    answer = await response.json()
    assert answer.keys() == {"ticket", "expires"}
    assert response.headers["Cache-Control"] == "no-store"
    assert answer["expires"].endswith("Z")
    left = datetime.fromisoformat(answer["expires"]) - datetime.now(UTC)
    assert timedelta(seconds=0) < left <= timedelta(seconds=60)


async def test_ticket_opens_a_stream_once(client: Client, backend: Backend) -> None:
    account = backend.active.setdefault(USER, FakeAccount(USER))
    url = f"{PATH}&ticket={await ticket_of(client)}"
    reader = Reader(await client.get(url))
    await reader.opened()
    account.change(Email="e1")
    assert await reader.state() == {"aann": {"Email": "e1"}}
    reader.response.close()
    await problem_of(await client.get(url), 401)


@pytest.mark.parametrize("query", ["ticket=", "ticket=AAAAAAAAAAAAAAAAAAAAAA", "ticket=a&ticket=b"])
async def test_what_is_no_ticket(client: Client, query: str) -> None:
    await problem_of(await client.get(f"{PATH}&{query}"), 401)


@pytest.mark.parametrize("path", ["/jmap/session", "/jmap/download/aann/b1/name", "/jmap/ws"])
async def test_ticket_is_for_nothing_else(client: Client, path: str) -> None:
    ticket = await ticket_of(client)
    await problem_of(await client.get(path, params={"ticket": ticket}), 401)
    Reader(await client.get(f"{PATH}&ticket={ticket}")).response.close()


async def test_header_goes_before_a_ticket(client: Client) -> None:
    """Which stays good."""
    ticket = await ticket_of(client)
    headers = basic(password="wrong")
    await problem_of(await client.get(f"{PATH}&ticket={ticket}", headers=headers), 401)
    Reader(await client.get(f"{PATH}&ticket={ticket}")).response.close()


async def test_password_that_was_changed_meanwhile(client: Client, backend: Backend) -> None:
    ticket = await ticket_of(client)
    backend.active.clear()
    backend.passwords[USER] = "another"
    await problem_of(await client.get(f"{PATH}&ticket={ticket}"), 401)


async def test_foreign_pages_get_none(client: Client, backend: Backend) -> None:
    """A browser would add a password that it remembers, without asking first."""
    headers = {**basic(), "Origin": "https://evil.example"}
    await problem_of(await client.post("/jmap/ticket", headers=headers), 403)
    assert backend.addresses == []


async def test_page_of_an_allowed_origin(harness: Harness) -> None:
    """WHATWG Fetch §3.2: it may read ticket and events, also after fetch() with the header."""
    client = await harness.start(server_config(cors_origins=[PAGE]))
    response = await client.post("/jmap/ticket", headers={**basic(), "Origin": PAGE})
    assert response.headers["Access-Control-Allow-Origin"] == PAGE
    ticket = (await response.json())["ticket"]
    for url, headers in ((f"{PATH}&ticket={ticket}", {}), (PATH, basic())):
        asked = {"Origin": PAGE, "Access-Control-Request-Method": "GET"}
        preflight = await client.options(
            PATH, headers={**asked, "Access-Control-Request-Headers": "authorization"}
        )
        assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
        assert "GET" in preflight.headers["Access-Control-Allow-Methods"]
        stream = await client.get(url, headers={**headers, "Origin": PAGE})
        assert stream.headers["Access-Control-Allow-Origin"] == PAGE
        assert "Access-Control-Allow-Credentials" not in stream.headers
        await Reader(stream).opened()
        stream.close()


async def test_too_many(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "_MOST", 1)
    await ticket_of(client)
    response = await client.post("/jmap/ticket", headers=basic())
    await problem_of(response, 429)
    assert response.headers["Retry-After"] == "60"


@pytest.mark.threat("R28")
async def test_nothing_of_it_is_logged(client: Client, capsys: Any, caplog: Any) -> None:
    """Threat R28: neither when it is good nor when it is not."""
    ticket = await ticket_of(client)
    for _ in range(2):
        (await client.get(f"{PATH}&ticket={ticket}")).close()
    printed = capsys.readouterr()
    assert "/jmap/eventsource" in printed.out + printed.err + caplog.text
    assert ticket not in printed.out + printed.err + caplog.text
