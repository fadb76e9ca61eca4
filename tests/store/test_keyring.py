"""Design §11: what is sealed is opened by the same key for the same owner, and by nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.keyring import Keyring, Opened

secrets = st.binary(min_size=32, max_size=64)


@given(secrets, st.binary(), st.binary())
def test_what_is_sealed_can_be_opened(secret: bytes, owner: bytes, octets: bytes) -> None:
    keys = Keyring([secret])
    assert keys.open(owner, keys.seal(owner, octets)) == Opened(octets, is_current=True)


@given(secrets, secrets, st.binary())
def test_an_older_key_opens_until_it_is_taken_away(old: bytes, new: bytes, octets: bytes) -> None:
    sealed = Keyring([old]).seal(b"ann", octets)
    opened = Keyring([new, old]).open(b"ann", sealed)
    assert opened == Opened(octets, is_current=old == new)
    if old != new:
        assert Keyring([new]).open(b"ann", sealed) is None


@given(st.data())
def test_nothing_else_opens(data: st.DataObject) -> None:
    keys = Keyring([b"k" * 32])
    sealed = bytearray(keys.seal(b"ann", b"secret"))
    assert keys.open(b"bob", bytes(sealed)) is None
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    assert keys.open(b"ann", bytes(sealed)) is None
    assert keys.open(b"ann", bytes(sealed[:at])) is None


def test_the_same_is_never_sealed_the_same() -> None:
    keys = Keyring([b"k" * 32])
    assert keys.seal(b"ann", b"secret") != keys.seal(b"ann", b"secret")


def test_there_is_a_key() -> None:
    with pytest.raises(ValueError, match="needs a key"):
        Keyring([])
