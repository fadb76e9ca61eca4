"""RFC 9051 §7.2.2: what servers announce and do otherwise, one row for each that code acts on.

Which rows hold for a server is found out by trying, or shown by what it announces, and kept in
`Learnt`, which all connections of one account share.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.imap.wire.capability import Capabilities


@dataclass(frozen=True, slots=True)
class Quirk:
    """`server` is where it was seen; `transcript` shows it (C: what we send, S: the answer)."""

    server: str
    what: str
    transcript: str


@dataclass(slots=True)
class Learnt:
    """What was found out about a server: its quirks, and the longest line it takes, in octets."""

    quirks: set[Quirk] = field(default_factory=set)
    line: int | None = None


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
NO_NAMESPACE = Quirk(
    server="Exchange 2003",
    what="NAMESPACE is announced; the server closes the connection when it is asked for",
    transcript="C: a NAMESPACE\nS: (closes)",
)
ENABLES_SILENTLY = Quirk(
    server="iCloud",
    what="ENABLE is answered with OK and without ENABLED; the extension is on all the same",
    transcript=(
        "C: a ENABLE QRESYNC\nS: a OK ENABLE completed\n"
        "C: b EXAMINE INBOX (QRESYNC (1 1))\nS: * OK [HIGHESTMODSEQ 7]\nS: b OK [READ-ONLY]"
    ),
)
ENABLES_NOTHING = Quirk(
    server="several",
    what="ENABLE is answered with OK and without ENABLED, and nothing is on",
    transcript=(
        "C: a ENABLE QRESYNC\nS: a OK ENABLE completed\n"
        "C: b EXAMINE INBOX (QRESYNC (1 1))\nS: b BAD QRESYNC is not enabled"
    ),
)
PLAIN_WITHOUT_MAILBOX = Quirk(
    server="Exchange",
    what="a user name with the mailbox of somebody else is taken by LOGIN, not by SASL PLAIN",
    transcript=(
        "C: a AUTHENTICATE PLAIN ...\nS: a NO AUTHENTICATE failed.\n"
        'C: b LOGIN "jo@example.test/team" ...\nS: b OK LOGIN completed.'
    ),
)
LATE_MODSEQ = Quirk(
    server="Gmail",
    what="HIGHESTMODSEQ is raised before the changes are there to be read",
    transcript=(
        "S: * OK [HIGHESTMODSEQ 20]\n"
        "C: a UID FETCH 1:9 (UID FLAGS MODSEQ) (CHANGEDSINCE 10)\nS: a OK Success\n"
        "C: b UID FETCH 1:9 (UID FLAGS MODSEQ) (CHANGEDSINCE 10)\n"
        "S: * 1 FETCH (UID 1 MODSEQ (15) FLAGS (\\Seen))\nS: b OK Success"
    ),
)
SAVES_SENT = Quirk(
    server="Gmail",
    what="what is submitted stands in the mailbox of sent mail soon after, without an APPEND",
    transcript="(SMTP) 250 2.0.0 OK\nC: a UID SEARCH HEADER Message-ID <1@x>\nS: * SEARCH 7",
)


def announced(capabilities: Capabilities) -> set[Quirk]:
    """The quirks that a server's own extensions give away."""
    return {LATE_MODSEQ, SAVES_SENT} if "X-GM-EXT-1" in capabilities else set()


LINE_DEFAULT = 8_192
"""RFC 7162 §4 has servers take lines of this many octets at least."""
LINE_LEAST = 250
"""No server takes less: a line that is refused for its length is at most halved to this."""
_LINE_BY_CAPABILITY = {
    # a BAD [CLIENTBUG] UID FETCH Command arguments too long
    "XYMHIGHESTMODSEQ": 1_000,  # Yahoo
    "X-GM-EXT-1": 16_000,  # Gmail
    "XCOURIEROUTBOX=INBOX.OUTBOX": 16_000,  # Courier, whose other outboxes do with the default
}
_LINE_BY_NAME = {"dovecot": 64_000}


def line_octets(capabilities: Capabilities, server_name: str | None) -> int:
    """Octets of the longest command line a server takes, without its literals."""
    for capability, octets in _LINE_BY_CAPABILITY.items():
        if capability in capabilities:
            return octets
    return _LINE_BY_NAME.get(server_name or "", LINE_DEFAULT)
