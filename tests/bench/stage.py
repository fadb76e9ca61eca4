"""What a benchmark works with: Dovecots with the mailboxes, the gateway as a child, its client."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.bench.mailboxes import PROFILES, Format, provide
from tests.servers.dovecot import Dovecot, User
from tests.servers.dovecot_config import Options
from tests.servers.process import Child, free_port

CORE, MAIL = "urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"
SUBMISSION = "urn:ietf:params:jmap:submission"
_REQUEST_SECONDS = 120.0
# When a gateway counts as idle.
_IDLE_SECONDS = 6.0
_POLL_SECONDS = 0.5
_BUSY_SHARE = 0.1


class Stage:
    """Starts each server once, and gives each profile's mailboxes to it once."""

    def __init__(self) -> None:
        self._servers: dict[Format, Dovecot] = {}
        self._users: dict[str, list[User]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def server(self, profile: str) -> Dovecot:
        """Return the running server that has a profile's users."""
        format_ = PROFILES[profile].format
        if format_ not in self._servers:
            server = Dovecot(Options(mail_format=format_))
            self._servers[format_] = self._stack.enter_context(server)
        return self._servers[format_]

    def users(self, profile: str) -> list[User]:
        """Return the users of a profile, whose mailboxes are there."""
        if profile not in self._users:
            self._users[profile] = provide(self.server(profile), PROFILES[profile])
        return self._users[profile]

    def user(self, profile: str) -> User:
        """Return the user, or the first one, of a profile."""
        return self.users(profile)[0]

    def imap_port(self, profile: str) -> int:
        """Return the port of the server that has a profile's users."""
        return self.server(profile).ports.imap


class Gateway:
    """A `jmap-gateway serve` with an empty store, of its own process."""

    def __init__(self, imap_port: int, further: dict[str, str]) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="jmap-gateway-bench-"))
        self._pid_file = self.directory / "pid"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        settings = {
            "JMAP_GATEWAY_SERVER__ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
            "JMAP_GATEWAY_SERVER__DATA_DIR": str(self.directory),
            **further,
        }
        flags = {
            "--listen": f"127.0.0.1:{port}",
            "--imap": f"imap://127.0.0.1:{imap_port}",
            "--store": f"sqlite://{self.directory}/store.db",
        }
        self._child = Child(
            [
                *("/bin/sh", "-c", 'echo $$ > "$0"; exec env "$@"', str(self._pid_file)),
                *(f"{name}={value}" for name, value in settings.items()),
                *(sys.executable, "-m", "gateway", "serve"),
                *(word for flag in flags.items() for word in flag),
            ],
            self.directory / "log",
        )
        self._child.wait_until(self._listens)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    async def settled(self) -> None:
        """Return when the process has had nothing to do for longer than it puts off its saving."""
        used, idle = self._processor_seconds(), 0.0
        while idle < _IDLE_SECONDS:
            await asyncio.sleep(_POLL_SECONDS)
            before, used = used, self._processor_seconds()
            idle = idle + _POLL_SECONDS if used - before < _BUSY_SHARE * _POLL_SECONDS else 0.0

    def resident(self) -> int:
        """Return how many octets of memory the process takes."""
        pid = self._pid_file.read_text().strip()
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _processor_seconds(self) -> float:
        pid = self._pid_file.read_text().strip()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End the process and remove what it stored."""
        self._child.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def log(self) -> str:
        """Return the last lines of the log."""
        return self._child.log()


@contextmanager
def gateway(imap_port: int, settings: dict[str, str] | None = None) -> Iterator[Gateway]:
    """Give a gateway in front of an IMAP server; shows its log when the block fails.

    settings: more of them, as environment variables.
    """
    child = Gateway(imap_port, settings or {})
    try:
        yield child
    except BaseException:
        print(child.log(), file=sys.stderr)
        raise
    finally:
        child.close()


class JmapClient:
    """RFC 8620: one user's client, with connections that are kept open."""

    def __init__(self, url: str, user: User, connections: int = 4) -> None:
        login = b64encode(f"{user.username}:{user.password}".encode()).decode()
        self._url = url
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections),
            headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"},
            timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS),
        )
        self.account = ""
        self.using = [CORE, MAIL]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def session(self) -> dict[str, Any]:
        """Get the session, which tells `account`."""
        async with self._http.get(f"{self._url}/jmap/session") as answer:
            answer.raise_for_status()
            session: dict[str, Any] = await answer.json()
        self.account = session["primaryAccounts"][MAIL]
        return session

    async def inbox(self) -> str:
        """Return the id of the inbox."""
        (_, found, _), *_ = await self.call(["Mailbox/query", {"filter": {"role": "inbox"}}])
        identifier: str = found["ids"][0]
        return identifier

    def request(self, *calls: list[Any]) -> bytes:
        """Return a request: each call is [name, arguments], the account is added."""
        method_calls = [
            [name, {"accountId": self.account, **arguments}, str(number)]
            for number, (name, arguments) in enumerate(calls)
        ]
        return json.dumps({"using": self.using, "methodCalls": method_calls}).encode()

    async def call(self, *calls: list[Any]) -> list[Any]:
        """Make a request and return its responses. Raises RuntimeError if one is an error."""
        return self.responses(await self.post(self.request(*calls)))

    def responses(self, answer: bytes) -> list[Any]:
        """Return the responses of an answer. Raises RuntimeError if one is an error."""
        responses: list[Any] = json.loads(answer)["methodResponses"]
        for response in responses:
            if response[0] == "error":
                raise RuntimeError(f"the gateway answered {response}")
        return responses

    async def post(self, body: bytes) -> bytes:
        """Post a request and return the whole answer."""
        async with self._http.post(f"{self._url}/jmap/api", data=body) as answer:
            octets = await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"the gateway answered {answer.status} {octets!r}")
            return octets

    async def timed(self, body: bytes) -> float:
        """Post a request and return the seconds until its answer was there."""
        started = time.perf_counter()
        await self.post(body)
        return time.perf_counter() - started

    async def outcome(self, body: bytes) -> str:
        """Post a request and return what became of it, "ok" if all is well."""
        try:
            async with self._http.post(f"{self._url}/jmap/api", data=body) as answer:
                octets = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__
        if answer.status != 200:
            return f"status {answer.status}"
        return "method error" if b'["error",' in octets else "ok"


@asynccontextmanager
async def settled_client(
    child: Gateway, user: User, connections: int = 4
) -> AsyncIterator[JmapClient]:
    """Give a client whose account the gateway knows all of, with nothing left to do for it."""
    async with JmapClient(child.url, user, connections) as client:
        await client.session()
        # Only once every message is known can this be answered.
        await client.call(["Email/query", {"filter": {"hasAttachment": True}, "limit": 1}])
        await child.settled()
        yield client


def inbox_request(client: JmapClient, inbox: str) -> bytes:
    """Return the request that opens an inbox in one round trip."""
    query = {
        "filter": {"inMailbox": inbox},
        "sort": [{"property": "receivedAt", "isAscending": False}],
        "collapseThreads": True,
        "limit": 50,
    }
    shown = "id threadId mailboxIds keywords from to subject receivedAt size hasAttachment preview"
    reference = {"resultOf": "1", "name": "Email/query", "path": "/ids"}
    return client.request(
        ["Mailbox/get", {"ids": None}],
        ["Email/query", query],
        ["Email/get", {"#ids": reference, "properties": shown.split()}],
    )
