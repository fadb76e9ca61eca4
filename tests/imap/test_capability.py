"""RFC 9051 §7.2.2: capabilities, in any case."""

from __future__ import annotations

from gateway.imap.wire.capability import Capabilities


def test_case_does_not_matter() -> None:
    capabilities = Capabilities.parse([b"IMAP4rev1", b"qresync", None, [b"X"], b"AUTH=Plain"])
    assert "QRESYNC" in capabilities
    assert "imap4REV1" in capabilities
    assert "X" not in capabilities
    assert capabilities.auth == {"PLAIN"}


def test_none_are_false() -> None:
    assert not Capabilities()
