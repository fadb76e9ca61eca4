"""RFC 8620 §6.2, RFC 9110 §14: downloads from a real IMAP server by clients of every temper."""

from __future__ import annotations

import asyncio
import base64
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientPayloadError, ClientSession

from gateway.app import running
from tests.app.harness import Client, client_of, settings
from tests.servers.dovecot import Dovecot, User

SECONDS = 60.0
# More than the buffers of two sockets and what the gateway reads ahead.
NOISE = Random(8620).randbytes(12_000_000)


def message(octets: bytes) -> bytes:
    """A message with one attachment, and with its octets once more as they are in the text."""
    encoded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return (
        b"Subject: Film\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\n\r\n" + encoded + b"--b\r\nContent-Type: video/mp4\r\n"
        b"Content-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + encoded
        + b"--b--\r\n"
    )


MESSAGE = message(NOISE)


@pytest.fixture
async def client(dovecot: Dovecot, mailuser: User, tmp_path: Path) -> AsyncIterator[Client]:
    """Give a client of a new gateway, for a user with MESSAGE."""
    dovecot.append(mailuser, "INBOX", MESSAGE)
    async with asyncio.timeout(SECONDS), client_of(settings(dovecot, tmp_path), mailuser) as client:
        yield client


async def paths(client: Client) -> dict[str, str]:
    """The download paths of the only message, its text and its attachment."""
    ids = (await client.call("Email/query"))["ids"]
    wanted = ["blobId", "textBody", "attachments"]
    [email] = (await client.call("Email/get", ids=ids, properties=wanted))["list"]
    blobs = {
        "message": email["blobId"],
        "text": email["textBody"][0]["blobId"],
        "attachment": email["attachments"][0]["blobId"],
    }
    return {name: path_of(client, blob_id) for name, blob_id in blobs.items()}


def path_of(client: Client, blob_id: str) -> str:
    return f"/jmap/download/{client.account_id}/{blob_id}/film?type=video/mp4"


@pytest.mark.checklist("J01", "J08", "J10")
async def test_downloads_are_whole_with_their_size_if_that_is_known(client: Client) -> None:
    """RFC 9110 §8.6: the size of an encoded part is known once somebody has read it."""
    urls = await paths(client)
    for again in (False, True):
        for name, octets in (("message", MESSAGE), ("attachment", NOISE)):
            response = await client.get(urls[name])
            assert response.status == 200
            known = again or name == "message"
            assert response.headers.get("Content-Length") == (str(len(octets)) if known else None)
            assert response.headers["Content-Type"] == "video/mp4"
            assert await response.read() == octets


# --- curl -----------------------------------------------------------------------------------------


async def curl(client: Client, path: str, file: Path, *options: str) -> asyncio.subprocess.Process:
    program = shutil.which("curl")
    if program is None:
        pytest.skip("there is no curl")
    login = f"Authorization: {client.headers['Authorization']}"
    arguments = ("-sS", "--fail", "-H", login, "-o", str(file), *options, client.url + path)
    return await asyncio.create_subprocess_exec(program, *arguments)


@pytest.mark.parametrize("name", ["message", "attachment"])
async def test_curl_goes_on_where_it_was_interrupted(
    client: Client, tmp_path: Path, name: str
) -> None:
    """RFC 9110 §14.2: `curl -C -` asks for the octets from the end of the file on."""
    path = (await paths(client))[name]
    file = tmp_path / "film"
    first = await curl(client, path, file, "--limit-rate", "2M")
    while not file.exists() or file.stat().st_size < 100_000:
        await asyncio.sleep(0.01)
    first.kill()
    await first.wait()
    octets = MESSAGE if name == "message" else NOISE
    assert file.stat().st_size < len(octets)
    second = await curl(client, path, file, "-C", "-")
    assert await second.wait() == 0
    assert file.read_bytes() == octets


async def test_curl_gets_the_end(client: Client, tmp_path: Path) -> None:
    """RFC 9110 §14.1.2: a suffix."""
    file = tmp_path / "end"
    done = await curl(client, (await paths(client))["attachment"], file, "-r", "-1000")
    assert await done.wait() == 0
    assert file.read_bytes() == NOISE[-1000:]


# --- slow clients, many clients, clients that go away ---------------------------------------------


async def begin(client: Client, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for a download and read the head of the answer, nothing else."""
    port = int(client.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 16)
    login = client.headers["Authorization"]
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {login}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    return reader, writer


@pytest.mark.checklist("J08")
async def test_readers_that_stop_keep_nothing_from_the_user(client: Client) -> None:
    """RFC 8620 §8.5: as many as may run; other requests of the user need the mail server too."""
    urls = await paths(client)
    stopped = [await begin(client, urls["message"]) for _ in range(7)]
    response = await client.get(urls["attachment"])
    assert await response.read() == NOISE
    wanted = {"fetchTextBodyValues": True, "properties": ["bodyValues"]}
    ids = (await client.call("Email/query"))["ids"]
    [email] = (await client.call("Email/get", ids=ids, **wanted))["list"]
    assert email["bodyValues"]
    for reader, writer in stopped:
        assert await reader.read() == MESSAGE
        writer.close()


async def connections(dovecot: Dovecot, user: User) -> str:
    return await asyncio.to_thread(dovecot.doveadm, "who", "-1", user.username)


async def test_clients_that_go_away_cost_no_connection(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8620 §6.2: what was asked of the server for them is waited for."""
    urls = await paths(client)
    await (await client.get(urls["attachment"])).read()
    before = await connections(dovecot, mailuser)
    for _ in range(5):
        _, writer = await begin(client, urls["message"])
        writer.transport.abort()
    response = await client.get(urls["attachment"])
    assert await response.read() == NOISE
    assert await connections(dovecot, mailuser) == before


async def test_twenty_users_at_once(dovecot: Dovecot, tmp_path: Path) -> None:
    """RFC 8620 §6.2: each gets the octets that are theirs."""
    users = [dovecot.add_user() for _ in range(20)]
    octets = {user: Random(user.username).randbytes(700_000) for user in users}
    for user in users:
        dovecot.append(user, "INBOX", message(octets[user]))

    async def download(client: Client) -> bytes:
        return await (await client.get((await paths(client))["attachment"])).read()

    async with (
        asyncio.timeout(SECONDS),
        running(settings(dovecot, tmp_path)) as url,
        ClientSession() as http,
    ):
        clients = [Client(http, url, user) for user in users]
        found = await asyncio.gather(*map(download, clients))
    assert found == [octets[user] for user in users]


# --- what goes away, what is not there ------------------------------------------------------------


@pytest.mark.checklist("J09")
@pytest.mark.parametrize("name", ["message", "attachment"])
async def test_download_of_what_is_expunged_meanwhile_is_cut(
    client: Client, dovecot: Dovecot, mailuser: User, name: str
) -> None:
    """RFC 9112 §8: never a short answer that looks complete; the next time there is none."""
    path = (await paths(client))[name]
    response = await client.http.get(
        client.url + path, headers=client.headers, read_bufsize=1 << 16
    )
    octets = await response.content.readexactly(1000)
    arguments = ("expunge", "-u", mailuser.username, "mailbox", "INBOX", "all")
    await asyncio.to_thread(dovecot.doveadm, *arguments)
    await asyncio.to_thread(dovecot.doveadm, "kick", mailuser.username)
    whole = MESSAGE if name == "message" else NOISE
    with pytest.raises((ClientPayloadError, ClientConnectionError)):
        octets += await response.content.read()
    assert len(octets) < len(whole)
    assert whole.startswith(octets)
    assert (await client.get(path)).status == 404


FORMS = (
    *("m{}", "p1-{}", "p2-{}", "p2m1-{}", "p2m1m1-{}", "p1_1-{}", "p9-{}", "p1m9-{}"),
    *("q{}", "qAEBA-{}", "u{}", "x{}", "{}", "m", "p-", "p1-", "m{}.eml", "..", "m%00"),
)


@pytest.mark.checklist("J09")
async def test_whatever_is_not_the_users_looks_the_same(
    client: Client, dovecot: Dovecot, tmp_path: Path
) -> None:
    """Threat R10: blobs of others, unknown ones and what is no blob id; of GET, HEAD and ranges."""
    other = dovecot.add_user()
    theirs = (await client.call("Email/query"))["ids"][0]
    thief = Client(client.http, client.url, other)
    await thief.session()
    answers: set[Any] = set()
    for form in FORMS:
        for id_ in (theirs, "E" + "A" * 16, "Eunknown"):
            path = path_of(thief, form.format(id_))
            response = await thief.get(path)
            fields = tuple(name for name, _ in response.raw_headers)
            answers.add((response.status, fields, await response.read()))
            ranged = await thief.http.get(
                thief.url + path, headers={**thief.headers, "Range": "bytes=0-1"}
            )
            answers.add((ranged.status, fields, await ranged.read()))
            head = await thief.http.head(thief.url + path, headers=thief.headers)
            assert head.status == 404
    ((status, _, _),) = answers
    assert status == 404
