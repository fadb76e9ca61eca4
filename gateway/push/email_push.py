"""draft-ietf-jmap-emailpush-02 §3: EmailPush objects, each no larger than a push may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.jmap import ijson
from gateway.webpush.encryption import MAX_OCTETS


def email_pushes(
    account_id: str,
    state: str,
    properties: Sequence[str],
    records: Iterable[Mapping[str, Any]],
) -> list[bytes]:
    """As few EmailPush objects as have room for all of these Emails, in their order, as JSON.

    Each Email has as many of the properties, in the order in which they were asked for, as fit.
    """
    room = MAX_OCTETS - len(_email_push(account_id, state, []))
    groups: list[list[dict[str, Any]]] = []
    left = 0
    for record in records:
        email = _fitting(record, properties, room)
        octets = len(ijson.encode(email))
        if not groups or octets + 1 > left:
            groups.append([])
            left = room + 1  # the first one has no comma before it
        groups[-1].append(email)
        left -= octets + 1
    return [_email_push(account_id, state, group) for group in groups]


def _email_push(account_id: str, state: str, emails: list[dict[str, Any]]) -> bytes:
    return ijson.encode(
        {"@type": "EmailPush", "accountId": account_id, "emails": emails, "state": state}
    )


def _fitting(record: Mapping[str, Any], properties: Sequence[str], room: int) -> dict[str, Any]:
    email: dict[str, Any] = {}
    for name in properties:
        email[name] = record[name]
        if len(ijson.encode(email)) > room:
            del email[name]
    return email
