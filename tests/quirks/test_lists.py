"""RFC 9051 §6.3.9, RFC 5258, RFC 6154: what servers make of LIST."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.imap.commands import list as list_module
from gateway.imap.commands.list import Listed, list_mailboxes, parse_list
from gateway.imap.commands.namespace import Namespaces
from gateway.imap.errors import ProtocolError
from gateway.imap.quirks import NO_LIST_RETURN
from gateway.sync.mailboxes import tree
from tests.imap.sessions import Answers, session
from tests.quirks.test_lines import untagged
from tests.servers.scripted import Peer, Received, Scripted
from tests.servers.small import Small, account_of


def listed(line: bytes) -> Listed:
    found = parse_list(untagged(line))
    assert found is not None
    return found


# --- Names -----------------------------------------------------------------------------------


@pytest.mark.quirk(8)
@pytest.mark.parametrize(
    ("name", "wire"),
    [
        (b"INBOX/Da\tOggetto\tRicevuto\t", b"INBOX/Da\tOggetto\tRicevuto\t"),
        (b"a\x01\x7f\x1bz", b"a\x01\x7f\x1bz"),
        (b"[Gmail]/a%*b", b"[Gmail]/a%*b"),
        (b"b\xc3\xa4", b"b\xc3\xa4"),
        (b'"a\\b"', b"a\\b"),
    ],
)
def test_names_that_should_be_quoted(name: bytes, wire: bytes) -> None:
    """Exchange; the name is sent back as a proper string."""
    assert listed(b'* LIST (\\HasNoChildren) "/" ' + name).wire == wire


@pytest.mark.quirk(8)
async def test_a_mailbox_with_tabs_in_its_name_is_shown(tmp_path: Path) -> None:
    """RFC 8621 §2: without control characters."""

    class Exchange(Small):
        async def list(self, peer: Peer, command: Received) -> None:
            lines = (b'* LIST () "/" INBOX', b'* LIST () "/" a\tb')
            await peer.ok(command, *lines)

        async def status(self, peer: Peer, command: Received) -> None:
            name = command.line.split(b" (")[0].removeprefix(b"STATUS ")
            await peer.ok(command, b"* STATUS %s (%s)" % (name, self.figures()))

    async with Scripted(Exchange()) as server, account_of(server, tmp_path) as account:
        data = await account.indexed()
        assert sorted(m.name for m in data.mailboxes.values()) == ["Inbox", "ab"]
        asked = {command.line for command in server.received}
    assert b'EXAMINE "a\tb"' in asked


@pytest.mark.quirk(45)
def test_attributes_delimiters_and_the_inbox_have_one_spelling() -> None:
    assert not listed(b'* LIST (\\NonExistent) "/" a').selectable
    assert listed(b"* LIST () NIL a").delimiter is None
    assert listed(b'* LIST () "" a').delimiter is None
    assert listed(b'* LIST () "\\\\" Inbox') == Listed("INBOX", b"INBOX", "\\", frozenset())
    assert listed(b'* LIST () "/" NIL').name == "NIL"
    assert listed(b'* List (\\TRASH) "/" x').attributes == {"\\trash"}
    assert listed(b'* XLIST (\\AllMail \\Starred \\Spam) "/" x').attributes == {
        "\\all",
        "\\flagged",
        "\\junk",
    }


@pytest.mark.quirk(45)
def test_a_leading_delimiter_is_no_level() -> None:
    entries = [listed(b'* LIST () "/" INBOX'), listed(b'* LIST () "/" /a/b')]
    paths = {mailbox.path for mailbox in tree(entries, Namespaces(), {}, {}).values()}
    assert paths == {("Inbox",), ("a",), ("a", "b")}


_XLIST: Answers = {
    b'LIST "" "*"': [
        b'* LIST () "/" INBOX',
        b'* LIST () "/" Vorlagen',
        b'* LIST () "/" Gesendet',
        b'* LIST () "/" Spam',
        b"OK",
    ],
    b'LSUB "" "*"': [b'* LSUB () "/" Spam', b"OK"],
    b'XLIST "" "*"': [
        b'* XLIST (\\HasNoChildren \\Inbox) "/" "Posteingang"',
        b'* XLIST (\\Noinferiors \\Templates) "/" "Vorlagen"',
        b'* XLIST (\\Noinferiors \\Sent) "/" "Gesendet"',
        b'* XLIST (\\Noinferiors \\Spam) "/" "Spam"',
        b"OK",
    ],
} | {
    b"STATUS %s (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)" % name: [b"NO no"]
    for name in (b"INBOX", b"Vorlagen", b"Gesendet", b"Spam")
}


@pytest.mark.quirk(45)
@pytest.mark.parametrize("refused", [False, True])
async def test_roles_where_only_xlist_has_them(refused: bool) -> None:
    """Zoho, whose XLIST translates the name of the inbox; Yandex."""
    answers = {**_XLIST, **({b'XLIST "" "*"': [b"BAD what?"]} if refused else {})}
    async with session(b"IMAP4rev1 XLIST", answers=answers) as (connection, received):
        connection.server_name = "zoho"
        found = {each.name: each.attributes for each in await list_mailboxes(connection)}
        assert [each.verb for each in received[:3]] == [b"LIST", b"LSUB", b"XLIST"]
    assert list(found) == ["INBOX", "Vorlagen", "Gesendet", "Spam"]
    assert "\\inbox" not in found["INBOX"]
    assert ("\\sent" in found["Gesendet"]) is not refused
    assert ("\\junk" in found["Spam"]) is not refused
    assert "\\subscribed" in found["Spam"]


@pytest.mark.quirk(45)
async def test_xlist_beside_list_extended() -> None:
    """Zoho announces LIST-EXTENDED and no SPECIAL-USE."""
    answers = {**_XLIST, b'LIST "" "*" RETURN (SUBSCRIBED CHILDREN)': _XLIST[b'LIST "" "*"']}
    async with session(b"IMAP4rev1 XLIST LIST-EXTENDED", answers=answers) as (connection, _):
        connection.server_name = "zoho"
        found = {each.name: each.attributes for each in await list_mailboxes(connection)}
    assert "\\sent" in found["Gesendet"]


@pytest.mark.quirk(45)
async def test_xlist_is_not_asked_for_beside_special_use() -> None:
    answers = {b'LIST "" "*"': [b'* LIST () "/" x', b"OK"], b'LSUB "" "*"': [b"OK"]}
    async with session(b"IMAP4rev1 XLIST SPECIAL-USE", answers=answers) as (connection, received):
        connection.server_name = "other"
        await list_mailboxes(connection)
        assert b"XLIST" not in {each.verb for each in received}


# --- RETURN ----------------------------------------------------------------------------------


@pytest.mark.quirk(44)
async def test_attributes_are_asked_for() -> None:
    """Dovecot 2.4 returns none unasked."""
    asked = b'LIST "" "*" RETURN (SUBSCRIBED CHILDREN SPECIAL-USE)'
    answers = {asked: [b'* LIST (\\Subscribed) "/" x', b"OK"]}
    announced = b"IMAP4rev1 LIST-EXTENDED SPECIAL-USE"
    async with session(announced, answers=answers) as (connection, received):
        connection.server_name = "other"
        await list_mailboxes(connection)
        assert received[0].line == asked


@pytest.mark.quirk(44)
@pytest.mark.parametrize("answer", [[b"OK nothing"], [b"BAD what?"], [b"NO not so"]])
async def test_return_is_given_up_where_it_does_not_work(answer: list[bytes]) -> None:
    """Strato, Proton Mail Bridge."""
    answers = {**_XLIST, b'LIST "" "*" RETURN (SUBSCRIBED CHILDREN)': answer}
    async with session(b"IMAP4rev1 LIST-EXTENDED", answers=answers) as (connection, _):
        connection.server_name = "strato"
        found = await list_mailboxes(connection)
        assert len(found) == 4
        assert connection.quirks == {NO_LIST_RETURN}


# --- Too much --------------------------------------------------------------------------------


@pytest.mark.quirk(54)
async def test_more_mailboxes_than_can_be_kept_are_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(list_module, "MAX_MAILBOXES", 10)
    lines = [b'* LIST () "/" %d' % number for number in range(11)]
    answers = {b'LIST "" "*"': [*lines, b"OK"], b'LSUB "" "*"': [b"OK"]}
    async with session(b"IMAP4rev1", answers=answers) as (connection, _):
        with pytest.raises(ProtocolError, match="mailboxes"):
            await list_mailboxes(connection)
