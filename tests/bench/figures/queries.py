"""RFC 8621 §4.4: every filter and every sort that the index answers, over 100,000 messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from statistics import median
from typing import Any

from tests.bench.messages import LAST, SPAN
from tests.bench.report import Figure, milliseconds
from tests.bench.stage import JmapClient, Stage, gateway, settled_client

_RUNS = 20
_WARM_UP = 3
_SLOWEST = 6
_SORTS = ("receivedAt", "size", "from", "to", "subject", "sentAt")
_KEYWORD_SORTS = ("hasKeyword", "someInThreadHaveKeyword")

Filter = dict[str, Any]


async def run(stage: Stage) -> list[Figure]:
    """Measure each query by itself; the figure is of the medians, so that its max is the worst."""
    user = stage.user("inbox100k")
    with gateway(stage.imap_port("inbox100k")) as child:
        async with settled_client(child, user) as client:
            medians = {name: await _median(client, make) for name, make in _queries()}
    slowest = sorted(medians, key=lambda name: -medians[name])[:_SLOWEST]
    notes = [f"{1000 * medians[name]:.1f} ms  {name}" for name in slowest]
    return [
        milliseconds("Email/query, 100k: medians of all kinds", list(medians.values())),
        milliseconds("- the slowest kind", [medians[slowest[0]]], 10, *notes),
    ]


async def _median(client: JmapClient, make: Callable[[int], dict[str, Any]]) -> float:
    seconds = []
    for number in range(_WARM_UP + _RUNS):
        body = client.request(["Email/query", make(number)])
        if number == 0:
            await client.call(["Email/query", make(number)])  # an error would be fast
        seconds.append(await client.timed(body))
    return median(seconds[_WARM_UP:])


def _queries() -> Iterator[tuple[str, Callable[[int], dict[str, Any]]]]:
    """Yield names and what makes the arguments of the n-th run.

    Dates and sizes differ from run to run, so that remembered answers are of no use.
    """
    for collapse in (False, True):
        arguments = {"limit": 50, "calculateTotal": True, "collapseThreads": collapse}
        suffix = ", collapsed" if collapse else ""
        for name, make in _filters().items():
            yield f"filter {name}{suffix}", _filtered(make, arguments)
        for comparator in _comparators():
            arrow = "ascending" if comparator["isAscending"] else "descending"
            name = f"sort {comparator['property']} {arrow}{suffix}"
            yield name, _constant({**arguments, "sort": [comparator]})


def _filtered(
    make: Callable[[int], Filter], arguments: dict[str, Any]
) -> Callable[[int], dict[str, Any]]:
    newest_first = [{"property": "receivedAt", "isAscending": False}]
    return lambda number: {**arguments, "filter": make(number), "sort": newest_first}


def _constant(arguments: dict[str, Any]) -> Callable[[int], dict[str, Any]]:
    return lambda _: arguments


def _filters() -> dict[str, Callable[[int], Filter]]:
    return {
        "hasKeyword": lambda _: {"hasKeyword": "$label:work"},
        "notKeyword": lambda _: {"notKeyword": "$seen"},
        "before": lambda n: {"before": _date(0.5, n)},
        "after": lambda n: {"after": _date(0.5, n)},
        "minSize": lambda n: {"minSize": 3000 + n},
        "hasAttachment": lambda _: {"hasAttachment": True},
        "AND of three": lambda n: _operator(
            "AND", {"hasKeyword": "$label:work"}, {"after": _date(0.3, n)}, {"minSize": 2000 + n}
        ),
        "OR of three": lambda n: _operator(
            "OR", {"hasKeyword": "$flagged"}, {"before": _date(0.1, n)}, {"minSize": 5000 + n}
        ),
        "NOT of two": lambda n: _operator(
            "NOT", {"hasKeyword": "$seen"}, {"before": _date(0.2, n)}
        ),
        "AND of OR and NOT": lambda n: _operator(
            "AND",
            _operator("OR", {"hasKeyword": "$label:travel"}, {"hasKeyword": "$label:todo"}),
            _operator("NOT", {"hasKeyword": "$answered"}),
            {"after": _date(0.1, n)},
        ),
        "someInThreadHaveKeyword": lambda _: {"someInThreadHaveKeyword": "$flagged"},
        "allInThreadHaveKeyword": lambda _: {"allInThreadHaveKeyword": "$seen"},
        "noneInThreadHaveKeyword": lambda _: {"noneInThreadHaveKeyword": "$answered"},
    }


def _operator(operator: str, *conditions: Filter) -> Filter:
    return {"operator": operator, "conditions": list(conditions)}


def _date(share: float, number: int) -> str:
    """Return a moment of the mailbox's time, a little later with each number."""
    moment = LAST - SPAN + SPAN * share + timedelta(minutes=7 * number)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _comparators() -> Iterator[dict[str, Any]]:
    for ascending in (True, False):
        for name in _SORTS:
            yield {"property": name, "isAscending": ascending}
        for name in _KEYWORD_SORTS:
            yield {"property": name, "isAscending": ascending, "keyword": "$flagged"}
