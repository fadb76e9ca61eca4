from __future__ import annotations

import socket

import pytest

from gateway.config import Network
from gateway.webpush.addresses import BadUrl, ForbiddenAddress, check_url, guarded_socket

INSIDE = [
    *["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"],
    *["0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1"],
    *["::", "::1", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "2002:7f00:1::"],
    *["64:ff9b::7f00:1", "2001:0:1::", "::127.0.0.1"],
]


@pytest.mark.parametrize("address", INSIDE)
def test_no_socket_is_made_for_an_address_inside(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(ForbiddenAddress):
        guarded_socket((), (family, socket.SOCK_STREAM, 0, "", (address, 443)))


@pytest.mark.checklist("K06", "K15")
@pytest.mark.parametrize(
    "url",
    [
        *(f"https://[{each}]/" if ":" in each else f"https://{each}/" for each in INSIDE),
        *["https://127.1/", "https://0x7f000001/", "https://2130706433/", "https://127.0.0.1./"],
        *["http://push.example.org/", "https://", "https:///x", "ftp://push.example.org/"],
        *[
            "https://a@push.example.org/",
            "https://push.example.org/#",
            "https://push.example.org:444",
        ],
        *["https://push.example.org/ x", "https://push.example.org/" + "x" * 2000],
    ],
)
def test_urls_to_nowhere_outside_are_refused(url: str) -> None:
    with pytest.raises(BadUrl):
        check_url(url, ())


def test_an_allowed_network_is_reached_at_any_port() -> None:
    networks = (Network.parse("127.0.0.0/8"),)
    check_url("https://127.0.0.1:8443/x", networks)
    info = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 8443))
    with guarded_socket(networks, info) as made:
        assert made.family == socket.AF_INET


def test_an_address_outside_is_reached_at_443_only() -> None:
    check_url("https://push.example.org/x?y", ())
    for port in (443, 8443):
        info = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("8.8.8.8", port))
        if port == 443:
            guarded_socket((), info).close()
        else:
            with pytest.raises(ForbiddenAddress):
                guarded_socket((), info)
