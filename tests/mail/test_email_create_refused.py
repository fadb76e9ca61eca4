"""RFC 8621 §4.6: what an Email that is to be created may not be."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mail.composition import TEXT, header, invalid
from tests.mime.composing import composed
from tests.mime.composing_checks import check_lines

# --- Q05: what represents the same field, and what may not be given ------------------------------


@pytest.mark.checklist("Q05")
@pytest.mark.parametrize(
    ("email", "properties"),
    [
        ({"headers": [{"name": "In-Reply-To", "value": " <a@b>"}]}, ["headers"]),
        ({"from": [], "header:from": " a@b"}, ["from", "header:from"]),
        (
            {"header:X-A": "1", "header:x-a:asText:all": ["2"]},
            ["header:X-A", "header:x-a:asText:all"],
        ),
        ({"subject": "a", "header:Subject:asText": "b"}, ["header:Subject:asText", "subject"]),
        ({"header:From:asText": "a"}, ["header:From:asText"]),
        ({"header:Subject:asAddresses": []}, ["header:Subject:asAddresses"]),
        ({"header:X-A:asNothing": "a"}, ["header:X-A:asNothing"]),
        ({"header:": "a"}, ["header:"]),
        ({"header:X A": "a"}, ["header:X A"]),
        ({"header:X-Ä": "a"}, ["header:X-Ä"]),
        ({"header:X-A\r\nBcc": "a"}, ["header:X-A\r\nBcc"]),
        ({"header:Content-Type": " text/html"}, ["header:Content-Type"]),
        ({"header:content-id:asText": "a"}, ["header:content-id:asText"]),
        (
            {"bodyStructure": {"type": "text/plain", "partId": "t"}, "attachments": [], **TEXT},
            ["attachments", "textBody"],
        ),
        (
            {
                "subject": "a",
                "bodyStructure": {"partId": "t", "header:subject": "b", "header:X-A": " c"},
                "bodyValues": TEXT["bodyValues"],
            },
            ["bodyStructure/header:subject"],
        ),
        (
            {
                "subject": "a",
                "textBody": [{"partId": "t", "header:Subject:asText": "b"}],
                "bodyValues": TEXT["bodyValues"],
            },
            ["textBody/0/header:Subject:asText"],
        ),
        (
            {"bodyStructure": {"partId": "t", "headers": []}, "bodyValues": TEXT["bodyValues"]},
            ["bodyStructure/headers"],
        ),
    ],
)
def test_no_field_is_given_twice_or_otherwise_than_it_may(
    email: dict[str, Any], properties: list[str]
) -> None:
    """RFC 8621 §4.6, first to sixth constraint."""
    assert invalid(email) == properties


def test_null_is_not_given() -> None:
    """RFC 8621 §4.1.3: null is what a field is that is not there."""
    octets = composed(
        {"subject": "a", "header:Subject": None, "cc": None, "bodyStructure": None, **TEXT}
    )
    assert header(octets)["subject"] == b" a"
    assert "cc" not in header(octets)


# --- Q06: textBody and htmlBody ------------------------------------------------------------------


@pytest.mark.checklist("Q06")
@pytest.mark.parametrize(
    ("email", "properties"),
    [
        ({"textBody": []}, ["textBody"]),
        ({"textBody": TEXT["textBody"] * 2}, ["textBody"]),
        ({"htmlBody": []}, ["htmlBody"]),
        ({"textBody": {"partId": "t"}}, ["textBody"]),
        ({"textBody": [None]}, ["textBody/0"]),
        ({"textBody": [{"partId": "t", "type": "text/html"}]}, ["textBody/0/type"]),
        ({"htmlBody": [{"partId": "t", "type": "text/plain"}]}, ["htmlBody/0/type"]),
        (
            {
                "textBody": [{"type": "multipart/mixed", "subParts": [{"partId": "t"}]}],
                "htmlBody": [{"partId": "t", "header:Content-Type": "text/plain"}],
            },
            ["htmlBody/0/type", "textBody/0/type"],
        ),
    ],
)
def test_text_and_html_are_one_part_each(email: dict[str, Any], properties: list[str]) -> None:
    """RFC 8621 §4.6, seventh and eighth constraint."""
    assert invalid({"bodyValues": TEXT["bodyValues"], **email}) == properties


# --- Q07: parts ----------------------------------------------------------------------------------


@pytest.mark.checklist("Q07")
@pytest.mark.parametrize(
    ("part", "properties"),
    [
        ({"partId": "t", "blobId": "u1"}, ["blobId", "partId"]),
        ({}, ["blobId", "partId"]),
        ({"partId": "other"}, ["partId"]),
        ({"partId": 1}, ["partId"]),
        ({"blobId": []}, ["blobId"]),
        ({"partId": "t", "charset": "utf-8"}, ["charset"]),
        ({"partId": "t", "size": 5}, ["size"]),
        (
            {"partId": "t", "header:Content-Transfer-Encoding": " 8bit"},
            ["header:Content-Transfer-Encoding"],
        ),
        (
            {"blobId": "u1", "header:content-transfer-encoding:asText": "8bit"},
            ["header:content-transfer-encoding:asText"],
        ),
        ({"partId": "t", "type": "text"}, ["type"]),
        ({"partId": "t", "type": "text/plain; charset=utf-8"}, ["type"]),
        ({"partId": "t", "type": "application/json"}, ["type"]),
        ({"partId": "t", "type": "text/plain\r\nX-A: b"}, ["type"]),
        ({"partId": "t", "type": None, "header:Content-Type": "nothing"}, ["header:Content-Type"]),
        (
            {"partId": "t", "type": "text/plain", "header:Content-Type": "text/plain"},
            ["header:Content-Type", "type"],
        ),
        ({"partId": "t", "cid": "a", "header:Content-ID": "<a>"}, ["cid", "header:Content-ID"]),
        ({"partId": "t", "subParts": []}, ["subParts"]),
        ({"type": "multipart/mixed"}, ["subParts"]),
        ({"type": "multipart/mixed", "subParts": []}, ["subParts"]),
        ({"type": "multipart/mixed", "partId": "t", "subParts": [{"partId": "t"}]}, ["partId"]),
        (
            {"type": "multipart/mixed", "subParts": [{"partId": "x"}, 5]},
            ["subParts/0/partId", "subParts/1"],
        ),
        ({"partId": "t", "name": "a\r\nBcc: b"}, ["name"]),
        ({"partId": "t", "name": "a\0"}, ["name"]),
        ({"partId": "t", "name": 5}, ["name"]),
        ({"partId": "t", "disposition": "attachment; filename=x"}, ["disposition"]),
        ({"partId": "t", "cid": "a b"}, ["cid"]),
        ({"partId": "t", "cid": "a>\r\nX: <"}, ["cid"]),
        ({"partId": "t", "language": ["en\r\nX: y"]}, ["language"]),
        ({"partId": "t", "location": "a\nb"}, ["location"]),
        ({"blobId": "u1", "charset": "x y"}, ["charset"]),
        ({"partId": "t", "encoding": "base64"}, ["encoding"]),
    ],
)
def test_parts_are_what_they_may_be(part: dict[str, Any], properties: list[str]) -> None:
    """RFC 8621 §4.6, last constraints; every one that is broken is named."""
    email = {"bodyStructure": part, "bodyValues": TEXT["bodyValues"]}
    assert invalid(email) == [f"bodyStructure/{name}" for name in properties]


@pytest.mark.checklist("Q07")
@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({"value": "a", "isTruncated": True}, "/isTruncated"),
        ({"value": "a", "isEncodingProblem": True}, "/isEncodingProblem"),
        ({"value": "a", "charset": "utf-8"}, "/charset"),
        ({"value": None}, "/value"),
        ({}, "/value"),
        ("a", ""),
    ],
)
def test_body_values_are_whole(value: Any, name: str) -> None:
    """RFC 8621 §4.6: isEncodingProblem and isTruncated are false or omitted."""
    assert invalid({**TEXT, "bodyValues": {"t": value}}) == [f"bodyValues/t{name}"]


def test_flags_of_body_values_may_be_false() -> None:
    value = {"value": "a", "isTruncated": False, "isEncodingProblem": False}
    assert composed({**TEXT, "bodyValues": {"t": value}}).endswith(b"\r\n\r\na")


@pytest.mark.checklist("Q05", "Q06", "Q07")
def test_all_that_is_invalid_is_named_at_once() -> None:
    """RFC 8620 §5.3: `properties` SHOULD be all that are invalid."""
    email = {
        "mailboxIds": {},
        "keywords": {"a b": True},
        "receivedAt": "yesterday",
        "subject": "a\nb",
        "from": [{"name": "x\r", "email": "a@b"}],
        "textBody": [],
        "attachments": [{"blobId": "u1", "name": "\n"}, {"partId": "x"}],
    }
    assert invalid(email) == [
        "attachments/0/name",
        "attachments/1/partId",
        "from",
        "keywords",
        "mailboxIds",
        "receivedAt",
        "subject",
        "textBody",
    ]


# --- R8: nothing gets into a header --------------------------------------------------------------

_EVIL = "a\r\nBcc: evil@example.org"


@pytest.mark.threat("R8")
@pytest.mark.checklist("Q13")
@pytest.mark.parametrize("evil", [_EVIL, "a\nb", "a\rb", "a\0b", "a\r\n b", "\x7f", "\x85"])
@pytest.mark.parametrize(
    ("name", "wrap"),
    [
        ("subject", lambda e: e),
        ("from", lambda e: [{"name": e, "email": "a@b"}]),
        ("to", lambda e: [{"name": None, "email": e}]),
        ("messageId", lambda e: [e]),
        ("sentAt", lambda e: e),
        # What is folded as it should be is no more than a space there.
        ("header:X-A", lambda e: e.replace("\r\n ", "\r\n")),
        ("header:X-A:all", lambda e: [" fine", e.replace("\r\n ", "\r\n")]),
        ("header:X-A:asText", lambda e: e),
        ("header:X-A:asURLs", lambda e: [e]),
        ("header:X-A:asGroupedAddresses", lambda e: [{"name": e, "addresses": []}]),
    ],
)
def test_no_control_characters_in_headers(name: str, wrap: Any, evil: str) -> None:
    """RFC 5322 §2.2: they would end the field, or the reader's patience."""
    assert invalid({name: wrap(evil), **TEXT}) == [name]


@pytest.mark.parametrize("value", [5, None, [], [5], {"a": 1}, True, [{"name": "x"}], [[]]])
@pytest.mark.parametrize(
    "name",
    ["subject", "from", "messageId", "sentAt", "header:X-A:asGroupedAddresses", "header:X:all"],
)
def test_values_of_other_kinds_are_refused_or_nothing(name: str, value: Any) -> None:
    email = {name: value, **TEXT}
    if value is None or (value == [] and name not in ("subject", "sentAt")):
        check_lines(composed(email))
    else:
        assert invalid(email) == [name]
