"""RFC 9051 §7.5.2: messages whose BODYSTRUCTURE the server gets wrong, read all the same."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.mail.client import Client, connected
from tests.mail.messages import crlf
from tests.servers.dovecot import Dovecot, User
from tests.servers.rewriting import RewritingProxy

LETTER = crlf("""
    Subject: two texts and a letter inside
    Content-Type: multipart/mixed; boundary=b

    Not shown.
    --b
    Content-Type: multipart/alternative; boundary=c
    X-Part: choice

    --c
    Content-Type: text/plain; charset=utf-8
    Content-Transfer-Encoding: quoted-printable
    X-Part: plain

    Caf=C3=A9.
    --c
    Content-Type: text/html

    <p>Caf&eacute;.</p>
    --c--
    --b
    Content-Type: message/rfc822
    Content-Transfer-Encoding: base64
    Content-Disposition: attachment; filename=inside.eml

    U3ViamVjdDogaW5zaWRlDQoNCkhlbGxvLg0K
    --b--
    """)
STRUCTURE = re.compile(rb"(?s)^(\* \d+ FETCH \(.*?BODYSTRUCTURE )\(.*\)(\)\r\n)$")
# As Gmail, Yandex and QQ write a multipart of multiparts; as Exchange writes what it can not read.
LIES = {
    "no children": rb'("mixed" ("boundary" "b") NIL NIL)',
    "no inner children": rb'(("alternative" ("boundary" "c") NIL NIL)'
    rb'("message" "rfc822" NIL NIL NIL "base64" 38 NIL NIL NIL) "mixed" ("boundary" "b") NIL NIL)',
    "nothing": b"()",
    "no types": b"(NIL NIL NIL NIL NIL NIL NIL)",
}
PROPERTIES = ("subject", "bodyStructure", "textBody", "htmlBody", "attachments", "hasAttachment")
PART_PROPERTIES = [
    *("partId", "blobId", "size", "type", "charset", "name", "header:X-Part:asText"),
    "disposition",
]


@asynccontextmanager
async def lied_to(
    dovecot: Dovecot, user: User, directory: Path, lie: bytes
) -> AsyncIterator[Client]:
    """A client whose server tells nothing but this as BODYSTRUCTURE."""

    def rewrite(line: bytes) -> bytes:
        return STRUCTURE.sub(lambda found: found[1] + lie + found[2], line)

    async with (
        RewritingProxy(dovecot.ports.imap, rewrite) as proxy,
        connected(dovecot, user, directory, port=proxy.port) as client,
    ):
        yield client


@pytest.mark.quirk(9, 19, 49)
@pytest.mark.checklist("N17", "N21", "N22")
@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
async def test_the_message_itself_is_shown(
    client: Client, dovecot: Dovecot, mailuser: User, tmp_path: Path, lie: bytes
) -> None:
    """RFC 8621 §4.1.4: all is as if the server had told the truth."""
    dovecot.append(mailuser, "INBOX", LETTER)
    arguments = {"bodyProperties": PART_PROPERTIES, "fetchAllBodyValues": True}
    told = await client.email(*PROPERTIES, "bodyValues", **arguments)
    async with lied_to(dovecot, mailuser, tmp_path, lie) as other:
        seen = await other.email(*PROPERTIES, "bodyValues", **arguments)
        assert seen == told
        assert seen["bodyValues"]["1.1"]["value"] == "Café."
        # From what is kept, too; and the parts can be had.
        assert await other.email(*PROPERTIES, "bodyValues", **arguments) == told
        assert await other.blob(seen["textBody"][0]["blobId"]) == "Café.".encode()
        (inside,) = seen["attachments"]
        assert await other.blob(inside["blobId"]) == b"Subject: inside\r\n\r\nHello.\r\n"
        assert await other.query({"hasAttachment": True}) == [seen["id"]]
