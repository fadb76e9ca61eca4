"""RFC 2045, RFC 2046: whole messages as trees of parts, with the octets of each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.mime.limits import MAX_DEPTH, MAX_PARTS
from gateway.mime.message import Message, parse
from gateway.mime.structure import Part


def message(*lines: str) -> Message:
    return parse("\r\n".join(lines).encode())


def outline(part: Part) -> object:
    if part.is_multipart:
        return (part.part_id, part.type, [outline(child) for child in part.children])
    return (part.part_id, part.type)


def parts(part: Part) -> Iterator[Part]:
    yield part
    for child in part.children:
        yield from parts(child)


def contents(given: Message) -> dict[str | None, bytes]:
    return {part.part_id: given.content(part) for part in parts(given.root)}


# --- Structure ----------------------------------------------------------------------------------


def test_the_example_of_rfc_2046() -> None:
    """RFC 2046 §5.1.1: preamble and epilogue are ignored, line ends belong to the delimiter."""
    given = message(
        "From: Nathaniel Borenstein <nsb@bellcore.com>",
        "MIME-Version: 1.0",
        'Content-type: multipart/mixed; boundary="simple boundary"',
        "",
        "This is the preamble.  It is to be ignored",
        "",
        "--simple boundary",
        "",
        "This is implicitly typed plain US-ASCII text.",
        "It does NOT end with a linebreak.",
        "--simple boundary",
        "Content-type: text/plain; charset=us-ascii",
        "",
        "This is explicitly typed plain US-ASCII text.",
        "It DOES end with a linebreak.",
        "",
        "--simple boundary--",
        "",
        "This is the epilogue.  It is also to be ignored.",
    )
    first, second = given.root.children
    assert outline(given.root) == (
        None,
        "multipart/mixed",
        [("1", "text/plain"), ("2", "text/plain")],
    )
    assert given.content(first).endswith(b"linebreak.")
    assert given.content(second).endswith(b"linebreak.\r\n")
    assert given.header(first) == b"\r\n"
    assert given.header(second) == b"Content-type: text/plain; charset=us-ascii\r\n\r\n"
    assert given.header(given.root).startswith(b"From: ")
    assert (first.lines, second.lines) == (1, 2)
    assert second.size == len(given.content(second))
    assert second.charset == "us-ascii"


@pytest.mark.checklist("N17", "N18")
def test_all_fields_of_a_part() -> None:
    given = message(
        "Content-Type: image/png; name=a.png",
        "Content-ID: <cid@x>",
        "Content-Disposition: inline;",
        " filename*=utf-8''%C3%A4.png",
        "Content-Language: de (German), en",
        "Content-Location: http://x/",
        " a.png",
        "Content-Transfer-Encoding: Base64 (of course)",
        "Content-Type: text/plain",
        "",
        "AAAA",
    )
    assert given.root == Part(
        part_id="1",
        type="image/png",
        parameters={"name": "a.png"},
        disposition="inline",
        disposition_parameters={"filename": "ä.png"},
        cid="cid@x",
        language=("de", "en"),
        location="http://x/a.png",
        encoding="base64",
        size=4,
    )


@pytest.mark.parametrize(
    ("content_type", "type_"),
    [
        ("", "text/plain"),
        ("text", "text/plain"),
        ("text/", "text/plain"),
        ("/plain", "text/plain"),
        ("html", "text/plain"),
        ('"text/html"', "text/html"),
        ("text /\r\n html (comment)", "text/html"),
        ("(comment) text/html", "text/html"),
        ("TEXT/HTML charset=utf-8", "text/html"),
        ("text/html;;; charset=utf-8;", "text/html"),
        ("message/rfc822Content-Type: text/html", "text/plain"),
        ("multipart/mixed", "text/plain"),
        ("application/octet-stream/pdf", "application/octet-stream"),
    ],
)
def test_types_that_are_none_are_text(content_type: str, type_: str) -> None:
    """RFC 2045 §5.2."""
    assert message(f"Content-Type: {content_type}", "", "x").root.type == type_


@pytest.mark.checklist("N19")
def test_messages_inside_are_leaves() -> None:
    given = message(
        "Content-Type: multipart/mixed; boundary=a",
        "",
        "--a",
        "Content-Type: message/rfc822",
        "",
        "Subject: inside",
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "",
        "text",
        "--b--",
        "--a",
        "Content-Type: message/global",
        "",
        "Subject: ä",
        "",
        "text",
        "--a--",
    )
    assert outline(given.root) == (
        None,
        "multipart/mixed",
        [("1", "message/rfc822"), ("2", "message/global")],
    )
    inside = parse(given.content(given.root.children[0]))
    assert contents(inside)["1"] == b"text"
    assert given.root.children[0].lines == inside.octets.count(b"\n")


def test_what_is_in_a_digest_is_a_message() -> None:
    """RFC 2046 §5.1.5."""
    given = message(
        "Content-Type: multipart/digest; boundary=a",
        "",
        "--a",
        "",
        "Subject: one",
        "",
        "--a",
        "Content-Type: text/html",
        "",
        "--a--",
    )
    assert [part.type for part in given.root.children] == ["message/rfc822", "text/html"]


# --- Boundaries ---------------------------------------------------------------------------------


def test_the_longest_boundary_counts() -> None:
    """RFC 2046 §5.1.1: the boundary of the outer multipart may begin that of the inner one."""
    given = message(
        "Content-Type: multipart/mixed; boundary=abc",
        "",
        "--abc",
        "Content-Type: multipart/alternative; boundary=abcd",
        "",
        "--abcd",
        "",
        "plain",
        "--abcd",
        "",
        "html",
        "--abcd--",
        "--abc",
        "",
        "after",
        "--abc--",
    )
    assert contents(given) == {
        None: given.content(given.root),
        "1": given.content(given.root.children[0]),
        "1.1": b"plain",
        "1.2": b"html",
        "2": b"after",
    }


def test_the_boundary_of_a_message_inside_counts_too() -> None:
    given = message(
        "Content-Type: multipart/mixed; boundary=a",
        "",
        "--a",
        "Content-Type: message/rfc822",
        "",
        "Content-Type: multipart/mixed; boundary=ab",
        "",
        "--ab",
        "",
        "inside",
        "--ab--",
        "--a--",
    )
    assert len(given.root.children) == 1
    assert given.content(given.root.children[0]).endswith(b"--ab--")


def test_equal_boundaries_are_of_the_innermost_multipart() -> None:
    given = message(
        "Content-Type: multipart/mixed; boundary=a",
        "",
        "--a",
        "Content-Type: multipart/mixed; boundary=a",
        "",
        "--a",
        "",
        "in",
        "--a--",
        "--a",
        "",
        "out",
        "--a--",
    )
    assert contents(given)["1.1"] == b"in"
    assert contents(given)["2"] == b"out"


def test_a_multipart_that_is_not_closed_ends_with_the_one_around_it() -> None:
    given = message(
        "Content-Type: multipart/mixed; boundary=a",
        "",
        "--a",
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "",
        "in",
        "--a",
        "",
        "out",
    )
    assert contents(given)["1.1"] == b"in"
    assert contents(given)["2"] == b"out"


@pytest.mark.parametrize(
    ("content_type", "line"),
    [
        ("multipart/mixed; boundary=a", "--a \t"),
        ("multipart/mixed; boundary=a", "--abc"),
        ('multipart/mixed; boundary="a b  c "', "--a b  c"),
        ("multipart/mixed; boundary=a b", "--a b"),
        ("multipart/mixed; boundary=----=_a?/:", "------=_a?/:"),
        ("multipart/mixed; boundary*0=a; boundary*1=b", "--ab"),
        ("multipart/mixed; boundary==?utf-8?q?a?=", "--=?utf-8?q?a?="),
        ("multipart/mixed; BOUNDARY = (c) a (c)", "--a"),
        ("multipart/mixed boundary=a", "--a"),
        ('multipart/mixed; boundary="a', "--a"),
        ('multipart/mixed; boundary=""', "--"),
        ("multipart/mixed; boundary=é", "--é"),
    ],
)
def test_boundaries_as_they_are_written(content_type: str, line: str) -> None:
    given = message(f"Content-Type: {content_type}", "", line, "", "one", line, "", "two")
    assert [given.content(part) for part in given.root.children] == [b"one", b"two"]


@pytest.mark.parametrize(
    "content_type", ["multipart/mixed", "multipart/mixed; boundary=b", "multipart/mixed; boundary"]
)
def test_a_multipart_without_a_part_is_text(content_type: str) -> None:
    """RFC 2046 §5.1.1 asks for a boundary and a part, RFC 2045 §5.2 for text where that fails."""
    given = message(f"Content-Type: {content_type}", "", "--a", "", "one", "--b--", "--b", "two")
    assert outline(given.root) == ("1", "text/plain")
    assert given.content(given.root).startswith(b"--a\r\n")


def test_a_part_begins_on_the_line_after_a_delimiter() -> None:
    head = b"Content-Type: multipart/mixed; boundary=a\n\n--a\n\none\n"
    assert len(parse(head + b"--a").root.children) == 1
    assert len(parse(head + b"--a\n").root.children) == 2


def test_a_header_that_a_delimiter_ends_has_no_content() -> None:
    given = message(
        "Content-Type: multipart/mixed; boundary=a",
        "",
        "--a",
        "Content-Type: text/html",
        "--a",
        "--a",
        "Content-Type: multipart/mixed; boundary=b",
        "--a",
        "",
        "--a--",
    )
    assert outline(given.root) == (
        None,
        "multipart/mixed",
        [("1", "text/html"), ("2", "text/plain"), ("3", "text/plain"), ("4", "text/plain")],
    )
    assert given.header(given.root.children[0]) == b"Content-Type: text/html"
    assert all(given.content(part) == b"" for part in given.root.children)


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
def test_lines_end_with_lf_that_cr_may_precede(newline: bytes) -> None:
    lines = (b"Content-Type: multipart/mixed;", b" boundary=a", b"", b"--a", b"", b"x\r", b"--a--")
    given = parse(newline.join(lines))
    content = given.content(given.root.children[0])
    assert content == (b"x\r" if newline == b"\r\n" else b"x")
    assert outline(parse(b"\r".join(lines)).root) == ("1", "text/plain")


@pytest.mark.parametrize(
    ("octets", "header", "content"),
    [
        (b"", b"", b""),
        (b"\n", b"\n", b""),
        (b"\r\n\r\n", b"\r\n", b"\r\n"),
        (b"\nbody", b"\n", b"body"),
        (b"A: b", b"A: b", b""),
        (b"A: b\r\n", b"A: b\r\n", b""),
        (b"A: b\n\r\nbody", b"A: b\n\r\n", b"body"),
        (b"no field\n\nbody", b"no field\n\n", b"body"),
    ],
)
def test_the_header_ends_with_the_first_empty_line(
    octets: bytes, header: bytes, content: bytes
) -> None:
    given = parse(octets)
    assert (given.header(given.root), given.content(given.root)) == (header, content)


# --- Limits -------------------------------------------------------------------------------------


def test_depth_and_number_of_parts_are_bounded() -> None:
    """RFC 8620 §8.5: as in a structure that an IMAP server tells."""
    deep = "".join(
        f"Content-Type: multipart/mixed; boundary={n}x\n\n--{n}x\n" for n in range(5_000)
    )
    part, depth = parse(deep.encode()).root, 0
    while part.children:
        part, depth = part.children[0], depth + 1
    assert depth == MAX_DEPTH
    assert part.is_multipart
    wide = parse(b"Content-Type: multipart/mixed; boundary=a\n\n" + b"--a\n\nx\n" * 5_000)
    assert len(wide.root.children) == MAX_PARTS - 1
    assert all(wide.content(part) == b"x" for part in wide.root.children)


def test_parts_of_attached_messages_do_not_use_up_the_number() -> None:
    head = b"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: message/rfc822\n\n"
    inside = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 20_000 + b"--b--\n"
    given = parse(head + inside + b"--a\n\nlast\n--a--\n")
    assert outline(given.root) == (
        None,
        "multipart/mixed",
        [("1", "message/rfc822"), ("2", "text/plain")],
    )
    assert given.content(given.root.children[1]) == b"last"


def test_messages_inside_of_messages_are_read_without_end() -> None:
    given = parse(b"Content-Type: message/rfc822\n\n" * 20_000)
    assert outline(given.root) == ("1", "message/rfc822")


# --- Properties ---------------------------------------------------------------------------------

_PIECES = st.sampled_from(
    [
        *(b"--", b"--a", b"--a--", b"--b", b"--ab", b"\n", b"\r\n", b"\r", b"\n\n", b" ", b"x"),
        *(b"Content-Type: multipart/mixed; boundary=a\n", b"Content-Type: message/rfc822\r\n"),
        *(b"Content-Type: multipart/digest; boundary=b\n", b'content-type:multipart/x;boundary=""'),
        *(b"Content-Type: multipart/a; boundary=ab\n\n", b"Content-Disposition: inline\n", b"\0"),
    ]
)
_OCTETS = st.one_of(st.binary(max_size=200), st.lists(_PIECES, max_size=40).map(b"".join))


@given(_OCTETS)
def test_any_octets_are_a_message(octets: bytes) -> None:
    given = parse(octets)
    found = list(parts(given.root))
    assert len({part.part_id for part in found}) == len(found)
    for part in found:
        span = given.span(part)
        assert 0 <= span.header <= span.content <= span.end <= len(octets)
        assert part.size == (0 if part.is_multipart else len(given.content(part)))
        assert given.header(part) + given.content(part) == octets[span.header : span.end]
        position = span.content
        for child in part.children:
            inner = given.span(child)
            assert position <= inner.header
            assert inner.end <= span.end
            position = inner.end


_TYPES = ("text/plain", "text/html", "image/png", "message/rfc822", "application/x-y")
_LEAVES = st.tuples(
    st.sampled_from(_TYPES),
    st.lists(st.sampled_from([b"", b"-- ", b"---", b"x: y", b"--", b"\xff\0", b"z\rz"])),
)
Tree = object
_TREES = st.recursive(
    _LEAVES,
    lambda children: st.tuples(st.just("multipart/mixed"), st.lists(children, min_size=1)),
    max_leaves=12,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_TREES, st.sampled_from([b"\r\n", b"\n"]), st.booleans())
def test_what_was_composed_is_found_again(tree: Tree, newline: bytes, close: bool) -> None:
    leaves: dict[str, bytes] = {}

    def compose(node: Tree, section: str) -> tuple[bytes, object]:
        match node:
            case (str(type_), list(inside)) if type_ == "multipart/mixed":
                boundary = b"boundary-" + (section or "0").encode()
                head = b"Content-Type: multipart/mixed; boundary=" + boundary + newline * 2
                children = [
                    compose(child, f"{section}.{number}" if section else f"{number}")
                    for number, child in enumerate(inside, start=1)
                ]
                delimiter = b"--" + boundary + newline
                # Sections begin those of the parts inside: the delimiters are told by length.
                octets = b"".join(delimiter + child + newline for child, _ in children)
                octets += b"--" + boundary + b"--" + newline if close else b""
                return head + octets, (section or None, type_, [shape for _, shape in children])
            case (str(type_), list(lines)):
                content = newline.join(lines)
                leaves[section or "1"] = content
                head = b"Content-Type: " + type_.encode() + newline * 2
                return head + content, (section or "1", type_)
        raise AssertionError(node)

    octets, shape = compose(tree, "")
    given = parse(octets)
    assert outline(given.root) == shape
    if close or not given.root.is_multipart:
        found = {p.part_id: given.content(p) for p in parts(given.root) if not p.is_multipart}
        assert found == leaves
