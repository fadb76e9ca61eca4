"""RFC 8621 §4.1.4 `preview`: the first words of a message."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.mime.html import html_text
from gateway.mime.visible import boundary, visible
from gateway.mime.words import without_controls

TEXT_OCTETS = 8192
"""As much of a text fills a preview, mark-up included."""

MAX_CHARACTERS = 256
"""RFC 8621 §4.1.4; counted in UTF-16 code units, as clients count, so never more in characters."""

_MAX_TEXT = 32_768
_MAX_HTML = 131_072
_ENOUGH = 2 * MAX_CHARACTERS
_QUOTE = re.compile(r"[ \t]*+>")
# Lines that are drawn, and what stands in plain text for the links and images of HTML.
_RULE = re.compile(r"[ \t]*+[-=_*~#+]{3}[-=_*~#+ \t]*+")
_STAND_IN = re.compile(
    r"<(?:https?|mailto|tel):[^<>\s]*+>|\[(?:cid:|image:|https?:)[^][]*+\]", re.I
)
_NO_TEXT = re.compile(r"(?<![\w./])html(?![\w/])", re.IGNORECASE)
_MAX_NO_TEXT = 200


def preview(text: str, is_html: bool) -> str:
    """At most 256 characters of one line from a decoded text or HTML part; "" if it has no text.

    Quoted text and signatures are left out unless there is nothing else, what HTML hides always.
    The alternative texts of images stand for a message that has no other text.
    """
    if is_html:
        html = text[:_MAX_HTML]
        return (
            _line(html_text(html, _ENOUGH, quotes=False))
            or _line(html_text(html, _ENOUGH))
            or _line(html_text(html, _ENOUGH, images=True))
        )
    text = text[:_MAX_TEXT]
    return _line(_without_quotes(text)) or _line(text)


def preview_of(texts: Iterable[tuple[str, bool]]) -> str:
    """The preview of the first of several texts, each with `is_html`, that has something to say."""
    first = ""
    for text, is_html in texts:
        line = preview(text, is_html)
        if line and (is_html or not _says_nothing(text)):
            return line
        first = first or line
    return first


def _says_nothing(text: str) -> bool:
    """Whether a text is no more than a word that the message is in HTML.

    Such are the alternatives that some programs put beside the HTML that they send.
    """
    start = visible(text[:_MAX_TEXT])
    return len(start) <= _MAX_NO_TEXT and bool(_NO_TEXT.search(start))


def _without_quotes(text: str) -> str:
    kept: list[str] = []
    length = 0
    for line in text.split("\n"):
        line = line.rstrip("\r")
        if line == "-- " and kept:
            break
        if _QUOTE.match(line):
            # The line that introduces a quote: "On Monday, Jane wrote:".
            while kept and not kept[-1].strip():
                kept.pop()
            if kept and kept[-1].endswith(":"):
                kept.pop()
            continue
        if _RULE.fullmatch(line):
            continue
        line = _STAND_IN.sub("", line)
        kept.append(line)
        length += len(line) + 1
        if length > _ENOUGH:
            break
    return "\n".join(kept)


def _line(text: str) -> str:
    """One line of `text`, cut between two characters as a reader sees them."""
    start = without_controls(visible(text)[: 2 * MAX_CHARACTERS])
    return _cut(" ".join(start.split()))


def _cut(line: str) -> str:
    end = units = 0
    while end < len(line):
        units += 2 if line[end] > "\uffff" else 1
        if units > MAX_CHARACTERS:
            break
        end += 1
    else:
        return line
    return line[: boundary(line, end) or end].rstrip()
