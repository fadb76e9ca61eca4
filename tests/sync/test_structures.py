"""RFC 9051 §7.5.2 (BODYSTRUCTURE) and RFC 8621 §4.1.4 hasAttachment."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.errors import ProtocolError
from gateway.imap.wire import tokens
from gateway.mime import message
from gateway.mime.structure import Part, from_bodystructure, plausible
from gateway.sync import structures

TEXT = b'("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 12 1 NIL NIL NIL NIL)'
PDF = (
    b'("application" "pdf" ("name" "a.pdf") NIL NIL "base64" 900 NIL '
    b'("attachment" ("filename" "a.pdf")) NIL NIL)'
)
IMAGE = b'("image" "png" NIL "<c@x>" NIL "base64" 900 NIL ("inline" NIL) NIL NIL)'

fragments = st.sampled_from(
    [b"(", b")", b"NIL", b'"text"', b'"plain"', b" ", b"12", b'"attachment"', b"{3}\r\n", TEXT, PDF]
)


def mixed(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b' "mixed" ("boundary" "b") NIL NIL NIL)'


def test_attachments_are_told_from_texts_and_inline_images() -> None:
    assert not structures.has_attachment(TEXT)
    assert structures.has_attachment(mixed(TEXT, PDF))
    assert not structures.has_attachment(mixed(TEXT, IMAGE))
    assert structures.has_attachment(PDF)


def test_a_structure_is_parsed_to_its_parts() -> None:
    tree = structures.parse(mixed(TEXT, PDF)).root
    assert tree.type == "multipart/mixed"
    assert [(part.part_id, part.type) for part in tree.children] == [
        ("1", "text/plain"),
        ("2", "application/pdf"),
    ]


# What begins with NUL is our own, and may have been damaged since.
_RAW = st.binary(max_size=60) | st.binary(max_size=60).map(b"\0".__add__)


@given(_RAW | st.lists(fragments, max_size=12).map(b"".join))
def test_a_structure_that_can_not_be_read_is_one_part(raw: bytes) -> None:
    """A server that errs about one message must not keep the others from being shown."""
    assert structures.parse(raw).root.type
    assert structures.has_attachment(raw) in (True, False)


def test_a_structure_of_our_own_is_kept_as_it_is() -> None:
    """RFC 8621 §4.1.4: what was found in the octets, and where."""
    octets = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        b"Content-Language: de, en\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n"
        b"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment;"
        b" filename=a.pdf\r\n\r\nPDF\r\n--b--\r\n"
    )
    parsed = message.parse(octets)
    raw = structures.of_message(parsed)
    kept = structures.parse(raw)
    assert (kept.root, kept.spans, kept.is_plausible) == (parsed.root, parsed.spans, True)
    assert structures.has_attachment(raw)
    assert not structures.has_attachment(structures.of_message(message.parse(b"\r\nHello")))


numbers_ = st.integers(0, 10**6)
texts = st.builds(
    lambda size, lines: (
        b'("text" "plain" ("charset" "utf-8") NIL NIL "8bit" %d %d NIL NIL NIL NIL)' % (size, lines)
    ),
    numbers_,
    numbers_,
)
files = st.builds(
    lambda name, size: (
        b'("image" "png" ("name" "%b") NIL NIL "base64" %d NIL NIL NIL NIL)' % (name, size)
    ),
    st.sampled_from([b"a.png", b" 12 .png", b'" 7', b"", b"{1}"]),
    numbers_,
)
letters = st.builds(
    lambda inner, size: (
        b'("message" "rfc822" NIL NIL NIL "7bit" %d (NIL NIL NIL NIL NIL NIL NIL NIL'
        b" NIL NIL) %b 3 NIL NIL NIL NIL)" % (size, inner)
    ),
    texts,
    numbers_,
)
multiparts = st.recursive(
    texts | files | letters,
    lambda parts: st.builds(
        lambda some, word: b'(%b "mixed" ("boundary" "%b") NIL NIL NIL)' % (b"".join(some), word),
        st.lists(parts, min_size=1, max_size=3),
        st.sampled_from([b"b", b"c d", b"12 3"]),
    ),
    max_leaves=5,
)


def without_boundaries(part: Part) -> Part:
    """The same, as boundaries are not kept apart."""
    rest = {name: value for name, value in part.parameters.items() if name != "boundary"}
    children = tuple(map(without_boundaries, part.children))
    return replace(part, parameters=rest, children=children)


@given(multiparts)
def test_structures_that_are_alike_are_each_read_with_their_own_sizes(raw: bytes) -> None:
    """RFC 9051 §7.5.2: whether one like it was read before or not."""
    try:
        expected = from_bodystructure(tokens.parse(raw))
    except ProtocolError:
        expected = from_bodystructure(None)
    for _ in range(2):
        kept = structures.parse(raw)
        assert without_boundaries(kept.root) == without_boundaries(expected)
        assert kept.is_plausible == plausible(expected)
