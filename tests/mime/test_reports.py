"""RFC 6522, RFC 3464, RFC 8098: reports of what became of a message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime import delivery_status, disposition, reports
from gateway.mime.delivery_status import DeliveryStatus, RecipientStatus
from tests.mail.messages import crlf

_REPORT = """
    From: postmaster@example.test
    Subject: Undelivered
    MIME-Version: 1.0
    Content-Type: multipart/report; report-type=delivery-status; boundary=b

    --b
    Content-Type: text/plain; charset=utf-8

    Nobody of that name.
    --b
    Content-Type: message/delivery-status

    {status}
    --b
    Content-Type: {type}

    Message-ID: <m1@example.test>
    Subject: The original

    --b--
    """
_STATUS = """Reporting-MTA: dns; mx.example.test
    Original-Envelope-Id: env+2D1

    Original-Recipient: rfc822;jo@example.test
    Final-Recipient: RFC822; joan@elsewhere.test
    Action: failed
    Status: 5.1.1 (no such user)
    Diagnostic-Code: smtp; 550 5.1.1 No
     such user

    Final-Recipient: utf-8; m\\x{fc}ller@example.test
    Action: Delayed (4 hours)
    Status: 4.4.7
    """


def report(status: str = _STATUS, type_: str = "message/rfc822") -> bytes:
    """A report of deliveries."""
    return crlf(_REPORT.replace("{status}", status).replace("{type}", type_))


def test_what_became_of_each_recipient_is_told() -> None:
    found = reports.parse(report())
    assert found is not None
    assert (found.kind, found.text) == (reports.DELIVERY_STATUS, "Nobody of that name.")
    assert found.header.startswith(b"From: postmaster@example.test")
    assert delivery_status.of_report(found) == DeliveryStatus(
        "env+2D1",
        (
            RecipientStatus(
                "joan@elsewhere.test",
                "jo@example.test",
                "failed",
                "5.1.1",
                "550 5.1.1 No such user",
            ),
            RecipientStatus("müller@example.test", None, "delayed", "4.4.7", None),
        ),
    )
    assert disposition.of_report(found) is None


@pytest.mark.parametrize(
    ("type_", "is_whole"),
    [("message/rfc822", True), ("text/rfc822-headers", False), ("message/global-headers", False)],
)
def test_the_original_is_enclosed_or_its_header(type_: str, is_whole: bool) -> None:
    found = reports.parse(report(type_=type_))
    assert found is not None
    assert found.original is not None
    assert found.original.startswith(b"Message-ID: <m1@example.test>")
    assert found.is_whole is is_whole


@pytest.mark.parametrize(
    "status",
    [
        "Reporting-MTA: dns; mx.example.test",
        "Reporting-MTA: dns; x\n\n    Action: failed",
        "Reporting-MTA: dns; x\n\n    Final-Recipient: rfc822; a@b\n    Action: eaten",
    ],
)
def test_a_report_of_no_recipient_tells_of_no_delivery(status: str) -> None:
    found = reports.parse(report(status))
    assert found is not None
    assert delivery_status.of_report(found) is None


def test_what_is_no_report_is_none() -> None:
    assert reports.parse(b"Subject: Hello\r\n\r\nFinal-Recipient: rfc822; a@b\r\n") is None
    assert reports.parse(report("")) is None
    enclosed = b"Content-Type: message/rfc822\r\n\r\n" + report()
    assert reports.parse(enclosed) is None


_NOTIFICATION = """
    Subject: Read: World domination
    MIME-Version: 1.0
    Content-Type: multipart/report; report-type=disposition-notification; boundary=b

    --b
    Content-Type: multipart/alternative; boundary=a

    --a
    Content-Type: text/plain

    It was shown.
    --a--
    --b
    Content-Type: message/disposition-notification

    Reporting-UA: joes-pc.cs.example.test; Foomail 97.1
    Original-Recipient: rfc822;john@example.test
    Final-Recipient: rfc822; john@example.test
    Original-Message-ID: <199509192301.23456@example.test>
    Disposition: {disposition}
    Error: out of paper
    Error: out of ink
    X-Colour: red
    --b--
    """


def notification(told: str) -> disposition.Disposition | None:
    """What a notification with that Disposition field tells."""
    found = reports.parse(crlf(_NOTIFICATION.replace("{disposition}", told)))
    assert found is not None
    assert (found.text, found.original, found.is_whole) == ("It was shown.", None, False)
    return disposition.of_report(found)


def test_what_was_done_with_a_message_is_told() -> None:
    found = notification("Manual-Action/MDN-sent-manually; Displayed/error")
    assert found == disposition.Disposition(
        action_mode="manual-action",
        sending_mode="mdn-sent-manually",
        type="displayed",
        reporting_ua="joes-pc.cs.example.test; Foomail 97.1",
        gateway=None,
        original_recipient="rfc822;john@example.test",
        final_recipient="rfc822; john@example.test",
        original_message_id="<199509192301.23456@example.test>",
        errors=("out of paper", "out of ink"),
        further=(("X-Colour", "red"),),
    )


@pytest.mark.parametrize(
    ("written", "message_id"),
    [
        ("<a@example.test>", "a@example.test"),
        (" (x) <a@example.test> <b@example.test>", "a@example.test"),
        ("a@example.test", "a@example.test"),
        ("a b@example.test", None),
        ("<>", None),
        ("a", None),
    ],
)
def test_the_message_it_is_about(written: str, message_id: str | None) -> None:
    fields = _NOTIFICATION.replace("<199509192301.23456@example.test>", written)
    fields = fields.replace("{disposition}", "manual-action/MDN-sent-manually; displayed")
    found = reports.parse(crlf(fields))
    assert found is not None
    told = disposition.of_report(found)
    assert told is not None
    assert told.message_id == message_id


def test_comments_are_no_part_of_what_was_done() -> None:
    """RFC 8098 §3.1.1."""
    told = "(by (a) hand) automatic-action / MDN-sent-automatically; (not read) deleted (!)"
    found = notification(told)
    assert found is not None
    assert found.action_mode == "automatic-action"
    assert (found.sending_mode, found.type) == ("mdn-sent-automatically", "deleted")


_HTML = "Content-Type: text/html\n\n<style>p {}</style><p>It was <b>shown</b>."
_BOTH = """
    Content-Type: multipart/alternative; boundary=a

    --a
    Content-Type: text/html

    <p>It was <b>otherwise</b>.
    --a
    Content-Type: text/plain

    It was shown.
    --a--
    """


@pytest.mark.parametrize("human", [_HTML, _BOTH])
def test_the_text_for_people_is_plain(human: str) -> None:
    text = b"Content-Type: text/plain; charset=utf-8\r\n\r\nNobody of that name."
    found = reports.parse(report().replace(text, crlf(human)))
    assert found is not None
    assert found.text == "It was shown."


@pytest.mark.parametrize("told", ["", "displayed", "manual-action/x; displayed", "a/b; c"])
def test_a_notification_that_does_not_say_what_was_done_tells_nothing(told: str) -> None:
    assert notification(told) is None


@given(st.binary(max_size=400))
def test_any_octets_are_a_report_or_none(octets: bytes) -> None:
    status = b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n"
    status += b"Content-Type: message/delivery-status\r\n\r\n" + octets
    for each in (octets, status):
        found = reports.parse(each)
        if found is not None:
            delivery_status.of_report(found)
            disposition.of_report(found)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("rfc822;jo@example.test", "jo@example.test"),
        ("jo@example.test", "jo@example.test"),
        ("utf-8; \\x{1F600}@x", "\U0001f600@x"),
        ("utf-8; \\x{D800}\\x{110000}@x", "\\x{D800}\\x{110000}@x"),
        ("rfc822; \\x{41}", "\\x{41}"),
    ],
)
def test_addresses_have_a_type(value: str, address: str) -> None:
    assert reports.address_in(value) == address
