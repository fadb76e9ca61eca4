"""RFC 8620 §6: uploads to the whole gateway, which may end at any moment."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs

from gateway.app import running
from gateway.http import session
from gateway.sync.uploads import PENDING_SECONDS
from tests.app.harness import Client, client_of, settings
from tests.app.sharing import accounts, letter, share
from tests.app.test_serve import gateway, url_of
from tests.servers.dovecot import Dovecot, User
from tests.servers.dovecot_config import Options
from tests.servers.redis import Redis

SECONDS = 60.0
NOISE = Random(8620).randbytes(3_000_000)


async def upload(client: Client, octets: bytes, account_id: str = "") -> dict[str, Any]:
    """The answer to an upload, by default to the user's own account."""
    if not client.account_id:
        await client.session()
    url = f"{client.url}/jmap/upload/{account_id or client.account_id}"
    response = await client.http.post(url, data=octets, headers=client.headers)
    assert response.status == 201, await response.text()
    answer: dict[str, Any] = await response.json()
    return answer


def path_of(account_id: str, blob_id: str) -> str:
    return f"/jmap/download/{account_id}/{blob_id}/film?type=video/mp4"


@pytest.mark.checklist("J01", "J03", "J08")
async def test_an_upload_is_downloaded_whole_and_in_ranges_and_outlives_the_gateway(
    dovecot: Dovecot, mailuser: User, tmp_path: Path
) -> None:
    """RFC 9110 §14: as any other blob, from the store of SQLite."""
    config = settings(dovecot, tmp_path)
    async with asyncio.timeout(SECONDS):
        async with client_of(config, mailuser) as client:
            answer = await upload(client, NOISE)
            assert answer["size"] == len(NOISE)
        async with client_of(config, mailuser) as client:
            path = path_of(answer["accountId"], answer["blobId"])
            response = await client.get(path)
            assert await response.read() == NOISE
            assert response.headers["Content-Length"] == str(len(NOISE))
            assert response.headers["Content-Type"] == "video/mp4"
            tag = response.headers["ETag"]
            ranged = {**client.headers, "Range": "bytes=262100-1000000", "If-Range": tag}
            response = await client.http.get(client.url + path, headers=ranged)
            assert response.status == 206
            assert await response.read() == NOISE[262_100:1_000_001]
            known = {**client.headers, "If-None-Match": tag}
            assert (await client.http.get(client.url + path, headers=known)).status == 304


@pytest.mark.threat("R10")
@pytest.mark.checklist("J04")
async def test_nobody_else_gets_at_an_upload_in_a_shared_account_either(
    dovecot: Dovecot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R10: neither the owner of the account, nor those with whom it is shared."""
    monkeypatch.setattr(session, "SHARED_SECONDS", 0.0)
    with Dovecot(Options(acl=True)) as server:
        ann, bob, eve = (server.add_user() for _ in range(3))
        server.append(bob, "INBOX", letter("in"))
        for user in (ann, eve):
            share(server, bob, "INBOX", user.username, "lr")
        async with (
            asyncio.timeout(SECONDS),
            running(settings(server, tmp_path)) as url,
            ClientSession() as http,
        ):
            clients = {user: Client(http, url, user) for user in (ann, bob, eve)}
            ids = {user: (await accounts(clients[user]))[bob.username][0] for user in (ann, eve)}
            await clients[bob].session()
            ids[bob] = clients[bob].account_id
            for uploader in (ann, bob):
                answer = await upload(clients[uploader], NOISE, ids[uploader])
                assert answer["accountId"] == ids[uploader]
                for user, client in clients.items():
                    for account_id in {*ids.values(), client.account_id}:
                        response = await client.get(path_of(account_id, answer["blobId"]))
                        mine = user == uploader and account_id == ids[uploader]
                        assert response.status == (200 if mine else 404)


def bundles(database: Path) -> list[float]:
    """When each upload in a store expires."""
    with closing(sqlite3.connect(database)) as connection:
        return [expires for (expires,) in connection.execute("SELECT expires FROM bundle")]


async def test_a_killed_gateway_leaves_nothing_for_long(
    dovecot: Dovecot, mailuser: User, tmp_path: Path
) -> None:
    """F1, F14: what it took in is no blob, and goes by itself."""
    imap = ("--imap", f"imap://127.0.0.1:{dovecot.imap_port}")
    database = tmp_path / "store.db"
    async with asyncio.timeout(SECONDS), ClientSession() as http:
        async with gateway(tmp_path, *imap) as process:
            client = Client(http, await url_of(process), mailuser)
            await client.session()
            port = int(client.url.rpartition(":")[2])
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            login = client.headers["Authorization"]
            path = f"/jmap/upload/{client.account_id}"
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {login}\r\n"
            writer.write(f"{head}Content-Length: {len(NOISE) + 1}\r\n\r\n".encode() + NOISE)
            while not bundles(database):
                await asyncio.sleep(0.02)
            process.kill()
            await process.wait()
            writer.close()
        (expires,) = bundles(database)
        assert expires < time.time() + PENDING_SECONDS
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE bundle SET expires = 0")
        async with gateway(tmp_path, *imap) as process:
            await url_of(process)
            while bundles(database):
                await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("policy", "risks"), [("noeviction", 0), ("allkeys-lru", 1)], ids=lambda each: str(each)
)
async def test_a_redis_that_evicts_uploads_is_told_of_at_the_start(
    dovecot: Dovecot, mailuser: User, tmp_path: Path, policy: str, risks: int
) -> None:
    """Design §7."""
    options = {"appendonly": "yes", "maxmemory": "1gb", "maxmemory-policy": policy}
    with Redis(options) as redis, capture_logs() as logs:
        config = settings(dovecot, tmp_path, JMAP_GATEWAY_STORE__URL=redis.url)
        async with asyncio.timeout(SECONDS), client_of(config, mailuser) as client:
            answer = await upload(client, NOISE)
            response = await client.get(path_of(answer["accountId"], answer["blobId"]))
            assert await response.read() == NOISE
    assert sum(line["event"] == "durable data at risk" for line in logs) == risks


async def test_uploads_of_a_user_are_limited_by_the_configuration(
    dovecot: Dovecot, mailuser: User, tmp_path: Path
) -> None:
    """RFC 8620 §6: the oldest go to make room."""
    config = settings(dovecot, tmp_path, JMAP_GATEWAY_UPLOADS__QUOTA_BYTES="50000000")
    async with asyncio.timeout(SECONDS), client_of(config, mailuser) as client:
        old = await upload(client, NOISE)
        new = await upload(client, bytes(48_000_000))
        for answer, status in ((old, 404), (new, 200)):
            path = path_of(answer["accountId"], answer["blobId"])
            response = await client.http.head(client.url + path, headers=client.headers)
            assert response.status == status
