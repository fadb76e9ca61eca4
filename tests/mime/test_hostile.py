"""RFC 8620 §8.5: no message is dear to read, whatever it contains.

Nothing is timed. Patterns must be such that they can not backtrack, and what is written in Python
must do at most twice the work for twice the input.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

import gateway.mime
from gateway.mime import headers, parameters, threading, transfer
from gateway.mime.basesubject import base_subject
from gateway.mime.html import html_text
from gateway.mime.limits import MAX_VALUE_OCTETS
from gateway.mime.preview import preview
from gateway.mime.snippet import marked_preview
from gateway.mime.structure import from_bodystructure
from gateway.mime.threadsubject import thread_subject
from tests.patterns import bad_repeats, patterns_of


@pytest.mark.threat("R21")
def test_no_pattern_can_backtrack_without_bound() -> None:
    patterns = dict(patterns_of(gateway.mime))
    assert len(patterns) > 20
    assert {name: bad for name, each in patterns.items() if (bad := bad_repeats(each))} == {}


def _calls(function: Callable[[Any], object], argument: object) -> int:
    """How many functions, of Python and of C, are called and returned from."""
    count = 0

    def note(_frame: FrameType, _event: str, _argument: object) -> None:
        nonlocal count
        count += 1

    previous = sys.getprofile()
    sys.setprofile(note)
    try:
        function(argument)
    finally:
        sys.setprofile(previous)
    return count


def _fields_forms(value: bytes) -> None:
    headers.convenience(b"To: " + value + b"\r\nSubject: " + value + b"\r\nDate: " + value)
    headers.grouped_addresses(value)
    headers.message_ids(value)
    parameters.parse(b"x;" + value)


HOSTILE = [
    *(b'"', b'"\\', b"\\", b"(", b"(a", b")", b"((", b"<", b"<a", b">", b",", b";", b":", b"@:"),
    *(b"a@", b".", b"[", b"[\\", b"a:", b"a b ", b"=?", b"=?a?q?x,", b"=?a?q?x ", b"\r\n ", b" "),
    *(b"=?utf-8?q?a?= ", b"=?utf-8?q?=C3?= ", b";a=", b";a*0*=", b';a="', b"; ", b"<a@b>", b'"a"'),
    *(b"1 Jan ", b"Mon ", b"re:", b"[a]", b"(fwd)", b"[fwd:", b"=", b"\xc3", b"\0", b"1", b"\t"),
]


@pytest.mark.threat("R20")
@pytest.mark.parametrize("piece", HOSTILE)
def test_header_values_cost_in_proportion_to_their_length(piece: bytes) -> None:
    once = _calls(_fields_forms, piece * 600)
    twice = _calls(_fields_forms, piece * 1200)
    assert twice <= 2 * once + 100


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<a",
        '<a "',
        "<!--",
        "<script>",
        "<div hidden>",
        "<p>",
        "&",
        "&amp",
        "</",
        "<b>x",
        "\n>",
    ],
)
def test_previews_cost_in_proportion_to_their_length(piece: str) -> None:
    for is_html in (True, False):
        once = _calls(lambda text: preview(text, is_html), piece * 600)  # noqa: B023
        twice = _calls(lambda text: preview(text, is_html), piece * 1200)  # noqa: B023
        assert twice <= 2 * once + 100


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "<",
            "<a",
            '<a "',
            '<a b="',
            "<a b='>",
            "<a =",
            "<!--",
            "<!",
            "<script>",
            "<style></style>",
        ),
        *("<div hidden>", "<div hidden></div>", "<p>", "<li>", "<b></p>", "<b><p></b>", "</div>"),
        *(
            "x:<blockquote></blockquote>",
            "x:<b>y</b>",
            "&",
            "&amp",
            "&shy;",
            "</",
            "\n>",
            "<img alt=x>",
        ),
        *('<a a a="b" c = >', "<a style=x>", "<svg/>", "a&#8203; "),
    ],
)
def test_html_costs_in_proportion_to_its_length(piece: str) -> None:
    def read(html: str) -> None:
        html_text(html, 1 << 30, quotes=False, images=True)

    once = _calls(read, piece * 600)
    assert _calls(read, piece * 1200) <= 2 * once + 100


@pytest.mark.parametrize("piece", ["a", "a ", "b", "<a>", "é", "İ", "a\u0301", "👩\u200d", "a b "])
def test_snippets_cost_in_proportion_to_the_length(piece: str) -> None:
    def mark(text: str) -> None:
        marked_preview(text, ["a", "aa", "é", "👩"])

    once = _calls(mark, piece * 3_000)
    assert _calls(mark, piece * 6_000) <= 2 * once + 100


@pytest.mark.parametrize("subject", [base_subject, thread_subject])
@pytest.mark.parametrize(
    "piece", ["[a]", "[fwd:", "(fwd)", "re:", "re [", "[", "] ", "fw[a] ", "AW: ", "(was", "回复："]
)
def test_subjects_cost_in_proportion_to_their_length(
    piece: str, subject: Callable[[str], str]
) -> None:
    once = _calls(subject, piece * 600)
    assert _calls(subject, piece * 1200) <= 2 * once + 100


@pytest.mark.parametrize("piece", [b"=", b" ", b"=\r", b"A=", b"\n", b"=4", b"!"])
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_decoding_costs_in_proportion_to_the_length(piece: bytes, encoding: str) -> None:
    def decode(octets: bytes) -> None:
        decoder = transfer.decoder(encoding)
        for start in range(0, len(octets), 64):
            decoder.feed(octets[start : start + 64])
        decoder.finish()

    once = _calls(decode, piece * 6_000)
    assert _calls(decode, piece * 12_000) <= 2 * once + 100


@pytest.mark.threat("R20")
def test_nesting_does_not_recurse_without_bound() -> None:
    headers.addresses(b"(" * 60_000)
    headers.addresses(b"(" * 30_000 + b")" * 30_000 + b"a@x")
    nested: Any = None
    for _ in range(50_000):
        nested = [nested, b"mixed"]
    from_bodystructure(nested)
    preview("<div>" * 20_000, is_html=True)


def test_the_largest_values_are_read() -> None:
    """Each of these is quadratic for some parser that looks again at what it has seen."""
    for piece in HOSTILE:
        value = b"a" + piece * (MAX_VALUE_OCTETS // len(piece)) + b"a"
        _fields_forms(value)
        threading.thread_root(b"Subject: " + value + b"\r\nReferences: " + value)
