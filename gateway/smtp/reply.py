"""RFC 5321 §4.2, RFC 2034: replies, read without input or output of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?: |$)")
# RFC 5321 §4.5.3.1.5 has 512; servers are longer-winded.
_MAX_LINE_OCTETS: Final = 4096
_MAX_LINES: Final = 200


class BadReply(Exception):
    """What the server sent is no reply."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply; `lines` have the text of each without the code."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """RFC 8621 §7: the lines as one; what each begins with in common is there once."""
        status = self.enhanced
        first, *others = self.lines or ("",)
        if status is not None:
            others = [line.removeprefix(status).lstrip() for line in others]
        return " ".join([first, *others]).strip()

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code (RFC 3463), if there is one: "5.7.1"."""
        found = _ENHANCED.match(self.lines[0]) if self.lines else None
        return found[0].strip() if found is not None else None

    @property
    def is_positive(self) -> bool:
        """Whether what was asked for is done."""
        return 200 <= self.code < 300

    @property
    def is_temporary(self) -> bool:
        """Whether it may be done if it is asked for later."""
        return 400 <= self.code < 500

    def __str__(self) -> str:
        """As RFC 8621 §7 has it in smtpReply."""
        return f"{self.code} {self.text}".strip()


class ReplyReader:
    """Makes replies of octets as they come."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._lines: list[str] = []
        self._code: int | None = None

    def feed(self, octets: bytes) -> Iterator[Reply]:
        """The replies that these octets complete. Raises BadReply after those that are good."""
        self._octets += octets
        while (end := self._octets.find(b"\n")) >= 0:
            line = bytes(self._octets[:end]).removesuffix(b"\r")
            del self._octets[: end + 1]
            reply = self._line(line)
            if reply is not None:
                yield reply
        if len(self._octets) > _MAX_LINE_OCTETS:
            raise BadReply("a line without an end")

    def _line(self, line: bytes) -> Reply | None:
        found = _LINE.fullmatch(line) if len(line) <= _MAX_LINE_OCTETS else None
        if found is None or (self._code is not None and int(found[1]) != self._code):
            raise BadReply(line[:80].decode("ascii", "replace"))
        self._code = int(found[1])
        self._lines.append(shown(found[3] or b""))
        if len(self._lines) > _MAX_LINES:
            raise BadReply("a reply without an end")
        if found[2] == b"-":
            return None
        reply = Reply(self._code, tuple(self._lines))
        self._code, self._lines = None, []
        return reply


def shown(octets: bytes) -> str:
    """Text that may be shown to people, and stored."""
    text = octets.decode("utf-8", "replace")
    return "".join(c if c.isprintable() else " " for c in text).strip()
