"""RFC 8620 §6.2: a large attachment, alone and for many users at once; and ranges of it."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

from gateway.sync.pieces import PIECE
from tests.bench.imap_socket import ImapSocket, replay
from tests.bench.report import Figure, Mark, milliseconds
from tests.bench.stage import Gateway, JmapClient, Stage, gateway
from tests.servers.dovecot import Dovecot, User
from tests.servers.dovecot_config import Options

_OCTETS = 36_900_000  # as base64 they are 50 MB
_RUNS = 7
_USERS = 20
_SLOW_OCTETS = 1 << 16  # what a slow reader takes at once
_SLOW_LOOKS = 8
_LOOK_SECONDS = 0.25
_RANGE_OCTETS = 1000
_MB = 1e6


async def run(_stage: Stage) -> list[Figure]:
    """Measure what is stored in either way; each on a server with mailboxes of its own."""
    figures: list[Figure] = []
    message = _message()
    with Dovecot(Options(mail_format="maildir")) as server:
        (user,) = _users(server, 1, message)
        figures += await _alone(server, user, "maildir")
    with Dovecot(Options(mail_format="sdbox")) as server:
        users = _users(server, _USERS, message)
        figures += await _alone(server, users[0], "sdbox")
        figures += await _together(server, users)
    return figures


def _users(server: Dovecot, count: int, message: bytes) -> list[User]:
    users = [server.add_user() for _ in range(count)]
    for user in users:
        server.append(user, "INBOX", message)
    return users


def _message() -> bytes:
    encoded = base64.encodebytes(Random(8620).randbytes(_OCTETS)).replace(b"\n", b"\r\n")
    return (
        b"Subject: Film\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\n\r\nHere it is.\r\n--b\r\nContent-Type: video/mp4\r\n"
        b"Content-Disposition: attachment\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded + b"--b--\r\n"
    )


@dataclass(frozen=True, slots=True)
class _Blob:
    """A blob that a client downloads over a connection of its own, reading past what comes."""

    port: int
    path: str
    authorization: str

    @asynccontextmanager
    async def get(self, *fields: str) -> AsyncIterator[asyncio.StreamReader]:
        """Ask for it, and give the answer after its head. Raises RuntimeError for an error."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        head = [
            f"GET {self.path} HTTP/1.1",
            "Host: bench",
            f"Authorization: {self.authorization}",
            "Connection: close",
            *fields,
        ]
        writer.write("\r\n".join([*head, "", ""]).encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        if answer.split()[1] not in (b"200", b"206"):
            raise RuntimeError(f"the gateway answered {answer!r}")
        try:
            yield reader
        finally:
            writer.transport.abort()

    async def seconds(self, *fields: str) -> float:
        """Take all of it as fast as it comes."""
        started = time.perf_counter()
        async with self.get(*fields) as reader:
            while await reader.read(1 << 20):
                pass
        return time.perf_counter() - started


async def _blobs(child: Gateway, user: User) -> tuple[_Blob, _Blob]:
    """Log in, and give the only message of a user and its attachment."""
    async with JmapClient(child.url, user) as client:
        await client.session()
        _, (_, got, _) = await client.call(
            ["Email/query", {}],
            [
                "Email/get",
                {
                    "#ids": {"resultOf": "0", "name": "Email/query", "path": "/ids"},
                    "properties": ["blobId", "attachments"],
                },
            ],
        )
        (email,) = got["list"]
        ids = email["blobId"], email["attachments"][0]["blobId"]
        login = base64.b64encode(f"{user.username}:{user.password}".encode()).decode()
        port = int(child.url.rpartition(":")[2])
        message, attachment = (
            _Blob(port, f"/jmap/download/{client.account}/{id_}/x?type=a/b", f"Basic {login}")
            for id_ in ids
        )
        return message, attachment


# --- one at a time --------------------------------------------------------------------------------


async def _alone(server: Dovecot, user: User, format_: str) -> list[Figure]:
    """The gateway and a bare socket take turns, so that both meet the same noise."""
    bare: list[float] = []
    windows: list[float] = []
    through: list[float] = []
    whole: list[float] = []
    near: list[float] = []
    far: list[float] = []
    with gateway(server.ports.imap) as child, ImapSocket(server.ports.imap, user) as socket:
        message, attachment = await _blobs(child, user)
        await child.settled()
        socket.run(b"EXAMINE INBOX")
        for _ in range(_RUNS):
            bare.append(await asyncio.to_thread(_drain, socket, _WHOLE))
            windows.append(await asyncio.to_thread(_drain, socket, _WINDOWS))
            through.append(await attachment.seconds())
            whole.append(await message.seconds())
            far.append(await message.seconds(f"Range: bytes=-{_RANGE_OCTETS}"))
            near.append(await attachment.seconds(f"Range: bytes=-{_RANGE_OCTETS}"))
    size = _OCTETS * 78 / 57
    rates = [size / second / _MB for second in through]

    def shares(parts: list[float], wholes: list[float]) -> list[float]:
        return [part / all_ for part, all_ in zip(parts, wholes, strict=True)]

    return [
        Figure(f"50 MB attachment, {format_}: encoded octets", "MB/s", rates),
        Figure("- of a bare socket's with one FETCH", "", shares(bare, through), Mark(">=", 0.5)),
        Figure("- of a bare socket's with the same windows", "", shares(windows, through)),
        milliseconds(f"last {_RANGE_OCTETS} octets of the message", far),
        Figure("- of the time for all of it", "", shares(far, whole)),
        milliseconds(f"last {_RANGE_OCTETS} octets of the attachment, read before", near),
    ]


_WHOLE = (b"UID FETCH 1 (BODY.PEEK[2])",)
_WINDOWS = tuple(
    b"UID FETCH 1 (BODY.PEEK[2]<%d.%d>)" % (start, PIECE)
    for start in range(0, _OCTETS * 78 // 57, PIECE)
)


def _drain(socket: ImapSocket, commands: tuple[bytes, ...]) -> float:
    started = time.perf_counter()
    replay((socket, command, 1) for command in commands)
    return time.perf_counter() - started


# --- many at once ---------------------------------------------------------------------------------


async def _together(server: Dovecot, users: list[User]) -> list[Figure]:
    """How much the process grows for each download, with clients of either speed."""
    with gateway(server.ports.imap) as child:
        attachments = [(await _blobs(child, user))[1] for user in users]
        await child.settled()
        idle = child.resident()
        slow = await _peak(child, attachments, _taken_slowly)
        started = time.perf_counter()
        fast = await _peak(child, attachments, _Blob.seconds)
        seconds = time.perf_counter() - started
    rate = len(users) * _OCTETS * 78 / 57 / seconds / _MB
    each = [(octets - idle) / len(users) / _MB for octets in (fast, slow)]
    return [
        Figure(f"{len(users)} users at once: encoded octets", "MB/s", [rate]),
        Figure("- memory for each", "MB", [each[0]], Mark("<=", 8)),
        Figure("- memory for each that reads slowly", "MB", [each[1]], Mark("<=", 8)),
    ]


async def _taken_slowly(blob: _Blob) -> None:
    async with blob.get() as reader:
        for _ in range(_SLOW_LOOKS):
            await reader.read(_SLOW_OCTETS)
            await asyncio.sleep(_LOOK_SECONDS)


async def _peak(
    child: Gateway, blobs: list[_Blob], take: Callable[[_Blob], Coroutine[None, None, object]]
) -> int:
    """How many octets of memory the process has at most while all the blobs are taken."""
    most = 0
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(take(blob)) for blob in blobs]
        while not all(task.done() for task in running):
            await asyncio.sleep(_LOOK_SECONDS / 10)
            most = max(most, child.resident())
    return most
