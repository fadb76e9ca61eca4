"""RFC 8620 §5.1, §5.5: everything in an account, by /query and /get alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.oracle.jmap_client import PROPERTIES, path_of
from tests.oracle.jmap_http import Call, Jmap
from tests.oracle.ledger import Ledger
from tests.oracle.view import Box, Mail, View, threads_of
from tests.oracle.violations import Violation

_OBJECTS_AT_ONCE = 500
_COUNTS = ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")


@dataclass(frozen=True, slots=True)
class Fresh:
    """All objects of each type by id, and the state of each type."""

    states: dict[str, str]
    objects: dict[str, dict[str, dict[str, Any]]]

    def view(self) -> View:
        """The same without ids. Raises Violation if it contradicts itself (I1)."""
        mailboxes, emails = self.objects["Mailbox"], self.objects["Email"]
        self._check_threads()
        paths = {id_: "/".join(path_of(mailboxes, id_)) for id_ in mailboxes}
        if len({*paths.values()}) < len(paths):
            raise Violation("I2", f"two Mailboxes have one path: {sorted(paths.values())}")
        mails = [(_mail(email, paths), email["threadId"]) for email in emails.values()]
        boxes = {
            paths[id_]: Box(m["role"], m["isSubscribed"], *(m[name] for name in _COUNTS))
            for id_, m in mailboxes.items()
        }
        return View(Counter(mail for mail, _ in mails), boxes, threads_of(mails))

    def _check_threads(self) -> None:
        """RFC 8621 §3: the Emails of each Thread, oldest first; and every Thread has some."""
        emails, threads = self.objects["Email"], self.objects["Thread"]
        members: dict[str, set[str]] = {}
        for id_, email in emails.items():
            members.setdefault(email["threadId"], set()).add(id_)
        told = {id_: {*thread["emailIds"]} for id_, thread in threads.items()}
        if told != members:
            odd = [id_ for id_ in {*told, *members} if told.get(id_) != members.get(id_)]
            raise Violation("I1", f"Threads are not what their Emails say: {odd[:5]}")
        for id_, thread in threads.items():
            dates = [emails[email]["receivedAt"] for email in thread["emailIds"]]
            if dates != sorted(dates):
                raise Violation("I1", f"Thread {id_} is not in order", str(dates))


def read(jmap: Jmap, ledger: Ledger) -> Fresh | None:
    """Read all; None if something changed meanwhile. Raises Violation."""
    first = jmap.ask([("Mailbox/get", {"ids": None}), ("Email/query", {"limit": None})])
    mailboxes, query = (_told(answer) for answer in first)
    chunks = [query["ids"][n : n + _OBJECTS_AT_ONCE] for n in _starts(query["ids"])]
    emails = _get(jmap, ledger, "Email", chunks or [[]])
    found = [email for answer in emails for email in answer["list"]]
    names = list(dict.fromkeys(email["threadId"] for email in found))
    threads = _get(
        jmap, ledger, "Thread", [names[n : n + _OBJECTS_AT_ONCE] for n in _starts(names)]
    )
    last = _told(jmap.ask([("Mailbox/get", {"ids": None})])[0])
    ledger.saw_objects("Mailbox", jmap.asked, last)
    is_whole = not any(answer["notFound"] for answer in emails + threads)
    states = [answer["state"] for answer in emails]
    if not is_whole or last["state"] != mailboxes["state"] or len({*states}) > 1:
        return None
    thread_states = {answer["state"] for answer in threads}
    if len(thread_states) > 1 or last["list"] != mailboxes["list"]:
        return None
    return Fresh(
        {
            "Mailbox": last["state"],
            "Email": states[-1],
            "Thread": thread_states.pop() if thread_states else "",
        },
        {
            "Mailbox": {m["id"]: m for m in last["list"]},
            "Email": {email["id"]: email for email in found},
            "Thread": {t["id"]: t for answer in threads for t in answer["list"]},
        },
    )


def _starts(ids: list[str]) -> range:
    return range(0, len(ids), _OBJECTS_AT_ONCE)


def _get(jmap: Jmap, ledger: Ledger, kind: str, chunks: list[list[str]]) -> list[dict[str, Any]]:
    calls: list[Call] = [
        (f"{kind}/get", {"ids": ids, "properties": PROPERTIES[kind]}) for ids in chunks
    ]
    answers = [_told(answer) for answer in (jmap.ask(calls) if calls else [])]
    for answer in answers:
        ledger.saw_objects(kind, jmap.asked, answer)
    return answers


def _told(answer: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    if answer[0] == "error":
        raise Violation("I9", f"a fresh reader was told {answer[1]}")
    return answer[1]


def _mail(email: dict[str, Any], paths: dict[str, str]) -> Mail:
    if unknown := {*email["mailboxIds"]} - {*paths}:
        raise Violation("I1", f"Email {email['id']} is in Mailboxes that there are not: {unknown}")
    return Mail(
        int(email["from"][0]["email"].partition("@")[0].removeprefix("m")),
        email["size"],
        int(datetime.fromisoformat(email["receivedAt"]).timestamp()),
        frozenset(paths[id_] for id_ in email["mailboxIds"]),
        frozenset(email["keywords"]),
    )
