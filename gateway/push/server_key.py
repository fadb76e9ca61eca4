"""RFC 9749: the key by which push services know this server: the same on all of its nodes."""

from __future__ import annotations

from typing import Final

from gateway.obs.log import get_logger
from gateway.store.base import Durable, StoreError
from gateway.webpush.vapid import BadKey, Vapid

_OWNER: Final = "push"
_BUNDLE: Final = "vapid"
_KEY: Final = "key"
_KEPT_SECONDS: Final = 10 * 365 * 24 * 3600.0

log = get_logger(__name__)


class ServerKey:
    """The operator's, or one that the first node makes and the store keeps, hidden.

    vapid: None while the store has not told it.
    """

    def __init__(self, durable: Durable, own: Vapid | None, contact: str | None) -> None:
        self._durable = durable
        self._contact = contact
        self.vapid = own

    @property
    def public_key(self) -> str | None:
        """What clients and push services know."""
        return self.vapid.public_key if self.vapid is not None else None

    async def load(self) -> bool:
        """Whether it is known now."""
        try:
            while self.vapid is None:
                found = (await self._durable.load(_OWNER, _BUNDLE, (_KEY,))).get(_KEY)
                self.vapid = self._of(found) if found is not None else None
                if self.vapid is None:
                    new = self._durable.hide(_OWNER, Vapid.generate().pem)
                    entries = {_KEY: new}
                    await self._durable.replace(
                        _OWNER, _BUNDLE, _KEY, found, entries, _KEPT_SECONDS
                    )
        except StoreError as error:
            log.warning("server_key_unknown", reason=error.reason)
            return False
        return True

    def _of(self, hidden: bytes) -> Vapid | None:
        """None for what another secret of the store has hidden: nobody can use it any more."""
        pem = self._durable.reveal(_OWNER, hidden)
        if pem is None:
            return None
        try:
            return Vapid.load(pem, self._contact)
        except BadKey:
            return None
