"""RFC 8621 §2, design §7: what the gateway knows of Mailboxes and no IMAP server could tell again.

That is what was chosen for them, and the ids of those that were renamed on a server without ids
for mailboxes. It is durable, so that it outlives the index. With it is kept which mailboxes are put
aside under other names for a moment, so that they come back whatever happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgpack

from gateway.obs.log import get_logger
from gateway.store.base import Durable, StoreError
from gateway.sync import ids
from gateway.sync.data import AccountData
from gateway.sync.mailbox_choice import NO_CHOICE, Choice
from gateway.sync.mailbox_ids import Known
from gateway.sync.mailboxes import Mailbox

BUNDLE: Final = "mailboxes"
_KEY: Final = "settings"
_VERSION: Final = 1
_KEPT_SECONDS: Final = 10 * 365 * 24 * 3600.0

log = get_logger(__name__)


class MailboxSettings:
    """The durable values of one account's mailboxes.

    aside: wire names under which mailboxes are for a moment, and those they may be given instead,
    the best first.
    """

    def __init__(self, durable: Durable, account_id: str) -> None:
        self._durable = durable
        self._account = account_id
        self._saved: bytes | None = None
        self._is_restored = False
        self.aside: dict[bytes, list[bytes]] = {}

    async def restore(self, data: AccountData) -> None:
        """Tell the account what was kept, once; what it knows already it knows better."""
        if self._is_restored:
            return
        try:
            found = await self._durable.load(self._account, BUNDLE, (_KEY,))
        except StoreError as error:
            log.warning("load_failed", reason=error.reason)
            return
        self._is_restored = True
        self._saved = found.get(_KEY)
        if self._saved is None:
            return
        try:
            version, mailboxes, aside = msgpack.unpackb(self._saved)
            if version != _VERSION:
                return
            self._tell(data, mailboxes)
        except (ValueError, TypeError, msgpack.exceptions.UnpackException) as error:
            log.warning("mailbox_settings_unreadable", reason=str(error))
            return
        self.aside = dict(aside)

    def _tell(self, data: AccountData, mailboxes: list[list[Any]]) -> None:
        for id_, wire, uidvalidity, choice in mailboxes:
            data.choices.setdefault(id_, Choice(*choice))
            if uidvalidity:
                data.remembered[wire] = Known(id_, uidvalidity, 0)

    async def choose(self, data: AccountData, choices: Mapping[str, Choice]) -> None:
        """Choose something for Mailboxes, by id; it shows once the account is read again.

        Raises StoreError; then nothing is chosen.
        """
        before = {id_: data.choices.get(id_, NO_CHOICE) for id_ in choices}
        data.choices.update(choices)
        try:
            await self.save(data)
        except StoreError:
            data.choices.update(before)
            raise

    async def save(self, data: AccountData) -> None:
        """Keep what has changed. Raises StoreError."""
        mailboxes = [
            [m.id, m.wire, _uidvalidity(m), [*data.choices.get(m.id, NO_CHOICE)]]
            for m in data.mailboxes.values()
            if data.choices.get(m.id, NO_CHOICE) != NO_CHOICE or _uidvalidity(m)
        ]
        document = [_VERSION, mailboxes, [*map(list, self.aside.items())]]
        octets = msgpack.packb(document) if mailboxes or self.aside else None
        if octets == self._saved:
            return
        if octets is None:
            await self._durable.drop(self._account, (BUNDLE,))
        else:
            await self._durable.keep(self._account, BUNDLE, {_KEY: octets}, _KEPT_SECONDS)
        self._saved = octets


def _uidvalidity(mailbox: Mailbox) -> int:
    """That of a mailbox whose id can not be made again of what the server says; else 0."""
    status = mailbox.status
    if status is None or mailbox.wire is None or status.mailbox_id or not status.uidvalidity:
        return 0
    made = ids.mailbox_id(None, mailbox.wire_name, status.uidvalidity)
    return status.uidvalidity if made != mailbox.id else 0
