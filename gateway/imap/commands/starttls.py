"""RFC 9051 §6.2.1: STARTTLS."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from typing import ClassVar

from gateway.imap.command import Command
from gateway.imap.wire import encode
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged


class StartTls(Command[None]):
    """Asks for TLS; the handshake follows the OK at once."""

    name: ClassVar[str] = "STARTTLS"

    def encode(self) -> Encoded:
        return encode.atom(self.name)

    def finish(self, tagged: Tagged) -> None:
        self.check(tagged)
