"""RFC 8621 §2: what was chosen for a Mailbox that an IMAP server can not keep."""

from __future__ import annotations

from typing import Final, NamedTuple

NO_ROLE: Final = ""
"""That a mailbox is to have no role, whatever the server says."""

NO_ORDER: Final = -1
"""That the gateway's own sortOrder is good enough."""


class Choice(NamedTuple):
    """A role (NO_ROLE, or one of RFC 8621 §2) and a sortOrder; None where nothing was chosen."""

    role: str | None = None
    order: int | None = None


NO_CHOICE: Final = Choice()
