"""RFC 8620 §1.1-1.4: the kinds of JSON values that arguments and conditions may have."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of the signatures in the RFCs; `name` is as written there."""

    name: str
    accepts: Callable[[object], bool]


MAX_INT: Final = 2**53 - 1
_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
# `.000` is accepted although §1.4 wants it omitted: it is what JavaScript's toISOString() writes.
_UTC_DATE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d):(\d\d)(\.\d+)?Z", re.ASCII)


def _is_int(value: object) -> bool:
    return type(value) is int and -MAX_INT <= value <= MAX_INT


def _is_unsigned_int(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_INT


def is_id(value: object) -> bool:
    """RFC 8620 §1.2: 1 to 255 octets of the URL and file name safe base64 alphabet."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _is_utc_date(value: object) -> bool:
    match = _UTC_DATE.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[2]) > 60:  # 60: a leap second (RFC 3339 §5.7)
        return False
    try:
        datetime.fromisoformat(match[1])
    except ValueError:
        return False
    return True


BOOLEAN: Final = Kind("Boolean", lambda value: isinstance(value, bool))
STRING: Final = Kind("String", lambda value: isinstance(value, str))
INT: Final = Kind("Int", _is_int)
UNSIGNED_INT: Final = Kind("UnsignedInt", _is_unsigned_int)
ID: Final = Kind("Id", is_id)
UTC_DATE: Final = Kind("UTCDate", _is_utc_date)
OBJECT: Final = Kind("Object", lambda value: isinstance(value, dict))


def nullable(kind: Kind) -> Kind:
    """The same kind, or null."""
    return Kind(f"{kind.name}|null", lambda value: value is None or kind.accepts(value))


def list_of(kind: Kind) -> Kind:
    """An array whose items are all of that kind."""
    return Kind(
        f"{kind.name}[]",
        lambda value: isinstance(value, list) and all(map(kind.accepts, value)),
    )


def map_of(key: Kind, kind: Kind) -> Kind:
    """An object used as a map: its member names are of the kind `key`, its values of `kind`."""
    return Kind(
        f"{key.name}[{kind.name}]",
        lambda value: (
            isinstance(value, dict)
            and all(map(key.accepts, value))
            and all(map(kind.accepts, value.values()))
        ),
    )


def set_of(key: Kind) -> Kind:
    """A set, as JMAP writes it: a map in which every value is true."""
    return map_of(key, Kind("Boolean", lambda value: value is True))


STRING_LIST: Final = list_of(STRING)
ID_LIST: Final = list_of(ID)
