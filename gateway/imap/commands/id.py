"""RFC 2971: ID."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from gateway.imap.command import Command
from gateway.imap.wire import encode
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged, Untagged


class Id(Command[dict[str, str]]):
    """Tells the server who we are; the result is what it says of itself, field names lower case."""

    name: ClassVar[str] = "ID"

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields
        self._server: dict[str, str] = {}

    def encode(self) -> Encoded:
        strings = [encode.string(text) for pair in self._fields.items() for text in pair]
        return encode.join(encode.atom(self.name), encode.parenthesised(*strings))

    def collect(self, response: Untagged) -> bool:
        if response.name != "ID":
            return False
        if response.values and isinstance(response.values[0], list):
            texts = [
                value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
                for value in response.values[0]
            ]
            self._server = {
                key.lower(): value for key, value in zip(texts[::2], texts[1::2], strict=False)
            }
        return True

    def finish(self, tagged: Tagged) -> dict[str, str]:
        self.check(tagged)
        return self._server
