"""RFC 9051 §4, §9: arguments. No string ends an argument, or a command, early."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.imap.command import Command
from gateway.imap.commands.examine import Examine
from gateway.imap.commands.fetch import Fetch
from gateway.imap.commands.id import Id
from gateway.imap.commands.list import List
from gateway.imap.commands.login import Login
from gateway.imap.commands.rights import MyRights
from gateway.imap.commands.search import Search, Sort
from gateway.imap.commands.status import StatusOf
from gateway.imap.wire import criteria, encode, items, tokens
from gateway.imap.wire.capability import Capabilities
from gateway.imap.wire.encode import Literals, Write, pack_uids, serialise
from gateway.imap.wire.framer import Frame
from gateway.imap.wire.sequences import parse_ranges
from gateway.sasl import Credentials
from tests.servers.scripted import Received, parse_commands

# Unicode with everything that has a meaning in IMAP, often.
TEXTS = st.text(st.sampled_from('\r\n\0"\\{}()%*[]& \tnilNIL5+~') | st.characters(), max_size=30)

_BUILDERS: list[Callable[[str], Command[Any]]] = [
    lambda text: Login(Credentials(text, "x")),
    lambda text: Login(Credentials("x", text)),
    lambda text: Examine(text.encode("utf-8", "surrogatepass")),
    lambda text: Examine(encode.mailbox_name(text)),
    lambda text: StatusOf(encode.mailbox_name(text), ("MESSAGES",)),
    lambda text: MyRights(text.encode("utf-8", "surrogatepass")),
    lambda text: Id({"name": text, text: "x"}),
    lambda text: Search(criteria.text("SUBJECT", text), extended=True),
    lambda text: Search(criteria.header(text, text), extended=False),
    lambda text: Search(criteria.flag(text), extended=True),
    lambda text: Search(criteria.negate(criteria.text("BODY", text)), extended=True),
    lambda text: Sort([text], criteria.ALL, 5),
    lambda text: Fetch(text.encode("utf-8", "surrogatepass"), [items.FLAGS]),
    lambda text: Fetch(b"1", [items.section("HEADER.FIELDS", fields=[text])]),
    lambda text: Fetch(b"1", [items.section("MIME", part=text)]),
    lambda text: List((text,), (text,)),
]


def _send(command: Command[Any]) -> Received:
    """The one command that a server reads."""
    (write,) = serialise(b"g1", command.encode(), Literals.ALL)
    (received,) = parse_commands(write.octets)
    return received


@pytest.mark.threat("R1")
@settings(max_examples=400)
@given(st.sampled_from(_BUILDERS), TEXTS)
def test_every_argument_stays_in_one_command(
    build: Callable[[str], Command[Any]], text: str
) -> None:
    """The whole of what is sent is one line with its literals, or nothing is sent."""
    try:
        received = _send(build(text))
    except ValueError:  # ProtocolError included: a set that is none
        return
    except Exception as error:
        assert type(error).__name__ == "ProtocolError"  # noqa: PT017
        return
    assert received.tag == b"g1"
    assert not set(received.line) & {0, 10, 13}
    assert all(0 not in literal for literal in received.literals)
    assert received.line.isascii()


def _values(received: Received) -> list[tokens.Value]:
    """The arguments, read the way a server reads them."""
    octets, spans = received.line, []
    for literal in received.literals:
        before, _, after = octets.partition(b"{}")
        octets = before + b"{%d}\r\n" % len(literal)
        spans.append((len(octets), len(literal)))
        octets += literal + after
    return tokens.tokenize(Frame(octets, tuple(spans)))


@pytest.mark.threat("R1")
@settings(max_examples=300)
@given(TEXTS, TEXTS)
def test_login_arguments_arrive_unchanged(username: str, password: str) -> None:
    credentials = Credentials(username, password)
    if any(each == "\0" or "\ud800" <= each <= "\udfff" for each in username + password):
        with pytest.raises(ValueError, match="can not be sent"):
            _send(Login(credentials))
        return
    if "{}" in username + password:  # what our reading of literals marks them with
        return
    values = _values(_send(Login(credentials)))
    assert values == [b"LOGIN", username.encode(), password.encode()]


def test_a_password_is_in_no_representation() -> None:
    assert "hunter2" not in repr(Credentials("u", "hunter2"))


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("INBOX", b"INBOX"),
        ("a]b", b"a]b"),
        ("", b'""'),
        ("NIL", b'"NIL"'),
        ("nil", b'"nil"'),
        ("a b", b'"a b"'),
        ('a"\\', b'"a\\"\\\\"'),
        ("a\tb", b'"a\tb"'),
        ("{5}", b'"{5}"'),
        ("*", b'"*"'),
        ("\\Deleted", b'"\\\\Deleted"'),
        ("ä", encode.Literal("ä".encode())),
        ("a\r\nb", encode.Literal(b"a\r\nb")),
        ("x" * 2000, encode.Literal(b"x" * 2000)),
    ],
)
def test_astring_takes_the_form_the_grammar_allows(
    value: str, segment: bytes | encode.Literal
) -> None:
    assert encode.astring(value).segments == (segment,)


@pytest.mark.threat("R2")
@pytest.mark.parametrize(
    "refused",
    [
        lambda: encode.flag(") (\\Deleted"),
        lambda: encode.flag("\\*"),
        lambda: encode.flag(""),
        lambda: encode.atom("a b"),
        lambda: encode.atom("ä"),
        lambda: encode.sequence_set(b"1:*)"),
        lambda: encode.sequence_set(b""),
        lambda: encode.sequence_set(b"0"),
        lambda: encode.item("FLAGS BODY[]"),
        lambda: encode.number(-1),
        lambda: encode.number(1 << 63),
        lambda: encode.section("HEADER.FIELDS", fields=["a]"]),
        lambda: encode.section("TEXT", part="1.x"),
        lambda: encode.section("BODY"),
        lambda: encode.string("a\0"),
        lambda: encode.mailbox_name("a\0"),
        lambda: pack_uids([0]),
        lambda: pack_uids([-1, 5]),
        lambda: pack_uids([1 << 32]),
        lambda: criteria.text("ALL", "x"),
        lambda: criteria.day("UID", date(2024, 1, 1)),
        lambda: criteria.size("UID", 1),
        lambda: criteria.any_of(),
    ],
)
def test_what_does_not_fit_the_grammar_is_refused(refused: Callable[[], object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own text
        refused()


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (criteria.all_of(), b"ALL"),
        (criteria.flag("\\Seen"), b"SEEN"),
        (criteria.flag("\\Seen", is_set=False), b"UNSEEN"),
        (criteria.flag("$Junk", is_set=False), b"UNKEYWORD $Junk"),
        (criteria.day("BEFORE", date(2024, 3, 1)), b"BEFORE 1-Mar-2024"),
        (criteria.size("LARGER", 10), b"LARGER 10"),
        (criteria.modseq(7), b"MODSEQ 7"),
        (criteria.uids(b"1:5,9"), b"UID 1:5,9"),
        (criteria.header("Message-ID", "<a@b>"), b'HEADER "Message-ID" "<a@b>"'),
        (
            criteria.any_of(criteria.ALL, criteria.flag("\\Seen"), criteria.flag("\\Draft")),
            b"OR ALL OR SEEN DRAFT",
        ),
        (
            criteria.any_of(*(criteria.text("TO", name) for name in "abcd")),
            b'OR OR TO "a" TO "b" OR TO "c" TO "d"',
        ),
        (
            criteria.any_of(criteria.all_of(criteria.ALL, criteria.ALL), criteria.ALL),
            b"OR (ALL ALL) ALL",
        ),
        (criteria.negate(criteria.any_of(criteria.ALL, criteria.ALL)), b"NOT OR ALL ALL"),
        (criteria.all_of(criteria.all_of(criteria.ALL), criteria.ALL), b"ALL ALL"),
        (
            criteria.negate(criteria.all_of(criteria.flag("\\Seen"), criteria.text("TO", "x"))),
            b'NOT (SEEN TO "x")',
        ),
    ],
)
def test_search_keys(key: criteria.Criteria, line: bytes) -> None:
    assert key.encoded.line == line
    assert key.ascii


def test_text_beyond_ascii_needs_a_charset() -> None:
    key = criteria.all_of(criteria.ALL, criteria.text("SUBJECT", "ä"))
    assert not key.ascii
    assert _send(Search(key, extended=False)).line == b"UID SEARCH CHARSET UTF-8 ALL SUBJECT {}"


@given(
    st.lists(st.integers(1, 400) | st.integers(1, encode.MAX_UID), max_size=200),
    st.integers(25, 200),
)
def test_packed_sets_hold_every_uid_once_and_keep_the_limit(uids: list[int], limit: int) -> None:
    packed = pack_uids(uids, limit)
    assert all(len(each) <= limit for each in packed)
    found = [uid for each in packed for a, b in parse_ranges(each) for uid in range(a, b + 1)]
    assert found == sorted(set(uids))


def test_a_run_of_uids_is_one_range() -> None:
    assert pack_uids(range(5, 100_000)) == [b"5:99999"]
    assert pack_uids([3, 1, 2, 2, 9]) == [b"1:3,9"]
    assert pack_uids([]) == []


@pytest.mark.parametrize(
    ("capabilities", "style"),
    [
        ("IMAP4rev1 LITERAL+", Literals.ALL),
        ("IMAP4rev1 literal-", Literals.SHORT),
        ("IMAP4rev2", Literals.SHORT),
        ("IMAP4rev1", Literals.SYNCHRONISING),
    ],
)
def test_the_server_says_how_literals_may_be_sent(capabilities: str, style: Literals) -> None:
    assert Literals.of(Capabilities(capabilities.split())) is style


def test_literals_are_sent_as_the_server_takes_them() -> None:
    """RFC 7888: LITERAL- allows up to 4096 octets without waiting."""
    short, long = "ä", "ä" * 2100
    command = encode.join(encode.string(short), encode.string(long))
    short_octets, long_octets = short.encode(), long.encode()
    assert serialise(b"a", command, Literals.ALL) == [
        Write(b"a {2+}\r\n" + short_octets + b" {4200+}\r\n" + long_octets + b"\r\n")
    ]
    assert serialise(b"a", command, Literals.SHORT) == [
        Write(b"a {2+}\r\n" + short_octets + b" {4200}\r\n", waits=True),
        Write(long_octets + b"\r\n"),
    ]
    assert serialise(b"a", command, Literals.SYNCHRONISING) == [
        Write(b"a {2}\r\n", waits=True),
        Write(short_octets + b" {4200}\r\n", waits=True),
        Write(long_octets + b"\r\n"),
    ]


@pytest.mark.parametrize(
    ("item", "name", "asked"),
    [
        (items.section(), "BODY[]", b"BODY.PEEK[]"),
        (items.section("TEXT", "1.2"), "BODY[1.2.TEXT]", b"BODY.PEEK[1.2.TEXT]"),
        (items.section("", "3", window=(10, 20)), "BODY[3]", b"BODY.PEEK[3]<10.20>"),
        (items.section("BINARY", "2"), "BINARY[2]", b"BINARY.PEEK[2]"),
        (
            items.section("HEADER.FIELDS", fields=["To", "x"], window=(0, 9)),
            "BODY[HEADER.FIELDS (TO X)]",
            b"BODY.PEEK[HEADER.FIELDS (To x)]<0.9>",
        ),
    ],
)
def test_a_section_is_found_under_its_name(item: items.Item, name: str, asked: bytes) -> None:
    assert item.name == name
    assert item.encoded.line == asked


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (b"BODY[HEADER.FIELDS (TO X)]<0>", "BODY[HEADER.FIELDS (TO X)]"),
        (b'body[Header.Fields ("To" "x")]', "BODY[HEADER.FIELDS (TO X)]"),
        (b"rfc822.size", "RFC822.SIZE"),
    ],
)
def test_servers_spell_item_names_in_several_ways(sent: bytes, name: str) -> None:
    assert items.label(sent) == name
