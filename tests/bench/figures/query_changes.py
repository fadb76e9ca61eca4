"""RFC 8620 §5.6: Email/queryChanges of an inbox of 100,000 messages, threads collapsed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from tests.bench.figures.changes import changed_state, email_state
from tests.bench.imap_socket import ImapSocket
from tests.bench.messages import letters
from tests.bench.report import Figure, milliseconds
from tests.bench.stage import JmapClient, Stage, gateway, settled_client
from tests.servers.dovecot import Message

_RUNS = 15
_ASKED = 5  # times, of each ten changes
_FLAGGED, _EXPUNGED, _NEW = 6, 2, 2
_WINDOW = 50
_SEED = 7


async def run(stage: Stage) -> list[Figure]:
    """Make ten changes, have them seen, and ask for the difference; then for all of it anew."""
    port, user = stage.imap_port("inbox100k"), stage.user("inbox100k")
    samples: dict[str, list[float]] = {"changes": [], "window": [], "query": []}
    fresh = (letter.message for letter in letters(_SEED, _RUNS * _NEW))
    with gateway(port) as child, ImapSocket(port, user) as connection:
        connection.run(b"SELECT INBOX")
        async with settled_client(child, user) as client:
            query = _query(await client.inbox())
            for number in range(_RUNS):
                (_, before, _), *_ = await client.call(["Email/query", query])
                assert before["canCalculateChanges"], before
                await _change(client, connection, number, fresh)
                await _ask(client, query, before, samples)
    ratios = [c / q for c, q in zip(samples["changes"], samples["query"], strict=True)]
    return [
        milliseconds(
            "Email/queryChanges, 10 changes, 100k, inMailbox, collapsed", samples["changes"], 15
        ),
        milliseconds(f"- up to the {_WINDOW}th, with the total", samples["window"]),
        milliseconds("- Email/query anew", samples["query"]),
        Figure("- Email/queryChanges : Email/query", "", ratios),
    ]


def _query(inbox: str) -> dict[str, Any]:
    return {
        "filter": {"inMailbox": inbox},
        "sort": [{"property": "receivedAt", "isAscending": False}],
        "collapseThreads": True,
        "limit": _WINDOW,
    }


async def _change(
    client: JmapClient, connection: ImapSocket, number: int, fresh: Iterator[Message]
) -> None:
    state = await email_state(client)
    first = 1000 + 20 * number
    connection.run(
        b"UID STORE %d:%d +FLAGS.SILENT ($run%d)" % (first, first + _FLAGGED - 1, number)
    )
    gone = b"%d:%d" % (first + 10, first + 10 + _EXPUNGED - 1)
    connection.run(b"UID STORE %s +FLAGS.SILENT (\\Deleted)" % gone)
    connection.run(b"UID EXPUNGE %s" % gone)
    connection.append("INBOX", islice(fresh, _NEW))
    # They may be seen one by one: it is over when nothing has come for longer than a look lasts.
    total = 0
    while total < _FLAGGED + _EXPUNGED + _NEW:
        await changed_state(client, state)
        (_, told, _), *_ = await client.call(["Email/changes", {"sinceState": state}])
        total = sum(len(told[name]) for name in ("created", "updated", "destroyed"))


async def _ask(
    client: JmapClient,
    query: dict[str, Any],
    before: dict[str, Any],
    samples: dict[str, list[float]],
) -> None:
    kept = ("filter", "sort", "collapseThreads")
    asked = {name: query[name] for name in kept} | {"sinceQueryState": before["queryState"]}
    window = {"upToId": before["ids"][-1], "calculateTotal": True}
    bodies = {
        "changes": client.request(["Email/queryChanges", asked]),
        "window": client.request(["Email/queryChanges", {**asked, **window}]),
        "query": client.request(["Email/query", query]),
    }
    (_, told, _), *_ = client.responses(await client.post(bodies["changes"]))
    assert told["added"], told
    for _ in range(_ASKED):
        for name, body in bodies.items():
            started = time.perf_counter()
            client.responses(await client.post(body))
            samples[name].append(time.perf_counter() - started)
