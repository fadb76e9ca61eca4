"""RFC 8621 §7, deliveryStatus: what a report tells of a message that was sent.

Anybody can send a report. What is believed of it concerns messages that were sent, by the names
that those know who have got them or have passed them on, and their recipients.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from gateway.mime import delivery_status, disposition, headers, reports, words
from gateway.mime.delivery_status import RecipientStatus
from gateway.mime.disposition import Disposition
from gateway.mime.reports import Report, address_in
from gateway.mime.threading import field_values

DSN: Final = "dsn"
MDN: Final = "mdn"

_DELIVERED: Final = {"delivered": "yes", "failed": "no"}
# RFC 3463 §2: by the class of a status, a reply code of RFC 5321 §4.2.3 that says no more.
_CODES: Final = {"2": "250", "4": "450", "5": "550"}
_CLASSES: Final = {"delivered": "2", "relayed": "2", "expanded": "2", "delayed": "4", "failed": "5"}
_ENHANCED: Final = r"[245]\.\d{1,3}\.\d{1,3} "
_REPLY = re.compile(rf"([245]\d\d)([ -])({_ENHANCED})?")
# Where a server tells who has said it before it tells what.
_REPLY_INSIDE = re.compile(rf"(?<!\S)([245]\d\d)([ -])({_ENHANCED})")
_MAX_REPLY: Final = 2_000
_XTEXT = re.compile(r"\+([0-9A-F]{2})")


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was sent.

    id: what the caller knows it by. envid: as of the MAIL command (RFC 3461 §4.4), without xtext.
    message_id: without brackets. recipients: as in the RCPT commands.
    """

    id: str
    envid: str | None
    message_id: str | None
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class News:
    """Properties of a DeliveryStatus, None where a report does not change them.

    delivered: "yes" or "no". displayed: "yes".
    """

    smtp_reply: str | None = None
    delivered: str | None = None
    displayed: str | None = None


@dataclass(frozen=True, slots=True)
class Tidings:
    """What a report tells: kind is DSN or MDN.

    envid, message_id: the names of the message it is about, None where they are not told. told: for
    each recipient all the addresses it is told to have, the one that the sender knows first.
    """

    kind: str
    envid: str | None
    message_id: str | None
    told: tuple[tuple[tuple[str, ...], News], ...]


@dataclass(frozen=True, slots=True)
class SentReport:
    """A report about the message `id`. news: by recipient, as in Sent; there may be none."""

    id: str
    kind: str
    news: Mapping[str, News]


# --- what a report tells --------------------------------------------------------------------------


def tidings(octets: bytes) -> Tidings | None:
    """What a message tells that is a report, None for all other messages."""
    report = reports.parse(octets)
    if report is None:
        return None
    enclosed = _enclosed_id(report)
    if (status := delivery_status.of_report(report)) is not None:
        told = tuple(map(_of_delivery, status.recipients))
        return Tidings(DSN, status.envelope_id, enclosed, told)
    if (mdn := disposition.of_report(report)) is not None:
        return Tidings(MDN, None, mdn.message_id or enclosed, (_of_disposition(mdn),))
    return None


def _enclosed_id(report: Report) -> str | None:
    (value,) = field_values(report.original or b"", (b"message-id",))
    named = headers.message_ids(value)
    return named[0] if named else None


def _of_delivery(recipient: RecipientStatus) -> tuple[tuple[str, ...], News]:
    addresses = (recipient.original, recipient.final)
    news = News(smtp_reply(recipient), delivered=_DELIVERED.get(recipient.action))
    return tuple(address for address in addresses if address), news


def _of_disposition(mdn: Disposition) -> tuple[tuple[str, ...], News]:
    addresses = (address_in(each or "") for each in (mdn.original_recipient, mdn.final_recipient))
    news = News(displayed="yes" if mdn.type == "displayed" else None)
    return tuple(address for address in addresses if address), news


def smtp_reply(recipient: RecipientStatus) -> str:
    """RFC 8621 §7 smtpReply: what a server has said, in one line, or the status in that form."""
    said = " ".join(words.without_controls(recipient.diagnostic or recipient.action).split())
    match = _reply_in(said, recipient.action)
    if match is None:
        status = recipient.status or f"{_CLASSES[recipient.action]}.0.0"
        return f"{_CODES[status[0]]} {status} {said}"[:_MAX_REPLY]
    code, separator, enhanced = match[1], match[2], match[3] or ""
    text = said[match.end() :]
    if separator == "-":  # several lines, of which each begins with the code
        for prefix in (f"{code}-{enhanced}", f"{code} {enhanced}", f"{code}-"):
            text = text.replace(f" {prefix}", " ")
    return f"{code} {enhanced}{text}"[:_MAX_REPLY]


def _reply_in(said: str, action: str) -> re.Match[str] | None:
    """A reply that goes with what was done: others may stand before it, as greetings do."""
    first = _REPLY.match(said)
    found = chain((first,) if first else (), _REPLY_INSIDE.finditer(said))
    return next((m for m in found if (m[1][0] == "2") == (_CLASSES[action] == "2")), None)


# --- which message it is about --------------------------------------------------------------------


def matched(told: Tidings, sent: Iterable[Sent]) -> SentReport | None:
    """What is told of the message it is told of, None if that is none of those that were sent.

    Of several with the same Message-ID it is one that has such a recipient, and the first of those,
    so that the newest should come first.
    """
    every = tuple(sent)
    meant = [each for each in every if told.envid is not None and each.envid == told.envid]
    if not meant and told.message_id is not None:
        meant = [each for each in every if each.message_id == told.message_id]
    found = [SentReport(each.id, told.kind, _news(told, each.recipients)) for each in meant]
    return next((each for each in found if each.news), found[0] if found else None)


def _news(told: Tidings, recipients: Sequence[str]) -> dict[str, News]:
    news: dict[str, News] = {}
    for addresses, each in told.told:
        recipient = _recipient(addresses, recipients)
        if recipient is not None and _weight(each) > _weight(news.get(recipient)):
            news[recipient] = each
    return news


def _weight(news: News | None) -> int:
    """Of what is told of several addresses that a recipient stands for, the worst counts."""
    if news is None:
        return 0
    return {"no": 3, "yes": 2}.get(news.delivered or "", 1)


def _recipient(addresses: Sequence[str], recipients: Sequence[str]) -> str | None:
    """Who of the recipients has one of these addresses; the only one may have any."""
    if len(recipients) == 1:
        return recipients[0]
    for spelled in _spellings(addresses):
        for compare in (str, str.casefold):
            found = [each for each in recipients if compare(each) == compare(spelled)]
            if found:
                return found[0]
    return None


def _spellings(addresses: Sequence[str]) -> Iterator[str]:
    """Without brackets, and also what a server has forgotten to decode (RFC 3461 §4.2)."""
    for each in addresses:
        yield (address := each.strip("<>"))
        if "+" in address:
            yield _XTEXT.sub(lambda match: chr(int(match[1], 16)), address)


def updated(status: Mapping[str, str], news: News) -> dict[str, str]:
    """A DeliveryStatus after news: what became of a delivery is final (RFC 8621 §7)."""
    after = dict(status)
    if status["delivered"] not in ("yes", "no"):
        after["delivered"] = news.delivered or status["delivered"]
        after["smtpReply"] = news.smtp_reply or status["smtpReply"]
    after["displayed"] = news.displayed or status["displayed"]
    return after
