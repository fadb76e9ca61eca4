"""RFC 5322 §3.6.4, RFC 2369 §2: lists of msg-ids or URLs in angle brackets."""

from __future__ import annotations

import re

_ITEM = re.compile(rb"<([^<>]++)>")
_ITEM_OR_PARENTHESIS = re.compile(rb"<([^<>]++)>|[()]")


def items(value: bytes) -> list[bytes]:
    """What stands in brackets in a raw field value, without the white space in it.

    Words and comments between the items, as of the obsolete syntax (RFC 5322 §4.5.4), are left
    out. There may be none.
    """
    found = _outside_comments(value) if b"(" in value else _ITEM.findall(value)
    if any(b" " in item or b"\n" in item or b"\t" in item for item in found):
        return [item for item in (b"".join(item.split()) for item in found) if item]
    return found


def _outside_comments(value: bytes) -> list[bytes]:
    found = []
    depth = 0
    for match in _ITEM_OR_PARENTHESIS.finditer(value):
        if match[0] == b"(":
            depth += 1
        elif match[0] == b")":
            depth = max(0, depth - 1)
        elif depth == 0:
            found.append(match[1])
    return found
