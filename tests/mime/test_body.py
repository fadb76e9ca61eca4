"""RFC 8621 §4.1.4: body parts, body values and what is shown where."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime import body
from gateway.mime.structure import Part


def leaf(type_: str, disposition: str | None = None, name: str | None = None) -> Part:
    parameters = {"name": name} if name else {}
    return Part("1", type_, disposition=disposition, parameters=parameters)


def multipart(subtype: str, *children: Part) -> Part:
    return Part(None, f"multipart/{subtype}", children=children)


def text(octets: bytes = b"", type_: str = "text/plain", **fields: object) -> Part:
    charset = fields.pop("charset", None)
    parameters = {"charset": charset} if charset else {}
    return Part("1", type_, parameters, size=len(octets), **fields)  # type: ignore[arg-type]


A = leaf("text/plain", "inline")
B = leaf("text/plain", "inline")
C = leaf("image/jpeg", "inline")
D = leaf("text/plain", "inline")
E = leaf("text/html")
F = leaf("image/jpeg")
G = leaf("image/jpeg", "attachment")
H = leaf("application/x-excel")
J = leaf("message/rfc822")
K = leaf("text/plain", "inline")
RFC_8621 = multipart(
    "mixed",
    A,
    multipart(
        "mixed",
        multipart("alternative", multipart("mixed", B, C, D), multipart("related", E, F)),
        G,
        H,
        J,
    ),
    K,
)


def same(left: list[Part], right: list[Part]) -> bool:
    return [id(part) for part in left] == [id(part) for part in right]


# --- textBody, htmlBody, attachments ------------------------------------------------------------


@pytest.mark.checklist("N21")
def test_the_example_of_the_rfc_is_decomposed_as_printed() -> None:
    lists = body.body_lists(RFC_8621)
    assert same(lists.text, [A, B, C, D, K])
    assert same(lists.html, [A, E, K])
    assert same(lists.attachments, [C, F, G, H, J])


PLAIN = leaf("text/plain")
HTML = leaf("text/html")
PICTURE = leaf("image/png")
FILE = leaf("application/pdf", "attachment", "a.pdf")
NAMED = leaf("text/plain", None, "notes.txt")
CALENDAR = leaf("text/calendar")


@pytest.mark.checklist("N21")
@pytest.mark.parametrize(
    ("root", "shown", "html", "attachments"),
    [
        (PLAIN, [PLAIN], [PLAIN], []),
        (HTML, [HTML], [HTML], []),
        (FILE, [], [], [FILE]),
        (PICTURE, [PICTURE], [PICTURE], []),
        (leaf("text/plain", "attachment"), [], [], 1),
        (multipart("alternative", PLAIN, HTML), [PLAIN], [HTML], []),
        (multipart("alternative", HTML), [HTML], [HTML], []),
        (multipart("alternative", PLAIN), [PLAIN], [PLAIN], []),
        (multipart("alternative", PLAIN, HTML, CALENDAR), [PLAIN], [HTML], [CALENDAR]),
        (multipart("mixed", PLAIN, FILE), [PLAIN], [PLAIN], [FILE]),
        (multipart("mixed", PLAIN, NAMED), [PLAIN], [PLAIN], [NAMED]),
        (multipart("mixed", NAMED, PLAIN), [NAMED, PLAIN], [NAMED, PLAIN], []),
        (multipart("mixed", PLAIN, PICTURE), [PLAIN, PICTURE], [PLAIN, PICTURE], []),
        (multipart("related", HTML, PICTURE), [HTML], [HTML], [PICTURE]),
        (
            multipart("alternative", PLAIN, multipart("related", HTML, PICTURE)),
            [PLAIN],
            [HTML],
            [PICTURE],
        ),
        (multipart("mixed"), [], [], []),
        # what no list would have is an attachment
        (multipart("alternative", multipart("mixed", PLAIN, HTML)), [PLAIN], [PLAIN], [HTML]),
        (multipart("alternative", multipart("mixed", PLAIN, PICTURE)), *[[PLAIN, PICTURE]] * 2, []),
    ],
)
def test_common_structures(
    root: Part, shown: list[Part], html: list[Part], attachments: list[Part] | int
) -> None:
    lists = body.body_lists(root)
    assert same(lists.text, shown)
    assert same(lists.html, html)
    if isinstance(attachments, int):
        assert len(lists.attachments) == attachments
    else:
        assert same(lists.attachments, attachments)


_TYPES = ["text/plain", "text/html", "text/calendar", "image/png", "application/pdf"]
_LEAVES = st.builds(
    leaf,
    st.sampled_from(_TYPES),
    st.sampled_from([None, "inline", "attachment"]),
    st.sampled_from([None, "x.txt"]),
)
_TREES = st.recursive(
    _LEAVES,
    lambda parts: st.builds(
        lambda subtype, children: multipart(subtype, *children),
        st.sampled_from(["mixed", "alternative", "related"]),
        st.lists(parts, max_size=4),
    ),
    max_leaves=12,
)


@pytest.mark.checklist("N21", "N22")
@given(_TREES)
def test_no_part_is_lost_and_attachments_are_what_the_rfc_defines(root: Part) -> None:
    lists = body.body_lists(root)
    shown = {id(part) for part in lists.text}, {id(part) for part in lists.html}
    attached = {id(part) for part in lists.attachments}
    for part in body.leaves(root):
        in_text, in_html = (id(part) in ids for ids in shown)
        media = part.type.startswith("image/")
        expected = not (in_text and in_html) if media else not (in_text or in_html)
        assert (id(part) in attached) == expected
    assert body.has_attachment(root) == any(p.disposition != "inline" for p in lists.attachments)


@pytest.mark.checklist("N22")
def test_inline_parts_are_no_attachments() -> None:
    inline = leaf("application/pdf", "inline")
    assert not body.has_attachment(multipart("mixed", PLAIN, inline))
    assert body.has_attachment(multipart("mixed", PLAIN, inline, FILE))
    assert body.has_attachment(RFC_8621)
    assert not body.has_attachment(multipart("alternative", PLAIN, HTML))


# --- Parts ---------------------------------------------------------------------------------------


@pytest.mark.checklist("N18")
def test_name_and_charset_come_from_where_the_rfc_says() -> None:
    assert leaf("image/png", None, "n.png").name == "n.png"
    assert leaf("image/png").name is None
    assert leaf("text/plain").charset == "us-ascii"
    assert leaf("application/pdf").charset is None
    assert Part("1", "application/xml", {"charset": "utf-8"}).charset == "utf-8"


@given(st.binary(max_size=2_000), st.booleans())
def test_the_size_of_base64_is_at_most_the_padding_too_large(octets: bytes, is_text: bool) -> None:
    encoded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    lines = encoded.count(b"\n") if is_text else None
    part = Part("1", "text/plain", encoding="base64", size=len(encoded), lines=lines)
    assert 0 <= body.decoded_size(part) - len(octets) <= 2


# --- EmailBodyValue -----------------------------------------------------------------------------


def value_of(octets: bytes, part: Part, max_bytes: int = 0) -> tuple[str, bool, bool]:
    found = body.body_value(octets, part, max_bytes)
    assert list(found) == ["value", "isEncodingProblem", "isTruncated"]
    return found["value"], found["isEncodingProblem"], found["isTruncated"]


@pytest.mark.checklist("N20")
@pytest.mark.parametrize(
    ("octets", "encoding", "charset", "value", "problem"),
    [
        (b"one\r\ntwo\r\n", "7bit", None, "one\ntwo\n", False),
        (b"bare\rCR\n", "7bit", None, "bare\rCR\n", False),
        (b"caf=E9=\r\n!", "quoted-printable", "iso-8859-1", "café!", False),
        (b"Y2Fmw6k=", "base64", "utf-8", "café", False),
        (b"caf\xe9", "8bit", "utf-8", "caf\ufffd", True),
        (b"caf\xe9", "8bit", "x-nobody-knows", "café", True),
        (b"text", "7bit", "x-nobody-knows", "text", True),
        (b"text", "x-nobody-knows", "utf-8", "text", True),
        (b"bad =ZZ", "quoted-printable", "utf-8", "bad =ZZ", True),
        (b"a\xef\xbb\xbf", "8bit", "utf-8", "a\ufeff", False),
        ("é".encode(), "8bit", None, "é", False),
        ("é".encode(), "8bit", "us-ascii", "é", False),
    ],
)
def test_values_are_decoded(
    octets: bytes, encoding: str, charset: str | None, value: str, problem: bool
) -> None:
    part = text(octets, charset=charset, encoding=encoding)
    assert value_of(octets, part) == (value, problem, False)


def test_html_may_declare_its_charset_itself() -> None:
    octets = b'<meta http-equiv=Content-Type content="text/html; charset=koi8-r">\xf0\xd2'
    assert value_of(octets, text(octets, "text/html"))[0].endswith("Пр")
    # Which is what servers write where nothing is declared.
    assert value_of(octets, text(octets, "text/html", charset="US-ASCII"))[0].endswith("Пр")
    assert value_of(octets, text(octets, "text/html", charset="utf-8"))[1]


@pytest.mark.checklist("O04")
@pytest.mark.parametrize(
    ("whole", "max_bytes", "value"),
    [
        ("abcdef", 0, "abcdef"),
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcde"),
        ("aé", 2, "a"),
        ("a€b", 3, "a"),
        ("a€b", 4, "a€"),
        ("a😀", 4, "a"),
        ("€", 1, ""),
        ("a\r\nb", 3, "a\nb"),
    ],
)
def test_values_are_cut_between_characters(whole: str, max_bytes: int, value: str) -> None:
    part = text(whole.encode(), charset="utf-8", encoding="8bit")
    shown = value_of(whole.encode(), part, max_bytes)
    assert shown == (value, False, len(value) < len(whole.replace("\r\n", "\n")))


@pytest.mark.checklist("O04")
@pytest.mark.parametrize(
    ("cut", "value"),
    [
        ('<p>text<a href="https://exa', "<p>text"),
        ("<p>text<", "<p>text"),
        ("<p>text</", "<p>text"),
        ('<p>text<a title="a > b" hre', "<p>text"),
        ("<p>text<!-- a > b", "<p>text"),
        ("<p>1 < 2 and", "<p>1 < 2 and"),
        ("<p>text<br>more", "<p>text<br>more"),
        ("<b", ""),
    ],
)
def test_html_is_not_cut_inside_of_a_tag(cut: str, value: str) -> None:
    whole = (cut + ' xyz">-->').encode()
    part = text(whole, "text/html", charset="utf-8")
    assert value_of(whole, part, len(cut)) == (value, False, True)
    plain = text(whole, "text/plain", charset="utf-8")
    assert value_of(whole, plain, len(cut)) == (cut, False, True)


@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
def test_the_first_octets_of_a_part_are_enough_for_a_cut_value(encoding: str) -> None:
    whole = "äöü€" * 50_000
    octets = whole.encode()
    if encoding == "base64":
        octets = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        octets = b"".join(b"=%02X" % octet for octet in octets)
    part = text(octets, charset="utf-8", encoding=encoding)
    needed = body.octets_needed(part, 1_000)
    assert needed is not None
    assert needed < len(octets)
    value, problem, truncated = value_of(octets[:needed], part, 1_000)
    assert whole.startswith(value)
    assert len(value.encode()) > 990
    assert (problem, truncated) == (False, True)
    assert body.octets_needed(part, 0) is None
    assert body.octets_needed(part, len(octets)) is None


@pytest.mark.checklist("O04")
@given(st.text(max_size=60), st.integers(1, 40), st.sampled_from(["text/plain", "text/html"]))
def test_values_never_exceed_the_octets_asked_for(whole: str, limit: int, type_: str) -> None:
    octets = whole.encode("utf-8", "replace")
    value, _, _ = value_of(octets, text(octets, type_, charset="utf-8"), limit)
    assert len(value.encode()) <= limit


@given(
    st.binary(max_size=100),
    st.sampled_from(["7bit", "base64", "quoted-printable", "?"]),
    st.sampled_from([None, "utf-8", "utf-16", "iso-2022-jp", "?"]),
    st.integers(0, 50),
)
def test_any_octets_have_a_value(
    octets: bytes, encoding: str, charset: str | None, limit: int
) -> None:
    part = text(octets, "text/html", charset=charset, encoding=encoding)
    value_of(octets, part, limit)[0].encode()
