"""RFC 9051 §7.2.2: what servers announce and do otherwise, one row for each that code acts on.

Which rows hold for a server is found out by trying, and kept in `Connection.quirks`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quirk:
    """`server` is where it was seen; `transcript` shows it (C: what we send, S: the answer)."""

    server: str
    what: str
    transcript: str


NO_X_GUID = Quirk(
    server="servers that do not tell their name, or are not Dovecot",
    what="STATUS (X-GUID) is refused; Dovecot has it and announces it nowhere",
    transcript="C: a STATUS INBOX (MESSAGES X-GUID)\nS: a BAD Invalid status item X-GUID",
)
NO_LIST_RETURN = Quirk(
    server="Strato, Proton Mail Bridge",
    what="LIST-EXTENDED is announced; LIST with RETURN is refused or lists nothing",
    transcript='C: a LIST "" "*" RETURN (SUBSCRIBED CHILDREN)\nS: a OK LIST completed',
)
NO_ESEARCH = Quirk(
    server="several",
    what="ESEARCH is announced; SEARCH with RETURN is refused",
    transcript="C: a UID SEARCH RETURN (ALL) ALL\nS: a BAD Unknown argument RETURN",
)
NO_SORT_PARTIAL = Quirk(
    server="servers with ESORT and CONTEXT=SEARCH that are not Dovecot",
    what="CONTEXT=SORT is missing, and SORT with PARTIAL is refused; Dovecot has it all the same",
    transcript="C: a UID SORT RETURN (PARTIAL 1:50) (DATE) UTF-8 ALL\nS: a BAD Unknown argument",
)
STATUS_MAILBOXID = Quirk(
    server="Cyrus 3.6, as Debian 12 has it",
    what="STATUS (MAILBOXID) answers with memory that is used for something else by then",
    transcript="C: a STATUS INBOX (MAILBOXID)\nS: * STATUS INBOX (MAILBOXID (s|_\xb7U))",
)
