"""RFC 9661 §2.4, RFC 8621 §8: what a change of scripts that was not made is called in JMAP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from gateway.jmap.errors import SetError
from gateway.managesieve.errors import (
    CommandRefused,
    OverQuota,
    ScriptActive,
    ScriptInvalid,
    ScriptNotFound,
    ScriptTooLarge,
)
from gateway.sieve.installation import (
    NAME,
    NameTaken,
    NotInstallable,
    OwnVacation,
    UnreadableScript,
    Unsupported,
)
from gateway.sync.errors import NotCommitted, ScriptsUnavailable
from gateway.sync.sieve_writing import NameRefused

Failure: TypeAlias = (
    CommandRefused | NameRefused | NotInstallable | ScriptsUnavailable | NotCommitted
)
FAILURES: Final = (CommandRefused, NameRefused, NotInstallable, ScriptsUnavailable, NotCommitted)

_MAX_TEXT: Final = 2000


def _own_vacation(error: OwnVacation) -> SetError:
    return SetError(
        "forbidden",
        f"The script {_shown(error.script)} has a vacation action itself, and a message can be "
        "answered only once: take it out, or have another script active.",
    )


def _unreadable(error: UnreadableScript) -> SetError:
    return SetError(
        "forbidden",
        f"The script {_shown(error.script)} is not understood, so that it can not be in force "
        "together with a vacation response.",
    )


def _shown(name: str) -> str:
    return f'"{name[:128]}"'


# The first kind that fits.
_ERRORS: Final[tuple[tuple[type[Exception], Callable[..., SetError]], ...]] = (
    (ScriptInvalid, lambda error: SetError("invalidSieve", said(error.text))),
    (ScriptTooLarge, lambda _: SetError("tooLarge", "The server does not take such a script.")),
    (OverQuota, lambda _: SetError("overQuota", "The server has no room for the script.")),
    (ScriptActive, lambda _: SetError("sieveIsActive")),
    (ScriptNotFound, lambda _: SetError("notFound")),
    (
        NameRefused,
        lambda error: SetError("invalidProperties", said(error.text), properties=("name",)),
    ),
    (OwnVacation, _own_vacation),
    (UnreadableScript, _unreadable),
    (
        NameTaken,
        lambda _: SetError(
            "forbidden", f"There is a script {_shown(NAME)} that is not of a vacation response."
        ),
    ),
    (
        Unsupported,
        lambda error: SetError(
            "forbidden", f"The server's Sieve has no {', '.join(error.extensions)}."
        ),
    ),
    (ScriptsUnavailable, lambda _: SetError("serverUnavailable", "Try again shortly.")),
    (NotCommitted, lambda _: SetError("serverUnavailable", "Try again shortly.")),
)


def set_error(error: Failure) -> SetError:
    """The SetError of a failure; of what the server says, only what is about the script."""
    for kind, made in _ERRORS:
        if isinstance(error, kind):
            return made(error)
    return SetError("forbidden", "The server of Sieve scripts refuses this.")


def said(text: str) -> str | None:
    """What a server says of a script, for the person who wrote it."""
    return text.replace("\r\n", "\n").strip()[:_MAX_TEXT] or None
