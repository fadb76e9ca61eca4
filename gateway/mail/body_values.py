"""RFC 8621 §4.1.4: bodyValues, read from the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.mime import body
from gateway.mime.structure import Part
from gateway.sync.account import Account
from gateway.sync.content import Section

# Longer texts are shown from their start, as truncated; the blob has all of it.
MAX_VALUE_OCTETS: Final = 5 << 20

Values = dict[str | None, dict[str, Any]]
"""EmailBodyValue by partId."""


async def read(
    account: Account, wanted: Mapping[int, Sequence[Part]], limit: int
) -> dict[int, Values]:
    """EmailBodyValues of parts of Emails, by row; their structures must have been read.

    `limit` is in octets of each value, 0 for none but MAX_VALUE_OCTETS. Raises ImapError.
    """
    limit = min(limit or MAX_VALUE_OCTETS, MAX_VALUE_OCTETS)
    sections = [
        Section(row, part.part_id or "1", body.octets_needed(part, limit) or part.size)
        for row, parts in wanted.items()
        for part in parts
    ]
    octets = await account.content.sections(sections)
    if len(octets) < len(sections):
        await account.recheck()
    return {
        row: {
            part.part_id: _value(part, octets.get((row, part.part_id or "1")), limit)
            for part in parts
        }
        for row, parts in wanted.items()
    }


def _value(part: Part, octets: bytes | None, limit: int) -> dict[str, Any]:
    if octets is None:  # the message is there, but the server does not give this part of it
        return {"value": "", "isEncodingProblem": True, "isTruncated": True}
    return body.body_value(octets, part, limit)
