"""RFC 9051 §7.5.2 BODYSTRUCTURE: the MIME structure of a message as an immutable tree.

Servers leave out, replace and misplace what the grammar asks for (Exchange, Gmail, Yandex, QQ and
others), so each element is taken for what it looks like, and missing ones get defaults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeGuard

from gateway.mime import contentfields, parameters
from gateway.mime.limits import MAX_DEPTH, MAX_PARTS

Value: TypeAlias = "bytes | int | Sequence[Value] | None"

_MEDIA_TYPE = re.compile(r"[!#$%&'*+\-.^_`{|}~0-9a-z]++/[!#$%&'*+\-.^_`{|}~0-9a-z]++")
# What servers write for a multipart whose children they do not tell.
_MULTIPARTS = frozenset(
    {"alternative", "digest", "encrypted", "form-data", "mixed", "parallel", "related"}
    | {"report", "signed"}
)


@dataclass(frozen=True, slots=True)
class Part:
    """RFC 8621 §4.1.4: a body part.

    part_id: the section of RFC 9051 §6.4.5 ("1", "2.1"), None for a multipart that is the whole
    message. type, disposition, encoding: in lower case. parameters, disposition_parameters:
    decoded, names in lower case. cid: without brackets. size: in octets, encoded. lines: where
    the server tells them (text). children: of multiparts only, messages are leaves.
    """

    part_id: str | None
    type: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    disposition: str | None = None
    disposition_parameters: Mapping[str, str] = field(default_factory=dict)
    cid: str | None = None
    language: tuple[str, ...] | None = None
    location: str | None = None
    encoding: str = "7bit"
    size: int = 0
    lines: int | None = None
    children: tuple[Part, ...] = ()
    guessed: bool = field(default=False, compare=False)

    @property
    def is_multipart(self) -> bool:
        """Whether this is a multipart, whose children are what it contains."""
        return self.type.startswith("multipart/")

    @property
    def name(self) -> str | None:
        """RFC 8621 §4.1.4 `name`: the filename of the disposition, else the name of the type."""
        return self.disposition_parameters.get("filename") or self.parameters.get("name") or None

    @property
    def charset(self) -> str | None:
        """RFC 8621 §4.1.4 `charset`: as given, us-ascii for text without one, else None."""
        given = self.parameters.get("charset")
        return given or ("us-ascii" if self.type.startswith("text/") else None)


def from_bodystructure(value: Value) -> Part:
    """The tree of a parsed BODYSTRUCTURE: nested lists of octets, numbers and None for NIL.

    Never raises. Past the limits of depth and number, multiparts have no children.
    """
    return _Builder().part(value, section="", depth=0, default_type="text/plain")


def plausible(root: Part) -> bool:
    """Whether a server seems to have understood the message, so that its structure can be shown.

    False when it leaves out children of a multipart or the type of a part, or says nothing that
    can be read (Gmail, Yandex, QQ, Exchange, Domino): what is in the message itself is better then.
    """
    count, depth, level, childless = 0, 0, [root], False
    while level:
        count += len(level)
        if any(part.guessed for part in level):
            return False
        if depth < MAX_DEPTH:
            childless |= any(part.is_multipart and not part.children for part in level)
        level = [child for part in level for child in part.children]
        depth += 1
    return not childless or count >= MAX_PARTS  # past the limits, nobody is shown children


class _Builder:
    """Counts the parts of one message while building them."""

    def __init__(self) -> None:
        self._parts = 0

    def part(self, value: Value, section: str, depth: int, default_type: str) -> Part:
        self._parts += 1
        items = list(value) if _is_list(value) else []
        if items and _is_list(items[0]):
            return self._multipart(items, section, depth)
        first = _text(items[0]).lower() if items else ""
        if first in _MULTIPARTS and (len(items) < 2 or not isinstance(items[1], bytes)):
            return _multipart(section, items, ())
        if first == "multipart":  # what follows the parameters is of a part that is none
            return _multipart(section, items[1:3], ())
        if first == "" and _text_at(items, 1).lower() in _MULTIPARTS:
            return _multipart(section, items[1:], ())
        return _leaf(items, section or "1", default_type)

    def _multipart(self, items: list[Value], section: str, depth: int) -> Part:
        children: list[Part] = []
        count = 0
        while count < len(items) and _is_list(items[count]):
            count += 1
        rest = items[count:]
        digest = _text_at(rest, 0).lower() == "digest"
        default_type = "message/rfc822" if digest else "text/plain"
        prefix = f"{section}." if section else ""
        for number, child in enumerate(items[:count], start=1):
            # An empty list is what some servers write for no children.
            if depth >= MAX_DEPTH or self._parts >= MAX_PARTS:
                break
            if child:
                children.append(self.part(child, f"{prefix}{number}", depth + 1, default_type))
        return _multipart(section, rest, tuple(children))


def _multipart(section: str, rest: list[Value], children: tuple[Part, ...]) -> Part:
    """`rest` is the subtype and what follows it: parameters, disposition, language, location."""
    disposition, language, location = _extension(rest[2:])
    subtype = _token(_text_at(rest, 0))
    return Part(
        part_id=section or None,
        type=f"multipart/{subtype or 'mixed'}",
        parameters=parameters.from_list(_at(rest, 1)),
        disposition=_disposition(disposition),
        disposition_parameters=_disposition_parameters(disposition),
        language=_language(language),
        location=_location(location),
        encoding="7bit",
        children=children,
        guessed=not subtype,
    )


def _leaf(items: list[Value], section: str, default_type: str) -> Part:
    items = _with_subtype(items)
    given = _media_type(items)
    type_ = given or _guess(items) or default_type
    rest = items[7:]
    lines = None
    if type_ in contentfields.MESSAGE_TYPES and _is_list(_at(rest, 0)):
        lines = _number(_at(rest, 2))  # after the envelope and the body structure
        rest = rest[3:]
    elif rest and (number := _number(rest[0])) is not None:
        lines = number if number >= 0 else None
        rest = rest[1:]
    elif type_.startswith("text/") and rest[:2] == [None, None] and len(rest) > 4:
        rest = rest[1:]  # NIL for the number of lines
    disposition, language, location = _extension(rest[1:])
    return Part(
        part_id=section,
        type=type_,
        parameters=parameters.from_list(_at(items, 2)),
        disposition=_disposition(disposition),
        disposition_parameters=_disposition_parameters(disposition),
        cid=_cid(_at(items, 3)),
        language=_language(language),
        location=_location(location),
        encoding=_token(_text_at(items, 5)) or "7bit",
        size=max(0, _number(_at(items, 6)) or 0),
        lines=lines,
        guessed=given is None,
    )


def _with_subtype(items: list[Value]) -> list[Value]:
    """One of type and subtype may be missing altogether, so that all that follows is one early."""
    early = isinstance(_at(items, 4), bytes) and _number(_at(items, 5)) is not None
    if _is_list(_at(items, 1)) or (_at(items, 1) is None and early):
        return [*items[:1], None, *items[1:]]
    return items


def _media_type(items: list[Value]) -> str | None:
    type_ = f"{_token(_text_at(items, 0))}/{_token(_text_at(items, 1))}"
    return type_ if _MEDIA_TYPE.fullmatch(type_) else None


def _guess(items: list[Value]) -> str | None:
    """What a part can be taken for whose type is half there, or no type."""
    media, subtype = _token(_text_at(items, 0)), _token(_text_at(items, 1))
    if media == "text":
        return "text/plain"
    return "application/octet-stream" if media or subtype else None


def _extension(rest: list[Value]) -> tuple[Value, Value, Value]:
    """Disposition, language and location: where they should be, or one element off.

    Exchange puts a Content-Description before them, or in place of the disposition.
    """
    if _looks_like_disposition(_at(rest, 1)) and not _disposition(_at(rest, 0)):
        rest = rest[1:]
    return _at(rest, 0), _at(rest, 1), _at(rest, 2)


def _looks_like_disposition(value: Value) -> bool:
    return (
        _is_list(value)
        and len(value) == 2
        and isinstance(value[0], bytes)
        and not isinstance(value[1], bytes)
    )


# --- Elements -----------------------------------------------------------------------------------


def _is_list(value: Value) -> TypeGuard[Sequence[Value]]:
    return isinstance(value, (list, tuple))


def _at(items: Sequence[Value], index: int) -> Value:
    return items[index] if index < len(items) else None


def _text(value: Value) -> str:
    return contentfields.text(value) if isinstance(value, bytes) else ""


def _text_at(items: Sequence[Value], index: int) -> str:
    return _text(_at(items, index))


def _token(text: str) -> str:
    """A token of RFC 2045 §5.1 in lower case, without comments or parameters behind it."""
    return text.partition(";")[0].partition("(")[0].strip().lower()


def _number(value: Value) -> int | None:
    """A number, also as a float (mail.ru) or negative; None if it is none."""
    if isinstance(value, int):
        return value
    if not isinstance(value, bytes) or not 0 < len(value) <= 24:
        return None
    try:
        return int(value)
    except ValueError:
        pass
    try:
        return int(float(value))
    except (ValueError, OverflowError):
        return None


def _disposition(value: Value) -> str | None:
    """The type of a disposition, which Exchange also gives bare; several words are none."""
    given = value[0] if _is_list(value) and value else value
    token = _token(_text(given))
    return token if token and not any(map(str.isspace, token)) else None


def _disposition_parameters(value: Value) -> Mapping[str, str]:
    return parameters.from_list(value[1]) if _is_list(value) and len(value) > 1 else {}


def _cid(value: Value) -> str | None:
    return contentfields.cid(value) if isinstance(value, bytes) else None


def _language(value: Value) -> tuple[str, ...] | None:
    given = value if _is_list(value) else (value,)
    return tuple(text for text in map(_text, given) if text) or None


def _location(value: Value) -> str | None:
    return contentfields.location(value) if isinstance(value, bytes) else None
