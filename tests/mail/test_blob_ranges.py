"""RFC 8620 §6, §6.2, RFC 8621 §4.1.4: octets of every kind of blob, from anywhere to anywhere."""

from __future__ import annotations

from base64 import b64encode, encodebytes
from binascii import b2a_uu
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path
from quopri import encodestring
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.jmap.limits import Limits
from gateway.mail import blob as blob_module
from gateway.mail.blob import Blob, BlobTooLarge, open_blob
from gateway.sync import ids, pieces
from gateway.sync.account import Account
from tests.mail.client import Client, connected
from tests.mail.messages import mail
from tests.servers.dovecot import Dovecot, User
from tests.servers.dovecot_config import Options

PIECE = 1 << 14
NOISE = Random(6).randbytes(20_001)
LINES = b"".join(b"Gr\xc3\xbc\xc3\x9fe = %d \t\r\n" % n for n in range(1200))


def part(octets: bytes, encoding: str, content_type: str = "application/x-it") -> bytes:
    head = f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n"
    return head.encode() + b"Content-Disposition: attachment\r\n\r\n" + octets


def multipart(boundary: bytes, *parts: bytes) -> bytes:
    delimited = b"".join(b"--%s\r\n%s\r\n" % (boundary, each) for each in parts)
    head = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=%s\r\n\r\n" % boundary
    return head + delimited + b"--%s--\r\n" % boundary


def base64(octets: bytes) -> bytes:
    return encodebytes(octets).replace(b"\n", b"\r\n").rstrip()


def quoted_printable(octets: bytes) -> bytes:
    encoded = encodestring(octets.replace(b"\r\n", b"\n"))
    return encoded.replace(b"\n", b"\r\n").replace(b"--", b"=2D-")


def uuencoded(octets: bytes) -> bytes:
    lines = (b2a_uu(octets[at : at + 45]).rstrip(b"\n") for at in range(0, len(octets), 45))
    return b"\r\n".join([b"begin 644 noise", *lines, b"`", b"end"])


ODD_LINES = b"\r\n \t".join(
    b64encode(NOISE)[at : at + 7] for at in range(0, len(b64encode(NOISE)), 7)
)
INNERMOST = mail(3, subject="Innermost") + LINES
INNER = b"Subject: Inner\r\n" + multipart(
    b"inner",
    part(b"In a word.", "7bit", "text/plain"),
    part(base64(NOISE), "base64"),
    part(quoted_printable(LINES), "quoted-printable", "text/plain"),
    part(LINES, "8bit"),
    part(b"", "base64"),
    part(INNERMOST, "8bit", "message/rfc822"),
)
MESSAGE = b"Subject: Outer\r\n" + multipart(
    b"outer",
    part(b"Text.", "7bit", "text/plain"),
    part(INNER, "8bit", "message/rfc822"),
    part(base64(NOISE), "base64"),
    part(ODD_LINES, "base64"),
    part(quoted_printable(LINES), "quoted-printable"),
    part(uuencoded(NOISE), "x-uuencode"),
    part(LINES, "8bit"),
    part(b"", "7bit"),
    part(b"", "base64"),
    part(base64(INNER), "base64", "application/octet-stream"),
)
# What each section is; those of attached messages after those of the messages.
BLOBS: dict[tuple[str, ...], bytes] = {
    (): MESSAGE,
    ("1",): b"Text.",
    ("2",): INNER,
    ("3",): NOISE,
    ("4",): NOISE,
    ("5",): LINES,
    ("6",): NOISE,
    ("7",): LINES,
    ("8",): b"",
    ("9",): b"",
    ("10",): INNER,
    ("2", "1"): b"In a word.",
    ("2", "2"): NOISE,
    ("2", "3"): LINES,
    ("2", "4"): LINES,
    ("2", "5"): b"",
    ("2", "6"): INNERMOST,
    ("2", "6", "1"): INNERMOST.partition(b"\r\n\r\n")[2],
    ("10", "2"): NOISE,
    ("10", "3"): LINES,
    ("10", "4"): LINES,
    ("10", "6"): INNERMOST,
    ("10", "6", "1"): INNERMOST.partition(b"\r\n\r\n")[2],
}


# Blobs of which the size is known without having read them.
SIZED = {(), ("1",), ("2",), ("7",), ("8",)} | {ref for ref in BLOBS if len(ref) > 1}


def id_of(email_id: str, sections: tuple[str, ...]) -> str:
    blob_id = ids.message_blob_id(email_id)
    for section in sections:
        blob_id = ids.part_blob_id(blob_id, section)
    return blob_id


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let blobs have many pieces, and many places from which decoding can go on."""
    monkeypatch.setattr(pieces, "PIECE", PIECE)
    monkeypatch.setattr(blob_module, "_STRIDE", PIECE)


@pytest.fixture(scope="module")
def maildir() -> Iterator[Dovecot]:
    """Give a Dovecot that keeps messages in files of their own, with LF for CRLF."""
    with Dovecot(Options(mail_format="maildir")) as server:
        yield server


@pytest.fixture(params=["dovecot", "maildir"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Client]:
    """Give a client of a user who has MESSAGE, stored in one way and another."""
    server = request.getfixturevalue(request.param)
    user = server.add_user()
    server.append(user, "INBOX", MESSAGE)
    async with connected(server, user, tmp_path) as client:
        yield client


async def opened(client: Client, blob_id: str) -> Blob:
    blob = await open_blob(client.account, blob_id)
    assert blob is not None, blob_id
    return blob


async def read(client: Client, blob_id: str, start: int = 0, stop: int | None = None) -> bytes:
    blob = await opened(client, blob_id)
    return b"".join([chunk async for chunk in blob.chunks(start, stop)])


@pytest.mark.checklist("J01", "J10", "O06")
async def test_every_part_is_its_octets_at_any_depth(client: Client) -> None:
    """RFC 8620 §6: the same each time, decoded, with the size told before where it is known."""
    email_id = (await client.email("id"))["id"]
    for sections, octets in BLOBS.items():
        blob_id = id_of(email_id, sections)
        for time in range(2):
            blob = await opened(client, blob_id)
            assert blob.size == (len(octets) if time or sections in SIZED else None), blob_id
            assert await blob.read(len(octets)) == octets, blob_id
            assert blob.size == len(octets)
            assert await blob.measure() == len(octets)
        if octets:
            with pytest.raises(BlobTooLarge):
                await (await opened(client, blob_id)).read(len(octets) - 1)


@pytest.mark.checklist("J10")
@pytest.mark.parametrize("sections", [("3",), ("4",), ("5",), ("6",), ("9",)])
async def test_size_is_counted_where_it_is_asked_for(
    client: Client, sections: tuple[str, ...]
) -> None:
    """RFC 9110 §14.4: ranges of an encoded part, before anybody read it."""
    octets = BLOBS[sections]
    blob_id = id_of((await client.email("id"))["id"], sections)
    blob = await opened(client, blob_id)
    sizes = [blob.size, await blob.measure(), blob.size]
    assert sizes == [None, len(octets), len(octets)]
    assert await read(client, blob_id, len(octets) // 2) == octets[len(octets) // 2 :]


@pytest.mark.checklist("J01", "J10")
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
async def test_any_range_is_the_slice_of_the_whole(client: Client, data: st.DataObject) -> None:
    """RFC 9110 §14.1.2: in any order, whatever was read before."""
    await client.account.indexed()
    sections = data.draw(st.sampled_from(list(BLOBS)))
    octets = BLOBS[sections]
    start = data.draw(st.integers(0, len(octets)))
    stop = data.draw(st.none() | st.integers(start, len(octets)))
    blob_id = id_of(client.account.data.emails.id(0), sections)
    assert await read(client, blob_id, start, stop) == octets[start:stop]


@pytest.mark.parametrize("sections", [(), ("7",), ("3",), ("5",), ("2", "2"), ("2", "4")])
async def test_what_is_far_before_a_range_is_not_read(
    client: Client, sections: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9110 §14: once the size of an encoded part is known, which takes reading it."""
    monkeypatch.setattr(pieces, "PIECE", 4096)
    monkeypatch.setattr(blob_module, "_STRIDE", 4096)
    octets = BLOBS[sections]
    blob_id = id_of((await client.email("id"))["id"], sections)
    blob = await opened(client, blob_id)
    if blob.size is None or len(sections) > 1:
        await blob.read(len(octets))
    asked: list[pieces.Extent] = []
    read_pieces = pieces.read

    def watched(account: Account, extent: pieces.Extent) -> AsyncGenerator[bytes, None]:
        asked.append(extent)
        return read_pieces(account, extent)

    monkeypatch.setattr(pieces, "read", watched)
    assert await read(client, blob_id, len(octets) - 100) == octets[-100:]
    (extent,) = asked
    assert (extent.stop or extent.size) - extent.start < 3 * 4096


@pytest.mark.checklist("J09")
async def test_unknown_blobs_are_none_whatever_their_form(client: Client) -> None:
    """Threat R10: parts that are not there, of this message and of those in it."""
    id_ = (await client.email("id"))["id"]
    forms = [f"p11-{id_}", f"p2_1-{id_}", f"p2m7-{id_}", f"p2m6m2-{id_}", f"p3m2-{id_}"]
    forms += [
        f"p2m-{id_}",
        f"pm2-{id_}",
        f"p2mm6-{id_}",
        f"p2m0-{id_}",
        f"p02-{id_}",
        f"p2M6-{id_}",
    ]
    forms += [f"p2m99999999999999999999-{id_}", f"p99999999999999999999m2-{id_}", f"qAI-{id_}"]
    forms += [f"p8m2-{id_}", f"p2m6m1m2-{id_}", f"u{id_}", f"p2-m{id_}", f"mp2-{id_}"]
    assert {form: await open_blob(client.account, form) for form in forms} == dict.fromkeys(forms)


@pytest.mark.threat("R10")
@pytest.mark.checklist("J09")
async def test_blobs_of_others_are_none(
    client: Client, dovecot: Dovecot, mailuser: User, tmp_path: Path
) -> None:
    """Threat R10: the same for every form, whether the other has the blob or not."""
    id_ = (await client.email("id"))["id"]
    dovecot.append(mailuser, "INBOX", mail())
    async with connected(dovecot, mailuser, tmp_path) as other:
        for sections in BLOBS:
            assert await open_blob(client.account, id_of(id_, sections)) is not None
            assert await open_blob(other.account, id_of(id_, sections)) is None


async def test_message_that_is_too_large_is_not_taken_apart(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threat R20: an attached message is in memory while its parts are looked for."""
    monkeypatch.setattr(blob_module, "DEFAULTS", Limits(max_size_upload=len(INNER) - 1))
    id_ = (await client.email("id"))["id"]
    with pytest.raises(BlobTooLarge) as caught:
        await open_blob(client.account, f"p2m1-{id_}")
    assert caught.value.limit == len(INNER) - 1
    with pytest.raises(BlobTooLarge):
        await open_blob(client.account, f"p10m1-{id_}")
    assert await read(client, f"p2-{id_}") == INNER


@pytest.mark.parametrize("told", [-5, +5, -len(MESSAGE) + 1])
async def test_size_that_the_server_tells_wrong_is_found_out(client: Client, told: int) -> None:
    """RFC 9051 §6.4.5.3: an RFC822.SIZE that is not true is not told a second time."""
    blob_id = (await client.email("blobId"))["blobId"]
    client.account.data.emails.octets[0] += told
    blob = await opened(client, blob_id)
    assert blob.size == len(MESSAGE) + told
    chunks = blob.chunks()
    # Whoever sends it stops when it is too much.
    came = 0
    async for chunk in chunks:
        came += len(chunk)
        if came > len(MESSAGE) + told:
            break
    await chunks.aclose()
    blob = await opened(client, blob_id)
    assert blob.size in (None, len(MESSAGE))
    assert await blob.measure() == len(MESSAGE)
    assert await read(client, blob_id, len(MESSAGE) - 9) == MESSAGE[-9:]
    assert await read(client, blob_id) == MESSAGE
