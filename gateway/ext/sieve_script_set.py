"""RFC 9661 §2.4: SieveScript/set.

The script of the vacation response can be made active and inactive here, and nothing else of it be
changed (RFC 9661 §4). As any script it is alone then: VacationResponse/set is what has it in force
together with a script of the user. Whatever else is made active or inactive, or changed, a vacation
response that is enabled stays so.
"""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from gateway.ext.sieve import MAX_NAME_OCTETS, changing, members
from gateway.ext.sieve_content import content_of
from gateway.ext.sieve_errors import FAILURES, set_error
from gateway.jmap.arguments import Argument
from gateway.jmap.call import Call
from gateway.jmap.errors import SetError
from gateway.jmap.kinds import BOOLEAN, STRING, nullable
from gateway.jmap.limits import Limits
from gateway.jmap.settable import Change, Settled
from gateway.mail.backend import backend, backend_errors
from gateway.managesieve.errors import ScriptExists
from gateway.managesieve.wire.encode import is_script_name
from gateway.sieve.installation import NAME, State
from gateway.sync.account import Account
from gateway.sync.scripts import Script, Scripts, free_name
from gateway.sync.sieve_writing import SieveWriting

ARGUMENTS: Final = (
    Argument("onSuccessActivateScript", nullable(STRING)),
    Argument("onSuccessDeactivateScript", nullable(BOOLEAN)),
)
_PREFIX: Final = "script-"


@asynccontextmanager
async def open_set(
    account: Account, _arguments: dict[str, Any], _limits: Limits
) -> AsyncIterator[ScriptSetting]:
    """Begin a SieveScript/set. Raises MethodError serverUnavailable."""
    with backend_errors():
        async with changing(account) as held:
            yield ScriptSetting(account, held)


class ScriptSetting:
    """A SieveScript/set under way; see gateway.jmap.settable.Setting."""

    def __init__(self, account: Account, held: SieveWriting) -> None:
        self.held = held
        self._account = account

    @property
    def scripts(self) -> Scripts:
        """The scripts as they are by now."""
        return self.held.scripts

    @property
    def state(self) -> str:
        """The state of the SieveScript type."""
        return self.scripts.state

    async def current(
        self, ids: Sequence[str], properties: frozenset[str]
    ) -> dict[str, dict[str, Any]]:
        """What SieveScript/get shows of those that there are."""
        found = {id_: members(self.scripts.shown[id_]) for id_ in ids if id_ in self.scripts.shown}
        return {
            id_: {n: v for n, v in each.items() if n in properties} for id_, each in found.items()
        }

    # --- RFC 8620 §5.3: create -------------------------------------------------------------------

    @backend
    async def create(
        self, objects: dict[str, dict[str, Any]]
    ) -> dict[str, dict[str, Any] | SetError]:
        """Store scripts, which are not active."""
        results: dict[str, dict[str, Any] | SetError] = {}
        for creation_id, object_ in objects.items():
            try:
                results[creation_id] = await self._create(object_)
            except SetError as error:
                results[creation_id] = error
        return results

    async def _create(self, object_: Mapping[str, Any]) -> dict[str, Any]:
        name = _name(object_["name"], self.scripts)
        if name in self.scripts.ids:
            raise _exists(self.scripts.ids[name])
        content = await content_of(self._account, object_["blobId"], self.scripts)
        name = await self._put(name, content)
        record = members(self.scripts.shown[self.scripts.ids[name]])
        return {n: v for n, v in record.items() if n not in object_ or object_[n] != v}

    async def _put(self, name: str, content: bytes) -> str:
        """Raises SetError."""
        try:
            return await self.held.put(name, content)
        except FAILURES as error:
            raise set_error(error) from error

    # --- RFC 8620 §5.3: update -------------------------------------------------------------------

    @backend
    async def update(
        self, changes: dict[str, Change]
    ) -> dict[str, dict[str, Any] | SetError | None]:
        """Store other octets under the same names, then rename."""
        errors: dict[str, SetError] = {}
        names = self._new_names(changes, errors)
        before = self.scripts.shown
        for id_, change in changes.items():
            if id_ not in errors and "blobId" in change.after:
                try:
                    blob_id = change.after["blobId"]
                    content = await content_of(self._account, blob_id, self.scripts)
                    await self._put(before[id_].name, content)
                except SetError as error:
                    errors[id_] = error
        await self._rename({i: n for i, n in names.items() if i not in errors}, errors)
        for id_ in errors.keys() & changes.keys():
            await self._put_back(before[id_])
        return {id_: errors.get(id_) or self._otherwise(id_, changes[id_]) for id_ in changes}

    def _new_names(
        self, changes: Mapping[str, Change], errors: dict[str, SetError]
    ) -> dict[str, str]:
        """The new names by id; errors get what can not be tried."""
        names: dict[str, str] = {}
        for id_, change in changes.items():
            try:
                if self.scripts.shown[id_].is_vacation:
                    raise _of_vacation()
                if "name" in change.after:
                    names[id_] = _name(change.after["name"], self.scripts)
            except SetError as error:
                errors[id_] = error
        return names

    async def _rename(self, names: dict[str, str], errors: dict[str, SetError]) -> None:
        """Rename those that can be, by id: all have a name of their own in the end."""
        present = {id_: script.name for id_, script in self.scripts.shown.items()}
        while clash := _clash(present | names, names):
            loser, owner = clash
            del names[loser]
            errors[loser] = _exists(owner)
        if not names:
            return
        failures = await self.held.rename({present[id_]: name for id_, name in names.items()})
        for id_, name in names.items():
            failure = failures.get(present[id_])
            if isinstance(failure, ScriptExists):
                errors[id_] = _exists(self.scripts.ids.get(name))
            elif failure is not None:
                errors[id_] = set_error(failure)

    async def _put_back(self, before: Script) -> None:
        """RFC 8620 §5.3: an update is done as a whole, or not at all."""
        now = self.scripts.shown.get(before.id)
        if now is not None and now.blob_id != before.blob_id:
            try:
                await self.held.put(now.name, before.content)
            except FAILURES:  # what there is now, the client can read
                return

    def _otherwise(self, id_: str, change: Change) -> dict[str, Any] | None:
        """What is not as it was asked for: the octets of a script are a blob of their own."""
        record = members(self.scripts.shown[id_])
        return {n: record[n] for n, value in change.after.items() if record[n] != value} or None

    # --- RFC 8620 §5.3: destroy ------------------------------------------------------------------

    @backend
    async def destroy(self, ids: Sequence[str]) -> dict[str, SetError | None]:
        """Delete scripts that are not active."""
        return {id_: await self._destroy(self.scripts.shown.get(id_)) for id_ in ids}

    async def _destroy(self, script: Script | None) -> SetError | None:
        if script is None:
            return SetError("notFound")
        if script.is_vacation:
            return _of_vacation()
        if script.is_active:
            return SetError("sieveIsActive")
        try:
            await self.held.destroy(script.name)
        except FAILURES as error:
            return set_error(error)
        return None


# --- RFC 9661 §2.4: onSuccessActivateScript, onSuccessDeactivateScript ----------------------------


async def activate(
    setting: ScriptSetting, arguments: dict[str, Any], settled: Settled, call: Call
) -> None:
    """Make a script active, or the active one inactive, if all went well.

    A script that can not be made active is told of among those that were not updated.
    """
    asked = arguments["onSuccessActivateScript"]
    id_ = call.resolve(asked) if asked is not None else None
    script = setting.scripts.shown.get(id_ or "")
    deactivates = bool(arguments["onSuccessDeactivateScript"])
    if not settled.is_success or (script is None and not deactivates):
        return
    before = setting.scripts.shown
    wanted = _wanted(setting.scripts.in_force, script, deactivates=deactivates)
    try:
        await setting.held.install(lambda _: wanted)
    except FAILURES as error:
        active = next((each.id for each in before.values() if each.is_active), None)
        if (culprit := script.id if script is not None else active) is not None:
            settled.updated[culprit] = set_error(error)
        return
    for now in setting.scripts.shown.values():
        was_active = now.id in before and before[now.id].is_active
        if now.is_active != was_active or (script is not None and now.id == script.id):
            _tell(settled, now)


def _wanted(now: State, script: Script | None, *, deactivates: bool) -> State:
    """What is to be in force. It is the active script that is deactivated, before all else."""
    if deactivates and now.script is None:
        now = State(replace(now.vacation, is_enabled=False), None)
    elif deactivates:
        now = State(now.vacation, None)
    if script is None:
        return now
    if script.is_vacation:
        return State(replace(now.vacation, is_enabled=True), None)
    return State(now.vacation, script.name)


def _tell(settled: Settled, script: Script) -> None:
    for created in settled.created.values():
        if isinstance(created, dict) and created["id"] == script.id:
            created["isActive"] = script.is_active
            return
    told = settled.updated.get(script.id)
    others = told if isinstance(told, dict) else {}
    settled.updated[script.id] = {**others, "isActive": script.is_active}


# --- names ----------------------------------------------------------------------------------------


def _name(asked: str | None, scripts: Scripts) -> str:
    """RFC 9661 §2.1: as Net-Unicode; one that is free where none is asked for.

    Raises SetError invalidProperties.
    """
    if asked is None:
        return free_name(_PREFIX, scripts.ids)
    name = unicodedata.normalize("NFC", asked)
    if not is_script_name(name):
        raise _invalid("A name has at least one character, and no control characters.")
    if len(name.encode()) > MAX_NAME_OCTETS:
        raise _invalid(f"A name has at most {MAX_NAME_OCTETS} octets.")
    if name == NAME:
        raise _invalid("This name is for the script of the vacation response.")
    return name


def _invalid(text: str) -> SetError:
    return SetError("invalidProperties", text, properties=("name",))


def _of_vacation() -> SetError:
    return SetError(
        "forbidden", "It is the script of the vacation response: VacationResponse/set changes it."
    )


def _exists(id_: str | None) -> SetError:
    further = {"existingId": id_} if id_ is not None else {}
    return SetError("alreadyExists", "There is a script of this name.", **further)


def _clash(names: Mapping[str, str], asked: Mapping[str, str]) -> tuple[str, str] | None:
    """One of those who ask for a name, by id, that another one has in the end, and that one."""
    owners: dict[str, str] = {}
    for id_, name in names.items():
        other = owners.setdefault(name, id_)
        if other != id_:
            return (id_, other) if id_ in asked else (other, id_)
    return None
