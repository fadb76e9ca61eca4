"""RFC 9007 §1.3, §2: urn:ietf:params:jmap:mdn, and the MDN object."""

from __future__ import annotations

from typing import Any, Final

from gateway.mime import headers
from gateway.mime.disposition import Disposition
from gateway.mime.reports import Report

MDN: Final = "urn:ietf:params:jmap:mdn"


def described(report: Report, told: Disposition) -> dict[str, Any]:
    """The MDN object of a report that tells what was done with a message, without its Email."""
    return {
        "forEmailId": None,
        "subject": headers.convenience(report.header)["subject"],
        "textBody": report.text,
        "includeOriginalMessage": report.is_whole,
        "reportingUA": told.reporting_ua,
        "disposition": {
            "actionMode": told.action_mode,
            "sendingMode": told.sending_mode,
            "type": told.type,
        },
        "mdnGateway": told.gateway,
        "originalRecipient": told.original_recipient,
        "finalRecipient": told.final_recipient,
        "originalMessageId": told.original_message_id,
        "error": list(told.errors) or None,
        "extensionFields": dict(reversed(told.further)) or None,
    }
