"""RFC 8621 §4.1.4 `preview`: the first words of a message.

HTML is read by a scanner that stops once it has enough text and looks at each character once. A
full HTML parser builds a tree first, in time quadratic in the depth of nesting.
"""

from __future__ import annotations

import re
import unicodedata
from html import unescape

from gateway.mime.words import without_controls

MAX_CHARACTERS = 256
"""RFC 8621 §4.1.4; counted in UTF-16 code units, as clients count, so never more in characters."""

_MAX_TEXT = 32_768
_MAX_HTML = 131_072
_MAX_TAGS = 16_384
_ENOUGH = 2 * MAX_CHARACTERS
_MAX_CLUSTER = 32  # code points of one character as a reader sees it
_QUOTE = re.compile(r"[ \t]*+>")
# Invisible characters by which senders pad their previews.
_PADDING = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2060-\u2064\ufeff]"
)
_JOINERS = "\u200c\u200d"  # with nothing to join at the ends of words


def preview(text: str, is_html: bool) -> str:
    """At most 256 characters of one line from a decoded text or HTML part; "" if it has no text.

    Quoted text and signatures are left out unless there is nothing else, and so is what HTML
    hides.
    """
    if is_html:
        text = text[:_MAX_HTML]
        return _line(_html_text(text, with_quotes=False)) or _line(_html_text(text, True))
    text = text[:_MAX_TEXT]
    return _line(_without_quotes(text)) or _line(text)


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
        kept.append(line)
        length += len(line) + 1
        if length > _ENOUGH:
            break
    return "\n".join(kept)


def _line(text: str) -> str:
    """One line of `text`, cut between two characters as a reader sees them."""
    start = without_controls(_collapse(text)[: 2 * MAX_CHARACTERS])
    return _cut(" ".join(start.split()))


def _collapse(text: str) -> str:
    if text.isascii():
        return " ".join(text.split())
    words = (word.strip(_JOINERS) for word in _PADDING.sub("", text).split())
    return " ".join(word for word in words if word)


def _cut(line: str) -> str:
    end = units = 0
    while end < len(line):
        units += 2 if line[end] > "\uffff" else 1
        if units > MAX_CHARACTERS:
            break
        end += 1
    else:
        return line
    # Neither a mark nor a joined character is parted from what it belongs to.
    whole = end
    while whole > 0 and end - whole < _MAX_CLUSTER:
        if not (_continues(line[whole]) or line[whole - 1] == "\u200d"):
            end = whole
            break
        whole -= 1
    return line[:end].rstrip()


def _continues(character: str) -> bool:
    return (
        unicodedata.category(character).startswith("M")
        or character == "\u200d"
        or "\U0001f3fb" <= character <= "\U0001f3ff"
    )


# --- HTML ---------------------------------------------------------------------------------------

_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*+)((?>(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*))>")
# Elements that do not end a word.
_INLINE = frozenset(
    (
        *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn"),
        *("em", "font", "i", "ins", "kbd", "label", "mark", "q", "s", "samp", "small", "span"),
        *("strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr"),
    )
)
_VOID = frozenset(
    (
        *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param"),
        *("source", "track", "wbr"),
    )
)
# Elements whose content is no markup: they end at their end tag only.
_RAW = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
    for name in ("iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp")
}
_UNSEEN = frozenset({"head", "math", "object", "select", "svg", "template"})
_HIDING_STYLE = re.compile(
    r"display\s{0,9}:\s{0,9}none|visibility\s{0,9}:\s{0,9}hidden|mso-hide\s{0,9}:\s{0,9}all",
    re.IGNORECASE,
)
_ATTRIBUTE_VALUE = re.compile(r"=\s{0,9}(?:\"[^\"]*+\"|'[^']*+'|[^\s\"']++)")
_HIDDEN_ATTRIBUTE = re.compile(r"(?<![\w-])hidden(?![\w-])", re.IGNORECASE)


def _html_text(html: str, with_quotes: bool) -> str:
    """The text that HTML shows, up to about _ENOUGH characters."""
    pieces: list[str] = []
    length = 0
    position = 0
    skipped = ""  # the element that is not shown, and how many of its name are open
    depth = 0
    for _ in range(_MAX_TAGS):
        start = html.find("<", position)
        if not depth:
            piece = unescape(html[position : start if start >= 0 else len(html)])
            pieces.append(piece)
            length += len(_collapse(piece))
        if start < 0 or length >= _ENOUGH:
            break
        tag = _TAG.match(html, start)
        if tag is None:
            position = _after_markup(html, start)
            if position == start + 1 and not depth:
                pieces.append("<")
            continue
        position = tag.end()
        closes, name = bool(tag[1]), tag[2].lower()
        if name not in _INLINE:
            pieces.append(" ")
        if not closes and name in _RAW:
            end = _RAW[name].search(html, position)
            position = end.start() if end else len(html)
        elif not depth:
            if not closes and name not in _VOID and _is_unseen(name, tag[3], with_quotes):
                skipped, depth = name, 1
        elif name == skipped:
            depth += -1 if closes else 1
        elif skipped == "head" and name == "body":
            depth = 0
    return "".join(pieces)


def _is_unseen(name: str, attributes: str, with_quotes: bool) -> bool:
    if name in _UNSEEN or (name == "blockquote" and not with_quotes):
        return True
    if not attributes:
        return False
    return bool(
        _HIDING_STYLE.search(attributes)
        or _HIDDEN_ATTRIBUTE.search(_ATTRIBUTE_VALUE.sub("", attributes))
    )


def _after_markup(html: str, start: int) -> int:
    """Where reading goes on after a "<" that begins no tag."""
    if html.startswith("<!--", start):
        end = html.find("-->", start + 4)
        return end + 3 if end >= 0 else len(html)
    following = html[start + 1 : start + 2]
    if following in ("!", "?", "/"):
        end = html.find(">", start)
        return end + 1 if end >= 0 else len(html)
    # A tag that is not closed is the end, and "<" before anything else is text.
    return len(html) if following.isascii() and following.isalpha() else start + 1
