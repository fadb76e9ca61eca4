"""RFC 5161 (RFC 9051 §6.3.1): ENABLE."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from gateway.imap.command import Command
from gateway.imap.wire import encode
from gateway.imap.wire.capability import Capabilities
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged, Untagged


class Enable(Command[Capabilities]):
    """Switches extensions on. The result is what the server said it enabled.

    iCloud answers OK to ENABLE QRESYNC without an untagged ENABLED, and does nothing.
    """

    name: ClassVar[str] = "ENABLE"

    def __init__(self, extensions: Sequence[str]) -> None:
        self._extensions = extensions
        self._enabled = Capabilities()

    def encode(self) -> Encoded:
        return encode.join(encode.atom(self.name), *map(encode.atom, self._extensions))

    def collect(self, response: Untagged) -> bool:
        if response.name != "ENABLED":
            return False
        self._enabled = Capabilities.parse(response.values)
        return True

    def finish(self, tagged: Tagged) -> Capabilities:
        self.check(tagged)
        return self._enabled
