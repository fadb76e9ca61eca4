"""RFC 9051 §6.3.3 EXAMINE, §6.4.1 CLOSE; RFC 7162 §3.1.2 HIGHESTMODSEQ; RFC 8474 §4.2 MAILBOXID."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gateway.imap.command import Command, Commander
from gateway.imap.commands.status import uidnext
from gateway.imap.errors import CommandRefused, MailboxUnavailable
from gateway.imap.wire import encode
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Code, Tagged, Untagged

# Servers without RFC 5530 codes tell it in words only.
_UNAVAILABLE_TEXT = re.compile(
    r"doesn't exist|not exist|nonexistent|non-existent|unknown (?:mailbox|folder)"
    r"|no such (?:mailbox|folder|file)|(?:mailbox|folder) (?:not|could not be|cannot be) found"
    r"|invalid (?:mailbox|folder)|access denied|permission denied|no permission|not permitted",
    re.IGNORECASE,
)
_PASSING_CODES = frozenset({"UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG"})
_UNAVAILABLE_CODES = frozenset({"NONEXISTENT", "NOPERM", "TRYCREATE", "CANNOT"})


@dataclass(frozen=True, slots=True)
class Selected:
    """What EXAMINE or SELECT says about a mailbox.

    `uidvalidity` is 0 when the server gives none; `highestmodseq` is None without mod-sequences;
    `permanent_flags` is None when the server did not say (RFC 9051 §7.1: then all are permanent).
    """

    mailbox: bytes
    exists: int = 0
    uidvalidity: int = 0
    uidnext: int | None = None
    highestmodseq: int | None = None
    flags: tuple[str, ...] = ()
    permanent_flags: tuple[str, ...] | None = None
    mailbox_id: str | None = None
    read_only: bool = True


@dataclass
class Examine(Command[Selected]):
    """EXAMINE of a mailbox by its wire name; with `condstore`, RFC 7162's parameter."""

    mailbox: bytes
    condstore: bool = False
    _exists: int = 0
    _flags: tuple[str, ...] = ()
    _codes: dict[str, Code] = field(default_factory=dict)

    name: ClassVar[str] = "EXAMINE"
    selects: ClassVar[bool] = True

    def encode(self) -> Encoded:
        arguments = [encode.atom(self.name), encode.mailbox(self.mailbox)]
        if self.condstore:
            arguments.append(encode.parenthesised(encode.atom("CONDSTORE")))
        return encode.join(*arguments)

    def collect(self, response: Untagged) -> bool:
        match response.name:
            case "EXISTS":
                self._exists = response.number or 0
            case "FLAGS":
                self._flags = _flags(response.values[0] if response.values else None)
            case "RECENT":
                pass
            case "OK" if response.text.code is not None and response.text.code.name in _CODES:
                self._codes[response.text.code.name] = response.text.code
            case _:
                return False
        return True

    def finish(self, tagged: Tagged) -> Selected:
        if tagged.status != "OK" and _is_unavailable(tagged.code, tagged.text.text):
            raise MailboxUnavailable(self.name, tagged.status, tagged.code, tagged.text.text)
        self.check(tagged)
        permanent = self._codes.get("PERMANENTFLAGS")
        return Selected(
            mailbox=self.mailbox,
            exists=self._exists,
            uidvalidity=self._number("UIDVALIDITY") or 0,
            uidnext=uidnext(self._number("UIDNEXT")),
            highestmodseq=self._number("HIGHESTMODSEQ"),
            flags=self._flags,
            permanent_flags=_flags(permanent.arguments[0])
            if permanent and permanent.arguments and isinstance(permanent.arguments[0], list)
            else None,
            mailbox_id=_mailbox_id(self._codes.get("MAILBOXID")),
            read_only=tagged.code != "READ-WRITE",
        )

    def _number(self, code: str) -> int | None:
        return self._codes[code].number() if code in self._codes else None


_CODES = frozenset(
    {
        "UIDVALIDITY",
        "UIDNEXT",
        "HIGHESTMODSEQ",
        "NOMODSEQ",
        "PERMANENTFLAGS",
        "MAILBOXID",
        "UNSEEN",
        "CLOSED",
    }
)


class Close(Command[None]):
    """CLOSE: no mailbox is selected after it. Of an EXAMINEd mailbox it removes nothing."""

    name: ClassVar[str] = "CLOSE"
    selects: ClassVar[bool] = True

    def encode(self) -> Encoded:
        return encode.atom(self.name)

    def finish(self, tagged: Tagged) -> None:
        self.check(tagged)


class Unselect(Close):
    """RFC 3691 UNSELECT: as CLOSE, and removes nothing of a SELECTed mailbox either."""

    name: ClassVar[str] = "UNSELECT"


def leave(conn: Commander) -> list[Command[Any]]:
    r"""The commands that leave the selected mailbox, and remove nothing of it; none without one.

    CLOSE of a SELECTed mailbox would expunge what is flagged \Deleted there.
    """
    if conn.selected is None:
        return []
    if "UNSELECT" in conn.capabilities:
        return [Unselect()]
    again = [] if conn.selected.read_only else [Examine(conn.selected.mailbox)]
    return [*again, Close()]


async def examine(conn: Commander, mailbox: bytes) -> Selected:
    """Open a mailbox for reading. Raises MailboxUnavailable, CommandRefused."""
    condstore = "CONDSTORE" in conn.capabilities and not conn.enabled & {"CONDSTORE", "QRESYNC"}
    return await conn.run(Examine(mailbox, condstore))


def denies_mailbox(refused: CommandRefused) -> bool:
    """Whether a command on messages was refused because of the mailbox that they are in.

    Cyrus says so of one that was renamed while it was selected.
    """
    return _is_unavailable(refused.code, refused.text)


def _is_unavailable(code: str | None, text: str) -> bool:
    """Whether a refusal is about the mailbox and will last."""
    if code in _PASSING_CODES:
        return False
    return code in _UNAVAILABLE_CODES or bool(_UNAVAILABLE_TEXT.search(text))


def _flags(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(flag.decode("ascii", "replace") for flag in value if isinstance(flag, bytes))


def _mailbox_id(code: Code | None) -> str | None:
    if code is None or not code.arguments:
        return None
    value = code.arguments[0]
    if isinstance(value, list):  # some servers leave the parentheses out
        value = value[0] if value else None
    return value.decode("ascii", "replace") if isinstance(value, bytes) else None
