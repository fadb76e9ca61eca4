"""RFC 2045 §6, RFC 2046 §5.2: octets of any size, such as attachments, as they are written.

They are measured first, and then encoded as they come, so that they need not be in memory and the
length of the message is known before the first octet of it.
"""

from __future__ import annotations

from enum import Enum

from gateway.mime.compose_field import MAX_LINE
from gateway.mime.compose_text import base64_lines
from gateway.mime.mending import Mender

_OCTETS_OF_LINE = 57  # of 76 characters


class Encoding(Enum):
    """RFC 2045 §6: the encodings that octets from elsewhere are written in."""

    SEVEN_BIT = "7bit"
    EIGHT_BIT = "8bit"
    BASE64 = "base64"


class Measure:
    """What is to be known of octets before they are written, from all of them."""

    def __init__(self) -> None:
        self.size = 0
        """How many there are."""
        self._mender = Mender()
        self._mended_size = 0
        self._carriage_returns = 0
        self._line_feeds = 0
        self._line = 0  # octets of the line that has not ended
        self._is_eight_bit = False
        self._is_binary = False

    def feed(self, octets: bytes) -> None:
        """Take notice of the next octets."""
        self.size += len(octets)
        self._is_eight_bit |= not octets.isascii()
        self._is_binary |= b"\0" in octets
        mended = self._mender.feed(octets)
        self._mended_size += len(mended)
        self._carriage_returns += mended.count(b"\r")
        self._line_feeds += mended.count(b"\n")
        first, *others = mended.split(b"\n")
        self._line += len(first)
        for line in others:
            self._is_binary |= self._line > MAX_LINE + 1  # it ends with a CR
            self._line = len(line)

    def encoding(self) -> Encoding | None:
        """The one that leaves them as they are but for the ends of lines; None if there is none.

        That is what RFC 2046 §5.2 asks for in messages. There is none for NUL, for CR that ends no
        line and for lines of more than 998 octets (RFC 2045 §2.7, §2.8).
        """
        if self._is_binary or self._line > MAX_LINE or self._carriage_returns != self._line_feeds:
            return None
        return Encoding.EIGHT_BIT if self._is_eight_bit else Encoding.SEVEN_BIT

    def encoded_size(self, encoding: Encoding) -> int:
        """How many octets an Encoder makes of them."""
        if encoding is not Encoding.BASE64:
            return self._mended_size
        characters = (self.size + 2) // 3 * 4
        return characters + 2 * ((characters + 75) // 76)


class Encoder:
    """Encodes octets as they come."""

    def __init__(self, encoding: Encoding) -> None:
        self._is_base64 = encoding is Encoding.BASE64
        self._mender = Mender()
        self._rest = b""

    def feed(self, octets: bytes) -> bytes:
        """What is certain of the encoded octets."""
        if not self._is_base64:
            return self._mender.feed(octets)
        octets = self._rest + octets
        whole = len(octets) - len(octets) % _OCTETS_OF_LINE
        self._rest = octets[whole:]
        return base64_lines(octets[:whole])

    def finish(self) -> bytes:
        """What was held back."""
        rest, self._rest = self._rest, b""
        return base64_lines(rest)
