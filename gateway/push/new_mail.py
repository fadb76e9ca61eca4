"""draft-ietf-jmap-emailpush-02: the new mail that one PushSubscription is told of, in order.

What has come to an account is looked for once its state of EmailDelivery is another, and put into
pushes. Until all of these have been taken, nothing more is looked for: so what waits is bounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

from gateway.ext.push_subscription.email_push import EmailPushConfig
from gateway.ext.push_subscription.subscription import PushSubscription
from gateway.imap.errors import ImapError
from gateway.jmap.errors import MethodError
from gateway.jmap.limits import DEFAULTS
from gateway.jmap.methods.get import properties_of
from gateway.jmap.spec import DataType, GetRequest, GetResult
from gateway.mail.email_matching import matching
from gateway.obs.log import get_logger
from gateway.push.changes import TypeState
from gateway.push.email_push import email_pushes
from gateway.store.base import StoreError
from gateway.sync.account import Account
from gateway.sync.added import likeness
from gateway.sync.changes import delivered
from gateway.sync.content import Want
from gateway.sync.data import AccountData
from gateway.sync.errors import NotCommitted
from gateway.sync.journal import UnknownState
from gateway.webpush.sender import Urgency

MOST_EMAILS: Final = 20
"""Of what has come together, the newest are pushed; of the others a StateChange tells."""
# Of more than these, it is not even asked whether they match.
_MOST_FILTERED: Final = 1_000
# Of those that match, so many may turn out to be no news.
_MOST_CANDIDATES: Final = 100
# What can not be evaluated or read so often in a row, although the mail server is there, is left.
_MOST_FAILURES: Final = 5

log = get_logger(__name__)

Open = Callable[[str], Awaitable[Account | None]]
"""Brings an account of the user into memory; None: no such one. Raises ImapError, NotCommitted."""


class EmailPush(NamedTuple):
    """One to be sent. pushed: once it is, up to which state of EmailDelivery; None: there is more.

    config: by which it was made.
    """

    account_id: str
    config: EmailPushConfig
    octets: bytes
    pushed: str | None

    @property
    def urgency(self) -> Urgency:
        """With which it is sent."""
        return self.config.urgency


class NewMail:
    """That of one subscription.

    pushed: the states of EmailDelivery, by account id, up to which all is done. is_behind: not all
    accounts could be looked at.
    """

    def __init__(self, pushed: Mapping[str, str], open_: Open, email: DataType) -> None:
        self.pushed = dict(pushed)
        self.is_behind = False
        self._open = open_
        self._email = email
        self._waiting: deque[EmailPush] = deque()
        self._failures: dict[str, int] = {}

    async def next(
        self, subscription: PushSubscription, states: Mapping[str, TypeState]
    ) -> EmailPush | None:
        """The first EmailPush that was not taken yet, as of these states; None: there is none."""
        configs = subscription.email_push or {}
        self.pushed = {id: self.pushed.get(id, subscription.pushed.get(id, "")) for id in configs}
        while self._waiting and configs.get(self._waiting[0].account_id) != self._waiting[0].config:
            self._waiting.popleft()  # what is wanted now is looked for anew
        self.is_behind = False
        for account_id, config in configs.items():
            if self._waiting:
                break
            state = states.get(account_id, {}).get("EmailDelivery")
            if state is not None and state != self.pushed[account_id]:
                await self._look(account_id, config)
        return self._waiting[0] if self._waiting else None

    def taken(self, push: EmailPush) -> None:
        """It has been sent."""
        if self._waiting and self._waiting[0] is push:
            self._waiting.popleft()
        if push.pushed is not None:
            self.pushed[push.account_id] = push.pushed

    async def _look(self, account_id: str, config: EmailPushConfig) -> None:
        try:
            account = await self._open(account_id)
            if account is None:
                return
            with account.glanced_at():
                await account.fresh()
                data = await account.indexed()
                state = account.states()["EmailDelivery"]
                pushes = await self._tried(account, config, _come(data, self.pushed[account_id]))
        except (ImapError, NotCommitted, StoreError) as error:
            log.info("new_mail_unknown", reason=type(error).__name__)
            pushes = None
        if pushes is None:
            self.is_behind = True
        elif pushes:
            *first, last = pushes
            self._waiting += [EmailPush(account_id, config, octets, None) for octets in first]
            self._waiting.append(EmailPush(account_id, config, last, state))
        else:
            self.pushed[account_id] = state

    async def _tried(
        self, account: Account, config: EmailPushConfig, ids: list[str]
    ) -> list[bytes] | None:
        """The pushes of these Emails; None if they are to be evaluated and read later."""
        try:
            pushes = await self._pushes(account, config, ids)
        except (ImapError, NotCommitted, StoreError):
            raise
        except MethodError as error:
            log.info("new_mail_unknown", reason=error.type)
            return self._failed(account.id)
        except Exception as error:  # what one message brings about must not end all pushes
            log.error("new_mail_failed", exc_info=error)
            return self._failed(account.id)
        self._failures.pop(account.id, None)
        return pushes

    def _failed(self, account_id: str) -> list[bytes] | None:
        failures = self._failures.pop(account_id, 0) + 1
        if failures >= _MOST_FAILURES:
            return []
        self._failures[account_id] = failures
        return None

    async def _pushes(
        self, account: Account, config: EmailPushConfig, ids: list[str]
    ) -> list[bytes]:
        """Raises MethodError, ImapError, StoreError."""
        newest = _by_date(account, ids)[-_MOST_FILTERED:]
        found = await matching(account, newest, config.parsed_filter(DEFAULTS))
        found = (await _without_added(account, found[-_MOST_CANDIDATES:]))[-MOST_EMAILS:]
        if not found:
            return []
        result = await self._read(account, found, config)
        records = [result.records[id_] for id_ in found if id_ in result.records]
        return email_pushes(account.id, result.state, config.properties, records)

    async def _read(self, account: Account, ids: list[str], config: EmailPushConfig) -> GetResult:
        """As Email/get does."""
        get = self._email.get
        if get is None:
            raise ValueError(f"{self._email.name} can not be read")
        wanted = properties_of(list(config.properties), self._email, get, DEFAULTS)
        request = GetRequest(
            ids=tuple(ids),
            properties=("id", *(each.name for each in wanted)),
            sources=frozenset[str]().union(*(each.sources for each in wanted)),
            arguments={each.name: each.default for each in get.arguments},
        )
        return await get.load(account, request)


def _come(data: AccountData, state: str) -> list[str]:
    """What has come since; nothing if nobody can tell any more."""
    try:
        return delivered(data, state)
    except UnknownState:
        return []


def _by_date(account: Account, ids: list[str]) -> list[str]:
    """Those of these Emails that are there, the oldest first."""
    emails = account.data.emails
    rows = emails.rows(ids)
    return sorted(rows, key=lambda id_: int(emails.received[rows[id_]]))


async def _without_added(account: Account, ids: list[str]) -> list[str]:
    """Those that no client has added through the gateway. Raises ImapError, StoreError."""
    emails, content = account.data.emails, account.content
    await content.read([*emails.rows(ids).values()], (Want.HEADER,))
    letters = {
        id_: likeness(int(emails.octets[row]), content.kept_header(row))
        for id_, row in emails.rows(ids).items()
    }
    added = await account.added.among(letters)
    return [id_ for id_ in ids if id_ in letters and id_ not in added]
