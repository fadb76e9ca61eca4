"""RFC 5322: messages for the tests, written down as they are on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from textwrap import dedent

RECEIVED = datetime(2024, 2, 29, 12, 30, 15, tzinfo=UTC)


def crlf(text: str) -> bytes:
    """A message as written in a test: unindented, with the line ends of RFC 5322."""
    return dedent(text).lstrip("\n").replace("\n", "\r\n").encode()


def mail(
    number: int | str = 1,
    *,
    subject: str = "A greeting",
    fields: Iterable[str] = (),
    body: str = "Hello.\r\n",
) -> bytes:
    """A small message of one text part; `number` makes its Message-ID."""
    header = [
        "From: Jane <jane@example.test>",
        "To: Joe <joe@example.test>",
        f"Subject: {subject}",
        f"Message-ID: <{number}@example.test>",
        "Date: Thu, 29 Feb 2024 12:30:00 +0000",
        *fields,
    ]
    return "\r\n".join([*header, "", body]).encode()


def reply(number: int | str, to: int | str, *, subject: str = "Re: A greeting") -> bytes:
    """A message in the thread that began with `to`."""
    references = (f"In-Reply-To: <{to}@example.test>", f"References: <{to}@example.test>")
    return mail(number, subject=subject, fields=references)


def one_part(content_type: str, body: bytes, *fields: str) -> bytes:
    """A message whose body is one part, with further fields of its header."""
    header = ["Subject: One part", "MIME-Version: 1.0", f"Content-Type: {content_type}", *fields]
    return "\r\n".join([*header, "", ""]).encode() + body
