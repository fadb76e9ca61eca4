"""RFC 8621 §7.5: EmailSubmission/set: send messages, take them back, forget that they were sent."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import msgpack

from gateway.ext.submission import envelope as envelopes
from gateway.ext.submission import feedback
from gateway.ext.submission.addresses import Permitted
from gateway.ext.submission.envelope import Envelope
from gateway.ext.submission.identities import Held, Identities
from gateway.ext.submission.outbox import Already, Letter, Outbox, new_id
from gateway.ext.submission.outgoing import Outgoing, outgoing
from gateway.ext.submission.queue import MAX_DELAY_SECONDS, Queue
from gateway.ext.submission.submissions import (
    CANCELED,
    FINAL,
    PENDING,
    Creation,
    Submission,
    all_of,
)
from gateway.jmap.call import Call
from gateway.jmap.errors import SetError, invalid_properties
from gateway.jmap.limits import Limits
from gateway.jmap.settable import Change, Settled
from gateway.mail.backend import backend, backend_errors
from gateway.mail.blob import open_blob
from gateway.mime import addresses
from gateway.sasl import AnyCredentials
from gateway.sync import ids
from gateway.sync.account import Account
from gateway.sync.budgets import Budgets, Kind, OverBudget
from gateway.sync.errors import MessageGone
from gateway.sync.records import Kept
from gateway.sync.spool import spooled

ON_SUCCESS_UPDATE: Final = "onSuccessUpdateEmail"
ON_SUCCESS_DESTROY: Final = "onSuccessDestroyEmail"
# What a client can not know, or may have been told otherwise when the creation came before.
_TOLD: Final = ("emailId", "threadId", "envelope", "sendAt", "undoStatus", "deliveryStatus")
_EMPTY: Final[dict[str, Any]] = {"dsnBlobIds": [], "mdnBlobIds": []}


@dataclass(frozen=True, slots=True)
class Sending:
    """What EmailSubmission/set works with.

    credentials_of: those to sign in with for a user, None where the submission server wants no
    user's. budgets: how much users may send. any_from: messages may be from whomever they say.
    """

    outbox: Outbox
    queue: Queue
    identities: Identities
    credentials_of: Callable[[str], AnyCredentials | None]
    budgets: Budgets
    any_from: bool = False

    async def spend(self, account: Account, recipients: int) -> None:
        """Count a message to so many. Raises SetError rateLimit."""
        try:
            await self.budgets.spend(Kind.RECIPIENTS, account.id, recipients)
            await self.budgets.spend(Kind.MESSAGES, account.id)
        except OverBudget as over:
            raise SetError(
                "rateLimit", f"Too much was sent; try again in {over.seconds} s."
            ) from over

    @asynccontextmanager
    async def open_set(
        self, account: Account, _arguments: dict[str, Any], _limits: Limits
    ) -> AsyncIterator[SubmissionSetting]:
        """Begin an EmailSubmission/set. Raises MethodError serverUnavailable."""
        with backend_errors():
            yield SubmissionSetting(self, account, await self.outbox.held(account.id))


class SubmissionSetting:
    """An EmailSubmission/set under way; see gateway.jmap.settable.Setting."""

    def __init__(self, sending: Sending, account: Account, kept: Kept) -> None:
        self._sending = sending
        self._outbox = sending.outbox
        self.account = account
        self._kept = kept
        self._email_ids = {id_: each.email_id for id_, each in all_of(kept).items()}

    @property
    def state(self) -> str:
        """The state of the type."""
        return self._kept.state

    async def current(
        self, ids: Sequence[str], properties: frozenset[str]
    ) -> dict[str, dict[str, Any]]:
        """What EmailSubmission/get shows of those that there are."""
        found = all_of(self._kept)
        shown = {id_: found[id_].members(id_) for id_ in ids if id_ in found}
        return {
            id_: {name: members[name] for name in ("id", *properties)}
            for id_, members in shown.items()
        }

    def told(self, ids: Iterable[str]) -> None:
        """The client has heard of EmailSubmissions."""
        self._outbox.told(ids)

    def succeeded(self, settled: Settled) -> dict[str, str]:
        """The Emails of what was done, by ids and by "#creationId"."""
        made = {
            name: each["id"] for name, each in settled.created.items() if isinstance(each, dict)
        }
        done = [*made.values()]
        for outcome in (settled.updated, settled.destroyed):
            done += [id_ for id_, each in outcome.items() if not isinstance(each, SetError)]
        references = {f"#{name}": id_ for name, id_ in made.items()} | {id_: id_ for id_ in done}
        return {reference: self._email_ids[id_] for reference, id_ in references.items()}

    # --- RFC 8621 §7.5: create -------------------------------------------------------------------

    @backend
    async def create(
        self, objects: dict[str, dict[str, Any]]
    ) -> dict[str, dict[str, Any] | SetError]:
        """Send messages, one after another."""
        results: dict[str, dict[str, Any] | SetError] = {}
        identities = await self._sending.identities.held(self.account)
        for creation_id, object_ in objects.items():
            try:
                id_, submission = await self._send(identities, creation_id, object_)
            except SetError as error:
                results[creation_id] = error
                continue
            self._email_ids[id_] = submission.email_id
            members = submission.members(id_)
            asked = {"emailId": object_["emailId"], "envelope": object_["envelope"]}
            told = {name: members[name] for name in _TOLD if members[name] != asked.get(name)}
            results[creation_id] = {"id": id_, **told, **_EMPTY}
        self._kept = await self._outbox.held(self.account.id)
        feedback.follow(self._outbox, self.account, self._kept)
        return results

    async def _send(
        self, identities: Held, creation_id: str, object_: Mapping[str, Any]
    ) -> tuple[str, Submission]:
        identity = identities.shown.get(object_["identityId"])
        if identity is None:
            raise invalid_properties(["identityId"], "There is no such Identity.")
        async with self._message(object_["emailId"]) as message:
            given = object_["envelope"]
            envelope = (
                envelopes.derived(message.fields, identity["email"])
                if given is None
                else envelopes.read(given, identity["email"])
            )
            self._check(envelope, message, identities.permitted)
            now = time.time()
            release = envelopes.release_time(envelope, now, MAX_DELAY_SECONDS)
            held = release is not None and release > now
            submission = Submission(
                identity_id=identity["id"],
                email_id=object_["emailId"],
                thread_id=self._thread_id(object_["emailId"]),
                envelope=envelope.shown,
                send_at=release if held and release is not None else now,
                undo_status=FINAL,
                creation=_creation(creation_id, object_, envelope, message),
                message_id=message.message_id,
                made=now,
            )
            credentials = self._sending.credentials_of(self.account.username)
            await self._sending.spend(self.account, len(envelope.rcpt_to))
            letter = Letter(submission, envelope, message, credentials)
            if held:
                return await self._later(letter)
            return await self._outbox.send(self.account, letter)

    async def _later(self, letter: Letter) -> tuple[str, Submission]:
        """By the submission server if it can hold messages, else by the gateway."""
        seconds = letter.submission.send_at - time.time()
        if seconds <= self._outbox.longest_hold:
            return await self._outbox.send(self.account, letter)
        id_ = new_id()
        try:
            submission = await self._sending.queue.hold(self.account, id_, letter)
        except Already as already:
            return already.id, already.submission
        await self._outbox.tell(self.account.id)
        return id_, submission

    @asynccontextmanager
    async def _message(self, email_id: str) -> AsyncIterator[Outgoing]:
        """Raises SetError invalidProperties when there is no such Email (any more)."""
        blob = await open_blob(self.account, ids.message_blob_id(email_id))
        if blob is None:
            raise invalid_properties(["emailId"], "There is no such Email.")
        try:
            async with aclosing(blob.chunks()) as chunks, spooled(chunks) as kept:
                yield await outgoing(kept)
        except MessageGone:
            raise invalid_properties(["emailId"], "The Email is not there any more.") from None

    def _thread_id(self, email_id: str) -> str:
        emails = self.account.data.emails
        row = emails.row(email_id)
        return ids.thread_id(int(emails.thread_keys[emails.thread[row]]))

    def _check(self, envelope: Envelope, message: Outgoing, permitted: Permitted) -> None:
        """RFC 8621 §7.5, §9.6. Raises SetError for what may not be sent."""
        if not envelope.rcpt_to:
            raise SetError("noRecipients", "There is nobody to send it to.")
        sender = envelope.mail_from.email
        # Nobody is spoofed by the empty return path, which only says where no reports go.
        if sender.startswith("*@") or (sender and not permitted.permits(sender)):
            raise SetError("forbiddenMailFrom", "The envelope is from an address of somebody else.")
        authors = [
            each["email"] or ""
            for value in envelopes.values(message.fields, "from")
            for each in addresses.addresses(value)
        ]
        if not authors:
            raise SetError("invalidEmail", "It does not say who it is from.", properties=["from"])
        if not (self._sending.any_from or all(map(permitted.permits, authors))):
            raise SetError("forbiddenFrom", "The message is from an address of somebody else.")

    # --- update and destroy ----------------------------------------------------------------------

    @backend
    async def update(
        self, changes: dict[str, Change]
    ) -> dict[str, dict[str, Any] | SetError | None]:
        """Take messages back."""
        results: dict[str, dict[str, Any] | SetError | None] = {}
        for id_, change in changes.items():
            if change.after.get("undoStatus") != CANCELED:
                results[id_] = invalid_properties(change.after, "It can only be canceled.")
            elif change.before["undoStatus"] != PENDING or not (
                await self._sending.queue.take_back(self.account, id_)
            ):
                results[id_] = SetError("cannotUnsend", "The message has left, or is leaving.")
            else:
                results[id_] = {"deliveryStatus": None}
        self._kept = await self._outbox.held(self.account.id)
        return results

    @backend
    async def destroy(self, ids: Sequence[str]) -> dict[str, SetError | None]:
        """Forget EmailSubmissions; what they are of is delivered all the same."""
        found = all_of(self._kept)
        for id_ in ids:
            if id_ in found and found[id_].undo_status == PENDING:
                await self._sending.queue.is_told(id_)

        def edit(kept: Kept) -> Kept:
            for id_ in ids:
                kept = kept.without(id_)
            return kept

        self._kept = await self._outbox.records(self.account.id).change(edit)
        await self._outbox.tell(self.account.id)
        return {id_: None if id_ in found else SetError("notFound") for id_ in ids}


def _creation(
    creation_id: str, object_: Mapping[str, Any], envelope: Envelope, message: Outgoing
) -> Creation:
    """What is the same when a client makes the same again, since it had no answer."""

    def digest(what: str | bytes) -> bytes:
        octets = msgpack.packb([creation_id, object_["identityId"], envelope.shown, what])
        return blake2b(octets, digest_size=16, person=b"creation").digest()

    return Creation(digest(object_["emailId"]), digest(message.content))


# --- RFC 8621 §7.5: what follows ----------------------------------------------------------------


async def follow(
    setting: SubmissionSetting, arguments: dict[str, Any], settled: Settled, call: Call
) -> None:
    """One Email/set with what was asked for on success, if anything was."""
    made = [each["id"] for each in settled.created.values() if isinstance(each, dict)]
    call.answered.append(lambda: setting.told(made))
    updates: dict[str, dict[str, Any]] = arguments[ON_SUCCESS_UPDATE] or {}
    destroys: list[str] = arguments[ON_SUCCESS_DESTROY] or []
    if not (updates or destroys):
        return
    email_ids = setting.succeeded(settled)
    doomed = dict.fromkeys(email_ids[each] for each in destroys if each in email_ids)
    patches: dict[str, dict[str, Any]] = {}
    for reference, patch in updates.items():
        if reference in email_ids:
            patches.setdefault(email_ids[reference], {}).update(patch)
    update = {email_id: patch for email_id, patch in patches.items() if email_id not in doomed}
    call.imply(
        "Email/set",
        {
            "accountId": setting.account.id,
            "update": update or None,
            "destroy": list(doomed) or None,
        },
    )
