"""Threats R29: no line of the log can be forged, and no credential is in one."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from io import StringIO

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from gateway.obs.log import Format, escape, get_logger, redact, setup

CANARY = "hunter2-canary"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def stream() -> StringIO:
    """Give what the log is written to."""
    return StringIO()


def test_a_line_of_json_has_the_event_its_facts_and_where_they_come_from(
    stream: StringIO,
) -> None:
    setup("info", "json", stream)
    structlog.contextvars.bind_contextvars(request="r1")
    get_logger("gateway.test").info("mailbox read", messages=3, name="Entwürfe")
    [line] = [json.loads(text) for text in stream.getvalue().splitlines()]
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "mailbox read",
        "messages": 3,
        "name": "Entwürfe",
        "request": "r1",
        "level": "info",
        "logger": "gateway.test",
    }


def test_what_is_below_the_level_is_not_logged(stream: StringIO) -> None:
    setup("warning", "json", stream)
    get_logger("gateway.test").info("unseen")
    get_logger("gateway.test").warning("seen")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["seen"]


def test_logs_of_libraries_take_the_same_way(stream: StringIO) -> None:
    setup("info", "json", stream)
    logging.getLogger("asyncio").warning("slow %s\n", "callback", extra={"password": CANARY})
    [line] = stream.getvalue().splitlines()
    assert json.loads(line)["event"] == "slow callback\\x0a"
    assert CANARY not in line


@pytest.mark.threat("R29")
def test_aioimaplib_never_logs_what_it_receives(stream: StringIO) -> None:
    setup("debug", "json", stream)
    logging.getLogger("aioimaplib.aioimaplib").debug("Received: %s", CANARY)
    logging.getLogger("aioimaplib.aioimaplib").info("Received: %s", CANARY)
    assert stream.getvalue() == ""


@pytest.mark.threat("R29")
@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize(
    "evil",
    ["a\nlevel=error", "a\r", "\x1b[2J", "\x9b2J", "a\x85b", "a\u2028b", "\u202egpj", "\x7f"],
)
def test_nothing_from_outside_breaks_a_line(stream: StringIO, form: Format, evil: str) -> None:
    setup("info", form, stream)
    event = f"event {evil}"
    get_logger("gateway.test").info(
        event, value=evil, nested={"list": [evil], evil: 1}, octets=evil.encode()
    )
    [line] = stream.getvalue().splitlines()
    assert line.isprintable()


def test_a_traceback_on_the_console_is_indented_and_keeps_its_lines(stream: StringIO) -> None:
    setup("info", "console", stream)
    try:
        raise ValueError("first\n2026 error forged \x1b[2J")
    except ValueError:
        get_logger("gateway.test").exception("failed")
    head, *traceback = stream.getvalue().splitlines()
    assert " error failed " in head
    assert len(traceback) > 3
    assert all(line.startswith("    ") for line in traceback)
    assert "\x1b" not in stream.getvalue()


def test_a_traceback_in_json_is_one_value(stream: StringIO) -> None:
    setup("info", "json", stream)
    try:
        raise ValueError(f"redis://user:{CANARY}@localhost")
    except ValueError:
        get_logger("gateway.test").exception("failed")
    [line] = stream.getvalue().splitlines()
    assert "\nValueError: redis://user:********@localhost" in json.loads(line)["exception"]


@pytest.mark.threat("R29")
@pytest.mark.parametrize("form", ["json", "console"])
def test_no_credential_is_in_a_line(stream: StringIO, form: Format) -> None:
    basic = base64.b64encode(f"alice:{CANARY}".encode()).decode()
    setup("debug", form, stream)
    event = f"got Basic {basic} and Bearer {CANARY}"
    get_logger("gateway.test").info(
        event,
        password=CANARY,
        Authorization=f"Basic {basic}",
        access_token=CANARY,
        headers={"Cookie": CANARY, "X-Api-Key": CANARY.encode(), "Accept": "*/*"},
        pairs=[("url", f"imaps://alice:{CANARY}@localhost")],
        octets=f"AUTH: bearer {CANARY}".encode(),
        error=OSError(f"can not reach redis://:{CANARY}@localhost:6379/0"),
    )
    line = stream.getvalue()
    assert CANARY not in line
    assert basic not in line
    assert "*/*" in line
    assert "localhost:6379/0" in line


def test_masking_leaves_plain_words_alone() -> None:
    event = {"event": "basic auth refused", "url": "http://a:80/x@y", "count": 3, "token": None}
    assert redact(None, "", dict(event)) == event


@given(st.text())
def test_no_text_is_left_with_a_control_character(text: str) -> None:
    [escaped] = escape(None, "", {"value": text}).values()
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in escaped)
    assert f"{escaped}\n".splitlines() == [escaped]
    escaped.encode("utf-8")


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"])))
def test_ordinary_text_is_logged_as_it_is(text: str) -> None:
    assert escape(None, "", {"value": text}) == {"value": text}


def test_setting_up_again_does_not_log_twice(stream: StringIO) -> None:
    setup("info", "json", stream)
    setup("info", "json", stream)
    get_logger("gateway.test").info("once")
    assert len(stream.getvalue().splitlines()) == 1
