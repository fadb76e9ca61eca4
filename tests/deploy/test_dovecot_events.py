"""RFC 5423: a real Dovecot reports what happens in it, with the files of deploy/dovecot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer
from aiohttp.typedefs import Handler

from gateway.http.events import Report, event_handler
from gateway.http.health import create_admin_app
from tests.servers.dovecot import Dovecot
from tests.servers.dovecot_config import Options
from tests.servers.mail_server import User, expect_ok
from tests.sync.letters import letter

FILES = Path(__file__).parents[2] / "deploy" / "dovecot"
SECRET = "0123456789abcdef" * 3
SECONDS = 20.0

Change = Callable[[Dovecot, User], object]


@dataclass
class Node:
    """A node of the gateway, as far as the mail server knows it."""

    marked: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    mailboxes: list[str] = field(default_factory=list)
    deliveries: int = 0

    def heard(self, report: Report) -> None:
        """Called when the mail server reports a change."""
        self.mailboxes = report.mailboxes
        self.deliveries += report.is_delivery
        self.marked.put_nowait(report.username)

    @asynccontextmanager
    async def listening(self, secret: str) -> AsyncIterator[str]:
        """Serve /events; gives the URL."""
        app = create_admin_app(_ping, event_handler(self.heard, secret))
        app.middlewares.append(self._in_time)
        self.answering.set()
        async with TestServer(app) as server:
            yield str(server.make_url("/events"))

    @web.middleware
    async def _in_time(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        await self.answering.wait()
        return await handler(request)

    async def is_told(self) -> str:
        """Wait for the next account that is marked."""
        return await asyncio.wait_for(self.marked.get(), SECONDS)

    def forget(self) -> None:
        """Only what comes from now on is of interest."""
        while not self.marked.empty():
            self.marked.get_nowait()


async def _ping() -> None:
    """The store is there."""


def options(directory: Path, urls: Sequence[str], secret: str = SECRET) -> Options:
    """The configuration that comes with the gateway, with its paths and URLs put in."""
    file = directory / "secret"
    file.write_text(secret + "\n")
    text = (FILES / "11-jmap-gateway.conf").read_text()
    for placeholder, value in (
        ("/etc/dovecot/jmap-gateway-push.lua", str(FILES / "push.lua")),
        ("/etc/dovecot/jmap-gateway.secret", str(file)),
        ("http://127.0.0.1:8081/events", " ".join(urls)),
    ):
        assert text.count(placeholder) == 1
        text = text.replace(placeholder, value)
    return Options(extra=text)


@asynccontextmanager
async def reporting(directory: Path, node: Node) -> AsyncIterator[Dovecot]:
    """Start a Dovecot that reports to a node."""
    async with node.listening(SECRET) as url:
        with Dovecot(options(directory, [url])) as server:
            yield server


def flagged(flags: str, how: str = "+FLAGS") -> Change:
    def change(server: Dovecot, user: User) -> None:
        with server.imap(user) as client:
            client.select("Projects")
            expect_ok(client.uid("STORE", "1", how, flags))

    return change


def expunged(server: Dovecot, user: User) -> None:
    flagged("(\\Deleted)")(server, user)
    with server.imap(user) as client:
        client.select("Projects")
        expect_ok(client.expunge())


def commanded(verb: str, *names: str) -> Change:
    def change(server: Dovecot, user: User) -> None:
        with server.imap(user) as client:
            expect_ok(getattr(client, verb)(*names))

    return change


CHANGES: dict[str, Change] = {
    "MessageNew": lambda server, user: server.deliver(user, letter(8).octets),
    "MessageAppend": lambda server, user: server.append(user, "Sent", letter(9).octets),
    "MessageExpunge": expunged,
    "FlagsSet": flagged("(\\Flagged $label)"),
    "FlagsClear": flagged("(\\Flagged)", "-FLAGS"),
    "MessageRead": flagged("(\\Seen)"),
    "MessageTrash": flagged("(\\Deleted)"),
    "MailboxCreate": commanded("create", "New"),
    "MailboxDelete": commanded("delete", "Projects"),
    "MailboxRename": commanded("rename", "Projects", "Things"),
    "MailboxSubscribe": commanded("subscribe", "INBOX"),
    "MailboxUnsubscribe": commanded("unsubscribe", "Projects"),
}


async def test_every_change_marks_the_account(tmp_path: Path) -> None:
    """RFC 5423 §4: whatever changes, over IMAP or LMTP, in whichever mailbox."""
    node = Node()
    async with reporting(tmp_path, node) as server:
        for name, change in CHANGES.items():
            user = server.add_user()
            await asyncio.to_thread(server.create, user, "Projects")
            first = letter(1).octets
            await asyncio.to_thread(
                server.append, user, "Projects", first, ["\\Flagged"] if "Clear" in name else []
            )
            node.forget()
            await asyncio.to_thread(change, server, user)
            assert await node.is_told() == user.username, name


async def test_a_report_names_the_mailboxes(tmp_path: Path) -> None:
    """As the user names them, whatever is in the names."""
    node = Node()
    async with reporting(tmp_path, node) as server:
        user = server.add_user()
        await asyncio.to_thread(server.create, user, "Pro&-jects")
        node.forget()
        await asyncio.to_thread(server.append, user, "Pro&-jects", letter(1).octets)
        assert await node.is_told() == user.username
        assert node.mailboxes == ["Pro&jects"]


async def test_many_messages_of_one_command_are_one_report(tmp_path: Path) -> None:
    """RFC 5423 §4.1: a STORE of hundreds costs the mail server one request."""
    node = Node()
    async with reporting(tmp_path, node) as server:
        user = server.add_user()

        def change() -> None:
            server.append_all(user, "INBOX", [letter(number) for number in range(1, 60)])
            with server.imap(user) as client:
                client.select("INBOX")
                expect_ok(client.uid("STORE", "1:*", "+FLAGS", "(\\Seen)"))

        await asyncio.to_thread(change)
        appended, stored, inbox_created = 59, 1, 3
        assert appended < node.marked.qsize() <= appended + stored + inbox_created


async def test_a_gateway_that_is_away_or_hangs_does_not_hold_up_mail(tmp_path: Path) -> None:
    """RFC 5423 §3: mail is delivered, and the nodes that are there are told of it."""
    gone, hanging, there = Node(), Node(), Node()
    async with gone.listening(SECRET) as away:
        pass
    async with hanging.listening(SECRET) as slow, there.listening(SECRET) as well:
        hanging.answering.clear()
        with Dovecot(options(tmp_path, [away, slow, well])) as server:
            user = server.add_user()

            def change() -> None:
                with server.imap(user) as client:
                    for _ in range(20):
                        expect_ok(client.create("New"))
                        expect_ok(client.delete("New"))
                server.deliver(user, letter(1).octets)

            async with asyncio.timeout(SECONDS):
                await asyncio.to_thread(change)
            assert await there.is_told() == user.username
            hanging.answering.set()


async def test_a_mail_server_with_the_wrong_secret_marks_nothing(tmp_path: Path) -> None:
    """RFC 6750 §3: it is told, and its log says so."""
    node = Node()
    async with node.listening(SECRET) as url:
        with Dovecot(options(tmp_path, [url], secret="another" * 8)) as server:
            user = server.add_user()
            await asyncio.to_thread(server.deliver, user, letter(1).octets)
            async with asyncio.timeout(SECONDS):
                while "401 Unauthorized" not in server.log():
                    await asyncio.sleep(0.01)
    assert node.marked.empty()
