"""RFC 8621 §4.6-4.8: one write of each kind, and what it says it did to which message."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.imap.connection import Endpoint
from gateway.sasl import Credentials
from gateway.store.opening import open_store
from gateway.sync.accounts import Accounts, Settings
from tests.faults.mailboxes import octets_of
from tests.mail.client import Client
from tests.servers.mail_server import User
from tests.sync.follower import Follower
from tests.sync.letters import message_id

UNKNOWN: Final = frozenset({"serverUnavailable", "serverFail", "serverPartialFail"})
"""Error types that do not say whether something was done."""

Outcomes = dict[str, str | None]
"""By Message-ID: None when it was done, else the type of the error."""
Act = Callable[[Client, Follower, "Blobs"], Awaitable[Outcomes]]
Blobs = Callable[[int], str]
"""Gives a blob id for the octets of a letter."""


@asynccontextmanager
async def gateway(
    port: int, user: User, directory: Path, *, silence: float = 30.0, connections: int = 2
) -> AsyncIterator[Client]:
    """A client of a gateway in front of whatever listens on a port."""
    endpoint = Endpoint("127.0.0.1", port, "plain")
    store = open_store("memory://", b"x" * 32, directory)
    settings = Settings(endpoint, None, connections=connections, silence_seconds=silence)
    accounts = Accounts(settings, store)
    try:
        yield Client(await accounts.login(Credentials(user.username, user.password), "10.0.0.1"))
    finally:
        await accounts.close()


@dataclass(frozen=True, slots=True)
class Scene:
    """A write, by name."""

    name: str
    act: Act


async def _set(client: Client, follower: Follower, **arguments: Any) -> Outcomes:
    """An Email/set; letters go by their numbers."""
    names = {id_: name for name, id_ in follower.ids().items()}
    ids = {int(name.removeprefix("letter").split("@")[0]): id_ for id_, name in names.items()}
    if "update" in arguments:
        arguments["update"] = {ids[n]: patch for n, patch in arguments["update"].items()}
    if "destroy" in arguments:
        arguments["destroy"] = [ids[n] for n in arguments["destroy"]]
    ((name, answer),) = await client.request(("Email/set", arguments))
    asked = [*arguments.get("update", ()), *arguments.get("destroy", ())]
    if name == "error":
        return {names[id_]: answer["type"] for id_ in asked}
    done = [*(answer["updated"] or ()), *(answer["destroyed"] or ())]
    failed = (answer["notUpdated"] or {}) | (answer["notDestroyed"] or {})
    assert sorted([*done, *failed]) == sorted(asked)
    outcomes: Outcomes = {names[id_]: None for id_ in done}
    return outcomes | {names[id_]: error["type"] for id_, error in failed.items()}


async def _keywords(client: Client, follower: Follower, _: Blobs) -> Outcomes:
    return await _set(
        client,
        follower,
        update={
            1: {"keywords/$flagged": True, "keywords/blue": True},
            2: {"keywords": {"$answered": True}},
            3: {"keywords/$seen": True, "keywords/$work": None},
            4: {"keywords/$flagged": None, "keywords/blue": True},
        },
    )


async def _mailboxes(client: Client, follower: Follower, _: Blobs) -> Outcomes:
    paths = follower.paths()
    inbox, a, b = paths["Inbox"], paths["A"], paths["B"]
    return await _set(
        client,
        follower,
        update={
            1: {"mailboxIds": {a: True}},
            2: {"mailboxIds": {a: True, b: True}},
            3: {f"mailboxIds/{inbox}": None},
            4: {f"mailboxIds/{b}": True},
        },
    )


async def _both(client: Client, follower: Follower, _: Blobs) -> Outcomes:
    paths = follower.paths()
    inbox, a, b = paths["Inbox"], paths["A"], paths["B"]
    return await _set(
        client,
        follower,
        update={
            1: {"mailboxIds": {b: True}, "keywords/$seen": True},
            2: {f"mailboxIds/{a}": True, "keywords/$seen": None},
            6: {"mailboxIds": {inbox: True}, "keywords": {"blue": True}},
        },
    )


async def _destroy(client: Client, follower: Follower, _: Blobs) -> Outcomes:
    return await _set(client, follower, destroy=[1, 3, 4])


async def _import(client: Client, follower: Follower, blobs: Blobs) -> Outcomes:
    paths = follower.paths()
    numbers = {"one": 21, "two": 22, "three": 23}
    emails: dict[str, dict[str, Any]] = {
        "one": {"mailboxIds": {paths["Inbox"]: True}},
        "two": {
            "mailboxIds": {paths["A"]: True, paths["B"]: True},
            "keywords": {"$seen": True, "blue": True},
        },
        "three": {"mailboxIds": {paths["Inbox"]: True}, "keywords": {"$draft": True}},
    }
    # Always the same date, so that on servers that name no messages it is the same Email again.
    date = "2024-01-01T00:00:00Z"
    emails = {
        name: {**email, "blobId": blobs(numbers[name]), "receivedAt": date}
        for name, email in emails.items()
    }
    ((name, answer),) = await client.request(("Email/import", {"emails": emails}))
    names = {creation_id: message_id(number) for creation_id, number in numbers.items()}
    if name == "error":
        return {names[creation_id]: answer["type"] for creation_id in emails}
    outcomes: Outcomes = {names[creation_id]: None for creation_id in answer["created"] or ()}
    failed = answer["notCreated"] or {}
    return outcomes | {names[creation_id]: e["type"] for creation_id, e in failed.items()}


async def _create(client: Client, follower: Follower, _: Blobs) -> Outcomes:
    paths = follower.paths()
    mailboxes = {31: ("Inbox",), 32: ("A", "B")}
    names = {f"k{number}": message_id(number) for number in mailboxes}
    create = {
        f"k{number}": {
            "mailboxIds": {paths[path]: True for path in into},
            "keywords": {"$draft": True},
            "messageId": [message_id(number)],
            "subject": f"Draft {number}",
            "receivedAt": "2024-01-01T00:00:00Z",
            "textBody": [{"partId": "1", "type": "text/plain"}],
            "bodyValues": {"1": {"value": "Text"}},
        }
        for number, into in mailboxes.items()
    }
    ((name, answer),) = await client.request(("Email/set", {"create": create}))
    if name == "error":
        return {names[creation_id]: answer["type"] for creation_id in create}
    outcomes: Outcomes = {names[creation_id]: None for creation_id in answer["created"] or ()}
    failed = answer["notCreated"] or {}
    return outcomes | {names[creation_id]: e["type"] for creation_id, e in failed.items()}


SCENES: Final = {
    scene.name: scene
    for scene in (
        Scene("keywords", _keywords),
        Scene("mailboxes", _mailboxes),
        Scene("both", _both),
        Scene("destroy", _destroy),
        Scene("import", _import),
        Scene("create", _create),
    )
}

__all__ = ["SCENES", "UNKNOWN", "Blobs", "Outcomes", "Scene", "gateway", "octets_of"]
