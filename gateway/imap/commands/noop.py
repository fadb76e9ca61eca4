"""RFC 9051 §6.1.2: NOOP."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from typing import ClassVar

from gateway.imap.command import Command
from gateway.imap.wire import encode
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged


class Noop(Command[None]):
    """Makes the server tell what changed; the news reach `on_unsolicited`."""

    name: ClassVar[str] = "NOOP"

    def encode(self) -> Encoded:
        return encode.atom(self.name)

    def finish(self, tagged: Tagged) -> None:
        self.check(tagged)
