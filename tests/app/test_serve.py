"""Design §2: the process: its start, its listeners and its end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, encode_basic_auth

from tests.servers.process import free_port

SECONDS = 30


@asynccontextmanager
async def gateway(
    directory: Path, *arguments: str, admin: str = "127.0.0.1:0"
) -> AsyncIterator[Process]:
    """Start `jmap-gateway serve` with a data directory."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "gateway", "serve"],
        *arguments,
        env={
            "PATH": os.environ["PATH"],
            "JMAP_GATEWAY_SERVER__LISTEN": "127.0.0.1:0",
            "JMAP_GATEWAY_SERVER__ADMIN_LISTEN": admin,
            "JMAP_GATEWAY_SERVER__DATA_DIR": str(directory),
            "JMAP_GATEWAY_IMAP__URL": "imap://127.0.0.1:1",
        },
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def url_of(process: Process) -> str:
    """Wait until the service answers and give its URL."""
    assert process.stdout is not None
    async with asyncio.timeout(SECONDS):
        line = (await process.stdout.readline()).decode()
    assert line.startswith("Session: http://127.0.0.1:"), line
    return line.removeprefix("Session: ").strip().removesuffix("/.well-known/jmap")


async def failure_of(process: Process, status: int) -> str:
    """Wait until the process ends and give what it said."""
    async with asyncio.timeout(SECONDS):
        _, error = await process.communicate()
    assert process.returncode == status, error.decode()
    assert b"Traceback" not in error
    return error.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_requests_under_way_are_answered_before_the_end(
    tmp_path: Path, number: signal.Signals
) -> None:
    """The mail server is silent until the gateway is told to stop."""
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await stopping.wait()
        writer.close()

    stopping = asyncio.Event()
    async with AsyncExitStack() as stack:
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        stack.callback(server.close)
        process = await stack.enter_async_context(
            gateway(tmp_path, "--imap", f"imap://127.0.0.1:{port}")
        )
        url = await url_of(process)
        http = await stack.enter_async_context(ClientSession())
        headers = {"Authorization": encode_basic_auth("ann", "pw")}
        request = asyncio.create_task(http.get(f"{url}/jmap/session", headers=headers))
        async with asyncio.timeout(SECONDS):
            await asked.wait()
            process.send_signal(number)
            assert process.stderr is not None
            while b'"stopping"' not in await process.stderr.readline():
                pass
            stopping.set()
            assert (await request).status == 503
            assert await process.wait() == 0


@pytest.mark.threat("R32")
async def test_operators_have_a_listener_of_their_own(tmp_path: Path) -> None:
    """Threat R32."""
    admin = f"127.0.0.1:{free_port()}"
    async with gateway(tmp_path, admin=admin) as process, ClientSession() as http:
        url = await url_of(process)
        for path in ("/healthz/live", "/healthz/ready", "/metrics"):
            assert (await http.get(f"http://{admin}{path}")).status == 200
            assert (await http.get(f"{url}{path}")).status == 404


async def test_port_that_is_taken(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    taken = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with gateway(tmp_path, "--listen", taken) as process:
        assert "address already in use" in await failure_of(process, 1)
    server.close()


async def test_store_that_can_not_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with gateway(tmp_path, "--store", f"sqlite://{tmp_path}/file/store.db") as process:
        assert "jmap-gateway can not start: sqlite" in await failure_of(process, 1)


async def test_store_that_may_come_later(tmp_path: Path) -> None:
    """What is in the store can be made again, so the gateway serves without it."""
    store = f"redis://127.0.0.1:{free_port()}"
    async with gateway(tmp_path, "--store", store) as process, ClientSession() as http:
        url = await url_of(process)
        assert (await http.get(f"{url}/jmap/session")).status == 401


async def test_problems_of_the_configuration_are_told_all_at_once(tmp_path: Path) -> None:
    arguments = ["--imap", "pop3://x", "--listen", "here", "--store", "mongodb://x"]
    async with gateway(tmp_path, *arguments) as process:
        lines = (await failure_of(process, 2)).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["--listen", "--imap", "--store"]
