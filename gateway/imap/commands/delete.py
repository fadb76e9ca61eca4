"""RFC 9051 §6.3.5: DELETE."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from typing import ClassVar

from gateway.imap.command import Command
from gateway.imap.wire import encode
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged


class Delete(Command[None]):
    """DELETE of a mailbox by its wire name, with all the messages in it."""

    name: ClassVar[str] = "DELETE"

    def __init__(self, mailbox: bytes) -> None:
        self._mailbox = mailbox

    def encode(self) -> Encoded:
        return encode.join(encode.atom(self.name), encode.mailbox(self._mailbox))

    def finish(self, tagged: Tagged) -> None:
        self.check(tagged)
