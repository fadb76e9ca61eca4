"""RFC 8621 §4.8: a large message imported, against the bare APPEND, and the memory it takes."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable
from random import Random
from typing import Any

import aiohttp

from tests.bench.report import Figure, Mark, milliseconds
from tests.bench.stage import Gateway, JmapClient, Stage, gateway
from tests.servers.dovecot import Dovecot, User

_OCTETS = 18_300_000  # as base64 they are 25 MB
_RUNS = 5
_LOOK_SECONDS = 0.01
_MB = 1e6


async def run(_stage: Stage) -> list[Figure]:
    """Import what was uploaded, and what is attached to an Email; append the same in between."""
    uploaded: list[float] = []
    bare: list[float] = []
    seconds: list[float] = []
    imported: list[float] = []
    attached: list[float] = []
    with Dovecot() as server:
        user = server.add_user()
        server.append(user, "INBOX", _enclosed(_message()))
        with gateway(server.ports.imap) as child:
            async with JmapClient(child.url, user) as client:
                await client.session()
                inbox = await client.inbox()
                part = await _attachment(client)
                await child.settled()
                for number in range(_RUNS):
                    message = b"X-Number: %d\r\n" % number + _message()
                    blob_id, growth = await _growth(child, _upload(child, client, user, message))
                    uploaded.append(growth)
                    took, growth = await _growth(child, _import(client, inbox, blob_id))
                    seconds.append(took)
                    imported.append(growth)
                    bare.append(await asyncio.to_thread(_append, server, user, message))
                    _, growth = await _growth(child, _import(client, inbox, part))
                    attached.append(growth)
    shares = [b / s for b, s in zip(bare, seconds, strict=True)]
    return [
        milliseconds("25 MB message imported", seconds),
        Figure("- of the speed of a bare APPEND", "", shares),
        Figure("- memory while it is imported", "MB", imported, Mark("<=", 40)),
        Figure("- memory while it is uploaded", "MB", uploaded),
        Figure("- memory while it is imported from an Email", "MB", attached, Mark("<=", 40)),
    ]


def _message() -> bytes:
    encoded = base64.encodebytes(Random(8621).randbytes(_OCTETS)).replace(b"\n", b"\r\n")
    return (
        b"Subject: Film\r\nMIME-Version: 1.0\r\nContent-Type: video/mp4\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded
    )


def _enclosed(message: bytes) -> bytes:
    return (
        b"Subject: Fwd\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + message + b"\r\n--b--\r\n"
    )


async def _attachment(client: JmapClient) -> str:
    """The blob id of the only message that is attached to one."""
    ids = {"resultOf": "0", "name": "Email/query", "path": "/ids"}
    _, (_, got, _) = await client.call(
        ["Email/query", {}], ["Email/get", {"#ids": ids, "properties": ["attachments"]}]
    )
    blob_id: str = got["list"][0]["attachments"][0]["blobId"]
    return blob_id


async def _upload(child: Gateway, client: JmapClient, user: User, octets: bytes) -> str:
    url = f"{child.url}/jmap/upload/{client.account}"
    authorization = aiohttp.encode_basic_auth(user.username, user.password)
    async with (
        aiohttp.ClientSession(headers={"Authorization": authorization}) as http,
        http.post(url, data=octets) as answer,
    ):
        answer.raise_for_status()
        blob_id: str = (await answer.json())["blobId"]
        return blob_id


async def _import(client: JmapClient, inbox: str, blob_id: str) -> float:
    """Seconds it took. Raises RuntimeError when it is refused."""
    email = {"blobId": blob_id, "mailboxIds": {inbox: True}}
    started = time.perf_counter()
    ((_, answer, _),) = await client.call(["Email/import", {"emails": {"a": email}}])
    if not answer["created"]:
        raise RuntimeError(f"the gateway answered {answer}")
    return time.perf_counter() - started


def _append(server: Dovecot, user: User, message: bytes) -> float:
    started = time.perf_counter()
    server.append(user, "INBOX", message)
    return time.perf_counter() - started


async def _growth(child: Gateway, work: Awaitable[Any]) -> tuple[Any, float]:
    """What the work gives, and how many MB of memory the process takes more at most."""
    before = most = child.resident()
    task = asyncio.ensure_future(work)
    while not task.done():
        await asyncio.wait((task,), timeout=_LOOK_SECONDS)
        most = max(most, child.resident())
    return await task, (most - before) / _MB
