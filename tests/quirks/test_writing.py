r"""RFC 4315, RFC 6851, RFC 9738: writing to servers that tell little, or do it their own way."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.imap.commands import append as append_module
from gateway.imap.commands.append import Appended, append, file_sent
from gateway.imap.commands.copy import UNTOLD, copy
from gateway.imap.commands.expunge import FlagsLost, expunge, remove
from gateway.imap.commands.move import move
from gateway.imap.commands.quota import Quota, quotas
from gateway.imap.commands.select import is_storable, select
from gateway.imap.commands.store import store
from gateway.imap.connection import Connection
from gateway.imap.errors import CommandRefused
from gateway.imap.quirks import SAVES_SENT
from gateway.imap.wire.encode import Upload
from tests.imap.sessions import session
from tests.servers.scripted import Peer, Received

MESSAGE = b"Message-ID: <1@x>\r\n\r\n.\r\n"


def upload() -> Upload:
    async def chunks() -> AsyncIterator[bytes]:
        yield MESSAGE

    return Upload(len(MESSAGE), chunks())


async def _selected(connection: Connection) -> None:
    await select(connection, b"INBOX")


# --- COPYUID and APPENDUID ----------------------------------------------------------------------


@pytest.mark.quirk(42)
@pytest.mark.parametrize(
    "answer",
    [
        [b"OK [COPYUID 9 1,3 11:12] done"],
        [b"* OK [COPYUID 9 1,3 11:12] moved", b"* 1 EXPUNGE", b"* 2 EXPUNGE", b"OK done"],
        [b"* [COPYUID 9 1,3 11:12]", b"OK done"],  # Exchange
        [b"* OK [COPYUID 9 1 11] moved", b"* OK [COPYUID 9 3 12] moved", b"OK done"],
        [b"* OK [COPYUID 9 3,1 12,11] moved", b"* 1 EXPUNGE", b"OK [HIGHESTMODSEQ 4] done"],
    ],
)
async def test_copies_are_told_of_in_many_places(answer: list[bytes]) -> None:
    line = b"UID MOVE 1,3 Archive"
    async with session(b"IMAP4rev1 MOVE UIDPLUS", answers={line: answer}) as (connection, _):
        copied = await move(connection, [3, 1], b"Archive")
        assert (copied.uidvalidity, copied.uids) == (9, {1: 11, 3: 12})


@pytest.mark.quirk(42)
@pytest.mark.parametrize(
    "code",
    [b"", b"[COPYUID 9 1,3 11] ", b"[COPYUID] ", b"[COPYUID 9 1,x 1:2] ", b"[COPYUID 0 1 1] "],
)
async def test_what_tells_of_no_copies_is_not_guessed_from(code: bytes) -> None:
    answers = {b"UID COPY 1,3 Archive": [b"OK " + code + b"done"]}
    async with session(b"IMAP4rev1 UIDPLUS", answers=answers) as (connection, _):
        assert await copy(connection, [1, 3], b"Archive") == UNTOLD


@pytest.mark.quirk(41)
@pytest.mark.parametrize(
    "answer",
    [
        [b"OK [APPENDUID 9 11] done"],
        [b"* OK [APPENDUID 9 11] here", b"OK done"],
        [b"* [APPENDUID 9 11]", b"* 4 EXISTS", b"OK done"],
    ],
)
async def test_the_uid_of_a_new_message_is_told_in_many_places(answer: list[bytes]) -> None:
    answers = {b"APPEND Sent {}": answer}
    async with session(b"IMAP4rev1 UIDPLUS LITERAL+", answers=answers) as (connection, received):
        assert await append(connection, b"Sent", upload()) == Appended(9, 11)
        assert received[0].literals == (MESSAGE,)


@pytest.mark.quirk(41)
async def test_without_uidplus_the_newest_of_that_message_id_is_it() -> None:
    answers = {
        b"STATUS Sent (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)": [
            b"* STATUS Sent (MESSAGES 3 UIDNEXT 10 UIDVALIDITY 9)",
            b"OK done",
        ],
        b"APPEND Sent {}": [b"OK done"],
        b"EXAMINE Sent": [b"* 4 EXISTS", b"* OK [UIDVALIDITY 9] ok", b"OK [READ-ONLY] done"],
        # A set that ends in * has the last message in it, whatever it begins with.
        b'UID SEARCH UID 10:* HEADER "Message-ID" "<1@x>"': [b"* SEARCH 8 11", b"OK done"],
    }
    async with session(b"IMAP4rev1 LITERAL+", answers=answers) as (connection, _):
        connection.server_name = "old"
        appended = await append(connection, b"Sent", upload(), message_id="<1@x>")
        assert appended == Appended(9, 11)
        answers[b'UID SEARCH UID 10:* HEADER "Message-ID" "<1@x>"'] = [b"* SEARCH 8", b"OK done"]
        assert await append(connection, b"Sent", upload(), message_id="<1@x>") is None


# --- Sent mail ----------------------------------------------------------------------------------


@pytest.mark.quirk(24)
async def test_what_the_server_files_itself_is_looked_for_until_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(append_module, "LOOK_SECONDS", 0.001)
    looks = 0

    async def script(peer: Peer) -> None:
        nonlocal looks
        while True:
            command = await peer.command()
            if command.verb == b"EXAMINE":
                looks += 1
                await peer.ok(command, b"* 7 EXISTS", b"* OK [UIDVALIDITY 9] ok")
            else:
                assert command.line == b'UID SEARCH UID 1:* HEADER "Message-ID" "<1@x>"'
                await peer.ok(command, b"* SEARCH" if looks < 3 else b"* SEARCH 7")

    async with session(b"IMAP4rev1 X-GM-EXT-1", script) as (connection, received):
        connection.quirks.add(SAVES_SENT)
        assert await file_sent(connection, b"Sent", upload(), "<1@x>") == Appended(9, 7)
        assert looks == 3
        looks = -100
        assert await file_sent(connection, b"Sent", upload(), "<1@x>") is None
        assert not any(each.verb == b"APPEND" for each in received), "or it would be there twice"


@pytest.mark.quirk(39, 24)
async def test_where_the_server_does_not_file_what_is_sent_it_is_appended() -> None:
    answers = {b"APPEND Sent (\\Seen) {}": [b"OK [APPENDUID 9 11] done"]}
    async with session(b"IMAP4rev1 UIDPLUS LITERAL+", answers=answers) as (connection, _):
        assert await file_sent(connection, b"Sent", upload(), "<1@x>") == Appended(9, 11)


# --- EXPUNGE without UIDPLUS --------------------------------------------------------------------


class _Mailbox:
    """Messages, and those flagged as deleted; `on_store` is what another client does meanwhile."""

    def __init__(self, deleted: set[int]) -> None:
        self.messages = {*range(1, 7)}
        self.deleted = deleted
        self.lose_at: bytes | None = None
        self.another: set[int] = set()

    async def __call__(self, peer: Peer) -> None:
        while True:
            command = await peer.command()
            words = command.line.split(b" ")
            if self.lose_at is not None and command.line.startswith(self.lose_at):
                peer.abort()
                return
            await self._answer(peer, command, words)

    async def _answer(self, peer: Peer, command: Received, words: list[bytes]) -> None:
        if words[:2] == [b"UID", b"STORE"]:
            uids = {int(uid) for part in words[2].split(b",") for uid in _span(part)}
            if words[3].startswith(b"+"):
                self.deleted |= uids & self.messages
            else:
                self.deleted -= uids
                self.deleted |= self.another
            await peer.ok(command)
        elif words[:2] == [b"UID", b"SEARCH"]:
            await peer.ok(command, b"* SEARCH " + b" ".join(b"%d" % u for u in self.deleted))
        elif words == [b"EXPUNGE"]:
            self.messages -= self.deleted
            self.deleted = set()
            await peer.ok(command)
        else:
            await peer.ok(command, b"* 6 EXISTS", code=b"[READ-WRITE] ")


def _span(part: bytes) -> range:
    first, _, last = part.partition(b":")
    return range(int(first), int(last or first) + 1)


@pytest.mark.quirk(41)
async def test_others_keep_their_flag_and_their_messages() -> None:
    mailbox = _Mailbox({5, 6})
    async with session(b"IMAP4rev1", mailbox) as (connection, _):
        await _selected(connection)
        assert await remove(connection, [1, 2])
        assert (mailbox.messages, mailbox.deleted) == ({3, 4, 5, 6}, {5, 6})


@pytest.mark.quirk(41)
async def test_nothing_is_removed_while_another_client_is_at_it() -> None:
    mailbox = _Mailbox({5, 6})
    mailbox.another = {4}
    async with session(b"IMAP4rev1", mailbox) as (connection, received):
        await _selected(connection)
        assert not await remove(connection, [1, 2])
        assert mailbox.messages == {*range(1, 7)}
        assert mailbox.deleted == {1, 2, 4, 5, 6}
        assert not any(each.line == b"EXPUNGE" for each in received)


@pytest.mark.quirk(41)
@pytest.mark.parametrize("step", [b"EXPUNGE", b"UID STORE 5:6 +FLAGS"])
async def test_messages_that_lost_their_flag_are_named(step: bytes) -> None:
    mailbox = _Mailbox({5, 6})
    mailbox.lose_at = step
    async with session(b"IMAP4rev1", mailbox) as (connection, _):
        await _selected(connection)
        with pytest.raises(FlagsLost) as lost:
            await remove(connection, [1, 2])
        assert lost.value.uids == [5, 6]
        assert {5, 6} <= mailbox.messages


@pytest.mark.quirk(42, 41)
async def test_originals_that_were_not_copied_stay() -> None:
    """Nothing is flagged before the copies are there."""
    answers = {
        b"UID COPY 1:3 Archive": [b"OK [COPYUID 9 1,3 11:12] done"],
        b"UID STORE 1,3 +FLAGS.SILENT (\\Deleted)": [b"OK done"],
        b"UID EXPUNGE 1,3": [b"OK done"],
        b"UID COPY 4 Archive": [b"NO [OVERQUOTA] full"],
    }
    async with session(b"IMAP4rev1 UIDPLUS", answers=answers) as (connection, received):
        assert (await move(connection, [1, 2, 3], b"Archive")).uids == {1: 11, 3: 12}
        with pytest.raises(CommandRefused) as refused:
            await move(connection, [4], b"Archive")
        assert refused.value.code == "OVERQUOTA"
        assert received[-1].line == b"UID COPY 4 Archive"


# --- Limits -------------------------------------------------------------------------------------


@pytest.mark.quirk(26)
async def test_what_is_too_much_at_once_is_written_in_parts() -> None:
    answers = {
        b"UID MOVE 1:8 A": [b"* OK [COPYUID 9 5:8 25:28] some", b"OK [MESSAGELIMIT 4 5] done"],
        b"UID MOVE 1:4 A": [b"OK [COPYUID 9 1:4 29:32] done"],
        b"UID COPY 1:8 A": [b"NO [MESSAGELIMIT 4 5] Too many messages to copy"],
        b"UID COPY 1:4 A": [b"OK [COPYUID 9 1:4 21:24] done"],
        b"UID COPY 5:8 A": [b"OK [COPYUID 9 5:8 25:28] done"],
        b"UID STORE 1:8 +FLAGS.SILENT (\\Seen)": [b"OK [MESSAGELIMIT 4 5] done"],
        b"UID STORE 1:4 +FLAGS.SILENT (\\Seen)": [b"OK done"],
        b"UID EXPUNGE 1:8": [b"* 5 EXPUNGE", b"OK [MESSAGELIMIT 4 5] done"],
        b"UID EXPUNGE 1:4": [b"OK done"],
    }
    async with session(b"IMAP4rev1 UIDPLUS MOVE", answers=answers) as (connection, received):
        every = range(1, 9)
        assert len((await move(connection, every, b"A")).uids or ()) == 8
        assert len((await copy(connection, every, b"A")).uids or ()) == 8
        await store(connection, every, "+FLAGS", ["\\Seen"])
        assert await expunge(connection, every)
        assert sorted(each.line for each in received) == sorted(answers)


# --- PERMANENTFLAGS -----------------------------------------------------------------------------


@pytest.mark.quirk(55)
@pytest.mark.parametrize(
    ("line", "keyword", "flagged"),
    [
        (b"* OK [PERMANENTFLAGS (\\Flagged \\*)] ok", True, True),
        (b"* OK [PERMANENTFLAGS (\\Flagged \\Seen)] ok", False, True),
        (b"* OK [PERMANENTFLAGS (\\Seen $Custom)] ok", True, False),
        (b"* OK [PERMANENTFLAGS (\\Seen $CUSTOM)] ok", True, False),
        (b"* OK [PERMANENTFLAGS ()] read only", False, False),
        (b"* FLAGS (\\Seen)", True, True),
        (b"* OK [PERMANENTFLAGS] what?", True, True),
        (b"* OK [PERMANENTFLAGS NIL] what?", True, True),
        (b"* OK [PERMANENTFLAGS \\Flagged] what?", True, True),
    ],
)
async def test_flags_that_can_be_stored(line: bytes, keyword: bool, flagged: bool) -> None:
    answers = {b"SELECT INBOX": [line, b"OK [READ-WRITE] done"]}
    async with session(b"IMAP4rev1", answers=answers) as (connection, _):
        selected = await select(connection, b"INBOX")
        assert is_storable(selected, "$custom") is keyword
        assert is_storable(selected, "\\Flagged") is flagged


# --- QUOTA --------------------------------------------------------------------------------------


@pytest.mark.quirk(58)
async def test_quota_is_asked_for_where_it_is_announced() -> None:
    async with session(b"IMAP4rev1") as (connection, received):
        assert await quotas(connection, b"INBOX") == []
        assert received == []


@pytest.mark.quirk(58)
async def test_a_refused_quota_is_none() -> None:
    answers = {b"GETQUOTAROOT INBOX": [b"NO not for you"]}
    async with session(b"IMAP4rev1 QUOTA", answers=answers) as (connection, _):
        assert await quotas(connection, b"INBOX") == []


@pytest.mark.quirk(58)
async def test_quota_of_any_size() -> None:
    answers = {
        b"GETQUOTAROOT INBOX": [
            b'* QUOTAROOT INBOX "User quota" ""',
            b'* QUOTA "User quota" (STORAGE 10 18446744073709551615 MESSAGE 4294967296 x)',
            b'* QUOTA "" (storage 9223372036854775808 9223372036854775809)',
            b"* QUOTA odd",
            b'* QUOTA "none" ()',
            b"OK done",
        ]
    }
    async with session(b"IMAP4rev1 QUOTA", answers=answers) as (connection, _):
        assert await quotas(connection, b"INBOX") == [
            Quota("User quota", "STORAGE", 10, (1 << 64) - 1),
            Quota("", "STORAGE", 1 << 63, (1 << 63) + 1),
        ]
