"""RFC 9404 §4.3: Blob/lookup: what refers to a blob.

The id of a blob says of which Email it is, so nothing has to be searched for: that Email, its
Thread, and the Mailboxes it is in. Nothing refers to an upload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from gateway.ext.blob import BLOB
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
TYPE_NAMES: Final = tuple(_LOOKUPS)


@backend
async def run(call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
    """The response arguments of a Blob/lookup."""
    checked = check(arguments, _ARGUMENTS)
    account: Account = call.account(checked, BLOB).account
    names = _known(checked["typeNames"], call)
    references = dict.fromkeys(checked["ids"])
    if len(references) > call.limits.max_objects_in_get:
        most = call.limits.max_objects_in_get
        raise request_too_large(f"At most {most} blobs can be looked up at once.")
    data = await account.indexed()
    found = []
    for reference in references:
        row = await _row(account, data, call.resolve(reference))
        matched = {n: _LOOKUPS[n](data, row) if row is not None else [] for n in names}
        found.append({"id": reference, "matchedIds": matched})
    return {"accountId": checked["accountId"], "list": found}


def _known(names: Iterable[str], call: Call) -> tuple[str, ...]:
    """The names of types. Raises MethodError unknownDataType."""
    usable = {each.name for each in TYPES if each.capability in call.opened} & _LOOKUPS.keys()
    if unknown := set(names) - usable:
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


BLOB_LOOKUP: Final = Method("Blob/lookup", BLOB, run)
