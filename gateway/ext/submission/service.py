"""RFC 8621 §1.3.2: what the gateway needs to send, put together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from gateway.ext.submission.addresses import AddressBook
from gateway.ext.submission.identities import Identities
from gateway.ext.submission.outbox import Outbox
from gateway.ext.submission.queue import Queue
from gateway.ext.submission.submission_set import Sending
from gateway.ext.submission.transmitting import Smtp
from gateway.ext.submission.types import email_submission, identity
from gateway.jmap.spec import DataType
from gateway.sasl import AnyCredentials, Credentials, Master
from gateway.smtp.connection import Server
from gateway.store.base import Durable
from gateway.sync.account import Account
from gateway.sync.accounts import Accounts
from gateway.sync.budgets import Budgets


@dataclass(frozen=True, slots=True)
class SignIn:
    """As whom messages are sent: each user, or `master` for each, or all as `relay`, or nobody."""

    as_user: bool
    relay: Credentials | None = None
    master: Master | None = None


class Submission:
    """Identity and EmailSubmission, and the work behind them."""

    def __init__(
        self,
        durable: Durable,
        accounts: Accounts,
        server: Server,
        sign_in: SignIn,
        book: AddressBook,
        budgets: Budgets,
        *,
        any_from: bool = False,
    ) -> None:
        def credentials_of(username: str) -> AnyCredentials | None:
            if sign_in.master is not None:
                return sign_in.master.acting_for(username)
            return accounts.credentials(username) if sign_in.as_user else None

        self._book = book
        self._smtp = Smtp(server, sign_in.relay)
        outbox = Outbox(durable, self._smtp, accounts.announce)
        self._queue = Queue(outbox, credentials_of)
        identities = Identities(durable, book)
        sending = Sending(outbox, self._queue, identities, credentials_of, budgets, any_from)
        self.sending = sending
        self.types: tuple[DataType, ...] = (identity(identities), email_submission(sending))

    @property
    def capability(self) -> dict[str, Any]:
        """What the Session object says of an account from which can be sent."""
        return self._smtp.capability

    async def addresses(self, account: Account) -> list[str]:
        """Under which addresses a user gets mail, as far as they are known one by one."""
        return [each.email for each in self._book.of(account.username) if each.is_single]

    async def run(self) -> None:
        """Send what was held, when it is time, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._smtp.probe())
            group.create_task(self._queue.run())
