"""RFC 5322, 2045, 2047, 2231: the results that the tests of another parser expect.

They are those of https://github.com/stalwartlabs/mail-parser (Apache-2.0 or MIT), which its
messages in the corpus belong to. What is found otherwise is listed, with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.mime import body, headers, transfer
from gateway.mime.message import Message, parse
from gateway.mime.structure import Part
from tests.mime import corpus

EXPECTED = corpus.SHARED / "expected" / "mail-parser"

pytestmark = pytest.mark.skipif(not EXPECTED.is_dir(), reason="the expected results are not here")

DIFFERENT: dict[str, dict[str, str]] = {
    "raw 8-bit text that is not UTF-8 is taken for windows-1252, as on the web": {
        "legacy_010": "subject, to",
        "legacy_016": "type of 3, disposition of 3",
        "legacy_017": "to",
        "legacy_020": "subject, to",
        "legacy_022": "subject, to",
        "legacy_023": "disposition of 4",
        "legacy_026": "type of 2, disposition of 2",
        "legacy_027": "subject, to",
        "legacy_052": "subject, to, value of 0",
    },
    "octets that are not text are as they are in the message, also the ends of lines": {
        "legacy_016": "content of 2, content of 3",
        "legacy_049": "value of 0",  # a last CR that no LF follows
    },
    "the encoding x-uuencode is decoded": {
        "legacy_017": "content of 2, content of 3",
        "legacy_026": "value of 2",
        "legacy_048": "content of 2, content of 3, content of 4",
    },
    "the encoding base64 is decoded whatever else there is in it": {
        "rfc_000": "value of 4, value of 5",
        "thirdparty_002": "value of 2, value of 3",
    },
    "media and texts between texts are of the body (RFC 8621 §4.1.4), decodable or not": {
        "rfc_000": "textBody, htmlBody, attachments",
        "thirdparty_002": "textBody, htmlBody, attachments",
    },
    "of the boundaries that a line begins with the longest counts, of equal ones the innermost "
    "(RFC 2046 §5.1.1); Dovecot finds the same parts": {
        "malformed_001": "parts",
        "malformed_008": "parts",
        "malformed_009": "parts",
        "malformed_012": "parts",
        "malformed_016": "parts",  # but here, as it knows no more than 80 octets of a boundary
        "thirdparty_015": "parts",
    },
    "a part begins with each delimiter, also after the last one; Dovecot finds the same parts": {
        "malformed_000": "parts",
        "malformed_007": "parts",
        "malformed_013": "parts",
        "malformed_014": "parts",
    },
    "of two fields of one name the first counts; Dovecot finds the same parts": {
        "malformed_020": "parts",
        "malformed_021": "parts",
    },
    "a multipart that has no parts is text": {
        "malformed_002": "type of 0, textBody, htmlBody, attachments",
    },
    "that multiparts are not closed makes their texts no attachments": {
        "malformed_003": "textBody, htmlBody, attachments",
        "malformed_004": "textBody, htmlBody, attachments",
        "malformed_006": "textBody, htmlBody, attachments",
    },
    "a delimiter begins a line, and where none does the text goes on": {
        "thirdparty_005": "value of 5",
    },
    "a comment is no address, and no part of a name that is there without it": {
        "rfc_000/7": "from, to",
        "rfc_002/2": "to",
    },
    "of a parameter that is given twice the first counts": {
        "thirdparty_010": "type of 0",
    },
}
"""What is found otherwise, by the reason and by the message (one inside of it after its number).

`parts` ends the comparison of a message. Their flag for problems is not compared: it is set for
other reasons than those of RFC 8621 §4.1.4.
"""

_PROPERTIES = {
    "subject": "subject",
    "date": "sentAt",
    "from": "from",
    "to": "to",
    "cc": "cc",
    "reply_to": "replyTo",
    "message_id": "messageId",
    "in_reply_to": "inReplyTo",
    "references": "references",
}


def cases() -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    messages = corpus.torture()
    for file in sorted((EXPECTED / "eml").glob("*/*.json")):
        name = f"{file.parent.name}_{file.stem}"
        octets = messages.get(f"mail-parser__{name}.eml")
        if octets is not None:  # one is in no public corpus
            yield name, octets, json.loads(file.read_text())


def flat(part: Part) -> list[Part]:
    return [part, *(found for child in part.children for found in flat(child))]


def differences(
    name: str, octets: bytes, expected: Any
) -> Iterator[tuple[str, str, object, object]]:
    """Name of the message, what differs, the value expected, and ours."""
    message = parse(octets)
    shown = headers.convenience(message.header(message.root))
    theirs = expected["parts"]
    given = {field["name"]: field["value"] for field in theirs[0]["headers"] if _known(field)}
    for their_name, our_name in _PROPERTIES.items():
        value = _property(their_name, given[their_name]) if their_name in given else None
        if value != shown[our_name]:
            yield name, our_name, value, shown[our_name]
    parts = flat(message.root)
    shape = _their_shape(theirs, 0), _our_shape(message.root, iter(range(len(parts))))
    if shape[0] != shape[1]:
        yield name, "parts", *shape
        return
    yield from _lists(name, expected, message)
    for number, (their_part, part) in enumerate(zip(theirs, parts, strict=True)):
        for what, value, found in _part_differences(their_part, part, message):
            yield name, f"{what} of {number}", value, found
        inside = their_part["body"]
        if isinstance(inside, dict) and isinstance(inside.get("Message"), dict):
            decoded, _ = transfer.decode(message.content(part), part.encoding)
            yield from differences(f"{name}/{number}", decoded, inside["Message"])


def _known(field: dict[str, Any]) -> bool:
    return isinstance(field["name"], str) and isinstance(field["value"], dict)


def _property(name: str, value: dict[str, Any]) -> object:
    ((kind, inside),) = value.items()
    match kind:
        case "DateTime":
            return _date(inside)
        case "Address":
            groups = inside.get("Group") or [{"addresses": inside.get("List", [])}]
            return [
                # What has no address is in their result a name, in JMAP an address (an `email`
                # must be a string, RFC 8621 §4.1.2.3).
                {
                    "name": one["name"] if one["address"] else None,
                    "email": one["address"] or one["name"],
                }
                for group in groups
                for one in group["addresses"]
            ]
        case "Text" if name != "subject":
            return [inside]
    return inside


def _date(value: dict[str, Any]) -> str:
    moment = "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}".format(**value)
    if not value["tz_hour"] and not value["tz_minute"]:
        return f"{moment}Z"
    sign = "-" if value["tz_before_gmt"] else "+"
    return f"{moment}{sign}{value['tz_hour']:02}:{value['tz_minute']:02}"


def _their_shape(parts: list[Any], number: int) -> object:
    inside = parts[number]["body"]
    if isinstance(inside, dict) and "Multipart" in inside:
        return [_their_shape(parts, child) for child in inside["Multipart"]]
    return number


def _our_shape(part: Part, numbers: Iterator[int]) -> object:
    number = next(numbers)
    return [_our_shape(child, numbers) for child in part.children] if part.is_multipart else number


def _lists(name: str, expected: Any, message: Message) -> Iterator[tuple[str, str, object, object]]:
    numbers = {id(part): number for number, part in enumerate(flat(message.root))}
    lists = body.body_lists(message.root)
    text, html = expected["text_body"], expected["html_body"]
    # RFC 8621 §4.1.4: `attachments` has no media that is in both.
    attachments = [n for n in expected["attachments"] if n not in text or n not in html]
    for what, value, ours in (
        ("textBody", text, lists.text),
        ("htmlBody", html, lists.html),
        ("attachments", attachments, lists.attachments),
    ):
        found = [numbers[id(part)] for part in ours]
        if value != found:
            yield name, what, value, found


def _part_differences(
    theirs: Any, part: Part, message: Message
) -> Iterator[tuple[str, object, object]]:
    for field in theirs["headers"]:
        if not _known(field) or "ContentType" not in field["value"]:
            continue
        value = field["value"]["ContentType"]
        parameters = {a["name"].lower(): a["value"] for a in value.get("attributes") or ()}
        if field["name"] == "content_type":
            found = (part.type, dict(part.parameters))
            type_ = f"{value['c_type']}/{value.get('c_subtype')}".lower()
            if found != (type_, parameters):
                yield "type", (type_, parameters), found
        elif field["name"] == "content_disposition":
            shown = (part.disposition, dict(part.disposition_parameters))
            if shown != (value["c_type"].lower(), parameters):
                yield "disposition", (value["c_type"], parameters), shown
    if part.is_multipart or not isinstance(theirs["body"], dict):
        return
    ((kind, content),) = theirs["body"].items()
    if kind in ("Text", "Html"):
        value = body.body_value(message.content(part), part, 0)["value"]
        if value != content.replace("\r\n", "\n"):
            yield "value", content, value
    elif kind in ("Binary", "InlineBinary"):
        octets, _ = transfer.decode(message.content(part), part.encoding)
        if octets != bytes(content):
            yield "content", bytes(content), octets


def test_messages_are_read_as_expected() -> None:
    found: dict[str, set[str]] = {}
    known: dict[str, set[str]] = {}
    for messages in DIFFERENT.values():
        for name, what in messages.items():
            known.setdefault(name, set()).update(what.split(", "))
    count = 0
    for name, octets, expected in cases():
        count += 1
        for where, what, value, ours in differences(name, octets, expected):
            found.setdefault(where, set()).add(what)
            assert what in known.get(where, ()), (where, what, value, ours)
    assert count > 100
    assert found == known
