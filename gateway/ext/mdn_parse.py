"""RFC 9007 §2.2: MDN/parse: what message disposition notifications tell."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from gateway.ext.blob import find
from gateway.ext.mdn import MDN, described
from gateway.jmap.arguments import Argument, check
from gateway.jmap.call import Call
from gateway.jmap.errors import request_too_large
from gateway.jmap.kinds import ID, STRING_LIST
from gateway.jmap.registry import Method
from gateway.mail.backend import backend
from gateway.mail.blob import BlobTooLarge
from gateway.mail.body_values import MAX_VALUES_OCTETS
from gateway.mail.named_emails import named_emails
from gateway.mime import disposition, reports
from gateway.sync.account import Account
from gateway.sync.errors import MessageGone
from gateway.sync.turns import off_loop

_ARGUMENTS: Final = (Argument("accountId", ID), Argument("blobIds", STRING_LIST))


class _Read(NamedTuple):
    """A notification as an MDN object, and the Message-ID it is about, without brackets."""

    mdn: dict[str, Any]
    about: str | None


class _NotFound(Exception):
    """The account has no such blob."""


@backend
async def run(call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
    """The response arguments of an MDN/parse. Raises MethodError."""
    checked = check(arguments, _ARGUMENTS)
    account: Account = call.account(checked, MDN).account
    blob_ids = dict.fromkeys(checked["blobIds"])
    if len(blob_ids) > call.limits.max_objects_in_get:
        raise request_too_large(f"At most {call.limits.max_objects_in_get} blobs can be parsed.")
    read: dict[str, _Read] = {}
    not_parsable: list[str] = []
    not_found: list[str] = []
    characters = 0
    for blob_id in blob_ids:
        try:
            found = await _read(account, blob_id, call)
        except _NotFound:
            not_found.append(blob_id)
            continue
        if found is None:
            not_parsable.append(blob_id)
            continue
        read[blob_id] = found
        characters += _characters(found.mdn)
        if characters > MAX_VALUES_OCTETS:
            raise request_too_large("They have too much to tell together; ask for fewer blobs.")
    named = await named_emails(account, (each.about for each in read.values() if each.about))
    for each in read.values():
        each.mdn["forEmailId"] = _only(named, each.about)
    parsed = {blob_id: each.mdn for blob_id, each in read.items()}
    return {
        "accountId": checked["accountId"],
        "parsed": parsed or None,
        "notParsable": not_parsable or None,
        "notFound": not_found or None,
    }


async def _read(account: Account, reference: str, call: Call) -> _Read | None:
    """The notification that a blob is, None where it is none. Raises _NotFound, and ImapError."""
    found = await find(account, reference, call)
    if found is None:
        raise _NotFound
    try:
        octets = await found[1].read(call.limits.max_size_upload)
    except BlobTooLarge:
        return None
    except MessageGone:
        raise _NotFound from None
    return await off_loop(len(octets), _notification, octets)


def _notification(octets: bytes) -> _Read | None:
    report = reports.parse(octets)
    told = disposition.of_report(report) if report is not None else None
    if report is None or told is None:
        return None
    return _Read(described(report, told), told.message_id)


def _only(named: dict[str, list[str]], message_id: str | None) -> str | None:
    """RFC 9007 §2.2: the Email of that name, if there are not several."""
    found = named.get(message_id, []) if message_id is not None else []
    return found[0] if len(found) == 1 else None


def _characters(mdn: dict[str, Any]) -> int:
    """How many of them an MDN object has, about."""
    fields: dict[str, str] = mdn["extensionFields"] or {}
    texts = (mdn["textBody"] or "", *(mdn["error"] or ()), *fields, *fields.values())
    return sum(map(len, texts))


MDN_PARSE: Final = Method("MDN/parse", MDN, run)
