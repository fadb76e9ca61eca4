"""RFC 9051 §2.2: a bare socket that sends IMAP commands and reads past their answers.

It does as little as can be done: it looks for tagged lines and for nothing else. That makes it
both a quick way to fill a mailbox and the mark which the gateway's own reading is held against.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import count
from types import TracebackType
from typing import Self

from tests.servers.dovecot import Message, User, quoted

_SECONDS = 60.0
_READ = 1 << 18
_MARK = b"\r\nzQ"
_AT_ONCE = 400  # messages of one APPEND (RFC 3502)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class ImapSocket:
    """One connection. Tags are unlike anything that mail contains."""

    def __init__(self, port: int, user: User) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tags = count(1)
        self._answers: dict[bytes, bytes] = {}
        self._rest = b"\r\n"  # the end of the greeting
        self.octets = 0
        self._socket.recv(_READ)
        self.run(f"LOGIN {quoted(user.username)} {quoted(user.password)}".encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def send(self, command: bytes) -> bytes:
        """Send a command without waiting, and return its tag."""
        tag = b"zQ%d" % next(self._tags)
        self._socket.sendall(b"%s %s\r\n" % (tag, command))
        return tag

    def wait(self, tag: bytes) -> None:
        """Read until the tagged answer is there. Raises RuntimeError unless that is OK."""
        while tag not in self._answers:
            self._read()
        answer = self._answers.pop(tag)
        if not answer.startswith(b"OK"):
            raise RuntimeError(f"the server answered {answer!r}")

    def _read(self) -> None:
        """Read once, and note the tagged lines that are complete (they may overtake)."""
        chunk = self._socket.recv(_READ)
        if not chunk:
            raise RuntimeError("the server closed the connection")
        self.octets += len(chunk)
        data = self._rest + chunk
        start = 0
        while (found := data.find(_MARK, start)) >= 0:
            end = data.find(b"\r\n", found + 2)
            if end < 0:
                break
            tag, _, answer = data[found + 2 : end].partition(b" ")
            self._answers[tag] = answer
            start = end
        self._rest = data[found:] if found >= 0 else data[max(start, len(data) - len(_MARK)) :]

    def run(self, command: bytes) -> None:
        """Send a command and read past its answer. Raises RuntimeError unless that is OK."""
        self.wait(self.send(command))

    def append(self, mailbox: str, messages: Iterable[Message]) -> None:
        """Append messages, many to a command and without waiting for each (RFC 3502, RFC 7888)."""
        running: list[bytes] = []
        for octets in _batches(messages):
            running.append(self.send(b"APPEND %s%s" % (quoted(mailbox).encode(), octets)))
            if len(running) > 1:
                self.wait(running.pop(0))
        for tag in running:
            self.wait(tag)


def replay(commands: Iterable[tuple[ImapSocket, bytes, int]]) -> None:
    """Run commands in order, each sent when no more than its number are still unanswered."""
    running: deque[tuple[ImapSocket, bytes]] = deque()
    for connection, command, others in commands:
        while len(running) > others:
            earlier, tag = running.popleft()
            earlier.wait(tag)
        running.append((connection, connection.send(command)))
    for connection, tag in running:
        connection.wait(tag)


def _batches(messages: Iterable[Message]) -> Iterator[bytes]:
    batch: list[bytes] = []
    for message in messages:
        assert message.internaldate is not None
        flags = " ".join(message.flags)
        head = f' ({flags}) "{_date_time(message.internaldate)}" {{{len(message.octets)}+}}\r\n'
        batch += (head.encode(), message.octets)
        if len(batch) == 2 * _AT_ONCE:
            yield b"".join(batch)
            batch.clear()
    if batch:
        yield b"".join(batch)


def _date_time(moment: datetime) -> str:
    """Return the form of RFC 9051 §9, date-time, in UTC."""
    return f"{moment.day:2d}-{_MONTHS[moment.month - 1]}-{moment:%Y %H:%M:%S} +0000"
