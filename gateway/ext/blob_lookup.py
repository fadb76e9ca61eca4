"""RFC 9404 §4.3: Blob/lookup: what refers to a blob.

The id of a blob says of which Email it is, so nothing has to be searched for: that Email, its
Thread, and the Mailboxes it is in. Of SieveScripts (RFC 9661) there are few, and all are looked at.
Nothing refers to an upload.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Final

from gateway.ext.blob import BLOB
from gateway.ext.sieve import SIEVE, sieve_of
from gateway.jmap.arguments import Argument, check
from gateway.jmap.call import Call
from gateway.jmap.errors import MethodError, quoted, request_too_large
from gateway.jmap.kinds import ID, STRING_LIST
from gateway.jmap.registry import Method
from gateway.mail.backend import backend
from gateway.mail.blob import open_blob
from gateway.mail.registry import TYPES
from gateway.sync import ids
from gateway.sync.account import Account
from gateway.sync.data import AccountData

_SECONDS: Final = 1.0
_ARGUMENTS: Final = (
    Argument("accountId", ID),
    Argument("typeNames", STRING_LIST),
    Argument("ids", STRING_LIST),
)


def _email(data: AccountData, row: int) -> list[str]:
    return [data.emails.id(row)]


def _thread(data: AccountData, row: int) -> list[str]:
    return [ids.thread_id(int(data.emails.thread_keys[data.emails.thread[row]]))]


def _mailboxes(data: AccountData, row: int) -> list[str]:
    by_number = data.by_number()
    return sorted({by_number[number].id for number, _ in data.emails.placements(row)})


_LOOKUPS: Final[Mapping[str, Callable[[AccountData, int], list[str]]]] = {
    "Mailbox": _mailboxes,
    "Thread": _thread,
    "Email": _email,
}
_SCRIPT: Final = "SieveScript"


def type_names(capabilities: Container[str]) -> tuple[str, ...]:
    """The types in which blobs are looked up in an account with these capabilities."""
    return (*_LOOKUPS, *((_SCRIPT,) if SIEVE in capabilities else ()))


@backend
async def run(call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
    """The response arguments of a Blob/lookup."""
    checked = check(arguments, _ARGUMENTS)
    named = call.account(checked, BLOB)
    account: Account = named.account
    names = _known(checked["typeNames"], call.opened & named.capabilities)
    references = dict.fromkeys(checked["ids"])
    if len(references) > call.limits.max_objects_in_get:
        most = call.limits.max_objects_in_get
        raise request_too_large(f"At most {most} blobs can be looked up at once.")
    data = await account.indexed()
    found = []
    for reference in references:
        blob_id = call.resolve(reference)
        row = await _row(account, data, blob_id)
        matched = {
            n: _LOOKUPS[n](data, row) if row is not None and n in _LOOKUPS else [] for n in names
        }
        if _SCRIPT in names and blob_id is not None and ids.is_script_blob_id(blob_id):
            matched[_SCRIPT] = await _scripts(account, blob_id)
        found.append({"id": reference, "matchedIds": matched})
    return {"accountId": checked["accountId"], "list": found}


def _known(names: Iterable[str], capabilities: frozenset[str]) -> tuple[str, ...]:
    """The names of types. Raises MethodError unknownDataType."""
    closed = {each.name for each in TYPES if each.capability not in capabilities}
    if unknown := set(names) - (set(type_names(capabilities)) - closed):
        raise MethodError("unknownDataType", f"Blobs are not looked up in {quoted(unknown)}.")
    return tuple(dict.fromkeys(names))


async def _row(account: Account, data: AccountData, blob_id: str | None) -> int | None:
    """The row of the Email that has a blob; None when none has, or there is no such blob."""
    ref = ids.parse_blob_id(blob_id) if blob_id is not None else None
    if blob_id is None or ref is None or ref.email_id is None:
        return None
    if await open_blob(account, blob_id) is None:
        return None
    return data.emails.rows([ref.email_id]).get(ref.email_id)


async def _scripts(account: Account, blob_id: str) -> list[str]:
    scripts = await sieve_of(account).fresh(_SECONDS)
    return [script.id for script in scripts.shown.values() if script.blob_id == blob_id]


BLOB_LOOKUP: Final = Method("Blob/lookup", BLOB, run)
