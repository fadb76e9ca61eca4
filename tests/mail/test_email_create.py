"""RFC 8621 §4.6: what an Email to be created may not be, and what is made of the rest.

Composed without a server; tests/mail/test_email_create_served.py does it with one.
"""

from __future__ import annotations

import binascii
import re
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import pytest

from gateway.jmap.errors import SetError
from gateway.jmap.limits import DEFAULTS
from gateway.mail.blob import Blob
from gateway.mail.email_create import EnclosureChanged, compose
from gateway.mime import headers
from tests.mime.composing import MAILBOX, Kept, account, composed, letter, read
from tests.mime.composing_checks import check_lines

TEXT: dict[str, Any] = {
    "textBody": [{"partId": "t", "type": "text/plain"}],
    "bodyValues": {"t": {"value": "hello"}},
}


def refused(email: Mapping[str, Any], blobs: Mapping[str, bytes] | None = None) -> SetError:
    with pytest.raises(SetError) as caught:
        composed(email, blobs)
    return caught.value


def invalid(email: Mapping[str, Any]) -> list[str]:
    """The properties that an Email is refused for."""
    error = refused(email)
    assert error.type == "invalidProperties"
    assert error.description
    return sorted(error.properties)


def header(octets: bytes) -> dict[str, bytes]:
    return {name.lower(): value for name, value in headers.fields(octets)}


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


# --- mailboxes, keywords, dates ------------------------------------------------------------------


@pytest.mark.parametrize("value", [{}, None, {"Mother": True}, {MAILBOX: True, "Mother": True}])
def test_the_mailboxes_are_there(value: Any) -> None:
    """RFC 8621 §4.1.1: one at least."""
    assert invalid({"mailboxIds": value, **TEXT}) == ["mailboxIds"]


@pytest.mark.checklist("Q10")
async def test_what_is_told_to_the_server_besides_the_message() -> None:
    """RFC 8621 §4.1.1: keywords in lower case, receivedAt by default now."""
    email = {"keywords": {"$Draft": True, "Foo": True}, "receivedAt": "2020-02-03T04:05:06Z"}
    made, octets = await letter({**email, **TEXT}, {})
    assert made.mailbox_ids == {MAILBOX}
    assert made.keywords == {"$draft", "foo"}
    assert made.received.isoformat() == "2020-02-03T04:05:06+00:00"
    assert made.message_id is not None
    assert b"Message-ID: " + made.message_id + b"\r\n" in octets


async def test_a_message_can_be_taken_again() -> None:
    """After a lost connection it is sent again, the same."""
    email = {**TEXT, "attachments": [{"blobId": "u1"}]}
    made, octets = await letter(email, {"u1": b"x" * 100})
    assert len(octets) == made.size


# --- Q08: fields that every message has ----------------------------------------------------------


@pytest.mark.checklist("Q08")
def test_message_id_and_date_are_made_if_they_are_missing() -> None:
    """RFC 5322 §3.6.1, §3.6.4; the domain is that of the author."""
    first = composed({"from": [{"email": "me@example.org"}], **TEXT})
    second = composed({"from": [{"email": "me@example.org"}], **TEXT})
    pattern = rb" <[0-9a-f]{32}@example\.org>"
    assert re.fullmatch(pattern, header(first)["message-id"])
    assert header(first)["message-id"] != header(second)["message-id"]
    assert headers.date(header(first)["date"]) is not None
    assert header(first)["mime-version"] == b" 1.0"


@pytest.mark.checklist("Q08")
@pytest.mark.parametrize(
    "given",
    [
        {"messageId": ["a@b"], "sentAt": "2020-01-02T03:04:05+01:30"},
        {"header:Message-ID": " <a@b>", "header:Date": " Thu, 2 Jan 2020 03:04:05 +0130"},
        {
            "header:MESSAGE-ID:asMessageIds": ["a@b"],
            "header:date:asDate": "2020-01-02T03:04:05+01:30",
        },
    ],
)
async def test_message_id_and_date_are_kept_if_they_are_given(given: dict[str, Any]) -> None:
    made, octets = await letter({**given, **TEXT}, {})
    assert header(octets)["message-id"] == b" <a@b>"
    assert header(octets)["date"] == b" Thu, 2 Jan 2020 03:04:05 +0130"
    assert made.message_id == b"<a@b>"
    names = [name.lower() for name, _ in headers.fields(octets)]
    assert len(names) == len(set(names))


def test_what_is_no_message_id_is_refused() -> None:
    """It would be one that nobody can refer to."""
    assert invalid({"header:Message-ID": " none", **TEXT}) == ["header:Message-ID"]
    assert "message-id" in header(composed({"messageId": [], **TEXT}))


def test_fields_of_the_part_that_is_the_message_count() -> None:
    structure = {"partId": "t", "header:Message-ID": " <a@b>", "header:MIME-Version": " 1.0"}
    octets = composed({"bodyStructure": structure, "bodyValues": TEXT["bodyValues"]})
    names = [name.lower() for name, _ in headers.fields(octets)]
    assert (names.count("message-id"), names.count("mime-version")) == (1, 1)


# --- Q09, limits ---------------------------------------------------------------------------------


@pytest.mark.checklist("Q09")
def test_all_blobs_that_are_not_found_are_named() -> None:
    """RFC 8621 §4.6 blobNotFound: `notFound` has every one; what is no Id is none either."""
    attachments = [{"blobId": id_} for id_ in ("u1", "gone", "u2", "no id", "gone")]
    error = refused({**TEXT, "attachments": attachments}, {"u1": b"a", "u2": b"b"})
    assert error.members()["type"] == "blobNotFound"
    assert error.members()["notFound"] == ["gone", "no id"]


@pytest.mark.checklist("Q09")
def test_blobs_of_a_structure_are_looked_for_everywhere_in_it() -> None:
    structure = {
        "type": "multipart/mixed",
        "subParts": [
            {"blobId": "a"},
            {"type": "multipart/related", "subParts": [{"blobId": "b", "type": "text/html"}]},
        ],
    }
    assert refused({"bodyStructure": structure}).further == {"notFound": ["a", "b"]}


def test_attachments_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8621 §1.3.1 maxSizeAttachmentsPerEmail: of what they are, not of how they are encoded."""
    monkeypatch.setattr("gateway.mail.email_create.MAX_ATTACHMENTS_OCTETS", 100)
    blobs = {"u1": b"x" * 50, "u2": b"y" * 51}
    composed({**TEXT, "attachments": [{"blobId": "u1"}, {"blobId": "u1"}]}, blobs)
    assert refused({**TEXT, "attachments": [{"blobId": "u1"}, {"blobId": "u2"}]}, blobs).type == (
        "tooLarge"
    )


def test_what_could_not_be_read_again_is_refused() -> None:
    """The gateway looks at so many fields, parts and addresses of a message, and not at more."""
    many = [{"email": f"a{n}@example.org"} for n in range(1_001)]
    assert invalid({"to": many, **TEXT}) == ["to"]
    assert invalid({"subject": "x" * 70_000, **TEXT}) == ["subject"]
    assert invalid({"header:X-A": "x" * 1_000, **TEXT}) == ["header:X-A"]
    parts = [{"partId": "t"}] * 1_001
    structure = {"type": "multipart/mixed", "subParts": parts}
    assert invalid({"bodyStructure": structure, "bodyValues": TEXT["bodyValues"]}) == [
        "bodyStructure"
    ]


# --- R8: nothing gets into a header --------------------------------------------------------------

_EVIL = "a\r\nBcc: evil@example.org"


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
        ("header:X-A", lambda e: e),
        ("header:X-A:all", lambda e: [" fine", e]),
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


# --- Q11: drafts ---------------------------------------------------------------------------------


@pytest.mark.checklist("Q11")
@pytest.mark.parametrize(
    "email",
    [
        {},
        {"bodyValues": {}},
        {"attachments": []},
        {"to": [], **TEXT},
        {"to": [{"name": None, "email": ""}], **TEXT},
        {"to": [{"email": "bob"}], **TEXT},
        {"to": [{"name": "Bob", "email": ""}], **TEXT},
        {"header:To": " Bob <bob@, ,;", **TEXT},
        {"from": None, "subject": "", **TEXT},
        {**TEXT, "bodyValues": {"t": {"value": ""}}},
    ],
)
def test_drafts_may_be_half_finished(email: dict[str, Any]) -> None:
    """RFC 8621 §4.6: the message may be invalid; it is checked when it is submitted."""
    octets = composed(email)
    check_lines(octets)
    assert header(octets)["content-type"].startswith(b" text/plain")


# --- parts ---------------------------------------------------------------------------------------


def outline(email: Mapping[str, Any], blobs: Mapping[str, bytes]) -> Any:
    def part(shown: dict[str, Any]) -> Any:
        if shown["subParts"]:
            return {shown["type"]: [part(each) for each in shown["subParts"]]}
        return (shown["type"], shown["disposition"])

    return part(read(composed(email, blobs), "bodyStructure")["bodyStructure"])


BOTH: dict[str, Any] = {
    "textBody": [{"partId": "t"}],
    "htmlBody": [{"partId": "h"}],
    "bodyValues": {"t": {"value": "hi"}, "h": {"value": '<img src="cid:logo%40x">'}},
}


def test_the_tree_that_lists_of_parts_make() -> None:
    """RFC 8621 §4.1.4: what is shown by the HTML is with it, the rest is attached."""
    attachments = [
        {"blobId": "u1", "type": "application/pdf"},
        {"blobId": "u1", "type": "image/png", "cid": "logo@x"},
        {"blobId": "u1", "type": "image/png", "cid": "elsewhere@x"},
        {"blobId": "u1", "type": "image/gif", "cid": "other@x", "disposition": "inline"},
    ]
    assert outline({**BOTH, "attachments": attachments}, {"u1": b"x"}) == {
        "multipart/mixed": [
            {
                "multipart/alternative": [
                    ("text/plain", None),
                    {
                        "multipart/related": [
                            ("text/html", None),
                            ("image/png", "inline"),
                            ("image/gif", "inline"),
                        ]
                    },
                ]
            },
            ("application/pdf", "attachment"),
            ("image/png", "attachment"),
        ]
    }


def test_no_multipart_without_need() -> None:
    blobs = {"u1": b"x"}
    alternative = {"multipart/alternative": [("text/plain", None), ("text/html", None)]}
    assert outline(BOTH, {}) == alternative
    assert outline(TEXT, {}) == ("text/plain", None)
    html = {"htmlBody": BOTH["htmlBody"], "bodyValues": BOTH["bodyValues"]}
    assert outline(html, {}) == ("text/html", None)
    shown = [{"blobId": "u1", "type": "image/png", "cid": "logo@x"}]
    assert outline({**html, "attachments": shown}, blobs) == {
        "multipart/related": [("text/html", None), ("image/png", "inline")]
    }
    assert outline({"attachments": [{"blobId": "u1"}]}, blobs) == {
        "multipart/mixed": [("application/octet-stream", "attachment")]
    }


def test_bodies_may_be_blobs() -> None:
    """RFC 8621 §4.6: a partId or a blobId."""
    email = {"textBody": [{"blobId": "u1", "type": "text/plain", "charset": "iso-8859-1"}]}
    octets = composed(email, {"u1": "é\n".encode("latin-1")})
    shown = read(octets, "textBody")
    assert shown["textBody"][0]["charset"] == "iso-8859-1"
    assert shown["bodyValues"]["1"]["value"] == "é\n"


def test_a_client_may_write_the_fields_of_a_part_itself() -> None:
    """RFC 3676: format=flowed, and RFC 2183 parameters; charset and boundary are the server's."""
    structure = {
        "header:Content-Type": ' multipart/signed; boundary=x; micalg=pgp-sha256;\tprotocol="a/b"',
        "subParts": [
            {
                "partId": "t",
                "header:content-type:asText": "text/plain; format=flowed; charset=latin1",
                "header:Content-Disposition": " inline; filename*=utf-8''%C3%A9; size=7",
                "header:Content-ID": " <a@b>",
                "header:Content-Description:asText": "déjà vu",
            }
        ],
    }
    octets = composed(
        {"bodyStructure": structure, "bodyValues": {"t": {"value": "so soft \nis é\n"}}}
    )
    check_lines(octets)
    assert re.search(rb'micalg=pgp-sha256;\s+protocol="a/b"', octets)
    assert b"boundary=x" not in octets
    assert re.search(rb"Content-Type: text/plain; charset=utf-8; format=flowed\r\n", octets)
    assert b"inline; size=7; filename" in octets or b"filename*=utf-8''%C3%A9; size=7" in octets
    shown = read(octets, "bodyStructure", "bodyValues")
    (part,) = shown["bodyStructure"]["subParts"]
    assert (part["name"], part["cid"], part["disposition"]) == ("é", "a@b", "inline")
    assert shown["bodyValues"]["1"]["value"] == "so soft \nis é\n"


# --- RFC 2046 §5.2: messages ---------------------------------------------------------------------


def attached(octets: bytes, type_: str = "message/rfc822") -> tuple[str, str, bytes]:
    """Type, encoding and what is there of the octets, when they are attached."""
    email = {**TEXT, "attachments": [{"blobId": "u1", "type": type_}]}
    whole = composed(email, {"u1": octets})
    check_lines(whole)
    block = whole.split(b"\r\n--")[2]
    head, _, content = block.partition(b"\r\n\r\n")
    fields = header(head.partition(b"\r\n")[2] + b"\r\n")
    type_given = fields["content-type"].split(b";")[0].strip().decode()
    outer = header(whole).get("content-transfer-encoding", b"").strip()
    encoding = fields["content-transfer-encoding"].strip().decode()
    assert (outer == b"8bit") is (encoding == "8bit")  # RFC 2045 §6.4
    return type_given, encoding, content


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"A: b\r\n\r\nc", ("message/rfc822", "7bit", b"A: b\r\n\r\nc")),
        (b"A: b\n\nc\n", ("message/rfc822", "7bit", b"A: b\r\n\r\nc\r\n")),
        (b"A: \xc3\xa9\r\n\r\nc", ("message/rfc822", "8bit", b"A: \xc3\xa9\r\n\r\nc")),
        (b"A: b\r\n\r\n" + b"x" * 998, ("message/rfc822", "7bit", b"A: b\r\n\r\n" + b"x" * 998)),
    ],
)
def test_messages_are_attached_as_they_are(octets: bytes, expected: tuple[str, str, bytes]) -> None:
    """RFC 2046 §5.2.1: 7bit or 8bit; only line ends are made what they are in mail."""
    assert attached(octets) == expected


@pytest.mark.parametrize(
    "octets",
    [b"A: b\r\n\r\na\rb", b"A: b\r\n\r\na\0b", b"A: b\r\n\r\n" + b"x" * 999, b"A: b\r\n\r\nx\r"],
)
def test_messages_that_lines_can_not_hold_are_encoded(octets: bytes) -> None:
    """RFC 6532 §3.7: message/global may be; no octet of it is lost."""
    type_, encoding, content = attached(octets)
    assert (type_, encoding) == ("message/global", "base64")
    assert binascii.a2b_base64(content) == octets
    assert attached(octets, "message/delivery-status")[:2] == ("application/octet-stream", "base64")


# --- memory --------------------------------------------------------------------------------------


class _Long(Blob):
    """Octets that nobody holds."""

    @property
    def size(self) -> int:
        return 25_000_000

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes, None]:
        for _ in range(250):
            yield b"line of the message\r\n".ljust(100, b"x") * 1_000


@pytest.mark.parametrize("type_", ["application/pdf", "text/plain"])
async def test_what_is_enclosed_is_never_in_memory(
    type_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Design §9: an attachment of 25 MB takes as little as one of 1 MB."""

    async def open_blob(_account: object, _blob_id: str) -> Blob:
        return _Long()

    monkeypatch.setattr("gateway.mail.email_create.open_blob", open_blob)
    email = {**TEXT, "mailboxIds": {MAILBOX: True}}
    email["attachments"] = [{"blobId": "u1", "type": type_}]
    tracemalloc.start()
    try:
        made = await compose(account(), email, DEFAULTS)
        size = 0
        async for chunk in made.chunks():
            size += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == made.size > 33_000_000
    assert peak < 2_000_000


async def test_a_blob_that_is_not_what_it_was_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9051 §6.3.12: the server was promised a number of octets; it does not get others."""
    made, _ = await letter({**TEXT, "attachments": [{"blobId": "u1"}]}, {"u1": b"x" * 300})
    for octets in (None, b"x" * 30, b"x" * 3_000):

        async def open_blob(_account: object, _blob_id: str, octets: Any = octets) -> Blob | None:
            return None if octets is None else Kept(octets)

        monkeypatch.setattr("gateway.mail.email_create.open_blob", open_blob)
        sent = bytearray()
        with pytest.raises(EnclosureChanged):
            await _take(made.chunks(), sent)
        assert len(sent) < made.size


async def _take(chunks: AsyncIterator[bytes], into: bytearray) -> None:
    async for chunk in chunks:
        into += chunk
