"""RFC 9051 §7: recorded answers of 19 kinds of servers, read as the commands read them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.imap.command import Command
from gateway.imap.commands.capability import Capability
from gateway.imap.commands.enable import Enable
from gateway.imap.commands.examine import Examine, Selected
from gateway.imap.commands.fetch import Fetch, Fetched
from gateway.imap.commands.fetch_changes import FetchChanges, FlagChanges
from gateway.imap.commands.id import Id
from gateway.imap.commands.list import List, Listed
from gateway.imap.commands.namespace import Namespace, NamespaceCommand
from gateway.imap.commands.rights import MyRights
from gateway.imap.commands.search import Search, Sort
from gateway.imap.commands.status import Status, StatusOf, parse_status
from gateway.imap.errors import CommandRefused, ProtocolError
from gateway.imap.wire import criteria, encode, items, responses, tokens
from gateway.imap.wire.capability import Capabilities
from gateway.imap.wire.encode import MAX_UID
from gateway.imap.wire.fetchrow import fetch_items
from gateway.imap.wire.items import Item
from gateway.imap.wire.responses import Text
from gateway.mime.structure import Part, from_bodystructure, plausible
from tests.imap import transcripts
from tests.imap.transcripts import Transcript, transcript

EVERY = transcripts.transcripts()


def play(command: Command[Any], played: Transcript) -> Any:
    """What a command makes of a transcript, also of one in which the server refuses it."""
    command.tag = transcripts.TAG
    for response in played.untagged():
        command.collect(response)
    try:
        return command.finish(played.tagged())
    except CommandRefused as refused:
        return refused


def of(*starts: bytes) -> list[Any]:
    """The transcripts with a line that starts in one of these ways, as parameters."""
    found = [each for each in EVERY if any(each.count(start) for start in starts)]
    return [pytest.param(each, id=each.name) for each in found]


def answer(name: str, command: Command[Any]) -> Any:
    """What a command makes of a transcript kept with the tests."""
    return play(command, transcript(name))


def fetch_of(played: Transcript) -> Fetch:
    """A FETCH of all that the answers hold."""
    names = {
        name
        for response in played.untagged()
        if response.name == "FETCH"
        for name, _, _ in fetch_items(response)
    }
    return Fetch(b"1:*", [Item(name, encode.atom("X")) for name in sorted(names)])


# --- Every line ------------------------------------------------------------------------------


def test_every_kind_of_server_is_here() -> None:
    assert len({each.server for each in EVERY}) == 19
    assert len(EVERY) >= 280


@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_answers_are_the_same_however_they_arrive(chunk: int) -> None:
    for each in EVERY:
        if len(each.octets) < 40_000:
            assert each.frames(chunk) == each.frames(), each.name


def test_every_line_is_a_response_whose_data_can_be_read() -> None:
    for each in EVERY:
        assert each.frames(), each.name
        for response in each.untagged():
            if response.name in responses.STATES:
                assert isinstance(response.text, Text), each.name
            else:
                assert isinstance(response.values, list), each.name


def test_a_code_without_its_star_and_its_ok_is_read() -> None:
    """Exchange, MailKit issue 115."""
    first, *others = transcript("exchange/issue115.txt").untagged()
    assert first.name == "OK"
    assert first.text.code == responses.Code("COPYUID", (b"55", b"31", b"6"))
    assert [each.name for each in others] == ["EXPUNGE", "EXISTS"]


def test_a_literal_of_another_length_than_announced_is_an_error() -> None:
    (name,) = transcripts.BROKEN
    first = next(transcript(name).untagged())
    with pytest.raises(ProtocolError):
        fetch_items(first)


# --- CAPABILITY, ID, ENABLE, NAMESPACE, MYRIGHTS ---------------------------------------------


@pytest.mark.parametrize("played", of(rb"\* CAPABILITY"))
def test_capabilities(played: Transcript) -> None:
    found = play(Capability(), played)
    if isinstance(found, CommandRefused):
        assert found.code == "ALERT"
    else:
        assert "imap4rev1" in found
        assert all(re.fullmatch(r"[!-~]+", name) for name in found)


@pytest.mark.parametrize("played", of(rb"\* (?:OK|PREAUTH) \[CAPABILITY"))
def test_greetings_with_capabilities(played: Transcript) -> None:
    (greeting,) = played.untagged()
    code = greeting.text.code
    assert code is not None
    assert code.name == "CAPABILITY"
    assert "imap4rev1" in Capabilities.parse(code.arguments)


def test_names_of_servers() -> None:
    found = answer("common/id.txt", Id({}))
    assert found["name"] == "GImap"
    assert found["support-url"] == "http://support.google.com/mail"


def test_what_was_enabled() -> None:
    assert answer("dovecot/enable-qresync.txt", Enable(["QRESYNC"])) == {"QRESYNC", "CONDSTORE"}
    assert not answer("icloud/enable-qresync.txt", Enable(["QRESYNC"]))
    assert answer("gmail/utf8accept.txt", Enable(["UTF8=ACCEPT"])) == {"UTF8=ACCEPT"}


@pytest.mark.parametrize("played", of(rb"\* NAMESPACE"))
def test_namespaces(played: Transcript) -> None:
    found = play(NamespaceCommand(), played)
    assert found.personal
    assert all(each.delimiter in ("/", ".", "\\", "|") for each in found.personal)


def test_namespaces_of_domino_end_in_backslashes() -> None:
    found = answer("domino/namespace.txt", NamespaceCommand())
    assert found.other == (Namespace("Other\\", "\\"),)
    assert found.shared == (Namespace("Shared\\", "\\"),)


def test_rights() -> None:
    assert answer("acl/myrights.txt", MyRights(b"INBOX")) == "rwiptsldaex"


# --- LIST, LSUB, XLIST, STATUS ---------------------------------------------------------------


@pytest.mark.parametrize("verb", ["LIST", "LSUB", "XLIST"])
def test_every_mailbox_is_listed_once(verb: Any) -> None:
    for played in EVERY:
        lines = played.count(rb'\* %s (?!.*""\r)' % verb.encode())  # "" is no mailbox
        if not lines:
            continue
        found: list[Listed] = play(List(verb=verb), played)
        assert len(found) == lines, played.name
        for each in found:
            assert each.name, played.name
            assert each.delimiter in (None, "/", ".", "\\", "|"), played.name
            assert all(re.fullmatch(r"\\[a-z]+", name) for name in each.attributes), played.name


def _listed(name: str, verb: Any = "LIST") -> dict[str, frozenset[str]]:
    found: list[Listed] = answer(name, List(verb=verb))
    return {each.name: each.attributes for each in found}


def test_xlist_has_the_attributes_of_special_use() -> None:
    assert _listed("gmail/xlist.txt", "XLIST")["[Gmail]/Starred"] == {
        "\\hasnochildren",
        "\\flagged",
    }
    assert _listed("gmail/xlist.txt", "XLIST")["[Gmail]/All Mail"] == {"\\hasnochildren", "\\all"}
    assert "\\junk" in _listed("yandex/xlist.txt", "XLIST")["Spam"]
    zoho = _listed("zoho/xlist.txt", "XLIST")
    assert zoho["Entwürfe"] == {"\\noinferiors", "\\drafts"}
    assert zoho["Posteingang"] == {"\\hasnochildren"}  # the inbox is the one called INBOX
    assert _listed("strato.de/xlist.txt", "XLIST") == {}


def test_the_inbox_has_one_name() -> None:
    assert list(_listed("domino/list-inbox.txt")) == ["INBOX"]
    assert list(_listed("lowercase/list.txt")) == ["INBOX", "Trash"]


def test_a_flat_namespace_and_names_in_literals() -> None:
    flat = answer("common/list-nil-folder-delim.txt", List())
    assert [each.delimiter for each in flat] == ["/", None, None]
    literals = answer("common/list-literal-subfolders.txt", List())
    assert all("{" not in each.name for each in literals)


@pytest.mark.parametrize("played", of(rb"\* STATUS"))
def test_figures_of_mailboxes(played: Transcript) -> None:
    named = dict(parse_status(r) for r in played.untagged() if r.name == "STATUS")
    for mailbox, status in named.items():
        assert play(StatusOf(mailbox, []), played) == status
        assert status != Status() or b"APPENDLIMIT" in played.octets
    if played.count(rb"\* LIST"):
        listed: list[Listed] = play(List(status=["MESSAGES"]), played)
        assert [each.status for each in listed if each.selectable] == [
            named.get(each.wire) for each in listed if each.selectable
        ]


def test_a_status_of_a_name_in_a_literal() -> None:
    (response,) = transcript("common/status-literal-folder.txt").untagged()
    mailbox, status = parse_status(response)
    assert mailbox == b"Literal Folder Name"
    assert status == Status(messages=60)


# --- SELECT and EXAMINE ----------------------------------------------------------------------


@pytest.mark.parametrize("played", of(rb"\* OK \[UIDVALIDITY"))
def test_selected_mailboxes(played: Transcript) -> None:
    found: Selected = play(Examine(b"x"), played)
    assert played.count(rb"\* %d EXISTS" % found.exists)
    assert played.count(rb"\* OK \[UIDVALIDITY %d\]" % found.uidvalidity)
    assert (found.uidnext is not None) == bool(played.count(rb"\* OK \[UIDNEXT"))
    assert (found.highestmodseq is not None) == bool(played.count(rb"\* OK \[HIGHESTMODSEQ"))
    assert "\\Seen" in found.flags
    assert found.read_only == (b"[READ-WRITE]" not in played.octets)


def test_what_may_be_flagged_for_good() -> None:
    zoho: Selected = answer("zoho/examine-gesendet.txt", Examine(b"Gesendet"))
    assert zoho.permanent_flags == ()
    assert zoho.highestmodseq == 1706092971947030001
    yandex: Selected = answer("yandex/select-inbox.txt", Examine(b"INBOX"))
    assert yandex.permanent_flags is not None
    assert "\\*" in yandex.permanent_flags
    assert "\\Flagged" not in yandex.flags  # it says so


# --- SEARCH, SORT ----------------------------------------------------------------------------


def _numbers(played: Transcript) -> set[int]:
    """The numbers of SEARCH, SORT and ESEARCH ALL, by a reader that is none of the gateway's."""
    found: set[int] = set()
    for line in played.octets.splitlines():
        plain = re.match(rb"\* (?:SEARCH|SORT)((?: \d+)*)", line)
        sets = re.search(rb"(?:ALL |PARTIAL \(\S+ )([\d,:]+)", line)
        if plain:
            found |= {*map(int, plain[1].split())}
        elif line.startswith(b"* ESEARCH") and sets:
            for part in sets[1].split(b","):
                ends = sorted(map(int, part.split(b":")))
                found |= {*range(ends[0], ends[-1] + 1)}
    return found


@pytest.mark.parametrize("played", of(rb"\* E?SEARCH", rb"\* SORT"))
def test_found_messages(played: Transcript) -> None:
    octets = re.sub(rb'\(TAG "?[^)"]*"?\)', b'(TAG "g1")', played.octets)
    mine = Transcript(played.name, octets)
    expected = _numbers(mine)
    assert play(Search(criteria.ALL, extended=True), mine) == sorted(
        expected if not mine.count(rb"\* SORT") else ()
    )
    sorted_ones = play(Sort(["DATE"], criteria.ALL, None), mine)
    assert len(sorted_ones) == len(set(sorted_ones))
    if not mine.count(rb"\* SEARCH"):
        assert set(sorted_ones) == expected


# --- FETCH -----------------------------------------------------------------------------------


def _uids(played: Transcript) -> list[int]:
    return [int(uid) for uid in re.findall(rb"[( ]UID (\d+)[ )]", played.octets)]


@pytest.mark.parametrize("played", of(rb"\* \d+ FETCH"))
def test_fetched_messages(played: Transcript) -> None:
    command = fetch_of(played)
    found = play(command, played)
    assert isinstance(found, Fetched)
    assert [row.uid for row in found.rows] == sorted(set(_uids(played)))
    with_uid = len(_uids(played)) + len(command.unclaimed())
    assert with_uid <= played.count(rb"\* \d+ FETCH")
    for row in found.rows:
        assert 0 < row.uid <= MAX_UID
        assert (row.flags is not None) == ("FLAGS" in row.present)
        assert row.size is None or row.size > 0
        for section in row.sections.values():
            assert section is None or len(section) <= len(played.octets)


def _walk(part: Part) -> Iterator[Part]:
    yield part
    for child in part.children:
        yield from _walk(child)


@pytest.mark.parametrize("played", of(rb"\* \d+ FETCH .*BODYSTRUCTURE"))
def test_structures_of_messages(played: Transcript) -> None:
    found: Fetched = play(fetch_of(played), played)
    structures = [row.bodystructure for row in found.rows if row.bodystructure is not None]
    assert structures
    for raw in structures:
        root = from_bodystructure(tokens.parse(raw))
        assert plausible(root)
        parts = list(_walk(root))
        assert len({part.part_id for part in parts}) == len(parts)
        for part in parts:
            assert re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", part.type)
            assert part.is_multipart == bool(part.children)
            assert part.encoding in ("7bit", "8bit", "binary", "base64", "quoted-printable")
            sizes = re.search(
                rb'"%s" %d\b' % (part.encoding.encode(), part.size), raw, re.IGNORECASE
            )
            assert part.is_multipart or sizes


_ROWS: dict[str, Callable[[Fetched], object]] = {
    "zoho/fetch-negative-modseq-values.txt": lambda f: (
        f.rows[0].modseq == 0
        and f.rows[39].modseq is None  # -1
        and f.rows[39].flags == ("\\Recent", "\\Seen")
    ),
    "domino/fetch-extra-parens.txt": lambda f: (
        len(f.rows) == 29 and all(row.bodystructure for row in f.rows)
    ),
    "yandex/getbodypart-missing-content.txt": lambda f: (
        f.rows[0].sections["BODY[2]"] is None
        and (f.rows[0].sections["BODY[2.MIME]"] or b"").endswith(b'"empty.pdf"\r\n\r\n')
    ),
    "gmail/fetch-nil.txt": lambda f: f.rows[0].sections == {"BODY[1.TEXT]": None},
    "gmail/fetch-quoted-string.txt": lambda f: (
        f.rows[0].sections == {"BODY[1.TEXT]": b"This is the message body as a quoted-string."}
    ),
    "gmail/fetch-invalid-headers.txt": lambda f: (
        {row.sections["BODY[HEADER]"] for row in f.rows} == {b"!@&^*$(*&E WOIFDUJS Fu87#$*"}
    ),
    "gmail/fetch-objectid.txt": lambda f: all(row.identity for row in f.rows),
    "gmail/fetch-preview.txt": lambda f: any(row.preview for row in f.rows),
}


@pytest.mark.parametrize("name", _ROWS)
def test_odd_rows(name: str) -> None:
    played = transcript(name)
    assert _ROWS[name](play(fetch_of(played), played))


def test_vanished_and_changed_messages() -> None:
    played = transcript("dovecot/fetch-partial-vanished.txt")
    asked = [items.UID, items.FLAGS, items.MODSEQ]
    found: FlagChanges = play(FetchChanges(b"1:*", asked, 1, vanished=True), played)
    assert found.vanished == [(5, 5)]
    assert found.columns.uid == [b"6", b"7", b"8"]
    assert found.columns.modseq == [b"4", b"4", b"4"]


def test_news_in_the_middle_of_an_answer_are_not_part_of_it() -> None:
    """RFC 9051 §7.5.1: what others expunge is told while a FETCH is answered."""
    played = transcript("gmail/expunge-during-fetch.txt")
    command = fetch_of(played)
    news = [response for response in played.untagged() if not command.collect(response)]
    assert [response.name for response in news] == ["EXPUNGE", "EXPUNGE", "EXISTS"]
