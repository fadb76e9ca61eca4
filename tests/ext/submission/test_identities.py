"""RFC 8621 §6: Identities."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ext.submission.sending import SendingClient
from tests.mail.client import Refused

PROPERTIES = {
    *("id", "name", "email", "replyTo", "bcc", "textSignature", "htmlSignature", "mayDelete"),
}


async def _all(client: SendingClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.call("Identity/get", ids=None))["list"]
    return found


async def _create(client: SendingClient, **properties: Any) -> dict[str, Any]:
    answer = await client.call("Identity/set", create={"i": properties})
    outcome: dict[str, Any] = (answer["created"] or answer["notCreated"])["i"]
    return outcome


@pytest.mark.checklist("T01")
async def test_there_is_one_of_the_user_s_own_address(sender: SendingClient) -> None:
    (identity,) = await _all(sender)
    assert identity.keys() == PROPERTIES
    assert identity | {"id": ""} == {
        "id": "",
        "name": "",
        "email": sender.address,
        "replyTo": None,
        "bcc": None,
        "textSignature": "",
        "htmlSignature": "",
        "mayDelete": False,
    }


@pytest.mark.checklist("T01")
async def test_users_make_more_of_them(sender: SendingClient) -> None:
    created = await _create(sender, email=sender.address.upper(), name="Ann", bcc=[])
    assert created == {
        "id": created["id"],
        "mayDelete": True,
        "replyTo": None,
        "textSignature": "",
        "htmlSignature": "",
    }
    _, shown = await _all(sender)
    assert (shown["name"], shown["email"]) == ("Ann", sender.address.upper())


@pytest.mark.threat("R9")
@pytest.mark.checklist("T03")
async def test_an_address_of_somebody_else_is_refused(sender: SendingClient) -> None:
    assert (await _create(sender, email="boss@example.com"))["type"] == "forbiddenFrom"
    assert len(await _all(sender)) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("email", "nobody"),
        ("email", "a@b\r\nBcc: c@d"),
        ("email", "a b@example.org"),
        ("name", "a\r\nBcc: c@d"),
        ("name", "x" * 300),
        ("replyTo", [{"email": "nobody"}]),
        ("replyTo", [{"name": "x"}]),
        ("replyTo", [{"email": "a@b", "x": 1}]),
        ("bcc", [{"name": "a\nb", "email": "a@b"}]),
        ("bcc", [{"email": "a@b"}] * 51),
        ("textSignature", "x" * 70_000),
        ("htmlSignature", "x" * 70_000),
    ],
)
async def test_what_no_message_can_have_is_refused(
    sender: SendingClient, name: str, value: Any
) -> None:
    error = await _create(sender, **{"email": sender.address, name: value})
    assert (error["type"], error["properties"]) == ("invalidProperties", [name])
    answer = await sender.call("Identity/set", update={sender.identity: {name: value}})
    assert answer["notUpdated"][sender.identity]["properties"] == [name]


@pytest.mark.checklist("T01", "T02")
async def test_that_of_the_mail_service_can_be_changed_but_for_its_address(
    sender: SendingClient,
) -> None:
    new = {
        "name": "Ann Müller",
        "replyTo": [{"name": None, "email": "office@example.com"}],
        "textSignature": "-- \nAnn",
        "htmlSignature": "<b>Ann</b>",
    }
    answer = await sender.call("Identity/set", update={sender.identity: new})
    assert answer["updated"] == {sender.identity: None}
    (shown,) = await _all(sender)
    assert {**shown, **new} == shown
    answer = await sender.call("Identity/set", update={sender.identity: {"email": "x@example.org"}})
    assert answer["notUpdated"][sender.identity]["type"] == "invalidProperties"


@pytest.mark.checklist("T02")
async def test_that_of_the_mail_service_stays(sender: SendingClient) -> None:
    made = (await _create(sender, email=sender.address))["id"]
    answer = await sender.call("Identity/set", destroy=[sender.identity, made, "x"])
    assert answer["destroyed"] == [made]
    assert answer["notDestroyed"][sender.identity]["type"] == "forbidden"
    assert answer["notDestroyed"]["x"]["type"] == "notFound"
    assert [each["id"] for each in await _all(sender)] == [sender.identity]


@pytest.mark.checklist("T01")
async def test_changes_tell_what_came_changed_and_went(sender: SendingClient) -> None:
    state = (await sender.call("Identity/get", ids=[]))["state"]
    made = (await _create(sender, email=sender.address))["id"]
    await sender.call("Identity/set", update={sender.identity: {"name": "Ann"}})
    changes = await sender.call("Identity/changes", sinceState=state)
    assert (changes["created"], changes["updated"]) == ([made], [sender.identity])
    assert sender.account.states()["Identity"] == changes["newState"]
    await sender.call("Identity/set", destroy=[made])
    later = await sender.call("Identity/changes", sinceState=changes["newState"])
    assert (later["created"], later["updated"], later["destroyed"]) == ([], [], [made])
    for unknown in ("x", "x-y.1", changes["newState"].replace("-", "-x")):
        with pytest.raises(Refused) as caught:
            await sender.call("Identity/changes", sinceState=unknown)
        assert caught.value.type == "cannotCalculateChanges"


async def test_there_is_an_end_to_how_many_there_can_be(sender: SendingClient) -> None:
    objects = {f"i{n}": {"email": sender.address, "name": str(n)} for n in range(101)}
    answer = await sender.call("Identity/set", create=objects)
    assert len(answer["created"]) == 100
    ((_, error),) = answer["notCreated"].items()
    assert error["type"] == "overQuota"


async def test_a_message_goes_out_as_an_identity_that_was_made(sender: SendingClient) -> None:
    made = (await _create(sender, email=sender.address, name="Ann"))["id"]
    created = await sender.submit(await sender.draft(), identityId=made)
    shown = await sender.submission(created["id"])
    assert shown is not None
    assert shown["identityId"] == made
