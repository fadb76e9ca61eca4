"""RFC 8887 §4.2, §4.3: one WebSocket: requests and their answers, and what is pushed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

from gateway.auth.errors import NotAuthenticated, TooManyAttempts
from gateway.http import ws_messages as messages
from gateway.http.calls import Calls
from gateway.http.errors import Overloaded, told_of
from gateway.http.observe import observed, route_of
from gateway.http.services import Services
from gateway.imap.errors import AuthenticationFailed, ImapError
from gateway.jmap.errors import RequestError
from gateway.obs.log import get_logger
from gateway.push.changes import is_told_of
from gateway.push.channels import Channel, Ended
from gateway.push.telling import Following, Telling
from gateway.sync.errors import NotCommitted

# A client that takes nothing for this long has lost interest.
_STALL_SECONDS = 30.0
# Answers of which is remembered what depends on their arrival.
_MOST_ARRIVING = 100

log = get_logger(__name__)


class Over(Exception):
    """The connection is to be closed with this code (RFC 6455 §7.4.1)."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Connection:
    """One client. While it is idle there is one task, and one more when it wants pushes."""

    _user: str
    _writer: AbstractStreamWriter
    _transport: asyncio.WriteTransport

    def __init__(
        self,
        services: Services,
        calls: Calls,
        request: web.Request,
        socket: web.WebSocketResponse[Any],
        channel: Channel,
    ) -> None:
        self._services = services
        self._calls = calls
        self._request = request
        self._socket = socket
        self._channel = channel
        self._sending = asyncio.Lock()
        self._under_way: set[asyncio.Task[None]] = set()
        self._pushing: asyncio.Task[None] | None = None
        self._told = ""  # the state that the client knows while it wants pushes
        self._over: Over | None = None
        self._pings = 0
        self._arriving: dict[bytes, Sequence[Callable[[], None]]] = {}
        # Some run and some wait for their turn; more are not taken from the client.
        self._most = 2 * services.limits.max_concurrent_requests

    async def run(self, user: str) -> None:
        """Serve the user of this account id until the client goes.

        Raises Ended, Over, or ConnectionError.
        """
        self._user = user
        self._writer = await self._socket.prepare(self._request)
        transport = self._request.transport
        if transport is None:
            raise ConnectionResetError
        self._transport = transport
        # What is sent has been taken when the client's system has it all: what changes meanwhile
        # is told in one.
        transport.set_write_buffer_limits(high=0)
        try:
            while await self._handle(await self._receive()):
                pass
        except Ended:
            await self._stop_pushing()
            if self._over is not None:
                raise self._over from None
            while self._under_way:  # they are answered; for how long, see server.py
                await asyncio.wait(self._under_way)
            raise
        finally:
            for task in self._under_way:
                task.cancel()
            await self._stop_pushing()

    async def close(self, code: int) -> None:
        """Say good-bye to a client that listens; others are cut off."""
        if self._request.protocol.writing_paused:
            self._transport.abort()
        else:
            await self._socket.close(code=code)

    def end(self, code: int) -> None:
        """Have the connection closed with this code, by whoever finds a reason."""
        self._over = self._over or Over(code)
        self._channel.end()

    # --- What comes ------------------------------------------------------------------------------

    async def _receive(self) -> WSMessage:
        """The next message, when there is room for it: until then the client can not send on."""
        async with self._channel.until(None):
            while len(self._under_way) >= self._most:
                await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            return await self._socket.receive()

    async def _handle(self, message: WSMessage) -> bool:
        """Whether the client is still there. Raises Over."""
        match message.type:
            case WSMsgType.TEXT:
                try:
                    await self._take(message.data)
                except (NotAuthenticated, AuthenticationFailed):
                    raise Over(WSCloseCode.POLICY_VIOLATION) from None
                except (ImapError, Overloaded, TooManyAttempts) as error:
                    told = told_of(error, route_of(self._request))
                    await self._send(messages.error_message(told.members, None))
            case WSMsgType.PING:
                await self._send(message.data, WSMsgType.PONG)
            case WSMsgType.PONG:
                for tell in self._arriving.pop(bytes(message.data), ()):
                    tell()
            case WSMsgType.BINARY:
                raise Over(WSCloseCode.UNSUPPORTED_DATA)
            case _:
                return False
        return True

    async def _take(self, octets: bytes) -> None:
        """RFC 8887 §4.3: a text message."""
        value: Any = None
        async with AsyncExitStack() as held:
            held.callback(await self._calls.bodies.hold(self._user, len(octets)))
            try:
                value = self._calls.decode(octets)
                asked = messages.parse(value)
            except RequestError as error:
                if not messages.is_text(octets):
                    raise Over(WSCloseCode.INVALID_TEXT) from None
                id = messages.request_id(value)
                await self._send(messages.error_message(error.problem(), id))
                return
            match asked:
                case messages.Request():
                    task = asyncio.create_task(self._answer(asked, held.pop_all()))
                    self._under_way.add(task)
                    task.add_done_callback(self._under_way.discard)
                case messages.PushEnable():
                    known = asked.push_state or self._told
                    was_told = partial(is_told_of, told=known)
                    try:
                        accounts, _ = await self._services.follow(self._request, was_told)
                    except NotCommitted:
                        raise Over(WSCloseCode.TRY_AGAIN_LATER) from None
                    await self._stop_pushing()
                    self._pushing = asyncio.create_task(self._push(accounts, asked, known))
                case messages.PushDisable():
                    await self._stop_pushing()
                    self._told = ""

    # --- Requests --------------------------------------------------------------------------------

    async def _answer(self, asked: messages.Request, held: AsyncExitStack) -> None:
        """Answer a request."""
        start = time.perf_counter()
        id = messages.request_id(asked.value)
        status = 200
        tells: Sequence[Callable[[], None]] = ()
        try:
            async with held:
                visitor = await self._services.authenticate(self._request)
                receive = partial(_given, asked.value)
                answer = await self._calls.run(self._request, visitor, held, receive)
            octets = messages.response_message(answer.pieces, id)
            tells = answer.answered
        except (NotAuthenticated, AuthenticationFailed):
            self.end(WSCloseCode.POLICY_VIOLATION)
            return
        except Exception as error:
            told = told_of(error, route_of(self._request))
            octets, status = messages.error_message(told.members, id), told.status
        observed("websocket", route_of(self._request), status, time.perf_counter() - start)
        with suppress(ConnectionError):
            await self._send(octets)
            if tells:
                await self._send(self._arrival(tells), WSMsgType.PING)

    def _arrival(self, tells: Sequence[Callable[[], None]]) -> bytes:
        """RFC 6455 §5.5.3: who answers a ping with these octets has got what came before it."""
        self._pings += 1
        octets = self._pings.to_bytes(8)
        self._arriving[octets] = tells
        if len(self._arriving) > _MOST_ARRIVING:
            del self._arriving[next(iter(self._arriving))]
        return octets

    # --- Pushes ----------------------------------------------------------------------------------

    async def _push(self, accounts: Following, asked: messages.PushEnable, known: str) -> None:
        """RFC 8887 §4.3.5: tell what changes.

        Where pushes were on already and the client says nothing of a state, none is passed over.
        """
        try:
            await self._tell(accounts, asked, known)
            self._channel.end()  # the account has ended
        except ConnectionError:
            pass  # as the other task finds out
        except (ImapError, NotCommitted) as error:
            log.info("push_unavailable", reason=type(error).__name__)
            self.end(WSCloseCode.TRY_AGAIN_LATER)
        except Exception:
            log.exception("unexpected error", route=route_of(self._request))
            self.end(WSCloseCode.INTERNAL_ERROR)

    async def _tell(self, accounts: Following, asked: messages.PushEnable, known: str) -> None:
        """Return when the account has ended."""
        async with accounts as following:
            telling = Telling(following, asked.types, Channel())
            change = await telling.begin(known)
            while True:
                if change is not None:
                    await self._send(messages.change_message(change, telling.told))
                self._told = telling.told
                if not await following.wait():
                    return
                await telling.space()
                change = telling.news()

    async def _stop_pushing(self) -> None:
        if self._pushing is not None:
            self._pushing.cancel()
            await asyncio.wait((self._pushing,))
            self._pushing = None

    # --- What goes -------------------------------------------------------------------------------

    async def _send(self, octets: bytes, type: WSMsgType = WSMsgType.TEXT) -> None:
        """Return when the client's system has taken it all. Raises ConnectionError."""
        async with self._sending:
            await self._socket.send_frame(octets, type)
            if self._request.protocol.writing_paused:
                await self._drained()

    async def _drained(self) -> None:
        """Wait for as long as the client takes something now and then."""
        # Never cancelled, nor waited for in a way that cancels: others wait for the same.
        drained = asyncio.ensure_future(self._writer.drain())
        drained.add_done_callback(_noted)
        left = self._transport.get_write_buffer_size()
        while not (await asyncio.wait((drained,), timeout=_STALL_SECONDS))[0]:
            before, left = left, self._transport.get_write_buffer_size()
            if left >= before:
                log.info("client takes nothing", route=route_of(self._request))
                self._transport.abort()
                raise ConnectionResetError
        drained.result()


async def _given(value: Any) -> Any:
    return value


def _noted(task: asyncio.Future[None]) -> None:
    """Take note of how it ended, should nobody wait for it any more."""
    if not task.cancelled():
        task.exception()
