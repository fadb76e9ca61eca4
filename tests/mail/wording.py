"""RFC 5322, RFC 2045-2047: messages whose words are known, in every encoding that mail has."""

from __future__ import annotations

import base64
import quopri
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.servers.dovecot import Dovecot, Message, User

START = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)
MAILBOXES = ("INBOX", "Archive", "Trash")
LONG = "endless" * 50  # more than 255 octets


@dataclass(frozen=True, slots=True)
class Letter:
    """One message: what a reader sees in it, and where it lies.

    fields: of the header, decoded, by name; bodies: texts of its parts, decoded.
    """

    name: str
    octets: bytes
    fields: dict[str, list[str]]
    bodies: tuple[str, ...]
    mailboxes: tuple[str, ...]
    flags: tuple[str, ...]
    received: datetime


def _encoded(text: str, charset: str, encoding: str) -> bytes:
    """One encoded-word (RFC 2047 §2)."""
    octets = text.encode(charset)
    if encoding == "b":
        coded = base64.b64encode(octets)
    else:
        coded = b"".join(b"=%02X" % octet for octet in octets)
    return b"=?%s?%s?%s?=" % (charset.encode(), encoding.encode(), coded)


def _part(text: str, charset: str, encoding: str, type_: str = "text/plain") -> bytes:
    octets = text.replace("\n", "\r\n").encode(charset)
    if encoding == "base64":
        octets = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        octets = quopri.encodestring(octets).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    head = f"Content-Type: {type_}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}"
    return head.encode() + b"\r\n\r\n" + octets + b"\r\n"


def _letter(
    number: int,
    fields: list[tuple[str, str, bytes | None]],
    parts: list[tuple[str, bytes]],
    mailboxes: tuple[str, ...] = ("INBOX",),
    flags: tuple[str, ...] = (),
) -> Letter:
    name = f"{number}@wording.test"
    shown: dict[str, list[str]] = {}
    lines = []
    for field_name, text, octets in [("Message-ID", f"<{name}>", None), *fields]:
        shown.setdefault(field_name.lower(), []).append(text)
        lines.append(field_name.encode() + b": " + (text.encode() if octets is None else octets))
    lines.append(b"MIME-Version: 1.0")
    header = b"\r\n".join(lines) + b"\r\n"
    if len(parts) == 1:
        body = parts[0][1]
    else:
        inner = b"".join(b"--edge\r\n" + octets for _, octets in parts)
        body = b"Content-Type: multipart/mixed; boundary=edge\r\n\r\n" + inner + b"--edge--\r\n"
    received = START + timedelta(seconds=number % 5, minutes=number // 5)
    bodies = tuple(text for text, _ in parts)
    return Letter(name, header + body, shown, bodies, mailboxes, flags, received)


def _plain(text: str) -> tuple[str, bytes]:
    return text, _part(text, "us-ascii", "7bit")


def _utf8(text: str, encoding: str = "8bit") -> tuple[str, bytes]:
    return text, _part(text, "utf-8", encoding)


def letters() -> list[Letter]:
    """All of them."""
    eva = "Éva Kovács <eva@hill.test>"
    eva_octets = _encoded("Éva Kovács", "utf-8", "q") + b" <eva@hill.test>"
    ivan = "Иван Петров <ivan@river.test>"
    ivan_octets = _encoded("Иван Петров", "koi8-r", "b") + b" <ivan@river.test>"
    joe = ("To", "Joe Sand <joe@sand.test>", None)
    return [
        _letter(
            0,
            [("From", eva, eva_octets), joe, ("Subject", "Quarterly numbers", None)],
            [_plain("The bridge is closed until monday.\nBring the blue map.")],
            flags=("\\Seen",),
        ),
        _letter(
            1,
            [
                ("From", ivan, ivan_octets),
                joe,
                ("Cc", eva, eva_octets),
                ("Subject", "Отчёт за май", _encoded("Отчёт за май", "koi8-r", "b")),
            ],
            [
                (
                    "Мост закрыт до понедельника.",
                    _part("Мост закрыт до понедельника.", "koi8-r", "8bit"),
                )
            ],
            mailboxes=("INBOX", "Archive"),
        ),
        _letter(
            2,
            [
                ("From", "ann@lake.test", None),
                ("To", ivan, ivan_octets),
                ("To", "Second Hand <second@sand.test>", None),
                ("Bcc", "hidden@lake.test", None),
                ("Subject", "Grüße aus Köln", _encoded("Grüße aus Köln", "iso-8859-1", "q")),
            ],
            [_utf8("Die Brücke ist gesperrt, sagt Éva.", "base64")],
            mailboxes=("Archive",),
            flags=("\\Flagged",),
        ),
        _letter(
            3,
            [
                ("From", "Joe Sand <joe@sand.test>", None),
                ("To", eva, eva_octets),
                ("Subject", "A long subject that goes on", b"A long subject\r\n that goes on"),
                ("List-Id", "Cave walkers <walkers.cave.test>", None),
            ],
            [_plain("see below"), _utf8("pièce jointe: carte bleue", "quoted-printable")],
            mailboxes=("Archive", "Trash"),
        ),
        _letter(
            4,
            [
                ("From", '"Quote \\"Q\\" Mann" <quote@hill.test>', None),
                joe,
                ("Subject", 'He said "stop it" and left C:\\maps\\new', None),
            ],
            [_plain('It reads "keep out" on D:\\door (50% off) {7}.')],
            flags=("\\Seen", "urgent"),
        ),
        _letter(
            5,
            [("From", ivan, ivan_octets), ("Subject", LONG, None), ("X-Colour", "blue", None)],
            [_plain("closed " + LONG)],
            mailboxes=("Trash",),
        ),
        _letter(
            6,
            [("From", eva, eva_octets), ("Cc", "ann@lake.test", None), ("X-Colour", "", None)],
            [("日本の地図", _part("日本の地図", "iso-2022-jp", "7bit"))],
            mailboxes=("INBOX", "Trash"),
            flags=("urgent",),
        ),
        _letter(
            7,
            [
                joe,
                ("Subject", "numbers BRIDGE monday", None),
                ("List-Id", "<walkers.cave.test>", None),
            ],
            [
                _plain(""),
                ("<p>Blue map</p>", _part("<p>Blue map</p>", "us-ascii", "7bit", "text/html")),
            ],
        ),
        _letter(
            8,
            [("From", "NIL <nil@hill.test>", None), ("Subject", "don't", None)],
            [_plain("NIL UNSEEN ) OR ALL")],
            flags=("\\Deleted",),
        ),
        _letter(
            9,
            [
                ("From", "ann@lake.test", None),
                joe,
                ("Subject", "cafe\u0301", "cafe\u0301".encode()),
            ],
            [_utf8("décembre, STRASSE, Straße")],
            mailboxes=("Archive",),
            flags=("\\Seen",),
        ),
    ]


WORDS = (
    *("bridge", "BRIDGE", "monday", "blue", "map", "closed", "numbers", "nowhere", "stop"),
    *("éva", "Éva", "eva", "kovács", "Иван", "иван", "отчёт", "мост", "МОСТ", "köln", "grüße"),
    *("Brücke", "carte", "pièce", "地図", "日本", "straße", "strasse", "café", "cafe", "don't"),
    *('"blue map"', '"map blue"', "'that goes'", '"keep out"', r'"\"keep out\""', r"C:\maps"),
    *("(50%", "{7}", '"NIL UNSEEN )"', "bridg*", "*", "", '""', "bridge monday", "blue map"),
    *(LONG, LONG + "s", "sand.test", "joe", "second", "hidden", "hill", "lake"),
)
"""What to look for: none of it stands in the header of a part, where it would be found too."""

HEADERS = (
    *(["List-Id"], ["list-id", "walkers"], ["List-ID", "cave walkers"], ["X-Colour"]),
    *(["X-Colour", "blue"], ["X-Colour", ""], ["Subject"], ["Subject", "köln"], ["Bcc"]),
    *(["From", "éva kovács"], ["To", "second"], ["Message-ID", "3@wording.test"], ["X-Nothing"]),
    *(["Subject", '"stop it"'], ["X-Nothing", "blue"]),
)


def store(server: Dovecot, user: User) -> list[Letter]:
    """Put the letters where they belong: one that is in several mailboxes is copied there."""
    made = letters()
    with server.imap(user) as imap:
        for letter in made:
            first, *others = letter.mailboxes
            server.append_all(user, first, [Message(letter.octets, letter.flags, letter.received)])
            imap.select(first)
            (uid,) = imap.uid("SEARCH", "HEADER", "Message-ID", letter.name)[1][0].split()
            for mailbox in others:
                imap.uid("COPY", uid.decode(), mailbox)
    return made


def folded(text: str) -> str:
    """RFC 5051 §2: what is compared."""
    titled = "".join(c.title() if len(c.title()) == 1 else c for c in text)
    return unicodedata.normalize("NFKD", titled)
