"""RFC 9051 §7.5.2: BODYSTRUCTURE as a tree, also as broken servers send it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.wire import tokens
from gateway.mime.limits import MAX_DEPTH, MAX_PARTS
from gateway.mime.structure import Part, Value, from_bodystructure


def tree(raw: bytes) -> Part:
    return from_bodystructure(tokens.parse(raw))


def outline(part: Part) -> object:
    if part.is_multipart:
        return (part.part_id, part.type, [outline(child) for child in part.children])
    return (part.part_id, part.type)


def test_the_example_of_rfc_9051() -> None:
    """RFC 9051 §7.5.2, a two-part message with a text and a base64-encoded text attachment."""
    root = tree(
        b'(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1152 23)("TEXT" "PLAIN" '
        b'("CHARSET" "US-ASCII" "NAME" "cc.diff") "<960723163407.20117h@cac.washington.edu>" '
        b'"Compiler diff" "BASE64" 4554 73) "MIXED")'
    )
    assert root.part_id is None
    assert root.type == "multipart/mixed"
    first, second = root.children
    assert (first.part_id, first.type, first.size, first.lines) == ("1", "text/plain", 1152, 23)
    assert first.encoding == "7bit"
    assert second.part_id == "2"
    assert second.cid == "960723163407.20117h@cac.washington.edu"
    assert (second.name, second.charset, second.encoding) == ("cc.diff", "US-ASCII", "base64")


@pytest.mark.checklist("N17", "N18")
def test_all_fields_of_a_part() -> None:
    root = tree(
        b'("IMAGE" "PNG" ("NAME" "a.png") "<cid@x>" "what it shows" "BASE64" 400 NIL ("INLINE" '
        b'("FILENAME*" "utf-8\'\'%C3%A4.png")) ("de" "en") "http://x/ a.png")'
    )
    assert root == Part(
        part_id="1",
        type="image/png",
        parameters={"name": "a.png"},
        disposition="inline",
        disposition_parameters={"filename": "ä.png"},
        cid="cid@x",
        language=("de", "en"),
        location="http://x/a.png",
        encoding="base64",
        size=400,
    )
    assert root.name == "ä.png"
    assert root.charset is None


def test_parts_are_numbered_as_sections() -> None:
    """RFC 9051 §6.4.5."""
    text = b'("text" "html" NIL NIL NIL "7bit" 1 1)'
    alternative = b"(" + text + text + b' "alternative")'
    root = tree(b"(" + text + b"(" + alternative + text + b' "related")' + text + b' "mixed")')
    assert outline(root) == (
        None,
        "multipart/mixed",
        [
            ("1", "text/html"),
            ("2", "multipart/related", [
                ("2.1", "multipart/alternative", [("2.1.1", "text/html"), ("2.1.2", "text/html")]),
                ("2.2", "text/html"),
            ]),
            ("3", "text/html"),
        ],
    )  # fmt: skip


@pytest.mark.checklist("N19")
def test_a_message_inside_is_a_leaf() -> None:
    root = tree(
        b'(("text" "plain" NIL NIL NIL "7bit" 1 1)("message" "rfc822" NIL NIL NIL "7bit" 342 '
        b'("Mon, 1 Jan 2024 00:00:00 +0000" "S" NIL NIL NIL NIL NIL NIL NIL "<i@x>") '
        b'(("text" "plain" NIL NIL NIL "7bit" 2 1)("text" "html" NIL NIL NIL "7bit" 3 1) "mixed") '
        b'11 NIL ("attachment" ("filename" "m.eml")) NIL NIL) "mixed")'
    )
    message = root.children[1]
    assert (message.part_id, message.type, message.children) == ("2", "message/rfc822", ())
    assert (message.size, message.lines) == (342, 11)
    assert (message.disposition, message.name) == ("attachment", "m.eml")


@pytest.mark.checklist("N18")
def test_types_that_are_not_given_have_the_default_of_where_they_stand() -> None:
    assert tree(b'(NIL NIL NIL NIL NIL "7bit" 1)').type == "text/plain"
    digest = tree(b'((NIL NIL NIL NIL NIL "7bit" 1) "digest")')
    assert digest.children[0].type == "message/rfc822"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        # text without the number of lines (Exchange, even Dovecot)
        (b'("text" "plain" NIL NIL NIL "7bit" 5 NIL ("inline" NIL) NIL NIL)', ("inline", None)),
        (b'("text" "plain" NIL NIL NIL "7bit" 5 NIL NIL ("inline" NIL) NIL NIL)', ("inline", None)),
        (b'("text" "plain" NIL NIL NIL "7bit" 5 -1 NIL ("inline" NIL) NIL NIL)', ("inline", None)),
        (b'("text" "plain" NIL NIL NIL "7bit" 5 3 NIL ("inline" NIL) NIL NIL)', ("inline", 3)),
        # dispositions that are bare, empty or missing (Exchange)
        (b'("text" "plain" NIL NIL NIL "7bit" 5 3 NIL "attachment" NIL NIL)', ("attachment", 3)),
        (b'("text" "plain" NIL NIL NIL "7bit" 5 3 NIL ("inline") NIL NIL)', ("inline", 3)),
        (b'("text" "plain" NIL NIL NIL "7bit" 5 3 NIL (NIL NIL) NIL NIL)', (None, 3)),
        (b'("text" "plain" NIL NIL NIL "7bit" 5 3 NIL)', (None, 3)),
        (b'("text" "plain" NIL NIL NIL "7bit" 5)', (None, None)),
        (b'("image" "png" NIL NIL NIL "base64" 5 NIL ("attachment" NIL) NIL NIL)',
         ("attachment", None)),
        (b'("text" "plain" NIL NIL NIL "7bit" 5 3 NIL NIL ("en") "loc")', (None, 3)),
    ],
)  # fmt: skip
def test_dispositions_and_lines_are_found_where_servers_put_them(
    raw: bytes, expected: tuple[str | None, int | None]
) -> None:
    part = tree(raw)
    assert (part.disposition, part.lines) == expected


@pytest.mark.parametrize(
    ("raw", "type_", "size", "encoding"),
    [
        (b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" 0 0 NIL)', "text/plain", 0, "7bit"),
        (b'("TEXT" "PLAIN" NIL NIL NIL NIL -1 -1)', "text/plain", 0, "7bit"),
        (b'("video" "mp4" NIL NIL NIL "base64" 9.3736e+06 NIL)', "video/mp4", 9373600, "base64"),
        (b'("application" NIL NIL NIL NIL "7bit" 7)', "application/octet-stream", 7, "7bit"),
        (b'("PDF")', "application/octet-stream", 0, "7bit"),
        (b'("text")', "text/plain", 0, "7bit"),
        (b"NIL", "text/plain", 0, "7bit"),
        (b"()", "text/plain", 0, "7bit"),
    ],
)
def test_elements_that_are_missing_or_odd_get_defaults(
    raw: bytes, type_: str, size: int, encoding: str
) -> None:
    part = tree(raw)
    assert (part.type, part.size, part.encoding) == (type_, size, encoding)


@pytest.mark.parametrize(
    ("raw", "shape"),
    [
        # Gmail and QQ leave out the children of nested multiparts with one boundary
        (b'("ALTERNATIVE" ("BOUNDARY" "x") NIL NIL)', (None, "multipart/alternative", [])),
        (b'(("RELATED" NIL ("ATTACHMENT" NIL) NIL) "MIXED")',
         (None, "multipart/mixed", [("1", "multipart/related", [])])),
        (b'(NIL "MIXED" ("BOUNDARY" "x") NIL NIL)', (None, "multipart/mixed", [])),
        (b'(() "MIXED")', (None, "multipart/mixed", [])),
        (b'(("text" "plain" NIL NIL NIL "7bit" 1 1))',
         (None, "multipart/mixed", [("1", "text/plain")])),
    ],
)  # fmt: skip
def test_multiparts_without_children_or_subtype(raw: bytes, shape: object) -> None:
    assert outline(tree(raw)) == shape


def test_an_empty_location_is_none() -> None:
    assert tree(b'("a" "b" NIL NIL NIL "7bit" 1 NIL NIL NIL ())').location is None


@pytest.mark.threat("R20")
def test_depth_and_number_of_parts_are_bounded() -> None:
    text: Value = [b"text", b"plain", None, None, None, b"7bit", b"1", b"1"]
    deep: Value = text
    for _ in range(10_000):
        deep = [deep, b"mixed"]
    part, depth = from_bodystructure(deep), 0
    while part.children:
        part, depth = part.children[0], depth + 1
    assert depth == MAX_DEPTH
    assert part.is_multipart
    wide = from_bodystructure([*[text] * 5_000, b"mixed"])
    assert len(wide.children) == MAX_PARTS - 1


_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.integers(),
        st.binary(max_size=6),
        st.sampled_from([b"text", b"plain", b"MIXED", b"multipart", b"message", b"rfc822", b"-1"]),
    ),
    lambda children: st.lists(children, max_size=10),
    max_leaves=40,
)


@given(_VALUES)
def test_any_value_has_a_tree(value: Value) -> None:
    assert from_bodystructure(value).type
