"""RFC 8621 §4.1.4: bodyValues, read from the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.jmap.errors import request_too_large
from gateway.mime import body
from gateway.mime.structure import Part
from gateway.sync.account import Account
from gateway.sync.sections import Found, Section
from gateway.sync.turns import Turns, off_loop

# Longer texts are shown from their start, as truncated; the blob has all of it.
MAX_VALUE_OCTETS: Final = 5 << 20

MAX_VALUES_OCTETS: Final = 32 << 20
"""Octets that the values of one method call are read from."""

# The message is there, but the server does not give this part of it.
_NOT_GIVEN: Final = {"value": "", "isEncodingProblem": True, "isTruncated": True}

Values = dict[str | None, dict[str, Any]]
"""EmailBodyValue by partId."""


async def read(
    account: Account, wanted: Mapping[int, Sequence[Part]], limit: int
) -> dict[int, Values]:
    """EmailBodyValues of parts of Emails, by row; their structures must have been read.

    `limit` is in octets of each value, 0 for none but MAX_VALUE_OCTETS. Raises ImapError, and
    MethodError requestTooLarge when there is too much to read at once.
    """
    sections = await needed(account, wanted, limit)
    found = await account.content.sections.read(sections)
    if len(found) < len(sections):
        await account.recheck()
    return await decoded(account, wanted, limit, found)


async def needed(
    account: Account, wanted: Mapping[int, Sequence[Part]], limit: int
) -> list[Section]:
    """What must be read for values. Raises MethodError requestTooLarge."""
    turns = Turns()
    sections: list[Section] = []
    for row, parts in wanted.items():
        await turns.give()
        sections += [account.content.body(row, part, _octets(part, limit)) for part in parts]
    if sum(section.octets for section in sections) > MAX_VALUES_OCTETS:
        raise request_too_large("The body values together are too large; ask for fewer Emails.")
    return sections


async def decoded(
    account: Account, wanted: Mapping[int, Sequence[Part]], limit: int, found: Found
) -> dict[int, Values]:
    """The values, from what was found of `needed`."""
    turns = Turns()
    values: dict[int, Values] = {}
    for row, parts in wanted.items():
        of_email = values[row] = {}
        for part in parts:
            await turns.give()
            place = account.content.body(row, part, _octets(part, limit)).place
            octets = found.get((row, place))
            of_email[part.part_id] = (
                _NOT_GIVEN if octets is None else await _value(octets, part, limit)
            )
    return values


async def _value(octets: bytes, part: Part, limit: int) -> dict[str, Any]:
    """Decoding a large value takes long enough to be noticed by others."""
    return await off_loop(len(octets), body.body_value, octets, part, _limit(limit))


def _octets(part: Part, limit: int) -> int:
    return body.octets_needed(part, _limit(limit)) or part.size


def _limit(limit: int) -> int:
    return min(limit or MAX_VALUE_OCTETS, MAX_VALUE_OCTETS)
