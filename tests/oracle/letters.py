"""RFC 5322: small messages that can be told apart by their From, and belong to known threads.

Message n is from m<n>@example.test. That is what it is called in every comparison: a Message-ID
may be missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

DOMAIN = "example.test"
_FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
_SUBJECTS = ("Lunch", "Budget", "Trip to Rome", "=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "[list] Weekly")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


@dataclass(frozen=True, slots=True)
class Letter:
    """A message: its number, its octets, and when it was received."""

    number: int
    octets: bytes
    received: datetime

    @property
    def internaldate(self) -> bytes:
        """As APPEND takes it (RFC 9051 §9, date-time)."""
        d = self.received
        return f'"{d.day:02d}-{_MONTHS[d.month - 1]}-{d.year} {d:%H:%M:%S} +0000"'.encode()


def write(number: int, root: int | None, rng: Random) -> Letter:
    """Message `number`, the first of a thread, or in the one that message `root` began."""
    lines = [f"From: Writer <m{number}@{DOMAIN}>", "To: reader@example.test"]
    subject = _SUBJECTS[(number if root is None else root) % len(_SUBJECTS)]
    lines.append(f"Subject: {subject if root is None else 'Re: ' + subject}")
    sent = _FIRST_DAY + timedelta(minutes=rng.randrange(500_000))
    lines.append(f"Date: {sent:%a, %d %b %Y %H:%M:%S} +0000")
    if rng.random() < 0.93:
        lines.append(f"Message-ID: <{number}@{DOMAIN}>")
    if root is not None and rng.random() < 0.2:
        lines.append(f"In-Reply-To: <{root}@{DOMAIN}>")
    elif root is not None:
        names = [root, *(number - back for back in (2, 1) if rng.random() < 0.3)]
        references = " ".join(f"<{name}@{DOMAIN}>" for name in names)
        lines.append(f"References: {references}")
    if rng.random() < 0.1:
        lines.append('MIME-Version: 1.0\r\nContent-Type: text/plain; charset="utf-8"')
    text = rng.choice(("apple", "pear", "plum")) + " cake\r\n" * rng.randrange(1, 20)
    octets = ("\r\n".join(lines) + f"\r\n\r\nNumber {number}: {text}\r\n").encode()
    # Often at the same time as another one, and not always in the order of arrival.
    received = _FIRST_DAY + timedelta(minutes=5 * (number // 2 + rng.choice((0, 0, 0, 400))))
    return Letter(number, octets, received)
