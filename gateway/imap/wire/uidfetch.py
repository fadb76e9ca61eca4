"""RFC 9586 §3.3: UIDFETCH, the FETCH response of servers that were asked to use UIDs only."""

from __future__ import annotations

import re

from gateway.imap.wire.framer import Frame
from gateway.imap.wire.responses import Untagged

_START = re.compile(rb"\((?=\S) *+")


def as_fetch(response: Untagged) -> Untagged:
    """A UIDFETCH response as the FETCH response it stands for; any other response as it is."""
    if response.name != "UIDFETCH" or response.number is None:
        return response
    octets, literals = response.frame
    row = _START.match(octets, response.start)
    if row is None:
        return response
    head = b"* %d FETCH " % response.number
    fresh = head + b"(UID %d " % response.number
    shift = len(fresh) - row.end()
    moved = tuple((start + shift, length) for start, length in literals)
    frame = Frame(fresh + octets[row.end() :], moved)
    return Untagged("FETCH", response.number, frame, len(head))
