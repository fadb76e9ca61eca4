"""RFC 9051 §6.4.5, §7.5.2: windows of a section, however the octets of the answers are cut."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.imap.commands.fetch_window import FetchWindow
from gateway.imap.dispatch import Dispatcher
from gateway.imap.errors import CommandRefused, ProtocolError
from gateway.imap.wire import items
from gateway.imap.wire.responses import Untagged

FIRST = b"* 9 FETCH (UID 1 BODY[2]<99> {3}\r\n)"  # of a literal that looks like a row
CONTENTS = (b"", b"x", b")\r\ng1 OK done\r\n", FIRST, bytes(range(256)) * 3)
LAYOUTS = (
    b"* 4 FETCH (UID 7 BODY[2]<%d> {%d}\r\n%s)\r\n",
    b"* 4 FETCH (BODY[2]<%d> {%d}\r\n%s UID 7)\r\n",
    b"* 4 FETCH (UID 7 BODY[2]<%d> {%d}\r\n%s FLAGS (\\Seen))\r\n",
    b"* 4 fetch (uid 7 body[2]<%d> {%d}\r\n%s)\r\n",
    b"* 4 FETCH (BODY[2]<%d> {%d}\r\n%s)\r\n",
)
NEWS = b"* 5 EXISTS\r\n* 4 FETCH (FLAGS (\\Seen) UID 7)\r\n"


class Silent(Dispatcher):
    """The commands of a connection to nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self._greeting.set_result(Untagged("OK", None, None, 0))  # type: ignore[arg-type]
        self.news: list[str] = []
        self.on_unsolicited = lambda response: self.news.append(response.name)

    def _write(self, octets: bytes) -> None:
        pass


def window(start: int, octets: int = 1000) -> FetchWindow:
    return FetchWindow(7, items.section("", "2", (), (start, octets)), start, octets)


async def outcome(
    answers: bytes, cuts: list[int], starts: list[int]
) -> tuple[list[object], list[str]]:
    connection = Silent()
    running = connection._send([window(start) for start in starts])
    edges = sorted({0, len(answers), *(cut % (len(answers) + 1) for cut in cuts)})
    for begin, end in pairwise(edges):
        connection._read(answers[begin:end])
    return [each.future.result() for each in running], connection.news


@example([0, 1], [0, 1], [], False)
@given(
    st.lists(st.integers(0, len(CONTENTS) - 1), min_size=2, max_size=2),
    st.lists(st.integers(0, len(LAYOUTS) - 2), min_size=2, max_size=2),
    st.lists(st.integers(0, 2000), max_size=8),
    st.booleans(),
)
def test_answers_are_taken_however_they_are_cut(
    contents: list[int], layouts: list[int], cuts: list[int], overtaken: bool
) -> None:
    """RFC 9051 §5.5: nor does it matter in which order they come, nor what comes between."""
    wanted: list[object] = [CONTENTS[content] for content in contents]
    rows = [
        LAYOUTS[layout] % (start, len(CONTENTS[content]), CONTENTS[content])
        for start, content, layout in zip((0, 1000), contents, layouts, strict=True)
    ]
    done = [b"g1 OK done\r\n", b"g2 OK done\r\n"]
    parts = [rows[0], NEWS, done[0], rows[1], done[1]]
    if overtaken:
        parts = [rows[1], NEWS, done[1], rows[0], done[0]]
    found, news = asyncio.run(outcome(b"".join(parts), cuts, [0, 1000]))
    assert found == wanted
    assert {"EXISTS", "FETCH"} <= set(news)


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (b'* 4 FETCH (UID 7 BODY[2]<0> "quoted")\r\n', b"quoted"),
        (b"* 4 FETCH (UID 7 BODY[2]<0> NIL)\r\n", None),
        (b"", None),
        (b"* 4 FETCH (UID 7 BODY[2] {3}\r\nabc)\r\n", b"abc"),  # the only one without an origin
        (b"* 4 FETCH (UID 7 BODY[2]<5> {3}\r\nabc)\r\n", None),  # another window
        (b"* 4 FETCH (UID 8 BODY[2]<0> {3}\r\nabc)\r\n", None),  # another message
        (b"* 4 FETCH (UID 7 BODY[3]<0> {3}\r\nabc)\r\n", None),  # another section
        (b"* 4 FETCH (BODY[2]<0> {3}\r\nabc)\r\n", b"abc"),
    ],
)
async def test_other_answers(row: bytes, found: bytes | None) -> None:
    results, _ = await outcome(row + b"g1 OK done\r\n", [], [0])
    assert results == [found]


async def test_nothing_of_a_row_is_lost() -> None:
    """RFC 9051 §7.5.2: flags may come along with what was asked for."""
    _, news = await outcome(LAYOUTS[2] % (0, 3, b"abc") + b"g1 OK done\r\n", [], [0])
    assert news == ["FETCH"]
    _, news = await outcome(LAYOUTS[0] % (0, 3, b"abc") + b"g1 OK done\r\n", [], [0])
    assert news == []


@pytest.mark.parametrize("layout", LAYOUTS[:2])
async def test_too_many_octets_are_not_read(layout: bytes) -> None:
    """Threat R23: the announcement is enough."""
    with pytest.raises(ProtocolError):
        await outcome(layout % (0, 1001, b"x" * 1001), [], [0])


async def test_refusal_is_told() -> None:
    results, _ = await outcome(b"g1 NO [EXPUNGEISSUED] gone\r\n", [], [0])
    assert isinstance(results[0], CommandRefused)
