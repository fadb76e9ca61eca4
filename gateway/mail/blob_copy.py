"""RFC 8620 §6.3: Blob/copy: octets of one account of a user become an upload to another.

Uploads are the user's own: so an account that is read-only takes them, too.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import Any, Final

from gateway.jmap.arguments import Argument, check
from gateway.jmap.call import CORE, Call
from gateway.jmap.errors import SetError
from gateway.jmap.kinds import STRING, STRING_LIST
from gateway.jmap.methods.set import check_size
from gateway.jmap.registry import Method
from gateway.mail.backend import backend
from gateway.mail.blob import BlobTooLarge, open_blob
from gateway.sync.account import Account
from gateway.sync.errors import MessageGone
from gateway.sync.uploads import UploadTooLarge

_ARGUMENTS: Final = (
    Argument("fromAccountId", STRING),
    Argument("accountId", STRING),
    Argument("blobIds", STRING_LIST),
)
# Which one it was, the client knows; the blobId says nothing of that.
_MEDIA_TYPE: Final = "application/octet-stream"


@backend
async def run(call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
    """The response arguments of a Blob/copy."""
    checked = check(arguments, _ARGUMENTS)
    to_account = call.account(checked, CORE).account
    from_account = call.from_account(checked, CORE).account
    blob_ids = dict.fromkeys(checked["blobIds"])
    check_size(len(blob_ids), call.limits)
    copied: dict[str, str] = {}
    not_copied: dict[str, dict[str, Any]] = {}
    for blob_id in blob_ids:
        try:
            copied[blob_id] = await copy_blob(
                from_account, to_account, blob_id, call.limits.max_size_upload
            )
        except SetError as error:
            not_copied[blob_id] = error.members()
    return {
        "fromAccountId": checked["fromAccountId"],
        "accountId": checked["accountId"],
        "copied": copied or None,
        "notCopied": not_copied or None,
    }


async def copy_blob(source: Account, target: Account, blob_id: str, limit: int) -> str:
    """The id that a blob gets in another account, which takes at most `limit` octets.

    Raises SetError notFound and tooLarge, ImapError and NotCommitted.
    """
    try:
        blob = await open_blob(source, blob_id)
        if blob is None:
            raise SetError("notFound")
        async with aclosing(blob.chunks()) as chunks:
            upload = await target.uploads.receive(_MEDIA_TYPE, chunks, limit)
    except MessageGone:
        raise SetError("notFound") from None
    except (BlobTooLarge, UploadTooLarge) as error:
        raise SetError("tooLarge", f"At most {error.limit} octets are copied.") from None
    return upload.blob_id


BLOB_COPY: Final = Method("Blob/copy", CORE, run)
