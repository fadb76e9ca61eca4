"""RFC 9404 §3.1: urn:ietf:params:jmap:blob, and what its methods have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.jmap.call import Call
from gateway.jmap.limits import Limits
from gateway.mail.blob import Blob, BlobTooLarge, open_blob
from gateway.sync.account import Account
from gateway.sync.errors import MessageGone

BLOB: Final = "urn:ietf:params:jmap:blob"

MAX_DATA_SOURCES: Final = 256
"""Pieces that one new blob is put together of; RFC 9404 §3.1 asks for 64."""

DIGESTS: Final[Mapping[str, Callable[[], Any]]] = {
    "sha-256": hashlib.sha256,
    "sha-512": hashlib.sha512,
    "sha": lambda: hashlib.sha1(usedforsecurity=False),
}
"""By the names of RFC 3230 in lower case, the ones to prefer first."""


def account_capability(type_names: tuple[str, ...], limits: Limits) -> dict[str, Any]:
    """What the Session object says of blobs in an account."""
    return {
        "maxSizeBlobSet": limits.max_size_upload,
        "maxDataSources": MAX_DATA_SOURCES,
        "supportedTypeNames": list(type_names),
        "supportedDigestAlgorithms": list(DIGESTS),
    }


async def find(account: Account, reference: str, call: Call) -> tuple[str, Blob] | None:
    """The blob that an id or "#creationId" stands for, with its id; None if there is none.

    Raises ImapError and NotCommitted.
    """
    blob_id = call.resolve(reference)
    if blob_id is None:
        return None
    try:
        blob = await open_blob(account, blob_id)
    except (BlobTooLarge, MessageGone):  # a part of what is too large to look for parts in it
        return None
    return (blob_id, blob) if blob is not None else None
