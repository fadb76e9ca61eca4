"""Design §10: what the gateway holds until it is time to send it, as values.

Who wants to send one of them, or to take it back, says so here first, in one place for all nodes:
the first to say so is the one who does.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

from gateway.store.base import Durable
from gateway.sync.records import Kept, Records, Value

OWNER: Final = "outbox"
"""Whose it is in the store; no account has this id."""
ORPHAN_SECONDS: Final = 600.0
"""A creation that has not come to its end by then has come to nothing."""
PATIENCE_SECONDS: Final = 24 * 3600.0
"""So long after its time a message that can not be sent is tried again."""
_FIRST_PAUSE: Final = 60.0
_LONGEST_PAUSE: Final = 900.0


@dataclass(frozen=True, slots=True)
class Due:
    """A held message. Times are in seconds since 1970.

    at: when it is to leave, or to be tried again; since: when it was to leave first; made: when it
    came here. is_told: there is an EmailSubmission, or there was until the client destroyed it.
    claimed_until: up to when a node, `by`, says that it is at it, 0 when none is; may_have_left:
    whether the end of the message was about to be sent. canceled: it is not to leave any more.
    """

    account_id: str
    username: str
    submission_id: str
    at: float
    since: float
    made: float
    is_told: bool = False
    tries: int = 0
    by: str = ""
    claimed_until: float = 0.0
    may_have_left: bool = False
    canceled: bool = False

    @property
    def value(self) -> Value:
        """What is kept of it."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def again(self, now: float) -> Due | None:
        """The same to be tried later; None when it has been tried for long enough."""
        if now > self.since + PATIENCE_SECONDS:
            return None
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**self.tries)
        return replace(
            self, at=now + pause, tries=self.tries + 1, claimed_until=0.0, may_have_left=False
        )


def of(value: Value) -> Due:
    """Inverse of Due.value."""
    return Due(**value)


def records(durable: Durable) -> Records:
    """All that is held, by ids of EmailSubmissions."""
    return Records(durable, OWNER, "due")


def all_of(kept: Kept) -> list[Due]:
    """All that is held, what is due first at first."""
    return sorted((of(each.value) for each in kept.records.values()), key=lambda due: due.at)


def entry(kept: Kept, submission_id: str) -> Due | None:
    """What is held of an EmailSubmission."""
    value = kept.value(submission_id)
    return of(value) if value is not None else None
