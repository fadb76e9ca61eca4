"""RFC 8621 §2: the Mailboxes of a user on servers of all kinds, as JMAP and as IMAP have them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.imap.wire import modutf7
from gateway.store.base import Store
from tests.mail.client import Client, connected
from tests.servers import cyrus_config, dovecot_config
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import MailServer, User

BELOW_INBOX = dovecot_config.Options(mail_format="maildir", prefix="INBOX.", separator=".")
SERVERS: dict[str, dovecot_config.Options | cyrus_config.Options] = {
    "dovecot": dovecot_config.Options(),
    "dovecot-maildir": dovecot_config.Options(mail_format="maildir"),
    "dovecot-below-inbox": BELOW_INBOX,
    # Names decide of roles, and ids of mailboxes are derived.
    "dovecot-plain": dovecot_config.Options(
        without=("LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE", "CONDSTORE", "QRESYNC"),
        special_use=False,
        extra="imap_id_send = name other",
    ),
    "cyrus": cyrus_config.Options(),
    "cyrus-below-inbox": cyrus_config.Options(altnamespace=False, unixhierarchysep=False),
    "cyrus-no-ids": cyrus_config.Options(without=("OBJECTID", "DIGEST=SHA1", "LIST-METADATA")),
}
every_server = pytest.mark.parametrize("server", SERVERS, indirect=True)
some_servers = pytest.mark.parametrize(
    "server", ["dovecot-below-inbox", "dovecot-plain", "cyrus"], indirect=True
)
_LIST = re.compile(rb'\((?P<attributes>[^)]*)\) "(?P<delimiter>.)" "?(?P<name>[^"]*)"?')


def servers() -> Iterator[Callable[[str], MailServer]]:
    """Give a function for the server of each name, started when it is first needed."""
    started: dict[str, MailServer] = {}
    with ExitStack() as stack:

        def named(name: str) -> MailServer:
            if name not in started:
                options = SERVERS[name]
                server = Dovecot(options) if isinstance(options, dovecot_config.Options) else None
                assert isinstance(options, cyrus_config.Options) or server
                made = server or Cyrus(options)  # type: ignore[arg-type]
                started[name] = stack.enter_context(made)
            return started[name]

        yield named


def wire(server: MailServer, path: str) -> str:
    """The name on the wire of a mailbox that is not below the inbox."""
    options = server.options  # type: ignore[attr-defined]
    name: str = options.prefix + path.replace("/", options.separator)
    return modutf7.encode(name).decode()


def on_server(server: MailServer, user: User, *, subscribed: bool = False) -> set[str]:
    """Paths of the mailboxes that IMAP lists, or of those subscribed to; without the inbox."""
    prefix = server.options.prefix  # type: ignore[attr-defined]
    with server.imap(user) as client:
        _, lines = client.lsub() if subscribed else client.list()
    found = set()
    for line in lines:
        match = _LIST.fullmatch(line) if isinstance(line, bytes) else None
        if match is None or b"\\Noselect" in match["attributes"]:
            continue
        name = modutf7.decode(match["name"]).removeprefix(prefix)
        if name != "INBOX":
            found.add(name.replace(match["delimiter"].decode(), "/"))
    return found


class Tree:
    """The Mailboxes of one account, which a client changes by path."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def ids(self) -> dict[str, str]:
        """By path."""
        return await self.client.paths()

    async def records(self) -> dict[str, dict[str, Any]]:
        """All Mailboxes by path."""
        by_id = {m["id"]: m for m in await self.client.mailboxes()}
        return {path: by_id[id_] for path, id_ in (await self.ids()).items()}

    async def roles(self) -> dict[str, str]:
        """Paths by role."""
        return {m["role"]: path for path, m in (await self.records()).items() if m["role"]}

    async def set(self, **arguments: Any) -> dict[str, Any]:
        """A Mailbox/set; what it says of the states is what /changes says."""
        before = {m["id"]: m for m in await self.client.mailboxes()}
        answer = await self.client.call("Mailbox/set", **arguments)
        told = await self.client.call("Mailbox/changes", sinceState=answer["oldState"])
        assert told["newState"] == answer["newState"]
        after = {m["id"]: m for m in await self.client.mailboxes()}
        assert set(told["created"]) == after.keys() - before.keys()
        assert set(told["destroyed"]) == before.keys() - after.keys()
        kept = before.keys() & after.keys()
        assert {id_ for id_ in kept if before[id_] != after[id_]} <= set(told["updated"])
        created = {each["id"] for each in (answer["created"] or {}).values()}
        assert created <= set(told["created"])
        assert not set(answer["destroyed"] or []) & after.keys()
        return answer

    async def create(self, **objects: dict[str, Any]) -> dict[str, str]:
        """Create Mailboxes, all of which succeed; their ids by creation id."""
        answer = await self.set(create=objects)
        assert not answer["notCreated"]
        return {creation_id: made["id"] for creation_id, made in answer["created"].items()}

    async def update(self, **changes: dict[str, Any]) -> None:
        """Change Mailboxes by id, all of which succeed as was asked."""
        answer = await self.set(update=changes)
        assert not answer["notUpdated"]
        assert answer["updated"] == dict.fromkeys(changes)

    async def destroy(self, *ids: str, **arguments: Any) -> None:
        """Destroy Mailboxes by id, all of which succeed."""
        answer = await self.set(destroy=[*ids], **arguments)
        assert not answer["notDestroyed"]
        assert set(answer["destroyed"]) == {*ids}

    async def refused(self, kind: str, key: str, change: Any, **arguments: Any) -> dict[str, Any]:
        """The SetError of the one thing that is asked for, which changes nothing."""
        before = await self.records()
        value = [key] if kind == "destroy" else {key: change}
        answer = await self.set(**{kind: value}, **arguments)
        done = {"create": "created", "update": "updated", "destroy": "destroyed"}[kind]
        assert not answer[done]
        assert answer["oldState"] == answer["newState"]
        assert await self.records() == before
        error: dict[str, Any] = answer[f"not{done.capitalize()}"][key]
        return error


async def reborn(server: MailServer, user: User, store: Store, tmp_path: Path) -> dict[str, Any]:
    """The Mailboxes as a gateway shows them that is started anew on that store."""
    async with connected(server, user, tmp_path, store) as client:
        return await Tree(client).records()
