"""RFC 8621 §8, RFC 9661 §4: how a vacation response and the user's own script are both in force.

A server runs one script only, the active one (RFC 5804 §1.4). The response has a script of its own,
`NAME`, which holds its values as long as they are not the defaults, also while it is not enabled.

Where the server has "include" (RFC 6609), that script is made active to enable the response: it
answers, and then includes the user's script, whose name it keeps. Disabling makes the user's script
active again.

Elsewhere the response is put into the user's active script as a marked block, and taken out again,
which leaves the rest octet for octet as it was. Only if the user has no active script, `NAME` is
made active there, too.

A script may answer mail but once (RFC 5230 §4.7), and one that tries to twice fails, with all that
it was to file: where the user's own script has a vacation action, that one stays and ours can not
be enabled.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from gateway.sieve import block, language
from gateway.sieve.vacation import Vacation, required

NAME: Final = "jmap-vacation"
"""The script of the response, among those of the user."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A script as it is on the server."""

    name: str
    active: bool
    content: bytes


@dataclass(frozen=True, slots=True)
class State:
    """What the scripts of a user come to.

    vacation: is_enabled says whether it is in force. script: the user's own script in force, alone
    or together with the response. altered: a person has changed the text of the response, which is
    then not what `vacation` tells; the next steps will undo that.
    """

    vacation: Vacation
    script: str | None
    altered: bool = False


@dataclass(frozen=True, slots=True)
class Put:
    """Store a script, in place of one of that name (PUTSCRIPT)."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Activate:
    """Make a script the active one, none if the name is "" (SETACTIVE)."""

    name: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a script, which is not the active one then (DELETESCRIPT)."""

    name: str


Step: TypeAlias = Put | Activate | Delete


class NotInstallable(Exception):
    """The response can not be had on this server with these scripts; nothing is done."""


class Unsupported(NotInstallable):
    """The server's Sieve has not these extensions."""

    def __init__(self, extensions: tuple[str, ...]) -> None:
        super().__init__(f"the server's Sieve lacks {', '.join(extensions)}")
        self.extensions = extensions


class NameTaken(NotInstallable):
    """The user has a script of our name that is not ours, or can no longer be read as such."""

    def __init__(self) -> None:
        super().__init__(f"the script {NAME!r} was not written by the gateway")


class OwnVacation(NotInstallable):
    """The user's script in force, or one that it includes (`script`), answers mail by itself."""

    def __init__(self, script: str) -> None:
        super().__init__(f"the script {script!r} has a vacation action itself")
        self.script = script


class UnreadableScript(NotInstallable):
    """It can not be told what the user's `script` does, nor where in it something could be put."""

    def __init__(self, script: str) -> None:
        super().__init__(f"the script {script!r} can not be read")
        self.script = script


def read(scripts: Iterable[Stored]) -> State:
    """What is in force, by all scripts of a user."""
    stored = {script.name: script for script in scripts}
    own = stored.get(NAME)
    active = next((script for script in stored.values() if script.active), None)
    ours = block.read(own.content) if own is not None else None
    found = block.read(active.content) if active is not None else None
    if active is not None and found is not None:
        script = active.name if active.name != NAME else found.script
        enabled = replace(found.vacation, is_enabled=True)
        return State(enabled, script if script in stored else None, found.altered)
    script = active.name if active is not None else None
    if ours is None:
        return State(Vacation(), script)
    return State(ours.vacation, script, ours.altered)


def steps(
    extensions: Collection[str], scripts: Iterable[Stored], vacation: Vacation, script: str | None
) -> list[Step]:
    """What is to be done, in this order, so that `vacation` and the user's `script` are in force.

    `extensions` are those of the server's Sieve; `scripts` all that the user has, of which `script`
    is one, or None if none is to be in force: `read` gives the present one. Nothing is to be done
    if it is so already. At no point between the steps is the user's script not in force that was,
    or answers a script twice. Raises NotInstallable, and what `vacation.action` raises; ValueError
    if there is no such script.
    """
    stored = {each.name: each for each in scripts}
    own = stored.pop(NAME, None)
    if own is not None and block.read(own.content) is None:
        if vacation != Vacation():
            raise NameTaken
        stored[NAME] = own
        own = None
    if script is not None and script not in stored:
        raise ValueError(f"no script of the user is called {script!r}")
    _check_extensions(extensions, vacation)
    contents = {name: block.remove(each.content) for name, each in stored.items()}
    if vacation.is_enabled and script is not None:
        _check_no_vacation(contents, script)
    wanted_own = _own(extensions, vacation, script)
    active = script or ""
    if vacation.is_enabled and (script is None or "include" in extensions):
        active = NAME
    elif vacation.is_enabled and script is not None:
        contents[script] = block.insert(contents[script], vacation)
    changed: list[Step] = [
        Put(name, content) for name, content in contents.items() if content != stored[name].content
    ]
    activation = [] if _is_active(active, own, stored) else [Activate(active)]
    return _ordered(own, wanted_own, changed, activation)


def _own(extensions: Collection[str], vacation: Vacation, script: str | None) -> bytes | None:
    """The script of the response; None if there is to be none."""
    if vacation == Vacation():
        return None
    return block.write(vacation, script if "include" in extensions else None)


def _ordered(
    own: Stored | None, wanted: bytes | None, changed: list[Step], activation: list[Activate]
) -> list[Step]:
    """The steps in their order.

    While our script is inactive, it is the first to be stored: if there is no room for it, nothing
    has happened yet. If it is active now and not to be, it is left alone until it is not.
    """
    change: list[Step] = []
    if wanted is None and own is not None:
        change = [Delete(NAME)]
    elif wanted is not None and (own is None or own.content != wanted):
        change = [Put(NAME, wanted)]
    if wanted is not None and (own is None or not own.active):
        return [*change, *changed, *activation]
    if wanted is not None and not activation:
        return [*changed, *change]
    return [*changed, *activation, *change]


def _is_active(name: str, own: Stored | None, stored: Mapping[str, Stored]) -> bool:
    active = [each.name for each in stored.values() if each.active]
    if own is not None and own.active:
        active.append(NAME)
    return active == ([name] if name else [])


def _check_extensions(extensions: Collection[str], vacation: Vacation) -> None:
    if vacation == Vacation():
        return
    missing = tuple(name for name in required(vacation) if name not in extensions)
    if missing:
        raise Unsupported(missing)


def _check_no_vacation(contents: Mapping[str, bytes], script: str) -> None:
    """Raises OwnVacation if a script, or what it includes, answers mail; UnreadableScript."""
    waiting, seen = [script], {script}
    while waiting:
        name = waiting.pop()
        if name == NAME:
            raise OwnVacation(name)
        try:
            outline = language.outline(contents[name])
        except language.Unreadable:
            raise UnreadableScript(name) from None
        if outline.has_vacation:
            raise OwnVacation(name)
        found = {each for each in outline.includes if each in contents or each == NAME} - seen
        seen |= found
        waiting += found
