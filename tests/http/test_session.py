"""RFC 8620 §2: the Session resource."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.jmap.call import WEBSOCKET
from tests.http.harness import (
    CORE,
    MAIL,
    OTHER,
    USER,
    Client,
    Harness,
    basic,
    call,
    problem_of,
    server_config,
)

PATHS = ("/.well-known/jmap", "/jmap/session")


async def session_of(client: Client, **headers: str) -> dict[str, Any]:
    response = await client.get("/jmap/session", headers={**basic(), **headers})
    assert response.status == 200
    session: dict[str, Any] = await response.json()
    return session


@pytest.mark.checklist("B01", "B12", "A14")
@pytest.mark.parametrize("path", PATHS)
async def test_get_answers_at_the_url_itself(client: Client, path: str) -> None:
    response = await client.get(path, headers=basic(), allow_redirects=False)
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-cache, no-store, must-revalidate"
    assert (await response.json())["username"] == USER


@pytest.mark.checklist("B04", "B07")
async def test_session_has_the_users_own_account(client: Client) -> None:
    session = await session_of(client)
    assert session["accounts"] == {
        "aann": {
            "name": USER,
            "isPersonal": True,
            "isReadOnly": False,
            "accountCapabilities": {MAIL: {"maxMailboxDepth": None}},
        }
    }
    assert session["primaryAccounts"] == {MAIL: "aann"}


async def test_only_what_works_is_advertised(client: Client) -> None:
    assert set((await session_of(client))["capabilities"]) == {CORE, WEBSOCKET, MAIL}


@pytest.mark.checklist("B08", "B09", "B10")
async def test_urls_are_absolute_templates_with_all_variables(client: Client) -> None:
    """Clients throw when a template lacks a variable, even of an endpoint they never use."""
    session = await session_of(client)
    base = str(client.make_url("")).rstrip("/")
    assert session["apiUrl"] == f"{base}/jmap/api"
    assert session["downloadUrl"] == (
        f"{base}/jmap/download/{{accountId}}/{{blobId}}/{{name}}?type={{type}}"
    )
    assert session["uploadUrl"] == f"{base}/jmap/upload/{{accountId}}"
    assert session["eventSourceUrl"] == (
        f"{base}/jmap/eventsource?types={{types}}&closeafter={{closeafter}}&ping={{ping}}"
    )


async def test_public_url_decides_over_the_host_header(harness: Harness) -> None:
    client = await harness.start(server_config(public_url="https://mail.example.org/x"))
    session = await session_of(client, Host="evil.example")
    assert session["apiUrl"] == "https://mail.example.org/x/jmap/api"


async def test_scheme_is_believed_from_a_trusted_proxy_only(harness: Harness) -> None:
    told = {"Host": "mail.example.org", "X-Forwarded-Proto": "https"}
    plain = await harness.start()
    assert (await session_of(plain, **told))["apiUrl"] == "http://mail.example.org/jmap/api"
    behind = await harness.start(server_config(trusted_proxies=["127.0.0.0/8"]))
    assert (await session_of(behind, **told))["apiUrl"] == "https://mail.example.org/jmap/api"
    told["X-Forwarded-Proto"] = "javascript"
    assert (await session_of(behind, **told))["apiUrl"] == "http://mail.example.org/jmap/api"


@pytest.mark.parametrize("host", ["evil.example/", "a b", 'x"', "user@evil.example", "a:b"])
async def test_host_that_is_none_makes_no_urls(client: Client, host: str) -> None:
    response = await client.get("/jmap/session", headers={**basic(), "Host": host})
    await problem_of(response, 400)


@pytest.mark.checklist("C07", "B11")
async def test_api_answers_with_the_state_of_the_session(client: Client) -> None:
    session = await session_of(client)
    response = await call(client, ["Core/echo", {}, "0"])
    assert (await response.json())["sessionState"] == session["state"]
    other = await client.get("/jmap/session", headers=basic(OTHER))
    assert (await other.json())["state"] != session["state"]


async def test_head_has_no_body(client: Client) -> None:
    response = await client.head("/jmap/session", headers=basic())
    assert response.status == 200
    assert await response.read() == b""
