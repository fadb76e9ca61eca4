"""RFC 9661 §2.1: ids of SieveScripts, which ManageSieve knows by name only.

The id of a script is made of its name, so that it is the same without any store. What was renamed
over JMAP keeps the id it had; that is remembered durably, and so is the id of a script whose own is
taken by such a one. A script that another program renames is another one from then on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import msgpack

from gateway.obs.log import get_logger
from gateway.store.base import Durable, StoreError
from gateway.sync import ids
from gateway.sync.errors import NotCommitted

BUNDLE: Final = "sieve"
_KEY: Final = "ids"
_VERSION: Final = 1
_KEPT_SECONDS: Final = 10 * 365 * 24 * 3600.0
# Others may write at the same time; who comes too late begins again.
_ROUNDS: Final = 8

log = get_logger(__name__)


def assign(
    names: Collection[str], remembered: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Ids of all scripts by name, each once, and what of that is to be remembered.

    Of two names that are remembered with one id, the later one has it: that is the new name.
    """
    found: dict[str, str] = {}
    taken: dict[str, str] = {}
    for name, id_ in remembered.items():
        if name in names:
            found.pop(taken.get(id_, ""), None)
            found[name] = id_
            taken[id_] = name
    for name in sorted(names):
        ordinal = 0
        while name not in found:
            id_ = ids.script_id(name, ordinal)
            if id_ not in taken:
                found[name] = id_
                taken[id_] = name
            ordinal += 1
    kept = {name: id_ for name, id_ in found.items() if id_ != ids.script_id(name, 0)}
    return found, kept


class ScriptIds:
    """The ids of one account's scripts. Every method raises NotCommitted when the store fails."""

    def __init__(self, durable: Durable, account_id: str) -> None:
        self._durable = durable
        self._account = account_id

    async def of(self, names: Collection[str]) -> dict[str, str]:
        """The ids of all scripts, by name."""
        return await self._update(names, {})

    async def rename(self, names: Collection[str], renamed: Mapping[str, str]) -> None:
        """Have scripts keep their ids: `renamed` gives them by new name.

        `names` are those of all scripts, old and new.
        """
        await self._update({*names, *renamed}, renamed)

    async def _update(self, names: Collection[str], renamed: Mapping[str, str]) -> dict[str, str]:
        try:
            for _ in range(_ROUNDS):
                held = (await self._durable.load(self._account, BUNDLE, (_KEY,))).get(_KEY)
                remembered = _unpacked(held)
                others = {name: id_ for name, id_ in remembered.items() if name not in renamed}
                found, kept = assign(names, {**others, **renamed})
                if kept == remembered or await self._save(held, kept):
                    return found
        except StoreError as error:
            log.warning("script_ids_unavailable", reason=error.reason)
            raise NotCommitted("the store of ids fails") from error
        raise NotCommitted("others write the ids all the time")

    async def _save(self, held: bytes | None, kept: Mapping[str, str]) -> bool:
        entries = {_KEY: msgpack.packb([_VERSION, [*kept.items()]])}
        return await self._durable.replace(
            self._account, BUNDLE, _KEY, held, entries, _KEPT_SECONDS
        )


def _unpacked(held: bytes | None) -> dict[str, str]:
    if held is None:
        return {}
    try:
        version, items = msgpack.unpackb(held)
        return dict(items) if version == _VERSION else {}
    except (ValueError, TypeError, msgpack.exceptions.UnpackException) as error:
        log.warning("script_ids_unreadable", reason=str(error))
        return {}
