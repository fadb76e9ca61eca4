"""RFC 8621 §4.6, RFC 2046 §5.1, RFC 2387: the tree that textBody, htmlBody and attachments make."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import replace
from html import unescape
from urllib.parse import unquote

from gateway.mime.compose import NewPart

_LINK = re.compile(r"""cid:([^\s"'<>()]++)""", re.IGNORECASE)


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
    is_shown = _shown(html, attachments)
    shown = [part for part, yes in zip(attachments, is_shown, strict=True) if yes]
    others = [part for part, yes in zip(attachments, is_shown, strict=True) if not yes]
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


def _shown(html: NewPart | None, attachments: Sequence[NewPart]) -> list[bool]:
    """Which attachments the HTML shows: an `inline` one says so itself."""
    links: Set[str] = set()
    if html is not None and isinstance(html.content, str):
        # RFC 2392 §2: percent-encoded; and in HTML, characters may be written by their names.
        links = {unquote(unescape(link)) for link in set(_LINK.findall(html.content))}
    elif html is not None:
        links = {part.cid for part in attachments if part.cid and not part.disposition}
    return [
        html is not None
        and part.cid is not None
        and (part.disposition == "inline" or part.cid in links)
        for part in attachments
    ]
