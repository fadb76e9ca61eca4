"""RFC 8621 §7.5: a message as it leaves: without Bcc, and with what tells it from others."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

from gateway.ext.submission.envelope import Fields, values
from gateway.jmap.errors import SetError
from gateway.mime import headers
from gateway.sync.spool import Chunks

_LINE_END = re.compile(rb"\r\n|\r|\n")
# All that any mail program takes for an empty line.
_EMPTY_LINE = re.compile(rb"(?:\A|(?>\r\n|\r|\n))(?>\r\n|\r|\n)")
# More than any mail system takes.
_MAX_HEADER_OCTETS: Final = 1 << 20
_BCC = re.compile(rb"^(?:Resent-)?Bcc[ \t]*+:[^\n]*+\n(?>(?:[ \t][^\n]*+\n)*)", re.I | re.M)

# What is otherwise when the same message is composed again: these fields, and boundaries, as
# parameters and as lines.
_MADE: Final = frozenset({"message-id", "date"})
_BOUNDARIES = re.compile(rb'^--[^\r\n]*+|boundary="?[^";\s]*+"?', re.I | re.M)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that is to leave.

    header: what leaves of its header, with CRLF and the empty line. fields: those of the header
    as it is kept, with Bcc. octets: how many leave; is_8bit: whether any of them is not ASCII.
    content: a digest, the same for messages that differ only in what the gateway adds when it
    composes one.
    """

    header: bytes
    fields: Fields
    octets: int
    is_8bit: bool
    content: bytes
    _kept: Chunks
    _skip: int

    @property
    def is_utf8(self) -> bool:
        """RFC 6532: whether there is UTF-8 in the header, and not what nobody can read."""
        if self.header.isascii():
            return False
        try:
            self.header.decode()
        except UnicodeDecodeError:
            return False
        return True

    @property
    def message_id(self) -> str | None:
        """Its Message-ID, without brackets."""
        found = [headers.message_ids(value) for value in values(self.fields, "message-id")]
        return next((each[0] for each in found if each), None)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The octets that leave; can be taken as often as need be."""
        yield self.header
        skip = self._skip
        async for chunk in self._kept():
            if len(chunk) > skip:
                yield chunk[skip:]
            skip = max(0, skip - len(chunk))


async def outgoing(kept: Chunks) -> Outgoing:
    """What leaves of a message, which is read once for this. Raises SetError invalidEmail."""
    raw, skip = await _header(kept)
    fields = headers.fields(raw)
    digest = blake2b(digest_size=16, person=b"submission")
    for name, value in fields:
        if name.lower() not in _MADE:
            digest.update(b"%s:%s\n" % (name.lower().encode(), _BOUNDARIES.sub(b"", value)))
    header = _BCC.sub(b"", raw)
    made = Outgoing(header, fields, 0, False, b"", kept, skip)
    octets, is_8bit = 0, False
    async for chunk in made.chunks():
        is_8bit = is_8bit or not chunk.isascii()
        if octets:  # the first is the header
            digest.update(_BOUNDARIES.sub(b"", chunk))
        octets += len(chunk)
    return replace(made, octets=octets, is_8bit=is_8bit, content=digest.digest())


async def _header(kept: Chunks) -> tuple[bytes, int]:
    """The header with CRLF and the empty line, and how many octets of the message it is."""
    octets = b""
    async for chunk in kept():
        octets += chunk
        found = _EMPTY_LINE.search(octets)
        if found is not None and not octets.endswith(b"\r", 0, found.end()):
            return _lines(octets[: found.end()]), found.end()
        if len(octets) > _MAX_HEADER_OCTETS:
            raise SetError("invalidEmail", "Its header is too large.", properties=["headers"])
    found = _EMPTY_LINE.search(octets)
    end = found.end() if found is not None else len(octets)
    return _lines(octets[:end]), end


def _lines(header: bytes) -> bytes:
    """The same with CRLF for all that ends lines, and one empty line."""
    return _LINE_END.sub(b"\r\n", header).strip(b"\r\n") + b"\r\n\r\n"
