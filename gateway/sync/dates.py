"""RFC 9051 §9 (date-time): INTERNALDATE as seconds since 1970, a whole column at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np

from gateway.sync.arrays import Seconds

_FIRST = int(datetime.min.replace(tzinfo=UTC).timestamp())
_LAST = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())
_LENGTH = len("17-Jul-1996 02:44:25 -0700")
_MONTHS = b"jan feb mar apr may jun jul aug sep oct nov dec".split()
_TOLERANT = re.compile(
    rb"\s*(\d{1,2})-([A-Za-z]{3})-(\d{4})\s+(\d{1,2}):(\d\d):(\d\d)\s*([+-]\d{4})?"
)
_CLOCK_LIMITS = {12: 24, 15: 60, 18: 60, 22: 24, 24: 60}
_SEPARATORS = {2: b"-", 6: b"-", 11: b" ", 14: b":", 17: b":", 20: b" "}


def _code(letters: Any) -> Any:
    return (letters[..., 0] << 16) | (letters[..., 1] << 8) | letters[..., 2]


_MONTH_CODES = _code(np.array([list(m) for m in _MONTHS], np.int64))
_MONTH_ORDER = np.argsort(_MONTH_CODES)


def seconds(values: Sequence[bytes]) -> Seconds:
    """Seconds since 1970 of each date-time; 0 where there is no telling (some servers err).

    A zone may put a date-time before year 1 or after 9999: it is moved to what utc_date() shows.
    """
    return np.clip(_seconds(values), _FIRST, _LAST)


def _seconds(values: Sequence[bytes]) -> Seconds:
    joined = b"".join(values)
    if len(joined) == _LENGTH * len(values) and len(values):
        octets = np.frombuffer(joined, np.uint8).reshape(-1, _LENGTH).astype(np.int64)
        fast, valid = _columns(octets)
        if valid.all():
            return fast
    return np.array([_one(value) for value in values], np.int64)


def _columns(octets: Any) -> tuple[Seconds, Any]:
    def number(start: int, end: int) -> Any:
        digits = octets[:, start:end] - 48
        return digits @ (10 ** np.arange(end - start - 1, -1, -1))

    padded = octets[:, 0] == 32
    octets[padded, 0] = 48
    codes = _code(octets[:, 3:6] | 0x20)
    at = np.minimum(np.searchsorted(_MONTH_CODES, codes, sorter=_MONTH_ORDER), 11)
    month = _MONTH_ORDER[at]
    numeric = [0, 1, *range(7, 11), 12, 13, 15, 16, 18, 19, *range(22, 26)]
    valid = ((octets[:, numeric] >= 48) & (octets[:, numeric] <= 57)).all(axis=1)
    valid &= _MONTH_CODES[month] == codes
    for position, separator in _SEPARATORS.items():
        valid &= octets[:, position] == separator[0]
    sign = np.where(octets[:, 21] == ord("-"), -1, 1)
    valid &= (octets[:, 21] == ord("+")) | (octets[:, 21] == ord("-"))
    months = (number(7, 11) - 1970) * 12 + month
    first = months.astype("datetime64[M]").astype("datetime64[D]")
    dated = first + (number(0, 2) - 1)
    # What never was is left to _one(), so that a value means the same in any company.
    valid &= (dated.astype("datetime64[M]") == first) & (number(7, 11) > 0)
    for start, limit in _CLOCK_LIMITS.items():
        valid &= number(start, start + 2) < limit
    days = dated.astype(np.int64)
    clock = number(12, 14) * 3600 + number(15, 17) * 60 + number(18, 20)
    offset = sign * (number(22, 24) * 3600 + number(24, 26) * 60)
    return days * 86400 + clock - offset, valid


def _one(value: bytes) -> int:
    match = _TOLERANT.match(value)
    if match is None or match[2].lower() not in _MONTHS:
        return 0
    zone = int(match[7] or 0)
    offset = timedelta(hours=abs(zone) // 100, minutes=abs(zone) % 100)
    try:
        moment = datetime(
            year=int(match[3]),
            month=_MONTHS.index(match[2].lower()) + 1,
            day=int(match[1]),
            hour=int(match[4]),
            minute=int(match[5]),
            second=min(int(match[6]), 59),
            tzinfo=timezone(-offset if zone < 0 else offset),
        )
    except ValueError:
        return 0
    return int(moment.timestamp())


def utc_date(moment: int) -> str:
    """RFC 8620 §1.4 UTCDate of seconds since 1970."""
    # strftime() gives the years before 1000 fewer than four digits.
    return datetime.fromtimestamp(moment, UTC).replace(tzinfo=None).isoformat() + "Z"
