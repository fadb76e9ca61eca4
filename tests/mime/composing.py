"""RFC 8621 §4.6: Emails to be created, for composing them without any server.

`composed` gives the message that `email_create.compose` makes; `Blobs` are what it encloses.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

from gateway.jmap.limits import DEFAULTS
from gateway.mail import email_create, enclosures
from gateway.mail.blob import Blob
from gateway.mail.parsed_email import parse_request, parsed_email
from gateway.sync.account import Account
from gateway.sync.appending import Letter

MAILBOX = "Mdrafts"
_CUT = 1_000


class Kept(Blob):
    """Octets that are there, given in chunks that end anywhere."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    @property
    def size(self) -> int:
        return len(self._octets)

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes, None]:
        octets = self._octets[start:stop]
        for at in range(0, len(octets), _CUT):
            yield octets[at : at + _CUT]


def account() -> Account:
    """An account with one Mailbox, and nothing else."""
    mailbox = SimpleNamespace(rights=None, role="drafts", status=SimpleNamespace())
    data = SimpleNamespace(numbers={MAILBOX: 0}, mailboxes={MAILBOX: mailbox})
    return cast(Account, SimpleNamespace(data=data))


async def letter(email: Mapping[str, Any], blobs: Mapping[str, bytes]) -> tuple[Letter, bytes]:
    """What compose() makes, and its octets. Raises SetError."""

    async def open_blob(_account: Account, blob_id: str) -> Blob | None:
        return Kept(blobs[blob_id]) if blob_id in blobs else None

    whole = {"mailboxIds": {MAILBOX: True}, **email}
    with mock.patch.object(enclosures, "open_blob", open_blob):
        made = await email_create.compose(account(), whole, DEFAULTS)
        octets = b"".join([chunk async for chunk in made.chunks()])
    assert made.size == len(octets)
    return made, octets


def composed(email: Mapping[str, Any], blobs: Mapping[str, bytes] | None = None) -> bytes:
    """The message. Raises SetError."""
    return asyncio.run(letter(email, blobs or {}))[1]


def read(octets: bytes, *properties: str) -> dict[str, Any]:
    """The message as Email/parse shows it, with all values and these properties of its parts."""
    wanted = [*properties, "bodyValues"]
    arguments = {
        "properties": wanted,
        "bodyProperties": None,
        "fetchTextBodyValues": False,
        "fetchHTMLBodyValues": False,
        "fetchAllBodyValues": True,
        "maxBodyValueBytes": 0,
    }
    shown = parsed_email(octets, "mE", parse_request(arguments, DEFAULTS))
    assert shown is not None
    return shown
