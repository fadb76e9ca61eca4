"""RFC 9051 §7.1.2: what a server refuses, or does in part only, is asked for in parts."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

from gateway.imap.command import Command
from gateway.imap.errors import CommandRefused

HOPELESS: Final = 16
"""So many parts refused to the last, one after the other: the server refuses everything."""


async def in_parts(
    command: Command[Any],
    refused: CommandRefused,
    run: Callable[[Command[Any]], Awaitable[Any | CommandRefused]],
) -> Any | CommandRefused:
    """What the server gives of a command that it refused; the refusal when that is nothing.

    Parts are cut down to the messages that spoil them, which are left out where the command allows.
    """
    smaller = command.smaller(refused)
    if smaller is None:
        return refused
    todo = deque(smaller)
    parts = [refused.partial] if refused.partial or not todo else []
    denied, lacks = 0, False
    while todo and denied < HOPELESS:
        piece = todo.popleft()
        result = await run(piece)
        if not isinstance(result, CommandRefused):
            parts.append(result)
            denied = 0
            continue
        if result.partial:
            parts.append(result.partial)
        further = piece.smaller(result)
        if further is None:
            if not command.may_lack:
                result.partial = command.merged(parts, True) if parts else None
                return result
            lacks = True
            denied += 1
        todo.extendleft(reversed(further or ()))
    return command.merged(parts, lacks or bool(todo)) if parts else refused
