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
from gateway.sync.emails import EmailTable
from gateway.sync.placements import MailboxColumns


class Tier(StrEnum):
    """What the identity of a message is taken from; the value is the FETCH item."""

    EMAILID = "EMAILID"
    X_GUID = "X-GUID"
    X_GM_MSGID = "X-GM-MSGID"
    FINGERPRINT = ""


@dataclass(frozen=True, slots=True)
class Identities:
    """Digests of messages, and their ids as given by the server in the tier EMAILID."""

    digests: list[bytes]
    given: list[str] | None


def of_items(tier: Tier, items: Sequence[bytes]) -> Identities:
    """Identities from the answers to the tier's FETCH item."""
    if tier is Tier.EMAILID:
        given = [_object_id(item) for item in items]
        return Identities([ids.email_digest(g.encode()) for g in given], given)
    digest = ids.email_digest
    return Identities([digest(item) for item in items], None)


def _object_id(item: bytes) -> str:
    """EMAILID as given; RFC 8474 §3 has the Id alphabet, what is too long or errs is hashed."""
    text = item.strip(b"()").decode("ascii", "replace")
    return text if ids.is_kept(text) else ids.email_id(ids.email_digest(item))


_FINGERPRINTED = (b"message-id", b"date", b"from", b"subject")


def of_fingerprints(
    uids: Sequence[int],
    headers: Sequence[bytes],
    sizes: Sequence[int],
    dates: Sequence[int],
    emails: EmailTable,
    columns: MailboxColumns,
) -> Identities:
    """Identities where the server has none: header, size and date, told apart within a mailbox.

    Messages equal in all of these get ordinals in the order they are met; being equal, it does
    not matter which of them is which.
    """
    here = set(columns.rows.tolist())
    taken: set[bytes] = set()
    digests = []
    for uid, header, size, date in zip(uids, headers, sizes, dates, strict=True):
        base = b"\0".join((*field_values(header, _FINGERPRINTED), b"%d %d" % (size, date)))
        held = columns.rows[columns.uids == uid]
        ordinal = 0
        while True:
            digest = ids.email_digest(b"%d\0%s" % (ordinal, base))
            row = int(emails.find([digest])[0])
            if digest not in taken and (row not in here or row in held):
                break
            ordinal += 1
        taken.add(digest)
        digests.append(digest)
    return Identities(digests, None)
