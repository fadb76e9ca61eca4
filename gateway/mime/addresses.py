"""RFC 5322 §3.4, §4.4: address lists, as RFC 8621 §4.1.2.3-4 shows them.

Parsing never fails: what is no address is shown as well as it can be, as drafts and broken
messages need. Ordinary lists are read by one pattern, everything else by `_Parser`.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from gateway.mime import words
from gateway.mime.limits import MAX_ADDRESSES, MAX_VALUE_OCTETS

EmailAddress: TypeAlias = dict[str, str | None]
Group: TypeAlias = tuple[str | None, list[EmailAddress]]

# name <local@domain>, "name" <local@domain> or local@domain, up to the comma or the end.
_ORDINARY = re.compile(
    rb'\s*+(?:(?:"([^"\\]*+)"\s*+|([^][()<>@,;:\\"]*+))<([^][()<>,;:\\"\s]++)>'
    rb'|([^][()<>@,;:\\"\s]++@[^][()<>@,;:\\"\s]++))\s*+(?:,|\Z)'
)
_QUOTED = re.compile(rb'"((?>(?:[^"\\]++|\\.)*))"', re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_NOT_ANGLE = re.compile(rb"[^<>]*+")
_COMMENT = re.compile(rb"\([^()]*+\)")
_LITERAL = re.compile(rb"\[[^][\\]*+\]")
_ATOM = re.compile(rb'[^\s()<>@,;:\\"\[]++')
_STRAY = re.compile(rb'[][()\\"]++')
_MAX_TOKENS = 10 * MAX_ADDRESSES
_SPACE = re.compile(rb"\s++")
_AROUND_DOT_AND_AT = re.compile(rb" ?([.@]) ?")


def addresses(value: bytes) -> list[EmailAddress]:
    """RFC 8621 §4.1.2.3: the mailboxes of a raw field value; groups and comments are dropped."""
    found: list[EmailAddress] = []
    size = min(len(value), MAX_VALUE_OCTETS)
    position = 0
    while position < size and len(found) < MAX_ADDRESSES:
        match = _ORDINARY.match(value, position, size)
        if match is None:
            if not value[position:size].strip():
                break
            return [address for _, group in grouped(value) for address in group]
        quoted, name, angle, bare = match.groups()
        found.append(
            {
                "name": _quoted_name(quoted) if quoted else _phrase(name) if name else None,
                "email": words.plain(angle or bare),
            }
        )
        position = match.end()
    return found


def grouped(value: bytes) -> list[Group]:
    """RFC 8621 §4.1.2.4: the groups of a raw field value, mailboxes in no group under None."""
    return _Parser(value[:MAX_VALUE_OCTETS]).parse()


def _quoted_name(content: bytes) -> str | None:
    """The content of a quoted-string, in which encoded-words are not decoded (RFC 2047 §5)."""
    content = words.unfold(content)
    if b"\\" in content:
        content = _QUOTED_PAIR.sub(rb"\1", content)
    return words.plain(content).strip() or None


def _phrase(phrase: bytes) -> str | None:
    """Words outside of quotes, with single spaces between them."""
    text = words.decode(words.unfold(phrase)).strip()
    if "  " in text or "\t" in text:
        text = " ".join(text.split())
    return text or None


class _Parser:
    """One pass over an address list; each character is looked at a fixed number of times."""

    def __init__(self, value: bytes) -> None:
        self._value = value
        self._position = 0
        self._groups: list[Group] = [(None, [])]
        self._count = 0
        # Once a quote or a comment was found not to end, none does.
        self._quotes_end = True
        self._comments_end = True
        self._start_mailbox()

    def _start_mailbox(self) -> None:
        self._phrase: list[bytes] = []  # quoted-strings with their quotes, and the rest
        self._name_end = 0  # pieces of the phrase that stand before the address in brackets
        self._at: int | None = None  # the piece that is the last "@" outside of brackets
        self._address = b""
        self._comment: bytes | None = None

    def parse(self) -> list[Group]:
        value = self._value
        for _ in range(_MAX_TOKENS):
            if self._position >= len(value) or self._count >= MAX_ADDRESSES:
                break
            match value[self._position : self._position + 1]:
                case b"<":
                    self._read_angle()
                    continue
                case b"(" if self._comments_end:
                    self._read_comment()
                    continue
                case b'"' if self._quotes_end:
                    self._read_quoted()
                    continue
                case b"," | b";" | b":" | b">" as special:
                    self._read_special(special)
                case _:
                    self._read_text()
                    continue
            self._position += 1
        if self._count < MAX_ADDRESSES:
            self._end_mailbox()
        return [group for group in self._groups if group[0] is not None or group[1]]

    def _read_special(self, special: bytes) -> None:
        if special == b":" and (self._address or self._at is not None):
            self._phrase.append(special)
        elif special == b":":
            name = self._display_name()
            self._start_mailbox()
            self._groups.append((name or "", []))
        elif special != b">":
            self._end_mailbox()
            if special == b";" and self._groups[-1][0] is not None:
                self._groups.append((None, []))

    def _read_angle(self) -> None:
        """An addr-spec in angle brackets, at the first comma where they are not closed."""
        start = self._position + 1
        match = _NOT_ANGLE.match(self._value, start)
        content = match[0] if match else b""
        self._position = start + len(content) + 1
        if self._value[self._position - 1 : self._position] != b">":
            content = content.partition(b",")[0].partition(b";")[0]
            self._position = start + len(content)
        # RFC 5322 §4.4: a route before the address is ignored.
        if content.lstrip().startswith(b"@") and b":" in content:
            content = content.rpartition(b":")[2]
        if self._address:
            # The comma is missing: what stands between the two is the name of the second.
            between = self._phrase[self._name_end :]
            del self._phrase[self._name_end :]
            self._end_mailbox()
            self._phrase = between
        self._address = content
        self._name_end = len(self._phrase)

    def _read_comment(self) -> None:
        start, end = self._position, words.comment_end(self._value, self._position)
        if end is None:
            self._comments_end = False
            return
        self._position = end
        if self._address or self._at is not None:
            self._comment = self._comment or self._value[start + 1 : end - 1]
        self._phrase.append(b" ")

    def _read_quoted(self) -> None:
        match = _QUOTED.match(self._value, self._position)
        if match is None:
            self._quotes_end = False
            return
        self._phrase.append(match[0])
        self._position = match.end()

    def _read_text(self) -> None:
        """A piece of a phrase or of an addr-spec: encoded-words may hide special characters."""
        value, position = self._value, self._position
        match = (
            _SPACE.match(value, position)
            or words.ENCODED_WORD.match(value, position)
            or _LITERAL.match(value, position)
            or _ATOM.match(value, position)
            or _STRAY.match(value, position)
        )
        self._position = match.end() if match else position + 1
        piece = value[position : self._position]
        if piece == b"@":
            self._at = len(self._phrase)
        self._phrase.append(piece)

    def _end_mailbox(self) -> None:
        if self._address:
            name, email = self._display_name(), words.plain(_addr_spec(self._address))
        elif self._at is not None:
            name, email = self._split_bare(self._at)
        else:
            name, email = None, self._display_name() or ""
        if email or name:
            if name is None and self._comment is not None:
                name = _phrase(_QUOTED_PAIR.sub(rb"\1", self._comment))
            self._groups[-1][1].append({"name": name, "email": email})
            self._count += 1
        self._start_mailbox()

    def _display_name(self) -> str | None:
        names = []
        unquoted: list[bytes] = []
        for piece in (*self._phrase, b'""'):
            if not (piece.startswith(b'"') and len(piece) > 1):
                unquoted.append(piece)
                continue
            names.append(_phrase(b"".join(unquoted)))
            names.append(_quoted_name(piece[1:-1]))
            unquoted = []
        return " ".join(name for name in names if name) or None

    def _split_bare(self, at: int) -> tuple[str | None, str]:
        """An addr-spec without brackets; the words around it become the name."""
        pieces = self._phrase
        start = at
        while start > 0 and not self._separates(start - 1):
            start -= 1
        end = at + 1
        while end < len(pieces) and not self._separates(end):
            end += 1
        email = _addr_spec(b"".join(pieces[start:end]))
        self._phrase = pieces[:start] + pieces[end:]
        return self._display_name(), words.plain(email)

    def _separates(self, index: int) -> bool:
        """Whether the piece at `index` is white space that ends a word around an addr-spec."""
        pieces = self._phrase
        if not pieces[index].isspace():
            return False
        before = pieces[index - 1] if index else b""
        after = pieces[index + 1] if index + 1 < len(pieces) else b""
        return not (after.startswith((b"@", b".")) or before.endswith((b"@", b".")))


def _addr_spec(octets: bytes) -> bytes:
    """RFC 5322 §3.4.1 without the comments and white space that may stand around its parts."""
    if b"(" in octets and b'"' not in octets:
        octets = _COMMENT.sub(b"", octets)
    if _SPACE.search(octets):
        octets = _AROUND_DOT_AND_AT.sub(rb"\1", _SPACE.sub(b" ", words.unfold(octets)))
    return octets.strip()
