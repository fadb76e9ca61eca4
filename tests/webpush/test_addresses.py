from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from gateway.config import Network
from gateway.webpush.addresses import BadUrl, ForbiddenAddress, check_url, guarded_socket
from tests.webpush.network import INSIDE


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
        *["https://./", "https://.a/", "https://a..b/", "https://a*b/", "https://a%2eb/"],
        *["https://a\\b/", "https://" + "a" * 64 + ".example.org/", "https://" + "a." * 127 + "b/"],
        *["https://push.example.org:443:443/", "https://push.example.org:x/", "https://[::1/"],
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


_HOSTS = st.lists(
    st.sampled_from([*"aZ09.-_%:@[]\\*", "a" * 63, "xn--", "%2e", "%25", "::ffff:", "2001:db8:"]),
    max_size=9,
).map("".join)


@given(_HOSTS, st.sampled_from(["", "/", "/a?b", "?", ":443", ":443/", ":", ":/"]))
def test_what_is_let_through_means_one_host_to_everybody(host: str, rest: str) -> None:
    """Neither the client nor the resolver has another idea of it, or fails in another way."""
    url = f"https://{host}{rest}"
    try:
        check_url(url, ())
    except BadUrl:
        return
    read = URL(url, encoded=True)
    assert read.port == 443
    assert read.raw_host is not None
    assert read.raw_host.encode("idna").decode().lower() in url.lower()
