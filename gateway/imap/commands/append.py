"""RFC 9051 §6.3.12: APPEND; RFC 4315 §3: APPENDUID, and how to find the message without it."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from gateway.imap.command import Command, Commander
from gateway.imap.commands.examine import Examine, Selected
from gateway.imap.commands.fetch import fetch
from gateway.imap.commands.search import uid_search
from gateway.imap.commands.status import status_of
from gateway.imap.errors import CommandRefused
from gateway.imap.quirks import SAVES_SENT
from gateway.imap.wire import criteria, encode, items
from gateway.imap.wire.encode import Encoded, Upload
from gateway.imap.wire.responses import Code, Tagged, Untagged

LOOKS = 6
LOOK_SECONDS = 0.5
"""Pause before the second look for a message; each further one is twice as long."""


@dataclass(frozen=True, slots=True)
class Appended:
    """Where a message is now."""

    uidvalidity: int
    uid: int


class Append(Command[Appended | None]):
    """APPEND of one message, which is sent in chunks; None when the server does not tell its UID.

    The upload has as many octets as it announces, or the connection is closed (ValueError).
    """

    name: ClassVar[str] = "APPEND"
    stores: ClassVar[bool] = True

    def __init__(
        self,
        mailbox: bytes,
        message: Upload,
        flags: Sequence[str] = (),
        received: datetime | None = None,
    ) -> None:
        self._mailbox = mailbox
        self._message = message
        self._flags = flags
        self._received = received
        self._appended: Appended | None = None

    def encode(self) -> Encoded:
        arguments = [encode.atom(self.name), encode.mailbox(self._mailbox)]
        if self._flags:
            arguments.append(encode.parenthesised(*map(encode.flag, self._flags)))
        if self._received is not None:
            arguments.append(encode.date_time(self._received))
        return encode.join(*arguments, Encoded((self._message,)))

    def collect(self, response: Untagged) -> bool:
        return response.name == "OK" and self._take(response.text.code)

    def finish(self, tagged: Tagged) -> Appended | None:
        self._take(tagged.text.code)
        self.check(tagged)
        return self._appended

    def _take(self, code: Code | None) -> bool:
        if code is None or code.name != "APPENDUID":
            return False
        uidvalidity, uid = code.number(0), code.number(1)
        if uidvalidity and uid:
            self._appended = Appended(uidvalidity, uid)
        return True


async def append(
    conn: Commander,
    mailbox: bytes,
    message: Upload,
    flags: Sequence[str] = (),
    received: datetime | None = None,
    message_id: str | None = None,
) -> Appended | None:
    """Add a message to a mailbox, given by its wire name, and tell where it is.

    Without UIDPLUS it is looked for by its Message-ID among what came since; None when it can not
    be told apart. That EXAMINEs the mailbox. Raises CommandRefused (TRYCREATE, OVERQUOTA, TOOBIG).
    """
    first = 1
    if "UIDPLUS" not in conn.capabilities and "IMAP4REV2" not in conn.capabilities:
        status = await status_of(conn, mailbox)
        first = (status.uidnext if status is not None else None) or 1
    appended = await conn.run(Append(mailbox, message, flags, received))
    if appended is not None or message_id is None:
        return appended
    return await find(conn, mailbox, message_id, first)


async def file_sent(
    conn: Commander,
    mailbox: bytes,
    message: Upload,
    message_id: str,
    flags: Sequence[str] = ("\\Seen",),
) -> Appended | None:
    """Have a message that was submitted in the mailbox of sent mail, once.

    Where the server sees to that, its copy is looked for until it is there; None when it does not
    come. Raises what `append` raises.
    """
    if SAVES_SENT not in conn.quirks:
        return await append(conn, mailbox, message, flags, message_id=message_id)
    return await find(conn, mailbox, message_id, looks=LOOKS)


async def find(
    conn: Commander, mailbox: bytes, message_id: str, first: int = 1, *, looks: int = 1
) -> Appended | None:
    """The newest message of that Message-ID, in angle brackets, with the UID `first` or a higher.

    It may come only after a while: as many looks are taken. EXAMINEs the mailbox.
    """
    pause = LOOK_SECONDS
    while True:
        selected = await conn.run(Examine(mailbox))
        uid = await _find(conn, selected, message_id, first)
        if uid is not None:
            return Appended(selected.uidvalidity, uid)
        looks -= 1
        if not looks:
            return None
        await asyncio.sleep(pause)
        pause *= 2


async def _find(conn: Commander, selected: Selected, message_id: str, first: int) -> int | None:
    if not selected.exists:
        return None
    try:
        sought = criteria.header("Message-ID", message_id)
        found = await uid_search(conn, criteria.all_of(criteria.uids(b"%d:*" % first), sought))
    except CommandRefused:
        if first == 1:
            raise
        found = await _compare(conn, message_id, first)
    return max((uid for uid in found if uid >= first), default=None)


async def _compare(conn: Commander, message_id: str, first: int) -> list[int]:
    """The same where the server can not search for header fields."""
    field = items.section("HEADER.FIELDS", fields=["Message-ID"])
    fetched = await fetch(conn, b"%d:*" % first, [field])
    sought = message_id.encode()
    return [row.uid for row in fetched.rows if sought in (row.sections.get(field.name) or b"")]
