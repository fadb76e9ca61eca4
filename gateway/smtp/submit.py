"""RFC 5321 §3.3, RFC 6409: one message is handed to the submission server.

The server has taken a message when it says so after its end. Until the end is sent it has not, and
from then on, without a valid reply, nobody knows: these are the three things that can be told.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.sasl import AnyCredentials
from gateway.smtp.commands import Mail, Rcpt, mail_command, needs_utf8, rcpt_command, with_utf8
from gateway.smtp.connection import Link, Server, connected
from gateway.smtp.errors import (
    AuthenticationFailed,
    MessageRefused,
    MessageTooLarge,
    NotTransportable,
    RecipientsRefused,
    SenderRefused,
    SmtpError,
    TooManyRecipients,
    UnknownEnd,
    Unreachable,
)
from gateway.smtp.offer import Offer
from gateway.smtp.reply import Reply

# So many commands may be under way: their replies must find room in the buffers between.
_AT_ONCE: Final = 50
_LINE_END = re.compile(rb"\r\n|\r|\n")
_DOT = re.compile(rb"^\.", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. octets: about how many there are; chunks: them, whatever ends their lines.

    is_utf8: there is UTF-8 in its header (RFC 6532).
    """

    octets: int
    is_8bit: bool
    chunks: Callable[[], AsyncIterator[bytes]]
    is_utf8: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """The server has taken the message. replies: to the recipients; reply: to the message."""

    replies: Mapping[str, Reply]
    reply: Reply
    offer: Offer


async def probe(server: Server) -> Offer:
    """What the server offers who is not signed in. Raises SmtpError."""
    async with connected(server, None) as link:
        return link.offer


async def submit(
    server: Server,
    credentials: AnyCredentials | None,
    mail: Mail,
    recipients: Sequence[Rcpt],
    message: Message,
    envid: str,
    before_end: Callable[[], Awaitable[None]],
) -> Taken:
    """Hand a message to the server, for all of its recipients or for none.

    `before_end` is awaited when all but the end of the message has been sent; what it raises is
    raised, and without its end the server does not take the message. Raises SmtpError (it was not
    taken), UnknownEnd, BadAddress, BadParameter.
    """
    async with connected(server, credentials) as link:
        commands = _commands(link.offer, mail, recipients, message, envid)
        replies = await _envelope(link, server, commands)
        _check_sender(replies[0], message)
        accepted = dict(zip((each.email for each in recipients), replies[1:], strict=True))
        _check_recipients(accepted)
        await _data(link, server, message)
        await before_end()
        reply = await _end(link, server)
        return Taken(accepted, reply, link.offer)


def _commands(
    offer: Offer, mail: Mail, recipients: Sequence[Rcpt], message: Message, envid: str
) -> list[bytes]:
    """MAIL and all RCPT. Raises MessageTooLarge, NotTransportable, BadAddress, BadParameter."""
    if offer.size is not None and message.octets > offer.size:
        raise MessageTooLarge(offer.size)
    if message.is_8bit and "8BITMIME" not in offer:
        raise NotTransportable("the server takes no message of 8 bit")
    first = mail_command(mail, offer, envid=envid, octets=message.octets, is_8bit=message.is_8bit)
    if message.is_utf8 and "SMTPUTF8" not in offer:
        raise NotTransportable("the server takes no UTF-8 in a header")
    if message.is_utf8 or needs_utf8(mail, [*recipients]):
        first = with_utf8(first)
    return [first, *(rcpt_command(each, offer) for each in recipients)]


async def _envelope(link: Link, server: Server, commands: Sequence[bytes]) -> list[Reply]:
    """The replies to the commands, of which many are under way at once if the server can that."""
    at_once = _AT_ONCE if "PIPELINING" in link.offer else 1
    replies: list[Reply] = []
    for first in range(0, len(commands), at_once):
        group = commands[first : first + at_once]
        await link.send(b"".join(group), server.command_seconds)
        for _ in group:
            reply = await link.reply(server.command_seconds)
            if reply.code == 421 or 300 <= reply.code < 400:
                raise _refused(reply)
            replies.append(reply)
        if not replies[0].is_positive:
            break
    return replies


def _check_sender(reply: Reply, message: Message) -> None:
    if reply.is_positive:
        return
    if reply.code == 552 or reply.enhanced == "5.3.4":
        raise MessageTooLarge(None, reply)
    if reply.code in (530, 535, 538):
        raise AuthenticationFailed("the server wants another login", reply)
    raise SenderRefused("the sender is refused", reply)


def _check_recipients(replies: Mapping[str, Reply]) -> None:
    refused = {email: reply for email, reply in replies.items() if not reply.is_positive}
    if not refused:
        return
    for reply in refused.values():
        if reply.enhanced in ("4.5.3", "5.5.3"):
            raise TooManyRecipients(len(replies) - len(refused), reply)
    # RFC 5321 §4.5.3.1.10 has 452, which is of a full mailbox, too; 552 is what older ones say. Of
    # too many recipients, it is the last ones that are refused, each in that way.
    first = next(iter(refused.values()))
    is_limit = all(r.code in (452, 552) and r.enhanced is None for r in refused.values())
    last = [*replies][-len(refused) :]
    if is_limit and 1 < len(refused) < len(replies) and last == [*refused]:
        raise TooManyRecipients(len(replies) - len(refused), first)
    raise RecipientsRefused(refused)


# --- the message --------------------------------------------------------------------------------


async def _data(link: Link, server: Server, message: Message) -> None:
    """Send all but the end. Raises SmtpError."""
    await link.send(b"DATA\r\n", server.command_seconds)
    reply = await link.reply(server.command_seconds)
    if reply.code != 354:
        raise _refused(reply)
    stuffing = Stuffing()
    async for chunk in message.chunks():
        await link.send(stuffing.feed(chunk), server.command_seconds)
        if link.has_news:  # it does not want the rest
            raise _refused(await link.reply(server.command_seconds))
    await link.send(stuffing.finish(), server.command_seconds)


async def _end(link: Link, server: Server) -> Reply:
    """The positive reply to the message. Raises SmtpError, UnknownEnd."""
    if link.has_news:
        raise _refused(await link.reply(server.command_seconds))
    # From here on it may be taken.
    try:
        await link.send(b".\r\n", server.data_seconds)
        reply = await link.reply(server.data_seconds)
    except Unreachable as error:
        raise UnknownEnd(error.text) from error
    if reply.is_positive:
        return reply
    if reply.code < 400:
        raise UnknownEnd(f"the server says {reply}")
    raise _refused(reply)


def _refused(reply: Reply) -> SmtpError:
    if reply.code == 421:
        return Unreachable("the server ends the connection", reply)
    if reply.code < 400:
        return Unreachable(f"the server says what it was not asked: {reply}")
    if reply.code == 552 or reply.enhanced in ("5.3.4", "5.2.3"):
        return MessageTooLarge(None, reply)
    if reply.code == 452 and reply.enhanced == "4.3.1":
        return MessageTooLarge(None, reply)
    return MessageRefused("the message is refused", reply)


class Stuffing:
    """RFC 5321 §2.3.8, §4.5.2: lines end with CRLF, and a dot that begins one is doubled."""

    def __init__(self) -> None:
        self._held = b""
        self._at_start = True

    def feed(self, octets: bytes) -> bytes:
        """The same octets as they are sent; a CR at the end waits for what follows."""
        octets = self._held + octets
        self._held = b""
        if octets.endswith(b"\r"):
            octets, self._held = octets[:-1], b"\r"
        if not octets:
            return b""
        sent = _LINE_END.sub(b"\r\n", octets)
        # Of a line that began before, the pattern does not know.
        if self._at_start:
            sent = _DOT.sub(b"..", sent)
        else:
            first, end, rest = sent.partition(b"\n")
            sent = first + end + _DOT.sub(b"..", rest) if end else sent
        self._at_start = sent.endswith(b"\n")
        return sent

    def finish(self) -> bytes:
        """What is missing for the last line to end."""
        if self._held or not self._at_start:
            return b"\r\n"
        return b""
