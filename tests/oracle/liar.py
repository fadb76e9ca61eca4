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
