"""RFC 8621 §4.8: which Email a message will be once it is there, where its content says that.

There the server, or the lack of names for messages, does not let two Emails be equal.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.imap.commands.fetch_columns import HEADER_OCTETS
from gateway.sync import identity
from gateway.sync.data import AccountData
from gateway.sync.emails import NOWHERE
from gateway.sync.identity import Tier


@dataclass(frozen=True, slots=True)
class Content:
    """What there is to tell a message by.

    text: the beginning of what follows the header, HEADER_OCTETS at least. received: seconds since
    1970. sha1: of all octets, in hexadecimal digits.
    """

    header: bytes
    text: bytes
    size: int
    received: int
    sha1: bytes


def digest(tier: Tier, content: Content) -> bytes | None:
    """The digest of the Email (see EmailTable.find); None where it will be one of its own."""
    match tier:
        case Tier.FINGERPRINT:
            header = content.header
            text = b"" if identity.is_named(header) else content.text[:HEADER_OCTETS]
            sizes, dates = [content.size], [content.received]
            return identity.of_fingerprints([header], sizes, dates, [text]).digests[0]
        case Tier.EMAILID | Tier.DIGEST_SHA1:
            # As EMAILID of Cyrus is made; those of other servers are not of this form.
            return identity.of_items(Tier.DIGEST_SHA1, [content.sha1]).digests[0]
        case _:
            return None


def existing(data: AccountData, digest_: bytes) -> int | None:
    """The row of the Email of that digest, None if there is none now."""
    emails = data.emails
    if not emails.size:
        return None
    row = int(emails.find([digest_])[0])
    return row if row >= 0 and emails.home_mailbox[row] != NOWHERE else None
