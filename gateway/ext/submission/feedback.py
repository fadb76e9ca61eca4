"""RFC 8621 §7: deliveryStatus, from reports that come into the mailbox (RFC 3464, RFC 8098)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gateway.ext.submission.outbox import Outbox
from gateway.ext.submission.submissions import FINAL, Delivery, Submission, all_of
from gateway.mail.blob import BlobTooLarge, open_blob
from gateway.mime.report_news import MDN, Sent, SentReport, matched, tidings, updated
from gateway.obs.log import get_logger
from gateway.sync import ids
from gateway.sync.account import Account
from gateway.sync.errors import MessageGone, NotCommitted
from gateway.sync.records import Kept
from gateway.sync.turns import off_loop

# With the message that it is about, perhaps; a larger one is left alone.
_MAX_REPORT_OCTETS: Final = 30_000_000
# So far the clock of the mail server may be behind.
_CLOCKS_SECONDS: Final = 3600.0
# So many reports are kept of one message.
_MAX_REPORTS: Final = 100

log = get_logger(__name__)


def follow(outbox: Outbox, account: Account, kept: Kept) -> None:
    """Have what reports tell of what is kept noted, those that are there and those to come."""
    oldest = min((record.value["made"] for record in kept.records.values()), default=None)
    if oldest is None:
        return

    async def tell(email_id: str) -> None:
        await _note(outbox, account, email_id)

    account.reports.follow(tell, oldest - _CLOCKS_SECONDS)


async def _note(outbox: Outbox, account: Account, email_id: str) -> None:
    """Raises ImapError, NotCommitted."""
    blob_id = ids.message_blob_id(email_id)
    before = await outbox.records(account.id).load()
    if any(blob_id in each.dsn_blob_ids + each.mdn_blob_ids for each in all_of(before).values()):
        return  # told again, since the gateway was started anew
    try:
        blob = await open_blob(account, blob_id)
        octets = await blob.read(_MAX_REPORT_OCTETS) if blob is not None else b""
    except (BlobTooLarge, MessageGone):
        return
    told = await off_loop(len(octets), tidings, octets)
    if told is None:
        return
    kept = await outbox.records(account.id).change(
        lambda kept: noted(kept, matched(told, _sent(kept)), blob_id)
    )
    if kept.state != before.state:
        await outbox.tell(account.id)


def _sent(kept: Kept) -> list[Sent]:
    """What reports may be about, the newest first. Its id is its ENVID, too."""
    left = [
        Sent(id_, id_, each.message_id, each.recipients)
        for id_, each in all_of(kept).items()
        if each.undo_status == FINAL
    ]
    return left[::-1]


def noted(kept: Kept, report: SentReport | None, blob_id: str) -> Kept:
    """The same with what a report tells, once.

    Raises NotCommitted while what became of the message is still to be noted.
    """
    value = kept.value(report.id) if report is not None else None
    if report is None or value is None:
        return kept
    old = Submission.of(value)
    if old.is_sending:
        raise NotCommitted("the report has overtaken the answer of the submission server")
    blob_ids = old.mdn_blob_ids if report.kind == MDN else old.dsn_blob_ids
    if blob_id in blob_ids or len(blob_ids) >= _MAX_REPORTS:
        return kept
    delivery = {
        email: Delivery.of(updated(status.shown, report.news[email]))
        if email in report.news
        else status
        for email, status in old.delivery.items()
    }
    listed = (*blob_ids, blob_id)
    new = (
        replace(old, delivery=delivery, mdn_blob_ids=listed)
        if report.kind == MDN
        else replace(old, delivery=delivery, dsn_blob_ids=listed)
    )
    return kept.put(report.id, new.value)
