"""RFC 8621 §7.5: messages go to the submission server, and what it says becomes what JMAP says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

from gateway.ext.submission.envelope import Envelope
from gateway.ext.submission.outbox import BeforeEnd, NotSent, UnknownEnd
from gateway.ext.submission.outgoing import Outgoing
from gateway.ext.submission.queue import MAX_DELAY_SECONDS
from gateway.ext.submission.submissions import Delivery
from gateway.jmap.errors import SetError, invalid_properties
from gateway.obs.log import get_logger
from gateway.sasl import AnyCredentials, Credentials
from gateway.smtp import errors, submit
from gateway.smtp.commands import Mail, Rcpt
from gateway.smtp.connection import Server
from gateway.smtp.offer import Offer, held
from gateway.smtp.submit import Message

# So often is asked what the server offers, until it has answered once.
_PROBE_SECONDS: Final = 30.0

log = get_logger(__name__)


class Smtp:
    """Sends over SMTP, as the users themselves, or all as `relay` if there is one.

    What the server offers is as it has said last.
    """

    def __init__(self, server: Server, relay: Credentials | None) -> None:
        self._server = server
        self._relay = relay
        self._offer = Offer()

    @property
    def longest_hold(self) -> float:
        """RFC 4865: for so many seconds the server holds messages."""
        return self._offer.longest_hold

    @property
    def capability(self) -> dict[str, Any]:
        """RFC 8621 §1.3.2: what clients may ask for; who holds messages here if it is not there."""
        later = {"FUTURERELEASE": held(MAX_DELAY_SECONDS, time.time())}
        return {
            "maxDelayedSend": MAX_DELAY_SECONDS,
            "submissionExtensions": self._offer.for_clients | later,
        }

    async def probe(self) -> None:
        """Find out what the server offers, however long that takes."""
        while True:
            try:
                self._offer = await submit.probe(self._server)
            except errors.SmtpError as error:
                log.warning("submission_server_unavailable", reason=str(error))
                await asyncio.sleep(_PROBE_SECONDS)
            else:
                return

    async def transmit(
        self,
        credentials: AnyCredentials | None,
        envelope: Envelope,
        message: Outgoing,
        envid: str,
        before_end: BeforeEnd,
    ) -> Mapping[str, Delivery]:
        """See Transmitter.transmit."""
        sender = envelope.mail_from
        recipients = [Rcpt(each.email, each.parameters) for each in envelope.rcpt_to]
        try:
            taken = await submit.submit(
                self._server,
                credentials or self._relay,
                Mail(sender.email, sender.parameters),
                recipients,
                Message(message.octets, message.is_8bit, message.chunks, message.is_utf8),
                envid,
                before_end,
            )
        except errors.UnknownEnd as error:
            raise UnknownEnd(str(error)) from error
        except errors.BadAddress as error:
            raise NotSent(_of_address(error, sender.email), is_temporary=False) from error
        except errors.BadParameter as error:
            refused = invalid_properties(["envelope"], str(error))
            raise NotSent(refused, is_temporary=False) from error
        except errors.SmtpError as error:
            # A password that is not taken may be an old one, and the user sign in with the new.
            may_be_later = error.is_temporary or isinstance(error, errors.AuthenticationFailed)
            raise NotSent(set_error(error, message.octets), is_temporary=may_be_later) from error
        self._offer = taken.offer
        return {email: Delivery(str(reply)) for email, reply in taken.replies.items()}


def _of_address(error: errors.BadAddress, sender: str) -> SetError:
    if error.email == sender:
        return SetError("forbiddenMailFrom", str(error))
    return SetError("invalidRecipients", str(error), invalidRecipients=[error.email])


def set_error(error: errors.SmtpError, octets: int) -> SetError:
    """What the client is told of a message of so many octets, with what the server has said."""
    said = str(error.reply) if error.reply is not None else error.text
    match error:
        case errors.RecipientsRefused(refused=refused):
            told = "; ".join(f"{email}: {reply}" for email, reply in refused.items())
            if error.is_temporary:
                return SetError("serverUnavailable", told)
            return SetError("invalidRecipients", told, invalidRecipients=[*refused])
        case errors.TooManyRecipients(limit=limit):
            return SetError("tooManyRecipients", said, maxRecipients=limit)
        case errors.MessageTooLarge(limit=limit) if not error.is_temporary:
            # Where the server does not say how many it takes, they are fewer than these.
            return SetError("tooLarge", said, maxSize=octets - 1 if limit is None else limit)
        case errors.AuthenticationFailed(reply=None) | errors.TlsFailed():
            return SetError("forbiddenToSend", said)
    if error.is_temporary:
        return SetError("serverUnavailable", said)
    match error:
        case errors.SenderRefused():
            return SetError("forbiddenMailFrom", said)
        case errors.NotTransportable():
            return SetError("invalidEmail", said, properties=["bodyStructure"])
        case errors.MessageRefused(reply=reply) if _is_of_content(reply):
            return SetError("invalidEmail", said, properties=[])
    return SetError("forbiddenToSend", said)


def _is_of_content(reply: Any) -> bool:
    """RFC 3463 §3.7: whether it is what the message consists of that is refused."""
    return reply is not None and (reply.enhanced or "").startswith("5.6.")
