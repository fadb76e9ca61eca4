"""RFC 9051 §6 and extensions: what each command sends, and what it falls back on."""

from __future__ import annotations

import pytest

from gateway.imap.commands.examine import Examine
from gateway.imap.commands.list import Listed, list_mailboxes
from gateway.imap.commands.namespace import Namespace, Namespaces, namespaces
from gateway.imap.commands.rights import my_rights
from gateway.imap.commands.search import uid_search, uid_sort
from gateway.imap.commands.status import Status, status_of
from gateway.imap.errors import CommandRefused, MailboxUnavailable, ProtocolError
from gateway.imap.quirks import NO_ESEARCH, NO_LIST_RETURN, NO_SORT_PARTIAL, NO_X_GUID
from gateway.imap.wire import criteria
from tests.imap.sessions import Answers, session


def _status_items(mailbox_id: str = "") -> bytes:
    return b"(MESSAGES UNSEEN UIDNEXT UIDVALIDITY HIGHESTMODSEQ%s)" % mailbox_id.encode()


# --- LIST ------------------------------------------------------------------------------------

_LIST_X_GUID = b'LIST "" "*" RETURN (SUBSCRIBED CHILDREN SPECIAL-USE STATUS %s)' % _status_items(
    " X-GUID"
)
_MODERN = b"IMAP4rev1 LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE"


async def test_list_is_one_round_trip_where_the_server_can() -> None:
    answers: Answers = {
        _LIST_X_GUID: [
            b'* LIST (\\HasNoChildren \\Subscribed \\Marked) "/" inbox',
            b"* STATUS inbox (MESSAGES 5 UNSEEN 1 UIDNEXT 9 UIDVALIDITY 3 HIGHESTMODSEQ 7"
            b" X-GUID ab)",
            b'* LIST (\\Sent) "/" Sent',
            b"* STATUS Sent (MESSAGES 0 )",
            b'* LIST (\\NonExistent) "/" "ol&AOQ-"',
            b'* LIST () NIL "a\\"b"',
            b'* LIST () "/" NIL',
            b'* LIST (\\Noselect) "/" ""',
            b"OK",
        ]
    }
    async with session(_MODERN, answers=answers) as (connection, received):
        listed = await list_mailboxes(connection)
    assert listed == [
        Listed(
            "INBOX",
            b"INBOX",
            "/",
            frozenset({"\\hasnochildren", "\\subscribed", "\\marked"}),
            Status(5, 1, 9, 3, 7, "ab"),
        ),
        Listed("Sent", b"Sent", "/", frozenset({"\\sent"}), Status(messages=0)),
        Listed("olä", b"ol&AOQ-", "/", frozenset({"\\nonexistent", "\\noselect"})),
        Listed('a"b', b'a"b', None, frozenset()),
        Listed("NIL", b"NIL", "/", frozenset()),
    ]
    assert len(received) == 1


async def test_x_guid_is_not_asked_for_again_where_it_is_refused() -> None:
    plain = _LIST_X_GUID.replace(b" X-GUID", b"")
    answers: Answers = {plain: [b'* LIST () "/" INBOX', b"* STATUS INBOX (MESSAGES 1)", b"OK"]}
    async with session(_MODERN, answers=answers) as (connection, received):
        for _ in range(2):
            (inbox,) = await list_mailboxes(connection)
            assert inbox.status == Status(messages=1)
        assert [each.line for each in received] == [_LIST_X_GUID, plain, plain]
        assert connection.quirks == {NO_X_GUID}


async def test_mailboxid_is_asked_for_where_there_are_object_ids() -> None:
    asked = _LIST_X_GUID.replace(b"X-GUID", b"MAILBOXID")
    answers: Answers = {
        asked: [b'* LIST () "/" a', b"* STATUS a (MAILBOXID (F1) HIGHESTMODSEQ x)", b"OK"]
    }
    async with session(_MODERN + b" OBJECTID", answers=answers) as (connection, _):
        (listed,) = await list_mailboxes(connection)
    assert listed.status == Status(mailbox_id="F1")


_PLAIN_LIST: Answers = {
    b'LIST "" "*"': [
        b'* LIST () "." INBOX',
        b'* LIST (\\Noselect) "." b',
        b'* LIST () "." c',
        b"OK",
    ],
    b'LSUB "" "*"': [b'* LSUB () "." c', b'* LSUB (\\Noselect) "." INBOX', b"OK"],
    b"STATUS INBOX (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)": [b"* STATUS INBOX (MESSAGES 4)", b"OK"],
    b"STATUS c (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)": [b"NO [NOPERM] not for you"],
}


def _is_the_plain_list(listed: list[Listed]) -> bool:
    return listed == [
        Listed("INBOX", b"INBOX", ".", frozenset(), Status(messages=4)),
        Listed("b", b"b", ".", frozenset({"\\noselect"})),
        Listed("c", b"c", ".", frozenset({"\\subscribed"})),
    ]


async def test_list_on_an_old_server() -> None:
    async with session(b"IMAP4rev1", answers=_PLAIN_LIST) as (connection, received):
        connection.server_name = "courier"
        assert _is_the_plain_list(await list_mailboxes(connection))
        assert [each.verb for each in received] == [b"LIST", b"LSUB", b"STATUS", b"STATUS"]


async def test_list_on_an_old_server_that_does_not_tell_its_name() -> None:
    async with session(b"IMAP4rev1", answers=_PLAIN_LIST) as (connection, received):
        assert _is_the_plain_list(await list_mailboxes(connection))
        assert connection.quirks == {NO_X_GUID}
        assert len(received) == 5


@pytest.mark.parametrize("answer", [[b"OK nothing"], [b"BAD what?"], [b"NO not so"]])
async def test_list_where_return_is_announced_and_does_not_work(answer: list[bytes]) -> None:
    """Strato, Proton Mail Bridge."""
    answers = {**_PLAIN_LIST, b'LIST "" "*" RETURN (SUBSCRIBED CHILDREN)': answer}
    async with session(b"IMAP4rev1 LIST-EXTENDED", answers=answers) as (connection, received):
        connection.server_name = "strato"
        assert _is_the_plain_list(await list_mailboxes(connection))
        assert connection.quirks == {NO_LIST_RETURN}
        before = len(received)
        assert _is_the_plain_list(await list_mailboxes(connection))
        assert len(received) == before + 4


async def test_list_without_lsub() -> None:
    answers = {**_PLAIN_LIST, b'LSUB "" "*"': [b"BAD no such command"]}
    async with session(b"IMAP4rev1", answers=answers) as (connection, _):
        connection.server_name = "exchange"
        listed = await list_mailboxes(connection)
    assert [each.attributes for each in listed] == [set(), {"\\noselect"}, set()]


async def test_a_list_that_is_refused_is_an_error() -> None:
    async with session(b"IMAP4rev1") as (connection, _):
        with pytest.raises(CommandRefused):
            await list_mailboxes(connection)


async def test_status_of_one_mailbox() -> None:
    async with session(b"IMAP4rev1", answers=_PLAIN_LIST) as (connection, _):
        connection.server_name = "courier"
        assert await status_of(connection, b"INBOX") == Status(messages=4)
        assert await status_of(connection, b"c") is None
        with pytest.raises(CommandRefused):
            await status_of(connection, b"d")


# --- NAMESPACE, MYRIGHTS ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            b'* NAMESPACE (("INBOX." ".")) (("user." ".") ("o&AOQ-/" NIL "X" ("Y"))) NIL',
            Namespaces(
                (Namespace("INBOX.", "."),),
                (Namespace("user.", "."), Namespace("oä/", None)),
            ),
        ),
        (
            b'* NAMESPACE NIL NIL (("" "/"))',
            Namespaces(shared=(Namespace("", "/"),)),
        ),
        (b"* NAMESPACE", Namespaces()),
    ],
)
async def test_namespaces(line: bytes, expected: Namespaces) -> None:
    answers: Answers = {b"NAMESPACE": [line, b"OK"]}
    async with session(b"IMAP4rev1 NAMESPACE", answers=answers) as (connection, _):
        assert await namespaces(connection) == expected


@pytest.mark.parametrize("capabilities", [b"IMAP4rev1", b"IMAP4rev1 NAMESPACE"])
async def test_without_namespaces_all_is_personal(capabilities: bytes) -> None:
    async with session(capabilities) as (connection, _):
        assert await namespaces(connection) == Namespaces()


async def test_rights_come_in_one_round_trip() -> None:
    answers: Answers = {
        b"MYRIGHTS INBOX": [b"* MYRIGHTS inbox lrs", b"OK"],
        b'MYRIGHTS "a b"': [b'* MYRIGHTS "a b" lr', b"OK"],
        b"MYRIGHTS c": [b"OK nothing"],
    }
    async with session(b"IMAP4rev1 ACL", answers=answers) as (connection, _):
        rights = await my_rights(connection, [b"INBOX", b"a b", b"c", b"d"])
    assert rights == {b"INBOX": "lrs", b"a b": "lr"}


async def test_without_acl_no_rights_are_asked_for() -> None:
    async with session(b"IMAP4rev1") as (connection, received):
        assert await my_rights(connection, [b"INBOX"]) == {}
        assert received == []


# --- SEARCH, SORT ----------------------------------------------------------------------------

_SEARCHES: dict[str, tuple[bytes, list[bytes], list[int]]] = {
    "ESEARCH": (b"ESEARCH", [b'* ESEARCH (TAG "{tag}") UID ALL 5:7,2', b"OK"], [2, 5, 6, 7]),
    "ESEARCH with duplicates": (b"ESEARCH", [b"* ESEARCH UID ALL 5:6,2,6:5", b"OK"], [2, 5, 6]),
    "both": (b"ESEARCH", [b"* SEARCH 4 2", b"* ESEARCH UID ALL 2:3", b"OK"], [2, 3, 4]),
    "ESEARCH of nothing": (b"ESEARCH", [b'* ESEARCH (TAG "{tag}") UID', b"OK"], []),
    "SEARCH in answer to ESEARCH": (b"ESEARCH", [b"* SEARCH 9 3 3 ", b"OK"], [3, 9]),
    "SEARCH": (b"", [b"* SEARCH 9 3 (MODSEQ 917)", b"OK"], [3, 9]),
    "SEARCH of nothing": (b"", [b"* SEARCH", b"OK"], []),
    "no answer": (b"", [b"OK"], []),
    "ESEARCH in answer to SEARCH": (b"", [b'* ESEARCH (TAG "{tag}") UID ALL 4', b"OK"], [4]),
    "another command's": (b"", [b'* ESEARCH (TAG "zz") UID ALL 4', b"* SEARCH 1", b"OK"], [1]),
}


@pytest.mark.quirk(43)
@pytest.mark.parametrize(
    ("capability", "answer", "expected"), _SEARCHES.values(), ids=_SEARCHES.keys()
)
async def test_search_takes_every_form_of_answer(
    capability: bytes, answer: list[bytes], expected: list[int]
) -> None:
    answers = {b"UID SEARCH RETURN (ALL) ALL": answer, b"UID SEARCH ALL": answer}
    async with session(b"IMAP4rev1 " + capability, answers=answers) as (connection, received):
        assert await uid_search(connection, criteria.ALL) == expected
        assert (b"RETURN" in received[0].line) is bool(capability)


async def test_esearch_is_not_tried_again_where_it_is_refused() -> None:
    answers: Answers = {b"UID SEARCH ALL": [b"* SEARCH 1", b"OK"]}
    async with session(b"IMAP4rev1 ESEARCH", answers=answers) as (connection, received):
        assert await uid_search(connection, criteria.ALL) == [1]
        assert await uid_search(connection, criteria.ALL) == [1]
        assert connection.quirks == {NO_ESEARCH}
        assert len(received) == 3


@pytest.mark.quirk(31)
async def test_where_all_is_refused_every_number_is_asked_for() -> None:
    answers: Answers = {
        b"UID SEARCH RETURN (ALL) ALL": [b"BAD no ALL"],
        b"UID SEARCH ALL": [b"BAD no ALL"],
        b"UID SEARCH RETURN (ALL) 1:*": [b"BAD no RETURN"],
        b"UID SEARCH 1:*": [b"* SEARCH 2 1", b"OK"],
    }
    async with session(b"IMAP4rev1 ESEARCH", answers=answers) as (connection, received):
        assert await uid_search(connection, criteria.ALL) == [1, 2]
        assert received[-1].line == b"UID SEARCH 1:*"


async def test_a_refused_search_is_told() -> None:
    subject = b'UID SEARCH RETURN (ALL) SUBJECT "x"'
    answers: Answers = {subject: [b"NO [BADCHARSET] no"]}
    async with session(b"IMAP4rev1 ESEARCH", answers=answers) as (connection, received):
        with pytest.raises(CommandRefused) as refused:
            await uid_search(connection, criteria.text("SUBJECT", "x"))
        assert refused.value.code == "BADCHARSET"
        assert len(received) == 1


async def test_a_mailbox_that_can_not_be_opened_is_told_and_not_searched_twice() -> None:
    answers: Answers = {
        b"EXAMINE gone": [b"NO [NONEXISTENT] no such mailbox"],
        b"UID SEARCH ALL": [b"BAD no mailbox"],
    }
    async with session(b"IMAP4rev1", answers=answers) as (connection, received):
        with pytest.raises(MailboxUnavailable):
            await uid_search(connection, criteria.ALL, Examine(b"gone"))
        assert [command.verb for command in received] == [b"EXAMINE", b"UID"]


async def test_a_search_result_of_billions_is_a_protocol_error() -> None:
    answers: Answers = {b"UID SEARCH RETURN (ALL) ALL": [b"* ESEARCH UID ALL 1:4294967295", b"OK"]}
    async with session(b"IMAP4rev1 ESEARCH", answers=answers) as (connection, _):
        with pytest.raises(ProtocolError):
            await uid_search(connection, criteria.ALL)


_PARTIAL = b"UID SORT RETURN (PARTIAL 1:3) (REVERSE DATE) UTF-8 ALL"
_SORT = b"UID SORT (REVERSE DATE) UTF-8 ALL"


async def test_sort_asks_for_a_window_where_it_can() -> None:
    answers: Answers = {
        _PARTIAL: [b'* ESEARCH (TAG "{tag}") UID PARTIAL (1:3 6:7,5)', b"OK"],
        _SORT: [b"* SORT 6 7 5 1", b"OK"],
    }
    capabilities = b"IMAP4rev1 SORT ESORT CONTEXT=SEARCH"
    async with session(capabilities, answers=answers) as (connection, received):
        keys = ("REVERSE", "DATE")
        assert await uid_sort(connection, keys, criteria.ALL, 3) == [6, 7, 5]
        assert await uid_sort(connection, keys, criteria.ALL) == [6, 7, 5, 1]
        assert [each.line for each in received] == [_PARTIAL, _SORT]


@pytest.mark.parametrize("answer", [b'* ESEARCH (TAG "{tag}") UID PARTIAL (1:3 NIL)', b"* SORT"])
async def test_sort_of_nothing(answer: bytes) -> None:
    async with session(
        b"IMAP4rev1 SORT ESORT CONTEXT=SORT", answers={_PARTIAL: [answer, b"OK"]}
    ) as (connection, _):
        assert await uid_sort(connection, ("REVERSE", "DATE"), criteria.ALL, 3) == []


async def test_sort_where_the_window_is_refused() -> None:
    answers: Answers = {_SORT: [b"* SORT 6 7 5 1", b"OK"]}
    capabilities = b"IMAP4rev1 SORT ESORT CONTEXT=SEARCH"
    async with session(capabilities, answers=answers) as (connection, received):
        for _ in range(2):
            keys = ("REVERSE", "DATE")
            assert await uid_sort(connection, keys, criteria.ALL, 3) == [6, 7, 5]
        assert connection.quirks == {NO_SORT_PARTIAL}
        assert len(received) == 3
