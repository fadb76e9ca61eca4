"""RFC 9051 §6.3.7, §6.3.8: SUBSCRIBE and UNSUBSCRIBE."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from typing import ClassVar

from gateway.imap.command import Command
from gateway.imap.wire import encode
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged


class Subscribe(Command[None]):
    """SUBSCRIBE to a mailbox by its wire name."""

    name: ClassVar[str] = "SUBSCRIBE"

    def __init__(self, mailbox: bytes) -> None:
        self._mailbox = mailbox

    def encode(self) -> Encoded:
        return encode.join(encode.atom(self.name), encode.mailbox(self._mailbox))

    def finish(self, tagged: Tagged) -> None:
        self.check(tagged)


class Unsubscribe(Subscribe):
    """UNSUBSCRIBE from it."""

    name: ClassVar[str] = "UNSUBSCRIBE"
