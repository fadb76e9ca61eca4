"""RFC 3464: delivery status notifications: what became of a message, for each recipient."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.mime import reports
from gateway.mime.reports import Report, address_in, value_of

_ACTIONS: Final = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})
# RFC 3463 §2: class, subject and detail.
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")


@dataclass(frozen=True, slots=True)
class RecipientStatus:
    """What became of it for one recipient.

    final: the address it had in the end. original: the one that the sender gave, where that is
    told. action: "failed", "delayed", "delivered", "relayed" or "expanded". status: the code of RFC
    3463. diagnostic: what a server has said, without the type of that.
    """

    final: str | None
    original: str | None
    action: str
    status: str | None
    diagnostic: str | None


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """envelope_id: what the sender has called it (RFC 3461 §4.4)."""

    envelope_id: str | None
    recipients: tuple[RecipientStatus, ...]


def of_report(report: Report) -> DeliveryStatus | None:
    """What a report tells of deliveries; None when it is none of that kind, or tells of none."""
    if report.kind != reports.DELIVERY_STATUS:
        return None
    recipients = tuple(r for r in map(_recipient, report.groups) if r is not None)
    if not recipients:
        return None
    return DeliveryStatus(value_of(report.groups[0], "original-envelope-id"), recipients)


def _recipient(group: reports.Fields) -> RecipientStatus | None:
    """None for the group that is about the message, and for what tells of no recipient."""
    final, original = value_of(group, "final-recipient"), value_of(group, "original-recipient")
    action = (value_of(group, "action") or "").partition("(")[0].strip().lower()
    if (final is None and original is None) or action not in _ACTIONS:
        return None
    status = _STATUS.match(value_of(group, "status") or "")
    diagnostic = value_of(group, "diagnostic-code")
    return RecipientStatus(
        final=address_in(final) if final is not None else None,
        original=address_in(original) if original is not None else None,
        action=action,
        status=status[0] if status else None,
        diagnostic=address_in(diagnostic) if diagnostic is not None else None,
    )
