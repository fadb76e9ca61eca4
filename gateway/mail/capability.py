"""RFC 8621 §1.3.1: the capability urn:ietf:params:jmap:mail."""

from __future__ import annotations

from typing import Any, Final

MAIL: Final = "urn:ietf:params:jmap:mail"

# RFC 8621 asks for 100 at least; servers take 255 octets, some less in modified UTF-7.
MAX_MAILBOX_NAME_OCTETS: Final = 255
MAX_ATTACHMENTS_OCTETS: Final = 50_000_000


def account_capability(
    sorts: tuple[str, ...], *, may_create_top_level: bool = True
) -> dict[str, Any]:
    """The capability of one account; `sorts` are those that Email/query knows."""
    return {
        "maxMailboxesPerEmail": None,
        "maxMailboxDepth": None,
        "maxSizeMailboxName": MAX_MAILBOX_NAME_OCTETS,
        "maxSizeAttachmentsPerEmail": MAX_ATTACHMENTS_OCTETS,
        "emailQuerySortOptions": list(sorts),
        "mayCreateTopLevelMailbox": may_create_top_level,
    }
