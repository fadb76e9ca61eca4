"""Design §2: what addresses, URLs, networks and secrets are taken for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import (
    Address,
    ImapUrl,
    Network,
    Origin,
    SecretKey,
    SieveUrl,
    StoreUrl,
    is_loopback,
)
from gateway.config.values import PublicUrl, Security

HOSTS = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True) | st.ip_addresses(
    v=6
).map(str)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("imap://localhost", ImapUrl("localhost", 143, "plain")),
        ("imap+starttls://mail.example.org/", ImapUrl("mail.example.org", 143, "starttls")),
        ("imaps://mail.example.org", ImapUrl("mail.example.org", 993, "tls")),
        ("IMAPS://Mail.Example.ORG:1993", ImapUrl("mail.example.org", 1993, "tls")),
        ("imaps://192.0.2.1", ImapUrl("192.0.2.1", 993, "tls")),
        ("imaps://[2001:DB8::1]", ImapUrl("2001:db8::1", 993, "tls")),
        ("imap://[::1]:10143", ImapUrl("::1", 10143, "plain")),
    ],
)
def test_imap_url(text: str, expected: ImapUrl) -> None:
    assert ImapUrl.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected imaps://HOST"),
        ("mail.example.org", "expected imaps://HOST"),
        ("mail.example.org:993", "expected imaps://HOST"),
        ("http://mail.example.org", "expected imaps://HOST"),
        ("imaps://", "host name"),
        ("imaps://:993", "host name"),
        ("imaps://user@mail.example.org", "no user name"),
        ("imaps://user:password@mail.example.org", "no user name"),
        ("imaps://mail.example.org/INBOX", "nothing after"),
        ("imaps://mail.example.org?x=1", "nothing after"),
        ("imaps://mail.example.org#x", "nothing after"),
        ("imaps://mail.example.org:0", "from 1 to 65535"),
        ("imaps://mail.example.org:65536", "expected a port"),
        ("imaps://mail.example.org:imap", "expected a port"),
        ("imaps://[::1", "expected a URL"),
        ("imaps://[::x]", "URL|::x"),
        ("imaps://2001:db8::1", "expected a port"),
        ("imaps://mail.example.org\r\nA1 LOGOUT", "no blanks"),
        ("imaps://mail.example.org\\@evil", "no blanks"),
        ("imaps://mail_.example..org_", "host name"),
    ],
)
def test_no_imap_url(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        ImapUrl.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sieve://localhost", SieveUrl("localhost", 4190, "plain")),
        ("sieve+starttls://mail.example.org", SieveUrl("mail.example.org", 4190, "starttls")),
        ("sieves://mail.example.org:5190/", SieveUrl("mail.example.org", 5190, "tls")),
    ],
)
def test_sieve_url(text: str, expected: SieveUrl) -> None:
    assert SieveUrl.parse(text) == expected
    assert SieveUrl.parse(str(expected)) == expected


@pytest.mark.parametrize("text", ["imaps://mail.example.org", "sieve://", "sieve://u@mail"])
def test_no_sieve_url(text: str) -> None:
    with pytest.raises(ValueError, match=r"sieves://HOST|host name|no user name"):
        SieveUrl.parse(text)


@given(HOSTS, st.integers(1, 65535), st.sampled_from(["plain", "starttls", "tls"]))
def test_an_imap_url_is_written_as_it_is_read(host: str, port: int, security: Security) -> None:
    url = ImapUrl(host, port, security)
    assert ImapUrl.parse(str(url)) == url


@given(HOSTS, st.integers(0, 65535))
def test_an_address_is_written_as_it_is_read(host: str, port: int) -> None:
    assert Address.parse(str(Address(host, port))) == Address(host, port)


@pytest.mark.parametrize(
    "text",
    ["8080", ":8080", "localhost", "localhost:", "::1:80", "a:b", "a@b:1", "a:1/", "a:70000"],
)
def test_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://jmap.example.org", "https://jmap.example.org"),
        ("https://JMAP.example.org:443/mail/", "https://jmap.example.org/mail"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_public_url(text: str, expected: str) -> None:
    assert PublicUrl.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    ["jmap.example.org", "ftp://a", "https://", "https://a/?q", "https://a/#f", "https://u@a"],
)
def test_no_public_url(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|no user name"):
        PublicUrl.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*", "*"),
        ("https://Mail.example.org", "https://mail.example.org"),
        ("https://mail.example.org:443", "https://mail.example.org"),
        ("http://localhost:3000", "http://localhost:3000"),
    ],
)
def test_origin_is_written_as_browsers_do(text: str, expected: str) -> None:
    """RFC 6454 §6.1."""
    assert Origin.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "mail.example.org",
        "https://a/",
        "https://a/b",
        "https://*",
        "null",
        "https://a?",
        "file://a",
    ],
)
def test_no_origin(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Origin.parse(text)


def test_a_network_knows_its_addresses() -> None:
    network = Network.parse("192.0.2.0/24")
    assert "192.0.2.7" in network
    assert "::ffff:192.0.2.7" in network
    assert "192.0.3.7" not in network
    assert "2001:db8::1" not in network
    assert "unknown" not in network
    assert "2001:db8::1" in Network.parse("2001:db8::/32")
    assert "192.0.2.1" in Network.parse("192.0.2.1")


@pytest.mark.parametrize("text", ["", "192.0.2.1/24", "192.0.2.0/33", "example.org"])
def test_no_network(text: str) -> None:
    with pytest.raises(ValueError, match=r"IPv4|host bits"):
        Network.parse(text)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://user:hunter2@localhost:6379/1", "redis://user:********@localhost:6379/1"),
        ("rediss://:hunter2@p@localhost", "rediss://:********@localhost"),
        ("redis://localhost?password=hunter2&db=1", "redis://localhost?password=********&db=1"),
        ("sqlite:///var/lib/jmap-gateway/store.db", "sqlite:///var/lib/jmap-gateway/store.db"),
        ("memory://", "memory://"),
    ],
)
def test_a_store_url_shows_all_but_its_password(text: str, shown: str) -> None:
    url = StoreUrl.parse(text)
    assert url.reveal() == text
    assert str(url) == shown
    assert "ter2" not in repr(url)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/var/lib/store.db",
        "sqlite://",
        "sqlite://store.db",
        "mysql://localhost",
        "redis://:a/b@host",
    ],
)
def test_no_store_url(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        StoreUrl.parse(text)


def test_a_secret_shows_nothing_and_is_equal_by_its_text() -> None:
    key = SecretKey.parse("x" * 32)
    assert "x" not in f"{key} {key!r}".replace("SecretKey", "")
    assert key == SecretKey.parse("x" * 32)
    assert key != SecretKey.parse("y" * 32)
    assert key != StoreUrl("x" * 32)
    assert len({key, SecretKey.parse("x" * 32)}) == 1
    with pytest.raises(ValueError, match="32 characters"):
        SecretKey.parse("x" * 31)
