"""RFC 5322, RFC 2045: one sample letter, and the message it becomes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime

ME = "Alice Larsen <alice@example.test>"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a letter; one with a `cid` is shown inside its HTML."""

    name: str
    type: str
    octets: bytes
    cid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a letter says.

    Attributes:
        key: names the letter in the Message-ID and for `answers`.
        age: how long ago it was received.
        mailbox: where it lies (in modified UTF-7); its flags and keywords are `flags`.
        answers: the key of the letter it replies to.
        charset: what the text is encoded in.
        headers: further header fields.
    """

    key: str
    age: timedelta
    subject: str
    text: str
    sender: str = ME
    to: str = ME
    cc: str | None = None
    mailbox: str = "INBOX"
    flags: tuple[str, ...] = ("\\Seen",)
    answers: str | None = None
    html: str | None = None
    charset: str = "utf-8"
    attachments: tuple[Attachment, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


def compose(letter: Letter, ancestors: list[str], now: datetime) -> bytes:
    """Return the letter as a message; `ancestors` are the keys of its thread, oldest first."""
    message = EmailMessage()
    message["From"] = letter.sender
    message["To"] = letter.to
    if letter.cc is not None:
        message["Cc"] = letter.cc
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(now - letter.age)
    message["Message-ID"] = _message_id(letter.key)
    if ancestors:
        message["In-Reply-To"] = _message_id(ancestors[-1])
        message["References"] = " ".join(map(_message_id, ancestors))
    for name, value in letter.headers:
        message[name] = value
    message.set_content(letter.text, charset=letter.charset)
    if letter.html is not None:
        _add_html(message, letter.html, letter)
    for attachment in letter.attachments:
        if attachment.cid is None:
            maintype, subtype = attachment.type.split("/")
            message.add_attachment(
                attachment.octets, maintype=maintype, subtype=subtype, filename=attachment.name
            )
    return message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _add_html(message: EmailMessage, html: str, letter: Letter) -> None:
    message.add_alternative(html, subtype="html", charset=letter.charset)
    page = message.get_body(("html",))
    for image in letter.attachments:
        if image.cid is not None and isinstance(page, EmailMessage):
            maintype, subtype = image.type.split("/")
            page.add_related(
                image.octets,
                maintype=maintype,
                subtype=subtype,
                cid=f"<{image.cid}>",
                filename=image.name,
                disposition="inline",
            )


def _message_id(key: str) -> str:
    return f"<{key}@mail.example.test>"


def png(width: int, height: int, colour: Callable[[int, int], tuple[int, int, int]]) -> bytes:
    """Return a picture, each pixel (x, y) having the red, green and blue that `colour` gives."""
    rows = b"".join(
        b"\0" + b"".join(bytes(colour(x, y)) for x in range(width)) for y in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def pdf(line: str) -> bytes:
    """Return a document of one page that says `line` (ASCII, no parentheses)."""
    content = f"BT /F1 24 Tf 72 720 Td ({line}) Tj ET".encode("ascii")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    document, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return document + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\n"
        b"startxref\n%d\n%%%%EOF\n" % (size, table, size, len(document))
    )
