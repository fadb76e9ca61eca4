"""RFC 8620 §8.6: the network as a test wants it: what names mean, and who was connected to."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import deque
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import pytest

_SECONDS = 30
OUTSIDE = "8.8.8.8"
OUTSIDE_6 = "2001:4860:4860::8888"
INSIDE = [
    *["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"],
    *["0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.0.192"],
    *["::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "3fff::1"],
    *["::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1"],
    *["2001:0:1::", "::127.0.0.1"],
]


@dataclass
class Network:
    """What it has seen, once it is installed. Only loopback addresses are really connected to.

    names: the answers that the next questions for a name get; the last one stays. hanging: the
    domain whose names nobody tells before `answered` is set. asked: the names that were resolved;
    connected: the addresses that were connected to.
    """

    names: dict[str, deque[list[str]]] = field(default_factory=dict)
    hanging: str = "hanging.example"
    answered: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)

    def name(self, name: str, *answers: list[str]) -> None:
        """Let a name mean these addresses, one answer after the other."""
        self.names[name] = deque(answers)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Take the place of the system's, for the loop that runs."""
        loop = asyncio.get_running_loop()
        resolve, connect = socket.getaddrinfo, loop.sock_connect

        def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> list[Any]:
            self.asked.append(host)
            if host.endswith(self.hanging):
                self.answered.wait(_SECONDS)
                raise socket.gaierror(socket.EAI_AGAIN, "no answer")
            if host not in self.names:
                return resolve(host, port, *args, **options)
            answers = self.names[host]
            return [_info(each, port) for each in _next(answers)]

        async def sock_connect(sock: socket.socket, address: Any) -> None:
            self.connected.append(address[0])
            if not ip_address(address[0]).is_loopback:
                raise ConnectionRefusedError
            await connect(sock, address)

        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        patch.setattr(loop, "sock_connect", sock_connect)


def host_of(address: str) -> str:
    """As it is written in a URL."""
    return f"[{address}]" if ":" in address else address


def _next(answers: deque[list[str]]) -> list[str]:
    return answers.popleft() if len(answers) > 1 else answers[0]


def _info(address: str, port: int) -> tuple[Any, ...]:
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
