"""RFC 8620 §5.3, §5.4: a small data type in memory that can be set and copied."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from gateway.jmap.call import AccountRef, Call
from gateway.jmap.errors import SetError, state_mismatch
from gateway.jmap.kinds import ID, STRING, STRING_LIST, UNSIGNED_INT, nullable, set_of
from gateway.jmap.limits import Limits
from gateway.jmap.settable import Change, CopyRequest, CopyResult
from gateway.jmap.spec import (
    ABSENT,
    Argument,
    Copy,
    DataType,
    Get,
    GetRequest,
    GetResult,
    Property,
    Set,
    Settable,
)

FOLDER_URI = "https://gateway.example/folder"
ALL = frozenset({"all"})


@dataclass
class Folders:
    """An account: its objects by id, and what is to fail.

    `sets` are the type's own arguments of each /set; `asked` is what was asked of the type in it.
    A name in `refused` fails with the error; `failure` is raised by the step of that name.
    """

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    version: int = 0
    made: int = 0
    sets: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    refused: dict[str, SetError] = field(default_factory=dict)
    failure: dict[str, Exception] = field(default_factory=dict)
    further: dict[str, Any] | None = None

    @classmethod
    def named(cls, *names: str) -> Folders:
        account = cls()
        for name in names:
            empty: dict[str, Any] = {
                "parentId": None,
                "memberOf": {},
                "tags": {},
                "order": 0,
                "words": [],
            }
            account.add({"name": name} | empty)
        return account

    @property
    def state(self) -> str:
        return f"s{self.version}"

    def add(self, record: dict[str, Any]) -> str:
        self.made += 1
        id = f"f{self.made}"
        self.records[id] = {"id": id, "icon": "plain", "size": 7} | deepcopy(record)
        return id

    def ask(self, step: str, what: Any) -> None:
        self.asked.append((step, what))
        if step in self.failure:
            raise self.failure[step]


@dataclass
class Setting:
    account: Folders

    @property
    def state(self) -> str:
        return self.account.state

    async def current(
        self, ids: Sequence[str], properties: frozenset[str]
    ) -> dict[str, dict[str, Any]]:
        self.account.ask("current", (list(ids), properties))
        records = self.account.records
        return {
            id: {name: records[id].get(name) for name in properties} for id in ids if id in records
        }

    async def create(
        self, objects: dict[str, dict[str, Any]]
    ) -> dict[str, dict[str, Any] | SetError]:
        self.account.ask("create", deepcopy(objects))
        return {key: self._create(record) for key, record in objects.items()}

    def _create(self, record: dict[str, Any]) -> dict[str, Any] | SetError:
        if error := self.account.refused.get(record["name"]):
            return error
        self.account.version += 1
        id = self.account.add(record)
        return {"id": id, "size": 7, **(self.account.further or {})}

    async def update(
        self, changes: dict[str, Change]
    ) -> dict[str, dict[str, Any] | SetError | None]:
        self.account.ask("update", changes)
        return {id: self._update(id, change) for id, change in changes.items()}

    def _update(self, id: str, change: Change) -> dict[str, Any] | SetError | None:
        record = self.account.records[id]
        if error := self.account.refused.get(record["name"]):
            return error
        self.account.version += 1
        record.update(change.after)
        return self.account.further

    async def destroy(self, ids: Sequence[str]) -> dict[str, SetError | None]:
        self.account.ask("destroy", list(ids))
        return {id: self._destroy(id) for id in ids}

    def _destroy(self, id: str) -> SetError | None:
        if id not in self.account.records:
            return SetError("notFound")
        if error := self.account.refused.get(self.account.records[id]["name"]):
            return error
        self.account.version += 1
        del self.account.records[id]
        return None


@asynccontextmanager
async def opened(
    account: Folders, arguments: dict[str, Any], _limits: Limits
) -> AsyncIterator[Setting]:
    account.sets.append(arguments)
    account.ask("open", None)
    yield Setting(account)


async def load(account: Folders, request: GetRequest) -> GetResult:
    ids = account.records if request.ids is None else request.ids
    records = {id: account.records[id] for id in ids if id in account.records}
    shown = {id: {n: r.get(n) for n in request.properties} for id, r in records.items()}
    return GetResult(account.state, shown)


async def copied(request: CopyRequest) -> CopyResult:
    source, target = request.from_account, request.account
    if request.if_from_in_state not in (None, source.state):
        raise state_mismatch()
    if request.if_in_state not in (None, target.state):
        raise state_mismatch()
    target.ask("copy", request.objects)
    old_state = target.state
    created: dict[str, dict[str, Any] | SetError] = {}
    for key, wanted in request.objects.items():
        original = source.records.get(wanted["id"])
        if original is None:
            created[key] = SetError("notFound")
        elif error := target.refused.get(original["name"]):
            created[key] = error
        else:
            target.version += 1
            id = target.add({n: v for n, v in (original | wanted).items() if n != "id"})
            created[key] = {"id": id}
    return CopyResult(old_state, target.state, created)


def made_up(name: str) -> Property | None:
    return Property(name, ALL) if name.startswith("x:") else None


FOLDER = DataType(
    name="Folder",
    capability=FOLDER_URI,
    rfc="RFC 8620 §5.3",
    properties=(
        Property("name", ALL, settable=Settable(STRING)),
        Property("parentId", ALL, settable=Settable(nullable(ID), None, refers=True)),
        Property("memberOf", ALL, settable=Settable(set_of(ID), {}, refers=True)),
        Property("tags", ALL, settable=Settable(set_of(STRING), {})),
        Property("order", ALL, settable=Settable(UNSIGNED_INT, 0)),
        Property("words", ALL, settable=Settable(STRING_LIST, [])),
        Property("icon", ALL, settable=Settable(STRING, ABSENT, immutable=True)),
        Property("size", ALL),
    ),
    get=Get(load, sources=ALL, dynamic=made_up),
    set=Set(
        opened,
        arguments=(Argument("mood", nullable(STRING)),),
        extra=lambda name: name.startswith("x:"),
    ),
    copy=Copy(copied, frozenset({"name", "memberOf"})),
)


def call(*, read_only: bool = False, limits: Limits | None = None, **accounts: Folders) -> Call:
    """A call of a user with these accounts, in a request that knows no creation id."""
    references = {
        id: AccountRef(account, frozenset({FOLDER_URI}), read_only)
        for id, account in accounts.items()
    }
    return Call(references, limits or Limits(), {})
