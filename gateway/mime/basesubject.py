"""RFC 5256 §2.1: the base subject, without what replying, forwarding and lists put around it."""

from __future__ import annotations

import re
from typing import Final

# RFC 5256 §5; a leader of blobs is looked for where the blobs end, so that each is read once.
_BLOBS = re.compile(r"(?>(?:\[[^][]*+\] *+)+)")
_BLOB = re.compile(r"\[[^][]*+\] *+")
_REFWD: Final = re.compile(r"(?:re|fwd?) *+(?:\[[^][]*+\] *+)?:", re.IGNORECASE)
_SPACES = re.compile(r"[ \t\r\n]++")
_TRAILER = "(fwd)"
_FORWARD = "[fwd:"


def base_subject(subject: str, leader: re.Pattern[str] = _REFWD) -> str:
    """The base subject of a decoded subject (RFC 8621 §4.1.2.2), in the case it was written.

    `leader` is what counts as subj-refwd of RFC 5256 §5. To compare two, RFC 5256 §2.1 wants
    i;unicode-casemap (RFC 5051).
    """
    text = _SPACES.sub(" ", subject)
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = text  # lower-casing moved the characters; artifacts are ASCII all the same
    start, end = 0, len(text)
    while True:
        end = _without_trailers(lowered, start, end)
        start = _without_leaders(text, start, end, leader)
        if not (lowered.startswith(_FORWARD, start, end) and text.endswith("]", start, end)):
            return text[start:end]
        start += len(_FORWARD)
        end -= 1


def _without_trailers(lowered: str, start: int, end: int) -> int:
    """RFC 5256 §2.1 step 2."""
    while end > start:
        if lowered[end - 1] == " ":
            end -= 1
        elif lowered.endswith(_TRAILER, start, end):
            end -= len(_TRAILER)
        else:
            break
    return end


def _without_leaders(text: str, start: int, end: int, leader: re.Pattern[str]) -> int:
    """RFC 5256 §2.1 steps 3 to 5: leaders, and blobs as long as something is left after them."""
    while start < end:
        if text[start] == " ":
            start += 1
            continue
        blobs = _BLOBS.match(text, start, end)
        reply = leader.match(text, blobs.end() if blobs else start, end)
        if reply:
            start = reply.end()
            continue
        while (blob := _BLOB.match(text, start, end)) and blob.end() < end:
            start = blob.end()
        break
    return start
