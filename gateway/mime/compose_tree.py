"""RFC 8621 §4.6, RFC 2046 §5.1, RFC 2387: the tree that textBody, htmlBody and attachments make."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import unquote

from gateway.mime.compose import NewPart


def implied(text: NewPart | None, html: NewPart | None, attachments: Sequence[NewPart]) -> NewPart:
    """The root of the message; an empty text if there is nothing at all.

        multipart/mixed
          multipart/alternative
            text
            multipart/related
              html
              attachments that the HTML shows
          other attachments

    without the multiparts that would have one part, save for a message that is nothing but
    attachments. What the HTML shows is `inline`, other attachments `attachment`, unless they say
    what they are.
    """
    shown = [part for part in attachments if html is not None and _is_shown(part, html)]
    others = [part for part in attachments if part not in shown]
    if html is not None and shown:
        parts = (html, *(_disposed(part, "inline") for part in shown))
        html = NewPart("multipart/related", parts)
    bodies = tuple(part for part in (text, html) if part is not None)
    body = NewPart("multipart/alternative", bodies) if len(bodies) > 1 else None
    body = body or (bodies[0] if bodies else None)
    if not others:
        return body or NewPart("text/plain", "")
    attached = (_disposed(part, "attachment") for part in others)
    return NewPart("multipart/mixed", (*([body] if body else ()), *attached))


def _disposed(part: NewPart, disposition: str) -> NewPart:
    return part if part.disposition else replace(part, disposition=disposition)


def _is_shown(part: NewPart, html: NewPart) -> bool:
    """Whether the HTML refers to the part (RFC 2392); an `inline` one says so itself."""
    if part.cid is None:
        return False
    if part.disposition == "inline":
        return True
    if not isinstance(html.content, str):
        return part.disposition is None
    link = re.compile(rf"cid:{re.escape(part.cid)}(?![\w.@+-])")
    return any(map(link.search, (html.content, unquote(html.content))))
