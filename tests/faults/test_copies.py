"""RFC 8621 §4.7: the link fails while the server copies mail from one account to another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.mailboxes import world
from tests.faults.scenes import UNKNOWN
from tests.mail.client import Client, connected
from tests.servers.cutting import Cut, CuttingProxy
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.sync.hand import hand
from tests.sync.letters import message_id

_NUMBERS = (1, 2)


def _empty(server: Dovecot, owner: User) -> None:
    with server.imap(owner) as client:
        for mailbox in ("INBOX", "A"):
            if client.select(mailbox)[1] != [b"0"]:
                client.store("1:*", "+FLAGS.SILENT", "(\\Deleted)")
                client.expunge()


async def _copy(
    client: Client, others: Client, names: dict[str, str], paths: dict[str, str]
) -> dict[str, str | None]:
    """Copy mail to two mailboxes, with other keywords; by Message-ID what was told."""
    wanted = {
        "mailboxIds": {paths["Inbox"]: True, paths["A"]: True},
        "keywords": {"$flagged": True},
    }
    arguments: dict[str, Any] = {
        "fromAccountId": client.account.id,
        "accountId": others.account.id,
        "create": {id_: {"id": id_, **wanted} for id_ in names},
    }
    ((answered, answer),) = await client.request(("Email/copy", arguments))
    if answered == "error":
        return dict.fromkeys(names.values(), answer["type"])
    done: dict[str, str | None] = {names[id_]: None for id_ in answer["created"] or ()}
    failed = (answer["notCreated"] or {}).items()
    return done | {names[id_]: error["type"] for id_, error in failed}


@pytest.mark.parametrize("how", [Cut.BEFORE, Cut.AFTER, Cut.INSIDE, Cut.REFUSED])
async def test_a_copy_is_there_once_and_the_original_stays(
    how: Cut, start_dovecot: Callable[..., Dovecot], tmp_path: Path
) -> None:
    server = start_dovecot(acl=True)
    reader, owner = server.add_user(), server.add_user()
    with hand(server, owner) as writer:
        writer.create("A")
        for mailbox in ("INBOX", "A"):
            assert writer.client.setacl(mailbox, reader.username, "lrwsite")[0] == "OK"
    with hand(server, reader) as writer:
        for number in _NUMBERS:
            writer.append("INBOX", number, None, "\\Seen")
    originals = world(server, reader)
    whole = [(mailbox, frozenset({"\\flagged"})) for mailbox in ("A", "INBOX")]
    async with (
        CuttingProxy(server.imap_port) as proxy,
        connected(server, reader, tmp_path, port=proxy.port) as client,
    ):
        others = (await client.shared())[owner.username]
        client.accounts[others.account.id] = others.account
        paths = await others.paths()
        emails = await client.emails(properties=["messageId"])
        names = {email["id"]: email["messageId"][0] for email in emails}
        for at in range(40):
            _empty(server, owner)
            assert await others.query() == []
            proxy.cut(at, how)
            told = await _copy(client, others, names, paths)
            reached = proxy.is_done
            what = (at, proxy.commands[at] if reached else b"", told)
            proxy.cut(None)
            copies = world(server, owner)
            for number in _NUMBERS:
                outcome, has = told.get(message_id(number)), copies.get(message_id(number), [])
                assert has == whole if outcome is None else has in ([], whole), (*what, has)
                assert has == [] or outcome is None or outcome in UNKNOWN, (*what, has)
            assert world(server, reader) == originals, what
            assert len(await others.query()) == len(copies)
            if not reached:
                assert {*told.values()} == {None}
                return
    raise AssertionError("a copy takes more commands than that")
