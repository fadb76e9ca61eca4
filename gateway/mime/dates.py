"""RFC 5322 §3.3, §4.3: the date-time of a Date field."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from gateway.mime import words

_DATE_TIME = re.compile(
    rb"\s*+(?:[A-Za-z]++\.?+\s*+,?+\s*+|,\s*+)?"  # day-of-week
    rb"(\d{1,2})[\s-]*+([A-Za-z]{3})[a-z]*+[\s-]*+(\d{2,4})\s*+,?+\s*+"
    rb"(\d{1,2})\s*+[:.]\s*+(\d{1,2})(?:\s*+[:.]\s*+(\d{1,2})(?:\.\d++)?)?"
    rb"\s*+(?:(?:UTC|GMT)?([+-])(\d\d):?+(\d\d)\b|([A-Za-z]++)|\Z|(?=\())"
)
_MONTH_NAMES = b"jan feb mar apr may jun jul aug sep oct nov dec".split()
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}
# RFC 5322 §4.3: other names are to be taken for -0000.
_ZONE_HOURS = {b"EST": -5, b"EDT": -4, b"CST": -6, b"CDT": -5, b"MST": -7, b"MDT": -6}
_ZONE_HOURS |= {b"PST": -8, b"PDT": -7}
_MAX_OCTETS = 256


def parse(value: bytes) -> datetime | None:
    """The moment with its offset, None if it is none.

    Taken with the obsolete syntax: two-digit years, names of zones, comments; and leniently: no
    seconds, no zone (then UTC), dots or dashes where colons and spaces should be. The leap second
    60 is shown as 59, which clients can read.
    """
    match = _DATE_TIME.match(value, 0, _MAX_OCTETS)
    if match is None:
        if b"(" not in value:
            return None
        match = _DATE_TIME.match(words.without_comments(value[:_MAX_OCTETS]))
        if match is None:
            return None
    day, month, year, hour, minute, second, sign, hours, minutes, zone = match.groups()
    offset = UTC
    if sign:
        shift = timedelta(hours=int(hours), minutes=int(minutes))
        if int(hours) > 23 or int(minutes) > 59:
            return None
        offset = timezone(-shift if sign == b"-" else shift) if shift else UTC
    elif zone and (known := _ZONE_HOURS.get(zone.upper())):
        offset = timezone(timedelta(hours=known))
    try:
        return datetime(
            _full_year(year),
            _MONTHS[month.lower()],
            int(day),
            int(hour),
            int(minute),
            59 if second == b"60" else int(second or 0),
            tzinfo=offset,
        )
    except (ValueError, KeyError):
        return None


def _full_year(digits: bytes) -> int:
    """RFC 5322 §4.3: two and three digits are short for a year since 1900."""
    year = int(digits)
    if len(digits) == 2:
        return year + (2000 if year < 50 else 1900)
    return year + 1900 if len(digits) == 3 else year
