"""RFC 5804: a ManageSieve server of a few lines, for tests to make wrong in one place.

A test takes `SmallSieve` and replaces the method whose answers are to be odd or hostile.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.servers.scripted import Peer, Received

_STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"|(\{\})')


class SmallSieve:
    """Serves each connection; call it as a script of `Scripted`.

    scripts, active: what is stored, and which script is active, "" if none is. commands: what
    clients sent, by the name of the command and that of the script, without logins.
    """

    extensions = b"fileinto vacation date relational include"
    version = b'"VERSION" "1.0"\r\n'

    def __init__(self, scripts: dict[str, bytes] | None = None, active: str = "") -> None:
        self.scripts = scripts or {}
        self.active = active
        self.commands: list[tuple[str, str]] = []

    def capabilities(self) -> bytes:
        """What it tells of itself."""
        return b'"IMPLEMENTATION" "Small"\r\n"SASL" "PLAIN"\r\n"SIEVE" "%b"\r\n%bOK\r\n' % (
            self.extensions,
            self.version,
        )

    async def __call__(self, peer: Peer) -> None:
        """One connection, from the greeting on."""
        await peer.send_raw(self.capabilities())
        while True:
            command = await peer.command()
            verb = command.tag.decode().lower()
            if verb == "authenticate":
                await self.authenticate(peer)
            elif verb == "capability":
                await peer.send_raw(self.capabilities())
            elif verb == "logout":
                await peer.send(b"OK")
                return
            else:
                arguments = _arguments(command)
                first = arguments[0].decode("utf-8", "replace") if arguments else ""
                self.commands.append((verb, first if verb != "checkscript" else ""))
                await getattr(self, verb)(peer, *arguments)

    async def authenticate(self, peer: Peer) -> None:
        """Everybody is let in."""
        await peer.send(b"OK")

    async def listscripts(self, peer: Peer) -> None:
        """RFC 5804 §2.7."""
        lines = [
            b'"%b"%b' % (name.encode(), b" ACTIVE" if name == self.active else b"")
            for name in self.scripts
        ]
        await peer.send(*lines, b"OK")

    async def getscript(self, peer: Peer, name: bytes) -> None:
        """RFC 5804 §2.9."""
        content = self.scripts.get(name.decode())
        if content is None:
            await peer.send(b'NO (NONEXISTENT) "none"')
        else:
            await peer.send(b"{%d}\r\n%b" % (len(content), content), b"OK")

    async def putscript(self, peer: Peer, name: bytes, content: bytes) -> None:
        """RFC 5804 §2.6."""
        self.scripts[name.decode()] = content
        await peer.send(b"OK")

    async def checkscript(self, peer: Peer, content: bytes) -> None:
        """RFC 5804 §2.12: whatever it is, it is valid."""
        await peer.send(b"OK")

    async def setactive(self, peer: Peer, name: bytes) -> None:
        """RFC 5804 §2.8."""
        self.active = name.decode()
        await peer.send(b"OK")

    async def deletescript(self, peer: Peer, name: bytes) -> None:
        """RFC 5804 §2.10."""
        self.scripts.pop(name.decode(), None)
        await peer.send(b"OK")

    async def renamescript(self, peer: Peer, old: bytes, new: bytes) -> None:
        """RFC 5804 §2.11."""
        self.scripts[new.decode()] = self.scripts.pop(old.decode())
        if self.active == old.decode():
            self.active = new.decode()
        await peer.send(b"OK")


def _arguments(command: Received) -> Sequence[bytes]:
    literals = iter(command.literals)
    return [
        next(literals) if match[2] else re.sub(rb"\\(.)", rb"\1", match[1])
        for match in _STRING.finditer(command.line)
    ]
