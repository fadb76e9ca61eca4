"""Design §11: thousands of users who only listen, on one process, and mail for some of them.

Dovecot reports changes, so that none of them holds a connection or an index.
`JMAP_GATEWAY_BENCH_USERS` (2000) and `JMAP_GATEWAY_BENCH_MINUTES` (1) say how many, and how long.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import smtplib
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles

from tests.bench.listeners import Listener, Means, listen
from tests.bench.report import Figure, Mark, milliseconds
from tests.bench.stage import Gateway, Stage, gateway
from tests.deploy.test_dovecot_events import SECRET, options
from tests.servers.dovecot import Dovecot, User
from tests.servers.process import free_port
from tests.sync.letters import letter

_USERS = int(os.environ.get("JMAP_GATEWAY_BENCH_USERS", "2000"))
_MINUTES = float(os.environ.get("JMAP_GATEWAY_BENCH_MINUTES", "1"))
_MAILS_PER_SECOND = 50
_DELIVERERS = 4
_MESSAGES = 20
_OPENING = 64
_ASLEEP_SECONDS = 900.0
_PATIENCE_SECONDS = 30.0
_SENDER = "sender@example.test"


async def run(_: Stage) -> list[Figure]:
    """Measure each means of listening, and then mail to some of the users."""
    with tempfile.TemporaryDirectory() as directory:
        admin = free_port()
        chosen = options(Path(directory), [f"http://127.0.0.1:{admin}/events"])
        with Dovecot(chosen) as server:
            users = [server.add_user() for _ in range(_USERS)]
            await asyncio.to_thread(_fill, server, users)
            settings = {
                "JMAP_GATEWAY_SERVER__ADMIN_LISTEN": f"127.0.0.1:{admin}",
                "JMAP_GATEWAY_EVENTS__SECRET": SECRET,
                "JMAP_GATEWAY_LOG__LEVEL": "warning",
            }
            with gateway(server.ports.imap, settings) as child:
                return await _measure(child, admin, server, users)


async def _measure(child: Gateway, admin: int, server: Dovecot, users: list[User]) -> list[Figure]:
    empty = child.resident()
    figures, listeners = await _first(child, admin, users, empty)
    before = _late(admin)
    figures += await _mail(server, listeners)
    figures += _stalls(admin, before)
    figures += await _newsletter(admin, server, listeners)
    means: Means
    for means in ("WebSocket", "EventSource"):
        again, listeners = await _again(child, admin, listeners, means, empty)
        figures += again
    for each in listeners:
        each.close()
    return figures


# --- connecting --------------------------------------------------------------------------------


async def _first(
    child: Gateway, admin: int, users: list[User], empty: int
) -> tuple[list[Figure], list[Listener]]:
    """All users come, as many at once as there are turns; then it is quiet."""
    turns = asyncio.Semaphore(_OPENING)

    async def one(user: User) -> Listener:
        async with turns:
            return await listen(child.port, user, "EventSource")

    started = time.perf_counter()
    listeners = await asyncio.gather(*map(one, users))
    seconds = time.perf_counter() - started
    await _asleep(admin)
    await child.settled()
    figures = [
        Figure(f"{_USERS} users come for the first time", "s", [seconds]),
        Figure("- logins a second", "", [_USERS / seconds], Mark("<=", 50)),
        *_memory(child, empty, "EventSource"),
    ]
    return figures, listeners


async def _again(
    child: Gateway, admin: int, before: list[Listener], means: Means, empty: int
) -> tuple[list[Figure], list[Listener]]:
    """All are cut off at once, and come back at once."""
    logins, late = _metric(admin, 'logins_total{outcome="ok"}'), _late(admin)
    for each in before:
        each.close()
    started = time.perf_counter()
    moments: list[float] = []

    async def one(old: Listener) -> Listener:
        last_id = old.last_id if means == "EventSource" else ""
        new = await listen(child.port, old.user, means, last_id)
        moments.append(time.perf_counter() - started)
        return new

    found = await asyncio.gather(*map(one, before), return_exceptions=True)
    listeners = [each for each in found if isinstance(each, Listener)]
    await child.settled()
    used = _metric(admin, 'logins_total{outcome="ok"}') - logins
    figures = [
        Figure(
            f"{_USERS} users come back at once, by {means}", "s", [max(moments)], Mark("<=", 60)
        ),
        Figure("- not served", "", [len(found) - len(listeners)], Mark("=", 0)),
        Figure("- logins", "", [used]),
        *_stalls(admin, late),
        *_memory(child, empty, means),
    ]
    return figures, listeners


def _memory(child: Gateway, empty: int, means: Means) -> list[Figure]:
    resident = child.resident()
    return [
        Figure(
            f"{_USERS} quiet users by {means}, each",
            "kB",
            [(resident - empty) / _USERS / 1e3],
            Mark("<=", 20),
        ),
        Figure("- the process", "MB", [resident / 1e6], Mark("<=", 300)),
    ]


async def _asleep(admin: int) -> None:
    async with asyncio.timeout(_ASLEEP_SECONDS):
        while _metric(admin, "active_accounts") > 0:
            await asyncio.sleep(2)


def _late(admin: int) -> list[float]:
    """How often the event loop was held up so far: at all, and for longer than 50, 100, 250 ms."""
    name, text = "event_loop_lag_seconds_", _metrics(admin)
    within = [_value(text, f'{name}bucket{{le="{most}"}}') for most in ("0.05", "0.1", "0.25")]
    return [_value(text, f"{name}count") - each for each in within]


def _stalls(admin: int, before: list[float]) -> list[Figure]:
    since = [now - then for now, then in zip(_late(admin), before, strict=True)]
    return [
        Figure("- stalls of the event loop above 50 ms", "", [since[0]], Mark("=", 0)),
        Figure("- above 100 ms", "", [since[1]]),
        Figure("- above 250 ms", "", [since[2]]),
    ]


def _metric(admin: int, name: str) -> float:
    return _value(_metrics(admin), name)


def _metrics(admin: int) -> str:
    url = f"http://127.0.0.1:{admin}/metrics"
    text: str = urllib.request.urlopen(url, timeout=10).read().decode()
    return text


def _value(text: str, name: str) -> float:
    found = re.search(rf"^jmap_gateway_{re.escape(name)} (\S+)$", text, re.M)
    return float(found[1]) if found else 0.0


# --- mail ----------------------------------------------------------------------------------------


async def _mail(server: Dovecot, listeners: list[Listener]) -> list[Figure]:
    """Deliver at random, evenly over time; each mail is to be told within a while."""
    shares = [listeners[number::_DELIVERERS] for number in range(_DELIVERERS)]
    work = [asyncio.to_thread(_deliver, server, share) for share in shares]
    sent = [each for some in await asyncio.gather(*work) for each in some]
    await asyncio.sleep(_PATIENCE_SECONDS)
    latencies, missed = [], 0
    for listener, at in sent:
        told = next((moment for moment in listener.moments if moment >= at), None)
        if told is None:
            missed += 1
        else:
            latencies.append(told - at)
    cuts = quantiles(latencies, n=100)
    return [
        milliseconds(f"{len(sent)} mails, {_MAILS_PER_SECOND} a second, to the event", latencies),
        milliseconds("- p95", [cuts[94]]),
        milliseconds("- p99", [cuts[98]], 1000),
        Figure("- not told", "", [missed], Mark("=", 0)),
    ]


def _deliver(server: Dovecot, listeners: list[Listener]) -> list[tuple[Listener, float]]:
    """Return to whom mail was sent, and when the delivery began."""
    pause, sent = _DELIVERERS / _MAILS_PER_SECOND, []
    until, due = time.perf_counter() + 60 * _MINUTES, time.perf_counter()
    with smtplib.LMTP("127.0.0.1", server.ports.lmtp) as client:
        while (now := time.perf_counter()) < until:
            if now < due:
                time.sleep(due - now)
            due += pause
            listener = random.choice(listeners)
            at = time.perf_counter()
            client.sendmail(
                _SENDER, [listener.user.username], letter(random.getrandbits(20)).octets
            )
            sent.append((listener, at))
    return sent


async def _newsletter(admin: int, server: Dovecot, listeners: list[Listener]) -> list[Figure]:
    """One message to all users, as fast as the mail server delivers."""
    await _asleep(admin)
    told, late = [len(each.moments) for each in listeners], _late(admin)
    started = time.perf_counter()
    shares = [listeners[number::_DELIVERERS] for number in range(_DELIVERERS)]
    await asyncio.gather(*(asyncio.to_thread(_send_to_all, server, share) for share in shares))
    delivered = time.perf_counter() - started
    news = await _heard(listeners, told)
    last = max((moments[-1] for moments in news if moments), default=started)
    return [
        Figure(f"a newsletter to {_USERS} users, delivered after", "s", [delivered]),
        Figure("- the last of them told after", "s", [last - started]),
        Figure("- not told", "", [news.count([])], Mark("=", 0)),
        *_stalls(admin, late),
    ]


async def _heard(listeners: list[Listener], told: list[int]) -> list[list[float]]:
    """When each was told of more than that, as soon as nobody was for a while."""
    while True:
        before = sum(len(each.moments) for each in listeners)
        await asyncio.sleep(_PATIENCE_SECONDS)
        if sum(len(each.moments) for each in listeners) == before:
            return [each.moments[some:] for each, some in zip(listeners, told, strict=True)]


def _send_to_all(server: Dovecot, listeners: list[Listener]) -> None:
    with smtplib.LMTP("127.0.0.1", server.ports.lmtp) as client:
        for each in listeners:
            client.sendmail(_SENDER, [each.user.username], letter(1).octets)


def _fill(server: Dovecot, users: list[User]) -> None:
    messages = [letter(number) for number in range(_MESSAGES)]
    with ThreadPoolExecutor(_DELIVERERS) as threads:
        list(threads.map(lambda user: server.append_all(user, "INBOX", messages), users))
