"""Messages that others wrote: broken ones, and the archive of a mailing list.

More of them are in `../shared/corpus` where the project is developed. What is there besides the
messages in tests/data/torture is not part of the project; tests of it are skipped elsewhere.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[2]
SHARED = _ROOT.parent / "shared" / "corpus"
ARCHIVE = SHARED / "lists" / "linux-man-2019-2026.mboxrd.xz"
_SEPARATOR = b"From mboxrd@z Thu Jan  1 00:00:00 1970\n"
_QUOTED_FROM = re.compile(rb"^>(>*+From )", re.MULTILINE)


def torture() -> dict[str, bytes]:
    """The broken messages by the names of their files: all, or those in tests/data."""
    directory = SHARED / "torture"
    if not directory.is_dir():
        directory = _ROOT / "tests" / "data" / "torture"
    return {path.name: path.read_bytes() for path in sorted(directory.glob("*.eml"))}


def archive(step: int = 1) -> Iterator[bytes]:
    """Each `step`-th message of the archive, with LF line ends."""
    octets = lzma.decompress(ARCHIVE.read_bytes())
    for letter in octets.split(_SEPARATOR)[1::step]:
        yield _QUOTED_FROM.sub(rb"\1", letter)
