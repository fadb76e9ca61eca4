"""RFC 9051 §6.4.5 and extensions: the items of FETCH, as asked and as they are named in a row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.imap.wire import encode
from gateway.imap.wire.encode import Encoded

_ORIGIN = re.compile(rb"<\d++>\Z")


@dataclass(frozen=True, slots=True)
class Item:
    """`name` is how a FETCH row names the item (see `label`), `encoded` how it is asked for."""

    name: str
    encoded: Encoded


def _plain(name: str) -> Item:
    return Item(name, encode.item(name))


UID = _plain("UID")
FLAGS = _plain("FLAGS")
MODSEQ = _plain("MODSEQ")  # RFC 7162
INTERNALDATE = _plain("INTERNALDATE")
SIZE = _plain("RFC822.SIZE")
BODYSTRUCTURE = _plain("BODYSTRUCTURE")
PREVIEW = _plain("PREVIEW")  # RFC 8970
EMAILID = _plain("EMAILID")  # RFC 8474
X_GUID = _plain("X-GUID")  # Dovecot
X_GM_MSGID = _plain("X-GM-MSGID")  # Gmail
DIGEST_SHA1 = _plain("DIGEST.SHA1")  # Cyrus
THREADID = _plain("THREADID")  # RFC 8474
X_GM_THRID = _plain("X-GM-THRID")  # Gmail

IDENTITIES = frozenset({"EMAILID", "X-GUID", "X-GM-MSGID", "DIGEST.SHA1"})
"""Items that say which message this is; at most one of them is asked for."""
THREADS = frozenset({"THREADID", "X-GM-THRID"})
"""Items that say which thread it belongs to; at most one of them is asked for."""


def section(
    name: str = "",
    part: str = "",
    fields: Sequence[str] = (),
    window: tuple[int, int] | None = None,
) -> Item:
    """A section of the message, without marking it as seen; see encode.section."""
    encoded = encode.section(name, part, fields, window)
    named = encoded.line.replace(b".PEEK", b"", 1)
    return Item(label(named[: named.rindex(b"]") + 1]), encoded)


def label(name: bytes) -> str:
    """The name of an item in a row, in upper case; of a section without its origin and quotes."""
    if name.endswith(b">"):
        name = _ORIGIN.sub(b"", name)
    return name.replace(b'"', b"").upper().decode("ascii", "replace")
