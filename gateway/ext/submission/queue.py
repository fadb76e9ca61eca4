"""Design §10: the gateway's own queue: messages wait here until it is time, or are taken back.

What is held is durable, and of all nodes that share the store any may send it: the one that says
first that it does. From then on it can not be taken back any more.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from gateway.ext.submission import due
from gateway.ext.submission.due import Due
from gateway.ext.submission.held import Gone, HeldMessages
from gateway.ext.submission.outbox import (
    Letter,
    NotSent,
    Outbox,
    UnknownEnd,
    kept_alive,
)
from gateway.ext.submission.submissions import (
    CANCELED,
    LEASE_SECONDS,
    PENDING,
    QUEUED,
    Delivery,
    Submission,
    swept,
)
from gateway.jmap.errors import SetError
from gateway.obs.log import get_logger
from gateway.sasl import AnyCredentials
from gateway.sync.account import Account
from gateway.sync.errors import NotCommitted
from gateway.sync.records import Kept

MAX_DELAY_SECONDS: Final = 30 * 24 * 3600
"""RFC 8621 §1.3.2: maxDelayedSend."""
MAX_HELD: Final = 1_000
"""So many messages of one account may be held."""
# What another node has taken in is found after so long at the latest.
_LOOK_SECONDS: Final = 15.0
_AT_ONCE: Final = 4

log = get_logger(__name__)

CredentialsOf = Callable[[str], AnyCredentials | None]
"""The credentials of a user who is signed in now, by name: newer than those that were kept."""


class Queue:
    """Holds messages and sends them when it is time, while `run` runs."""

    def __init__(self, outbox: Outbox, credentials_of: CredentialsOf) -> None:
        self._outbox = outbox
        self._due = due.records(outbox.durable)
        self._messages = HeldMessages(outbox.durable)
        self._credentials_of = credentials_of
        self._news = asyncio.Event()
        self._node = secrets.token_hex(8)

    # --- in and out ------------------------------------------------------------------------------

    async def hold(self, account: Account, id_: str, letter: Letter) -> Submission:
        """Take in a message. Raises Already, NotCommitted, and SetError overQuota."""
        at, now = letter.submission.send_at, time.time()
        await self._messages.keep(
            account.id,
            id_,
            letter.envelope.without_holds(),
            letter.message,
            letter.credentials,
            at - now,
        )
        entry = Due(account.id, account.username, id_, at=at, since=at, made=now)
        waiting = {each: Delivery(QUEUED, "queued") for each in letter.submission.recipients}
        submission = replace(letter.submission, undo_status=PENDING, delivery=waiting)

        def edit(kept: Kept) -> Kept:
            self._outbox.raise_if_same(kept, submission.creation)
            if sum(r.value["undo_status"] == PENDING for r in kept.records.values()) >= MAX_HELD:
                raise SetError("overQuota", f"At most {MAX_HELD} messages can be held.")
            return swept(kept, now).put(id_, submission.value)

        try:
            # Without an EmailSubmission the entry comes to nothing; the other way round, a client
            # would be told of a message that nobody sends.
            await self._due.change(lambda kept: kept.put(id_, entry.value))
            await self._outbox.records(account.id).change(edit)
        except BaseException:
            await self._forget(entry)
            raise
        with suppress(NotCommitted):  # that there is one is seen later, too
            await self.is_told(id_)
        self._news.set()
        return submission

    async def is_told(self, id_: str) -> None:
        """The client has been told of a message, and it leaves whatever the client forgets."""

        def edit(kept: Kept) -> Kept:
            entry = due.entry(kept, id_)
            return kept if entry is None else kept.put(id_, replace(entry, is_told=True).value)

        await self._due.change(edit)

    async def take_back(self, account: Account, id_: str) -> bool:
        """Whether the message does not leave any more."""

        def edit(kept: Kept) -> Kept:
            entry = due.entry(kept, id_)
            if entry is None or entry.claimed_until > time.time() or entry.may_have_left:
                return kept
            return kept.put(id_, replace(entry, canceled=True, claimed_until=0.0).value)

        entry = due.entry(await self._due.change(edit), id_)
        if entry is None or not entry.canceled:
            return False
        await self._end_canceled(entry)
        return True

    async def _end_canceled(self, entry: Due) -> None:
        await self._change(
            entry, lambda each: replace(each, undo_status=CANCELED, delivery={}, sending_until=0.0)
        )
        await self._forget(entry)

    # --- when it is time -------------------------------------------------------------------------

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        while True:
            self._news.clear()
            try:
                pause = await self._look()
            except NotCommitted:
                pause = _LOOK_SECONDS
            try:
                async with asyncio.timeout(max(0.05, min(pause, _LOOK_SECONDS))):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _look(self) -> float:
        """Send what is due now; seconds until the next is."""
        now = time.time()
        entries = due.all_of(await self._due.load())
        ready = [each for each in entries if _is_ready(each, now)]
        for first in range(0, len(ready), _AT_ONCE):
            await asyncio.gather(*map(self._attend, ready[first : first + _AT_ONCE]))
        waiting = [max(each.at, each.claimed_until) for each in entries if each not in ready]
        return min(waiting, default=now + _LOOK_SECONDS) - time.time()

    async def _attend(self, entry: Due) -> None:
        try:
            if entry.canceled:
                await self._end_canceled(entry)
            elif entry.may_have_left:  # by a node that has fallen silent since
                await self._change(entry, Submission.with_unknown_end)
                await self._forget(entry)
            elif await self._claim(entry):
                await self._send(entry)
        except NotCommitted:
            log.warning("held_message_not_attended", id=entry.submission_id)

    async def _claim(self, entry: Due) -> bool:
        """Whether it is this node that sends it."""
        id_, until = entry.submission_id, time.time() + LEASE_SECONDS
        claimed = replace(entry, by=self._node, claimed_until=until)

        def edit(kept: Kept) -> Kept:
            return kept.put(id_, claimed.value) if kept.value(id_) == entry.value else kept

        return (await self._due.change(edit)).value(id_) == claimed.value

    async def _send(self, entry: Due) -> None:
        id_ = entry.submission_id
        if not entry.is_told:
            records = self._outbox.records(entry.account_id)
            if (await records.load()).value(id_) is None:
                await self._wait_for_telling(entry)
                return
        try:
            envelope, message, credentials = await self._messages.find(entry.account_id, id_)
        except Gone:
            log.error("held_message_lost", id=id_)
            await self._give_up(entry, "554 5.3.0 The message that was held is not there any more")
            return
        if credentials is not None:
            credentials = self._credentials_of(entry.username) or credentials

        async def before_end() -> None:
            await self._renew(id_, may_have_left=True)

        try:
            async with kept_alive(lambda: self._renew(id_)):
                delivery = await self._outbox.transmit(
                    credentials, envelope, message, id_, before_end
                )
        except NotSent as failure:
            await self._not_sent(entry, failure)
            return
        except UnknownEnd:
            log.warning("submission_end_unknown", id=id_)
            await self._change(entry, Submission.with_unknown_end)
        else:
            await self._change(entry, lambda each: each.ended(delivery))
        await self._forget(entry)

    async def _wait_for_telling(self, entry: Due) -> None:
        """Its creation is under way, or has come to nothing."""
        now = time.time()
        if entry.made + due.ORPHAN_SECONDS < now:
            await self._forget(entry)
            return
        later = replace(entry, at=now + 1.0, claimed_until=0.0)
        await self._due.change(lambda kept: kept.put(entry.submission_id, later.value))

    async def _renew(self, id_: str, *, may_have_left: bool = False) -> None:
        """Say that this node is at it. Raises NotCommitted if another one says so, too."""

        def edit(kept: Kept) -> Kept:
            entry = due.entry(kept, id_)
            if entry is None or entry.by != self._node:
                raise NotCommitted("another node is at it")
            until, began = time.time() + LEASE_SECONDS, entry.may_have_left or may_have_left
            return kept.put(id_, replace(entry, claimed_until=until, may_have_left=began).value)

        await self._due.change(edit)

    async def _not_sent(self, entry: Due, failure: NotSent) -> None:
        now = time.time()
        later = entry.again(now) if failure.is_temporary else None
        log.info("held_message_not_sent", id=entry.submission_id, is_final=later is None)
        if later is None:
            await self._give_up(entry, _reply(failure))
            return
        await self._due.change(lambda kept: kept.put(entry.submission_id, later.value))

    async def _give_up(self, entry: Due, reply: str) -> None:
        await self._change(
            entry,
            lambda each: each.ended({one: Delivery(reply, "no") for one in each.recipients}),
        )
        await self._forget(entry)

    async def _change(self, entry: Due, edit: Callable[[Submission], Submission]) -> None:
        """What has become of it, for the client, if it still wants to know and does not."""
        id_ = entry.submission_id

        def edited(kept: Kept) -> Kept:
            value = kept.value(id_)
            if value is None or value["undo_status"] != PENDING:
                return kept
            return kept.put(id_, edit(Submission.of(value)).value)

        await self._outbox.records(entry.account_id).change(edited)
        await self._outbox.tell(entry.account_id)

    async def _forget(self, entry: Due) -> None:
        await self._due.change(lambda kept: kept.without(entry.submission_id))
        await self._messages.drop(entry.account_id, entry.submission_id)


def _is_ready(entry: Due, now: float) -> bool:
    if entry.claimed_until > now:
        return False
    return entry.canceled or entry.may_have_left or entry.at <= now


def _reply(failure: NotSent) -> str:
    return failure.error.description or "554 5.0.0 It was refused"
