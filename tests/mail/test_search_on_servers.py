"""RFC 8621 §4.4.1: searches on servers that can less, are slow, or change meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.imap.connection import Endpoint
from gateway.sasl import Credentials
from gateway.store.opening import open_store
from gateway.sync import searching, verdicts
from gateway.sync.accounts import Accounts, Settings
from tests.mail.client import Client, Refused
from tests.mail.messages import mail
from tests.servers.between import Answer, between
from tests.servers.dovecot import Dovecot, Message, User
from tests.servers.scripted import Peer, Received, Scripted

Reach = Callable[..., Awaitable[tuple[Client, Scripted]]]


@pytest.fixture
async def reach(dovecot: Dovecot, mailuser: User, tmp_path: Path) -> AsyncIterator[Reach]:
    """Give a function that starts a gateway whose way to Dovecot `answer` is in."""
    async with AsyncExitStack() as stack:

        async def reach(answer: Answer, *without: bytes) -> tuple[Client, Scripted]:
            server = await stack.enter_async_context(between(dovecot.ports.imap, answer, *without))
            endpoint = Endpoint("127.0.0.1", server.port, "plain")
            store = open_store("memory://", b"x" * 32, tmp_path)
            accounts = Accounts(Settings(endpoint, None), store)
            stack.push_async_callback(accounts.close)
            account = await accounts.login(
                Credentials(mailuser.username, mailuser.password), "10.0.0.1"
            )
            return Client(account), server

        yield reach


def is_search(command: Received) -> bool:
    """Whether it looks for words."""
    return command.line.startswith(b"UID SEARCH") and (
        b'"' in command.line or b"{}" in command.line
    )


def searches(server: Scripted) -> list[bytes]:
    """What was sent to look for words, from the UIDs on."""
    return [c.line[c.line.index(b"UID", 4) :] for c in server.received if is_search(c)]


async def passing(_peer: Peer, _command: Received) -> bool:
    """Nobody is in between."""
    return False


class Holding:
    """Holds back the searches, from the `first` one on, until it is told to go on."""

    def __init__(self, first: int = 1) -> None:
        self.reached, self.go_on, self.gone = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._left = first

    async def __call__(self, peer: Peer, command: Received) -> bool:
        if not is_search(command):
            return False
        self._left -= 1
        if self._left <= 0 and not self.go_on.is_set():
            self.reached.set()
            waiting = [asyncio.create_task(w) for w in (self.go_on.wait(), peer.gone())]
            _, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
            if not self.go_on.is_set():
                self.gone.set()
                raise ConnectionResetError
        return False


def refusing(word: bytes, answer: bytes) -> Answer:
    """Somebody who refuses searches with `word` in their line."""

    async def refuse(peer: Peer, command: Received) -> bool:
        if not is_search(command) or word not in command.line:
            return False
        await peer.send(command.tag + b" " + answer)
        return True

    return refuse


def some(dovecot: Dovecot, user: User, count: int = 3, mailbox: str = "INBOX") -> None:
    messages = [
        mail(f"{mailbox}{n}", subject=f"{mailbox} {n}", body=f"word{n} all\r\n")
        for n in range(count)
    ]
    dovecot.append_all(user, mailbox, [Message(octets) for octets in messages])


# --- what is asked, and how often ---------------------------------------------------------------


@pytest.mark.checklist("P06")
async def test_what_was_found_is_not_searched_again(
    reach: Reach, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.4: not for the next page, nor for what is in two filters."""
    some(dovecot, mailuser)
    client, server = await reach(passing)
    inbox = (await client.paths())["Inbox"]
    ids = await client.query({"body": "all"})
    assert len(ids) == 3
    asked = searches(server)
    assert asked == [b'UID 1:3 BODY "all"']
    assert await client.query({"body": "all"}, limit=1, position=1) == ids[1:2]
    assert await client.query({"body": "all", "inMailbox": inbox}) == ids
    either = {"operator": "NOT", "conditions": [{"body": "all"}]}
    assert await client.query(either) == []
    assert searches(server) == asked


async def test_only_new_mail_is_searched(reach: Reach, dovecot: Dovecot, mailuser: User) -> None:
    """RFC 8621 §4.1.1: content does not change, wherever an Email goes."""
    some(dovecot, mailuser)
    client, server = await reach(passing)
    assert len(await client.query({"body": "all"})) == 3
    dovecot.append(mailuser, "INBOX", mail(9, body="not at all"))
    dovecot.append(mailuser, "INBOX", mail(10, body="nothing"))
    before = await client.call("Email/query", filter={"body": "all"})
    assert len(before["ids"]) == 4
    assert searches(server)[1:] == [b'UID 4:5 BODY "all"']
    with dovecot.imap(mailuser) as imap:
        imap.select("INBOX")
        imap.uid("STORE", "1", "+FLAGS", "(\\Deleted)")
        imap.expunge()
        imap.uid("MOVE", "2", "Archive")
    after = await client.call("Email/query", filter={"body": "all"})
    assert len(after["ids"]) == 3
    assert after["queryState"] != before["queryState"]
    assert len(searches(server)) == 2


async def test_another_mailbox_of_that_name_is_searched(
    reach: Reach, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 9051 §2.3.1.1: a UID says nothing when UIDVALIDITY is another one."""
    dovecot.create(mailuser, "Work")
    dovecot.append(mailuser, "Work", mail(1, body="old words"))
    client, _ = await reach(passing)
    assert len(await client.query({"body": "old"})) == 1
    with dovecot.imap(mailuser) as imap:
        imap.delete("Work")
    dovecot.create(mailuser, "Work")
    dovecot.append(mailuser, "Work", mail(2, body="new words"))
    assert await client.query({"body": "old"}) == []
    assert len(await client.query({"body": "new"})) == 1


async def test_each_email_is_searched_once_and_only_where_it_matters(
    reach: Reach, dovecot: Dovecot, mailuser: User
) -> None:
    """Mailboxes that the filter leaves out are not opened, and copies are not read twice."""
    for mailbox in ("INBOX", "Archive", "Trash"):
        some(dovecot, mailuser, 3, mailbox)
    with dovecot.imap(mailuser) as imap:
        imap.select("INBOX")
        imap.uid("COPY", "1:3", "Archive")
        imap.uid("STORE", "2", "+FLAGS", "(\\Flagged)")
    client, server = await reach(passing)
    paths = await client.paths()
    trash = paths["Trash"]
    assert len(await client.query({"body": "word1", "inMailbox": trash})) == 1
    assert searches(server) == [b'UID 1:3 BODY "word1"']
    assert len(await client.query({"body": "word2", "inMailboxOtherThan": [trash]})) == 2
    assert searches(server)[1:] == [b'UID 1:6 BODY "word2"']
    flagged = {"body": "word1", "hasKeyword": "$flagged", "inMailbox": paths["Inbox"]}
    assert len(await client.query(flagged)) == 1
    assert searches(server)[2:] in ([b'UID 2 BODY "word1"'], [b'UID 5 BODY "word1"'])
    assert len(await client.query({"body": "word1"})) == 3
    assert searches(server)[3:] in (
        [b'UID 1:4,6 BODY "word1"'],
        [b'UID 1,3 BODY "word1"', b'UID 1:3 BODY "word1"'],
    )
    nowhere = {"body": "word0", "inMailbox": "Bnone"}
    assert await client.query(nowhere) == []
    assert len(searches(server)) <= 5


async def test_conditions_on_text_go_together(
    reach: Reach, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 9051 §6.4.4: one SEARCH for all of them, as long as it is not too long."""
    some(dovecot, mailuser)
    client, server = await reach(passing)
    fields = ("from", "to", "cc", "subject", "body")
    either = {"operator": "OR", "conditions": [{name: "word1 all"} for name in fields]}
    neither = {"operator": "NOT", "conditions": [{"text": "x y"}, {"body": "z"}]}
    both = {"operator": "AND", "conditions": [neither, either]}
    assert len(await client.query(both)) == 1
    one, other = searches(server)
    assert one.startswith(b'UID 1:3 OR OR (FROM "word1" FROM "all") (TO "word1" TO "all")')
    assert other == b'UID 2 OR (TEXT "x" TEXT "y") BODY "z"'
    many = [{"body": f"{n:03}" + "y" * 200} for n in range(90)]
    asked = {"operator": "OR", "conditions": [*many, {"body": "word2"}]}
    assert len(await client.query(asked)) == 1
    assert 4 < len(searches(server)[1:]) < 10
    assert max(len(line) for line in searches(server)) < 8000


async def test_requests_for_the_same_share_one_search(
    reach: Reach, dovecot: Dovecot, mailuser: User
) -> None:
    """Web mails ask twice. The second one goes on when the first one leaves."""
    some(dovecot, mailuser)
    holding = Holding()
    client, server = await reach(holding)
    await client.query()
    first, second = (asyncio.create_task(client.query({"body": "all"})) for _ in range(2))
    await holding.reached.wait()
    first.cancel()
    await holding.gone.wait()
    holding.go_on.set()
    assert len(await second) == 3
    assert len(searches(server)) == 2
    answers = await asyncio.gather(*(client.query({"body": "word1"}) for _ in range(5)))
    assert [len(ids) for ids in answers] == [1] * 5
    assert len(searches(server)) == 3


async def test_a_search_that_nobody_waits_for_ends_on_the_server(
    reach: Reach, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 9051 has no other way to stop a command than to close the connection."""
    some(dovecot, mailuser)
    holding = Holding()
    client, _ = await reach(holding)
    await client.query()
    task = asyncio.create_task(client.query({"body": "all"}))
    await holding.reached.wait()
    task.cancel()
    await holding.gone.wait()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_search_that_takes_too_long_can_be_gone_on_with(
    reach: Reach, dovecot: Dovecot, mailuser: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8620 §3.6.2: "serverUnavailable"; what was found until then is kept."""
    some(dovecot, mailuser)
    monkeypatch.setattr(searching, "DEADLINE", 0.5)
    monkeypatch.setattr(searching, "_SLICE_FIRST", 1)
    monkeypatch.setattr(searching, "_SLICE_MOST", 1)
    monkeypatch.setattr(searching, "TURN_SECONDS", 0.0)
    holding = Holding(first=3)
    client, server = await reach(holding)
    await client.query()
    with pytest.raises(Refused) as refused:
        await client.query({"body": "all"})
    assert refused.value.type == "serverUnavailable"
    await holding.gone.wait()
    holding.go_on.set()
    assert len(await client.query({"body": "all"})) == 3
    asked = [line.split()[1] for line in searches(server)]
    assert asked == [b"3", b"2", b"1", b"1"]


async def test_other_requests_come_between_the_turns_of_a_search(
    reach: Reach, dovecot: Dovecot, mailuser: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one connection left: whoever asks meanwhile waits for a turn, not for the end."""
    some(dovecot, mailuser, 4)
    monkeypatch.setattr(searching, "_SLICE_FIRST", 1)
    monkeypatch.setattr(searching, "_SLICE_MOST", 1)
    monkeypatch.setattr(searching, "TURN_SECONDS", 0.0)
    holding = Holding()
    client, server = await reach(holding)
    await client.query({"hasAttachment": True})
    ids = await client.query()
    search = asyncio.create_task(client.query({"body": "all"}))
    await holding.reached.wait()
    other = asyncio.create_task(client.emails(ids, ["preview"]))
    await asyncio.sleep(0)
    holding.go_on.set()
    assert len(await other) == len(await search) == 4
    verbs = [c.line.split()[1] for c in server.received if is_search(c) or b"FETCH" in c.line]
    assert verbs[-2:] == [b"SEARCH", b"SEARCH"]


# --- servers that can less ----------------------------------------------------------------------

_KOELN = "=?utf-8?q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?="
_PERHAPS_LATER = b"NO not supported"
_REFUSALS = (b"NO [BADCHARSET (US-ASCII)] no", b"BAD what?", _PERHAPS_LATER)


@pytest.mark.quirk(57)
@pytest.mark.checklist("P06", "P07", "P10")
@pytest.mark.parametrize("refusal", _REFUSALS)
async def test_without_utf_8_headers_are_searched_by_the_gateway(
    reach: Reach, dovecot: Dovecot, mailuser: User, refusal: bytes
) -> None:
    """RFC 9051 §6.4.4: BADCHARSET, or what servers say instead."""
    dovecot.append(
        mailuser, "INBOX", mail(1, subject=_KOELN, fields=["Cc: Zo\u00eb <z@lake.test>"])
    )
    dovecot.append(mailuser, "INBOX", mail(2, fields=["To: Zoe <z@lake.test>"]))
    client, server = await reach(refusing(b"CHARSET", refusal))
    for filter_, count in (
        ({"subject": "KÖLN grüße"}, 1),
        ({"subject": "köln nowhere"}, 0),
        ({"header": ["Subject", '"aus köln"']}, 1),
        ({"cc": "zoë"}, 1),
        ({"to": "zoë"}, 0),
        ({"operator": "OR", "conditions": [{"cc": "zoë"}, {"to": "lake.test"}]}, 2),
        ({"operator": "NOT", "conditions": [{"cc": "zoë"}, {"subject": "x köln"}]}, 1),
        ({"from": "jane", "subject": "köln"}, 1),
    ):
        assert len(await client.query(filter_)) == count, filter_
        asked = len(searches(server))
        assert len(await client.query(filter_)) == count
        if refusal != _PERHAPS_LATER:
            assert len(searches(server)) == asked
    for name in ("text", "body"):
        with pytest.raises(Refused) as refused:
            await client.query({name: "köln"})
        assert refused.value.type == "unsupportedFilter"
        assert "ASCII" in refused.value.args[0]["description"]
    assert len(await client.query({"text": "hello"})) == 2
    ascii_only = [c.line for c in server.received if is_search(c) and not c.literals]
    assert ascii_only
    assert not any(b"CHARSET" in line for line in ascii_only)


@pytest.mark.quirk(57)
@pytest.mark.checklist("P08")
async def test_without_search_of_headers_the_gateway_does_it(
    reach: Reach, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 9051 §6.4.4 HEADER, where a server does not have it."""
    dovecot.append(mailuser, "INBOX", mail(1, fields=["Bcc: x@y.test", "List-Id: <a.b>"]))
    client, _ = await reach(refusing(b"HEADER", b"BAD no such key"))
    assert len(await client.query({"header": ["bcc"]})) == 1
    assert len(await client.query({"header": ["Cc"]})) == 0
    assert len(await client.query({"header": ["Subject", "GREETING"]})) == 1
    with pytest.raises(Refused) as refused:
        await client.query({"header": ["List-Id"]})
    assert refused.value.type == "unsupportedFilter"


@pytest.mark.quirk(31, 43)
async def test_without_esearch(reach: Reach, dovecot: Dovecot, mailuser: User) -> None:
    """RFC 4731 is optional, and so are the sets that nobody needs."""
    some(dovecot, mailuser, 5)
    client, server = await reach(refusing(b"RETURN", b"BAD RETURN?"))
    assert len(await client.query({"body": "all"})) == 5
    other, plain = await reach(passing, b"ESEARCH")
    assert len(await other.query({"body": "all"})) == 5
    assert not any(b"RETURN" in c.line for c in plain.received if is_search(c))
    for asked in searches(server) + searches(plain):
        assert b"*" not in asked
        assert asked.startswith(b"UID 1:5 ")


@pytest.mark.quirk(43)
async def test_answers_with_duplicates_in_any_form(
    reach: Reach, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 4731 §3.1: SEARCH in answer to ESEARCH, twice, and with what nobody asked for."""
    some(dovecot, mailuser, 5)

    async def answer(peer: Peer, command: Received) -> bool:
        if is_search(command):
            await peer.ok(command, b"* SEARCH 4 2 2", b"* ESEARCH UID ALL 2:2,99")
            return True
        return False

    client, _ = await reach(answer)
    emails = await client.emails(await client.query({"body": "all"}), ["subject"])
    assert {email["subject"] for email in emails} == {"INBOX 1", "INBOX 3"}


@pytest.mark.quirk(57)
@pytest.mark.checklist("P03")
async def test_dates_are_exact_whatever_the_server_compares(
    reach: Reach, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.4.1: to the second; SEARCH BEFORE knows days only, and is not used."""
    start = datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC)
    for second in range(4):
        moment = start + timedelta(seconds=second)
        dovecot.append(mailuser, "INBOX", mail(second, body=f"all {second % 2}"), (), moment)
    client, server = await reach(passing)
    window = {"after": "2024-02-29T23:59:59Z", "before": "2024-03-01T00:00:01Z"}
    assert len(await client.query({"body": "all", **window})) == 2
    assert len(await client.query({"body": '"all 1"', **window})) == 1
    assert {line.split()[1] for line in searches(server)} == {b"2:3"}


async def test_new_mail_that_the_server_does_not_find_yet(
    reach: Reach, dovecot: Dovecot, mailuser: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8620 §5.5: an index of words may lag behind; queryState tells when more is found."""
    monkeypatch.setattr(verdicts, "DOUBT_SECONDS", 0.0)
    old = datetime.now(UTC) - timedelta(seconds=2 * verdicts.YOUNG_SECONDS)
    for number in range(3):
        dovecot.append(mailuser, "INBOX", mail(number, body="all"), (), old)
    for number in range(3, 6):
        dovecot.append(mailuser, "INBOX", mail(number, body="all"), (), datetime.now(UTC))
    lags = True

    async def answer(peer: Peer, command: Received) -> bool:
        if lags and is_search(command):
            await peer.ok(command, b"* SEARCH 1 2 3 4")
            return True
        return False

    client, server = await reach(answer)
    first = await client.call("Email/query", filter={"body": "all"})
    assert len(first["ids"]) == 4
    assert await client.call("Email/query", filter={"body": "all"}) == first
    lags = False
    second = await client.call("Email/query", filter={"body": "all"})
    assert len(second["ids"]) == 6
    assert second["queryState"] != first["queryState"]
    assert await client.call("Email/query", filter={"body": "all"}) == second
    assert searches(server) == [b'UID 1:6 BODY "all"'] + 2 * [b'UID 5:6 BODY "all"']


# --- what happens meanwhile ---------------------------------------------------------------------


async def test_a_mailbox_that_vanishes_is_passed_over(
    reach: Reach, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 9051 §6.3.5: another client deletes it; what is left is searched."""
    dovecot.create(mailuser, "Work")
    some(dovecot, mailuser, 4, "Work")
    some(dovecot, mailuser, 3)
    deleted = False

    async def answer(peer: Peer, command: Received) -> bool:
        nonlocal deleted
        if not is_search(command) or deleted:
            return False
        deleted = True
        with dovecot.imap(mailuser) as imap:
            imap.delete("Work")
        await peer.send(command.tag + b" NO it is not there")
        return True

    client, _ = await reach(answer)
    await client.query()
    assert len(await client.query({"body": "all"})) == 3
    assert deleted


async def test_mail_that_moves_while_it_is_searched_is_found(
    reach: Reach, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 9051 §6.4.8: what is not in the result because it is gone is looked for where it is."""
    some(dovecot, mailuser, 4)
    moved = False

    async def answer(_peer: Peer, command: Received) -> bool:
        nonlocal moved
        if is_search(command) and not moved:
            moved = True
            with dovecot.imap(mailuser) as imap:
                imap.select("INBOX")
                imap.uid("MOVE", "2:3", "Archive")
            dovecot.append(mailuser, "INBOX", mail(9, body="all"))
        return False

    client, _ = await reach(answer)
    await client.query()
    assert len(await client.query({"body": "all"})) == 5
    assert len(await client.query({"body": "all"})) == 5


async def test_a_server_that_has_no_time_is_not_taken_to_refuse(
    reach: Reach, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 5530 UNAVAILABLE: the next request is asked again."""
    some(dovecot, mailuser)
    refusals = 1

    async def answer(peer: Peer, command: Received) -> bool:
        nonlocal refusals
        if not is_search(command) or not refusals:
            return False
        await peer.send(command.tag + b" NO [UNAVAILABLE] later")
        refusals -= b"RETURN" not in command.line
        return True

    client, _ = await reach(answer)
    with pytest.raises(Refused) as refused:
        await client.query({"body": "all"})
    assert refused.value.type == "serverUnavailable"
    assert len(await client.query({"body": "all"})) == 3


async def test_a_lost_connection_is_made_again_once(
    reach: Reach, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 9051 §5.4: an idle connection may be dead."""
    some(dovecot, mailuser)
    lost = False

    async def answer(peer: Peer, command: Received) -> bool:
        nonlocal lost
        if is_search(command) and not lost:
            lost = True
            peer.abort()
        return False

    client, _ = await reach(answer)
    assert len(await client.query({"body": "all"})) == 3
    assert lost


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.checklist("P08", "H02", "P12")
@pytest.mark.parametrize(
    ("filter_", "error"),
    [
        ({"header": []}, "invalidArguments"),
        ({"header": ["a", "b", "c"]}, "invalidArguments"),
        ({"header": "Subject"}, "invalidArguments"),
        ({"header": ["no name"]}, "invalidArguments"),
        ({"header": ["name:"]}, "invalidArguments"),
        ({"header": [""]}, "invalidArguments"),
        ({"header": ["Zo\u00eb"]}, "invalidArguments"),
        ({"header": ["Subject", None]}, "invalidArguments"),
        ({"text": None}, "invalidArguments"),
        ({"body": ["a"]}, "invalidArguments"),
        ({"text": "x" * 5000}, "unsupportedFilter"),
        ({"text": " ".join(map(str, range(300)))}, "unsupportedFilter"),
    ],
)
async def test_what_is_not_searched_for(
    client: Client, filter_: dict[str, Any], error: str
) -> None:
    """RFC 8621 §4.4.1, RFC 8620 §5.5."""
    with pytest.raises(Refused) as refused:
        await client.query(filter_)
    assert refused.value.type == error
