"""RFC 8620 §1.6.2, §5.2: objects that are in no mailbox, kept durably, with what happened to them.

Identities and EmailSubmissions are such objects. All of one kind in one account are one value of
the store, which is replaced as a whole: there are few of them, whoever reads sees one moment, and
of several nodes that change something none undoes what another did.

A state is `<epoch>.<number>`. Each object that is created, updated or destroyed takes the next
number, so a place between any two of them is a state, too.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import msgpack

from gateway.obs.log import get_logger
from gateway.store.base import Durable, StoreError
from gateway.sync.errors import NotCommitted
from gateway.sync.journal import UnknownState

_KEY: Final = "all"
_VERSION: Final = 1
_KEPT_SECONDS: Final = 10 * 365 * 24 * 3600.0
# So many destroyed objects are remembered; states from before that are not known any more.
_MOST_GONE: Final = 500
# More attempts than nodes that could write at the same moment.
_ATTEMPTS: Final = 20
_STATE = re.compile(r"([A-Za-z0-9_-]{1,32})\.(\d{1,15})")

log = get_logger(__name__)

Value = dict[str, Any]
"""What is kept of an object: of what msgpack can tell."""


class Record(NamedTuple):
    """An object; the numbers it took when it was created and when it last changed."""

    created: int
    updated: int
    value: Value


class Gone(NamedTuple):
    """An object that was destroyed."""

    id: str
    created: int
    destroyed: int


class Since(NamedTuple):
    """What happened since a state, oldest first; `state` is the one that this leads to."""

    state: str
    has_more: bool
    created: list[str]
    updated: list[str]
    destroyed: list[str]


@dataclass(frozen=True, slots=True)
class Kept:
    """All objects of a kind, by id in the order of their creation, as of one moment.

    number: the latest that was taken; floor: the first state that is still known.
    """

    epoch: str
    number: int = 0
    floor: int = 0
    records: Mapping[str, Record] = field(default_factory=dict)
    gone: tuple[Gone, ...] = ()

    @property
    def state(self) -> str:
        """The state as of this moment."""
        return f"{self.epoch}.{self.number}"

    def value(self, id_: str) -> Value | None:
        """What is kept of the object of that id."""
        record = self.records.get(id_)
        return record.value if record is not None else None

    def put(self, id_: str, value: Value) -> Kept:
        """The same with an object of that value, perhaps a new one; ids are never used again."""
        number = self.number + 1
        old = self.records.get(id_)
        if old is not None and old.value == value:
            return self
        created = old.created if old is not None else number
        return replace(
            self, number=number, records={**self.records, id_: Record(created, number, value)}
        )

    def without(self, id_: str) -> Kept:
        """The same without that object."""
        old = self.records.get(id_)
        if old is None:
            return self
        number = self.number + 1
        records = {key: record for key, record in self.records.items() if key != id_}
        gone = (*self.gone, Gone(id_, old.created, number))
        floor = self.floor
        if len(gone) > _MOST_GONE:
            floor, gone = gone[-_MOST_GONE - 1].destroyed, gone[-_MOST_GONE:]
        return Kept(self.epoch, number, floor, records, gone)

    # --- what happened ---------------------------------------------------------------------------

    def touched_since(self, state: str) -> frozenset[str]:
        """The objects that came, changed or went since a state. Raises UnknownState."""
        since = self._number(state)
        return frozenset(
            {id_ for id_, record in self.records.items() if record.updated > since}
            | {each.id for each in self.gone if each.destroyed > since}
        )

    def changes(self, state: str, most: int) -> Since:
        """RFC 8620 §5.2: at most so many of the changes since a state. Raises UnknownState.

        Who comes is told of at the place where it came, and again if it changed later than that
        which is told of here.
        """
        since = self._number(state)
        events = sorted(self._events(since))
        told, rest = events[:most], events[most:]
        number = told[-1][0] if rest else self.number
        by_kind: dict[str, list[str]] = {"created": [], "updated": [], "destroyed": []}
        for _, kind, id_ in told:
            by_kind[kind].append(id_)
        return Since(f"{self.epoch}.{number}", bool(rest), **by_kind)

    def _events(self, since: int) -> list[tuple[int, str, str]]:
        events = []
        for id_, record in self.records.items():
            if record.created > since:
                events.append((record.created, "created", id_))
            elif record.updated > since:
                events.append((record.updated, "updated", id_))
        events += [
            (each.destroyed, "destroyed", each.id)
            for each in self.gone
            if each.created <= since < each.destroyed
        ]
        return events

    def _number(self, state: str) -> int:
        match = _STATE.fullmatch(state)
        if match is None or match[1] != self.epoch:
            raise UnknownState(state)
        number = int(match[2])
        if not self.floor <= number <= self.number:
            raise UnknownState(state)
        return number


class Records:
    """The objects of one kind in one account. Every method raises NotCommitted if the store fails.

    `bundle` names the kind in the store.
    """

    def __init__(self, durable: Durable, account_id: str, bundle: str) -> None:
        self._durable = durable
        self._account = account_id
        self._bundle = bundle

    async def load(self) -> Kept:
        """All there is."""
        octets, kept = await self._read()
        if octets is None:
            # Whoever was told a state must find it again.
            return await self.change(lambda kept: kept)
        return kept

    async def change(self, edit: Callable[[Kept], Kept]) -> Kept:
        """Replace what there is by what `edit` makes of it; gives that.

        `edit` is called again if another node was faster. What it raises is raised, and nothing is
        changed.
        """
        for _ in range(_ATTEMPTS):
            octets, kept = await self._read()
            new = edit(kept)
            if new is kept and octets is not None:
                return kept
            if await self._replaced(octets, new):
                return new
        raise NotCommitted(f"others change the {self._bundle} all the time")

    async def _read(self) -> tuple[bytes | None, Kept]:
        try:
            found = await self._durable.load(self._account, self._bundle, (_KEY,))
        except StoreError as error:
            raise _failed(self._bundle, error) from error
        octets = found.get(_KEY)
        return octets, _unpacked(octets) if octets is not None else _nothing()

    async def _replaced(self, octets: bytes | None, new: Kept) -> bool:
        try:
            return await self._durable.replace(
                self._account, self._bundle, _KEY, octets, {_KEY: _packed(new)}, _KEPT_SECONDS
            )
        except StoreError as error:
            raise _failed(self._bundle, error) from error


def _failed(bundle: str, error: StoreError) -> NotCommitted:
    log.warning("records_unavailable", bundle=bundle, reason=error.reason)
    return NotCommitted(f"the store of {bundle} fails")


def _nothing() -> Kept:
    return Kept(secrets.token_hex(6))


def _packed(kept: Kept) -> bytes:
    document = [
        *(_VERSION, kept.epoch, kept.number, kept.floor),
        [[id_, *record] for id_, record in kept.records.items()],
        [list(each) for each in kept.gone],
    ]
    octets: bytes = msgpack.packb(document)
    return octets


def _unpacked(octets: bytes) -> Kept:
    """What another version of the program wrote is left alone: NotCommitted."""
    document = msgpack.unpackb(octets)
    if document[0] != _VERSION:
        raise NotCommitted(f"kept by another version: {document[0]}")
    _, epoch, number, floor, records, gone = document
    return Kept(
        epoch,
        number,
        floor,
        {id_: Record(*rest) for id_, *rest in records},
        tuple(Gone(*each) for each in gone),
    )
