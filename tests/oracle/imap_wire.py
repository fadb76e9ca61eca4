"""RFC 9051 §2.2: the least of an IMAP client: commands sent in a volley, answers by their tags."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from itertools import count

SECONDS = 60.0
_CHUNK = 1 << 16
_LITERAL = re.compile(rb"\{(\d+)\}$")


class Refused(Exception):
    """A command was answered with NO or BAD; the text is the server's."""


@dataclass(slots=True)
class Answer:
    """What came back for a command: its untagged responses, a literal being a part of its own.

    `text` is the line that has the tag, without it, as b"OK [APPENDUID 1 2] done".
    """

    text: bytes = b""
    untagged: list[list[bytes]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the command was done."""
        return self.text[:2].upper() == b"OK"

    def lines(self, word: bytes) -> list[bytes]:
        """Untagged responses without literals that begin with a word, which is taken off."""
        heads = (parts[0].partition(b" ") for parts in self.untagged)
        return [rest for head, _, rest in heads if head == word]


class Imap:
    """One connection of a user; what it is told to run is answered in order."""

    def __init__(self, port: int, username: str, password: str, name: str | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._tags = count(1)
        self._line()
        if name is not None:
            self.run(b'ID ("name" %s)' % quoted(name))
        self.run(b"LOGIN %s %s" % (quoted(username), quoted(password)))

    def run(self, command: bytes) -> Answer:
        """The answer to one command. Raises Refused unless it is OK, OSError when there is none."""
        (answer,) = self.volley([command])
        if not answer.ok:
            raise Refused(f"{command[:60]!r}: {answer.text.decode(errors='replace')}")
        return answer

    def volley(self, commands: list[bytes]) -> list[Answer]:
        """The answers to commands that are sent at once. Raises OSError."""
        tags = [b"o%d" % next(self._tags) for _ in commands]
        self._socket.sendall(
            b"".join(b"%s %s\r\n" % pair for pair in zip(tags, commands, strict=True))
        )
        return [self._answer(tag) for tag in tags]

    def close(self) -> None:
        """Cut the connection."""
        self._socket.close()

    def _answer(self, tag: bytes) -> Answer:
        answer = Answer()
        while True:
            parts = self._response()
            if parts[0].startswith(tag + b" "):
                answer.text = parts[0][len(tag) + 1 :]
                return answer
            if parts[0].startswith(b"* BYE"):
                raise ConnectionResetError(parts[0].decode(errors="replace"))
            if parts[0].startswith(b"* "):
                parts[0] = parts[0][2:]
                answer.untagged.append(parts)

    def _response(self) -> list[bytes]:
        parts = [self._line()]
        while literal := _LITERAL.search(parts[-1]):
            parts[-1] = parts[-1][: literal.start()]
            parts.append(self._take(int(literal[1])))
            parts.append(self._line())
        return parts

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._fill()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _take(self, octets: int) -> bytes:
        while len(self._buffer) < octets:
            self._fill()
        taken = bytes(self._buffer[:octets])
        del self._buffer[:octets]
        return taken

    def _fill(self) -> None:
        chunk = self._socket.recv(_CHUNK)
        if not chunk:
            raise ConnectionResetError("the server has gone")
        self._buffer += chunk


def quoted(text: str) -> bytes:
    """A quoted string."""
    return b'"%s"' % text.replace("\\", "\\\\").replace('"', '\\"').encode()


def uid_set(uids: list[int]) -> bytes:
    """A sequence set, with ranges for runs."""
    runs: list[list[int]] = []
    for uid in sorted(uids):
        if runs and uid == runs[-1][1] + 1:
            runs[-1][1] = uid
        else:
            runs.append([uid, uid])
    return b",".join(b"%d:%d" % (a, b) if a < b else b"%d" % a for a, b in runs)


def uids_of(text: bytes) -> list[int]:
    """The UIDs of a sequence set without a star, in the order in which it names them."""
    found: list[int] = []
    for part in text.split(b","):
        first, _, last = part.partition(b":")
        a, b = int(first), int(last or first)
        found += range(a, b + 1) if a <= b else range(a, b - 1, -1)
    return found
