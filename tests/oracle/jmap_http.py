"""RFC 8620 §3: requests to one or several gateways, in flight while other things are done."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from tests.oracle.violations import Counts, Violation

T = TypeVar("T")

USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]
SECONDS = 60.0
RETRY_SECONDS = 0.1
# So long a request is tried again while a server, a store or a gateway is away.
PATIENCE_SECONDS = 30.0
_AWAY = ("serverUnavailable",)
# A gateway closes connections that are idle for longer than this, and may do so any moment.
_IDLE_SECONDS = 30.0
_BUSY_STATUSES = (502, 503, 504)

Call: TypeAlias = tuple[str, dict[str, Any]]
Answer: TypeAlias = tuple[str, dict[str, Any]]
# Yields whenever a request is under way, and returns its answers.
Flight: TypeAlias = Generator[None, None, list[Answer]]


class Gateway(Protocol):
    """A gateway that runs, or is about to: `name` stays the same when it is started again."""

    @property
    def name(self) -> str:
        """What it is called in reports."""
        ...

    @property
    def running(self) -> bool:
        """Whether it was started and not ended since."""
        ...

    def address(self) -> tuple[str, int]:
        """Where it listens; waits until it does."""
        ...


class Away(Exception):
    """There was no answer, or one that says to come back; the text says why."""


@dataclass(frozen=True, slots=True)
class Login:
    """Whose account it is."""

    username: str
    password: str

    @property
    def header(self) -> str:
        """The value of Authorization (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Alter:
    """What is done to each call before it is sent, and to each answer before anyone sees it.

    Tests of the oracle itself lie that way.
    """

    asked: Callable[[Call], Call] = lambda call: call
    told: Callable[[Call, Answer], Answer] = lambda call, answer: answer


class Jmap:
    """One user's requests.

    pick: the gateway for the next request. is_trouble: whether something is known to have been away
    since a request was sent (time.monotonic), so that it may fail, to be tried again. `pinned` is
    the gateway for all requests, if set.
    """

    def __init__(
        self,
        login: Login,
        pick: Callable[[], Gateway],
        is_trouble: Callable[[float], bool],
        alter: Alter | None = None,
    ) -> None:
        self._headers = {"Authorization": login.header}
        self._pick = pick
        self.is_trouble = is_trouble
        self._alter = alter or Alter()
        self._connections: dict[tuple[str, int], http.client.HTTPConnection] = {}
        self._used: dict[tuple[str, int], float] = {}
        self._account_id: str | None = None
        self.counts = Counts()
        self.asked = ""  # the gateway that answered last
        self.answered: Gateway | None = None  # the same
        self.pinned: Gateway | None = None

    def fly(self, calls: list[Call]) -> Flight:
        """The answers to method calls, in order. Raises Violation (I9) when there are none."""

        def flight() -> Flight:
            answers = yield from self._try(calls)
            for call, answer in zip(calls, answers, strict=True):
                _check_error(call, *answer)
            return answers

        return (yield from self._until_done(flight))

    def once(self, calls: list[Call]) -> Flight:
        """The same, tried once, and with errors of single calls among the answers. Raises Away."""
        return (yield from self._try(calls))

    def upload(self, octets: bytes) -> str:
        """RFC 8620 §6.1: the blobId of octets. Raises Violation (I9)."""

        def flight() -> Generator[None, None, str]:
            gateway = self._gateway()
            path = f"/jmap/upload/{self._account_of(gateway)}"
            answered = yield from self._exchange(gateway, "POST", path, octets, "message/rfc822")
            blob_id: str = answered["blobId"]
            return blob_id

        return land(self._until_done(flight))

    def _until_done(
        self, flight: Callable[[], Generator[None, None, T]]
    ) -> Generator[None, None, T]:
        """Try again while something is known to be away. Raises Violation (I9)."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            sent = time.monotonic()
            try:
                return (yield from flight())
            except Away as away:
                self.counts["tried again"] += 1
                if not self.is_trouble(sent):
                    raise Violation("I9", "a request failed for no reason", str(away)) from away
                if time.monotonic() > deadline:
                    raise Violation("I9", "nothing works any more", str(away)) from away
                time.sleep(RETRY_SECONDS)

    def ask(self, calls: list[Call]) -> list[Answer]:
        """The same, with nothing else done meanwhile."""
        return land(self.fly(calls))

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _gateway(self) -> Gateway:
        return self.pinned or self._pick()

    def account_id(self) -> str:
        """The id of the account, as the session has it."""
        return self._account_of(self._gateway())

    def _account_of(self, gateway: Gateway) -> str:
        return self._account_id or self._find_account(gateway)

    def _try(self, calls: list[Call]) -> Flight:
        gateway = self._gateway()
        account_id = self._account_of(gateway)
        invocations = [
            [method, {"accountId": account_id, **arguments}, str(number)]
            for number, (method, arguments) in enumerate(map(self._alter.asked, calls))
        ]
        body = json.dumps({"using": USING, "methodCalls": invocations})
        answered = yield from self._exchange(gateway, "POST", "/jmap/api", body)
        responses = answered["methodResponses"]
        if [number for _, _, number in responses] != [str(n) for n in range(len(calls))]:
            raise Violation("I9", f"not one response for each call: {str(responses)[:500]}")
        self.asked, self.answered = gateway.name, gateway
        return [
            self._alter.told(call, (name, arguments))
            for call, (name, arguments, _) in zip(calls, responses, strict=True)
        ]

    def _find_account(self, gateway: Gateway) -> str:
        flight = self._exchange(gateway, "GET", "/jmap/session", None)
        session = land(flight)
        found: str = session["primaryAccounts"][USING[1]]
        self._account_id = found
        return found

    def _exchange(
        self,
        gateway: Gateway,
        method: str,
        path: str,
        body: str | bytes | None,
        type_: str = "application/json",
    ) -> Generator[None, None, dict[str, Any]]:
        address = gateway.address()
        now = time.monotonic()
        if now - self._used.get(address, now) > _IDLE_SECONDS:
            self._forget(address)
        self._used[address] = now
        connection = self._connections.get(address)
        if connection is None:
            connection = http.client.HTTPConnection(*address, timeout=SECONDS)
            self._connections[address] = connection
        try:
            connection.request(method, path, body, {**self._headers, "Content-Type": type_})
            yield
            response = connection.getresponse()
            octets = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._forget(address)
            raise Away(f"{gateway.name}: {error!r}") from error
        except GeneratorExit:  # an answer nobody waits for is not to be taken for another one
            self._forget(address)
            raise
        if response.status in _BUSY_STATUSES:
            raise Away(f"{gateway.name}: {response.status} {octets[:200]!r}")
        if response.status not in (200, 201):
            raise Violation("I9", f"{gateway.name}: {response.status} {octets[:500]!r}")
        answered: dict[str, Any] = json.loads(octets)
        return answered

    def _forget(self, address: tuple[str, int]) -> None:
        connection = self._connections.pop(address, None)
        if connection is not None:
            connection.close()


def land(flight: Generator[None, None, T]) -> T:
    """What comes of a flight, with nothing else done meanwhile."""
    while True:
        try:
            next(flight)
        except StopIteration as end:
            landed: T = end.value
            return landed


def _check_error(call: Call, name: str, arguments: dict[str, Any]) -> None:
    """Raises Away, or Violation for an error that no client is to see."""
    if name != "error":
        if name != call[0]:
            raise Violation("I9", f"{call[0]} was answered with {name}")
        return
    kind = arguments.get("type")
    if kind in _AWAY:
        raise Away(f"{call[0]}: {arguments}")
    if kind in ("serverFail", "serverPartialFail", "invalidArguments"):
        raise Violation("I9", f"{call[0]} {str(call[1])[:300]}: {arguments}")
