"""RFC 5321: a submission server in a process of its own, and the bare dialogue with it.

`python -m tests.bench.smtp_dialogue PORT` is the server: it takes everything, and forgets it.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from base64 import b64encode

import uvloop

_EHLO = (
    b"250-mail.example.org\r\n250-PIPELINING\r\n250-SIZE 60000000\r\n250-8BITMIME\r\n"
    b"250-AUTH PLAIN\r\n250 DSN\r\n"
)
_ANSWERS = {b"EHLO": _EHLO, b"MAIL": b"250 2.1.0 ok\r\n", b"RCPT": b"250 2.1.5 ok\r\n"}


class BareSmtp:
    """One message over one connection, with as few waits as RFC 2920 allows."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def send(self, user: str, password: str, recipient: str, message: bytes) -> None:
        """Sign in, send, and take leave. Raises RuntimeError when something is refused."""
        self._wait(1)
        self._say(b"EHLO bench\r\n")
        secret = b64encode(f"\0{user}\0{password}".encode())
        self._say(b"AUTH PLAIN %s\r\n" % secret)
        envelope = f"MAIL FROM:<{user}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n"
        self._say(envelope.encode(), 3)
        self._say(message + b".\r\n")
        self._say(b"QUIT\r\n")
        self._socket.close()

    def _say(self, octets: bytes, answers: int = 1) -> None:
        self._socket.sendall(octets)
        self._wait(answers)

    def _wait(self, answers: int) -> None:
        while answers:
            line = self._file.readline()
            if not line or line[:1] in b"45":
                raise RuntimeError(f"the submission server said {line!r}")
            answers -= line[3:4] != b"-"


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 ready\r\n")
    while line := await reader.readline():
        verb = line[:4].upper()
        if verb == b"AUTH":
            if len(line.split()) < 3:
                writer.write(b"334 \r\n")
                await reader.readline()
            writer.write(b"235 2.7.0 ok\r\n")
        elif verb == b"DATA":
            writer.write(b"354 go\r\n")
            while (line := await reader.readline()) != b".\r\n":
                if not line:
                    return
            writer.write(b"250 2.0.0 queued\r\n")
        elif verb == b"QUIT":
            writer.write(b"221 2.0.0 bye\r\n")
            writer.close()
            return
        else:
            writer.write(_ANSWERS.get(verb, b"250 2.0.0 ok\r\n"))


async def _main(port: int) -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", port, limit=1 << 20)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(_main(int(sys.argv[1])))
