"""RFC 7617 §2: one spelling for one user.

The canonical name is what the mail server is asked with and what the account id is derived
from, so two spellings that reach the same name here are the same account everywhere.

- White space around the name is dropped: it comes from keyboards and copied text.
- What follows the last "@" is a domain name and compares without case (RFC 4343), so it is
  lower-cased. The part before it is the mail server's to judge (RFC 5321 §2.4) and stays.
- Nothing is normalised beyond that: `é` in two Unicode forms stays two names. A mail server
  that takes both for one user then has two accounts with the same mail, which costs memory; the
  other choice could give one user's account to another.
"""

from __future__ import annotations

import unicodedata


def canonical_username(name: str) -> str | None:
    """The canonical spelling, or None if no mail server could have such a user.

    Empty names and names with control characters (RFC 7617 §2 forbids them) are None.
    """
    name = name.strip()
    if not name or has_control(name):
        return None
    local, at, domain = name.rpartition("@")
    return f"{local}@{domain.lower()}" if at else name


def has_control(text: str) -> bool:
    """Whether a control character (Unicode category Cc: NUL, CR, LF, DEL ...) is in the text."""
    return any(unicodedata.category(character) == "Cc" for character in text)
