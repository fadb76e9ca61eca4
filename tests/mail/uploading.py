"""RFC 8620 §6.1: uploads, as the HTTP service makes them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from gateway.jmap.limits import DEFAULTS
from tests.mail.client import Client


async def upload(client: Client, octets: bytes, media_type: str = "text/plain") -> str:
    """The id of a new blob."""

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(octets), 1 << 16):
            yield octets[start : start + (1 << 16)]

    uploads = client.account.uploads
    return (await uploads.receive(media_type, chunks(), DEFAULTS.max_size_upload)).blob_id
