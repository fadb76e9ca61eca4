"""RFC 9661 §1.2, RFC 8621 §1.3.3: what the Session object says of Sieve and vacation responses.

It is what the ManageSieve server tells, of which RFC 5804 §1.7 has no limits of numbers and sizes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from gateway.managesieve.wire.capability import Capabilities
from gateway.sync.account import Account
from gateway.sync.errors import ScriptsUnavailable
from gateway.sync.scripts import Script
from gateway.sync.sieve import MAX_SCRIPT_OCTETS, Sieve
from gateway.sync.sieve_writing import SieveWriting, writing

SIEVE: Final = "urn:ietf:params:jmap:sieve"
VACATION: Final = "urn:ietf:params:jmap:vacationresponse"

MAX_NAME_OCTETS: Final = 512
"""Of the name of a script: what RFC 5804 §1.6 wants of servers, of which some take less."""


def session_capabilities(account: Account) -> dict[str, dict[str, Any]]:
    """What it says of the server to a user, given the user's own account."""
    told = _told(account)
    if told is None:
        return {}
    found: dict[str, dict[str, Any]] = {SIEVE: {"implementation": told.implementation}}
    return found | ({VACATION: {}} if "vacation" in told.extensions else {})


def account_capabilities(account: Account) -> dict[str, dict[str, Any]]:
    """What it says of the user's own account."""
    told = _told(account)
    if told is None:
        return {}
    members: dict[str, Any] = {
        "maxSizeScriptName": MAX_NAME_OCTETS,
        "maxSizeScript": MAX_SCRIPT_OCTETS,
        "maxNumberScripts": None,
        "maxNumberRedirects": told.max_redirects,
        "sieveExtensions": list(told.extensions),
        "notificationMethods": _listed(told.notify),
        "externalLists": _listed(told.external_lists),
    }
    return {SIEVE: members} | ({VACATION: {}} if "vacation" in told.extensions else {})


def _told(account: Account) -> Capabilities | None:
    return account.sieve.capabilities if account.sieve is not None else None


def _listed(words: tuple[str, ...] | None) -> list[str] | None:
    return list(words) if words is not None else None


def members(script: Script) -> dict[str, Any]:
    """RFC 9661 §2.1: all properties of a SieveScript by name."""
    return {
        "id": script.id,
        "name": script.name,
        "blobId": script.blob_id,
        "isActive": script.is_active,
    }


def sieve_of(account: Account) -> Sieve:
    """The scripts of an account that has the capability. Raises ScriptsUnavailable."""
    if account.sieve is None:
        raise ScriptsUnavailable("there is no ManageSieve server")
    return account.sieve


@asynccontextmanager
async def changing(account: Account) -> AsyncIterator[SieveWriting]:
    """Hold the scripts of an account for changing them, and tell listeners (RFC 8620 §7.1).

    Raises ScriptsUnavailable, NotCommitted.
    """
    async with writing(sieve_of(account)) as held:
        before = held.scripts
        try:
            yield held
        finally:
            if held.scripts.state != before.state:
                account.announce("SieveScript", held.scripts.state)
            if held.scripts.vacation_state != before.vacation_state:
                account.announce("VacationResponse", held.scripts.vacation_state)
