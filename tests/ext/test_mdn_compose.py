"""RFC 8098 §3, RFC 9007 §2.1: message disposition notifications, as they are written."""

from __future__ import annotations

import email
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ext import mdn_compose, mdn_create
from gateway.ext.mdn_compose import Composed
from gateway.jmap.errors import SetError
from gateway.mime import compose, disposition, reports
from gateway.mime.compose_enclosed import Measure
from gateway.mime.disposition import Disposition
from gateway.mime.disposition_request import DispositionRequest
from gateway.mime.headers import convenience, fields
from gateway.mime.reports import Report

TOKEN = "0123456789abcdef"
REQUEST = DispositionRequest(
    recipients=("jane@example.test", "joe@example.test"),
    message_id="original@example.test",
    references=("first@example.test", "original@example.test"),
    subject="Hello",
    original_recipient="rfc822; info@example.test",
    may_be_automatic=True,
)
BARE = DispositionRequest(("jane@example.test",), None, (), "", None, False)
AUTHOR = {"name": "John Müller", "email": "john@example.test"}
MDN: dict[str, Any] = {
    "forEmailId": "E1",
    "disposition": {
        "actionMode": "manual-action",
        "sendingMode": "mdn-sent-manually",
        "type": "displayed",
    },
}
ORIGINAL = b"Subject: Hello\r\n\r\nDear John\r\n"


def composed(
    mdn: Mapping[str, Any],
    request: DispositionRequest = REQUEST,
    author: Mapping[str, Any] = AUTHOR,
) -> Composed:
    """What an MDN object becomes."""
    new = mdn_create.read(mdn, lambda id_: id_)
    date = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
    return mdn_compose.composed(new, request, author, "mE1", date, TOKEN)


def written(made: Composed) -> bytes:
    """A notification, as it is sent."""
    measure = Measure()
    measure.feed(ORIGINAL)
    pieces = compose.write(made.fields, made.root, {"mE1": measure}, TOKEN)
    return b"".join(piece if isinstance(piece, bytes) else ORIGINAL for piece in pieces)


def read(octets: bytes) -> tuple[Report, Disposition]:
    """What it says."""
    report = reports.parse(octets)
    assert report is not None
    told = disposition.of_report(report)
    assert told is not None
    return report, told


def test_a_notification_says_what_the_client_says() -> None:
    mdn = MDN | {
        "subject": "Gelesen: Grüße",
        "textBody": "Ich hab's gesehen.\nJ.",
        "reportingUA": "joes-pc.cs.example.test; Foomail 97.1",
        "finalRecipient": "rfc822; johnny@example.test",
        "extensionFields": {"X-Colour": "red  and blue"},
    }
    made = composed(mdn)
    octets = written(made)
    report, told = read(octets)
    header = convenience(report.header)
    assert header["subject"] == "Gelesen: Grüße"
    assert header["from"] == [AUTHOR]
    assert [to["email"] for to in header["to"]] == list(REQUEST.recipients)
    assert header["sentAt"] == "2024-02-29T12:30:00Z"
    assert header["messageId"] == [f"{TOKEN}@example.test"]
    assert header["inReplyTo"] == ["original@example.test"]
    assert header["references"] == list(REQUEST.references)
    assert report.text == "Ich hab's gesehen.\nJ."
    assert report.original is None
    assert told == Disposition(
        action_mode="manual-action",
        sending_mode="mdn-sent-manually",
        type="displayed",
        reporting_ua="joes-pc.cs.example.test; Foomail 97.1",
        gateway=None,
        original_recipient="rfc822; info@example.test",
        final_recipient="rfc822; johnny@example.test",
        original_message_id="<original@example.test>",
        errors=(),
        further=(("X-Colour", "red  and blue"),),
    )
    assert (made.message_id, made.final_address) == (
        f"<{TOKEN}@example.test>".encode(),
        "johnny@example.test",
    )
    assert made.told == {
        "includeOriginalMessage": False,
        "mdnGateway": None,
        "originalRecipient": "rfc822; info@example.test",
        "originalMessageId": "<original@example.test>",
        "error": None,
    }


def parts(message: Any) -> list[Any]:
    """What is in a multipart or a message, as Python's own parser sees it."""
    return list(message.get_payload())


def test_other_readers_understand_it() -> None:
    whole = email.message_from_bytes(written(composed(MDN | {"includeOriginalMessage": True})))
    assert whole.get_content_type() == "multipart/report"
    assert whole.get_param("report-type") == "disposition-notification"
    human, machine, original = parts(whole)
    assert human.get_content_type() == "text/plain"
    assert machine.get_content_type() == "message/disposition-notification"
    assert machine["Content-Transfer-Encoding"] == "7bit"
    (told,) = parts(machine)
    assert told["Final-Recipient"] == "rfc822; john@example.test"
    assert told["Disposition"] == "manual-action/MDN-sent-manually; displayed"
    assert original.get_content_type() == "message/rfc822"
    assert parts(original)[0]["Subject"] == "Hello"


@pytest.mark.parametrize("type_", ["displayed", "deleted", "dispatched", "processed"])
def test_what_the_client_does_not_say_is_told_to_it(type_: str) -> None:
    made = composed(MDN | {"disposition": MDN["disposition"] | {"type": type_}}, BARE)
    report, told = read(written(made))
    assert told.type == type_
    assert (told.original_message_id, told.original_recipient) == (None, None)
    assert {"inReplyTo", "references"} & {
        k for k, v in convenience(report.header).items() if v
    } == set()
    assert (
        made.told["subject"] == convenience(report.header)["subject"] == "Disposition notification"
    )
    assert report.text == made.told["textBody"]
    assert "john@example.test" in made.told["textBody"]
    assert made.told["finalRecipient"] == told.final_recipient == "rfc822; john@example.test"
    assert made.told.keys() == {
        *("subject", "textBody", "includeOriginalMessage", "reportingUA", "mdnGateway", "error"),
        *("originalRecipient", "finalRecipient", "originalMessageId", "extensionFields"),
    }


def test_the_original_may_be_enclosed() -> None:
    report, _ = read(written(composed(MDN | {"includeOriginalMessage": True})))
    assert (report.original, report.is_whole) == (ORIGINAL, True)


def test_what_is_sent_automatically_says_so_where_it_may() -> None:
    mode = MDN["disposition"] | {"sendingMode": "mdn-sent-automatically"}
    octets = written(composed(MDN | {"disposition": mode}))
    assert b"\r\nAuto-Submitted: auto-replied\r\n" in octets
    assert b"MDN-sent-automatically" in octets
    assert b"Auto-Submitted" not in written(composed(MDN))
    with pytest.raises(SetError) as refused:
        composed(MDN | {"disposition": mode}, BARE)
    assert refused.value.type == "forbidden"


def test_letters_of_all_scripts_arrive() -> None:
    """RFC 6533: addresses are written in ASCII, other fields take another type of part."""
    author = {"name": None, "email": "jörg@exämple.test"}
    octets = written(composed(MDN, author=author))
    _, told = read(octets)
    assert b"utf-8; j\\x{F6}rg@ex\\x{E4}mple.test" in octets
    assert reports.address_in(told.final_recipient or "") == "jörg@exämple.test"
    octets = written(composed(MDN | {"reportingUA": "Büro", "extensionFields": {"X": "日本"}}))
    assert octets.isascii()
    assert b"Content-Type: message/global-disposition-notification\r\n" in octets
    _, told = read(octets)
    assert (told.reporting_ua, told.further) == ("Büro", (("X", "日本"),))


def test_long_values_are_folded() -> None:
    made = composed(MDN | {"reportingUA": "word " * 200, "extensionFields": {"X": "y" * 900}})
    octets = written(made)
    assert max(map(len, octets.split(b"\r\n"))) < 998
    _, told = read(octets)
    assert (told.reporting_ua, told.further) == (("word " * 200).strip(), (("X", "y" * 900),))


# --- what can not be sent -------------------------------------------------------------------------

_INJECTED = "x\r\nBcc: victim@example.test"


@pytest.mark.parametrize(
    ("given", "property_"),
    [
        ({"subject": _INJECTED}, "subject"),
        ({"subject": 1}, "subject"),
        ({"reportingUA": _INJECTED}, "reportingUA"),
        ({"reportingUA": "x\0"}, "reportingUA"),
        ({"finalRecipient": _INJECTED}, "finalRecipient"),
        ({"finalRecipient": f"rfc822; {_INJECTED}"}, "finalRecipient"),
        ({"finalRecipient": "x400; /C=DE/"}, "finalRecipient"),
        ({"finalRecipient": "rfc822;"}, "finalRecipient"),
        ({"extensionFields": {"X": _INJECTED}}, "extensionFields"),
        ({"extensionFields": {"X": "y" * 2000}}, "extensionFields"),
        ({"extensionFields": {"X\r\nBcc": "y"}}, "extensionFields"),
        ({"extensionFields": {"X: y": "z"}}, "extensionFields"),
        ({"extensionFields": {"": "z"}}, "extensionFields"),
        ({"extensionFields": {"final-recipient": "rfc822; x@y"}}, "extensionFields"),
        ({"extensionFields": {"X": "1", "x": "2"}}, "extensionFields"),
        ({"extensionFields": {f"X{n}": "" for n in range(101)}}, "extensionFields"),
        ({"extensionFields": ["X"]}, "extensionFields"),
        ({"textBody": 1}, "textBody"),
        ({"includeOriginalMessage": "yes"}, "includeOriginalMessage"),
        ({"forEmailId": None}, "forEmailId"),
        ({"forEmailId": "a b"}, "forEmailId"),
        ({"disposition": None}, "disposition"),
        ({"disposition": {**MDN["disposition"], "more": 1}}, "disposition"),
        ({"disposition": {**MDN["disposition"], "type": "Displayed"}}, "disposition/type"),
        ({"disposition": {**MDN["disposition"], "type": ["displayed"]}}, "disposition/type"),
        ({"disposition": {**MDN["disposition"], "actionMode": None}}, "disposition/actionMode"),
        ({"error": ["x"]}, "error"),
        ({"mdnGateway": "dns; x"}, "mdnGateway"),
        ({"extension": {}}, "extension"),
    ],
)
def test_what_is_invalid_is_named(given: dict[str, Any], property_: str) -> None:
    with pytest.raises(SetError) as refused:
        composed({**MDN, **given})
    assert (refused.value.type, refused.value.properties) == ("invalidProperties", (property_,))


def test_all_that_is_invalid_is_named() -> None:
    with pytest.raises(SetError) as refused:
        composed({"forEmailId": 1, "error": ["x"]})
    assert refused.value.properties == ("disposition", "error", "forEmailId")
    with pytest.raises(SetError) as refused:
        composed(MDN | {"subject": "\0", "reportingUA": "\0", "finalRecipient": "\0"})
    assert refused.value.properties == ("finalRecipient", "reportingUA", "subject")


@pytest.mark.parametrize(
    "author", [{"name": "J", "email": "*@example.test\r\n"}, {"name": "\0", "email": "j@x.test"}]
)
def test_an_identity_that_can_not_be_written_sends_nothing(author: dict[str, Any]) -> None:
    with pytest.raises(SetError) as refused:
        composed(MDN, author=author)
    assert refused.value.type == "forbiddenFrom"


_TEXTS = st.none() | st.text(max_size=80)


@given(
    subject=_TEXTS,
    text=_TEXTS,
    agent=_TEXTS,
    final=_TEXTS,
    further=st.dictionaries(st.text(max_size=10), st.text(max_size=40), max_size=3),
)
def test_whatever_is_given_adds_no_field_and_no_part(
    subject: str | None,
    text: str | None,
    agent: str | None,
    final: str | None,
    further: dict[str, str],
) -> None:
    mdn = MDN | {
        "subject": subject,
        "textBody": text,
        "reportingUA": agent,
        "finalRecipient": final,
        "extensionFields": further,
    }
    with suppress(SetError):
        check_shape(written(composed(mdn)), list(further))


def check_shape(octets: bytes, further: list[str]) -> None:
    """A notification has the fields and the parts that it is to have, and no others."""
    report, told = read(octets)
    names = [name for name, _ in fields(report.header)]
    assert names == [
        *("Date", "Message-ID", "From", "To", "Subject", "In-Reply-To", "References"),
        *("MIME-Version", "Content-Type"),
    ]
    assert len(report.groups) == 1
    assert [name for name, _ in told.further] == further
    assert len(parts(email.message_from_bytes(octets))) == 2
