"""RFC 6901: JSON Pointer, the paths of result references and of patches."""

from __future__ import annotations

import re
from typing import Final

_BAD_ESCAPE: Final = re.compile(r"~(?![01])")


class NotAPointer(Exception):
    """A text is no JSON Pointer; its own text says why, in words for the client."""


def pointer(path: str) -> list[str]:
    """The reference tokens of a JSON Pointer (RFC 6901 §3, §4). Raises NotAPointer."""
    if path and not path.startswith("/"):
        raise NotAPointer('A path must be empty or begin with "/".')
    if _BAD_ESCAPE.search(path):
        raise NotAPointer('"~" must be followed by "0" or "1" in a path.')
    return [token.replace("~1", "/").replace("~0", "~") for token in path.split("/")[1:]]
