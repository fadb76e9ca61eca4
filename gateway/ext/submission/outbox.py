"""RFC 8621 §7.5, design §10: sends messages, each of them once.

Before the end of a message is sent, without which no server takes it, that is written down, and
what became of it after. Between the two nobody can know, and what is found so is not sent again.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final, Protocol

from gateway.ext.submission.envelope import Envelope
from gateway.ext.submission.outgoing import Outgoing
from gateway.ext.submission.submissions import (
    LEASE_SECONDS,
    Creation,
    Delivery,
    Submission,
    same_creation,
    settled,
    swept,
)
from gateway.jmap.errors import SetError
from gateway.obs.log import get_logger
from gateway.sasl import AnyCredentials
from gateway.store.base import Durable
from gateway.sync.account import Account
from gateway.sync.errors import NotCommitted
from gateway.sync.lru import Cache
from gateway.sync.records import Kept, Records

# A creation that comes again waits so long for the end of what came first.
_WAIT_SECONDS: Final = 90.0
_LOOK_SECONDS: Final = 0.25
# EmailSubmissions of which is remembered that the client has heard of them.
_REMEMBERED: Final = 10_000

log = get_logger(__name__)

BeforeEnd = Callable[[], Awaitable[None]]


class NotSent(Exception):
    """The message has certainly not been taken; is_temporary: it may be, if it is tried later."""

    def __init__(self, error: SetError, *, is_temporary: bool) -> None:
        super().__init__(error.description)
        self.error = error
        self.is_temporary = is_temporary


class UnknownEnd(Exception):
    """The message was sent, and no answer came: whether it was taken is not known."""


class Transmitter(Protocol):
    """Hands messages to the submission server."""

    @property
    def longest_hold(self) -> float:
        """For so many seconds that server holds messages itself (RFC 4865), 0 if it does not."""
        ...

    async def transmit(
        self,
        credentials: AnyCredentials | None,
        envelope: Envelope,
        message: Outgoing,
        envid: str,
        before_end: BeforeEnd,
    ) -> Mapping[str, Delivery]:
        """What became of it, by recipient: all of them took it.

        `before_end` is awaited when all but the end of the message has been sent: what it raises
        is raised, and the message not taken. Raises NotSent, UnknownEnd.
        """
        ...


class Already(Exception):
    """The same creation has come before; `submission` is what became of it so far."""

    def __init__(self, id_: str, submission: Submission) -> None:
        super().__init__(id_)
        self.id = id_
        self.submission = submission


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be sent: what will be kept of it, and the rest.

    credentials: of the user, None where the submission server wants no user's.
    """

    submission: Submission
    envelope: Envelope
    message: Outgoing
    credentials: AnyCredentials | None


class Outbox:
    """Sends for the users of this node. Every method raises NotCommitted when the store fails."""

    def __init__(
        self, durable: Durable, transmitter: Transmitter, announce: Callable[[str, str, str], None]
    ) -> None:
        """announce: tells listeners of an account, by its id, that a type has a new state."""
        self.durable = durable
        self._announce = announce
        self._transmitter = transmitter
        self._told: Cache[str, None] = Cache(_REMEMBERED)
        self.transmit = transmitter.transmit

    @property
    def longest_hold(self) -> float:
        """For so many seconds the submission server holds messages itself."""
        return self._transmitter.longest_hold

    def told(self, ids: Iterable[str]) -> None:
        """The client has heard of these EmailSubmissions."""
        for id_ in ids:
            self._told.get(id_, lambda: None)

    def raise_if_same(self, kept: Kept, creation: Creation) -> None:
        """Raises Already for a creation that has come before."""
        found = same_creation(kept, creation, time.time(), self._told.__contains__)
        if found is not None:
            raise Already(*found)

    def records(self, account_id: str) -> Records:
        """All EmailSubmissions of an account."""
        return Records(self.durable, account_id, "submissions")

    async def held(self, account_id: str) -> Kept:
        """All EmailSubmissions of an account, as of now."""
        records = self.records(account_id)
        kept = await records.load()
        if settled(kept, time.time()) is kept:
            return kept
        return await records.change(lambda kept: settled(kept, time.time()))

    async def send(self, account: Account, letter: Letter) -> tuple[str, Submission]:
        """Send a message now; what became of it. Raises SetError when it was not sent."""
        id_ = new_id()
        records = self.records(account.id)
        before = await records.load()
        try:
            self.raise_if_same(before, letter.submission.creation)
            return id_, await self._sent(id_, records, letter)
        except Already as already:
            return await self._end_of(already, records)
        except NotSent as failure:
            raise failure.error from failure
        finally:
            await self.tell(account.id)

    async def _sent(self, id_: str, records: Records, letter: Letter) -> Submission:
        async def before_end() -> None:
            await records.change(lambda kept: self._begun(kept, id_, letter.submission))

        submission = letter.submission
        try:
            async with kept_alive(lambda: records.change(lambda kept: _alive(kept, id_))):
                delivery = await self.transmit(
                    letter.credentials, letter.envelope, letter.message, id_, before_end
                )
            ended = submission.ended(delivery)
        except UnknownEnd:
            log.warning("submission_end_unknown", id=id_)
            ended = submission.with_unknown_end()
        except NotSent:
            await records.change(lambda kept: kept.without(id_))
            raise
        try:
            await records.change(lambda kept: put_if_there(kept, id_, ended))
        except NotCommitted:
            # It has left all the same; that it has is shown later as not known.
            log.warning("submission_end_not_kept", id=id_)
        return ended

    def _begun(self, kept: Kept, id_: str, submission: Submission) -> Kept:
        now = time.time()
        self.raise_if_same(kept, submission.creation)
        sending = replace(submission, sending_until=now + LEASE_SECONDS)
        return swept(kept, now).put(id_, sending.value)

    async def _end_of(self, already: Already, records: Records) -> tuple[str, Submission]:
        """What becomes of what came first, once that is known. Raises SetError."""
        found: Submission | None = already.submission
        deadline = time.monotonic() + _WAIT_SECONDS
        while found is not None and found.is_sending and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_SECONDS)
            kept = await records.change(lambda kept: settled(kept, time.time()))
            value = kept.value(already.id)
            found = Submission.of(value) if value is not None else None
        if found is None:
            raise SetError("serverUnavailable", "It could not be sent; try again.")
        return already.id, found

    async def tell(self, account_id: str) -> None:
        """Let listeners know of what has changed; this never fails."""
        with suppress(NotCommitted):
            kept = await self.records(account_id).load()
            self._announce(account_id, "EmailSubmission", kept.state)


def new_id() -> str:
    """An id for an EmailSubmission, which is its ENVID, too (RFC 3461 §4.4)."""
    return "S" + secrets.token_hex(10)


def put_if_there(kept: Kept, id_: str, submission: Submission) -> Kept:
    """The same with what has become of one, unless the client has destroyed it."""
    return kept.put(id_, submission.value) if kept.value(id_) is not None else kept


@asynccontextmanager
async def kept_alive(say: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Say again and again, inside the block, that this node is at it."""

    async def go_on() -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            try:
                await say()
            except NotCommitted:
                log.warning("lease_not_renewed")

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


def _alive(kept: Kept, id_: str) -> Kept:
    value = kept.value(id_)
    if value is None or not Submission.of(value).is_sending:
        return kept
    return kept.put(id_, {**value, "sending_until": time.time() + LEASE_SECONDS})
