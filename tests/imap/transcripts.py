"""RFC 9051 §7: what servers of 19 kinds answered, recorded by others; see tests/data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gateway.imap.wire import responses
from gateway.imap.wire.framer import Frame, Framer
from gateway.imap.wire.responses import Tagged, Untagged

KEPT = Path(__file__).parents[1] / "data" / "imap-transcripts"
ALL = Path(__file__).parents[3] / "shared" / "corpus" / "imap-transcripts"
"""The whole collection, where somebody has put it beside the project."""
ROOT = ALL if ALL.is_dir() else KEPT
BROKEN = frozenset({"gmail/headers.1+unsolicited-info.txt"})
"""Announces a literal shorter than it is."""
TAG = b"g1"


@dataclass(frozen=True, slots=True)
class Transcript:
    """The answers to one command: `name` is server/file."""

    name: str
    octets: bytes

    @property
    def server(self) -> str:
        """The kind of server."""
        return self.name.partition("/")[0]

    def frames(self, chunk: int = 1 << 20) -> list[Frame]:
        """Complete responses, read in chunks of a size."""
        framer = Framer()
        parts = (self.octets[at : at + chunk] for at in range(0, len(self.octets), chunk))
        return [frame for part in parts for frame in framer.feed(part) if frame.octets]

    def untagged(self) -> Iterator[Untagged]:
        """The untagged responses."""
        for frame in self.frames():
            response = responses.parse(frame)
            if isinstance(response, Untagged):
                yield response

    def tagged(self) -> Tagged:
        """The tagged response; OK for a transcript that ends before it."""
        last = responses.parse(self.frames()[-1])
        return last if isinstance(last, Tagged) else Tagged(TAG, "OK", responses.Text(None, ""))

    def count(self, start: bytes) -> int:
        """How many lines start so, in any case."""
        return len(re.findall(rb"(?mi)^" + start, self.octets))


def transcript(name: str) -> Transcript:
    """One of those kept with the tests."""
    return _read(KEPT, KEPT / name)


@cache
def transcripts() -> tuple[Transcript, ...]:
    """All that can be read."""
    found = (_read(ROOT, path) for path in sorted(ROOT.rglob("*.txt")))
    return tuple(each for each in found if each.name not in BROKEN)


def values(containing: str) -> dict[str, bytes]:
    """BODYSTRUCTUREs or ENVELOPEs by what is odd about them."""
    every: dict[str, str] = json.loads((KEPT / "values.json").read_text())
    return {name: text.encode() for name, text in every.items() if containing in name}


def _read(root: Path, path: Path) -> Transcript:
    octets = path.read_bytes().replace(b"A########", TAG).replace(b"\n", b"\r\n")
    return Transcript(path.relative_to(root).as_posix(), octets)
