"""RFC 9051 §6.1.3: LOGOUT."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from typing import ClassVar

from gateway.imap.command import Command
from gateway.imap.wire import encode
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged, Untagged


class Logout(Command[None]):
    """Ends the session; the server answers with BYE and closes."""

    name: ClassVar[str] = "LOGOUT"
    ends: ClassVar[bool] = True

    def encode(self) -> Encoded:
        return encode.atom(self.name)

    def collect(self, response: Untagged) -> bool:
        return response.name == "BYE"

    def finish(self, tagged: Tagged) -> None:
        self.check(tagged)
