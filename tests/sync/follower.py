"""RFC 8620 §5.2: a JMAP client that keeps its copy of an account by /changes alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from gateway.jmap.limits import DEFAULTS
from tests.mail.client import Client
from tests.sync.views import Counts, Mail, View

Record = dict[str, Any]

TYPES: Final = ("Mailbox", "Thread", "Email")
COUNTS: Final = ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")
_EMAIL: Final = ("threadId", "mailboxIds", "keywords", "receivedAt", "size", "messageId")
_AT_ONCE = DEFAULTS.max_objects_in_get


@dataclass(slots=True)
class Told:
    """What /changes said of one type, over all its pages.

    only: the properties that changed, of all Mailboxes it told of; None when it did not say.
    """

    created: set[str] = field(default_factory=set)
    updated: set[str] = field(default_factory=set)
    destroyed: set[str] = field(default_factory=set)
    only: set[str] | None = field(default_factory=set)
    pages: int = 0

    @property
    def ids(self) -> tuple[set[str], set[str], set[str]]:
        """Those that were created, updated and destroyed."""
        return self.created, self.updated, self.destroyed


class Follower:
    """A copy of all records of an account, by type and id, and the states that it is of.

    alone: nothing changes on the server while it follows.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.records: dict[str, dict[str, Record]] = {}
        self.states: dict[str, str] = {}
        self.alone = True

    async def load(self) -> None:
        """Read everything, once there is nothing left for the gateway to learn."""
        await self.client.account.fresh()
        await self.client.account.indexed()
        await self._load("Mailbox", None)
        emails = await self._query()
        await self._load("Email", emails)
        await self._load("Thread", {self.records["Email"][id_]["threadId"] for id_ in emails})

    async def _query(self) -> list[str]:
        found: list[str] = []
        while page := await self.client.query(position=len(found)):
            found += page
        return found

    async def _load(self, name: str, ids: Iterable[str] | None) -> None:
        self.records[name] = {}
        if ids is None:
            got = await self.client.call(f"{name}/get", ids=None)
            self._take(name, got)
            return
        wanted = list(ids)
        for start in range(0, max(1, len(wanted)), _AT_ONCE):
            got = await self.client.call(**_get(name, wanted[start : start + _AT_ONCE]))
            assert got["notFound"] == []
            self._take(name, got)

    def _take(self, name: str, got: Record) -> None:
        self.states[name] = got["state"]
        self.records[name].update((record["id"], record) for record in got["list"])
        for id_ in got["notFound"]:
            self.records[name].pop(id_, None)

    # --- §5.2 ------------------------------------------------------------------------------------

    async def follow(self, max_changes: int | None = None) -> dict[str, Told]:
        """Apply what changed, and return what was said of each type."""
        told = {name: Told() for name in TYPES}
        behind: tuple[str, ...] = TYPES
        while behind:
            asked = [
                (f"{name}/changes", {"sinceState": self.states[name], "maxChanges": max_changes})
                for name in behind
            ]
            answers = await self.client.request(*asked)
            pages = dict(zip(behind, (page for _, page in answers), strict=True))
            for name, page in pages.items():
                self._check(name, page, told[name], max_changes or DEFAULTS.max_changes)
            await self._apply(pages)
            for name, page in pages.items():
                self.states[name] = page["newState"]
            behind = tuple(name for name in behind if pages[name]["hasMoreChanges"])
        return told

    def _check(self, name: str, page: Record, told: Told, most: int) -> None:
        """Note what a page says, which must go together with those before it."""
        assert "type" not in page, (name, page)
        assert page["oldState"] == self.states[name]
        created, updated, destroyed = (page[k] for k in ("created", "updated", "destroyed"))
        every = [*created, *updated, *destroyed]
        assert len(set(every)) == len(every) <= most
        if every or page["hasMoreChanges"]:
            assert page["newState"] != page["oldState"]
        assert not told.destroyed & {*created, *updated}, "it was destroyed before"
        assert not told.updated & {*created}, "it was updated before"
        told.created |= {*created}
        told.updated |= {*updated} - told.created
        told.destroyed |= {*destroyed}
        told.pages += 1
        if name == "Mailbox" and every:
            only = page["updatedProperties"]
            told.only = None if only is None or told.only is None else told.only | {*only}

    async def _apply(self, pages: dict[str, Record]) -> None:
        for name, page in pages.items():
            for id_ in page["destroyed"]:
                self.records[name].pop(id_, None)
        wanted = {name: [*page["created"], *page["updated"]] for name, page in pages.items()}
        names = [name for name, ids in wanted.items() if ids]
        if not names:
            return
        calls = [_get(name, wanted[name]) for name in names]
        answers = await self.client.request(*((call.pop("name"), call) for call in calls))
        for name, (answered, got) in zip(names, answers, strict=True):
            assert answered == f"{name}/get", got
            self._take(name, got)
            if self.alone and not pages[name]["hasMoreChanges"]:
                assert got["state"] == pages[name]["newState"]
                assert got["notFound"] == []

    # --- what it has -----------------------------------------------------------------------------

    def copy(self) -> dict[str, dict[str, Record]]:
        """All records as they are now."""
        return {name: dict(records) for name, records in self.records.items()}

    def ids(self) -> dict[str, str]:
        """Email id of each Message-ID."""
        return {email["messageId"][0]: id_ for id_, email in self.records["Email"].items()}

    def paths(self) -> dict[str, str]:
        """Mailbox id of each path."""
        return {self._path(id_): id_ for id_ in self.records["Mailbox"]}

    def _path(self, id_: str) -> str:
        mailbox = self.records["Mailbox"][id_]
        above = f"{self._path(mailbox['parentId'])}/" if mailbox["parentId"] else ""
        return f"{above}{mailbox['name']}"

    def view(self) -> View:
        """The account in plain values, which say nothing of ids."""
        mailboxes, emails = self.records["Mailbox"], self.records["Email"]
        mails = {email["messageId"][0]: self._mail(email) for email in emails.values()}
        assert len(mails) == len(emails), "two Emails are one message"
        by_thread: dict[str, set[str]] = {}
        for id_, email in emails.items():
            by_thread.setdefault(email["threadId"], set()).add(id_)
        shown = {id_: {*thread["emailIds"]} for id_, thread in self.records["Thread"].items()}
        assert shown == by_thread
        return View(
            mails,
            {
                self._path(id_): Counts(*(m[count] for count in COUNTS))
                for id_, m in mailboxes.items()
            },
            frozenset(self._path(id_) for id_, m in mailboxes.items() if m["isSubscribed"]),
            frozenset(
                frozenset(emails[id_]["messageId"][0] for id_ in members)
                for members in by_thread.values()
            ),
        )

    def _mail(self, email: Record) -> Mail:
        return Mail(
            frozenset(map(self._path, email["mailboxIds"])),
            frozenset(email["keywords"]),
            int(datetime.fromisoformat(email["receivedAt"]).timestamp()),
            email["size"],
        )


def _get(name: str, ids: list[str]) -> Record:
    properties = list(_EMAIL) if name == "Email" else None
    return {"name": f"{name}/get", "ids": ids, "properties": properties}


def differences(
    before: dict[str, Record], after: dict[str, Record]
) -> tuple[set[str], set[str], set[str]]:
    """Ids that were created, updated and destroyed between two copies of the records of a type."""
    same = before.keys() & after.keys()
    updated = {id_ for id_ in same if before[id_] != after[id_]}
    return after.keys() - before.keys(), updated, before.keys() - after.keys()


def properties_of(before: dict[str, Record], after: dict[str, Record]) -> set[str]:
    """The properties by which records of a type differ; "id" for those of one copy only."""
    found = {"id"} if before.keys() != after.keys() else set()
    for id_ in before.keys() & after.keys():
        found |= {name for name in after[id_] if after[id_][name] != before[id_][name]}
    return found
