"""RFC 9051 §6.3.4: CREATE; RFC 6154 §3: USE."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from typing import ClassVar

from gateway.imap.command import Command
from gateway.imap.wire import encode
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged


class Create(Command[None]):
    r"""CREATE of a mailbox by its wire name; `use` is a special use such as \Archive.

    A delimiter at the end would say that only mailboxes under it are wanted, and Gmail refuses it:
    ValueError.
    """

    name: ClassVar[str] = "CREATE"
    stores: ClassVar[bool] = True

    def __init__(self, mailbox: bytes, delimiter: str | None, use: str | None = None) -> None:
        if delimiter and mailbox.endswith(delimiter.encode()):
            raise ValueError("the name of a mailbox ends with the delimiter")
        self._mailbox = mailbox
        self._use = use

    def encode(self) -> Encoded:
        arguments = [encode.atom(self.name), encode.mailbox(self._mailbox)]
        if self._use is not None:
            use = encode.parenthesised(encode.flag(self._use))
            arguments.append(encode.parenthesised(encode.atom("USE"), use))
        return encode.join(*arguments)

    def finish(self, tagged: Tagged) -> None:
        self.check(tagged)
