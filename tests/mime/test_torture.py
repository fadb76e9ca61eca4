"""RFC 8620 §8.5: messages that were made to break parsers are read, soon and in little memory."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from types import FrameType
from typing import Any

from gateway.mime import body, headers
from gateway.mime.limits import MAX_DEPTH, MAX_PARTS
from gateway.mime.message import Message, parse
from gateway.mime.structure import Part
from tests.mime import corpus

MESSAGES = corpus.torture()
_STEPS = 400_000
_MEMORY = 50 * 1024 * 1024


def read_all(octets: bytes) -> Message:
    """Parse a message and look at all that JMAP shows of it."""
    message = parse(octets)
    headers.convenience(message.header(message.root))
    lists = body.body_lists(message.root)
    for part in {id(part): part for part in (*lists.text, *lists.html)}.values():
        if part.type.startswith("text/"):
            body.body_value(message.content(part), part, 0)
    return message


def steps(function: Callable[[], object]) -> int:
    """How many calls, of Python or of C, a function makes."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(trace)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def parts(part: Part) -> list[Part]:
    return [part, *(found for child in part.children for found in parts(child))]


def depth(part: Part) -> int:
    return 1 + max(map(depth, part.children)) if part.children else 0


def test_every_message_is_read() -> None:
    for name, octets in MESSAGES.items():
        message = read_all(octets)
        found = parts(message.root)
        assert len(found) <= MAX_PARTS, name
        assert depth(message.root) <= MAX_DEPTH, name
        assert len({part.part_id for part in found}) == len(found), name
        leaves = [message.span(part) for part in found if not part.is_multipart]
        assert all(0 <= s.header <= s.content <= s.end <= len(octets) for s in leaves), name
        assert all(one.end <= other.header for one, other in pairwise(leaves)), name


def test_no_message_takes_many_steps() -> None:
    """What takes time in this is counted, so that a busy machine makes no difference."""
    most = {name: steps(lambda: read_all(octets)) for name, octets in MESSAGES.items()}  # noqa: B023
    assert max(most.values()) < _STEPS, max(most, key=lambda name: most[name])


def test_no_message_takes_much_memory() -> None:
    large = [octets for octets in MESSAGES.values() if len(octets) > 5_000]
    assert large
    for octets in large:
        tracemalloc.start()
        try:
            message = parse(octets)
            headers.convenience(message.header(message.root))
            assert tracemalloc.get_traced_memory()[1] < _MEMORY
        finally:
            tracemalloc.stop()


def test_the_cost_is_in_proportion_to_the_length() -> None:
    """RFC 2046 §5.1: a delimiter, a header, a line or a message inside costs the same anywhere."""
    head = b"Content-Type: multipart/mixed; boundary=a\n\n"
    for piece in (
        *(b"--a\n", b"--a\n\n", b"--\n", b"--a\nx\n", b"--b\n\nx\n", b"\n", b"--a--\n", b"x\n"),
        b"--a\nContent-Type: multipart/mixed; boundary=a\n\n",
        b"--a\nContent-Type: multipart/mixed; boundary=a\n",
        b"--a\nContent-Type: message/rfc822\n\n",
        b"Content-Type: message/rfc822\n\n",
        b"Content-Type: multipart/mixed; boundary=ab\n\n--a\n",
    ):
        for start in (head, b"Content-Type: message/rfc822\n\n" + head):
            once = steps(lambda: parse(start + piece * 600))  # noqa: B023
            twice = steps(lambda: parse(start + piece * 1200))  # noqa: B023
            assert twice <= 2.1 * once, piece  # open multiparts cost a little, up to MAX_DEPTH
