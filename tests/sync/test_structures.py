"""RFC 9051 §7.5.2 (BODYSTRUCTURE) and RFC 8621 §4.1.4 hasAttachment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.mime import message
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


# What begins with NUL is kept by ourselves: a server's begins with a parenthesis.
_TOLD = st.binary(max_size=60).filter(lambda raw: not raw.startswith(b"\0"))


@given(_TOLD | st.lists(fragments, max_size=12).map(b"".join))
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
