"""RFC 8621 §6, §7: Identity and EmailSubmission, as they are announced and declared."""

from __future__ import annotations

from typing import Final

from gateway.ext.submission.identities import Identities
from gateway.ext.submission.submission_get import CONDITIONS, SORTS, SubmissionReading
from gateway.ext.submission.submission_set import (
    ON_SUCCESS_DESTROY,
    ON_SUCCESS_UPDATE,
    Sending,
    follow,
)
from gateway.jmap.kinds import ID, OBJECT, STRING, STRING_LIST, list_of, map_of, nullable
from gateway.jmap.settable import ABSENT, Set, Settable
from gateway.jmap.spec import Argument, Changes, DataType, Get, Property, Query

SUBMISSION: Final = "urn:ietf:params:jmap:submission"

_KEPT: Final = frozenset({"kept"})
_ADDRESSES: Final = Settable(nullable(list_of(OBJECT)), None)


def identity(identities: Identities) -> DataType:
    """RFC 8621 §6."""
    return DataType(
        "Identity",
        SUBMISSION,
        "RFC 8621 §6",
        properties=(
            Property("name", _KEPT, settable=Settable(STRING, "")),
            Property("email", _KEPT, settable=Settable(STRING, immutable=True)),
            Property("replyTo", _KEPT, settable=_ADDRESSES),
            Property("bcc", _KEPT, settable=_ADDRESSES),
            Property("textSignature", _KEPT, settable=Settable(STRING, "")),
            Property("htmlSignature", _KEPT, settable=Settable(STRING, "")),
            Property("mayDelete", _KEPT),
        ),
        get=Get(identities.load, sources=_KEPT),
        changes=Changes(identities.changes),
        set=Set(identities.open_set),
    )


def email_submission(sending: Sending) -> DataType:
    """RFC 8621 §7."""
    reading = SubmissionReading(sending.outbox)
    return DataType(
        "EmailSubmission",
        SUBMISSION,
        "RFC 8621 §7",
        properties=(
            Property("identityId", _KEPT, settable=Settable(ID, immutable=True, refers=True)),
            Property("emailId", _KEPT, settable=Settable(ID, immutable=True, refers=True)),
            Property("threadId", _KEPT),
            Property("envelope", _KEPT, settable=Settable(nullable(OBJECT), None, immutable=True)),
            Property("sendAt", _KEPT),
            # Server-set on creation, but clients name what they expect (meli: "final").
            Property("undoStatus", _KEPT, settable=Settable(STRING, ABSENT)),
            Property("deliveryStatus", _KEPT),
            Property("dsnBlobIds", _KEPT),
            Property("mdnBlobIds", _KEPT),
        ),
        get=Get(reading.load, sources=_KEPT),
        changes=Changes(reading.changes),
        query=Query(reading.query, CONDITIONS, SORTS, changes=reading.query_changes),
        set=Set(
            sending.open_set,
            arguments=(
                Argument(ON_SUCCESS_UPDATE, nullable(map_of(STRING, OBJECT)), None),
                Argument(ON_SUCCESS_DESTROY, nullable(STRING_LIST), None),
            ),
            after=follow,
        ),
    )
