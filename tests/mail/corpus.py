"""About 150 random messages in five mailboxes, with everything that Email/query looks at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from tests.servers.dovecot import Dovecot, Message, User

MAILBOXES = ("INBOX", "Archive", "Trash", "Work", "Work/Reports")
FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Forwarded", "$Junk", "urgent")
KEYWORDS = ("$seen", "$flagged", "$answered", "$draft", "$Forwarded", "$JUNK", "urgent", "$none")
START = datetime(2024, 2, 29, 23, 0, tzinfo=UTC)

_BASES = (
    *("", "Äpfel", "apples", "Zebra", "zebra", "zoo_", "zooA", "éclair", "Éclat", "eclipse"),
    *("日本", "Ωmega", "ωmega", "ﬁne", "fine", "A [b] c", "_under", "~tilde", "straße"),
)
_PREFIXES = ("", "", "", "Re: ", "RE: re: ", "Fwd: ", "[list] ", "Re: [list] ", "Fw[2]: ")
_PEOPLE = (
    ("Éva", "eva@example.test"),
    ("eva", "eva@example.test"),
    ("Zoë", "zoe@example.test"),
    ("", "adam@example.test"),
    ("", "Zed@example.test"),
    ("adam", "b@example.test"),
    ("Ödön", "o@example.test"),
)
_SENT = ("+0000", "-0500", "+0530")


@dataclass(frozen=True, slots=True)
class Made:
    """What was put into one message; `base` is its base subject (RFC 5256 §2.1)."""

    message_id: str
    base: str
    octets: bytes
    flags: tuple[str, ...]
    received: datetime


def make(random: Random, count: int = 150) -> list[Made]:
    """Messages: a third of them replies to earlier ones; sizes and dates have ties."""
    made: list[Made] = []
    for number in range(count):
        base, prefix = random.choice(_BASES), random.choice(_PREFIXES)
        parent = None
        if made and random.random() < 0.35:
            parent = random.choice(made)
            base, prefix = parent.base, "Re: "
        if not base:  # a [list] with nothing behind it would be the base subject
            prefix = "Re: "
        received = START + timedelta(minutes=random.randrange(40), seconds=random.choice((0, 1)))
        header = [f"Message-ID: <{number}@corpus.test>", f"Subject: {prefix}{base}"]
        if parent:
            header.append(f"In-Reply-To: <{parent.message_id}>")
        header += _addresses(random)
        if random.random() < 0.9:
            sent = received - timedelta(minutes=random.randrange(5))
            header.append(f"Date: {sent:%a, %d %b %Y %H:%M:%S} {random.choice(_SENT)}")
        made.append(
            Made(
                f"{number}@corpus.test",
                base,
                _message(random, header),
                tuple(flag for flag in FLAGS if random.random() < 0.3)
                + (("\\Deleted",) if random.random() < 0.05 else ()),
                received,
            )
        )
    return made


def _addresses(random: Random) -> list[str]:
    header = []
    for field in ("From", "To"):
        if random.random() < 0.1:
            continue
        people = random.choices(_PEOPLE, k=random.randrange(1, 3))
        header.append(f"{field}: " + ", ".join(f"{name} <{email}>" for name, email in people))
    return header


def _message(random: Random, header: list[str]) -> bytes:
    text = "x" * random.choice((0, 10, 10, 500))
    if random.random() < 0.3:
        kind = random.choice(("attachment", "inline"))
        header = [*header, "MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b"]
        text = (
            f"--b\r\n\r\n{text}\r\n--b\r\nContent-Type: application/pdf\r\n"
            f"Content-Disposition: {kind}\r\n\r\n%PDF\r\n--b--\r\n"
        )
    return "\r\n".join([*header, "", text, ""]).encode()


def store(server: Dovecot, user: User, random: Random, made: list[Made]) -> None:
    """Put each message somewhere, and copies of every tenth in a second mailbox or in the same."""
    server.create(user, "Work", "Work/Reports")
    where: dict[str, list[Made]] = {name: [] for name in MAILBOXES}
    for message in made:
        where[random.choice(MAILBOXES)].append(message)
    with server.imap(user) as imap:
        for mailbox, messages in where.items():
            server.append_all(
                user, mailbox, [Message(m.octets, m.flags, m.received) for m in messages]
            )
            imap.select(mailbox)
            for uid in range(1, len(messages) + 1):
                if random.random() < 0.1:
                    imap.uid("COPY", str(uid), random.choice(MAILBOXES))
