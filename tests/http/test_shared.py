"""RFC 8620 §1.6.2, §2: accounts that others share with a user, and who may not get at them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.harness import (
    CORE,
    MAIL,
    OTHER,
    USER,
    Client,
    FakeBlob,
    FakeShare,
    Harness,
    basic,
    call,
)

SHARED = {"sbob": FakeShare(OTHER), "scarol": FakeShare("carol", is_read_only=True)}


@pytest.fixture(autouse=True)
def _shares(harness: Harness) -> None:
    harness.backend.shares[USER] = dict(SHARED)


async def session_of(client: Client, username: str = USER) -> dict[str, Any]:
    response = await client.get("/jmap/session", headers=basic(username))
    assert response.status == 200
    session: dict[str, Any] = await response.json()
    return session


async def asked(client: Client, **arguments: Any) -> list[Any]:
    """The answer to a call with these arguments."""
    response = await call(client, ["Test/account", arguments, "0"])
    answer: list[Any] = (await response.json())["methodResponses"][0]
    return answer


@pytest.mark.checklist("B04", "B05", "B06")
async def test_session_has_what_others_share(client: Client, harness: Harness) -> None:
    """RFC 8620 §2: none of it is personal or primary, and nothing is opened for it."""
    session = await session_of(client)
    assert {
        id: (account["name"], account["isPersonal"], account["isReadOnly"])
        for id, account in session["accounts"].items()
    } == {
        "aann": (USER, True, False),
        "sbob": (OTHER, False, False),
        "scarol": ("carol", False, True),
    }
    assert all(MAIL in each["accountCapabilities"] for each in session["accounts"].values())
    assert session["primaryAccounts"] == {MAIL: "aann"}
    assert harness.backend.opened == []


@pytest.mark.checklist("B07")
async def test_session_state_changes_with_what_is_shared(client: Client, harness: Harness) -> None:
    """RFC 8620 §2, §3.4: and each response of the API has it."""
    before = (await session_of(client))["state"]
    echoed = await (await call(client, ["Core/echo", {}, "0"])).json()
    assert echoed["sessionState"] == before
    harness.backend.shares[USER].pop("scarol")
    echoed = await (await call(client, ["Core/echo", {}, "0"])).json()
    assert echoed["sessionState"] == (await session_of(client))["state"] != before


async def test_only_accounts_that_are_named_are_opened(client: Client, harness: Harness) -> None:
    """RFC 8620 §3.6.1, §5.4."""
    assert (await asked(client, accountId="sbob"))[1] == {"owner": OTHER}
    assert harness.backend.opened == ["sbob"]
    await asked(client, accountId="aann", fromAccountId="scarol")
    assert harness.backend.opened == ["sbob", "scarol"]
    await asked(client, accountId={"no": "id"})
    assert harness.backend.opened == ["sbob", "scarol"]


async def test_an_account_may_be_named_by_a_reference(client: Client) -> None:
    """RFC 8620 §3.7"""
    reference = {"resultOf": "0", "name": "Core/echo", "path": "/id"}
    response = await call(
        client,
        ["Core/echo", {"id": "sbob"}, "0"],
        ["Test/account", {"#accountId": reference}, "1"],
        using=[CORE, MAIL],
    )
    assert (await response.json())["methodResponses"][1][1] == {"owner": OTHER}


@pytest.mark.checklist("C22")
async def test_what_is_not_shared_with_a_user_is_not_there(
    client: Client, harness: Harness
) -> None:
    """RFC 8620 §3.6.2: an account of another user, whatever it is called, is unknown."""
    harness.backend.shares[OTHER] = {"sdora": FakeShare("dora")}
    for account_id in ("abob", "sdora", "nobody"):
        name, arguments, _ = await asked(client, accountId=account_id)
        assert (name, arguments["type"]) == ("error", "accountNotFound")


@pytest.mark.checklist("J09")
@pytest.mark.parametrize(("account_id", "status"), [("sbob", 200), ("abob", 404), ("sdora", 404)])
async def test_blobs_are_had_from_accounts_of_the_user_alone(
    client: Client, harness: Harness, account_id: str, status: int
) -> None:
    """RFC 8620 §6.2"""
    harness.backend.shares[OTHER] = {"sdora": FakeShare("dora")}
    harness.backend.blobs[account_id, "m1"] = FakeBlob([b"mail"], 4)
    response = await client.get(f"/jmap/download/{account_id}/m1/x", headers=basic())
    assert response.status == status
