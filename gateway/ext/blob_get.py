"""RFC 9404 §4.2: Blob/get: octets of blobs inside of a response, and digests of them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from gateway.ext.blob import BLOB, DIGESTS, find
from gateway.jmap.arguments import Argument, check
from gateway.jmap.call import Call
from gateway.jmap.errors import invalid_arguments, quoted, request_too_large
from gateway.jmap.kinds import ID, STRING_LIST, UNSIGNED_INT, nullable
from gateway.jmap.registry import Method
from gateway.mail.backend import backend
from gateway.mail.blob import Blob
from gateway.sync.errors import MessageGone
from gateway.sync.turns import Turns, off_loop

_ARGUMENTS: Final = (
    Argument("accountId", ID),
    Argument("ids", STRING_LIST),
    Argument("properties", nullable(STRING_LIST)),
    Argument("offset", nullable(UNSIGNED_INT)),
    Argument("length", nullable(UNSIGNED_INT)),
)
_EITHER, _TEXT, _BASE64 = "data", "data:asText", "data:asBase64"
_DATA = frozenset({_EITHER, _TEXT, _BASE64})
_DIGEST = "digest:"
_PROPERTIES: Final = _DATA | {"id", "size", *(_DIGEST + name for name in DIGESTS)}
_DEFAULT: Final = frozenset({_EITHER, "size"})
# Octets of all blobs of one answer, which is in memory as a whole. Larger ones are for download.
_MAX_OCTETS: Final = 20_000_000


@dataclass(frozen=True, slots=True)
class _Range:
    """`length` octets from `offset` on; all that follow without a length."""

    offset: int
    length: int | None

    def within(self, size: int) -> tuple[int, int]:
        """Where that begins and ends in a blob of so many octets."""
        start = min(self.offset, size)
        return start, size if self.length is None else min(start + self.length, size)

    def exceeds(self, size: int) -> bool:
        """Whether it begins or ends behind the end."""
        return self.offset + (self.length or 0) > size


@backend
async def run(call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
    """The response arguments of a Blob/get."""
    checked = check(arguments, _ARGUMENTS)
    account = call.account(checked, BLOB).account
    reading = _Reading(
        _properties(checked["properties"]), _Range(checked["offset"] or 0, checked["length"])
    )
    references = dict.fromkeys(checked["ids"])
    if len(references) > call.limits.max_objects_in_get:
        most = call.limits.max_objects_in_get
        raise request_too_large(f"At most {most} blobs can be had at once.")
    records: dict[str, dict[str, Any]] = {}
    not_found: list[str] = []
    for reference in references:
        found = await find(account, reference, call)
        try:
            if found is None:
                raise MessageGone
            blob_id, blob = found
            records[blob_id] = {"id": blob_id, **await reading.record(blob)}
        except MessageGone:
            not_found.append(reference)
    return {
        "accountId": checked["accountId"],
        "list": list(records.values()),
        "notFound": not_found,
    }


def _properties(names: Sequence[str] | None) -> frozenset[str]:
    if names is None:
        return _DEFAULT
    if unknown := set(names) - _PROPERTIES:
        raise invalid_arguments(f"Blobs have no properties {quoted(unknown)}.")
    return frozenset(names)


class _Reading:
    """What is asked of each blob, and how many octets there may still be in the answer."""

    def __init__(self, properties: frozenset[str], wanted: _Range) -> None:
        self._properties = properties
        self._wanted = wanted
        self._room = _MAX_OCTETS
        self._turns = Turns()

    async def record(self, blob: Blob) -> dict[str, Any]:
        """The properties of a blob, without its id.

        Raises MethodError requestTooLarge; MessageGone, ImapError and NotCommitted.
        """
        size = await blob.measure()
        start, stop = self._wanted.within(size)
        found: dict[str, Any] = {"size": size} if "size" in self._properties else {}
        names = [n for n in DIGESTS if _DIGEST + n in self._properties]
        digests = {_DIGEST + name: DIGESTS[name]() for name in names}
        octets = bytearray()
        if wants_data := not self._properties.isdisjoint(_DATA):
            self._take(stop - start)
        if wants_data or digests:
            async with aclosing(blob.chunks(start, stop)) as chunks:
                async for chunk in chunks:
                    for digest in digests.values():
                        digest.update(chunk)
                    if wants_data:
                        octets += chunk
                    await self._turns.give()
            if self._wanted.exceeds(size):
                found["isTruncated"] = True
        found |= {name: _base64(digest.digest()) for name, digest in digests.items()}
        if wants_data:
            found |= await off_loop(len(octets), _data, bytes(octets), self._properties)
        return found

    def _take(self, octets: int) -> None:
        self._room -= octets
        if self._room < 0:
            raise request_too_large(
                f"At most {_MAX_OCTETS} octets of blobs are given at once; download larger ones."
            )


def _data(octets: bytes, properties: frozenset[str]) -> dict[str, Any]:
    """The octets in the forms that are asked for."""
    found: dict[str, Any] = {}
    wants_base64 = _BASE64 in properties
    if not properties.isdisjoint({_EITHER, _TEXT}):
        try:
            found[_TEXT] = octets.decode()
        except UnicodeDecodeError:
            found |= {_TEXT: None, "isEncodingProblem": True}
            wants_base64 |= _EITHER in properties
    if wants_base64:
        found[_BASE64] = _base64(octets)
    return found


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


BLOB_GET: Final = Method("Blob/get", BLOB, run)
