"""RFC 9051 §6.1.1: CAPABILITY."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from typing import ClassVar

from gateway.imap.command import Command
from gateway.imap.wire import encode
from gateway.imap.wire.capability import Capabilities
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged, Untagged


class Capability(Command[Capabilities]):
    """Asks what the server can do."""

    name: ClassVar[str] = "CAPABILITY"

    def __init__(self) -> None:
        self._capabilities = Capabilities()

    def encode(self) -> Encoded:
        return encode.atom(self.name)

    def collect(self, response: Untagged) -> bool:
        if response.name != "CAPABILITY":
            return False
        self._capabilities = Capabilities.parse(response.values)
        return True

    def finish(self, tagged: Tagged) -> Capabilities:
        self.check(tagged)
        return self._capabilities
