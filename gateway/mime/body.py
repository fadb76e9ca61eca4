"""RFC 8621 §4.1.4: which parts of an Email are its body, and their values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gateway.mime import charset, transfer
from gateway.mime.structure import Part

_SHORT_OCTETS = 512

# --- textBody, htmlBody, attachments ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BodyLists:
    """RFC 8621 §4.1.4 textBody, htmlBody and attachments."""

    text: list[Part] = field(default_factory=list)
    html: list[Part] = field(default_factory=list)
    attachments: list[Part] = field(default_factory=list)


def body_lists(root: Part) -> BodyLists:
    """RFC 8621 §4.1.4: the parts to show as text, to show as HTML and to offer as attachments."""
    lists = BodyLists()
    _sort_out((root,), "mixed", False, lists.html, lists.text, lists.attachments)
    if lists.attachments:
        # An alternative that is plain text only is shown as HTML too, with its pictures, which
        # are then in both lists and so no attachments by definition.
        in_both = {id(part) for part in lists.text} & {id(part) for part in lists.html}
        lists.attachments[:] = (part for part in lists.attachments if id(part) not in in_both)
    return lists


def _is_inline_media(part: Part) -> bool:
    return part.type.startswith(("image/", "audio/", "video/"))


def _is_inline(part: Part, index: int, multipart_type: str) -> bool:
    """Whether a part belongs to the body rather than to the attachments."""
    if part.disposition == "attachment":
        return False
    if part.type not in ("text/plain", "text/html") and not _is_inline_media(part):
        return False
    # Of multipart/related only the first part is shown by itself; a text with a file name that
    # is not first is taken for an attachment.
    return index == 0 or (
        multipart_type != "related" and (_is_inline_media(part) or part.name is None)
    )


def _sort_out(
    parts: Iterable[Part],
    multipart_type: str,
    in_alternative: bool,
    html: list[Part] | None,
    text: list[Part] | None,
    attachments: list[Part],
) -> None:
    """The algorithm that RFC 8621 §4.1.4 prints as parseStructure.

    A list that is None is one for which a better alternative was already found.
    """
    text_length = -1 if text is None else len(text)
    html_length = -1 if html is None else len(html)
    for index, part in enumerate(parts):
        if part.is_multipart:
            subtype = part.type.removeprefix("multipart/")
            alternative = in_alternative or subtype == "alternative"
            _sort_out(part.children, subtype, alternative, html, text, attachments)
            continue
        if not _is_inline(part, index, multipart_type):
            attachments.append(part)
            continue
        shown_in: tuple[list[Part] | None, ...] = (text, html)
        if multipart_type == "alternative":
            shown_in = {"text/plain": (text,), "text/html": (html,)}.get(part.type, ())
        elif in_alternative and part.type == "text/plain":
            html, shown_in = None, (text,)
        elif in_alternative and part.type == "text/html":
            text, shown_in = None, (html,)
        chosen = [shown for shown in shown_in if shown is not None]
        for shown in chosen:
            shown.append(part)
        # RFC 8621 §4.1.4: `attachments` has what is in neither list, and media not in both.
        if not chosen or (_is_inline_media(part) and len(chosen) < 2):
            attachments.append(part)
    if multipart_type == "alternative" and text is not None and html is not None:
        if text_length == len(text) and html_length != len(html):  # found HTML only
            text += html[html_length:]
        elif html_length == len(html) and text_length != len(text):  # found plain text only
            html += text[text_length:]


def leaves(root: Part) -> list[Part]:
    """All parts that are no multiparts, in the order of the message."""
    if not root.is_multipart:
        return [root]
    return [leaf for child in root.children for leaf in leaves(child)]


def preview_texts(root: Part) -> list[Part]:
    """The text parts a preview is made from: the one that a person would read first.

    Where that is so short that it may be a mere word about the HTML beside it, the HTML as well.
    """
    lists = body_lists(root)
    texts = [part for part in (*lists.text, *lists.html) if part.type.startswith("text/")]
    if not texts or texts[0].type == "text/html" or texts[0].size > _SHORT_OCTETS:
        return texts[:1]
    return texts[:1] + [part for part in lists.html if part.type == "text/html"][:1]


def has_attachment(root: Part) -> bool:
    """RFC 8621 §4.1.4 hasAttachment: whether an attachment is not `inline`."""
    return any(part.disposition != "inline" for part in body_lists(root).attachments)


# --- Sizes --------------------------------------------------------------------------------------


def decoded_size(part: Part) -> int:
    """RFC 8621 §4.1.4 `size`: octets after transfer decoding, as far as BODYSTRUCTURE tells.

    Exact for parts that are not encoded. For base64 an estimate: each four characters are three
    octets, of which up to two may be padding, so it is at most two octets too large where the
    line ends are known, by the number of lines of a text or by the usual 76 characters and CRLF a
    line (RFC 2045 §6.8); with other lines it is off by less than 3 %. For quoted-printable, of
    which nothing is known, it is the encoded size, which the decoded size never exceeds.
    """
    if part.encoding != "base64":
        return part.size
    if part.lines:
        characters = part.size - 2 * part.lines
    else:
        lines, last = divmod(part.size, 78)
        characters = lines * 76 + min(last, 76)
    return max(0, characters) // 4 * 3


# --- EmailBodyValue -----------------------------------------------------------------------------

_OCTETS_PER_OCTET = {"base64": 2, "quoted-printable": 3}
_MARGIN_OCTETS = 2_048
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s{0,9}=\s{0,9}[\"']?([\w.:-]{1,40})", re.I)
_META_OCTETS = 1_024  # https://html.spec.whatwg.org/#determining-the-character-encoding
_TAG = re.compile(r"<(?>(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*)>")


def octets_needed(part: Part, max_bytes: int) -> int | None:
    """How many of the part's encoded octets `body_value` needs for `max_bytes`, None for all."""
    if max_bytes <= 0:
        return None
    needed = max_bytes * _OCTETS_PER_OCTET.get(part.encoding, 1) + _MARGIN_OCTETS
    return needed if needed < part.size else None


def body_value(octets: bytes, part: Part, max_bytes: int) -> dict[str, Any]:
    """RFC 8621 §4.1.4: the EmailBodyValue of a text part.

    `octets` are the part's octets as in BODY[<section>], all of them or at least the first
    `octets_needed`. The value is cut to `max_bytes` octets of UTF-8 if that is above 0 (§4.2),
    neither inside of a character nor of an HTML tag.
    """
    needed = octets_needed(part, max_bytes)
    partial = needed is not None and len(octets) >= needed
    decoded, transfer_problem = transfer.decode(octets, part.encoding, final=not partial)
    name = _html_charset(part, decoded) or part.parameters.get("charset")
    value, charset_problem = charset.decode(decoded, name, final=not partial)
    value = value.replace("\r\n", "\n")
    is_truncated = partial
    if max_bytes > 0 and len(encoded := value.encode()) > max_bytes:
        value = encoded[:max_bytes].decode("utf-8", "ignore")
        is_truncated = True
    if is_truncated and part.type == "text/html":
        value = _without_open_tag(value)
    return {
        "value": value,
        "isEncodingProblem": transfer_problem or charset_problem,
        "isTruncated": is_truncated,
    }


def _html_charset(part: Part, octets: bytes) -> str | None:
    """The charset an HTML part declares in itself, where its Content-Type has none.

    Servers write us-ascii where there is none.
    """
    if part.type != "text/html" or (part.charset or "").lower() != "us-ascii":
        return None
    match = _META_CHARSET.search(octets[:_META_OCTETS])
    return match[1].decode("ascii", "ignore") if match else None


def _without_open_tag(html: str) -> str:
    """`html` up to the last tag if that is not closed."""
    start = html.rfind("<")
    while start >= 0:
        if html.startswith("<!--", start):
            return html if html.find("-->", start + 4) >= 0 else html[:start]
        following = html[start + 1 : start + 2]
        if not following or following.isalpha() or following in "/!?":
            return html if _TAG.match(html, start) else html[:start]
        start = html.rfind("<", 0, start)
    return html
