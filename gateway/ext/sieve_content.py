"""RFC 9661 §2.2: the octets of a script that a client wants to have stored, or looked at."""

from __future__ import annotations

from gateway.jmap.errors import SetError
from gateway.mail.blob import BlobTooLarge, open_blob
from gateway.sieve import block
from gateway.sync.account import Account
from gateway.sync.errors import MessageGone
from gateway.sync.ids import is_script_blob_id
from gateway.sync.scripts import Scripts
from gateway.sync.sieve import MAX_SCRIPT_OCTETS


async def content_of(account: Account, blob_id: str | None, scripts: Scripts | None) -> bytes:
    """The script that a blob is, without what the gateway may have added to it.

    scripts: those that the caller holds. Raises SetError blobNotFound, tooLarge and invalidSieve;
    ImapError and NotCommitted.
    """
    content = block.remove(await _octets(account, blob_id, scripts))
    if not content:
        raise SetError("invalidSieve", "line 1: the script is empty.")
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SetError("invalidSieve", f"line {line}: the script is not UTF-8.") from None
    return content


async def _octets(account: Account, blob_id: str | None, scripts: Scripts | None) -> bytes:
    not_found = SetError("blobNotFound", "There is no such blob.", notFound=[blob_id])
    if blob_id is None:
        raise not_found
    if scripts is not None and is_script_blob_id(blob_id):
        script = scripts.with_blob(blob_id)
        if script is None:
            raise not_found
        return script.content
    try:
        blob = await open_blob(account, blob_id)
        if blob is None:
            raise not_found
        return await blob.read(MAX_SCRIPT_OCTETS)
    except BlobTooLarge:
        raise SetError("tooLarge", f"A script has at most {MAX_SCRIPT_OCTETS} octets.") from None
    except MessageGone:
        raise not_found from None
