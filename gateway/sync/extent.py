"""RFC 8620 §1.6.2, RFC 2342: which of the mailboxes that a user sees make up one account.

The user's own ones are one account. Each other user below an Other Users' Namespace is one more,
with an inbox and roles as that user has them. A Shared Namespace is one account as a whole: it is a
tree that somebody has set up, in which a folder at the top is a folder and nobody's account, and
there may be thousands of these. Servers with several such trees announce a namespace for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Kind(Enum):
    """Whose mailboxes an account has; the values are part of account ids."""

    OWN = "own"
    USER = "user"
    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Extent:
    """The mailboxes of one account: those of a kind that are below a name.

    root: that name, with the prefix of its namespace and without a delimiter at its end; "" where
    all names are meant that belong nowhere else. A mailbox may have this very name. name: what to
    call the account; that of the user's own one is not known here.
    """

    kind: Kind
    root: str = ""
    delimiter: str | None = None
    name: str = ""

    @property
    def key(self) -> str:
        """What tells the accounts of one user apart."""
        return f"{self.kind.value}\0{self.root}"

    @property
    def patterns(self) -> tuple[str, ...]:
        """What to LIST (RFC 9051 §6.3.9) for all of its mailboxes, and few others."""
        if not self.root:
            return ("*",)
        return (self.root, f"{self.root}{self.delimiter or ''}*")


OWN: Final = Extent(Kind.OWN)
"""The user's own mailboxes."""
