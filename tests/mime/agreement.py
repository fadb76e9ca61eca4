"""RFC 9051 §7.5.2: what a real Dovecot tells of messages, beside what `message.parse` finds.

Dovecot is given messages as files of a Maildir, and gives them with CRLF line ends.
"""

from __future__ import annotations

import imaplib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from gateway.imap.wire import tokens
from gateway.mime.message import Message, parse
from gateway.mime.structure import Part, from_bodystructure
from tests.servers.dovecot import Dovecot, User
from tests.servers.dovecot_config import Options

OPTIONS = Options(mail_format="maildir")
_FIELDS = tuple(f.name for f in fields(Part) if f.compare and f.name != "children")
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Told:
    """One message: its number in the mailbox, the structure as told, and our reading."""

    number: int
    name: str
    structure: Part
    message: Message


def fill(server: Dovecot, user: User, messages: Mapping[str, bytes]) -> None:
    """Put messages into the inbox of a server with Maildirs, as they are."""
    with server.imap(user) as client:
        client.select()
    inbox = server.directory / "home" / user.username / "mail"
    owner = inbox.stat()
    for name, octets in messages.items():
        file = inbox / "new" / name
        file.write_bytes(octets)
        os.chown(file, owner.st_uid, owner.st_gid)


def told(client: imaplib.IMAP4) -> Iterator[Told]:
    """Each message of the inbox, by the name it was put there with."""
    _, (count,) = client.select(readonly=True)
    for first in range(1, int(count or b"0") + 1, _AT_ONCE):
        which = f"{first}:{min(first + _AT_ONCE - 1, int(count or b'0'))}"
        for number, row in _fetch(client, which, "X-GUID BODYSTRUCTURE BODY.PEEK[]"):
            structure = from_bodystructure(row[b"BODYSTRUCTURE"])
            yield Told(number, row[b"X-GUID"].decode(), structure, parse(row[b"BODY[]"] or b""))


def sections(client: imaplib.IMAP4, number: int, names: list[str]) -> dict[str, bytes]:
    """RFC 9051 §6.4.5: sections of one message."""
    items = " ".join(f"BODY.PEEK[{name}]" for name in names)
    ((_, row),) = _fetch(client, str(number), items)
    return {name: row[f"BODY[{name}]".encode()] or b"" for name in names}


def _fetch(client: imaplib.IMAP4, which: str, items: str) -> Iterator[tuple[int, dict[bytes, Any]]]:
    status, data = client.fetch(which, f"({items})")
    assert status == "OK"
    pieces: list[bytes] = []
    for piece in data:
        # A literal comes with the line before it.
        pieces += (piece[0], b"\r\n", piece[1]) if isinstance(piece, tuple) else (piece or b"",)
        if isinstance(piece, bytes):
            parsed: Any = tokens.parse(b"(%b)" % b"".join(pieces))
            number, values = parsed
            yield int(number), dict(zip(values[::2], values[1::2], strict=True))
            pieces.clear()


# --- Differences --------------------------------------------------------------------------------


def differences(theirs: Part, message: Message) -> list[str]:
    """Where the two disagree, but for what `_same_but` knows; all parts and fields are compared."""
    return list(_differences(theirs, message.root, message))


def _differences(theirs: Part, ours: Part, message: Message) -> Iterator[str]:
    if theirs.is_multipart and not ours.is_multipart and _is_empty(theirs):
        # We show a multipart without parts as text (see entities.scan).
        expected = "text/plain" if ours.part_id == (theirs.part_id or "1") else ""
        if ours.type != expected:
            yield f"{ours.part_id}: {theirs.type} without parts is {ours.type}"
        return
    for name in _FIELDS:
        one, other = getattr(theirs, name), getattr(ours, name)
        if one != other and not _is_known(name, theirs, ours, message):
            yield f"{theirs.part_id} {name}: {one!r} is {other!r}"
    if len(theirs.children) != len(ours.children):
        yield f"{theirs.part_id}: {len(theirs.children)} parts are {len(ours.children)}"
        return
    for their_child, our_child in zip(theirs.children, ours.children, strict=True):
        yield from _differences(their_child, our_child, message)


def _is_empty(multipart: Part) -> bool:
    """Dovecot tells of an empty text in a multipart without parts, as the grammar wants a part."""
    return all(child.type == "text/plain" and child.size == 0 for child in multipart.children)


def _is_known(name: str, theirs: Part, ours: Part, message: Message) -> bool:
    """Whether a field differs because of one of these three ways of Dovecot."""
    if name == "parameters":
        # It writes the default charset of text as if it was given (RFC 2046 §4.1.2).
        with_default = {**ours.parameters, "charset": "us-ascii"}
        added = "charset" not in ours.parameters and theirs.parameters == with_default
        return added and theirs.type.startswith("text/")
    if name == "lines" and theirs.lines is None:
        # It counts no lines of a type that is none, which is text by default (RFC 2045 §5.2), nor
        # of a message/global.
        return ours.type in ("text/plain", "message/global")
    if name in ("size", "lines") and ours.type == "message/rfc822":
        # When a message ends with a delimiter or a header it counts the line end after that,
        # which belongs to the next delimiter (RFC 2046 §5.1.1).
        end = message.span(ours).end
        return message.octets[end : end + 4] == b"\r\n--" and (theirs.size, theirs.lines) == (
            ours.size + 2,
            (ours.lines or 0) + 1,
        )
    return False
