"""Design §11: how the gateway lets itself in for users who are away, to see what has changed.

A master user of the mail server opens every mailbox. Without one, the password that a user signed
in with is kept, sealed under keys that the store does not have (threat R13), for as long as
somebody waits for pushes.
"""

from __future__ import annotations

import time
from typing import Final, Protocol

from gateway.obs.log import get_logger
from gateway.sasl import AnyCredentials, Credentials, Master
from gateway.store.base import Durable, StoreError
from gateway.store.keyring import Keyring
from gateway.sync.errors import NotCommitted

_BUNDLE: Final = "way-in"
_KEY: Final = "password"

log = get_logger(__name__)


class WayIn(Protocol):
    """A way in. Every method raises NotCommitted if the store fails.

    is_of_user: what opens the mailbox is the user's own, and may be revoked.
    """

    is_of_user: bool

    async def keep(self, account_id: str, credentials: AnyCredentials | None, until: float) -> bool:
        """Have a way in up to then (in seconds since 1970), given what the user signed in with.

        Whether there is one.
        """
        ...

    async def find(self, account_id: str, username: str) -> AnyCredentials | None:
        """What opens the user's mailbox, None if nothing does (any more)."""
        ...

    async def forget(self, account_id: str) -> None:
        """Nobody waits any more, or the mail server has refused what was found."""
        ...


class MasterUser:
    """A user of the mail server who may act for all others."""

    is_of_user = False

    def __init__(self, master: Master) -> None:
        self._master = master

    async def keep(self, account_id: str, credentials: AnyCredentials | None, until: float) -> bool:
        """There is always a way in."""
        return True

    async def find(self, account_id: str, username: str) -> AnyCredentials | None:
        """The master's password, to act for the user."""
        return self._master.acting_for(username)

    async def forget(self, account_id: str) -> None:
        """Nothing is kept of a user."""


class SealedPasswords:
    """The passwords of those who wait for pushes."""

    is_of_user = True

    def __init__(self, durable: Durable, keys: Keyring) -> None:
        self._durable = durable
        self._keys = keys

    async def keep(self, account_id: str, credentials: AnyCredentials | None, until: float) -> bool:
        """Keep the password, if one is known."""
        if not isinstance(credentials, Credentials) or not credentials.is_of_user:
            return await self._read(account_id) is not None
        await self._write(account_id, credentials.password, until)
        return True

    async def find(self, account_id: str, username: str) -> AnyCredentials | None:
        """The password that the user has signed in with."""
        octets = await self._read(account_id)
        if octets is None:
            return None
        opened = self._keys.open(account_id.encode(), octets)
        if opened is None:
            log.warning("sealed_password_of_no_use", account=account_id)
            return None
        return Credentials(username, opened.octets.decode())

    async def forget(self, account_id: str) -> None:
        """Forget the password."""
        try:
            await self._durable.drop(account_id, (_BUNDLE,))
        except StoreError as error:
            raise NotCommitted("the store of passwords fails") from error

    async def _read(self, account_id: str) -> bytes | None:
        try:
            found = await self._durable.load(account_id, _BUNDLE, (_KEY,))
        except StoreError as error:
            raise NotCommitted("the store of passwords fails") from error
        return found.get(_KEY)

    async def _write(self, account_id: str, password: str, until: float) -> None:
        sealed = self._keys.seal(account_id.encode(), password.encode())
        seconds = max(until - time.time(), 1.0)
        try:
            await self._durable.keep(account_id, _BUNDLE, {_KEY: sealed}, seconds)
        except StoreError as error:
            raise NotCommitted("the store of passwords fails") from error
