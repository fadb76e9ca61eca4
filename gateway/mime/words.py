"""RFC 2047: encoded-words in header fields, and RFC 8621 §4.1.2.2: header text as Unicode."""

from __future__ import annotations

import binascii
import re
import unicodedata
from itertools import groupby

from gateway.mime import charset, transfer

ENCODED_WORD = re.compile(rb"=\?[^?\s]++\?[bBqQ]\?[^?\s]*+\?=")
"""RFC 2047 §2, of any length."""

_WORD_INSIDE = re.compile(b"(" + ENCODED_WORD.pattern + b")")
_GAP = re.compile(rb"([ \t\r\n]++)")
_LINE_END = re.compile(rb"\r?\n")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_COMMENT_PIECE = re.compile(rb"[^()\\]++|\\.|[()]|\\", re.DOTALL)
_COMMENT_OR_QUOTED = re.compile(rb'\(|"(?>(?:[^"\\]++|\\.)*)"', re.DOTALL)


def unfold(value: bytes) -> bytes:
    """RFC 5322 §2.2.3: the value without the line ends that white space follows in a field."""
    return _LINE_END.sub(b"", value) if b"\n" in value else value


def comment_end(value: bytes, start: int) -> int | None:
    """RFC 5322 §3.2.2: where the comment that opens at `start` ends, None if it does not."""
    depth = 0
    while piece := _COMMENT_PIECE.match(value, start):
        start = piece.end()
        if piece[0] == b"(":
            depth += 1
        elif piece[0] == b")":
            depth -= 1
            if depth == 0:
                return start
    return None


def without_comments(value: bytes) -> bytes:
    """RFC 5322 §3.2.2: the value with a space for each comment outside of quotes."""
    kept: list[bytes] = []
    position = 0
    while match := _COMMENT_OR_QUOTED.search(value, position):
        end = match.end() if match[0] != b"(" else comment_end(value, match.start())
        if end is None:
            break
        kept += (value[position : match.start()], b" " if match[0] == b"(" else match[0])
        position = end
    return b"".join((*kept, value[position:]))


def decode(text: bytes, *, anywhere: bool = False) -> str:
    """RFC 2047 §6.1(1): text in which encoded-words stand alone between white space.

    Nothing else is decoded unless `anywhere`, and no words in an unknown charset are. The octets
    of words next to each other are joined when they are in one charset, as senders cut characters
    in two. Control characters from encoded-words are dropped, the result is in NFC; other 8-bit
    octets are UTF-8 or windows-1252.
    """
    if b"=?" not in text:
        return plain(text)
    parts: list[tuple[str, bytes]] = []  # (charset, octets); no charset for what is no word
    gap = b""
    for index, token in enumerate(_GAP.split(text)):
        if index % 2:
            gap = token
            continue
        for piece in _WORD_INSIDE.split(token) if anywhere else (token,):
            if not piece:
                continue
            word = _decode_word(piece)
            after_word = bool(parts) and parts[-1][0] != ""
            if gap and not (word and after_word):
                parts.append(("", gap))
            parts.append(word or ("", piece))
            gap = b""
    parts.append(("", gap))
    decoded = []
    for name, run in groupby(parts, key=lambda part: part[0]):
        octets = b"".join(part[1] for part in run)
        if name:
            decoded.append(_CONTROL.sub("", charset.decode(octets, name)[0]))
        else:
            decoded.append(plain(octets))
    return unicodedata.normalize("NFC", "".join(decoded))


def plain(text: bytes) -> str:
    """Header text without encoded-words: UTF-8 (RFC 6532) or windows-1252, without NUL, in NFC."""
    if text.isascii():
        decoded = text.decode("ascii")
    else:
        decoded = unicodedata.normalize("NFC", charset.decode(text, None)[0])
    return decoded.replace("\0", "") if "\0" in decoded else decoded


def without_controls(text: str) -> str:
    """`text` without the control characters that a parameter or a name has no use for."""
    return _CONTROL.sub("", text)


def _decode_word(token: bytes) -> tuple[str, bytes] | None:
    """The charset and octets of an encoded-word, None if it is none or not understood."""
    if not (token.startswith(b"=?") and token.endswith(b"?=") and token.count(b"?") >= 4):
        return None
    label, encoding, text = token[2:-2].split(b"?", 2)
    # Bare question marks inside of a word are tolerated, two words that stick together are not.
    if encoding not in (b"Q", b"q", b"B", b"b") or b"?=" in text:
        return None
    # RFC 2231 §5: the language may follow the charset.
    name = label.partition(b"*")[0].decode("ascii", "replace").lower()
    if not charset.is_known(name):
        return None
    if encoding in b"Qq":
        return name, binascii.a2b_qp(text, header=True)
    octets, _ = transfer.decode(text, "base64")
    return (name, octets) if octets or not text else None
