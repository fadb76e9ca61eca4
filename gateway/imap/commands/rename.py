"""RFC 9051 §6.3.6: RENAME."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from typing import ClassVar

from gateway.imap.command import Command
from gateway.imap.wire import encode
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged


class Rename(Command[None]):
    """RENAME of a mailbox, by wire names; the mailboxes under it go along.

    Where it goes may be another quota root.
    """

    name: ClassVar[str] = "RENAME"
    stores: ClassVar[bool] = True

    def __init__(self, mailbox: bytes, to: bytes) -> None:
        self._mailbox = mailbox
        self._to = to

    def encode(self) -> Encoded:
        names = encode.mailbox(self._mailbox), encode.mailbox(self._to)
        return encode.join(encode.atom(self.name), *names)

    def finish(self, tagged: Tagged) -> None:
        self.check(tagged)
