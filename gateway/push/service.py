"""RFC 8620 §7.2, RFC 9749: Web Push as a whole: its type, its capability, and the work beside."""

from __future__ import annotations

import ssl
import time
from collections.abc import Collection
from typing import Any, Final

from gateway.ext.push_subscription.email_push import EMAIL_PUSH
from gateway.ext.push_subscription.setting import MAX_SECONDS, MailTerms, Terms
from gateway.ext.push_subscription.subscriptions import Book
from gateway.ext.push_subscription.types import push_subscription
from gateway.jmap.errors import SetError
from gateway.jmap.spec import DataType
from gateway.push.changes import event_id
from gateway.push.couriers import Couriers
from gateway.push.server_key import ServerKey
from gateway.store.base import Durable
from gateway.sync.account import Account
from gateway.sync.accounts import Accounts
from gateway.sync.way_in import WayIn
from gateway.webpush.addresses import Networks
from gateway.webpush.sender import Sender
from gateway.webpush.vapid import Vapid

VAPID: Final = "urn:ietf:params:jmap:webpush-vapid"
# A password that is kept is kept a little longer than what it is kept for.
_GRACE_SECONDS: Final = 24 * 3600.0


class WebPush:
    """What the gateway pushes with, while `run` runs.

    way_in: how it looks for users who are away; reports: whether the mail server reports changes,
    which is enough to tell that there are some. vapid: the operator's key, if there is one. email:
    the type, as Email/get knows it.
    """

    def __init__(
        self,
        durable: Durable,
        accounts: Accounts,
        way_in: WayIn | None,
        *,
        reports: bool,
        networks: Networks,
        ssl_context: ssl.SSLContext,
        vapid: Vapid | None = None,
        contact: str | None = None,
        email: DataType,
    ) -> None:
        self._accounts = accounts
        self._way_in = way_in
        self._reports = reports
        self._sender = Sender(networks, ssl_context)
        self._key = ServerKey(durable, vapid, contact)
        self._couriers = Couriers(durable, accounts, way_in, self._sender, self._key, email)
        terms = Terms(
            server_key=lambda: self._key.public_key,
            networks=networks,
            let_in=self._let_in,
            now=_now,
            may_verify=self._couriers.may_verify,
            changed=self._couriers.changed,
            email_push=MailTerms(email, self._deliveries) if way_in is not None else None,
        )
        self.types: tuple[DataType, ...] = (push_subscription(Book(durable), terms),)

    @property
    def capabilities(self) -> dict[str, dict[str, Any]]:
        """RFC 9749 §3, once the key is known, and of what is pushed besides."""
        key = self._key.public_key
        if key is None:
            return {}
        return {VAPID: {"applicationServerKey": key}, **self.account_capabilities}

    @property
    def account_capabilities(self) -> dict[str, dict[str, Any]]:
        """Those of each account: new mail is pushed where it can be seen for who is away."""
        return {EMAIL_PUSH: {}} if self._way_in is not None else {}

    def reported(self, username: str, *, is_delivery: bool) -> None:
        """The mail server reports a change in a user's own account."""
        self._couriers.reported(username, is_delivery=is_delivery)

    async def run(self) -> None:
        """Send what is to be sent, until cancelled."""
        async with self._sender:
            await self._couriers.run()

    async def _let_in(self, account: Account, must_see: bool) -> None:
        """See to it that the user can be watched for later. Raises SetError, NotCommitted.

        must_see: that something has come is not enough.
        """
        if self._way_in is None:
            return
        until = time.time() + MAX_SECONDS + _GRACE_SECONDS
        credentials = self._accounts.credentials(account.username)
        is_seen = await self._way_in.keep(account.id, credentials, until)
        if not is_seen and (must_see or not self._reports):
            raise SetError("forbidden", "The gateway can not look for this user's mail later.")

    async def _deliveries(self, account: Account, account_ids: Collection[str]) -> dict[str, str]:
        """The states of EmailDelivery, of those that are accounts of the user, whose own is given.

        Raises ImapError, NotCommitted.
        """
        states = {}
        await self._accounts.shared(account)
        for account_id in account_ids:
            found = await self._accounts.open(account, account_id)
            if found is not None:
                await found.recheck()  # what was there before is no news
                states[account_id] = found.states()["EmailDelivery"]
        return states


async def _now(account: Account, types: frozenset[str] | None) -> str:
    await account.fresh()
    return event_id({account.id: account.states()}, types)
