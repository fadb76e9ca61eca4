"""WHATWG Fetch §3.2, threat R27: which web pages may use the service."""

from __future__ import annotations

import pytest

from tests.http.harness import Client, Harness, basic, server_config
from tests.http.test_authentication import ENDPOINTS

OWN = "https://jmap.example.org"
LISTED = "https://mail.example.org"

# origin, allowed with the list [LISTED]
ORIGINS = [
    (OWN, True),
    (LISTED, True),
    ("https://evil.example", False),
    ("http://mail.example.org", False),
    ("https://mail.example.org:8443", False),
    ("https://mail.example.org.evil.example", False),
    ("https://evil-mail.example.org", False),
    ("https://sub.mail.example.org", False),
    ("https://MAIL.example.org", False),  # browsers send lower case
    ("https://mail.example.org/", False),
    ("https://evil.example, https://mail.example.org", False),
    ("null", False),
    ("*", False),
]


@pytest.fixture
async def listed(harness: Harness) -> Client:
    return await harness.start(server_config(public_url=OWN, cors_origins=[LISTED]))


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_preflight_is_answered_without_credentials(
    listed: Client, method: str, path: str
) -> None:
    response = await listed.options(
        path,
        headers={
            "Origin": LISTED,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert response.status == 204
    assert response.headers["Access-Control-Allow-Origin"] == LISTED
    assert method in response.headers["Access-Control-Allow-Methods"].split(", ")
    assert response.headers["Access-Control-Allow-Headers"] == (
        "Authorization, Content-Type, Last-Event-ID"
    )
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.threat("R27")
@pytest.mark.parametrize(("origin", "allowed"), ORIGINS)
async def test_table_of_origins(listed: Client, origin: str, allowed: bool) -> None:
    for response in (
        await listed.options("/jmap/api", headers={"Origin": origin}),
        await listed.get("/jmap/session", headers={"Origin": origin, **basic()}),
        await listed.get("/jmap/session", headers={"Origin": origin}),
        await listed.get("/nowhere", headers={"Origin": origin}),
    ):
        expected = origin if allowed else None
        assert response.headers.get("Access-Control-Allow-Origin") == expected
        assert ("Access-Control-Allow-Methods" in response.headers) is (
            allowed and response.status == 204
        )
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert response.headers["Vary"] == "Origin"


async def test_own_origin_is_where_the_service_was_asked(client: Client) -> None:
    """Without a public URL; a Host that is none is no origin."""
    own = {"Origin": "http://jmap.example.org:8080", "Host": "jmap.example.org:8080"}
    response = await client.get("/jmap/session", headers=own)
    assert response.headers["Access-Control-Allow-Origin"] == own["Origin"]
    response = await client.get("/jmap/session", headers={**own, "Host": "a b"})
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.threat("R27")
async def test_every_origin_is_allowed_by_explicit_setting_only(harness: Harness) -> None:
    client = await harness.start(server_config(cors_origins=["*"]))
    for origin in ("https://evil.example", "null"):
        response = await client.get("/jmap/session", headers={"Origin": origin, **basic()})
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response.headers


async def test_preflight_of_an_unknown_path(client: Client) -> None:
    assert (await client.options("/nowhere")).status == 404
