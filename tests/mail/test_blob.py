"""RFC 8620 §6.2, RFC 8621 §4.1.4: the octets behind blob ids."""

from __future__ import annotations

from base64 import b64encode, encodebytes
from quopri import encodestring
from random import Random

import pytest

from gateway.imap.errors import ImapError
from gateway.mail.blob import open_blob
from gateway.sync.pieces import PIECE
from tests.mail.client import Client
from tests.mail.messages import mail
from tests.servers.dovecot import Dovecot, User


def with_attachment(encoding: str, encoded: bytes, content_type: str = "image/png") -> bytes:
    return (
        b"Subject: Attached\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nText.\r\n--b\r\n"
        + f"Content-Type: {content_type}\r\nContent-Disposition: attachment\r\n".encode()
        + f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode()
        + encoded
        + b"\r\n--b--\r\n"
    )


async def attachment(client: Client) -> bytes | None:
    """The octets of the only attachment of the only Email."""
    (part,) = (await client.email("attachments"))["attachments"]
    return await client.blob(part["blobId"])


@pytest.mark.checklist("J10", "N06")
@pytest.mark.parametrize("size", [0, 1, PIECE - 200, PIECE, PIECE + 1, 2 * PIECE])
async def test_blob_of_a_message_is_its_octets(
    client: Client, dovecot: Dovecot, mailuser: User, size: int
) -> None:
    """RFC 8620 §6: raw RFC 5322, `size` of them, also where they fill whole pieces."""
    empty = len(mail(body=""))
    lines = b"".join(b"%061d\r\n" % n for n in range(size // 63 + 1))
    octets = mail(body=lines[: max(0, size - empty)].decode())
    if octets.endswith(b"\r"):
        octets = octets[:-1] + b"."
    assert len(octets) == max(size, empty)
    dovecot.append(mailuser, "INBOX", octets)
    email = await client.email("blobId", "size")
    blob = await open_blob(client.account, email["blobId"])
    assert blob is not None
    assert blob.size == email["size"] == len(octets)
    assert b"".join([chunk async for chunk in blob.chunks()]) == octets


@pytest.mark.checklist("J10")
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit", "7bit", "BASE64"])
async def test_blob_of_a_part_is_decoded(
    client: Client, dovecot: Dovecot, mailuser: User, encoding: str
) -> None:
    """RFC 8621 §4.1.4: any known Content-Transfer-Encoding; line ends of a file are its own."""
    octets = "Line one: Grüße\r\n\r\n--b-- = no boundary\r\n\ttabs \r\n.".encode()
    if encoding == "7bit":
        octets = octets.replace("üß".encode(), b"uess")
    match encoding.lower():
        case "base64":
            encoded = b64encode(octets)
        case "quoted-printable":
            encoded = encodestring(octets).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            encoded = encoded.replace(b"--b--", b"=2D-b--")
        case _:
            octets = encoded = octets.replace(b"--b--", b" --b--")
    dovecot.append(mailuser, "INBOX", with_attachment(encoding, encoded))
    assert await attachment(client) == octets


@pytest.mark.checklist("J10")
async def test_large_attachment_comes_in_pieces(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8620 §6.2: 3 MB of noise, of which no more than a piece is held at a time."""
    octets = Random(8620).randbytes(3_000_001)
    encoded = encodebytes(octets).replace(b"\n", b"\r\n").rstrip()
    dovecot.append(mailuser, "INBOX", with_attachment("base64", encoded))
    (part,) = (await client.email("attachments"))["attachments"]
    assert len(octets) <= part["size"] <= len(octets) + 2 + len(octets) // 50
    blob = await open_blob(client.account, part["blobId"])
    assert blob is not None
    chunks = [chunk async for chunk in blob.chunks()]
    assert b"".join(chunks) == octets
    assert len(chunks) > 2
    assert max(map(len, chunks)) <= PIECE


async def test_several_blobs_are_read_at_once(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8620 §6.2: downloads take turns on the connections, and none gets another's octets."""
    noise = [Random(n).randbytes(1_500_000) for n in range(3)]
    for octets in noise:
        encoded = encodebytes(octets).replace(b"\n", b"\r\n").rstrip()
        dovecot.append(mailuser, "INBOX", with_attachment("base64", encoded))
    emails = await client.emails(properties=["attachments"])
    ids = [email["attachments"][0]["blobId"] for email in emails]
    readers = []
    for id_ in ids:
        blob = await open_blob(client.account, id_)
        assert blob is not None
        readers.append((blob.chunks(), bytearray()))
    for _ in range(4):
        for reader, read in readers:
            read += await anext(reader, b"")
    assert sorted(bytes(read) for _, read in readers) == sorted(noise)


@pytest.mark.checklist("J09")
async def test_unknown_blobs_are_none(client: Client, dovecot: Dovecot, mailuser: User) -> None:
    """RFC 8620 §6.2: ids of no blob, of parts that are not there, and of multiparts."""
    dovecot.append(mailuser, "INBOX", with_attachment("base64", b"SGVsbG8="))
    id_ = (await client.email("id"))["id"]
    known = [f"m{id_}", f"p1-{id_}", f"p2-{id_}"]
    assert [await client.blob(blob_id) is not None for blob_id in known] == [True] * 3
    unknown = ["", "m", "x", id_, f"p3-{id_}", f"p2_1-{id_}", f"p0-{id_}", f"p-{id_}", "mEmissing"]
    unknown += [f"pTEXT-{id_}", f"p1.MIME-{id_}", f"p1-{id_}\r\n", f"p99999999999-{id_}", "p1-é"]
    unknown += [f"p01-{id_}", f"p1-{id_}-", f"M{id_}"]
    assert {blob_id: await client.blob(blob_id) for blob_id in unknown} == dict.fromkeys(unknown)


async def test_blob_of_an_email_that_is_gone_is_none(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8620 §6.2: also where its structure is still remembered."""
    dovecot.append(mailuser, "INBOX", with_attachment("base64", b"SGVsbG8="))
    email = await client.email("blobId", "attachments")
    ids = [email["blobId"], email["attachments"][0]["blobId"]]
    assert await client.blob(ids[1]) == b"Hello"
    with dovecot.imap(mailuser) as imap:
        imap.select("INBOX")
        imap.uid("STORE", "1", "+FLAGS", "(\\Deleted)")
        imap.expunge()
    assert [await client.blob(id_) for id_ in ids] == [None, None]


async def test_blob_survives_a_move(client: Client, dovecot: Dovecot, mailuser: User) -> None:
    """RFC 8620 §6: a blobId stands for the same octets as long as the Email is there."""
    dovecot.append(mailuser, "INBOX", mail())
    blob_id = (await client.email("blobId"))["blobId"]
    with dovecot.imap(mailuser) as imap:
        imap.select("INBOX")
        imap.uid("MOVE", "1", "Archive")
    assert await client.blob(blob_id) == mail()


async def test_download_of_a_message_that_goes_away_ends_with_an_error(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8620 §6.2: never a shorter file that looks complete."""
    octets = mail(body="x" * 70 + "\r\n")
    octets += b"".join(b"%068d\r\n" % n for n in range(50_000))
    dovecot.append(mailuser, "INBOX", octets)
    blob = await open_blob(client.account, (await client.email("blobId"))["blobId"])
    assert blob is not None
    chunks = blob.chunks()
    read = await anext(chunks)
    dovecot.doveadm("expunge", "-u", mailuser.username, "mailbox", "INBOX", "all")
    dovecot.doveadm("kick", mailuser.username)
    with pytest.raises(ImapError):
        read += b"".join([chunk async for chunk in chunks])
    assert octets.startswith(read)
    assert len(read) < len(octets)
