"""I10: what a client was told to be done, it sees at once, in the state it was told."""

from __future__ import annotations

from typing import Any

from tests.oracle.expected import Expected
from tests.oracle.intents import FoundGone, Intent, Outcome, Told
from tests.oracle.jmap_client import path_of
from tests.oracle.jmap_http import Answer, Call, Jmap, land
from tests.oracle.requests import Request, number_of
from tests.oracle.violations import Violation

_EMAIL = ["mailboxIds", "keywords", "from"]


def check_own_writes(
    jmap: Jmap,
    request: Request,
    answers: list[Answer],
    told: list[Outcome],
    expected: Expected,
    is_quiet: bool,
) -> None:
    """Ask the gateway that has answered. Raises Violation (I10), Away.

    is_quiet: nobody else writes, so that states are those that were told.
    """
    done = {
        outcome.id: intent
        for intent, outcome in zip(request.intents, told, strict=True)
        if outcome.told is Told.DONE and outcome.id and not isinstance(intent, FoundGone)
    }
    ids = [id_ for id_, intent in done.items() if intent.kind == "Email"]
    calls: list[Call] = [
        ("Email/get", {"ids": ids, "properties": _EMAIL}),
        ("Mailbox/get", {"ids": None}),
    ]
    emails, mailboxes = land(jmap.once(calls))
    if "error" in (emails[0], mailboxes[0]):
        return
    if is_quiet:
        _check_states(answers, {"Email": emails[1], "Mailbox": mailboxes[1]})
    tree = {mailbox["id"]: mailbox for mailbox in mailboxes[1]["list"]}
    shown = {email["id"]: email for email in emails[1]["list"]}
    wrong = [
        *_wrong_emails(done, shown, tree, expected),
        *_wrong_mailboxes(done, tree, expected),
    ]
    if wrong:
        raise Violation("I10", "an own write is not seen at once", *wrong[:6])


def _wrong_emails(
    done: dict[str, Intent],
    shown: dict[str, dict[str, Any]],
    tree: dict[str, dict[str, Any]],
    expected: Expected,
) -> list[str]:
    wrong = []
    for id_, intent in done.items():
        number = getattr(intent, "number", None)
        if intent.kind != "Email" or number is None or not intent.is_exact:
            continue
        if not expected.is_sure(number) or expected.is_structure_loose:
            continue
        wanted = {*expected.now.live(number)}
        email = shown.get(id_)
        if email is None:
            wrong += [f"Email {id_} is not found, but is in {wanted}"] if wanted else []
            continue
        paths = {"/".join(path_of(tree, m)) if m in tree else m for m in email["mailboxIds"]}
        if number_of(email) != number:
            wrong.append(f"Email {id_} is message {number_of(email)}, not {number}")
        if paths != wanted:
            wrong.append(f"Email {id_} (message {number}) is shown in {paths}, not in {wanted}")
        keywords = expected.keywords.get(number)
        if keywords is not None and not keywords.hold(email["keywords"]):
            wrong.append(f"Email {id_} (message {number}): {email['keywords']}, not {keywords}")
    return wrong


def _wrong_mailboxes(
    done: dict[str, Intent], tree: dict[str, dict[str, Any]], expected: Expected
) -> list[str]:
    if expected.is_structure_loose:
        return []
    paths = {"/".join(path_of(tree, id_)): id_ for id_ in tree}
    wrong = [f"Mailbox {path} is not shown" for path in expected.made - {*paths}]
    for id_, intent in done.items():
        if intent.kind != "Mailbox" or not intent.is_exact:
            continue
        path = expected.paths[id_]
        if intent.verb == "destroy":
            wrong += [f"Mailbox {id_} is still shown"] * (id_ in tree)
        elif path not in expected.gone and paths.get(path) != id_:
            wrong.append(f"Mailbox {id_} is not shown as {path}")
    for path, is_subscribed in expected.subscribed.items():
        if path in paths and tree[paths[path]]["isSubscribed"] != is_subscribed:
            wrong.append(f"Mailbox {path}: isSubscribed is not {is_subscribed}")
    return wrong


def _check_states(answers: list[Answer], shown: dict[str, dict[str, Any]]) -> None:
    """RFC 8620 §5.3: newState is the state a /get gives now, oldState the newState of before.

    What changes one type may change another one, too, so only the last call is sure of its own.
    """
    last: dict[str, str] = {}
    for method, found in answers:
        kind = method.partition("/")[0]
        if "newState" not in found:
            last.clear()
            continue
        before = last.get(kind)
        if before is not None and found["oldState"] != before:
            raise Violation("I10", f"{method}: oldState {found['oldState']}, was {before}")
        last = {kind: found["newState"]}
    for kind, state in last.items():
        if shown[kind]["state"] != state:
            is_ = shown[kind]["state"]
            raise Violation("I10", f"newState of {kind} is {state}, and then it is {is_}")
