"""RFC 8621 §4.6: the messages that Emails to be created become, without a server."""

from __future__ import annotations

import binascii
import re
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import pytest

from gateway.jmap.limits import DEFAULTS
from gateway.mail.blob import Blob
from gateway.mail.email_create import compose
from gateway.mail.enclosures import EnclosureChanged
from gateway.mime import headers
from tests.mail.composition import TEXT, header, invalid, refused
from tests.mime.composing import MAILBOX, Kept, account, composed, letter, read
from tests.mime.composing_checks import check_lines

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
    monkeypatch.setattr("gateway.mail.enclosures.MAX_ATTACHMENTS_OCTETS", 100)
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

    monkeypatch.setattr("gateway.mail.enclosures.open_blob", open_blob)
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

        monkeypatch.setattr("gateway.mail.enclosures.open_blob", open_blob)
        sent = bytearray()
        with pytest.raises(EnclosureChanged):
            await _take(made.chunks(), sent)
        assert len(sent) < made.size


async def _take(chunks: AsyncIterator[bytes], into: bytearray) -> None:
    async for chunk in chunks:
        into += chunk
