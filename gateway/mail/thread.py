"""RFC 8621 §3: Thread."""

from __future__ import annotations

import numpy as np

from gateway.jmap.spec import Changes, DataType, Get, GetRequest, GetResult, Property
from gateway.mail import changes
from gateway.mail.backend import backend
from gateway.mail.capability import MAIL
from gateway.sync.account import Account
from gateway.sync.arrays import Rows
from gateway.sync.data import AccountData

INDEX = frozenset({"INDEX"})


def members(data: AccountData, thread_ids: tuple[str, ...]) -> dict[str, Rows]:
    """Rows of the visible Emails of each Thread that has any, oldest first (RFC 8621 §3)."""
    emails = data.emails
    rows = {id_: emails.thread_row(id_) for id_ in thread_ids}
    wanted = np.zeros(len(emails.thread_keys) + 1, np.bool_)
    wanted[list(rows.values())] = True
    wanted[-1] = False
    every = np.flatnonzero(wanted[emails.thread[: emails.size]] & emails.visible())
    every = every[np.lexsort((emails.key[every], emails.received[every]))]
    threads = emails.thread[every]
    found = {id_: every[threads == row].astype(np.int32) for id_, row in rows.items() if row >= 0}
    return {id_: rows for id_, rows in found.items() if len(rows)}


@backend
async def load(account: Account, request: GetRequest) -> GetResult:
    """RFC 8621 §3.1. Members may be anywhere, so the whole account is waited for."""
    await account.fresh()
    data = await account.indexed()
    found = members(data, request.ids or ())
    shown = {}
    for id_, rows in found.items():
        record: dict[str, object] = {"id": id_}
        if "emailIds" in request.properties:
            record["emailIds"] = [data.emails.id(row) for row in rows.tolist()]
        shown[id_] = record
    return GetResult(data.thread_state(), shown)


THREAD = DataType(
    "Thread",
    MAIL,
    "RFC 8621 §3",
    properties=(Property("emailIds", INDEX),),
    get=Get(load, sources=INDEX, all_ids=False),
    changes=Changes(changes.threads),
)
