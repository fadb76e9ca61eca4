"""RFC 8621 §4.9: Email/parse, for messages that are no Emails: attached ones, mostly."""

from __future__ import annotations

from typing import Any, Final

from gateway.jmap.errors import request_too_large
from gateway.jmap.kinds import STRING_LIST, nullable
from gateway.jmap.limits import Limits
from gateway.jmap.spec import Argument, Call
from gateway.mail import email_body
from gateway.mail.backend import backend
from gateway.mail.blob import BlobTooLarge, open_blob
from gateway.mail.body_values import MAX_VALUES_OCTETS
from gateway.mail.parsed_email import ParseRequest, parse_request, parsed_email
from gateway.sync import ids
from gateway.sync.account import Account
from gateway.sync.turns import off_loop

ARGUMENTS: Final = (
    Argument("blobIds", STRING_LIST),
    Argument("properties", nullable(STRING_LIST)),
    *email_body.ARGUMENTS,
)


@backend
async def run(account: Account, arguments: dict[str, Any], call: Call) -> dict[str, Any]:
    """The response arguments of an Email/parse."""
    limits = call.limits
    blob_ids = tuple(dict.fromkeys(arguments["blobIds"]))
    if len(blob_ids) > limits.max_objects_in_get:
        raise request_too_large(f"At most {limits.max_objects_in_get} blobs can be parsed.")
    request = parse_request(arguments, limits)
    parsed: dict[str, dict[str, Any]] = {}
    not_parsable: list[str] = []
    not_found: list[str] = []
    total = 0
    for blob_id in blob_ids:
        try:
            email = await _parsed(account, call.resolve(blob_id), request, limits)
        except _NotFound:
            not_found.append(blob_id)
            continue
        if email is None:
            not_parsable.append(blob_id)
            continue
        parsed[blob_id] = email
        total += sum(len(value["value"]) for value in email.get("bodyValues", {}).values())
        if total > MAX_VALUES_OCTETS:
            raise request_too_large("The body values together are too large; ask for fewer blobs.")
    return {
        "parsed": parsed or None,
        "notParsable": not_parsable or None,
        "notFound": not_found or None,
    }


class _NotFound(Exception):
    """The account has no such blob."""


async def _parsed(
    account: Account, blob_id: str | None, request: ParseRequest, limits: Limits
) -> dict[str, Any] | None:
    """The Email that a blob is, None where it is none. Raises _NotFound, and ImapError."""
    try:
        blob = await open_blob(account, blob_id) if blob_id is not None else None
        if blob is None or blob_id is None:
            raise _NotFound
        octets = await blob.read(limits.max_size_upload)
        return await off_loop(len(octets), parsed_email, octets, blob_id, request)
    except (BlobTooLarge, ids.UnnamedPart):
        return None
