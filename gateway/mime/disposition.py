"""RFC 8098: message disposition notifications: what was done with a message that arrived."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.mime import headers, reports, words
from gateway.mime.reports import Report, value_of

TYPES: Final = frozenset({"deleted", "dispatched", "displayed", "processed"})
ACTION_MODES: Final = frozenset({"manual-action", "automatic-action"})
SENDING_MODES: Final = frozenset({"mdn-sent-manually", "mdn-sent-automatically"})
_BARE: Final = re.compile(r"[^\s<>@]++@[^\s<>@]++")
KNOWN: Final = frozenset(
    {
        *("reporting-ua", "mdn-gateway", "original-recipient", "final-recipient"),
        *("original-message-id", "disposition", "error"),
    }
)


@dataclass(frozen=True, slots=True)
class Disposition:
    """action_mode, sending_mode, type: in lower case; further: fields of no RFC, as written.

    Recipients are as in the field, with the type of the address.
    """

    action_mode: str
    sending_mode: str
    type: str
    reporting_ua: str | None
    gateway: str | None
    original_recipient: str | None
    final_recipient: str | None
    original_message_id: str | None
    errors: tuple[str, ...]
    further: tuple[tuple[str, str], ...]

    @property
    def message_id(self) -> str | None:
        """The Message-ID of what it is about, without brackets; some leave these out."""
        value = self.original_message_id or ""
        if named := headers.message_ids(value.encode()):
            return named[0]
        return value if _BARE.fullmatch(value) else None


def of_report(report: Report) -> Disposition | None:
    """What a report tells; None when it is of another kind, or does not tell what was done."""
    if report.kind != reports.DISPOSITION_NOTIFICATION:
        return None
    group = tuple(field for each in report.groups for field in each)
    found = _modes(value_of(group, "disposition") or "")
    if found is None:
        return None
    action_mode, sending_mode, type_ = found
    return Disposition(
        action_mode=action_mode,
        sending_mode=sending_mode,
        type=type_,
        reporting_ua=value_of(group, "reporting-ua"),
        gateway=value_of(group, "mdn-gateway"),
        original_recipient=value_of(group, "original-recipient"),
        final_recipient=value_of(group, "final-recipient"),
        original_message_id=value_of(group, "original-message-id"),
        errors=tuple(value for name, value in group if name.lower() == "error"),
        further=tuple((name, value) for name, value in group if name.lower() not in KNOWN),
    )


def _modes(value: str) -> tuple[str, str, str] | None:
    """Action mode, sending mode and type of `manual-action/MDN-sent-manually; displayed/error`."""
    without_comments = words.without_comments(value.encode()).decode()
    modes, _, told = without_comments.lower().partition(";")
    action_mode, _, sending_mode = (each.strip() for each in modes.partition("/"))
    type_ = told.partition("/")[0].strip()
    if action_mode in ACTION_MODES and sending_mode in SENDING_MODES and type_ in TYPES:
        return action_mode, sending_mode, type_
    return None
