"""RFC 9007 §2.1: MDN/send: message disposition notifications go out, each of them once.

An Email that was notified about has the keyword $mdnsent; this is what the client sets by the
Email/set that follows. What is written down before a notification leaves keeps it from leaving
twice when that does not come to pass, or when nobody knows whether it was taken.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from gateway.ext import mdn_create
from gateway.ext.mdn import MDN
from gateway.ext.mdn_create import NewMdn
from gateway.ext.mdn_outgoing import SENT, Outgoing, outgoing
from gateway.ext.submission import outgoing as leaving
from gateway.ext.submission.envelope import Address, Envelope
from gateway.ext.submission.identities import Held
from gateway.ext.submission.outbox import NotSent, UnknownEnd
from gateway.ext.submission.submission_set import Sending
from gateway.imap.errors import ImapError
from gateway.jmap.arguments import Argument, check
from gateway.jmap.call import Call
from gateway.jmap.errors import MethodError, SetError, invalid_arguments, invalid_properties, quoted
from gateway.jmap.kinds import ID, OBJECT, STRING, map_of, nullable
from gateway.jmap.methods.set import check_size
from gateway.jmap.registry import Method
from gateway.mail.backend import backend
from gateway.mail.capability import MAIL
from gateway.mime.reports import address_in
from gateway.obs.log import get_logger
from gateway.sync.account import Account
from gateway.sync.errors import NotCommitted
from gateway.sync.records import Kept, Records
from gateway.sync.spool import spooled

ON_SUCCESS_UPDATE: Final = "onSuccessUpdateEmail"
KEPT_SECONDS: Final = 30 * 24 * 3600.0
MAX_KEPT: Final = 1_000
"""So many that have left are remembered, for so long: by then the keyword has been set."""
_WHOLE_DOMAIN: Final = "*@"
# RFC 8621 §4.6: of an Email.
_CHANGEABLE: Final = frozenset({"keywords", "mailboxIds"})

_ARGUMENTS: Final = (
    Argument("accountId", ID),
    Argument("identityId", ID),
    Argument("send", map_of(ID, OBJECT)),
    Argument(ON_SUCCESS_UPDATE, nullable(map_of(STRING, OBJECT))),
)

log = get_logger(__name__)


def mdn_send(sending: Sending) -> Method:
    """The method, over what EmailSubmission/set works with."""

    @backend
    async def run(call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
        if MAIL not in call.opened:
            raise MethodError("unknownMethod", "It needs the capability of mail, too.")
        checked = check(arguments, _ARGUMENTS)
        account: Account = call.account(checked, MDN, writes=True).account
        check_size(len(checked["send"]), call.limits)
        updates = _updates(checked)
        held = await sending.identities.held(account)
        identity = held.shown.get(checked["identityId"])
        if identity is None:
            raise invalid_arguments("There is no such Identity.")
        sender = _Sender(sending, account, held, identity)
        sent, not_sent, patches = {}, {}, {}
        for creation_id, mdn in checked["send"].items():
            try:
                made = await sender.send(mdn, call)
            except SetError as error:
                not_sent[creation_id] = error.members()
                continue
            sent[creation_id] = made.told
            patches[made.email_id] = updates[creation_id]
        if patches:
            call.imply("Email/set", {"accountId": checked["accountId"], "update": patches})
        return {
            "accountId": checked["accountId"],
            "sent": sent or None,
            "notSent": not_sent or None,
        }

    return Method("MDN/send", MDN, run, writes=True)


def _updates(checked: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What is to be changed of the Email of each MDN, by creation id.

    Raises MethodError invalidArguments unless all of them get the keyword.
    """
    updates: dict[str, dict[str, Any]] = checked[ON_SUCCESS_UPDATE] or {}
    found = {name: updates.get(f"#{name}", {}) for name in checked["send"]}
    if without := [name for name, patch in found.items() if not _sets_keyword(patch)]:
        text = f'"{ON_SUCCESS_UPDATE}" must set the keyword "{SENT}": {quoted(without)}.'
        raise invalid_arguments(text)
    return found


def _sets_keyword(patch: Mapping[str, Any]) -> bool:
    """Whether it does when it is applied, which it is as a whole or not at all."""
    if not all(name.partition("/")[0] in _CHANGEABLE for name in patch):
        return False
    keywords = patch.get("keywords", {})
    if any(name.startswith("keywords/") for name in patch):
        return "keywords" not in patch and patch.get(f"keywords/{SENT}") is True
    return isinstance(keywords, dict) and keywords.get(SENT) is True


class _Sender:
    """Sends as one Identity."""

    def __init__(
        self, sending: Sending, account: Account, held: Held, identity: Mapping[str, Any]
    ) -> None:
        self._sending = sending
        self._account = account
        self._permitted = held.permitted
        self._identity = identity
        self._records = Records(sending.outbox.durable, account.id, "mdns")

    async def send(self, object_: Mapping[str, Any], call: Call) -> Outgoing:
        """Send what an MDN object describes; what was sent. Raises SetError."""
        mdn = mdn_create.read(object_, call.resolve)
        try:
            made = await outgoing(self._account, mdn, self._author(mdn))
            if not self._permitted.permits(made.final_address):
                raise SetError("forbiddenFrom", "The recipient has an address of somebody else.")
            async with spooled(made.chunks()) as kept:
                await self._transmit(made, await leaving.outgoing(kept))
        except (ImapError, NotCommitted) as error:
            # What was sent before this one is to be told all the same.
            log.warning("mdn_not_sent", reason=str(error))
            raise SetError("serverUnavailable", "It could not be sent; try again.") from error
        return made

    def _author(self, mdn: NewMdn) -> dict[str, Any]:
        """RFC 8098 §3: From has the address of whom it is sent for."""
        email = self._identity["email"]
        if email.startswith(_WHOLE_DOMAIN):
            if mdn.final_recipient is None:
                raise invalid_properties(["finalRecipient"], "The Identity has many addresses.")
            email = address_in(mdn.final_recipient)
        return {"name": self._identity["name"] or None, "email": email}

    async def _transmit(self, made: Outgoing, message: leaving.Outgoing) -> None:
        """Raises SetError when it was not sent, NotCommitted."""
        _check_unsent(await self._records.load(), made.email_id)
        await self._sending.spend(self._account, len(made.recipients))
        begun = False

        async def before_end() -> None:
            nonlocal begun
            await self._records.change(lambda kept: _begun(kept, made.email_id, time.time()))
            begun = True

        # RFC 8098 §3: from nobody, so that nothing comes back.
        envelope = Envelope(Address("", {}), tuple(Address(to, {}) for to in made.recipients))
        credentials = self._sending.credentials_of(self._account.username)
        envid = "N" + secrets.token_hex(10)
        try:
            await self._sending.outbox.transmit(credentials, envelope, message, envid, before_end)
        except UnknownEnd:
            log.warning("mdn_end_unknown")  # it is not to be sent twice, so it counts as sent
        except NotSent as failure:
            if begun:
                with suppress(NotCommitted):  # then it can never be sent, which is the lesser evil
                    await self._records.change(lambda kept: kept.without(made.email_id))
            raise _error(failure.error) from failure


def _error(error: SetError) -> SetError:
    """RFC 9007 §2.1 has another name for a server that takes nothing from nobody."""
    if error.type == "forbiddenMailFrom":
        return SetError("forbidden", error.description)
    return error


def _check_unsent(kept: Kept, email_id: str) -> None:
    """Raises SetError."""
    if kept.value(email_id) is not None:
        raise SetError("mdnAlreadySent", "A notification about the Email was sent before.")


def _begun(kept: Kept, email_id: str, now: float) -> Kept:
    """The same with an MDN that is leaving, and without those of long ago. Raises SetError."""
    _check_unsent(kept, email_id)
    for old in _old(kept, now):
        kept = kept.without(old)
    return kept.put(email_id, {"at": now})


def _old(kept: Kept, now: float) -> Iterator[str]:
    excess = len(kept.records) + 1 - MAX_KEPT
    for number, (id_, record) in enumerate(kept.records.items()):
        if number < excess or record.value["at"] < now - KEPT_SECONDS:
            yield id_
