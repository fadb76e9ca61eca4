"""RFC 9051 §9 (date-time) to RFC 8620 §1.4 (UTCDate)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.sync import dates

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
FIRST, LAST = -62135596800, 253402300799  # 0001-01-01 and 9999-12-31, what a UTCDate can show

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(
    datetime(1, 1, 2),  # noqa: DTZ001
    datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=zones,
).map(lambda moment: moment.replace(microsecond=0))
# What has the shape of a date-time but may name a day or an hour that there is not.
shaped = st.from_regex(
    r"[ 0-3][0-9]-(Jan|Feb|Apr|Foo)-[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}",
    fullmatch=True,
).map(str.encode)


def written(moment: datetime, day: str = "{:2d}", month: str | None = None) -> bytes:
    name = month or MONTHS[moment.month - 1]
    zone = moment.strftime("%z")
    clock = f"{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d}"
    return f"{day.format(moment.day)}-{name}-{moment.year:04d} {clock} {zone}".encode()


@pytest.mark.checklist("N06")
@given(st.lists(moments, max_size=5), st.sampled_from(["{:2d}", "{:02d}"]))
def test_date_times_are_read_as_datetime_does(given_: list[datetime], day: str) -> None:
    column = [written(moment, day) for moment in given_]
    assert dates.seconds(column).tolist() == [int(m.timestamp()) for m in given_]


@given(moments)
def test_months_may_be_in_any_case(moment: datetime) -> None:
    name = MONTHS[moment.month - 1]
    column = [written(moment, month=m) for m in (name, name.upper(), name.lower())]
    assert dates.seconds(column).tolist() == [int(moment.timestamp())] * 3


@given(st.lists(shaped | moments.map(written), min_size=1, max_size=4))
@example([b"31-Dec-2016 23:59:60 +0000"])
@example([b"30-Feb-2020 00:00:00 +0000"])
@example([b"01-Jan-2020 24:00:00 +0000"])
@example([b"01-Jan-2020 00:00:00 +9959"])
def test_a_date_time_means_the_same_alone_and_in_a_column(column: list[bytes]) -> None:
    """Ids may be made of it, so it must not depend on the messages that were asked for with it."""
    irregular = b"not a date"
    apart = [int(dates.seconds([value, irregular])[0]) for value in column]
    assert dates.seconds(column).tolist() == apart
    assert dates.seconds([*column, irregular]).tolist() == [*apart, 0]


@given(st.binary(max_size=30) | shaped)
def test_every_reading_can_be_shown(value: bytes) -> None:
    """RFC 8620 §1.4: some servers give dates that never were."""
    (moment,) = dates.seconds([value]).tolist()
    assert FIRST <= moment <= LAST
    assert datetime.fromisoformat(dates.utc_date(moment)) is not None


def test_nothing_is_read_from_nothing() -> None:
    assert dates.seconds([]).tolist() == []
    assert dates.seconds([b"", b"32-Jan-2020 00:00:00 +0000"]).tolist() == [0, 0]


@pytest.mark.checklist("A04", "N06")
@given(st.integers(FIRST, LAST))
def test_a_utc_date_is_as_rfc_3339_has_it(moment: int) -> None:
    """RFC 8620 §1.4: four digits of the year, upper-case T and Z, no fraction."""
    shown = dates.utc_date(moment)
    assert len(shown) == len("2014-10-30T06:12:00Z")
    assert shown[10] + shown[-1] == "TZ"
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment)
    assert datetime.fromisoformat(shown) == expected
