"""RFC 8620 §5.3: clients that write over JMAP, and what has to be so by their answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass, field

from tests.oracle import situation
from tests.oracle.answers import outcomes
from tests.oracle.expected import Expected, expect
from tests.oracle.imap_noise import Noise
from tests.oracle.intents import Outcome, Told
from tests.oracle.jmap_client import Client, paths_of
from tests.oracle.jmap_http import Answer, Away, Jmap, land
from tests.oracle.own_writes import check_own_writes
from tests.oracle.raw_reader import Raw
from tests.oracle.requests import Request, Requests
from tests.oracle.violations import Violation

_PAUSE_SECONDS = 0.02
_WRITERS = 2


@dataclass(slots=True)
class _Sent:
    """A request that was sent, and its answers when they have come."""

    request: Request
    answers: list[Answer] | None = None
    told: list[Outcome] = field(default_factory=list)


class JmapWriters:
    """Two clients, each with a request under way at most.

    connect: makes the requests of a client. settle: ends whatever is in the way, and gives all
    gateways that run time to finish. only: names of what is asked for, by default everything.
    """

    def __init__(
        self,
        client: Client,
        noise: Noise,
        connect: Callable[[], Jmap],
        settle: Callable[[Jmap], None],
        read_raw: Callable[[], Raw],
        patience: float,
        only: Collection[str] = (),
    ) -> None:
        self._client = client
        self._noise = noise
        *self._jmaps, self._uploader = (connect() for _ in range(_WRITERS + 1))
        self._settle = settle
        self._read_raw = read_raw
        self._patience = patience
        self._paths: dict[str, str] = {}
        # What Mailboxes are called since a moment, which the client may not know yet.
        self._moved: dict[str, str] = {}
        self._moved_at = float("-inf")
        self._since = 0.0
        self._lost_at = float("-inf")
        self._under_way: list[_Sent] = []
        self._open: list[_Sent] = []
        self.requests = Requests(client, self._uploader.upload, only)
        self.counts = client.counts

    def close(self) -> None:
        """Close all connections."""
        for jmap in (*self._jmaps, self._uploader):
            jmap.close()

    @property
    def has_room(self) -> bool:
        """Whether one more request can be under way."""
        return len(self._under_way) < _WRITERS

    def write(self, request: Request, *, is_quiet: bool = False) -> Generator[None, None, str]:
        """Send a request; tells how it ended. Yields when it is under way.

        Raises Violation (I8, I10). is_quiet: nobody else has written lately: states are compared.
        """
        if not request.calls:
            return "nothing"
        is_first = not self._under_way
        if is_first:
            self._since = time.monotonic()
            self._paths = paths_of(self._client.caches["Mailbox"].objects)
            if self._client.known_at < self._moved_at:
                self._paths |= self._moved
        self._under_way.append(sent := _Sent(request))
        at = len(self._under_way) - 1
        self._noise.has_company = True
        sent_at = time.monotonic()
        try:
            sent.answers = yield from self._jmaps[at].once(request.calls)
        except Away as away:
            self.counts["writes unanswered"] += 1
            self._check_trouble(str(away), sent_at)
        if is_first:
            self._noise.has_company = False
            self._verify(is_quiet=is_quiet)
        return "answered" if sent.answers else "unanswered"

    def lose_uploads(self) -> None:
        """The store has lost what was in it."""
        self._lost_at = time.monotonic()

    def rest(self) -> None:
        """All that was done is known to all, and nothing is to come any more."""
        self._open.clear()
        self._noise.model.rest()

    def verify_open(self) -> None:
        """What of requests without an answer has come since. Raises Violation (I8)."""
        if self._open:
            self._since = time.monotonic()
            self._verify(is_quiet=False)

    # --- What has to be so -----------------------------------------------------------------------

    def _verify(self, *, is_quiet: bool) -> None:
        sent, self._under_way = self._under_way, []
        for each in sent:
            each.told = outcomes(each.request, each.answers)
            self._count(each)
        expected = self._expected(sent)
        unknown = [each for each in sent if any(o.told is Told.UNKNOWN for o in each.told)]
        if unknown:
            errors = [o.error for each in unknown for o in each.told if o.told is Told.UNKNOWN]
            told = f"{set(errors)}: {'; '.join(str(e.request) for e in unknown)}"
            self._check_trouble(told, self._since)
            self._settle(self._jmaps[0])
        elif len(sent) == 1:
            self._check_own(sent[0], expected, is_quiet=is_quiet)
        self._check_imap(expected)
        self._open += unknown
        self._follow(expected)

    def _follow(self, expected: Expected) -> None:
        """Know what Mailboxes are called now."""
        if self._client.known_at >= self._moved_at:
            self._moved.clear()
        moved = {i: p for i, p in expected.paths.items() if self._paths.get(i) != p}
        if moved or expected.is_structure_loose:
            self._moved |= moved
            self._moved_at = time.monotonic()
            # Another gateway may tell what they were called before for a while.
            self._noise.model.touched.named = self._moved_at

    def _expected(self, sent: list[_Sent]) -> Expected:
        expected, wrong = self._apply(sent, frozenset())
        if expected.contested:
            expected, wrong = self._apply(sent, frozenset(expected.contested))
        if wrong:
            raise Violation("I10", "an answer can not be true", *wrong[:6])
        return expected

    def _apply(self, sent: list[_Sent], contested: frozenset[int]) -> tuple[Expected, list[str]]:
        """What has to be, and what can not have been told.

        contested: messages that several requests are about, in whatever order they were done.
        """
        model, known_at = self._noise.model, self._client.known_at
        expected = expect(model, self._paths, self._since, known_at, contested)
        expected.are_uploads_lost = self._lost_at >= self._since
        expected.are_ids_lost = self._lost_at >= known_at
        wrong: list[str] = []
        for number, each in enumerate([*self._open, *sent]):
            expected.request = number
            for intent, outcome in zip(each.request.intents, each.told, strict=True):
                is_new = number >= len(self._open)
                if is_new or outcome.told is Told.UNKNOWN:
                    wrong += intent.expect(expected, outcome)
        return expected, wrong

    def _count(self, sent: _Sent) -> None:
        for intent, outcome in zip(sent.request.intents, sent.told, strict=True):
            what = f"{intent.kind} {intent.verb} {outcome.told.value} {outcome.error}".strip()
            self.counts[what] += 1

    def _check_own(self, sent: _Sent, expected: Expected, *, is_quiet: bool) -> None:
        """I10: a client reads its own writes at once."""
        jmap = self._jmaps[0]
        if jmap.answered is None or not jmap.answered.running:
            return
        jmap.pinned = jmap.answered
        sent_at = time.monotonic()
        try:
            check_own_writes(jmap, sent.request, sent.answers or [], sent.told, expected, is_quiet)
        except Away as away:
            self._check_trouble(str(away), sent_at)
        finally:
            jmap.pinned = None

    def _check_trouble(self, what: str, since: float) -> None:
        """I9: what is not known is so because something is known to have been away since then."""
        if not self._jmaps[0].is_trouble(since):
            raise Violation("I9", "a request failed for no reason", what)

    def _check_imap(self, expected: Expected) -> None:
        """I8: on the server is what has to be, a moment later at most: LIST takes its time."""
        deadline = time.monotonic() + self._patience
        while wrong := expected.differences(raw := self._read_raw()):
            if time.monotonic() > deadline:
                raise Violation("I8", "not on the server what answers say", *wrong[:8])
            time.sleep(_PAUSE_SECONDS)
        situation.adopt(self._noise.model, raw)


def wait_until_done(jmap: Jmap) -> None:
    """Until a gateway has done with what was asked of it before: it writes one after the other."""
    land(jmap.fly([("Email/set", {})]))
