"""RFC 9051 §7, §9: lines that break the grammar and are known to be sent."""

from __future__ import annotations

import pytest

from gateway.imap.commands.capability import Capability
from gateway.imap.commands.examine import Examine, Selected
from gateway.imap.commands.fetch import Fetch, FetchRow
from gateway.imap.commands.noop import Noop
from gateway.imap.commands.search import Search
from gateway.imap.commands.status import Status, parse_status
from gateway.imap.connection import Connection
from gateway.imap.errors import ConnectionLost, ProtocolError, ServerBusy
from gateway.imap.wire import criteria, framer, items, responses, tokens
from gateway.imap.wire.framer import Framer
from gateway.imap.wire.responses import Code, Continuation, Tagged, Text, Untagged, number
from gateway.sync.keywords import KeywordTable
from tests.imap.sessions import connected, plain
from tests.servers.scripted import Peer, Scripted

_OK = Tagged(b"g1", "OK", Text(None, ""))


def untagged(octets: bytes) -> Untagged:
    """The one response in these octets."""
    (frame,) = Framer().feed(octets + b"\r\n")
    response = responses.parse(frame)
    assert isinstance(response, Untagged)
    return response


def row(items_and_values: bytes) -> FetchRow:
    """A FETCH response of message 1 whose UID is 5, read."""
    names = [items.FLAGS, items.MODSEQ, items.SIZE, items.EMAILID, items.section()]
    command = Fetch(b"5", names)
    command.collect(untagged(b"* 1 FETCH (UID 5 %s)" % items_and_values))
    (found,) = command.finish(_OK).rows
    return found


# --- A line without a tag --------------------------------------------------------------------


@pytest.mark.quirk(4)
async def test_server_unavailable_is_a_lost_connection() -> None:
    """Exchange."""

    async def script(peer: Peer) -> None:
        await peer.command()
        await peer.send(b"Server Unavailable. 15")

    async with connected(script, silence=60) as (connection, _):
        with pytest.raises(ConnectionLost, match="Server Unavailable") as lost:
            await connection.run(Noop())
        assert lost.value.bye


@pytest.mark.quirk(4)
async def test_server_unavailable_for_a_greeting() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"Server Unavailable. 21")

    async with Scripted(script) as server:
        with pytest.raises(ServerBusy, match="Server Unavailable"):
            await Connection.open(plain(server), None)


@pytest.mark.quirk(7)
@pytest.mark.parametrize("line", [b"* [COPYUID 55 31 6]", b"[COPYUID 55 31 6] moved"])
def test_a_code_without_its_ok(line: bytes) -> None:
    """Exchange, home.pl."""
    response = untagged(line)
    assert response.name == "OK"
    assert response.text.code == Code("COPYUID", (b"55", b"31", b"6"))


# --- Numbers, flags, codes -------------------------------------------------------------------


@pytest.mark.quirk(18)
def test_a_modseq_of_nothing_and_a_code_without_text() -> None:
    """Gmail, Zoho."""
    assert row(b"MODSEQ (0) FLAGS ()").modseq == 0
    assert row(b"MODSEQ (-1) FLAGS ()").modseq is None
    response = untagged(b"* OK [HIGHESTMODSEQ 917162500]")
    assert response.text == Text(Code("HIGHESTMODSEQ", (b"917162500",)), "")


@pytest.mark.quirk(20, 53, 56)
@pytest.mark.parametrize(
    ("flags", "keywords"),
    [
        (b"(\\Seen 5)", {"$seen", "5"}),  # Gmail
        (b'("\\\\Seen" "$Forwarded")', {"$seen", "$forwarded"}),
        (b'("\\Seen" x)', {"$seen", "x"}),
        (b"NIL", set()),
        (b"(NIL \\Flagged)", {"$flagged"}),
        (b"(\\Strange \\Seen)", {"$seen"}),
        (b"(a[b \\Draft + a,b)", {"a[b", "$draft", "+", "a,b"}),
        (b"(a]b %x)", set()),  # what no JMAP keyword can be
        (b"()", set()),
    ],
)
def test_flags_of_every_spelling(flags: bytes, keywords: set[str]) -> None:
    found = row(b"FLAGS " + flags).flags
    assert found is not None
    table = KeywordTable()
    assert table.keywords(table.parse(" ".join(found).encode())).keys() == keywords


@pytest.mark.quirk(51)
def test_numbers_as_floats() -> None:
    """mail.ru."""
    assert row(b"RFC822.SIZE 9.3736e+06").size == 9_373_600
    assert number(b"9.4e+06") == 9_400_000
    assert number(b"1.5") == 1
    _, status = parse_status(untagged(b"* STATUS a (MESSAGES 1.2e+05 UIDNEXT 7)"))
    assert status == Status(messages=120_000, uidnext=7)


@pytest.mark.quirk(51)
@pytest.mark.parametrize("uid", [b"1e3", b"0", b"4294967296", b"-1", b"9" * 5000, b'"x"'])
def test_a_uid_is_a_uid(uid: bytes) -> None:
    """A float would name another message."""
    command = Fetch(b"1:4294967295", [items.FLAGS])
    command.collect(untagged(b"* 1 FETCH (UID %s FLAGS ())" % uid))
    assert command.finish(_OK).rows == []


@pytest.mark.quirk(53)
def test_lines_that_begin_with_nul() -> None:
    response = untagged(b'\0\0* LIST () "/" {5}\r\nINBOX')
    assert (response.name, response.values) == ("LIST", [[], b"/", b"INBOX"])
    assert responses.parse(framer.Frame(b"\0+ go")) == Continuation(b"go")


@pytest.mark.quirk(53)
def test_continuation_requests_of_every_spelling() -> None:
    for line in (b"+", b"+ ", b"+ OK", b"+idling"):
        assert isinstance(responses.parse(framer.Frame(line)), Continuation)


@pytest.mark.quirk(53)
def test_capabilities_with_spaces() -> None:
    command = Capability()
    command.collect(untagged(b"* CAPABILITY IMAP4rev1 LITERAL + IDLE  SASL-IR "))
    assert set(command.finish(_OK)) == {"IMAP4REV1", "LITERAL+", "IDLE", "SASL-IR"}


@pytest.mark.quirk(53)
def test_spaces_at_the_end() -> None:
    assert parse_status(untagged(b"* STATUS a (MESSAGES 3 ) "))[1].messages == 3
    search = Search(criteria.ALL, extended=False)
    search.collect(untagged(b"* SEARCH 1 2 3  "))
    assert search.finish(_OK) == [1, 2, 3]


@pytest.mark.quirk(53)
def test_a_message_number_of_nothing() -> None:
    """Courier: * 0 FETCH."""
    command = Fetch(b"5", [items.FLAGS])
    assert command.collect(untagged(b"* 0 FETCH (UID 5 FLAGS (\\Seen))"))
    (found,) = command.finish(_OK).rows
    assert found.flags == ("\\Seen",)


@pytest.mark.quirk(53)
@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'("NAME" "the "big"one".doc")', [b"NAME", b'the "big"one".doc']),
        (b'("x="a"" "b")', [b'x="a"', b"b"]),
        (b'("a\\b" "c\\\\d" "e\\"f")', [b"a\\b", b"c\\d", b'e"f']),
        (b'("" "")', [b"", b""]),
    ],
)
def test_quotes_that_are_not_escaped(raw: bytes, value: tokens.Value) -> None:
    """A string goes on unless something follows that may follow one."""
    assert tokens.parse(raw) == value


@pytest.mark.quirk(53)
def test_brackets_in_response_codes() -> None:
    command = Examine(b"x")
    for line in (
        b"* 3 EXISTS",
        b"* OK [PERMANENTFLAGS (\\Seen a]b [c] \\*)] Flags permitted.",
        b"* OK [UIDVALIDITY 3857529045] UIDs valid",
        b'* OK [X "a]b" c] what',
    ):
        command.collect(untagged(line))
    selected: Selected = command.finish(_OK)
    assert selected.permanent_flags == ("\\Seen", "a]b", "[c]", "\\*")
    assert selected.uidvalidity == 3857529045


# --- Sizes -----------------------------------------------------------------------------------


@pytest.mark.quirk(54)
def test_a_line_of_half_a_million_numbers_is_read() -> None:
    """Of a large mailbox on a server without ESEARCH; imaplib gives up at a megabyte."""
    count = 500_000
    line = b"* SEARCH " + b" ".join(b"%d" % uid for uid in range(1, count + 1))
    search = Search(criteria.ALL, extended=False)
    search.collect(untagged(line))
    assert len(search.finish(_OK)) == count


@pytest.mark.quirk(54)
@pytest.mark.parametrize(
    "octets",
    [
        b"* OK " + b"x" * framer.MAX_LINE,
        b"* 1 FETCH (BODY[] {%d}\r\n" % (framer.MAX_LITERAL + 1),
        b"* 1 FETCH (" + b"{0}\r\n" * (framer.MAX_LITERALS + 1),
        (b"* 1 FETCH (" + b"{%d}\r\n" % framer.MAX_LITERAL + bytes(framer.MAX_LITERAL)) * 3,
    ],
    ids=["line", "literal", "literals", "response"],
)
def test_what_a_server_can_make_us_keep_is_bounded(octets: bytes) -> None:
    with pytest.raises(ProtocolError):
        Framer().feed(octets)


@pytest.mark.quirk(54)
def test_values_are_bounded_as_they_take_more_than_their_octets() -> None:
    response = untagged(b"* 1 FETCH (" + b"()" * tokens.MAX_VALUES + b")")
    with pytest.raises(ProtocolError):
        tokens.tokenize(response.frame, response.start)


# --- Extensions ------------------------------------------------------------------------------


@pytest.mark.quirk(61)
@pytest.mark.parametrize("value", [b"(F21)", b"F21", b'"F21"', b'("F21")'])
def test_identifiers_with_and_without_parentheses(value: bytes) -> None:
    """RFC 8474 §4."""
    assert parse_status(untagged(b"* STATUS a (MAILBOXID %s)" % value))[1].mailbox_id == "F21"
    command = Examine(b"a")
    command.collect(untagged(b"* OK [MAILBOXID %s] Ok" % value))
    assert command.finish(_OK).mailbox_id == "F21"
    assert row(b"FLAGS () EMAILID %s" % value).identity == b"F21"


@pytest.mark.quirk(61)
def test_a_thread_without_an_identifier() -> None:
    """RFC 8474 §5.2: THREADID NIL; threads are made here in any case."""
    found = row(b"FLAGS (\\Seen) EMAILID (M1) THREADID NIL")
    assert (found.flags, found.identity) == (("\\Seen",), b"M1")
