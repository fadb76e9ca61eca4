"""Design §7: names under which an account's data is filed, and the secret they are made with.

The name of an account in the store is an HMAC of its user name, so that no user name can be made
to reach into the data of another one, whatever characters it has, and a list of keys tells nobody
who has mail here.
"""

from __future__ import annotations

import hmac
import os
import re
import stat
from pathlib import Path

from gateway.obs.log import get_logger
from gateway.store.base import StoreError

SECRET_OCTETS = 32
FILE_NAME = "store.secret"

_OWNER_OCTETS = 16
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}", re.ASCII)
_log = get_logger(__name__)


def canonical(account: str) -> bytes:
    """The octets that stand for an account: different strings never give the same ones."""
    return account.encode("utf-8", "surrogatepass")


def owner(secret: bytes, account: str) -> str:
    """The account's name in the store: 32 hexadecimal digits."""
    digest = hmac.digest(secret, b"owner\0" + canonical(account), "sha256")
    return digest[:_OWNER_OCTETS].hex()


def check(key: str) -> str:
    """The key itself; ValueError unless it is of the form every backend takes as it is."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a store key: {key!r}")
    return key


def server_secret(data_dir: Path) -> bytes:
    """The 32 octets in the data directory, created at the first call; StoreError if unusable."""
    path = data_dir / FILE_NAME
    try:
        if not path.exists():
            _create(path)
        secret = path.read_bytes()
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            _log.warning("store secret is readable by others", path=str(path))
    except OSError as error:
        raise StoreError("secret", f"{path}: {error.strerror}") from error
    if len(secret) != SECRET_OCTETS:
        raise StoreError("secret", f"{path}: not {SECRET_OCTETS} octets")
    return secret


def _create(path: Path) -> None:
    """Write a new secret whole, then link it: of several processes at once, one wins for all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(SECRET_OCTETS))
            file.flush()
            os.fsync(descriptor)
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
