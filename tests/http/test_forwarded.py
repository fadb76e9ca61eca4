"""RFC 7239 §5.2, threat R14: the address of the client behind proxies."""

from __future__ import annotations

import pytest

from gateway.config import Network
from gateway.http.forwarded import last_untrusted, origin

TRUSTED = (Network.parse("10.0.0.0/8"), Network.parse("2001:db8::/32"))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("192.0.2.7", [], "192.0.2.7"),
        ("192.0.2.7", ["198.51.100.1"], "192.0.2.7"),  # anybody can claim to be a proxy
        ("::ffff:192.0.2.7", [], "192.0.2.7"),
        ("fe80::1%eth0", [], "fe80::1%eth0"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("::ffff:10.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["198.51.100.1, 192.0.2.7"], "192.0.2.7"),  # the first is made up
        ("10.0.0.1", ["198.51.100.1, 192.0.2.7, 10.0.0.2"], "192.0.2.7"),
        ("10.0.0.1", ["192.0.2.7", " 10.0.0.2 ,10.0.0.3"], "192.0.2.7"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["192.0.2.7:4711"], "192.0.2.7"),
        ("10.0.0.1", ["[2001:db9::7]:4711"], "2001:db9::7"),
        ("2001:db8::1", ["[2001:db9::7]"], "2001:db9::7"),
        ("10.0.0.1", ["192.0.2.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.7, , 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["a\x00b"], "10.0.0.1"),
        ("", ["192.0.2.7"], ""),
    ],
)
def test_last_untrusted(peer: str, forwarded_for: list[str], address: str) -> None:
    assert last_untrusted(peer, forwarded_for, TRUSTED) == address


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Mail.Example.org/jmap", "https://mail.example.org"),
        ("https://mail.example.org:443", "https://mail.example.org"),
        ("http://mail.example.org:80", "http://mail.example.org"),
        ("http://mail.example.org:8080", "http://mail.example.org:8080"),
        ("http://[::1]:8080/x", "http://[::1]:8080"),
    ],
)
def test_origin(url: str, expected: str) -> None:
    """RFC 6454 §6.2."""
    assert origin(url) == expected
