"""RFC 5465, RFC 2177: watchers of real and scripted servers, without the account around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.imap.commands.list import list_mailboxes
from gateway.imap.commands.namespace import namespaces
from gateway.imap.commands.status import Status
from gateway.imap.connection import Connection, Credentials, Endpoint
from gateway.imap.pool import Pool
from gateway.sync.extent import Extent, Kind
from gateway.sync.mailboxes import Mailbox, tree
from gateway.sync.watcher import Watch, Watcher
from tests.servers.mail_server import User

SECONDS = 20.0


@dataclass
class Listed:
    """The mailboxes as of the last look."""

    mailboxes: Mapping[str, Mailbox] = field(default_factory=dict)


@dataclass
class Told:
    """One account that is watched; `changes` counts what it was told."""

    listed: Listed
    changes: int = 0
    told: asyncio.Event = field(default_factory=asyncio.Event)
    watch: Watch = field(init=False)

    def list(self, *wires: bytes) -> None:
        """Have these mailboxes from now on."""
        self.listed.mailboxes = {
            wire.decode(): Mailbox(
                id=wire.decode(),
                wire=wire,
                path=(wire.decode(),),
                parent_id=None,
                role=None,
                is_subscribed=False,
                rights="lr",
                status=Status(),
            )
            for wire in wires
        }
        self.watch.listed()

    def on_change(self) -> None:
        """Called by the watcher."""
        self.changes += 1
        self.told.set()

    async def change(self) -> None:
        """Wait until a change is told that was not when this was last called."""
        await asyncio.wait_for(self.told.wait(), SECONDS)
        self.told.clear()

    async def until(self, *, vouches: bool) -> None:
        """Wait until the watcher vouches, or no longer does; each comes with a change told."""
        async with asyncio.timeout(SECONDS):
            while self.watch.vouches != vouches:
                await asyncio.sleep(0.01)


@dataclass
class Watching(Told):
    """A watcher at work on a user's own account."""

    pool: Pool = field(kw_only=True)
    connections: list[Connection] = field(default_factory=list)
    watcher: Watcher = field(init=False)

    def join(self, *wires: bytes) -> Told:
        """Watch one more account, which has these mailboxes below `shared/<user>`."""
        other = Told(Listed())
        root = "/".join(wires[0].decode().split("/")[:2])
        extent = Extent(Kind.USER, root, "/", root.removeprefix("shared/"))
        other.watch = self.watcher.join(other.listed, other.on_change, extent)
        other.list(*wires)
        return other

    async def on_inbox(self) -> Connection:
        """Wait until the inbox is watched; gives the connection."""
        async with asyncio.timeout(SECONDS):
            while True:
                for each in self.connections:
                    if each.selected is not None and each.busy and not each.closed:
                        return each
                await asyncio.sleep(0.01)

    async def look(self) -> None:
        """Read what mailboxes there are."""
        async with self.pool.connection() as connection:
            self.listed.mailboxes = tree(
                await list_mailboxes(connection), await namespaces(connection), {}, {}
            )


@asynccontextmanager
async def watching(
    port: int,
    user: User,
    *,
    active: bool = True,
    server_events: bool = False,
    connections: int = 2,
) -> AsyncIterator[Watching]:
    """Run a watcher on an account of the server at this port of 127.0.0.1."""
    opened: list[Connection] = []

    async def connect() -> Connection:
        connection = await Connection.open(Endpoint("127.0.0.1", port, "plain"), None)
        opened.append(connection)
        await connection.login(Credentials(user.username, user.password), "127.0.0.1")
        return connection

    pool = Pool(connect, connections)
    made = Watching(Listed(), pool=pool, connections=opened)
    await made.look()
    made.watcher = Watcher(pool, server_events=server_events)
    made.watch = made.watcher.join(made.listed, made.on_change)
    made.watch.active = active
    running = asyncio.create_task(made.watch.run())
    try:
        yield made
        if running.done():
            running.result()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await pool.close()
