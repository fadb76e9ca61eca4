"""Answers of a gateway that are wrong in one way each: what the oracle must never let pass."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from tests.oracle.jmap_http import Alter, Answer, Call

Lie = Callable[[Call, dict[str, Any]], None]


def telling(lie: Lie) -> Alter:
    """What Jmap takes as `alter`, for a function that changes the arguments of an answer."""

    def alter(call: Call, answer: Answer) -> Answer:
        method, told = answer[0], copy.deepcopy(answer[1])
        if method != "error":
            lie(call, told)
        return method, told

    return Alter(told=alter)


def _in_changes(kind: str, *lists: str) -> Lie:
    def lie(call: Call, told: dict[str, Any]) -> None:
        if call[0] == f"{kind}/changes":
            for name in lists:
                del told[name][:1]

    return lie


def _counts_only(call: Call, told: dict[str, Any]) -> None:
    if call[0] == "Mailbox/changes" and told["updated"] and not told["hasMoreChanges"]:
        told["updatedProperties"] = ["totalEmails", "unreadEmails"]


def _forgotten_flag(call: Call, told: dict[str, Any]) -> None:
    if call[0] == "Email/get":
        for email in told["list"]:
            email.get("keywords", {}).pop("$flagged", None)


def _forgotten_thread_count(call: Call, told: dict[str, Any]) -> None:
    if call[0] == "Mailbox/get":
        for mailbox in told["list"]:
            if mailbox.get("unreadThreads"):
                mailbox["unreadThreads"] += 1


class _OtherIds:
    """The same messages have other ids after a while."""

    def __init__(self, answers: int) -> None:
        self._left = answers

    def __call__(self, call: Call, told: dict[str, Any]) -> None:
        self._left -= 1
        if call[0] == "Email/get" and self._left < 0:
            for email in told["list"]:
                email["blobId"] = email.get("blobId", "") + "x"


class _OldState:
    """Once there are several states, the first one is told again."""

    def __init__(self) -> None:
        self._first: str | None = None

    def __call__(self, call: Call, told: dict[str, Any]) -> None:
        if call[0] == "Email/get":
            self._first = self._first or told["state"]
            told["state"] = self._first


def _cannot(call: Call, answer: Answer) -> Answer:
    if call[0] == "Email/changes":
        return "error", {"type": "cannotCalculateChanges"}
    return answer


def _swapped_indexes(call: Call, told: dict[str, Any]) -> None:
    added = told.get("added", [])
    if len(added) > 1:
        added[0]["id"], added[1]["id"] = added[1]["id"], added[0]["id"]


def _not_removed(call: Call, told: dict[str, Any]) -> None:
    added = {item["id"] for item in told.get("added", [])}
    if "removed" in told:
        told["removed"] = [id_ for id_ in told["removed"] if id_ in added]


def _not_added(call: Call, told: dict[str, Any]) -> None:
    if "added" in told:
        del told["added"][-1:]
        told.pop("total", None)


class _Writes:
    """Some of what is asked for, by its verb, is not done, and said to be."""

    def __init__(self, verb: str) -> None:
        self._verb = verb

    @property
    def alter(self) -> Alter:
        """What Jmap takes."""
        return Alter(self._asked, self._told)

    def _asked(self, call: Call) -> Call:
        method, asked = call
        if method != "Email/set" or not asked.get(self._verb):
            return call
        return method, {name: value for name, value in asked.items() if name != self._verb}

    def _told(self, call: Call, answer: Answer) -> Answer:
        method, told = answer
        if call[0] != "Email/set" or method == "error" or not (asked := call[1].get(self._verb)):
            return answer
        if self._verb == "update":
            return method, {**told, "updated": dict.fromkeys(asked)}
        return method, {**told, "destroyed": [*asked]}


class _Twice:
    """What is created, is created once more."""

    def asked(self, call: Call) -> Call:
        method, asked = call
        name = {"Email/set": "create", "Email/import": "emails"}.get(method, "")
        objects = asked.get(name)
        if not objects:
            return call
        more = {f"{key}again": _with_other_name(value) for key, value in objects.items()}
        return method, {**asked, name: {**objects, **more}}

    def told(self, call: Call, answer: Answer) -> Answer:
        made = answer[1].get("created")
        if not isinstance(made, dict):
            return answer
        kept = {key: value for key, value in made.items() if not key.endswith("again")}
        return answer[0], {**answer[1], "created": kept}


def _with_other_name(email: dict[str, Any]) -> dict[str, Any]:
    """The same, not so much the same that a server takes it for that."""
    return {**email, "receivedAt": "2023-03-03T03:03:03Z"}


def _unmade(call: Call, told: dict[str, Any]) -> None:
    """What is created is said not to be."""
    if call[0] in ("Email/set", "Email/import") and (made := told.get("created")):
        told["created"] = None
        told["notCreated"] = {key: {"type": "overQuota"} for key in made}


def _not_destroyed(call: Call, told: dict[str, Any]) -> None:
    """What is destroyed is said not to be."""
    if call[0] == "Email/set" and (gone := told.get("destroyed")):
        told["destroyed"] = None
        told["notDestroyed"] = {key: {"type": "forbidden"} for key in gone}


class _SlowReader:
    """After a write, what Email/get shows of an Email is what it was before, a few times."""

    def __init__(self) -> None:
        self._shown: dict[str, dict[str, Any]] = {}
        self._old = 0

    def __call__(self, call: Call, told: dict[str, Any]) -> None:
        if call[0] == "Email/set" and told.get("updated"):
            self._old = 1
        if call[0] == "Email/get":
            for email in told["list"] if self._old else ():
                before = self._shown.get(email["id"], {})
                email |= {name: before[name] for name in email.keys() & before.keys()}
            self._old = 0
            self._shown |= {email["id"]: email for email in told["list"]}


def _other_state(call: Call, told: dict[str, Any]) -> None:
    if call[0] == "Email/set":
        told["newState"] = told["oldState"] + "x"


# By what is wrong: how to make it so, and which invariants may say so.
LIES: dict[str, tuple[Callable[[], Alter], frozenset[str]]] = {
    "a created Email is left out": (
        lambda: telling(_in_changes("Email", "created")),
        frozenset({"I1"}),
    ),
    "an updated Email is left out": (
        lambda: telling(_in_changes("Email", "updated")),
        frozenset({"I1"}),
    ),
    "a destroyed Email is left out": (
        lambda: telling(_in_changes("Email", "destroyed")),
        frozenset({"I1"}),
    ),
    "an updated Mailbox is left out": (
        lambda: telling(_in_changes("Mailbox", "updated")),
        frozenset({"I1"}),
    ),
    "only counts are said to have changed": (lambda: telling(_counts_only), frozenset({"I1"})),
    "a Thread is left out": (
        lambda: telling(_in_changes("Thread", "created", "updated")),
        frozenset({"I1"}),
    ),
    "a flag is forgotten": (lambda: telling(_forgotten_flag), frozenset({"I2"})),
    "a count is wrong": (lambda: telling(_forgotten_thread_count), frozenset({"I2"})),
    "an immutable property changes": (lambda: telling(_OtherIds(30)), frozenset({"I3"})),
    "a state stands for two things": (lambda: telling(_OldState()), frozenset({"I4"})),
    "changes are not calculated": (lambda: Alter(told=_cannot), frozenset({"I5"})),
    "indexes are swapped": (lambda: telling(_swapped_indexes), frozenset({"I6"})),
    "a removed result is left out": (lambda: telling(_not_removed), frozenset({"I6"})),
    "an added result is left out": (lambda: telling(_not_added), frozenset({"I6"})),
}

# The same of writes.
WRITE_LIES: dict[str, tuple[Callable[[], Alter], frozenset[str]]] = {
    "an update is not done": (lambda: _Writes("update").alter, frozenset({"I8", "I10"})),
    "a destroy is not done": (lambda: _Writes("destroy").alter, frozenset({"I8", "I10"})),
    "a message is created twice": (
        lambda: Alter((lie := _Twice()).asked, lie.told),
        frozenset({"I8"}),
    ),
    "what is created is said not to be": (lambda: telling(_unmade), frozenset({"I8", "I10"})),
    "what is destroyed is said not to be": (
        lambda: telling(_not_destroyed),
        frozenset({"I8", "I10"}),
    ),
    "an own write is not seen": (lambda: telling(_SlowReader()), frozenset({"I4", "I10"})),
    "a new state is another one": (lambda: telling(_other_state), frozenset({"I4", "I10"})),
}
