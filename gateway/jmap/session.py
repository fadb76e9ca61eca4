"""RFC 8620 §2: the Session object."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.jmap.call import CORE, WEBSOCKET
from gateway.jmap.limits import Limits
from gateway.jmap.spec import COLLATIONS


@dataclass(frozen=True, slots=True)
class SessionAccount:
    """One account of the user. `capabilities` are its accountCapabilities, by URI."""

    name: str
    is_personal: bool
    is_read_only: bool
    capabilities: dict[str, dict[str, Any]]


def build(
    username: str,
    accounts: Mapping[str, SessionAccount],
    capabilities: dict[str, dict[str, Any]],
    base_url: str,
    limits: Limits,
) -> dict[str, Any]:
    """The Session object of a user.

    `accounts` is by account id. `capabilities` are those of the server by URI; core and that of
    RFC 8887 §3 are added here. `base_url` is absolute: clients use the URLs as they are. `state`
    is a digest of everything else, so it is the same on every node and differs whenever anything
    does.
    """
    base = base_url.rstrip("/")
    session: dict[str, Any] = {
        "capabilities": {
            CORE: limits.core() | {"collationAlgorithms": list(COLLATIONS)},
            WEBSOCKET: {"url": f"ws{base.removeprefix('http')}/jmap/ws", "supportsPush": True},
            **capabilities,
        },
        "accounts": {id: _account(account) for id, account in accounts.items()},
        "primaryAccounts": _primary_accounts(accounts),
        "username": username,
        "apiUrl": f"{base}/jmap/api",
        "downloadUrl": f"{base}/jmap/download/{{accountId}}/{{blobId}}/{{name}}?type={{type}}",
        "uploadUrl": f"{base}/jmap/upload/{{accountId}}",
        "eventSourceUrl": f"{base}/jmap/eventsource"
        "?types={types}&closeafter={closeafter}&ping={ping}",
    }
    digest = hashlib.sha256(orjson.dumps(session, option=orjson.OPT_SORT_KEYS))
    session["state"] = digest.hexdigest()[:16]
    return session


def _account(account: SessionAccount) -> dict[str, Any]:
    return {
        "name": account.name,
        "isPersonal": account.is_personal,
        "isReadOnly": account.is_read_only,
        "accountCapabilities": account.capabilities,
    }


def _primary_accounts(accounts: Mapping[str, SessionAccount]) -> dict[str, str]:
    """For each capability the first of the user's own accounts that has it; core has none."""
    primary: dict[str, str] = {}
    for id, account in accounts.items():
        if account.is_personal:
            for uri in account.capabilities:
                primary.setdefault(uri, id)
    primary.pop(CORE, None)
    return primary
