"""RFC 8621 §4.1.4 hasAttachment, decided from the raw octets of a BODYSTRUCTURE where that is easy.

Most messages are one text, a text with its HTML alternative, or have a part that says that it is
an attachment. For these nothing has to be parsed.
"""

from __future__ import annotations

import re

_STRING = rb'(?:nil|"[^"\\\r\n]*+")'
_PARAMETERS = rb'(?:nil|\((?>(?:"[^"\\\r\n]*+" ?)*)\))'
# A text part up to its md5, without file name, disposition, language and location.
_TEXT = b" ".join(
    (rb'\("text" "(?:plain|html)"', _PARAMETERS, _STRING, _STRING, rb'"[^"\\\r\n]*+" \d++ \d++')
)
_TEXT += rb"(?: nil){0,4}\)"
_PLAINLY_WITHOUT = re.compile(
    _TEXT + rb"|\(" + _TEXT + _TEXT + rb' "alternative"(?: ' + _PARAMETERS + rb")?(?: nil){0,3}\)"
)
_DISPOSITION = b' nil ("attachment" '
_MAX_OCTETS = 8_192
_MAX_OPENINGS = 24


def quick_has_attachment(raw: bytes) -> bool | None:
    """Whether a message has an attachment, None if its BODYSTRUCTURE must be parsed to tell.

    What it tells is what `body.has_attachment` tells of the parsed structure.
    """
    lowered = raw.lower()
    if b"name" not in lowered and _PLAINLY_WITHOUT.fullmatch(lowered):
        return False
    position = lowered.find(_DISPOSITION)
    if position < 0:
        return None
    if (
        len(lowered) > _MAX_OCTETS
        # Nesting is bounded in the parsed structure, and what is below is not seen there.
        or lowered.count(b"((") > _MAX_OPENINGS
        # An escape or a literal may hide anything, a message inside may have its own attachments.
        or b"\\" in lowered
        or b"\n" in lowered
        or b'"message"' in lowered
    ):
        return None
    # A leaf's disposition follows its md5, and that a number; no multipart's and no address does.
    follows_number = lowered[position - 1 : position].isdigit()
    after = position + len(_DISPOSITION)
    return True if follows_number and lowered.startswith((b"nil)", b"("), after) else None
