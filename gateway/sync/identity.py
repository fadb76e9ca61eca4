"""RFC 8474 §5.1 and its forerunners: what names a message, whatever mailbox it is in.

The tier is chosen when an account is first seen and kept with its index, so that ids never
change because a server was upgraded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.mime.threading import field_values
from gateway.sync import ids


class Tier(StrEnum):
    """What the identity of a message is taken from; the value is the FETCH item."""

    EMAILID = "EMAILID"
    X_GUID = "X-GUID"
    X_GM_MSGID = "X-GM-MSGID"
    DIGEST_SHA1 = "DIGEST.SHA1"
    FINGERPRINT = ""

    @property
    def gives_ids(self) -> bool:
        """Whether Email ids are the server's own."""
        return self in (Tier.EMAILID, Tier.DIGEST_SHA1)


@dataclass(frozen=True, slots=True)
class Identities:
    """Digests of messages, and their ids where those are given by the server."""

    digests: list[bytes]
    given: list[str] | None


def of_items(tier: Tier, items: Sequence[bytes]) -> Identities:
    """Identities from the answers to the tier's FETCH item."""
    if tier.gives_ids:
        read = _object_id if tier is Tier.EMAILID else _of_sha1
        given = [read(item) for item in items]
        return Identities([ids.email_digest(g.encode()) for g in given], given)
    digest = ids.email_digest
    return Identities([digest(item) for item in items], None)


def _object_id(item: bytes) -> str:
    """EMAILID as given; RFC 8474 §3 has the Id alphabet, what is too long or errs is hashed."""
    text = item.strip(b"()").decode("ascii", "replace")
    return text if ids.is_kept(text) else ids.email_id(ids.email_digest(item))


def _of_sha1(item: bytes) -> str:
    """The EMAILID that Cyrus makes of the SHA-1 of a message, once it has RFC 8474."""
    return _object_id(b"M" + item[:_CYRUS_EMAILID_DIGITS].lower())


_CYRUS_EMAILID_DIGITS = 24
_FINGERPRINTED = (b"message-id", b"date", b"from", b"subject")


def of_fingerprints(
    headers: Sequence[bytes], sizes: Sequence[int], dates: Sequence[int], texts: Sequence[bytes]
) -> Identities:
    """Identities where the server has none: of header fields, size and date (INTERNALDATE).

    texts: the beginning of the message's text where the header does not name it, else b"". Nothing
    else goes in, neither UIDs nor what else is in the mailbox, so that a message keeps its id
    wherever it is moved to, and when nothing is known of it any more. Messages equal in all this
    are one Email, as the copies of a message are on servers that have identities.
    """
    digests = [
        ids.email_digest(
            b"\0".join((*field_values(header, _FINGERPRINTED), b"%d %d" % (size, date), text))
        )
        for header, size, date, text in zip(headers, sizes, dates, texts, strict=True)
    ]
    return Identities(digests, None)


def is_named(header: bytes) -> bool:
    """Whether a message has a Message-ID, and so a fingerprint that no other has."""
    (message_id,) = field_values(header, (b"message-id",))
    return bool(message_id.strip())
