"""RFC 5161 (RFC 9051 §6.3.1): ENABLE; RFC 7162 §3.2.3 (QRESYNC), RFC 9586 §3 (UIDONLY)."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from gateway.imap.command import Command, Commander
from gateway.imap.commands.examine import Examine
from gateway.imap.errors import CommandRefused
from gateway.imap.quirks import ENABLES_NOTHING, ENABLES_SILENTLY
from gateway.imap.wire import encode
from gateway.imap.wire.capability import Capabilities
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged, Untagged


class Enable(Command[Capabilities | None]):
    """Switches extensions on. The result is what the server said it enabled; None: not a word."""

    name: ClassVar[str] = "ENABLE"

    def __init__(self, extensions: Sequence[str]) -> None:
        self._extensions = extensions
        self._enabled: Capabilities | None = None

    def encode(self) -> Encoded:
        return encode.join(encode.atom(self.name), *map(encode.atom, self._extensions))

    def collect(self, response: Untagged) -> bool:
        if response.name != "ENABLED":
            return False
        self._enabled = Capabilities.parse(response.values)
        return True

    def finish(self, tagged: Tagged) -> Capabilities | None:
        self.check(tagged)
        return self._enabled


class _Probe(Examine):
    """EXAMINE that a server refuses where QRESYNC is not enabled (RFC 7162 §3.2.5)."""

    def encode(self) -> Encoded:
        figures = encode.parenthesised(encode.number(1), encode.number(1))
        parameter = encode.parenthesised(encode.atom("QRESYNC"), figures)
        return encode.join(encode.atom(self.name), encode.mailbox(self.mailbox), parameter)


async def enable(conn: Commander, first: Sequence[Command[Any]] = ()) -> list[Any | CommandRefused]:
    """Switch on what helps to follow changes, and note it in `conn.enabled`.

    Commands in `first` are sent in the same go; gives their results.
    """
    attempts = _attempts(conn.capabilities)
    results: list[Any | CommandRefused] | None = None
    for words in attempts:
        beside = first if results is None else ()
        *others, enabled = await conn.run_all(*beside, Enable(words))
        results = others if results is None else results
        if isinstance(enabled, CommandRefused):  # some servers refuse all for one unknown word
            continue
        conn.enabled = await _unsaid(conn, words) if enabled is None else enabled
        break
    return await conn.run_all(*first) if results is None else results


def _attempts(capabilities: Capabilities) -> list[list[str]]:
    """The words for ENABLE, fewer each time."""
    if "ENABLE" not in capabilities:
        return []
    known = [word for word in ("QRESYNC", "CONDSTORE") if word in capabilities]
    attempts = [[word] for word in known]
    # Yahoo shows only the newest messages of a mailbox to those who might use message numbers.
    if "UIDONLY" in capabilities and any(c.startswith("MESSAGELIMIT=") for c in capabilities):
        attempts.insert(0, [*known[:1], "UIDONLY"])
    return attempts


async def _unsaid(conn: Commander, words: Sequence[str]) -> Capabilities:
    """What an OK without ENABLED has enabled, of which an EXAMINE tells."""
    if "QRESYNC" not in words or ENABLES_NOTHING in conn.quirks:
        return Capabilities()
    if ENABLES_SILENTLY not in conn.quirks:
        try:
            selected = await conn.run(_Probe(b"INBOX"))
        except CommandRefused:
            selected = None
        if selected is None or not selected.highestmodseq:
            conn.quirks.add(ENABLES_NOTHING)
            return Capabilities()
        conn.quirks.add(ENABLES_SILENTLY)
    return Capabilities(("QRESYNC", "CONDSTORE"))
