"""RFC 8620 §5.3: what the answers of a request tell of each object in it."""

from __future__ import annotations

from typing import Any

from tests.oracle.intents import FoundGone, Intent, Outcome, SwappedMailboxes, Told
from tests.oracle.jmap_http import Answer, Call
from tests.oracle.requests import Request
from tests.oracle.violations import Violation

# RFC 8620 §3.6.2, §5.3: it is not known then what was done, or not from this answer.
_UNKNOWN = ("serverUnavailable", "serverFail", "serverPartialFail")
_WORDS = {
    "create": ("created", "notCreated"),
    "update": ("updated", "notUpdated"),
    "destroy": ("destroyed", "notDestroyed"),
}
_NONE: dict[str, Any] = {}


def outcomes(request: Request, answers: list[Answer] | None) -> list[Outcome]:
    """What each intent has come to. Raises Violation (I10) when an object is passed over."""
    if answers is None:
        return [Outcome(Told.UNKNOWN) for _ in request.intents]
    for (method, asked), (_, found) in zip(request.calls, answers, strict=True):
        if "ifInState" in asked and asked["ifInState"] != found.get("oldState", asked["ifInState"]):
            raise Violation("I10", f"{method} was done in another state", str(asked)[:400])
    created = _created(answers)
    return [
        _outcome(intent, request.calls[intent.call], answers, created) for intent in request.intents
    ]


def _created(answers: list[Answer]) -> dict[str, str]:
    """RFC 8620 §5.3: ids by creation id."""
    made = [answer.get("created") or _NONE for method, answer in answers if _is_writing(method)]
    return {f"#{key}": found["id"] for each in made for key, found in each.items()}


def _is_writing(method: str) -> bool:
    return method.endswith(("/set", "/import", "/copy"))


def _outcome(intent: Intent, call: Call, answers: list[Answer], created: dict[str, str]) -> Outcome:
    method, found = answers[intent.call]
    if method == "error":
        error = found["type"]
        is_due = error == "stateMismatch" and "ifInState" in call[1]
        return Outcome(
            Told.UNKNOWN if error in _UNKNOWN else Told.REFUSED, error=error, is_due=is_due
        )
    if isinstance(intent, FoundGone):
        return _found(intent, answers)
    first = _of_key(intent, intent.key, found, created)
    if isinstance(intent, SwappedMailboxes):
        second = _of_key(intent, intent.other, found, created)
        return first if first.told is second.told else Outcome(Told.UNKNOWN)
    return first


def _of_key(intent: Intent, key: str, found: dict[str, Any], created: dict[str, str]) -> Outcome:
    done, refused = (found.get(word) or _NONE for word in _WORDS[intent.verb])
    id_ = created.get(key, key)
    places = [place for place in (done, refused) if id_ in place or key in place]
    if len(places) != 1:
        how = "no word" if not places else "two words"
        raise Violation("I10", f"{how} on {intent}", str(found)[:800])
    if places[0] is done:
        return Outcome(Told.DONE, done[key]["id"] if intent.verb == "create" else id_)
    error = refused.get(id_) or refused[key]
    unknown = error["type"] in _UNKNOWN
    return Outcome(Told.UNKNOWN if unknown else Told.REFUSED, error=error["type"])


def _found(intent: FoundGone, answers: list[Answer]) -> Outcome:
    """What was found is destroyed, or is refused because it is gone by then."""
    found = answers[intent.call][1]
    destroyed, refused = found.get("destroyed") or [], found.get("notDestroyed") or _NONE
    queried = answers[intent.call - 1][1]["ids"]
    if {*queried} != {*destroyed, *refused}:
        raise Violation("I10", f"other Emails destroyed than found: {queried}", str(found)[:800])
    intent.found, intent.refused = [*destroyed], tuple(refused)
    if any(error["type"] in _UNKNOWN for error in refused.values()):
        intent.found, intent.refused = queried, ()
        return Outcome(Told.UNKNOWN)
    return Outcome(Told.DONE)
