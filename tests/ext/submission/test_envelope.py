"""RFC 8621 §7: envelopes, as clients give them, or made of the header of a message."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.ext.submission.envelope import derived, read, release_time
from gateway.jmap.errors import SetError

ME = "me@example.org"


def _fields(*lines: str) -> list[tuple[str, bytes]]:
    return [(name, value.encode()) for name, _, value in (line.partition(":") for line in lines)]


@pytest.mark.checklist("U03")
def test_the_recipients_are_those_of_to_cc_and_bcc_each_once() -> None:
    envelope = derived(
        _fields(
            "From: me@example.org",
            "To: Ann <ann@example.net>, bob@example.net",
            "Cc: team: bob@EXAMPLE.net, carl@example.net;",
            "Bcc: dora@example.net, ann@example.net",
        ),
        ME,
    )
    assert envelope.recipients == (
        "ann@example.net",
        "bob@example.net",
        "carl@example.net",
        "dora@example.net",
    )
    assert all(not each.parameters for each in envelope.rcpt_to)


@pytest.mark.checklist("U02")
@pytest.mark.parametrize(
    ("fields", "identity", "sender"),
    [
        (("From: me@example.org",), ME, ME),
        (("From: Me@Example.org",), ME, "Me@Example.org"),
        (("From: boss@example.org", "Sender: me@example.org"), ME, ME),
        (("From: boss@example.org",), ME, ME),
        (("From: boss@example.org",), "*@example.org", "boss@example.org"),
        (("To: nobody@example.net",), ME, ME),
        (("From: ann@example.org, me@example.org", "Sender: me@example.org"), ME, ME),
    ],
)
def test_it_is_from_the_sender_or_the_author_or_else_the_identity(
    fields: tuple[str, ...], identity: str, sender: str
) -> None:
    assert derived(_fields(*fields), identity).mail_from.email == sender


@pytest.mark.checklist("U02")
@pytest.mark.parametrize(
    ("fields", "properties"),
    [
        (("From: a@example.org, b@example.org",), ["from"]),
        (("From: a@example.org", "From: b@example.org"), ["from"]),
        (("From: a@example.org", "Sender: a@example.org, b@example.org"), ["sender"]),
    ],
)
def test_who_of_several_it_is_from_is_not_guessed(
    fields: tuple[str, ...], properties: list[str]
) -> None:
    with pytest.raises(SetError) as caught:
        derived(_fields(*fields), ME)
    assert caught.value.type == "invalidEmail"
    assert caught.value.members()["properties"] == properties


def test_an_envelope_that_is_given_is_kept_as_it_is() -> None:
    value = {
        "mailFrom": {"email": ME, "parameters": {"ret": "HDRS"}},
        "rcptTo": [
            {"email": "ann@example.net", "parameters": None},
            {"email": "bob@example.net", "parameters": {"NOTIFY": "SUCCESS,FAILURE"}},
            {"email": "ann@EXAMPLE.net"},
        ],
    }
    assert read(value, "other@example.org").shown == {
        "mailFrom": {"email": ME, "parameters": {"RET": "HDRS"}},
        "rcptTo": [
            {"email": "ann@example.net", "parameters": None},
            {"email": "bob@example.net", "parameters": {"NOTIFY": "SUCCESS,FAILURE"}},
        ],
    }


@pytest.mark.parametrize("value", [{"rcptTo": []}, {"mailFrom": None, "rcptTo": []}])
def test_without_a_sender_it_is_from_the_identity(value: dict[str, Any]) -> None:
    assert read(value, ME).mail_from.email == ME


def test_the_sender_as_one_library_writes_it_is_understood() -> None:
    assert read({"mailfrom": {"email": ME}, "rcptTo": []}, "x@example.org").mail_from.email == ME


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"mailFrom": {"email": ME}},
        {"mailFrom": {"email": ME}, "rcptTo": None},
        {"mailFrom": {"email": ME}, "rcptTo": ["ann@example.net"]},
        {"mailFrom": {"email": None}, "rcptTo": []},
        {"mailFrom": {"email": ME, "parameters": {"RET": 1}}, "rcptTo": []},
        {"mailFrom": {"email": ME, "parameters": {"RET": "HDRS", "ret": "FULL"}}, "rcptTo": []},
        {"mailFrom": {"email": ME, "parameters": []}, "rcptTo": [], "x": 1},
        {"mailFrom": {"email": ME, "name": "Me"}, "rcptTo": []},
        {"mailFrom": {"email": ME}, "rcptTo": [], "x": 1},
    ],
)
def test_what_is_no_envelope_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(SetError) as caught:
        read(value, ME)
    assert caught.value.type == "invalidProperties"
    assert caught.value.members()["properties"] == ["envelope"]


def _with(**parameters: str | None) -> float | None:
    envelope = read({"mailFrom": {"email": ME, "parameters": parameters}, "rcptTo": []}, ME)
    return release_time(envelope, 1_000_000.0, 3600.0)


@pytest.mark.checklist("U05")
def test_it_leaves_when_it_was_asked_to() -> None:
    assert _with() is None
    assert _with(RET="HDRS") is None
    assert _with(HOLDFOR="60") == 1_000_060.0
    assert _with(holdfor="3600") == 1_003_600.0
    assert _with(HOLDUNTIL="1970-01-12T13:47:40Z") == 1_000_060.0
    assert _with(HOLDUNTIL="1970-01-12T14:47:40+01:00") == 1_000_060.0


@pytest.mark.checklist("U05")
@pytest.mark.parametrize(
    "parameters",
    [
        {"HOLDFOR": "3601"},
        {"HOLDFOR": "-1"},
        {"HOLDFOR": None},
        {"HOLDFOR": "1.5"},
        {"HOLDFOR": "٣"},
        {"HOLDUNTIL": "1970-01-12T13:47:40"},
        {"HOLDUNTIL": "tomorrow"},
        {"HOLDUNTIL": "1970-01-13T13:47:40Z"},
        {"HOLDFOR": "1", "HOLDUNTIL": "1970-01-12T13:47:40Z"},
    ],
)
def test_a_time_that_is_none_or_too_late_is_refused(parameters: dict[str, str | None]) -> None:
    with pytest.raises(SetError) as caught:
        _with(**parameters)
    assert caught.value.members()["properties"] == ["envelope"]


def test_what_was_held_leaves_without_saying_so() -> None:
    value = {"mailFrom": {"email": ME, "parameters": {"HOLDFOR": "60", "RET": "FULL"}}}
    envelope = read({**value, "rcptTo": [{"email": "ann@example.net"}]}, ME).without_holds()
    assert envelope.mail_from.parameters == {"RET": "FULL"}
    assert envelope.recipients == ("ann@example.net",)
