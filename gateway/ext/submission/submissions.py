"""RFC 8621 §7: an EmailSubmission as it is kept, and what can become of it, as values.

One that is "sending" has a node that sees to it, and says so again and again: a node that has
fallen silent has left behind what nobody can know the end of. That is told, and never sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from gateway.sync.records import Kept, Value

LEASE_SECONDS: Final = 6.0
"""For so long a node's word that it is sending holds."""
KEPT_SECONDS: Final = 30 * 24 * 3600.0
"""So long an EmailSubmission is kept after it has left, for reports to come."""
MAX_KEPT: Final = 500
"""So many that have left are kept; the oldest go."""
SAME_SECONDS: Final = 24 * 3600.0
"""For so long a creation that comes again, of the same Email, is taken for the same."""
ALIKE_SECONDS: Final = 600.0
"""For so long one of an Email that was made anew may be the same, if nobody heard of the first."""

PENDING: Final = "pending"
FINAL: Final = "final"
CANCELED: Final = "canceled"

UNKNOWN_END: Final = (
    "451 4.4.2 The connection was lost when the message had been sent: "
    "whether it was taken is not known, and it is not sent again"
)
QUEUED: Final = "250 2.0.0 Held here until it is time"


@dataclass(frozen=True, slots=True)
class Delivery:
    """RFC 8621 §7: the DeliveryStatus of one recipient."""

    smtp_reply: str
    delivered: str = "unknown"
    displayed: str = "unknown"

    @property
    def shown(self) -> dict[str, str]:
        """As JMAP has it."""
        return {
            "smtpReply": self.smtp_reply,
            "delivered": self.delivered,
            "displayed": self.displayed,
        }

    @staticmethod
    def of(shown: Mapping[str, str]) -> Delivery:
        """Inverse of `shown`."""
        return Delivery(shown["smtpReply"], shown["delivered"], shown["displayed"])


class Creation(NamedTuple):
    """What a creation has in common with another that is the same, or may be."""

    of_email: bytes
    of_content: bytes


@dataclass(frozen=True, slots=True)
class Submission:
    """An EmailSubmission. Times are in seconds since 1970.

    envelope: as JMAP has it. creation: digests of what it was made of, with the id of the Email
    and with its content. message_id: of the message, without brackets. made: when it came.
    sending_until: up to when a node has said to be sending it, 0 when none does.
    """

    identity_id: str
    email_id: str
    thread_id: str
    envelope: dict[str, Any]
    send_at: float
    undo_status: str
    creation: Creation
    message_id: str | None
    made: float
    delivery: Mapping[str, Delivery] = field(default_factory=dict)
    dsn_blob_ids: tuple[str, ...] = ()
    mdn_blob_ids: tuple[str, ...] = ()
    sending_until: float = 0.0

    @property
    def is_sending(self) -> bool:
        """Whether some node was about to send it, and its end is not known yet."""
        return self.sending_until > 0

    def ended(self, delivery: Mapping[str, Delivery]) -> Submission:
        """The same when it has left, or was given up."""
        return replace(self, undo_status=FINAL, delivery=delivery, sending_until=0.0)

    def with_unknown_end(self) -> Submission:
        """The same when nobody can say whether it has left."""
        return self.ended({each: Delivery(UNKNOWN_END) for each in self.recipients})

    @property
    def recipients(self) -> tuple[str, ...]:
        """The addresses it goes to."""
        return tuple(each["email"] for each in self.envelope["rcptTo"])

    # --- as JMAP has it --------------------------------------------------------------------------

    def members(self, id_: str) -> dict[str, Any]:
        """All properties by name."""
        return {
            "id": id_,
            "identityId": self.identity_id,
            "emailId": self.email_id,
            "threadId": self.thread_id,
            "envelope": self.envelope,
            "sendAt": utc_date(self.send_at),
            "undoStatus": self.undo_status,
            "deliveryStatus": {email: each.shown for email, each in self.delivery.items()} or None,
            "dsnBlobIds": list(self.dsn_blob_ids),
            "mdnBlobIds": list(self.mdn_blob_ids),
        }

    # --- as it is kept ---------------------------------------------------------------------------

    @property
    def value(self) -> Value:
        """What is kept of it."""
        kept = {each.name: getattr(self, each.name) for each in fields(self)}
        kept["delivery"] = {
            email: [each.smtp_reply, each.delivered, each.displayed]
            for email, each in self.delivery.items()
        }
        kept["creation"] = list(self.creation)
        kept["dsn_blob_ids"] = list(self.dsn_blob_ids)
        kept["mdn_blob_ids"] = list(self.mdn_blob_ids)
        return kept

    @staticmethod
    def of(value: Value) -> Submission:
        """Inverse of `value`."""
        return Submission(
            **{
                **value,
                "creation": Creation(*value["creation"]),
                "delivery": {email: Delivery(*each) for email, each in value["delivery"].items()},
                "dsn_blob_ids": tuple(value["dsn_blob_ids"]),
                "mdn_blob_ids": tuple(value["mdn_blob_ids"]),
            }
        )


def utc_date(seconds: float) -> str:
    """RFC 8620 §1.4: a UTCDate; whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def all_of(kept: Kept) -> dict[str, Submission]:
    """All EmailSubmissions by id."""
    return {id_: Submission.of(record.value) for id_, record in kept.records.items()}


def same_creation(
    kept: Kept, creation: Creation, now: float, is_told: Callable[[str], bool]
) -> tuple[str, Submission] | None:
    """What became of a creation that has come before, unless that is long ago.

    is_told: whether the client has heard of one, so that it has no reason to make them again.
    """
    for id_, record in kept.records.items():
        of_email, of_content = record.value["creation"]
        age = now - record.value["made"]
        is_same = of_email == creation.of_email and age < SAME_SECONDS
        is_alike = of_content == creation.of_content and age < ALIKE_SECONDS and not is_told(id_)
        if (is_same or is_alike) and record.value["undo_status"] != CANCELED:
            return id_, Submission.of(record.value)
    return None


def settled(kept: Kept, now: float) -> Kept:
    """The same where nothing waits any more for nodes that have fallen silent."""
    for id_, each in all_of(kept).items():
        if each.is_sending and each.sending_until < now:
            kept = kept.put(id_, each.with_unknown_end().value)
    return kept


def swept(kept: Kept, now: float) -> Kept:
    """The same without those that have left long ago, or are too many."""
    left = [
        (each.send_at, id_)
        for id_, each in all_of(kept).items()
        if each.undo_status != PENDING and not each.is_sending
    ]
    for id_ in _too_old(sorted(left), now):
        kept = kept.without(id_)
    return kept


def _too_old(left: list[tuple[float, str]], now: float) -> Iterable[str]:
    excess = max(0, len(left) - MAX_KEPT)
    return [id_ for n, (at, id_) in enumerate(left) if n < excess or at < now - KEPT_SECONDS]
