"""RFC 2177: servers that idle badly, or not at all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.imap.commands.idle import REFRESH_SECONDS, idle
from gateway.imap.commands.noop import Noop
from gateway.imap.wire.responses import Untagged
from gateway.sync import watcher
from gateway.sync.account import Account
from gateway.sync.watcher import Watcher
from tests.imap.sessions import connected
from tests.quirks.shown import inbox, letters
from tests.servers.scripted import Peer, Received, Scripted
from tests.servers.small import Small, account_of

_SECONDS = 20.0


class Idling(Small):
    """Idles, and has nothing to tell."""

    capabilities = b"IMAP4rev1 LITERAL+ ID IDLE"
    idles = 0

    async def idle(self, peer: Peer, command: Received) -> None:
        self.idles += 1
        await peer.send(b"+ idling")
        assert await peer.line() == b"DONE"
        await peer.ok(command)


async def _watched(account: Account, times: int) -> None:
    """Wait until the watcher has told of so many changes."""
    told: asyncio.Queue[None] = asyncio.Queue()
    watch = Watcher(account.pool).join(account.data, lambda: told.put_nowait(None))
    watching = asyncio.create_task(watch.run())
    async with asyncio.timeout(_SECONDS):
        for _ in range(times):
            await told.get()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


@pytest.mark.quirk(48)
async def test_whatever_comes_while_idling_is_accepted() -> None:
    said = (
        b"* OK Still here",
        b"* OK [ALERT] quota",
        b"* STATUS Other (MESSAGES 4)",
        b'* LIST () "/" New',
        b"* VANISHED 3",
        b"* 1 FETCH (FLAGS (\\Seen))",
        b"* XSOMETHING (a b",
        b"* 0 EXISTS",
    )

    async def script(peer: Peer) -> None:
        command = await peer.command()
        await peer.send(b"+ idling", *said[:4], b"+ still idling", *said[4:])
        assert await peer.line() == b"DONE"
        await peer.ok(command)
        await peer.ok(await peer.command())

    async with connected(script) as (connection, _):
        stop = asyncio.Event()
        heard: list[bytes] = []

        def on_response(response: Untagged) -> None:
            heard.append(response.frame.octets)
            if response.name == "EXISTS":
                stop.set()

        async with asyncio.timeout(_SECONDS):
            await idle(connection, on_response, stop)
            await connection.run(Noop())
        assert tuple(heard) == said


@pytest.mark.quirk(48)
async def test_idling_begins_anew_and_is_not_trusted_to_have_told_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert REFRESH_SECONDS <= 600
    monkeypatch.setattr(idle, "__defaults__", (0.02,))
    monkeypatch.setattr(watcher, "POLL_SECONDS", 0.02)
    small = Idling(*letters(1))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await account.fresh()
        while small.idles < 4:
            await _watched(account, 4)


class Refusing(Idling):
    """Announces IDLE and has none."""

    async def idle(self, peer: Peer, command: Received) -> None:
        await peer.send(command.tag + b" BAD unknown command")


@pytest.mark.quirk(48)
@pytest.mark.parametrize("kind", [Small, Refusing])
async def test_without_idle_the_figures_are_looked_at(
    tmp_path: Path, kind: type[Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "POLL_SECONDS", 0.01)
    async with Scripted(kind(*letters(1))) as server, account_of(server, tmp_path) as account:
        await account.fresh()
        await _watched(account, 3)
        assert account.pool.count <= 2


@pytest.mark.quirk(48)
async def test_bye_without_end_ends_the_watch_only(tmp_path: Path) -> None:
    class Leaving(Idling):
        async def idle(self, peer: Peer, command: Received) -> None:
            await peer.send(b"+ idling")
            while True:
                await peer.send(b"* BYE IMAP4rev1 Server logging out")

    small = Leaving(*letters(1, 2))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        for _ in range(2):
            assert set(await inbox(account)) == {1, 2}
