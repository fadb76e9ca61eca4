"""Messages to fill mailboxes with: each has a number, by which it is told from all others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.servers.mail_server import Message

FIRST_DAY = datetime(2020, 1, 1, tzinfo=UTC)


def message_id(number: int) -> str:
    """The Message-ID, without brackets."""
    return f"letter{number}@example.test"


def letter(number: int, root: int | None = None, *flags: str, attachment: bool = False) -> Message:
    """Letter `number`, received that many minutes after FIRST_DAY.

    root: the number of the letter that began the thread, if it was not this one.
    """
    thread = number if root is None else root
    lines = [
        f"Message-ID: <{message_id(number)}>",
        "Date: Wed, 01 Jan 2020 00:00:00 +0000",
        "From: Ada <ada@example.test>",
        f"Subject: {'' if root is None else 'Re: '}matter {thread}",
    ]
    if root is not None:
        lines += [f"References: <{message_id(root)}>", f"In-Reply-To: <{message_id(root)}>"]
    lines += _ATTACHMENT if attachment else ["", f"This is letter {number}."]
    octets = "\r\n".join([*lines, ""]).encode()
    return Message(octets, flags, FIRST_DAY + timedelta(minutes=number))


_ATTACHMENT = [
    "MIME-Version: 1.0",
    'Content-Type: multipart/mixed; boundary="b"',
    "",
    "--b",
    "",
    "See the file.",
    "--b",
    "Content-Type: application/pdf",
    'Content-Disposition: attachment; filename="a.pdf"',
    "",
    "%PDF",
    "--b--",
]
