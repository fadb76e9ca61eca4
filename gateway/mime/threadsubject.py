"""RFC 8621 §3: the subject that the messages of one thread share.

It is the base subject of RFC 5256 without what else is added automatically, and without white
space. Only messages that name the same root are compared by it, so that it may be generous.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.mime.basesubject import base_subject

LEADERS: Final = (
    *("re", "fw", "fwd"),  # RFC 5256 §5
    # What mail programs put there in other languages than English.
    *("aw", "wg", "antw", "antwort", "doorst", "sv", "vs", "vb", "vl", "res", "enc", "rv", "tr"),
    *("ref", "rif", "r", "i", "odp", "pd", "ynt", "ilt", "bls", "trs", "atb", "tl", "fs"),
    # Bugzilla: "[Bug 1] New: subject" is answered by "[Bug 1] subject".
    "new",
)
"""Words that stand with a colon before a subject, of ASCII letters."""

_OTHER_LEADERS = (
    *("vá", "továbbítás", "pārs", "απ", "σχετ", "πρθ", "на", "отв", "ответ", "пересл"),
    *(
        "תגובה",
        "הועבר",
        "رد",
        "回复",
        "回覆",
        "答复",
        "答覆",
        "转发",
        "轉寄",
        "轉發",
        "返信",
        "転送",
    ),
    *("답장", "회신", "전달"),
)
_LEADER = re.compile(
    rf"(?:{'|'.join((*LEADERS, *_OTHER_LEADERS))}) *+(?:\[[^][]*+\] *+)?[:\uff1a]", re.IGNORECASE
)
# "new subject (was: old subject)", the second half of which the answers to it leave out.
_FORMER = re.compile(r"[(\[] ?was ?(?::|re:|fwd?:|\[)", re.IGNORECASE)


def thread_subject(subject: str) -> str:
    """What is compared of a decoded subject (RFC 8621 §4.1.2.2), in folded case."""
    base = base_subject(subject, _LEADER)
    former = _FORMER.search(base, 1)
    return "".join((base[: former.start()] if former else base).split()).casefold()
