"""RFC 8098 §2: what messages say of the notifications that they ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime import disposition_request
from gateway.mime.disposition_request import DispositionRequest
from gateway.mime.reports import address_in, typed_address
from tests.mail.messages import crlf


def of(*fields: str) -> DispositionRequest | None:
    """What a header with these fields asks for."""
    return disposition_request.of_header(crlf("\n".join((*fields, "", "Body: no"))))


def asked(*fields: str) -> DispositionRequest:
    """The same of one that asks."""
    found = of("Disposition-Notification-To: jane@example.test", *fields)
    assert found is not None
    return found


def test_what_a_notification_has_to_say() -> None:
    found = of(
        "Return-Path: <jane@example.test>",
        "Original-Recipient: rfc822;john@example.test",
        "Original-Recipient: rfc822;forged@example.test",
        "Message-ID: <original@example.test>",
        "References: <first@example.test>",
        " <second@example.test>",
        "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=",
        "Disposition-Notification-To: Jane <jane@example.test>",
    )
    assert found == DispositionRequest(
        recipients=("jane@example.test",),
        message_id="original@example.test",
        references=("first@example.test", "second@example.test", "original@example.test"),
        subject="Grüße",
        original_recipient="rfc822; john@example.test",
        may_be_automatic=True,
    )


def test_what_is_not_said() -> None:
    assert asked() == DispositionRequest(("jane@example.test",), None, (), "", None, False)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "nobody",
        "undisclosed:;",
        "@",
        ", ".join(f"a{n}@example.test" for n in range(11)),
    ],
)
def test_who_names_no_address_or_too_many_asks_for_nothing(value: str) -> None:
    assert of(f"Disposition-Notification-To: {value}") is None
    assert of("To: jane@example.test") is None


def test_notifications_are_not_answered() -> None:
    report = "multipart/report; report-type=disposition-notification; boundary=b"
    asking = "Disposition-Notification-To: jane@example.test"
    assert of(asking, f"Content-Type: {report}") is None
    assert of(asking, "Content-Type: multipart/mixed; boundary=b") is not None


@pytest.mark.parametrize(
    ("asking", "sender", "may"),
    [
        ("jane@example.test", "<jane@EXAMPLE.test>", True),
        ('"jane"@example.test', "<jane@example.test>", True),
        ("jane@example.test, Jane <jane@example.test>", "<jane@example.test>", True),
        ("Jane@example.test", "<jane@example.test>", False),
        ("jane@example.test, joe@example.test", "<jane@example.test>", False),
        ("jane@example.test", "<>", False),
        ("jane@example.test", "<joe@example.test>", False),
    ],
)
def test_the_user_is_asked_unless_the_sender_alone_wants_to_know(
    asking: str, sender: str, may: bool
) -> None:
    found = of(f"Return-Path: {sender}", f"Disposition-Notification-To: {asking}")
    assert found is not None
    assert found.may_be_automatic is may


@pytest.mark.parametrize(
    ("written", "passed_on"),
    [
        ("rfc822 ;john@example.test", "rfc822; john@example.test"),
        ("rfc822;müller@example.test", "utf-8; m\\x{FC}ller@example.test"),
        ("utf-8;m\\x{FC}ller@example.test", "utf-8; m\\x{FC}ller@example.test"),
        ("john@example.test", None),
        ("rfc822;", None),
        ("rfc822;" + "x" * 500, None),
    ],
)
def test_the_original_recipient_is_passed_on_in_ascii(written: str, passed_on: str | None) -> None:
    assert asked(f"Original-Recipient: {written}").original_recipient == passed_on


def test_replies_without_references_refer_to_what_they_reply_to() -> None:
    found = asked("Message-ID: <b@x>", "In-Reply-To: <a@x> <never@x>")
    assert found.references == ("a@x", "b@x")


def test_of_long_references_the_first_and_the_last_stay() -> None:
    ids = " ".join(f"<{n}@x>" for n in range(100))
    found = asked("Message-ID: <own@x>", f"References: {ids} <own@x> <{'y' * 300}@x>")
    assert found.references[:2] == ("0@x", "52@x")
    assert found.references[-2:] == ("99@x", "own@x")


@given(st.text(max_size=40))
def test_typed_addresses_are_ascii_and_read_as_they_were(address: str) -> None:
    typed = typed_address(f"{address}é")
    assert typed.isascii()
    assert address_in(typed) == f"{address}é"


@given(st.binary(max_size=200))
def test_any_header_is_read(octets: bytes) -> None:
    disposition_request.of_header(b"Disposition-Notification-To: a@b.test\r\n" + octets)
    disposition_request.of_header(b"Disposition-Notification-To: " + octets)
