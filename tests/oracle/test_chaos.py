"""What the proxy takes from somebody it does not do in silence."""

from __future__ import annotations

import socket
from contextlib import suppress

from tests.oracle.chaos import Chaos, Shot

_SECONDS = 5.0


def test_a_line_that_is_not_passed_on_ends_its_connection() -> None:
    fired: list[bool] = []
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        Chaos(server.getsockname()[1]) as chaos,
        socket.create_connection(("127.0.0.1", chaos.port), _SECONDS) as client,
    ):
        chaos.load(Shot(2, "line", is_late=False, fire=lambda: fired.append(True)))
        client.sendall(b"one\r\ntwo\r\n")
        server.settimeout(_SECONDS)
        asked, _ = server.accept()
        with asked:
            asked.settimeout(_SECONDS)
            assert _all_of(asked) == b"one\r\n"
        assert _all_of(client) == b""
        assert fired == [True]
        assert chaos.harmed > float("-inf")


def _all_of(connection: socket.socket) -> bytes:
    octets = b""
    with suppress(ConnectionResetError):
        while chunk := connection.recv(1 << 10):
            octets += chunk
    return octets
