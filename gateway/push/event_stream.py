"""WHATWG HTML §9.2.5: the text/event-stream format.

A field is a line, an event is what stands before an empty line. Nothing here may have a line
break in it; JSON and event ids have none.
"""

from __future__ import annotations

COMMENT = b":\n"
"""What a client reads over: it shows that the connection lives, without being an event."""


def event(name: str, data: bytes, id: str = "") -> bytes:
    """An event; with an id, that is the one the client sends when it connects again."""
    return _id(id) + b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


def event_id(id: str) -> bytes:
    """The id alone, for the client to send when it connects again; it sees no event."""
    return _id(id) + b"\n"


def retry(seconds: float) -> bytes:
    """How long the client waits before it connects again; it sees no event."""
    return f"retry: {round(seconds * 1000)}\n\n".encode()


def _id(id: str) -> bytes:
    return f"id: {id}\n".encode() if id else b""
