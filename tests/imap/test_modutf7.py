"""RFC 3501 §5.1.3: mailbox names in modified UTF-7."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.wire import encode, modutf7

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(NAMES)
def test_names_round_trip(name: str) -> None:
    wire = modutf7.encode(name)
    assert wire.isascii()
    assert not set(wire) & set(range(32))
    assert modutf7.decode(wire) == name


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("Entwürfe", b"Entw&APw-rfe"),
        ("Tom & Jerry", b"Tom &- Jerry"),
        ("&", b"&-"),
        ("😀", b"&2D3eAA-"),
        ("a\r\nb", b"a&AA0ACg-b"),
    ],
)
def test_known_names(name: str, wire: bytes) -> None:
    assert modutf7.encode(name) == wire
    assert modutf7.decode(wire) == name


@pytest.mark.parametrize(
    ("wire", "name"),
    [
        (b"a&b", "a&b"),  # an open shift
        (b"a&***-b", "a&***-b"),
        (b"&2D0-x", "&2D0-x"),  # half a surrogate pair
        ("Entwürfe".encode(), "Entwürfe"),  # UTF8=ACCEPT, or a server that does not care
        (b"\xff", "�"),
        (b"", ""),
    ],
)
def test_names_that_are_not_valid_are_kept(wire: bytes, name: str) -> None:
    assert modutf7.decode(wire) == name


@given(st.binary(max_size=40))
def test_decoding_never_fails(wire: bytes) -> None:
    modutf7.decode(wire).encode()


def test_inbox_has_one_spelling() -> None:
    assert encode.mailbox_name("inBox") == b"INBOX"
    assert encode.mailbox_name("inBox/ä") == b"inBox/&AOQ-"
