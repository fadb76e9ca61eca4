"""RFC 9661 §2, §4: the scripts of a user as clients see them, and what changes of them come to.

Of the user's own scripts one at most is in force, with the vacation response or without it. That is
the active one for clients, whichever of the two the server runs (see gateway.sieve.installation).
The script of the response is shown as active if it is alone in force. What the gateway has added to
a script of the user is not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from typing import TypeAlias

from gateway.sieve import block, installation
from gateway.sieve.installation import NAME, Activate, Delete, Put, State, Stored
from gateway.sync import ids


@dataclass(frozen=True, slots=True)
class Rename:
    """Give a script another name (RENAMESCRIPT)."""

    name: str
    new: str


Change: TypeAlias = installation.Step | Rename


@dataclass(frozen=True, slots=True)
class Script:
    """A script as it is shown; is_vacation: it is that of the vacation response."""

    id: str
    name: str
    is_active: bool
    content: bytes
    is_vacation: bool
    blob_id: str


@dataclass(frozen=True)
class Scripts:
    """All scripts of a user as they were at one moment; `ids` are by name."""

    stored: tuple[Stored, ...]
    ids: Mapping[str, str]

    @cached_property
    def in_force(self) -> State:
        """Which script of the user, and which vacation response."""
        return installation.read(self.stored)

    @cached_property
    def shown(self) -> dict[str, Script]:
        """What there is for clients, by id, in the order of names."""
        active = self.in_force.script
        if active is None and self.in_force.vacation.is_enabled:
            active = NAME
        shown = (self._shown(each, active) for each in sorted(self.stored, key=_by_name))
        return {script.id: script for script in shown}

    def _shown(self, stored: Stored, active: str | None) -> Script:
        is_vacation = stored.name == NAME and block.read(stored.content) is not None
        content = stored.content if is_vacation else block.remove(stored.content)
        id_, is_active = self.ids[stored.name], stored.name == active
        blob_id = ids.script_blob_id(content)
        return Script(id_, stored.name, is_active, content, is_vacation, blob_id)

    @cached_property
    def state(self) -> str:
        """The same for the same scripts."""
        digest = blake2b(digest_size=12, person=b"scripts")
        for script in self.shown.values():
            members = (script.id, script.name, script.blob_id, str(script.is_active))
            digest.update("\n".join(members).encode())
        return digest.hexdigest()

    @cached_property
    def vacation_state(self) -> str:
        """The same for the same vacation response, whatever else there is."""
        vacation = repr(self.in_force.vacation).encode()
        return blake2b(vacation, digest_size=12, person=b"vacation").hexdigest()

    def with_blob(self, blob_id: str) -> Script | None:
        """A script that has these octets."""
        return next((each for each in self.shown.values() if each.blob_id == blob_id), None)


def seen(stored: tuple[Stored, ...], ids: Mapping[str, str]) -> Scripts:
    """The scripts, with what is shown of them worked out."""
    scripts = Scripts(stored, ids)
    _ = scripts.shown
    return scripts


def _by_name(stored: Stored) -> str:
    return stored.name


def after(stored: Iterable[Stored], change: Change) -> tuple[Stored, ...]:
    """What is on the server after a change that it made."""
    match change:
        case Put(name, content):
            others = tuple(each for each in stored if each.name != name)
            active = any(each.active for each in stored if each.name == name)
            return (*others, Stored(name, active, content))
        case Activate(name):
            return tuple(replace(each, active=each.name == name) for each in stored)
        case Delete(name):
            return tuple(each for each in stored if each.name != name)
        case Rename(name, new):
            return tuple(replace(each, name=new) if each.name == name else each for each in stored)


def is_made(stored: Sequence[Stored], change: Change) -> bool:
    """Whether all is as after a change, of which it is not known whether the server made it."""
    names = {each.name for each in stored}
    match change:
        case Put(name, content):
            return any(each.name == name and each.content == content for each in stored)
        case Activate(name):
            return [each.name for each in stored if each.active] == ([name] if name else [])
        case Delete(name):
            return name not in names
        case Rename(name, new):
            return new in names and name not in names


def renames(wanted: Mapping[str, str], names: Iterable[str]) -> list[Rename]:
    """The order in which scripts can be given their `wanted` new names, by the present ones.

    No name is given that another script has at the time: where scripts change names in a circle,
    one has another name for a moment. The wanted names are different from each other and from all
    `names` that stay.
    """
    waiting = dict(wanted)
    taken = set(names)
    steps: list[Rename] = []
    while waiting:
        ready = next((name for name, new in waiting.items() if new not in taken), None)
        if ready is not None:
            step = Rename(ready, waiting.pop(ready))
        else:
            name = next(iter(waiting))
            step = Rename(name, free_name("renaming-", taken))
            waiting = {step.new if n == name else n: w for n, w in waiting.items()}
        steps.append(step)
        taken = taken - {step.name} | {step.new}
    return steps


def free_name(prefix: str, taken: Iterable[str]) -> str:
    """A name that no script has: the prefix and the first number that is free."""
    names = set(taken)
    number = 1
    while f"{prefix}{number}" in names:
        number += 1
    return f"{prefix}{number}"
