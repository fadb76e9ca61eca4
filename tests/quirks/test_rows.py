"""RFC 9051 §7.5: which FETCH responses, and which parts of them, answer a command."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.imap.commands.fetch import Fetch, Fetched
from gateway.imap.commands.fetch_columns import FetchColumns, header_fields
from gateway.imap.errors import ProtocolError
from gateway.imap.wire import items
from gateway.imap.wire.fetchshape import Columns, Shape
from gateway.imap.wire.responses import Tagged, Text
from tests.mail.client import Client
from tests.quirks.test_lines import untagged
from tests.servers.scripted import Peer, Received, Scripted
from tests.servers.small import Letter, Small, account_of

_OK = Tagged(b"g1", "OK", Text(None, ""))
_HEADER = header_fields(["To"])
_BULK = [items.UID, items.FLAGS, items.SIZE, _HEADER]


def fetched(*lines: bytes, uids: bytes = b"5:9") -> tuple[Fetched, list[bytes]]:
    """What FETCH (FLAGS RFC822.SIZE) makes of answers, and those that it leaves as news."""
    command = Fetch(uids, [items.FLAGS, items.SIZE])
    responses = [untagged(line) for line in lines]
    news = [each.frame.octets for each in responses if not command.collect(each)]
    found = command.finish(_OK)
    return found, news + [each.frame.octets for each in command.unclaimed()]


def in_bulk(*lines: bytes, uids: bytes = b"5:9") -> tuple[Columns, list[bytes]]:
    """The same of a bulk FETCH (FLAGS RFC822.SIZE BODY[HEADER.FIELDS (TO)])."""
    command = FetchColumns(uids, _BULK, Shape(_BULK))
    responses = [untagged(line) for line in lines]
    news = [each.frame.octets for each in responses if not command.collect(each)]
    found = command.finish(_OK)
    return found, news + [each.frame.octets for each in command.unclaimed()]


def _bulk_row(uid: int, flags: bytes = b"") -> bytes:
    return b"* 1 FETCH (UID %d FLAGS (%s) RFC822.SIZE 7 %s {2}\r\n\r\n)" % (
        uid,
        flags,
        b"BODY[HEADER.FIELDS (TO)]<0>",
    )


@pytest.mark.quirk(12)
@pytest.mark.parametrize(
    "lines",
    [
        [b"* 1 FETCH (RFC822.SIZE 7 FLAGS (\\Seen) UID 5)"],
        [b"* 1 FETCH (UID 5 FLAGS (\\Seen))", b"* 1 FETCH (RFC822.SIZE 7)"],
        [b"* 1 FETCH (RFC822.SIZE 7)", b"* 1 FETCH (UID 5 FLAGS (\\Seen))"],
        [b"* 1 FETCH (RFC822.SIZE 7)", b"* 1 FETCH (FLAGS (\\Seen))", b"* 1 FETCH (UID 5)"],
        [b"* 1 FETCH (UID 5 RFC822.SIZE 7)", b"* 1 FETCH (UID 5 FLAGS (\\Seen))"],
    ],
)
def test_a_row_in_any_order_and_any_number_of_pieces(lines: list[bytes]) -> None:
    """Exchange and many others."""
    found, news = fetched(*lines)
    (row,) = found.rows
    assert (row.uid, row.size, row.flags) == (5, 7, ("\\Seen",))
    assert news == []


@pytest.mark.quirk(12, 17)
def test_pieces_are_not_put_together_over_an_expunge() -> None:
    """RFC 9051 §7.5.1: the numbers are those of other messages from then on."""
    lines = b"* 2 FETCH (UID 6 FLAGS (\\Seen))", b"* 1 EXPUNGE", b"* 2 FETCH (RFC822.SIZE 9)"
    found, news = fetched(*lines)
    (row,) = found.rows
    assert (row.uid, row.size) == (6, None)
    assert news == [b"* 1 EXPUNGE", b"* 2 FETCH (RFC822.SIZE 9)"]


@pytest.mark.quirk(17)
@pytest.mark.parametrize(
    "news", [b"* 1 FETCH (FLAGS (\\Deleted))", b"* 1 FETCH (UID 5 FLAGS (\\Deleted))"]
)
@pytest.mark.parametrize("first", [True, False])
def test_news_never_replace_an_answer(news: bytes, first: bool) -> None:
    """Gmail: news overtake the answer."""
    answer = b"* 1 FETCH (UID 5 FLAGS (\\Seen) RFC822.SIZE 7)"
    found, left = fetched(*([news, answer] if first else [answer, news]))
    (row,) = found.rows
    assert (row.flags, row.size) == (("\\Seen",), 7)
    assert left == ([] if first and b"UID" in news else [news])
    columns, left = in_bulk(*([news, _bulk_row(5)] if first else [_bulk_row(5), news]))
    assert (columns.uid, columns.flags, columns.header) == ([b"5"], [b""], [b"\r\n"])
    assert left in ([], [news])


@pytest.mark.quirk(17)
def test_news_do_not_stand_for_an_answer() -> None:
    """Nobody is told a header unasked, so a row without it is no answer."""
    columns, news = in_bulk(b"* 1 FETCH (UID 5 FLAGS (\\Seen))", b"* 2 FETCH (FLAGS ())")
    assert len(columns) == 0
    assert news == [b"* 1 FETCH (UID 5 FLAGS (\\Seen))", b"* 2 FETCH (FLAGS ())"]


@pytest.mark.quirk(62)
def test_news_of_other_messages_are_told_apart() -> None:
    other = b"* 9 FETCH (UID 77 FLAGS (\\Seen) RFC822.SIZE 1)"
    without = b"* 9 FETCH (MODSEQ (5))"
    found, news = fetched(other, without, b"* 1 FETCH (UID 5 FLAGS () RFC822.SIZE 7)")
    assert [row.uid for row in found.rows] == [5]
    assert news == [other, without]


def test_more_messages_than_were_asked_for_are_an_error() -> None:
    command = FetchColumns(b"5", _BULK, Shape(_BULK))
    rows = b"".join(_bulk_row(uid) + b"\r\n" for uid in range(1, 20_000))
    with pytest.raises(ProtocolError):
        command.take(rows)


def test_news_without_end_are_not_kept() -> None:
    command = FetchColumns(b"5", _BULK, Shape(_BULK))
    taken = sum(command.collect(untagged(b"* 1 FETCH (FLAGS ())")) for _ in range(5_000))
    assert taken == 1
    one_by_one = Fetch(b"5", [items.FLAGS, items.SIZE])
    taken = sum(one_by_one.collect(untagged(b"* 1 FETCH (FLAGS ())")) for _ in range(30_000))
    assert taken < 20_000


# --- The whole way ---------------------------------------------------------------------------


class _Chatty(Small):
    """Tells of messages that nobody asked for before each answer, and again after it."""

    chatter = b"* %d FETCH (FLAGS (\\Answered))"

    async def fetch(self, peer: Peer, command: Received) -> None:
        for number, _ in enumerate(self.letters, 1):
            await peer.send(self.chatter % number, b"* 99 FETCH (UID 4000 FLAGS (\\Deleted))")
        await super().fetch(peer, command)


class _Scattered(_Chatty):
    """Sends each item in a response of its own, the UID last."""

    def rows(self, number: int, letter: Letter, asked: bytes) -> list[bytes]:
        return [b"* %d FETCH (%s)" % (number, item) for item in reversed(self.items(letter, asked))]


@pytest.mark.quirk(12, 17, 62)
@pytest.mark.parametrize("kind", [_Chatty, _Scattered])
async def test_emails_are_what_was_answered(kind: type[Small], tmp_path: Path) -> None:
    letters = [
        Letter(uid, b"Subject: %d\r\nMessage-ID: <%d@x>\r\n\r\n.\r\n" % (uid, uid), b"\\Seen")
        for uid in (3, 4, 8)
    ]
    async with Scripted(kind(*letters)) as server, account_of(server, tmp_path) as account:
        client = Client(account)
        emails = await client.emails(properties=["subject", "keywords", "preview", "size"])
        (inbox,) = await client.mailboxes("totalEmails")
    assert {email["subject"] for email in emails} == {"3", "4", "8"}
    assert all(email["keywords"] == {"$seen": True} for email in emails)
    assert all(email["size"] == len(letters[0].octets) for email in emails)
    assert {email["preview"] for email in emails} == {"."}
    assert inbox["totalEmails"] == 3


@pytest.mark.quirk(62)
async def test_an_expunge_without_exists_is_noticed(tmp_path: Path) -> None:
    """Counts are never those of the server's news."""
    small = Small(Letter(1), Letter(2, b"Subject: b\r\nMessage-ID: <2@x>\r\n\r\n.\r\n"))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        client = Client(account)
        assert len(await client.query()) == 2
        small.letters = small.letters[1:]
        await account.recheck()
        assert len(await client.query()) == 1
        (inbox,) = await client.mailboxes("totalEmails")
        assert inbox["totalEmails"] == 1


@pytest.mark.quirk(20, 56)
async def test_keywords_are_those_that_jmap_has(tmp_path: Path) -> None:
    """RFC 8621 §4.1.1."""
    small = Small(Letter(1, flags=b'5 \\Strange \\Flagged "x" NIL $Forwarded a]b'))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        email = await Client(account).email("keywords")
    assert email["keywords"] == dict.fromkeys(["5", "$flagged", "x", "$forwarded"], True)
