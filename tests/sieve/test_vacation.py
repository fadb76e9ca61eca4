"""RFC 5230, RFC 5260: the Sieve of a VacationResponse."""

from __future__ import annotations

import email
import re

import pytest
from hypothesis import given

from gateway.sieve.language import outline
from gateway.sieve.vacation import DEFAULT_TEXT, Vacation, action, required
from tests.sieve.values import VACATIONS


def _reason(text: str) -> str:
    match = re.search(r'"((?:[^"\\]|\\.)*)";', text, re.DOTALL)
    assert match, text
    return re.sub(r"\\(.)", r"\1", match[1])


def test_a_text_is_readable_sieve() -> None:
    vacation = Vacation(subject='"Away"', text_body="Gone.\nBack \\ soon, größer.")
    assert action(vacation) == (
        'vacation :subject "\\"Away\\"" "Gone.\r\nBack \\\\ soon, größer.";\r\n'
    )
    assert required(vacation) == ["vacation"]


def test_dates() -> None:
    vacation = Vacation(
        from_date="2024-05-01T08:00:00Z", to_date="2024-05-31T23:59:59.5Z", text_body="Away."
    )
    assert action(vacation) == (
        'if allof (currentdate :zone "+0000" :value "ge" "iso8601" "2024-05-01T08:00:00",\r\n'
        '          currentdate :zone "+0000" :value "lt" "iso8601" "2024-06-01T00:00:00") {\r\n'
        '    vacation "Away.";\r\n'
        "}\r\n"
    )
    assert required(vacation) == ["date", "relational", "vacation"]


@pytest.mark.parametrize(
    ("date", "second"),
    [
        ("2024-05-01T08:00:00.000Z", "2024-05-01T08:00:00"),
        ("2024-12-31T23:59:60Z", "2025-01-01T00:00:00"),
        ("9999-12-31T23:59:59.9Z", "9999-12-31T23:59:59"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00"),
    ],
)
def test_seconds_are_rounded_up(date: str, second: str) -> None:
    assert f'"{second}"' in action(Vacation(from_date=date))


@pytest.mark.parametrize(
    "date", ["", "2024-05-01", "2024-13-01T00:00:00Z", '2024-05-01T00:00:00Z"']
)
def test_no_date(date: str) -> None:
    with pytest.raises(ValueError, match=r"UTCDate|month"):
        action(Vacation(to_date=date))


@pytest.mark.parametrize(
    "vacation", [Vacation(), Vacation(text_body=" \n"), Vacation(text_body="", html_body="")]
)
def test_where_nothing_is_said_something_is(vacation: Vacation) -> None:
    assert action(vacation) == f'vacation "{DEFAULT_TEXT}";\r\n'


@pytest.mark.parametrize(
    ("subject", "written"),
    [
        ("Away\r\nBcc: x@example.org", "Away Bcc: x@example.org"),
        (" \0 ", None),
        ("größer", "größer"),
        ("${name}", "=?utf-8?B?JHtuYW1lfQ==?="),
        ("=?utf-8?Q?x?=", "=?utf-8?B?PT91dGYtOD9RP3g/PQ==?="),
    ],
)
def test_subjects(subject: str, written: str | None) -> None:
    expected = f':subject "{written}" ' if written else ""
    assert action(Vacation(subject=subject)) == f'vacation {expected}"{DEFAULT_TEXT}";\r\n'


def test_addresses_are_those_that_mean_themselves() -> None:
    addresses = ("jo@example.org", "jo", "größer@example.org", '"; stop; "@x', "a@b\r\nc", "a@${b}")
    assert action(Vacation(addresses=addresses, text_body="Away.")) == (
        'vacation :addresses ["jo@example.org", "größer@example.org"] "Away.";\r\n'
    )


@pytest.mark.parametrize("text", ["${name}", "a\0b", "x" * 999, "ü" * 500, "\x1b[1m"])
def test_a_text_that_might_not_arrive_is_encoded(text: str) -> None:
    reason = _reason(action(Vacation(text_body=text)))
    entity = email.message_from_string(reason)
    assert entity.get_content_type() == "text/plain"
    payload = entity.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.decode().rstrip("\r\n") == text
    assert "${" not in reason


def test_html_has_a_text_beside_it() -> None:
    written = action(Vacation(html_body="<p>I am <b>away</b>.</p><p>größer ${x}</p>"))
    assert written.startswith("vacation :mime ")
    entity = email.message_from_string(_reason(written))
    assert entity.get_content_type() == "multipart/alternative"
    parts = entity.get_payload()
    assert isinstance(parts, list)
    texts = [part.get_payload(decode=True).decode() for part in parts]  # type: ignore[union-attr]
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]  # type: ignore[union-attr]
    assert texts[0].split() == ["I", "am", "away.", "größer", "${x}"]
    assert texts[1] == "<p>I am <b>away</b>.</p><p>größer ${x}</p>"


@given(VACATIONS)
def test_whatever_it_says_is_one_action(vacation: Vacation) -> None:
    written = action(vacation)
    found = outline(f'{written}include "after";'.encode())
    assert found.has_vacation
    assert found.includes == ("after",)
    assert written.count("vacation") >= 1
    assert action(vacation) == written
    assert "\0" not in written
    assert "${" not in written
    assert not re.search("^# jmap-gateway", written, re.MULTILINE)
    if ":mime" in written:
        _reason(written).encode("ascii")
