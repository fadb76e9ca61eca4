"""RFC 8620 §1.7, RFC 7617, RFC 9110 §11: who is let in, and what the others are told."""

from __future__ import annotations

import pytest

from gateway.imap.errors import CommandTimeout, ConnectionLost, ServerBusy
from tests.http.harness import USER, Backend, Client, Harness, basic, problem_of, server_config

ENDPOINTS = [
    ("GET", "/.well-known/jmap"),
    ("GET", "/jmap/session"),
    ("POST", "/jmap/api"),
    ("GET", "/jmap/download/aann/b1/name"),
    ("POST", "/jmap/upload/aann"),
    ("GET", "/jmap/eventsource?types=*&closeafter=no&ping=0"),
    ("POST", "/jmap/ticket"),
    ("GET", "/jmap/ws"),
]


@pytest.mark.checklist("A10", "C16")
@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_every_endpoint_wants_credentials(
    client: Client, backend: Backend, method: str, path: str
) -> None:
    response = await client.request(method, path)
    await problem_of(response, 401)
    assert response.headers["WWW-Authenticate"] == 'Basic realm="jmap-gateway", charset="UTF-8"'
    assert backend.addresses == []


@pytest.mark.threat("R15")
async def test_unknown_user_and_wrong_password_look_the_same(client: Client) -> None:
    """Threat R15: no answer tells which users there are."""
    answers = []
    for username in (USER, "nobody@example.test"):
        response = await client.get("/jmap/session", headers=basic(username, "wrong"))
        headers = {name: value for name, value in response.headers.items() if name != "Date"}
        answers.append((response.status, headers, await response.text()))
    assert answers[0] == answers[1]
    assert answers[0][0] == 401


@pytest.mark.parametrize(
    ("headers", "challenged"),
    [
        ({}, True),
        ({"Sec-Fetch-Mode": "navigate"}, True),
        ({"Sec-Fetch-Mode": "cors"}, False),
        ({"Sec-Fetch-Mode": "same-origin"}, False),
        ({"Sec-Fetch-Mode": "no-cors"}, False),
        ({"Origin": "https://mail.example.org"}, False),
        ({"Origin": "null", "Sec-Fetch-Mode": "navigate"}, False),
    ],
)
async def test_script_of_a_page_gets_no_challenge(
    client: Client, headers: dict[str, str], challenged: bool
) -> None:
    """A browser answers the challenge with a prompt of its own, and the page's login hangs."""
    response = await client.get("/jmap/session", headers=headers)
    assert response.status == 401
    assert ("WWW-Authenticate" in response.headers) is challenged


@pytest.mark.parametrize(
    "error", [ConnectionLost("refused"), CommandTimeout("LOGIN", 10), ServerBusy("LIMIT", "full")]
)
@pytest.mark.parametrize("path", ["/jmap/session", "/jmap/download/aann/b1/name"])
async def test_mail_server_that_is_down_is_no_wrong_password(
    client: Client, backend: Backend, error: Exception, path: str
) -> None:
    backend.broken = error
    response = await client.get(path, headers=basic())
    problem = await problem_of(response, 503)
    assert int(response.headers["Retry-After"]) > 0
    assert "WWW-Authenticate" not in response.headers
    assert "refused" not in str(problem)


@pytest.mark.threat("R14")
@pytest.mark.checklist("A15")
async def test_guessing_is_stopped_before_the_mail_server(client: Client, backend: Backend) -> None:
    """Threat R14; the limit of this service is 3 a minute."""
    for guess in range(3):
        response = await client.get("/jmap/session", headers=basic(USER, f"guess {guess}"))
        assert response.status == 401
    response = await client.get("/jmap/session", headers=basic(USER, "guess 3"))
    await problem_of(response, 429)
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert len(backend.addresses) == 3


@pytest.mark.threat("R14")
async def test_limit_is_per_client_not_per_proxy(harness: Harness, backend: Backend) -> None:
    client = await harness.start(server_config(trusted_proxies=["127.0.0.0/8"]))
    for guess in range(4):
        await client.get(
            "/jmap/session",
            headers={**basic(USER, f"guess {guess}"), "X-Forwarded-For": "192.0.2.7"},
        )
    response = await client.get(
        "/jmap/session", headers={**basic(), "X-Forwarded-For": "198.51.100.1"}
    )
    assert response.status == 200
    assert backend.addresses == ["192.0.2.7"] * 3 + ["198.51.100.1"]


@pytest.mark.checklist("C16")
@pytest.mark.parametrize("path", ["/", "/jmap", "/jmap/api/", "/metrics", "/healthz/live", "/%00"])
async def test_unknown_paths(client: Client, path: str) -> None:
    """Threat R32: the endpoints of operators are not on the public listener."""
    await problem_of(await client.get(path, headers=basic()), 404)
