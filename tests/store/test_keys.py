"""Design §7, threats R11: how accounts and keys are named, and the secret behind it."""

from __future__ import annotations

import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.store import StoreError
from gateway.store.envelope import Unsealable, seal, unseal
from gateway.store.keys import FILE_NAME, owner, server_secret

ACCOUNTS = st.text(st.characters(exclude_categories=[]))
KEYS = st.from_regex(r"[a-z][a-z0-9./]{0,9}", fullmatch=True)


@pytest.mark.threat("R11")
@given(ACCOUNTS, ACCOUNTS)
def test_accounts_share_a_name_only_if_they_are_equal(one: str, other: str) -> None:
    assert (owner(b"secret", one) == owner(b"secret", other)) == (one == other)


@given(ACCOUNTS)
def test_a_name_is_hexadecimal_and_depends_on_the_secret(account: str) -> None:
    assert re.fullmatch("[0-9a-f]{32}", owner(b"secret", account))
    assert owner(b"secret", account) != owner(b"another", account)


@given(ACCOUNTS, KEYS, st.binary())
def test_what_was_sealed_opens(account: str, key: str, payload: bytes) -> None:
    assert unseal(b"secret", account, key, seal(b"secret", account, key, payload)) == payload


@given(st.binary(max_size=20), st.data())
def test_no_change_of_a_single_bit_goes_unnoticed(payload: bytes, data: st.DataObject) -> None:
    sealed = bytearray(seal(b"secret", "alice", "key", payload))
    position = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[position // 8] ^= 1 << position % 8
    with pytest.raises(Unsealable):
        unseal(b"secret", "alice", "key", bytes(sealed))


@pytest.mark.threat("R11")
@given(st.binary())
def test_any_octets_open_or_are_refused(octets: bytes) -> None:
    with pytest.raises(Unsealable):
        unseal(b"secret", "alice", "key", octets)


@pytest.mark.threat("R11")
@given(st.tuples(ACCOUNTS, KEYS, st.binary()), st.tuples(ACCOUNTS, KEYS))
def test_a_value_opens_only_where_it_was_saved(
    saved: tuple[str, str, bytes], asked: tuple[str, str]
) -> None:
    if saved[:2] != asked:
        with pytest.raises(Unsealable):
            unseal(b"secret", *asked, seal(b"secret", *saved))


def test_the_secret_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    directory = tmp_path / "new"
    secret = server_secret(directory)
    assert len(secret) == 32
    assert server_secret(directory) == secret
    assert stat.S_IMODE((directory / FILE_NAME).stat().st_mode) == 0o600
    assert [file.name for file in directory.iterdir()] == [FILE_NAME]
    assert server_secret(tmp_path / "another") != secret


def test_all_who_come_at_once_get_the_same_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        secrets = set(threads.map(server_secret, [tmp_path] * 32))
    assert len(secrets) == 1
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]


def test_a_secret_cut_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"short")
    with pytest.raises(StoreError, match="not 32 octets"):
        server_secret(tmp_path)


def test_a_directory_that_can_not_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file/data"):
        server_secret(tmp_path / "file" / "data")


def test_a_secret_that_others_can_read_is_remarked_on(tmp_path: Path) -> None:
    server_secret(tmp_path)
    (tmp_path / FILE_NAME).chmod(0o640)
    with capture_logs() as logs:
        secret = server_secret(tmp_path)
    assert [line["log_level"] for line in logs] == ["warning"]
    assert secret.hex() not in str(logs)
