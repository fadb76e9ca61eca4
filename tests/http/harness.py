"""The service over a fake mail server."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from limits import RateLimitItem

from gateway.auth.authenticator import Authenticator
from gateway.auth.basic import Basic
from gateway.auth.limiter import FailureLimiter
from gateway.auth.tickets import Tickets
from gateway.config import Address, Network, Origin, ServerConfig
from gateway.http.challenge import Challenges
from gateway.http.observe import ObservedRegistry
from gateway.http.routes import create_app
from gateway.http.server import create_runner
from gateway.http.services import Services
from gateway.imap.errors import AuthenticationFailed
from gateway.jmap.errors import MethodError
from gateway.jmap.limits import Limits
from gateway.jmap.methods.echo import ECHO
from gateway.jmap.registry import Call, Method
from gateway.sasl import AnyCredentials, Credentials
from gateway.store.memory import MemoryBackend
from gateway.store.sealed import SealedStore
from gateway.store.windows import Windows
from gateway.sync.budgets import Budgets, Kind
from gateway.sync.uploads import Uploads

MAIL = "urn:ietf:params:jmap:mail"
CORE = "urn:ietf:params:jmap:core"
USER, PASSWORD = "ann@example.test", "correct horse"
OTHER = "bob@example.test"

Client = TestClient[Any, Any]


def basic(username: str = USER, password: str = PASSWORD) -> dict[str, str]:
    """Give the Authorization header."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


@dataclass
class FakeAccount:
    """Its data types are as told by change(); `ended` is final; `look` is what fresh() does."""

    username: str
    look: Callable[[], Awaitable[None]] | None = None
    types: dict[str, str] = field(default_factory=lambda: {"Email": "e0", "Mailbox": "m0"})
    ended: bool = False
    given_id: str = ""
    listeners: list[FakeListener] = field(default_factory=list)
    store: MemoryBackend = field(default_factory=MemoryBackend)

    @property
    def uploads(self) -> Uploads:
        return Uploads(SealedStore(self.store, b"secret").durable, self.id, 50_000_000)

    @property
    def id(self) -> str:
        return self.given_id or "a" + self.username.partition("@")[0]

    async def fresh(self) -> None:
        if self.look is not None:
            await self.look()

    def states(self) -> dict[str, str]:
        return dict(self.types)

    @contextmanager
    def watch(self) -> Iterator[FakeListener]:
        listener = FakeListener(self)
        self.listeners.append(listener)
        try:
            yield listener
        finally:
            self.listeners.remove(listener)

    def change(self, **types: str) -> None:
        self.types |= types
        self._wake()

    def end(self) -> None:
        self.ended = True
        self._wake()

    def _wake(self) -> None:
        for listener in self.listeners:
            listener.woken.set()


class FakeListener:
    def __init__(self, account: FakeAccount) -> None:
        self.account = account
        self.woken = asyncio.Event()

    async def wait(self) -> bool:
        if not self.account.ended:
            await self.woken.wait()
        self.woken.clear()
        return not self.account.ended


class FakeFollowing:
    """The only account of a user."""

    def __init__(self, account: FakeAccount) -> None:
        self.account = account
        self.stack = ExitStack()

    @property
    def account_id(self) -> str:
        return self.account.id

    async def __aenter__(self) -> Self:
        self.listener = self.stack.enter_context(self.account.watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stack.close()

    async def fresh(self) -> None:
        await self.account.fresh()

    def states(self) -> dict[str, dict[str, str]]:
        return {self.account.id: self.account.states()}

    async def wait(self) -> bool:
        return await self.listener.wait()


@dataclass(frozen=True)
class FakeShare:
    """What `owner` shares with others."""

    owner: str
    is_read_only: bool = False

    @property
    def name(self) -> str:
        return self.owner


@dataclass
class FakeBlob:
    """`size` as announced; after `octets`, `error` is raised if there is one."""

    octets: list[bytes]
    size: int | None
    error: Exception | None = None
    closed: bool = False
    taken: int = 0

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes, None]:
        position = 0
        try:
            for chunk in self.octets:
                end = position + len(chunk)
                if end > start and (stop is None or position < stop):
                    self.taken += 1
                    last = len(chunk) if stop is None else stop - position
                    yield chunk[max(0, start - position) : last]
                position = end
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True

    async def measure(self) -> int:
        self.size = sum(map(len, self.octets))
        return self.size


@dataclass
class Backend:
    """The mail server and what it knows; `addresses` are those of the clients that logged in."""

    passwords: dict[str, str] = field(default_factory=lambda: {USER: PASSWORD, OTHER: PASSWORD})
    active: dict[str, FakeAccount] = field(default_factory=dict)
    addresses: list[str] = field(default_factory=list)
    blobs: dict[tuple[str, str], FakeBlob] = field(default_factory=dict)
    shares: dict[str, dict[str, FakeShare]] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    broken: Exception | None = None
    budgets: dict[Kind, RateLimitItem] = field(default_factory=dict)
    store: SealedStore = field(default_factory=lambda: SealedStore(MemoryBackend(), b"secret"))
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: list[dict[str, Any]] = field(default_factory=list)
    running: int = 0
    finished: int = 0
    most_running: int = 0

    async def login(self, credentials: AnyCredentials, client_address: str) -> FakeAccount:
        self.addresses.append(client_address)
        if self.broken is not None:
            raise self.broken
        username = credentials.username
        if Credentials(username, self.passwords.get(username, "")) != credentials:
            raise AuthenticationFailed("AUTHENTICATIONFAILED", "Authentication failed.")
        return self.active.setdefault(username, FakeAccount(username))

    def get(self, username: str) -> FakeAccount | None:
        return self.active.get(username)

    async def shared(
        self, account: FakeAccount, _seconds: float | None = None
    ) -> dict[str, FakeShare]:
        return self.shares.get(account.username, {})

    async def open(self, account: FakeAccount, account_id: str) -> FakeAccount | None:
        share = self.shares.get(account.username, {}).get(account_id)
        self.opened.append(account_id)
        return FakeAccount(share.owner, given_id=account_id) if share is not None else None

    def follow_known(self, username: str, was_told: Callable[[str], bool]) -> FakeFollowing | None:
        return FakeFollowing(self.active[username]) if username in self.known else None

    def follow(self, account: FakeAccount, _was_told: Callable[[str], bool]) -> FakeFollowing:
        return FakeFollowing(account)

    async def open_blob(self, account: FakeAccount, blob_id: str) -> FakeBlob | None:
        if self.broken is not None:
            raise self.broken
        return self.blobs.get((account.id, blob_id))

    async def wait(self, _call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
        """Test/wait, Test/write: waits for the gate."""
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.gate.wait()
            self.finished += 1
        finally:
            self.running -= 1
        return arguments

    async def crash(self, _call: Call, _arguments: dict[str, Any]) -> dict[str, Any]:
        """Test/crash: has a bug."""
        raise KeyError("canary-subject")

    async def account(self, call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
        """Test/account: says whose account it is."""
        return {"owner": call.account(arguments, MAIL).account.username}

    async def tell(self, call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
        """Test/tell: wants to know when its answer has arrived."""
        call.answered.append(lambda: self.arrived.append(arguments))
        return {}

    async def read(self, _call: Call, _arguments: dict[str, Any]) -> dict[str, Any]:
        """Test/read: needs the mail server."""
        if self.broken is not None:
            raise MethodError("forbidden") from self.broken
        return {}


def server_config(**keys: Any) -> ServerConfig:
    """Give a configuration; lists of text are parsed as the operator would write them."""
    if "cors_origins" in keys:
        keys["cors_origins"] = tuple(map(Origin.parse, keys["cors_origins"]))
    if "trusted_proxies" in keys:
        keys["trusted_proxies"] = tuple(map(Network.parse, keys["trusted_proxies"]))
    return ServerConfig(listen=Address("127.0.0.1", 0), data_dir=Path("unused"), **keys)


def make_services(backend: Backend, limits: Limits, server: ServerConfig) -> Services:
    windows = Windows(None, b"s" * 32)
    limiter = FailureLimiter(windows, per_minute=3, per_day=50)
    auth = Authenticator([Basic()], backend, limiter, cache_seconds=300)
    return Services(
        server=server,
        limits=limits,
        authenticator=auth,
        registry=ObservedRegistry(
            (),
            (
                ECHO,
                Method("Test/wait", MAIL, backend.wait),
                Method("Test/write", MAIL, backend.wait, writes=True),
                Method("Test/crash", MAIL, backend.crash),
                Method("Test/read", MAIL, backend.read),
                Method("Test/tell", MAIL, backend.tell),
                Method("Test/account", MAIL, backend.account),
            ),
            auth.forget,
        ),
        capabilities=lambda account: {MAIL: {}},
        account_capabilities=lambda account: {MAIL: {"maxMailboxDepth": None}},
        accounts=backend,
        open_blob=backend.open_blob,
        tickets=Tickets(backend.store.durable),
        challenges=Challenges(server, has_passwords=True, has_tokens=False),
        budgets=Budgets(windows, backend.budgets),
    )


class Server(TestServer):
    """Serves as in production, but on any free port."""

    async def _make_runner(self, **_: Any) -> web.AppRunner:
        return create_runner(self.app, shutdown_seconds=5)


class Harness:
    """Starts services and gives clients for them; `client` is one of default settings."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.backend = Backend()

    async def start(self, server: ServerConfig | None = None, **limits: Any) -> Client:
        services = make_services(
            self.backend, replace(Limits(), **limits), server or server_config()
        )
        app = create_app(services)
        return await self._stack.enter_async_context(TestClient(Server(app)))


async def call(client: Client, *calls: Any, using: list[str] | None = None) -> ClientResponse:
    """POST a Request with these method calls."""
    body = {"using": [CORE, MAIL] if using is None else using, "methodCalls": list(calls)}
    return await client.post("/jmap/api", json=body, headers=basic())


async def problem_of(response: ClientResponse, status: int) -> dict[str, Any]:
    """Give the body of an error response, checked to be a problem details object."""
    assert response.status == status, await response.text()
    assert response.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = await response.json(content_type=None)
    assert problem["status"] == status
    assert isinstance(problem["type"], str)
    return problem
