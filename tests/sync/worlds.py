"""A mail server as plain dictionaries, and accounts that look at it without a connection."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gateway.imap.commands.status import Status
from gateway.sync import commit, ids
from gateway.sync.commit import Draft, Staged
from gateway.sync.data import AccountData
from gateway.sync.identity import Tier
from gateway.sync.index import Arrivals
from gateway.sync.journal import Entry, Journal
from gateway.sync.mailboxes import Mailbox
from gateway.sync.placements import MailboxColumns, Placed
from gateway.sync.record import Record

Messages = dict[int, tuple[int, frozenset[str]]]


@dataclass
class Box:
    """A mailbox: what it is called, and messages as {uid: (identity, flags)}."""

    name: str
    role: str | None = None
    uidvalidity: int = 1
    uidnext: int = 1
    messages: Messages = field(default_factory=dict)

    def append(self, identity: int, *flags: str) -> int:
        """Put a message into it; returns its UID."""
        uid, self.uidnext = self.uidnext, self.uidnext + 1
        self.messages[uid] = (identity, frozenset(flags))
        return uid


World = dict[str, Box]


def account(epoch: str = "epoch") -> AccountData:
    """An account that nothing is known of."""
    return AccountData(Tier.X_GUID, Journal(epoch))


def email_id(identity: int) -> str:
    """The id of the Email that a message is."""
    return ids.email_id(ids.email_digest(b"%d" % identity))


def staged(data: AccountData, world: World) -> Staged:
    """What a check of the world finds out."""
    mailboxes = {id_: _mailbox(id_, box) for id_, box in world.items()}
    drafts = {}
    for id_, box in world.items():
        held = data.columns(id_) or MailboxColumns(-1)
        drafts[id_] = Draft(held.draft(), _columns(data, box))
    return Staged(mailboxes, drafts)


def _mailbox(id_: str, box: Box) -> Mailbox:
    name = box.name.encode()
    return Mailbox(id_, name, (box.name,), None, box.role, True, None, Status())


def _columns(data: AccountData, box: Box) -> MailboxColumns:
    columns = MailboxColumns(-1, box.uidvalidity, box.uidnext, None, len(box.messages))
    who = [identity for identity, _ in box.messages.values()]
    flags = [" ".join(sorted(flags)).encode() for _, flags in box.messages.values()]
    arrivals = Arrivals(
        uids=np.array([*box.messages], np.uint32),
        digests=[ids.email_digest(b"%d" % identity) for identity in who],
        given=None,
        bits=data.index.keywords.parse_column(flags),
        modseqs=np.ones(len(who), np.uint64),
        received=np.array(who, np.int64),
        octets=np.array(who, np.int64),
    )
    rows, made = data.index.rows_of(arrivals)
    if len(made):
        # Emails 2n and 2n + 1 are a Thread.
        start = data.emails.size - len(made)
        keys = np.array([who[at] // 2 + 1 for at in made.tolist()], np.uint64)
        data.emails.thread[start : data.emails.size] = data.emails.threads(keys)
        data.headers.extend(start, [b"Subject: %d\r\n\r\n" % who[at] for at in made.tolist()])
    columns.add(Placed(arrivals.uids, rows, arrivals.bits, arrivals.modseqs))
    columns.complete = True
    return columns


def record(data: AccountData, world: World) -> Record:
    """All that is new in the world."""
    return commit.record_of(data, staged(data, world))


def follow(data: AccountData, world: World) -> Entry | None:
    """Bring an account up to date with the world; None when nothing was new."""
    made = record(data, world)
    return commit.apply(data, made) if made else None


def shown(world: World) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """The Emails of a world by id, as the mailboxes they are in and their keywords."""
    found: dict[int, list[tuple[str, frozenset[str]]]] = {}
    for id_, box in world.items():
        for identity, flags in box.messages.values():
            if "\\Deleted" not in flags:
                found.setdefault(identity, []).append((id_, flags))
    emails = {}
    for identity, copies in found.items():
        union = frozenset().union(*(flags for _, flags in copies))
        if not all("\\Seen" in flags for _, flags in copies):
            union -= {"\\Seen"}
        emails[email_id(identity)] = (frozenset(id_ for id_, _ in copies), union)
    return emails
