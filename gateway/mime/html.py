"""RFC 8621 §5: HTML converted to plain text, as a person would read it.

A scanner that stops once it has enough text and looks at each character once. A full HTML parser
builds a tree first, in time quadratic in the depth of nesting.
"""

from __future__ import annotations

import re
from collections import Counter
from html import unescape

from gateway.mime.visible import visible

# "<" before anything else is text.
_MARKUP = re.compile(r"<[a-zA-Z/!?]")
# A quote is one only where a value begins, so that a stray one hides no more than its tag.
_TAG = re.compile(
    r"<(/?)([a-zA-Z][^\s/>]*+)((?>(?:[^>=]++|=\s*+(?:\"[^\"]*+\"|'[^']*+')?)*))>", re.ASCII
)
_ATTRIBUTE = re.compile(r"([^\s/=]++)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"']\S*+)))?")
_COMMENT_END = re.compile(r"--!?>")
# Elements that stand on lines of their own, and those that stand in a row.
_LINES = frozenset(
    (
        *("address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd"),
        *("details", "dialog", "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure"),
        *("footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "html"),
        *("legend", "li", "main", "menu", "nav", "ol", "optgroup", "option", "p", "pre"),
        *("section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul"),
    )
)
_CELLS = frozenset({"button", "embed", "img", "input", "rt", "td", "textarea", "th"})
_VOID = frozenset(
    (
        *("area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img"),
        *("input", "link", "meta", "param", "source", "track", "wbr"),
    )
)
# Elements whose content is no markup: they end at their end tag only.
_RAW = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
    for name in ("iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp")
}
_UNSEEN = frozenset(
    {"audio", "canvas", "math", "object", "select", "svg", "template", "video", "xml"}
)
# Elements that end where a next one of the same name begins.
_IMPLIED_END = frozenset({"dd", "dt", "li", "p"})
_MAY_HIDE = re.compile(r"style|hidden", re.IGNORECASE)
_HIDING_STYLE = re.compile(
    r"(?<![\w-])(?:display\s*+:\s*+none|visibility\s*+:\s*+hidden|mso-hide\s*+:\s*+all"
    r"|(?:opacity|max-height)\s*+:\s*+0(?:\.0)?(?:px|pt|em|%)?\s*+(?:[;!]|\Z))",
    re.IGNORECASE,
)


def html_text(html: str, limit: int, *, quotes: bool = True, images: bool = False) -> str:
    """The text that HTML shows, each block of it on a line, up to about `limit` characters.

    White space and invisible characters are as in `visible`. `quotes` are the blockquotes, and
    without them goes the line that introduces one; `images` stands for their alternative texts.
    """
    reader = _Reader(quotes, images)
    position = 0
    while reader.length < limit:
        markup = _MARKUP.search(html, position)
        start = markup.start() if markup else len(html)
        reader.text(html[position:start])
        if markup is None:
            break
        tag = _TAG.match(html, start)
        if tag is None:
            position = _after_markup(html, start)
            continue
        position = tag.end()
        closes, name = bool(tag[1]), tag[2].lower()
        if closes:
            reader.end(name)
        elif name in _RAW:
            end = _RAW[name].search(html, position)
            position = end.start() if end else len(html)
        else:
            reader.start(name, tag[3])
    return reader.finish()


class _Reader:
    """Follows the tags of a document and notes what text they show."""

    def __init__(self, quotes: bool, images: bool) -> None:
        self._quotes = quotes
        self._images = images
        self._lines: list[str] = []
        self._line: list[str] = []
        # The elements that are open, and how many of them when the one began that is not shown.
        self._open: list[str] = []
        self._names: Counter[str] = Counter()
        self._hidden_from: int | None = None
        self.length = 0

    def text(self, raw: str) -> None:
        if self._hidden_from is None and raw:
            text = unescape(raw) if "&" in raw else raw
            self._line.append(text)
            self.length += len(visible(text))

    def start(self, name: str, attributes: str) -> None:
        if name in _IMPLIED_END and self._open and self._open[-1] == name:
            self._close(name)
        if self._hidden_from is None:
            self._part(name)
            if name == "img" and self._images and not _is_hidden(attributes):
                self.text(_attributes(attributes).get("alt", "") + " ")
        if name in _VOID:
            return
        if self._hidden_from is None:
            if name == "blockquote" and not self._quotes:
                self._hidden_from = len(self._open)
                self._drop_introduction()
            elif _is_unseen(name, attributes):
                self._hidden_from = len(self._open)
        self._open.append(name)
        self._names[name] += 1

    def end(self, name: str) -> None:
        if self._names[name]:
            self._close(name)
        if self._hidden_from is None:
            self._part(name)

    def finish(self) -> str:
        self._end_line()
        return "\n".join(self._lines)

    def _close(self, name: str) -> None:
        """Close the last element of that name and all that are open within it."""
        while True:
            closed = self._open.pop()
            self._names[closed] -= 1
            if closed == name:
                break
        if self._hidden_from is not None and len(self._open) <= self._hidden_from:
            self._hidden_from = None

    def _part(self, name: str) -> None:
        """Part what comes from what was before a tag."""
        if name in _LINES:
            self._end_line()
        elif name in _CELLS:
            self._line.append(" ")

    def _end_line(self) -> None:
        if self._line:
            line = visible("".join(self._line))
            if line:
                self._lines.append(line)
            self._line.clear()

    def _drop_introduction(self) -> None:
        """Of a quote: the line that says who wrote it."""
        if self._lines and self._lines[-1].endswith(":"):
            self._lines.pop()


def _is_unseen(name: str, attributes: str) -> bool:
    if name in _UNSEEN:
        return not attributes.endswith("/")  # in XML that is all of the element
    return _is_hidden(attributes)


def _is_hidden(attributes: str) -> bool:
    if not _MAY_HIDE.search(attributes):
        return False
    values = _attributes(attributes)
    return "hidden" in values or bool(_HIDING_STYLE.search(values.get("style", "")))


def _attributes(attributes: str) -> dict[str, str]:
    """The values by lower-case name; of several with one name the first counts."""
    values: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(attributes):
        values.setdefault(match[1].lower(), match[2] or match[3] or match[4] or "")
    return values


def _after_markup(html: str, start: int) -> int:
    """Where reading goes on after markup that is no tag: a tag that is not closed is the end."""
    if html.startswith("<!--", start):
        comment = _COMMENT_END.search(html, start + 2)
        return comment.end() if comment else len(html)
    end = html.find(">", start) if html[start + 1] in "!?/" else -1
    return end + 1 if end >= 0 else len(html)
