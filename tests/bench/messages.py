"""RFC 5322, RFC 2045, RFC 2919: mail of any amount, the same octets for the same seed."""

from __future__ import annotations

from base64 import encodebytes
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from tests.bench.vocabulary import (
    HOSTS,
    LABEL_SHARES,
    LABELS,
    LISTS,
    Dice,
    Person,
    noise,
    persons,
    text,
    title,
)
from tests.servers.dovecot import Message

LAST = datetime(2026, 6, 30, 12, tzinfo=UTC)
SPAN = timedelta(days=6 * 365)
LONGEST = 30
_AT_ONCE = 300  # conversations that go on side by side
_SINGLE = 0.5
_ON_LIST = 0.2
_HTML = 0.35
_ATTACHMENT = 0.1


@dataclass(frozen=True, slots=True)
class Letter:
    """A message, and the number of its conversation."""

    conversation: int
    message: Message


@dataclass(slots=True)
class _Conversation:
    number: int
    subject: str
    members: tuple[Person, ...]
    list_name: str | None
    left: int
    ids: list[str] = field(default_factory=list)


def letters(seed: int, count: int) -> Iterator[Letter]:
    """Yield `count` letters, oldest first, spread over six years.

    About 80 % are seen, 3 % flagged, 12 % answered; each label has its own share. Half of the
    conversations are a single letter, the longest have 30; 35 % of the letters have HTML beside
    their text, 10 % an attachment of some kB.
    """
    dice = Dice(seed)
    going: list[_Conversation] = []
    started = 0
    at_once = min(_AT_ONCE, count // 20 + 1)
    for number in range(count):
        received = LAST - SPAN + SPAN * ((number + dice.random()) / count)
        if len(going) < at_once:
            going.append(_start(dice, started))
            started += 1
            position = len(going) - 1
        else:
            position = dice.below(len(going))
        conversation = going[position]
        octets = _compose(dice, conversation, number, received)
        yield Letter(conversation.number, Message(octets, _flags(dice), received))
        conversation.left -= 1
        if not conversation.left:
            going[position] = going[-1]
            going.pop()


def _start(dice: Dice, number: int) -> _Conversation:
    length = 1 if dice.chance(_SINGLE) else 2 + int((LONGEST - 1) * dice.random() ** 4)
    members = tuple(dice.pick(persons()) for _ in range(dice.between(2, 4)))
    list_name = dice.pick(LISTS) if dice.chance(_ON_LIST) else None
    return _Conversation(number, title(dice), members, list_name, length)


def _flags(dice: Dice) -> tuple[str, ...]:
    system = (("\\Seen", 0.8), ("\\Flagged", 0.03), ("\\Answered", 0.12))
    labels = ((f"$label:{n}", s) for n, s in zip(LABELS, LABEL_SHARES, strict=True))
    return tuple(name for name, share in (*system, *labels) if dice.chance(share))


def _compose(dice: Dice, talk: _Conversation, number: int, received: datetime) -> bytes:
    sender = talk.members[len(talk.ids) % len(talk.members)]
    others = [member for member in talk.members if member is not sender] or [persons()[0]]
    sent = received - timedelta(seconds=dice.between(1, 900))
    host = dice.pick(HOSTS)
    subject = f"Re: {talk.subject}" if talk.ids else talk.subject
    if talk.list_name is not None:
        subject = f"[{talk.list_name}] {subject}"
    message_id = f"<{number:x}.{dice.below(1 << 32):08x}@{host}>"
    lines = [
        f"Return-Path: <{sender.address}>",
        f"Received: from mx.{host} (mx.{host} [192.0.2.{dice.below(250)}])",
        f"\tby mail.example with ESMTPS id {dice.below(1 << 40):010X};",
        f"\t{format_datetime(received)}",
        f"Date: {format_datetime(sent)}",
        f"From: {sender.mailbox}",
        f"To: {others[0].mailbox}",
        f"Subject: {subject}",
        f"Message-ID: {message_id}",
    ]
    if len(others) > 1:
        copied = ",\r\n ".join(other.mailbox for other in others[1:])
        lines.append(f"Cc: {copied}")
    if talk.ids:
        joined = "\r\n ".join(talk.ids)
        lines += [f"In-Reply-To: {talk.ids[-1]}", f"References: {joined}"]
    if talk.list_name is not None:
        list_id = f"{talk.list_name}.lists.example"
        lines += [
            f"List-Id: The {talk.list_name} list <{list_id}>",
            f"List-Post: <mailto:{talk.list_name}@lists.example>",
        ]
    talk.ids.append(message_id)
    return "\r\n".join([*lines, "MIME-Version: 1.0", ""]).encode() + _body(dice, number)


def _body(dice: Dice, number: int) -> bytes:
    has_html, has_attachment = dice.chance(_HTML), dice.chance(_ATTACHMENT)
    body = _alternative(dice, number) if has_html else _plain(dice, dice.between(12, 42))
    if not has_attachment:
        return body
    start, size = dice.below(len(noise()) // 2), dice.between(500, 4000)
    encoded = encodebytes(noise()[start : start + size]).replace(b"\n", b"\r\n")
    name = b"report-%d.pdf" % number
    attachment = (
        b"Content-Type: application/pdf; name=%s\r\n"
        b"Content-Disposition: attachment; filename=%s\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n%s" % (name, name, encoded)
    )
    return _multipart(b"mixed", b"m%08x" % number, body, attachment)


def _plain(dice: Dice, lines: int) -> bytes:
    source = text().plain
    start = dice.below(len(source) - lines)
    return (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n%s\r\n"
        % b"\r\n".join(source[start : start + lines])
    )


def _alternative(dice: Dice, number: int) -> bytes:
    lines = dice.between(8, 20)
    source = text().html
    start = dice.below(len(source) - lines)
    page = (
        b"Content-Type: text/html; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"<!DOCTYPE html>\r\n<html><body>\r\n%s\r\n</body></html>\r\n"
        % b"\r\n".join(source[start : start + lines])
    )
    return _multipart(b"alternative", b"a%08x" % number, _plain(dice, lines), page)


def _multipart(subtype: bytes, boundary: bytes, *parts: bytes) -> bytes:
    head = b"Content-Type: multipart/%s; boundary=%s\r\n\r\n" % (subtype, boundary)
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts)
    return b"%s%s--%s--\r\n" % (head, body, boundary)
