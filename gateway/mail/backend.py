"""RFC 8620 §3.6.2: what a failure of the IMAP server is called in JMAP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from gateway.imap.errors import AuthenticationFailed, ImapError, ServerBusy
from gateway.jmap.errors import MethodError
from gateway.sync.errors import (
    NotCommitted,
    ScriptsRefused,
    ScriptsTooLarge,
    ScriptsUnavailable,
    Withdrawn,
)

P = ParamSpec("P")
T = TypeVar("T")


_STORE = "The store does not answer; try again shortly."
_NO_SCRIPTS = "The server of Sieve scripts can not be reached at the moment."
_TOO_LARGE = "The Sieve scripts are too many, or too large."
_NOT_LET_IN = "The server of Sieve scripts does not accept the credentials."


def unavailable(error: ImapError) -> MethodError:
    """The method error for an IMAP failure; its text names no host and no user."""
    if isinstance(error, Withdrawn):
        return MethodError("accountNotFound", "It is not shared any more.")
    if isinstance(error, ScriptsRefused):
        return MethodError("forbidden", _NOT_LET_IN)
    if isinstance(error, ScriptsTooLarge):
        return MethodError("serverFail", _TOO_LARGE)
    if isinstance(error, ScriptsUnavailable):
        return MethodError("serverUnavailable", _NO_SCRIPTS)
    if isinstance(error, AuthenticationFailed):
        return MethodError("forbidden", "The mail server no longer accepts the credentials.")
    if isinstance(error, ServerBusy):
        return MethodError("serverUnavailable", "The mail server is busy; try again shortly.")
    return MethodError("serverUnavailable", "The mail server can not be reached at the moment.")


@contextmanager
def backend_errors() -> Iterator[None]:
    """Turn a failure of the IMAP server or the store into the method error of RFC 8620 §3.6.2."""
    try:
        yield
    except ImapError as error:
        raise unavailable(error) from error
    except NotCommitted as error:
        raise MethodError("serverUnavailable", _STORE) from error


def backend(function: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """A function of which the failures are turned so."""

    @wraps(function)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        with backend_errors():
            return await function(*args, **kwargs)

    return guarded
